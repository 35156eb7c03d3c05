//! Outcomes that are true and that a shared ledger could not take, as a file that `state push` reads. Pure.
//!
//! Its first line says which ledger they belong to; each further one is a line of the ledger's own form.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::line::{read_line, sound_crc, write_line};
use super::record::Record;

/// The file's name, beside the manifest.
pub const NAME: &str = "larksub.state.unsent.jsonl";

const FORMAT: &str = "larksub.state.unsent";
const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    format: String,
    version: u32,
    /// Where they belong; it never holds a secret.
    state: String,
    lineage: Uuid,
}

/// What such a file holds.
#[derive(Debug)]
pub struct Unsent {
    /// The ledger that they belong to.
    pub lineage: Uuid,
    /// The records, in order.
    pub records: Vec<Record<'static>>,
    /// How many lines cannot be believed.
    pub unsound: u64,
}

/// The file's text.
///
/// # Errors
/// Never for the records of this project; serde_json's signature.
pub fn write(state: &str, lineage: Uuid, records: &[Record<'_>]) -> serde_json::Result<String> {
    let head = Head { format: FORMAT.into(), version: VERSION, state: state.into(), lineage };
    let mut text = serde_json::to_string(&head)?;
    text.push('\n');
    for (seq, record) in (1..).zip(records) {
        text.push_str(&write_line(seq, std::slice::from_ref(record), false)?);
    }
    Ok(text)
}

/// Reads such a file; none where it is something else.
pub fn read(bytes: &[u8]) -> Option<Unsent> {
    let mut lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let head: Head = serde_json::from_slice(lines.next()?).ok()?;
    if head.format != FORMAT || head.version != VERSION {
        return None;
    }
    let mut unsent = Unsent { lineage: head.lineage, records: Vec::new(), unsound: 0 };
    for line in lines {
        match sound_crc(line).and_then(|_| read_line(line).ok()) {
            Some(line) => unsent.records.extend(line.records.into_iter().map(Record::into_owned)),
            None => unsent.unsound += 1,
        }
    }
    Some(unsent)
}
