//! The line beneath a verdict: what stands out of a plan, each with its reason.

use std::collections::BTreeMap;

use super::pick::{Marked, Why, whole_apps};
use super::{Layout, grouped};
use crate::plan::{Drop, Plan};
use crate::text::width;

/// How much of what stands out a line names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    /// Whole keys.
    Whole,
    /// The beginning of each code.
    Brief,
    /// How many only.
    Counts,
}

/// What stands out, without what is pending whatever becomes of the change: `2 stand out: …`. Keys and labels stand
/// between backticks. None where nothing does.
pub fn sentence(plan: &Plan, marked: &[Marked<'_>]) -> Option<String> {
    told(plan, marked, Length::Whole)
}

/// The same as plain text, as short as the screen needs it.
pub fn line(plan: &Plan, marked: &[Marked<'_>], layout: Layout) -> Option<String> {
    let plain = |length| told(plan, marked, length).map(|text| text.replace('`', ""));
    let Some(columns) = layout.columns else { return plain(Length::Whole) };
    let lengths = [Length::Whole, Length::Brief].into_iter().filter_map(plain);
    let fitting = lengths.into_iter().find(|text| width(text) <= columns);
    fitting.or_else(|| plain(Length::Counts))
}

fn told(plan: &Plan, marked: &[Marked<'_>], length: Length) -> Option<String> {
    /// How many keys of one reason are named.
    const FEW: usize = 2;
    let whole = whole_apps(plan);
    let mut out: BTreeMap<Why, (u64, Vec<&Drop>)> = BTreeMap::new();
    for Marked { drop, why } in marked.iter().filter(|marked| !marked.drop.pending) {
        if let Some(why) = why {
            let (number, first) = out.entry(*why).or_default();
            *number += 1;
            if first.len() < FEW {
                first.push(drop);
            }
        }
    }
    let total = whole.len() as u64 + out.values().map(|(number, _)| number).sum::<u64>();
    if total == 0 {
        return None;
    }
    let few = if length == Length::Counts { 1 } else { FEW };
    let named = whole.iter().take(few).map(|(app, tracked)| match tracked {
        1 => format!("the only one of `{app}`"),
        tracked => format!("ALL {} of `{app}`", grouped(*tracked)),
    });
    let mut parts: Vec<String> = named.collect();
    match whole.len().saturating_sub(few) {
        0 => {}
        1 => parts.push("all of another app".into()),
        more => parts.push(format!("all of {} more apps", grouped(more as u64))),
    }
    for (why, (number, first)) in out {
        let word = why.as_str();
        let keys: Vec<String> = first.iter().map(|drop| key(drop, length)).collect();
        parts.push(match (length, number, keys.as_slice()) {
            (Length::Whole | Length::Brief, 1 | 2, keys) => format!("{} {word}", keys.join(" and ")),
            (Length::Whole | Length::Brief, number, [first, ..]) if number == total => {
                format!("{word}, such as {first}")
            }
            (Length::Whole | Length::Brief, _, [first, ..]) => {
                format!("{} {word}, such as {first}", grouped(number))
            }
            (_, number, _) if number == total => word.into(),
            _ => format!("{} {word}", grouped(number)),
        });
    }
    let stand = if total == 1 { "stands" } else { "stand" };
    Some(format!("{} {stand} out: {}", grouped(total), parts.join("; ")))
}

fn key(drop: &Drop, length: Length) -> String {
    const SHORT: usize = 12;
    let code = drop.approval_code.as_str();
    if length == Length::Whole || code.len() <= SHORT {
        return format!("`{}`", drop.key());
    }
    let head: String = code.chars().take(8).collect();
    format!("`{}/{head}…`", drop.app)
}
