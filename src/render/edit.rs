//! Two texts as a unified diff: what an edit of a file changes.

use std::fmt::Write as _;

use similar::{ChangeTag, TextDiff};

use super::Paint;
use crate::text::shown;

/// The diff, empty where nothing differs; every line of it escaped.
pub fn unified(old: &str, new: &str, path: &str, paint: Paint) -> String {
    let diff = TextDiff::from_lines(old, new);
    let mut text = String::new();
    for hunk in diff.unified_diff().context_radius(3).iter_hunks() {
        if text.is_empty() {
            let path = shown(path);
            let _ = writeln!(text, "{}", paint.strong(format!("--- {path}\n+++ {path}")));
        }
        let _ = writeln!(text, "{}", paint.faint(hunk.header()));
        for change in hunk.iter_changes() {
            // A backslash is TOML's own here, and is seen as it stands.
            let line = shown(change.value().trim_end_matches(['\r', '\n'])).replace("\\\\", "\\");
            let _ = match change.tag() {
                ChangeTag::Equal => writeln!(text, " {line}"),
                ChangeTag::Delete => writeln!(text, "{}", paint.loss(format_args!("-{line}"))),
                ChangeTag::Insert => writeln!(text, "{}", paint.good(format_args!("+{line}"))),
            };
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_edit_adds_is_shown_with_what_stands_around_it_and_never_raw() {
        let old = "a\nb\nc\nd\ne\n";
        let new = "a\nb\nc\nd\nx = \"\\u202E\" \u{1b}[31m\ne\n";
        assert_eq!(
            unified(old, new, "x\u{202e}", Paint::Plain),
            "--- x\\u{202e}\n+++ x\\u{202e}\n@@ -2,4 +2,5 @@\n b\n c\n d\n+x = \"\\u202E\" \\u{1b}[31m\n e\n"
        );
        assert_eq!(unified(old, old, "x", Paint::Plain), "");
    }
}
