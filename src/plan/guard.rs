//! The guards: rules that refuse a plan, each with its measured value, its limit and the way to allow it.

use std::collections::{BTreeMap, HashMap, HashSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::merge::Row;
use super::{Call, Drop, Forget, Unknown, limits, reasons};
use crate::manifest::Manifest;
use crate::state::{AppIndex, Override, OverrideFlag, State};
use crate::subscription::{AnyCase, AppLabel, ApprovalCode, SubscriptionKey, TenantKey};

/// A rule, as it was measured on one plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// Which rule.
    pub rule: Rule,
    /// What it says of this plan.
    pub verdict: Verdict,
    /// The app it was measured in; absent where it is the whole plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppLabel>,
    /// The subscription it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The number that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<u64>,
    /// What it is a part of, where the limit is a percentage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<u64>,
    /// The limit; above it the plan is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// What was found, in a sentence without a full stop.
    pub says: String,
    /// The exact flag or edit that allows it, or what to do instead; absent where it passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// The words for the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// A label stands for another app than the state says.
    WrongApp,
    /// A tracked app has no section in the manifest.
    NoSection,
    /// A drop differs from a declared code only in letter case.
    LetterCase,
    /// A protected subscription would go.
    Protected,
    /// A code is dropped in one app or tenant and declared, but untracked, in another.
    Handover,
    /// Something leaves the state without a reason.
    Reason,
    /// Too many drops in the whole plan, or in an app that has a limit of its own.
    MaxDrops,
    /// Too many drops for one app.
    MaxDropPercent,
}

impl Rule {
    /// The word that the saved plan uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WrongApp => "wrong_app",
            Self::NoSection => "no_section",
            Self::LetterCase => "letter_case",
            Self::Protected => "protected",
            Self::Handover => "handover",
            Self::Reason => "reason",
            Self::MaxDrops => "max_drops",
            Self::MaxDropPercent => "max_drop_percent",
        }
    }
}

/// What a guard says of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Within the limit.
    Passed,
    /// Beyond it, and allowed by name.
    Allowed,
    /// Beyond it.
    Refused,
}

/// What the guards measure.
pub struct Measured<'a> {
    /// The manifest, for its limits and sections.
    pub manifest: &'a Manifest,
    /// The state, for its bindings and what is tracked.
    pub state: &'a State,
    /// How many are tracked, by app.
    pub tracked: &'a BTreeMap<AppIndex, u64>,
    /// Manifest and state side by side.
    pub rows: &'a [Row<'a>],
    /// The plan's drops.
    pub drops: &'a [Drop],
    /// The plan's unknowns; those that are sent count as drops.
    pub unknowns: &'a [Unknown],
    /// The plan's forgets.
    pub forgets: &'a [Forget],
    /// What was allowed by name.
    pub overrides: &'a [Override],
}

/// Measures every guard: first those that were never a matter of limits, then the numbers.
pub fn measure(measured: &Measured<'_>) -> Vec<Guard> {
    let mut guards = wrong_apps(measured);
    guards.extend(missing_sections(measured));
    guards.extend(letter_cases(measured));
    guards.extend(protected(measured));
    guards.extend(handovers(measured));
    guards.extend(reasons::measure(measured));
    guards.extend(limits::measure(measured));
    guards
}

/// What will be called, unknowns included.
pub(super) fn calls<'a>(measured: &Measured<'a>) -> impl Iterator<Item = Call<'a>> {
    super::calls(measured.unknowns, measured.drops)
}

pub(super) fn refused(rule: Rule, says: String, remedy: String) -> Guard {
    Guard {
        rule,
        verdict: Verdict::Refused,
        app: None,
        key: None,
        measured: None,
        of: None,
        limit: None,
        says,
        remedy: Some(remedy),
    }
}

fn of_key(guard: Guard, key: &SubscriptionKey) -> Guard {
    Guard { app: Some(key.app.clone()), key: Some(key.to_string()), ..guard }
}

fn wrong_apps(measured: &Measured<'_>) -> Vec<Guard> {
    let mut guards = Vec::new();
    for (label, app) in &measured.manifest.apps {
        let identity = &app.identity;
        let known = measured.state.app_of(identity).map(|(_, known)| known);
        let holder = measured.state.app_labelled(label).map(|(_, holder)| holder);
        let guard = match (known, holder) {
            (_, Some(holder)) if holder.identity != *identity => refused(
                Rule::WrongApp,
                format!("`{label}` is {} in the state, and {identity} in the manifest", holder.identity),
                "a label keeps its app: give the other app a label of its own (where two swap labels, in two applies)"
                    .into(),
            ),
            (Some(known), _) if known.kind != app.kind => refused(
                Rule::WrongApp,
                format!(
                    "`{label}` is a {} app in the state, and a {} app in the manifest",
                    known.kind.as_str(),
                    app.kind.as_str()
                ),
                format!("an app's kind does not change: write `kind = \"{}\"`", known.kind.as_str()),
            ),
            _ => continue,
        };
        guards.push(Guard { app: Some(label.clone()), ..guard });
    }
    guards
}

fn missing_sections(measured: &Measured<'_>) -> Vec<Guard> {
    let sections: HashSet<_> = measured.manifest.apps.values().map(|app| &app.identity).collect();
    let missing = measured.state.apps().filter(|(_, app)| !sections.contains(&app.identity));
    // Where its label stands for another app in the manifest, that is the mistake, and said already.
    let missing = missing.filter(|(_, app)| !measured.manifest.apps.contains_key(&app.label));
    let missing = missing.filter_map(|(index, app)| Some((app, *measured.tracked.get(&index)?)));
    missing
        .map(|(app, count)| Guard {
            app: Some(app.label.clone()),
            measured: Some(count),
            limit: Some(0),
            ..refused(
                Rule::NoSection,
                format!("app `{}` ({}) has {count} tracked and no section in the manifest", app.label, app.identity),
                format!(
                    "to retire it, keep `[apps.{}]` with its settings and without subscriptions until its drops are applied",
                    app.label
                ),
            )
        })
        .collect()
}

fn letter_cases<'a>(measured: &Measured<'a>) -> Vec<Guard> {
    type Place<'a> = (&'a AppLabel, Option<&'a TenantKey>, AnyCase<'a>);
    let declared = || measured.rows.iter().filter(|row| row.declared.is_some());
    let has_small = |code: &ApprovalCode| code.as_str().bytes().any(|byte| byte.is_ascii_lowercase());
    // Two that differ in letter case have a small letter between them, and codes are mostly written without.
    if !calls(measured).any(|call| has_small(call.approval_code))
        && !declared().any(|row| has_small(row.approval_code))
    {
        return Vec::new();
    }
    // Little of what is declared is looked for, so what is called is hashed.
    let place = |call: &Call<'a>| (call.app, call.tenant_key, AnyCase(call.approval_code));
    let mut twins: HashMap<Place<'_>, Option<&ApprovalCode>> =
        calls(measured).map(|call| (place(&call), None)).collect();
    for row in declared() {
        if let Some(twin) = twins.get_mut(&(row.label, row.tenant_key, AnyCase(row.approval_code))) {
            *twin = Some(row.approval_code);
        }
    }
    let mut guards = Vec::new();
    for call in calls(measured) {
        let Some(Some(code)) = twins.get(&place(&call)) else { continue };
        let key = call.key();
        let says =
            format!("{key} would be dropped, and `{code}` is declared: they differ only in letter case");
        let remedy = format!(
            "correct the code in the manifest; or, if the state has it wrong, `larksub state rm {key} --reason …` and import `{code}`"
        );
        guards.push(of_key(refused(Rule::LetterCase, says, remedy), &key));
    }
    guards
}

fn protected(measured: &Measured<'_>) -> Vec<Guard> {
    let leaving = measured.rows.iter().filter(|row| row.declared.is_none());
    let protected = leaving.filter(|row| row.tracked().is_some_and(|subscription| subscription.protect));
    protected
        .map(|row| {
            let key = row.key();
            let does = if row.removed.is_some_and(|removed| removed.forget) { "forgotten" } else { "dropped" };
            let remedy =
                "declare it again with `protect = false`, apply that, then remove the entry: two reviews for one loss";
            of_key(refused(Rule::Protected, format!("{key} is protected, and would be {does}"), remedy.into()), &key)
        })
        .collect()
}

fn handovers(measured: &Measured<'_>) -> Vec<Guard> {
    let mut called = calls(measured).peekable();
    if called.peek().is_none() {
        return Vec::new();
    }
    // A code in another letter case is the same one to a person.
    let mut waiting: HashMap<AnyCase<'_>, Vec<&Row<'_>>> = HashMap::new();
    for row in measured.rows.iter().filter(|row| row.declared.is_some() && row.tracked().is_none()) {
        waiting.entry(AnyCase(row.approval_code)).or_default().push(row);
    }
    let allowed: HashSet<&str> = allowed(measured, OverrideFlag::AllowHandover).collect();
    let mut guards = Vec::new();
    for call in called {
        // In the same app and tenant it is a slip, and `letter_case`'s.
        let is_elsewhere = |row: &&&Row<'_>| (row.label, row.tenant_key) != (call.app, call.tenant_key);
        let heirs = waiting.get(&AnyCase(call.approval_code));
        let Some(row) = heirs.and_then(|rows| rows.iter().find(is_elsewhere)) else { continue };
        let (key, heir) = (call.key(), row.key());
        let differ = match row.approval_code == call.approval_code {
            true => "",
            false => "; the codes differ only in letter case",
        };
        let says = format!("{key} would be dropped while {heir} is declared and not yet tracked{differ}");
        let remedy = format!(
            "subscribe {heir} and import it first, so that no event is missed; or allow it: --allow-handover {key}"
        );
        let guard = of_key(refused(Rule::Handover, says, remedy), &key);
        let is_allowed = allowed.contains(key.to_string().as_str());
        guards.push(if is_allowed {
            Guard { verdict: Verdict::Allowed, remedy: None, ..guard }
        } else {
            guard
        });
    }
    guards
}

pub(super) fn allowed<'a>(measured: &'a Measured<'_>, flag: OverrideFlag) -> impl Iterator<Item = &'a str> {
    measured.overrides.iter().filter(move |given| given.flag == flag).map(|given| given.value.as_str())
}
