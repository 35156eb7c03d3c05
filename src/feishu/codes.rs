//! Answers → verdicts: the only place that knows the platform's numbers.
//!
//! Pure, and distrustful: only what is documented word for word is a success. Anything in between (a proxy's
//! HTML, a code that is a string, code 0 under a failing HTTP status) is no verdict, since taking it for one
//! would write a lie into the ledger.

use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;

use super::answer::{Answer, Lost, MAX_LOG_ID, MAX_MSG, StopReason, StopScope, Verdict};
use super::hidden::hide;
use super::{NoAnswer, Response};
use crate::text::cut_bytes;

/// Approval: the subscription is already gone (or, subscribing, already there). Source: "unsubscribe approval
/// event" in the platform's documentation.
pub const ALREADY_DONE: i64 = 1_390_007;
/// Approval: no such approval code for this app and tenant. Source: the same page.
pub const NOT_FOUND: i64 = 1_390_002;
/// Approval: a parameter is invalid. Source: the same page.
pub const INVALID_PARAM: i64 = 1_390_001;
/// Approval: the service failed; call more slowly. Source: the same page.
pub const SERVICE_ERROR: i64 = 1_395_001;
/// Gateway: too many calls. Source: "generic error codes" and "frequency control" in the documentation.
pub const RATE_LIMITED: i64 = 99_991_400;
/// Gateway: one method is called too often. Source: "generic error codes".
pub const METHOD_RATE_LIMITED: i64 = 1_000_004;
/// Gateway: the app calls too often. Source: "generic error codes".
pub const APP_RATE_LIMITED: i64 = 1_000_005;
/// Gateway: the month's API calls are spent. Source: "generic error codes".
pub const MONTHLY_CAP: i64 = 99_991_403;
/// Gateway: the caller's address is not allowed. Source: "generic error codes".
pub const IP_REFUSED: i64 = 99_991_401;
/// Gateway: the app is not in use. Source: "generic error codes", and the official command line's table.
pub const APP_DISABLED: i64 = 99_991_662;
/// Gateway: the app's status in the tenant; and not installed there. Source: the same.
pub const NOT_INSTALLED: [i64; 2] = [99_991_673, 20_009];
/// Gateway: the token is missing, expired, malformed or of the wrong kind. Source: "generic error codes".
pub const TOKEN_REFUSED: [i64; 7] =
    [99_991_661, 99_991_663, 99_991_664, 99_991_665, 99_991_668, 99_991_671, 20_013];
/// Gateway: the app lacks the scope. Source: "generic error codes".
pub const SCOPE_MISSING: [i64; 3] = [99_991_672, 99_991_676, 99_991_679];
/// Token requests: app id, secret or ticket not accepted, or the app or tenant in no state to get a token.
/// Source: the pages of the token calls; 10014 "app secret invalid" is what is seen most.
pub const CREDENTIAL_REFUSED: [i64; 8] = [10_003, 10_005, 10_012, 10_013, 10_014, 10_015, 20_002, 99_991_543];
/// The platform's own failures. Source: "generic error codes".
pub const PLATFORM_ERROR: [i64; 2] = [1_500, 1_000_003];

/// The pause after a rate limit whose answer does not say, in line with the platform's advice to back off.
pub const DEFAULT_RESET: Duration = Duration::from_secs(10);
/// The longest pause an answer can ask for; two of the platform's windows.
pub const MAX_RESET: Duration = Duration::from_secs(120);
const MIN_RESET: Duration = Duration::from_secs(1);

/// Newer tokens are JWTs of up to 4 KB; twice that is no token.
const MAX_TOKEN: usize = 8 * 1024;
/// An answer names a handful of scopes; more would be noise in a record.
const MAX_SCOPES: usize = 16;

/// The three calls that issue a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenCall {
    /// App id and secret → the custom app's tenant token.
    CustomTenant,
    /// App id, secret and ticket → the store app's app token.
    StoreApp,
    /// App token and tenant → a tenant token of the store app.
    StoreTenant,
}

impl TokenCall {
    /// How far a refusal reaches: a store app may be in order while one of its tenants is not.
    pub fn scope(self) -> StopScope {
        match self {
            Self::CustomTenant | Self::StoreApp => StopScope::App,
            Self::StoreTenant => StopScope::Tenant,
        }
    }
}

/// A token as it was issued.
#[derive(Debug)]
pub struct Issued {
    /// Visible ASCII, so that a header can carry it.
    pub token: SecretString,
    /// For how many seconds it is said to live; absent where the answer does not say, or nonsense.
    pub expire: Option<i64>,
}

/// Judges the answer of an approval call.
pub fn judge(answer: &Result<Response, NoAnswer>) -> Answer {
    judge_hiding(answer, &[])
}

/// [`judge`], with every occurrence of `secrets` taken out of the texts: a message that echoes the token must
/// not reach a ledger that people commit.
pub fn judge_hiding(answer: &Result<Response, NoAnswer>, secrets: &[&SecretString]) -> Answer {
    match answer {
        Ok(response) => describe(response, &read(&response.body), secrets),
        // Nothing was sent, so nothing can have taken effect.
        Err(no_client @ NoAnswer::NoClient { .. }) => {
            Answer::not_sent(StopScope::App, StopReason::NoClient, no_client)
        }
        Err(no_answer) => Answer::without_response(Verdict::NoVerdict(Lost::NoAnswer(no_answer.clone()))),
    }
}

/// Judges the answer of a token call. `Issued` is there exactly when the verdict is [`Verdict::Done`].
pub fn judge_token(
    call: TokenCall,
    answer: &Result<Response, NoAnswer>,
    secrets: &[&SecretString],
) -> (Answer, Option<Issued>) {
    let mut judged = judge_hiding(answer, secrets);
    let issued = match (&judged.verdict, answer) {
        (Verdict::Done, Ok(response)) => read(&response.body).ok().and_then(|body| body.issued(call)),
        _ => None,
    };
    judged.verdict = match judged.verdict {
        Verdict::Done if issued.is_none() => Verdict::NoVerdict(Lost::Unreadable("it holds no usable token")),
        // They would mean something only to an approval call.
        Verdict::AlreadyDone | Verdict::NotFound | Verdict::Refused => {
            Verdict::Stop(call.scope(), StopReason::TokenRequest)
        }
        // Only a tenant token is asked for with a token; elsewhere such a code speaks of the credential.
        Verdict::TokenRefused if call != TokenCall::StoreTenant => {
            Verdict::Stop(call.scope(), StopReason::Credential)
        }
        Verdict::Stop(_, reason @ StopReason::Credential) => Verdict::Stop(call.scope(), reason),
        verdict => verdict,
    };
    (judged, issued)
}

/// What is read of an approval's definition. Every text in it is foreign, and whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// What people call it; absent where the answer has none.
    pub name: Option<String>,
    /// Whether it can still be used.
    pub status: DefinitionStatus,
}

/// Whether a definition can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefinitionStatus {
    /// It is in use.
    Active,
    /// It is switched off, and may be switched on again.
    Inactive,
    /// It is gone.
    Deleted,
    /// The platform says that it does not know, or a word that is not documented.
    Unknown,
}

/// Judges the answer to reading a definition. `Definition` is there exactly when the verdict is [`Verdict::Done`].
pub fn judge_definition(
    answer: &Result<Response, NoAnswer>,
    secrets: &[&SecretString],
) -> (Answer, Option<Definition>) {
    #[derive(Deserialize)]
    struct Whole {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        #[serde(default)]
        approval_name: Value,
        #[serde(default)]
        status: Value,
    }
    let mut judged = judge_hiding(answer, secrets);
    let whole =
        answer.as_ref().ok().and_then(|response| serde_json::from_slice::<Whole>(&response.body).ok());
    let definition = whole.filter(|_| judged.verdict == Verdict::Done).map(|Whole { data }| {
        let name = data.approval_name.as_str().map(|name| hide(name, secrets));
        let status = match data.status.as_str() {
            Some("ACTIVE") => DefinitionStatus::Active,
            Some("INACTIVE") => DefinitionStatus::Inactive,
            Some("DELETED") => DefinitionStatus::Deleted,
            _ => DefinitionStatus::Unknown,
        };
        Definition { name: name.filter(|name| !name.trim().is_empty()), status }
    });
    judged.verdict = match judged.verdict {
        Verdict::Done if definition.is_none() => {
            Verdict::NoVerdict(Lost::Unreadable("it holds no definition"))
        }
        // It would mean something only to a call that changes something.
        Verdict::AlreadyDone => Verdict::Refused,
        verdict => verdict,
    };
    (judged, definition)
}

/// The documented part of a body. What only informs may be of any type: it must not cost a verdict.
#[derive(Deserialize)]
struct Body {
    code: i64,
    #[serde(default)]
    msg: Value,
    #[serde(default)]
    error: Value,
    #[serde(default)]
    tenant_access_token: Value,
    #[serde(default)]
    app_access_token: Value,
    #[serde(default)]
    expire: Value,
}

impl Body {
    fn issued(&self, call: TokenCall) -> Option<Issued> {
        let token = match call {
            TokenCall::StoreApp => &self.app_access_token,
            TokenCall::CustomTenant | TokenCall::StoreTenant => &self.tenant_access_token,
        };
        let token = token.as_str().filter(|token| is_token(token))?;
        Some(Issued { token: token.to_owned().into(), expire: self.expire.as_i64() })
    }
}

/// Whether a text can be sent as a token: visible ASCII, of a size tokens have.
pub fn is_token(text: &str) -> bool {
    (1..=MAX_TOKEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Reads a body, or says what is wrong with it.
fn read(bytes: &[u8]) -> Result<Body, &'static str> {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    match first {
        None => Err("it is empty"),
        // An array would otherwise be taken for the object's values in order.
        Some(b'{') => serde_json::from_slice(bytes).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => "it has no single integer `code`",
            _ => "it is not JSON",
        }),
        Some(_) => Err("it is not a JSON object"),
    }
}

fn describe(response: &Response, body: &Result<Body, &'static str>, secrets: &[&SecretString]) -> Answer {
    let Response { status, log_id, rate_limit_reset, date: _, body: _ } = response;
    let keep = |text: &str, bytes: usize| {
        let text = hide(text, secrets);
        Some(cut_bytes(&text, bytes).to_owned()).filter(|text| !text.is_empty())
    };
    let informs = |key: &str| body.as_ref().ok()?.error.get(key);
    let text = |key: &str| informs(key).and_then(Value::as_str);
    let scopes = informs("permission_violations").and_then(Value::as_array);
    Answer {
        verdict: verdict(*status, body, reset(rate_limit_reset.as_deref())),
        code: body.as_ref().ok().map(|body| body.code),
        msg: body.as_ref().ok().and_then(|body| body.msg.as_str()).and_then(|msg| keep(msg, MAX_MSG)),
        log_id: log_id
            .as_deref()
            .filter(|id| !id.is_empty())
            .or_else(|| text("log_id"))
            .and_then(|id| keep(id, MAX_LOG_ID)),
        http_status: Some(*status),
        troubleshooter: text("troubleshooter").and_then(|text| keep(text, MAX_MSG)),
        missing_scopes: scopes
            .into_iter()
            .flatten()
            .filter_map(|violation| keep(violation.get("subject")?.as_str()?, MAX_LOG_ID))
            .take(MAX_SCOPES)
            .collect(),
    }
}

fn verdict(status: u16, body: &Result<Body, &'static str>, reset: Duration) -> Verdict {
    let code = match (status, body) {
        (500.., _) => return Verdict::NoVerdict(Lost::ServerError(status)),
        (300..400, _) => return Verdict::NoVerdict(Lost::Unreadable("it is a redirect")),
        (..200, _) => return Verdict::NoVerdict(Lost::Unreadable("its HTTP status is no final one")),
        (429, Err(_)) => return Verdict::RateLimited { reset },
        (_, Err(what)) => return Verdict::NoVerdict(Lost::Unreadable(what)),
        (_, Ok(body)) => body.code,
    };
    match (status, code, meaning(code, reset)) {
        (200, 0, _) => Verdict::Done,
        (_, 0, _) => Verdict::NoVerdict(Lost::Contradiction(status)),
        (429, _, stop @ (Verdict::Stop(..) | Verdict::TokenRefused)) => stop,
        (429, ..) => Verdict::RateLimited { reset },
        (_, _, meaning) => meaning,
    }
}

/// What a code other than 0 means, whatever the HTTP status below 500 it comes with.
fn meaning(code: i64, reset: Duration) -> Verdict {
    match code {
        ALREADY_DONE => Verdict::AlreadyDone,
        NOT_FOUND => Verdict::NotFound,
        INVALID_PARAM => Verdict::Refused,
        SERVICE_ERROR => Verdict::NoVerdict(Lost::ServiceError(code)),
        RATE_LIMITED | METHOD_RATE_LIMITED | APP_RATE_LIMITED => Verdict::RateLimited { reset },
        MONTHLY_CAP => Verdict::Stop(StopScope::Tenant, StopReason::MonthlyCap),
        IP_REFUSED => Verdict::Stop(StopScope::App, StopReason::Ip),
        APP_DISABLED => Verdict::Stop(StopScope::App, StopReason::AppDisabled),
        _ if NOT_INSTALLED.contains(&code) => Verdict::Stop(StopScope::Tenant, StopReason::NotInstalled),
        _ if TOKEN_REFUSED.contains(&code) => Verdict::TokenRefused,
        _ if SCOPE_MISSING.contains(&code) => Verdict::Stop(StopScope::App, StopReason::Scope),
        _ if CREDENTIAL_REFUSED.contains(&code) => Verdict::Stop(StopScope::App, StopReason::Credential),
        _ if PLATFORM_ERROR.contains(&code) => Verdict::NoVerdict(Lost::PlatformError(code)),
        _ => Verdict::Refused,
    }
}

/// The pause that the header asks for, in whole seconds, kept within reason.
fn reset(header: Option<&str>) -> Duration {
    match header.and_then(|text| text.trim().parse().ok()) {
        Some(seconds) => Duration::from_secs(seconds).clamp(MIN_RESET, MAX_RESET),
        None => DEFAULT_RESET,
    }
}

#[cfg(test)]
mod tests;
