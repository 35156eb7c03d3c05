//! How each record changes what the ledger adds up to. Pure: no I/O, no clock.

use std::collections::HashMap;

use indexmap::IndexMap;
use uuid::Uuid;

use super::minute::LastMinute;
use super::record::{Bind, End, Forget, Init, Intent, Outcome, Record, Run, Snapshot, Track, Update};
use super::sum::{
    AppIndex, BoundApp, Id, IdRef, LastOutcome, OpenIntent, RunFacts, State, Status, Subscription,
};
use super::words::{By, OutcomeKind};
use crate::subscription::{AppIdentity, AppLabel, ApprovalCode, TenantKey};

/// A record that cannot follow the ones before it, although its line is sound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Impossible(pub(super) String);

impl Impossible {
    /// An error that says this.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl State {
    /// The state of a ledger that has only begun.
    pub fn begin(init: Init<'_>, serial: u64) -> Self {
        Self {
            lineage: init.lineage,
            serial,
            written_at: init.at,
            written_by: init.by.clone().into_owned(),
            begun_by: init.by.into_owned(),
            apps: Vec::new(),
            labels: HashMap::new(),
            subscriptions: IndexMap::new(),
            runs: IndexMap::new(),
            last_minute: LastMinute::default(),
        }
    }

    /// The state after one more record.
    ///
    /// # Errors
    /// The record speaks of something that the records before it do not know; the state is then unchanged.
    pub fn fold(&mut self, record: Record<'_>) -> Result<(), Impossible> {
        match record {
            Record::Init(_) => return Err(impossible("a second `init`")),
            Record::Bind(bind) => self.bind(bind)?,
            Record::Track(track) => self.track(track)?,
            Record::Update(update) => self.update(update)?,
            Record::Forget(forget) => self.forget(forget)?,
            Record::Run(run) => self.run(run)?,
            Record::Intent(intent) => self.intent(intent)?,
            Record::Outcome(outcome) => self.outcome(outcome)?,
            Record::End(end) => self.end(end)?,
            Record::Snapshot(snapshot) => self.snapshot(*snapshot)?,
            Record::Unknown(_) => {}
        }
        Ok(())
    }

    fn bind(&mut self, bind: Bind) -> Result<(), Impossible> {
        let Bind { at, app: label, app_id, base_url, kind } = bind;
        let identity = AppIdentity { app_id, base_url };
        let known = self.app_of(&identity).map(|(index, app)| (index, app.kind));
        if let Some(holder) = self.labels.get(&label)
            && known.is_none_or(|(index, _)| index != *holder)
        {
            return Err(impossible(format!("`{label}` bound to a second app")));
        }
        match known {
            Some((_, bound_kind)) if bound_kind != kind => {
                return Err(impossible(format!("`{label}` bound with another kind")));
            }
            Some((index, _)) => {
                if let Some(app) = self.apps.get_mut(index.0 as usize) {
                    self.labels.remove(&app.label);
                    app.label = label.clone();
                }
                self.labels.insert(label, index);
            }
            None => {
                let index = u32::try_from(self.apps.len()).map_err(|_| impossible("too many apps"))?;
                self.apps.push(BoundApp { label: label.clone(), identity, kind });
                self.labels.insert(label, AppIndex(index));
            }
        }
        self.written_at = at;
        Ok(())
    }

    fn track(&mut self, track: Track<'_>) -> Result<(), Impossible> {
        let Track { at, app, tenant_key, approval_code, name, owner, protect, by } = track;
        let app = self.labelled(&app, "track", &approval_code)?;
        let subscription = Subscription {
            name: name.map(|name| name.into_string()),
            owner: owner.map(|owner| owner.into_string()),
            protect,
            status: Status::Subscribed,
            since: at,
            changed_at: at,
            generation: 1,
            outcome: None,
            lost_intent: None,
            own_intent: None,
            last_run: None,
        };
        match self.subscriptions.entry(Id { app, tenant_key, approval_code }) {
            indexmap::map::Entry::Vacant(entry) => {
                entry.insert(subscription);
            }
            indexmap::map::Entry::Occupied(mut entry) => {
                let before = entry.get();
                let generation = before.generation.saturating_add(1);
                let outcome = before.outcome.clone();
                *entry.get_mut() = Subscription { generation, outcome, ..subscription };
            }
        }
        self.written(at, by);
        Ok(())
    }

    fn update(&mut self, update: Update<'_>) -> Result<(), Impossible> {
        let Update { at, app, tenant_key, approval_code, name, owner, protect } = update;
        let subscription = self.tracked_mut(&app, tenant_key.as_ref(), &approval_code, "update")?;
        subscription.name = name.map(|name| name.into_string());
        subscription.owner = owner.map(|owner| owner.into_string());
        subscription.protect = protect;
        self.written_at = at;
        Ok(())
    }

    fn forget(&mut self, forget: Forget<'_>) -> Result<(), Impossible> {
        let Forget { at, run, app, tenant_key, approval_code, reason: _, by } = forget;
        if let Some(run) = &run {
            self.known_run(run)?;
        }
        let subscription = self.tracked_mut(&app, tenant_key.as_ref(), &approval_code, "forget")?;
        subscription.status = Status::Forgotten;
        subscription.changed_at = at;
        subscription.lost_intent = None;
        subscription.own_intent = None;
        subscription.last_run = run;
        self.written(at, by);
        Ok(())
    }

    fn run(&mut self, run: Run<'_>) -> Result<(), Impossible> {
        let Run { at, run, plan_digest, overrides, by } = run;
        let by = by.into_owned();
        let facts =
            RunFacts { at, plan_digest: plan_digest.into_string(), overrides, by: by.clone(), end: None };
        if self.runs.contains_key(&run) {
            return Err(impossible(format!("the run {run} begins twice")));
        }
        self.runs.insert(run, facts);
        self.last_minute.run(at);
        self.written(at, by);
        Ok(())
    }

    fn intent(&mut self, intent: Intent) -> Result<(), Impossible> {
        let Intent { at, run, app, tenant_key, approval_code } = intent;
        self.known_run(&run)?;
        let (index, subscription) =
            self.tracked_full_mut(&app, tenant_key.as_ref(), &approval_code, "intent")?;
        if let Some(earlier) = subscription.own_intent.take() {
            subscription.lost_intent.get_or_insert(earlier);
        }
        subscription.own_intent = Some(Box::new(OpenIntent { at, run }));
        subscription.last_run = Some(run);
        self.last_minute.intent(index);
        self.written_at = at;
        Ok(())
    }

    fn outcome(&mut self, outcome: Outcome<'_>) -> Result<(), Impossible> {
        let Outcome {
            at,
            run,
            app,
            tenant_key,
            approval_code,
            kind,
            code,
            msg,
            log_id,
            http_status,
            attempts,
            reason,
        } = outcome;
        self.known_run(&run)?;
        let (index, subscription) =
            self.tracked_full_mut(&app, tenant_key.as_ref(), &approval_code, "outcome")?;
        if subscription.own_intent.as_ref().is_none_or(|intent| intent.run != run) {
            return Err(impossible(format!("an outcome of {app}/{approval_code} without its intent")));
        }
        match kind {
            OutcomeKind::Unsubscribed | OutcomeKind::AlreadyUnsubscribed => {
                subscription.status = Status::Unsubscribed;
                subscription.changed_at = at;
                subscription.lost_intent = None;
                subscription.own_intent = None;
            }
            // A verdict on this call says nothing of an earlier one that was lost.
            OutcomeKind::NotFound | OutcomeKind::Failed => subscription.own_intent = None,
            OutcomeKind::Unknown => {
                let own = subscription.own_intent.take();
                subscription.lost_intent = subscription.lost_intent.take().or(own);
            }
        }
        subscription.last_run = Some(run);
        subscription.outcome = Some(Box::new(LastOutcome {
            at,
            run,
            kind,
            generation: subscription.generation,
            code,
            msg: msg.map(|msg| msg.into_string()),
            log_id: log_id.map(|log_id| log_id.into_string()),
            http_status,
            attempts,
            reason: reason.map(|reason| reason.into_string()),
        }));
        self.written_at = at;
        self.last_minute.outcome(at, index, attempts);
        Ok(())
    }

    fn end(&mut self, end: End) -> Result<(), Impossible> {
        let End { at, run, how } = end;
        match self.runs.get_mut(&run) {
            Some(facts) => facts.end = Some(how),
            None => return Err(impossible(format!("the run {run} ends, and never began"))),
        }
        self.written_at = at;
        Ok(())
    }

    fn snapshot(&mut self, snapshot: Snapshot<'_>) -> Result<(), Impossible> {
        let Snapshot {
            at,
            app,
            tenant_key,
            approval_code,
            name,
            owner,
            protect,
            status,
            since,
            changed_at,
            generation,
            outcome,
            open_intent,
            own_intent,
            last_run,
        } = snapshot;
        let label = app;
        let app = self.labelled(&label, "snapshot", &approval_code)?;
        let runs = [&open_intent, &own_intent].into_iter().flatten().map(|intent| &intent.run);
        for run in runs.chain(&last_run).chain(outcome.as_ref().map(|outcome| &outcome.run)) {
            self.known_run(run)?;
        }
        let subscription = Subscription {
            name: name.map(|name| name.into_string()),
            owner: owner.map(|owner| owner.into_string()),
            protect,
            status,
            since,
            changed_at,
            generation,
            outcome,
            lost_intent: open_intent,
            own_intent,
            last_run,
        };
        let last = subscription.outcome.as_ref().map(|outcome| (outcome.at, outcome.attempts));
        let newest = self.runs.last().filter(|(_, run)| run.end.is_none()).map(|(run, _)| *run);
        let is_cut_off = subscription.own_intent.as_ref().is_some_and(|intent| Some(intent.run) == newest);
        let index = self.subscriptions.len();
        match self.subscriptions.entry(Id { app, tenant_key, approval_code }) {
            indexmap::map::Entry::Vacant(entry) => entry.insert(subscription),
            indexmap::map::Entry::Occupied(entry) => {
                let code = &entry.key().approval_code;
                return Err(impossible(format!("a snapshot of {label}/{code}, which is known already")));
            }
        };
        if let Some((answered_at, calls)) = last {
            self.last_minute.answered(at, index, answered_at, calls);
        }
        if is_cut_off {
            self.last_minute.intent(index);
        }
        // Whoever compacted the ledger wrote it, whatever runs it quotes.
        self.written(at, self.begun_by.clone());
        Ok(())
    }

    fn written(&mut self, at: jiff::Timestamp, by: By<'_>) {
        self.written_at = at;
        // An import repeats its author on every line; comparing is cheaper than copying each time.
        if self.written_by != by {
            self.written_by = by.into_owned();
        }
    }

    fn labelled(&self, label: &AppLabel, op: &str, code: &ApprovalCode) -> Result<AppIndex, Impossible> {
        self.labels
            .get(label)
            .copied()
            .ok_or_else(|| impossible(format!("`{op}` of {label}/{code}: `{label}` is not bound to an app")))
    }

    fn known_run(&self, run: &Uuid) -> Result<(), Impossible> {
        if self.runs.contains_key(run) {
            Ok(())
        } else {
            Err(impossible(format!("the run {run} never began")))
        }
    }

    fn tracked_mut(
        &mut self,
        label: &AppLabel,
        tenant_key: Option<&TenantKey>,
        approval_code: &ApprovalCode,
        op: &str,
    ) -> Result<&mut Subscription, Impossible> {
        self.tracked_full_mut(label, tenant_key, approval_code, op).map(|(_, subscription)| subscription)
    }

    fn tracked_full_mut(
        &mut self,
        label: &AppLabel,
        tenant_key: Option<&TenantKey>,
        approval_code: &ApprovalCode,
        op: &str,
    ) -> Result<(usize, &mut Subscription), Impossible> {
        let app = self.labelled(label, op, approval_code)?;
        self.subscriptions
            .get_full_mut(&IdRef { app, tenant_key, approval_code })
            .map(|(index, _, subscription)| (index, subscription))
            .filter(|(_, subscription)| subscription.is_tracked())
            .ok_or_else(|| {
                impossible(format!("`{op}` of {label}/{approval_code}, which is not tracked there"))
            })
    }
}

fn impossible(what: impl Into<String>) -> Impossible {
    Impossible(what.into())
}
