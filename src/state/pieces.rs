//! The bytes of a ledger, damaged or not, cut into sound lines and what lies between them. Pure.

use super::line::{Line, read_line, sound_crc};

/// A stretch of the file: a line whose checksum is right, or bytes that are none.
pub(super) struct Piece<'a> {
    /// Where it begins.
    pub offset: usize,
    /// How long it is, without a line break.
    pub len: usize,
    /// Whether a line break follows.
    pub is_ended: bool,
    /// The line.
    pub line: Option<Line<'a>>,
    /// Its checksum, where it is one.
    pub crc: u32,
}

/// The bytes cut into sound lines, wherever they begin, and what lies between them.
pub(super) fn pieces(bytes: &[u8]) -> Vec<Piece<'_>> {
    const BEGIN: &[u8] = b"{\"seq\":";
    let mut pieces = Vec::new();
    let mut offset = 0;
    for text in bytes.split_inclusive(|byte| *byte == b'\n') {
        let line = text.strip_suffix(b"\n").unwrap_or(text);
        let is_ended = text.len() > line.len();
        // The line ends of another system are not ours, and nothing is lost by them.
        let (line, is_ended) = line.strip_suffix(b"\r").map_or((line, is_ended), |line| (line, false));
        match sound(line) {
            Some((read, crc)) => {
                pieces.push(Piece { offset, len: line.len(), is_ended, line: Some(read), crc });
            }
            None => {
                let starts: Vec<usize> = line
                    .windows(BEGIN.len())
                    .enumerate()
                    .filter(|(_, window)| *window == BEGIN)
                    .map(|(at, _)| at)
                    .chain([line.len()])
                    .collect();
                let before = starts.first().copied().unwrap_or(0);
                let stretches =
                    std::iter::once((0, before)).chain(starts.windows(2).filter_map(|pair| match pair {
                        [from, to] => Some((*from, *to)),
                        _ => None,
                    }));
                for (from, to) in stretches.filter(|(from, to)| from < to) {
                    let stretch = line.get(from..to).unwrap_or_default();
                    pieces.extend(cut_stretch(stretch, offset + from));
                }
            }
        }
        offset += text.len();
    }
    pieces
}

/// A stretch that begins like a line: perhaps a sound one with something behind it.
fn cut_stretch(stretch: &[u8], offset: usize) -> Vec<Piece<'_>> {
    const END: &[u8] = b",\"crc\":\"";
    let ends = stretch.windows(END.len()).enumerate().filter(|(_, window)| *window == END);
    for end in ends.map(|(at, _)| at + END.len() + 10) {
        let Some((line, rest)) = stretch.split_at_checked(end) else { continue };
        if let Some((read, crc)) = sound(line) {
            let mut pieces = vec![Piece { offset, len: line.len(), is_ended: false, line: Some(read), crc }];
            if !rest.is_empty() {
                pieces.push(Piece {
                    offset: offset + end,
                    len: rest.len(),
                    is_ended: false,
                    line: None,
                    crc: 0,
                });
            }
            return pieces;
        }
    }
    vec![Piece { offset, len: stretch.len(), is_ended: false, line: None, crc: 0 }]
}

fn sound(line: &[u8]) -> Option<(Line<'_>, u32)> {
    let crc = sound_crc(line)?;
    Some((read_line(line).ok()?, crc))
}
