//! What reading and planning cost, counted and never timed: the same on a slow machine as on a quick one.
//!
//! Each bound is a little above what was counted when it was set. `cargo test --test counts -- --nocapture` prints the counts.
//! The times are those of `cargo bench`; docs/performance.md has both.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use larksub::manifest::{self, Manifest, Source};
use larksub::plan;
use larksub::state::ledger::read_file;
use larksub::state::line::{write_line, write_lines};
use larksub::state::read::{Reading, read};
use larksub::state::record::{Bind, By, FORMAT, Init, Intent, Outcome, Run, Track, Update, VERSION};
use larksub::state::{OutcomeKind, Record};
use larksub::subscription::{AppKind, AppLabel};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// The allocator counts for all threads, so that one test runs at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was allocated: how many times, how many bytes in all, and how many at once.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Heap {
    blocks: f64,
    bytes: f64,
    peak: f64,
}

/// What one entry may cost.
struct Bound {
    blocks: f64,
    bytes: f64,
    peak: f64,
}

fn counted<T>(work: impl FnOnce() -> T) -> Heap {
    let profiler = dhat::Profiler::builder().testing().trim_backtraces(Some(0)).build();
    let made = black_box(work());
    let dhat::HeapStats { total_blocks, total_bytes, max_bytes, .. } = dhat::HeapStats::get();
    drop(profiler);
    drop(made);
    Heap { blocks: total_blocks as f64, bytes: total_bytes as f64, peak: max_bytes as f64 }
}

/// Counts the work for 500, 1000 and 2000 entries, and holds what an entry more costs to the bound: what is there at the
/// start does not count. It must not cost more of many entries than of few.
fn check<I, T>(what: &str, prepare: impl Fn(usize) -> I, work: impl Fn(&I) -> T, bound: &Bound) {
    type Measure = fn(&Heap) -> f64;
    const FEW: usize = 500;
    let _alone = alone();
    let inputs = [FEW, 2 * FEW, 4 * FEW].map(prepare);
    // Whatever is made once in a process is not an entry's.
    drop(work(&inputs[0]));
    let [few, more, most] = inputs.each_ref().map(|input| counted(|| work(input)));
    let measures: [(&str, Measure, f64); 3] = [
        ("allocations", |heap| heap.blocks, bound.blocks),
        ("bytes allocated", |heap| heap.bytes, bound.bytes),
        ("bytes held at once", |heap| heap.peak, bound.peak),
    ];
    let mut broken = String::new();
    for (name, measure, most_allowed) in measures {
        let an_entry = (measure(&more) - measure(&few)) / FEW as f64;
        let a_later_entry = (measure(&most) - measure(&more)) / (2 * FEW) as f64;
        println!(
            "{what}: {an_entry:.2} {name} an entry (at most {most_allowed}), {a_later_entry:.2} from 1000 on"
        );
        if an_entry > most_allowed {
            writeln!(broken, "{what} takes {an_entry:.2} {name} an entry; the bound is {most_allowed}")
                .unwrap();
        }
        if a_later_entry > an_entry * 1.1 + 0.1 {
            writeln!(
                broken,
                "{what} is not linear: {an_entry:.2} {name} an entry up to 1000 of them, {a_later_entry:.2} from there to 2000"
            )
            .unwrap();
        }
    }
    assert!(broken.is_empty(), "\n{broken}");
}

fn code(number: usize) -> String {
    format!("{number:08X}-8745-2245-9675-{number:012}")
}

fn label() -> AppLabel {
    "hr".parse().unwrap()
}

fn at(number: usize) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(1_780_000_000_000 + number as i64).unwrap()
}

fn by() -> By<'static> {
    By {
        user: Some("mei".into()),
        host: Some("vm".into()),
        pid: Some(16_593),
        command: Some("import".into()),
        ..By::default()
    }
}

/// A ledger of so many subscriptions, as an import writes it.
fn ledger(tracked: usize) -> String {
    let init =
        Init { at: at(0), format: FORMAT.into(), version: VERSION, lineage: Uuid::from_u128(7), by: by() };
    let bind = Bind {
        at: at(0),
        app: label(),
        app_id: "cli_9dbb2dd6f5e0d104".parse().unwrap(),
        base_url: "https://open.feishu.cn".parse().unwrap(),
        kind: AppKind::Custom,
    };
    let track = |number| {
        Record::Track(Track {
            at: at(number),
            app: label(),
            tenant_key: None,
            approval_code: code(number).parse().unwrap(),
            name: Some(format!("Approval form {number}").into()),
            owner: Some(format!("team-{}", number % 40).into()),
            protect: false,
            by: by(),
        })
    };
    let records: Vec<Record<'_>> =
        std::iter::once(Record::Bind(bind)).chain((0..tracked).map(track)).collect();
    write_line(1, &[Record::Init(init)], false).unwrap() + &write_lines(2, &records).unwrap()
}

/// A ledger in which as many were dropped, each in a line with its outcome and the next one's intent.
fn history(dropped: usize) -> String {
    let mut text = ledger(dropped);
    let run = Uuid::from_u128(9);
    let intent = |number: usize| {
        Record::Intent(Intent {
            at: at(number),
            run,
            app: label(),
            tenant_key: None,
            approval_code: code(number).parse().unwrap(),
        })
    };
    let outcome = |number: usize| {
        Record::Outcome(Outcome {
            at: at(number),
            run,
            app: label(),
            tenant_key: None,
            approval_code: code(number).parse().unwrap(),
            kind: OutcomeKind::Unsubscribed,
            code: Some(0),
            msg: Some("success".into()),
            log_id: Some("0123456789ABCDEF0123456789ABCDEF".into()),
            http_status: Some(200),
            attempts: 1,
            reason: None,
        })
    };
    let begin = Run { at: at(0), run, plan_digest: "sha256:00".into(), overrides: vec![], by: by() };
    let mut batch = vec![Record::Run(begin)];
    for (seq, number) in (dropped as u64 + 3..).zip(0..dropped) {
        batch.push(intent(number));
        text.push_str(&write_line(seq, &batch, false).unwrap());
        batch = vec![outcome(number)];
    }
    text.push_str(&write_line(2 * dropped as u64 + 3, &batch, false).unwrap());
    text
}

/// The texts of a manifest that declares the codes of these numbers, in so many files.
fn sources(declared: impl Iterator<Item = usize>, files: usize) -> Vec<Source> {
    let mut texts = vec![String::new(); files];
    texts[0].push_str("[apps.hr]\napp_id = \"cli_9dbb2dd6f5e0d104\"\nbrand = \"feishu\"\n");
    for (position, number) in declared.enumerate() {
        let text = &mut texts[position % files];
        writeln!(
            text,
            "\n[[apps.hr.subscriptions]]\napproval_code = \"{}\"\nname = \"Approval form {number}\"\nowner = \"team-{}\"",
            code(number),
            number % 40
        )
        .unwrap();
    }
    let source = |(file, text): (usize, String)| Source {
        path: format!("team-{file:02}.toml"),
        bytes: text.into_bytes(),
    };
    texts.into_iter().enumerate().map(source).collect()
}

/// Of so many tracked ones each tenth is not declared.
fn to_plan(tracked: usize) -> (Manifest, Reading) {
    let manifest = manifest::parse(&sources((0..tracked).filter(|number| number % 10 != 0), 1)).unwrap();
    (manifest, read(ledger(tracked).as_bytes()).unwrap())
}

#[test]
fn reading_a_ledger_costs_each_line_the_same() {
    let bound = Bound { blocks: 5.2, bytes: 1070.0, peak: 440.0 };
    check("reading a ledger of imports", ledger, |text| read(text.as_bytes()).unwrap(), &bound);
}

#[test]
fn reading_what_became_of_calls_costs_each_drop_the_same() {
    let bound = Bound { blocks: 15.2, bytes: 2760.0, peak: 670.0 };
    check("reading a ledger of drops", history, |text| read(text.as_bytes()).unwrap(), &bound);
}

#[test]
fn what_happened_long_ago_costs_no_memory() {
    // Eight lines each, of the same ten subscriptions: all that grows is four bytes a line, its checksum.
    let bound = Bound { blocks: 42.0, bytes: 2700.0, peak: 36.0 };
    let told = |entries: usize| {
        let mut text = ledger(10);
        for (seq, number) in (13..).zip(0..entries * 8) {
            let update = Update {
                at: at(number),
                app: label(),
                tenant_key: None,
                approval_code: code(number % 10).parse().unwrap(),
                name: Some(format!("Approval form {number}").into()),
                owner: Some("team-1".into()),
                protect: false,
            };
            text.push_str(&write_line(seq, &[Record::Update(update)], false).unwrap());
        }
        assert!(text.len() > 300_000, "a small ledger is read as a whole");
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    };
    check("reading an old ledger", told, |file| read_file(file.path()).unwrap(), &bound);
}

#[test]
fn parsing_a_manifest_costs_each_entry_the_same() {
    let bound = Bound { blocks: 5.1, bytes: 3650.0, peak: 2850.0 };
    let parse = |sources: &Vec<Source>| manifest::parse(sources).unwrap();
    check("parsing a manifest", |entries| sources(0..entries, 1), parse, &bound);
}

#[test]
fn a_manifest_in_a_folder_costs_no_more_than_one_file() {
    let bound = Bound { blocks: 5.2, bytes: 4050.0, peak: 480.0 };
    let parse = |sources: &Vec<Source>| manifest::parse(sources).unwrap();
    check("parsing a folder", |entries| sources(0..entries, 20), parse, &bound);
}

#[test]
fn planning_costs_each_tracked_one_the_same() {
    let bound = Bound { blocks: 0.5, bytes: 220.0, peak: 126.0 };
    let compute = |(manifest, reading): &(Manifest, Reading)| {
        let plan = plan::compute(manifest, &reading.state, &reading.lines, &[]);
        assert!(plan.counts.drops > 0);
        plan
    };
    check("computing a plan", to_plan, compute, &bound);
}

/// What the kernel counts of the program itself, where there is a `/proc`.
#[cfg(target_os = "linux")]
mod process {
    use std::collections::BTreeSet;
    use std::fs;
    use std::io::Read as _;
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, Stdio};

    use assert_fs::TempDir;

    use super::{alone, ledger, sources};

    /// More than a pipe holds, of text that says nothing.
    const BUNDLE: usize = 1 << 20;

    /// A folder in which so many are tracked, and every other one is no longer declared.
    fn scratch(tracked: usize, files: usize) -> TempDir {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("manifest")).unwrap();
        for source in sources((0..tracked).step_by(2), files) {
            fs::write(folder.path().join("manifest").join(source.path), source.bytes).unwrap();
        }
        fs::write(folder.path().join("state.jsonl"), ledger(tracked)).unwrap();
        fs::write(folder.path().join("bundle.pem"), "#".repeat(BUNDLE)).unwrap();
        folder
    }

    fn plan(folder: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_larksub"));
        command.args(["--manifest", "manifest", "--state", "state.jsonl", "plan", "--format", "json"]);
        command.args(["--allow-drops", "1000000"]).current_dir(folder).env_clear();
        // What a client for https would read, were there one.
        command.env("SSL_CERT_FILE", folder.join("bundle.pem"));
        command
    }

    /// A program that has done all but write its result: it waits for somebody to read the rest from the pipe.
    struct Printing {
        child: Child,
        proc: PathBuf,
    }

    impl Printing {
        fn start(mut command: Command) -> Self {
            let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
            child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
            let proc = Path::new("/proc").join(child.id().to_string());
            Self { child, proc }
        }

        /// How many bytes it has read by how many system calls, or nothing where the kernel does not count.
        fn has_read(&self) -> Option<(u64, u64)> {
            let text = fs::read_to_string(self.proc.join("io")).ok()?;
            let number = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.parse().ok());
            number("rchar: ").zip(number("syscr: ")).filter(|(bytes, _)| *bytes > 0)
        }

        fn threads(&self) -> usize {
            fs::read_dir(self.proc.join("task")).unwrap().count()
        }

        /// What it has open that this process has not, apart from its three streams.
        fn has_open(&self) -> BTreeSet<String> {
            let targets = |proc: &Path, from: u32| -> BTreeSet<String> {
                let entries = fs::read_dir(proc.join("fd")).unwrap().map(|entry| entry.unwrap());
                entries
                    .filter(|entry| entry.file_name().to_str().unwrap().parse::<u32>().unwrap() >= from)
                    .filter_map(|entry| fs::read_link(entry.path()).ok())
                    .map(|target| target.display().to_string())
                    .collect()
            };
            &targets(&self.proc, 3) - &targets(Path::new("/proc/self"), 0)
        }

        /// Lets it end; what it printed, but for the first byte.
        fn end(mut self) -> String {
            let mut rest = String::new();
            self.child.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
            assert!(self.child.wait().unwrap().success());
            assert!(rest.len() > 80_000, "what is printed fits into a pipe, so the program may have ended");
            rest
        }
    }

    fn bytes(folder: &Path) -> u64 {
        let manifest = fs::read_dir(folder.join("manifest")).unwrap().map(|entry| entry.unwrap().path());
        manifest.chain([folder.join("state.jsonl")]).map(|path| fs::metadata(path).unwrap().len()).sum()
    }

    #[test]
    fn plan_reads_its_files_once_and_nothing_else() {
        let _alone = alone();
        // The program itself, its libraries, and what the system says of the machine.
        const BESIDE: u64 = 32 * 1024;
        let mut calls = Vec::new();
        for tracked in [1000, 2000] {
            let folder = scratch(tracked, 1);
            let process = Printing::start(plan(folder.path()));
            let Some((read, by_calls)) = process.has_read() else {
                eprintln!("SKIPPED: this kernel does not count what a process reads");
                process.end();
                return;
            };
            process.end();
            let files = bytes(folder.path());
            println!("plan of {tracked}: {read} bytes read by {by_calls} calls; its files have {files}");
            assert!(
                read >= files,
                "plan read {read} bytes of files that have {files}: what is mapped can change or end under its reader"
            );
            assert!(
                read <= files + BESIDE,
                "plan read {read} bytes, and its files have {files}: something is read twice, or there is a new file (a client for https reads certificates, {BUNDLE} bytes here)"
            );
            calls.push(by_calls);
        }
        assert!(
            calls[1] <= calls[0] + 2,
            "plan of 2000 reads by {} calls, of 1000 by {}: files are read piece by piece",
            calls[1],
            calls[0]
        );
    }

    #[test]
    fn plan_starts_nothing_that_only_apply_needs() {
        let _alone = alone();
        let folder = scratch(1000, 1);
        let process = Printing::start(plan(folder.path()));
        let (threads, open) = (process.threads(), process.has_open());
        process.end();
        assert_eq!(threads, 1, "plan has {threads} threads while it prints: a pool or a runtime was started");
        assert!(
            open.is_empty(),
            "plan has more open than its streams while it prints (a runtime has an event queue, a client has sockets): {open:?}"
        );
    }

    #[test]
    fn plan_opens_the_files_of_a_folder_few_at_a_time() {
        let _alone = alone();
        let folder = scratch(1000, 60);
        let plan = plan(folder.path());
        let mut limited = Command::new("/bin/sh");
        limited.args(["-c", "ulimit -n 8 && exec \"$@\"", "sh"]).arg(plan.get_program());
        limited.args(plan.get_args()).current_dir(folder.path()).env_clear();
        let output = limited.output().unwrap();
        assert!(
            output.status.success(),
            "plan of a folder of 60 files needs more than 8 open at once: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
