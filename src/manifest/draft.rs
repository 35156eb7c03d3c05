//! What was read of all sources, before the rules that span entries have been checked.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{Policy, Span};
use crate::subscription::{AppId, AppKind, ApprovalCode, BaseUrl, TenantKey};

/// Everything that was read.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// Each `[policy]`, with its place.
    pub policies: Vec<(Span, Policy)>,
    /// The apps by label, well formed or not.
    pub apps: BTreeMap<String, AppDraft>,
    /// By source: whether something in it could not be read.
    pub is_broken: Vec<bool>,
}

impl Draft {
    /// Whether something that is absent may merely have been unreadable.
    pub fn is_any_broken(&self) -> bool {
        self.is_broken.contains(&true)
    }

    /// The same for one source.
    pub fn is_source_broken(&self, source: usize) -> bool {
        self.is_broken.get(source).copied().unwrap_or(true)
    }
}

/// One app, from all sources.
#[derive(Debug)]
pub(super) struct AppDraft {
    /// Where its label stands first.
    pub mention: Span,
    /// Its settings, one for each source that has any.
    pub settings: Vec<Settings>,
    /// Its entries, in the order of the texts.
    pub entries: Vec<Entry>,
}

/// The settings of one app in one source.
#[derive(Debug)]
pub(super) struct Settings {
    /// Where they stand.
    pub span: Span,
    /// The id of the app, with its place.
    pub app_id: Field<AppId>,
    /// From `brand` or `base_url`.
    pub base_url: Field<BaseUrl>,
    /// Custom or store.
    pub kind: Field<AppKind>,
    /// Calls per minute and tenant.
    pub rate_per_minute: Field<u32>,
}

/// A `subscriptions` or `removed` entry.
#[derive(Debug)]
pub(super) struct Entry {
    /// Where the entry stands.
    pub span: Span,
    /// The code, with its place.
    pub approval_code: Field<ApprovalCode>,
    /// The tenant, with its place.
    pub tenant_key: Field<TenantKey>,
    /// What it says about the code.
    pub says: Says,
}

/// What an entry says about its code.
#[derive(Debug)]
pub(super) enum Says {
    /// It should live.
    Declared { name: Option<String>, owner: Option<String>, protect: bool },
    /// It goes.
    Removed { reason: Option<String>, forget: bool },
}

/// What was found where a value may stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Field<T> {
    /// No such key.
    #[default]
    Absent,
    /// A value that is wrong, and has been reported.
    Wrong,
    /// A value, with its place in its source.
    Given(T, Range<usize>),
}

impl<T> Field<T> {
    /// The value, if there is a right one.
    pub fn get(&self) -> Option<&T> {
        match self {
            Self::Given(value, _) => Some(value),
            Self::Absent | Self::Wrong => None,
        }
    }

    /// A value that was read, or one that was reported.
    pub fn read(value: Option<(T, Range<usize>)>) -> Self {
        value.map_or(Self::Wrong, |(value, place)| Self::Given(value, place))
    }

    /// Whether its key does not stand there.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}
