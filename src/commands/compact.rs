//! `larksub state compact`: the ledger as what it adds up to. Never automatic.

use std::path::Path;

use super::{Context, LOCK_WAIT, env};
use crate::error::{Exit, Failure};
use crate::state::{compact, disk, line};
use crate::text::shown;
use crate::workspace::{author, now};

/// Runs the command.
///
/// # Errors
/// The state cannot be read, locked or written; it is unchanged then.
pub fn run(context: &Context) -> Result<Exit, Failure> {
    if context.workspace.state.address().is_some() {
        return Err(Failure::new(Exit::Error, "a shared state is not compacted; nothing was changed")
            .hint("reading it costs the same however long its history is; what happened stays in it")
            .hint("to begin anew with less: `larksub state pull --out FILE`, compact FILE, `larksub state migrate FILE` to a new address"));
    }
    let (ledger, reading) = context.ledger(LOCK_WAIT)?;
    let (state, lines) = (&reading.state, &reading.lines);
    let records = compact::records(state, now(), author("state compact", &env));
    let forming = |error: serde_json::Error| {
        Failure::new(Exit::Error, "the ledger's lines cannot be formed").because(error.to_string())
    };
    // One batch: cut off anywhere it would be refused, not read as a state with less in it.
    let first = state.serial.saturating_add(1);
    let content = line::write_lines(first, &records).map_err(forming)?;
    let last = state.serial.saturating_add(records.len() as u64);
    let path = ledger.path();
    let mut kept = path.as_os_str().to_owned();
    kept.push(format!(".{}-{}", lines.first_seq(), state.serial));
    let kept = disk::free_name(Path::new(&kept));
    let title = || format!("the state {} cannot be replaced", shown(&path.display().to_string()));
    disk::replace(path, content.as_bytes(), &kept).map_err(|error| {
        Failure::new(Exit::Unwritable, title())
            .because(error.to_string())
            .hint("one whole ledger stands under the path, the old one or the new one")
    })?;
    let said = format!(
        "{}: {} bytes in {} lines became {} bytes, lines {first} to {last}\n{}: the old ledger, lines {} to {}\n",
        shown(&context.workspace.state.display().to_string()),
        reading.sound_len,
        lines.count(),
        content.len(),
        shown(&kept.display().to_string()),
        lines.first_seq(),
        state.serial,
    );
    context.print(&said).map(|()| Exit::Done)
}
