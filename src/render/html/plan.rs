//! A plan as a page: the verdict, what refuses, what is unknown, each drop on a row, and what needs no call folded away.

use super::page::{NAME, Page, SENTENCE};
use super::{Mood, allowed, begin, command, end, made_from};
use crate::plan::{
    AppFacts, Base, Drop, Forget, Guard, Metadata, Plan, Stale, Unknown, Untracked, Update, Verdict,
};
use crate::render::markdown::{self, Comment, MOST_CHARS};
use crate::render::pick::{Marked, marked};
use crate::render::plan::{import_words, verdict};
use crate::render::{Paint, limits, stale, standing, time};
use crate::state::Status;
use crate::subscription::{SubscriptionKey, TenantKey};
use crate::text::is_blank;

/// The page; `saved` is where the plan is, if it is saved, and `moved` what has become of the ledger since.
pub fn text(plan: &Plan, saved: Option<&str>, moved: Option<&Stale>) -> String {
    let refusals = plan.guards.iter().filter(|guard| guard.verdict == Verdict::Refused).count() as u64;
    let mood = match plan {
        Plan { refused: true, .. } => Mood::Bad,
        Plan { calls: 1.., .. } => Mood::Loss,
        plan if plan.unsettled() > 0 => Mood::Doubt,
        _ => Mood::Good,
    };
    let pending = plan.drops.iter().filter(|drop| drop.pending).count() as u64;
    let own = plan.counts.drops.saturating_sub(pending);
    let counts = [
        (refusals, if refusals == 1 { "refusal" } else { "refusals" }, Mood::Bad),
        (plan.counts.unknowns, "unknown", Mood::Doubt),
        (own, if own == 1 { "drop" } else { "drops" }, Mood::Loss),
        (pending, "pending on main already", Mood::Good),
        (plan.counts.forgets, "to forget", Mood::Good),
        (plan.counts.updates, "to update", Mood::Good),
        (plan.counts.untracked, "untracked", Mood::Good),
        (plan.counts.tracked, "tracked", Mood::Good),
    ];
    let mut page = begin("larksub plan", &verdict(plan, Paint::Plain), mood, &counts);
    if let Some(moved) = moved {
        page.raw("<p class=\"doubt\"><b>Warning: ").own(&stale::sentence(moved)).raw(".</b></p>\n");
    }
    if let Some(limits) = limits::sentence(plan) {
        page.raw("<p class=\"doubt\"><b>").own(&limits).raw(".</b></p>\n");
    }
    sections(plan, &mut page);
    page.raw("<footer>\n<dl>\n");
    if plan.calls > 0 {
        page.raw("<dt>Calls</dt><dd>").number(plan.calls).raw(", ").plain(&time::estimate(plan.estimate_s));
        page.raw("</dd>\n");
    }
    made_from(plan, &mut page);
    page.raw("<dt>Digest</dt><dd><code>").plain(&plan.digest).raw("</code></dd>\n</dl>\n");
    if plan.refused {
        page.raw("<p><b>apply refuses this plan, too.</b></p>\n");
    } else if plan.has_changes {
        page.raw("<p>Exactly this, or nothing:</p>\n");
        let comment = Comment { key: None, saved, stale: None, max_chars: MOST_CHARS };
        command(&markdown::command(plan, &comment), &mut page);
    } else {
        page.raw("<p>apply has nothing to do.</p>\n");
    }
    page.raw("</footer>\n");
    end(page)
}

/// What a reviewer has to see of a plan, from what refuses it on.
pub(super) fn sections(plan: &Plan, page: &mut Page) {
    let marked = marked(plan);
    if let Some(stands) = standing::sentence(plan, &marked) {
        page.raw("<p class=\"doubt stands\">").own(&stands).raw("</p>\n");
    }
    refusals(plan, page);
    unknowns(plan, page);
    beside_base(plan, page);
    drops(plan, &marked, page);
    taken_back(plan, page);
    guards(plan, page);
    without_calls(plan, page);
    untracked(plan, page);
}

fn refusals(plan: &Plan, page: &mut Page) {
    let refused = plan.guards.iter().filter(|guard| guard.verdict == Verdict::Refused);
    if refused.clone().next().is_none() {
        return;
    }
    page.raw("<section class=\"bad\">\n<h2>Refused</h2>\n<table class=\"guards\"><caption>Guards that refuse the plan</caption>\n");
    heads(&["guard", "found", "to go on"], page);
    let mut last = None;
    for guard in refused {
        let Guard { rule, verdict: _, app: _, key: _, measured: _, of: _, limit: _, says, remedy } = guard;
        page.raw("<tr><th scope=\"row\"><code>")
            .plain(rule.as_str())
            .raw("</code><td>")
            .own(says)
            .raw("<td>");
        match remedy {
            Some(_) if last == Some(remedy) => page.raw("as above"),
            Some(text) => page.own(text),
            None => page,
        }
        .raw("\n");
        last = Some(remedy);
    }
    page.raw("</table>\n</section>\n");
}

fn unknowns(plan: &Plan, page: &mut Page) {
    if plan.unknowns.is_empty() {
        return;
    }
    page.raw("<section class=\"doubt\">\n<h2>Unknown <span>").number(plan.unknowns.len() as u64);
    page.raw("</span></h2>\n<p>A call was sent, and nobody can say what became of it.</p>\n");
    page.raw("<table class=\"unknowns\"><caption>Unknown subscriptions</caption>\n");
    heads(&["subscription", "name", "owner", "reason", "sent", "now"], page);
    for unknown in &plan.unknowns {
        let Unknown {
            app,
            tenant_key,
            approval_code,
            name,
            owner,
            reason,
            since: _,
            generation: _,
            sent_at,
            declared,
            pending,
        } = unknown;
        let key = unknown.key();
        row(&key, page);
        texts(name.as_deref(), owner.as_deref(), page);
        page.raw("<td>").foreign_or_none(reason.as_deref(), SENTENCE);
        page.raw("<td>").plain(&time::minute(*sent_at)).raw("<td>");
        if *declared {
            page.raw("<b>declared again, so it is not sent.</b> It lives: <code>larksub import ");
            page.plain(&import_words(app, tenant_key.as_ref(), approval_code.as_str()));
            page.raw("</code>; it is gone: <code>larksub state rm ").plain(&key.to_string());
            page.raw(" --reason …</code>");
        } else {
            page.raw("sent again, and counted as a drop");
            page.raw(if *pending { "; pending on main already" } else { "" });
        }
        page.raw("\n");
    }
    page.raw("</table>\n</section>\n");
}

/// What the plan was compared with.
fn beside_base(plan: &Plan, page: &mut Page) {
    let Some(Base { digest, manifest_digest: _, serial, drops, forgets: _, taken_back: _, policy: _ }) =
        &plan.base
    else {
        return;
    };
    page.raw("<p class=\"place\">Compared with a plan of main (line ").number(*serial).raw(", <code>");
    page.plain(digest)
        .raw("</code>): ")
        .number(*drops)
        .raw(" of the drops here are pending there already.</p>\n");
}

/// What the base would drop or forget, and this plan does not.
fn taken_back(plan: &Plan, page: &mut Page) {
    let taken_back = plan.base.as_ref().map(|base| base.taken_back.as_slice()).unwrap_or_default();
    if taken_back.is_empty() {
        return;
    }
    page.raw("<details>\n<summary><h2>Pending on main, and taken back by this change <span>");
    page.number(taken_back.len() as u64).raw("</span></h2></summary>\n<ul>\n");
    for key in taken_back {
        page.raw("<li><code>").foreign(key, SENTENCE).raw("</code></li>\n");
    }
    page.raw("</ul>\n</details>\n");
}

fn drops(plan: &Plan, marked: &[Marked<'_>], page: &mut Page) {
    // A reason is missed only where others have one.
    let has_reason = |drop: &Drop| drop.reason.as_deref().is_some_and(|text| !is_blank(text));
    let reasons = plan.drops.iter().any(has_reason);
    let (pending, own): (Vec<Marked<'_>>, Vec<Marked<'_>>) =
        marked.iter().partition(|marked| marked.drop.pending);
    if !own.is_empty() {
        page.raw("<section>\n<h2>Drops <span>").number(own.len() as u64).raw("</span></h2>\n");
        by_app(plan, &own, reasons, page);
        page.raw("</section>\n");
    }
    if !pending.is_empty() {
        page.raw("<details>\n<summary><h2>Drops pending on main already <span>");
        page.number(pending.len() as u64).raw("</span></h2></summary>\n");
        by_app(plan, &pending, reasons, page);
        page.raw("</details>\n");
    }
}

fn by_app(plan: &Plan, drops: &[Marked<'_>], reasons: bool, page: &mut Page) {
    for drops in drops.chunk_by(|a, b| a.drop.app == b.drop.app) {
        heading(plan, drops, reasons, page);
        let tenants = drops.iter().any(|marked| marked.drop.tenant_key.is_some());
        page.raw(if reasons { "<table class=\"drops reasons\">" } else { "<table class=\"drops\">" });
        page.raw("<caption>What is dropped of this app</caption>\n");
        let mut words = vec!["code", "name", "owner"];
        words.extend(reasons.then_some("reason"));
        words.push("since");
        words.extend(tenants.then_some("tenant"));
        heads(&words, page);
        for drop in drops {
            self::drop(drop, tenants, reasons, page);
        }
        page.raw("</table>\n");
    }
}

fn heading(plan: &Plan, drops: &[Marked<'_>], reasons: bool, page: &mut Page) {
    let Some(Marked { drop: Drop { app: label, .. }, .. }) = drops.first() else { return };
    let facts = plan.facts.apps.iter().find(|app| app.app == *label);
    let is_all = facts.is_some_and(|app| app.tracked > 1 && app.tracked == drops.len() as u64);
    page.raw("<h3><code>").plain(label.as_str()).raw("</code>: ").raw(if is_all { "ALL " } else { "" });
    page.number(drops.len() as u64);
    if let Some(facts) = facts {
        page.raw(" of ").number(facts.tracked).raw(" tracked");
    }
    page.raw(if plan.refused { " would be dropped" } else { " will be dropped" })
        .raw("</h3>\n<p class=\"place\">");
    if let Some(AppFacts { app: _, app_id, base_url, kind: _, tracked: _, tenants: _ }) = facts {
        page.raw("<code>")
            .plain(app_id.as_str())
            .raw("</code> at <code>")
            .plain(base_url.as_str())
            .raw("</code>");
    }
    let without = |of: fn(&Drop) -> &Option<String>| {
        let is_missing = |marked: &&Marked<'_>| of(marked.drop).as_deref().is_none_or(is_blank);
        drops.iter().filter(is_missing).count() as u64
    };
    let without = [
        (without(|drop| &drop.owner), "without an owner"),
        (if reasons { without(|drop| &drop.reason) } else { 0 }, "without a reason"),
    ];
    for (number, what) in without {
        if number > 0 {
            page.raw(" <b class=\"none\">").number(number).raw(" ").raw(what).raw("</b>");
        }
    }
    page.raw("</p>\n");
}

fn drop(Marked { drop, why }: &Marked<'_>, tenants: bool, reasons: bool, page: &mut Page) {
    let Drop {
        app: _,
        tenant_key,
        approval_code,
        name,
        owner,
        reason,
        since,
        generation: _,
        outcome,
        pending: _,
    } = drop;
    page.raw("<tr><th scope=\"row\"><code>").plain(approval_code.as_str()).raw("</code>");
    if let Some(why) = why {
        page.raw(" <b class=\"none\">").raw(why.as_str()).raw("</b>");
    }
    texts(name.as_deref(), owner.as_deref(), page);
    if reasons {
        page.raw("<td>").foreign_or_none(reason.as_deref(), SENTENCE);
    }
    page.raw("<td>").plain(&time::date(*since));
    if let Some(outcome) = outcome {
        page.raw(" <b class=\"none\">last try: ").raw(outcome.as_str()).raw("</b>");
    }
    if tenants {
        page.raw("<td><code>").plain(tenant_key.as_ref().map_or("", TenantKey::as_str)).raw("</code>");
    }
    page.raw("\n");
}

fn guards(plan: &Plan, page: &mut Page) {
    // Nothing dropped is within any limit, and no news.
    let told = plan.guards.iter().filter(|guard| match guard.verdict {
        Verdict::Passed => guard.measured != Some(0),
        Verdict::Allowed => true,
        Verdict::Refused => false,
    });
    let any = told.clone().next().is_some();
    if !any && plan.overrides.is_empty() {
        return;
    }
    page.raw("<section>\n<h2>Guards</h2>\n");
    if any {
        page.raw("<table class=\"guards\"><caption>Guards that passed or were allowed by name</caption>\n");
        heads(&["guard", "found", "verdict"], page);
        for guard in told {
            page.raw("<tr><th scope=\"row\"><code>")
                .raw(guard.rule.as_str())
                .raw("</code><td>")
                .own(&guard.says);
            page.raw(match guard.verdict {
                Verdict::Allowed => "<td><b class=\"none\">allowed by name</b>\n",
                _ => "<td>ok\n",
            });
        }
        page.raw("</table>\n");
    }
    allowed(&plan.overrides, page);
    page.raw("</section>\n");
}

pub(super) fn without_calls(plan: &Plan, page: &mut Page) {
    let total = (plan.forgets.len() + plan.updates.len()) as u64;
    if total == 0 {
        return;
    }
    let is_lifted =
        |update: &&Update| matches!(update, Update::Metadata { from, to, .. } if from.protect && !to.protect);
    let lifted = plan.updates.iter().filter(is_lifted).count() as u64;
    page.raw("<details>\n<summary><h2>Without a call <span>").number(total).raw("</span></h2>");
    // What can be dropped by the next plan is seen without unfolding.
    if lifted > 0 {
        page.raw(" <b class=\"none\">").number(lifted).raw(" no longer protected</b>");
    }
    page.raw("</summary>\n<table class=\"changes\"><caption>What changes in the state only</caption>\n");
    heads(&["subscription", "what", "change"], page);
    plan.forgets.iter().for_each(|it| forget(it, page));
    plan.updates.iter().for_each(|it| update(it, page));
    page.raw("</table>\n</details>\n");
}

fn forget(forget: &Forget, page: &mut Page) {
    let Forget {
        app: _,
        tenant_key: _,
        approval_code: _,
        name,
        owner,
        reason,
        since,
        generation: _,
        sent_at,
        pending,
    } = forget;
    row(&forget.key(), page);
    page.raw("<td><b>forget</b><td>");
    for (text, most) in [(name, NAME), (owner, NAME), (reason, SENTENCE)] {
        if let Some(text) = text.as_deref().filter(|text| !is_blank(text)) {
            page.foreign(text, most).raw(", ");
        }
    }
    page.raw("since ").plain(&time::date(*since));
    if let Some(at) = sent_at {
        page.raw(" <b class=\"none\">sent ")
            .plain(&time::minute(*at))
            .raw(" without a verdict: it may be gone</b>");
    }
    page.raw(if *pending { " (pending on main already)" } else { "" });
    page.raw("\n");
}

fn update(update: &Update, page: &mut Page) {
    match update {
        Update::Rename { app, from } => {
            page.raw("<tr><th scope=\"row\">app <code>")
                .plain(app.as_str())
                .raw("</code><td>rename<td>was <code>");
            page.plain(from.as_str()).raw("</code>\n");
        }
        Update::Metadata { app, tenant_key, approval_code, from, to } => {
            let key = SubscriptionKey {
                app: app.clone(),
                tenant_key: tenant_key.clone(),
                approval_code: approval_code.clone(),
            };
            row(&key, page);
            page.raw("<td>update<td>");
            let Metadata { name, owner, protect } = from;
            for (what, was, is) in [("name ", name, &to.name), ("owner ", owner, &to.owner)] {
                if was != is {
                    page.raw(what).foreign_or_none(was.as_deref(), NAME).raw(" → ");
                    page.foreign_or_none(is.as_deref(), NAME).raw(" ");
                }
            }
            match (protect, to.protect) {
                (true, false) => page.raw("<b class=\"none\">no longer protected</b>"),
                (false, true) => page.raw("protected from now on"),
                _ => page,
            };
            page.raw("\n");
        }
    }
}

fn untracked(plan: &Plan, page: &mut Page) {
    if plan.untracked.is_empty() {
        return;
    }
    page.raw("<details>\n<summary><h2>Declared and not tracked <span>").number(plan.untracked.len() as u64);
    page.raw("</span></h2> no call is made</summary>\n<table class=\"untracked\"><caption>Declared and not tracked</caption>\n");
    heads(&["subscription", "name", "owner", "state"], page);
    for untracked in &plan.untracked {
        let Untracked { app, tenant_key, approval_code, name, owner, was, since } = untracked;
        row(&untracked.key(), page);
        texts(name.as_deref(), owner.as_deref(), page);
        page.raw("<td>").raw(match was {
            None | Some(Status::Subscribed) => "never imported",
            Some(Status::Unsubscribed) => "dropped",
            Some(Status::Forgotten) => "forgotten",
        });
        if let Some(since) = since {
            page.raw(" ").plain(&time::date(*since));
        }
        page.raw(match was {
            Some(Status::Unsubscribed) => "; to have it back, subscribe it on the platform, then ",
            _ => "; if it is subscribed: ",
        });
        page.raw("<code>larksub import ");
        page.plain(&import_words(app, tenant_key.as_ref(), approval_code.as_str())).raw("</code>\n");
    }
    page.raw("</table>\n</details>\n");
}

/// The first row of a table.
pub(super) fn heads(words: &[&'static str], page: &mut Page) {
    page.raw("<thead><tr>");
    for word in words {
        page.raw("<th scope=\"col\"");
        // Widths are by word, and a phrase takes what is left.
        if !word.contains(' ') {
            page.raw(" class=\"w-").raw(word).raw("\"");
        }
        page.raw(">").raw(word);
    }
    page.raw("</thead>\n<tbody>\n");
}

/// The beginning of a row about a subscription.
pub(super) fn row(key: &SubscriptionKey, page: &mut Page) {
    let SubscriptionKey { app, tenant_key, approval_code } = key;
    page.raw("<tr><th scope=\"row\"><code>").plain(app.as_str()).raw("/");
    if let Some(tenant) = tenant_key {
        page.raw("<span>").plain(tenant.as_str()).raw("/</span>");
    }
    page.raw("<span>").plain(approval_code.as_str()).raw("</span></code>");
}

/// The cells of its name and owner.
pub(super) fn texts(name: Option<&str>, owner: Option<&str>, page: &mut Page) {
    page.raw("<td>").foreign_or_none(name, NAME).raw("<td>").foreign_or_none(owner, NAME);
}
