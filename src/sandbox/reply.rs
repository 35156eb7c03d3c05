//! What the rules answer with: plain data that a shell puts on its wire.

use std::time::Duration;

use serde_json::{Value, json};

use super::codes::Refusal;
use super::faults::What;
use super::route::Api;
use crate::subscription::{AppId, ApprovalCode, TenantKey};

/// One answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers, `Content-Length` aside.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How it reaches the caller, if it does.
    pub behaviour: Behaviour,
    /// The line of the log for it.
    pub call: Call,
}

/// How an answer reaches the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// As it is.
    Plain,
    /// This much later.
    Late(Duration),
    /// Followed by this many spaces, which JSON allows.
    Padded(usize),
    /// The connection ends in the middle of the body.
    Cut,
    /// The connection is reset, without an answer.
    Reset,
}

/// One call as the sandbox saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// When it arrived, since the sandbox began.
    pub at: Duration,
    /// Its method, foreign text; cut where it is long.
    pub method: String,
    /// Its path, foreign text; cut where it is long.
    pub path: String,
    /// What it asks for, where the sandbox knows that.
    pub api: Option<Api>,
    /// The app that the token speaks for, or that asks for one.
    pub app_id: Option<AppId>,
    /// The tenant, in a store app.
    pub tenant_key: Option<TenantKey>,
    /// The approval code of the path, where it is one.
    pub approval_code: Option<ApprovalCode>,
    /// The HTTP status of the answer; of the one that was lost, where it was; 0 when there was none to lose.
    pub status: u16,
    /// The `code` of the answer, where it has one; of the one that was lost, where it was.
    pub code: Option<i64>,
    /// What went wrong on purpose.
    pub fault: Option<What>,
}

/// A header with the log id, on every answer of the platform.
pub(super) const LOG_ID: &str = "x-tt-logid";
/// A header that says how many calls a window has.
pub(super) const RATE_LIMIT: &str = "x-ogw-ratelimit-limit";
/// A header that says in how many seconds calls are let through again.
pub(super) const RATE_LIMIT_RESET: &str = "x-ogw-ratelimit-reset";

const JSON: &str = "application/json; charset=utf-8";

/// The answer before it is bytes, so that a fault can still spoil it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Body,
}

#[derive(Debug)]
pub(super) enum Body {
    Json(Value),
    Text(&'static str, &'static str),
}

impl Answer {
    /// HTTP 200 with this JSON.
    pub(super) fn success(body: Value) -> Self {
        Self { status: 200, headers: Vec::new(), body: Body::Json(body) }
    }

    /// A refusal, in the form that the platform gives all of them.
    pub(super) fn refused(refusal: Refusal, log_id: &str) -> Self {
        let Refusal { status, code, msg } = refusal;
        let troubleshooter = format!(
            "排查建议查看(Troubleshooting suggestions): \
             https://open.feishu.cn/search?from=openapi&log_id={log_id}&code={code}"
        );
        let error = json!({ "log_id": log_id, "troubleshooter": troubleshooter });
        let body = json!({ "code": code, "msg": msg, "error": error });
        Self { status, headers: Vec::new(), body: Body::Json(body) }
    }

    /// A body that is no JSON.
    pub(super) fn text(status: u16, content_type: &'static str, text: &'static str) -> Self {
        Self { status, headers: Vec::new(), body: Body::Text(content_type, text) }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    /// The `code` of the body.
    pub(super) fn code(&self) -> Option<i64> {
        match &self.body {
            Body::Json(value) => value.get("code").and_then(Value::as_i64),
            Body::Text(..) => None,
        }
    }

    /// The same with its `code` as a string.
    pub(super) fn with_string_code(mut self) -> Self {
        if let Body::Json(value) = &mut self.body
            && let Some(code) = value.get_mut("code")
        {
            *code = Value::String(code.to_string());
        }
        self
    }

    /// The same as an empty body.
    pub(super) fn emptied(mut self) -> Self {
        self.body = Body::Text("text/plain; charset=utf-8", "");
        self
    }

    /// The finished answer.
    pub(super) fn into_reply(self, log_id: String, behaviour: Behaviour, call: Call) -> Reply {
        let (content_type, body) = match self.body {
            Body::Json(value) => (JSON, value.to_string().into_bytes()),
            Body::Text(content_type, text) => (content_type, text.as_bytes().to_vec()),
        };
        let mut headers = vec![("content-type", content_type.to_owned()), (LOG_ID, log_id)];
        headers.extend(self.headers);
        Reply { status: self.status, headers, body, behaviour, call }
    }
}
