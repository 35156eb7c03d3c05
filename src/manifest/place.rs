//! The sections of a manifest and the keys that each may have.

use std::fmt;

use super::suggest;
use crate::text::{Shown, cut};

/// A section, as problems name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// The top of a text.
    Root,
    /// `[policy]`
    Policy,
    /// `[apps.LABEL.policy]`
    AppPolicy(&'a str),
    /// `[apps]`
    Apps,
    /// `[apps.LABEL]`
    App(&'a str),
    /// `[[apps.LABEL.subscriptions]]`
    Subscription(&'a str),
    /// `[[apps.LABEL.removed]]`
    Removed(&'a str),
}

const POLICY: &[&str] = &["max_drops", "max_drop_percent", "require_reason", "require_owner", "owners"];
const APP: &[&str] =
    &["app_id", "brand", "base_url", "kind", "rate_per_minute", "policy", "subscriptions", "removed"];
const SUBSCRIPTION: &[&str] = &["approval_code", "tenant_key", "name", "owner", "protect"];
const REMOVED: &[&str] = &["approval_code", "tenant_key", "reason", "forget"];

impl<'a> Place<'a> {
    /// The keys that it may have; any for `[apps]`.
    pub fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Root => &["policy", "apps"],
            Self::Policy | Self::AppPolicy(_) => POLICY,
            Self::Apps => &[],
            Self::App(_) => APP,
            Self::Subscription(_) => SUBSCRIPTION,
            Self::Removed(_) => REMOVED,
        }
    }

    /// Where something in it is, in a sentence.
    pub fn preposition_and_name(self) -> String {
        match self {
            Self::Root => "at the top of the manifest".into(),
            _ => format!("in {self}"),
        }
    }

    /// The app that it belongs to.
    pub fn app(self) -> Option<&'a str> {
        match self {
            Self::Root | Self::Policy | Self::Apps => None,
            Self::AppPolicy(label) | Self::App(label) | Self::Subscription(label) | Self::Removed(label) => {
                Some(label)
            }
        }
    }

    /// The other section where a key that is unknown here has its place.
    pub fn home_of(self, key: &str) -> Option<Place<'a>> {
        let label = self.app().unwrap_or("LABEL");
        [Place::Policy, Place::App(label), Place::Subscription(label), Place::Removed(label)]
            .into_iter()
            .find(|place| place.keys().contains(&key))
    }

    /// The key of this section that a person probably meant.
    pub fn nearest_key(self, key: &str) -> Option<&'static str> {
        suggest::nearest(key, self.keys().iter().copied())
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("the top of a manifest"),
            Self::Policy => f.write_str("`[policy]`"),
            Self::AppPolicy(label) => write!(f, "`[apps.{}.policy]`", name(label)),
            Self::Apps => f.write_str("`[apps]`"),
            Self::App(label) => write!(f, "`[apps.{}]`", name(label)),
            Self::Subscription(label) => write!(f, "`[[apps.{}.subscriptions]]`", name(label)),
            Self::Removed(label) => write!(f, "`[[apps.{}.removed]]`", name(label)),
        }
    }
}

/// A foreign name within a sentence: on one line, escaped, and not longer than a sentence bears.
pub(super) fn name(text: &str) -> String {
    Shown(&cut(text, 64)).to_string()
}

/// Words in backticks, as a list in a sentence: `a`, `b` and `c`.
pub(super) fn list(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => format!("`{only}`"),
        [first @ .., last] => format!("`{}` and `{last}`", first.join("`, `")),
    }
}
