//! What an apply came to as a page: what needs a person, the calls against the quota, and what is done.

use super::page::{NAME, Page, SENTENCE};
use super::plan::{heads, row, sections, without_calls};
use super::{Mood, allowed, begin, command, end, made_from, timeline};
use crate::plan::Plan;
use crate::render::ending::{
    CameTo, Ending, NotBegun, TO_LOOK_AT, WHAT_TO_DO_WITH_PENDING, verdict, what_to_do, word,
};
use crate::render::time;
use crate::report::{Report, Settled, Stopped, Unrecorded};
use crate::state::OutcomeKind;
use crate::subscription::SubscriptionKey;

/// The page.
pub fn text(ending: &Ending<'_>) -> String {
    let report = match ending.came_to {
        CameTo::Ran(report) => report,
        CameTo::NotBegun(why) => return not_begun(ending, why),
    };
    let mood = match ending.exit.code() {
        0 => Mood::Good,
        3 => Mood::Doubt,
        _ => Mood::Bad,
    };
    let of = |kind| report.count(kind);
    let lost = report.unrecorded.as_ref().map_or(0, |unrecorded| unrecorded.outcomes.len() as u64);
    let counts = [
        (lost, "not recorded", Mood::Bad),
        (of(OutcomeKind::Failed), "failed", Mood::Bad),
        (of(OutcomeKind::NotFound), "not found", Mood::Doubt),
        (of(OutcomeKind::Unknown), "unknown", Mood::Doubt),
        (report.pending.len() as u64, "not sent", Mood::Doubt),
        (report.unsettled, "to settle by hand", Mood::Doubt),
        (of(OutcomeKind::Unsubscribed), "dropped", Mood::Good),
        (of(OutcomeKind::AlreadyUnsubscribed), "already unsubscribed", Mood::Good),
        (report.forgotten, "forgotten", Mood::Good),
        (report.updated, "updated", Mood::Good),
    ];
    let mut page = begin("larksub apply", &verdict(ending), mood, &counts);
    unrecorded(report, &mut page);
    stops(&report.stopped, &mut page);
    let owners = ending.owners();
    let owner = |key: &SubscriptionKey| owners.get(key).and_then(|[owner, _]| *owner);
    for kind in TO_LOOK_AT {
        let settled = report.settled.iter().filter(|settled| settled.kind == kind);
        let number = report.count(kind);
        if number == 0 {
            continue;
        }
        let (class, title) = match kind {
            OutcomeKind::Failed => ("bad", "Failed"),
            OutcomeKind::NotFound => ("doubt", "Not found"),
            _ => ("doubt", "Unknown"),
        };
        page.raw("<section class=\"").raw(class).raw("\">\n<h2>").raw(title).raw(" <span>").number(number);
        page.raw("</span></h2>\n<p>").own(what_to_do(kind)).raw("</p>\n");
        outcomes(settled, &owner, title, &mut page);
        page.raw("</section>\n");
    }
    pending(ending, report, &mut page);
    timeline::write(&report.lanes, &mut page);
    done(report, &mut page);
    if let Some(plan) = ending.plan
        && report.run.is_some()
    {
        without_calls(plan, &mut page);
    }
    foot(ending, &mut page);
    end(page)
}

/// A table of calls with all that the platform answered; where it answered nothing, without a column for it.
fn outcomes<'a>(
    settled: impl Iterator<Item = &'a Settled> + Clone,
    owner: &dyn Fn(&SubscriptionKey) -> Option<&'a str>,
    title: &'static str,
    page: &mut Page,
) {
    let is_answered = settled.clone().any(|it| it.code.is_some() || it.msg.is_some() || it.log_id.is_some());
    page.raw(if is_answered { "<table class=\"outcomes answered\">" } else { "<table class=\"outcomes\">" });
    page.raw("<caption>").raw(title).raw("</caption>\n");
    let mut words = vec!["subscription", "name", "owner"];
    words.extend(is_answered.then_some("answer"));
    words.push("how");
    heads(&words, page);
    for settled in settled {
        let Settled { key, name, kind: _, code, msg, log_id, http_status, attempts, reason, at } = settled;
        row(key, page);
        super::plan::texts(name.as_deref(), owner(key), page);
        if is_answered {
            page.raw("<td>");
            if let Some(code) = code {
                page.raw("<code class=\"number\">").plain(&code.to_string()).raw("</code> ");
            }
            if let Some(msg) = msg {
                page.foreign(msg, SENTENCE);
            }
            if let Some(log_id) = log_id {
                page.raw(" <span>log id <code>").foreign(log_id, NAME).raw("</code></span>");
            }
        }
        page.raw("<td>");
        if let Some(reason) = reason {
            page.foreign(reason, SENTENCE).raw(", ");
        }
        // 200 is how the platform answers most of what goes wrong, too: its code tells more.
        if let Some(status) = http_status.filter(|status| *status != 200) {
            page.raw("HTTP ").plain(&status.to_string()).raw(", ");
        }
        if *attempts != 1 {
            page.number((*attempts).into()).raw(" tries, ");
        }
        page.raw("<span>").plain(&time::minute(*at)).raw("</span>\n");
    }
    page.raw("</table>\n");
}

fn unrecorded(report: &Report, page: &mut Page) {
    let Some(Unrecorded { cause, outcomes: lost, records: _ }) = &report.unrecorded else { return };
    page.raw("<section class=\"bad\">\n<h2>The state could not be written</h2>\n<p>")
        .foreign(cause, SENTENCE);
    page.raw("</p>\n<p>What stands here is true, and the state has it as unknown. The log of the job has recovery lines: keep them, <code>larksub state repair --recovery</code> adds them to the state.</p>\n");
    if !lost.is_empty() {
        page.raw("<table class=\"changes\"><caption>True outcomes that are not recorded</caption>\n");
        heads(&["subscription", "outcome", "name"], page);
        for settled in lost {
            row(&settled.key, page);
            page.raw("<td><b>").raw(word(settled.kind)).raw("</b><td>");
            page.foreign_or_none(settled.name.as_deref(), NAME).raw("\n");
        }
        page.raw("</table>\n");
    }
    page.raw("</section>\n");
}

fn stops(stopped: &[Stopped], page: &mut Page) {
    if stopped.is_empty() {
        return;
    }
    page.raw("<section class=\"bad\">\n<h2>Stopped</h2>\n<table class=\"guards\"><caption>Apps and tenants that send nothing more</caption>\n");
    heads(&["app or tenant", "by", "found", "to go on"], page);
    for Stopped { app, tenant_key, reason, says, hint, troubleshooter } in stopped {
        page.raw("<tr><th scope=\"row\"><code>").plain(app.as_str());
        if let Some(tenant) = tenant_key {
            page.raw("/").plain(tenant.as_str());
        }
        page.raw("</code><td><code>").raw(reason).raw("</code><td>").own(says).raw("<td>").own(hint);
        if let Some(link) = troubleshooter {
            page.raw("; see <code>").foreign(link, SENTENCE).raw("</code>");
        }
        page.raw("\n");
    }
    page.raw("</table>\n</section>\n");
}

fn pending(ending: &Ending<'_>, report: &Report, page: &mut Page) {
    if report.pending.is_empty() {
        return;
    }
    let names: std::collections::BTreeMap<SubscriptionKey, Option<&str>> =
        ending.plan.into_iter().flat_map(Plan::planned_calls).map(|call| (call.key(), call.name)).collect();
    let owners = ending.owners();
    page.raw("<section class=\"doubt\">\n<h2>Not sent <span>").number(report.pending.len() as u64);
    page.raw("</span></h2>\n<p>").raw(WHAT_TO_DO_WITH_PENDING).raw("</p>\n");
    page.raw("<table class=\"pending\"><caption>Not sent</caption>\n");
    heads(&["subscription", "name", "owner"], page);
    for key in &report.pending {
        row(key, page);
        let owner = owners.get(key).and_then(|[owner, _]| *owner);
        super::plan::texts(names.get(key).copied().flatten(), owner, page);
        page.raw("\n");
    }
    page.raw("</table>\n</section>\n");
}

fn done(report: &Report, page: &mut Page) {
    let is_done = |settled: &&Settled| {
        matches!(settled.kind, OutcomeKind::Unsubscribed | OutcomeKind::AlreadyUnsubscribed)
    };
    let number = report.settled.iter().filter(is_done).count() as u64;
    if number == 0 {
        return;
    }
    page.raw("<details>\n<summary><h2>Done <span>").number(number).raw("</span></h2></summary>\n");
    page.raw("<table class=\"done\"><caption>What is done</caption>\n");
    heads(&["subscription", "name", "outcome", "at (UTC)"], page);
    for settled in report.settled.iter().filter(is_done) {
        row(&settled.key, page);
        page.raw("<td>").foreign_or_none(settled.name.as_deref(), NAME);
        page.raw("<td>").raw(word(settled.kind));
        if let Some(reason) = &settled.reason {
            page.raw(" (").foreign(reason, SENTENCE).raw(")");
        }
        page.raw("<td>").plain(&time::second(settled.at)).raw("\n");
    }
    page.raw("</table>\n</details>\n");
}

fn not_begun(ending: &Ending<'_>, why: &NotBegun) -> String {
    let NotBegun { title: _, causes, hints, drawing, difference } = why;
    let mut page = begin("larksub apply", &verdict(ending), Mood::Bad, &[]);
    page.raw("<section>\n");
    for (title, texts) in [("Why", causes), ("What to do", hints)] {
        if texts.is_empty() {
            continue;
        }
        page.raw("<h2>").raw(title).raw("</h2>\n<ul>\n");
        for text in texts {
            page.raw("<li>").own(text).raw("</li>\n");
        }
        page.raw("</ul>\n");
    }
    if !drawing.is_empty() {
        page.raw("<pre>").lines(drawing).raw("</pre>\n");
    }
    page.raw("</section>\n");
    if let Some(difference) = difference {
        page.raw("<section class=\"doubt\">\n<h2>What differs</h2>\n<pre>").lines(difference);
        page.raw("</pre>\n</section>\n");
    }
    if let Some(plan) = ending.plan {
        page.raw("<h2>What would be done now</h2>\n<p>")
            .own(&crate::render::plan::verdict(plan, crate::render::Paint::Plain));
        page.raw("</p>\n");
        sections(plan, &mut page);
    }
    foot(ending, &mut page);
    end(page)
}

fn foot(ending: &Ending<'_>, page: &mut Page) {
    page.raw("<footer>\n");
    allowed(ending.overrides, page);
    page.raw("<dl>\n");
    if let Some(plan) = ending.plan {
        made_from(plan, page);
    }
    if let Some(digest) = ending.digest {
        page.raw("<dt>Digest</dt><dd><code>").plain(digest).raw("</code></dd>\n");
    }
    if let Some(report) = ending.report() {
        if let Some(run) = report.run {
            page.raw("<dt>Run</dt><dd><code>").plain(&run.to_string()).raw("</code></dd>\n");
        }
        if let Some(at) = report.started_at {
            page.raw("<dt>Started</dt><dd>").plain(&time::minute(at)).raw(", took ");
            page.number(report.took.as_secs()).raw(" s</dd>\n");
        }
    }
    page.raw("</dl>\n");
    if let Some(again) = ending.again {
        page.raw("<p>To go on:</p>\n");
        command(again, page);
    }
    page.raw("</footer>\n");
}
