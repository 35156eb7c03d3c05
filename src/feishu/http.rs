//! The platform over HTTP: one request, one answer or the reason there is none.
//!
//! Nothing is followed, tried again or understood here. A request that is sent twice behind the caller's back
//! would make the ledger's account of it wrong.

use std::error::Error;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderMap, HeaderValue};
use reqwest::{Certificate, Client, ClientBuilder};
use secrecy::{ExposeSecret as _, SecretString};

use super::{MAX_BODY, Method, NoAnswer, Platform, Request, Response};
use crate::subscription::BaseUrl;
use crate::text::{cut_bytes, shown};

const USER_AGENT: &str = concat!("larksub/", env!("CARGO_PKG_VERSION"));
const LOG_ID: &str = "x-tt-logid";
const RATE_LIMIT_RESET: &str = "x-ogw-ratelimit-reset";

/// Each request has a connection of its own. What a proxy repeats or sends late on one that is used again would be
/// taken for the answer to the next call, and be recorded as a drop that never was; and a call that meets the end of
/// an idle connection has no answer. At the pace of the quota a new connection costs nothing that is missed.
const IDLE_CONNECTIONS: usize = 0;
/// Every public bundle is a fraction of it.
const MAX_CA_BUNDLE: u64 = 16 * 1024 * 1024;
/// Enough for any sentence of a library.
const MAX_CAUSE: usize = 300;

const NO_CERTIFICATES: &str = "this machine has no CA certificates: install the package `ca-certificates`, or \
                               name a PEM file with SSL_CERT_FILE or --ca-bundle";
const UNKNOWN_ISSUER: &str = " (where a proxy inspects TLS, give its CA certificate with --ca-bundle)";

/// How long an answer may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Until a connection stands, TLS included.
    pub connect: Duration,
    /// Until the last byte of the answer.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), total: Duration::from_secs(30) }
    }
}

/// Sends requests over HTTP/1.1, proxies from the environment included.
#[derive(Debug)]
pub struct Http {
    ca_bundle: Option<PathBuf>,
    timeouts: Timeouts,
    // Two clients, each made when it is first needed: a machine without certificates can rehearse on loopback.
    https: OnceLock<Result<Client, String>>,
    loopback: OnceLock<Result<Client, String>>,
}

impl Http {
    /// A client that trusts the system's certificates and those of `ca_bundle`, a PEM file. It is read when https
    /// is first needed; what is wrong with it is a [`NoAnswer::NoClient`] then.
    pub fn new(ca_bundle: Option<PathBuf>) -> Self {
        Self::with_timeouts(ca_bundle, Timeouts::default())
    }

    /// The same, with other limits.
    pub fn with_timeouts(ca_bundle: Option<PathBuf>, timeouts: Timeouts) -> Self {
        Self { ca_bundle, timeouts, https: OnceLock::new(), loopback: OnceLock::new() }
    }

    fn client(&self, base_url: &BaseUrl) -> Result<&Client, NoAnswer> {
        let client = if base_url.is_https() {
            self.https.get_or_init(|| https_client(self.ca_bundle.as_deref(), self.timeouts))
        } else {
            self.loopback.get_or_init(|| loopback_client(self.timeouts))
        };
        client
            .as_ref()
            .map_err(|cause| NoAnswer::NoClient { base_url: base_url.clone(), cause: cause.clone() })
    }

    /// Makes sure that a client can be made: certificates found, CA bundle and proxy usable. Nothing is sent.
    ///
    /// # Errors
    /// [`NoAnswer::NoClient`], with what to do.
    pub fn ready(&self, base_url: &BaseUrl) -> Result<(), NoAnswer> {
        self.client(base_url).map(drop)
    }

    async fn exchange(&self, base_url: &BaseUrl, request: Request) -> Result<Response, NoAnswer> {
        let Request { method, path, bearer, json } = request;
        let client = self.client(base_url)?;
        let verb = match method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
        };
        let mut request = client.request(verb, format!("{base_url}{path}"));
        if let Some(token) = bearer {
            request = request.header(AUTHORIZATION, authorization(base_url, &token)?);
        }
        request = match json {
            Some(json) => request
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"))
                .body(json.expose_secret().to_owned()),
            // Left out by default, and some gateways answer 411 to that.
            None if method == Method::Post => request.header(CONTENT_LENGTH, HeaderValue::from_static("0")),
            None => request,
        };
        let no_answer = |error| self.no_answer(base_url, error);
        let mut answer = request.send().await.map_err(no_answer)?;
        let too_large = || NoAnswer::TooLarge { base_url: base_url.clone() };
        if answer.content_length().is_some_and(|length| length > MAX_BODY as u64) {
            return Err(too_large());
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(no_answer)? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response {
            status: answer.status().as_u16(),
            log_id: text_of(answer.headers(), LOG_ID),
            rate_limit_reset: text_of(answer.headers(), RATE_LIMIT_RESET),
            date: text_of(answer.headers(), DATE.as_str()),
            body,
        })
    }

    fn no_answer(&self, base_url: &BaseUrl, error: reqwest::Error) -> NoAnswer {
        let base_url = base_url.clone();
        let cause = innermost(&error);
        if error.is_builder() {
            NoAnswer::NoClient { base_url, cause }
        } else if error.is_connect() {
            let advice = if cause.contains("UnknownIssuer") { UNKNOWN_ISSUER } else { "" };
            NoAnswer::NotConnected { base_url, cause: cause + advice }
        } else if error.is_timeout() {
            NoAnswer::TimedOut { base_url, seconds: self.timeouts.total.as_secs().max(1) }
        } else {
            NoAnswer::Broken { base_url, cause }
        }
    }
}

impl Platform for Http {
    async fn send(&self, base_url: &BaseUrl, request: Request) -> Result<Response, NoAnswer> {
        self.exchange(base_url, request).await
    }
}

/// What both clients have in common.
fn builder(timeouts: Timeouts) -> ClientBuilder {
    Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(timeouts.connect)
        .timeout(timeouts.total)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
}

/// No certificate is needed on loopback, and no proxy may be asked for it.
fn loopback_client(timeouts: Timeouts) -> Result<Client, String> {
    builder(timeouts).no_proxy().tls_certs_only([]).build().map_err(|error| innermost(&error))
}

/// Refuses a proxy that cannot be used: the library would pass over it, and send the secret past the proxy that
/// somebody meant. The value may hold a password, so it is not shown.
///
/// # Errors
/// A variable names no proxy that can be used; which, and what to write.
pub fn check_proxies(env: &dyn Fn(&str) -> Option<String>) -> Result<(), String> {
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        let Some(value) = env(name).filter(|value| !value.is_empty()) else { continue };
        let whole = if value.contains("://") { value } else { format!("http://{value}") };
        let is_usable = url::Url::parse(&whole)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some());
        if !is_usable {
            return Err(format!(
                "{name} is no address of an http proxy; write `http://HOST:PORT`, or unset it"
            ));
        }
    }
    Ok(())
}

fn https_client(ca_bundle: Option<&Path>, timeouts: Timeouts) -> Result<Client, String> {
    check_proxies(&|name| std::env::var(name).ok())?;
    let builder = builder(timeouts).https_only(true);
    let Some(path) = ca_bundle else {
        return builder.build().map_err(|error| {
            let cause = innermost(&error);
            let is_without = cause.contains("No CA certificates");
            if is_without { no_certificates(&|name| std::env::var_os(name)) } else { cause }
        });
    };
    let named = format!("the CA bundle `{}`", shown(&path.to_string_lossy()));
    let pem = read_bundle(path).map_err(|cause| format!("cannot read {named}: {cause}"))?;
    let certificates = Certificate::from_pem_bundle(&pem)
        .map_err(|error| format!("{named} is not PEM: {}", innermost(&error)))?;
    if certificates.is_empty() {
        return Err(format!("{named} holds no certificate; it must be a file of PEM certificates"));
    }
    // Beside a good bundle, a machine without certificates of its own is no error.
    builder
        .tls_certs_merge(certificates)
        .build()
        .map_err(|error| format!("{named} holds a certificate that cannot be used: {}", innermost(&error)))
}

/// Why there are none: what is set and holds none, before what could be set.
fn no_certificates(env: &dyn Fn(&str) -> Option<OsString>) -> String {
    let set = |name: &'static str| Some((name, env(name).filter(|value| !value.is_empty())?));
    match ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().find_map(set) {
        Some((name, value)) => format!(
            "{name} names `{}`, where no certificate can be read: correct it or unset it, or name a PEM file with --ca-bundle",
            shown(cut_bytes(&value.to_string_lossy(), MAX_CAUSE))
        ),
        None => NO_CERTIFICATES.into(),
    }
}

fn read_bundle(path: &Path) -> Result<Vec<u8>, String> {
    let mut pem = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_CA_BUNDLE + 1).read_to_end(&mut pem))
        .map_err(|error| error.to_string())?;
    if pem.len() as u64 > MAX_CA_BUNDLE {
        return Err(format!("it is larger than {MAX_CA_BUNDLE} bytes"));
    }
    Ok(pem)
}

fn authorization(base_url: &BaseUrl, token: &SecretString) -> Result<HeaderValue, NoAnswer> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret())).map_err(|_| {
        NoAnswer::NoClient {
            base_url: base_url.clone(),
            cause: "the token holds characters that no HTTP header can carry".into(),
        }
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn text_of(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// The innermost cause of an error, escaped: the outer ones only repeat the URL.
fn innermost(error: &reqwest::Error) -> String {
    let mut innermost: Option<&dyn Error> = error.source();
    while let Some(source) = innermost.and_then(Error::source) {
        innermost = Some(source);
    }
    let text = innermost.map_or_else(|| "the request could not be made".to_owned(), ToString::to_string);
    shown(cut_bytes(&text, MAX_CAUSE)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_that_cannot_be_used_is_an_error_and_never_passed_over() {
        let with = |value: &str| check_proxies(&|name| (name == "HTTPS_PROXY").then(|| value.to_owned()));
        for good in ["", "http://proxy:3128", "https://u:pw@proxy", "proxy:3128", "10.0.0.1:3128"] {
            assert_eq!(with(good), Ok(()), "{good}");
        }
        for bad in
            ["garbage x", "ftp://u:s3ntinel@proxy", "http://proxy:99999", "socks5://s3ntinel", "http://"]
        {
            let error = with(bad).unwrap_err();
            assert!(error.contains("HTTPS_PROXY") && !error.contains("s3ntinel"), "{error}");
        }
    }
}
