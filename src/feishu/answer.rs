//! What one call ended as, in words that the rest of the program acts on.

use std::fmt;
use std::time::Duration;

use super::NoAnswer;
use crate::text::{cut_bytes, shown};

/// A judged answer: the verdict, and what a person or the platform's support asks for.
///
/// Every text in it is foreign: cut, but not escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What the answer means for the call.
    pub verdict: Verdict,
    /// The platform's own code, where the body could be read.
    pub code: Option<i64>,
    /// The platform's message, or why nothing could be sent; at most [`MAX_MSG`] bytes of it.
    pub msg: Option<String>,
    /// The id the platform's log search and its support ask for, from the header `X-Tt-Logid` or else from the
    /// body; at most [`MAX_LOG_ID`] bytes of it.
    pub log_id: Option<String>,
    /// The HTTP status, where there was an answer.
    pub http_status: Option<u16>,
    /// A link or text of the platform about this very failure, at most [`MAX_MSG`] bytes of it.
    pub troubleshooter: Option<String>,
    /// The scopes any one of which the app lacks, where the body names them.
    pub missing_scopes: Vec<String>,
}

/// The most bytes of a message that are kept.
pub const MAX_MSG: usize = 1024;

/// The most bytes of a log id that are kept.
pub const MAX_LOG_ID: usize = 128;

impl Answer {
    /// A verdict that did not come from the platform.
    pub fn without_response(verdict: Verdict) -> Self {
        Self {
            verdict,
            code: None,
            msg: None,
            log_id: None,
            http_status: None,
            troubleshooter: None,
            missing_scopes: Vec::new(),
        }
    }

    /// A call that could not be sent, and so cannot have taken effect.
    pub fn not_sent(scope: StopScope, reason: StopReason, why: &impl fmt::Display) -> Self {
        let why = why.to_string();
        let msg = Some(cut_bytes(&why, MAX_MSG).to_owned());
        Self { msg, ..Self::without_response(Verdict::Stop(scope, reason)) }
    }

    /// The facts of it in one line, escaped: `code 10014, app secret invalid, HTTP 200, log id …`.
    pub fn facts(&self) -> String {
        let Self { verdict: _, code, msg, log_id, http_status, troubleshooter: _, missing_scopes } = self;
        let mut facts = Vec::new();
        if let Some(code) = code {
            facts.push(format!("code {code}"));
        }
        if let Some(msg) = msg {
            facts.push(shown(msg).into_owned());
        }
        if !missing_scopes.is_empty() {
            facts.push(format!("missing scope: {}", shown(&missing_scopes.join(" or "))));
        }
        if let Some(status) = http_status {
            facts.push(format!("HTTP {status}"));
        }
        if let Some(log_id) = log_id {
            facts.push(format!("log id {}", shown(log_id)));
        }
        facts.join(", ")
    }
}

/// What an answer means for the call it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Code 0 with HTTP 200: it took effect.
    Done,
    /// There was nothing to do: it is in that state already.
    AlreadyDone,
    /// The platform knows no such approval code for this app and tenant.
    NotFound,
    /// This item was refused, and would be again.
    Refused,
    /// It did not take effect; it may be sent again after the pause.
    RateLimited {
        /// How long to send nothing in this app and tenant, 1 to 120 s.
        reset: Duration,
    },
    /// It may have taken effect or not.
    NoVerdict(Lost),
    /// The token was refused: renew it once, then stop.
    TokenRefused,
    /// No further call of the scope can succeed. This one did not take effect.
    Stop(StopScope, StopReason),
}

/// Why an answer is no verdict.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// Nothing that could be read came back.
    #[error(transparent)]
    NoAnswer(NoAnswer),
    /// Not the documented JSON; the text says what is wrong with it.
    #[error("the answer is not what the platform documents: {0}")]
    Unreadable(&'static str),
    /// Code 0 with a failing HTTP status.
    #[error("the answer contradicts itself: code 0 with HTTP {0}")]
    Contradiction(u16),
    /// HTTP 5xx.
    #[error("the platform failed: HTTP {0}")]
    ServerError(u16),
    /// The approval service failed; the platform asks for slower calls.
    #[error("the approval service failed (code {0})")]
    ServiceError(i64),
    /// The platform failed.
    #[error("the platform failed (code {0})")]
    PlatformError(i64),
}

impl Lost {
    /// Whether the platform asks for slower calls before the next try.
    pub fn slow_down(&self) -> bool {
        matches!(self, Self::ServiceError(_))
    }

    /// One word for records: what kind of loss it was.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NoAnswer(_) => "no_answer",
            Self::Unreadable(_) => "unreadable",
            Self::Contradiction(_) => "contradiction",
            Self::ServerError(_) => "server_error",
            Self::ServiceError(_) => "service_error",
            Self::PlatformError(_) => "platform_error",
        }
    }
}

/// How far a stop reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StopScope {
    /// Every call of the app.
    App,
    /// The app's calls in this tenant; its others go on.
    Tenant,
}

/// Why no further call can succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StopReason {
    /// App id, secret, ticket or token are not accepted.
    Credential,
    /// The app lacks the scope.
    Scope,
    /// The caller's address is not on the app's allow list.
    Ip,
    /// The app is disabled.
    AppDisabled,
    /// The app is not installed in the tenant.
    NotInstalled,
    /// The month's API calls are spent.
    MonthlyCap,
    /// The platform refused to issue a token, for a reason it does not document.
    TokenRequest,
    /// No token could be had: the platform did not answer, or a secret could not be read. Nothing was sent.
    NoToken,
    /// No connection can be made from here at all, as without certificates. Nothing was sent.
    NoClient,
}

impl StopReason {
    /// One word for records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Credential => "credential",
            Self::Scope => "scope",
            Self::Ip => "ip",
            Self::AppDisabled => "app_disabled",
            Self::NotInstalled => "not_installed",
            Self::MonthlyCap => "monthly_cap",
            Self::TokenRequest => "token_request",
            Self::NoToken => "no_token",
            Self::NoClient => "no_client",
        }
    }

    /// What to do about it, one sentence.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Credential => {
                "compare app id, secret and (for a store app) ticket with the app's page in the developer console"
            }
            Self::Scope => {
                "grant the app `approval:approval` or `approval:definition` in the developer console, and publish the app version"
            }
            Self::Ip => {
                "add this machine's egress address to the app's IP allow list in the developer console"
            }
            Self::AppDisabled => "enable the app in the developer console or the tenant's admin console",
            Self::NotInstalled => "install the app in the tenant, or have its administrator do so",
            Self::MonthlyCap => "nothing helps until next month, unless the tenant's plan is raised",
            Self::TokenRequest => {
                "look the code up in the platform's documentation, or give its support the log id"
            }
            Self::NoToken => {
                "once the cause is gone, run the same command again: it goes on where it stopped"
            }
            Self::NoClient => "see the cause for what to install or set, then run the same command again",
        }
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Credential => "the credential was refused",
            Self::Scope => "the app lacks the scope",
            Self::Ip => "this machine's address is not on the app's IP allow list",
            Self::AppDisabled => "the app is disabled",
            Self::NotInstalled => "the app is not installed in the tenant",
            Self::MonthlyCap => "the month's API calls are spent",
            Self::TokenRequest => "the platform refused to issue a token",
            Self::NoToken => "no token could be had",
            Self::NoClient => "no connection can be made from this machine",
        })
    }
}
