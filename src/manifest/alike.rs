//! Letters of other scripts that look like Latin ones: two teams that a reviewer cannot tell apart.

/// The letters of other scripts that most fonts draw as these Latin ones.
const ALIKE: [(char, &str); 26] = [
    ('a', "аα"),
    ('b', "Ьь"),
    ('c', "сϲ"),
    ('d', "ԁ"),
    ('e', "еҽ"),
    ('g', "ɡ"),
    ('h', "һ"),
    ('i', "іι"),
    ('j', "јϳ"),
    ('k', "кκ"),
    ('l', "ӏ"),
    ('m', "м"),
    ('n', "ո"),
    ('o', "оοօ"),
    ('p', "рρ"),
    ('q', "ԛ"),
    ('r', "г"),
    ('s', "ѕ"),
    ('t', "тτ"),
    ('u', "υս"),
    ('v', "ѵν"),
    ('w', "ԝω"),
    ('x', "хχ"),
    ('y', "уγ"),
    ('z', "ᴢ"),
    ('f', "ғ"),
];

/// What a text looks like: look-alikes as the Latin letters, fullwidth forms narrow, in small letters.
fn skeleton(text: &str) -> String {
    let plain = |c: char| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        c => c,
    };
    let latin = |c: char| ALIKE.iter().find(|(_, others)| others.contains(c)).map_or(c, |(latin, _)| *latin);
    text.chars().flat_map(|c| plain(c).to_lowercase()).map(latin).collect()
}

/// Where two texts that look the same differ in a letter: that of the first, and that of the second; none where they look
/// different, or are one text but for capitals.
pub(super) fn twin(text: &str, other: &str) -> Option<(char, char)> {
    if skeleton(text) != skeleton(other) {
        return None;
    }
    let pairs = text.chars().zip(other.chars());
    pairs
        .filter(|(a, b)| !a.to_lowercase().eq(b.to_lowercase()))
        .find(|(a, b)| !(a.is_ascii() && b.is_ascii()))
}

/// A letter with its number, since to look at it does not help.
pub(super) fn letter(c: char) -> String {
    format!("`{c}` (U+{:04X})", u32::from(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_alikes_are_told_apart_and_nothing_else_is_one() {
        assert_eq!(twin("team-a", "te\u{430}m-a"), Some(('a', '\u{430}')));
        assert_eq!(twin("TEAM", "T\u{415}AM"), Some(('E', '\u{415}')));
        assert_eq!(twin("team", "\u{ff54}eam"), Some(('t', '\u{ff54}')));
        for (text, other) in
            [("team-a", "team-b"), ("team", "Team"), ("团队", "团伙"), ("команда", "команды")]
        {
            assert_eq!(twin(text, other), None, "{text} {other}");
        }
    }
}
