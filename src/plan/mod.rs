//! The plan: what `apply` will do, as sorted plain data with nothing left to decide.
//!
//! [`compute()`] is pure: a manifest, a state and what was allowed by name go in; no clock, no I/O, no colour.

pub mod base;
pub mod compute;
pub mod digest;
pub mod guard;
mod limits;
pub mod merge;
pub mod policy;
mod reasons;
pub mod review;
pub mod saved;
pub mod stale;

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use base::Base;
pub use compute::compute;
pub use guard::{Guard, Rule, Verdict};
pub use policy::PolicyFacts;
pub use stale::{Applied, Stale};

use crate::state::{OutcomeKind, Override, Status};
use crate::subscription::{AppId, AppKind, AppLabel, ApprovalCode, BaseUrl, SubscriptionKey, TenantKey};

/// The word that every saved plan carries.
pub const FORMAT: &str = "larksub.plan";

/// The version of the format that this program writes and reads.
pub const VERSION: u32 = 1;

/// What an apply will do, and what a reviewer needs to see of it. Its fields are the saved document's, in order;
/// `checksum` is added by [`saved`]. [`crate::schema`] derives the document's JSON schema from them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(
    description = "What an apply will do, with nothing left to decide: what `larksub plan --format json` prints and `--out` saves. What is absent is left out. Names, owners and reasons are foreign strings, not escaped beyond JSON's own rules."
)]
pub struct Plan {
    /// Always [`FORMAT`].
    #[schemars(description = "What the document is.", extend("const" = FORMAT))]
    pub format: String,
    /// See [`VERSION`].
    #[schemars(description = "The version of the format.", extend("const" = VERSION))]
    pub version: u32,
    /// SHA-256 of what will be done, and of nothing else: `sha256:…`.
    #[schemars(regex(pattern = digest::PATTERN))]
    pub digest: String,
    /// What it was made from.
    pub facts: Facts,
    /// The plan that it was compared with, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Base>,
    /// Whether `apply` has something to do, calls or not.
    pub has_changes: bool,
    /// Whether a guard refuses it.
    pub refused: bool,
    /// How much of each.
    pub counts: Counts,
    /// To be unsubscribed.
    pub drops: Vec<Drop>,
    /// Sent once, and nobody can say what became of it.
    pub unknowns: Vec<Unknown>,
    /// To leave the state without a call.
    pub forgets: Vec<Forget>,
    /// What people see of a subscription or an app changes; no call.
    pub updates: Vec<Update>,
    /// Declared and not tracked; nothing is done about it.
    pub untracked: Vec<Untracked>,
    /// The rules that were measured, passed or not.
    pub guards: Vec<Guard>,
    /// What was allowed by name.
    pub overrides: Vec<Override>,
    /// How many calls `apply` will make, retries aside.
    pub calls: u64,
    /// How long they take at the configured pace, in whole seconds.
    pub estimate_s: u64,
}

/// What a plan was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// The ledger.
    pub lineage: Uuid,
    /// `seq` of its last line.
    pub serial: u64,
    /// The checksum of that line, eight hexadecimal digits.
    #[schemars(regex(pattern = r"^[0-9a-f]{8}$"))]
    pub tail_crc: String,
    /// The manifest's digest, `sha256:…`.
    #[schemars(regex(pattern = digest::PATTERN))]
    pub manifest_digest: String,
    /// The apps of the manifest.
    pub apps: Vec<AppFacts>,
    /// The limits that were in force; absent in a plan that an older larksub saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyFacts>,
}

/// What a plan says of one app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppFacts {
    /// Its label in the manifest.
    pub app: AppLabel,
    /// The platform's id of it.
    pub app_id: AppId,
    /// Where its platform answers.
    pub base_url: BaseUrl,
    /// Custom or store.
    pub kind: AppKind,
    /// How many of its subscriptions are tracked.
    pub tracked: u64,
    /// The same by tenant, in a store app.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tenants: BTreeMap<TenantKey, u64>,
}

/// How much a plan holds of each thing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Tracked subscriptions, all apps.
    pub tracked: u64,
    /// Declared subscriptions, all apps.
    pub declared: u64,
    /// Drops that were never tried, or were refused before; unknowns are counted apart.
    pub drops: u64,
    /// Subscriptions of which nobody can say whether they live.
    pub unknowns: u64,
    /// Forgets.
    pub forgets: u64,
    /// Metadata and renames.
    pub updates: u64,
    /// Declared and not tracked.
    pub untracked: u64,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// A subscription to be unsubscribed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drop {
    /// The app's label in the manifest.
    pub app: AppLabel,
    /// The tenant, in a store app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_key: Option<TenantKey>,
    /// The approval code.
    pub approval_code: ApprovalCode,
    /// For people, not escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// For people, not escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// From its `removed` entry, not escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Tracked since.
    pub since: Timestamp,
    /// How many times it was tracked.
    pub generation: u64,
    /// What became of it when it was last tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<OutcomeKind>,
    /// The base holds it, too: it is pending whatever becomes of this change.
    #[serde(default, skip_serializing_if = "is_false")]
    pub pending: bool,
}

/// A subscription that an earlier call may have dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unknown {
    /// The app's label in the manifest.
    pub app: AppLabel,
    /// The tenant, in a store app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_key: Option<TenantKey>,
    /// The approval code.
    pub approval_code: ApprovalCode,
    /// For people, not escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// For people, not escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// From its `removed` entry, not escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Tracked since.
    pub since: Timestamp,
    /// How many times it was tracked.
    pub generation: u64,
    /// When the call that got no verdict was about to be sent.
    pub sent_at: Timestamp,
    /// Declared again: it is never sent, and a person settles it. Otherwise it is sent again, as a drop.
    pub declared: bool,
    /// The base holds it, too: it is pending whatever becomes of this change.
    #[serde(default, skip_serializing_if = "is_false")]
    pub pending: bool,
}

/// A subscription that leaves the state without a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Forget {
    /// The app's label in the manifest.
    pub app: AppLabel,
    /// The tenant, in a store app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_key: Option<TenantKey>,
    /// The approval code.
    pub approval_code: ApprovalCode,
    /// For people, not escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// For people, not escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// From its `removed` entry, not escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Tracked since.
    pub since: Timestamp,
    /// How many times it was tracked.
    pub generation: u64,
    /// When a call that got no verdict was about to be sent: nobody can say whether it lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
    /// The base holds it, too: it is pending whatever becomes of this change.
    #[serde(default, skip_serializing_if = "is_false")]
    pub pending: bool,
}

/// A change to what people see, which needs no call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "what", rename_all = "snake_case", deny_unknown_fields)]
pub enum Update {
    /// The app has a new label.
    Rename {
        /// The label now declared.
        app: AppLabel,
        /// The label in the state.
        from: AppLabel,
    },
    /// A subscription's name, owner or protection changes.
    Metadata {
        /// The app's label in the manifest.
        app: AppLabel,
        /// The tenant, in a store app.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tenant_key: Option<TenantKey>,
        /// The approval code.
        approval_code: ApprovalCode,
        /// As in the state.
        from: Metadata,
        /// As declared.
        to: Metadata,
    },
}

/// What people see of a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// Not escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Not escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Whether dropping it is refused.
    pub protect: bool,
}

/// A subscription that is declared and not tracked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Untracked {
    /// The app's label in the manifest.
    pub app: AppLabel,
    /// The tenant, in a store app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_key: Option<TenantKey>,
    /// The approval code.
    pub approval_code: ApprovalCode,
    /// For people, not escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// For people, not escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// What it was before, where the ledger knew it: `unsubscribed` or `forgotten`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<Status>,
    /// Since when it is that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

macro_rules! keyed {
    ($($name:ident)*) => {$(
        impl $name {
            /// How people name the subscription.
            pub fn key(&self) -> SubscriptionKey {
                SubscriptionKey {
                    app: self.app.clone(),
                    tenant_key: self.tenant_key.clone(),
                    approval_code: self.approval_code.clone(),
                }
            }
        }
    )*};
}

keyed! { Drop Unknown Forget Untracked }

/// One call that an apply makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call<'a> {
    /// The app's label in the manifest.
    pub app: &'a AppLabel,
    /// The tenant, in a store app.
    pub tenant_key: Option<&'a TenantKey>,
    /// The approval code.
    pub approval_code: &'a ApprovalCode,
    /// For people, not escaped.
    pub name: Option<&'a str>,
    /// Whether an earlier call of it got no verdict, so that it may be done already.
    pub was_sent: bool,
}

impl Call<'_> {
    /// How people name the subscription.
    pub fn key(&self) -> SubscriptionKey {
        SubscriptionKey {
            app: self.app.clone(),
            tenant_key: self.tenant_key.cloned(),
            approval_code: self.approval_code.clone(),
        }
    }
}

fn calls<'a>(unknowns: &'a [Unknown], drops: &'a [Drop]) -> impl Iterator<Item = Call<'a>> {
    let unknowns = unknowns.iter().filter(|unknown| !unknown.declared).map(|unknown| Call {
        app: &unknown.app,
        tenant_key: unknown.tenant_key.as_ref(),
        approval_code: &unknown.approval_code,
        name: unknown.name.as_deref(),
        was_sent: true,
    });
    let drops = drops.iter().map(|drop| Call {
        app: &drop.app,
        tenant_key: drop.tenant_key.as_ref(),
        approval_code: &drop.approval_code,
        name: drop.name.as_deref(),
        was_sent: false,
    });
    unknowns.chain(drops)
}

impl Plan {
    /// The calls, in the order in which they are made: what is unknown is settled first.
    pub fn planned_calls(&self) -> impl Iterator<Item = Call<'_>> {
        calls(&self.unknowns, &self.drops)
    }

    /// How many of the calls the base holds as well.
    pub fn pending_calls(&self) -> u64 {
        let unknowns = self.unknowns.iter().filter(|unknown| unknown.pending && !unknown.declared).count();
        (unknowns + self.drops.iter().filter(|drop| drop.pending).count()) as u64
    }

    /// How many calls are this change's own: all of them, where it was compared with nothing.
    pub fn own_calls(&self) -> u64 {
        self.calls.saturating_sub(self.pending_calls())
    }

    /// How many unknowns a person must settle, because they are declared again.
    pub fn unsettled(&self) -> u64 {
        self.unknowns.iter().filter(|unknown| unknown.declared).count() as u64
    }
}

#[cfg(test)]
mod tests;
