//! The text of a page. Markup is what this program's source holds, letter by letter; whatever else is in a page came
//! through one of the ways below, and each of them escapes.

use std::fmt::Write as _;

use crate::render::grouped;
use crate::text::{cut, is_blank, is_ci_command, is_unseen, shown};

/// How long a name or an owner may be on a page, in columns.
pub const NAME: usize = 120;
/// How long a reason or a message of the platform may be.
pub const SENTENCE: usize = 400;

/// A page that is being written.
#[derive(Debug)]
pub struct Page(String);

impl Page {
    /// Nothing yet.
    pub fn new() -> Self {
        Self(String::new())
    }

    /// The page.
    pub fn into_text(self) -> String {
        self.0
    }

    /// Markup, or a word of this program's. Nothing that was read or computed is `'static`.
    pub fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// A foreign text: escaped, cut to `most` columns, and kept from turning its neighbours round.
    pub fn foreign(&mut self, text: &str, most: usize) -> &mut Self {
        // What is escaped only grows, so no more of the text can be seen.
        let head: String = text.chars().take(most.saturating_add(1)).collect();
        let escaped = shown(&head);
        let fitting: String = cut(&escaped, most).chars().take(most).collect();
        self.raw("<bdi>").plain(&fitting);
        if fitting.len() < escaped.len() && !fitting.ends_with('…') {
            self.raw("…");
        }
        self.raw("</bdi>")
    }

    /// A foreign text, or a word that stands out where there is nothing to see.
    pub fn foreign_or_none(&mut self, text: Option<&str>, most: usize) -> &mut Self {
        match text.filter(|text| !is_blank(text)) {
            Some(text) => self.foreign(text, most),
            None => self.raw("<b class=\"none\">none</b>"),
        }
    }

    /// A sentence of this program's, whose foreign parts are escaped already; what is between backticks is code. It
    /// may come from a saved plan that somebody else wrote.
    pub fn own(&mut self, text: &str) -> &mut Self {
        const LONGEST: usize = 2_000;
        let head: String = text.chars().take(LONGEST).collect();
        self.raw("<bdi>");
        for (position, part) in head.split('`').enumerate() {
            match position % 2 {
                1 => self.raw("<code>").plain(part).raw("</code>"),
                _ => self.plain(part),
            };
        }
        self.raw("</bdi>")
    }

    /// A sentence of this program's without markup, a validated identifier, a date. Escaped all the same.
    pub fn plain(&mut self, text: &str) -> &mut Self {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' => self.0.push(' '),
                c if is_unseen(c) || is_ci_command(rest) => {
                    // Writing to a String cannot fail.
                    let _ = write!(self.0, "\\u{{{:x}}}", u32::from(c));
                }
                c => self.0.push(c),
            }
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
        self
    }

    /// Several lines of a text that is escaped already, as they stand.
    pub fn lines(&mut self, text: &str) -> &mut Self {
        for line in text.lines() {
            // A log that shows the page's source must not take a line of it for a command.
            let indent = if line.trim_start().starts_with("::") { "\\" } else { "" };
            self.raw(indent).plain(line).raw("\n");
        }
        self
    }

    /// A number with its groups.
    pub fn number(&mut self, number: u64) -> &mut Self {
        let text = grouped(number);
        self.plain(&text)
    }

    /// A place in a drawing, with one decimal at most.
    pub fn place(&mut self, place: f64) -> &mut Self {
        let text = format!("{place:.1}");
        self.plain(text.strip_suffix(".0").unwrap_or(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_markup() {
        for (given, expected) in [
            ("<b>&amp;\"'", "<bdi>&lt;b&gt;&amp;amp;&quot;&#39;</bdi>"),
            ("请假\u{202e}x", "<bdi>请假\\u{202e}x</bdi>"),
            ("a\nb", "<bdi>a\\nb</bdi>"),
            ("1234567890", "<bdi>1234567…</bdi>"),
        ] {
            let mut page = Page::new();
            page.foreign(given, if given.starts_with("12") { 8 } else { NAME });
            assert_eq!(page.into_text(), expected);
        }
        let mut page = Page::new();
        page.own("set `max <drops>` \u{202e}").place(3.0).place(1.25).number(12_345);
        assert_eq!(page.into_text(), "<bdi>set <code>max &lt;drops&gt;</code> \\u{202e}</bdi>31.212,345");
    }
}
