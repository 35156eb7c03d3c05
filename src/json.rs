//! JSON as this project writes it: what it means is untouched, and nothing in it is unseen.
//!
//! A plan or a ledger line is looked at in a terminal, a diff or a CI log. Characters that would be unseen or
//! would speak to a CI system are written as `\uXXXX`, which every reader of JSON understands.

use std::io;

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

use crate::text::{is_ci_command, is_unseen};

/// A value on one line, without a line break at its end.
pub fn line<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<String> {
    write(value, Seen(CompactFormatter))
}

/// A value indented by two spaces, without a line break at its end.
pub fn pretty<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<String> {
    write(value, Seen(PrettyFormatter::new()))
}

fn write<T: Serialize + ?Sized, F: Formatter>(value: &T, formatter: F) -> serde_json::Result<String> {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, formatter))?;
    String::from_utf8(bytes).map_err(serde::ser::Error::custom)
}

struct Seen<F>(F);

macro_rules! forward {
    ($($name:ident($($arg:ident: $type:ty),*);)*) => {$(
        fn $name<W: ?Sized + io::Write>(&mut self, writer: &mut W $(, $arg: $type)*) -> io::Result<()> {
            self.0.$name(writer $(, $arg)*)
        }
    )*};
}

impl<F: Formatter> Formatter for Seen<F> {
    forward! {
        begin_array(); end_array(); begin_array_value(first: bool); end_array_value();
        begin_object(); end_object(); begin_object_key(first: bool); end_object_key();
        begin_object_value(); end_object_value();
    }

    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, text: &str) -> io::Result<()> {
        if text.is_ascii() && !text.contains(['\u{7f}', '#']) {
            return writer.write_all(text.as_bytes());
        }
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if is_unseen(c) || is_ci_command(rest) {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            } else {
                writer.write_all(c.encode_utf8(&mut [0; 4]).as_bytes())?;
            }
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_means_the_same_and_shows_nothing_unseen() {
        for text in
            ["plain", "请假 #1", "a\u{202e}b\u{9b}c", "##[error]x", "##vso[x]", "\u{e0001}\"\\\n", "\u{7f}"]
        {
            let json = line(&[text]).unwrap();
            assert_eq!(serde_json::from_str::<[String; 1]>(&json).unwrap(), [text]);
            assert!(!json.contains("##") && !json.chars().any(is_unseen), "{json}");
        }
        assert_eq!(pretty(&[1]).unwrap(), "[\n  1\n]");
    }
}
