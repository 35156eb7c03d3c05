//! Foreign text within Markdown, for GitHub and GitLab alike.
//!
//! There is one way in: a code span. What stands in one is literal for every parser, and the filters that run over the
//! finished page (mentions, `#123`, commits, emoji, mathematics) pass it over; character references would not stop
//! those, because they look at the decoded text. Two characters could end a code span or a table cell, the backtick and
//! the bar. They are shown as [`shown`] shows what is unseen.

use std::fmt::Write as _;

use crate::text::{cut, shown};

/// How long a name or a key may be in a comment; a tenant and a code are 64 each at most.
pub const NAME: usize = 80;
/// How long an owner may be.
pub const OWNER: usize = 40;
/// How long a reason, or a sentence of a guard, may be.
pub const SENTENCE: usize = 300;

/// A foreign text as a code span of at most `most` columns and as many characters; none where there is nothing to see.
pub fn code(text: &str, most: usize) -> Option<String> {
    if is_blank(text) {
        return None;
    }
    // What is escaped only grows, so no more of the text can be seen.
    let head: String = text.chars().take(most.saturating_add(1)).collect();
    let is_cut = head.len() < text.len();
    let mut out = String::with_capacity(head.len());
    for word in shown(&head).split(' ').filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        for c in word.chars() {
            match c {
                '`' | '|' => {
                    // Writing to a String cannot fail.
                    let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
                }
                c => out.push(c),
            }
        }
    }
    Some(format!("`{}`", clip(out.trim(), most, is_cut)))
}

/// Whether there is nothing to see in a text; of white space only these two are not escaped.
fn is_blank(text: &str) -> bool {
    text.chars().all(|c| matches!(c, ' ' | '\u{3000}'))
}

/// A text of at most `most` columns. Characters are counted, too: some take no column.
fn clip(text: &str, most: usize, is_cut: bool) -> String {
    let few: String = text.chars().take(most).collect();
    let is_cut = is_cut || few.len() < text.len();
    let fitting = cut(&few, most);
    if !is_cut || fitting.len() < few.len() {
        return fitting.into_owned();
    }
    // It fits, but is not all.
    let mut chars: Vec<char> = fitting.chars().collect();
    chars.truncate(most.saturating_sub(1));
    chars.into_iter().chain(['…']).collect()
}

/// A sentence of this program's, with what is between backticks as code. It may come from a saved plan that somebody
/// else wrote, so every word that is not plain is a code span as well: a flag, a key, an address.
pub fn prose(text: &str) -> String {
    let mut out = String::new();
    for (position, part) in
        cut(text, SENTENCE * 2).chars().take(SENTENCE * 2).collect::<String>().split('`').enumerate()
    {
        if position % 2 == 1 {
            out.push_str(&code(part, SENTENCE).unwrap_or_default());
            continue;
        }
        let pieces: Vec<&str> = part.split_inclusive(' ').collect();
        for run in
            pieces.chunk_by(|a, b| is_plain(a.trim_end_matches(' ')) == is_plain(b.trim_end_matches(' ')))
        {
            let words = run.concat();
            match run.first().is_some_and(|first| is_plain(first.trim_end_matches(' '))) {
                true => out.push_str(&words),
                false => codes(&words, &mut out),
            }
        }
    }
    out
}

/// Words that are no plain ones, in one span: a list or a date is not torn. The marks around them are the sentence's.
fn codes(words: &str, out: &mut String) {
    let after_opening = words.strip_prefix('(').unwrap_or(words);
    let bare = after_opening.trim_end_matches([',', ';', ':', '.', ')', ' ']);
    out.push_str(words.get(..words.len() - after_opening.len()).unwrap_or_default());
    out.push_str(&code(bare, SENTENCE).unwrap_or_default());
    out.push_str(after_opening.get(bare.len()..).unwrap_or_default());
}

/// Letters or a number, with what stands around words in a sentence; nothing that any renderer makes more of.
fn is_plain(word: &str) -> bool {
    let inner = word.trim_start_matches('(').trim_end_matches([',', ';', ':', '.', ')']);
    let is_word = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_words = inner.split(['-', '\'']).all(|part| !part.is_empty() && is_word(part));
    let is_number = inner.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b',');
    // Around it at most two marks: `).`
    word.len() <= inner.len() + 2 && (inner == "%" || is_words || is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_one_code_span() {
        for (given, expected) in [
            ("Leave request", "`Leave request`"),
            ("请假申请", "`请假申请`"),
            ("a `b` | c", "`a \\u{60}b\\u{60} \\u{7c} c`"),
            ("``` x", "`\\u{60}\\u{60}\\u{60} x`"),
            ("a\n# b\u{202e}", "`a\\n# b\\u{202e}`"),
            ("<b>@team #123 :smile: $x$ www.a.b</b>", "`<b>@team #123 :smile: $x$ www.a.b</b>`"),
            ("back\\slash\\", "`back\\\\slash\\\\`"),
            ("  a   b ", "`a b`"),
            ("::error::x", "`\\u{3a}:error::x`"),
        ] {
            assert_eq!(code(given, NAME).unwrap(), expected);
        }
        for nothing in ["", "   ", "\u{3000}"] {
            assert_eq!(code(nothing, NAME), None);
        }
    }

    #[test]
    fn no_text_is_longer_than_its_place() {
        let thai = "\u{e31}".repeat(1000);
        for text in ["a".repeat(100_000), thai, "请".repeat(1000), "|".repeat(1000), " ".repeat(1000) + "x"]
        {
            let code = code(&text, 20).unwrap();
            assert!(code.chars().count() <= 22 && code.ends_with("…`"), "{code}");
        }
        assert_eq!(code(&"a".repeat(20), 20).unwrap(), format!("`{}`", "a".repeat(20)));
        assert!(prose(&"a ".repeat(100_000)).len() < 1000);
        assert!(prose(&"#1 ".repeat(100_000)).len() < 2000);
    }

    #[test]
    fn a_sentence_keeps_its_words_and_marks_the_rest() {
        for (given, expected) in [
            ("`hr`: 4 of 12 to drop (33.4 %), at most 30 %", "`hr`: 4 of 12 to drop (33.4 %), at most 30 %"),
            (
                "if every one is meant: --allow-drops 4; or, in [policy], `max_drops = 4`",
                "if every one is meant: `--allow-drops` 4; or, in `[policy]`, `max_drops = 4`",
            ),
            ("hr/A-1 is protected, and would be dropped", "`hr/A-1` is protected, and would be dropped"),
            ("an app's ready-made kind", "an app's ready-made kind"),
            ("@team :smile: <b> #1 https://a.b", "`@team :smile: <b> #1 https://a.b`"),
            ("a ` b | c", "a `b \\u{7c} c`"),
        ] {
            assert_eq!(prose(given), expected);
        }
    }
}
