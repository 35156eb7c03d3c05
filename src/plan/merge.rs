//! The manifest and the state side by side, one row a subscription, in one sorted pass.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::iter::Peekable;

use crate::manifest::{self, Manifest};
use crate::state::{self, AppIndex, State};
use crate::subscription::{AppIdentity, AppLabel, ApprovalCode, SubscriptionKey, TenantKey};

/// What manifest and state say of one subscription of one app of the manifest. At least one of them knows it.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The app's label in the manifest.
    pub label: &'a AppLabel,
    /// Who the app is.
    pub app: &'a AppIdentity,
    /// The tenant, in a store app.
    pub tenant_key: Option<&'a TenantKey>,
    /// The approval code.
    pub approval_code: &'a ApprovalCode,
    /// Its `subscriptions` entry.
    pub declared: Option<&'a manifest::Subscription>,
    /// Its `removed` entry.
    pub removed: Option<&'a manifest::Removed>,
    /// What the ledger knows of it, tracked or not.
    pub known: Option<&'a state::Subscription>,
}

impl<'a> Row<'a> {
    /// What the ledger knows of it, if it is tracked.
    pub fn tracked(&self) -> Option<&'a state::Subscription> {
        self.known.filter(|subscription| subscription.is_tracked())
    }

    /// How people name it.
    pub fn key(&self) -> SubscriptionKey {
        SubscriptionKey {
            app: self.label.clone(),
            tenant_key: self.tenant_key.cloned(),
            approval_code: self.approval_code.clone(),
        }
    }
}

/// Every subscription that the manifest's apps declare, remove or are known to have, sorted by label, tenant and
/// code. Apps of the state without a section in the manifest have no rows.
pub fn rows<'a>(manifest: &'a Manifest, state: &'a State) -> Vec<Row<'a>> {
    let mut known = known_by_app(state);
    let mut rows = Vec::with_capacity(state.subscriptions().len());
    for (label, app) in &manifest.apps {
        let index = state.app_of(&app.identity).map(|(index, _)| index);
        let known = index.and_then(|index| known.remove(&index)).unwrap_or_default();
        merge_app(label, app, known, &mut rows);
    }
    rows
}

/// Where a subscription stands among those of its app.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place<'a> {
    tenant_key: Option<&'a TenantKey>,
    /// The code's first bytes, which mostly decide, and spare sorting the look at the codes themselves.
    prefix: u64,
    approval_code: &'a ApprovalCode,
}

impl<'a> Place<'a> {
    fn new(tenant_key: Option<&'a TenantKey>, approval_code: &'a ApprovalCode) -> Self {
        let mut prefix = [0; 8];
        prefix.iter_mut().zip(approval_code.as_str().bytes()).for_each(|(to, from)| *to = from);
        Self { tenant_key, prefix: u64::from_be_bytes(prefix), approval_code }
    }
}

type Known<'a> = Vec<(Place<'a>, &'a state::Subscription)>;

fn known_by_app(state: &State) -> BTreeMap<AppIndex, Known<'_>> {
    let mut apps: BTreeMap<AppIndex, Known<'_>> = BTreeMap::new();
    for (id, subscription) in state.subscriptions() {
        let place = Place::new(id.tenant_key.as_ref(), &id.approval_code);
        apps.entry(id.app).or_default().push((place, subscription));
    }
    apps
}

fn merge_app<'a>(label: &'a AppLabel, app: &'a manifest::App, mut known: Known<'a>, rows: &mut Vec<Row<'a>>) {
    let declared = app.subscriptions.iter();
    let declared = declared.map(|entry| (Place::new(entry.tenant_key.as_ref(), &entry.approval_code), entry));
    let removed = app.removed.iter();
    let removed = removed.map(|entry| (Place::new(entry.tenant_key.as_ref(), &entry.approval_code), entry));
    let mut declared: Vec<_> = declared.collect();
    let mut removed: Vec<_> = removed.collect();
    declared.sort_unstable_by_key(|(place, _)| *place);
    removed.sort_unstable_by_key(|(place, _)| *place);
    known.sort_unstable_by_key(|(place, _)| *place);
    let mut declared = declared.into_iter().peekable();
    let mut removed = removed.into_iter().peekable();
    let mut known = known.into_iter().peekable();
    loop {
        let places = [peek(&mut declared), peek(&mut removed), peek(&mut known)];
        let Some(place) = places.into_iter().flatten().min() else { return };
        rows.push(Row {
            label,
            app: &app.identity,
            tenant_key: place.tenant_key,
            approval_code: place.approval_code,
            declared: take(&mut declared, place),
            removed: take(&mut removed, place),
            known: take(&mut known, place),
        });
    }
}

fn peek<'a, T>(rest: &mut Peekable<impl Iterator<Item = (Place<'a>, T)>>) -> Option<Place<'a>> {
    rest.peek().map(|(place, _)| *place)
}

fn take<'a, T>(rest: &mut Peekable<impl Iterator<Item = (Place<'a>, T)>>, place: Place<'a>) -> Option<T> {
    rest.next_if(|(next, _)| next.cmp(&place) == Ordering::Equal).map(|(_, entry)| entry)
}
