//! An embedded platform: the calls that `larksub` makes, answered as the Open Platform answers them.
//!
//! It is what people try the tool on, and what its tests run against. [`Rules`] decides everything, in memory
//! and without a clock of its own; two shells carry it: [`Memory`], which stands behind
//! [`Platform`](crate::feishu::Platform) and runs in virtual time, and [`http`], which speaks HTTP on a real
//! socket and misbehaves on it when asked to. Error numbers are written down here a second time, apart from
//! those of the client, so that a wrong one cannot pass unnoticed.

mod codes;
mod faults;
pub mod http;
mod latency;
mod memory;
mod quota;
mod random;
mod reply;
mod route;
mod rules;
mod shared;
mod subscriptions;
mod tokens;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;

use crate::subscription::{AppId, ApprovalCode};

pub use faults::{Fault, FaultMalformed, What};
pub use latency::{Latency, LatencyMalformed};
pub use memory::{CLIENT_TIMEOUT, Memory};
pub use quota::Window;
pub use reply::{Behaviour, Call, Reply};
pub use route::Api;
pub use rules::{Request, Rules};
pub use subscriptions::{Subscribed, Tracked};

/// How a sandbox behaves.
#[derive(Debug, Clone)]
pub struct Config {
    /// The apps that get tokens. When there are none, any app id with a non-empty secret (and, on the calls
    /// of store apps, any non-empty ticket) does.
    pub apps: Vec<App>,
    /// What is subscribed at the start.
    pub subscribed: Vec<Subscribed>,
    /// What definitions are called; one that is not named here has a name made of its code.
    pub names: BTreeMap<ApprovalCode, String>,
    /// The calls per window of one app, tenant and API.
    pub limit: u32,
    /// How the window moves.
    pub window: Window,
    /// How long the window is; a minute on the platform.
    pub window_length: Duration,
    /// How long a call is under way.
    pub latency: Latency,
    /// What goes wrong on purpose; several for one code are used up in order.
    pub faults: Vec<Fault>,
    /// How late an answer is that [`What::Slow`] delays.
    pub slow: Duration,
    /// How long a token lives.
    pub token_lifetime: Duration,
    /// Decides the tokens, log ids and latencies: the same seed and calls, the same sandbox.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            apps: Vec::new(),
            subscribed: Vec::new(),
            names: BTreeMap::new(),
            limit: 100,
            window: Window::Fixed,
            window_length: Duration::from_secs(60),
            latency: Latency::NONE,
            faults: Vec::new(),
            slow: Duration::from_secs(60),
            token_lifetime: Duration::from_secs(7200),
            seed: 0,
        }
    }
}

/// An app that the sandbox knows, with its made-up secret.
#[derive(Debug, Clone)]
pub struct App {
    /// Its id.
    pub app_id: AppId,
    /// Its secret.
    pub secret: SecretString,
    /// Its ticket, which makes it a store app; without one it is a custom app.
    pub ticket: Option<SecretString>,
}

/// A text that is not an app of the sandbox. It does not repeat the text, which may hold a real secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppMalformed {
    /// It has not the parts it needs.
    #[error("expected `ID:SECRET` for a custom app or `ID:SECRET:TICKET` for a store app, no part empty")]
    Parts,
    /// The first part is not an app id.
    #[error("the part before the first `:` is not an app id: {}", AppId::RULE)]
    AppId,
}

impl FromStr for App {
    type Err = AppMalformed;

    fn from_str(text: &str) -> Result<Self, AppMalformed> {
        let parts: Vec<&str> = text.split(':').collect();
        let (app_id, secret, ticket) = match parts.as_slice() {
            [app_id, secret] => (*app_id, *secret, None),
            [app_id, secret, ticket] => (*app_id, *secret, Some(*ticket)),
            _ => return Err(AppMalformed::Parts),
        };
        if secret.is_empty() || ticket.is_some_and(str::is_empty) {
            return Err(AppMalformed::Parts);
        }
        let app_id = app_id.parse().map_err(|_| AppMalformed::AppId)?;
        Ok(Self { app_id, secret: SecretString::from(secret), ticket: ticket.map(SecretString::from) })
    }
}

impl fmt::Display for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.app_id, if self.ticket.is_some() { "store" } else { "custom" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_an_id_a_secret_and_perhaps_a_ticket() {
        assert_eq!("cli_a:s".parse::<App>().unwrap().to_string(), "cli_a (custom)");
        assert_eq!("cli_a:s:t".parse::<App>().unwrap().to_string(), "cli_a (store)");
        for text in ["", "cli_a", "cli_a:", "cli_a:s:", "cli_a:s:t:u", ":s", "a b:secret"] {
            let error = text.parse::<App>().unwrap_err();
            assert!(!error.to_string().contains("secret"), "{text:?}: {error}");
        }
    }
}
