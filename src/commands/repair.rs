//! `larksub state repair`: what a damaged ledger can prove, and what another copy or a log of a failed run adds.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::{Context, LOCK_WAIT, env};
use crate::error::{Exit, Failure};
use crate::render::count;
use crate::state::ledger::{Locking, lock};
use crate::state::line::{write_line, write_lines};
use crate::state::reach::read_at;
use crate::state::read::read;
use crate::state::salvage::{self, Lost};
use crate::state::{LedgerError, Reading, Record, Unreadable, disk, recovery};
use crate::text::shown;

/// Runs the command.
///
/// # Errors
/// The state cannot be locked or written, or nothing in it can be believed; it is unchanged then.
pub fn run(context: &Context, merge: Option<&Path>, recovery: Option<&Path>) -> Result<Exit, Failure> {
    match (merge, recovery) {
        (Some(other), _) => merge_copy(context, other),
        (None, Some(log)) => recover(context, log),
        (None, None) => repair(context),
    }
}

/// Keeps what can be proved of a damaged ledger.
fn repair(context: &Context) -> Result<Exit, Failure> {
    if context.workspace.state.address().is_some() {
        return repair_shared(context);
    }
    let state = context.workspace.state.as_path();
    let path = std::fs::canonicalize(state).map_err(|error| missing(state, error))?;
    let _locked = lock(&path, Locking { wait: LOCK_WAIT, trusts_network: context.trusts_network })?;
    let bytes = std::fs::read(&path).map_err(|source| LedgerError::Read { path: path.clone(), source })?;
    match read(&bytes) {
        Ok(reading) if reading.tail_len == 0 => {
            return context.print("Nothing to repair: every line can be believed.\n").map(|()| Exit::Done);
        }
        Ok(_) => {
            drop(_locked);
            // Opening it for writing moves the unfinished tail away.
            context.ledger(LOCK_WAIT)?;
            return context.print("Repaired: every whole line can be believed.\n").map(|()| Exit::Done);
        }
        Err(Unreadable::Damaged { .. }) => {}
        Err(source) => return Err(LedgerError::Unreadable { path, source }.into()),
    }
    let unix = without_carriage_returns(&bytes);
    if read(&unix).is_ok() {
        let kept = replace(&path, &unix, "damaged")?;
        let kept = shown(&kept.display().to_string()).into_owned();
        return context
            .print(&format!("Repaired: its line ends were CRLF, and every line is as it was written.\nThe changed ledger is {kept}; `larksub.state.jsonl -text` in .gitattributes keeps git from it.\n"))
            .map(|()| Exit::Done);
    }
    let Some(salvage) = salvage::salvage(&bytes) else {
        return Err(Failure::new(Exit::Error, "nothing in this state can be believed: its first line is damaged")
            .hint("restore it from its backup or version control; without its first line nothing says which ledger it is"));
    };
    let mut content = bytes.get(..salvage.sound_len).unwrap_or_default().to_vec();
    let lines = appended(salvage.serial, &salvage.regained, salvage.ends_open)?;
    content.extend(lines.as_bytes());
    // What is written must read, or the ledger stays as it is.
    read(&content).map_err(|error| {
        Failure::new(Exit::Error, "what can be believed does not make a ledger; nothing was changed")
            .because(error.to_string())
    })?;
    let kept = replace(&path, &content, "damaged")?;
    let mut said = format!(
        "Repaired: the first {} kept, {} written anew.\nThe damaged ledger is {}.\n",
        count(lines_in(&bytes, salvage.sound_len), "line", "lines"),
        count(salvage.regained.len() as u64, "record", "records"),
        shown(&kept.display().to_string())
    );
    said.push_str(&lost(&salvage.lost, &salvage.missing));
    said.push_str(&unproven(&salvage.unproven));
    context.print(&said).map(|()| Exit::Done)
}

/// Adds what another copy of the same ledger knows.
fn merge_copy(context: &Context, other: &Path) -> Result<Exit, Failure> {
    let (mut ledger, reading) = context.ledger(LOCK_WAIT)?;
    let bytes = std::fs::read(other).map_err(|source| LedgerError::Read { path: other.into(), source })?;
    let theirs: Reading =
        read(&bytes).map_err(|source| LedgerError::Unreadable { path: other.into(), source })?;
    let ours = super::shared::bytes_under(&ledger, context)?;
    let Some((records, unknown)) = salvage::merge(&ours, &bytes) else {
        return Err(Failure::new(Exit::Refused, "the two are not copies of one ledger; nothing was changed")
            .hint("name a copy of this very state; `larksub show --state FILE --format json` tells a lineage")
            .because(format!("this one's lineage is {}", reading.state.lineage))
            .because(format!("the other's is {}", theirs.state.lineage)));
    };
    ledger.append_each(&records)?;
    let added = count(records.len() as u64, "record", "records");
    let mut said = format!("Merged: {added} of {} added.\n", shown(&other.display().to_string()));
    said.push_str(&unproven(&unknown));
    context.print(&said).map(|()| Exit::Done)
}

/// Adds the outcomes that an apply printed because it could not record them.
fn recover(context: &Context, log: &Path) -> Result<Exit, Failure> {
    let mut bytes = Vec::new();
    let read = match log == Path::new("-") {
        true => std::io::stdin().lock().read_to_end(&mut bytes),
        false => std::fs::File::open(log).and_then(|mut file| file.read_to_end(&mut bytes)),
    };
    let place = shown(&log.display().to_string()).into_owned();
    read.map_err(|error| {
        Failure::new(Exit::Error, format!("{place} cannot be read")).because(error.to_string())
    })?;
    let (mut ledger, reading) = context.ledger(LOCK_WAIT)?;
    let found = recovery::find(&bytes, reading.state.lineage);
    if found.records.is_empty() {
        let failure = Failure::new(Exit::Error, format!("{place} holds no recovery line of this state"));
        return Err(match found.foreign {
            0 => failure.hint("a recovery line begins with `larksub-recovery: `"),
            foreign => failure.hint(format!("{} of another state", count(foreign, "line is", "lines are"))),
        });
    }
    let mut state = reading.state;
    let (records, unknown) = salvage::recover(&mut state, found.records);
    ledger.append_each(&records)?;
    let mut said = format!("Recovered: {} added.\n", count(records.len() as u64, "record", "records"));
    said.push_str(&unproven(&unknown));
    context.print(&said).map(|()| Exit::Done)
}

/// Objects that were stored are never changed: a damaged shared state is repaired as a copy, which goes to a new place.
fn repair_shared(context: &Context) -> Result<Exit, Failure> {
    match read_at(&context.workspace.state, env) {
        Ok(_) => context.print("Nothing to repair: every line can be believed.\n").map(|()| Exit::Done),
        Err(error @ LedgerError::Unreadable { source: Unreadable::Damaged { .. }, .. }) => {
            Err(Failure::new(Exit::Error, shown(&error.to_string()))
                .hint("what is stored there is never changed; repair a copy: `larksub state pull --out copy.jsonl`, then `larksub state repair --state copy.jsonl`")
                .hint("then `larksub state migrate copy.jsonl` to a new address, and go on with that one"))
        }
        Err(error) => Err(error.into()),
    }
}

fn appended(serial: u64, records: &[Record<'static>], ends_open: bool) -> Result<String, Failure> {
    let mut text = String::new();
    let first = serial.saturating_add(1);
    let forming = |error: serde_json::Error| {
        Failure::new(Exit::Error, "a line cannot be formed").because(error.to_string())
    };
    if records.is_empty() && ends_open {
        text.push_str(&write_line(first, &[], false).map_err(forming)?);
    }
    text.push_str(&write_lines(first, records).map_err(forming)?);
    Ok(text)
}

fn replace(path: &Path, content: &[u8], word: &str) -> Result<PathBuf, Failure> {
    let mut kept = path.as_os_str().to_owned();
    kept.push(format!(".{word}"));
    let kept = disk::free_name(Path::new(&kept));
    disk::replace(path, content, &kept).map_err(|error| {
        Failure::new(
            Exit::Unwritable,
            format!("the state {} cannot be replaced", shown(&path.display().to_string())),
        )
        .because(error.to_string())
        .hint("one whole file stands under the path, the damaged one or the repaired one")
    })?;
    Ok(kept)
}

/// The bytes with the line ends of this system; no line of a ledger holds a carriage return of its own.
fn without_carriage_returns(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().filter(|byte| *byte != b'\r').collect()
}

fn lines_in(bytes: &[u8], len: usize) -> u64 {
    bytes.get(..len).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count() as u64
}

fn lost(lost: &[Lost], missing: &[(u64, u64)]) -> String {
    if lost.is_empty() && missing.is_empty() {
        return String::new();
    }
    let mut text = String::from("Lost, and nobody can say what it recorded:\n");
    for Lost { offset, len } in lost {
        text.push_str(&format!("  {len} bytes from byte {offset} on\n"));
    }
    for (from, to) in missing {
        let lines = if from == to { format!("line {from}") } else { format!("lines {from} to {to}") };
        text.push_str(&format!("  {lines}, by the ledger's own numbers\n"));
    }
    text.push_str(
        "  A lost import is listed as untracked by `larksub plan` if it is declared; a lost outcome is unknown, and the next apply settles it.\n",
    );
    text
}

/// What `repair` or a push left out, and why; nothing where there is nothing.
pub fn unproven(unproven: &[String]) -> String {
    if unproven.is_empty() {
        return String::new();
    }
    let mut text = String::from("Left out, because it cannot follow what is known:\n");
    for what in unproven {
        text.push_str(&format!("  {}\n", shown(what)));
    }
    text
}

fn missing(path: &Path, error: std::io::Error) -> Failure {
    match error.kind() {
        std::io::ErrorKind::NotFound => LedgerError::Missing { path: path.into() }.into(),
        _ => LedgerError::Read { path: path.into(), source: error }.into(),
    }
}
