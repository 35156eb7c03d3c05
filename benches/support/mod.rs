//! What the benches of whole processes share: scratch folders, and a process that measures another.

#![allow(dead_code)]

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use tempfile::TempDir;

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The first argument of a bench that is to measure the command that follows.
pub const MEASURE: &str = "--measure";

/// Whether cargo asks for the bench: `cargo test --benches` runs it too, and only wants to know that it works.
pub fn is_meant() -> bool {
    env::args().any(|argument| argument == "--bench")
}

/// A command of the program under measurement.
#[derive(Debug, Clone)]
pub struct Run {
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
}

/// What one run took.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub wall: Duration,
    pub peak_kib: u64,
}

impl Run {
    pub fn new<A: Into<OsString>>(
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        Self { program: program.into(), arguments: arguments.into_iter().map(Into::into).collect() }
    }

    /// The bin that was built with this bench.
    pub fn larksub<A: Into<OsString>>(arguments: impl IntoIterator<Item = A>) -> Self {
        Self::new(env!("CARGO_BIN_EXE_larksub"), arguments)
    }

    /// Runs it, and returns what it printed.
    pub fn output(&self) -> Result<String> {
        let output = Command::new(&self.program).args(&self.arguments).env_clear().output()?;
        if !output.status.success() {
            return Err(format!("{self:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Runs it in a process that does nothing else, so that the peak is its own and not that of an earlier run.
    pub fn sample(&self) -> Result<Sample> {
        let measuring = Self::new(
            env::current_exe()?,
            [MEASURE.into(), self.program.clone().into_os_string()]
                .into_iter()
                .chain(self.arguments.iter().cloned()),
        );
        let printed = measuring.output()?;
        let (nanos, peak_kib) = printed.trim().split_once(' ').ok_or("no measurement")?;
        Ok(Sample { wall: Duration::from_nanos(nanos.parse()?), peak_kib: peak_kib.parse()? })
    }
}

/// The measuring process: runs the command, and prints its wall time in nanoseconds and its peak memory in KiB.
pub fn measure(mut command: impl Iterator<Item = OsString>) -> Result<()> {
    let program = command.next().ok_or("no command to measure")?;
    let mut child = Command::new(program);
    child.args(command).stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let status = child.status()?;
    let wall = start.elapsed();
    if !status.success() {
        return Err(format!("{child:?}: {status}").into());
    }
    let peak = u64::try_from(getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss())?;
    let unit = if cfg!(target_vendor = "apple") { 1024 } else { 1 };
    println!("{} {}", wall.as_nanos(), peak / unit);
    Ok(())
}

/// A manifest, whole or in a folder, and the state of an app that was subscribed to more than is declared now.
pub struct Scratch {
    folder: TempDir,
    files: usize,
}

impl Scratch {
    /// All are imported; then each tenth leaves the manifest, which is one file, or a folder of several.
    pub fn new(tracked: usize, files: usize) -> Result<Self> {
        let scratch = Self { folder: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?, files };
        scratch.declare(tracked, |_| true)?;
        scratch.larksub(["init"]).output()?;
        scratch.larksub(["import", "--declared"]).output()?;
        scratch.declare(tracked, |number| number % 10 != 0)?;
        let shown = scratch.larksub(["plan", "--format", "json"]).output()?;
        let plan: serde_json::Value = serde_json::from_str(&shown)?;
        let found = (plan.pointer("/counts/tracked"), plan.pointer("/counts/drops"));
        let expected = (Some(&tracked.into()), Some(&tracked.div_ceil(10).into()));
        if found != expected {
            return Err(format!("the plan to be measured has {found:?}, not {expected:?}").into());
        }
        Ok(scratch)
    }

    pub fn larksub<const N: usize>(&self, arguments: [&str; N]) -> Run {
        let manifest = [OsString::from("--manifest"), self.manifest().into()];
        Run::larksub(manifest.into_iter().chain(arguments.map(Into::into)))
    }

    pub fn manifest(&self) -> PathBuf {
        if self.files == 1 { self.folder.path().join("larksub.toml") } else { self.folder.path().into() }
    }

    pub fn ledger(&self) -> PathBuf {
        self.folder.path().join("larksub.state.jsonl")
    }

    pub fn megabytes(&self) -> Result<(f64, f64)> {
        let sizes = sources(&self.manifest())?.into_iter().map(|path| Ok(fs::metadata(path)?.len()));
        let manifest: u64 = sizes.sum::<Result<u64>>()?;
        Ok((manifest as f64 / 1e6, fs::metadata(self.ledger())?.len() as f64 / 1e6))
    }

    fn declare(&self, tracked: usize, is_declared: fn(usize) -> bool) -> Result<()> {
        let a_file = tracked.div_ceil(self.files);
        for file in 0..self.files {
            let mut text = String::new();
            if file == 0 {
                text.push_str("[apps.hr]\napp_id = \"cli_9dbb2dd6f5e0d104\"\nbrand = \"feishu\"\n");
            }
            for number in (file * a_file..tracked.min((file + 1) * a_file)).filter(|n| is_declared(*n)) {
                write!(
                    text,
                    "\n[[apps.hr.subscriptions]]\napproval_code = \"{number:08X}-8745-2245-9675-{number:012}\"\n\
                     name = \"Approval form {number}\"\nowner = \"team-{}\"\n",
                    number % 40
                )?;
            }
            let path = match self.files {
                1 => self.manifest(),
                _ => self.folder.path().join(format!("team-{file:04}.toml")),
            };
            fs::write(path, text)?;
        }
        Ok(())
    }
}

/// The files of a manifest.
pub fn sources(manifest: &Path) -> Result<Vec<PathBuf>> {
    if !manifest.is_dir() {
        return Ok(vec![manifest.into()]);
    }
    let mut paths = fs::read_dir(manifest)?
        .map(|entry| Ok(entry?.path()))
        .filter(|path: &Result<PathBuf>| {
            path.as_ref().map_or(true, |path| path.extension().is_some_and(|end| end == "toml"))
        })
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// The value in the middle; of an even number the upper one.
pub fn median<T: PartialOrd + Copy>(values: impl IntoIterator<Item = T>) -> Option<T> {
    let mut values: Vec<T> = values.into_iter().collect();
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values.get(values.len() / 2).copied()
}

pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

pub fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
