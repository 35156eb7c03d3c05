//! The parts of a comment, each a table that is cut to the room it has.

use std::fmt::Write as _;

use super::escape::{NAME, OWNER, SENTENCE, code, prose};
use crate::plan::{AppFacts, Drop, Forget, Guard, Metadata, Plan, Unknown, Untracked, Update, Verdict};
use crate::render::drops::standing_where;
use crate::render::pick::{Marked, out_count, pick, shares};
use crate::render::plan::{PENDING, import_words};
use crate::render::{count, grouped, time};
use crate::state::Status;
use crate::subscription::SubscriptionKey;
use crate::text::is_blank;

/// How many rows there is room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    /// Of drops, all apps together.
    pub drops: usize,
    /// Of what refuses and what is unknown, each.
    pub urgent: usize,
    /// Of each other list.
    pub rest: usize,
}

impl Room {
    /// Everything is listed.
    pub const WHOLE: Self = Self { drops: usize::MAX, urgent: usize::MAX, rest: usize::MAX };
}

/// How many rows a plan has.
pub(super) fn rows(plan: &Plan) -> usize {
    let Plan { drops, unknowns, forgets, updates, untracked, guards, .. } = plan;
    drops.len() + unknowns.len() + forgets.len() + updates.len() + untracked.len() + guards.len()
}

/// A plan's drops, told apart once however often the comment is written to find what fits.
pub(super) struct Sorted<'a> {
    /// This change's own, by app.
    own: Vec<App<'a>>,
    /// What the base holds, too.
    pending: Vec<Marked<'a>>,
}

/// The drops of one app.
struct App<'a> {
    drops: Vec<Marked<'a>>,
    /// How many of them stand out.
    out_count: usize,
}

pub(super) fn sorted<'a>(marked: &[Marked<'a>]) -> Sorted<'a> {
    let (pending, own): (Vec<Marked<'a>>, Vec<Marked<'a>>) =
        marked.iter().partition(|marked| marked.drop.pending);
    let own = own
        .chunk_by(|a, b| a.drop.app == b.drop.app)
        .map(|drops| App { drops: drops.to_vec(), out_count: out_count(drops) });
    Sorted { own: own.collect(), pending }
}

/// How many of each app's drops are listed with this room.
fn listed(sorted: &Sorted<'_>, room: Room) -> Vec<usize> {
    let wants: Vec<(usize, usize)> = sorted.own.iter().map(|app| (app.out_count, app.drops.len())).collect();
    shares(&wants, room.drops)
}

/// How many drops are not listed with this room.
pub(super) fn unlisted(sorted: &Sorted<'_>, room: Room) -> u64 {
    let own: usize = sorted.own.iter().map(|app| app.drops.len()).sum();
    let own = own - listed(sorted, room).iter().sum::<usize>();
    (own + sorted.pending.len().saturating_sub(room.rest)) as u64
}

pub(super) fn refusals(plan: &Plan, room: Room, everything: &str, out: &mut String) {
    let refused = plan.guards.iter().filter(|guard| guard.verdict == Verdict::Refused);
    let total = refused.clone().count();
    if total == 0 {
        return;
    }
    let mut last = None;
    let rows = refused.map(|guard| {
        let Guard { rule, verdict: _, app: _, key: _, measured: _, of: _, limit: _, says, remedy } = guard;
        let remedy = match remedy {
            remedy if last == Some(remedy) => "as above".into(),
            remedy => remedy.as_deref().map(prose).unwrap_or_default(),
        };
        last = Some(&guard.remedy);
        [format!("**`{}`**", rule.as_str()), prose(says), remedy]
    });
    out.push('\n');
    table(["refused by", "found", "to go on"], rows, room.urgent, out);
    fold(total, room.urgent, "guards refuse", everything, out);
}

pub(super) fn unknowns(plan: &Plan, room: Room, everything: &str, out: &mut String) {
    let total = plan.unknowns.len();
    if total == 0 {
        return;
    }
    let _ =
        writeln!(out, "\n#### Unknown ({total}): a call was sent, and nobody can say what became of it\n");
    let rows = plan.unknowns.iter().map(|unknown| {
        let Unknown { app, tenant_key, approval_code, name, owner, reason, since: _, generation: _, sent_at, declared, pending } =
            unknown;
        let key = unknown.key();
        let what = match declared {
            true => format!(
                "**declared again, so it is not sent.** It lives: `larksub import {}`; it is gone: `larksub state rm {key} --reason …`",
                import_words(app, tenant_key.as_ref(), approval_code.as_str())
            ),
            false if *pending => "sent again, and counted as a drop; pending on main already".into(),
            false => "sent again, and counted as a drop".into(),
        };
        [self::key(&key), foreign(name, NAME), foreign(owner, OWNER), foreign(reason, SENTENCE), time::minute(*sent_at), what]
    });
    table(["unknown", "name", "owner", "reason", "sent", "now"], rows, room.urgent, out);
    fold(total, room.urgent, "are unknown", everything, out);
}

pub(super) fn drops(plan: &Plan, sorted: &Sorted<'_>, room: Room, everything: &str, out: &mut String) {
    let shares = listed(sorted, room);
    let mut folded: Vec<&App<'_>> = Vec::new();
    for (app, share) in sorted.own.iter().zip(shares) {
        let App { drops, out_count, .. } = app;
        if share == 0 {
            folded.push(app);
            continue;
        }
        heading(plan, drops, out);
        let picked = pick(drops, share);
        let more = drops.len() - picked.len();
        if more > 0 {
            let is_out = |position: &&usize| drops.get(**position).is_some_and(|it| it.why.is_some());
            let which = match out_count - picked.iter().filter(is_out).count() {
                0 => "none of those stands out".into(),
                1 => "1 of those stands out, too".into(),
                left_out => format!("{} of those stand out, too", grouped(left_out as u64)),
            };
            let _ = writeln!(out, "**… and {} more here, not listed** ({which}).\n", grouped(more as u64));
        }
        let mut before = None;
        let mut rows = Vec::with_capacity(picked.len());
        for position in picked {
            // A gap in the list is seen where it is.
            if before.is_some_and(|before| before + 1 < position) {
                rows.push(["…", "…", "…", "…", "…", "…"].map(String::from));
            }
            before = Some(position);
            rows.extend(drops.get(position).map(row));
        }
        drop_table(drops, rows.into_iter(), usize::MAX, out);
    }
    if !folded.is_empty() {
        let lost: usize = folded.iter().map(|app| app.drops.len()).sum();
        let (one, many) = match folded.len() == sorted.own.len() {
            true => ("app", "apps"),
            false => ("more app", "more apps"),
        };
        let apps = count(folded.len() as u64, one, many);
        let lost = count(lost as u64, "drop", "drops");
        let all = folded.iter().flat_map(|app| app.drops.iter().copied());
        let stand = standing_where(all, |app| format!("`{app}`"));
        let _ = writeln!(out, "\n**… and {lost} in {apps}, not listed**{stand}: {everything} lists them.");
    }
}

fn drop_table(drops: &[Marked<'_>], rows: impl Iterator<Item = [String; 6]>, most: usize, out: &mut String) {
    if drops.iter().any(|marked| marked.drop.tenant_key.is_some()) {
        table(["tenant", "code", "name", "owner", "reason", "since"], rows, most, out);
    } else {
        let rows = rows.map(|[_, rest @ ..]| rest);
        table(["code", "name", "owner", "reason", "since"], rows, most, out);
    }
}

/// What the base drops as well, folded away: it is pending whatever becomes of this change.
pub(super) fn pending(sorted: &Sorted<'_>, room: Room, everything: &str, out: &mut String) {
    let drops = &sorted.pending;
    if drops.is_empty() {
        return;
    }
    let total = grouped(drops.len() as u64);
    if room.rest == 0 {
        let _ = writeln!(out, "\n**{PENDING}: {total}, not listed.**");
        return;
    }
    let _ =
        writeln!(out, "\n<details><summary>{PENDING} ({total}): whatever becomes of this change</summary>");
    let mut left = room.rest;
    for group in drops.chunk_by(|a, b| a.drop.app == b.drop.app) {
        let Some(first) = group.first().filter(|_| left > 0) else { break };
        let _ = writeln!(out, "\n`{}`: {}\n", first.drop.app, grouped(group.len() as u64));
        let picked = pick(group, left);
        left -= picked.len();
        let rows = picked.into_iter().filter_map(|position| group.get(position).map(row));
        drop_table(group, rows, usize::MAX, out);
    }
    fold(drops.len(), room.rest, "here", everything, out);
    out.push_str("\n</details>\n");
}

/// What the base would drop or forget, and this plan does not.
pub(super) fn taken_back(plan: &Plan, room: Room, everything: &str, out: &mut String) {
    let keys = plan.base.as_ref().map(|base| base.taken_back.as_slice()).unwrap_or_default();
    if keys.is_empty() {
        return;
    }
    let total = grouped(keys.len() as u64);
    if room.rest == 0 {
        let _ = writeln!(out, "\n**Taken back: {total}, not listed.**");
        return;
    }
    let _ = writeln!(
        out,
        "\n#### Taken back ({total}): main would drop or forget it, and this change does not\n"
    );
    let rows = keys.iter().map(|key| [code(key, NAME * 2).unwrap_or_default()]);
    table(["subscription"], rows, room.rest, out);
    fold(keys.len(), room.rest, "here", everything, out);
}

fn heading(plan: &Plan, drops: &[Marked<'_>], out: &mut String) {
    let Some(Marked { drop: Drop { app: label, .. }, .. }) = drops.first() else { return };
    let facts = plan.facts.apps.iter().find(|app| app.app == *label);
    let tracked = facts.map_or(String::new(), |app| format!(" of {}", grouped(app.tracked)));
    let is_all = facts.is_some_and(|app| app.tracked > 1 && app.tracked == drops.len() as u64);
    let all = if is_all { "ALL " } else { "" };
    let will = if plan.refused { "would" } else { "will" };
    let dropped = grouped(drops.len() as u64);
    let _ = writeln!(out, "\n#### `{label}`: {all}{dropped}{tracked} tracked {will} be dropped\n");
    let mut told = Vec::new();
    if let Some(AppFacts { app: _, app_id, base_url, kind: _, tracked: _, tenants: _ }) = facts {
        let [id, place] =
            [app_id.as_str(), base_url.as_str()].map(|text| code(text, NAME).unwrap_or_default());
        told.push(format!("{id} at {place}"));
    }
    let without = |of: fn(&Drop) -> &Option<String>| {
        let is_missing = |marked: &&Marked<'_>| of(marked.drop).as_deref().is_none_or(is_blank);
        drops.iter().filter(is_missing).count() as u64
    };
    for (what, number) in
        [("an owner", without(|drop| &drop.owner)), ("a reason", without(|drop| &drop.reason))]
    {
        if number > 0 {
            told.push(format!("**{} without {what}**", grouped(number)));
        }
    }
    if !told.is_empty() {
        let _ = writeln!(out, "{}\n", told.join(" · "));
    }
}

fn row(Marked { drop, why }: &Marked<'_>) -> [String; 6] {
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
    let mark = why.map_or(String::new(), |why| format!(" **{}**", why.as_str()));
    let tried = outcome.map_or(String::new(), |outcome| format!(", **last try: `{}`**", outcome.as_str()));
    [
        tenant_key.as_ref().map_or(String::new(), |tenant| format!("`{tenant}`")),
        format!("`{approval_code}`{mark}"),
        foreign(name, NAME),
        foreign(owner, OWNER),
        foreign(reason, SENTENCE),
        format!("{}{tried}", time::date(*since)),
    ]
}

pub(super) fn guards(plan: &Plan, room: Room, everything: &str, out: &mut String) {
    // Nothing dropped is within any limit, and no news.
    let told = plan.guards.iter().filter(|guard| match guard.verdict {
        Verdict::Passed => guard.measured != Some(0),
        Verdict::Allowed => true,
        Verdict::Refused => false,
    });
    let total = told.clone().count();
    if total == 0 && plan.overrides.is_empty() {
        return;
    }
    if room.rest == 0 && plan.overrides.is_empty() {
        let _ = writeln!(
            out,
            "\n**Guards: {}, not listed.**",
            count(total as u64, "passed or was allowed", "passed or were allowed")
        );
        return;
    }
    out.push_str("\n#### Guards\n");
    let rows = told.map(|guard| {
        let word = if guard.verdict == Verdict::Allowed { "**allowed by name**" } else { "ok" };
        [word.into(), format!("`{}`", guard.rule.as_str()), prose(&guard.says)]
    });
    if total > 0 {
        out.push('\n');
        table(["", "guard", "found"], rows, room.rest, out);
        fold(total, room.rest, "guards passed or were allowed", everything, out);
    }
    let given = plan
        .overrides
        .iter()
        .map(|given| code(&format!("{} {}", given.flag.as_str(), given.value), NAME * 2));
    let given: Vec<String> = given.flatten().take(room.rest.max(1)).collect();
    if !given.is_empty() {
        let _ = write!(out, "\nAllowed by name: {}", given.join(", "));
        let more = plan.overrides.len() - given.len();
        let _ = match more {
            0 => writeln!(out),
            more => writeln!(out, ", **and {} more**: {everything} lists them", grouped(more as u64)),
        };
    }
}

pub(super) fn without_calls(plan: &Plan, room: Room, everything: &str, out: &mut String) {
    let total = plan.forgets.len() + plan.updates.len();
    let rows = plan.forgets.iter().map(forget).chain(plan.updates.iter().map(update));
    let is_lifted =
        |update: &&Update| matches!(update, Update::Metadata { from, to, .. } if from.protect && !to.protect);
    let lifted = plan.updates.iter().filter(is_lifted).count() as u64;
    // What can be dropped by the next plan is seen without unfolding.
    let lifted = match lifted {
        0 => String::new(),
        lifted => format!(": {} protection", count(lifted, "loses its", "lose their")),
    };
    let title = format!("Without a call ({}){lifted}", grouped(total as u64));
    details(&title, ["what", "subscription", "change"], rows, total, room.rest, everything, out);
}

fn forget(forget: &Forget) -> [String; 3] {
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
    let mut told: Vec<String> = [(name, NAME), (owner, OWNER), (reason, SENTENCE)]
        .into_iter()
        .filter_map(|(text, most)| code(text.as_deref().filter(|text| !is_blank(text))?, most))
        .collect();
    told.push(format!("since {}", time::date(*since)));
    if let Some(at) = sent_at {
        told.push(format!("**sent {} without a verdict: it may be gone**", time::minute(*at)));
    }
    if *pending {
        told.push("pending on main already".into());
    }
    ["**forget**".into(), key(&forget.key()), told.join(", ")]
}

fn update(update: &Update) -> [String; 3] {
    match update {
        Update::Rename { app, from } => ["rename".into(), format!("app `{app}`"), format!("was `{from}`")],
        Update::Metadata { app, tenant_key, approval_code, from, to } => {
            let key = SubscriptionKey {
                app: app.clone(),
                tenant_key: tenant_key.clone(),
                approval_code: approval_code.clone(),
            };
            ["update".into(), self::key(&key), changes(from, to)]
        }
    }
}

fn changes(from: &Metadata, to: &Metadata) -> String {
    let Metadata { name, owner, protect } = from;
    let text =
        |text: &Option<String>| text.as_deref().and_then(|text| code(text, NAME)).unwrap_or("none".into());
    let mut changes = Vec::new();
    for (what, was, is) in [("name", name, &to.name), ("owner", owner, &to.owner)] {
        if was != is {
            changes.push(format!("{what} {} → {}", text(was), text(is)));
        }
    }
    if *protect != to.protect {
        changes.push(format!("**protect {protect} → {}**", to.protect));
    }
    changes.join(", ")
}

pub(super) fn untracked(plan: &Plan, room: Room, everything: &str, out: &mut String) {
    let total = plan.untracked.len();
    let rows = plan.untracked.iter().map(|untracked| {
        let Untracked { app, tenant_key, approval_code, name, owner, was, since } = untracked;
        let import =
            format!("`larksub import {}`", import_words(app, tenant_key.as_ref(), approval_code.as_str()));
        let since = since.map_or(String::new(), |since| format!(" {}", time::date(since)));
        let what = match was {
            None | Some(Status::Subscribed) => format!("never imported; if it is subscribed: {import}"),
            Some(Status::Unsubscribed) => {
                format!("dropped{since}; to have it back, subscribe it on the platform, then {import}")
            }
            Some(Status::Forgotten) => format!("forgotten{since}; if it is subscribed: {import}"),
        };
        [key(&untracked.key()), foreign(name, NAME), foreign(owner, OWNER), what]
    });
    let title = format!("Declared and not tracked ({}): no call is made", grouped(total as u64));
    details(&title, ["subscription", "name", "owner", "state"], rows, total, room.rest, everything, out);
}

/// A table that is folded away; `title` is this program's.
fn details<const N: usize>(
    title: &str,
    heads: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
    total: usize,
    most: usize,
    everything: &str,
    out: &mut String,
) {
    if total == 0 {
        return;
    }
    let _ = writeln!(out, "\n<details><summary>{title}</summary>\n");
    table(heads, rows, most, out);
    fold(total, most, "here", everything, out);
    out.push_str("\n</details>\n");
}

pub(in crate::render) fn table<const N: usize>(
    heads: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
    most: usize,
    out: &mut String,
) {
    let mut rows = rows.take(most).peekable();
    if rows.peek().is_none() {
        return;
    }
    let _ = writeln!(out, "| {} |\n|{}", heads.join(" | "), " --- |".repeat(N));
    for row in rows {
        let _ = writeln!(out, "| {} |", row.join(" | "));
    }
}

/// Says how many rows there was no room for.
pub(in crate::render) fn fold(total: usize, most: usize, what: &str, everything: &str, out: &mut String) {
    let hidden = total.saturating_sub(most);
    if hidden > 0 {
        let _ = writeln!(
            out,
            "\n**… and {} more {what}, not listed**: {everything} lists them.",
            grouped(hidden as u64)
        );
    }
}

/// A foreign text in a cell; what is missing stands out.
pub(in crate::render) fn foreign(text: &Option<String>, most: usize) -> String {
    let seen = text.as_deref().filter(|text| !is_blank(text));
    seen.and_then(|text| code(text, most)).unwrap_or("**none**".into())
}

fn key(key: &SubscriptionKey) -> String {
    format!("`{key}`")
}
