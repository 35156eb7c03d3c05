//! Tokens: who holds which, and for how long.

use std::collections::HashMap;
use std::time::Duration;

use super::random::Random;
use crate::subscription::{AppId, TenantKey};

/// The kinds of token, which begin with different letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    App,
    Tenant,
}

/// Whom a token speaks for. A custom app's own tenant has no key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Holder {
    pub(super) kind: Kind,
    pub(super) app_id: AppId,
    pub(super) tenant_key: Option<TenantKey>,
}

#[derive(Debug)]
struct Grant {
    holder: Holder,
    until: Duration,
}

#[derive(Debug)]
pub(super) struct Tokens {
    lifetime: Duration,
    random: Random,
    grants: HashMap<String, Grant>,
    newest: HashMap<Holder, String>,
}

/// Asked again with this much left, the platform gives the same token.
const SAME_AGAIN: Duration = Duration::from_secs(30 * 60);

impl Tokens {
    pub(super) fn new(lifetime: Duration, random: Random) -> Self {
        Self { lifetime, random, grants: HashMap::new(), newest: HashMap::new() }
    }

    /// The token of a holder and the whole seconds that it has left.
    pub(super) fn issue(&mut self, now: Duration, holder: Holder) -> (String, u64) {
        if let Some(token) = self.newest.get(&holder)
            && let Some(grant) = self.grants.get(token)
            && grant.until.saturating_sub(now) >= SAME_AGAIN
        {
            return (token.clone(), grant.until.saturating_sub(now).as_secs());
        }
        self.grants.retain(|_, grant| grant.until > now);
        let letter = if holder.kind == Kind::App { 'a' } else { 't' };
        let token = format!("{letter}-{}{}", self.random.hex(), self.random.hex());
        let until = now.saturating_add(self.lifetime);
        self.newest.insert(holder.clone(), token.clone());
        self.grants.insert(token.clone(), Grant { holder, until });
        (token, self.lifetime.as_secs())
    }

    /// Whom a token speaks for; `None` when it was never given or has expired.
    pub(super) fn holder(&self, now: Duration, token: &str) -> Option<&Holder> {
        self.grants.get(token).filter(|grant| grant.until > now).map(|grant| &grant.holder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(kind: Kind, app: &str, tenant: Option<&str>) -> Holder {
        Holder { kind, app_id: app.parse().unwrap(), tenant_key: tenant.map(|key| key.parse().unwrap()) }
    }

    #[test]
    fn the_same_token_comes_again_while_half_an_hour_is_left_and_then_both_work() {
        let mut tokens = Tokens::new(Duration::from_secs(7200), Random::new(0));
        let own = holder(Kind::Tenant, "a", None);
        let at = Duration::from_secs;
        let (first, expire) = tokens.issue(at(0), own.clone());
        assert!(first.starts_with("t-") && first.len() == 34 && expire == 7200);
        assert_eq!(tokens.issue(at(5400), own.clone()), (first.clone(), 1800));
        let (second, expire) = tokens.issue(at(5401), own.clone());
        assert!(second != first && expire == 7200);
        assert_eq!(tokens.issue(at(5402), own.clone()), (second.clone(), 7199));
        assert_eq!(tokens.holder(at(7199), &first), Some(&own));
        assert_eq!(tokens.holder(at(7200), &first), None);
        assert_eq!(tokens.holder(at(7200), &second), Some(&own));
    }

    #[test]
    fn every_holder_has_a_token_of_its_own() {
        let mut tokens = Tokens::new(Duration::from_secs(7200), Random::new(0));
        let holders = [
            holder(Kind::Tenant, "a", None),
            holder(Kind::Tenant, "b", None),
            holder(Kind::Tenant, "a", Some("t1")),
            holder(Kind::Tenant, "a", Some("t2")),
            holder(Kind::App, "a", None),
        ];
        for holder in &holders {
            let (token, _) = tokens.issue(Duration::ZERO, holder.clone());
            assert_eq!(tokens.holder(Duration::ZERO, &token), Some(holder));
        }
        assert_eq!(tokens.grants.len(), holders.len());
    }
}
