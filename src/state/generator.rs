//! Random ledgers for tests: a small model that knows what may come next turns choices into records that can
//! follow each other, and says, by rules of its own, what they add up to.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::Index;
use uuid::Uuid;

use super::line::write_line;
use super::record::{Bind, By, End, FORMAT, Forget, Init, Intent, Outcome, Run, Track, Update, VERSION};
use super::{How, OutcomeKind, Override, OverrideFlag, Record, Status, Str};
use crate::subscription::{AppKind, AppLabel, ApprovalCode, TenantKey};

/// Foreign strings, the nastier ones included.
pub(crate) fn text() -> impl Strategy<Value = String> {
    const HOSTILE: &[&str] = &[
        "",
        "Leave request",
        "请假申请",
        "a\nb\r\n",
        "\u{1b}[2J\u{9b}31m",
        "\u{202e}gnp.exe",
        "\u{200b}\u{feff}\u{2028}\u{2029}",
        "::error::x",
        "##[error]x",
        "\0",
        "\"},{\"op\":\"end\"",
        "\",\"crc\":\"00000000\"}",
        "],\"more\":true",
        "{\"seq\":1,\"records\":[]",
        "\n  \"facts\": {",
        "\n  \"checksum\": \"",
        "\\u0000\\",
        "\u{10ffff}\u{e0001}",
        "e\u{301}",
    ];
    prop_oneof![
        3 => prop::sample::select(HOSTILE).prop_map(ToOwned::to_owned),
        1 => prop::collection::vec(any::<char>(), 0..8).prop_map(|chars| chars.into_iter().collect()),
    ]
}

fn str() -> impl Strategy<Value = Str<'static>> {
    text().prop_map(Str::from)
}

fn identifier(first: &'static str, rest: &'static str) -> impl Strategy<Value = String> {
    let of = |set: &'static str| prop::sample::select(set.chars().collect::<Vec<_>>());
    (of(first), prop::collection::vec(of(rest), 0..63))
        .prop_map(|(first, rest)| std::iter::once(first).chain(rest).collect())
}

fn label() -> impl Strategy<Value = AppLabel> {
    identifier("abz", "abxyz019-").prop_map(|text| text.parse().unwrap())
}

fn code() -> impl Strategy<Value = ApprovalCode> {
    identifier("AaZ09-", "AaZz09-").prop_map(|text| text.parse().unwrap())
}

fn tenant() -> impl Strategy<Value = Option<TenantKey>> {
    prop::option::of(identifier("at0_-", "aZ09_-").prop_map(|text| text.parse().unwrap()))
}

fn at() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        Just(Timestamp::MIN),
        Just(Timestamp::MAX),
        Just(Timestamp::UNIX_EPOCH),
        (0_i64..4_000_000_000, 0_i32..1_000_000_000)
            .prop_map(|(seconds, nanos)| Timestamp::new(seconds, nanos).unwrap()),
    ]
}

fn uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn by() -> impl Strategy<Value = By<'static>> {
    let text = || prop::option::of(str());
    (text(), text(), any::<Option<u32>>(), text(), text(), text()).prop_map(
        |(user, host, pid, command, ci_url, commit)| By { user, host, pid, command, ci_url, commit },
    )
}

fn overrides() -> impl Strategy<Value = Vec<Override>> {
    use OverrideFlag::{AllowDrops, AllowHandover, AllowMisses};
    let flag = prop::sample::select(vec![AllowDrops, AllowHandover, AllowMisses]);
    prop::collection::vec((flag, text()).prop_map(|(flag, value)| Override { flag, value }), 0..3)
}

fn kind() -> impl Strategy<Value = AppKind> {
    prop::sample::select(vec![AppKind::Custom, AppKind::Store])
}

fn outcome_kind() -> impl Strategy<Value = OutcomeKind> {
    use OutcomeKind::{AlreadyUnsubscribed, Failed, NotFound, Unknown, Unsubscribed};
    prop::sample::select(vec![Unsubscribed, AlreadyUnsubscribed, NotFound, Failed, Unknown])
}

/// Any record at all, whether or not it could follow another one.
pub(crate) fn record() -> impl Strategy<Value = Record<'static>> {
    let text = || prop::option::of(str());
    let place = || (at(), label(), tenant(), code());
    prop_oneof![
        (at(), str(), any::<u32>(), uuid(), by()).prop_map(
            |(at, format, version, lineage, by)| Record::Init(Init { at, format, version, lineage, by })
        ),
        (at(), label(), code(), kind()).prop_map(|(at, app, id, kind)| Record::Bind(Bind {
            at,
            app,
            app_id: id.as_str().parse().unwrap(),
            base_url: "https://open.feishu.cn".parse().unwrap(),
            kind,
        })),
        (place(), text(), text(), any::<bool>(), by()).prop_map(
            |((at, app, tenant_key, approval_code), name, owner, protect, by)| Record::Track(Track {
                at,
                app,
                tenant_key,
                approval_code,
                name,
                owner,
                protect,
                by
            })
        ),
        (place(), text(), text(), any::<bool>()).prop_map(
            |((at, app, tenant_key, approval_code), name, owner, protect)| Record::Update(Update {
                at,
                app,
                tenant_key,
                approval_code,
                name,
                owner,
                protect
            })
        ),
        (place(), prop::option::of(uuid()), text(), by()).prop_map(
            |((at, app, tenant_key, approval_code), run, reason, by)| Record::Forget(Forget {
                at,
                run,
                app,
                tenant_key,
                approval_code,
                reason,
                by
            })
        ),
        (at(), uuid(), str(), overrides(), by()).prop_map(|(at, run, plan_digest, overrides, by)| {
            Record::Run(Run { at, run, plan_digest, overrides, by })
        }),
        (place(), uuid()).prop_map(|((at, app, tenant_key, approval_code), run)| Record::Intent(Intent {
            at,
            run,
            app,
            tenant_key,
            approval_code
        })),
        (
            (place(), uuid(), outcome_kind()),
            (any::<Option<i64>>(), text(), text(), any::<Option<u16>>(), any::<u32>(), text())
        )
            .prop_map(|(((at, app, tenant_key, approval_code), run, kind), rest)| {
                let (code, msg, log_id, http_status, attempts, reason) = rest;
                Record::Outcome(Outcome {
                    at,
                    run,
                    app,
                    tenant_key,
                    approval_code,
                    kind,
                    code,
                    msg,
                    log_id,
                    http_status,
                    attempts,
                    reason,
                })
            }),
        (at(), uuid(), prop::sample::select(vec![How::Done, How::Stopped, How::Interrupted, How::Failed]))
            .prop_map(|(at, run, how)| Record::End(End { at, run, how })),
    ]
}

/// What was written and synced at once.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Batch {
    pub records: Vec<Record<'static>>,
    /// A line a record, as an import writes; otherwise one line for all.
    pub a_line_each: bool,
}

/// A ledger that could have come about, and what the model says of it after each batch.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    pub batches: Vec<Batch>,
    /// After each batch: every subscription by app id, tenant and code.
    pub expected: Vec<BTreeMap<Place, Expected>>,
}

/// An app's id, a tenant, a code.
pub(crate) type Place = (String, Option<String>, String);

/// What the model says of a subscription.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expected {
    pub status: Status,
    pub generation: u64,
    pub open_intent: Option<Uuid>,
    pub last_run: Option<Uuid>,
    pub name: Option<String>,
    pub protect: bool,
}

/// The lines of batches, each with whether it ends its batch.
pub(crate) fn lines(batches: &[Batch]) -> Vec<(String, bool)> {
    let mut lines: Vec<(String, bool)> = Vec::new();
    for batch in batches {
        let chunks: Vec<&[Record<'static>]> =
            if batch.a_line_each { batch.records.chunks(1).collect() } else { vec![&batch.records] };
        let last = chunks.len() - 1;
        for (position, records) in chunks.into_iter().enumerate() {
            let seq = lines.len() as u64 + 1;
            lines.push((write_line(seq, records, position < last).unwrap(), position == last));
        }
    }
    lines
}

/// The apps of the model: id, place, kind. The last one is a store app.
pub(crate) const APPS: [(&str, &str, AppKind); 3] = [
    ("cli_hr", "https://open.feishu.cn", AppKind::Custom),
    ("cli_hr", "https://open.larksuite.com", AppKind::Custom),
    ("cli_isv", "https://open.feishu.cn", AppKind::Store),
];
pub(crate) const LABELS: [&str; 5] = ["hr", "it", "isv", "ops", "finance"];
pub(crate) const CODES: [&str; 5] = ["A-1", "a-1", "B-2", "7C468A54-8745-2245-9675-08B7C63E7A85", "-"];
pub(crate) const TENANTS: [&str; 2] = ["t1", "T1"];

/// The lineage of every generated ledger.
pub(crate) const LINEAGE: Uuid = Uuid::from_u128(0x11ea9e);

/// What the model is asked to do next; what cannot come next is passed over.
#[derive(Debug, Clone)]
struct Choice {
    what: u8,
    which: Index,
    other: Index,
    name: Option<String>,
    protect: bool,
    kind: OutcomeKind,
}

fn choice() -> impl Strategy<Value = Choice> {
    (0_u8..30, any::<Index>(), any::<Index>(), prop::option::of(text()), any::<bool>(), outcome_kind())
        .prop_map(|(what, which, other, name, protect, kind)| Choice {
            what,
            which,
            other,
            name,
            protect,
            kind,
        })
}

/// A random ledger of up to `most` choices after its first line.
pub(crate) fn ledger(most: usize) -> impl Strategy<Value = Ledger> {
    prop::collection::vec(choice(), 0..most).prop_map(|choices| {
        let mut model = Model::begin();
        for choice in choices {
            model.follow(&choice);
        }
        Ledger { batches: model.batches, expected: model.expected }
    })
}

struct Model {
    seconds: i64,
    batches: Vec<Batch>,
    expected: Vec<BTreeMap<Place, Expected>>,
    /// The app of each label in force.
    labels: BTreeMap<&'static str, usize>,
    histories: BTreeMap<(usize, Option<&'static str>, &'static str), Vec<Happened>>,
    /// The newest run, and whether it has ended.
    run: Option<(Uuid, bool)>,
    runs: u128,
}

/// What happened to one subscription, newest last.
#[derive(Debug, Clone)]
enum Happened {
    Tracked(Option<String>, bool),
    Updated(Option<String>, bool),
    Left(Option<Uuid>),
    Sent(Uuid),
    Became(Uuid, OutcomeKind),
}

impl Model {
    fn begin() -> Self {
        let mut model = Self {
            seconds: 1_767_225_600,
            batches: Vec::new(),
            expected: Vec::new(),
            labels: BTreeMap::new(),
            histories: BTreeMap::new(),
            run: None,
            runs: 0,
        };
        let init = Init {
            at: model.at(),
            format: FORMAT.into(),
            version: VERSION,
            lineage: LINEAGE,
            by: By::default(),
        };
        model.write(vec![Record::Init(init)], false);
        model
    }

    fn at(&self) -> Timestamp {
        Timestamp::from_second(self.seconds).unwrap()
    }

    fn write(&mut self, records: Vec<Record<'static>>, a_line_each: bool) {
        if records.is_empty() {
            return;
        }
        self.batches.push(Batch { records, a_line_each });
        let place = |app: usize, tenant: Option<&str>, code: &str| {
            let (id, base_url, _) = APPS[app];
            (format!("{id} at {base_url}"), tenant.map(ToOwned::to_owned), code.to_owned())
        };
        let all = self.histories.iter();
        self.expected
            .push(all.map(|((app, tenant, code), all)| (place(*app, *tenant, code), add_up(all))).collect());
        self.seconds += 1;
    }

    fn label_of(&self, app: usize) -> Option<&'static str> {
        self.labels.iter().find(|(_, holder)| **holder == app).map(|(label, _)| *label)
    }

    fn follow(&mut self, choice: &Choice) {
        match choice.what {
            0 => {
                let records = self.bind(choice.which.index(APPS.len()), choice.other.index(LABELS.len()));
                self.write(records, false);
            }
            1..6 => self.import(choice),
            6 => {
                let records = self.update(choice);
                self.write(records, false);
            }
            7 => {
                let records = self.forget(choice, None);
                self.write(records, false);
            }
            8..10 => self.begin_run(choice),
            10..17 => {
                let records = self.intent(choice);
                self.write(records, false);
            }
            17..24 => {
                let records = self.outcome(choice);
                self.write(records, false);
            }
            24..28 => {
                let mut records = self.outcome(choice);
                records.extend(self.intent(choice));
                self.write(records, false);
            }
            28 => self.end(choice),
            _ => {
                if let Some((run, false)) = self.run {
                    let records = self.forget(choice, Some(run));
                    self.write(records, false);
                }
            }
        }
    }

    fn bind(&mut self, app: usize, label: usize) -> Vec<Record<'static>> {
        let label = LABELS[label];
        if self.labels.get(label).is_some_and(|holder| *holder != app) {
            return Vec::new();
        }
        self.labels.retain(|_, holder| *holder != app);
        self.labels.insert(label, app);
        let (id, base_url, kind) = APPS[app];
        vec![Record::Bind(Bind {
            at: self.at(),
            app: label.parse().unwrap(),
            app_id: id.parse().unwrap(),
            base_url: base_url.parse().unwrap(),
            kind,
        })]
    }

    fn import(&mut self, choice: &Choice) {
        let app = choice.which.index(APPS.len());
        let mut records = Vec::new();
        if self.label_of(app).is_none() {
            records = self.bind(app, choice.other.index(LABELS.len()));
        }
        let Some(label) = self.label_of(app) else { return };
        for number in 0..=choice.other.index(3) {
            let code = CODES[(choice.which.index(CODES.len()) + number) % CODES.len()];
            let tenant = (APPS[app].2 == AppKind::Store).then(|| TENANTS[choice.other.index(TENANTS.len())]);
            records.push(Record::Track(Track {
                at: self.at(),
                app: label.parse().unwrap(),
                tenant_key: tenant.map(|tenant| tenant.parse().unwrap()),
                approval_code: code.parse().unwrap(),
                name: choice.name.clone().map(Str::from),
                owner: None,
                protect: choice.protect,
                by: By { command: Some("import".into()), ..By::default() },
            }));
            let happened = Happened::Tracked(choice.name.clone(), choice.protect);
            self.histories.entry((app, tenant, code)).or_default().push(happened);
        }
        self.write(records, true);
    }

    /// One of the tracked subscriptions that pass the test.
    fn tracked(
        &self,
        which: &Index,
        test: impl Fn(&[Happened]) -> bool,
    ) -> Option<(usize, Option<&'static str>, &'static str)> {
        let all = self.histories.iter();
        let fit: Vec<_> = all
            .filter(|(_, happened)| add_up(happened).status == Status::Subscribed && test(happened))
            .map(|(place, _)| *place)
            .collect();
        (!fit.is_empty()).then(|| fit[which.index(fit.len())])
    }

    fn happened(&mut self, place: (usize, Option<&'static str>, &'static str), what: Happened) {
        self.histories.entry(place).or_default().push(what);
    }

    fn names(
        &self,
        (app, tenant, code): (usize, Option<&'static str>, &'static str),
    ) -> (AppLabel, Option<TenantKey>, ApprovalCode) {
        let label = self.label_of(app).unwrap().parse().unwrap();
        (label, tenant.map(|tenant| tenant.parse().unwrap()), code.parse().unwrap())
    }

    fn update(&mut self, choice: &Choice) -> Vec<Record<'static>> {
        let Some(place) = self.tracked(&choice.which, |_| true) else { return Vec::new() };
        self.happened(place, Happened::Updated(choice.name.clone(), choice.protect));
        let (app, tenant_key, approval_code) = self.names(place);
        let name = choice.name.clone().map(Str::from);
        let (at, protect) = (self.at(), choice.protect);
        vec![Record::Update(Update { at, app, tenant_key, approval_code, name, owner: None, protect })]
    }

    fn forget(&mut self, choice: &Choice, run: Option<Uuid>) -> Vec<Record<'static>> {
        let Some(place) = self.tracked(&choice.which, |_| true) else { return Vec::new() };
        self.happened(place, Happened::Left(run));
        let (app, tenant_key, approval_code) = self.names(place);
        let reason = choice.name.clone().map(Str::from);
        let (at, by) = (self.at(), By::default());
        vec![Record::Forget(Forget { at, run, app, tenant_key, approval_code, reason, by })]
    }

    fn begin_run(&mut self, choice: &Choice) {
        self.runs += 1;
        let run = Uuid::from_u128(self.runs);
        self.run = Some((run, false));
        // Few digests, so that some runs share one.
        let plan_digest = format!("sha256:{:064x}", choice.other.index(2)).into();
        let at = self.at();
        let begin = Run { at, run, plan_digest, overrides: Vec::new(), by: By::default() };
        self.write(vec![Record::Run(begin)], false);
    }

    fn intent(&mut self, choice: &Choice) -> Vec<Record<'static>> {
        let Some((run, false)) = self.run else { return Vec::new() };
        let was_sent = |happened: &[Happened]| {
            happened.iter().any(|what| matches!(what, Happened::Sent(sent) if *sent == run))
        };
        let Some(place) = self.tracked(&choice.which, |happened| !was_sent(happened)) else {
            return Vec::new();
        };
        self.happened(place, Happened::Sent(run));
        let (app, tenant_key, approval_code) = self.names(place);
        vec![Record::Intent(Intent { at: self.at(), run, app, tenant_key, approval_code })]
    }

    fn outcome(&mut self, choice: &Choice) -> Vec<Record<'static>> {
        let Some((run, false)) = self.run else { return Vec::new() };
        let waits = |happened: &[Happened]| {
            let newest = happened.iter().rev().find(|what| !matches!(what, Happened::Updated(..)));
            matches!(newest, Some(Happened::Sent(sent)) if *sent == run)
        };
        let Some(place) = self.tracked(&choice.other, waits) else { return Vec::new() };
        self.happened(place, Happened::Became(run, choice.kind));
        let (app, tenant_key, approval_code) = self.names(place);
        vec![Record::Outcome(Outcome {
            at: self.at(),
            run,
            app,
            tenant_key,
            approval_code,
            kind: choice.kind,
            code: choice.protect.then_some(1_390_002),
            msg: choice.name.clone().map(Str::from),
            log_id: None,
            http_status: Some(200),
            attempts: 1,
            reason: None,
        })]
    }

    fn end(&mut self, choice: &Choice) {
        let Some((run, false)) = self.run else { return };
        self.run = Some((run, true));
        let how = if choice.protect { How::Done } else { How::Interrupted };
        self.write(vec![Record::End(End { at: self.at(), run, how })], false);
    }
}

/// What a history adds up to, said another way than the fold says it: by looking back.
fn add_up(history: &[Happened]) -> Expected {
    use OutcomeKind::{AlreadyUnsubscribed, Failed, NotFound, Unsubscribed};
    let is_settling = |what: &Happened| match what {
        Happened::Tracked(..) | Happened::Left(_) => true,
        Happened::Became(_, kind) => matches!(kind, Unsubscribed | AlreadyUnsubscribed),
        _ => false,
    };
    let settled = history.iter().rposition(is_settling).unwrap();
    let is_closed = |run: Uuid| {
        history[settled..].iter().any(
            |what| matches!(what, Happened::Became(of, kind) if *of == run && matches!(kind, NotFound | Failed)),
        )
    };
    let open = history[settled..].iter().find_map(|what| match what {
        Happened::Sent(run) if !is_closed(*run) => Some(*run),
        _ => None,
    });
    let known = history.iter().rev().find_map(|what| match what {
        Happened::Tracked(name, protect) | Happened::Updated(name, protect) => Some((name.clone(), *protect)),
        _ => None,
    });
    let last_run = history.iter().rev().find_map(|what| match what {
        Happened::Tracked(..) => Some(None),
        Happened::Updated(..) => None,
        Happened::Left(run) => Some(*run),
        Happened::Sent(run) | Happened::Became(run, _) => Some(Some(*run)),
    });
    let (name, protect) = known.unwrap();
    Expected {
        status: match &history[settled] {
            Happened::Left(_) => Status::Forgotten,
            Happened::Became(..) => Status::Unsubscribed,
            _ => Status::Subscribed,
        },
        generation: history.iter().filter(|what| matches!(what, Happened::Tracked(..))).count() as u64,
        open_intent: open,
        last_run: last_run.flatten(),
        name,
        protect,
    }
}
