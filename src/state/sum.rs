//! What the ledger's records add up to, and the questions that can be asked of it. Pure data.

use std::collections::{BTreeMap, HashMap};

use indexmap::{Equivalent, IndexMap};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::minute::LastMinute;
use super::words::{By, How, OutcomeKind, Override};
use crate::subscription::{AppIdentity, AppKind, AppLabel, ApprovalCode, SubscriptionKey, TenantKey};

/// What a ledger adds up to at its last whole batch.
#[derive(Debug, Clone)]
pub struct State {
    /// Identifies the ledger and its copies.
    pub lineage: Uuid,
    /// `seq` of the last line.
    pub serial: u64,
    /// When the last record was written, by that machine's clock.
    pub written_at: Timestamp,
    /// Who last said who they are.
    pub written_by: By<'static>,
    pub(super) begun_by: By<'static>,
    pub(super) apps: Vec<BoundApp>,
    pub(super) labels: HashMap<AppLabel, AppIndex>,
    pub(super) subscriptions: IndexMap<Id, Subscription>,
    pub(super) runs: IndexMap<Uuid, RunFacts>,
    pub(super) last_minute: LastMinute,
}

/// Names an app within one [`State`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppIndex(pub(super) u32);

/// An app that the ledger knows, with the label now in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundApp {
    /// Its newest label.
    pub label: AppLabel,
    /// Who it is.
    pub identity: AppIdentity,
    /// Custom or store.
    pub kind: AppKind,
}

/// What identifies a subscription within one [`State`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Id {
    /// The app.
    pub app: AppIndex,
    /// The tenant, in a store app.
    pub tenant_key: Option<TenantKey>,
    /// The approval code.
    pub approval_code: ApprovalCode,
}

/// What the records of one subscription add up to.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription {
    /// For people, not escaped.
    pub name: Option<String>,
    /// For people, not escaped.
    pub owner: Option<String>,
    /// Whether dropping it is refused.
    pub protect: bool,
    /// Whether it lives.
    pub status: Status,
    /// Tracked since.
    pub since: Timestamp,
    /// When `status` last changed.
    pub changed_at: Timestamp,
    /// How many times it was tracked, from 1.
    pub generation: u64,
    /// The newest outcome. Most that is tracked was never called, so what calls leave behind stands apart.
    pub outcome: Option<Box<LastOutcome>>,
    /// An intent without a verdict from an earlier try; the oldest one.
    pub lost_intent: Option<Box<OpenIntent>>,
    /// The intent of the newest run, while it has no outcome.
    pub own_intent: Option<Box<OpenIntent>>,
    /// The run of its newest intent, outcome or forget; none once it is tracked anew or forgotten by hand.
    pub last_run: Option<Uuid>,
}

impl Subscription {
    /// The oldest intent that got no verdict: while there is one, nobody can say whether it lives.
    pub fn open_intent(&self) -> Option<&OpenIntent> {
        self.lost_intent.as_deref().or(self.own_intent.as_deref())
    }

    /// Whether it is tracked: it lives as far as the ledger can say.
    pub fn is_tracked(&self) -> bool {
        self.status == Status::Subscribed
    }
}

/// The words for whether a subscription lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It lives: tracked.
    Subscribed,
    /// Dropped, by us or before us.
    Unsubscribed,
    /// It left without a call.
    Forgotten,
}

impl Status {
    /// The word the ledger and the reports use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Subscribed => "subscribed",
            Self::Unsubscribed => "unsubscribed",
            Self::Forgotten => "forgotten",
        }
    }
}

/// A call that was about to be sent, and of which nothing more is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenIntent {
    /// When it was recorded.
    pub at: Timestamp,
    /// The apply that sent it.
    pub run: Uuid,
}

/// The newest outcome of a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LastOutcome {
    /// When it was recorded.
    pub at: Timestamp,
    /// The apply.
    pub run: Uuid,
    /// The word for it.
    pub kind: OutcomeKind,
    /// The generation of the subscription that it speaks of.
    pub generation: u64,
    /// The platform's code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// The platform's message, not escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub msg: Option<String>,
    /// What the platform's support asks for, not escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_id: Option<String>,
    /// The HTTP status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// How many times the call was sent.
    pub attempts: u32,
    /// Our own words, not escaped where they quote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What the ledger says of one apply.
#[derive(Debug, Clone, PartialEq)]
pub struct RunFacts {
    /// When it began.
    pub at: Timestamp,
    /// The digest of the plan it carried out.
    pub plan_digest: String,
    /// What was allowed by name.
    pub overrides: Vec<Override>,
    /// Who started it.
    pub by: By<'static>,
    /// How it ended, where it did.
    pub end: Option<How>,
}

impl State {
    /// The apps, in the order in which they were bound.
    pub fn apps(&self) -> impl Iterator<Item = (AppIndex, &BoundApp)> {
        (0..).map(AppIndex).zip(&self.apps)
    }

    /// The app with this identity, whatever its label.
    pub fn app_of(&self, identity: &AppIdentity) -> Option<(AppIndex, &BoundApp)> {
        self.apps().find(|(_, app)| app.identity == *identity)
    }

    /// The app that a label stands for now.
    pub fn app_labelled(&self, label: &AppLabel) -> Option<(AppIndex, &BoundApp)> {
        let index = *self.labels.get(label)?;
        self.app(index).map(|app| (index, app))
    }

    /// The app of an index of this state.
    pub fn app(&self, index: AppIndex) -> Option<&BoundApp> {
        self.apps.get(index.0 as usize)
    }

    /// Every subscription the ledger knows, tracked or not, in the order in which they were first tracked.
    pub fn subscriptions(&self) -> impl ExactSizeIterator<Item = (&Id, &Subscription)> {
        self.subscriptions.iter()
    }

    /// One subscription.
    pub fn subscription(
        &self,
        app: AppIndex,
        tenant_key: Option<&TenantKey>,
        approval_code: &ApprovalCode,
    ) -> Option<&Subscription> {
        self.subscriptions.get(&IdRef { app, tenant_key, approval_code })
    }

    /// How many subscriptions are tracked.
    pub fn tracked(&self) -> usize {
        self.subscriptions.values().filter(|subscription| subscription.is_tracked()).count()
    }

    /// How many subscriptions are tracked, by app.
    pub fn tracked_by_app(&self) -> BTreeMap<AppIndex, u64> {
        let mut counts = BTreeMap::new();
        for (id, subscription) in &self.subscriptions {
            if subscription.is_tracked() {
                *counts.entry(id.app).or_default() += 1;
            }
        }
        counts
    }

    /// How many subscriptions of store apps are tracked, by app and tenant.
    pub fn tracked_by_tenant(&self) -> BTreeMap<AppIndex, BTreeMap<TenantKey, u64>> {
        let mut counts: BTreeMap<AppIndex, BTreeMap<TenantKey, u64>> = BTreeMap::new();
        for (id, subscription) in &self.subscriptions {
            let Some(tenant) = id.tenant_key.as_ref().filter(|_| subscription.is_tracked()) else { continue };
            let tenants = counts.entry(id.app).or_default();
            match tenants.get_mut(tenant) {
                Some(count) => *count += 1,
                None => {
                    tenants.insert(tenant.clone(), 1);
                }
            }
        }
        counts
    }

    /// An apply of the past, or the present one.
    pub fn run_facts(&self, run: &Uuid) -> Option<&RunFacts> {
        self.runs.get(run)
    }

    /// The applies, in the order in which they began.
    pub fn runs(&self) -> impl Iterator<Item = (&Uuid, &RunFacts)> {
        self.runs.iter()
    }

    /// The newest apply that has not ended: whoever holds the lock, if anybody does.
    pub fn unended_run(&self) -> Option<&RunFacts> {
        self.runs.values().next_back().filter(|run| run.end.is_none())
    }

    /// How people name a subscription of this state.
    pub fn key(&self, id: &Id) -> Option<SubscriptionKey> {
        Some(SubscriptionKey {
            app: self.app(id.app)?.label.clone(),
            tenant_key: id.tenant_key.clone(),
            approval_code: id.approval_code.clone(),
        })
    }
}

/// [`Id`], borrowed; hashes as it does.
#[derive(Hash)]
pub(super) struct IdRef<'a> {
    pub app: AppIndex,
    pub tenant_key: Option<&'a TenantKey>,
    pub approval_code: &'a ApprovalCode,
}

impl Equivalent<Id> for IdRef<'_> {
    fn equivalent(&self, id: &Id) -> bool {
        let Id { app, tenant_key, approval_code } = id;
        self.app == *app && self.tenant_key == tenant_key.as_ref() && self.approval_code == approval_code
    }
}
