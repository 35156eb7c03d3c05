//! What the platform answers to which request: pure, in memory, with the time as an argument.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};

use super::codes::{self, Refusal};
use super::faults::{Faults, What};
use super::latency::Latency;
use super::quota::{Exceeded, Quota};
use super::random::Random;
use super::reply::{Answer, Behaviour, Call, RATE_LIMIT, RATE_LIMIT_RESET, Reply};
use super::route::{Api, route};
use super::subscriptions::{Change, Subscriptions, Tracked};
use super::tokens::{Holder, Kind, Tokens};
use super::{App, Config};
use crate::subscription::{AppId, ApprovalCode};
use crate::text::cut_bytes;

/// One request, as it came off the wire.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The path, without a query.
    pub path: &'a str,
    /// The header `Authorization`.
    pub authorization: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
}

/// The platform: everything it remembers, and what it answers.
#[derive(Debug)]
pub struct Rules {
    apps: Vec<App>,
    slow: Duration,
    latency: Latency,
    latencies: Random,
    log_ids: Random,
    tokens: Tokens,
    quota: Quota,
    faults: Faults,
    subscriptions: Subscriptions,
    names: BTreeMap<ApprovalCode, String>,
    calls: Vec<Call>,
}

/// The JSON of the calls that give tokens; `null` is as good as absent, what a call does not need is ignored.
#[derive(Deserialize)]
struct TokenRequest {
    app_id: Option<String>,
    app_secret: Option<String>,
    app_ticket: Option<String>,
    app_access_token: Option<String>,
    tenant_key: Option<String>,
}

/// How much the fault `huge` adds to an answer.
const PADDING: usize = 4 * 1024 * 1024;

/// How much of a method or a path the log keeps.
const MAX_LOGGED: usize = 512;

impl Rules {
    /// A platform at its start.
    pub fn new(config: Config) -> Self {
        let Config {
            apps,
            subscribed,
            names,
            limit,
            window,
            window_length,
            latency,
            faults,
            slow,
            token_lifetime,
            seed,
        } = config;
        // Each purpose has its own sequence, so that a drawn latency does not change a token.
        let mut seeds = Random::new(seed);
        Self {
            apps,
            slow,
            latency,
            latencies: Random::new(seeds.next()),
            log_ids: Random::new(seeds.next()),
            tokens: Tokens::new(token_lifetime, Random::new(seeds.next())),
            quota: Quota::new(window, limit, window_length),
            faults: Faults::new(faults),
            subscriptions: Subscriptions::new(subscribed),
            names,
            calls: Vec::new(),
        }
    }

    /// How long the next call is under way, there and back.
    pub fn draw_latency(&mut self) -> (Duration, Duration) {
        self.latency.draw(&mut self.latencies)
    }

    /// Every call so far, in the order of arrival.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// Whether events of an approval reach this app.
    pub fn is_subscribed(&self, one: &Tracked) -> bool {
        self.subscriptions.is_live(one)
    }

    /// Answers a request that arrives `now`, counted from any fixed moment.
    pub fn answer(&mut self, now: Duration, request: &Request<'_>) -> Reply {
        let log_id = format!("{}{}", self.log_ids.hex(), self.log_ids.hex()).to_ascii_uppercase();
        let mut call = Call {
            at: now,
            method: cut_bytes(request.method, MAX_LOGGED).to_owned(),
            path: cut_bytes(request.path, MAX_LOGGED).to_owned(),
            api: None,
            app_id: None,
            tenant_key: None,
            approval_code: None,
            status: 0,
            code: None,
            fault: None,
        };
        let (answer, behaviour) = self.answer_call(now, request, &log_id, &mut call);
        call.status = answer.status;
        call.code = answer.code();
        self.calls.push(call.clone());
        answer.into_reply(log_id, behaviour, call)
    }

    fn answer_call(
        &mut self,
        now: Duration,
        request: &Request<'_>,
        log_id: &str,
        call: &mut Call,
    ) -> (Answer, Behaviour) {
        let Some((api, code)) = route(request.method, request.path) else {
            let not_found = Answer::text(404, "text/plain; charset=utf-8", "404 page not found");
            return (not_found, Behaviour::Plain);
        };
        call.api = Some(api);
        match code {
            Some(code) => self.answer_approval(now, request, api, code, log_id, call),
            None => {
                let answer = match self.answer_token(now, request, api, call) {
                    Ok(body) => Answer::success(body),
                    Err(refusal) => Answer::refused(refusal, log_id),
                };
                (answer, Behaviour::Plain)
            }
        }
    }

    /// The calls that give tokens.
    fn answer_token(
        &mut self,
        now: Duration,
        request: &Request<'_>,
        api: Api,
        call: &mut Call,
    ) -> Result<Value, Refusal> {
        // The body alone counts: an official SDK sends it without a content type.
        let asked: TokenRequest = serde_json::from_slice(request.body).map_err(|_| codes::APP_ID_INVALID)?;
        if api == Api::StoreTenantToken {
            return self.answer_store_tenant_token(now, &asked, call);
        }
        let app_id: AppId = text(&asked.app_id).parse().map_err(|_| codes::APP_ID_INVALID)?;
        call.app_id = Some(app_id.clone());
        let is_store = api != Api::CustomTenantToken;
        let ticket = (api == Api::StoreAppToken).then_some(text(&asked.app_ticket));
        self.check_credential(&app_id, text(&asked.app_secret), is_store, ticket)?;
        match api {
            Api::StoreAppToken => {
                let holder = Holder { kind: Kind::App, app_id, tenant_key: None };
                let (token, expire) = self.tokens.issue(now, holder);
                Ok(json!({ "code": 0, "msg": "ok", "app_access_token": token, "expire": expire }))
            }
            Api::CustomTenantToken => {
                Ok(self.tenant_token(now, Holder { kind: Kind::Tenant, app_id, tenant_key: None }))
            }
            // Nobody listens for the ticket here: it is the one that the sandbox was started with.
            _ => Ok(json!({ "code": 0, "msg": "ok" })),
        }
    }

    fn answer_store_tenant_token(
        &mut self,
        now: Duration,
        asked: &TokenRequest,
        call: &mut Call,
    ) -> Result<Value, Refusal> {
        let app_id = match self.tokens.holder(now, text(&asked.app_access_token)) {
            Some(holder) if holder.kind == Kind::App => holder.app_id.clone(),
            _ => return Err(codes::APP_ACCESS_TOKEN_INVALID),
        };
        call.app_id = Some(app_id.clone());
        let tenant_key = Some(text(&asked.tenant_key).parse().map_err(|_| codes::APP_ID_INVALID)?);
        call.tenant_key.clone_from(&tenant_key);
        Ok(self.tenant_token(now, Holder { kind: Kind::Tenant, app_id, tenant_key }))
    }

    fn tenant_token(&mut self, now: Duration, holder: Holder) -> Value {
        let (token, expire) = self.tokens.issue(now, holder);
        json!({ "code": 0, "msg": "ok", "tenant_access_token": token, "expire": expire })
    }

    /// Whether this is an app of the sandbox, of that kind, with its secret and, where asked for, its ticket.
    fn check_credential(
        &self,
        app_id: &AppId,
        secret: &str,
        is_store: bool,
        ticket: Option<&str>,
    ) -> Result<(), Refusal> {
        if self.apps.is_empty() {
            return match (secret, ticket) {
                ("", _) => Err(codes::SECRET_INVALID),
                (_, Some("")) => Err(codes::TICKET_INVALID),
                _ => Ok(()),
            };
        }
        let app = self.apps.iter().find(|app| app.app_id == *app_id).ok_or(codes::APP_ID_INVALID)?;
        if app.secret.expose_secret() != secret {
            return Err(codes::SECRET_INVALID);
        }
        if app.ticket.is_some() != is_store {
            return Err(codes::APP_KIND_WRONG);
        }
        match (&app.ticket, ticket) {
            (Some(right), Some(given)) if right.expose_secret() != given => Err(codes::TICKET_INVALID),
            _ => Ok(()),
        }
    }

    /// The calls of one approval: token, quota, faults on purpose, and only then what was asked.
    fn answer_approval(
        &mut self,
        now: Duration,
        request: &Request<'_>,
        api: Api,
        code: &str,
        log_id: &str,
        call: &mut Call,
    ) -> (Answer, Behaviour) {
        let refused = |refusal| (Answer::refused(refusal, log_id), Behaviour::Plain);
        let code = code.parse::<ApprovalCode>();
        call.approval_code = code.as_ref().ok().cloned();
        let holder = match self.authorised(now, request.authorization) {
            Ok(holder) => holder,
            Err(refusal) => return refused(refusal),
        };
        call.app_id = Some(holder.app_id.clone());
        call.tenant_key.clone_from(&holder.tenant_key);
        let key = (holder.app_id.clone(), holder.tenant_key.clone(), api);
        if let Err(Exceeded { reset }) = self.quota.take(now, key) {
            return (self.rate_limited(codes::RATE_LIMITED, reset, log_id), Behaviour::Plain);
        }
        let Ok(approval_code) = code else { return refused(codes::PARAM_INVALID) };
        call.fault = self.faults.take(&approval_code);
        let one = Tracked { app_id: holder.app_id, tenant_key: holder.tenant_key, approval_code };
        match call.fault {
            None => (self.do_as_asked(api, one, "ACTIVE", log_id), Behaviour::Plain),
            Some(what) => self.misbehave(what, api, one, log_id),
        }
    }

    /// Whom the `Authorization` header speaks for.
    fn authorised(&self, now: Duration, authorization: Option<&str>) -> Result<Holder, Refusal> {
        let header = authorization.unwrap_or_default().trim();
        let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
        let token = token.trim();
        if header.is_empty() || (token.is_empty() && scheme.eq_ignore_ascii_case("bearer")) {
            return Err(codes::TOKEN_MISSING);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(codes::TOKEN_MALFORMED);
        }
        match token.split_once('-') {
            Some(("t", _)) => self.tokens.holder(now, token).cloned().ok_or(codes::TENANT_TOKEN_INVALID),
            Some(("a", _)) => Err(codes::APP_TOKEN_INVALID),
            Some(("u", _)) => Err(codes::USER_TOKEN_INVALID),
            _ => Err(codes::TOKEN_MALFORMED),
        }
    }

    fn rate_limited(&self, refusal: Refusal, reset: u64, log_id: &str) -> Answer {
        Answer::refused(refusal, log_id).with(RATE_LIMIT, self.quota.limit()).with(RATE_LIMIT_RESET, reset)
    }

    fn do_as_asked(&mut self, api: Api, one: Tracked, status: &str, log_id: &str) -> Answer {
        let change = match api {
            Api::Subscribe => self.subscriptions.subscribe(one),
            Api::Unsubscribe => self.subscriptions.unsubscribe(one),
            _ if self.subscriptions.exists(&one) => {
                return Answer::success(self.definition(&one.approval_code, status));
            }
            _ => Change::NoSuchDefinition,
        };
        match change {
            Change::Done => Answer::success(json!({ "code": 0, "msg": "success", "data": {} })),
            Change::Already => Answer::refused(codes::SUBSCRIPTION_EXISTED, log_id),
            Change::NoSuchDefinition => Answer::refused(codes::CODE_NOT_FOUND, log_id),
        }
    }

    /// A definition as it is read: its name, and no more than that it exists.
    fn definition(&self, code: &ApprovalCode, status: &str) -> Value {
        let name = self.names.get(code).cloned().unwrap_or_else(|| format!("Approval {code}"));
        json!({ "code": 0, "msg": "success", "data": {
            "approval_name": name, "status": status, "form": "[]", "node_list": [], "viewers": [],
        }})
    }

    fn misbehave(&mut self, what: What, api: Api, one: Tracked, log_id: &str) -> (Answer, Behaviour) {
        let refused = |refusal| (Answer::refused(refusal, log_id), Behaviour::Plain);
        match what {
            What::NotFound => refused(codes::CODE_NOT_FOUND),
            What::Already => refused(codes::SUBSCRIPTION_EXISTED),
            What::Param => refused(codes::PARAM_INVALID),
            What::ServiceError => refused(codes::SERVICE_ERROR),
            What::RateLimit => (self.rate_limited(codes::RATE_LIMITED, 1, log_id), Behaviour::Plain),
            What::RateLimitOld => (self.rate_limited(codes::RATE_LIMITED_OLD, 1, log_id), Behaviour::Plain),
            What::Monthly => refused(codes::MONTH_SPENT),
            What::Token => refused(codes::TENANT_TOKEN_INVALID),
            What::Scope => refused(codes::SCOPE_MISSING),
            What::Ip => refused(codes::IP_DENIED),
            What::Disabled => refused(codes::APP_DISABLED),
            What::Uninstalled => refused(codes::NOT_INSTALLED),
            What::ServerError => {
                let text = "upstream connect error or disconnect/reset before headers";
                (Answer::text(503, "text/plain", text), Behaviour::Plain)
            }
            What::Html => {
                let page = "<!DOCTYPE html><html><body><h1>Sign in to this network</h1></body></html>";
                (Answer::text(200, "text/html; charset=utf-8", page), Behaviour::Plain)
            }
            What::Redirect => {
                let moved = Answer::text(302, "text/html", "").with("location", "https://elsewhere.invalid/");
                (moved, Behaviour::Plain)
            }
            What::Reset => (Answer::text(0, "text/plain", ""), Behaviour::Reset),
            What::Deleted => (self.do_as_asked(api, one, "DELETED", log_id), Behaviour::Plain),
            What::Empty => (self.do_as_asked(api, one, "ACTIVE", log_id).emptied(), Behaviour::Plain),
            What::StringCode => {
                (self.do_as_asked(api, one, "ACTIVE", log_id).with_string_code(), Behaviour::Plain)
            }
            What::Huge => (self.do_as_asked(api, one, "ACTIVE", log_id), Behaviour::Padded(PADDING)),
            What::Slow => (self.do_as_asked(api, one, "ACTIVE", log_id), Behaviour::Late(self.slow)),
            What::Cut => (self.do_as_asked(api, one, "ACTIVE", log_id), Behaviour::Cut),
            What::Lost => (self.do_as_asked(api, one, "ACTIVE", log_id), Behaviour::Reset),
        }
    }
}

fn text(field: &Option<String>) -> &str {
    field.as_deref().unwrap_or_default()
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
