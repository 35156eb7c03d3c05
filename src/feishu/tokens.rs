//! Tokens: obtained with a credential, kept until shortly before they expire.
//!
//! A custom app's secret gives a tenant token. A store app's secret and ticket give an app token, and that one a
//! tenant token for each tenant. A ready-made tenant token is used as it is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::answer::{Answer, Lost, StopReason, StopScope, Verdict};
use super::codes::{Issued, TokenCall, is_token, judge_token};
use super::token_error::TokenError;
use super::{Method, NoAnswer, Platform, Request};
use crate::credentials::{Credential, SecretSource};
use crate::subscription::{AppId, AppIdentity, AppKind, AppLabel, BaseUrl, TenantKey};

/// How often a token is asked for before it counts as unreachable.
const TRIES: u32 = 3;
/// The pause after the first try without a verdict; it doubles.
const BACK_OFF: Duration = Duration::from_secs(1);

/// No token lives longer. Source: the pages of the token calls.
const LONGEST_LIFE: Duration = Duration::from_secs(7200);
/// A cached token is dropped this long before it expires, as the official SDKs do.
const MARGIN: Duration = Duration::from_secs(600);
/// For how long a token is kept whose answer does not say how long it lives.
const UNSAID_LIFE: Duration = Duration::from_secs(60);
/// Calls that left with the refused token have all been answered by then, or given up.
const RENEWED_LATELY: Duration = Duration::from_secs(30);

/// An app as its calls need it.
#[derive(Debug, Clone)]
pub struct App {
    /// What people call it.
    pub label: AppLabel,
    /// The platform's id of it.
    pub app_id: AppId,
    /// Where its platform answers.
    pub base_url: BaseUrl,
    /// Custom or store.
    pub kind: AppKind,
    /// With what its tokens are obtained.
    pub credential: Credential,
}

impl App {
    fn identity(&self) -> AppIdentity {
        AppIdentity { app_id: self.app_id.clone(), base_url: self.base_url.clone() }
    }
}

/// The tokens of all apps and tenants of a run.
///
/// Whoever needs one waits for whoever is fetching the same, so nothing is asked for twice.
#[derive(Debug, Default)]
pub struct Tokens {
    tenant_tokens: Mutex<BTreeMap<(AppIdentity, Option<TenantKey>), Slot>>,
    // Taken while a tenant's slot is held, never the other way round.
    app_tokens: Mutex<BTreeMap<AppIdentity, Slot>>,
}

type Slot = Arc<tokio::sync::Mutex<Option<Live>>>;

/// A token, and when to stop using it; never where that is not known, as of a ready-made one.
#[derive(Debug)]
struct Live {
    token: SecretString,
    until: Option<Instant>,
    /// When it took the place of one that was refused.
    renewed: Option<Instant>,
}

impl Live {
    fn new(issued: Issued) -> Self {
        let until = Instant::now().checked_add(kept_for(issued.expire));
        Self { token: issued.token, until, renewed: None }
    }

    fn fresh(&self) -> Option<&SecretString> {
        self.until.is_none_or(|until| Instant::now() < until).then_some(&self.token)
    }

    fn is_just_renewed(&self) -> bool {
        self.renewed.is_some_and(|renewed| renewed.elapsed() < RENEWED_LATELY)
    }
}

impl Tokens {
    /// A tenant token that is good now: the cached one, or a new one.
    pub async fn get<P: Platform>(
        &self,
        platform: &P,
        app: &App,
        tenant: Option<&TenantKey>,
    ) -> Result<SecretString, TokenError> {
        let slot = slot(&self.tenant_tokens, (app.identity(), tenant.cloned()));
        let mut live = slot.lock().await;
        if let Some(token) = live.as_ref().and_then(Live::fresh) {
            return Ok(token.clone());
        }
        let new = self.fetch(platform, app, tenant).await?;
        Ok(live.insert(new).token.clone())
    }

    /// A new tenant token in place of one that was refused. Of several calls whose token is refused only the
    /// first has it renewed; the others, for a while, get what that one got. So a call whose token is refused
    /// twice has had its chance, and the caller stops there. A ready-made token cannot be renewed, except from
    /// a file that has changed.
    pub async fn renew<P: Platform>(
        &self,
        platform: &P,
        app: &App,
        tenant: Option<&TenantKey>,
    ) -> Result<SecretString, TokenError> {
        let slot = slot(&self.tenant_tokens, (app.identity(), tenant.cloned()));
        let mut live = slot.lock().await;
        if let Some(live) = live.as_ref().filter(|live| live.is_just_renewed()) {
            return Ok(live.token.clone());
        }
        let refused = live.take();
        let mut new = self.fetch(platform, app, tenant).await?;
        let is_same = refused.is_some_and(|old| old.token.expose_secret() == new.token.expose_secret());
        if is_same && matches!(app.credential, Credential::Token(_)) {
            *live = Some(new);
            return Err(TokenError::NotRenewable { app: app.label.clone() });
        }
        new.renewed = Some(Instant::now());
        Ok(live.insert(new).token.clone())
    }

    async fn fetch<P: Platform>(
        &self,
        platform: &P,
        app: &App,
        tenant: Option<&TenantKey>,
    ) -> Result<Live, TokenError> {
        match (app.kind, &app.credential, tenant) {
            (AppKind::Custom, _, Some(_)) => Err(not_configured(app, "a custom app has one tenant, its own")),
            (AppKind::Store, _, None) => Err(not_configured(app, "a store app's calls name a tenant")),
            (_, Credential::Token(source), _) => ready_made(app, source),
            (AppKind::Custom, Credential::Secret(secret), None) => {
                Ok(Live::new(custom_token(platform, app, secret).await?))
            }
            (AppKind::Store, Credential::SecretAndTicket { secret, ticket }, Some(tenant)) => {
                Ok(Live::new(self.store_token(platform, app, secret, ticket, tenant).await?))
            }
            (AppKind::Custom, Credential::SecretAndTicket { .. }, None) => {
                Err(not_configured(app, "a custom app has no ticket"))
            }
            (AppKind::Store, Credential::Secret(_), Some(_)) => {
                Err(not_configured(app, "a store app also needs its ticket"))
            }
        }
    }

    /// A tenant token by way of the app token. Where the app token came from the cache and a credential is
    /// refused, it may be the app token that is meant: it is fetched anew once.
    async fn store_token<P: Platform>(
        &self,
        platform: &P,
        app: &App,
        secret: &SecretSource,
        ticket: &SecretSource,
        tenant: &TenantKey,
    ) -> Result<Issued, TokenError> {
        let (first, is_new) = self.app_token(platform, app, secret, ticket, None).await?;
        match tenant_token(platform, app, &first, tenant).await {
            Err(TokenError::Refused { reason: StopReason::Credential, .. }) if !is_new => {
                let (second, _) = self.app_token(platform, app, secret, ticket, Some(&first)).await?;
                tenant_token(platform, app, &second, tenant).await
            }
            result => result,
        }
    }

    /// A store app's app token other than `refused`, and whether it was fetched just now.
    async fn app_token<P: Platform>(
        &self,
        platform: &P,
        app: &App,
        secret: &SecretSource,
        ticket: &SecretSource,
        refused: Option<&SecretString>,
    ) -> Result<(SecretString, bool), TokenError> {
        let slot = slot(&self.app_tokens, app.identity());
        let mut live = slot.lock().await;
        let is_refused = |token: &&SecretString| {
            refused.is_some_and(|refused| refused.expose_secret() == token.expose_secret())
        };
        if let Some(token) = live.as_ref().and_then(Live::fresh).filter(|token| !is_refused(token)) {
            return Ok((token.clone(), false));
        }
        let new = Live::new(app_token(platform, app, secret, ticket).await?);
        Ok((live.insert(new).token.clone(), true))
    }
}

/// The slot of a key, made on first need. No code can panic while the map is locked.
fn slot<K: Ord>(slots: &Mutex<BTreeMap<K, Slot>>, key: K) -> Slot {
    slots.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().clone()
}

fn ready_made(app: &App, source: &SecretSource) -> Result<Live, TokenError> {
    let token = read(app, source)?;
    if !is_token(token.expose_secret()) {
        return Err(not_configured(
            app,
            "the ready-made tenant token is no token: it must be visible ASCII of up to 8 KiB, on one line",
        ));
    }
    Ok(Live { token, until: None, renewed: None })
}

async fn custom_token<P: Platform>(
    platform: &P,
    app: &App,
    secret: &SecretSource,
) -> Result<Issued, TokenError> {
    #[derive(Serialize)]
    struct Body<'a> {
        app_id: &'a str,
        app_secret: &'a str,
    }
    let secret = read(app, secret)?;
    let body = Body { app_id: app.app_id.as_str(), app_secret: secret.expose_secret() };
    let request = post("/open-apis/auth/v3/tenant_access_token/internal", &body);
    ask(platform, app, None, TokenCall::CustomTenant, &request, &[&secret]).await
}

async fn app_token<P: Platform>(
    platform: &P,
    app: &App,
    secret: &SecretSource,
    ticket: &SecretSource,
) -> Result<Issued, TokenError> {
    #[derive(Serialize)]
    struct Body<'a> {
        app_id: &'a str,
        app_secret: &'a str,
        app_ticket: &'a str,
    }
    let (secret, ticket) = (read(app, secret)?, read(app, ticket)?);
    let body = Body {
        app_id: app.app_id.as_str(),
        app_secret: secret.expose_secret(),
        app_ticket: ticket.expose_secret(),
    };
    let request = post("/open-apis/auth/v3/app_access_token", &body);
    ask(platform, app, None, TokenCall::StoreApp, &request, &[&secret, &ticket]).await
}

async fn tenant_token<P: Platform>(
    platform: &P,
    app: &App,
    app_token: &SecretString,
    tenant: &TenantKey,
) -> Result<Issued, TokenError> {
    #[derive(Serialize)]
    struct Body<'a> {
        app_access_token: &'a str,
        tenant_key: &'a str,
    }
    let body = Body { app_access_token: app_token.expose_secret(), tenant_key: tenant.as_str() };
    let request = post("/open-apis/auth/v3/tenant_access_token", &body);
    ask(platform, app, Some(tenant), TokenCall::StoreTenant, &request, &[app_token]).await
}

fn post(path: &str, body: &impl Serialize) -> Request {
    // Structs of strings always become JSON.
    let json = serde_json::to_string(body).unwrap_or_default();
    Request { method: Method::Post, path: path.into(), bearer: None, json: Some(json.into()) }
}

/// Asks for a token, a few times where no verdict comes or a rate limit asks for a pause. Asking twice does no
/// harm: the platform answers with the same token or another good one.
async fn ask<P: Platform>(
    platform: &P,
    app: &App,
    tenant: Option<&TenantKey>,
    call: TokenCall,
    request: &Request,
    secrets: &[&SecretString],
) -> Result<Issued, TokenError> {
    let mut back_off = BACK_OFF;
    let mut tries = 0;
    loop {
        tries += 1;
        let response = platform.send(&app.base_url, request.clone()).await;
        let (answer, issued) = judge_token(call, &response, secrets);
        if let Some(issued) = issued {
            return Ok(issued);
        }
        let (pause, cause) = match (&answer.verdict, &response) {
            (_, Err(no_answer @ NoAnswer::NoClient { .. })) => {
                return Err(TokenError::NoClient { app: app.label.clone(), cause: no_answer.clone() });
            }
            (Verdict::RateLimited { reset }, _) => (*reset, "token requests are rate limited".to_owned()),
            (Verdict::NoVerdict(lost), _) => (back_off, unreachable_cause(lost, &answer)),
            (Verdict::Stop(scope, reason), _) => {
                let (scope, reason) = (*scope, *reason);
                return Err(refused(app, tenant, scope, reason, answer));
            }
            // A tenant token that is asked for with an app token which is refused.
            (_, _) => return Err(refused(app, tenant, call.scope(), StopReason::Credential, answer)),
        };
        if tries >= TRIES {
            return Err(TokenError::Unreachable {
                app: app.label.clone(),
                tries,
                cause,
                scope: call.scope(),
            });
        }
        sleep(pause).await;
        back_off *= 2;
    }
}

fn unreachable_cause(lost: &Lost, answer: &Answer) -> String {
    match answer.facts() {
        facts if facts.is_empty() => lost.to_string(),
        facts => format!("{lost} ({facts})"),
    }
}

fn refused(
    app: &App,
    tenant: Option<&TenantKey>,
    scope: StopScope,
    reason: StopReason,
    answer: Answer,
) -> TokenError {
    TokenError::Refused {
        app: app.label.clone(),
        tenant: tenant.cloned(),
        scope,
        reason,
        answer: Box::new(answer),
    }
}

fn not_configured(app: &App, what: &'static str) -> TokenError {
    TokenError::NotConfigured { app: app.label.clone(), what }
}

fn read(app: &App, source: &SecretSource) -> Result<SecretString, TokenError> {
    source.read().map_err(|cause| TokenError::SecretUnreadable { app: app.label.clone(), cause })
}

/// For how long a token is kept, by what its answer says of its life in seconds. Shorter lives than the margin
/// allows are halved rather than trusted to the last second.
fn kept_for(expire: Option<i64>) -> Duration {
    let life = match expire.and_then(|seconds| u64::try_from(seconds).ok()) {
        None | Some(0) => return UNSAID_LIFE,
        Some(seconds) => Duration::from_secs(seconds).min(LONGEST_LIFE),
    };
    if life > 2 * MARGIN { life - MARGIN } else { life / 2 }
}

#[cfg(test)]
mod tests;
