//! One call, sent until it has an outcome; and what ends more than that call.

use std::time::Duration;

use tokio::time::Instant;

use super::lane::{Connection, Running};
use super::settle::settle;
use super::{Call, Lane, Shared, token_stop};
use crate::failpoint;
use crate::feishu::{Answer, Lost, Platform, StopReason, StopScope, Verdict};
use crate::report::{Event, Stopped};
use crate::state::record::Outcome;
use crate::state::{OutcomeKind, Str};

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

/// What the tries of one call have come to so far.
struct Tries {
    attempts: u32,
    without_verdict: u32,
    was_lost: bool,
    has_new_token: bool,
}

/// Sends one call until it has an outcome. Its intent is durable, and it may leave now, over this connection; each
/// further try waits for the pace.
pub(crate) async fn send<'a, P: Platform>(
    running: &Running<'a, P>,
    call: &Call,
    mut connection: Connection<'a>,
) -> Outcome<'static> {
    let Running { lane, shared, rate_limits, .. } = running;
    let (app, tenant) = (&lane.app.label, lane.tenant_key.as_ref());
    let mut tries = Tries { attempts: 0, without_verdict: 0, was_lost: call.was_sent, has_new_token: false };
    let end = |tries: &Tries, answer: &Answer, kind, reason: Option<String>| {
        outcome(lane, call, tries.attempts, answer, kind, reason, shared)
    };
    // Recording the intent took its time, and the run may have ended meanwhile.
    if running.is_held() {
        shared.halt.note_cut_short();
        let none = Answer::without_response(Verdict::Refused);
        return end(&tries, &none, OutcomeKind::Failed, Some("the run ended before it was sent".into()));
    }
    loop {
        tries.attempts += 1;
        // Both are places to die in a test: the call is due, and it is done but not recorded.
        let _ = failpoint::hit("send");
        let sent_at = Instant::now();
        let sending = shared.client.unsubscribe(&lane.app, tenant, &call.approval_code);
        let answer = shared.halt.within_grace(sending).await;
        running.answered(sent_at);
        let Some(answer) = answer else {
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
            rate_limits.end();
        }
        if let Some((kind, reason)) = settle(&answer.verdict, tries.was_lost, lane.believes_misses) {
            running.note_verdict(true);
            shared.halt.end_unknowns(app);
            // A refusal says nothing of an earlier try whose answer was lost: that one may have dropped it. An
            // unknown code does: it was never there to be dropped.
            if kind == OutcomeKind::Failed && tries.without_verdict > 0 {
                return end(&tries, &answer, OutcomeKind::Unknown, Some(LOST_BEFORE.into()));
            }
            return end(&tries, &answer, kind, reason.map(Into::into));
        }
        let wait = match &answer.verdict {
            Verdict::RateLimited { reset } => {
                running.note_verdict(false);
                let in_row = rate_limits.count(sent_at);
                if in_row.is_some_and(|in_row| in_row >= MAX_RATE_LIMITS) {
                    let says = format!("{MAX_RATE_LIMITS} rate limits in a row ({})", answer.facts());
                    let hint = "somebody else spends the quota of this app and tenant; run the same command again when it is quiet";
                    stop(lane, StopScope::Tenant, "rate_limit", says, hint, &answer, shared);
                    return end(&tries, &answer, refused(&tries), None);
                }
                running.pause(*reset);
                if in_row.is_some() {
                    shared.tell(Event::Paused {
                        app: app.clone(),
                        tenant_key: tenant.cloned(),
                        pause: *reset,
                        remaining: shared.finish.remaining(),
                    });
                }
                Duration::ZERO
            }
            Verdict::NoVerdict(lost) => {
                running.note_verdict(false);
                tries.was_lost = true;
                tries.without_verdict += 1;
                if tries.without_verdict >= MAX_TRIES {
                    note_unknown(lane, lost, &answer, shared);
                    return end(&tries, &answer, OutcomeKind::Unknown, Some(lost.to_string()));
                }
                BACK_OFF.saturating_mul(1 << (tries.without_verdict - 1).min(6))
            }
            Verdict::TokenRefused if !tries.has_new_token && !running.is_held() => {
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
            Verdict::TokenRefused if !tries.has_new_token => {
                shared.halt.note_cut_short();
                return end(&tries, &answer, refused(&tries), Some("interrupted".into()));
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
        // Only now: a new token takes a connection as well.
        drop(connection);
        let Some(again) = running.again(wait).await else {
            shared.halt.note_cut_short();
            return end(
                &tries,
                &answer,
                refused(&tries),
                Some("the run ended before it could be sent again".into()),
            );
        };
        connection = again;
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
