//! What a plan costs: `cargo bench --bench plan`, or `cargo bench --bench plan -- 1000 10000` for these sizes only.
//!
//! Each row runs `larksub plan` and its floor in turn, as whole processes. The floor reads the same files, parses
//! them by the same crates, and drops what it has parsed: no checksum, no rule of the manifest, no plan, no output.

mod support;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use larksub::render::grouped;
use serde::Deserialize;
use support::{MEASURE, Result, Run, Sample, Scratch, median, mib, milliseconds};
use toml::de::DeTable;

const SIZES: [usize; 4] = [1000, 10_000, 100_000, 1_000_000];

/// The size that is also measured as a folder, and as a ledger by itself; into how many files it is divided.
const FOLDER: (usize, usize) = (100_000, 100);

/// How long the pairs of a row may take, as long as there are three of them; and how many there are at most.
const ROW: Duration = Duration::from_secs(8);
const MOST_PAIRS: usize = 21;

const FLOOR: &str = "--floor";

fn main() -> Result<()> {
    let mut arguments = env::args_os().skip(1).peekable();
    match arguments.peek().and_then(|first| first.to_str()) {
        Some(MEASURE) => support::measure(arguments.skip(1)),
        Some(FLOOR) => floor(&arguments.skip(1).map(PathBuf::from).collect::<Vec<_>>()),
        _ if support::is_meant() => bench(&sizes(arguments)?, FOLDER, MOST_PAIRS),
        _ => bench(&[100], (100, 4), 1),
    }
}

fn sizes(arguments: impl Iterator<Item = OsString>) -> Result<Vec<usize>> {
    let given: Vec<usize> = arguments
        .filter(|argument| argument != "--bench")
        .map(|size| size.to_string_lossy().replace(['_', ','], "").parse())
        .collect::<std::result::Result<_, _>>()
        .map_err(|error| format!("a size is a number of tracked subscriptions: {error}"))?;
    Ok(if given.is_empty() { SIZES.into() } else { given })
}

fn bench(sizes: &[usize], (folder_size, files): (usize, usize), most_pairs: usize) -> Result<()> {
    println!(
        "| tracked | manifest + ledger, MB | pairs | `larksub plan`, ms | floor, ms | plan ÷ floor | `larksub plan`, peak MiB | floor, peak MiB | plan ÷ floor |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let mut ledger = None;
    for &size in sizes {
        let scratch = Scratch::new(size, 1)?;
        row(&grouped(size as u64), &scratch, most_pairs)?;
        if size == folder_size {
            row(
                &format!("{}, in {files} files", grouped(size as u64)),
                &Scratch::new(size, files)?,
                most_pairs,
            )?;
            ledger = Some(fs::read(scratch.ledger())?);
        }
    }
    if let Some(bytes) = ledger {
        println!();
        reading(&bytes, most_pairs.min(9))?;
    }
    Ok(())
}

fn row(name: &str, scratch: &Scratch, most_pairs: usize) -> Result<()> {
    let plan = scratch.larksub(["plan"]);
    let files = [scratch.ledger()].into_iter().chain(support::sources(&scratch.manifest())?);
    let floor = Run::new(env::current_exe()?, [FLOOR.into()].into_iter().chain(files.map(OsString::from)));
    let start = Instant::now();
    let mut pairs = vec![(plan.sample()?, floor.sample()?)];
    let fitting = ROW.as_nanos() / start.elapsed().as_nanos().max(1);
    let count = usize::try_from(fitting)?.max(3).min(most_pairs);
    while pairs.len() < count {
        pairs.push((plan.sample()?, floor.sample()?));
    }
    let middle = |value: fn(&(Sample, Sample)) -> f64| median(pairs.iter().map(value)).unwrap_or(f64::NAN);
    let (manifest, ledger) = scratch.megabytes()?;
    println!(
        "| {name} | {manifest:.1} + {ledger:.1} | {} | {:.1} | {:.1} | {:.2} | {:.1} | {:.1} | {:.2} |",
        pairs.len(),
        middle(|(plan, _)| milliseconds(plan.wall)),
        middle(|(_, floor)| milliseconds(floor.wall)),
        middle(|(plan, floor)| plan.wall.as_secs_f64() / floor.wall.as_secs_f64()),
        middle(|(plan, _)| mib(plan.peak_kib)),
        middle(|(_, floor)| mib(floor.peak_kib)),
        middle(|(plan, floor)| plan.peak_kib as f64 / floor.peak_kib as f64),
    );
    Ok(())
}

/// The floor of a plan. The first file is the ledger, the others are the manifest's. Only one of them is held at a
/// time, and of the ledger only one line as it is parsed.
fn floor(files: &[PathBuf]) -> Result<()> {
    let (ledger, manifest) = files.split_first().ok_or("no files")?;
    for path in manifest {
        floor_of_manifest(path)?;
    }
    parse::<Line<'_>>(&fs::read(ledger)?)
}

fn floor_of_manifest(path: &Path) -> Result<()> {
    let text = fs::read_to_string(path)?;
    black_box(DeTable::parse(&text).map_err(|error| error.to_string())?);
    Ok(())
}

fn lines(ledger: &[u8]) -> impl Iterator<Item = &[u8]> {
    ledger.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

/// A line of the ledger as a derived type of borrowed texts, the fastest that serde_json reads: times, UUIDs and
/// labels are not looked into, and no two records have types of their own.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "seq")]
    _seq: u64,
    #[serde(borrow, rename = "records")]
    _records: Vec<Record<'a>>,
    #[serde(rename = "crc")]
    _crc: &'a str,
}

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(rename = "op")]
    _op: &'a str,
    #[serde(rename = "at")]
    _at: &'a str,
    #[serde(rename = "app")]
    _app: Option<&'a str>,
    #[serde(rename = "approval_code")]
    _approval_code: Option<&'a str>,
    #[serde(rename = "name")]
    _name: Option<&'a str>,
    #[serde(rename = "owner")]
    _owner: Option<&'a str>,
    #[serde(rename = "by")]
    _by: Option<By<'a>>,
}

#[derive(Deserialize)]
struct By<'a> {
    #[serde(rename = "user")]
    _user: Option<&'a str>,
    #[serde(rename = "host")]
    _host: Option<&'a str>,
    #[serde(rename = "pid")]
    _pid: Option<u32>,
    #[serde(rename = "command")]
    _command: Option<&'a str>,
}

type Way = fn(&[u8]) -> Result<()>;

const WAYS: [(&str, Way); 3] = [
    ("larksub: checksums, order, types, the state they add up to", read),
    ("the floor: serde_json, a derived type that borrows, dropped", |ledger| parse::<Line<'_>>(ledger)),
    ("serde_json, `Value`, dropped", |ledger| parse::<serde_json::Value>(ledger)),
];

fn read(ledger: &[u8]) -> Result<()> {
    black_box(larksub::state::read::read(ledger)?);
    Ok(())
}

fn parse<'a, T: Deserialize<'a>>(ledger: &'a [u8]) -> Result<()> {
    for line in lines(ledger) {
        black_box(serde_json::from_slice::<T>(line)?);
    }
    Ok(())
}

/// Reading a ledger from memory, in this process; each way in turn, the best time of each.
fn reading(bytes: &[u8], rounds: usize) -> Result<()> {
    let mut best = [Duration::MAX; WAYS.len()];
    for _ in 0..rounds {
        for (best, (_, way)) in best.iter_mut().zip(WAYS) {
            let start = Instant::now();
            way(bytes)?;
            *best = start.elapsed().min(*best);
        }
    }
    let rate = best.map(|time| bytes.len() as f64 / 1e6 / time.as_secs_f64());
    let [ours, typed, _] = rate;
    let count = grouped(lines(bytes).count() as u64);
    println!("| reading a ledger of {count} lines | MB/s | the floor's time × |");
    println!("| --- | --- | --- |");
    for ((name, _), rate) in WAYS.iter().zip(rate) {
        println!("| {name} | {rate:.0} | {:.2} |", typed / rate);
    }
    println!("\nreading takes {:.2} times as long as its floor", typed / ours);
    Ok(())
}
