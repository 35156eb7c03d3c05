//! What the ledger asks of the disk beside appending: room ahead of a run, a new file in place of the old one,
//! and whether its locks are real.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use crate::failpoint;

/// Reserves room for `bytes` more behind the file's end, whose length stays as it is.
///
/// # Errors
/// There is not that much room. A file system that cannot reserve is no error: the run goes on without.
pub fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    failpoint::hit("reserve")?;
    let len = file.metadata()?.len();
    match rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, len, bytes) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Gives back what was reserved and not used.
///
/// # Errors
/// The file cannot be cut to its own length; nothing is lost by that but the room.
pub fn release(file: &File) -> io::Result<()> {
    file.set_len(file.metadata()?.len())
}

/// Puts new content under a path whose file is locked, in a way that leaves one whole file there whenever the
/// process dies. The old file stays beside it as `kept`; mode and, where allowed, owner carry over.
///
/// # Errors
/// Something cannot be written or linked; the old file is then still in place.
pub fn replace(path: &Path, content: &[u8], kept: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let old = fs::metadata(path)?;
    remove_stale_links(path, folder, &old)?;
    let mut new = tempfile::NamedTempFile::with_prefix_in(".larksub-new-", folder)?;
    failpoint::hit("append")?;
    new.write_all(content)?;
    new.as_file().set_permissions(fs::Permissions::from_mode(old.mode()))?;
    // Only root may give a file away; anybody else owns the old one already, or it becomes theirs.
    let _ = std::os::unix::fs::fchown(new.as_file(), Some(old.uid()), Some(old.gid()));
    failpoint::hit("sync")?;
    new.as_file().sync_all()?;
    failpoint::hit("link")?;
    fs::hard_link(path, kept)?;
    File::open(folder)?.sync_all()?;
    failpoint::hit("rename")?;
    new.persist(path).map_err(|error| error.error)?;
    failpoint::hit("renamed")?;
    File::open(folder)?.sync_all()
}

/// Removes the second names that a replacing that was killed left for the live file: they would grow with it.
fn remove_stale_links(path: &Path, folder: &Path, live: &fs::Metadata) -> io::Result<()> {
    let Some(name) = path.file_name().filter(|_| live.nlink() > 1) else { return Ok(()) };
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let other = entry.file_name();
        let rest = other.as_encoded_bytes().strip_prefix(name.as_encoded_bytes());
        let is_ours = rest.and_then(|rest| std::str::from_utf8(rest).ok()).is_some_and(is_kept_name);
        if is_ours
            && entry
                .metadata()
                .is_ok_and(|metadata| metadata.ino() == live.ino() && metadata.dev() == live.dev())
        {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Whether what follows the ledger's name is what replacing it adds: `.FIRST-LAST` or `.damaged`, and a number.
fn is_kept_name(suffix: &str) -> bool {
    suffix.strip_prefix('.').is_some_and(|suffix| {
        let rest = suffix.strip_prefix("damaged").unwrap_or(suffix);
        rest.chars().all(|c| c.is_ascii_digit() || c == '-')
    })
}

/// The first name of this form that nothing has yet: `base`, `base-2`, `base-3`, …
pub fn free_name(base: &Path) -> PathBuf {
    let mut name = base.to_path_buf();
    for number in 2.. {
        if name.symlink_metadata().is_err() {
            break;
        }
        let mut next = base.as_os_str().to_owned();
        next.push(format!("-{number}"));
        name = PathBuf::from(next);
    }
    name
}

/// The name of the network file system that a file is on, where its locks may not reach other machines.
#[cfg(target_os = "linux")]
pub fn network_file_system(file: &File) -> Option<&'static str> {
    if failpoint::hit("statfs").is_err() {
        return Some("an injected one");
    }
    // From linux/magic.h; FUSE carries sshfs and the like.
    let kind = rustix::fs::fstatfs(file).ok()?.f_type as u64 & 0xffff_ffff;
    Some(match kind {
        0x6969 => "NFS",
        0xff53_4d42 | 0x517b | 0xfe53_4d42 => "SMB",
        0x0102_1997 => "9P",
        0x6573_5546 => "FUSE",
        0x5346_414f | 0x6b41_4653 => "AFS",
        0x7375_7245 => "Coda",
        _ => return None,
    })
}

/// The name of the network file system that a file is on; not told on this system.
#[cfg(not(target_os = "linux"))]
pub fn network_file_system(_file: &File) -> Option<&'static str> {
    None
}
