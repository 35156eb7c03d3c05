//! The limits that a plan was made under, as plain data, and how they differ from those of another plan: whoever loosens
//! the gate in the change that needs it shows so.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Plan;
use crate::manifest::{MAX_DROP_PERCENT, Manifest, Policy};
use crate::subscription::AppLabel;

/// The limits and demands that were in force: those of all apps, and what single apps have of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyFacts {
    /// The most drops in one plan; absent where there is no such limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_drops: Option<u64>,
    /// The most drops in one app, in percent of what is tracked in it.
    pub max_drop_percent: u64,
    /// Whether what leaves the state needs a reason.
    pub require_reason: bool,
    /// Whether every declared subscription needs an owner.
    pub require_owner: bool,
    /// How many owners may be named; absent where any may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owners: Option<u64>,
    /// What single apps say for themselves.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub apps: BTreeMap<AppLabel, AppPolicyFacts>,
}

/// What one app says for itself. What is absent is that of all apps; `max_drops` of all apps holds beside it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppPolicyFacts {
    /// The most drops of this app in one plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_drops: Option<u64>,
    /// The most drops in this app, in percent of what is tracked in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_drop_percent: Option<u64>,
    /// Whether what leaves this app needs a reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_reason: Option<bool>,
    /// Whether every declared subscription of this app needs an owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_owner: Option<bool>,
    /// How many owners may be named in this app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owners: Option<u64>,
}

/// One limit that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The app whose own limit it is; none where it is that of all apps.
    pub app: Option<AppLabel>,
    /// Its key in the manifest.
    pub key: &'static str,
    /// As the other plan has it, in a word.
    pub from: String,
    /// As this plan has it, in a word.
    pub to: String,
    /// Whether it lets more pass than before.
    pub is_looser: bool,
}

/// The limits of a manifest.
pub(super) fn facts(manifest: &Manifest) -> PolicyFacts {
    let AppPolicyFacts { max_drops, max_drop_percent, require_reason, require_owner, owners } =
        own(&manifest.policy);
    let apps = manifest.apps.iter().map(|(label, app)| (label.clone(), own(&app.policy)));
    PolicyFacts {
        max_drops,
        max_drop_percent: max_drop_percent.unwrap_or(MAX_DROP_PERCENT),
        require_reason: require_reason.unwrap_or(false),
        require_owner: require_owner.unwrap_or(false),
        owners,
        apps: apps.filter(|(_, own)| *own != AppPolicyFacts::default()).collect(),
    }
}

fn own(policy: &Policy) -> AppPolicyFacts {
    AppPolicyFacts {
        max_drops: policy.max_drops.as_ref().map(|given| given.value),
        max_drop_percent: policy.max_drop_percent.as_ref().map(|given| given.value),
        require_reason: policy.require_reason.as_ref().map(|given| given.value),
        require_owner: policy.require_owner.as_ref().map(|given| given.value),
        owners: policy.owners.as_ref().map(|given| given.value.len() as u64),
    }
}

/// How the limits of a plan differ from its base's, those of all apps first. Nothing where there is no base; none where
/// there is one that does not tell its limits.
pub fn changes(plan: &Plan) -> Option<Vec<Change>> {
    let (Some(base), Some(policy)) = (&plan.base, &plan.facts.policy) else { return Some(Vec::new()) };
    Some(differences(base.policy.as_ref()?, policy))
}

/// How many subscriptions lose their protection.
pub fn unprotected(plan: &Plan) -> u64 {
    let lifts = |update: &&super::Update| match update {
        super::Update::Metadata { from, to, .. } => from.protect && !to.protect,
        super::Update::Rename { .. } => false,
    };
    plan.updates.iter().filter(lifts).count() as u64
}

fn differences(from: &PolicyFacts, to: &PolicyFacts) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut add = |app: Option<&AppLabel>, key, from: String, to: String, is_looser| {
        if from != to {
            changes.push(Change { app: app.cloned(), key, from, to, is_looser });
        }
    };
    let no_limit = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
    let demand = |demand: bool| demand.to_string();
    add(
        None,
        "max_drops",
        number(from.max_drops),
        number(to.max_drops),
        no_limit(to.max_drops) > no_limit(from.max_drops),
    );
    let (was, is) = (from.max_drop_percent, to.max_drop_percent);
    add(None, "max_drop_percent", was.to_string(), is.to_string(), is > was);
    let (was, is) = (from.require_reason, to.require_reason);
    add(None, "require_reason", demand(was), demand(is), was && !is);
    let (was, is) = (from.require_owner, to.require_owner);
    add(None, "require_owner", demand(was), demand(is), was && !is);
    add(None, "owners", number(from.owners), number(to.owners), no_limit(to.owners) > no_limit(from.owners));
    let mut labels: Vec<&AppLabel> = from.apps.keys().chain(to.apps.keys()).collect();
    labels.sort();
    labels.dedup();
    let nothing = AppPolicyFacts::default();
    for label in labels {
        let [was, is] = [from, to].map(|policy| policy.apps.get(label).unwrap_or(&nothing));
        let app = Some(label);
        add(
            app,
            "max_drops",
            number(was.max_drops),
            number(is.max_drops),
            no_limit(is.max_drops) > no_limit(was.max_drops),
        );
        // What an app does not say is what all apps have, on either side.
        let percent =
            |own: &AppPolicyFacts, all: &PolicyFacts| own.max_drop_percent.unwrap_or(all.max_drop_percent);
        let is_looser = percent(is, to) > percent(was, from);
        add(
            app,
            "max_drop_percent",
            inherited(was.max_drop_percent),
            inherited(is.max_drop_percent),
            is_looser,
        );
        let reason =
            |own: &AppPolicyFacts, all: &PolicyFacts| own.require_reason.unwrap_or(all.require_reason);
        let is_looser = reason(was, from) && !reason(is, to);
        add(app, "require_reason", inherited(was.require_reason), inherited(is.require_reason), is_looser);
        let owner = |own: &AppPolicyFacts, all: &PolicyFacts| own.require_owner.unwrap_or(all.require_owner);
        let is_looser = owner(was, from) && !owner(is, to);
        add(app, "require_owner", inherited(was.require_owner), inherited(is.require_owner), is_looser);
        let owners = |own: &AppPolicyFacts, all: &PolicyFacts| no_limit(own.owners.or(all.owners));
        let is_looser = owners(is, to) > owners(was, from);
        add(app, "owners", inherited(was.owners), inherited(is.owners), is_looser);
    }
    changes
}

fn number(limit: Option<u64>) -> String {
    limit.map_or("none".into(), |limit| limit.to_string())
}

fn inherited<T: ToString>(own: Option<T>) -> String {
    own.map_or("that of all apps".into(), |own| own.to_string())
}
