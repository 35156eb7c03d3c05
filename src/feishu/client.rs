//! The calls that the project makes, on top of any [`Platform`].

use super::answer::Answer;
use super::codes::{Definition, judge_definition, judge_hiding};
use super::token_error::TokenError;
use super::tokens::{App, Tokens};
use super::{Method, Platform, Request};
use crate::subscription::{ApprovalCode, TenantKey};

/// A platform, and the tokens that were obtained from it.
#[derive(Debug)]
pub struct Client<P> {
    platform: P,
    pub(super) tokens: Tokens,
}

impl<P: Platform> Client<P> {
    /// A client that holds no token yet.
    pub fn new(platform: P) -> Self {
        Self { platform, tokens: Tokens::default() }
    }

    /// The platform it speaks to.
    pub fn platform(&self) -> &P {
        &self.platform
    }

    /// Makes sure that there is a token, so that a credential that is refused is found before the first call.
    /// A ready-made token is only read: whether the platform takes it, the first call shows.
    pub async fn authorize(&self, app: &App, tenant: Option<&TenantKey>) -> Result<(), TokenError> {
        self.tokens.get(&self.platform, app, tenant).await.map(drop)
    }

    /// Gets a new token in place of one that was refused.
    pub async fn renew(&self, app: &App, tenant: Option<&TenantKey>) -> Result<(), TokenError> {
        self.tokens.renew(&self.platform, app, tenant).await.map(drop)
    }

    /// Ends one approval's events for the app, in exactly one call; where the cached token has run out, a new one
    /// is asked for first. Without a token nothing is sent, and the answer is a stop.
    ///
    /// Source: "unsubscribe approval event" in the platform's documentation.
    pub async fn unsubscribe(&self, app: &App, tenant: Option<&TenantKey>, code: &ApprovalCode) -> Answer {
        let token = match self.tokens.get(&self.platform, app, tenant).await {
            Ok(token) => token,
            Err(error) => return error.into_answer(),
        };
        let request = Request {
            method: Method::Post,
            path: format!("/open-apis/approval/v4/approvals/{code}/unsubscribe"),
            bearer: Some(token.clone()),
            json: None,
        };
        let answer = self.platform.send(&app.base_url, request).await;
        judge_hiding(&answer, &[&token])
    }
    /// Reads the name and status of one approval's definition, in exactly one call. `Definition` is there exactly when the
    /// verdict is [`Verdict::Done`](super::Verdict::Done).
    ///
    /// Source: "view an approval definition" in the platform's documentation; its quota is its own.
    pub async fn definition(
        &self,
        app: &App,
        tenant: Option<&TenantKey>,
        code: &ApprovalCode,
    ) -> (Answer, Option<Definition>) {
        let token = match self.tokens.get(&self.platform, app, tenant).await {
            Ok(token) => token,
            Err(error) => return (error.into_answer(), None),
        };
        let request = Request {
            method: Method::Get,
            path: format!("/open-apis/approval/v4/approvals/{code}"),
            bearer: Some(token.clone()),
            json: None,
        };
        let answer = self.platform.send(&app.base_url, request).await;
        judge_definition(&answer, &[&token])
    }
}
