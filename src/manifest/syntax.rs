//! A source's bytes → its tree, and what is wrong with them as TOML.
//!
//! When a text is broken, each statement is judged on its own, and the broken ones are blanked out before the
//! whole is read: what is left is sound, at the same offsets, and no problem is a mere consequence of another.

use std::borrow::Cow;
use std::ops::Range;

use toml::de::DeTable;

use super::outline::{self, Statement};
use super::place::name;
use super::{Problem, Source, Span};

/// More duplicate keys than this are reported without their first place, since looking it up costs time.
const FIRST_PLACES: usize = 64;

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
    let mut statements: Vec<Statement> = outline::statements(&source.text).collect();
    let repaired = blank_broken(index, source, &statements, problems);
    let (_, errors) = DeTable::parse_recoverable(&repaired);
    statements.retain(|statement| !is_blank(&repaired, &statement.bytes));
    let repeated = errors.iter().filter(|error| is_about_repetition(error.message()));
    report_repeated(index, &repaired, &statements, repeated, problems);
    // Where the pieces are fine and the whole is not, blame the whole once and rely on none of it.
    if let Some(error) = errors.iter().find(|error| !is_about_repetition(error.message())) {
        problems.push(invalid(index, &repaired, error, 0));
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
        let problem = if has_bad { None } else { broken(index, statement, piece) };
        let is_broken = has_bad || problem.is_some();
        problems.extend(problem);
        if statement.is_header {
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

/// What is wrong with one statement, looked at alone.
fn broken(index: usize, statement: &Statement, piece: &str) -> Option<Problem> {
    if let Some(unclosed) = &statement.unclosed {
        let offset = statement.bytes.start;
        let opening = piece.get(unclosed.start - offset..unclosed.end - offset).unwrap_or_default();
        let closing = match opening {
            "[" => "]",
            "{" => "}",
            quotes => quotes,
        };
        return Some(
            Problem::error(format!("`{opening}` is never closed"))
                .at(Span { source: index, bytes: unclosed.clone() }, format!("no `{closing}` belongs to it")),
        );
    }
    let (_, errors) = DeTable::parse_recoverable(piece);
    let first = errors.iter().find(|error| !is_about_repetition(error.message()))?;
    Some(invalid(index, piece, first, statement.bytes.start))
}

/// A problem of TOML, in the parser's words. `offset` is where `piece` begins in the source.
fn invalid(index: usize, piece: &str, error: &toml::de::Error, offset: usize) -> Problem {
    let found = error.span().unwrap_or_default();
    let message = error.message();
    let (said, expected) = message.split_once(", expected ").unwrap_or((message, ""));
    let label = if expected.is_empty() { String::new() } else { format!("expected {}", name(expected)) };
    let span = Span { source: index, bytes: offset + found.start..offset + found.end };
    let problem = Problem::error(format!("not valid TOML: {}", name(said))).at(span, label);
    match help(piece, &found) {
        Some(help) => problem.help(help),
        None => problem,
    }
}

/// What to write instead, for the slips that happen most.
fn help(piece: &str, found: &Range<usize>) -> Option<String> {
    let statement = piece.trim();
    if statement.starts_with('[') {
        return Some("a section is opened by `[apps.hr]`, an entry by `[[apps.hr.subscriptions]]`".into());
    }
    let (key, value) = statement.split_once('=')?;
    let (key, value) = (name(key.trim()), value.trim());
    let is_in_value = piece.find('=').is_some_and(|at| found.start > at);
    let is_quoted = value.starts_with(['"', '\'', '[', '{']);
    match value {
        "" => Some(format!("give it a value, such as `{key} = \"…\"`")),
        _ if is_in_value && value.eq_ignore_ascii_case("true") => Some(format!("write `{key} = true`")),
        _ if is_in_value && value.eq_ignore_ascii_case("false") => Some(format!("write `{key} = false`")),
        _ if is_in_value && value.starts_with('“') => Some("use straight quotes: `\"`".into()),
        _ if is_in_value && !is_quoted => Some(format!("text stands in quotes: `{key} = \"…\"`")),
        _ => None,
    }
}

/// Whether the parser complains about a thing that stands twice. Its recovery from these is sound: the
/// first stays.
fn is_about_repetition(message: &str) -> bool {
    message.starts_with("duplicate key") || message.starts_with("cannot extend value of type")
}

/// Reports what stands twice, with its first place. Under a header that stands twice, its keys are not
/// reported as well, and neither is a header that differs in its brackets only: that is told as a wrong type.
fn report_repeated<'e>(
    index: usize,
    text: &str,
    statements: &[Statement],
    errors: impl Iterator<Item = &'e toml::de::Error>,
    problems: &mut Vec<Problem>,
) {
    let at = |bytes: Range<usize>| Span { source: index, bytes };
    let sections = sections(statements);
    let mut lost_section = None;
    for (count, error) in errors.enumerate() {
        let found = error.span().unwrap_or_default();
        let position = statements.partition_point(|statement| statement.bytes.end <= found.start);
        let Some(statement) = statements.get(position) else { continue };
        let section = sections.get(position).copied().flatten();
        if !statement.is_header && section.is_some() && section == lost_section {
            continue;
        }
        let word = name(text.get(found.clone()).unwrap_or_default());
        let first = if count >= FIRST_PLACES {
            None
        } else if statement.is_header {
            let header = header_words(text, statement);
            let mut before = statements.get(..position).unwrap_or_default().iter();
            before.find(|other| other.is_header && header_words(text, other).1 == header.1)
        } else {
            let key = key_words(text, statement);
            let before = statements.get(section.map_or(0, |at| at + 1)..position).unwrap_or_default();
            before.iter().find(|other| key.is_some() && key_words(text, other) == key)
        };
        if statement.is_header {
            lost_section = Some(position);
            let (brackets, words) = header_words(text, statement);
            if first.is_some_and(|first| header_words(text, first).0 != brackets) {
                continue;
            }
            let header = text.get(statement.bytes.clone()).unwrap_or_default().trim();
            let header = header.split('#').next().unwrap_or_default().trim();
            let problem = Problem::error(format!("`{}` is opened twice", name(header)))
                .at(at(found), "opened again here");
            let problem = match first {
                Some(first) => problem.at(at(trimmed(text, first)), "first opened here"),
                None => problem,
            };
            let is_entry = words.ends_with("subscriptions") || words.ends_with("removed");
            problems.push(if is_entry {
                problem.help(format!("each entry is opened by two brackets: `[[{}]]`", name(&words)))
            } else {
                problem.help("a TOML table is opened once; move these keys there")
            });
            continue;
        }
        let problem = if error.message().starts_with("duplicate") {
            Problem::error(format!("duplicate key `{word}`")).at(at(found), "given again here")
        } else {
            Problem::error(format!("`{word}` is no table, so it has no keys of its own")).at(at(found), "")
        };
        problems.push(match first {
            Some(first) => {
                let start = trimmed(text, first).start;
                let length = key_words(text, first).map_or(1, str::len);
                problem.at(at(start..start + length), "first given here").help("keep one of the two")
            }
            None => problem,
        });
    }
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

fn is_blank(text: &str, bytes: &Range<usize>) -> bool {
    text.get(bytes.clone()).is_none_or(|piece| piece.trim().is_empty())
}
