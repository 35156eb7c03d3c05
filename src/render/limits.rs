//! What a change does to the gate itself: limits that differ from main's, and protection that it lifts. Nothing here is
//! foreign.

use std::collections::BTreeMap;

use super::{Layout, count, grouped};
use crate::plan::policy::{Change, changes, unprotected};
use crate::plan::{Plan, Rule, Verdict};

/// More are counted: the saved plan has them all.
const MOST: usize = 8;

/// A sentence about the limits, without a full stop; none where they are main's, or nothing was compared.
pub fn sentence(plan: &Plan) -> Option<String> {
    let Some(changes) = changes(plan) else {
        return Some(
            "limits were not compared: main's plan does not tell its own, so plan main again".into(),
        );
    };
    if changes.is_empty() {
        return None;
    }
    let (looser, others): (Vec<&Change>, Vec<&Change>) = changes.iter().partition(|change| change.is_looser);
    let parts = [("LOOSENED", looser), ("tightened", others)];
    let parts = parts.into_iter().filter(|(_, changes)| !changes.is_empty());
    let parts: Vec<String> = parts.map(|(word, changes)| format!("{word} {}", few(&changes))).collect();
    Some(format!("limits differ from main's: {}", parts.join("; ")))
}

/// What a reviewer has to hear of the gate, whatever else a plan does: a sentence each, without a full stop.
pub fn warnings(plan: &Plan) -> Vec<String> {
    let lifted = match unprotected(plan) {
        0 => None,
        lifted => {
            let are = count(lifted, "subscription is", "subscriptions are");
            Some(format!("{are} no longer protected once this is applied: a later plan may drop them"))
        }
    };
    sentence(plan).into_iter().chain(lifted).collect()
}

/// `20 no longer protected`; none where none is.
pub fn lifted(plan: &Plan) -> Option<String> {
    let lifted = unprotected(plan);
    (lifted > 0).then(|| format!("{} no longer protected", grouped(lifted)))
}

/// The rules that refuse a plan, each once however many subscriptions it speaks of, with how many findings it has.
pub fn refusing(plan: &Plan) -> BTreeMap<Rule, u64> {
    let mut rules = BTreeMap::new();
    for guard in plan.guards.iter().filter(|guard| guard.verdict == Verdict::Refused) {
        *rules.entry(guard.rule).or_default() += 1;
    }
    rules
}

/// The same in a few words, for where there is little room.
fn brief(plan: &Plan) -> Option<String> {
    let Some(changes) = changes(plan) else { return Some("limits were not compared with main's".into()) };
    let looser = changes.iter().filter(|change| change.is_looser).count() as u64;
    let others = changes.len() as u64 - looser;
    let parts = [(looser, "LOOSENED"), (others, "tightened")].into_iter().filter(|(number, _)| *number > 0);
    let parts: Vec<String> = parts.map(|(number, word)| format!("{} {word}", grouped(number))).collect();
    (!parts.is_empty()).then(|| format!("limits differ from main's: {}", parts.join(", ")))
}

/// The sentence as a line beneath the verdict; empty where there is none.
pub fn line(plan: &Plan, is_brief: bool, layout: Layout) -> String {
    let text = if is_brief { brief(plan) } else { sentence(plan) };
    text.map_or(String::new(), |text| {
        let text = format!("{}.", capital(&text));
        format!("{}\n", layout.paint.doubt(super::screen::wrapped(&text, 2, layout)))
    })
}

/// The sentence as a paragraph of a comment, whose marks are its own; empty where there is none.
pub fn paragraph(plan: &Plan, is_brief: bool) -> String {
    let text = if is_brief { brief(plan) } else { sentence(plan) };
    text.map_or(String::new(), |text| format!("\n**{}.**\n", capital(&text)))
}

fn few(changes: &[&Change]) -> String {
    let told = changes.iter().take(MOST).map(|change| {
        let Change { app, key, from, to, is_looser: _ } = change;
        let app = app.as_ref().map_or(String::new(), |app| format!("`{app}`: "));
        format!("{app}`{key}` {from} → {to}")
    });
    let mut told: Vec<String> = told.collect();
    if changes.len() > MOST {
        told.push(format!("and {} more", changes.len() - MOST));
    }
    told.join(", ")
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}
