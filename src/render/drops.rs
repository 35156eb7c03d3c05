//! The drops of a plan: what a reviewer came to see.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::pick::{pick, standing_out};
use super::{Layout, time};
use crate::plan::{AppFacts, Drop, Plan};
use crate::text::{cut, is_blank, pad, shown, width};

/// The drops under a heading by app and tenant, a line each; on a small screen those that stand out first, and how many
/// more. Returns how many are listed.
pub(super) fn write(plan: &Plan, drops: &[&Drop], title: &str, layout: Layout, out: &mut String) -> usize {
    if drops.is_empty() {
        return 0;
    }
    let _ = writeln!(
        out,
        "\n{}",
        layout.paint.strong(format!("{title} ({})", super::grouped(drops.len() as u64)))
    );
    let groups: Vec<&[&Drop]> =
        drops.chunk_by(|a, b| a.app == b.app && a.tenant_key == b.tenant_key).collect();
    let most_groups = layout.lines.map_or(groups.len(), |lines| (lines / 2).max(1)).min(groups.len());
    let mut left = layout.lines.map(|lines| lines.saturating_sub(most_groups));
    let mut listed = 0;
    for (position, group) in groups.iter().take(most_groups).enumerate() {
        let Some(first) = group.first() else { continue };
        let heading = group_heading(plan, first, group.len());
        let heading = fit(&heading, 2, layout);
        let is_all = Some(group.len() as u64) == tracked(plan, first);
        let _ = match is_all {
            true => writeln!(out, "  {}", layout.paint.bad(heading)),
            false => writeln!(out, "  {heading}"),
        };
        // What one group leaves of its share is the next one's.
        let share = left.map(|left| left / (most_groups - position));
        let shown_len = share.map_or(group.len(), |share| {
            if group.len() > share { share.saturating_sub(1) } else { group.len() }
        });
        let out_of_line = standing_out(group);
        let picked = pick(&out_of_line, shown_len);
        let is_out = |position: &&usize| out_of_line.get(**position) == Some(&true);
        let seen = picked.iter().filter(is_out).count();
        let unseen = out_of_line.iter().filter(|is_out| **is_out).count() - seen;
        let picked: Vec<&Drop> =
            picked.into_iter().filter_map(|position| group.get(position).copied()).collect();
        let has_reasons = group.iter().any(|drop| drop.reason.as_deref().is_some_and(|it| !is_blank(it)));
        drop_lines(&picked, has_reasons, layout, out);
        if shown_len < group.len() {
            let stand = match unseen {
                0 => String::new(),
                1 => ", 1 of them stands out".into(),
                some => format!(", {some} of them stand out"),
            };
            let more = format!("… and {} more here{stand}; --full lists them", group.len() - shown_len);
            let _ = writeln!(out, "    {}", layout.paint.strong(more));
        }
        listed += shown_len;
        left = left.map(|left| left.saturating_sub(shown_len + usize::from(shown_len < group.len())));
    }
    let rest = groups.get(most_groups..).unwrap_or_default();
    if !rest.is_empty() {
        let lost: usize = rest.iter().map(|group| group.len()).sum();
        let more = format!("… and {lost} more in {} more apps and tenants; --full lists them", rest.len());
        let _ = writeln!(out, "  {}", layout.paint.strong(more));
    }
    listed
}

/// How many are tracked in the app, or in the tenant, of a drop.
fn tracked(plan: &Plan, drop: &Drop) -> Option<u64> {
    let app = plan.facts.apps.iter().find(|app| app.app == drop.app)?;
    match &drop.tenant_key {
        Some(tenant) => app.tenants.get(tenant).copied(),
        None => Some(app.tracked),
    }
}

fn group_heading(plan: &Plan, first: &Drop, drops: usize) -> String {
    let app = plan.facts.apps.iter().find(|app| app.app == first.app);
    let place =
        app.map_or(String::new(), |AppFacts { app_id, base_url, .. }| format!(" ({app_id} at {base_url})"));
    let drops = super::grouped(drops as u64);
    let tenant = first.tenant_key.as_ref().map_or(String::new(), |tenant| format!(", tenant {tenant}"));
    let tracked = super::grouped(tracked(plan, first).unwrap_or(0));
    format!("{}{tenant}: {drops} of {tracked} tracked{place}", first.app)
}

/// `has_reasons`: some of the group have one, so that a drop without is told apart.
fn drop_lines(drops: &[&Drop], has_reasons: bool, layout: Layout, out: &mut String) {
    let paint = layout.paint;
    let cells: Vec<[String; 3]> = drops.iter().map(|drop| cells(drop)).collect();
    let widths = widths(&cells, layout.columns);
    for (drop, cells) in drops.iter().zip(&cells) {
        let line = drop_line(drop, cells, widths, layout);
        let given = drop.reason.as_deref().filter(|reason| !is_blank(reason));
        let reason = match given {
            Some(reason) => Some(format!("# {}", field(reason))),
            None => has_reasons.then(|| "(no reason)".into()),
        };
        let painted = |text: Cow<'_, str>| match given {
            Some(_) => paint.loss(text),
            None => paint.doubt(text),
        };
        let has_room = |reason: &str| {
            layout.columns.is_none_or(|columns| width(&line) + 2 + width(reason) + MARGIN <= columns)
        };
        let (beside, below) = match reason {
            Some(reason) if has_room(&reason) => (format!("  {}", painted(reason.into())), None),
            reason => (String::new(), reason),
        };
        let line = fit(&line, MARGIN, layout);
        let _ = writeln!(out, "    {} {}{beside}", paint.loss("-"), paint.loss(line));
        // Why it goes is never cut off for want of columns.
        if let Some(below) = below {
            let _ = writeln!(out, "        {}", painted(fit(&below, 8, layout)));
        }
    }
}

fn drop_line(drop: &Drop, [code, name, owner]: &[String; 3], widths: [usize; 3], layout: Layout) -> String {
    let [code_width, name_width, owner_width] = widths;
    let (name, owner, since) = match layout.columns {
        Some(_) => (cut(name, name_width), cut(owner, owner_width), ""),
        None => (name.as_str().into(), owner.as_str().into(), "since "),
    };
    let mut line = format!(
        "{}  {}  {}  {since}{}",
        pad(code, code_width),
        pad(&name, name_width),
        pad(&owner, owner_width),
        time::date(drop.since)
    );
    if let Some(outcome) = drop.outcome {
        let _ = write!(line, "  (last try: {})", outcome.as_str());
    }
    line
}

/// What stands before a drop's code.
const MARGIN: usize = "    - ".len();

/// How wide the columns of code, name and owner are. Where nothing is cut, a cell wider than its column stands out
/// rather than push every other line aside; on a terminal names and owners share what the code and date leave.
fn widths(cells: &[[String; 3]], columns: Option<usize>) -> [usize; 3] {
    const MARGIN_AND_DATE: usize = MARGIN + "  ".len() * 3 + "2026-01-02".len();
    let widest =
        |index: usize| cells.iter().filter_map(|cells| cells.get(index)).map(|cell| width(cell)).max();
    let widest = |index: usize, most: usize| widest(index).unwrap_or(0).min(most);
    let code = widest(0, 64);
    let [name, owner] = [widest(1, 32), widest(2, 20)];
    let Some(room) = columns.map(|columns| columns.saturating_sub(MARGIN_AND_DATE + code)) else {
        return [code, name, owner];
    };
    if name + owner <= room {
        return [code, name, owner];
    }
    // A name tells more than an owner.
    let owner = owner.min((room / 3).max(6));
    [code, name.min(room.saturating_sub(owner).max(8)), owner]
}

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
        text.as_deref().map(field).filter(|text| !text.is_empty()).unwrap_or_else(|| none.into())
    };
    [approval_code.to_string(), shown_or(name, "(no name)"), shown_or(owner, "(no owner)")]
}

/// A line cut to what the screen has beside a margin.
pub(super) fn fit<'a>(line: &'a str, margin: usize, layout: Layout) -> Cow<'a, str> {
    layout.columns.map_or(line.into(), |columns| cut(line, columns.saturating_sub(margin)))
}

/// A foreign text in a column: several spaces would look like the next one.
pub(super) fn field(text: &str) -> String {
    shown(text).split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}
