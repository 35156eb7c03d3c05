//! What TOML lets stand once and stands twice.

use std::ops::Range;

use super::outline::Statement;
use super::place::name;
use super::{Problem, Span};

/// More than this are reported without their first place, since looking it up costs time.
const FIRST_PLACES: usize = 64;

/// Whether the parser complains about a thing that stands twice. Its recovery from these is sound: the
/// first stays.
pub(super) fn is_about_repetition(error: &toml::de::Error) -> bool {
    let message = error.message();
    message.starts_with("duplicate key") || message.starts_with("cannot extend value of type")
}

/// Reports what stands twice, with its first place. Under a header that stands twice, its keys are not
/// reported as well, and neither is a header that differs in its brackets only: that is told as a wrong type.
pub(super) fn report(
    index: usize,
    text: &str,
    statements: &[Statement],
    errors: &[&toml::de::Error],
    problems: &mut Vec<Problem>,
) {
    let sections = sections(statements);
    let mut lost_section = None;
    for (count, error) in errors.iter().enumerate() {
        let found = error.span().unwrap_or_default();
        let position = statements.partition_point(|statement| statement.bytes.end <= found.start);
        let Some(statement) = statements.get(position) else { continue };
        let section = sections.get(position).copied().flatten();
        if !statement.is_header && section.is_some() && section == lost_section {
            continue;
        }
        let is_near_start = count < FIRST_PLACES;
        let problem = if statement.is_header {
            lost_section = Some(position);
            let before = statements.get(..position).unwrap_or_default();
            header(index, text, statement, if is_near_start { before } else { &[] }, found)
        } else {
            let from = section.map_or(0, |at| at + 1);
            let before = statements.get(from..position).unwrap_or_default();
            Some(key(index, text, statement, if is_near_start { before } else { &[] }, error, found))
        };
        problems.extend(problem);
    }
}

/// A header that stands twice.
fn header(
    index: usize,
    text: &str,
    statement: &Statement,
    before: &[Statement],
    found: Range<usize>,
) -> Option<Problem> {
    let at = |bytes: Range<usize>| Span { source: index, bytes };
    let (brackets, words) = header_words(text, statement);
    let is_entry = words.ends_with(".subscriptions") || words.ends_with(".removed");
    let first = before.iter().find(|other| other.is_header && header_words(text, other).1 == words);
    if is_entry && first.is_some_and(|first| header_words(text, first).0 != brackets) {
        return None;
    }
    let line = text.get(trimmed(text, statement)).unwrap_or_default();
    let line = name(line.split('#').next().unwrap_or_default().trim());
    if let Some(first) = first {
        let problem = Problem::error(format!("`{line}` is opened twice"))
            .at(at(found), "opened again here")
            .at(at(trimmed(text, first)), "first opened here");
        return Some(if is_entry {
            problem.help(format!("each entry is opened by two brackets: `[[{}]]`", name(&words)))
        } else {
            problem.help("a TOML table is opened once; move these keys there")
        });
    }
    let problem = Problem::error(format!("`{line}` stands twice")).at(at(found), "opened here");
    let problem = match value_of(text, before, &words) {
        Some(value) => problem.at(at(value), "already given here"),
        None => problem,
    };
    Some(problem.help("keep one form: all of it in one value, or each part under a header of its own"))
}

/// The key that gives as a value what `words` opens as a section.
fn value_of(text: &str, before: &[Statement], words: &str) -> Option<Range<usize>> {
    let (parent, last) = words.rsplit_once('.')?;
    let section = before.iter().position(|other| other.is_header && header_words(text, other).1 == parent)?;
    let keys = before.get(section + 1..)?.iter().take_while(|other| !other.is_header);
    let given = keys.into_iter().find(|other| key_words(text, other) == Some(last))?;
    let start = trimmed(text, given).start;
    Some(start..start + last.len())
}

/// A key that stands twice.
fn key(
    index: usize,
    text: &str,
    statement: &Statement,
    before: &[Statement],
    error: &toml::de::Error,
    found: Range<usize>,
) -> Problem {
    let at = |bytes: Range<usize>| Span { source: index, bytes };
    let word = name(text.get(found.clone()).unwrap_or_default());
    let words = key_words(text, statement);
    if !error.message().starts_with("duplicate") {
        return Problem::error(format!("`{word}` is no table, so it has no keys of its own"))
            .at(at(found), "");
    }
    let problem = Problem::error(format!("duplicate key `{word}`")).at(at(found), "given again here");
    let problem = match before.iter().find(|other| words.is_some() && key_words(text, other) == words) {
        Some(first) => {
            let start = trimmed(text, first).start;
            let length = key_words(text, first).map_or(1, str::len);
            problem.at(at(start..start + length), "first given here")
        }
        None => problem,
    };
    problem.help("keep one of the two")
}

/// For each statement, the header it stands under.
fn sections(statements: &[Statement]) -> Vec<Option<usize>> {
    let mut current = None;
    let mut sections = Vec::with_capacity(statements.len());
    for (index, statement) in statements.iter().enumerate() {
        if statement.is_header {
            current = Some(index);
        }
        sections.push(current);
    }
    sections
}

/// The brackets of a header and the words within them, without spaces.
fn header_words(text: &str, statement: &Statement) -> (usize, String) {
    let line = text.get(trimmed(text, statement)).unwrap_or_default();
    let brackets = line.bytes().take_while(|byte| *byte == b'[').count();
    let inner = line.trim_start_matches('[').split(']').next().unwrap_or_default();
    (brackets, inner.chars().filter(|c| !c.is_whitespace()).collect())
}

/// The key of a statement as it is written, if it has one.
fn key_words<'t>(text: &'t str, statement: &Statement) -> Option<&'t str> {
    let line = text.get(trimmed(text, statement)).unwrap_or_default();
    (!statement.is_header && !line.starts_with('#')).then(|| line.split('=').next().map(str::trim))?
}

fn trimmed(text: &str, statement: &Statement) -> Range<usize> {
    let piece = text.get(statement.bytes.clone()).unwrap_or_default();
    let inner = piece.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let start = statement.bytes.start + piece.len() - inner.len();
    start..start + inner.trim_end().len()
}
