//! The forms in which a text may come back from something that encodes what it echoes.

/// Standard base64, padded.
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let index = (word >> (18 - 6 * digit)) & 63;
            out.push(if digit <= chunk.len() { DIGITS[index as usize].into() } else { '=' });
        }
    }
    out
}

/// Percent-encoding of all that is not unreserved.
pub fn percent(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// A text as it stands inside a JSON string.
pub fn json(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap();
    quoted[1..quoted.len() - 1].to_owned()
}

/// Every form in which a secret could be found: raw, percent-encoded, escaped, and in base64 wherever in the
/// encoded text it begins.
pub fn forms(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned(), percent(secret), percent(secret).to_lowercase(), json(secret)];
    for before in 0..3 {
        let encoded = base64(&[&vec![b' '; before][..], secret.as_bytes()].concat());
        let whole = (before + secret.len()) * 8 / 6;
        let core = encoded[(before * 8).div_ceil(6)..whole].to_owned();
        forms.push(core.replace('+', "-").replace('/', "_"));
        forms.push(core);
    }
    forms
}
