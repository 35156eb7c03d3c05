//! A source's bytes → its tree, and what is wrong with them as TOML.
//!
//! When a text is broken, each statement is judged on its own, and the broken ones are blanked out before the
//! whole is read: what is left is sound, at the same offsets, and no problem is a mere consequence of another.

use std::borrow::Cow;
use std::ops::Range;

use toml::de::DeTable;

use super::outline::{self, Statement};
use super::{Problem, Source, Span, repeated, slips};

/// A source as UTF-8 text, offset for offset.
pub(super) struct Text<'s> {
    /// The text; each invalid byte stands as a `?`.
    pub text: Cow<'s, str>,
    /// Where the invalid bytes are.
    pub bad: Vec<usize>,
}

/// Reads a source as text and reports what stands in the way. `None` where nothing sound can be read.
pub(super) fn decode<'s>(index: usize, source: &'s Source, problems: &mut Vec<Problem>) -> Option<Text<'s>> {
    let at = |bytes: Range<usize>| Span { source: index, bytes };
    if is_utf16(&source.bytes) {
        problems.push(
            Problem::error("the file is UTF-16 text, not UTF-8")
                .at(at(0..0), "")
                .help("save it as UTF-8; `>` in Windows PowerShell writes UTF-16"),
        );
        return None;
    }
    let text = replace_invalid(&source.bytes);
    if let Some(first) = text.bad.first() {
        let byte = source.bytes.get(*first).copied().unwrap_or_default();
        let problem = Problem::error(format!("invalid UTF-8 at byte {first}"))
            .at(at(*first..first + 1), format!("byte 0x{byte:02x}"))
            .help("a manifest is UTF-8 text: save the file in that encoding");
        problems.push(match text.bad.len() {
            1 => problem,
            count => problem.help(format!("invalid bytes in the file: {count}")),
        });
    }
    if let Some(deep) = outline::statements(&text.text).find_map(|statement| statement.too_deep) {
        problems.push(
            Problem::error("brackets are nested too deeply")
                .at(at(deep..deep + 1), "one level too many")
                .help("a manifest needs no more than an inline table in an array")
                .help("nothing else was read of this file"),
        );
        return None;
    }
    Some(text)
}

/// Reports everything that is wrong with a text as TOML, and gives what is sound of it at the same offsets.
/// `None` where nothing is.
pub(super) fn repair(index: usize, source: &Text, problems: &mut Vec<Problem>) -> Option<String> {
    if let Some(problem) = slips::not_a_manifest(index, &source.text) {
        problems.push(problem);
        return None;
    }
    let before = problems.len();
    let mut statements: Vec<Statement> = outline::statements(&source.text).collect();
    let repaired = blank_broken(index, source, &statements, problems);
    let (_, errors) = DeTable::parse_recoverable(&repaired);
    statements.retain(|statement| !is_blank(&repaired, &statement.bytes));
    let (twice, other): (Vec<_>, Vec<_>) =
        errors.iter().partition(|error| repeated::is_about_repetition(error));
    repeated::report(index, &repaired, &statements, &twice, problems);
    // Where the pieces are fine and the whole is not, blame the whole once and rely on none of it.
    if let Some(error) = other.first() {
        if problems.len() == before {
            problems.push(slips::invalid(index, &repaired, error, 0));
        }
        return None;
    }
    Some(repaired)
}

/// UTF-16, by its byte order mark or by its zero bytes.
fn is_utf16(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0xff, 0xfe, ..]
            | [0xfe, 0xff, ..]
            | [b'\t'..=b'~', 0, b'\t'..=b'~', 0, ..]
            | [0, b'\t'..=b'~', 0, b'\t'..=b'~', ..]
    )
}

fn replace_invalid(bytes: &[u8]) -> Text<'_> {
    if let Ok(text) = str::from_utf8(bytes) {
        return Text { text: Cow::Borrowed(text), bad: Vec::new() };
    }
    let mut text = String::with_capacity(bytes.len());
    let mut bad = Vec::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for _ in chunk.invalid() {
            bad.push(text.len());
            text.push('?');
        }
    }
    Text { text: Cow::Owned(text), bad }
}

/// Reports the broken statements and blanks them out; under a broken header, all of its section.
fn blank_broken(
    index: usize,
    source: &Text,
    statements: &[Statement],
    problems: &mut Vec<Problem>,
) -> String {
    let mut repaired = String::with_capacity(source.text.len());
    let mut is_section_lost = false;
    for statement in statements {
        let piece = source.text.get(statement.bytes.clone()).unwrap_or_default();
        let first_bad = source.bad.partition_point(|at| *at < statement.bytes.start);
        let has_bad = source.bad.get(first_bad).is_some_and(|at| *at < statement.bytes.end);
        // An invalid byte has been reported already, and may be all that is wrong here.
        let problem = if has_bad { None } else { slips::broken(index, statement, piece) };
        let is_broken = has_bad || problem.is_some();
        problems.extend(problem);
        if statement.is_header || is_broken && slips::is_like_header(piece) {
            is_section_lost = is_broken;
        }
        if is_broken || is_section_lost {
            repaired.extend(piece.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
        } else {
            repaired.push_str(piece);
        }
    }
    repaired
}

fn is_blank(text: &str, bytes: &Range<usize>) -> bool {
    text.get(bytes.clone()).is_none_or(|piece| piece.trim().is_empty())
}
