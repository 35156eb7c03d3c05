//! What an apply did, as text and as JSON.

use std::fmt::Write as _;

use serde::Serialize;
use uuid::Uuid;

use super::history::allowances;
use super::{Paint, count, grouped};
use crate::report::{Report, Settled, Stopped, Unrecorded};
use crate::state::{OutcomeKind, Override, recovery};
use crate::subscription::TenantKey;
use crate::text::{cut, pad, shown};

/// One outcome on one line, without a line break. Where it needs no attention it is cut to the terminal's columns.
pub fn outcome(settled: &Settled, columns: Option<usize>, paint: Paint) -> String {
    let Settled { key, name, kind, code, msg, log_id, http_status, attempts, reason } = settled;
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
    let Settled { key, name: _, kind: _, code, msg, log_id, http_status, attempts, reason: _ } = settled;
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
    if report.count(OutcomeKind::NotFound) > 0 {
        lines.push(
            "not found: a wrong code, or the wrong app or tenant for it; it stays tracked. To let it go without a call: a `removed` entry with `forget = true`"
                .into(),
        );
    }
    if report.count(OutcomeKind::Failed) > 0 {
        lines.push("failed: refused, so it stays tracked; the next plan holds it again".into());
    }
    if report.count(OutcomeKind::Unknown) > 0 {
        lines.push("unknown: run the same command again, which settles it".into());
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
    #[serde(skip_serializing_if = "<[Override]>::is_empty")]
    overrides: &'a [Override],
    how: &'static str,
    exit_code: u8,
    counts: Counts,
    outcomes: &'a [Settled],
    pending: Vec<String>,
    stopped: &'a [Stopped],
    #[serde(skip_serializing_if = "Option::is_none")]
    unrecorded: Option<&'a Unrecorded>,
}

#[derive(Debug, Serialize)]
struct Counts {
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

/// The report of a plan's apply as one JSON document.
pub fn document<'a>(report: &'a Report, plan_digest: &'a str) -> Document<'a> {
    let Report {
        run,
        overrides,
        how,
        settled,
        forgotten,
        updated,
        pending,
        unsettled,
        stopped,
        signal: _,
        unrecorded,
    } = report;
    Document {
        format: "larksub.report",
        version: 1,
        run: *run,
        plan_digest,
        overrides,
        how: how.as_str(),
        exit_code: report.exit().code(),
        counts: Counts {
            unsubscribed: report.count(OutcomeKind::Unsubscribed),
            already_unsubscribed: report.count(OutcomeKind::AlreadyUnsubscribed),
            not_found: report.count(OutcomeKind::NotFound),
            failed: report.count(OutcomeKind::Failed),
            unknown: report.count(OutcomeKind::Unknown),
            forgotten: *forgotten,
            updated: *updated,
            pending: pending.len() as u64,
            unsettled: *unsettled,
        },
        outcomes: settled,
        pending: pending.iter().map(ToString::to_string).collect(),
        stopped,
        unrecorded: unrecorded.as_ref(),
    }
}
