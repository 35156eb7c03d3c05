//! What is wrong with the variables that hold secrets, as data: which, and what to set instead.

use std::fmt;

use crate::subscription::{AppKind, AppLabel};

/// One thing that is wrong with the variables of one app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialProblem {
    /// The app that needs a credential.
    pub label: AppLabel,
    /// What is wrong.
    pub fault: CredentialFault,
}

/// What can be wrong with the variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialFault {
    /// Nothing that would do is set; the variables that would.
    Missing {
        /// Custom or store.
        kind: AppKind,
        /// Ways to provide it, each a sentence part.
        ways: Vec<String>,
    },
    /// A store app's secret without its ticket; the variables that would do.
    NoTicket {
        /// Ways to provide it.
        ways: Vec<String>,
    },
    /// A variable and its `_FILE` twin are both set.
    ValueAndFile {
        /// The one without `_FILE`.
        variable: String,
    },
    /// A variable is set to nothing.
    Empty {
        /// It.
        variable: String,
    },
    /// A variable's value is not UTF-8.
    NotUtf8 {
        /// It.
        variable: String,
    },
    /// A variable's value has a line break or another control character in it.
    NotOneLine {
        /// It.
        variable: String,
    },
    /// An unlabelled secret or ticket, while the manifest has several apps.
    Unlabelled {
        /// It.
        variable: String,
        /// The labelled one to set instead.
        labelled: String,
        /// How many apps the manifest has.
        apps: usize,
    },
    /// An unlabelled token, which could be any app's.
    UnlabelledToken {
        /// It.
        variable: String,
        /// The labelled one to set instead.
        labelled: String,
    },
    /// A token and a secret: two answers to one question.
    TokenAndSecret {
        /// The token's variable.
        token: String,
        /// The secret's.
        secret: String,
    },
    /// A token is good for one tenant only.
    TokenForTenants {
        /// Its variable.
        variable: String,
        /// How many tenants the calls touch.
        tenants: usize,
    },
}

impl fmt::Display for CredentialProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { label, fault } = self;
        match fault {
            CredentialFault::Missing { kind, ways: _ } => {
                write!(f, "no credential for {} app `{label}`", kind.as_str())
            }
            CredentialFault::NoTicket { ways: _ } => write!(f, "no app ticket for store app `{label}`"),
            CredentialFault::ValueAndFile { variable } => {
                write!(f, "{variable} and {variable}_FILE are both set (app `{label}`)")
            }
            CredentialFault::Empty { variable } => write!(f, "{variable} is empty (app `{label}`)"),
            CredentialFault::NotUtf8 { variable } => write!(f, "{variable} is not UTF-8 (app `{label}`)"),
            CredentialFault::NotOneLine { variable } => {
                write!(f, "{variable} holds more than one line, or control characters (app `{label}`)")
            }
            CredentialFault::Unlabelled { variable, labelled: _, apps } => {
                write!(
                    f,
                    "{variable} does not say which of the manifest's {apps} apps it belongs to (app `{label}`)"
                )
            }
            CredentialFault::UnlabelledToken { variable, labelled: _ } => {
                write!(f, "{variable} does not say which app it belongs to (app `{label}`)")
            }
            CredentialFault::TokenAndSecret { token, secret } => {
                write!(f, "{token} and {secret} are both set (app `{label}`)")
            }
            CredentialFault::TokenForTenants { variable, tenants } => {
                write!(f, "{variable} is good for one tenant, and the calls of app `{label}` touch {tenants}")
            }
        }
    }
}

impl CredentialProblem {
    /// What to do about it, one sentence that names the variables.
    pub fn hint(&self) -> String {
        match &self.fault {
            CredentialFault::Missing { kind: _, ways } | CredentialFault::NoTicket { ways } => {
                format!("set {}", ways.join(", or "))
            }
            CredentialFault::ValueAndFile { variable } => format!("unset {variable} or {variable}_FILE"),
            CredentialFault::Empty { variable } => {
                format!(
                    "give {variable} a value, or unset it; in a pipeline, check that this job may read the secret"
                )
            }
            CredentialFault::NotUtf8 { variable } => format!("set {variable} anew, or use {variable}_FILE"),
            CredentialFault::NotOneLine { variable } => {
                format!(
                    "set {variable} to the secret alone, without a line end; {variable}_FILE takes a file that ends in one"
                )
            }
            CredentialFault::Unlabelled { variable, labelled, apps: _ }
            | CredentialFault::UnlabelledToken { variable, labelled } => {
                format!("it could reach the wrong app: set {labelled} and unset {variable}")
            }
            CredentialFault::TokenAndSecret { token, secret } => {
                format!("unset {token}, and tokens are obtained with the secret; or unset {secret}")
            }
            CredentialFault::TokenForTenants { variable, tenants: _ } => {
                format!(
                    "unset {variable} and set the app's secret and ticket, with which each tenant gets its own token"
                )
            }
        }
    }
}
