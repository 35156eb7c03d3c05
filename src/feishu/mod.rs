//! The Feishu/Lark Open Platform, as far as this project calls it.
//!
//! [`Platform`] is the one border: a request in, bytes or no answer out. The HTTP client and the sandbox's
//! rules in memory both stand behind it, so tokens and verdicts above it are the same code in both.
//!
//! [`client`] makes the calls; [`tokens`] gets and keeps what they need, [`token_error`] says why not; [`codes`]
//! alone knows the platform's numbers and turns an answer into an [`answer`]; [`http`] is the wire.

pub mod answer;
pub mod client;
pub mod codes;
mod hidden;
pub mod http;
pub mod token_error;
pub mod tokens;

use std::future::Future;

use secrecy::SecretString;

pub use answer::{Answer, Lost, StopReason, StopScope, Verdict};
pub use client::Client;
pub use codes::Definition;
pub use http::Http;
pub use token_error::TokenError;
pub use tokens::App;

use crate::subscription::BaseUrl;

/// One request to the platform.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its HTTP method.
    pub method: Method,
    /// The path, from `/open-apis/…` on; made of validated identifiers, so nothing in it needs escaping.
    pub path: String,
    /// The token of the `Authorization: Bearer …` header.
    pub bearer: Option<SecretString>,
    /// A JSON body, which may hold secrets.
    pub json: Option<SecretString>,
}

/// The methods the platform's calls use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// POST.
    Post,
}

/// What came back, not yet understood. Everything in it is foreign.
#[derive(Debug, Clone, Default)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The header `X-Tt-Logid`.
    pub log_id: Option<String>,
    /// The header `x-ogw-ratelimit-reset`, as text.
    pub rate_limit_reset: Option<String>,
    /// The header `Date`, as text.
    pub date: Option<String>,
    /// The body, at most [`MAX_BODY`] bytes of it.
    pub body: Vec<u8>,
}

/// The most bytes of an answer that are read; a longer one is [`NoAnswer::TooLarge`].
pub const MAX_BODY: usize = 256 * 1024;

/// Why nothing that could be read came back. The call may have taken effect all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// No connection came about: a refused connection, a name that does not resolve, a failed TLS handshake.
    #[error("no connection to {base_url}: {cause}")]
    NotConnected {
        /// The place.
        base_url: BaseUrl,
        /// The innermost cause, escaped.
        cause: String,
    },
    /// Time ran out.
    #[error("no answer from {base_url} within {seconds} s")]
    TimedOut {
        /// The place.
        base_url: BaseUrl,
        /// The limit that was reached.
        seconds: u64,
    },
    /// The connection ended before the answer did.
    #[error("{base_url} broke off before its answer was complete: {cause}")]
    Broken {
        /// The place.
        base_url: BaseUrl,
        /// The innermost cause, escaped.
        cause: String,
    },
    /// The answer is larger than any documented one.
    #[error("the answer of {base_url} is larger than {MAX_BODY} bytes")]
    TooLarge {
        /// The place.
        base_url: BaseUrl,
    },
    /// The client could not be made: no certificates, a broken CA bundle, a broken proxy setting.
    #[error("no client for {base_url}: {cause}")]
    NoClient {
        /// The place.
        base_url: BaseUrl,
        /// What is wrong, with what to do, escaped.
        cause: String,
    },
}

/// Whoever answers requests: the platform over HTTP, or the sandbox's rules in memory.
pub trait Platform {
    /// Sends one request once: no redirect is followed, nothing is tried again.
    fn send(&self, base_url: &BaseUrl, request: Request) -> impl Future<Output = Result<Response, NoAnswer>>;
}
