//! Outcomes that are true and could not be recorded, as lines of a log that `state repair` reads back. Pure.

use uuid::Uuid;

use super::line::{read_line, sound_crc, write_line};
use super::record::Record;

/// What every recovery line begins with, wherever on a log's line it stands.
pub const PREFIX: &str = "larksub-recovery: ";

/// One recovery line for the records of a ledger, without a line break.
///
/// # Errors
/// Never for the records of this project; serde_json's signature.
pub fn line(lineage: Uuid, records: &[Record<'_>]) -> serde_json::Result<String> {
    let body = write_line(0, records, false)?;
    Ok(format!("{PREFIX}{lineage} {}", body.trim_end()))
}

/// The recovery lines of a log.
#[derive(Debug)]
pub struct Found {
    /// The records of this ledger, in order.
    pub records: Vec<Record<'static>>,
    /// How many lines are of another ledger.
    pub foreign: u64,
}

/// Finds the recovery lines of a ledger in a log; whatever else the log holds is passed over, and so is a line
/// that was changed.
pub fn find(log: &[u8], lineage: Uuid) -> Found {
    let mut found = Found { records: Vec::new(), foreign: 0 };
    for line in String::from_utf8_lossy(log).lines() {
        let Some((_, rest)) = line.split_once(PREFIX) else { continue };
        let Some((whose, body)) = rest.trim().split_once(' ') else { continue };
        if whose != lineage.to_string() {
            found.foreign += 1;
            continue;
        }
        let sound = sound_crc(body.as_bytes()).and_then(|_| read_line(body.as_bytes()).ok());
        found.records.extend(sound.into_iter().flat_map(|line| line.records).map(Record::into_owned));
    }
    found
}
