//! What an apply does as a stream of events, one JSON object on a line: for programs that watch a run.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::ending::{CameTo, Ending, NotBegun};
use super::report::{Counts, Lane, counts, lanes};
use crate::json;
use crate::plan::Plan;
use crate::report::{Event, Settled, Stopped, Unrecorded};
use crate::state::Override;
use crate::subscription::{AppLabel, TenantKey};

/// The word that every event carries.
pub const FORMAT: &str = "larksub.events";

/// The version of the stream. New types and keys may come without a new one.
pub const VERSION: u32 = 1;

/// One line: what every event has, then what its type adds.
#[derive(Serialize)]
struct Line<T> {
    format: &'static str,
    version: u32,
    r#type: &'static str,
    at: Timestamp,
    #[serde(flatten)]
    told: T,
}

/// The line of an event, line break included.
fn line<T: Serialize>(r#type: &'static str, at: Timestamp, told: T) -> String {
    // None of these can fail to be written: their keys are texts.
    let text = json::line(&Line { format: FORMAT, version: VERSION, r#type, at, told });
    text.unwrap_or_default() + "\n"
}

/// The plan that is to be carried out, before anything is asked or sent.
pub fn planned(plan: &Plan, at: Timestamp) -> String {
    #[derive(Serialize)]
    struct Planned<'a> {
        digest: &'a str,
        calls: u64,
        refused: bool,
        plan: &'a Plan,
    }
    let Plan { digest, calls, refused, .. } = plan;
    line("planned", at, Planned { digest, calls: *calls, refused: *refused, plan })
}

/// Something that is said beside the result.
pub fn note(says: &str, at: Timestamp) -> String {
    #[derive(Serialize)]
    struct Note<'a> {
        says: &'a str,
    }
    line("note", at, Note { says })
}

/// Something that happened in a run.
pub fn event(event: &Event, at: Timestamp) -> String {
    #[derive(Serialize)]
    struct Started {
        run: Uuid,
        calls: u64,
        estimate_s: u64,
    }
    #[derive(Serialize)]
    struct Outcome<'a> {
        outcome: &'a Settled,
        remaining_s: u64,
    }
    #[derive(Serialize)]
    struct Paused<'a> {
        app: &'a AppLabel,
        #[serde(skip_serializing_if = "Option::is_none")]
        tenant_key: Option<&'a TenantKey>,
        pause_s: u64,
        remaining_s: u64,
    }
    let seconds = |time: &std::time::Duration| time.as_secs_f64().ceil() as u64;
    match event {
        Event::Started { run, calls, estimate } => {
            line("started", at, Started { run: *run, calls: *calls, estimate_s: seconds(estimate) })
        }
        Event::Settled { settled, remaining } => {
            line("settled", at, Outcome { outcome: settled, remaining_s: seconds(remaining) })
        }
        Event::Paused { app, tenant_key, pause, remaining } => {
            let (pause_s, remaining_s) = (seconds(pause), seconds(remaining));
            line("paused", at, Paused { app, tenant_key: tenant_key.as_ref(), pause_s, remaining_s })
        }
        Event::Stopped(stopped) => line("stopped", at, stopped.as_ref()),
    }
}

/// The end: where nothing was begun an `error`, and in every case `finished` as the last line.
pub fn finished(ending: &Ending<'_>, at: Timestamp) -> String {
    let error = match ending.came_to {
        CameTo::NotBegun(why) => line("error", at, Failed::new(why, ending.exit.code())),
        CameTo::Ran(_) => String::new(),
    };
    let report = ending.report();
    let finished = Finished {
        how: report.map_or("not_begun", |report| report.how.as_str()),
        exit_code: ending.exit.code(),
        run: report.and_then(|report| report.run),
        plan_digest: ending.digest,
        overrides: ending.overrides,
        counts: report.map(counts).unwrap_or_default(),
        pending: report
            .map(|report| report.pending.iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
        stopped: report.map(|report| report.stopped.as_slice()).unwrap_or_default(),
        lanes: report.map(lanes).unwrap_or_default(),
        took_ms: report.map_or(0, |report| report.took.as_millis() as u64),
        unrecorded: report.and_then(|report| report.unrecorded.as_ref()),
    };
    error + &line("finished", at, finished)
}

/// Why a run was not begun.
#[derive(Debug, Serialize)]
pub struct Failed<'a> {
    exit_code: u8,
    title: &'a str,
    causes: &'a [String],
    hints: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<Vec<&'a str>>,
}

impl<'a> Failed<'a> {
    /// As JSON tells it.
    pub fn new(why: &'a NotBegun, exit_code: u8) -> Self {
        let NotBegun { title, causes, hints, drawing: _, difference } = why;
        let difference = difference.as_deref().map(|text| text.lines().collect());
        Self { exit_code, title, causes, hints, difference }
    }
}

#[derive(Serialize)]
struct Finished<'a> {
    how: &'static str,
    exit_code: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan_digest: Option<&'a str>,
    overrides: &'a [Override],
    counts: Counts,
    pending: Vec<String>,
    stopped: &'a [Stopped],
    lanes: Vec<Lane<'a>>,
    took_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    unrecorded: Option<&'a Unrecorded>,
}
