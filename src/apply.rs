//! A plan, the platform, the pace and the ledger become a report.
//!
//! No call is sent before its intent is durable, and no outcome is told before it is. Lanes (one for each app and
//! tenant) run side by side in one task; whatever ends the run early ends it for new calls only, and what is in
//! flight is still waited for and recorded.

mod finish;
pub mod halt;
pub mod lane;
pub mod recorder;
mod send;
pub mod settle;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;
use uuid::Uuid;

use finish::Finish;
pub use halt::{Halt, Stop};
pub use recorder::Recorder;

use crate::feishu::{App, Client, Platform, StopScope, TokenError};
use crate::pace::{CONNECTIONS, Pace, Rate};
use crate::report::{Event, LaneReport, Report, Settled, Stopped};
use crate::state::record::{Bind, By, End, Forget, Run, Update};
use crate::state::{How, Ledger, Override, Record};
use crate::subscription::{AppLabel, ApprovalCode, SubscriptionKey, TenantKey};

/// How many tokens are asked for at the same time.
const TOKENS_AT_ONCE: usize = 16;

/// Why a run that has lost its turn ends; everything that came of it until then is recorded.
const LET_GO: &str = "the lease on the state ended before it was renewed, so nothing more was sent";

/// Everything that one apply does, decided.
#[derive(Debug)]
pub struct Work {
    /// The digest of the plan it carries out.
    pub plan_digest: String,
    /// What was allowed by name.
    pub overrides: Vec<Override>,
    /// Who applies.
    pub by: By<'static>,
    /// New labels, recorded before all else so that later records can use them.
    pub binds: Vec<Bind>,
    /// Metadata.
    pub updates: Vec<Update<'static>>,
    /// What leaves without a call; their `run` and `by` are filled in here.
    pub forgets: Vec<Forget<'static>>,
    /// The calls, by app and tenant.
    pub lanes: Vec<Lane>,
    /// Unknowns that a person has to settle.
    pub unsettled: u64,
}

/// The calls of one app in one tenant, in order.
#[derive(Debug)]
pub struct Lane {
    /// The app.
    pub app: Rc<App>,
    /// The tenant, in a store app.
    pub tenant_key: Option<TenantKey>,
    /// How many calls it may make.
    pub rate: Rate,
    /// How long ago each call of the last minute was answered that earlier runs made.
    pub sent_before: Vec<Duration>,
    /// Whether "already unsubscribed" is believed without an earlier try of ours: the token proves the app, or a
    /// person allowed it by name.
    pub believes_misses: bool,
    /// The calls.
    pub calls: Vec<Call>,
}

/// One call of a lane.
#[derive(Debug, Clone)]
pub struct Call {
    /// The approval code.
    pub approval_code: ApprovalCode,
    /// For people, not escaped.
    pub name: Option<String>,
    /// Whether an earlier call of it got no verdict.
    pub was_sent: bool,
}

/// What the lanes of one run share.
pub(crate) struct Shared<'a, P> {
    pub client: &'a Client<P>,
    pub run: Uuid,
    pub start: Instant,
    pub now: fn() -> Timestamp,
    pub recorder: &'a Recorder,
    pub events: &'a UnboundedSender<Event>,
    pub halt: &'a Halt,
    pub report: &'a RefCell<Report>,
    pub finish: &'a Finish,
    /// One for each call that may be under way.
    pub connections: &'a Semaphore,
    /// How many calls have not been begun yet, in all lanes.
    pub unsent: &'a Cell<u64>,
}

impl<P> Shared<'_, P> {
    pub(crate) fn tell(&self, event: Event) {
        // Nobody listening is no reason to stop.
        let _ = self.events.send(event);
    }
}

/// Carries the work out. `now` is the wall clock of the records; everything that waits does so on tokio's clock.
///
/// Events are sent as things become durable. `stop` says what ends the run cleanly.
pub async fn run<P: Platform>(
    work: Work,
    client: &Client<P>,
    ledger: Ledger,
    now: fn() -> Timestamp,
    events: &UnboundedSender<Event>,
    stop: Stop,
) -> Report {
    let mut report =
        Report { unsettled: work.unsettled, overrides: work.overrides.clone(), ..Report::empty() };
    let halt = Halt::new(stop, ledger.hold());
    let refused = tokio::select! {
        refused = authorize(&work.lanes, client) => refused,
        () = halt.signalled() => Vec::new(),
    };
    report.signal = halt.signal();
    let is_refused = refused.iter().any(|stopped| stopped.tenant_key.is_none());
    for stopped in refused {
        halt.stop(&stopped);
        let _ = events.send(Event::Stopped(Box::new(stopped.clone())));
        report.stopped.push(stopped);
    }
    if is_refused || report.signal.is_some() {
        report.how = if is_refused { How::Stopped } else { How::Interrupted };
        report.pending =
            work.lanes.iter().flat_map(|lane| lane.calls.iter().map(|call| lane.key(call))).collect();
        return report;
    }
    let (recorder, writer) = recorder::start(ledger);
    let ((), report) = tokio::join!(writer, recorded(work, client, recorder, now, events, &halt, report));
    report
}

impl Lane {
    pub(crate) fn key(&self, call: &Call) -> SubscriptionKey {
        SubscriptionKey {
            app: self.app.label.clone(),
            tenant_key: self.tenant_key.clone(),
            approval_code: call.approval_code.clone(),
        }
    }

    /// What is told of it before its first call.
    fn report(&self) -> LaneReport {
        LaneReport {
            app: self.app.label.clone(),
            tenant_key: self.tenant_key.clone(),
            rate_per_minute: match self.rate {
                Rate::PerMinute(rate) => Some(rate),
                Rate::Unlimited => None,
            },
            calls: self.calls.len() as u64,
            before: self.sent_before.clone(),
            answered: Vec::new(),
        }
    }
}

/// Fetches every token that is needed; what is refused comes back.
async fn authorize<P: Platform>(lanes: &[Lane], client: &Client<P>) -> Vec<Stopped> {
    let asked = lanes.iter().map(|lane| async move {
        let tenant = lane.tenant_key.as_ref();
        client.authorize(&lane.app, tenant).await.err().map(|error| token_stop(lane, &error))
    });
    let answers: Vec<Option<Stopped>> =
        futures_util::stream::iter(asked).buffered(TOKENS_AT_ONCE).collect().await;
    // An app that is refused is refused in each of its tenants, and said once.
    let mut said: BTreeSet<(AppLabel, Option<TenantKey>)> = BTreeSet::new();
    let stops = answers.into_iter().flatten();
    stops.filter(|stopped| said.insert((stopped.app.clone(), stopped.tenant_key.clone()))).collect()
}

pub(crate) fn token_stop(lane: &Lane, error: &TokenError) -> Stopped {
    let troubleshooter = match error {
        TokenError::Refused { answer, .. } => answer.troubleshooter.clone(),
        _ => None,
    };
    Stopped {
        app: lane.app.label.clone(),
        tenant_key: match error.scope() {
            StopScope::App => None,
            StopScope::Tenant => lane.tenant_key.clone(),
        },
        reason: error.reason().as_str(),
        says: error.to_string(),
        hint: error.hint(),
        troubleshooter,
    }
}

/// The run from its first record to its last; `recorder` is dropped at its end, which ends the writer.
async fn recorded<P: Platform>(
    work: Work,
    client: &Client<P>,
    recorder: Recorder,
    now: fn() -> Timestamp,
    events: &UnboundedSender<Event>,
    halt: &Halt,
    mut report: Report,
) -> Report {
    let Work { plan_digest, overrides, by, binds, updates, forgets, lanes, unsettled: _ } = work;
    let run = Uuid::new_v4();
    let (forgotten, updated) = (forgets.len() as u64, (binds.len() + updates.len()) as u64);
    let started_at = now();
    let begin = Run { at: started_at, run, plan_digest: plan_digest.into(), overrides, by: by.clone() };
    let forgets = forgets.into_iter().map(|forget| Forget { run: Some(run), by: by.clone(), ..forget });
    let mut first = vec![Record::Run(begin)];
    first.extend(binds.into_iter().map(Record::Bind));
    first.extend(updates.into_iter().map(Record::Update));
    first.extend(forgets.map(Record::Forget));
    if let Err(cause) = recorder.record(first).await {
        report.how = How::Failed;
        report.pending = lanes.iter().flat_map(|lane| lane.calls.iter().map(|call| lane.key(call))).collect();
        report.unrecorded =
            Some(crate::report::Unrecorded { cause, outcomes: Vec::new(), records: Vec::new() });
        return report;
    }
    (report.run, report.started_at) = (Some(run), Some(started_at));
    report.lanes = lanes.iter().map(Lane::report).collect();
    (report.forgotten, report.updated) = (forgotten, updated);
    let paces: Vec<Pace> = lanes.iter().map(|lane| Pace::new(lane.rate, &lane.sent_before)).collect();
    let calls: u64 = lanes.iter().map(|lane| lane.calls.len() as u64).sum();
    let start = Instant::now();
    let ends =
        lanes.iter().zip(&paces).map(|(lane, pace)| start + pace.remaining(lane.calls.len() as u64, calls));
    let finish = Finish::new(ends.collect());
    let _ = events.send(Event::Started { run, calls, estimate: finish.remaining() });
    let report = RefCell::new(report);
    let shared = Shared {
        client,
        run,
        start,
        now,
        recorder: &recorder,
        events,
        halt,
        report: &report,
        finish: &finish,
        connections: &Semaphore::new(CONNECTIONS),
        unsent: &Cell::new(calls),
    };
    let lanes = lanes.iter().zip(paces).enumerate();
    join_all(lanes.map(|(index, (lane, pace))| lane::run(lane, index, pace, &shared))).await;
    let mut report = report.into_inner();
    report.signal = halt.signal().filter(|_| !report.pending.is_empty() || halt.cut_short());
    if halt.has_let_go() && report.unrecorded.is_none() {
        report.unrecorded = Some(crate::report::Unrecorded {
            cause: LET_GO.into(),
            outcomes: Vec::new(),
            records: Vec::new(),
        });
    }
    report.how = how(&report);
    if report.unrecorded.is_none() {
        let end = Record::End(End { at: now(), run, how: report.how });
        if let Err(cause) = recorder.record(vec![end]).await {
            report.unrecorded =
                Some(crate::report::Unrecorded { cause, outcomes: Vec::new(), records: Vec::new() });
        }
    }
    report.took = start.elapsed();
    report
}

fn how(report: &Report) -> How {
    if report.unrecorded.is_some() {
        How::Failed
    } else if report.signal.is_some() {
        How::Interrupted
    } else if report.stopped.is_empty() {
        How::Done
    } else {
        How::Stopped
    }
}

/// An outcome as the report tells it.
pub(crate) fn settled(lane: &Lane, call: &Call, outcome: &crate::state::record::Outcome<'static>) -> Settled {
    let own = |text: &Option<crate::state::Str<'_>>| text.as_ref().map(|text| text.as_str().to_owned());
    Settled {
        key: lane.key(call),
        name: call.name.clone(),
        kind: outcome.kind,
        code: outcome.code,
        msg: own(&outcome.msg),
        log_id: own(&outcome.log_id),
        http_status: outcome.http_status,
        attempts: outcome.attempts,
        reason: own(&outcome.reason),
        at: outcome.at,
    }
}
