//! The guards of a plan as text: what refuses it with the way on, what was allowed, what passed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::plan::begin;
use super::screen::{Room, wrapped};
use super::{Layout, grouped};
use crate::plan::{Guard, Plan, Rule, Verdict};
use crate::text::{cut, shown};

/// What stands before what a guard says.
const INDENT: usize = 11;

/// The guards under their heading. On a screen those of one rule are one line.
pub(super) fn write(plan: &Plan, room: Room, layout: Layout, out: &mut String) {
    let paint = layout.paint;
    // Nothing dropped is within any limit, and no news.
    let is_kept = |guard: &&Guard| guard.verdict == Verdict::Passed && guard.measured != Some(0);
    let kept = plan.guards.iter().filter(is_kept).count();
    // On a screen many kept limits are one line: what is refused or allowed must not be pushed off it.
    let most_kept = if room.lines() < 3 { 0 } else { 2 };
    let sums_up = layout.lines.is_some() && kept > most_kept;
    let told = plan.guards.iter().filter(|it| it.verdict != Verdict::Passed || is_kept(it) && !sums_up);
    let told: Vec<Told<'_>> = match room.notes {
        None => told.map(Told::one).collect(),
        Some(_) => by_rule(told),
    };
    let sums_up = sums_up && !room.is_least();
    if told.is_empty() && !sums_up && plan.overrides.is_empty() {
        return;
    }
    if room.remedies {
        begin("Guards", room, layout, out);
    }
    // A handful is read; the rest is counted.
    let most = match (room.notes, room.remedies) {
        (None, _) => usize::MAX,
        (_, true) => 5,
        (_, false) => 3,
    };
    let listed = if told.len() > most { most.saturating_sub(1) } else { told.len() };
    let mut lines = told.iter().take(listed).peekable();
    while let Some(Told { verdict, says, remedy }) = lines.next() {
        let word = match verdict {
            Verdict::Passed => paint.good("ok     "),
            Verdict::Allowed => paint.doubt("allowed"),
            Verdict::Refused => paint.bad("REFUSED"),
        };
        let says = wrapped(&format!("  {word}  {}", shortened(says, room, layout)), INDENT, layout);
        let _ = writeln!(out, "{says}");
        // One remedy for many subscriptions is said once, after the last of them.
        let is_said_again = lines.peek().is_some_and(|next| next.remedy == *remedy);
        let remedy = remedy.filter(|_| !is_said_again && room.remedies);
        if let Some(remedy) = remedy {
            let remedy = shortened(&shown(remedy), room, layout);
            let _ = writeln!(out, "{}", wrapped(&format!("{:INDENT$}{remedy}", ""), INDENT, layout));
        }
    }
    if listed < told.len() {
        let _ = writeln!(out, "  … and {} more rules; --full lists them", told.len() - listed);
    }
    if sums_up {
        let limits = if kept == 1 { "1 limit".into() } else { format!("{} limits", grouped(kept as u64)) };
        let _ = writeln!(out, "  {}  {limits} kept; --full lists them", paint.good("ok     "));
    }
    if !plan.overrides.is_empty() {
        let given =
            plan.overrides.iter().map(|given| format!("{} {}", given.flag.as_str(), shown(&given.value)));
        let few: Vec<String> = given.take(room.lines().max(1)).collect();
        let more = match plan.overrides.len() - few.len() {
            0 => String::new(),
            more => format!(" and {} more", grouped(more as u64)),
        };
        let line = format!("  allowed by name: {}{more}", paint.doubt(few.join(", ")));
        let _ = writeln!(out, "{}", wrapped(&line, 4, layout));
    }
}

/// What is said of one guard, or of all those of a rule.
struct Told<'a> {
    verdict: Verdict,
    says: String,
    remedy: Option<&'a str>,
}

impl<'a> Told<'a> {
    fn one(guard: &'a Guard) -> Self {
        let says = format!("{}: {}", guard.rule.as_str(), shown(&guard.says));
        Self { verdict: guard.verdict, says, remedy: guard.remedy.as_deref() }
    }
}

/// A line for each rule and verdict, in the order of the guards.
fn by_rule<'a>(guards: impl Iterator<Item = &'a Guard>) -> Vec<Told<'a>> {
    let mut order: Vec<Vec<&Guard>> = Vec::new();
    let mut places: BTreeMap<(Rule, bool, bool), usize> = BTreeMap::new();
    for guard in guards {
        let key = (guard.rule, guard.verdict == Verdict::Refused, guard.verdict == Verdict::Allowed);
        let place = *places.entry(key).or_insert_with(|| {
            order.push(Vec::new());
            order.len() - 1
        });
        if let Some(group) = order.get_mut(place) {
            group.push(guard);
        }
    }
    // What refuses is told first.
    order.sort_by_key(|group| group.first().is_none_or(|guard| guard.verdict != Verdict::Refused));
    order
        .iter()
        .flat_map(|group| match group.as_slice() {
            // Two apps beyond their limits are two lines.
            [one, other] if one.key.is_none() => vec![Told::one(one), Told::one(other)],
            [] => Vec::new(),
            [one] => vec![Told::one(one)],
            [first, rest @ ..] => {
                let number = grouped(group.len() as u64);
                let says = match &first.key {
                    Some(key) => {
                        format!("{}: {number} subscriptions, such as {}", first.rule.as_str(), shown(key))
                    }
                    None => format!(
                        "{}: {}; and {} more like this",
                        first.rule.as_str(),
                        shown(&first.says),
                        grouped(rest.len() as u64)
                    ),
                };
                vec![Told { says, ..Told::one(first) }]
            }
        })
        .collect()
}

/// On one line where there is little room, and on a few in any case: a forged plan may say anything.
fn shortened(text: &str, room: Room, layout: Layout) -> String {
    let Some(columns) = layout.columns else { return text.into() };
    let line = columns.saturating_sub(INDENT);
    match room.notes {
        None => text.into(),
        Some(0 | 1) => cut(text, line).into_owned(),
        Some(_) => cut(text, line * 3).into_owned(),
    }
}
