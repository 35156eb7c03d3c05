//! What differs from run to run, replaced by what it is.

/// The text with times, ids, digests, processes and machines replaced.
pub fn normal(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        let begins = !before.is_ascii_alphanumeric();
        if let Some((len, word)) = begins.then(|| known(rest)).flatten() {
            out.push_str(word);
            before = ']';
            rest = &rest[len..];
            continue;
        }
        out.push(c);
        before = c;
        rest = &rest[c.len_utf8()..];
    }
    out
}

/// The length of what begins here and differs from run to run, and its replacement.
fn known(text: &str) -> Option<(usize, &'static str)> {
    const HEX16: &str = "xxxxxxxxxxxxxxxx";
    let hex64 = HEX16.repeat(4);
    if let Some(rest) = text.strip_prefix("sha256:")
        && like(rest, &hex64)
    {
        return Some((7 + 64, "[DIGEST]"));
    }
    // Approval codes look the same in capitals, and are left as they are.
    if like(text, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx") {
        return Some((36, "[UUID]"));
    }
    if let Some(port) = text.strip_prefix("http://127.0.0.1:") {
        return Some((17 + port.chars().take_while(char::is_ascii_digit).count(), "[URL]"));
    }
    if like(text, "dddd-dd-ddTdd:dd:dd") {
        return text.find('Z').map(|at| (at + 1, "[AT]"));
    }
    if like(text, "dddd-dd-dd dd:dd UTC") {
        return Some((20, "[TIME]"));
    }
    if like(text, "dddd-dd-dd") {
        return Some((10, "[DATE]"));
    }
    // The sandbox's log ids.
    if text.get(..32).is_some_and(|id| like(&id.to_ascii_lowercase(), &HEX16.repeat(2))) {
        return Some((32, "[LOG ID]"));
    }
    if let Some(rest) = text.strip_prefix("uid ") {
        let digits = rest.chars().take_while(char::is_ascii_digit).count();
        let host = rest[digits..].strip_prefix('@')?.find([' ', '\n'])?;
        return Some((4 + digits + 1 + host, "[SOMEBODY]"));
    }
    if let Some(rest) = text.strip_prefix("process ") {
        let digits = rest.chars().take_while(char::is_ascii_digit).count();
        return (digits > 0).then_some((8 + digits, "process [PID]"));
    }
    None
}

/// Whether the text begins as the pattern does: `d` is a digit, `x` a small hexadecimal one, all else itself.
fn like(text: &str, pattern: &str) -> bool {
    text.len() >= pattern.len()
        && text.bytes().zip(pattern.bytes()).all(|(byte, pattern)| match pattern {
            b'd' => byte.is_ascii_digit(),
            b'x' => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            pattern => byte == pattern,
        })
}
