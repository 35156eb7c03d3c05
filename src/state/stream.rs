//! A ledger without a problem, read from its file line by line: what it costs is what it adds up to, not its history.
//!
//! Anything else, an unfinished tail included, is left to [`super::read`], which sees the whole and says what is wrong.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};

use super::read::{Begun, Reading, ends_whole};

/// As much as the file is read by; a smaller one is as well read as a whole.
const SIZE: u64 = 256 * 1024;

/// As much of its end as is looked at first: a run's last line is short.
const END: u64 = 16 * 1024;

/// What a ledger says whose every line is whole and sound; none where one is not, or cannot be read.
pub(super) fn read(file: &mut File) -> Option<Reading> {
    // What another process appends from now on is not looked at.
    let len = file.metadata().ok()?.len();
    if len <= SIZE {
        return None;
    }
    let mut end = Vec::new();
    file.seek(SeekFrom::Start(len - END)).ok()?;
    file.take(END).read_to_end(&mut end).ok()?;
    if !ends_whole(&end) {
        return None;
    }
    file.rewind().ok()?;
    let mut rest = BufReader::with_capacity(SIZE as usize, file.take(len));
    let mut text = Vec::new();
    rest.read_until(b'\n', &mut text).ok()?;
    let mut begun = Begun::with(&text).ok()?;
    while let Some(line) = text.strip_suffix(b"\n") {
        begun.line(line).ok()?;
        text.clear();
        rest.read_until(b'\n', &mut text).ok()?;
    }
    begun.end().filter(|reading| text.is_empty() && reading.sound_len == len)
}
