//! `larksub state pull | push | migrate | unlock`: a state that more than one machine reaches.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use uuid::Uuid;

use super::{Context, env};
use crate::cli::{MigrateArgs, PullArgs, PushArgs, UnlockArgs};
use crate::error::{Exit, Failure};
use crate::render::count;
use crate::report::Unrecorded;
use crate::state::reach::{bytes_at, create_at, unlock_at};
use crate::state::read::read;
use crate::state::{Ledger, LedgerError, Place, Reading, disk, salvage, unsent};
use crate::text::shown;

/// `larksub state pull`
///
/// # Errors
/// The state cannot be read, or the file is something that must not be overwritten.
pub fn pull(context: &Context, args: &PullArgs) -> Result<Exit, Failure> {
    let place = &context.workspace.state;
    let bytes = bytes_at(place, env)?;
    let what = match read(&bytes) {
        Ok(reading) => {
            context.note_tail(&reading);
            format!("lines {} to {}", reading.lines.first_seq(), reading.state.serial)
        }
        // What is damaged has to be looked at somewhere, but it may hold anything, and stdout may be a terminal or a log.
        Err(error) if args.out.is_some() => {
            context.note(&format!("warning: what was pulled is refused as a state: {error}"));
            format!("{} bytes", bytes.len())
        }
        Err(source) => {
            let path = place.as_path().into();
            return Err(Failure::from(LedgerError::Unreadable { path, source })
                .hint("`larksub state pull --out FILE` writes it to a file as it is"));
        }
    };
    let Some(out) = &args.out else {
        let mut stdout = std::io::stdout().lock();
        let written = stdout.write_all(&bytes).and_then(|()| stdout.flush());
        return match written {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Failure::new(Exit::Error, "the state cannot be written to stdout")
                    .because(error.to_string()))
            }
            _ => Ok(Exit::Done),
        };
    };
    write_copy(out, &bytes)?;
    context.note(&format!("pulled: {}, {what} of {}", path_shown(out), place.shown()));
    Ok(Exit::Done)
}

/// Writes a copy of a ledger; over another file only where that one is its beginning.
fn write_copy(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| {
        Failure::new(Exit::Error, format!("{} cannot be written", path_shown(path)))
            .because(error.to_string())
    };
    match fs::read(path) {
        Ok(there) if bytes.starts_with(&there) => {}
        Ok(_) => {
            let title =
                format!("{} is there already, and holds what the pulled state does not", path_shown(path));
            return Err(Failure::new(Exit::Error, title)
                .hint("nothing was changed; give another name, or move that file away first"));
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(cannot(error)),
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Its mode is 0600.
    let mut file = tempfile::NamedTempFile::with_prefix_in(".larksub-new-", folder).map_err(cannot)?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(cannot)?;
    file.persist(path).map_err(|error| cannot(error.error))?;
    Ok(())
}

/// `larksub state push FILE`
///
/// # Errors
/// FILE is of another ledger, or the state went another way; or it cannot be written. Nothing is overwritten.
pub fn push(context: &Context, args: &PushArgs) -> Result<Exit, Failure> {
    let file = path_shown(&args.file);
    let bytes = fs::read(&args.file).map_err(|error| {
        Failure::new(Exit::Error, format!("{file} cannot be read")).because(error.to_string())
    })?;
    if let Some(unsent) = unsent::read(&bytes) {
        return push_unsent(context, args, unsent);
    }
    let theirs = read(&bytes)
        .map_err(|source| Failure::from(LedgerError::Unreadable { path: args.file.clone(), source }))?;
    let sound = usize::try_from(theirs.sound_len).ok().and_then(|len| bytes.get(..len)).unwrap_or_default();
    let (mut ledger, reading) = context.ledger(args.lock.lock_timeout)?;
    refuse_lineage(&file, theirs.state.lineage, &reading)?;
    let ours = bytes_under(&ledger, context)?;
    let place = context.workspace.state.shown();
    if ours.starts_with(sound) {
        let said = format!("{place}: nothing to add, every line of {file} is in it\n");
        return context.print(&said).map(|()| Exit::Done);
    }
    let Some(rest) = sound.strip_prefix(ours.as_slice()) else {
        return Err(Failure::new(
            Exit::Refused,
            format!("{place} and {file} went different ways; nothing was changed"),
        )
        .because(format!("it ends in line {}, {file} in line {}", reading.state.serial, theirs.state.serial))
        .hint(format!(
            "add what only the file knows: `larksub state repair --merge {file}`; then read `larksub plan`"
        )));
    };
    let lines = theirs.state.serial.saturating_sub(reading.state.serial);
    ledger.append_lines(rest, lines)?;
    let added = count(lines, "line", "lines");
    context
        .print(&format!("{place}: {added} added, up to line {}\n", theirs.state.serial))
        .map(|()| Exit::Done)
}

fn push_unsent(context: &Context, args: &PushArgs, unsent: unsent::Unsent) -> Result<Exit, Failure> {
    let file = path_shown(&args.file);
    let (mut ledger, reading) = context.ledger(args.lock.lock_timeout)?;
    refuse_lineage(&file, unsent.lineage, &reading)?;
    let total = unsent.records.len();
    let mut state = reading.state;
    let (records, left_out) = salvage::recover(&mut state, unsent.records);
    ledger.append_each(&records)?;
    let place = context.workspace.state.shown();
    let mut said =
        format!("{place}: {} of {total} added\n", count(records.len() as u64, "outcome", "outcomes"));
    if unsent.unsound > 0 {
        said.push_str(&format!("{} of {file} cannot be believed\n", count(unsent.unsound, "line", "lines")));
    }
    said.push_str(&super::repair::unproven(&left_out));
    if unsent.unsound == 0 {
        said.push_str(&format!(
            "everything in {file} is in the state now, or settled there since: delete it\n"
        ));
    }
    context.print(&said).map(|()| Exit::Done)
}

fn refuse_lineage(file: &str, theirs: Uuid, reading: &Reading) -> Result<(), Failure> {
    if theirs == reading.state.lineage {
        return Ok(());
    }
    Err(Failure::new(Exit::Refused, format!("{file} is of another ledger; nothing was changed"))
        .because(format!("the state's lineage is {}", reading.state.lineage))
        .because(format!("the file's is {theirs}"))
        .hint("name the state that it belongs to with --state"))
}

/// The bytes of the ledger that is held open.
///
/// # Errors
/// It is a file, and cannot be read.
pub fn bytes_under(ledger: &Ledger, context: &Context) -> Result<Vec<u8>, Failure> {
    match ledger.content() {
        Some(content) => Ok(content.to_vec()),
        None => Ok(bytes_at(&context.workspace.state, env)?),
    }
}

/// `larksub state migrate FROM TO`
///
/// # Errors
/// FROM cannot be read or locked, there is something at TO, or TO is not the same when it is read back.
pub fn migrate(context: &Context, args: &MigrateArgs) -> Result<Exit, Failure> {
    let (from, to) = (Place::new(&args.from), Place::new(&args.to));
    super::check_place(&from)?;
    super::check_place(&to)?;
    if from == to {
        return Err(Failure::new(Exit::Error, "FROM and TO are the same; nothing was changed"));
    }
    let mut context_from = context.clone();
    context_from.workspace.state = from.clone();
    let (ledger, reading) = context_from.ledger(args.lock.lock_timeout)?;
    let bytes = bytes_under(&ledger, &context_from)?;
    let sound = usize::try_from(reading.sound_len).ok().and_then(|len| bytes.get(..len)).unwrap_or_default();
    create_at(&to, env, &context.holder(), sound)?;
    let back = bytes_at(&to, env)?;
    if back != sound {
        return Err(Failure::new(
            Exit::Unwritable,
            format!("{} does not read back as it was written", to.shown()),
        )
        .hint("go on with the old one, and keep the state elsewhere"));
    }
    let lines = count(reading.lines.count(), "line", "lines");
    let variable = if to.address().is_some() { "; name it with --state or LARKSUB_STATE" } else { "" };
    let said = format!(
        "{}: {lines}, {} bytes, read back and compared{variable}\n{}: as it was; move it away, so that nobody goes on writing there\n",
        to.shown(),
        sound.len(),
        from.shown()
    );
    context.print(&said).map(|()| Exit::Done)
}

/// `larksub state unlock ID`
///
/// # Errors
/// The state is not locked, or by another id.
pub fn unlock(context: &Context, args: &UnlockArgs) -> Result<Exit, Failure> {
    let holder = unlock_at(&context.workspace.state, env, &args.id)?;
    let place = context.workspace.state.shown();
    let said = format!(
        "{place}: unlocked; it was held by {holder}\nIf that one is alive after all, it stops at its next write.\n"
    );
    context.print(&said).map(|()| Exit::Done)
}

/// Says that outcomes of an earlier run wait to be pushed, where they do.
pub fn note_unsent(context: &Context) {
    let path = context.workspace.beside_manifest(unsent::NAME);
    if context.workspace.state.address().is_some() && path.exists() {
        let path = path_shown(&path);
        context.note(&format!(
            "note: {path} holds outcomes that could not be stored; `larksub state push {path}` adds them, and spares their calls"
        ));
    }
}

/// Keeps what a shared state could not take in a file beside the manifest, and says so; nothing for a state that is a file, whose
/// disk is the one that refused.
pub fn keep_unsent(context: &Context, unrecorded: &Unrecorded, lineage: Uuid) {
    let place = &context.workspace.state;
    if place.address().is_none() || unrecorded.records.is_empty() {
        return;
    }
    let path = disk::free_name(&context.workspace.beside_manifest(unsent::NAME));
    let written = unsent::write(&place.display().to_string(), lineage, &unrecorded.records)
        .map_err(std::io::Error::from)
        .and_then(|text| {
            let mut file = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
    let text = match written {
        Ok(()) => {
            let path = path_shown(&path);
            format!(
                "  {} {path} holds them as well: `larksub state push {path}` once the state can be reached\n",
                context.stderr.paint.good("help:")
            )
        }
        Err(error) => format!("  note: {} cannot be written: {error}\n", path_shown(&path)),
    };
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

fn path_shown(path: &Path) -> String {
    shown(&path.display().to_string()).into_owned()
}
