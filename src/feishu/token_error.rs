//! Why there is no token, and what to do about it.

use super::NoAnswer;
use super::answer::{Answer, StopReason, StopScope, Verdict};
use crate::credentials::SecretUnreadable;
use crate::subscription::{AppLabel, TenantKey};
use crate::text::shown;

/// Why there is no token. No secret is ever part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The app's kind, its credential and the call do not fit.
    #[error("no token for app `{app}`: {what}")]
    NotConfigured {
        /// The app.
        app: AppLabel,
        /// What does not fit.
        what: &'static str,
    },
    /// The platform refused.
    #[error("no token for app `{app}`{}: {reason} ({})", in_tenant(tenant.as_ref()), answer.facts())]
    Refused {
        /// The app.
        app: AppLabel,
        /// The tenant, in a store app's second step.
        tenant: Option<TenantKey>,
        /// How far the refusal reaches.
        scope: StopScope,
        /// What for.
        reason: StopReason,
        /// The platform's own words.
        answer: Box<Answer>,
    },
    /// A ready-made token was refused, and there is no other one.
    #[error("the ready-made tenant token of app `{app}` was refused")]
    NotRenewable {
        /// The app.
        app: AppLabel,
    },
    /// No verdict came within the tries.
    #[error("no token for app `{app}` in {tries} tries: {cause}")]
    Unreachable {
        /// The app.
        app: AppLabel,
        /// How often it was tried.
        tries: u32,
        /// What the last try met, escaped.
        cause: String,
        /// How far it reaches.
        scope: StopScope,
    },
    /// No client can be made on this machine.
    #[error("no token for app `{app}`: {cause}")]
    NoClient {
        /// The app.
        app: AppLabel,
        /// What is missing, and what to do.
        cause: NoAnswer,
    },
    /// A secret's file cannot be used.
    #[error("no token for app `{app}`: {cause}")]
    SecretUnreadable {
        /// The app.
        app: AppLabel,
        /// The file, and what is wrong with it.
        cause: SecretUnreadable,
    },
}

fn in_tenant(tenant: Option<&TenantKey>) -> String {
    tenant.map(|tenant| format!(" in tenant `{tenant}`")).unwrap_or_default()
}

impl TokenError {
    /// How far it reaches.
    pub fn scope(&self) -> StopScope {
        match self {
            Self::Refused { scope, .. } | Self::Unreachable { scope, .. } => *scope,
            Self::NotConfigured { .. }
            | Self::NotRenewable { .. }
            | Self::NoClient { .. }
            | Self::SecretUnreadable { .. } => StopScope::App,
        }
    }

    /// What kind of stop it is.
    pub fn reason(&self) -> StopReason {
        match self {
            Self::Refused { reason, .. } => *reason,
            Self::NotConfigured { .. } | Self::NotRenewable { .. } => StopReason::Credential,
            Self::Unreachable { .. } | Self::SecretUnreadable { .. } => StopReason::NoToken,
            Self::NoClient { .. } => StopReason::NoClient,
        }
    }

    /// What to do about it, one sentence.
    pub fn hint(&self) -> String {
        match self {
            Self::NotConfigured { .. } => {
                "compare the app's `kind` in the manifest with the LARKSUB_… variables that are set".into()
            }
            Self::NotRenewable { .. } => {
                "tenant tokens live two hours at most: set a new one, or the app's secret, with which larksub gets its own"
                    .into()
            }
            Self::SecretUnreadable { cause, .. } => {
                format!("write the secret into `{}`, alone, and let this user read it", shown(&cause.path.to_string_lossy()))
            }
            Self::Refused { reason, .. } => reason.hint().into(),
            Self::Unreachable { .. } => {
                "check that this machine reaches the platform (HTTPS_PROXY, NO_PROXY and --ca-bundle), then run the same command again"
                    .into()
            }
            Self::NoClient { .. } => StopReason::NoClient.hint().into(),
        }
    }

    /// The answer of a call that could not be sent for want of a token: a stop, since nothing can have taken
    /// effect, with the platform's own words where it refused.
    pub fn into_answer(self) -> Answer {
        let (scope, reason) = (self.scope(), self.reason());
        match self {
            Self::Refused { answer, .. } => Answer { verdict: Verdict::Stop(scope, reason), ..*answer },
            _ => Answer::not_sent(scope, reason, &self),
        }
    }
}
