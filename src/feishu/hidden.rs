//! Secrets taken out of foreign text: an error page may quote the request that it is about, encoded or not.

use secrecy::{ExposeSecret as _, SecretString};

/// A rehearsal's secret of a letter or two would take every such letter out of a message.
const MIN_HIDDEN: usize = 6;

/// What a text is replaced by that holds a secret in another form: a part of it could be read back.
const LEFT_OUT: &str = "*** (left out: it quotes a credential)";

/// The text with every occurrence of a secret replaced.
pub(super) fn hide(text: &str, secrets: &[&SecretString]) -> String {
    let mut text = text.to_owned();
    let secrets = secrets.iter().map(|secret| secret.expose_secret());
    for secret in secrets.filter(|secret| secret.len() >= MIN_HIDDEN) {
        text = text.replace(secret, "***");
        if holds_encoded(&text, secret) {
            return LEFT_OUT.into();
        }
    }
    text
}

fn holds_encoded(text: &str, secret: &str) -> bool {
    let plain = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
    (text.contains('%') && plain(&percent_decoded(text)))
        || (text.contains('\\') && plain(unescaped(text).as_bytes()))
        || in_base64(secret).iter().any(|form| text.contains(form))
}

/// `%2F` as the byte it stands for; all else as it is.
fn percent_decoded(text: &str) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    while let Some((first, rest)) = bytes.split_first() {
        let byte = match (first, digit(rest.first()), digit(rest.get(1))) {
            (b'%', Some(high), Some(low)) => u8::try_from(high * 16 + low).ok(),
            _ => None,
        };
        out.push(byte.unwrap_or(*first));
        bytes = rest.get(if byte.is_some() { 2 } else { 0 }..).unwrap_or_default();
    }
    out
}

/// `\"`, `\\` and `\/` as the characters they stand for, also where they are escaped twice.
fn unescaped(text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..2 {
        text = text.replace("\\\"", "\"").replace("\\/", "/").replace("\\\\", "\\");
    }
    text
}

/// The characters of a secret that are the same in any base64 that it is part of: one form for each place in a
/// group of three bytes at which it can begin, in both alphabets.
fn in_base64(secret: &str) -> Vec<String> {
    let forms = (0..3).map(|before| {
        let bits: Vec<bool> = std::iter::repeat_n(0, before)
            .chain(secret.bytes())
            .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1))
            .collect();
        // A digit that the bytes before or behind have a part in could be any.
        let digits = bits.chunks_exact(6).skip((before * 8usize).div_ceil(6));
        digits
            .map(|bits| base64_digit(bits.iter().fold(0, |digit, bit| digit << 1 | u8::from(*bit))))
            .collect()
    });
    let forms: Vec<String> = forms.collect();
    let for_urls = forms.iter().map(|form| form.replace('+', "-").replace('/', "_"));
    for_urls.chain(forms.iter().cloned()).collect()
}

fn base64_digit(value: u8) -> char {
    char::from(match value {
        0..26 => b'A' + value,
        26..52 => b'a' + (value - 26),
        52..62 => b'0' + (value - 52),
        62 => b'+',
        _ => b'/',
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_taken_out_in_whatever_form_it_is_quoted() {
        let secret: SecretString = "s3cret/\"x\"+1=".to_owned().into();
        for (text, expected) in [
            ("no secret, 100 % sure", "no secret, 100 % sure"),
            ("<s3cret/\"x\"+1=>", "<***>"),
            ("<s3cret%2F%22x%22%2B1%3D>", LEFT_OUT),
            ("<s3cret/%22x%22%2b1=>", LEFT_OUT),
            (r#"{"app_secret":"s3cret/\"x\"+1="}"#, LEFT_OUT),
            (r#"{\"app_secret\":\"s3cret\/\\\"x\\\"+1=\"}"#, LEFT_OUT),
            ("czNjcmV0LyJ4IisxPQ==", LEFT_OUT),
            ("OnMzY3JldC8ieCIrMT0=", LEFT_OUT),
            ("YTpzM2NyZXQvIngiKzE9", LEFT_OUT),
        ] {
            assert_eq!(hide(text, &[&secret]), expected, "{text}");
        }
        let short: SecretString = "a".to_owned().into();
        assert_eq!(hide("a word", &[&short]), "a word");
    }
}
