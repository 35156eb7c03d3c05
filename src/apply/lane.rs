//! One app in one tenant: its calls, one after the other, each with its intent and its outcome.

use std::cell::Cell;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::{Instant, sleep};

use super::settle::settle;
use super::{Call, Lane, Shared, settled, token_stop};
use crate::failpoint;
use crate::feishu::{Answer, Lost, Platform, StopReason, StopScope, Verdict};
use crate::pace::Bucket;
use crate::report::{Event, Stopped, Unrecorded};
use crate::state::record::{Intent, Outcome};
use crate::state::{OutcomeKind, Record, Str};

/// How often a call is sent that gets no verdict.
const MAX_TRIES: u32 = 4;

/// The pause before the second try; it doubles.
const BACK_OFF: Duration = Duration::from_secs(1);

/// After so many rate limits in a row waiting is no cure.
const MAX_RATE_LIMITS: u32 = 10;

/// After so many unknown outcomes in a row the platform cannot be relied on.
const MAX_UNKNOWNS: u32 = 5;

/// Why a call is unknown although its last try was refused.
const LOST_BEFORE: &str = "an earlier try got no answer, so it may be gone";

/// An outcome that is not recorded yet, and the call it belongs to.
type Unwritten = (Call, Outcome<'static>);

/// Makes the calls of a lane until they are done or the run is held. `finish` is kept at when it will be through.
pub(crate) async fn run<P: Platform>(
    lane: Lane,
    mut bucket: Bucket,
    finish: &Cell<Instant>,
    shared: &Shared<'_, P>,
) {
    let (app, tenant) = (&lane.app.label, lane.tenant_key.as_ref());
    let mut streaks = Streaks::default();
    let mut unwritten: Option<Unwritten> = None;
    let mut calls = lane.calls.iter();
    for (position, call) in calls.by_ref().enumerate() {
        let left = (lane.calls.len() - position) as u64;
        finish.set(Instant::now() + bucket.remaining(left));
        let mut may_send = !shared.halt.holds(app, tenant);
        // Where the next call may leave at once, the last outcome and the next intent share one sync.
        if may_send && bucket.ready().now_or_never().is_none() {
            if !write(&lane, unwritten.take(), None, shared).await {
                may_send = false;
            } else {
                may_send = shared.halt.unless_held(app, tenant, bucket.ready()).await;
            }
        }
        if !may_send || !write(&lane, unwritten.take(), Some(call), shared).await {
            shared.report.borrow_mut().pending.push(lane.key(call));
            break;
        }
        let outcome = send(&lane, call, &mut bucket, &mut streaks, finish, left, shared).await;
        unwritten = Some((call.clone(), outcome));
    }
    shared.report.borrow_mut().pending.extend(calls.map(|call| lane.key(call)));
    finish.set(Instant::now());
    write(&lane, unwritten, None, shared).await;
}

/// Records an outcome and the next intent in one batch, then tells the outcome. False where it cannot be recorded:
/// then everything stops, and the outcome is kept for the report.
async fn write<P>(
    lane: &Lane,
    unwritten: Option<Unwritten>,
    next: Option<&Call>,
    shared: &Shared<'_, P>,
) -> bool {
    let outcome = unwritten.as_ref().map(|(_, outcome)| Record::Outcome(outcome.clone()));
    let intent = next.map(|call| {
        Record::Intent(Intent {
            at: (shared.now)(),
            run: shared.run,
            app: lane.app.label.clone(),
            tenant_key: lane.tenant_key.clone(),
            approval_code: call.approval_code.clone(),
        })
    });
    let records: Vec<Record<'static>> = outcome.clone().into_iter().chain(intent).collect();
    if records.is_empty() {
        return true;
    }
    let recorded = shared.recorder.record(records).await;
    let told = unwritten.map(|(call, outcome)| settled(lane, &call, &outcome));
    let mut report = shared.report.borrow_mut();
    match recorded {
        Ok(()) => {
            if let Some(settled) = told {
                report.settled.push(settled.clone());
                shared.tell(Event::Settled { settled: Box::new(settled), remaining: shared.remaining() });
            }
            true
        }
        Err(cause) => {
            let none = || Unrecorded { cause, outcomes: Vec::new(), records: Vec::new() };
            let unrecorded = report.unrecorded.get_or_insert_with(none);
            unrecorded.outcomes.extend(told);
            unrecorded.records.extend(outcome);
            shared.halt.break_off();
            false
        }
    }
}

/// What has happened in a row in this lane.
#[derive(Debug, Default)]
struct Streaks {
    rate_limits: u32,
}

/// What the tries of one call have come to so far.
struct Tries {
    attempts: u32,
    without_verdict: u32,
    was_lost: bool,
    has_new_token: bool,
}

/// Sends one call until it has an outcome. Its intent is durable; each try waits for the bucket.
async fn send<P: Platform>(
    lane: &Lane,
    call: &Call,
    bucket: &mut Bucket,
    streaks: &mut Streaks,
    finish: &Cell<Instant>,
    left: u64,
    shared: &Shared<'_, P>,
) -> Outcome<'static> {
    let (app, tenant) = (&lane.app.label, lane.tenant_key.as_ref());
    let mut tries = Tries { attempts: 0, without_verdict: 0, was_lost: call.was_sent, has_new_token: false };
    let end = |tries: &Tries, answer: &Answer, kind, reason: Option<String>| {
        outcome(lane, call, tries.attempts, answer, kind, reason, shared)
    };
    loop {
        tries.attempts += 1;
        // Both are places to die in a test: the call is due, and it is done but not recorded.
        let _ = failpoint::hit("send");
        let sending = shared.client.unsubscribe(&lane.app, tenant, &call.approval_code);
        let Some(answer) = shared.halt.within_grace(sending).await else {
            shared.halt.note_cut_short();
            let none = Answer::without_response(Verdict::Refused);
            return end(
                &tries,
                &none,
                OutcomeKind::Unknown,
                Some("interrupted before the answer came".into()),
            );
        };
        let _ = failpoint::hit("answered");
        if !matches!(answer.verdict, Verdict::RateLimited { .. }) {
            streaks.rate_limits = 0;
        }
        if let Some((kind, reason)) = settle(&answer.verdict, tries.was_lost, lane.believes_misses) {
            shared.halt.end_unknowns(app);
            // A refusal says nothing of an earlier try whose answer was lost: that one may have dropped it.
            let is_open =
                matches!(kind, OutcomeKind::Failed | OutcomeKind::NotFound) && tries.without_verdict > 0;
            if is_open {
                return end(&tries, &answer, OutcomeKind::Unknown, Some(LOST_BEFORE.into()));
            }
            return end(&tries, &answer, kind, reason.map(Into::into));
        }
        let wait = match &answer.verdict {
            Verdict::RateLimited { reset } => {
                streaks.rate_limits += 1;
                if streaks.rate_limits >= MAX_RATE_LIMITS {
                    let says = format!("{MAX_RATE_LIMITS} rate limits in a row ({})", answer.facts());
                    let hint = "somebody else spends the quota of this app and tenant; run the same command again when it is quiet";
                    stop(lane, StopScope::Tenant, "rate_limit", says, hint, &answer, shared);
                    return end(&tries, &answer, refused(&tries), None);
                }
                bucket.pause(*reset);
                finish.set(Instant::now() + bucket.remaining(left));
                shared.tell(Event::Paused {
                    app: app.clone(),
                    tenant_key: tenant.cloned(),
                    pause: *reset,
                    remaining: shared.remaining(),
                });
                Duration::ZERO
            }
            Verdict::NoVerdict(lost) => {
                tries.was_lost = true;
                tries.without_verdict += 1;
                if tries.without_verdict >= MAX_TRIES {
                    note_unknown(lane, lost, &answer, shared);
                    return end(&tries, &answer, OutcomeKind::Unknown, Some(lost.to_string()));
                }
                BACK_OFF.saturating_mul(1 << (tries.without_verdict - 1).min(6))
            }
            Verdict::TokenRefused if !tries.has_new_token => {
                tries.has_new_token = true;
                match shared.halt.within_grace(shared.client.renew(&lane.app, tenant)).await {
                    Some(Ok(())) => Duration::ZERO,
                    Some(Err(error)) => {
                        halt(token_stop(lane, &error), shared);
                        return end(&tries, &answer, refused(&tries), Some(error.to_string()));
                    }
                    None => {
                        shared.halt.note_cut_short();
                        return end(&tries, &answer, refused(&tries), Some("interrupted".into()));
                    }
                }
            }
            Verdict::TokenRefused => {
                stop_for(lane, StopScope::App, StopReason::Credential, &answer, shared);
                return end(&tries, &answer, refused(&tries), Some("a new token was refused as well".into()));
            }
            Verdict::Stop(scope, reason) => {
                stop_for(lane, *scope, *reason, &answer, shared);
                return end(&tries, &answer, refused(&tries), Some(reason.to_string()));
            }
            // `settle` has taken care of these.
            Verdict::Done | Verdict::AlreadyDone | Verdict::NotFound | Verdict::Refused => Duration::ZERO,
        };
        let ready = async {
            sleep(wait).await;
            bucket.ready().await;
        };
        if !shared.halt.unless_held(app, tenant, ready).await {
            shared.halt.note_cut_short();
            return end(
                &tries,
                &answer,
                refused(&tries),
                Some("the run ended before it could be sent again".into()),
            );
        }
    }
}

/// The outcome of a call that is not sent again after an answer that says it did not take effect.
fn refused(tries: &Tries) -> OutcomeKind {
    if tries.without_verdict > 0 { OutcomeKind::Unknown } else { OutcomeKind::Failed }
}

fn outcome<P>(
    lane: &Lane,
    call: &Call,
    attempts: u32,
    answer: &Answer,
    kind: OutcomeKind,
    reason: Option<String>,
    shared: &Shared<'_, P>,
) -> Outcome<'static> {
    Outcome {
        at: (shared.now)(),
        run: shared.run,
        app: lane.app.label.clone(),
        tenant_key: lane.tenant_key.clone(),
        approval_code: call.approval_code.clone(),
        kind,
        code: answer.code,
        msg: answer.msg.clone().map(Str::from),
        log_id: answer.log_id.clone().map(Str::from),
        http_status: answer.http_status,
        attempts,
        reason: reason.map(Str::from),
    }
}

fn note_unknown<P>(lane: &Lane, lost: &Lost, answer: &Answer, shared: &Shared<'_, P>) {
    if shared.halt.count_unknown(&lane.app.label) >= MAX_UNKNOWNS {
        let says = format!("{MAX_UNKNOWNS} calls in a row without a verdict; the last: {lost}");
        let hint = "once the platform answers again, run the same command again: it settles what is unknown";
        stop(lane, StopScope::App, "unknowns", says, hint, answer, shared);
    }
}

fn stop_for<P>(lane: &Lane, scope: StopScope, reason: StopReason, answer: &Answer, shared: &Shared<'_, P>) {
    let says = format!("{reason} ({})", answer.facts());
    stop(lane, scope, reason.as_str(), says, reason.hint(), answer, shared);
}

fn stop<P>(
    lane: &Lane,
    scope: StopScope,
    reason: &'static str,
    says: String,
    hint: &str,
    answer: &Answer,
    shared: &Shared<'_, P>,
) {
    let tenant_key = match scope {
        StopScope::App => None,
        StopScope::Tenant => lane.tenant_key.clone(),
    };
    let stopped = Stopped {
        app: lane.app.label.clone(),
        tenant_key,
        reason,
        says,
        hint: hint.into(),
        troubleshooter: answer.troubleshooter.clone(),
    };
    halt(stopped, shared);
}

fn halt<P>(stopped: Stopped, shared: &Shared<'_, P>) {
    if shared.halt.stop(&stopped) {
        shared.tell(Event::Stopped(Box::new(stopped.clone())));
        shared.report.borrow_mut().stopped.push(stopped);
    }
}
