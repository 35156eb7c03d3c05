//! From the sources to a manifest, or to every problem of every source.

use std::fmt::Write as _;
use std::num::NonZero;
use std::thread;

use sha2::{Digest, Sha256};
use toml::de::DeTable;

use super::draft::Draft;
use super::value::Context;
use super::{Manifest, Problem, Problems, Source, Span, check, pieces, slips, syntax, tree};

/// Reads a manifest: one source, or those of a folder in their order.
///
/// # Errors
/// Every problem of every source. What is absent is not counted as missing where a source could not be read
/// whole, so no problem is the consequence of another.
pub fn parse(sources: &[Source]) -> Result<Manifest, Problems> {
    let length: usize = sources.iter().map(|source| source.bytes.len()).sum();
    if length >= 2 * pieces::SIZE {
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        if let Some(manifest) = in_pieces(sources, threads, pieces::SIZE) {
            return Ok(manifest);
        }
    }
    in_whole(sources)
}

/// The manifest of sources that have no problem. `None` where they may have one, or are not as most are written.
pub(super) fn in_pieces(sources: &[Source], threads: usize, size: usize) -> Option<Manifest> {
    let draft = pieces::draft(sources, threads, size)?;
    let mut problems = Vec::new();
    check::draft(&draft, &mut problems);
    if draft.apps.is_empty() || !problems.is_empty() {
        return None;
    }
    check::manifest(draft, digest(sources))
}

/// The manifest, or every problem of every source, reading one after the other.
pub(super) fn in_whole(sources: &[Source]) -> Result<Manifest, Problems> {
    let mut problems = Vec::new();
    let mut draft = Draft::default();
    for (index, source) in sources.iter().enumerate() {
        let is_whole = read(index, source, sources.len() > 1, &mut draft, &mut problems);
        draft.is_broken.push(!is_whole);
    }
    check::draft(&draft, &mut problems);
    // A problem that has been reported may be what hides the apps.
    if draft.apps.is_empty() && problems.is_empty() {
        problems.push(without_apps(sources));
    }
    if !problems.is_empty() {
        problems.sort_by_key(|problem| problem.annotations.first().map(|main| position(&main.span)));
        return Err(Problems(problems));
    }
    let manifest = check::manifest(draft, digest(sources));
    // Not reached: whatever stops a draft from being a manifest has been reported.
    manifest.ok_or_else(|| Problems(vec![Problem::error("the manifest cannot be read")]))
}

/// Reads one source into the draft. Returns whether nothing in it was unreadable.
fn read(
    index: usize,
    source: &Source,
    is_one_of_many: bool,
    draft: &mut Draft,
    problems: &mut Vec<Problem>,
) -> bool {
    let Some(text) = syntax::decode(index, source, problems) else { return false };
    let (root, errors) = DeTable::parse_recoverable(&text.text);
    if errors.is_empty() && text.bad.is_empty() {
        let mut cx = Context { source: index, is_broken: false, problems };
        let says_something = tree::source(&mut cx, root.get_ref(), draft);
        if !says_something && is_one_of_many {
            problems.push(empty(index));
        }
        return true;
    }
    drop(root);
    if let Some(repaired) = syntax::repair(index, &text, problems) {
        let (root, _) = DeTable::parse_recoverable(&repaired);
        tree::source(&mut Context { source: index, is_broken: true, problems }, root.get_ref(), draft);
    }
    // What is said of the same thing twice is left to one of the two; should neither have spoken, this does.
    let is_reported = |problem: &Problem| problem.annotations.iter().any(|place| place.span.source == index);
    if !problems.iter().rev().any(is_reported) {
        problems.extend(errors.first().map(|error| slips::invalid(index, &text.text, error, 0)));
    }
    false
}

fn empty(source: usize) -> Problem {
    Problem::error("the file says nothing")
        .at(Span { source, bytes: 0..0 }, "")
        .help("delete it; every file of a manifest's folder is read, and one that says nothing may have lost its text")
}

fn without_apps(sources: &[Source]) -> Problem {
    let problem = Problem::error("the manifest has no app");
    let problem = match sources {
        [] => problem,
        _ => problem.at(Span { source: 0, bytes: 0..0 }, ""),
    };
    problem
        .help("an app begins with `[apps.hr]`, `app_id = \"cli_…\"` and `brand = \"feishu\"`, `hr` being any label")
        .help("to retire an app, keep its section without subscriptions until its drops are applied")
}

fn position(span: &Span) -> (usize, usize) {
    (span.source, span.bytes.start)
}

/// The digest of the texts, each preceded by its length, so that moving a line between files changes it.
fn digest(sources: &[Source]) -> String {
    let mut hasher = Sha256::new();
    for source in sources {
        hasher.update((source.bytes.len() as u64).to_le_bytes());
        hasher.update(&source.bytes);
    }
    let mut digest = String::from("sha256:");
    for byte in hasher.finalize() {
        // Writing to a String cannot fail.
        let _ = write!(digest, "{byte:02x}");
    }
    digest
}
