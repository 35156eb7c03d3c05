//! Manifest and state become a plan. Pure, linear in what it is given apart from sorting, and deterministic.

use std::collections::BTreeMap;

use super::digest::{Action, Target, digest};
use super::guard::{Measured, Verdict, measure};
use super::merge::{Row, rows};
use super::{
    AppFacts, Counts, Drop, FORMAT, Facts, Forget, Metadata, Plan, Unknown, Untracked, Update, VERSION,
};
use jiff::Timestamp;

use crate::manifest::{self, Manifest};
use crate::state::{self, AppIndex, Lines, Override, State};

/// The plan that brings the state to what the manifest declares. `estimate_s` is 0: pacing is not planning.
pub fn compute(manifest: &Manifest, state: &State, lines: &Lines, overrides: &[Override]) -> Plan {
    let rows = rows(manifest, state);
    let tracked = state.tracked_by_app();
    let mut counts = Counts { tracked: tracked.values().sum(), ..Counts::default() };
    let mut drops = Vec::new();
    let mut unknowns = Vec::new();
    let mut forgets = Vec::new();
    let mut updates = renames(manifest, state);
    let mut untracked = Vec::new();
    for row in &rows {
        counts.declared += u64::from(row.declared.is_some());
        match change(row) {
            Change::None => {}
            Change::Drop(drop) => drops.push(drop),
            Change::Unknown(unknown) => unknowns.push(unknown),
            Change::Forget(forget) => forgets.push(forget),
            Change::Update(update) => updates.push(update),
            Change::Untracked(entry) => untracked.push(entry),
        }
    }
    let mut overrides = overrides.to_vec();
    overrides.sort();
    overrides.dedup();
    let guards = measure(&Measured {
        manifest,
        state,
        tracked: &tracked,
        rows: &rows,
        drops: &drops,
        unknowns: &unknowns,
        forgets: &forgets,
        overrides: &overrides,
    });
    counts.drops = drops.len() as u64;
    counts.unknowns = unknowns.len() as u64;
    counts.forgets = forgets.len() as u64;
    counts.updates = updates.len() as u64;
    counts.untracked = untracked.len() as u64;
    let settling = unknowns.iter().filter(|unknown| !unknown.declared).count() as u64;
    let calls = counts.drops + settling;
    Plan {
        format: FORMAT.into(),
        version: VERSION,
        digest: digest(state.lineage, targets(&rows)),
        facts: facts(manifest, state, &tracked, lines),
        base: None,
        has_changes: calls + counts.forgets + counts.updates > 0,
        refused: guards.iter().any(|guard| guard.verdict == Verdict::Refused),
        counts,
        drops,
        unknowns,
        forgets,
        updates,
        untracked,
        guards,
        overrides,
        calls,
        estimate_s: 0,
    }
}

/// Everything that is done, as the digest covers it.
pub fn targets<'a>(rows: &[Row<'a>]) -> Vec<Target<'a>> {
    rows.iter().filter_map(target).collect()
}

fn target<'a>(row: &Row<'a>) -> Option<Target<'a>> {
    let tracked = row.tracked().filter(|_| row.declared.is_none())?;
    let is_forgotten = row.removed.is_some_and(|removed| removed.forget);
    Some(Target {
        app: row.app,
        tenant_key: row.tenant_key,
        approval_code: row.approval_code,
        generation: tracked.generation,
        action: if is_forgotten { Action::Forget } else { Action::Call },
    })
}

enum Change {
    None,
    Drop(Drop),
    Unknown(Unknown),
    Forget(Forget),
    Update(Update),
    Untracked(Untracked),
}

fn change(row: &Row<'_>) -> Change {
    match (row.declared, row.tracked()) {
        (None, None) => Change::None,
        (Some(declared), None) => Change::Untracked(untracked(row, declared)),
        (Some(declared), Some(tracked)) => match tracked.open_intent() {
            Some(intent) => Change::Unknown(unknown(row, tracked, intent.at)),
            None => update(row, declared, tracked),
        },
        (None, Some(tracked)) => {
            if row.removed.is_some_and(|removed| removed.forget) {
                return Change::Forget(forget(row, tracked));
            }
            match tracked.open_intent() {
                Some(intent) => Change::Unknown(unknown(row, tracked, intent.at)),
                None => Change::Drop(drop_of(row, tracked)),
            }
        }
    }
}

fn reason(row: &Row<'_>) -> Option<String> {
    row.removed.and_then(|removed| removed.reason.clone())
}

fn drop_of(row: &Row<'_>, tracked: &state::Subscription) -> Drop {
    Drop {
        app: row.label.clone(),
        tenant_key: row.tenant_key.cloned(),
        approval_code: row.approval_code.clone(),
        name: tracked.name.clone(),
        owner: tracked.owner.clone(),
        reason: reason(row),
        since: tracked.since,
        generation: tracked.generation,
        // What became of it before it was tracked anew says nothing of this drop.
        outcome: tracked
            .outcome
            .as_ref()
            .filter(|outcome| outcome.generation == tracked.generation)
            .map(|outcome| outcome.kind),
        pending: false,
    }
}

fn unknown(row: &Row<'_>, tracked: &state::Subscription, sent_at: Timestamp) -> Unknown {
    Unknown {
        app: row.label.clone(),
        tenant_key: row.tenant_key.cloned(),
        approval_code: row.approval_code.clone(),
        name: tracked.name.clone(),
        owner: tracked.owner.clone(),
        reason: reason(row),
        since: tracked.since,
        generation: tracked.generation,
        sent_at,
        declared: row.declared.is_some(),
        pending: false,
    }
}

fn forget(row: &Row<'_>, tracked: &state::Subscription) -> Forget {
    Forget {
        app: row.label.clone(),
        tenant_key: row.tenant_key.cloned(),
        approval_code: row.approval_code.clone(),
        name: tracked.name.clone(),
        owner: tracked.owner.clone(),
        reason: reason(row),
        since: tracked.since,
        generation: tracked.generation,
        sent_at: tracked.open_intent().map(|intent| intent.at),
        pending: false,
    }
}

fn untracked(row: &Row<'_>, declared: &manifest::Subscription) -> Untracked {
    Untracked {
        app: row.label.clone(),
        tenant_key: row.tenant_key.cloned(),
        approval_code: row.approval_code.clone(),
        name: declared.name.clone(),
        owner: declared.owner.clone(),
        was: row.known.map(|known| known.status),
        since: row.known.map(|known| known.changed_at),
    }
}

fn update(row: &Row<'_>, declared: &manifest::Subscription, tracked: &state::Subscription) -> Change {
    if tracked.name == declared.name && tracked.owner == declared.owner && tracked.protect == declared.protect
    {
        return Change::None;
    }
    let from =
        Metadata { name: tracked.name.clone(), owner: tracked.owner.clone(), protect: tracked.protect };
    let to =
        Metadata { name: declared.name.clone(), owner: declared.owner.clone(), protect: declared.protect };
    Change::Update(Update::Metadata {
        app: row.label.clone(),
        tenant_key: row.tenant_key.cloned(),
        approval_code: row.approval_code.clone(),
        from,
        to,
    })
}

/// Apps that the state knows under another label. A label that the state holds for another app is a guard's matter.
fn renames(manifest: &Manifest, state: &State) -> Vec<Update> {
    let apps = manifest.apps.iter();
    let renamed = apps.filter_map(|(label, app)| {
        let (_, known) = state.app_of(&app.identity)?;
        (known.label != *label).then(|| Update::Rename { app: label.clone(), from: known.label.clone() })
    });
    renamed.collect()
}

fn facts(manifest: &Manifest, state: &State, tracked: &BTreeMap<AppIndex, u64>, lines: &Lines) -> Facts {
    let mut tenants = state.tracked_by_tenant();
    let apps = manifest.apps.iter().map(|(label, app)| {
        let index = state.app_of(&app.identity).map(|(index, _)| index);
        AppFacts {
            app: label.clone(),
            app_id: app.identity.app_id.clone(),
            base_url: app.identity.base_url.clone(),
            kind: app.kind,
            tracked: index.and_then(|index| tracked.get(&index).copied()).unwrap_or(0),
            tenants: index.and_then(|index| tenants.remove(&index)).unwrap_or_default(),
        }
    });
    Facts {
        lineage: state.lineage,
        serial: state.serial,
        tail_crc: format!("{:08x}", lines.tail_crc()),
        manifest_digest: manifest.digest.clone(),
        apps: apps.collect(),
        policy: Some(super::policy::facts(manifest)),
    }
}
