//! A plan that guards refuse, as an apply says it: which guards, how much, and the command that helps.

use std::fmt::Write as _;

use crate::error::{Exit, Failure};
use crate::plan::{Plan, Rule, Verdict};
use crate::render::limits::refusing;
use crate::render::markdown::word;
use crate::render::{count, grouped};
use crate::state::OverrideFlag;
use crate::subscription::SubscriptionKey;

/// What each guard found is told so often; the plan has the rest.
const MOST_OF_A_RULE: u64 = 10;

/// Why nothing is sent: the guards by name, what would be dropped, and what each of them found.
pub fn failure(plan: &Plan) -> Failure {
    let rules = refusing(plan);
    let names: Vec<&str> = rules.keys().map(|rule| rule.as_str()).collect();
    let tracked = grouped(plan.counts.tracked);
    let title = format!(
        "the plan is refused by {}, with {} of {tracked} tracked to drop; nothing was sent",
        names.join(", "),
        grouped(plan.calls),
    );
    let mut failure = Failure::new(Exit::Refused, title);
    for (rule, found) in rules {
        let of_rule = plan.guards.iter().filter(|it| it.verdict == Verdict::Refused && it.rule == rule);
        for guard in of_rule.clone().take(MOST_OF_A_RULE as usize) {
            let name = guard.key.as_deref().and_then(|key| name_of(plan, key)).unwrap_or_default();
            failure = failure.because(format!("{}: {}{name}", rule.as_str(), guard.says));
        }
        if found > MOST_OF_A_RULE {
            let more = count(found - MOST_OF_A_RULE, "more", "more");
            failure =
                failure.because(format!("{}: and {more}; `larksub plan --full` lists them", rule.as_str()));
        }
        for remedy in of_rule.take(MOST_OF_A_RULE as usize).filter_map(|guard| guard.remedy.as_ref()) {
            if !failure.hints.contains(remedy) {
                failure = failure.hint(remedy.clone());
            }
        }
    }
    failure
}

/// What the subscription of a key is called.
fn name_of(plan: &Plan, key: &str) -> Option<String> {
    const LONGEST: usize = 80;
    let is_it = |other: SubscriptionKey| other.to_string() == key;
    let dropped = plan.drops.iter().find(|it| is_it(it.key())).map(|it| it.name.as_deref());
    let sent = || plan.unknowns.iter().find(|it| is_it(it.key())).map(|it| it.name.as_deref());
    let forgotten = || plan.forgets.iter().find(|it| is_it(it.key())).map(|it| it.name.as_deref());
    let name = dropped.or_else(sent).or_else(forgotten).flatten()?;
    Some(format!(" ({})", crate::text::shown(&crate::text::cut(name, LONGEST))))
}

/// The command that makes a plan which `apply` would take, to be reviewed; none where only an edit of the manifest helps.
pub fn again(plan: &Plan) -> Option<String> {
    const MOST_KEYS: usize = 5;
    let mut command = String::from("larksub plan --out plan.json");
    let is_beyond = refusing(plan).keys().any(|rule| matches!(rule, Rule::MaxDrops | Rule::MaxDropPercent));
    // What is allowed now is allowed to the new plan by name again, and seen by whoever reviews that.
    let given = |flag| plan.overrides.iter().filter(move |it| it.flag == flag).map(|it| it.value.as_str());
    match given(OverrideFlag::AllowDrops).filter_map(|most| most.parse::<u64>().ok()).min() {
        _ if is_beyond => {
            let _ = write!(command, " --allow-drops {}", plan.calls);
        }
        Some(most) => {
            let _ = write!(command, " --allow-drops {most}");
        }
        None => {}
    }
    for key in given(OverrideFlag::AllowHandover).take(MOST_KEYS) {
        let _ = write!(command, " --allow-handover {}", word(key));
    }
    let refused = plan.guards.iter().filter(|guard| guard.verdict == Verdict::Refused);
    let mut keys = 0;
    for guard in refused {
        match (guard.rule, &guard.key) {
            (Rule::MaxDrops | Rule::MaxDropPercent, _) => {}
            (Rule::Handover, Some(key)) => {
                keys += 1;
                let _ = write!(command, " --allow-handover {}", word(key));
            }
            _ => return None,
        }
    }
    (keys <= MOST_KEYS).then_some(command)
}
