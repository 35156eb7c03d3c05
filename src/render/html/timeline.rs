//! The calls of a run against their quota, as a drawing for each app and tenant.

use super::page::Page;
use crate::render::{count, grouped};
use crate::report::{LaneReport, MINUTE};

/// How many drawings a page has; the table lists every lane.
const MOST: usize = 12;

/// The drawing's own units.
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 130.0;
const TOP: f64 = 14.0;
/// What is counted is drawn down to here; beneath are the calls themselves.
const FLOOR: f64 = 96.0;
const FEET: f64 = 106.0;
/// What the numbers beside the axis take.
const LEFT: f64 = 34.0;

/// As many columns as can be told apart; of each the largest count is drawn, so that no peak is lost.
const COLUMNS: usize = 320;

/// The section of a run's calls, where it made any.
pub(super) fn write(lanes: &[LaneReport], page: &mut Page) {
    let mut lanes: Vec<(&LaneReport, u64)> = lanes
        .iter()
        .filter(|lane| !lane.answered.is_empty())
        .map(|lane| (lane, lane.busiest_minute()))
        .collect();
    if lanes.is_empty() {
        return;
    }
    // The lanes that come closest to their quota are those to look at.
    let share = |(lane, busiest): &(&LaneReport, u64)| {
        std::cmp::Reverse(busiest * 1000 / u64::from(lane.rate_per_minute.unwrap_or(u32::MAX).max(1)))
    };
    lanes.sort_by_key(share);
    let last = lanes.iter().filter_map(|(lane, _)| lane.answered.last()).max();
    let span = last.map_or(1.0, |last| last.as_secs_f64()).max(1.0);
    page.raw("<section>\n<h2>Calls against the quota</h2>\n<p>Each answer counts for 60 seconds. The line is the count, the dashed one the quota; beneath stands each answer.</p>\n");
    for (number, (lane, busiest)) in lanes.iter().take(MOST).enumerate() {
        drawing(number, lane, *busiest, span, page);
    }
    if lanes.len() > MOST {
        page.raw("<p>").number((lanes.len() - MOST) as u64);
        page.raw(" more apps and tenants are in the table only.</p>\n");
    }
    table(&lanes, page);
    page.raw("</section>\n");
}

fn name(lane: &LaneReport) -> String {
    let tenant = lane.tenant_key.as_ref().map_or(String::new(), |tenant| format!("/{tenant}"));
    format!("{}{tenant}", lane.app)
}

fn drawing(number: usize, lane: &LaneReport, busiest: u64, span: f64, page: &mut Page) {
    let quota = lane.rate_per_minute.map(u64::from);
    let most = busiest.max(quota.unwrap_or(0)).max(1) as f64;
    let at = |seconds: f64| LEFT + (WIDTH - LEFT) * (seconds / span).clamp(0.0, 1.0);
    let up = |count: f64| FLOOR - (FLOOR - TOP) * count / most;
    page.raw("<figure>\n<figcaption><b><code>").plain(&name(lane)).raw("</code></b> <span>");
    page.plain(&count(lane.answered.len() as u64, "answer", "answers")).raw(", busiest minute <b>");
    page.number(busiest).raw("</b>");
    if let Some(quota) = quota {
        page.raw(" of at most ").number(quota);
    }
    page.raw("</span></figcaption>\n<svg role=\"img\" aria-labelledby=\"calls-").number(number as u64);
    page.raw("\" viewBox=\"0 0 ")
        .place(WIDTH)
        .raw(" ")
        .place(HEIGHT)
        .raw("\">\n<title id=\"calls-")
        .number(number as u64);
    page.raw("\">Calls of ").plain(&name(lane)).raw(": ").number(busiest).raw(" in the busiest minute");
    if let Some(quota) = quota {
        page.raw(", of at most ").number(quota);
    }
    page.raw("</title>\n");
    line("axis", LEFT, FLOOR, WIDTH, FLOOR, page);
    ticks(span, &at, page);
    let steps = steps(lane, span);
    for (class, is_area) in [("area", true), ("count", false)] {
        page.raw("<path class=\"").raw(class).raw("\" d=\"M").place(LEFT).raw(" ").place(up(0.0));
        for (column, count) in steps.iter().enumerate() {
            let before = column.checked_sub(1).and_then(|before| steps.get(before));
            if before != Some(count) {
                page.raw("H")
                    .place(at(span * column as f64 / COLUMNS as f64))
                    .raw("V")
                    .place(up(*count as f64));
            }
        }
        page.raw("H").place(WIDTH);
        if is_area {
            page.raw("V").place(FLOOR).raw("Z");
        }
        page.raw("\"/>\n");
    }
    page.raw("<path class=\"calls\" d=\"");
    let mut last = None;
    for time in &lane.answered {
        let column = (time.as_secs_f64() / span * COLUMNS as f64) as usize;
        if last != Some(column) {
            page.raw("M").place(at(span * column as f64 / COLUMNS as f64)).raw(" ").place(FLOOR + 3.0);
            page.raw("V").place(FEET);
            last = Some(column);
        }
    }
    page.raw("\"/>\n");
    label(LEFT - 6.0, FLOOR + 4.0, "busy", "end", "0", page);
    if busiest > 0 && quota != Some(busiest) {
        label(LEFT - 6.0, up(busiest as f64) + 4.0, "busy", "end", &grouped(busiest), page);
    }
    if let Some(quota) = quota {
        line("quota", LEFT, up(quota as f64), WIDTH, up(quota as f64), page);
        label(LEFT - 6.0, up(quota as f64) + 4.0, "limit", "end", &grouped(quota), page);
        label(WIDTH, up(quota as f64) - 4.0, "limit", "end", "quota", page);
    }
    page.raw("</svg>\n</figure>\n");
}

/// The largest count of each column.
fn steps(lane: &LaneReport, span: f64) -> Vec<u64> {
    let counts = lane.counts();
    let minute = MINUTE.as_secs_f64();
    let seconds = |millis: i64| millis as f64 / 1000.0;
    let (mut first, mut next) = (0, 0);
    let mut steps = Vec::with_capacity(COLUMNS);
    for column in 0..COLUMNS {
        let (begin, end) =
            (span * column as f64 / COLUMNS as f64, span * (column + 1) as f64 / COLUMNS as f64);
        // What still counts when the column begins, and what each answer within it makes of it.
        while counts.get(first).is_some_and(|(at, _)| seconds(*at) + minute <= begin) {
            first += 1;
        }
        let mut most = next.max(first) - first;
        while let Some((_, count)) =
            counts.get(next).filter(|(at, _)| seconds(*at) < end || column + 1 == COLUMNS)
        {
            most = most.max(usize::try_from(*count).unwrap_or(usize::MAX));
            next += 1;
        }
        steps.push(most as u64);
    }
    steps
}

fn ticks(span: f64, at: &dyn Fn(f64) -> f64, page: &mut Page) {
    let every = [1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0];
    let every = every.into_iter().find(|every| span / every <= 12.0).unwrap_or(7200.0);
    let mut seconds = 0.0;
    while seconds <= span {
        let text = match every {
            60.0.. => format!("{} min", (seconds / 60.0) as u64),
            _ => format!("{} s", seconds as u64),
        };
        let anchor = if seconds == 0.0 {
            "start"
        } else if at(seconds) > WIDTH - 20.0 {
            "end"
        } else {
            "middle"
        };
        label(at(seconds), HEIGHT - 6.0, "time", anchor, &text, page);
        seconds += every;
    }
}

fn line(class: &'static str, x1: f64, y1: f64, x2: f64, y2: f64, page: &mut Page) {
    page.raw("<line class=\"").raw(class).raw("\" x1=\"").place(x1).raw("\" y1=\"").place(y1).raw("\" x2=\"");
    page.place(x2).raw("\" y2=\"").place(y2).raw("\"/>\n");
}

fn label(x: f64, y: f64, class: &'static str, anchor: &'static str, text: &str, page: &mut Page) {
    page.raw("<text class=\"").raw(class).raw("\" text-anchor=\"").raw(anchor).raw("\" x=\"").place(x);
    page.raw("\" y=\"").place(y).raw("\">").plain(text).raw("</text>\n");
}

fn table(lanes: &[(&LaneReport, u64)], page: &mut Page) {
    let is_long = lanes.len() > MOST;
    if is_long {
        page.raw("<details>\n<summary><h3>Every app and tenant</h3></summary>\n");
    }
    page.raw("<table class=\"lanes\"><caption>Calls and quota by app and tenant</caption>\n");
    super::plan::heads(
        &["app and tenant", "calls planned", "answers", "busiest minute", "quota a minute"],
        page,
    );
    for (lane, busiest) in lanes {
        page.raw("<tr><th scope=\"row\"><code>").plain(&name(lane)).raw("</code><td>").number(lane.calls);
        page.raw("<td>").number(lane.answered.len() as u64).raw("<td>").number(*busiest).raw("<td>");
        match lane.rate_per_minute {
            Some(rate) => page.number(rate.into()),
            None => page.raw("none"),
        }
        .raw("\n");
    }
    page.raw("</table>\n");
    if is_long {
        page.raw("</details>\n");
    }
}
