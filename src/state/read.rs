//! A ledger's bytes become a state, or are refused. Pure; any prefix of a ledger reads as what was true then.

use serde::Deserialize;

use super::line::{Line, read_line, read_newer_line, sound_crc};
use super::record::{FORMAT, Record, VERSION};
use super::sum::State;

/// What the bytes of a ledger say.
#[derive(Debug)]
pub struct Reading {
    /// What its records add up to.
    pub state: State,
    /// The lines that it holds.
    pub lines: Lines,
    /// How many bytes hold whole batches; what follows was never acknowledged.
    pub sound_len: u64,
    /// How many bytes follow them.
    pub tail_len: u64,
    /// How many whole lines of a batch without an end are among those.
    pub tail_lines: u64,
    /// The version of the format it was written in.
    pub version: u32,
}

/// Which lines a ledger holds: enough to say whether its history contains a given line.
#[derive(Debug, Clone, Default)]
pub struct Lines {
    first_seq: u64,
    crcs: Vec<u32>,
}

/// What a ledger says of a line that somebody saw earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contains {
    /// It holds that very line.
    Yes,
    /// It holds another line in its place.
    Other,
    /// It ends before that line.
    EndsBefore,
    /// It was compacted after that line.
    Compacted,
}

impl Lines {
    /// Whether the ledger's history contains the line `seq` with this checksum.
    pub fn contains(&self, seq: u64, crc: u32) -> Contains {
        let Some(position) = seq.checked_sub(self.first_seq) else { return Contains::Compacted };
        match usize::try_from(position).ok().and_then(|position| self.crcs.get(position)) {
            Some(found) if *found == crc => Contains::Yes,
            Some(_) => Contains::Other,
            None => Contains::EndsBefore,
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.crcs.len() as u64
    }

    /// `seq` of the first line.
    pub fn first_seq(&self) -> u64 {
        self.first_seq
    }

    /// The checksum of the last line.
    pub fn tail_crc(&self) -> u32 {
        self.crcs.last().copied().unwrap_or_default()
    }

    pub(super) fn push(&mut self, crc: u32) {
        self.crcs.push(crc);
    }
}

/// Why bytes are refused as a ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// There is nothing.
    #[error("it is empty")]
    Empty,
    /// It is something else.
    #[error("it is {0}, not a larksub state")]
    Foreign(&'static str),
    /// A line cannot be believed, and it is not the last one.
    #[error("line {line} (byte {offset}) {what}")]
    Damaged {
        /// From 1.
        line: u64,
        /// Where the line begins.
        offset: u64,
        /// What is wrong with it, as the end of a sentence.
        what: String,
    },
}

/// Reads the bytes of a ledger.
///
/// # Errors
/// It is no ledger, or damaged before its last batch.
pub fn read(bytes: &[u8]) -> Result<Reading, Unreadable> {
    if bytes.is_empty() {
        return Err(Unreadable::Empty);
    }
    let sound_len = sound_len(bytes);
    let (sound, tail) = bytes.split_at_checked(sound_len).unwrap_or((bytes, &[]));
    let mut begun = Begun::with(bytes)?;
    for text in sound.split_inclusive(|byte| *byte == b'\n') {
        begun.line(text.strip_suffix(b"\n").unwrap_or(text))?;
    }
    check_tail(tail, begun.lines.count(), sound_len as u64)?;
    let reading = begun.end().ok_or_else(|| {
        let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let what = match sound_crc(first) {
            Some(_) => "begins a batch whose end is missing: the file was cut off",
            None => why_unsound(first),
        };
        Unreadable::Damaged { line: 1, offset: 0, what: what.into() }
    })?;
    Ok(Reading { tail_len: tail.len() as u64, tail_lines: whole_lines(tail), ..reading })
}

/// Whether a text, the last part of a ledger, ends with the whole end of a batch: then nothing is left to look at
/// behind the last line.
pub(super) fn ends_whole(text: &[u8]) -> bool {
    let Some(lines) = text.strip_suffix(b"\n") else { return false };
    let last = lines.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    sound_crc(last).is_some() && !continues(last)
}

/// A ledger whose lines are added up one after the other.
#[derive(Debug)]
pub(super) struct Begun {
    version: u32,
    lines: Lines,
    state: Option<State>,
    offset: u64,
}

impl Begun {
    /// One that begins with these bytes, of which the first line says what the whole is; it is not added yet.
    pub(super) fn with(bytes: &[u8]) -> Result<Self, Unreadable> {
        let First { seq, version } = first(bytes)?;
        let lines = Lines { first_seq: seq, crcs: Vec::new() };
        Ok(Self { version, lines, state: None, offset: 0 })
    }

    /// Adds a line, its line break left out.
    pub(super) fn line(&mut self, text: &[u8]) -> Result<(), Unreadable> {
        let (number, offset) = (self.lines.count() + 1, self.offset);
        let damaged = |what: String| Unreadable::Damaged { line: number, offset, what };
        let crc = sound_crc(text).ok_or_else(|| damaged(why_unsound(text).into()))?;
        let read = if self.version > VERSION { read_newer_line(text) } else { read_line(text) };
        let Line { seq, records, more: _ } = read.map_err(|error| {
            damaged(format!("has a right checksum, and is not a line of this format: {error}"))
        })?;
        let expected = self.lines.first_seq.saturating_add(number - 1);
        if seq != expected {
            return Err(damaged(format!(
                "has seq {seq} where {expected} belongs: lines are missing or repeated"
            )));
        }
        for record in records {
            match (&mut self.state, record) {
                (None, Record::Init(init)) => self.state = Some(State::begin(init, seq)),
                (None, _) => return Err(damaged("does not begin with `init`".into())),
                (Some(state), record) => state
                    .fold(record)
                    .map_err(|error| damaged(format!("cannot follow the lines before it: {error}")))?,
            }
        }
        if let Some(state) = &mut self.state {
            state.serial = seq;
        }
        self.lines.push(crc);
        self.offset += text.len() as u64 + 1;
        Ok(())
    }

    /// What its lines say, nothing following them; none where there were none.
    pub(super) fn end(self) -> Option<Reading> {
        let Self { version, lines, state, offset } = self;
        state.map(|state| Reading { state, lines, sound_len: offset, tail_len: 0, tail_lines: 0, version })
    }
}

struct First {
    seq: u64,
    version: u32,
}

/// What the first line says of the whole file; a first line that says nothing makes the file foreign.
fn first(bytes: &[u8]) -> Result<First, Unreadable> {
    #[derive(Deserialize)]
    struct FirstLine {
        seq: u64,
        records: Vec<serde_json::Value>,
    }
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let parsed = serde_json::from_slice::<FirstLine>(first).ok();
    let init = parsed.as_ref().and_then(|line| line.records.first());
    let format = init.and_then(|init| init.get("format")).and_then(serde_json::Value::as_str);
    if format != Some(FORMAT) {
        return Err(foreign(bytes, first));
    }
    let version = init.and_then(|init| init.get("version")).and_then(serde_json::Value::as_u64);
    let version = version.and_then(|version| u32::try_from(version).ok()).filter(|version| *version > 0);
    match (parsed, version) {
        (Some(line), Some(version)) => Ok(First { seq: line.seq, version }),
        _ => Err(Unreadable::Damaged { line: 1, offset: 0, what: "names no version".into() }),
    }
}

fn foreign(bytes: &[u8], first: &[u8]) -> Unreadable {
    let has = |word: &str| bytes.windows(word.len()).take(64 * 1024).any(|window| window == word.as_bytes());
    if first.starts_with(b"{\"seq\":") {
        return Unreadable::Damaged { line: 1, offset: 0, what: why_unsound(first).into() };
    }
    Unreadable::Foreign(if has("\"terraform_version\"") {
        "a Terraform state"
    } else if has("\"larksub.plan\"") {
        "a saved plan"
    } else if has("[apps.") || has("approval_code =") {
        "a manifest"
    } else if bytes.iter().all(|byte| *byte == 0) {
        "nothing but NUL bytes"
    } else {
        "something else"
    })
}

/// How many bytes the whole batches take: up to the last sound line that ends a batch.
fn sound_len(bytes: &[u8]) -> usize {
    let mut end = bytes.len();
    while end > 0 {
        let until = bytes.get(..end).unwrap_or_default();
        let start = until.strip_suffix(b"\n").and_then(|text| text.iter().rposition(|byte| *byte == b'\n'));
        let start = match (until.last(), start) {
            (Some(b'\n'), position) => position.map_or(0, |position| position + 1),
            // What has no line break at its end is no line yet.
            _ => {
                end = until.iter().rposition(|byte| *byte == b'\n').map_or(0, |position| position + 1);
                continue;
            }
        };
        let line = until.get(start..end - 1).unwrap_or_default();
        if sound_crc(line).is_some() && !continues(line) {
            return end;
        }
        end = start;
    }
    0
}

fn whole_lines(tail: &[u8]) -> u64 {
    let ended = tail.split_inclusive(|byte| *byte == b'\n').filter_map(|text| text.strip_suffix(b"\n"));
    ended.filter(|line| sound_crc(line).is_some()).count() as u64
}

/// Whether a sound line says that its batch goes on: the key stands right before the checksum, and a quote
/// inside a string would be escaped.
fn continues(line: &[u8]) -> bool {
    let body_len = line.len().saturating_sub(r#","crc":"1a2b3c4d"}"#.len());
    line.get(..body_len).is_some_and(|body| body.ends_with(b"],\"more\":true"))
}

/// What follows the last whole batch must be what a crash leaves: lines of an unfinished batch, then at most one
/// that was cut off. A sound line after an unsound one means that a line in between was damaged later.
fn check_tail(tail: &[u8], lines_before: u64, tail_offset: u64) -> Result<(), Unreadable> {
    let mut offset = tail_offset;
    let mut unsound: Option<(u64, u64, &[u8])> = None;
    for (number, text) in (lines_before + 1..).zip(tail.split_inclusive(|byte| *byte == b'\n')) {
        let line = text.strip_suffix(b"\n").unwrap_or(text);
        let is_whole = text.len() > line.len() && sound_crc(line).is_some();
        if let (Some((line, offset, text)), true) = (unsound, is_whole) {
            return Err(Unreadable::Damaged { line, offset, what: why_unsound(text).into() });
        }
        if !is_whole && unsound.is_none() {
            unsound = Some((number, offset, line));
        }
        if !is_whole && holds_sound_line(line, text.len() > line.len()) {
            let is_of_another_system = line.ends_with(b"}\r");
            let what =
                if is_of_another_system { why_unsound(line) } else { "holds whole lines run together" };
            let what = what.into();
            return Err(Unreadable::Damaged { line: number, offset, what });
        }
        offset += text.len() as u64;
    }
    Ok(())
}

/// Whether an unsound line hides a sound one: a line break was lost, so what stands here was once acknowledged.
fn holds_sound_line(line: &[u8], is_ended: bool) -> bool {
    const BEGIN: &[u8] = b"{\"seq\":";
    const CRC: &[u8] = b",\"crc\":\"";
    // A file that was made longer before its bytes were written ends in NULs.
    let len = line.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let starts = positions(line, BEGIN);
    let ends: Vec<usize> = positions(line, CRC).into_iter().map(|at| at + CRC.len() + 10).collect();
    starts.iter().any(|start| {
        let behind = ends.partition_point(|end| end <= start);
        ends.iter().skip(behind).take(2).any(|end| {
            let whole = *start == 0 && *end == len && !is_ended;
            !whole && line.get(*start..*end).is_some_and(|piece| sound_crc(piece).is_some())
        })
    })
}

fn positions(text: &[u8], word: &[u8]) -> Vec<usize> {
    text.windows(word.len()).enumerate().filter(|(_, window)| *window == word).map(|(at, _)| at).collect()
}

fn why_unsound(line: &[u8]) -> &'static str {
    if line.ends_with(b"}\r") {
        "ends in CRLF: its line ends were changed; restore it, and set `-text` for it in .gitattributes"
    } else if line.is_empty() {
        "is empty"
    } else if line.iter().all(|byte| *byte == 0) {
        "is nothing but NUL bytes"
    } else if !line.starts_with(b"{\"seq\":") {
        "is not a line of the ledger"
    } else {
        "does not match its own checksum: it was changed or cut after it was written"
    }
}
