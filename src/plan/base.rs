//! A plan beside the plan of the branch that it will be merged into: what is pending there already is not this
//! change's doing.

use std::collections::{HashMap, HashSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::digest::{self, Action};
use super::{AppFacts, Plan, PolicyFacts};
use crate::manifest::Manifest;
use crate::state::State;
use crate::subscription::{AppIdentity, AppLabel, ApprovalCode, SubscriptionKey, TenantKey};

/// The plan that another one was compared with. It changes neither the digest, nor the guards, nor what `apply` does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// Its digest.
    #[schemars(regex(pattern = digest::PATTERN))]
    pub digest: String,
    /// The digest of the manifest that it was made from.
    #[schemars(regex(pattern = digest::PATTERN))]
    pub manifest_digest: String,
    /// The line of the ledger that it was made from.
    pub serial: u64,
    /// How many of its calls are in this plan as well.
    pub drops: u64,
    /// How many of its forgets are in this plan as well.
    pub forgets: u64,
    /// The keys of what it would drop or forget, and this plan leaves as it is: the change takes them back.
    pub taken_back: Vec<String>,
    /// The limits that it was made under; absent where an older larksub saved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyFacts>,
}

/// What a plan does to one subscription, whatever the label of its app.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Deed<'a> {
    app: AppIdentity,
    tenant_key: Option<&'a TenantKey>,
    approval_code: &'a ApprovalCode,
    generation: u64,
    action: Action,
}

/// Marks what the base holds as well, and says what it holds no longer. The base belongs to this ledger's history.
pub fn compare(plan: &mut Plan, base: &Plan, manifest: &Manifest, state: &State) {
    let there: HashSet<Deed<'_>> = deeds(base).map(|(_, deed)| deed).collect();
    let pending: HashSet<SubscriptionKey> =
        deeds(plan).filter(|(_, deed)| there.contains(deed)).map(|(key, _)| key).collect();
    let here: HashSet<Deed<'_>> = deeds(plan).map(|(_, deed)| deed).collect();
    let mut taken_back: Vec<String> = Vec::new();
    for (key, deed) in deeds(base).filter(|(_, deed)| !here.contains(deed)) {
        // What was dropped, forgotten or tracked anew since then is past, and nobody's to take back.
        let bound = state.app_of(&deed.app);
        let known = bound.and_then(|(app, _)| state.subscription(app, deed.tenant_key, deed.approval_code));
        if known.is_some_and(|known| known.is_tracked() && known.generation == deed.generation) {
            let label = manifest.apps.iter().find(|(_, app)| app.identity == deed.app);
            let label = label.map_or(key.app.clone(), |(label, _)| label.clone());
            taken_back.push(SubscriptionKey { app: label, ..key }.to_string());
        }
    }
    taken_back.sort();
    let mut drops = 0;
    let mut forgets = 0;
    for unknown in plan.unknowns.iter_mut().filter(|unknown| !unknown.declared) {
        unknown.pending = pending.contains(&unknown.key());
        drops += u64::from(unknown.pending);
    }
    for drop in &mut plan.drops {
        drop.pending = pending.contains(&drop.key());
        drops += u64::from(drop.pending);
    }
    for forget in &mut plan.forgets {
        forget.pending = pending.contains(&forget.key());
        forgets += u64::from(forget.pending);
    }
    plan.base = Some(Base {
        digest: base.digest.clone(),
        manifest_digest: base.facts.manifest_digest.clone(),
        serial: base.facts.serial,
        drops,
        forgets,
        taken_back,
        policy: base.facts.policy.clone(),
    });
}

/// Everything that a plan does, with the key by which it names it.
fn deeds(plan: &Plan) -> impl Iterator<Item = (SubscriptionKey, Deed<'_>)> {
    let apps: HashMap<&AppLabel, AppIdentity> = plan.facts.apps.iter().map(identity).collect();
    targets(plan).filter_map(move |(key, tenant_key, approval_code, generation, action)| {
        let app = apps.get(&key.app)?.clone();
        Some((key, Deed { app, tenant_key, approval_code, generation, action }))
    })
}

pub(super) fn identity(facts: &AppFacts) -> (&AppLabel, AppIdentity) {
    (&facts.app, AppIdentity { app_id: facts.app_id.clone(), base_url: facts.base_url.clone() })
}

type Target<'a> = (SubscriptionKey, Option<&'a TenantKey>, &'a ApprovalCode, u64, Action);

fn targets(plan: &Plan) -> impl Iterator<Item = Target<'_>> {
    let settling = plan.unknowns.iter().filter(|unknown| !unknown.declared);
    let settling =
        settling.map(|it| (it.key(), it.tenant_key.as_ref(), &it.approval_code, it.generation, Action::Call));
    let drops = plan
        .drops
        .iter()
        .map(|it| (it.key(), it.tenant_key.as_ref(), &it.approval_code, it.generation, Action::Call));
    let forgets = plan
        .forgets
        .iter()
        .map(|it| (it.key(), it.tenant_key.as_ref(), &it.approval_code, it.generation, Action::Forget));
    settling.chain(drops).chain(forgets)
}

/// The digest of what a plan lists; none where it lists something of an app that its facts do not name.
pub(super) fn digest_of(plan: &Plan) -> Option<String> {
    let apps: HashMap<&AppLabel, AppIdentity> = plan.facts.apps.iter().map(identity).collect();
    let listed: Vec<Target<'_>> = targets(plan).collect();
    let targets = listed.iter().map(|(key, tenant_key, approval_code, generation, action)| {
        let app = apps.get(&key.app)?;
        let (generation, action) = (*generation, *action);
        Some(digest::Target { app, tenant_key: *tenant_key, approval_code, generation, action })
    });
    Some(digest::digest(plan.facts.lineage, targets.collect::<Option<Vec<_>>>()?))
}

/// How much of what a plan lists its own runs have done: calls with an outcome that ends them, and forgets.
pub(super) fn done(plan: &Plan, state: &State) -> (u64, u64) {
    let (mut done, mut all) = (0, 0);
    for (_, deed) in deeds(plan) {
        all += 1;
        let bound = state.app_of(&deed.app);
        let known = bound.and_then(|(app, _)| state.subscription(app, deed.tenant_key, deed.approval_code));
        let Some(known) = known.filter(|it| !it.is_tracked() && it.generation == deed.generation) else {
            continue;
        };
        let run = known.last_run.as_ref().and_then(|run| state.run_facts(run));
        done += u64::from(run.is_some_and(|run| run.plan_digest == plan.digest));
    }
    (done, all)
}
