//! Which definitions exist, and which are subscribed by whom.

use std::collections::{HashMap, HashSet};
use std::str::FromStr;

use crate::subscription::{AppId, ApprovalCode, Malformed, TenantKey};

/// One subscription of one app in one tenant; a custom app's own tenant has no key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tracked {
    /// The app.
    pub app_id: AppId,
    /// The tenant, in a store app.
    pub tenant_key: Option<TenantKey>,
    /// The approval.
    pub approval_code: ApprovalCode,
}

/// What is subscribed at the start: `CODE` by every app in every tenant, `APP_ID/CODE` by one custom app,
/// `APP_ID/TENANT_KEY/CODE` by one store app in one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subscribed {
    /// By whoever asks.
    ByAll(ApprovalCode),
    /// By one.
    By(Tracked),
}

impl Subscribed {
    /// The approval.
    pub fn approval_code(&self) -> &ApprovalCode {
        match self {
            Self::ByAll(code) => code,
            Self::By(tracked) => &tracked.approval_code,
        }
    }
}

impl FromStr for Subscribed {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let parts: Vec<&str> = text.split('/').collect();
        let (app_id, tenant_key, code) = match parts.as_slice() {
            [code] => return Ok(Self::ByAll(code.parse()?)),
            [app_id, code] => (app_id, None, code),
            [app_id, tenant_key, code] => (app_id, Some(tenant_key.parse()?), code),
            _ => {
                return Err(Malformed {
                    what: "a subscription of the sandbox",
                    text: text.into(),
                    rule: "`CODE`, `APP_ID/CODE` or `APP_ID/TENANT_KEY/CODE`",
                });
            }
        };
        Ok(Self::By(Tracked { app_id: app_id.parse()?, tenant_key, approval_code: code.parse()? }))
    }
}

/// The platform's side of what a ledger remembers.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    by_all: HashSet<ApprovalCode>,
    /// A definition belongs to a tenant: another one does not see it.
    definitions: HashSet<(Option<TenantKey>, ApprovalCode)>,
    /// What differs from `by_all`.
    live: HashMap<Tracked, bool>,
}

/// What became of a wish to subscribe or unsubscribe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Done,
    Already,
    NoSuchDefinition,
}

impl Subscriptions {
    pub(super) fn new(subscribed: Vec<Subscribed>) -> Self {
        let mut new = Self::default();
        for entry in subscribed {
            match entry {
                Subscribed::ByAll(code) => {
                    new.by_all.insert(code);
                }
                Subscribed::By(tracked) => {
                    new.subscribe(tracked);
                }
            }
        }
        new
    }

    pub(super) fn is_live(&self, one: &Tracked) -> bool {
        self.live.get(one).copied().unwrap_or_else(|| self.by_all.contains(&one.approval_code))
    }

    pub(super) fn exists(&self, one: &Tracked) -> bool {
        self.by_all.contains(&one.approval_code)
            || self.definitions.contains(&(one.tenant_key.clone(), one.approval_code.clone()))
    }

    /// Subscribing makes a definition exist: the sandbox has no call that creates one.
    pub(super) fn subscribe(&mut self, one: Tracked) -> Change {
        if self.is_live(&one) {
            return Change::Already;
        }
        self.definitions.insert((one.tenant_key.clone(), one.approval_code.clone()));
        self.live.insert(one, true);
        Change::Done
    }

    pub(super) fn unsubscribe(&mut self, one: Tracked) -> Change {
        if !self.exists(&one) {
            return Change::NoSuchDefinition;
        }
        if !self.is_live(&one) {
            return Change::Already;
        }
        self.live.insert(one, false);
        Change::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Tracked {
        match text.parse().unwrap() {
            Subscribed::By(tracked) => tracked,
            Subscribed::ByAll(_) => panic!("{text} names no app"),
        }
    }

    fn start(entries: &[&str]) -> Subscriptions {
        Subscriptions::new(entries.iter().map(|text| text.parse().unwrap()).collect())
    }

    #[test]
    fn a_code_without_an_app_is_everybodys_and_each_drops_its_own() {
        let mut all = start(&["X"]);
        assert_eq!(all.unsubscribe(one("a/X")), Change::Done);
        assert_eq!(all.unsubscribe(one("a/X")), Change::Already);
        assert_eq!(all.unsubscribe(one("b/X")), Change::Done);
        assert_eq!(all.unsubscribe(one("b/t/X")), Change::Done);
        assert_eq!(all.subscribe(one("a/X")), Change::Done);
        assert_eq!(all.subscribe(one("a/X")), Change::Already);
        assert!(all.is_live(&one("a/X")) && !all.is_live(&one("b/X")));
    }

    #[test]
    fn a_definition_belongs_to_its_tenant() {
        let mut all = start(&["a/X", "s/t1/Y"]);
        assert_eq!(all.unsubscribe(one("b/X")), Change::Already);
        assert_eq!(all.unsubscribe(one("s/t1/X")), Change::NoSuchDefinition);
        assert_eq!(all.unsubscribe(one("s/t2/Y")), Change::NoSuchDefinition);
        assert_eq!(all.subscribe(one("s/t2/Y")), Change::Done);
        assert_eq!(all.unsubscribe(one("s/t2/Y")), Change::Done);
        assert_eq!(all.unsubscribe(one("s/t1/Y")), Change::Done);
    }

    #[test]
    fn an_entry_has_one_to_three_parts() {
        for text in ["", "/", "a/b/c/d", "a//X", "a/t/", "a b", "a/ X"] {
            assert!(text.parse::<Subscribed>().is_err(), "{text:?}");
        }
    }
}
