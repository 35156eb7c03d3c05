//! The ledger on disk: created whole, read without a lock, appended to under one.
//!
//! What [`Ledger::append`] has returned from is durable. After a write or a sync that failed nothing more is
//! written, because nobody can say what the disk holds then.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::disk::{self, network_file_system};
use super::line::{write_line, write_lines};
use super::read::{Reading, Unreadable, read};
use super::record::{Record, VERSION};
use super::shared::{Hold, Trouble, Writer};
use super::stream;
use super::sum::RunFacts;
use crate::failpoint::{self, Action};

/// The ledger, open for appending and locked. Dropping it frees the lock. The death of the process frees that of a file;
/// a shared ledger's lease expires.
#[derive(Debug)]
pub struct Ledger {
    to: To,
    path: PathBuf,
    next_seq: u64,
    is_broken: bool,
}

/// What is appended to.
#[derive(Debug)]
enum To {
    File { file: File, has_reserved: bool },
    Shared(Box<Writer>),
}

/// How a lock is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Locking {
    /// How long another command is waited for.
    pub wait: Duration,
    /// Whether a network file system's locks are trusted, because a person said so.
    pub trusts_network: bool,
}

/// The longest line that a run writes: an outcome with the longest message and reason, and the next intent.
const LONGEST_LINE: u64 = 4096;

impl Drop for Ledger {
    fn drop(&mut self) {
        if let To::File { file, has_reserved: true } = &self.to {
            // What cannot be given back now is given back by the next writer, or is merely taken up.
            let _ = disk::release(file);
        }
    }
}

/// Why a ledger could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// There is no file.
    #[error("there is no state at {}", .path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// There is a file where a new one was to be.
    #[error("there is a file at {} already", .path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("the state {} cannot be read: {source}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is something else, or damaged.
    #[error("the state {} is refused: {source}", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: Unreadable,
    },
    /// A newer larksub wrote it.
    #[error("the state {} is of version {version}; this larksub knows {VERSION}", .path.display())]
    Newer {
        /// Which.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// Another command writes to it.
    #[error("the state {} is locked", .path.display())]
    Locked {
        /// Which.
        path: PathBuf,
        /// The apply that holds it, where one does.
        holder: Option<Box<RunFacts>>,
    },
    /// It is on a network file system.
    #[error("the state {} is on a network file system ({kind}), whose locks may not reach other machines", .path.display())]
    Network {
        /// Which.
        path: PathBuf,
        /// The file system.
        kind: &'static str,
    },
    /// Something is wrong with a shared one.
    #[error("the state {} {trouble}", .path.display())]
    Shared {
        /// Its address.
        path: PathBuf,
        /// What.
        trouble: Box<Trouble>,
    },
    /// It cannot be written.
    #[error("the state {} cannot be written: {doing}: {source}", .path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// Reads the ledger at a path without a lock: whatever whole batches it holds are a consistent state.
///
/// # Errors
/// It is missing, unreadable, something else, or damaged. A newer version is no error here; see
/// [`refuse_newer`].
pub fn read_file(path: &Path) -> Result<Reading, LedgerError> {
    check_regular(path)?;
    let mut file = File::open(path).map_err(|source| read_error(path, source))?;
    if let Some(reading) = stream::read(&mut file) {
        return Ok(reading);
    }
    let bytes = fs::read(path).map_err(|source| read_error(path, source))?;
    read(&bytes).map_err(|source| LedgerError::Unreadable { path: path.into(), source })
}

/// The bytes of a ledger's file, whatever they say.
///
/// # Errors
/// It is missing, no regular file, or cannot be read.
pub fn bytes(path: &Path) -> Result<Vec<u8>, LedgerError> {
    check_regular(path)?;
    fs::read(path).map_err(|source| read_error(path, source))
}

/// Refuses a reading of a newer version, for whatever decides or writes.
///
/// # Errors
/// [`LedgerError::Newer`].
pub fn refuse_newer(path: &Path, reading: Reading) -> Result<Reading, LedgerError> {
    if reading.version > VERSION {
        return Err(LedgerError::Newer { path: path.into(), version: reading.version });
    }
    Ok(reading)
}

/// Makes a new ledger that holds one line. It appears under its path whole and synced, or not at all.
///
/// # Errors
/// Something, even an empty file, is there already; or it cannot be written.
pub fn create(path: &Path, first: &[Record<'_>]) -> Result<(), LedgerError> {
    let line = write_line(1, first, false).map_err(|error| forming(path, error))?;
    create_with(path, line.as_bytes())
}

/// Makes a new ledger of whole lines. It appears under its path whole and synced, or not at all.
///
/// # Errors
/// Something, even an empty file, is there already; or it cannot be written.
pub fn create_with(path: &Path, lines: &[u8]) -> Result<(), LedgerError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let written = |doing| move |source| LedgerError::Write { path: path.into(), doing, source };
    if path.symlink_metadata().is_ok() {
        return Err(LedgerError::Exists { path: path.into() });
    }
    let mut file = tempfile::NamedTempFile::with_prefix_in(".larksub-init-", folder)
        .map_err(|error| written("making a file in its folder")(error.kind().into()))?;
    file.write_all(lines).map_err(written("writing its first line"))?;
    file.as_file().sync_all().map_err(written("syncing its first line"))?;
    file.persist_noclobber(path).map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists => LedgerError::Exists { path: path.into() },
        _ => written("linking it to its path")(error.error),
    })?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(written("syncing its folder"))
}

impl Ledger {
    /// Opens the ledger at a path for appending, waiting up to `wait` for its lock, and reads it. A tail that was
    /// never acknowledged is moved into a file beside it.
    ///
    /// # Errors
    /// It is missing, locked, not writable, something else, damaged, or of a newer version.
    pub fn open(path: &Path, locking: Locking) -> Result<(Self, Reading, Option<PathBuf>), LedgerError> {
        let path = fs::canonicalize(path).map_err(|source| read_error(path, source))?;
        check_regular(&path)?;
        let file = lock(&path, locking)?;
        let reading = refuse_newer(&path, read_file(&path)?)?;
        let next_seq = reading.state.serial.saturating_add(1);
        let kept = if reading.tail_len > 0 { Some(trim(&file, &path, &reading)?) } else { None };
        let to = To::File { file, has_reserved: false };
        Ok((Self { to, path, next_seq, is_broken: false }, reading, kept))
    }

    /// A shared one, of which the last line has this number.
    pub(super) fn shared(path: PathBuf, writer: Writer, serial: u64) -> Self {
        let next_seq = serial.saturating_add(1);
        Self { to: To::Shared(Box::new(writer)), path, next_seq, is_broken: false }
    }

    /// Until when this process may send calls; none where that has no end.
    pub fn hold(&self) -> Option<Hold> {
        match &self.to {
            To::File { .. } => None,
            To::Shared(writer) => writer.hold(),
        }
    }

    /// Where it is, symbolic links resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes sure that `batches` more lines, the longest there can be, find room on the disk.
    ///
    /// # Errors
    /// They do not; nothing was written.
    pub fn reserve(&mut self, batches: u64) -> Result<(), LedgerError> {
        let bytes = batches.saturating_mul(LONGEST_LINE);
        if bytes == 0 {
            return Ok(());
        }
        let path = self.path.clone();
        let doing = "reserving room for the whole run";
        if let To::File { file, has_reserved } = &mut self.to {
            disk::reserve(file, bytes).map_err(|source| LedgerError::Write { path, doing, source })?;
            *has_reserved = true;
        }
        Ok(())
    }

    /// Appends the records as one batch of one line. They are durable when this returns.
    ///
    /// # Errors
    /// The disk refused, now or earlier; nothing is written after that.
    pub fn append(&mut self, records: &[Record<'_>]) -> Result<(), LedgerError> {
        if records.is_empty() {
            return Ok(());
        }
        let line = write_line(self.next_seq, records, false).map_err(|error| forming(&self.path, error))?;
        self.write(&line, 1)?;
        // A store that loses what it has acknowledged is found out before the run is said to be done.
        match &self.to {
            To::Shared(writer) if records.iter().any(|record| matches!(record, Record::End(_))) => {
                writer.prove().map_err(|trouble| shared_error(&self.path, trouble))
            }
            To::Shared(_) | To::File { .. } => Ok(()),
        }
    }

    /// Appends the records as one batch of a line each. They are durable, all of them, when this returns.
    ///
    /// # Errors
    /// The disk refused, now or earlier; nothing is written after that.
    pub fn append_each(&mut self, records: &[Record<'_>]) -> Result<(), LedgerError> {
        if records.is_empty() {
            return Ok(());
        }
        let text = write_lines(self.next_seq, records).map_err(|error| forming(&self.path, error))?;
        self.write(&text, records.len() as u64)
    }

    /// Appends so many lines that were written elsewhere, exactly as they are. They are durable when this returns.
    ///
    /// # Errors
    /// The disk or the store refused, now or earlier; nothing is written after that.
    pub fn append_lines(&mut self, text: &[u8], lines: u64) -> Result<(), LedgerError> {
        let text = std::str::from_utf8(text).map_err(|error| LedgerError::Write {
            path: self.path.clone(),
            doing: "forming a line",
            source: io::Error::other(error),
        })?;
        self.write(text, lines)
    }

    /// The whole of a shared ledger as it is known to be stored; none of a file, which can be read.
    pub fn content(&self) -> Option<&[u8]> {
        match &self.to {
            To::File { .. } => None,
            To::Shared(writer) => Some(writer.content()),
        }
    }

    fn write(&mut self, text: &str, lines: u64) -> Result<(), LedgerError> {
        let failed = |doing| {
            let path = self.path.clone();
            move |source| LedgerError::Write { path, doing, source }
        };
        if self.is_broken {
            return Err(failed("an earlier write failed")(io::Error::other("nothing more is written")));
        }
        self.is_broken = true;
        let action = failpoint::hit("append").map_err(failed("appending a line"))?;
        match &mut self.to {
            To::File { file, .. } => {
                if action == Action::Half {
                    let half = text.as_bytes().get(..text.len() / 2).unwrap_or_default();
                    file.write_all(half).map_err(failed("appending a line"))?;
                    failpoint::die();
                }
                file.write_all(text.as_bytes()).map_err(failed("appending a line"))?;
                failpoint::hit("sync").map_err(failed("syncing a line"))?;
                rustix::fs::fdatasync(&*file).map_err(|error| failed("syncing a line")(error.into()))?;
            }
            To::Shared(writer) => {
                let last_seq = self.next_seq.saturating_add(lines).saturating_sub(1);
                let appended = writer.append(self.next_seq..=last_seq, text);
                appended.map_err(|trouble| shared_error(&self.path, trouble))?;
            }
        }
        failpoint::hit("synced").map_err(failed("syncing a line"))?;
        self.is_broken = false;
        self.next_seq = self.next_seq.saturating_add(lines);
        Ok(())
    }
}

/// Opens and locks the file that is at the path once the lock is held: somebody may have put another one there
/// while we waited.
pub(crate) fn lock(path: &Path, locking: Locking) -> Result<File, LedgerError> {
    const PAUSE: Duration = Duration::from_millis(20);
    let until = Instant::now().checked_add(locking.wait);
    loop {
        let file =
            OpenOptions::new().read(true).append(true).open(path).map_err(|source| match source.kind() {
                io::ErrorKind::NotFound => LedgerError::Missing { path: path.into() },
                _ => LedgerError::Write { path: path.into(), doing: "opening it", source },
            })?;
        match file.try_lock() {
            Ok(()) if is_at(&file, path) => {
                return match network_file_system(&file).filter(|_| !locking.trusts_network) {
                    Some(kind) => Err(LedgerError::Network { path: path.into(), kind }),
                    None => Ok(file),
                };
            }
            Ok(()) => {}
            Err(TryLockError::WouldBlock) if until.is_none_or(|until| Instant::now() < until) => {
                std::thread::sleep(PAUSE)
            }
            Err(TryLockError::WouldBlock) => {
                let holder = read_file(path).ok().and_then(|reading| reading.state.unended_run().cloned());
                return Err(LedgerError::Locked { path: path.into(), holder: holder.map(Box::new) });
            }
            Err(TryLockError::Error(source)) => {
                return Err(LedgerError::Write { path: path.into(), doing: "locking it", source });
            }
        }
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(held), Ok(named)) => held.dev() == named.dev() && held.ino() == named.ino(),
        _ => false,
    }
}

/// Moves the tail into a file beside the ledger, synced before the ledger is cut, so that no byte is ever lost.
fn trim(file: &File, path: &Path, reading: &Reading) -> Result<PathBuf, LedgerError> {
    let failed = |doing| move |source| LedgerError::Write { path: path.into(), doing, source };
    let keeping = "keeping its unfinished tail";
    let bytes = fs::read(path).map_err(failed(keeping))?;
    let sound_len = usize::try_from(reading.sound_len).unwrap_or(usize::MAX);
    let tail = bytes.get(sound_len..).unwrap_or_default();
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".tail-{}", reading.state.serial.saturating_add(1)));
    let kept = disk::free_name(Path::new(&name));
    failpoint::hit("tail").map_err(failed(keeping))?;
    let mut beside =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&kept).map_err(failed(keeping))?;
    beside.write_all(tail).and_then(|()| beside.sync_all()).map_err(failed(keeping))?;
    failpoint::hit("trim").map_err(failed("cutting off its unfinished tail"))?;
    file.set_len(reading.sound_len).map_err(failed("cutting off its unfinished tail"))?;
    file.sync_all().map_err(failed("cutting off its unfinished tail"))?;
    Ok(kept)
}

pub(super) fn shared_error(path: &Path, trouble: Trouble) -> LedgerError {
    use super::shared::Kind;
    match trouble.kind {
        Kind::Missing => LedgerError::Missing { path: path.into() },
        _ => LedgerError::Shared { path: path.into(), trouble: Box::new(trouble) },
    }
}

fn forming(path: &Path, error: serde_json::Error) -> LedgerError {
    LedgerError::Write { path: path.into(), doing: "forming a line", source: error.into() }
}

/// A pipe would be waited for, a device read for ever, and neither can be locked and cut.
fn check_regular(path: &Path) -> Result<(), LedgerError> {
    let metadata = fs::metadata(path).map_err(|source| read_error(path, source))?;
    if metadata.is_file() {
        return Ok(());
    }
    let source = io::Error::other("it is not a regular file");
    Err(LedgerError::Read { path: path.into(), source })
}

fn read_error(path: &Path, source: io::Error) -> LedgerError {
    match source.kind() {
        io::ErrorKind::NotFound => LedgerError::Missing { path: path.into() },
        _ => LedgerError::Read { path: path.into(), source },
    }
}
