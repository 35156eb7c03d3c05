//! Whether what would happen now is what was reviewed.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::base::identity;
use super::compute::targets;
use super::digest::{Action, Target, digest};
use super::merge::rows;
use super::{Facts, Plan};
use crate::manifest::Manifest;
use crate::state::{Contains, Lines, State, Subscription};
use crate::subscription::{AppIdentity, AppLabel, ApprovalCode, TenantKey};

/// How a fresh plan stands to a reviewed digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agreement {
    /// It does exactly that.
    Same,
    /// The reviewed plan's own runs are all that moved the state, and they left something to do.
    Resumed,
    /// They left nothing to do.
    AlreadyApplied,
    /// It does something else.
    Different,
}

/// Compares a fresh plan with a reviewed digest.
///
/// A plan that was begun is resumed, not stale: what is left of it, united with every subscription whose newest
/// intent, outcome or forget belongs to a run of that digest and that was not tracked anew since, must give the
/// digest again.
pub fn agreement(reviewed: &str, fresh: &Plan, manifest: &Manifest, state: &State) -> Agreement {
    if fresh.digest == reviewed {
        return Agreement::Same;
    }
    let rows = rows(manifest, state);
    let mut united: HashSet<Target<'_>> = targets(&rows).into_iter().collect();
    for (id, subscription) in state.subscriptions() {
        let run = subscription.last_run.as_ref().and_then(|run| state.run_facts(run));
        if run.is_none_or(|run| run.plan_digest != reviewed) {
            continue;
        }
        let Some(app) = state.app(id.app) else { continue };
        let is_forgotten = subscription.status == crate::state::Status::Forgotten;
        united.insert(Target {
            app: &app.identity,
            tenant_key: id.tenant_key.as_ref(),
            approval_code: &id.approval_code,
            generation: subscription.generation,
            action: if is_forgotten { Action::Forget } else { Action::Call },
        });
    }
    if digest(state.lineage, united.into_iter().collect()) != reviewed {
        return Agreement::Different;
    }
    if fresh.calls == 0 && fresh.forgets.is_empty() { Agreement::AlreadyApplied } else { Agreement::Resumed }
}

/// Why a saved plan does not belong to what is here, whatever it would do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misplaced {
    /// It was made from another ledger.
    #[error("the plan was made from another state (its lineage is {plan}, this one's is {state})")]
    Lineage {
        /// The plan's.
        plan: uuid::Uuid,
        /// The state's.
        state: uuid::Uuid,
    },
    /// A label means another app here.
    #[error("the plan was made for another app: `{label}` is {plan} there, and {here} in this manifest")]
    App {
        /// The label.
        label: AppLabel,
        /// Who it is in the plan.
        plan: String,
        /// Who it is here.
        here: String,
    },
    /// The ledger ends before what the plan was made from.
    #[error(
        "the state is older than the plan: it ends at line {serial}, and the plan was made from line {plan}"
    )]
    Older {
        /// The state's last line.
        serial: u64,
        /// The plan's.
        plan: u64,
    },
    /// It was made from these very facts, and says something else than they give.
    #[error("the plan says something else than the state that it was made from: {0} differ")]
    Told(&'static str),
    /// The ledger went another way.
    #[error("the state went another way: its line {0} is not the one that the plan was made from")]
    OtherHistory(u64),
}

/// Checks that a reviewed plan that was made from the ledger's last line tells of it what a fresh plan does: names and
/// owners are what a reviewer goes by, and the digest does not cover them. Where the ledger has moved since, or the
/// manifest's text, nothing can be said of what comes from there.
///
/// # Errors
/// It tells something else.
pub fn check_words(reviewed: &Plan, fresh: &Plan) -> Result<(), Misplaced> {
    let (then, now) = (&reviewed.facts, &fresh.facts);
    if (then.lineage, then.serial, &then.tail_crc) != (now.lineage, now.serial, &now.tail_crc) {
        return Ok(());
    }
    let is_same_text = then.manifest_digest == now.manifest_digest;
    let measured = |plan: &Plan| -> Vec<_> {
        let guards = plan.guards.iter();
        guards
            .map(|it| (it.rule, it.verdict, it.app.clone(), it.key.clone(), it.measured, it.of, it.limit))
            .collect()
    };
    let differ = if words(reviewed) != words(fresh) {
        NAMES
    } else if !is_same_text {
        return Ok(());
    } else if reasons(reviewed) != reasons(fresh) {
        "the reasons, or the labels of apps,"
    } else if (&reviewed.updates, &reviewed.untracked) != (&fresh.updates, &fresh.untracked) {
        "the updates, or what is not tracked,"
    } else if then.policy.is_some() && then.policy != now.policy {
        "the limits"
    } else if (&then.apps, &reviewed.counts) != (&now.apps, &fresh.counts) {
        "the apps, or how much of them is tracked,"
    } else if reviewed.estimate_s != fresh.estimate_s {
        "the estimated times"
    } else if reviewed.overrides == fresh.overrides && measured(reviewed) != measured(fresh) {
        "the guards"
    } else {
        return Ok(());
    };
    Err(Misplaced::Told(differ))
}

/// The same where nothing but the ledger is at hand: of everything that the plan lists, its last line has this name, owner,
/// date and last try.
///
/// # Errors
/// It tells something else, or of what is not tracked.
pub fn check_ledger_words(reviewed: &Plan, state: &State) -> Result<(), Misplaced> {
    let apps: HashMap<&AppLabel, AppIdentity> = reviewed.facts.apps.iter().map(identity).collect();
    let known = |app: &AppLabel, tenant_key: Option<&TenantKey>, code: &ApprovalCode, generation| {
        let (index, _) = state.app_of(apps.get(app)?)?;
        let known = state.subscription(index, tenant_key, code)?;
        (known.is_tracked() && known.generation == generation).then_some(known)
    };
    let is_told = |known: Option<&Subscription>, name: &Option<String>, owner: &Option<String>, since| {
        known.is_some_and(|it| (&it.name, &it.owner, it.since) == (name, owner, since))
    };
    let drops = reviewed.drops.iter().all(|it| {
        let known = known(&it.app, it.tenant_key.as_ref(), &it.approval_code, it.generation);
        let tried = known.and_then(|known| known.outcome.as_ref());
        let tried = tried.filter(|tried| tried.generation == it.generation).map(|tried| tried.kind);
        is_told(known, &it.name, &it.owner, it.since) && tried == it.outcome
    });
    let unknowns = reviewed.unknowns.iter().all(|it| {
        let known = known(&it.app, it.tenant_key.as_ref(), &it.approval_code, it.generation);
        let sent_at = known.and_then(Subscription::open_intent).map(|intent| intent.at);
        is_told(known, &it.name, &it.owner, it.since) && sent_at == Some(it.sent_at)
    });
    let forgets = reviewed.forgets.iter().all(|it| {
        let known = known(&it.app, it.tenant_key.as_ref(), &it.approval_code, it.generation);
        let sent_at = known.and_then(Subscription::open_intent).map(|intent| intent.at);
        is_told(known, &it.name, &it.owner, it.since) && sent_at == it.sent_at
    });
    match drops && unknowns && forgets {
        true => Ok(()),
        false => Err(Misplaced::Told(NAMES)),
    }
}

const NAMES: &str = "the names, owners and dates of what goes";

type Words<'a> =
    (Option<&'a TenantKey>, &'a ApprovalCode, u64, Timestamp, Option<&'a str>, Option<&'a str>, String);

/// What a plan tells of what goes that the ledger alone gives, in an order that no label changes.
fn words(plan: &Plan) -> Vec<Words<'_>> {
    let drops = plan.drops.iter().map(|it| {
        let tried = it.outcome.map_or(String::new(), |outcome| outcome.as_str().to_owned());
        (
            it.tenant_key.as_ref(),
            &it.approval_code,
            it.generation,
            it.since,
            it.name.as_deref(),
            it.owner.as_deref(),
            tried,
        )
    });
    let sent = plan.unknowns.iter().filter(|it| !it.declared);
    let unknowns = sent.map(|it| {
        let sent_at = it.sent_at.to_string();
        (
            it.tenant_key.as_ref(),
            &it.approval_code,
            it.generation,
            it.since,
            it.name.as_deref(),
            it.owner.as_deref(),
            sent_at,
        )
    });
    let forgets = plan.forgets.iter().map(|it| {
        let sent_at = it.sent_at.map_or(String::new(), |at| at.to_string());
        (
            it.tenant_key.as_ref(),
            &it.approval_code,
            it.generation,
            it.since,
            it.name.as_deref(),
            it.owner.as_deref(),
            sent_at,
        )
    });
    let mut words: Vec<Words<'_>> = drops.chain(unknowns).chain(forgets).collect();
    words.sort();
    words
}

type Reason<'a> = (&'a AppLabel, Option<&'a TenantKey>, &'a ApprovalCode, Option<&'a str>, bool);

/// What it tells of them that the manifest gives.
fn reasons(plan: &Plan) -> Vec<Reason<'_>> {
    let drops = plan
        .drops
        .iter()
        .map(|it| (&it.app, it.tenant_key.as_ref(), &it.approval_code, it.reason.as_deref(), false));
    let unknowns = plan.unknowns.iter();
    let unknowns = unknowns
        .map(|it| (&it.app, it.tenant_key.as_ref(), &it.approval_code, it.reason.as_deref(), it.declared));
    let forgets = plan
        .forgets
        .iter()
        .map(|it| (&it.app, it.tenant_key.as_ref(), &it.approval_code, it.reason.as_deref(), false));
    drops.chain(unknowns).chain(forgets).collect()
}

/// Checks that a saved plan was made for this manifest's apps and from this ledger's history.
///
/// # Errors
/// It was not.
pub fn check_place(plan: &Facts, manifest: &Manifest, state: &State, lines: &Lines) -> Result<(), Misplaced> {
    // Another ledger is said before another app: it is the larger mistake.
    if plan.lineage != state.lineage {
        return Err(Misplaced::Lineage { plan: plan.lineage, state: state.lineage });
    }
    for app in &plan.apps {
        let Some(here) = manifest.apps.get(&app.app) else { continue };
        let is_same = here.identity.app_id == app.app_id && here.identity.base_url == app.base_url;
        if !is_same {
            return Err(Misplaced::App {
                label: app.app.clone(),
                plan: format!("{} at {}", app.app_id, app.base_url),
                here: here.identity.to_string(),
            });
        }
    }
    check_history(plan, state, lines)
}

/// Checks that a saved plan was made from this ledger's history, whatever the apps.
///
/// # Errors
/// It was not.
pub fn check_history(plan: &Facts, state: &State, lines: &Lines) -> Result<(), Misplaced> {
    if plan.lineage != state.lineage {
        return Err(Misplaced::Lineage { plan: plan.lineage, state: state.lineage });
    }
    let crc = u32::from_str_radix(&plan.tail_crc, 16).unwrap_or_default();
    match lines.contains(plan.serial, crc) {
        Contains::Yes | Contains::Compacted => Ok(()),
        Contains::EndsBefore => Err(Misplaced::Older { serial: state.serial, plan: plan.serial }),
        Contains::Other => Err(Misplaced::OtherHistory(plan.serial)),
    }
}
