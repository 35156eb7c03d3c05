//! Foreign strings, made safe to show, and their width on a screen.
//!
//! A name from a manifest or a message from the platform may try to move the cursor, hide a line, or speak to
//! a CI system. Whatever prints such a string to a person wraps it in [`Shown`].

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Displays a foreign string on one line: control, bidirectional, zero-width and other unseen characters as
/// `\u{…}`, and nothing that a CI system would take for one of its workflow commands (`::…`, `##[…]`, `##vso[…]`).
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a>(pub &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(self.0))
    }
}

/// The text of [`Shown`]; borrowed when nothing had to be escaped.
pub fn shown(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte) && !matches!(byte, b':' | b'#' | b'\\')) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut at_start = true;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let is_command = (at_start && rest.starts_with("::")) || is_ci_command(rest);
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if is_command || is_unseen(c) => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
        // A CI system trims the line before it looks for a command.
        at_start = at_start && c.is_whitespace();
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    Cow::Owned(out)
}

/// The columns that a text takes on a terminal; a Chinese character takes two.
pub fn width(text: &str) -> usize {
    text.width()
}

/// A text cut to at most `columns`, with `…` as its last column where something was cut off.
pub fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    if text.len() <= columns || width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let mut used = 0;
    let mut out = String::new();
    for c in text.chars() {
        let step = c.width().unwrap_or(0);
        if used + step + 1 > columns {
            break;
        }
        used += step;
        out.push(c);
    }
    out.push('…');
    Cow::Owned(out)
}

/// The first characters of a text that fit into `bytes`, whole characters only.
pub fn cut_bytes(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// A text followed by the spaces that bring it to `columns`.
pub fn pad(text: &str, columns: usize) -> String {
    let missing = columns.saturating_sub(width(text));
    format!("{text}{}", " ".repeat(missing))
}

/// Whether a CI system would take what begins here for a command wherever on a line it stands: `##[…]` on GitHub,
/// `##vso[…]` on Azure, `##teamcity[…]`.
pub fn is_ci_command(rest: &str) -> bool {
    rest.strip_prefix("##")
        .is_some_and(|rest| rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).starts_with('['))
}

/// Whether there is nothing to see in a text: it is empty, or only white space and unseen characters.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || is_unseen(c))
}

/// Whether a character would be unseen or would change how its neighbours are seen.
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
        // Combining marks stacked on a neighbour can cover other lines; spaces that are not a space can hide.
        || matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
            | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
        || (c != ' ' && c != '\u{3000}' && c.is_whitespace())
        || is_private(c)
}

fn is_private(c: char) -> bool {
    matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_foreign_reaches_a_line_raw() {
        for (given, expected) in [
            ("Leave request", "Leave request"),
            ("请假申请", "请假申请"),
            ("a\u{1b}[31mb", "a\\u{1b}[31mb"),
            ("a\nb\r\t", "a\\nb\\r\\t"),
            ("x\u{202e}y", "x\\u{202e}y"),
            ("z\u{200b}w", "z\\u{200b}w"),
            ("::error::x", "\\u{3a}:error::x"),
            ("  ::error::x", "  \\u{3a}:error::x"),
            ("a ##[error]x", "a \\u{23}#[error]x"),
            ("##vso[task.complete]", "\\u{23}#vso[task.complete]"),
            ("C:\\x", "C:\\\\x"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("e\u{301}", "e\\u{301}"),
        ] {
            assert_eq!(shown(given), expected);
        }
    }

    #[test]
    fn chinese_names_line_up() {
        assert_eq!(width("请假"), 4);
        assert_eq!(cut("请假申请", 5), "请假…");
        assert_eq!(cut("请假申请", 8), "请假申请");
        assert_eq!(pad("请假", 6), "请假  ");
        assert_eq!(cut_bytes("请假", 4), "请");
    }
}
