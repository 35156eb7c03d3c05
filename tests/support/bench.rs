//! An apply as a test sets it up: apps and their drops, a ledger on disk, a sandbox in memory, and what came of it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use assert_fs::TempDir;
use jiff::{SignedDuration, Timestamp};
use larksub::apply::{self, Lane, Stop, Work};
use larksub::credentials::{Credential, SecretSource};
use larksub::feishu::{App, Client, NoAnswer, Platform, Request, Response};
use larksub::manifest::{Manifest, Source, parse};
use larksub::pace::{self, Rate};
use larksub::plan::review::{Agreement, agreement};
use larksub::plan::{self, Plan};
use larksub::report::{Event, Report, Settled, Signal};
use larksub::sandbox::{Api, Call, Config, Memory, Tracked};
use larksub::state::ledger::{Locking, read_file};
use larksub::state::line::read_line;
use larksub::state::record::{By, Forget};
use larksub::state::{Ledger, OutcomeKind, Record, Status};
use larksub::subscription::{AppKind, BaseUrl};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::script;

/// Where every app of a bench lives.
const BASE_URL: &str = "https://sandbox.invalid";

thread_local! {
    static START: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The wall clock of the records, which runs with tokio's.
fn now() -> Timestamp {
    let start = START.get().unwrap_or_else(Instant::now);
    let elapsed = SignedDuration::try_from(start.elapsed()).unwrap();
    "2026-06-01T00:00:00Z".parse::<Timestamp>().unwrap() + elapsed
}

/// An apply to be.
pub struct Bench {
    folder: TempDir,
    config: Option<Config>,
    client: Option<Client<Witness>>,
    apps: BTreeMap<String, Section>,
    told: String,
    signal: Option<(Duration, Signal)>,
    /// Makes the ledger unwritable once that many calls were sent.
    pub breaks: Option<Breaks>,
}

/// How a ledger ends, and as which call is sent.
#[derive(Debug, Clone, Copy)]
pub struct Breaks {
    pub after: usize,
    pub how: fn(&Path),
}

struct Section {
    app_id: String,
    kind: AppKind,
    rate_per_minute: u32,
    credential: Credential,
    believes_misses: bool,
    forgotten: Vec<String>,
}

/// What came of an apply.
pub struct Ran {
    pub report: Report,
    pub events: Vec<Event>,
    /// Every call of this run as the sandbox saw it.
    pub calls: Vec<Call>,
    /// From the first call to the last answer's record.
    pub elapsed: Duration,
    pub estimate: Duration,
    /// What is left to do.
    pub plan: Plan,
    /// How many lines the ledger has grown by; each of them cost a sync.
    pub lines: u64,
    /// The most calls that were under way at once, in any run so far.
    pub most_at_once: usize,
}

impl Bench {
    pub fn new(config: Config) -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            config: Some(config),
            client: None,
            apps: BTreeMap::new(),
            told: String::new(),
            signal: None,
            breaks: None,
        }
    }

    pub fn app(mut self, label: &str, app_id: &str, kind: AppKind) -> Self {
        let store = if kind == AppKind::Store { " store" } else { "" };
        let _ = writeln!(self.told, "bind {label} {app_id} {BASE_URL}{store}");
        let secret = SecretSource::Value("right".into());
        let credential = match kind {
            AppKind::Custom => Credential::Secret(secret),
            AppKind::Store => {
                Credential::SecretAndTicket { secret, ticket: SecretSource::Value("ticket".into()) }
            }
        };
        let section = Section {
            app_id: app_id.into(),
            kind,
            rate_per_minute: 100,
            credential,
            believes_misses: true,
            forgotten: Vec::new(),
        };
        self.apps.insert(label.into(), section);
        self
    }

    fn section(&mut self, label: &str) -> &mut Section {
        self.apps.get_mut(label).unwrap()
    }

    pub fn rate(mut self, label: &str, rate_per_minute: u32) -> Self {
        self.section(label).rate_per_minute = rate_per_minute;
        self
    }

    /// Tracked and subscribed, and not declared.
    pub fn drops(mut self, label: &str, tenant: Option<&str>, codes: &[String]) -> Self {
        let app_id = self.section(label).app_id.clone();
        for code in codes {
            let place = tenant.map_or_else(|| code.clone(), |tenant| format!("{tenant}/{code}"));
            let _ = writeln!(self.told, "track {label}/{place}");
            let subscribed = format!("{app_id}/{place}").parse().unwrap();
            self.config.as_mut().unwrap().subscribed.push(subscribed);
        }
        self
    }

    /// Tracked, and to be forgotten.
    pub fn forgets(mut self, label: &str, codes: &[String]) -> Self {
        for code in codes {
            let _ = writeln!(self.told, "track {label}/{code}");
        }
        self.section(label).forgotten.extend_from_slice(codes);
        self
    }

    /// The app brings a token of its own instead of its secret.
    pub async fn ready_made(mut self, label: &str) -> Self {
        self.start();
        let client = self.client.as_ref().unwrap();
        let app_id = self.apps[label].app_id.clone();
        let json = format!(r#"{{"app_id":"{app_id}","app_secret":"right"}}"#);
        let request = Request {
            method: larksub::feishu::Method::Post,
            path: "/open-apis/auth/v3/tenant_access_token/internal".into(),
            bearer: None,
            json: Some(json.into()),
        };
        let answer = client.platform().send(&BASE_URL.parse().unwrap(), request).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        let token = body["tenant_access_token"].as_str().unwrap();
        let section = self.section(label);
        section.credential = Credential::Token(SecretSource::Value(token.into()));
        section.believes_misses = false;
        self
    }

    /// `--allow-misses`.
    pub fn believes(mut self, label: &str) -> Self {
        self.section(label).believes_misses = true;
        self
    }

    pub fn signal(mut self, after: Duration, signal: Signal) -> Self {
        self.signal = Some((after, signal));
        self
    }

    pub fn set_signal(&mut self, signal: Option<(Duration, Signal)>) {
        self.signal = signal;
    }

    pub fn state_path(&self) -> PathBuf {
        self.folder.path().join("larksub.state.jsonl")
    }

    /// Writes the ledger and starts the sandbox, once.
    fn start(&mut self) {
        let Some(config) = self.config.take() else { return };
        fs::write(self.state_path(), script::ledger(&self.told)).unwrap();
        let witness = Witness {
            memory: Memory::new(config),
            ledger: self.state_path(),
            read: RefCell::new(Seen::default()),
            sent: Cell::new(0),
            in_flight: Cell::new(0),
            most_at_once: Cell::new(0),
            breaks: self.breaks,
        };
        self.client = Some(Client::new(witness));
    }

    fn manifest(&self) -> Manifest {
        let mut toml = String::from("[policy]\nmax_drop_percent = 100\n");
        for (label, section) in &self.apps {
            let Section { app_id, kind, rate_per_minute, forgotten, .. } = section;
            let _ = writeln!(
                toml,
                "[apps.{label}]\napp_id = \"{app_id}\"\nbase_url = \"{BASE_URL}\"\nkind = \"{}\"\nrate_per_minute = {rate_per_minute}",
                kind.as_str()
            );
            for code in forgotten {
                let _ = writeln!(toml, "[[apps.{label}.removed]]\napproval_code = \"{code}\"\nforget = true");
            }
        }
        parse(&[Source { path: "larksub.toml".into(), bytes: toml.into() }]).unwrap()
    }

    /// What there is to do.
    pub fn plan(&mut self) -> Plan {
        self.start();
        let reading = read_file(&self.state_path()).unwrap();
        plan::compute(&self.manifest(), &reading.state, &reading.lines, &[])
    }

    pub fn agreement(&mut self, reviewed: &str) -> Agreement {
        let (plan, manifest) = (self.plan(), self.manifest());
        agreement(reviewed, &plan, &manifest, &read_file(&self.state_path()).unwrap().state)
    }

    fn work(&self, plan: &Plan, digest: &str) -> Work {
        let mut apps: BTreeMap<&str, Rc<App>> = BTreeMap::new();
        let mut lanes: Vec<Lane> = Vec::new();
        let state = read_file(&self.state_path()).unwrap().state;
        let mut sent_before = state.calls_of_last_minute(now());
        for call in plan.planned_calls() {
            let section = &self.apps[call.app.as_str()];
            let app = apps.entry(call.app.as_str()).or_insert_with(|| {
                Rc::new(App {
                    label: call.app.clone(),
                    app_id: section.app_id.parse().unwrap(),
                    base_url: BASE_URL.parse().unwrap(),
                    kind: section.kind,
                    credential: section.credential.clone(),
                })
            });
            let same =
                |lane: &Lane| lane.app.label == *call.app && lane.tenant_key.as_ref() == call.tenant_key;
            if !lanes.iter().any(same) {
                lanes.push(Lane {
                    app: Rc::clone(app),
                    tenant_key: call.tenant_key.cloned(),
                    rate: Rate::PerMinute(section.rate_per_minute),
                    sent_before: state
                        .app_labelled(call.app)
                        .and_then(|(index, _)| sent_before.remove(&(index, call.tenant_key)))
                        .unwrap_or_default(),
                    believes_misses: section.believes_misses,
                    calls: Vec::new(),
                });
            }
            let lane = lanes.iter_mut().find(|lane| same(lane)).unwrap();
            lane.calls.push(apply::Call {
                approval_code: call.approval_code.clone(),
                name: call.name.map(ToOwned::to_owned),
                was_sent: call.was_sent,
            });
        }
        let forgets = plan.forgets.iter().map(|forget| Forget {
            at: now(),
            run: None,
            app: forget.app.clone(),
            tenant_key: forget.tenant_key.clone(),
            approval_code: forget.approval_code.clone(),
            reason: None,
            by: By::default(),
        });
        Work {
            plan_digest: digest.into(),
            overrides: Vec::new(),
            by: script::teller(),
            binds: Vec::new(),
            updates: Vec::new(),
            forgets: forgets.collect(),
            lanes,
            unsettled: plan.unsettled(),
        }
    }

    /// Plans and applies, once.
    pub async fn run(mut self) -> Ran {
        self.run_once().await
    }

    /// Plans and applies what is left.
    pub async fn run_once(&mut self) -> Ran {
        let digest = self.plan().digest;
        self.run_reviewed(&digest).await
    }

    /// Applies what is left, under a digest that was reviewed.
    pub async fn run_reviewed(&mut self, digest: &str) -> Ran {
        let plan = self.plan();
        let work = self.work(&plan, digest);
        let loads: Vec<(u64, u32)> = work
            .lanes
            .iter()
            .map(|lane| (lane.calls.len() as u64, self.apps[lane.app.label.as_str()].rate_per_minute))
            .collect();
        let client = self.client.as_ref().unwrap();
        client.platform().look();
        let lines_before = read_file(&self.state_path()).unwrap().lines.count();
        let calls_before = client.platform().memory.calls().len();
        let (ledger, _, _) =
            Ledger::open(&self.state_path(), Locking { wait: Duration::ZERO, trusts_network: false })
                .unwrap();
        let (events, mut received) = mpsc::unbounded_channel();
        let (stop, signals) = watch::channel(None);
        let start = Instant::now();
        if START.get().is_none() {
            START.set(Some(start));
        }
        if let Some((after, signal)) = self.signal {
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                stop.send_replace(Some(signal));
            });
        }
        let report =
            apply::run(work, client, ledger, now, &events, Stop { signal: signals, parent: None }).await;
        let elapsed = start.elapsed();
        let calls = client.platform().memory.calls().split_off(calls_before);
        let mut told = Vec::new();
        while let Ok(event) = received.try_recv() {
            told.push(event);
        }
        let lines = read_file(&self.state_path()).unwrap().lines.count() - lines_before;
        let most_at_once = client.platform().most_at_once.get();
        let estimate = pace::estimate(&loads);
        let after = self.plan();
        let ran = Ran { report, events: told, calls, elapsed, estimate, plan: after, lines, most_at_once };
        self.check(&plan, &ran);
        ran
    }

    /// What must hold after every run, whatever became of it.
    fn check(&self, planned: &Plan, ran: &Ran) {
        let client = self.client.as_ref().unwrap();
        let reading = read_file(&self.state_path()).unwrap();
        let state = &reading.state;
        let report = &ran.report;
        let mut keys = BTreeSet::new();
        for settled in &report.settled {
            assert!(keys.insert(settled.key.to_string()), "{} settled twice", settled.key);
            let (app, _) = state.app_labelled(&settled.key.app).unwrap();
            let key = &settled.key;
            let known = state.subscription(app, key.tenant_key.as_ref(), &key.approval_code).unwrap();
            let outcome = known.outcome.as_ref().unwrap();
            assert_eq!(
                (outcome.kind, Some(outcome.run), outcome.attempts),
                (settled.kind, report.run, settled.attempts)
            );
            let is_gone =
                matches!(settled.kind, OutcomeKind::Unsubscribed | OutcomeKind::AlreadyUnsubscribed);
            assert_eq!(known.status == Status::Unsubscribed, is_gone, "{key}");
            assert_eq!(
                known.is_tracked() && known.open_intent().is_some(),
                {
                    let was_lost = planned.unknowns.iter().any(|unknown| unknown.key() == *key);
                    settled.kind == OutcomeKind::Unknown || (was_lost && !is_gone)
                },
                "{key}"
            );
            // Nothing is written down as gone that still lives at the platform, and nothing as refused that is gone.
            let one = Tracked {
                app_id: self.apps[key.app.as_str()].app_id.parse().unwrap(),
                tenant_key: key.tenant_key.clone(),
                approval_code: key.approval_code.clone(),
            };
            if settled.kind == OutcomeKind::Unsubscribed {
                assert!(!client.platform().memory.is_subscribed(&one), "{key} still lives");
            }
        }
        for pending in &report.pending {
            assert!(keys.insert(pending.to_string()), "{pending} is settled and pending");
            let planned_as_unknown = planned.unknowns.iter().any(|unknown| unknown.key() == *pending);
            let (app, _) = state.app_labelled(&pending.app).unwrap();
            let known = state.subscription(app, pending.tenant_key.as_ref(), &pending.approval_code).unwrap();
            assert_eq!(known.open_intent().is_some(), planned_as_unknown, "{pending} was never sent");
        }
        if report.unrecorded.is_none() {
            assert_eq!(keys.len() as u64, planned.calls, "every call is settled or pending");
            if let Some(run) = report.run {
                assert_eq!(state.run_facts(&run).unwrap().end, Some(report.how));
            }
        }
        let told = ran.events.iter().filter(|event| matches!(event, Event::Settled { .. })).count();
        assert_eq!(told, report.settled.len());
    }
}

impl Ran {
    #[track_caller]
    pub fn settled(&self, key: &str) -> &Settled {
        let found = self.report.settled.iter().find(|settled| settled.key.to_string() == key);
        found.unwrap_or_else(|| panic!("{key} is not settled: {:?}", self.report))
    }

    #[track_caller]
    pub fn assert_all(&self, kind: OutcomeKind, count: usize) -> &Self {
        assert_eq!(
            (self.report.count(kind) as usize, self.report.settled.len()),
            (count, count),
            "{:?}",
            self.report.settled.last()
        );
        self
    }

    #[track_caller]
    pub fn assert_nothing_left(&self) -> &Self {
        assert!(
            !self.plan.has_changes && self.plan.calls == 0 && self.plan.unknowns.is_empty(),
            "{:?}",
            self.plan
        );
        self
    }

    pub fn unsubscribes(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(|call| call.api == Some(Api::Unsubscribe))
    }

    /// How often a code arrived.
    pub fn sent(&self, code: &str) -> usize {
        let of = |call: &&Call| call.approval_code.as_ref().is_some_and(|found| found.as_str() == code);
        self.unsubscribes().filter(of).count()
    }

    pub fn paused(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, Event::Paused { .. })).count()
    }

    /// The most calls of one app and tenant that arrived in any 60 s.
    pub fn busiest_minute(&self) -> usize {
        let mut lanes: BTreeMap<_, Vec<Duration>> = BTreeMap::new();
        for call in self.unsubscribes() {
            lanes.entry((&call.app_id, &call.tenant_key)).or_default().push(call.at);
        }
        let minute = Duration::from_secs(60);
        let busiest = lanes.values().flat_map(|at| {
            (0..at.len())
                .map(|first| at[first..].iter().take_while(|then| **then - at[first] < minute).count())
        });
        busiest.max().unwrap_or(0)
    }
}

/// The sandbox, behind somebody who has read the ledger.
#[derive(Debug)]
pub struct Witness {
    pub memory: Memory,
    ledger: PathBuf,
    read: RefCell<Seen>,
    sent: Cell<usize>,
    in_flight: Cell<usize>,
    most_at_once: Cell<usize>,
    breaks: Option<Breaks>,
}

/// What the ledger has said so far: of each code, how many intents of the newest run are without an outcome.
/// Codes of different tenants should differ, since a call does not say its tenant.
#[derive(Debug, Default)]
struct Seen {
    offset: u64,
    intents: BTreeMap<(String, Option<String>, String), i64>,
}

impl Witness {
    /// Reads what was appended to the ledger since.
    fn look(&self) {
        let mut seen = self.read.borrow_mut();
        let mut file = fs::File::open(&self.ledger).unwrap();
        file.seek(SeekFrom::Start(seen.offset)).unwrap();
        let mut new = Vec::new();
        file.read_to_end(&mut new).unwrap();
        let whole = new.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        seen.offset += whole as u64;
        for line in new[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            for record in read_line(line).unwrap().records {
                let (key, step) = match record {
                    Record::Intent(of) => (
                        (
                            of.app.to_string(),
                            of.tenant_key.map(|key| key.to_string()),
                            of.approval_code.to_string(),
                        ),
                        1,
                    ),
                    Record::Outcome(of) => (
                        (
                            of.app.to_string(),
                            of.tenant_key.map(|key| key.to_string()),
                            of.approval_code.to_string(),
                        ),
                        -1,
                    ),
                    // What an earlier run left open says nothing of this one's calls.
                    Record::Run(_) => {
                        seen.intents.clear();
                        continue;
                    }
                    _ => continue,
                };
                let open = seen.intents.get(&key).copied().unwrap_or(0) + step;
                // Only what is open is kept: every call looks through it.
                if open == 0 {
                    seen.intents.remove(&key);
                } else {
                    seen.intents.insert(key, open);
                }
            }
        }
    }
}

impl Platform for Witness {
    async fn send(&self, base_url: &BaseUrl, request: Request) -> Result<Response, NoAnswer> {
        if request.path.ends_with("/unsubscribe") {
            self.look();
            let code = request.path.split('/').nth_back(1).unwrap().to_owned();
            let seen = self.read.borrow();
            let open = seen.intents.iter().any(|((_, _, of), open)| *of == code && *open == 1);
            assert!(open, "{code} was sent without an intent in the ledger");
            drop(seen);
            self.sent.set(self.sent.get() + 1);
            if let Some(Breaks { after, how }) = self.breaks
                && self.sent.get() == after
            {
                how(&self.ledger);
            }
        }
        self.in_flight.set(self.in_flight.get() + 1);
        self.most_at_once.set(self.most_at_once.get().max(self.in_flight.get()));
        let answer = self.memory.send(base_url, request).await;
        self.in_flight.set(self.in_flight.get() - 1);
        answer
    }
}
