//! Where secrets come from: the rules of the environment variables.
//!
//! [`find`] is pure over a function that looks a variable up, and reports every problem at once. Only
//! [`SecretSource::read`] touches the disk, and nothing here ever shows a secret's content.

mod problem;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

pub use problem::{CredentialFault, CredentialProblem};
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use crate::subscription::{AppKind, AppLabel};
use crate::text::shown;

const SECRET: &str = "LARKSUB_APP_SECRET";
const TICKET: &str = "LARKSUB_APP_TICKET";
const TOKEN: &str = "LARKSUB_TENANT_ACCESS_TOKEN";

/// Far beyond any secret; a file larger than this is not one.
const MAX_SECRET_FILE: u64 = 64 * 1024;

/// With what an app obtains its tokens.
#[derive(Debug, Clone)]
pub enum Credential {
    /// A custom app's secret.
    Secret(SecretSource),
    /// A store app's secret, and the ticket that the platform sends to the app's event receiver.
    SecretAndTicket {
        /// The app's secret.
        secret: SecretSource,
        /// The newest ticket.
        ticket: SecretSource,
    },
    /// A ready-made tenant token. It does not prove which app it belongs to.
    Token(SecretSource),
}

impl Credential {
    /// Where its secrets are.
    pub fn sources(&self) -> Vec<&SecretSource> {
        match self {
            Self::Secret(source) | Self::Token(source) => vec![source],
            Self::SecretAndTicket { secret, ticket } => vec![secret, ticket],
        }
    }

    /// Whether a token obtained with it is certainly the app's own.
    pub fn proves_app(&self) -> bool {
        match self {
            Self::Secret(_) | Self::SecretAndTicket { .. } => true,
            Self::Token(_) => false,
        }
    }
}

/// Where one secret is.
#[derive(Debug, Clone)]
pub enum SecretSource {
    /// It was in the environment.
    Value(SecretString),
    /// It is in this file, read again whenever it is needed, so that it can be rotated during a run.
    File(PathBuf),
}

/// A secret's file that cannot be used. The content is never part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot use the secret in `{}`: {cause}", shown(&path.to_string_lossy()))]
pub struct SecretUnreadable {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub cause: String,
}

impl SecretSource {
    /// The secret as it is now; one trailing newline of a file is not part of it.
    ///
    /// Fails where the file cannot be read, is empty, not UTF-8, or larger than 64 KiB.
    pub fn read(&self) -> Result<SecretString, SecretUnreadable> {
        let path = match self {
            Self::Value(secret) => return Ok(secret.clone()),
            Self::File(path) => path,
        };
        let unreadable = |cause: String| SecretUnreadable { path: path.clone(), cause };
        let mut text = Zeroizing::new(String::new());
        File::open(path)
            .and_then(|file| file.take(MAX_SECRET_FILE + 1).read_to_string(&mut text))
            .map_err(|error| unreadable(error.to_string()))?;
        if text.len() as u64 > MAX_SECRET_FILE {
            return Err(unreadable(format!("it is larger than {MAX_SECRET_FILE} bytes")));
        }
        let line =
            text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
        if line.is_empty() {
            return Err(unreadable("it is empty".into()));
        }
        if line.contains(char::is_control) {
            return Err(unreadable("it holds more than one line, or control characters".into()));
        }
        Ok(line.to_owned().into())
    }
}

/// An app that calls are planned for.
#[derive(Debug, Clone)]
pub struct Need {
    /// Its label.
    pub label: AppLabel,
    /// Custom or store.
    pub kind: AppKind,
    /// How many tenants its calls touch; 1 in a custom app.
    pub tenants: usize,
}

/// Finds the credential of every app in `needs`, or says everything that is wrong.
///
/// `apps` is how many apps the manifest has: the unlabelled variables are for the only one. A labelled
/// variable comes before an unlabelled one.
pub fn find(
    env: &dyn Fn(&str) -> Option<OsString>,
    needs: &[Need],
    apps: usize,
) -> Result<BTreeMap<AppLabel, Credential>, Vec<CredentialProblem>> {
    let mut credentials = BTreeMap::new();
    let mut problems = Vec::new();
    for need in needs {
        match credential_of(env, need, apps) {
            Ok(credential) => {
                credentials.insert(need.label.clone(), credential);
            }
            Err(faults) => problems.extend(
                faults.into_iter().map(|fault| CredentialProblem { label: need.label.clone(), fault }),
            ),
        }
    }
    if problems.is_empty() { Ok(credentials) } else { Err(problems) }
}

/// The variable of a label, such as `LARKSUB_APP_SECRET_HR_EU` for `hr-eu`.
fn labelled(base: &str, label: &AppLabel) -> String {
    format!("{base}_{}", label.as_str().to_ascii_uppercase().replace('-', "_"))
}

/// A variable that is set, with what it holds.
struct Found {
    variable: String,
    source: SecretSource,
}

fn credential_of(
    env: &dyn Fn(&str) -> Option<OsString>,
    need: &Need,
    apps: usize,
) -> Result<Credential, Vec<CredentialFault>> {
    let mut faults = Vec::new();
    let mut keep = |found: Result<Option<Found>, CredentialFault>| {
        found.unwrap_or_else(|fault| {
            faults.push(fault);
            None
        })
    };
    let secret = keep(look_up_app(env, SECRET, &need.label, apps));
    let ticket = match need.kind {
        AppKind::Store => keep(look_up_app(env, TICKET, &need.label, apps)),
        AppKind::Custom => None,
    };
    let token = keep(look_up_token(env, &need.label));
    // What is missing is only certain once everything that is set could be read.
    if !faults.is_empty() {
        return Err(faults);
    }
    match (token, secret, need.kind, ticket) {
        (Some(token), Some(secret), ..) => {
            Err(vec![CredentialFault::TokenAndSecret { token: token.variable, secret: secret.variable }])
        }
        (Some(token), None, ..) if need.tenants > 1 => {
            Err(vec![CredentialFault::TokenForTenants { variable: token.variable, tenants: need.tenants }])
        }
        (Some(token), None, ..) => Ok(Credential::Token(token.source)),
        (None, Some(secret), AppKind::Custom, _) => Ok(Credential::Secret(secret.source)),
        (None, Some(secret), AppKind::Store, Some(ticket)) => {
            Ok(Credential::SecretAndTicket { secret: secret.source, ticket: ticket.source })
        }
        (None, Some(_), AppKind::Store, None) => {
            Err(vec![CredentialFault::NoTicket { ways: names(TICKET, &need.label, apps) }])
        }
        (None, None, kind, _) => Err(vec![CredentialFault::Missing { kind, ways: ways(need, apps) }]),
    }
}

/// The labelled variable, else the unlabelled one where it can mean only this app.
fn look_up_app(
    env: &dyn Fn(&str) -> Option<OsString>,
    base: &str,
    label: &AppLabel,
    apps: usize,
) -> Result<Option<Found>, CredentialFault> {
    let own = labelled(base, label);
    if let Some(found) = look_up(env, &own)? {
        return Ok(Some(found));
    }
    if apps == 1 {
        return look_up(env, base);
    }
    match first_set(env, base) {
        Some(variable) => Err(CredentialFault::Unlabelled { variable, labelled: own, apps }),
        None => Ok(None),
    }
}

fn look_up_token(
    env: &dyn Fn(&str) -> Option<OsString>,
    label: &AppLabel,
) -> Result<Option<Found>, CredentialFault> {
    let own = labelled(TOKEN, label);
    match first_set(env, TOKEN) {
        Some(variable) => Err(CredentialFault::UnlabelledToken { variable, labelled: own }),
        None => look_up(env, &own),
    }
}

/// The variable or its `_FILE` twin, whichever is set.
fn first_set(env: &dyn Fn(&str) -> Option<OsString>, variable: &str) -> Option<String> {
    [variable.to_owned(), format!("{variable}_FILE")].into_iter().find(|variable| env(variable).is_some())
}

fn look_up(env: &dyn Fn(&str) -> Option<OsString>, variable: &str) -> Result<Option<Found>, CredentialFault> {
    let file_variable = format!("{variable}_FILE");
    let (variable, value, is_file) = match (env(variable), env(&file_variable)) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err(CredentialFault::ValueAndFile { variable: variable.into() }),
        (Some(value), None) => (variable.to_owned(), value, false),
        (None, Some(path)) => (file_variable, path, true),
    };
    if value.is_empty() {
        return Err(CredentialFault::Empty { variable });
    }
    if is_file {
        return Ok(Some(Found { variable, source: SecretSource::File(value.into()) }));
    }
    match value.into_string() {
        Ok(secret) if secret.contains(char::is_control) => Err(CredentialFault::NotOneLine { variable }),
        Ok(secret) => Ok(Some(Found { variable, source: SecretSource::Value(secret.into()) })),
        Err(_) => Err(CredentialFault::NotUtf8 { variable }),
    }
}

/// The names of a variable that would do.
fn names(base: &str, label: &AppLabel, apps: usize) -> Vec<String> {
    let own = labelled(base, label);
    let mut names = vec![own.clone(), format!("{own}_FILE")];
    if apps == 1 {
        names.push(base.to_owned());
    }
    names
}

/// Every way to give an app a credential.
fn ways(need: &Need, apps: usize) -> Vec<String> {
    let and_ticket = match need.kind {
        AppKind::Custom => String::new(),
        AppKind::Store => format!(" with {}", labelled(TICKET, &need.label)),
    };
    let mut ways: Vec<_> = names(SECRET, &need.label, apps)
        .into_iter()
        .map(|variable| format!("{variable}{and_ticket}"))
        .collect();
    if need.tenants <= 1 {
        ways.push(labelled(TOKEN, &need.label));
    }
    ways
}

#[cfg(test)]
mod tests;
