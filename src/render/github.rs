//! A plan as GitHub's workflow commands, which become annotations of the run and of the changed files, and as the
//! outputs of a step.

use std::fmt::Write as _;

use super::pick::marked;
use super::{Layout, Paint, grouped, limits, plan, stale, standing};
use crate::plan::{Guard, Plan, Stale, Unknown, Verdict};
use crate::subscription::SubscriptionKey;
use crate::text::{cut, shown};

/// Where something stands in a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The file, from the repository's root; not escaped.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
}

/// What an annotation is about.
#[derive(Debug, Clone, Copy)]
pub enum About<'a> {
    /// A guard, which a limit, a demand, an app or a subscription of the manifest is behind.
    Guard(&'a Guard),
    /// A subscription.
    Subscription(&'a SubscriptionKey),
}

/// Where a manifest speaks of something; none where nobody knows.
pub type Positions<'a> = &'a dyn Fn(About<'_>) -> Option<Position>;

/// GitHub shows ten annotations of a kind in a step, and drops the others unsaid.
const MOST: usize = 9;

/// How many characters a message may have; more is nothing for a margin.
const LONGEST: usize = 1_000;

/// The commands, a line each: a warning where a saved plan is stale, an error for each guard that refuses, a warning for
/// each unknown, a notice that sums up.
pub fn text(plan: &Plan, stale: Option<&Stale>, positions: Positions<'_>) -> String {
    let mut out = String::new();
    if let Some(stale) = stale {
        command("warning", "larksub plan", &stale::sentence(stale), None, &mut out);
    }
    let warnings = limits::warnings(plan);
    for warning in &warnings {
        command("warning", "larksub plan", warning, None, &mut out);
    }
    let refused: Vec<&Guard> = plan.guards.iter().filter(|guard| guard.verdict == Verdict::Refused).collect();
    few(&refused, MOST, "guards refuse", "error", &mut out, |guard| refusal(guard, positions));
    let unknowns: Vec<&Unknown> = plan.unknowns.iter().collect();
    // Those above are of the same kind.
    let most = MOST - warnings.len().min(MOST / 2);
    few(&unknowns, most, "subscriptions are unknown", "warning", &mut out, |unknown| {
        doubt(unknown, positions)
    });
    let stands = standing::line(plan, &marked(plan), Layout::PLAIN);
    let stands = stands.map_or(String::new(), |line| format!("\n{line}"));
    let sum = format!("{}{stands}\nDigest {}", plan::verdict(plan, Paint::Plain), plan.digest);
    command("notice", "larksub plan", &sum, None, &mut out);
    out
}

/// The outputs of the step: `has_changes`, `drops` (unknowns that are sent again included), `own_drops` (those of them
/// that the base does not hold) and `digest`.
pub fn outputs(plan: &Plan) -> String {
    format!(
        "has_changes={}\ndrops={}\nown_drops={}\ndigest={}\n",
        plan.has_changes,
        plan.calls,
        plan.own_calls(),
        plan.digest
    )
}

struct Annotation {
    title: String,
    message: String,
    position: Option<Position>,
}

fn few<T>(
    items: &[T],
    most: usize,
    what: &str,
    kind: &str,
    out: &mut String,
    annotation: impl Fn(&T) -> Annotation,
) {
    let listed = if items.len() > most { most.saturating_sub(1) } else { items.len() };
    for item in items.iter().take(listed) {
        let Annotation { title, message, position } = annotation(item);
        command(kind, &title, &message, position.as_ref(), out);
    }
    if listed < items.len() {
        let more = format!("and {} more {what}; the plan lists them", grouped((items.len() - listed) as u64));
        command(kind, "larksub plan", &more, None, out);
    }
}

fn refusal(guard: &Guard, positions: Positions<'_>) -> Annotation {
    let Guard { rule, verdict: _, app: _, key: _, measured: _, of: _, limit: _, says, remedy } = guard;
    let remedy = remedy.as_deref().map_or(String::new(), |remedy| format!("\n{}", shown(remedy)));
    Annotation {
        title: format!("refused by {}", rule.as_str()),
        message: format!("{}{remedy}", shown(says)),
        position: positions(About::Guard(guard)),
    }
}

fn doubt(unknown: &Unknown, positions: Positions<'_>) -> Annotation {
    let key = unknown.key();
    let name = unknown.name.as_deref().map_or(String::new(), |name| format!(" ({})", shown(&cut(name, 80))));
    let now = match unknown.declared {
        true => format!(
            "declared again, so it is not sent: settle it with `larksub import` or `larksub state rm {key}`"
        ),
        false if unknown.pending => "sent again, and counted as a drop; pending on main already".into(),
        false => "sent again, and counted as a drop".into(),
    };
    Annotation {
        title: "unknown".into(),
        message: format!("{key}{name}: a call was sent, and nobody can say what became of it; {now}"),
        position: positions(About::Subscription(&key)),
    }
}

/// Titles and messages, at most so many of them; the last says how many more there are.
pub(super) fn few_of(
    items: &[(String, String)],
    most: usize,
    what: &str,
    kind: &str,
    title: &str,
    out: &mut String,
) {
    let listed = if items.len() > most { most.saturating_sub(1) } else { items.len() };
    for (title, message) in items.iter().take(listed) {
        command(kind, title, message, None, out);
    }
    if listed < items.len() {
        let more = grouped((items.len() - listed) as u64);
        command(kind, title, &format!("and {more} more {what}; the report lists them"), None, out);
    }
}

pub(super) fn command(kind: &str, title: &str, message: &str, position: Option<&Position>, out: &mut String) {
    let place = position.map_or(String::new(), |Position { file, line }| {
        format!("file={},line={line},", property(&shown(file)))
    });
    let message: String = message.chars().take(LONGEST).collect();
    let _ = writeln!(out, "::{kind} {place}title={}::{}", property(title), data(&message));
}

/// A message as GitHub reads it back.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property's value as GitHub reads it back.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_and_messages_are_escaped() {
        assert_eq!(property("a:b,c%d\ne"), "a%3Ab%2Cc%25d%0Ae");
        assert_eq!(data("50 %: a,b\r\n::x"), "50 %25: a,b%0D%0A::x");
        let mut out = String::new();
        let position = Position { file: "a,line=9::\n.toml".into(), line: 3 };
        command("error", "t", "m", Some(&position), &mut out);
        assert_eq!(out, "::error file=a%2Cline=9%3A%3A\\n.toml,line=3,title=t::m\n");
    }
}
