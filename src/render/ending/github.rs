//! What an apply came to as GitHub's workflow commands, and as the outputs of its step.

use std::fmt::Write as _;

use super::{CameTo, Ending, NotBegun, of_kind, verdict, what_to_do};
use crate::render::github::{command, few_of};
use crate::render::grouped;
use crate::report::{Settled, Stopped};
use crate::state::OutcomeKind;
use crate::text::{cut, shown};

/// The commands, a line each: errors for what failed or stopped, warnings for what is unknown or unknown to the platform, a
/// notice that sums up. Where nothing was sent, one error says why.
pub fn text(ending: &Ending<'_>) -> String {
    let mut out = String::new();
    let report = match ending.came_to {
        CameTo::Ran(report) => report,
        CameTo::NotBegun(NotBegun { title, causes, hints, drawing: _, difference }) => {
            let mut message = format!("Nothing was sent: {title}");
            let difference = difference.iter().flat_map(|text| text.lines());
            for line in causes.iter().chain(hints).map(String::as_str).chain(difference) {
                let _ = write!(message, "\n{line}");
            }
            command("error", TITLE, &message, None, &mut out);
            return out;
        }
    };
    if let Some(unrecorded) = &report.unrecorded {
        let message = format!(
            "the state could not be written: {}\n{} true outcomes are not in it; the log has recovery lines for `larksub state repair --recovery`",
            shown(&unrecorded.cause),
            grouped(unrecorded.outcomes.len() as u64)
        );
        command("error", "not recorded", &message, None, &mut out);
    }
    let mut errors: Vec<(String, String)> = report.stopped.iter().map(stop).collect();
    errors.extend(of_kind(report, OutcomeKind::Failed).into_iter().map(outcome));
    // The one above is of the same kind.
    let most = MOST - usize::from(report.unrecorded.is_some());
    few_of(&errors, most, "errors", "error", TITLE, &mut out);
    let doubts = [OutcomeKind::Unknown, OutcomeKind::NotFound];
    let mut warnings: Vec<(String, String)> =
        doubts.into_iter().flat_map(|kind| of_kind(report, kind)).map(outcome).collect();
    if !report.pending.is_empty() {
        let keys: Vec<String> = report.pending.iter().take(10).map(ToString::to_string).collect();
        let number = grouped(report.pending.len() as u64);
        let more = if keys.len() < report.pending.len() { ", …" } else { "" };
        warnings.insert(0, ("not sent".into(), format!("{number} not sent: {}{more}", keys.join(", "))));
    }
    few_of(&warnings, MOST, "warnings", "warning", TITLE, &mut out);
    let mut sum = verdict(ending);
    if let Some(digest) = ending.digest {
        let _ = write!(sum, "\nDigest {digest}");
    }
    if let Some(run) = report.run {
        let _ = write!(sum, "\nRun {run}");
    }
    if let Some(again) = ending.again {
        let _ = write!(sum, "\nTo go on: {again}");
    }
    command("notice", TITLE, &sum, None, &mut out);
    out
}

/// GitHub shows ten annotations of a kind in a step, and drops the others unsaid.
const MOST: usize = 9;

const TITLE: &str = "larksub apply";

/// The outputs of the step: `dropped`, `failed` (not found included), `unknown`, `pending`, `digest`, `run`.
pub fn outputs(ending: &Ending<'_>) -> String {
    let of = |kind| ending.report().map_or(0, |report| report.count(kind));
    let report = ending.report();
    format!(
        "dropped={}\nalready_unsubscribed={}\nnot_found={}\nfailed={}\nunknown={}\npending={}\nexit_code={}\ndigest={}\nrun={}\n",
        ending.dropped(),
        of(OutcomeKind::AlreadyUnsubscribed),
        of(OutcomeKind::NotFound),
        of(OutcomeKind::Failed),
        of(OutcomeKind::Unknown),
        report.map_or(0, |report| report.pending.len()),
        ending.exit.code(),
        ending.digest.unwrap_or_default(),
        report.and_then(|report| report.run).map_or(String::new(), |run| run.to_string()),
    )
}

fn stop(stopped: &Stopped) -> (String, String) {
    let Stopped { app, tenant_key, reason, says, hint, troubleshooter } = stopped;
    let tenant = tenant_key.as_ref().map_or(String::new(), |tenant| format!("/{tenant}"));
    let see = troubleshooter.as_deref().map_or(String::new(), |link| format!("\nsee {}", shown(link)));
    (format!("stopped: {reason}"), format!("{app}{tenant}: {says}\n{hint}{see}"))
}

fn outcome(settled: &Settled) -> (String, String) {
    let Settled { key, name, kind, code, msg, log_id, http_status, attempts: _, reason, at: _ } = settled;
    let mut message = key.to_string();
    if let Some(name) = name {
        let _ = write!(message, " ({})", shown(&cut(name, 80)));
    }
    let mut facts = Vec::new();
    facts.extend(code.map(|code| format!("code {code}")));
    facts.extend(msg.as_deref().map(|msg| format!("\"{}\"", shown(&cut(msg, 300)))));
    facts.extend(http_status.map(|status| format!("HTTP {status}")));
    facts.extend(log_id.as_deref().map(|id| format!("log id {}", shown(&cut(id, 80)))));
    facts.extend(reason.as_deref().map(|reason| shown(&cut(reason, 300)).into_owned()));
    if !facts.is_empty() {
        let _ = write!(message, ": {}", facts.join(", "));
    }
    let _ = write!(message, "\n{}", what_to_do(*kind));
    (super::word(*kind).into(), message)
}
