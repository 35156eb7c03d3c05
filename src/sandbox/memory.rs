//! The rules behind the trait that the HTTP client stands behind too: no socket, any clock.

use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::time::{sleep, timeout};

use super::latency::under_way;
use super::reply::{Behaviour, Call, LOG_ID, RATE_LIMIT_RESET, Reply};
use super::rules;
use super::shared::Shared;
use super::{Config, Tracked};
use crate::feishu::{MAX_BODY, Method, NoAnswer, Platform, Request, Response};
use crate::subscription::BaseUrl;

/// A sandbox in memory. On tokio's paused clock, an apply of an hour takes a second.
#[derive(Debug)]
pub struct Memory(Shared);

/// How long a caller waits for an answer.
pub const CLIENT_TIMEOUT: Duration = Duration::from_secs(30);

impl Memory {
    /// A sandbox whose time begins now.
    pub fn new(config: Config) -> Self {
        Self(Shared::new(config))
    }

    /// Every call so far, in the order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.0.calls()
    }

    /// Whether events of an approval reach this app.
    pub fn is_subscribed(&self, one: &Tracked) -> bool {
        self.0.is_subscribed(one)
    }

    async fn answer(&self, base_url: &BaseUrl, request: Request) -> Result<Response, NoAnswer> {
        let (there, back) = self.0.draw_latency();
        under_way(there).await;
        let authorization = request.bearer.as_ref().map(|token| format!("Bearer {}", token.expose_secret()));
        let reply = self.0.answer(&rules::Request {
            method: match request.method {
                Method::Get => "GET",
                Method::Post => "POST",
            },
            path: &request.path,
            authorization: authorization.as_deref(),
            body: request.json.as_ref().map_or(&[], |json| json.expose_secret().as_bytes()),
        });
        under_way(back).await;
        receive(base_url, reply).await
    }
}

impl Platform for Memory {
    async fn send(&self, base_url: &BaseUrl, request: Request) -> Result<Response, NoAnswer> {
        timeout(CLIENT_TIMEOUT, self.answer(base_url, request)).await.unwrap_or_else(|_| {
            Err(NoAnswer::TimedOut { base_url: base_url.clone(), seconds: CLIENT_TIMEOUT.as_secs() })
        })
    }
}

/// What a client would make of a reply that came over a wire.
async fn receive(base_url: &BaseUrl, reply: Reply) -> Result<Response, NoAnswer> {
    let broken = |cause: &str| NoAnswer::Broken { base_url: base_url.clone(), cause: cause.to_owned() };
    match reply.behaviour {
        Behaviour::Plain => {}
        Behaviour::Late(late) => sleep(late).await,
        Behaviour::Reset => return Err(broken("connection reset by peer")),
        Behaviour::Cut => return Err(broken("end of file before message length reached")),
        Behaviour::Padded(padding) if reply.body.len().saturating_add(padding) > MAX_BODY => {
            return Err(NoAnswer::TooLarge { base_url: base_url.clone() });
        }
        Behaviour::Padded(_) => {}
    }
    let mut response = Response { status: reply.status, body: reply.body, ..Response::default() };
    for (name, value) in reply.headers {
        match name {
            LOG_ID => response.log_id = Some(value),
            RATE_LIMIT_RESET => response.rate_limit_reset = Some(value),
            _ => {}
        }
    }
    Ok(response)
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
