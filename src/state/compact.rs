//! A ledger as what it adds up to. Pure: a state in, the records of a new ledger out.

use std::collections::BTreeSet;

use jiff::Timestamp;
use uuid::Uuid;

use super::record::{Bind, By, End, FORMAT, Init, Record, Run, Snapshot, Str, VERSION};
use super::sum::{RunFacts, State, Subscription};

/// The records that a new ledger begins with so that it reads as this state. Runs that no subscription speaks of
/// any more are left out; their records stay in the ledger that is kept.
pub fn records(state: &State, at: Timestamp, by: By<'static>) -> Vec<Record<'static>> {
    let init = Init { at, format: FORMAT.into(), version: VERSION, lineage: state.lineage, by };
    let mut records = vec![Record::Init(init)];
    for (_, app) in state.apps() {
        records.push(Record::Bind(Bind {
            at,
            app: app.label.clone(),
            app_id: app.identity.app_id.clone(),
            base_url: app.identity.base_url.clone(),
            kind: app.kind,
        }));
    }
    let spoken_of: BTreeSet<&Uuid> =
        state.subscriptions().flat_map(|(_, subscription)| runs(subscription)).collect();
    for (run, facts) in state.runs().filter(|(run, _)| spoken_of.contains(run)) {
        let RunFacts { at, plan_digest, overrides, by, end } = facts;
        records.push(Record::Run(Run {
            at: *at,
            run: *run,
            plan_digest: Str::from(plan_digest.clone()),
            overrides: overrides.clone(),
            by: by.clone(),
        }));
        records.extend(end.map(|how| Record::End(End { at: *at, run: *run, how })));
    }
    for (id, subscription) in state.subscriptions() {
        let Some(app) = state.app(id.app) else { continue };
        let Subscription {
            name,
            owner,
            protect,
            status,
            since,
            changed_at,
            generation,
            outcome,
            lost_intent,
            own_intent,
            last_run,
        } = subscription;
        records.push(Record::Snapshot(Box::new(Snapshot {
            at,
            app: app.label.clone(),
            tenant_key: id.tenant_key.clone(),
            approval_code: id.approval_code.clone(),
            name: name.clone().map(Str::from),
            owner: owner.clone().map(Str::from),
            protect: *protect,
            status: *status,
            since: *since,
            changed_at: *changed_at,
            generation: *generation,
            outcome: outcome.clone(),
            open_intent: lost_intent.clone(),
            own_intent: own_intent.clone(),
            last_run: *last_run,
        })));
    }
    records
}

fn runs(subscription: &Subscription) -> impl Iterator<Item = &Uuid> {
    let Subscription { outcome, lost_intent, own_intent, last_run, .. } = subscription;
    let intents = [lost_intent, own_intent].into_iter().flatten().map(|intent| &intent.run);
    intents.chain(outcome.as_ref().map(|outcome| &outcome.run)).chain(last_run)
}

/// Whether a ledger has grown to ten times of what it adds up to, so that compacting it is worth a person's while.
pub fn is_overgrown(lines: u64, state: &State) -> bool {
    const WORTH_IT: u64 = 1000;
    let live = state.subscriptions().len() as u64 + state.apps().count() as u64 + 1;
    lines > WORTH_IT && lines / 10 > live
}
