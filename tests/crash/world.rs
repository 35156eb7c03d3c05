//! A folder, a sandbox and the program; and what has to hold after every fault.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use assert_fs::TempDir;
use larksub::pace::IN_FLIGHT;
use larksub::sandbox::http::{Running, start};
use larksub::sandbox::{Api, Call, Config, Subscribed, Tracked};
use serde_json::Value;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_larksub");

/// How many lanes (app and tenant) the small apply has: no more calls can be in flight.
pub const LANES: usize = 3;

/// What the small apply calls for.
pub const CALLS: [&str; 6] =
    ["hr/A-DROP", "hr/B-GONE", "hr/C-LOST", "hr/D-NONE", "isv/t1/E-SERV", "isv/t2/A-DROP"];

/// A folder with a manifest and a ledger, beside a platform.
pub struct World {
    pub folder: TempDir,
    pub sandbox: Running,
}

/// How the apply is told what was reviewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approach {
    Plan,
    Digest,
    AutoApprove,
}

impl Approach {
    /// A different one for each trial.
    pub fn of(trial: usize) -> Self {
        [Self::Plan, Self::Digest, Self::AutoApprove][trial % 3]
    }
}

/// A run of the program that has ended.
#[derive(Debug)]
pub struct Ran {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn was_killed(&self) -> bool {
        self.status.signal() == Some(9)
    }

    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{}\n--- stdout\n{}", self.stderr, self.stdout);
        self
    }

    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        for word in words {
            let said = self.stderr.contains(word) || self.stdout.contains(word);
            assert!(said, "`{word}` is not said:\n{}\n--- stdout\n{}", self.stderr, self.stdout);
        }
        self
    }

    /// The outcomes that were printed: key → kind. A line that was cut off while it was printed counts as not.
    pub fn printed(&self) -> BTreeMap<String, String> {
        const KINDS: [&str; 5] = ["unsubscribed", "already_unsubscribed", "not_found", "failed", "unknown"];
        let whole = self.stdout.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let pairs = whole.filter_map(|line| {
            let mut words = line.split_whitespace();
            let (kind, key) = (words.next()?, words.next()?);
            (KINDS.contains(&kind) && key.contains('/')).then(|| (key.to_owned(), kind.to_owned()))
        });
        pairs.collect()
    }
}

/// What the ledger says of one subscription, times and ids aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub status: String,
    pub kind: Option<String>,
    pub is_unknown: bool,
    pub name: Option<String>,
    pub protect: bool,
    pub generation: u64,
}

/// The ledger as `show --format json` tells it: key → facts.
pub type Truth = BTreeMap<String, Facts>;

/// The platform of the small apply: one is gone already, one is not known, one answer is lost, one fails first.
pub fn platform() -> Config {
    let subscribed = [
        "cli_a/A-DROP",
        "cli_other/B-GONE",
        "cli_a/C-LOST",
        "cli_a/F-FORGET",
        "cli_a/K-KEEP",
        "cli_isv/t1/E-SERV",
        "cli_isv/t2/A-DROP",
    ];
    Config {
        subscribed: subscribed.map(|text| text.parse::<Subscribed>().unwrap()).to_vec(),
        faults: ["C-LOST=lost:1", "E-SERV=service_error:1"].map(|text| text.parse().unwrap()).to_vec(),
        ..Config::default()
    }
}

/// The same without the faults that cost a second of waiting.
pub fn swift_platform() -> Config {
    Config { faults: Vec::new(), ..platform() }
}

const BEFORE: &str = r#"
[apps.hr]
app_id = "cli_a"
base_url = "BASE"
subscriptions = [
  { approval_code = "A-DROP" }, { approval_code = "B-GONE" }, { approval_code = "C-LOST" },
  { approval_code = "D-NONE" }, { approval_code = "F-FORGET" }, { approval_code = "K-KEEP", name = "before" },
]
[apps.isv]
app_id = "cli_isv"
kind = "store"
base_url = "BASE"
subscriptions = [
  { tenant_key = "t1", approval_code = "E-SERV" }, { tenant_key = "t2", approval_code = "A-DROP" },
]
"#;

const AFTER: &str = r#"
[apps.hr]
app_id = "cli_a"
base_url = "BASE"
subscriptions = [{ approval_code = "K-KEEP", name = "after" }]
removed = [{ approval_code = "F-FORGET", forget = true, reason = "moved" }]
[apps.isv]
app_id = "cli_isv"
kind = "store"
base_url = "BASE"
"#;

impl World {
    /// Everything is imported and nothing is applied; `plan.json` is the reviewed plan.
    pub fn new(platform: Config) -> Self {
        let world = Self::bare(platform);
        world.prepare(&world.sandbox.base_url);
        world
    }

    /// Everything is imported, and still declared.
    pub fn imported(platform: Config) -> Self {
        let world = Self::bare(platform);
        world.import(&world.sandbox.base_url);
        world
    }

    /// An empty folder, and a platform.
    pub fn bare(platform: Config) -> Self {
        let loopback = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
        Self { folder: TempDir::new().unwrap(), sandbox: start(platform, loopback).unwrap() }
    }

    /// Imports from a platform at this address, and saves the plan to drop it all.
    pub fn prepare(&self, base_url: &str) {
        self.import(base_url);
        self.write_manifest(&AFTER.replace("BASE", base_url));
        self.run(&["plan", "--out", "plan.json", "--quiet"]).exits(0);
    }

    fn import(&self, base_url: &str) {
        self.write_manifest(&BEFORE.replace("BASE", base_url));
        self.run(&["init"]).exits(0);
        self.run(&["import", "--declared"]).exits(0);
    }

    pub fn write_manifest(&self, text: &str) {
        fs::write(self.path("larksub.toml"), text).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn ledger(&self) -> PathBuf {
        self.path("larksub.state.jsonl")
    }

    pub fn bytes(&self) -> Vec<u8> {
        fs::read(self.ledger()).unwrap()
    }

    /// The program with nothing of this process's environment, in the world's folder.
    pub fn larksub(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(args);
        self.in_here(&mut command);
        command
    }

    /// Sets the surroundings of a command that starts the program.
    pub fn in_here(&self, command: &mut Command) {
        command
            .env_clear()
            .env("USER", "tester")
            .env("LARKSUB_APP_SECRET_HR", "s")
            .env("LARKSUB_APP_SECRET_ISV", "s")
            .env("LARKSUB_APP_TICKET_ISV", "t")
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        finish(&mut self.larksub(args))
    }

    pub fn run_with(&self, args: &[&str], failpoint: &str) -> Ran {
        finish(self.larksub(args).env("LARKSUB_FAILPOINT", failpoint))
    }

    /// The arguments of an apply.
    pub fn apply(&self, approach: Approach) -> Vec<String> {
        match approach {
            Approach::Plan => vec!["apply".to_owned(), "plan.json".to_owned()],
            Approach::Digest => vec!["apply".to_owned(), "--digest".to_owned(), self.digest()],
            Approach::AutoApprove => vec!["apply".to_owned(), "--auto-approve".to_owned()],
        }
    }

    pub fn digest(&self) -> String {
        json(&fs::read_to_string(self.path("plan.json")).unwrap())["digest"].as_str().unwrap().to_owned()
    }

    /// The whole state as JSON; it has to be readable.
    #[track_caller]
    pub fn show(&self) -> Value {
        json(&self.run(&["show", "--format", "json"]).exits(0).stdout)
    }

    #[track_caller]
    pub fn truth(&self) -> Truth {
        truth(&self.show())
    }

    #[track_caller]
    pub fn plan(&self) -> Value {
        json(&self.run(&["plan", "--format", "json"]).exits(0).stdout)
    }

    /// The calls to unsubscribe that the platform saw, by key and in order.
    pub fn calls(&self) -> Vec<String> {
        self.sandbox.calls().iter().filter_map(key_of).collect()
    }

    pub fn lives(&self, key: &str) -> bool {
        self.sandbox.is_subscribed(&tracked(key))
    }

    /// What lies in the folder beside what the tests put there.
    pub fn others(&self) -> BTreeSet<String> {
        let names = fs::read_dir(self.folder.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names
            .filter(|name| !["larksub.toml", "larksub.state.jsonl", "plan.json"].contains(&&**name))
            .collect()
    }

    /// What must hold after an apply ended in any way, `ran` being that apply: the state reads, what was printed is
    /// in it, no call was sent without its intent, and no more is unknown than could be in flight. Back come the
    /// keys that are unknown.
    #[track_caller]
    pub fn check(&self, ran: &Ran) -> BTreeSet<String> {
        let truth = self.truth();
        for (key, kind) in ran.printed() {
            assert_eq!(truth[&key].kind.as_ref(), Some(&kind), "the printed outcome of {key} is lost");
        }
        let intents = intents(&self.bytes());
        for key in self.calls() {
            assert!(intents.contains(&key), "{key} was called without an intent");
        }
        let unknown: BTreeSet<String> =
            truth.iter().filter(|(_, facts)| facts.is_unknown).map(|(key, _)| key.clone()).collect();
        for lane in ["hr/", "isv/t1/", "isv/t2/"] {
            let of_lane = unknown.iter().filter(|key| key.starts_with(lane)).count();
            assert!(of_lane <= IN_FLIGHT, "more is unknown than was in flight: {unknown:?}");
        }
        unknown
    }

    /// What must hold once the small apply has ended by itself. `doubtful` were unknown at some time before: of those
    /// "gone already" may have been us.
    #[track_caller]
    pub fn check_settled(&self, doubtful: &BTreeSet<String>) {
        let (truth, expected) = (self.truth(), expected(&self.truth(), doubtful));
        assert!(truth.keys().eq(expected.keys()), "{:?}", truth.keys());
        for (key, facts) in &truth {
            assert_eq!(
                facts,
                &expected[key],
                "{key}, which was {}doubtful",
                if doubtful.contains(key) { "" } else { "not " }
            );
        }
        for key in CALLS {
            assert!(!self.lives(key), "{key} lives on");
        }
        assert!(self.lives("hr/K-KEEP") && self.lives("hr/F-FORGET"), "never called for");
        let plan = self.plan();
        let is_unknown = truth["hr/D-NONE"].is_unknown;
        let (full, empty) = if is_unknown { ("unknowns", "drops") } else { ("drops", "unknowns") };
        assert_eq!(plan[full].as_array().unwrap().iter().map(key).collect::<Vec<_>>(), ["hr/D-NONE"]);
        for empty in [empty, "forgets", "updates"] {
            assert_eq!(plan[empty].as_array().map(Vec::len), Some(0), "{plan}");
        }
        for name in self.others() {
            assert!(name.starts_with("larksub.state.jsonl.tail-"), "{name} is left over");
        }
    }
}

/// The state that a run of the small apply without a fault leaves.
fn expected(found: &Truth, doubtful: &BTreeSet<String>) -> Truth {
    let facts = |status: &str, kind: Option<&str>, name: Option<&str>| Facts {
        status: status.into(),
        kind: kind.map(Into::into),
        is_unknown: false,
        name: name.map(Into::into),
        protect: false,
        generation: 1,
    };
    let mut truth = Truth::new();
    for key in ["hr/A-DROP", "hr/C-LOST", "isv/t1/E-SERV", "isv/t2/A-DROP"] {
        truth.insert(key.into(), facts("unsubscribed", Some("unsubscribed"), None));
    }
    let gone = "hr/B-GONE";
    let was_us = found.get(gone).is_some_and(|facts| facts.kind.as_deref() == Some("unsubscribed"));
    let kind = if was_us && doubtful.contains(gone) { "unsubscribed" } else { "already_unsubscribed" };
    truth.insert(gone.into(), facts("unsubscribed", Some(kind), None));
    // "Not found" now says nothing of a call that may have been answered otherwise before.
    let is_unknown = doubtful.contains("hr/D-NONE");
    truth.insert("hr/D-NONE".into(), Facts { is_unknown, ..facts("subscribed", Some("not_found"), None) });
    truth.insert("hr/F-FORGET".into(), facts("forgotten", None, None));
    truth.insert("hr/K-KEEP".into(), facts("subscribed", None, Some("after")));
    truth
}

/// Runs a command to its end.
pub fn finish(command: &mut Command) -> Ran {
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    ended(output)
}

/// Starts a command, its output kept.
pub fn begin(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits for what was begun.
pub fn end(child: Child) -> Ran {
    ended(child.wait_with_output().unwrap())
}

fn ended(output: std::process::Output) -> Ran {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { status: output.status, stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Looks again and again until it is so.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(60), "in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

pub fn truth(view: &Value) -> Truth {
    let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
    let entries = view["subscriptions"].as_array().unwrap().iter().map(|one| {
        let facts = Facts {
            status: text(&one["status"]).unwrap(),
            kind: text(&one["outcome"]["kind"]),
            is_unknown: !one["open_intent"].is_null(),
            name: text(&one["name"]),
            protect: one["protect"].as_bool().unwrap(),
            generation: one["generation"].as_u64().unwrap(),
        };
        (key(one), facts)
    });
    entries.collect()
}

/// The key of anything with the keys of a subject.
pub fn key(subject: &Value) -> String {
    let part = |name: &str| subject[name].as_str().map(ToOwned::to_owned);
    [part("app"), part("tenant_key"), part("approval_code")]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("/")
}

/// The lines of a ledger that are whole, each as the values of its records; read without the program's own code.
pub fn lines(bytes: &[u8]) -> Vec<Vec<Value>> {
    let whole = bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    let parsed = whole.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    parsed.filter_map(|line| line["records"].as_array().cloned()).collect()
}

/// Every subject with an intent.
pub fn intents(bytes: &[u8]) -> BTreeSet<String> {
    lines(bytes).concat().iter().filter(|record| record["op"] == "intent").map(key).collect()
}

fn key_of(call: &Call) -> Option<String> {
    if call.api != Some(Api::Unsubscribe) {
        return None;
    }
    let code = call.approval_code.as_ref()?;
    Some(match &call.tenant_key {
        None => format!("hr/{code}"),
        Some(tenant) => format!("isv/{tenant}/{code}"),
    })
}

fn tracked(key: &str) -> Tracked {
    let text = key.replace("hr/", "cli_a/").replace("isv/", "cli_isv/");
    match text.parse().unwrap() {
        Subscribed::By(one) => one,
        Subscribed::ByAll(_) => panic!("{key} names no app"),
    }
}

/// Does one trial after the other, several at a time: most of a trial is waiting. Trials are numbered from 0.
pub fn trials(count: usize, trial: impl Fn(usize) + Sync) {
    const AT_ONCE: usize = 8;
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(count) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count || !failed.lock().unwrap().is_empty() {
                        return;
                    }
                    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| trial(number)));
                    if done.is_err() {
                        failed.lock().unwrap().push(number);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "failed trials: {failed:?}");
}

/// How much more is tried than in every-day tests, where somebody asks for it.
pub fn soak() -> Option<usize> {
    std::env::var("LARKSUB_SOAK").ok().map(|text| text.parse().expect("LARKSUB_SOAK is a number of trials"))
}

/// Whether a tool is on this machine and does what is asked of it.
pub fn works(command: &mut Command) -> bool {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Says loudly that something was not tested.
pub fn skipped(what: &str) {
    eprintln!("\n!!! SKIPPED: {what}\n");
}

/// The records of the recovery lines in a log.
pub fn recovery_records(log: &str) -> Vec<Value> {
    let bodies = log.lines().filter_map(|line| line.split_once("larksub-recovery: ")?.1.split_once(' '));
    bodies.flat_map(|(_, body)| json(body)["records"].as_array().cloned().unwrap()).collect()
}
