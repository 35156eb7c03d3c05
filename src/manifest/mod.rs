//! The manifest: which subscriptions should live.
//!
//! [`parse`] is pure: texts in, a [`Manifest`] or every problem of every text out. Reading files is
//! `workspace`'s, drawing problems is `error`'s.

mod alike;
mod check;
mod draft;
mod outline;
mod parse;
mod pieces;
pub(crate) mod place;
mod policy;
pub mod problem;
mod repeated;
pub(crate) mod secret;
mod slips;
mod suggest;
mod syntax;
mod tree;
mod value;
pub mod write;

use std::collections::BTreeMap;
use std::ops::Range;

pub use parse::parse;
pub use policy::{Given, MAX_DROP_PERCENT, Policy};
pub use problem::{Annotation, Problem, Problems, Severity};

use crate::subscription::{AppIdentity, AppKind, AppLabel, ApprovalCode, TenantKey};

/// The platform's own limit, and the default: calls per minute for one app in one tenant.
pub const MAX_RATE_PER_MINUTE: u32 = 100;

/// The most characters of a name, an owner or a reason: a reviewer has one screen.
pub const MAX_TEXT: usize = 200;

/// One text of a manifest, as read from a file.
#[derive(Debug, Clone)]
pub struct Source {
    /// The path as a person would name it; a foreign string.
    pub path: String,
    /// Its bytes; invalid UTF-8 is a problem that [`parse`] reports.
    pub bytes: Vec<u8>,
}

/// A place in a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Index of the source.
    pub source: usize,
    /// Bytes in it.
    pub bytes: Range<usize>,
}

/// A manifest in which every rule of the format holds.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The limits and demands of all apps.
    pub policy: Policy,
    /// The apps by label.
    pub apps: BTreeMap<AppLabel, App>,
    /// SHA-256 of what it was read from, `sha256:…`; equal for equal texts, whatever their paths.
    pub digest: String,
}

/// One `[apps.LABEL]` section with its entries, in the order of the texts.
#[derive(Debug, Clone)]
pub struct App {
    /// Who it is: `app_id`, and the place that `brand` or `base_url` names.
    pub identity: AppIdentity,
    /// Custom or store.
    pub kind: AppKind,
    /// Calls per minute and tenant, 1 to [`MAX_RATE_PER_MINUTE`].
    pub rate_per_minute: u32,
    /// Limits and demands of its own, which go before those of all apps.
    pub policy: Policy,
    /// What should live.
    pub subscriptions: Vec<Subscription>,
    /// What goes, and why.
    pub removed: Vec<Removed>,
    /// Where the section's settings stand.
    pub span: Span,
}

/// One `[[apps.LABEL.subscriptions]]` entry.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// Present exactly in store apps.
    pub tenant_key: Option<TenantKey>,
    /// The identity.
    pub approval_code: ApprovalCode,
    /// Free text for people, not escaped.
    pub name: Option<String>,
    /// Free text for people, not escaped.
    pub owner: Option<String>,
    /// Whether removing the entry is refused.
    pub protect: bool,
    /// Where its approval code stands.
    pub span: Span,
}

/// One `[[apps.LABEL.removed]]` entry.
#[derive(Debug, Clone)]
pub struct Removed {
    /// Present exactly in store apps.
    pub tenant_key: Option<TenantKey>,
    /// The identity.
    pub approval_code: ApprovalCode,
    /// Why it goes: free text for people, not escaped.
    pub reason: Option<String>,
    /// Whether it leaves the state without a call.
    pub forget: bool,
    /// Where its approval code stands.
    pub span: Span,
}

#[cfg(test)]
mod tests;
