//! Where the manifest and the state are, and who is at work. The only module that looks for them.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};

use crate::manifest::Source;
use crate::state::record::By;
use crate::state::{Place, Str};

/// The manifest's name where none is given.
pub const MANIFEST: &str = "larksub.toml";

/// The state's name where none is given.
pub const STATE: &str = "larksub.state.jsonl";

/// The paths that a command works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// A manifest file, or a folder of them.
    pub manifest: PathBuf,
    /// The state: a file, or an address.
    pub state: Place,
}

/// Why a manifest could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// There is nothing.
    #[error("there is no manifest at {}", .path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A folder without a manifest in it.
    #[error("the folder {} has no `*.toml` directly in it", .path.display())]
    EmptyFolder {
        /// Which.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("the manifest {} cannot be read: {source}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Workspace {
    /// The state stands beside the manifest file, or inside the manifest folder, where it is not named.
    pub fn new(manifest: Option<&Path>, state: Option<&Path>) -> Self {
        let manifest = manifest.unwrap_or(Path::new(MANIFEST)).to_path_buf();
        let state = match state {
            Some(state) => Place::new(state),
            None if manifest.is_dir() => manifest.join(STATE).into(),
            None => manifest.with_file_name(STATE).into(),
        };
        Self { manifest, state }
    }

    /// A file of this name beside the manifest file, or inside the manifest folder.
    pub fn beside_manifest(&self, name: &str) -> PathBuf {
        match self.manifest.is_dir() {
            true => self.manifest.join(name),
            false => self.manifest.with_file_name(name),
        }
    }

    /// The texts of the manifest: the file, or the folder's `*.toml` sorted by name, hidden ones left out.
    ///
    /// # Errors
    /// There is none, or one cannot be read.
    pub fn manifest_sources(&self) -> Result<Vec<Source>, ManifestError> {
        let path = &self.manifest;
        let metadata = fs::metadata(path).map_err(|source| read_error(path, source))?;
        if !metadata.is_dir() {
            return Ok(vec![source(path)?]);
        }
        let mut paths = Vec::new();
        for entry in fs::read_dir(path).map_err(|source| read_error(path, source))? {
            let entry = entry.map_err(|source| read_error(path, source))?;
            let name = entry.file_name();
            let is_hidden = name.as_encoded_bytes().starts_with(b".");
            if !is_hidden && name.as_encoded_bytes().ends_with(b".toml") && !entry.path().is_dir() {
                paths.push(entry.path());
            }
        }
        if paths.is_empty() {
            return Err(ManifestError::EmptyFolder { path: path.clone() });
        }
        paths.sort();
        paths.iter().map(|path| source(path)).collect()
    }
}

fn source(path: &Path) -> Result<Source, ManifestError> {
    let bytes = fs::read(path).map_err(|source| read_error(path, source))?;
    Ok(Source { path: path.display().to_string(), bytes })
}

fn read_error(path: &Path, source: io::Error) -> ManifestError {
    match source.kind() {
        io::ErrorKind::NotFound => ManifestError::Missing { path: path.into() },
        _ => ManifestError::Read { path: path.into(), source },
    }
}

/// The wall clock, to the millisecond.
pub fn now() -> Timestamp {
    let round = TimestampRound::new().smallest(Unit::Millisecond).mode(RoundMode::Trunc);
    let now = Timestamp::now();
    now.round(round).unwrap_or(now)
}

/// A page's address without the name and password that some systems put into it: the ledger is committed.
fn without_user(page: &str) -> String {
    match url::Url::parse(page) {
        Ok(mut url) if !url.username().is_empty() || url.password().is_some() => {
            // Only addresses that cannot have either refuse to lose them.
            let _ = (url.set_username(""), url.set_password(None));
            url.into()
        }
        _ => page.to_owned(),
    }
}

/// Who is at work, for the records: a CI job by its page and commit where the environment names them, else a
/// person's process.
pub fn author(command: &'static str, env: &dyn Fn(&str) -> Option<OsString>) -> By<'static> {
    let text =
        |name: &str| env(name).and_then(|value| value.into_string().ok()).filter(|value| !value.is_empty());
    let github = || {
        let (server, repository) = (text("GITHUB_SERVER_URL")?, text("GITHUB_REPOSITORY")?);
        Some(format!("{server}/{repository}/actions/runs/{}", text("GITHUB_RUN_ID")?))
    };
    let pages = ["CI_JOB_URL", "BUILDKITE_BUILD_URL", "CIRCLE_BUILD_URL", "BUILD_URL"];
    let commits = ["GITHUB_SHA", "CI_COMMIT_SHA", "BUILDKITE_COMMIT", "CIRCLE_SHA1", "GIT_COMMIT"];
    let own =
        |text: Option<String>| text.map(|text| Str::from(crate::text::cut_bytes(&text, 512).to_owned()));
    if let Some(url) = github().or_else(|| pages.iter().find_map(|name| text(name))) {
        let commit = commits.iter().find_map(|name| text(name));
        return By { ci_url: own(Some(without_user(&url))), commit: own(commit), ..By::default() };
    }
    let user = text("USER").or_else(|| text("LOGNAME"));
    let user = user.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()));
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    By {
        user: own(Some(user)),
        host: own(Some(host)),
        pid: Some(std::process::id()),
        command: Some(Str::from(command)),
        ..By::default()
    }
}
