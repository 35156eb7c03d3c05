//! The guard that wants a reason for whatever leaves the state.

use std::collections::{BTreeMap, HashSet};

use super::guard::{Guard, Measured, Rule, refused};
use crate::subscription::{AppLabel, ApprovalCode, SubscriptionKey, TenantKey};
use crate::text::is_blank;

/// One guard for each app that demands reasons and has something leave without one. No flag allows it.
pub(super) fn measure(measured: &Measured<'_>) -> Vec<Guard> {
    let general = &measured.manifest.policy;
    let demanding = measured.manifest.apps.iter().filter(|(_, app)| {
        app.policy.rule(general, |policy| &policy.require_reason).is_some_and(|demand| demand.value)
    });
    let mut apps: BTreeMap<&AppLabel, Missing<'_>> =
        demanding.map(|(label, _)| (label, Missing::default())).collect();
    if apps.is_empty() {
        return Vec::new();
    }
    let sent = measured.unknowns.iter().filter(|unknown| !unknown.declared);
    let unknowns = sent.map(|it| (&it.app, it.tenant_key.as_ref(), &it.approval_code, it.reason.as_deref()));
    let drops = measured.drops.iter();
    let drops = drops.map(|it| (&it.app, it.tenant_key.as_ref(), &it.approval_code, it.reason.as_deref()));
    let forgets = measured.forgets.iter();
    let forgets =
        forgets.map(|it| (&it.app, it.tenant_key.as_ref(), &it.approval_code, it.reason.as_deref()));
    for (app, tenant_key, approval_code, reason) in unknowns.chain(drops).chain(forgets) {
        let Some(entry) = apps.get_mut(app) else { continue };
        entry.leaving += 1;
        if reason.is_none_or(is_blank) {
            entry.bare.push((tenant_key, approval_code));
        }
    }
    apps.retain(|_, entry| !entry.bare.is_empty());
    apps.into_iter().map(|(label, entry)| guard(measured, label, entry)).collect()
}

#[derive(Default)]
struct Missing<'a> {
    leaving: u64,
    bare: Vec<(Option<&'a TenantKey>, &'a ApprovalCode)>,
}

fn guard(measured: &Measured<'_>, label: &AppLabel, Missing { leaving, mut bare }: Missing<'_>) -> Guard {
    const FEW: usize = 3;
    bare.sort();
    let key = |(tenant_key, approval_code): &(Option<&TenantKey>, &ApprovalCode)| SubscriptionKey {
        app: label.clone(),
        tenant_key: tenant_key.cloned(),
        approval_code: (*approval_code).clone(),
    };
    let keys: Vec<SubscriptionKey> = bare.iter().map(key).collect();
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
