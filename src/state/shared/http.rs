//! One document on a server, in the protocol that Terraform's HTTP backend speaks.
//!
//! The server's lock is what keeps two writers apart; the document is read back before the first write and after every
//! answer that does not say what became of it.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use secrecy::ExposeSecret as _;
use tokio::time::{Instant, sleep};
use url::Url;
use uuid::Uuid;

use super::answer::{TRIES, answer, innermost, pause, refused, told};
use super::document;
use super::lock_info::{LockInfo, holder};
use super::settings::{Auth, Protocol, Settings};
use super::trouble::{Holder, Kind, Trouble, exists, missing, not_theirs};
use crate::state::place::is_loopback;
use crate::text::shown;

/// A server's document.
#[derive(Debug)]
pub(super) struct Http {
    client: Client,
    url: Url,
    protocol: Protocol,
}

/// The same under its lock.
#[derive(Debug, Clone)]
pub(super) struct Locked {
    http: Arc<Http>,
    info: LockInfo,
    /// Whether the server locks at all.
    has_lock: bool,
    lineage: Uuid,
}

/// What a request came to that was not answered as it should be.
enum Bad {
    /// Nobody can say what the server did.
    Open(String),
    /// It did not do it.
    Definite(StatusCode, Vec<u8>),
}

impl Http {
    /// Nothing is asked of the server yet.
    pub fn new(url: Url, settings: &Settings) -> Result<Self, Trouble> {
        let protocol = settings.protocol(&url)?;
        let builder = Client::builder()
            .user_agent(concat!("larksub/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(settings.timeout.min(Duration::from_secs(10)))
            .timeout(settings.timeout);
        let builder = match url.scheme() {
            "http" if is_loopback(&url) => builder.no_proxy().tls_certs_only([]),
            _ => builder,
        };
        let client = builder.build().map_err(|error| {
            Trouble::new(Kind::Setup, format!("cannot be reached: {}", innermost(&error))).hint(
                "a machine without CA certificates needs the package `ca-certificates`, or SSL_CERT_FILE",
            )
        })?;
        Ok(Self { client, url, protocol })
    }

    fn request(&self, method: &str, url: &Url) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap_or(Method::POST);
        let request = self.client.request(method, url.clone());
        match &self.protocol.auth {
            Auth::None => request,
            Auth::Basic(user, password) => request.basic_auth(user, Some(password.expose_secret())),
            Auth::Header(name, value) => request.header(name, value.expose_secret()),
        }
    }

    /// The ledger's bytes.
    pub async fn read(&self) -> Result<Vec<u8>, Trouble> {
        self.get().await?.ok_or_else(missing)
    }

    /// The same; none where there is no document.
    async fn get(&self) -> Result<Option<Vec<u8>>, Trouble> {
        let mut last = String::new();
        for attempt in 0..TRIES {
            pause(attempt).await;
            match answer(self.request("GET", &self.url)).await {
                Ok((StatusCode::OK, body)) if body.is_empty() => {
                    return Err(Trouble::new(
                        Kind::Read,
                        "cannot be read: the server answered 200 with nothing in it",
                    )
                    .hint("a state that is not there is a 404 or a 204; nothing is never taken for \"nothing is subscribed\""));
                }
                Ok((StatusCode::OK, body)) => {
                    return document::read(&body).map(Some).map_err(|what| {
                        Trouble::new(Kind::Read, format!("cannot be read: what is there {}", shown(&what)))
                            .hint("nothing was changed; name the right address with --state")
                    });
                }
                Ok((StatusCode::NO_CONTENT | StatusCode::NOT_FOUND, _)) => return Ok(None),
                Ok((status, body)) if !status.is_server_error() => {
                    return Err(refused("cannot be read", status, &body));
                }
                Ok((status, body)) => last = told(status, &body),
                Err(why) => last = why,
            }
        }
        Err(Trouble::new(Kind::Read, format!("cannot be read: {last} ({TRIES} tries)"))
            .hint("run this again when the server answers; nothing was changed"))
    }

    async fn lock_once(&self, info: &LockInfo) -> Result<bool, Trouble> {
        let mut last = String::new();
        for attempt in 0..TRIES {
            pause(attempt).await;
            let request = self.request(&self.protocol.lock_method, &self.protocol.lock).json(info);
            match answer(request).await {
                Ok((status, _)) if status.is_success() => return Ok(true),
                Ok((StatusCode::LOCKED | StatusCode::CONFLICT, body)) => {
                    let holder = holder(&body);
                    // An earlier try of ours took it, and its answer was lost.
                    if holder.id == info.id && attempt > 0 {
                        return Ok(true);
                    }
                    return Err(Trouble::held(holder));
                }
                Ok((
                    status @ (StatusCode::NOT_FOUND
                    | StatusCode::METHOD_NOT_ALLOWED
                    | StatusCode::NOT_IMPLEMENTED),
                    _,
                )) => {
                    if self.protocol.goes_unlocked {
                        return Ok(false);
                    }
                    let method = &self.protocol.lock_method;
                    return Err(Trouble::new(
                        Kind::Setup,
                        format!("cannot be locked: {method} was answered with {}", status.as_u16()),
                    )
                    .hint("without a lock two writers could each undo what the other wrote; LARKSUB_STATE_LOCK_ADDRESS and LARKSUB_STATE_LOCK_METHOD say how this server locks")
                    .hint("where the address is right and only ever one writes: LARKSUB_STATE_ALLOW_UNLOCKED=1; each write is then compared before and after"));
                }
                Ok((status, body)) if !status.is_server_error() => {
                    return Err(refused("cannot be locked", status, &body));
                }
                Ok((status, body)) => last = told(status, &body),
                Err(why) => last = why,
            }
        }
        // One of the tries may have taken it.
        let _ = answer(self.request(&self.protocol.unlock_method, &self.protocol.unlock).json(info)).await;
        Err(Trouble::new(Kind::Read, format!("cannot be locked: {last} ({TRIES} tries)"))
            .hint("run this again when the server answers; nothing was changed"))
    }

    async fn take(self, who: &Holder, wait: Duration) -> Result<Locked, Trouble> {
        let info = LockInfo::of(who);
        let until = Instant::now().checked_add(wait);
        let has_lock = loop {
            match self.lock_once(&info).await {
                Err(trouble)
                    if trouble.kind == Kind::Held && until.is_none_or(|until| Instant::now() < until) =>
                {
                    let left = until.map_or(Duration::MAX, |until| until.duration_since(Instant::now()));
                    sleep(left.min(Duration::from_millis(500))).await;
                }
                came => break came?,
            }
        };
        Ok(Locked { http: Arc::new(self), info, has_lock, lineage: Uuid::nil() })
    }

    /// Takes the lock and reads the ledger.
    pub async fn lock(self, who: &Holder, wait: Duration) -> Result<(Locked, Vec<u8>), Trouble> {
        let mut locked = self.take(who, wait).await?;
        match locked.http.read().await {
            Ok(content) => {
                locked.lineage = lineage(&content);
                Ok((locked, content))
            }
            Err(trouble) => {
                locked.unlock().await;
                Err(trouble)
            }
        }
    }

    /// Puts the first document there.
    pub async fn create(self, who: &Holder, content: Vec<u8>) -> Result<(), Trouble> {
        let mut locked = self.take(who, Duration::from_millis(200)).await?;
        locked.lineage = lineage(&content);
        let created = match locked.http.get().await {
            Ok(None) => {
                let serial = last_seq(&content);
                locked.append(content, 0, serial, true).await.map(drop)
            }
            Ok(Some(_)) => Err(exists()),
            Err(trouble) => Err(trouble),
        };
        locked.unlock().await;
        created
    }

    /// Unlocks what this id locks.
    pub async fn force_unlock(&self, id: &str) -> Result<Holder, Trouble> {
        let probe = LockInfo {
            id: Uuid::new_v4().to_string(),
            operation: "state unlock".into(),
            ..LockInfo::default()
        };
        let release = async |info: &LockInfo| {
            answer(self.request(&self.protocol.unlock_method, &self.protocol.unlock).json(info)).await
        };
        let theirs = match self.lock_once(&probe).await {
            Ok(has_lock) => {
                if has_lock {
                    let _ = release(&probe).await;
                }
                return Err(Trouble::new(Kind::NotTheirs, "is not locked").hint("there is nothing to unlock"));
            }
            Err(trouble) => match trouble.holder {
                Some(holder) if holder.id == id => *holder,
                Some(holder) => return Err(not_theirs(&holder)),
                None => return Err(trouble),
            },
        };
        match release(&LockInfo::of(&theirs)).await {
            Ok((status, _)) if status.is_success() => Ok(theirs),
            Ok((status, body)) => Err(refused("cannot be unlocked", status, &body).writing()),
            Err(why) => Err(Trouble::new(Kind::Write, format!("cannot be unlocked: {why}"))),
        }
    }
}

impl Locked {
    /// Posts the whole ledger, of which the bytes from `old` on are new. Gives it back once it is stored.
    pub async fn append(
        &self,
        content: Vec<u8>,
        old: usize,
        serial: u64,
        is_first: bool,
    ) -> Result<Vec<u8>, Trouble> {
        let body = document::write(&content, serial, self.lineage)
            .map_err(|why| Trouble::new(Kind::Write, format!("cannot be written: {why}")))?;
        let before = content.get(..old).unwrap_or_default();
        if is_first || !self.has_lock {
            match self.stands(before, &content).await? {
                Stands::Before => {}
                Stands::After | Stands::Other => return Err(moved()),
            }
        }
        let mut last = String::new();
        for attempt in 0..TRIES {
            pause(attempt).await;
            match self.post(&body).await {
                Ok(()) if is_first || !self.has_lock => {
                    return match self.stands(before, &content).await? {
                        Stands::After => Ok(content),
                        Stands::Before => Err(Trouble::new(
                            Kind::Write,
                            "cannot be written: the server said that it stored a document, and does not hold it",
                        )
                        .hint("nothing was sent; this server cannot be relied on")),
                        Stands::Other => Err(moved()),
                    };
                }
                Ok(()) => return Ok(content),
                Err(Bad::Definite(status, body)) => {
                    return Err(match status {
                        StatusCode::LOCKED | StatusCode::CONFLICT if attempt == 0 => {
                            Trouble::lost(format!("was locked by somebody else meanwhile: {}", holder(&body)))
                        }
                        // The serial of a try that was stored may be taken for a conflict.
                        StatusCode::LOCKED | StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => {
                            match self.stands(before, &content).await? {
                                Stands::After => return Ok(content),
                                Stands::Before | Stands::Other => moved(),
                            }
                        }
                        _ => refused("cannot be written", status, &body).writing(),
                    });
                }
                Err(Bad::Open(why)) => {
                    last = why;
                    match self.stands(before, &content).await {
                        Ok(Stands::After) => return Ok(content),
                        Ok(Stands::Other) => return Err(moved()),
                        Ok(Stands::Before) => {}
                        Err(trouble) => last = format!("{last}; then it {trouble}"),
                    }
                }
            }
        }
        Err(Trouble::new(Kind::Write, format!("cannot be written: {last} ({TRIES} tries)")))
    }

    async fn post(&self, body: &[u8]) -> Result<(), Bad> {
        let mut url = self.http.url.clone();
        if self.has_lock {
            url.query_pairs_mut().append_pair("ID", &self.info.id);
        }
        let request = self.http.request(&self.http.protocol.update_method, &url);
        let request = request.header("content-type", "application/json").body(body.to_vec());
        match answer(request).await {
            Ok((status, _)) if status.is_success() => Ok(()),
            Ok((status, body)) if status.is_server_error() => Err(Bad::Open(told(status, &body))),
            Ok((status, body)) => Err(Bad::Definite(status, body)),
            Err(why) => Err(Bad::Open(why)),
        }
    }

    /// What the server holds now.
    async fn stands(&self, before: &[u8], after: &[u8]) -> Result<Stands, Trouble> {
        let now = self.http.get().await.map_err(Trouble::writing)?.unwrap_or_default();
        Ok(match now {
            now if now == after => Stands::After,
            now if now == before => Stands::Before,
            _ => Stands::Other,
        })
    }

    /// Whether the server holds this, and nothing else.
    pub async fn prove(&self, content: &[u8]) -> Result<(), Trouble> {
        match self.stands(content, content).await? {
            Stands::After | Stands::Before => Ok(()),
            Stands::Other => Err(moved()),
        }
    }

    /// Gives the lock back.
    pub async fn unlock(&self) {
        if !self.has_lock {
            return;
        }
        for attempt in 0..TRIES {
            pause(attempt).await;
            let Protocol { unlock_method, unlock, .. } = &self.http.protocol;
            match answer(self.http.request(unlock_method, unlock).json(&self.info)).await {
                Ok((status, _)) if !status.is_server_error() => return,
                _ => {}
            }
        }
    }
}

enum Stands {
    Before,
    After,
    Other,
}

fn moved() -> Trouble {
    Trouble::lost("is not what it was: somebody else wrote to it under this lock")
}

/// The lineage that the first line names.
fn lineage(content: &[u8]) -> Uuid {
    let first = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line: Option<serde_json::Value> = serde_json::from_slice(first).ok();
    let named = line.as_ref().and_then(|line| line.pointer("/records/0/lineage")).and_then(|it| it.as_str());
    named.and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// `seq` of the last line.
fn last_seq(content: &[u8]) -> u64 {
    let last = content.strip_suffix(b"\n").unwrap_or(content).rsplit(|byte| *byte == b'\n').next();
    let line: Option<serde_json::Value> = last.and_then(|line| serde_json::from_slice(line).ok());
    line.as_ref().and_then(|line| line.get("seq")).and_then(serde_json::Value::as_u64).unwrap_or(0)
}
