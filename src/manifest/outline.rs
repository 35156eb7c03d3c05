//! Where the statements of a text begin and end, found without trusting the text to be valid TOML.
//!
//! A parser that has lost its way blames what comes after. Knowing the statements beforehand lets each be
//! judged on its own, so that one unclosed bracket is one problem and not a screenful.

use std::ops::Range;

/// One logical line: a header, a comment, or a key with all the lines of its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    /// Its bytes, with the newline at its end.
    pub bytes: Range<usize>,
    /// Whether it opens a section: `[x]` or `[[x]]`.
    pub is_header: bool,
    /// The bracket or quotes in it that nothing closes.
    pub unclosed: Option<Range<usize>>,
    /// Where brackets stand deeper in each other than any manifest needs.
    pub too_deep: Option<usize>,
}

/// No manifest needs more than an inline table in an array.
const MAX_DEPTH: usize = 16;

/// The statements of a text, in order, covering it without a gap.
pub(super) fn statements(text: &str) -> impl Iterator<Item = Statement> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let statement = (at < bytes.len()).then(|| statement(bytes, at))?;
        at = statement.bytes.end;
        Some(statement)
    })
}

fn statement(text: &[u8], start: usize) -> Statement {
    let bom = if start == 0 && text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let first = skip_blanks(text, start + bom);
    if text.get(first) == Some(&b'[') {
        let end = next_line(text, first);
        return Statement { bytes: start..end, is_header: true, unclosed: None, too_deep: None };
    }
    let mut open: Vec<(usize, u8)> = Vec::new();
    let mut mismatched = None;
    let mut too_deep = None;
    let mut at = first;
    let ended =
        |end, unclosed, too_deep| Statement { bytes: start..end, is_header: false, unclosed, too_deep };
    while let Some(byte) = text.get(at) {
        match byte {
            b'#' => at = line_end(text, at),
            quote @ (b'"' | b'\'') => match string_end(text, at, *quote) {
                Some(end) => at = end,
                None => return ended(next_header(text, at), Some(at..at + 3), too_deep),
            },
            bracket @ (b'[' | b'{') => {
                open.push((at, *bracket));
                if open.len() > MAX_DEPTH {
                    too_deep = too_deep.or(Some(at));
                }
                at += 1;
            }
            bracket @ (b']' | b'}') => {
                let opening = if *bracket == b']' { b'[' } else { b'{' };
                // `[ { ]`: what opened last and is not closed by this is where the mistake is.
                while let Some((opened, kind)) = open.pop() {
                    if kind == opening {
                        break;
                    }
                    mismatched = mismatched.or(Some(opened..opened + 1));
                }
                at += 1;
            }
            b'\n' => {
                at += 1;
                match open.first() {
                    None => return ended(at, mismatched, too_deep),
                    Some((bracket, _)) if is_section_header(text, at) => {
                        return ended(at, mismatched.or(Some(*bracket..bracket + 1)), too_deep);
                    }
                    Some(_) => {}
                }
            }
            _ => at += 1,
        }
    }
    ended(at, mismatched.or_else(|| open.first().map(|(bracket, _)| *bracket..bracket + 1)), too_deep)
}

/// The end of the string that opens at `at`. One on a single line ends with its line even if it is not
/// closed; `None` for a multi-line one that nothing closes.
fn string_end(text: &[u8], at: usize, quote: u8) -> Option<usize> {
    let is_closed_by = |at: usize, count: usize| {
        text.get(at..at + count).is_some_and(|found| found.iter().all(|byte| *byte == quote))
    };
    let is_multiline = is_closed_by(at, 3);
    let marks = if is_multiline { 3 } else { 1 };
    let mut at = at + marks;
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' if quote == b'"' && text.get(at + 1) != Some(&b'\n') => at += 2,
            b'\n' if !is_multiline => return Some(at),
            // Longer than meant: the quotes that would close it open another one.
            b'\n' if is_section_header(text, at + 1) => return None,
            _ if is_closed_by(at, marks) => {
                // Up to two more quotes belong to a multi-line string that ends in quotes.
                let more =
                    if is_multiline { (0..2).take_while(|n| is_closed_by(at + 3 + n, 1)).count() } else { 0 };
                return Some(at + marks + more);
            }
            _ => at += 1,
        }
    }
    (!is_multiline).then_some(text.len())
}

/// Whether a line opens a section of a manifest. Its words cannot be values, so even within brackets it means
/// that a bracket before it was forgotten.
fn is_section_header(text: &[u8], at: usize) -> bool {
    let line = text.get(skip_blanks(text, at)..).unwrap_or_default();
    let inner = line.strip_prefix(b"[[").or_else(|| line.strip_prefix(b"["));
    let inner = inner.map(|inner| inner.trim_ascii_start()).unwrap_or_default();
    inner.starts_with(b"apps") || inner.starts_with(b"policy")
}

/// The start of the next line that opens a section, or the end.
fn next_header(text: &[u8], at: usize) -> usize {
    let mut at = next_line(text, at);
    while at < text.len() && !is_section_header(text, at) {
        at = next_line(text, at);
    }
    at
}

fn skip_blanks(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}

fn line_end(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    rest.iter().position(|byte| *byte == b'\n').map_or(text.len(), |length| at + length)
}

fn next_line(text: &[u8], at: usize) -> usize {
    (line_end(text, at) + 1).min(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str) -> Vec<(&str, Option<&str>)> {
        statements(text).map(|found| (&text[found.bytes], found.unclosed.map(|range| &text[range]))).collect()
    }

    #[test]
    fn a_value_ends_with_its_last_bracket_or_quote_and_not_with_its_line() {
        assert_eq!(
            pieces("# c\n[a]\nx = [\n 1, # ]\n \"]\",\n]\ny = '''\n[a]\n'''\nz = \"\\\"[\"\n"),
            [
                ("# c\n", None),
                ("[a]\n", None),
                ("x = [\n 1, # ]\n \"]\",\n]\n", None),
                ("y = '''\n[a]\n'''\n", None),
                ("z = \"\\\"[\"\n", None),
            ]
        );
    }

    #[test]
    fn what_nothing_closes_ends_where_a_section_begins() {
        assert_eq!(
            pieces("x = [\n 1\n[apps.hr]\ny = \"\"\"\nz\n[[apps.hr.removed]]\nw = \"open\nv = {"),
            [
                ("x = [\n 1\n", Some("[")),
                ("[apps.hr]\n", None),
                ("y = \"\"\"\nz\n", Some("\"\"\"")),
                ("[[apps.hr.removed]]\n", None),
                ("w = \"open\n", None),
                ("v = {", Some("{")),
            ]
        );
        assert_eq!(pieces("x = [{ a = [1}]\ny = ]\n"), [("x = [{ a = [1}]\n", Some("[")), ("y = ]\n", None)]);
    }

    #[test]
    fn a_byte_order_mark_does_not_hide_a_header() {
        assert!(statements("\u{feff}[policy]").next().unwrap().is_header);
    }
}
