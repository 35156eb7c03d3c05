//! The drops of a plan: what a reviewer came to see.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::pick::{Marked, Why, out_count, pick, shares};
use super::screen::wrapped;
use super::{Layout, count, grouped, time};
use crate::plan::{AppFacts, Drop, Plan};
use crate::subscription::AppLabel;
use crate::text::{cut, is_blank, pad, shown, width};

/// The drops under a heading by app and tenant, a line each; where there is `room` for so many only, what stands out
/// before the rest, and how many more. Returns how many are listed.
pub(super) fn write(
    plan: &Plan,
    drops: &[Marked<'_>],
    title: &str,
    room: Option<usize>,
    layout: Layout,
    out: &mut String,
) -> usize {
    if drops.is_empty() {
        return 0;
    }
    let heading = format!("{title} ({})", grouped(drops.len() as u64));
    if room == Some(0) {
        let stand = standing_where(drops.iter().copied(), |app| app.to_string());
        let line = format!("{heading}: none listed{stand}");
        let _ = writeln!(out, "{}", layout.paint.strong(wrapped(&line, 2, layout)));
        return 0;
    }
    let _ = writeln!(out, "\n{}", layout.paint.strong(heading));
    let groups: Vec<&[Marked<'_>]> =
        drops.chunk_by(|a, b| a.drop.app == b.drop.app && a.drop.tenant_key == b.drop.tenant_key).collect();
    let wants: Vec<(usize, usize)> = groups.iter().map(|group| (out_count(group), group.len())).collect();
    let shares = shares(&wants, room.unwrap_or(drops.len()));
    let mut folded = Vec::new();
    for (group, share) in groups.into_iter().zip(&shares) {
        match share {
            0 => folded.push(group),
            share => write_group(plan, group, *share, layout, out),
        }
    }
    let listed: usize = shares.iter().sum();
    if !folded.is_empty() {
        let more = format!("  … and {}; --full lists them", none_listed(&folded));
        let _ = writeln!(out, "{}", layout.paint.strong(wrapped(&more, 4, layout)));
    }
    listed
}

fn write_group(plan: &Plan, group: &[Marked<'_>], share: usize, layout: Layout, out: &mut String) {
    let Some(first) = group.first() else { return };
    let (heading, is_all) = group_heading(plan, first.drop, group.len());
    let heading = fit(&heading, 2, layout);
    let _ = match is_all {
        true => writeln!(out, "  {}", layout.paint.bad(heading)),
        false => writeln!(out, "  {heading}"),
    };
    let has_reasons =
        group.iter().any(|marked| marked.drop.reason.as_deref().is_some_and(|it| !is_blank(it)));
    let picked: Vec<Marked<'_>> =
        pick(group, share).into_iter().filter_map(|position| group.get(position).copied()).collect();
    drop_lines(&picked, has_reasons, layout, out);
    let more = group.len() - picked.len();
    if more > 0 {
        let stand = match out_count(group) - out_count(&picked) {
            0 => String::new(),
            1 => ", 1 of them stands out".into(),
            some => format!(", {} of them stand out", grouped(some as u64)),
        };
        let more = format!("… and {} more here{stand}; --full lists them", grouped(more as u64));
        let _ = writeln!(out, "    {}", layout.paint.strong(fit(&more, 4, layout)));
    }
}

/// What is said of apps and tenants of which nothing is listed: how many drops, how many of them stand out, and where.
fn none_listed(groups: &[&[Marked<'_>]]) -> String {
    let lost: usize = groups.iter().map(|group| group.len()).sum();
    let is_store = groups.iter().any(|group| group.iter().any(|marked| marked.drop.tenant_key.is_some()));
    let places = match (groups.len() as u64, is_store) {
        (1, true) => "1 other tenant".into(),
        (1, false) => "1 other app".into(),
        (number, true) => format!("{} other apps and tenants", grouped(number)),
        (number, false) => format!("{} other apps", grouped(number)),
    };
    let all = groups.iter().flat_map(|group| group.iter().copied());
    format!(
        "{} more in {places}, none listed{}",
        grouped(lost as u64),
        standing_where(all, |app| app.to_string())
    )
}

/// How many of some drops stand out, and in which apps; nothing where none does.
pub(super) fn standing_where<'a>(
    drops: impl Iterator<Item = Marked<'a>>,
    name: impl Fn(&AppLabel) -> String,
) -> String {
    const FEW: usize = 3;
    let out: Vec<&AppLabel> =
        drops.filter(|marked| marked.why.is_some()).map(|marked| &marked.drop.app).collect();
    if out.is_empty() {
        return String::new();
    }
    let apps: BTreeSet<&AppLabel> = out.iter().copied().collect();
    let named: Vec<String> = apps.iter().take(FEW).map(|app| name(app)).collect();
    let more = match apps.len().saturating_sub(FEW) {
        0 => String::new(),
        more => format!(" and {}", count(more as u64, "more app", "more apps")),
    };
    let stand = if out.len() == 1 { "stands" } else { "stand" };
    format!(" ({} of them {stand} out, in {}{more})", grouped(out.len() as u64), named.join(", "))
}

/// How many are tracked in the app, or in the tenant, of a drop.
fn tracked(plan: &Plan, drop: &Drop) -> Option<u64> {
    let app = plan.facts.apps.iter().find(|app| app.app == drop.app)?;
    match &drop.tenant_key {
        Some(tenant) => app.tenants.get(tenant).copied(),
        None => Some(app.tracked),
    }
}

/// The heading, and whether nothing of the app or tenant is left.
fn group_heading(plan: &Plan, first: &Drop, drops: usize) -> (String, bool) {
    let app = plan.facts.apps.iter().find(|app| app.app == first.app);
    let place =
        app.map_or(String::new(), |AppFacts { app_id, base_url, .. }| format!(" ({app_id} at {base_url})"));
    let tenant = first.tenant_key.as_ref().map_or(String::new(), |tenant| format!(", tenant {tenant}"));
    let tracked = tracked(plan, first).unwrap_or(0);
    let is_all = drops as u64 == tracked;
    let all = if is_all && tracked > 1 { "ALL " } else { "" };
    let [drops, tracked] = [drops as u64, tracked].map(grouped);
    (format!("{}{tenant}: {all}{drops} of {tracked} tracked{place}", first.app), is_all)
}

/// `has_reasons`: some of the group have one, so that a drop without is told apart.
fn drop_lines(drops: &[Marked<'_>], has_reasons: bool, layout: Layout, out: &mut String) {
    let paint = layout.paint;
    let cells: Vec<[String; 3]> = drops.iter().map(|marked| cells(marked.drop)).collect();
    let columns = Columns::of(&cells, layout.columns);
    for (Marked { drop, why }, cells) in drops.iter().zip(&cells) {
        let given = drop.reason.as_deref().filter(|reason| !is_blank(reason));
        let reason = match given {
            Some(reason) => Some(format!("# {}", field(reason))),
            None => has_reasons.then(|| "(no reason)".into()),
        };
        let notes: Vec<String> = note(drop, *why).into_iter().chain(reason).collect();
        let notes = notes.join("  ");
        let paint_row = |text: Cow<'_, str>| match why {
            Some(_) => paint.doubt(text),
            None => paint.loss(text),
        };
        let paint_notes = |text: Cow<'_, str>| match (given, why) {
            (Some(_), None) => paint.loss(text),
            _ => paint.doubt(text),
        };
        let mark = if why.is_some() { "!" } else { "-" };
        let [code, ..] = cells;
        let details = columns.details(cells, drop);
        let (line, margin) = match columns.is_stacked {
            true => (details, BELOW),
            false => (format!("{}  {details}", pad(code, columns.code)), MARGIN),
        };
        if columns.is_stacked {
            let _ = writeln!(out, "    {} {}", paint_row(mark.into()), paint_row(fit(code, MARGIN, layout)));
        }
        let has_room =
            layout.columns.is_none_or(|columns| width(&line) + 2 + width(&notes) + margin <= columns);
        let beside = match notes.is_empty() || !has_room {
            true => String::new(),
            false => format!("  {}", paint_notes(notes.as_str().into())),
        };
        let line = paint_row(fit(&line, margin, layout));
        let _ = match columns.is_stacked {
            true => writeln!(out, "        {line}{beside}"),
            false => writeln!(out, "    {} {line}{beside}", paint_row(mark.into())),
        };
        // Why it goes, and why it stands out, is never cut off for want of columns.
        if !notes.is_empty() && !has_room {
            let _ = writeln!(out, "        {}", paint_notes(fit(&notes, BELOW, layout)));
        }
    }
}

/// Why a drop stands out, and what became of it before, where no cell says so.
fn note(drop: &Drop, why: Option<Why>) -> Option<String> {
    let why = why
        .filter(|why| matches!(why, Why::Protected | Why::MinorityOwner))
        .map(|why| why.as_str().to_owned());
    let tried = drop.outcome.map(|outcome| format!("last try: {}", outcome.as_str()));
    let notes: Vec<String> = why.into_iter().chain(tried).collect();
    (!notes.is_empty()).then(|| format!("({})", notes.join("; ")))
}

/// What stands before a drop's code.
const MARGIN: usize = "    - ".len();

/// What stands before a line that belongs to the one above.
const BELOW: usize = 8;

/// How wide the columns of code, name and owner are. Where nothing is cut, a cell wider than its column stands out
/// rather than push every other line aside; on a terminal names and owners share what the code and date leave.
struct Columns {
    code: usize,
    name: usize,
    owner: usize,
    is_cut: bool,
    /// Codes leave no room: names, owners and dates stand beneath them.
    is_stacked: bool,
}

impl Columns {
    fn of(cells: &[[String; 3]], columns: Option<usize>) -> Self {
        const DATE: usize = "  ".len() * 2 + "2026-01-02".len();
        /// Less than this tells a name from another no more.
        const LEAST: usize = 16;
        let widest =
            |index: usize| cells.iter().filter_map(|cells| cells.get(index)).map(|cell| width(cell)).max();
        let widest = |index: usize, most: usize| widest(index).unwrap_or(0).min(most);
        let code = widest(0, 64);
        let [name, owner] = [widest(1, 32), widest(2, 20)];
        let whole = Self { code, name, owner, is_cut: columns.is_some(), is_stacked: false };
        let Some(columns) = columns else { return whole };
        let beside = columns.saturating_sub(MARGIN + code + "  ".len() + DATE);
        let is_stacked = beside < LEAST.min(name + owner);
        let room = if is_stacked { columns.saturating_sub(BELOW + DATE) } else { beside };
        if name + owner <= room {
            return Self { is_stacked, ..whole };
        }
        // A name tells more than an owner; that there is none is told whole.
        let has_none = cells.iter().any(|[_, _, owner]| owner == NO_OWNER);
        let least = if has_none { NO_OWNER.len() } else { 6 };
        let owner = owner.min((room / 3).max(least));
        Self { name: name.min(room.saturating_sub(owner).max(6)), owner, is_stacked, ..whole }
    }

    /// Name, owner and date.
    fn details(&self, [_, name, owner]: &[String; 3], drop: &Drop) -> String {
        let (name, owner, since) = match self.is_cut {
            true => (cut(name, self.name), cut(owner, self.owner), ""),
            false => (name.as_str().into(), owner.as_str().into(), "since "),
        };
        format!("{}  {}  {since}{}", pad(&name, self.name), pad(&owner, self.owner), time::date(drop.since))
    }
}

const NO_OWNER: &str = "(no owner)";

fn cells(drop: &Drop) -> [String; 3] {
    let Drop {
        app: _,
        tenant_key: _,
        approval_code,
        name,
        owner,
        reason: _,
        since: _,
        generation: _,
        outcome: _,
        pending: _,
    } = drop;
    let shown_or = |text: &Option<String>, none: &str| {
        text.as_deref().filter(|text| !is_blank(text)).map_or_else(|| none.into(), field)
    };
    [approval_code.to_string(), shown_or(name, "(no name)"), shown_or(owner, NO_OWNER)]
}

/// A line cut to what the screen has beside a margin.
pub(super) fn fit<'a>(line: &'a str, margin: usize, layout: Layout) -> Cow<'a, str> {
    layout.columns.map_or(line.into(), |columns| cut(line, columns.saturating_sub(margin)))
}

/// A foreign text in a column: several spaces would look like the next one.
pub(super) fn field(text: &str) -> String {
    shown(text).split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}
