//! One request to an HTTP server, and what it is told of in words.

use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode};
use tokio::time::sleep;

use super::trouble::{Kind, Trouble};
use crate::text::{cut_bytes, shown};

/// How often a request is made that nothing definite comes back from.
pub(super) const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(250);
/// Far beyond any state.
const MAX_BODY: usize = 1 << 30;

/// The status and the body, or why there is none.
type Answer = Result<(StatusCode, Vec<u8>), String>;

/// Sends one request. An error says, without an address, why there is no answer.
pub(super) async fn answer(request: RequestBuilder) -> Answer {
    let no_answer = |error: reqwest::Error| match error.is_timeout() {
        true => "no answer in time".to_owned(),
        false => format!("no answer: {}", innermost(&error)),
    };
    let mut response = request.send().await.map_err(no_answer)?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(no_answer)? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_BODY {
            return Err("an answer without end".into());
        }
    }
    Ok((status, body))
}

pub(super) async fn pause(attempt: u32) {
    if attempt > 0 {
        sleep(PAUSE.saturating_mul(1 << (attempt - 1).min(4))).await;
    }
}

/// The last cause of an error: the outer ones quote addresses.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    let text = error.to_string();
    shown(cut_bytes(&text, 200)).into_owned()
}

pub(super) fn told(status: StatusCode, body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Said {
        message: Option<serde_json::Value>,
        error: Option<serde_json::Value>,
    }
    let said = serde_json::from_slice::<Said>(body).ok().and_then(|said| said.message.or(said.error));
    let said = said.map(|said| said.as_str().map_or_else(|| said.to_string(), ToOwned::to_owned));
    match said {
        Some(said) => format!("the server answered {} ({})", status.as_u16(), shown(cut_bytes(&said, 200))),
        None => format!("the server answered {}", status.as_u16()),
    }
}

pub(super) fn refused(doing: &str, status: StatusCode, body: &[u8]) -> Trouble {
    let trouble = Trouble::new(Kind::Read, format!("{doing}: {}", told(status, body)));
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => trouble.hint(
            "credentials come from LARKSUB_STATE_USERNAME and LARKSUB_STATE_PASSWORD, or LARKSUB_STATE_TOKEN; in Terraform's setups from TF_HTTP_USERNAME and TF_HTTP_PASSWORD",
        ),
        status if status.is_redirection() => trouble.hint("redirects are not followed; name the address that it leads to"),
        _ => trouble.hint("nothing was changed; check the address"),
    }
}
