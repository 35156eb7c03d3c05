//! What was read of all sources, before the rules that span entries have been checked.

use std::collections::{BTreeMap, btree_map};
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
    /// Takes in what was read after this.
    pub fn extend(&mut self, more: Self) {
        let Self { policies, apps, is_broken } = more;
        self.policies.extend(policies);
        self.is_broken.extend(is_broken);
        for (label, more) in apps {
            match self.apps.entry(label) {
                btree_map::Entry::Vacant(entry) => {
                    entry.insert(more);
                }
                btree_map::Entry::Occupied(mut entry) => {
                    let AppDraft { mention: _, settings, entries, policies } = more;
                    entry.get_mut().settings.extend(settings);
                    entry.get_mut().entries.extend(entries);
                    entry.get_mut().policies.extend(policies);
                }
            }
        }
    }

    /// Changes every place in it.
    pub fn for_each_place(&mut self, change: impl Fn(&mut Range<usize>)) {
        let Self { policies, apps, is_broken: _ } = self;
        for (span, policy) in policies {
            change(&mut span.bytes);
            policy.for_each_place(&change);
        }
        for AppDraft { mention, settings, entries, policies } in apps.values_mut() {
            for (span, policy) in policies {
                change(&mut span.bytes);
                policy.for_each_place(&change);
            }
            change(&mut mention.bytes);
            for Settings { span, app_id, base_url, kind, rate_per_minute } in settings {
                change(&mut span.bytes);
                let places = [app_id.place(), base_url.place(), kind.place(), rate_per_minute.place()];
                places.into_iter().flatten().for_each(&change);
            }
            for Entry { span, approval_code, tenant_key, says } in entries {
                change(&mut span.bytes);
                let owner = match says {
                    Says::Declared { name: _, owner, protect: _ } => owner.place(),
                    Says::Removed { .. } => None,
                };
                let places = [approval_code.place(), tenant_key.place(), owner];
                places.into_iter().flatten().for_each(&change);
            }
        }
    }

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
    /// Each `[apps.LABEL.policy]`, with its place.
    pub policies: Vec<(Span, Policy)>,
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
    Declared { name: Option<String>, owner: Field<String>, protect: bool },
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

    /// Where the value stands, if there is a right one.
    fn place(&mut self) -> Option<&mut Range<usize>> {
        match self {
            Self::Given(_, place) => Some(place),
            Self::Absent | Self::Wrong => None,
        }
    }

    /// Whether its key does not stand there.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}
