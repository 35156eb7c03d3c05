//! The guards that are numbers: how many drops, in the whole plan and for each app.

use std::collections::BTreeMap;

use super::guard::{Guard, Measured, Rule, Verdict, allowed, calls, refused};
use crate::manifest::MAX_DROP_PERCENT;
use crate::state::OverrideFlag;
use crate::subscription::AppLabel;

/// Apps with fewer tracked subscriptions are not measured by percentage: one drop of three is no sign of a mistake.
const PERCENT_FROM: u64 = 10;

/// Measures the limits of `[policy]` and of the apps' own, or the allowance that replaces them for the whole plan.
pub(super) fn measure(measured: &Measured<'_>) -> Vec<Guard> {
    let mut by_app: BTreeMap<&AppLabel, u64> = BTreeMap::new();
    for call in calls(measured) {
        *by_app.entry(call.app).or_default() += 1;
    }
    let total = by_app.values().sum();
    // Where the flag is given more than once (saved in the plan, and again on apply), the smaller number holds: whoever
    // gives a limit means it, and no flag lifts what was reviewed.
    let allowances =
        allowed(measured, OverrideFlag::AllowDrops).filter_map(|value| value.parse::<u64>().ok());
    let allowances: Vec<u64> = allowances.collect();
    let allowance = allowances.iter().min().copied();
    if let Some(limit) = allowance.filter(|limit| total > *limit) {
        let says = format!("{total} to drop, and --allow-drops allows {limit}");
        let remedy = match allowances.as_slice() {
            [_] => format!("if every one is meant: --allow-drops {total}"),
            _ => format!(
                "of several --allow-drops the smallest holds; if every one is meant, plan again with --allow-drops {total}"
            ),
        };
        let guard = refused(Rule::MaxDrops, says, remedy);
        return vec![Guard { measured: Some(total), limit: Some(limit), ..guard }];
    }
    let mut guards: Vec<Guard> = whole_plan(measured, total).into_iter().collect();
    for (&label, drops) in &by_app {
        guards.extend(count_of_app(measured, label, *drops, total));
        guards.extend(share_of_app(measured, label, *drops, total));
    }
    for guard in guards.iter_mut().filter(|guard| allowance.is_some() && guard.verdict == Verdict::Refused) {
        guard.verdict = Verdict::Allowed;
        guard.remedy = None;
    }
    guards
}

fn whole_plan(measured: &Measured<'_>, total: u64) -> Option<Guard> {
    let limit = measured.manifest.policy.max_drops.as_ref()?.value;
    let says = format!("{total} to drop, at most {limit}");
    let remedy =
        format!("if every one is meant: --allow-drops {total}; or, in [policy], `max_drops = {total}`");
    let guard = judged(refused(Rule::MaxDrops, says, remedy), total > limit);
    Some(Guard { measured: Some(total), limit: Some(limit), ..guard })
}

/// The app's own `max_drops`. That of all apps holds beside it, for the whole plan.
fn count_of_app(measured: &Measured<'_>, label: &AppLabel, drops: u64, total: u64) -> Option<Guard> {
    let limit = measured.manifest.apps.get(label)?.policy.max_drops.as_ref()?.value;
    let says = format!("`{label}`: {drops} to drop, at most {limit}");
    let remedy = format!(
        "if every one is meant: --allow-drops {total}; or, in [apps.{label}.policy], `max_drops = {drops}`"
    );
    let guard = judged(refused(Rule::MaxDrops, says, remedy), drops > limit);
    Some(Guard { app: Some(label.clone()), measured: Some(drops), limit: Some(limit), ..guard })
}

fn share_of_app(measured: &Measured<'_>, label: &AppLabel, drops: u64, total: u64) -> Option<Guard> {
    let app = measured.manifest.apps.get(label)?;
    let (index, _) = measured.state.app_of(&app.identity)?;
    let tracked = measured.tracked.get(&index).copied().filter(|tracked| *tracked >= PERCENT_FROM)?;
    let limit = app.policy.rule(&measured.manifest.policy, |policy| &policy.max_drop_percent);
    let percent = limit.map_or(MAX_DROP_PERCENT, |limit| limit.value);
    let is_beyond = u128::from(drops) * 100 > u128::from(percent) * u128::from(tracked);
    let says =
        format!("`{label}`: {drops} of {tracked} to drop ({}), at most {percent} %", share(drops, tracked));
    let needed = (u128::from(drops) * 100).div_ceil(u128::from(tracked.max(1)));
    let section = match app.policy.max_drop_percent {
        Some(_) => format!("[apps.{label}.policy]"),
        None => "[policy]".into(),
    };
    let remedy = format!(
        "if every one is meant: --allow-drops {total}; or, in {section}, `max_drop_percent = {needed}`"
    );
    let guard = judged(refused(Rule::MaxDropPercent, says, remedy), is_beyond);
    let (measured, of, limit) = (Some(drops), Some(tracked), Some(percent));
    Some(Guard { app: Some(label.clone()), measured, of, limit, ..guard })
}

/// A guard as it is where its limit is exceeded, or as one that passed.
fn judged(guard: Guard, is_beyond: bool) -> Guard {
    if is_beyond { guard } else { Guard { verdict: Verdict::Passed, remedy: None, ..guard } }
}

/// A share in percent with one decimal, rounded up so that a value above a limit never looks like the limit.
fn share(part: u64, whole: u64) -> String {
    let tenths = (u128::from(part) * 1000).div_ceil(u128::from(whole.max(1)));
    format!("{}.{} %", tenths / 10, tenths % 10)
}
