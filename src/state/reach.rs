//! A ledger wherever it is: a file, or an address.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::ledger::{self, Ledger, LedgerError, Locking, shared_error};
use super::place::Place;
use super::read::{Reading, Unreadable, read};
use super::shared::{self, Holder, Kind, Settings, Trouble, Writer};

/// Where a variable of the environment is looked up.
pub type Env = fn(&str) -> Option<OsString>;

/// A ledger that was opened for writing, and what to say of that.
#[derive(Debug)]
pub struct Opened {
    /// The ledger.
    pub ledger: Ledger,
    /// What it says.
    pub reading: Reading,
    /// Where the unfinished tail of a file was moved.
    pub kept_tail: Option<PathBuf>,
    /// How the lock was got, where that is worth a word; escaped.
    pub note: Option<String>,
}

/// Reads a ledger without a lock.
///
/// # Errors
/// It is missing, unreadable, something else, or damaged. A newer version is no error here.
pub fn read_at(place: &Place, env: Env) -> Result<Reading, LedgerError> {
    match place.address() {
        None => ledger::read_file(place.as_path()),
        Some(_) => read_shared(place.as_path(), &bytes_at(place, env)?),
    }
}

/// The bytes of a ledger, whatever they say.
///
/// # Errors
/// It is missing or cannot be read.
pub fn bytes_at(place: &Place, env: Env) -> Result<Vec<u8>, LedgerError> {
    let path = place.as_path();
    if place.address().is_none() {
        return ledger::bytes(path);
    }
    let settings = settings(path, env)?;
    shared::read(place, &settings).map_err(|trouble| shared_error(path, trouble))
}

/// Makes a new ledger of whole lines.
///
/// # Errors
/// There is one already, or it cannot be written.
pub fn create_at(place: &Place, env: Env, who: &Holder, lines: &[u8]) -> Result<(), LedgerError> {
    let path = place.as_path();
    if place.address().is_none() {
        return ledger::create_with(path, lines);
    }
    let settings = settings(path, env)?;
    shared::create(place, &settings, who, lines).map_err(|trouble| shared_error(path, trouble))
}

/// Opens a ledger for appending, under its lock.
///
/// # Errors
/// It is missing, locked, not writable, something else, damaged, or of a newer version.
pub fn open_at(place: &Place, env: Env, who: &Holder, locking: Locking) -> Result<Opened, LedgerError> {
    let path = place.as_path();
    if place.address().is_none() {
        let (ledger, reading, kept_tail) = Ledger::open(path, locking)?;
        return Ok(Opened { ledger, reading, kept_tail, note: None });
    }
    let settings = settings(path, env)?;
    let failed = |trouble| shared_error(path, trouble);
    let mut writer = Writer::open(place, &settings, who, locking.wait).map_err(failed)?;
    let reading = ledger::refuse_newer(path, read_shared(path, writer.content())?)?;
    let note = writer.note();
    let ledger = Ledger::shared(path.into(), writer, reading.state.serial);
    Ok(Opened { ledger, reading, kept_tail: None, note })
}

/// Frees a lock whose holder is gone; says who that was.
///
/// # Errors
/// It is not locked, or by another id. A file's lock is freed by the system alone.
pub fn unlock_at(place: &Place, env: Env, id: &str) -> Result<Holder, LedgerError> {
    let path = place.as_path();
    let failed = |trouble| shared_error(path, trouble);
    if place.address().is_none() {
        return Err(failed(Trouble::new(Kind::NotTheirs, "is a file, and there is nothing to unlock").hint(
            "the operating system frees its lock when the process ends that holds it, however it ends",
        )));
    }
    shared::unlock(place, &settings(path, env)?, id).map_err(failed)
}

fn settings(path: &Path, env: Env) -> Result<Settings, LedgerError> {
    Settings::new(env).map_err(|trouble| shared_error(path, trouble))
}

/// Where lines are stored whole or not at all, an end that is not whole is damage.
fn read_shared(path: &Path, bytes: &[u8]) -> Result<Reading, LedgerError> {
    let refused = |source| LedgerError::Unreadable { path: path.into(), source };
    let reading = read(bytes).map_err(refused)?;
    if reading.tail_len > 0 {
        let (line, offset) = (reading.lines.count() + 1, reading.sound_len);
        let what = "is not whole, and it cannot be one that was cut off while it was written".to_owned();
        return Err(refused(Unreadable::Damaged { line, offset, what }));
    }
    Ok(reading)
}
