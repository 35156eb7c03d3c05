//! A plan as a reviewer reads it: the verdict and the counts first, then what would be lost, then why it may.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;

use super::drops::{self, field, fit};
use super::pick::{Marked, marked};
use super::screen::{Room, fitting, wrapped};
use super::{Layout, Paint, count, guards, standing, time};
use crate::plan::{Base, Forget, Metadata, Plan, Unknown, Untracked, Update};
use crate::state::{By, Status};
use crate::subscription::{AppLabel, SubscriptionKey, TenantKey};
use crate::text::{is_blank, shown};

/// Which state a plan was made from.
#[derive(Debug, Clone)]
pub struct Origin<'a> {
    /// Its path, not escaped.
    pub path: &'a str,
    /// When its last record was written.
    pub written_at: Timestamp,
    /// By whom.
    pub written_by: &'a By<'static>,
}

/// The whole plan. Where `origin` is absent, the facts in the plan have to do. On a screen the lists are cut so that
/// the first line, which is the verdict, stays in sight.
pub fn text(plan: &Plan, origin: Option<&Origin<'_>>, layout: Layout) -> String {
    shown_on(plan, origin, layout).0
}

/// How many drops [`text`] does not list on this screen.
pub fn unlisted(plan: &Plan, origin: Option<&Origin<'_>>, layout: Layout) -> u64 {
    shown_on(plan, origin, layout).1
}

fn shown_on(plan: &Plan, origin: Option<&Origin<'_>>, layout: Layout) -> (String, u64) {
    let marked = marked(plan);
    let plain = Layout { paint: Paint::Plain, ..layout };
    let room = fitting(marked.len(), layout, &|room| write(plan, &marked, origin, room, plain).0);
    write(plan, &marked, origin, room, layout)
}

/// The text, and how many drops it does not list.
fn write(
    plan: &Plan,
    marked: &[Marked<'_>],
    origin: Option<&Origin<'_>>,
    room: Room,
    layout: Layout,
) -> (String, u64) {
    let mut out = String::new();
    let _ = writeln!(out, "{}", wrapped(&verdict(plan, layout.paint), 0, layout));
    if let Some(line) = standing::line(plan, marked, layout) {
        let _ = writeln!(out, "{}", layout.paint.doubt(wrapped(&line, 2, layout)));
    }
    let limits = super::limits::line(plan, !room.remedies, layout);
    out.push_str(&limits);
    // Where there is least room, what the gate has become goes before where the plan comes from.
    if limits.is_empty() || !room.is_least() {
        let _ = writeln!(out, "{}", fit(&made_from(plan, origin), 0, layout));
    }
    if let Some(base) = plan.base.as_ref().filter(|_| room.remedies) {
        let _ = writeln!(out, "{}", fit(&compared(base), 0, layout));
    }
    unknowns(plan, room, layout, &mut out);
    let (pending, own): (Vec<Marked<'_>>, Vec<Marked<'_>>) =
        marked.iter().partition(|marked| marked.drop.pending);
    let mut listed = drops::write(plan, &own, "Drops", room.drops, layout, &mut out);
    // This change's own drops have the screen before those that are pending whatever becomes of it.
    let beneath = room.drops.map(|drops| if own.is_empty() { drops } else { (drops / 4).min(room.lines()) });
    listed += drops::write(plan, &pending, PENDING, beneath, layout, &mut out);
    // The verdict has counted these, and where there is least room that has to do.
    if room.remedies {
        taken_back(plan, room, layout, &mut out);
    }
    guards::write(plan, room, layout, &mut out);
    if room.remedies {
        without_calls(plan, room, layout, &mut out);
    }
    untracked(plan, room, layout, &mut out);
    out.push('\n');
    let full = if room.is_least() { "Cut to this screen; --full lists everything." } else { "" };
    if plan.calls > 0 {
        let space = if full.is_empty() { "" } else { " " };
        let calls = count(plan.calls, "call", "calls");
        let _ = writeln!(out, "{calls}, {}.{space}{full}", time::estimate(plan.estimate_s));
    } else if !full.is_empty() {
        let _ = writeln!(out, "{full}");
    }
    let _ = writeln!(out, "Digest {}", plan.digest);
    (out, plan.counts.drops.saturating_sub(listed as u64))
}

/// Begins a list beneath the drops.
pub(super) fn begin(heading: &str, room: Room, layout: Layout, out: &mut String) {
    let blank = if room.is_least() { "" } else { "\n" };
    let _ = writeln!(out, "{blank}{}", layout.paint.strong(fit(heading, 0, layout)));
}

/// How what the base holds, too, is called.
pub(super) const PENDING: &str = "Pending on main already";

fn compared(base: &Base) -> String {
    let Base { digest, manifest_digest: _, serial, drops, forgets, taken_back, policy: _ } = base;
    let digest: String = digest.chars().take(19).collect();
    format!(
        "Compared with main's plan {} of line {serial}: {}, {} and {} taken back.",
        shown(&digest),
        count(*drops, "drop in common", "drops in common"),
        count(*forgets, "forget", "forgets"),
        super::grouped(taken_back.len() as u64)
    )
}

fn taken_back(plan: &Plan, room: Room, layout: Layout, out: &mut String) {
    let Some(Base { taken_back, .. }) = plan.base.as_ref().filter(|base| !base.taken_back.is_empty()) else {
        return;
    };
    let total = taken_back.len() as u64;
    let heading = format!(
        "Taken back ({}): main would drop or forget it, and this change does not",
        super::grouped(total)
    );
    begin(&heading, room, layout, out);
    listed(taken_back.iter().map(|key| shown(key).into_owned()), total, room, layout, out);
}

/// What two plans do differently, a line each: `-` was reviewed and would not happen, `+` the other way round.
pub fn difference(reviewed: &Plan, fresh: &Plan, paint: Paint) -> String {
    let (was, is) = (actions(reviewed), actions(fresh));
    let mut out = String::from("reviewed, against what would happen now:");
    // A name is no part of what is done, and no difference.
    let holds = |plan: &BTreeMap<_, Action>, key, (what, generation, _): &Action| {
        plan.get(key).is_some_and(|(other, times, _)| (other, times) == (what, generation))
    };
    for (_, action) in was.iter().filter(|(key, action)| !holds(&is, key, action)) {
        let _ = write!(out, "\n{}", paint.loss(format_args!("- {}{}", action.0, action.2)));
    }
    for (_, action) in is.iter().filter(|(key, action)| !holds(&was, key, action)) {
        let _ = write!(out, "\n{}", paint.good(format_args!("+ {}{}", action.0, action.2)));
    }
    out
}

/// What is done, the generation it is done to, and what people need beside it.
type Action = (String, u64, String);

/// Every call and forget of a plan in words, as its digest covers them.
fn actions(plan: &Plan) -> BTreeMap<SubscriptionKey, Action> {
    let generation = |generation: u64, name: &Option<String>| {
        let name = name.as_deref().map_or(String::new(), |name| format!("  {}", field(name)));
        match generation {
            1 => name,
            generation => format!("{name} (tracked {generation} times)"),
        }
    };
    let settling = plan.unknowns.iter().filter(|unknown| !unknown.declared);
    let settling = settling.map(|unknown| (unknown.key(), "drop", unknown.generation, &unknown.name));
    let drops = plan.drops.iter().map(|drop| (drop.key(), "drop", drop.generation, &drop.name));
    let forgets = plan.forgets.iter().map(|forget| (forget.key(), "forget", forget.generation, &forget.name));
    let actions = settling.chain(drops).chain(forgets);
    let told = actions.map(|(key, verb, times, name)| {
        let action = format!("{verb} {key}");
        (key, (action, times, generation(times, name)))
    });
    told.collect()
}

/// The first line: what will be lost, and whether the plan is refused.
pub fn verdict(plan: &Plan, paint: Paint) -> String {
    let counts = &plan.counts;
    let tracked = count(counts.tracked, "tracked subscription", "tracked subscriptions");
    let refusals = super::limits::refusing(plan).len() as u64;
    let mut parts = Vec::new();
    if plan.calls > 0 {
        let will = if plan.refused { "would" } else { "will" };
        let is_all = plan.calls == counts.tracked;
        let drops = match &plan.base {
            None if is_all => format!("{} {will} be dropped", all(counts.tracked, "All")),
            None => format!("{} of {tracked} {will} be dropped", super::grouped(plan.calls)),
            Some(base) => beside_base(plan, base, will, &tracked),
        };
        parts.push(if is_all { paint.bad(drops) } else { paint.loss(drops) });
    }
    let pending = plan.forgets.iter().filter(|forget| forget.pending).count() as u64;
    let of_them = match pending {
        0 => String::new(),
        pending => format!(" ({} of them pending on main already)", super::grouped(pending)),
    };
    let taken_back = plan.base.as_ref().map_or(0, |base| base.taken_back.len() as u64);
    for (number, does) in [
        (counts.forgets, format!("to forget{of_them}")),
        (counts.updates, "to update".into()),
        (taken_back, "pending on main taken back".into()),
    ] {
        if number > 0 {
            parts.push(format!("{} {does}", super::grouped(number)));
        }
    }
    parts.extend(super::limits::lifted(plan).map(|lifted| paint.doubt(lifted)));
    let unsettled = plan.unsettled();
    if unsettled > 0 {
        parts.push(paint.doubt(format!("{} unknown to settle by hand", super::grouped(unsettled))));
    }
    let what = match parts.is_empty() {
        true if counts.tracked == 0 => "Nothing to drop: no subscription is tracked.".into(),
        // What is tracked in an app without a section is declared nowhere.
        true if plan.facts.apps.iter().fold(0_u64, |sum, app| sum.saturating_add(app.tracked))
            < counts.tracked =>
        {
            format!("Nothing to drop of {tracked}.")
        }
        true => {
            let are = if counts.tracked == 1 { "is" } else { "are" };
            paint.good(format!("Nothing to drop: {} {are} declared.", all(counts.tracked, "all")))
        }
        false if plan.calls == 0 => format!("Nothing to drop of {tracked}; {}.", parts.join(", ")),
        false => format!("{}.", parts.join(", ")),
    };
    let what = match &plan.base {
        Some(_) if plan.calls > 0 => format!("{}.", parts.join("; ")),
        _ => what,
    };
    match refusals {
        0 => what,
        refusals => format!("{} by {}. {what}", paint.bad("REFUSED"), count(refusals, "guard", "guards")),
    }
}

/// What will be dropped, told apart from what is pending whatever becomes of this change.
fn beside_base(plan: &Plan, base: &Base, will: &str, tracked: &str) -> String {
    let (own, pending) = (plan.own_calls(), plan.pending_calls());
    let are = if pending == 1 { "is" } else { "are" };
    let [shown_own, shown_pending] = [own, pending].map(super::grouped);
    let is_all = plan.calls == plan.counts.tracked;
    match (own, pending) {
        (0, _) => {
            let is_idle = base.taken_back.is_empty()
                && plan.updates.is_empty()
                && plan.forgets.iter().all(|forget| forget.pending);
            let does = if is_idle { "This change does nothing" } else { "This change drops nothing" };
            match is_all {
                true => format!("{does}; {} {are} pending on main already", all(plan.counts.tracked, "all")),
                false => format!("{does}; {shown_pending} of {tracked} {are} pending on main already"),
            }
        }
        (_, 0) if is_all => format!("{} {will} be dropped by this change", all(plan.counts.tracked, "All")),
        (_, 0) => format!("{shown_own} of {tracked} {will} be dropped by this change"),
        _ if is_all => format!(
            "{} {will} be dropped: {shown_own} by this change, {shown_pending} {are} pending on main already",
            all(plan.counts.tracked, "All")
        ),
        _ => format!(
            "{shown_own} of {tracked} {will} be dropped by this change; {shown_pending} more {are} pending on main already"
        ),
    }
}

/// `all 22 tracked subscriptions`
fn all(tracked: u64, word: &str) -> String {
    match tracked {
        1 => format!("{} one tracked subscription", if word == "All" { "The" } else { "the" }),
        tracked => format!("{word} {} tracked subscriptions", super::grouped(tracked)),
    }
}

fn made_from(plan: &Plan, origin: Option<&Origin<'_>>) -> String {
    let line = format!("line {}", plan.facts.serial);
    match origin {
        Some(origin) => format!(
            "State {}: {line}, written {} by {}; {} tracked.",
            shown(origin.path),
            time::minute(origin.written_at),
            author(origin.written_by),
            super::grouped(plan.counts.tracked)
        ),
        None => format!(
            "Made from {line} of the state {}; {} tracked.",
            plan.facts.lineage,
            super::grouped(plan.counts.tracked)
        ),
    }
}

/// Who wrote, in a few words: a CI job by its page, a person by name, machine and command.
pub fn author(by: &By<'_>) -> String {
    let By { user, host, pid, command, ci_url, commit } = by;
    let text =
        |text: &Option<crate::state::Str<'_>>| text.as_ref().map(|text| shown(text.as_str()).into_owned());
    if let Some(url) = text(ci_url) {
        return match text(commit) {
            Some(commit) => format!("{url} ({})", commit.chars().take(12).collect::<String>()),
            None => url,
        };
    }
    let mut out = text(user).unwrap_or_else(|| "somebody".into());
    if let Some(host) = text(host) {
        let _ = write!(out, "@{host}");
    }
    let details = [text(command), pid.map(|pid| format!("process {pid}"))];
    let details: Vec<String> = details.into_iter().flatten().collect();
    if !details.is_empty() {
        let _ = write!(out, " ({})", details.join(", "));
    }
    out
}

fn unknowns(plan: &Plan, room: Room, layout: Layout, out: &mut String) {
    if plan.unknowns.is_empty() {
        return;
    }
    let paint = layout.paint;
    let heading = format!(
        "Unknown ({}): a call was sent, and nobody can say what became of it",
        super::grouped(plan.unknowns.len() as u64)
    );
    let blank = if room.is_least() { "" } else { "\n" };
    let _ = writeln!(out, "{blank}{}", paint.doubt(fit(&heading, 0, layout)));
    for unknown in plan.unknowns.iter().take(room.lines()) {
        let Unknown {
            app: _,
            tenant_key: _,
            approval_code: _,
            name,
            owner,
            reason,
            since,
            generation: _,
            sent_at,
            declared,
            pending,
        } = unknown;
        let key = unknown.key();
        let details = details([name, owner], Some(*since), reason.as_deref());
        let line = format!("  {} {key}{details}, sent {}", paint.doubt("?"), time::minute(*sent_at));
        let _ = writeln!(out, "{}", wrapped(&line, 6, layout));
        let what = if *declared {
            format!(
                "      declared again, so it is not sent. It lives: `larksub import {}`; it is gone: `larksub state rm {key} --reason …`",
                import_words(&unknown.app, unknown.tenant_key.as_ref(), unknown.approval_code.as_str())
            )
        } else {
            let pending = if *pending { "; pending on main already" } else { "" };
            format!("      sent again, and counted as a drop{pending}")
        };
        let _ = writeln!(out, "{}", wrapped(&what, 6, layout));
    }
    more(plan.unknowns.len() as u64, room, out);
}

/// The options and the code with which `import` tracks a subscription.
pub(super) fn import_words(app: &AppLabel, tenant_key: Option<&TenantKey>, code: &str) -> String {
    match tenant_key {
        Some(tenant) => format!("--app {app} --tenant {tenant} {code}"),
        None => format!("--app {app} {code}"),
    }
}

fn details(texts: [&Option<String>; 2], since: Option<Timestamp>, reason: Option<&str>) -> String {
    let mut out = String::new();
    for text in texts.into_iter().flatten().filter(|text| !is_blank(text)) {
        let _ = write!(out, "  {}", field(text));
    }
    if let Some(since) = since {
        let _ = write!(out, "  since {}", time::date(since));
    }
    if let Some(reason) = reason.filter(|reason| !is_blank(reason)) {
        let _ = write!(out, "  # {}", field(reason));
    }
    out
}

fn without_calls(plan: &Plan, room: Room, layout: Layout, out: &mut String) {
    let counts = plan.counts.forgets + plan.counts.updates;
    if counts == 0 {
        return;
    }
    begin(&format!("Without a call ({})", super::grouped(counts)), room, layout, out);
    let lines = plan.forgets.iter().map(forget_line).chain(plan.updates.iter().map(update_line));
    listed(lines, counts, room, layout, out);
}

fn forget_line(forget: &Forget) -> String {
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
    let pending = if *pending { "  (pending on main already)" } else { "" };
    let sent = sent_at.map_or(String::new(), |at| {
        format!("  (sent {} without a verdict: it may be gone)", time::minute(at))
    });
    format!(
        "forget {}{}{sent}{pending}",
        forget.key(),
        details([name, owner], Some(*since), reason.as_deref())
    )
}

fn update_line(update: &Update) -> String {
    match update {
        Update::Rename { app, from } => format!("rename app `{from}` to `{app}`"),
        Update::Metadata { app, tenant_key, approval_code, from, to } => {
            let tenant = tenant_key.as_ref().map_or(String::new(), |tenant| format!("{tenant}/"));
            format!("update {app}/{tenant}{approval_code}  {}", changes(from, to).join(", "))
        }
    }
}

fn changes(from: &Metadata, to: &Metadata) -> Vec<String> {
    let quoted =
        |text: &Option<String>| text.as_deref().map_or("none".into(), |text| format!("\"{}\"", shown(text)));
    let Metadata { name, owner, protect } = from;
    let mut changes = Vec::new();
    if *name != to.name {
        changes.push(format!("name {} → {}", quoted(name), quoted(&to.name)));
    }
    if *owner != to.owner {
        changes.push(format!("owner {} → {}", quoted(owner), quoted(&to.owner)));
    }
    if *protect != to.protect {
        changes.push(format!("protect {protect} → {}", to.protect));
    }
    changes
}

fn untracked(plan: &Plan, room: Room, layout: Layout, out: &mut String) {
    if plan.untracked.is_empty() {
        return;
    }
    let heading =
        format!("Declared and not tracked ({}): no call is made", super::grouped(plan.counts.untracked));
    begin(&heading, room, layout, out);
    listed(plan.untracked.iter().map(untracked_line), plan.counts.untracked, room, layout, out);
}

fn untracked_line(untracked: &Untracked) -> String {
    let Untracked { app, tenant_key, approval_code, name, owner, was, since } = untracked;
    let import = import_words(app, tenant_key.as_ref(), approval_code.as_str());
    let since = since.map_or(String::new(), |since| format!(" {}", time::date(since)));
    let what = match was {
        None | Some(Status::Subscribed) => {
            format!("never imported; if it is subscribed: `larksub import {import}`")
        }
        Some(Status::Unsubscribed) => {
            format!(
                "dropped{since}; to have it back, subscribe it on the platform, then `larksub import {import}`"
            )
        }
        Some(Status::Forgotten) => {
            format!("forgotten{since}; if it is subscribed: `larksub import {import}`")
        }
    };
    format!("{}{}  {what}", untracked.key(), details([name, owner], None, None))
}

/// Lines of what is only noted; where the screen is small, the first of them and how many more.
fn listed(lines: impl Iterator<Item = String>, total: u64, room: Room, layout: Layout, out: &mut String) {
    for line in lines.take(room.lines()) {
        let _ = writeln!(out, "  {}", fit(&line, 2, layout));
    }
    more(total, room, out);
}

/// How many of a list are not shown; where none is, its heading has said so.
fn more(total: u64, room: Room, out: &mut String) {
    let hidden = usize::try_from(total).unwrap_or(usize::MAX).saturating_sub(room.lines());
    if hidden > 0 && !room.is_least() {
        let _ = writeln!(out, "  … and {} more; --full lists them", super::grouped(hidden as u64));
    }
}
