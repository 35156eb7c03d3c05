//! What the environment says of a shared state.

use std::ffi::OsString;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::trouble::{Kind, Trouble};

/// How a shared state is reached, beside its address.
#[derive(Debug, Clone)]
pub struct Settings {
    env: fn(&str) -> Option<OsString>,
    /// How long one request may take.
    pub timeout: Duration,
    /// How long a lease lasts without a sign of life.
    pub lease: Duration,
}

/// How a request says who asks.
#[derive(Debug, Clone)]
pub(super) enum Auth {
    None,
    Basic(String, SecretString),
    /// A header's name and its whole value.
    Header(String, SecretString),
}

/// The addresses and methods of Terraform's HTTP protocol for one state.
#[derive(Debug, Clone)]
pub(super) struct Protocol {
    pub lock: Url,
    pub unlock: Url,
    pub lock_method: String,
    pub unlock_method: String,
    pub update_method: String,
    pub auth: Auth,
    /// Whether a server without locks may be written to.
    pub goes_unlocked: bool,
}

impl Settings {
    /// Reads the environment.
    ///
    /// # Errors
    /// A time is none.
    pub fn new(env: fn(&str) -> Option<OsString>) -> Result<Self, Trouble> {
        let mut settings = Self { env, timeout: Duration::from_secs(30), lease: Duration::from_secs(60) };
        if let Some(timeout) = settings.seconds("LARKSUB_STATE_TIMEOUT", 1)? {
            settings.timeout = timeout;
        }
        if let Some(lease) = settings.seconds("LARKSUB_STATE_LEASE", 3)? {
            settings.lease = lease;
        }
        Ok(settings)
    }

    /// A variable that is set to something.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        (self.env)(name).and_then(|value| value.into_string().ok()).filter(|value| !value.is_empty())
    }

    fn seconds(&self, name: &str, least: u64) -> Result<Option<Duration>, Trouble> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let seconds = text.parse::<u64>().ok().filter(|seconds| (least..=600).contains(seconds));
        match seconds {
            Some(seconds) => Ok(Some(Duration::from_secs(seconds))),
            None => Err(Trouble::new(Kind::Setup, format!("cannot be reached: {name} is no time"))
                .hint(format!("{name} is a whole number of seconds, from {least} to 600"))),
        }
    }

    /// A secret, or the content of the file that `…_FILE` names.
    fn secret(&self, name: &str) -> Result<Option<SecretString>, Trouble> {
        let file = format!("{name}_FILE");
        match (self.text(name), self.text(&file)) {
            (Some(_), Some(_)) => {
                Err(Trouble::new(Kind::Setup, format!("cannot be reached: {name} and {file} are both set"))
                    .hint("leave one of them"))
            }
            (Some(text), None) => Ok(Some(text.into())),
            (None, Some(path)) => match std::fs::read_to_string(&path) {
                Ok(text) if !text.trim().is_empty() => Ok(Some(text.trim().into())),
                Ok(_) => {
                    Err(Trouble::new(Kind::Setup, format!("cannot be reached: the file of {file} is empty")))
                }
                Err(error) => Err(Trouble::new(
                    Kind::Setup,
                    format!("cannot be reached: the file of {file} cannot be read: {}", error.kind()),
                )),
            },
            (None, None) => Ok(None),
        }
    }

    /// What the environment says of the HTTP state at this address.
    pub(super) fn protocol(&self, url: &Url) -> Result<Protocol, Trouble> {
        // Terraform's variables may be there for another state: then its lock and its credentials are not ours.
        let terraforms = self.text("TF_HTTP_ADDRESS");
        let is_same = terraforms.as_deref().is_some_and(|text| Url::parse(text).ok().as_ref() == Some(url));
        let is_other = terraforms.is_some() && !is_same;
        let either = |name: &str| {
            let terraforms = || self.text(&format!("TF_HTTP_{name}")).filter(|_| !is_other);
            self.text(&format!("LARKSUB_STATE_{name}")).or_else(terraforms)
        };
        let address = |name: &str, default: Option<Url>| {
            let own = self.text(&format!("LARKSUB_STATE_{name}"));
            let inside = |text: &String| is_same || text.starts_with(url.as_str());
            let terraforms = self.text(&format!("TF_HTTP_{name}")).filter(inside);
            let Some(text) = own.or(terraforms) else { return Ok(default.unwrap_or_else(|| url.clone())) };
            let parsed = Url::parse(&text).ok();
            parsed.filter(|other| other.origin() == url.origin() && other.username().is_empty()).ok_or_else(|| {
                Trouble::new(
                    Kind::Setup,
                    format!("cannot be locked: the address in {name} is not on the same server, or holds a user name"),
                )
                .hint("the credentials of the state go there, too; give an address with the scheme, host and port of the state's")
            })
        };
        let is_gitlabs = is_gitlabs(url);
        let gitlabs = is_gitlabs.then(|| {
            let mut lock = url.clone();
            lock.set_path(&format!("{}/lock", url.path().trim_end_matches('/')));
            lock
        });
        let lock = address("LOCK_ADDRESS", gitlabs)?;
        let unlock = address("UNLOCK_ADDRESS", Some(lock.clone()))?;
        let method = |name: &str, default: &str| {
            let method = either(name).unwrap_or_else(|| default.into());
            let is_good = !method.is_empty() && method.chars().all(|c| c.is_ascii_uppercase());
            if is_good {
                return Ok(method);
            }
            Err(Trouble::new(Kind::Setup, format!("cannot be reached: {name} is no HTTP method"))
                .hint("a method is in capitals, such as POST"))
        };
        Ok(Protocol {
            lock,
            unlock,
            lock_method: method("LOCK_METHOD", if is_gitlabs { "POST" } else { "LOCK" })?,
            unlock_method: method("UNLOCK_METHOD", if is_gitlabs { "DELETE" } else { "UNLOCK" })?,
            update_method: method("UPDATE_METHOD", "POST")?,
            auth: self.auth(url, is_other)?,
            goes_unlocked: self.text("LARKSUB_STATE_ALLOW_UNLOCKED").is_some_and(|value| value == "1"),
        })
    }

    fn auth(&self, url: &Url, is_other: bool) -> Result<Auth, Trouble> {
        use secrecy::ExposeSecret as _;
        if let Some(token) = self.secret("LARKSUB_STATE_TOKEN")? {
            let name = self.text("LARKSUB_STATE_TOKEN_HEADER").unwrap_or_else(|| "Authorization".into());
            let is_bearer = name.eq_ignore_ascii_case("authorization");
            let value = if is_bearer { format!("Bearer {}", token.expose_secret()).into() } else { token };
            return Ok(Auth::Header(name, value));
        }
        let own = self.text("LARKSUB_STATE_USERNAME");
        let own_password = self.secret("LARKSUB_STATE_PASSWORD")?;
        let terraforms = |name: &str| self.text(name).filter(|_| !is_other);
        let username = own.or_else(|| terraforms("TF_HTTP_USERNAME"));
        let password = own_password.or_else(|| terraforms("TF_HTTP_PASSWORD").map(Into::into));
        match (username, password) {
            (Some(username), Some(password)) => Ok(Auth::Basic(username, password)),
            (Some(_), None) | (None, Some(_)) => Err(Trouble::new(
                Kind::Setup,
                "cannot be reached: of user name and password only one is given",
            )
            .hint("set both LARKSUB_STATE_USERNAME and LARKSUB_STATE_PASSWORD, or a LARKSUB_STATE_TOKEN")),
            (None, None) => Ok(self.job_token(url).unwrap_or(Auth::None)),
        }
    }

    /// Inside a GitLab job, for the state of that very server.
    fn job_token(&self, url: &Url) -> Option<Auth> {
        let api = Url::parse(&self.text("CI_API_V4_URL")?).ok()?;
        let token = self.text("CI_JOB_TOKEN")?;
        let is_there = api.origin() == url.origin() && url.path().starts_with(api.path());
        is_there.then(|| Auth::Basic("gitlab-ci-token".into(), token.into()))
    }
}

/// `…/api/v4/projects/ID/terraform/state/NAME`
fn is_gitlabs(url: &Url) -> bool {
    let parts: Vec<&str> = url.path().trim_matches('/').split('/').collect();
    let tail: Option<&[&str; 7]> = parts.last_chunk();
    matches!(tail, Some(["api", "v4", "projects", _, "terraform", "state", _]))
}
