//! The records of the ledger: the things that can happen to a subscription.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::sum::{LastOutcome, OpenIntent, Status};
pub use super::words::{By, How, OutcomeKind, Override, OverrideFlag, Str};
use crate::subscription::{AppId, AppKind, AppLabel, ApprovalCode, BaseUrl, TenantKey};

/// The word that the first record of every ledger carries.
pub const FORMAT: &str = "larksub.state";

/// The newest version of the format that this program writes and wholly understands.
pub const VERSION: u32 = 1;

/// The longest platform message that is kept, in bytes.
pub const MAX_MESSAGE: usize = 1024;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Record<'a> {
    /// The ledger begins.
    Init(Init<'a>),
    /// A label stands for an app from here on.
    Bind(Bind),
    /// A subscription lives.
    Track(Track<'a>),
    /// What people see of it changed.
    Update(Update<'a>),
    /// It leaves without a call.
    Forget(Forget<'a>),
    /// An apply begins.
    Run(Run<'a>),
    /// A call is about to be sent.
    Intent(Intent),
    /// What became of it.
    Outcome(Outcome<'a>),
    /// An apply ends.
    End(End),
    /// What one subscription added up to when the ledger was compacted.
    Snapshot(Box<Snapshot<'a>>),
    /// An operation that this version does not know.
    #[serde(skip)]
    Unknown(String),
}

/// The first record: the format, and the identity of this ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Init<'a> {
    /// When, by the wall clock.
    pub at: Timestamp,
    /// Always [`FORMAT`].
    #[schemars(description = "What the file is.", extend("const" = FORMAT))]
    #[serde(borrow)]
    pub format: Str<'a>,
    /// The version of the format, see [`VERSION`].
    #[schemars(description = "The version of the format.", extend("const" = VERSION))]
    pub version: u32,
    /// Identifies this ledger and its copies.
    pub lineage: Uuid,
    /// Who made it.
    pub by: By<'a>,
}

/// A label, and the app that it stands for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bind {
    /// When, by the wall clock.
    pub at: Timestamp,
    /// The label.
    pub app: AppLabel,
    /// The platform's id of the app.
    pub app_id: AppId,
    /// Where its platform answers.
    pub base_url: BaseUrl,
    /// Custom or store.
    pub kind: AppKind,
}

/// A subscription that lives, by import.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Track<'a> {
    /// When, by the wall clock.
    pub at: Timestamp,
    /// The app's label at this line.
    pub app: AppLabel,
    /// The tenant, in a store app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_key: Option<TenantKey>,
    /// The approval code.
    pub approval_code: ApprovalCode,
    /// For people.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Str<'a>>,
    /// For people.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Str<'a>>,
    /// Whether dropping it is refused.
    #[serde(default, skip_serializing_if = "is_false")]
    pub protect: bool,
    /// Who imported it.
    #[serde(borrow)]
    pub by: By<'a>,
}

/// A subscription's name, owner and protection as now declared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Update<'a> {
    /// When, by the wall clock.
    pub at: Timestamp,
    /// The app's label at this line.
    pub app: AppLabel,
    /// The tenant, in a store app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_key: Option<TenantKey>,
    /// The approval code.
    pub approval_code: ApprovalCode,
    /// For people.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Str<'a>>,
    /// For people.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Str<'a>>,
    /// Whether dropping it is refused.
    #[serde(default, skip_serializing_if = "is_false")]
    pub protect: bool,
}

/// A subscription that leaves the state without a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Forget<'a> {
    /// When, by the wall clock.
    pub at: Timestamp,
    /// The apply that did it; absent for `state rm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Uuid>,
    /// The app's label at this line.
    pub app: AppLabel,
    /// The tenant, in a store app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_key: Option<TenantKey>,
    /// The approval code.
    pub approval_code: ApprovalCode,
    /// Why.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Str<'a>>,
    /// Who did it.
    #[serde(borrow)]
    pub by: By<'a>,
}

/// An apply that begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Run<'a> {
    /// When, by the wall clock.
    pub at: Timestamp,
    /// Identifies it.
    pub run: Uuid,
    /// The digest of the plan it carries out.
    #[serde(borrow)]
    pub plan_digest: Str<'a>,
    /// What was allowed by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
    /// Who started it.
    #[serde(borrow)]
    pub by: By<'a>,
}

/// The durable record that a call is about to be sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// When, by the wall clock.
    pub at: Timestamp,
    /// The apply that sends it.
    pub run: Uuid,
    /// The app's label at this line.
    pub app: AppLabel,
    /// The tenant, in a store app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_key: Option<TenantKey>,
    /// The approval code.
    pub approval_code: ApprovalCode,
}

/// What became of one call, all its tries together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outcome<'a> {
    /// When, by the wall clock.
    pub at: Timestamp,
    /// The apply that sent it.
    pub run: Uuid,
    /// The app's label at this line.
    pub app: AppLabel,
    /// The tenant, in a store app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_key: Option<TenantKey>,
    /// The approval code.
    pub approval_code: ApprovalCode,
    /// What it adds up to.
    pub kind: OutcomeKind,
    /// The platform's code in the last answer that had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// The platform's message beside it, at most [`MAX_MESSAGE`] bytes.
    #[schemars(description = "The platform's message beside it, cut to 1 KiB.")]
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub msg: Option<Str<'a>>,
    /// What the platform's support asks for.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub log_id: Option<Str<'a>>,
    /// The HTTP status of the last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// How many times the call was sent.
    pub attempts: u32,
    /// Our own words, where the platform's do not say it all.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Str<'a>>,
}

/// An apply that ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// When, by the wall clock.
    pub at: Timestamp,
    /// The apply.
    pub run: Uuid,
    /// How.
    pub how: How,
}

/// What one subscription added up to when the ledger was compacted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Snapshot<'a> {
    /// When the ledger was compacted, by the wall clock.
    pub at: Timestamp,
    /// The app's label at this line.
    pub app: AppLabel,
    /// The tenant, in a store app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_key: Option<TenantKey>,
    /// The approval code.
    pub approval_code: ApprovalCode,
    /// For people.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Str<'a>>,
    /// For people.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Str<'a>>,
    /// Whether dropping it is refused.
    #[serde(default, skip_serializing_if = "is_false")]
    pub protect: bool,
    /// Whether it lives.
    pub status: Status,
    /// Tracked since.
    pub since: Timestamp,
    /// When `status` last changed.
    pub changed_at: Timestamp,
    /// How many times it was tracked.
    pub generation: u64,
    /// The newest outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Box<LastOutcome>>,
    /// An intent without a verdict from an earlier try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_intent: Option<Box<OpenIntent>>,
    /// The intent of the newest run, while it has no outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_intent: Option<Box<OpenIntent>>,
    /// The run of its newest intent, outcome or forget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<Uuid>,
}

impl Record<'_> {
    /// The same, borrowing nothing.
    pub fn into_owned(self) -> Record<'static> {
        let own = |text: Option<Str<'_>>| text.map(Str::into_owned);
        match self {
            Self::Init(Init { at, format, version, lineage, by }) => {
                let (format, by) = (format.into_owned(), by.into_owned());
                Record::Init(Init { at, format, version, lineage, by })
            }
            Self::Bind(bind) => Record::Bind(bind),
            Self::Track(Track { at, app, tenant_key, approval_code, name, owner, protect, by }) => {
                let (name, owner, by) = (own(name), own(owner), by.into_owned());
                Record::Track(Track { at, app, tenant_key, approval_code, name, owner, protect, by })
            }
            Self::Update(Update { at, app, tenant_key, approval_code, name, owner, protect }) => {
                let (name, owner) = (own(name), own(owner));
                Record::Update(Update { at, app, tenant_key, approval_code, name, owner, protect })
            }
            Self::Forget(Forget { at, run, app, tenant_key, approval_code, reason, by }) => {
                let (reason, by) = (own(reason), by.into_owned());
                Record::Forget(Forget { at, run, app, tenant_key, approval_code, reason, by })
            }
            Self::Run(Run { at, run, plan_digest, overrides, by }) => {
                let (plan_digest, by) = (plan_digest.into_owned(), by.into_owned());
                Record::Run(Run { at, run, plan_digest, overrides, by })
            }
            Self::Intent(intent) => Record::Intent(intent),
            Self::Outcome(Outcome {
                msg,
                log_id,
                reason,
                at,
                run,
                app,
                tenant_key,
                approval_code,
                kind,
                code,
                http_status,
                attempts,
            }) => {
                let (msg, log_id, reason) = (own(msg), own(log_id), own(reason));
                Record::Outcome(Outcome {
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
                })
            }
            Self::End(end) => Record::End(end),
            Self::Snapshot(snapshot) => {
                let snapshot = *snapshot;
                let (name, owner) = (own(snapshot.name), own(snapshot.owner));
                Record::Snapshot(Box::new(Snapshot { name, owner, ..snapshot }))
            }
            Self::Unknown(op) => Record::Unknown(op),
        }
    }
}

fn is_false(value: &bool) -> bool {
    !value
}
