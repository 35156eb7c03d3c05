//! A large manifest without a problem, read in pieces on every core.
//!
//! A parser's tree takes twenty times the room of its text. Cut into pieces of whole entries, a manifest costs the
//! trees of the pieces that are being read, whether it is one file or a folder of them. Whatever is not plain, or has
//! any problem, is left to the reading in one piece, which tells all of them in their order.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use toml::de::DeTable;

use super::draft::Draft;
use super::value::Context;
use super::{Source, outline, tree};

/// About how many bytes a piece has: its tree stays within a core's cache.
pub(super) const SIZE: usize = 128 * 1024;

/// The draft of sources in which no text has a problem on its own. `None` where one may have.
pub(super) fn draft(sources: &[Source], threads: usize, size: usize) -> Option<Draft> {
    let texts = each(sources, threads, |source| {
        let text = str::from_utf8(&source.bytes).ok()?;
        Some((text, cut(text, size)?))
    })?;
    let numbered = (0..).zip(&texts);
    let pieces: Vec<_> = numbered
        .flat_map(|(source, (text, pieces))| pieces.iter().map(move |piece| (source, *text, piece)))
        .collect();
    let is_folder = sources.len() > 1;
    let drafts = each(&pieces, threads, |(source, text, piece)| read(*source, text, piece, is_folder))?;
    let mut whole = Draft::default();
    for draft in drafts {
        whole.extend(draft);
    }
    whole.is_broken = vec![false; sources.len()];
    Some(whole)
}

fn read(source: usize, text: &str, piece: &Piece, is_folder: bool) -> Option<Draft> {
    let own = piece.text(text);
    let (root, errors) = DeTable::parse_recoverable(&own);
    if !errors.is_empty() {
        return None;
    }
    let mut problems = Vec::new();
    let mut draft = Draft::default();
    let mut cx = Context { source, is_broken: false, problems: &mut problems };
    let says_something = tree::source(&mut cx, root.get_ref(), &mut draft);
    if !problems.is_empty() || is_folder && !says_something {
        return None;
    }
    draft.for_each_place(|place| piece.find(place));
    Some(draft)
}

/// Parts of a text that are read together, in order.
#[derive(Debug, Default)]
struct Piece {
    /// Each part's place in the whole, behind where it begins in the piece.
    parts: Vec<(usize, Range<usize>)>,
    len: usize,
}

impl Piece {
    fn push(&mut self, bytes: Range<usize>) {
        let begin = self.len;
        self.len += bytes.len();
        match self.parts.last_mut() {
            Some((_, last)) if last.end == bytes.start => last.end = bytes.end,
            _ => self.parts.push((begin, bytes)),
        }
    }

    fn text<'t>(&self, whole: &'t str) -> Cow<'t, str> {
        let part = |(_, bytes): &(usize, Range<usize>)| whole.get(bytes.clone()).unwrap_or_default();
        match self.parts.as_slice() {
            [only] => Cow::Borrowed(part(only)),
            parts => Cow::Owned(parts.iter().map(part).collect()),
        }
    }

    /// Turns a place in the piece into the same place in the whole text.
    fn find(&self, place: &mut Range<usize>) {
        let behind = self.parts.partition_point(|(begin, _)| *begin <= place.start);
        if let Some((begin, bytes)) = behind.checked_sub(1).and_then(|index| self.parts.get(index)) {
            *place = place.start - begin + bytes.start..place.end - begin + bytes.start;
        }
    }
}

/// Cuts a text into its frame, which holds everything but most of its entries, and pieces of those.
///
/// The frame keeps the first entry of each kind of each app, so that whatever else gives the same name a meaning
/// collides there as it would in the whole. A text of statements that end where they should can be taken apart
/// between any two of them. `None` where nothing else need be tried.
fn cut(text: &str, size: usize) -> Option<Vec<Piece>> {
    let whole = || Piece { parts: vec![(0, 0..text.len())], len: text.len() };
    let mut frame = Piece::default();
    let mut pieces = vec![Piece::default()];
    let mut seen = HashSet::new();
    let mut last = "";
    let mut is_in_frame = true;
    let mut is_plain = text.len() >= size;
    for statement in outline::statements(text) {
        if statement.unclosed.is_some() || statement.too_deep.is_some() {
            return None;
        }
        if !is_plain {
            continue;
        }
        if statement.is_header {
            let line = text.get(statement.bytes.clone()).unwrap_or_default();
            let header = line.split('#').next().unwrap_or_default().trim();
            match section(header) {
                Some(Section::Entry) => {
                    is_in_frame = header != last && seen.insert(header);
                    last = if is_in_frame { "" } else { header };
                }
                Some(Section::Settings) => is_in_frame = true,
                None => is_plain = false,
            }
            if pieces.last().is_some_and(|piece| piece.len >= size) {
                pieces.push(Piece::default());
            }
        }
        match pieces.last_mut() {
            Some(piece) if !is_in_frame => piece.push(statement.bytes),
            _ => frame.push(statement.bytes),
        }
    }
    if !is_plain {
        return Some(vec![whole()]);
    }
    pieces.retain(|piece| piece.len > 0);
    pieces.insert(0, frame);
    Some(pieces)
}

enum Section {
    Settings,
    Entry,
}

/// What a header opens, if it is written plainly.
fn section(header: &str) -> Option<Section> {
    let is_bare = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    if let Some(entry) = header.strip_prefix("[[apps.").and_then(|rest| rest.strip_suffix("]]")) {
        let (label, kind) = entry.split_once('.')?;
        return (is_bare(label) && matches!(kind, "subscriptions" | "removed")).then_some(Section::Entry);
    }
    let app = header.strip_prefix("[apps.").and_then(|rest| rest.strip_suffix(']'));
    let app = app.map(|app| app.strip_suffix(".policy").unwrap_or(app));
    (header == "[policy]" || app.is_some_and(is_bare)).then_some(Section::Settings)
}

/// What is made of each item, in their order, by so many threads; `None` once nothing is made of one.
fn each<'t, T: Sync, R: Send>(
    items: &'t [T],
    threads: usize,
    make: impl Fn(&'t T) -> Option<R> + Sync,
) -> Option<Vec<R>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut made = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return Some(made) };
            let Some(one) = make(item) else {
                next.store(items.len(), Ordering::Relaxed);
                return None;
            };
            made.push((index, one));
        }
    };
    let mut made = thread::scope(|scope| {
        // A system that gives no more threads has the work done by those there are.
        let others: Vec<_> = (1..threads.min(items.len()))
            .map_while(|_| thread::Builder::new().spawn_scoped(scope, work).ok())
            .collect();
        let mut made = work();
        for other in others {
            let more = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            made = made.zip(more).map(|(mut made, more)| {
                made.extend(more);
                made
            });
        }
        made
    })?;
    made.sort_unstable_by_key(|(index, _)| *index);
    Some(made.into_iter().map(|(_, one)| one).collect())
}
