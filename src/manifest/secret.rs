//! Secrets that stand where none may: found by the names of their keys, so that no drawing shows their values.

use std::ops::Range;

use super::place::name;
use super::{Problem, Span};

/// Whether a key is named like one that holds a secret.
pub fn is_secret(key: &str) -> bool {
    if key.len() > 128 {
        return false;
    }
    let key = key.to_ascii_lowercase().replace(['-', ' '], "_");
    ["secret", "token", "password", "passwd", "credential", "private_key", "api_key", "apikey", "encrypt_key"]
        .iter()
        .chain(["app_ticket", "appticket"].iter())
        .any(|word| key.contains(word))
}

/// The problem of such a key, which must be the only thing of it that is underlined.
pub(super) fn problem(key: &str, label: Option<&str>, place: Span) -> Problem {
    let problem = Problem::error(format!(
        "`{}` looks like a secret, and no secret ever stands in a manifest",
        name(key)
    ))
    .at(place, "remove it");
    let problem = match variable(key, label) {
        Some(variable) => problem.help(format!(
            "give it as the environment variable `{variable}`, or in a file that `{variable}_FILE` names"
        )),
        None => problem.help("larksub has no use for it"),
    };
    problem
        .help("if it was a real one, it has been in a file that is shared: renew it in the developer console")
}

/// The environment variable that takes what such a key holds, if `larksub` needs it at all. A label that is
/// none stands as `<LABEL>`.
fn variable(key: &str, label: Option<&str>) -> Option<String> {
    let key = key.to_ascii_lowercase().replace('-', "_");
    let what = if key.contains("ticket") {
        "APP_TICKET"
    } else if key.contains("tenant") || matches!(key.as_str(), "token" | "access_token") {
        "TENANT_ACCESS_TOKEN"
    } else if key.contains("secret") {
        "APP_SECRET"
    } else {
        return None;
    };
    let label = label.map_or("<LABEL>".to_string(), |label| label.to_ascii_uppercase().replace('-', "_"));
    Some(format!("LARKSUB_{what}_{label}"))
}

/// The values that follow a key named like a secret, wherever in a text and however broken the text is:
/// `app_secret = …`, `"token": …`, also within a comment.
pub fn values(text: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let word = at + text.get(at..).unwrap_or_default().iter().take_while(|byte| is_word(**byte)).count();
        if word == at {
            at += 1;
            continue;
        }
        let key = text.get(at..word).map(|key| str::from_utf8(key).unwrap_or_default()).unwrap_or_default();
        at = word;
        if !is_secret(key) {
            continue;
        }
        // A dotted key (`app_secret.value = `) holds it as well. The bound keeps a line of many words linear.
        let near = text.get(..text.len().min(word + 128)).unwrap_or_default();
        let end =
            skip(near, word, |byte| is_word(byte) || matches!(byte, b'"' | b'\'' | b' ' | b'\t' | b'.'));
        if !matches!(near.get(end), Some(b'=' | b':')) {
            continue;
        }
        let start = skip(text, end + 1, |byte| matches!(byte, b' ' | b'\t'));
        at = value_end(text, start).max(word);
        found.push(start..at);
    }
    found
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn skip(text: &[u8], at: usize, is_skipped: fn(u8) -> bool) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    at.min(text.len()) + rest.iter().take_while(|byte| is_skipped(**byte)).count()
}

/// The end of a value, or of all that could be one: hiding too much is the smaller mistake.
fn value_end(text: &[u8], start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    for quotes in [b"\"\"\"", b"'''"] {
        if let Some(inner) = rest.strip_prefix(quotes) {
            let length = inner.windows(3).position(|window| window == quotes);
            return length.map_or(text.len(), |length| start + length + 6);
        }
    }
    match rest.first() {
        Some(quote @ (b'"' | b'\'')) => {
            let mut escaped = false;
            let length = rest.iter().skip(1).position(|byte| {
                let is_end = *byte == b'\n' || byte == quote && !escaped;
                escaped = *quote == b'"' && *byte == b'\\' && !escaped;
                is_end
            });
            let end = start + length.map_or(rest.len(), |length| length + 1);
            if text.get(end) == Some(quote) { end + 1 } else { end }
        }
        Some(b'[' | b'{') => {
            let mut depth = 0_usize;
            let closing = rest.iter().position(|byte| {
                match byte {
                    b'[' | b'{' => depth += 1,
                    b']' | b'}' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                depth == 0
            });
            // A bracket within a string may have ended it early; the line's rest is hidden too.
            start + closing.map_or(rest.len(), |length| length + 1).max(line_length(rest))
        }
        _ => start + line_length(rest),
    }
}

fn line_length(rest: &[u8]) -> usize {
    rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_however_it_is_written() {
        for (text, hidden) in [
            ("app_secret = \"s3\" # x", "\"s3\""),
            ("app_secret = \"s3\\\"s\", b = 1", "\"s3\\\"s\""),
            ("\"app-secret\" : 's3'", "'s3'"),
            ("{ token = s3 s4", "s3 s4"),
            ("app_secret = \"s3\nname = 1", "\"s3"),
            ("app_secret = \"\"\"\ns3\n\"\"\"\nx", "\"\"\"\ns3\n\"\"\""),
            ("app_secret = '''\ns3", "'''\ns3"),
            ("secrets = [\n\"s3\",\n\"s4\"\n]\nx = 1", "[\n\"s3\",\n\"s4\"\n]"),
            ("app_secret.value = \"s3\"", "\"s3\""),
            ("# old app_secret: s3", "s3"),
        ] {
            let found: Vec<&str> = values(text.as_bytes()).into_iter().map(|range| &text[range]).collect();
            assert_eq!(found, [hidden], "{text}");
        }
        assert!(values(b"approval_code = \"secret\"\nname = 'my token'\n").is_empty());
    }
}
