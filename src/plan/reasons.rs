//! The guard that wants a reason for whatever leaves the state.

use std::collections::{BTreeMap, HashSet};

use super::guard::{Guard, Measured, Rule, refused};
use crate::subscription::{AppLabel, SubscriptionKey};
use crate::text::is_blank;

/// One guard for each app that demands reasons and has something leave without one. No flag allows it.
pub(super) fn measure(measured: &Measured<'_>) -> Vec<Guard> {
    let general = &measured.manifest.policy;
    let demands = |label: &AppLabel| {
        let app = measured.manifest.apps.get(label);
        let rule = app.and_then(|app| app.policy.rule(general, |policy| &policy.require_reason));
        rule.is_some_and(|demand| demand.value)
    };
    let mut apps: BTreeMap<&AppLabel, Missing> = BTreeMap::new();
    let sent = measured.unknowns.iter().filter(|unknown| !unknown.declared);
    let unknowns = sent.map(|unknown| (&unknown.app, unknown.reason.as_deref(), unknown.key()));
    let drops = measured.drops.iter().map(|drop| (&drop.app, drop.reason.as_deref(), drop.key()));
    let forgets = measured.forgets.iter().map(|forget| (&forget.app, forget.reason.as_deref(), forget.key()));
    for (app, reason, key) in unknowns.chain(drops).chain(forgets) {
        let entry = apps.entry(app).or_default();
        entry.leaving += 1;
        if reason.is_none_or(is_blank) {
            entry.keys.push(key);
        }
    }
    apps.retain(|label, entry| !entry.keys.is_empty() && demands(label));
    apps.into_iter().map(|(label, entry)| guard(measured, label, entry)).collect()
}

#[derive(Default)]
struct Missing {
    leaving: u64,
    keys: Vec<SubscriptionKey>,
}

fn guard(measured: &Measured<'_>, label: &AppLabel, Missing { leaving, mut keys }: Missing) -> Guard {
    const FEW: usize = 3;
    keys.sort();
    let few: Vec<String> = keys.iter().take(FEW).map(|key| format!("`{key}`")).collect();
    let more = match keys.len().saturating_sub(FEW) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let says =
        format!("`{label}`: {} of {leaving} to go without a reason: {}{more}", keys.len(), few.join(", "));
    let guard = refused(Rule::Reason, says, remedy(measured, label, &keys));
    Guard {
        app: Some(label.clone()),
        measured: Some(keys.len() as u64),
        of: Some(leaving),
        limit: Some(0),
        ..guard
    }
}

/// What to write for the first of them; each of the others needs the same with its own code.
fn remedy(measured: &Measured<'_>, label: &AppLabel, keys: &[SubscriptionKey]) -> String {
    let removed = measured.manifest.apps.get(label).map(|app| app.removed.as_slice()).unwrap_or_default();
    let entries: HashSet<_> =
        removed.iter().map(|entry| (entry.tenant_key.as_ref(), &entry.approval_code)).collect();
    let has_entry = |key: &&SubscriptionKey| entries.contains(&(key.tenant_key.as_ref(), &key.approval_code));
    let bare = keys.iter().find(|key| !has_entry(key)).map(|key| {
        let tenant = key.tenant_key.as_ref();
        let tenant = tenant.map_or(String::new(), |tenant| format!("`tenant_key = \"{tenant}\"`, "));
        format!(
            "add an entry for each: `[[apps.{label}.removed]]`, {tenant}`approval_code = \"{}\"`, `reason = \"…\"`",
            key.approval_code
        )
    });
    let begun = keys.iter().find(has_entry);
    let begun = begun.map(|key| format!("the entry of `{key}` is there, and needs its `reason = \"…\"`"));
    let ways: Vec<String> = bare.into_iter().chain(begun).collect();
    format!("{}; no flag allows this", ways.join("; "))
}
