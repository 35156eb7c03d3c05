//! Problems as a person sees them: what, the line with the place underlined, what to write instead.
//!
//! Paths and lines are foreign. Every drawn line is therefore built anew from the source, with whatever is
//! unseen escaped, secrets hidden and long lines cut around the place; nothing of a source is handed on raw.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::manifest::{Annotation, Problem, Problems, Severity, Source, secret};
use crate::text::{Shown, shown};

/// More problems than this are counted, not drawn: nobody reads further, and a first correction often takes
/// many with it.
const MOST_DRAWN: usize = 50;
/// Places further apart than this are drawn apart.
const MOST_LINES: usize = 1000;
/// A line of more characters is cut around the place.
const LONG_LINE: usize = 200;
/// What is left of a long line: before the place, of the place, and after it.
const KEPT: [usize; 3] = [60, 80, 40];
/// What stands for a secret.
const HIDDEN: &str = "<hidden>";

/// Draws problems with the lines that they are about, each followed by an empty line. A place of no length at
/// the beginning of a source, without a label, stands for the whole source.
pub fn problems(problems: &Problems, sources: &[Source], color: bool) -> String {
    let renderer = if color { Renderer::styled().hyperlink(false) } else { Renderer::plain() };
    // Lines are cut here, not by the renderer.
    let renderer = renderer.term_width(10_000);
    let mut pages = Pages { sources, hidden: hidden_by_problems(problems), pages: BTreeMap::new() };
    let mut out = String::new();
    for problem in problems.0.iter().take(MOST_DRAWN) {
        out.push_str(&one(problem, &mut pages, &renderer));
        out.push_str("\n\n");
    }
    let more = problems.0.len().saturating_sub(MOST_DRAWN);
    if more > 0 {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "and {more} more {}", if more == 1 { "problem" } else { "problems" });
    } else {
        out.truncate(out.trim_end_matches('\n').len() + 1);
    }
    if problems.0.is_empty() { String::new() } else { out }
}

fn one(problem: &Problem, pages: &mut Pages, renderer: &Renderer) -> String {
    let Problem { severity, title, annotations, help, redact: _ } = problem;
    let level = match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut excerpts = excerpts(annotations, pages).into_iter();
    let mut columns = Vec::new();
    let mut current = Group::with_title(level.primary_title(visible(title)));
    if let Some(main) = excerpts.next() {
        current = main.add_to(current, &mut columns);
    }
    let mut groups = Vec::new();
    for other in excerpts {
        let title = if other.title.is_empty() { "also here".to_string() } else { visible(&other.title) };
        groups.push(current);
        current = other.add_to(Group::with_title(Level::NOTE.secondary_title(title)), &mut columns);
    }
    groups.push(current.elements(help.iter().map(|sentence| Level::HELP.message(visible(sentence)))));
    let mut drawn = renderer.render(&groups);
    for (drawn_place, true_place) in columns {
        drawn = drawn.replacen(&drawn_place, &true_place, 1);
    }
    drawn
}

/// Lines of one source, escaped, with the places in them.
struct Excerpt {
    path: String,
    /// `None` where the place is the whole source.
    lines: Option<Lines>,
    /// What is said of it where it is not the main one.
    title: String,
}

struct Lines {
    /// The number of the first one.
    first: usize,
    text: String,
    marks: Vec<Mark>,
}

struct Mark {
    place: Range<usize>,
    label: String,
    /// Line, column in the escaped line, column in the source; all from 1.
    position: [usize; 3],
}

impl Excerpt {
    /// Adds it to a group. The renderer counts columns in the escaped line; where these are not the source's,
    /// what it will write and what should stand there is added to `columns`.
    fn add_to<'g>(self, group: Group<'g>, columns: &mut Vec<(String, String)>) -> Group<'g> {
        let Self { path, lines, title: _ } = self;
        let Some(Lines { first, text, marks }) = lines else {
            return group.element(Origin::path(path));
        };
        if let Some(Mark { position: [line, drawn, column], .. }) = marks.first()
            && drawn != column
        {
            columns.push((format!("{path}:{line}:{drawn}"), format!("{path}:{line}:{column}")));
        }
        let marks = marks.into_iter().enumerate().map(|(index, mark)| {
            let kind = if index == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
            kind.span(mark.place).label(Some(mark.label).filter(|label| !label.is_empty()))
        });
        group.element(Snippet::source(text).path(path).line_start(first).annotations(marks))
    }
}

/// The sources with what drawing needs to know of them, found when one is first drawn.
struct Pages<'s> {
    sources: &'s [Source],
    /// By source: what its problems hide.
    hidden: BTreeMap<usize, Vec<Range<usize>>>,
    pages: BTreeMap<usize, Page<'s>>,
}

struct Page<'s> {
    path: String,
    bytes: &'s [u8],
    line_starts: Vec<usize>,
    /// What is never shown, in order.
    hidden: Vec<Range<usize>>,
}

fn hidden_by_problems(problems: &Problems) -> BTreeMap<usize, Vec<Range<usize>>> {
    let mut hidden: BTreeMap<usize, Vec<Range<usize>>> = BTreeMap::new();
    for span in problems.0.iter().flat_map(|problem| &problem.redact) {
        hidden.entry(span.source).or_default().push(span.bytes.clone());
    }
    hidden
}

impl<'s> Pages<'s> {
    fn page(&mut self, index: usize) -> Option<&Page<'s>> {
        let source = self.sources.get(index)?;
        let hidden = &mut self.hidden;
        Some(self.pages.entry(index).or_insert_with(|| {
            let bytes = source.bytes.as_slice();
            let newlines = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
            Page {
                path: Shown(&source.path).to_string(),
                bytes,
                line_starts: std::iter::once(0).chain(newlines.map(|(at, _)| at + 1)).collect(),
                hidden: merged(
                    hidden.remove(&index).unwrap_or_default().into_iter().chain(secret::values(bytes)),
                ),
            }
        }))
    }
}

impl Page<'_> {
    /// The line that a byte stands in, from 0.
    fn line_at(&self, byte: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= byte).saturating_sub(1)
    }

    /// The bytes of a line without its end.
    fn line(&self, line: usize) -> Range<usize> {
        let start = self.line_starts.get(line).copied().unwrap_or(self.bytes.len());
        let end = self.line_starts.get(line + 1).map_or(self.bytes.len(), |next| next - 1);
        let text = self.bytes.get(start..end).unwrap_or_default();
        let bom = if text.starts_with(b"\xef\xbb\xbf") && start == 0 { 3 } else { 0 };
        let is_crlf = text.ends_with(b"\r") && end < self.bytes.len();
        start + bom..end - usize::from(is_crlf)
    }
}

/// The places of a problem as excerpts: what is near the main place in its source together, the rest apart.
fn excerpts(annotations: &[Annotation], pages: &mut Pages) -> Vec<Excerpt> {
    let mut excerpts = Vec::new();
    let mut rest: Vec<&Annotation> = annotations.iter().collect();
    while let Some(main) = rest.first().copied() {
        let source = main.span.source;
        let Some(page) = pages.page(source) else {
            rest.retain(|other| other.span.source != source);
            continue;
        };
        let line = page.line_at(main.span.bytes.start);
        let (near, far): (Vec<&Annotation>, Vec<&Annotation>) = rest.into_iter().partition(|other| {
            other.span.source == source && page.line_at(other.span.bytes.start).abs_diff(line) <= MOST_LINES
        });
        let is_whole = main.span.bytes == (0..0) && main.label.is_empty() && near.len() == 1;
        let is_main = excerpts.is_empty();
        excerpts.push(Excerpt {
            path: page.path.clone(),
            lines: (!is_whole).then(|| lines(page, &near, is_main)),
            title: main.label.clone(),
        });
        rest = far;
    }
    excerpts
}

/// The lines from the first place to the last. In what lies between, only lines beside a place have their
/// text: the renderer folds the others.
fn lines(page: &Page, annotations: &[&Annotation], is_main: bool) -> Lines {
    let mut by_line: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, annotation) in annotations.iter().enumerate() {
        by_line.entry(page.line_at(annotation.span.bytes.start)).or_default().push(index);
    }
    let first = by_line.keys().next().copied().unwrap_or_default();
    let last = by_line.keys().next_back().copied().unwrap_or_default();
    let mut text = String::new();
    let mut marks: Vec<(usize, Mark)> = Vec::new();
    for line in first..=last {
        let bytes = page.line(line);
        if let Some(indices) = by_line.get(&line) {
            let places: Vec<Range<usize>> = indices
                .iter()
                .filter_map(|index| annotations.get(*index))
                .map(|annotation| within(&annotation.span.bytes, &bytes))
                .collect();
            let drawn = draw_line(page, &bytes, &places);
            for (index, place) in indices.iter().zip(&places) {
                let label = annotations.get(*index).map(|annotation| visible(&annotation.label));
                let mark = drawn.mark(place);
                let before = drawn.text.get(..mark.start).unwrap_or_default();
                let position =
                    [line + 1, before.chars().count() + 1, characters(page, bytes.start..place.start) + 1];
                marks.push((
                    *index,
                    Mark {
                        place: text.len() + mark.start..text.len() + mark.end,
                        // The title of a place that stands apart has said it already.
                        label: label.filter(|_| is_main || *index > 0).unwrap_or_default(),
                        position,
                    },
                ));
            }
            text.push_str(&drawn.text);
        } else if by_line.contains_key(&(line + 1)) || line > 0 && by_line.contains_key(&(line - 1)) {
            text.push_str(&draw_line(page, &bytes, std::slice::from_ref(&(bytes.start..bytes.start))).text);
        }
        text.push('\n');
    }
    // In the order of the problem: its first place is the main one.
    marks.sort_by_key(|(index, _)| *index);
    Lines { first: first + 1, text, marks: marks.into_iter().map(|(_, mark)| mark).collect() }
}

/// A place cut to one line.
fn within(place: &Range<usize>, line: &Range<usize>) -> Range<usize> {
    let start = place.start.clamp(line.start, line.end);
    start..place.end.clamp(start, line.end)
}

fn characters(page: &Page, bytes: Range<usize>) -> usize {
    let chunks = page.bytes.get(bytes).unwrap_or_default().utf8_chunks();
    chunks.map(|chunk| chunk.valid().chars().count() + usize::from(!chunk.invalid().is_empty())).sum()
}

/// A line as it is shown, and which of its bytes come from where.
struct DrawnLine {
    text: String,
    /// (byte of the source, byte of `text`), rising in both.
    origins: Vec<(usize, usize)>,
}

impl DrawnLine {
    /// The bytes that show a place. Of what is hidden or cut off, its stand-in.
    fn mark(&self, place: &Range<usize>) -> Range<usize> {
        let from = self.origins.partition_point(|(source, _)| *source <= place.start).saturating_sub(1);
        let start = self.origins.get(from).map_or(0, |(_, drawn)| *drawn);
        let to = self.origins.partition_point(|(source, _)| *source < place.end);
        let end = self.origins.get(to).map_or(self.text.len(), |(_, drawn)| *drawn);
        start..end.max(start)
    }

    fn push(&mut self, at: usize, shown: &str) {
        self.origins.push((at, self.text.len()));
        self.text.push_str(shown);
    }
}

fn draw_line(page: &Page, line: &Range<usize>, places: &[Range<usize>]) -> DrawnLine {
    let mut drawn = DrawnLine { text: String::new(), origins: Vec::new() };
    let mut reached = line.start;
    for window in windows(page, line, places) {
        if window.start > reached {
            drawn.push(reached, "…");
        }
        draw_window(page, &window, &mut drawn);
        reached = window.end;
    }
    if reached < line.end {
        drawn.push(reached, "…");
    }
    drawn.push(line.end, "");
    drawn
}

/// The parts of a line that are shown: all of it, unless it is long.
fn windows(page: &Page, line: &Range<usize>, places: &[Range<usize>]) -> Vec<Range<usize>> {
    if line.len() <= LONG_LINE || line.len() <= 4 * LONG_LINE && characters(page, line.clone()) <= LONG_LINE {
        return vec![line.clone()];
    }
    let [before, of, after] = KEPT;
    merged(places.iter().map(|place| {
        let start = place.start.saturating_sub(before).max(line.start);
        let end = (place.end.min(place.start + of) + after).min(line.end);
        whole_character(page, start)..whole_character(page, end).min(line.end)
    }))
}

/// The beginning of the next character at or after a byte.
fn whole_character(page: &Page, at: usize) -> usize {
    let rest = page.bytes.get(at..).unwrap_or_default();
    at + rest.iter().take(3).take_while(|byte| (0x80..0xc0).contains(*byte)).count()
}

fn draw_window(page: &Page, window: &Range<usize>, drawn: &mut DrawnLine) {
    let mut at = window.start;
    let mut hidden_until = 0;
    for chunk in page.bytes.get(window.clone()).unwrap_or_default().utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some(c) = rest.chars().next() {
            if at >= hidden_until {
                hidden_until = draw_unless_hidden(page, at, &visible_char(c, rest), drawn);
            }
            at += c.len_utf8();
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
        for byte in chunk.invalid() {
            if at >= hidden_until {
                hidden_until = draw_unless_hidden(page, at, &format!("\\x{byte:02x}"), drawn);
            }
            at += 1;
        }
    }
}

/// Draws what stands at a byte, or that something is hidden there. Returns where the hidden part ends.
fn draw_unless_hidden(page: &Page, at: usize, shown: &str, drawn: &mut DrawnLine) -> usize {
    let hidden = hidden_at(page, at);
    drawn.push(at, if hidden.is_some() { HIDDEN } else { shown });
    hidden.unwrap_or_default()
}

/// The end of the hidden part that a byte belongs to.
fn hidden_at(page: &Page, at: usize) -> Option<usize> {
    let next = page.hidden.partition_point(|hidden| hidden.end <= at);
    page.hidden.get(next).filter(|hidden| hidden.start <= at).map(|hidden| hidden.end)
}

/// Ranges in order, those that touch made one.
fn merged(ranges: impl Iterator<Item = Range<usize>>) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = ranges.collect();
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// A text of ours, in which foreign parts are escaped already: whatever should have been and was not, is now.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        out.push_str(&visible_char(c, rest));
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    out
}

/// One character as it is shown; `rest` begins with it. Unlike in [`shown`], a backslash is itself, since the
/// line stands there as it was written.
fn visible_char(c: char, rest: &str) -> String {
    match c {
        '\t' => "    ".into(),
        '\\' | ' '..='"' | '$'..='[' | ']'..='~' => c.into(),
        '#' if rest.starts_with("##[") || rest.starts_with("##vso[") => "\\u{23}".into(),
        _ => shown(c.encode_utf8(&mut [0; 4])).into_owned(),
    }
}

#[cfg(test)]
mod tests;
