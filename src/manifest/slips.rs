//! What is wrong with a statement as TOML, and what to write instead.

use std::ops::Range;

use toml::de::DeTable;

use super::outline::Statement;
use super::place::name;
use super::{Problem, Span, repeated, secret};
use crate::text::shown;

/// What is wrong with one statement, looked at alone.
pub(super) fn broken(index: usize, statement: &Statement, piece: &str) -> Option<Problem> {
    let (_, errors) = DeTable::parse_recoverable(piece);
    let first = errors.iter().find(|error| !repeated::is_about_repetition(error));
    if first.is_none() && statement.unclosed.is_none() {
        return None;
    }
    if let Some(key) = secret_key(piece) {
        let place = statement.bytes.start + key.start..statement.bytes.start + key.end;
        let word = piece.get(key).unwrap_or_default();
        return Some(secret::problem(word, None, Span { source: index, bytes: place }));
    }
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
    first.map(|error| invalid(index, piece, error, statement.bytes.start))
}

/// Where a statement begins with the name of a secret. That it is there is worse than how it is written.
fn secret_key(piece: &str) -> Option<Range<usize>> {
    let key = piece.split(['=', ':']).next()?;
    let inner = key.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\''));
    let start = key.find(inner)?;
    let is_secret = !inner.starts_with(['#', '[']) && secret::is_secret(inner);
    is_secret.then_some(start..start + inner.len())
}

/// A problem of TOML: in our words where it is a slip that happens often, else in the parser's. `offset` is
/// where `piece` begins in the source.
pub(super) fn invalid(index: usize, piece: &str, error: &toml::de::Error, offset: usize) -> Problem {
    let start = piece.len() - piece.trim_start().len();
    let found = error.span().unwrap_or(start..piece.trim_end().len().max(start));
    let at = |found: Range<usize>| Span { source: index, bytes: offset + found.start..offset + found.end };
    let message = error.message();
    let (said, expected) = message.split_once(", expected ").unwrap_or((message, ""));
    let label = if expected.is_empty() { String::new() } else { format!("expected {}", name(expected)) };
    if said.contains("recursion") {
        return Problem::error("keys or brackets are nested too deeply")
            .at(at(found), "")
            .help("a manifest needs no more than an inline table in an array");
    }
    if let Some((place, c)) = unseen(piece, found.start) {
        return Problem::error(format!("a character that cannot be seen: U+{:04X}", u32::from(c)))
            .at(at(place), "")
            .help("remove it; it often comes with text that was copied from elsewhere");
    }
    if matches!(expected, "`\"`" | "`'`") {
        return Problem::error("a string is never closed").at(at(found), label);
    }
    if said.starts_with("invalid basic string") || said.starts_with("invalid literal string") {
        return Problem::error("a string holds a control character")
            .at(at(found), "")
            .help("write it as an escape in double quotes, such as `\\t` or `\\u001b`");
    }
    if let Some(problem) = unquoted(piece, &found, at) {
        return problem;
    }
    let problem = Problem::error(format!("not valid TOML: {}", name(said))).at(at(found), label);
    match help(piece, said) {
        Some(help) => problem.help(help),
        None => problem,
    }
}

/// What to write instead of what the parser did not understand.
fn help(piece: &str, said: &str) -> Option<String> {
    let statement = piece.trim();
    if said.starts_with("carriage return") {
        return Some("save the file with line ends that are `\\n` or `\\r\\n`".into());
    }
    if statement.starts_with('[') {
        return Some("a section is opened by `[apps.hr]`, an entry by `[[apps.hr.subscriptions]]`".into());
    }
    if said.contains("escape") {
        return Some("a backslash is written `\\\\`; in single quotes it stands for itself".into());
    }
    if said.starts_with("unexpected key or value") {
        return Some("each key stands on a line of its own; a quote within a text is written `\\\"`".into());
    }
    if statement.starts_with(['/', ';', '-']) {
        return Some("a comment begins with `#`".into());
    }
    if is_like_header(piece) {
        return Some("a section is opened by `[apps.hr]`; what stands under this line was not read".into());
    }
    if said.starts_with("missing assignment") {
        return Some("a value is given with `=`".into());
    }
    let key = statement.split([' ', '\t', '=', ':']).next().unwrap_or_default();
    let is_bare =
        |key: &str| key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    let is_key_alone = said == "key with no value" && !key.is_empty() && is_bare(key);
    is_key_alone.then(|| format!("a value is given with `=`: `{} = …`", name(key)))
}

/// Whether a broken statement was probably meant to open a section, so that the keys under it are not those
/// of the section before.
pub(super) fn is_like_header(piece: &str) -> bool {
    let statement = piece.trim();
    !statement.starts_with('#')
        && !statement.contains('=')
        && (statement.contains(']') || statement.starts_with("apps") || statement.starts_with("policy"))
}

/// A character that cannot be seen, where the parser stopped or where the statement begins.
fn unseen(piece: &str, found: usize) -> Option<(Range<usize>, char)> {
    let begins = piece.len() - piece.trim_start_matches([' ', '\t', '\r', '\n']).len();
    [begins, found].into_iter().find_map(|at| {
        let c = piece.get(at..)?.chars().next()?;
        let is_plain = matches!(c, ' '..='~' | '\n' | '\r' | '\t');
        let is_unseen = !is_plain && shown(c.encode_utf8(&mut [0; 4])).starts_with('\\');
        is_unseen.then(|| (at..at + c.len_utf8(), c))
    })
}

/// A file that was never meant to be TOML, or holds two versions of itself: said once, not line by line.
pub(super) fn not_a_manifest(index: usize, text: &str) -> Option<Problem> {
    let at = |start: usize, line: &str| Span { source: index, bytes: start..start + line.trim_end().len() };
    let mut start = 0;
    let mut is_first = true;
    for line in text.split_inclusive('\n') {
        if line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> ") {
            return Some(
                Problem::error("a merge conflict is not resolved")
                    .at(at(start, line), "one side of it begins or ends here")
                    .help("keep what should stand, and delete the lines of markers; nothing else was read of this file"),
            );
        }
        let content = line.trim_start_matches('\u{feff}').trim();
        if is_first && !content.is_empty() && !content.starts_with('#') {
            is_first = false;
            let is_word = |word: &str| {
                !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || "_-".contains(c))
            };
            let format = if content.starts_with('{') {
                Some("JSON")
            } else if content == "---" || content.strip_suffix(':').is_some_and(is_word) {
                Some("YAML")
            } else {
                None
            };
            if let Some(format) = format {
                return Some(
                    Problem::error(format!("the file looks like {format}, not TOML"))
                        .at(at(start, line), "")
                        .help("a manifest begins like this: `[apps.hr]`, `app_id = \"cli_…\"`, `brand = \"feishu\"`"),
                );
            }
        }
        start += line.len();
    }
    None
}

/// A value that is no TOML: mostly text without quotes.
fn unquoted(piece: &str, found: &Range<usize>, at: impl Fn(Range<usize>) -> Span) -> Option<Problem> {
    let equals = piece.find('=')?;
    let rest = piece.get(equals + 1..)?;
    let value = rest.split('#').next()?.trim();
    if found.start <= equals || value.starts_with(['"', '\'', '[', '{']) {
        return None;
    }
    let key = name(piece.get(..equals)?.trim());
    let start = equals + 1 + rest.len() - rest.trim_start().len();
    let place = start..start + value.len();
    if value.is_empty() {
        let place = found.start.min(start)..found.start.min(start);
        return Some(Problem::error(format!("`{key}` has no value")).at(at(place), "expected a value"));
    }
    let lower = value.to_ascii_lowercase();
    if matches!(lower.as_str(), "true" | "false") {
        return Some(
            Problem::error(format!("`{}` is not a boolean", name(value)))
                .at(at(place), format!("write `{lower}`")),
        );
    }
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | '/' | ':' | '@');
    let problem = Problem::error("text must stand in quotes").at(at(place), "no quotes around it");
    Some(if value.starts_with(['“', '”', '‘', '’', '«']) {
        problem.help("use straight quotes: `\"`")
    } else if value.chars().all(is_plain) && value.len() <= 64 {
        problem.help(format!("write `{key} = \"{}\"`", name(value)))
    } else {
        problem.help(format!("write `{key} = \"…\"`"))
    })
}
