//! What an apply did, as text and as JSON.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::ending::{CameTo, Ending};
use super::events::Failed;
use super::history::allowances;
use super::{Paint, count, grouped};
use crate::report::{LaneReport, Report, Settled, Stopped, Unrecorded};
use crate::state::{OutcomeKind, Override, recovery};
use crate::subscription::{AppLabel, TenantKey};
use crate::text::{cut, pad, shown};

/// One outcome on one line, without a line break. Where it needs no attention it is cut to the terminal's columns.
pub fn outcome(settled: &Settled, columns: Option<usize>, paint: Paint) -> String {
    let Settled { key, name, kind, code, msg, log_id, http_status, attempts, reason, at: _ } = settled;
    let needs_attention = !matches!(kind, OutcomeKind::Unsubscribed | OutcomeKind::AlreadyUnsubscribed);
    let mut line = key.to_string();
    if let Some(name) = name {
        let _ = write!(line, "  {}", shown(name));
    }
    let mut facts = Vec::new();
    if let Some(code) = code.filter(|code| *code != 0) {
        facts.push(format!("code {code}"));
    }
    if needs_attention {
        facts.extend(msg.as_deref().map(|msg| format!("\"{}\"", shown(msg))));
        facts.extend(http_status.map(|status| format!("HTTP {status}")));
        facts.extend(log_id.as_deref().map(|log_id| format!("log id {}", shown(log_id))));
    }
    facts.extend(reason.as_deref().map(|reason| shown(reason).into_owned()));
    if *attempts > 1 {
        facts.push(format!("{attempts} tries"));
    }
    if !facts.is_empty() {
        let _ = write!(line, "  ({})", facts.join(", "));
    }
    let line = match columns {
        Some(columns) if !needs_attention => cut(&line, columns.saturating_sub(WORD + 1)),
        _ => line.as_str().into(),
    };
    let word = pad(kind.as_str(), WORD);
    let word = match kind {
        OutcomeKind::Unsubscribed | OutcomeKind::AlreadyUnsubscribed => paint.good(word),
        OutcomeKind::NotFound | OutcomeKind::Unknown => paint.doubt(word),
        OutcomeKind::Failed => paint.bad(word),
    };
    format!("{word} {line}")
}

/// All that is known of a call's last answer, on one line.
pub fn facts(settled: &Settled) -> String {
    let Settled { key, name: _, kind: _, code, msg, log_id, http_status, attempts, reason: _, at: _ } =
        settled;
    let mut facts = vec![count(u64::from(*attempts), "try", "tries")];
    facts.extend(http_status.map(|status| format!("HTTP {status}")));
    facts.extend(code.map(|code| format!("code {code}")));
    facts.extend(msg.as_deref().map(|msg| format!("\"{}\"", shown(msg))));
    facts.extend(log_id.as_deref().map(|log_id| format!("log id {}", shown(log_id))));
    format!("unsubscribe {key}: {}", facts.join(", "))
}

/// As wide as the longest word for an outcome.
const WORD: usize = "already_unsubscribed".len();

/// Why an app or a tenant sends nothing more, with what to do.
pub fn stopped(stopped: &Stopped, paint: Paint) -> String {
    let Stopped { app, tenant_key, reason: _, says, hint, troubleshooter } = stopped;
    let tenant = tenant_key.as_ref().map_or(String::new(), |tenant: &TenantKey| format!("/{tenant}"));
    let mut text =
        format!("{} {app}{tenant}: {says}\n  {} {hint}", paint.bad("stopped:"), paint.good("help:"));
    if let Some(link) = troubleshooter {
        let _ = write!(text, "\n  {} {}", paint.good("see:"), shown(link));
    }
    text
}

/// The end of a run: what was done, what was not, and what to do next.
pub fn summary(report: &Report, paint: Paint) -> String {
    let mut parts = Vec::new();
    for (kind, words) in WORDS {
        let number = report.count(kind);
        if number > 0 {
            parts.push(format!("{} {words}", grouped(number)));
        }
    }
    for (number, words) in [(report.forgotten, "forgotten"), (report.updated, "updated")] {
        if number > 0 {
            parts.push(format!("{} {words}", grouped(number)));
        }
    }
    let pending = report.pending.len() as u64;
    if pending > 0 {
        parts.push(format!("{} not sent", grouped(pending)));
    }
    let all = if parts.is_empty() { "nothing was done".into() } else { parts.join(", ") };
    let is_good = report.exit().code() == 0;
    let head = if is_good { paint.good("Applied:") } else { paint.bad(headline(report)) };
    let mut out = format!("{head} {all}.\n");
    if !report.overrides.is_empty() {
        let given = allowances(&report.overrides, MOST_ALLOWANCES);
        let _ = writeln!(out, "  allowed by name: {}", paint.doubt(given));
    }
    for line in advice(report) {
        let _ = writeln!(out, "  {line}");
    }
    out
}

/// What a person has to look at, a line each: the lines that told it have scrolled away by now.
fn to_look_at(report: &Report, kind: OutcomeKind, room: &mut usize) -> Vec<String> {
    let of_kind = report.settled.iter().filter(|settled| settled.kind == kind);
    let told = of_kind.clone().take(*room).map(|settled| {
        let name =
            settled.name.as_deref().map_or(String::new(), |name| format!("  {}", shown(&cut(name, 80))));
        let code =
            settled.code.filter(|code| *code != 0).map_or(String::new(), |code| format!("  (code {code})"));
        format!("  - {}{name}{code}", settled.key)
    });
    let mut told: Vec<String> = told.collect();
    *room -= told.len();
    let more = of_kind.count() - told.len();
    if more > 0 {
        told.push(format!("  … and {} more; `larksub state history` has them all", grouped(more as u64)));
    }
    told
}

/// So many of them are told again.
const MOST_TO_LOOK_AT: usize = 20;

/// The ledger has them all.
const MOST_ALLOWANCES: usize = 10;

const WORDS: [(OutcomeKind, &str); 5] = [
    (OutcomeKind::Unsubscribed, "unsubscribed"),
    (OutcomeKind::AlreadyUnsubscribed, "already unsubscribed"),
    (OutcomeKind::NotFound, "not found"),
    (OutcomeKind::Failed, "failed"),
    (OutcomeKind::Unknown, "unknown"),
];

fn headline(report: &Report) -> &'static str {
    if report.unrecorded.is_some() {
        "Not recorded:"
    } else if report.signal.is_some() {
        "Interrupted:"
    } else if !report.stopped.is_empty() {
        "Stopped:"
    } else {
        "Applied, not everything:"
    }
}

fn advice(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    let mut room = MOST_TO_LOOK_AT;
    let failed = to_look_at(report, OutcomeKind::Failed, &mut room);
    let not_found = to_look_at(report, OutcomeKind::NotFound, &mut room);
    let unknown = to_look_at(report, OutcomeKind::Unknown, &mut room);
    if report.count(OutcomeKind::NotFound) > 0 {
        lines.push(
            "not found: a wrong code, or the wrong app or tenant for it; it stays tracked. To let it go without a call: a `removed` entry with `forget = true`"
                .into(),
        );
        lines.extend(not_found);
    }
    if report.count(OutcomeKind::Failed) > 0 {
        lines.push("failed: refused, so it stays tracked; the next plan holds it again".into());
        lines.extend(failed);
    }
    if report.count(OutcomeKind::Unknown) > 0 {
        lines.push("unknown: run the same command again, which settles it".into());
        lines.extend(unknown);
    }
    if report.unsettled > 0 {
        let unsettled = count(report.unsettled, "unknown is", "unknowns are");
        lines.push(format!(
            "{unsettled} declared again and never sent; `larksub plan` lists how to settle each"
        ));
    }
    if !report.pending.is_empty() {
        // The plan lists them all; here a few show where the run ended.
        const FEW: usize = 5;
        let keys: Vec<String> = report.pending.iter().take(FEW).map(ToString::to_string).collect();
        let more = report.pending.len().saturating_sub(FEW);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        lines.push(format!("not sent: {}{more}", keys.join(", ")));
        lines.push("nothing was changed there; the same command goes on where this one ended".into());
    }
    lines
}

/// What is true and could not be recorded, with the lines that `state repair --recovery` reads back.
pub fn unrecorded(unrecorded: &Unrecorded, lineage: Uuid, paint: Paint) -> String {
    let Unrecorded { cause, outcomes, records } = unrecorded;
    let mut out = format!("{} {}\n", paint.bad("error:"), shown(cause));
    if !outcomes.is_empty() {
        let _ = writeln!(out, "  these outcomes are true, and the state has them as unknown:");
    }
    for settled in outcomes {
        let _ = writeln!(out, "    {}", outcome(settled, None, Paint::Plain));
    }
    for record in records {
        if let Ok(line) = recovery::line(lineage, std::slice::from_ref(record)) {
            let _ = writeln!(out, "{line}");
        }
    }
    let help = paint.good("help:");
    if !records.is_empty() {
        let _ = writeln!(
            out,
            "  {help} keep these lines: `larksub state repair --recovery FILE` adds them to the state"
        );
    }
    let _ = writeln!(
        out,
        "  {help} make room or give this user the right to write, then run the same command again"
    );
    out
}

/// The report as one JSON document.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    format: &'static str,
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<Uuid>,
    plan_digest: &'a str,
    how: &'static str,
    exit_code: u8,
    counts: Counts,
    outcomes: &'a [Settled],
    pending: Vec<String>,
    stopped: &'a [Stopped],
    #[serde(skip_serializing_if = "Option::is_none")]
    unrecorded: Option<&'a Unrecorded>,
    #[serde(skip_serializing_if = "<[Override]>::is_empty")]
    overrides: &'a [Override],
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Timestamp>,
    took_ms: u64,
    lanes: Vec<Lane<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failed<'a>>,
}

/// How much came of a run.
#[derive(Debug, Default, Serialize)]
pub struct Counts {
    unsubscribed: u64,
    already_unsubscribed: u64,
    not_found: u64,
    failed: u64,
    unknown: u64,
    forgotten: u64,
    updated: u64,
    pending: u64,
    unsettled: u64,
}

/// The calls of one app and tenant against their quota.
#[derive(Debug, Serialize)]
pub struct Lane<'a> {
    app: &'a AppLabel,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_key: Option<&'a TenantKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_per_minute: Option<u32>,
    calls: u64,
    answers: u64,
    busiest_minute: u64,
}

/// How much came of a run, by its words.
pub fn counts(report: &Report) -> Counts {
    Counts {
        unsubscribed: report.count(OutcomeKind::Unsubscribed),
        already_unsubscribed: report.count(OutcomeKind::AlreadyUnsubscribed),
        not_found: report.count(OutcomeKind::NotFound),
        failed: report.count(OutcomeKind::Failed),
        unknown: report.count(OutcomeKind::Unknown),
        forgotten: report.forgotten,
        updated: report.updated,
        pending: report.pending.len() as u64,
        unsettled: report.unsettled,
    }
}

/// The calls of a run against their quotas.
pub fn lanes(report: &Report) -> Vec<Lane<'_>> {
    let lanes = report.lanes.iter().map(|lane| {
        let LaneReport { app, tenant_key, rate_per_minute, calls, before: _, answered } = lane;
        Lane {
            app,
            tenant_key: tenant_key.as_ref(),
            rate_per_minute: *rate_per_minute,
            calls: *calls,
            answers: answered.len() as u64,
            busiest_minute: lane.busiest_minute(),
        }
    });
    lanes.collect()
}

/// What an apply came to as one JSON document; of what was not begun, with the error.
pub fn document<'a>(ending: &Ending<'a>) -> Document<'a> {
    let (report, error) = match ending.came_to {
        CameTo::Ran(report) => (Some(report), None),
        CameTo::NotBegun(why) => (None, Some(Failed::new(why, ending.exit.code()))),
    };
    Document {
        format: "larksub.report",
        version: 1,
        run: report.and_then(|report| report.run),
        plan_digest: ending.digest.unwrap_or_default(),
        how: report.map_or("not_begun", |report| report.how.as_str()),
        exit_code: ending.exit.code(),
        counts: report.map(counts).unwrap_or_default(),
        outcomes: report.map(|report| report.settled.as_slice()).unwrap_or_default(),
        pending: report
            .map(|report| report.pending.iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
        stopped: report.map(|report| report.stopped.as_slice()).unwrap_or_default(),
        unrecorded: report.and_then(|report| report.unrecorded.as_ref()),
        overrides: ending.overrides,
        started_at: report.and_then(|report| report.started_at),
        took_ms: report.map_or(0, |report| report.took.as_millis() as u64),
        lanes: report.map(lanes).unwrap_or_default(),
        error,
    }
}
