//! What only the platform can tell: whether a credential is taken, and what time it is there.

use std::cell::RefCell;
use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

use super::is_vouched_for;
use crate::checks::{Check, Found};
use crate::commands::env;
use crate::credentials::{self, Credential, Need};
use crate::error::{Exit, Failure};
use crate::feishu::{self, Client, Http, NoAnswer, Platform, Request, Response, TokenError};
use crate::manifest::{App, Manifest};
use crate::state::State;
use crate::subscription::{AppKind, AppLabel, BaseUrl, TenantKey};

/// A clock that is further off is worth a look; the ledger's minute is counted by it.
const WARN_SECONDS: f64 = 5.0;
/// A clock that is further off makes the calls of the last minute look older or newer than they are.
const FAIL_SECONDS: f64 = 60.0;

/// Asks for a token for each app, and for nothing else.
///
/// # Errors
/// No runtime can be made.
pub(super) fn ask(
    manifest: Option<&Manifest>,
    state: Option<&State>,
    http: &Http,
    is_offline: bool,
    checks: &mut Vec<Check>,
) -> Result<(), Failure> {
    let why = match manifest {
        _ if is_offline => Some("--offline: nobody is asked"),
        None => Some("without a manifest nobody knows whom to ask"),
        Some(_) => None,
    };
    let (Some(manifest), None) = (manifest, why) else {
        for check in ["credential", "token", "clock", "scopes"] {
            checks.push(Check::new(check, Found::Skip, why.unwrap_or_default()));
        }
        return Ok(());
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        Failure::new(Exit::Error, "the platform cannot be asked").because(error.to_string())
    })?;
    let observed = Observed { http, seen: RefCell::default() };
    let client = Client::new(observed);
    let mut unreachable = BTreeSet::new();
    for (label, app) in &manifest.apps {
        let tenants = tenants(app, state);
        if let Some(credential) = credential(label, app, tenants.len(), manifest, state, checks) {
            let app = feishu::App {
                label: label.clone(),
                app_id: app.identity.app_id.clone(),
                base_url: app.identity.base_url.clone(),
                kind: app.kind,
                credential,
            };
            // Nobody wants to wait for the same silence once more.
            let check = if unreachable.contains(&app.base_url) {
                let says = format!("{} did not answer for an app before", app.base_url);
                Check::new("token", Found::Skip, says)
            } else {
                runtime.block_on(token(&client, &app, tenants.first(), &mut unreachable))
            };
            checks.push(check.of(label));
        }
    }
    checks.push(clock(&client.platform().seen.borrow()));
    checks.push(Check::new(
        "scopes",
        Found::Skip,
        "a token does not tell them; dropping needs `approval:approval` or `approval:definition`",
    ));
    Ok(())
}

/// The tenants of a store app, as far as manifest and state know them; none in a custom app.
fn tenants(app: &App, state: Option<&State>) -> Vec<TenantKey> {
    let declared = app.subscriptions.iter().filter_map(|entry| entry.tenant_key.clone());
    let bound = state.and_then(|state| Some((state, state.app_of(&app.identity)?.0)));
    let tracked = bound.into_iter().flat_map(|(state, index)| {
        let own = state
            .subscriptions()
            .filter(move |(id, subscription)| id.app == index && subscription.is_tracked());
        own.filter_map(|(id, _)| id.tenant_key.clone())
    });
    declared.chain(tracked).collect::<BTreeSet<_>>().into_iter().collect()
}

/// An app's credential, where there is one that may be sent.
fn credential(
    label: &AppLabel,
    app: &App,
    tenants: usize,
    manifest: &Manifest,
    state: Option<&State>,
    checks: &mut Vec<Check>,
) -> Option<Credential> {
    let need = Need { label: label.clone(), kind: app.kind, tenants: tenants.max(1) };
    let credential = match credentials::find(&env, &[need], manifest.apps.len()) {
        Ok(mut found) => found.remove(label)?,
        Err(problems) => {
            for problem in problems {
                let check = Check::new("credential", Found::Fail, problem.to_string()).of(label);
                checks.push(check.help(problem.hint()));
            }
            checks.push(Check::new("token", Found::Skip, "without a credential none is asked for").of(label));
            return None;
        }
    };
    if let Some(error) = credential.sources().into_iter().find_map(|source| source.read().err()) {
        let check = Check::new("credential", Found::Fail, error.to_string()).of(label);
        checks
            .push(check.help("write the secret into the file, alone on one line, and let this user read it"));
        checks.push(Check::new("token", Found::Skip, "without a credential none is asked for").of(label));
        return None;
    }
    checks.push(Check::new("credential", Found::Ok, "found").of(label));
    if !is_vouched_for(&app.identity, state) {
        let says = format!(
            "not asked for: {} is neither Feishu's nor Lark's, and the state has no such app there",
            app.identity.base_url
        );
        checks.push(
            Check::new("token", Found::Warn, says)
                .of(label)
                .help("the secret was not sent; if the place is right, `larksub import` records it"),
        );
        return None;
    }
    if let Credential::Token(_) = credential {
        let says = "a ready-made one; only a call shows whether the platform takes it";
        checks.push(Check::new("token", Found::Skip, says).of(label));
        return None;
    }
    if app.kind == AppKind::Store && tenants == 0 {
        let says = "a store app's token belongs to a tenant, and none is declared or tracked";
        checks.push(Check::new("token", Found::Skip, says).of(label));
        return None;
    }
    Some(credential)
}

async fn token(
    client: &Client<Observed<'_>>,
    app: &feishu::App,
    tenant: Option<&TenantKey>,
    unreachable: &mut BTreeSet<BaseUrl>,
) -> Check {
    let tenant = tenant.filter(|_| app.kind == AppKind::Store);
    match client.authorize(app, tenant).await {
        Ok(()) => Check::new("token", Found::Ok, format!("{} gives one", app.base_url)),
        Err(error) => {
            let check = Check::new("token", Found::Fail, error.to_string());
            if matches!(error, TokenError::Unreachable { .. }) {
                unreachable.insert(app.base_url.clone());
            }
            let seen = client.platform().seen.borrow();
            let no_answer =
                seen.no_answer.as_ref().filter(|_| matches!(error, TokenError::Unreachable { .. }));
            match no_answer.and_then(in_plain_words) {
                Some(words) => check.help(words),
                None => check.help(error.hint()),
            }
        }
    }
}

/// Why nothing came back, as somebody would say it who has to mend it.
fn in_plain_words(no_answer: &NoAnswer) -> Option<String> {
    let (base_url, cause) = match no_answer {
        NoAnswer::TimedOut { base_url, .. } => {
            return Some(format!(
                "nothing came back from {base_url}: a firewall, or a proxy that has to be named in HTTPS_PROXY"
            ));
        }
        NoAnswer::NotConnected { base_url, cause } => (base_url, cause.to_lowercase()),
        NoAnswer::Broken { .. } | NoAnswer::TooLarge { .. } | NoAnswer::NoClient { .. } => return None,
    };
    let has = |words: &[&str]| words.iter().any(|word| cause.contains(word));
    Some(if has(&["lookup", "resolve", "dns"]) {
        format!("the name in {base_url} does not resolve: check its spelling and this machine's DNS")
    } else if has(&["refused"]) {
        format!("nothing answers at {base_url}: check the address, and the proxy if there is one")
    } else if has(&["certificate", "unknownissuer", "tls", "handshake"]) {
        format!(
            "the certificate of {base_url} is not trusted here: where a proxy inspects TLS, give its CA certificate with --ca-bundle"
        )
    } else if has(&["timed out", "unreachable", "deadline"]) {
        format!(
            "{base_url} cannot be reached from here: a firewall, or a proxy that has to be named in HTTPS_PROXY"
        )
    } else {
        return None;
    })
}

/// A platform, and what was seen of it.
struct Observed<'a> {
    http: &'a Http,
    seen: RefCell<Seen>,
}

#[derive(Default)]
struct Seen {
    /// How far the servers' clocks were ahead of ours, in seconds; the smallest of what was seen.
    ahead: Option<f64>,
    no_answer: Option<NoAnswer>,
}

impl Platform for Observed<'_> {
    async fn send(&self, base_url: &BaseUrl, request: Request) -> Result<Response, NoAnswer> {
        let sent = Timestamp::now();
        let answer = self.http.send(base_url, request).await;
        let received = Timestamp::now();
        let mut seen = self.seen.borrow_mut();
        match &answer {
            Ok(response) => {
                let date = response
                    .date
                    .as_deref()
                    .and_then(|date| DateTimeParser::new().parse_timestamp(date).ok());
                if let Some(date) = date {
                    let ahead = ahead(date, sent, received);
                    let is_less = seen.ahead.is_none_or(|before| ahead.abs() < before.abs());
                    seen.ahead = if is_less { Some(ahead) } else { seen.ahead };
                }
            }
            Err(no_answer) => seen.no_answer = Some(no_answer.clone()),
        }
        answer
    }
}

/// How far a server's clock is ahead, in seconds: its time is cut to the second, and was taken somewhere between
/// sending and receiving.
fn ahead(date: Timestamp, sent: Timestamp, received: Timestamp) -> f64 {
    let middle = (sent.as_millisecond() + received.as_millisecond()) as f64 / 2000.0;
    date.as_millisecond() as f64 / 1000.0 + 0.5 - middle
}

fn clock(seen: &Seen) -> Check {
    let Some(ahead) = seen.ahead else {
        return Check::new("clock", Found::Skip, "no answer told the time");
    };
    let off = ahead.abs();
    let (seconds, way) = (off.round(), if ahead > 0.0 { "behind" } else { "ahead of" });
    let help = "set the machine's clock (NTP): the quota of the last minute is counted by it, and the ledger's times are its own";
    if off > FAIL_SECONDS {
        Check::new("clock", Found::Fail, format!("it is {seconds} s {way} the platform's")).help(help)
    } else if off > WARN_SECONDS {
        Check::new("clock", Found::Warn, format!("it is {seconds} s {way} the platform's")).help(help)
    } else {
        Check::new("clock", Found::Ok, "within 5 s of the platform's")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_judged_by_how_far_it_is_off() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let date = DateTimeParser::new().parse_timestamp("Sun, 22 Nov 2026 23:10:37 GMT").unwrap();
        let off = ahead(date, at("2026-11-22T23:10:37.2Z"), at("2026-11-22T23:10:37.8Z"));
        assert!(off.abs() < 0.01, "{off}");
        for (ahead, result, says) in [
            (None, Found::Skip, "no answer told the time"),
            (Some(0.4), Found::Ok, "within 5 s"),
            (Some(-4.9), Found::Ok, "within 5 s"),
            (Some(5.6), Found::Warn, "6 s behind"),
            (Some(-60.0), Found::Warn, "60 s ahead of"),
            (Some(61.0), Found::Fail, "61 s behind"),
        ] {
            let check = clock(&Seen { ahead, no_answer: None });
            assert_eq!(check.result, result, "{ahead:?}");
            assert!(check.says.contains(says), "{check:?}");
        }
    }

    #[test]
    fn why_nothing_came_back_is_said_in_plain_words() {
        let base_url: BaseUrl = "https://open.feishu.cn".parse().unwrap();
        for (cause, says) in [
            ("failed to lookup address information: Name or service not known", "does not resolve"),
            ("Connection refused (os error 111)", "nothing answers"),
            ("invalid peer certificate: UnknownIssuer", "--ca-bundle"),
            ("Network is unreachable (os error 101)", "cannot be reached"),
        ] {
            let no_answer = NoAnswer::NotConnected { base_url: base_url.clone(), cause: cause.into() };
            let words = in_plain_words(&no_answer).unwrap();
            assert!(words.contains(says), "{words}");
        }
    }
}
