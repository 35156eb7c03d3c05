//! What an apply came to, in words that its forms share: text, Markdown, what a CI system reads, and the page.

pub mod github;
pub mod markdown;

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{Paint, count, grouped, report};
use crate::error::Exit;
use crate::plan::Plan;
use crate::report::{Report, Settled};
use crate::state::{OutcomeKind, Override};
use crate::subscription::SubscriptionKey;

/// What an apply came to, and what is known beside it.
#[derive(Debug, Clone, Copy)]
pub struct Ending<'a> {
    /// A run, or why there was none.
    pub came_to: CameTo<'a>,
    /// How the process ends.
    pub exit: Exit,
    /// The plan that was made, where it came to that.
    pub plan: Option<&'a Plan>,
    /// The digest of the plan that was to be carried out.
    pub digest: Option<&'a str>,
    /// What was allowed by name.
    pub overrides: &'a [Override],
    /// The command that goes on from here; none where nothing is left. Safe to show.
    pub again: Option<&'a str>,
    /// The ledger, where it is known; a pipeline finds a comment by it.
    pub lineage: Option<Uuid>,
}

/// A run, or why there was none.
#[derive(Debug, Clone, Copy)]
pub enum CameTo<'a> {
    /// It was begun, or there was nothing to do.
    Ran(&'a Report),
    /// Nothing was sent, and nothing was recorded.
    NotBegun(&'a NotBegun),
}

/// Why a run was not begun. Foreign parts are escaped already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotBegun {
    /// What was wrong and where.
    pub title: String,
    /// What led to it, outermost first.
    pub causes: Vec<String>,
    /// What to do next.
    pub hints: Vec<String>,
    /// Problems of a manifest as they are drawn on a terminal, without colour.
    pub drawing: String,
    /// How the reviewed plan and the one of now differ, a line each.
    pub difference: Option<String>,
}

impl Ending<'_> {
    /// The run, where there was one.
    pub fn report(&self) -> Option<&Report> {
        match self.came_to {
            CameTo::Ran(report) => Some(report),
            CameTo::NotBegun(_) => None,
        }
    }

    /// How many subscriptions this run dropped.
    pub fn dropped(&self) -> u64 {
        self.report().map_or(0, |report| report.count(OutcomeKind::Unsubscribed))
    }

    /// The owner and the reason of what was called, by key.
    pub(in crate::render) fn owners(&self) -> BTreeMap<SubscriptionKey, [Option<&str>; 2]> {
        let Some(plan) = self.plan else { return BTreeMap::new() };
        let drops = plan.drops.iter().map(|it| (it.key(), [it.owner.as_deref(), it.reason.as_deref()]));
        let unknowns = plan.unknowns.iter().map(|it| (it.key(), [it.owner.as_deref(), it.reason.as_deref()]));
        drops.chain(unknowns).collect()
    }
}

/// The first line: `37 of 40 dropped; 2 failed, 1 unknown; exit 3.`
pub fn verdict(ending: &Ending<'_>) -> String {
    let exit = ending.exit.code();
    let report = match ending.came_to {
        CameTo::Ran(report) => report,
        CameTo::NotBegun(NotBegun { title, .. }) => {
            return format!("Nothing was sent: {title}; exit {exit}.");
        }
    };
    let head = match report.exit().code() {
        0 | 3 => "",
        _ if report.unrecorded.is_some() => "NOT RECORDED. ",
        _ if report.signal.is_some() => "INTERRUPTED. ",
        _ => "STOPPED. ",
    };
    let lost = report.unrecorded.as_ref().map_or(0, |unrecorded| unrecorded.outcomes.len());
    let calls = (report.settled.len() + lost + report.pending.len()) as u64;
    let mut parts = Vec::new();
    if calls > 0 {
        parts.push(format!(
            "{} of {} dropped",
            grouped(report.count(OutcomeKind::Unsubscribed)),
            grouped(calls)
        ));
    }
    let rest: Vec<String> = [
        (report.count(OutcomeKind::AlreadyUnsubscribed), "already unsubscribed"),
        (report.count(OutcomeKind::Failed), "failed"),
        (report.count(OutcomeKind::NotFound), "not found"),
        (report.count(OutcomeKind::Unknown), "unknown"),
        (lost as u64, "not recorded"),
        (report.pending.len() as u64, "not sent"),
        (report.forgotten, "forgotten"),
        (report.updated, "updated"),
        (report.unsettled, "unknown to settle by hand"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, word)| format!("{} {word}", grouped(number)))
    .collect();
    if !rest.is_empty() {
        parts.push(rest.join(", "));
    }
    if parts.is_empty() {
        parts.push("Nothing to do".into());
    }
    format!("{head}{}; exit {exit}.", parts.join("; "))
}

/// The outcomes that a person has to look at, in the order in which they are told.
pub const TO_LOOK_AT: [OutcomeKind; 3] = [OutcomeKind::Failed, OutcomeKind::NotFound, OutcomeKind::Unknown];

/// What to do about an outcome; nothing where all is well.
pub fn what_to_do(kind: OutcomeKind) -> &'static str {
    match kind {
        OutcomeKind::Unsubscribed | OutcomeKind::AlreadyUnsubscribed => "",
        OutcomeKind::Failed => {
            "Refused, so it is still subscribed and stays tracked; the next plan holds it again."
        }
        OutcomeKind::NotFound => {
            "A wrong code, or the wrong app or tenant for it; it stays tracked. To let it go without a call: a `removed` entry with `forget = true`."
        }
        OutcomeKind::Unknown => {
            "Nobody can say whether it lives. Run the same command again, which settles it."
        }
    }
}

/// What to do about calls that were not sent.
pub const WHAT_TO_DO_WITH_PENDING: &str =
    "Nothing was changed here; the same command goes on where this run ended.";

/// The word for an outcome as people read it.
pub fn word(kind: OutcomeKind) -> &'static str {
    match kind {
        OutcomeKind::Unsubscribed => "dropped",
        OutcomeKind::AlreadyUnsubscribed => "already unsubscribed",
        OutcomeKind::NotFound => "not found",
        OutcomeKind::Failed => "failed",
        OutcomeKind::Unknown => "unknown",
    }
}

/// The outcomes of one kind.
fn of_kind(report: &Report, kind: OutcomeKind) -> Vec<&Settled> {
    report.settled.iter().filter(|settled| settled.kind == kind).collect()
}

/// What an apply came to as plain text: a line for each outcome, and the end of the run.
pub fn text(ending: &Ending<'_>) -> String {
    let report = match ending.came_to {
        CameTo::Ran(report) => report,
        CameTo::NotBegun(NotBegun { title, causes, hints, drawing, difference }) => {
            let mut out = format!("Nothing was sent: {title}\n");
            causes.iter().for_each(|cause| out.push_str(&format!("  cause: {cause}\n")));
            hints.iter().for_each(|hint| out.push_str(&format!("  help: {hint}\n")));
            for more in [Some(drawing), difference.as_ref()].into_iter().flatten() {
                if !more.is_empty() {
                    out.push_str(&format!("\n{}\n", more.trim_end()));
                }
            }
            return out;
        }
    };
    let mut out = String::new();
    for settled in &report.settled {
        out.push_str(&report::outcome(settled, None, Paint::Plain));
        out.push('\n');
    }
    for stopped in &report.stopped {
        out.push_str(&report::stopped(stopped, Paint::Plain));
        out.push('\n');
    }
    out.push_str(&report::summary(report, Paint::Plain));
    if let Some(digest) = ending.digest {
        out.push_str(&format!("Digest {digest}\n"));
    }
    out
}

/// GitLab's merge-request widget: what this run dropped.
pub fn gitlab(ending: &Ending<'_>) -> String {
    format!("{{\"create\":0,\"update\":0,\"delete\":{}}}\n", ending.dropped())
}

/// How a lane kept its quota: `busiest minute: 100 of at most 100 calls`.
pub fn busiest(lane: &crate::report::LaneReport) -> String {
    let busiest = grouped(lane.busiest_minute());
    match lane.rate_per_minute {
        Some(rate) => format!("busiest minute: {busiest} of at most {}", count(rate.into(), "call", "calls")),
        None => format!("busiest minute: {busiest} calls, without a limit"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_says_what_was_not_done() {
        let told = |report: &Report| {
            let exit = report.exit();
            let (plan, digest, again) = (None, None, None);
            verdict(&Ending {
                came_to: CameTo::Ran(report),
                exit,
                plan,
                digest,
                overrides: &[],
                again,
                lineage: None,
            })
        };
        let settled = |kind| Settled {
            key: "hr/A-1".parse().unwrap(),
            name: None,
            kind,
            code: None,
            msg: None,
            log_id: None,
            http_status: None,
            attempts: 1,
            reason: None,
            at: jiff::Timestamp::UNIX_EPOCH,
        };
        let mut report = Report::empty();
        assert_eq!(told(&report), "Nothing to do; exit 0.");
        report.forgotten = 2;
        assert_eq!(told(&report), "2 forgotten; exit 0.");
        report.forgotten = 0;
        report.settled = vec![settled(OutcomeKind::Unsubscribed), settled(OutcomeKind::Unsubscribed)];
        assert_eq!(told(&report), "2 of 2 dropped; exit 0.");
        report.settled.push(settled(OutcomeKind::Unknown));
        report.settled.push(settled(OutcomeKind::Failed));
        assert_eq!(told(&report), "2 of 4 dropped; 1 failed, 1 unknown; exit 3.");
        report.pending.push("hr/A-2".parse().unwrap());
        report.signal = Some(crate::report::Signal::Interrupt);
        assert_eq!(told(&report), "INTERRUPTED. 2 of 5 dropped; 1 failed, 1 unknown, 1 not sent; exit 130.");
    }
}
