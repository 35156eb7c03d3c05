//! What an apply did, as plain data: the events while it runs, and the report at its end.

use std::time::Duration;

use serde::Serialize;
use uuid::Uuid;

use crate::error::Exit;
use crate::state::{How, OutcomeKind, Override, Record};
use crate::subscription::{AppLabel, SubscriptionKey, TenantKey};

/// One thing that happened in a run. What it tells is durable already.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Every token is there, and the run is recorded.
    Started {
        /// How many calls it has.
        calls: u64,
        /// How long they will take at the configured pace.
        estimate: Duration,
    },
    /// A call has an outcome.
    Settled {
        /// What became of it.
        settled: Box<Settled>,
        /// How long the rest takes from now on.
        remaining: Duration,
    },
    /// The platform asked for a pause.
    Paused {
        /// The app.
        app: AppLabel,
        /// The tenant, in a store app.
        tenant_key: Option<TenantKey>,
        /// For how long nothing is sent there.
        pause: Duration,
        /// How long the rest takes from now on.
        remaining: Duration,
    },
    /// An app or one of its tenants sends nothing more.
    Stopped(Box<Stopped>),
}

/// What became of one call.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Settled {
    /// How people name the subscription.
    #[serde(serialize_with = "as_text")]
    pub key: SubscriptionKey,
    /// For people, not escaped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The word for it.
    pub kind: OutcomeKind,
    /// The platform's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// The platform's message, not escaped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msg: Option<String>,
    /// What the platform's support asks for, not escaped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_id: Option<String>,
    /// The HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// How many times the call was sent.
    pub attempts: u32,
    /// Our own words, not escaped where they quote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Why an app or a tenant sends nothing more.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stopped {
    /// The app.
    pub app: AppLabel,
    /// The tenant, where only that one stops.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_key: Option<TenantKey>,
    /// One word.
    pub reason: &'static str,
    /// The same in a sentence, with the platform's own words; escaped.
    pub says: String,
    /// What to do about it.
    pub hint: String,
    /// The platform's page about this failure, not escaped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub troubleshooter: Option<String>,
}

/// A signal that ended a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Identifies it in the ledger; none where nothing was recorded.
    pub run: Option<Uuid>,
    /// What was allowed by name.
    pub overrides: Vec<Override>,
    /// How it ended.
    pub how: How,
    /// What was settled, in the order in which it became durable.
    pub settled: Vec<Settled>,
    /// What left the state without a call.
    pub forgotten: u64,
    /// What else was updated.
    pub updated: u64,
    /// What was not sent, and stays as it was.
    pub pending: Vec<SubscriptionKey>,
    /// Unknowns that are declared again, for a person to settle.
    pub unsettled: u64,
    /// What sends nothing more, and why.
    pub stopped: Vec<Stopped>,
    /// The signal that ended it.
    pub signal: Option<Signal>,
    /// Why the state could not be written, and what could not be recorded for that.
    pub unrecorded: Option<Unrecorded>,
}

/// Outcomes that are true and that the ledger does not hold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Unrecorded {
    /// Why.
    pub cause: String,
    /// Which.
    pub outcomes: Vec<Settled>,
    /// The same as the records that could not be written, in order.
    #[serde(skip)]
    pub records: Vec<Record<'static>>,
}

impl Report {
    /// A run that has done nothing yet.
    pub fn empty() -> Self {
        Self {
            run: None,
            overrides: Vec::new(),
            how: How::Done,
            settled: Vec::new(),
            forgotten: 0,
            updated: 0,
            pending: Vec::new(),
            unsettled: 0,
            stopped: Vec::new(),
            signal: None,
            unrecorded: None,
        }
    }

    /// How many outcomes are of a kind.
    pub fn count(&self, kind: OutcomeKind) -> u64 {
        self.settled.iter().filter(|settled| settled.kind == kind).count() as u64
    }

    /// How the process ends: what is worst comes first.
    pub fn exit(&self) -> Exit {
        let is_bad = |settled: &Settled| match settled.kind {
            OutcomeKind::Unsubscribed | OutcomeKind::AlreadyUnsubscribed => false,
            OutcomeKind::NotFound | OutcomeKind::Failed | OutcomeKind::Unknown => true,
        };
        match self {
            Self { unrecorded: Some(_), .. } => Exit::Unwritable,
            Self { signal: Some(Signal::Interrupt), .. } => Exit::Interrupted,
            Self { signal: Some(Signal::Terminate), .. } => Exit::Terminated,
            Self { stopped, .. } if !stopped.is_empty() => Exit::Stopped,
            Self { settled, unsettled, .. } if *unsettled > 0 || settled.iter().any(is_bad) => {
                Exit::Incomplete
            }
            _ => Exit::Done,
        }
    }
}

fn as_text<S: serde::Serializer>(key: &SubscriptionKey, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(key)
}
