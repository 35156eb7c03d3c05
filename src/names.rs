//! What approvals are called: definitions read from the platform, at its pace. Nothing is changed there.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep, sleep_until};

use crate::feishu::{Answer, App, Client, Definition, Platform, StopReason, Verdict};
use crate::pace::{Pace, Rate, Wait};
use crate::subscription::{AppLabel, ApprovalCode, SubscriptionKey, TenantKey};

/// How often a definition is asked for that no verdict comes of.
const TRIES: u32 = 3;
/// The pause after the first of them; it doubles.
const BACK_OFF: Duration = Duration::from_secs(1);
/// So many rate limits in a row, and the tenant stops.
const RATE_LIMITS: u32 = 10;
/// So many definitions in a row without a verdict, and the tenant stops.
const LOST: u32 = 5;

/// The definitions that are asked for in one app and tenant, one after the other.
#[derive(Debug)]
pub struct Lane {
    /// The app.
    pub app: Rc<App>,
    /// The tenant, in a store app.
    pub tenant_key: Option<TenantKey>,
    /// How many may be asked for in a minute; the quota of this call is its own.
    pub rate: Rate,
    /// Which.
    pub codes: Vec<ApprovalCode>,
}

impl Lane {
    /// How long it takes when nothing goes wrong.
    pub fn estimate(&self) -> Duration {
        let calls = self.codes.len() as u64;
        Pace::new(self.rate, &[]).remaining(calls, calls)
    }
}

/// What the platform said of one definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It knows it.
    Definition(Definition),
    /// It knows no such code for this app and tenant.
    NotFound,
    /// It gave no answer that says; why, escaped.
    Failed(String),
}

/// Why nothing more was asked in an app and tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// The app.
    pub app: AppLabel,
    /// The tenant, in a store app.
    pub tenant_key: Option<TenantKey>,
    /// Why, escaped.
    pub says: String,
    /// What to do about it.
    pub hint: String,
}

/// What was learnt.
#[derive(Debug, Default)]
pub struct Names {
    /// What was said of each that was asked for.
    pub told: BTreeMap<SubscriptionKey, Told>,
    /// Where it ended early.
    pub stopped: Vec<Stopped>,
}

/// Asks for every definition of the lanes, lane beside lane.
pub async fn ask<P: Platform>(client: &Client<P>, lanes: &[Lane]) -> Names {
    let mut names = Names::default();
    for (told, stopped) in join_all(lanes.iter().map(|lane| ask_lane(client, lane))).await {
        names.told.extend(told);
        names.stopped.extend(stopped);
    }
    names
}

async fn ask_lane<P: Platform>(
    client: &Client<P>,
    lane: &Lane,
) -> (Vec<(SubscriptionKey, Told)>, Option<Stopped>) {
    let mut pace = Pace::new(lane.rate, &[]);
    let mut all = Vec::new();
    let mut lost = 0;
    for code in &lane.codes {
        let told = match ask_one(client, lane, code, &mut pace).await {
            Ok(told) => told,
            Err((says, hint)) => return (all, Some(stopped(lane, says, hint))),
        };
        lost = if matches!(told, Told::Failed(_)) { lost + 1 } else { 0 };
        let key = SubscriptionKey {
            app: lane.app.label.clone(),
            tenant_key: lane.tenant_key.clone(),
            approval_code: code.clone(),
        };
        all.push((key, told));
        if lost >= LOST {
            let says = format!("{LOST} definitions in a row could not be read");
            let hint = "see why above, and ask again later: `larksub import --names`".to_owned();
            return (all, Some(stopped(lane, says, hint)));
        }
    }
    (all, None)
}

fn stopped(lane: &Lane, says: String, hint: String) -> Stopped {
    Stopped { app: lane.app.label.clone(), tenant_key: lane.tenant_key.clone(), says, hint }
}

/// What the platform says of one definition; an error is what stops the lane, and what to do.
async fn ask_one<P: Platform>(
    client: &Client<P>,
    lane: &Lane,
    code: &ApprovalCode,
    pace: &mut Pace,
) -> Result<Told, (String, String)> {
    let (app, tenant) = (&*lane.app, lane.tenant_key.as_ref());
    let (mut tries, mut rate_limits, mut has_renewed) = (0, 0, false);
    let mut back_off = BACK_OFF;
    loop {
        wait(pace).await;
        let begun = Instant::now();
        let (answer, definition) = client.definition(app, tenant, code).await;
        pace.answered(begun.elapsed());
        if let Some(definition) = definition {
            return Ok(Told::Definition(definition));
        }
        match &answer.verdict {
            Verdict::NotFound => return Ok(Told::NotFound),
            Verdict::RateLimited { reset } => {
                rate_limits += 1;
                if rate_limits >= RATE_LIMITS {
                    let says = format!("{RATE_LIMITS} rate limits in a row ({})", answer.facts());
                    return Err((says, "ask again later, or lower `rate_per_minute` in the manifest".into()));
                }
                pace.pause(*reset);
            }
            Verdict::NoVerdict(lost) => {
                tries += 1;
                if tries >= TRIES {
                    return Ok(Told::Failed(match answer.facts() {
                        facts if facts.is_empty() => lost.to_string(),
                        facts => format!("{lost} ({facts})"),
                    }));
                }
                sleep(back_off).await;
                back_off *= 2;
            }
            Verdict::TokenRefused if !has_renewed => {
                has_renewed = true;
                client.renew(app, tenant).await.map_err(|error| (error.to_string(), error.hint()))?;
            }
            Verdict::TokenRefused => return Err(stop(StopReason::Credential, &answer)),
            Verdict::Stop(_, reason) => return Err(stop(*reason, &answer)),
            Verdict::Done | Verdict::AlreadyDone | Verdict::Refused => {
                return Ok(Told::Failed(answer.facts()));
            }
        }
    }
}

fn stop(reason: StopReason, answer: &Answer) -> (String, String) {
    let hint = match reason {
        // Reading needs less than dropping does.
        StopReason::Scope => {
            format!("{} (for names alone, `approval:approval:readonly` will do)", reason.hint())
        }
        reason => reason.hint().to_owned(),
    };
    (format!("{reason} ({})", answer.facts()), hint)
}

async fn wait(pace: &mut Pace) {
    loop {
        match pace.take() {
            Ok(()) => return,
            Err(Wait::Until(at)) => sleep_until(at).await,
            // One call of a lane is under way at a time, so this is not reached; it must not spin if it ever is.
            Err(Wait::Answer) => sleep(Duration::from_secs(1)).await,
        }
    }
}

#[cfg(test)]
mod tests;
