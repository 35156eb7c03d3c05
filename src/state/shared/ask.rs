//! One request to an object store, and what it comes to. What the library says of one is never passed on as it is.

use std::time::Duration;

use object_store::Error;
use tokio::time::{sleep, timeout};

use super::answer::innermost;
use super::trouble::{Kind, Trouble};
use crate::text::{cut_bytes, shown};

/// How often a request is made that nothing definite comes back from.
pub(super) const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(250);
/// What a refusal is most often about.
const RIGHTS: &str = "check the address, the region, and that the credentials in the environment may list and get what is under its key";

/// What a request came to.
#[derive(Debug)]
pub(super) enum Bad {
    Missing,
    /// There is one already, or it is another one than was thought.
    Taken,
    /// The store says no.
    Refused(String),
    /// Nobody can say what the store did.
    Open(String),
}

impl Bad {
    /// The same, met while reading.
    pub fn reading(self) -> Trouble {
        let trouble = Trouble::new(Kind::Read, format!("cannot be read: {}", self.says()));
        match self {
            Self::Refused(_) => trouble.hint(RIGHTS),
            _ => trouble.hint("run this again when the store answers; nothing was changed"),
        }
    }

    pub fn says(&self) -> String {
        match self {
            Self::Missing => "an object or the bucket is not there".into(),
            Self::Taken => "the store answered with a conflict".into(),
            Self::Refused(why) | Self::Open(why) => why.clone(),
        }
    }
}

/// What a request comes to, if it does so in time.
pub(super) async fn within<T>(
    patience: Duration,
    request: impl Future<Output = object_store::Result<T>>,
) -> Result<T, Bad> {
    match timeout(patience, request).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(bad(&error)),
        Err(_) => Err(Bad::Open("no answer in time".into())),
    }
}

/// Makes a request again that changes nothing, where nothing definite came back.
pub(super) async fn retry<T, F: Future<Output = Result<T, Bad>>>(request: impl Fn() -> F) -> Result<T, Bad> {
    for attempt in 0..TRIES - 1 {
        pause(attempt).await;
        match request().await {
            Err(Bad::Open(_)) => {}
            definite => return definite,
        }
    }
    pause(TRIES - 1).await;
    request().await
}

pub(super) async fn pause(attempt: u32) {
    if attempt > 0 {
        sleep(PAUSE.saturating_mul(1 << (attempt - 1).min(4))).await;
    }
}

/// The library quotes addresses and whole answers; what is told is the status, and the code and message of the store.
fn bad(error: &Error) -> Bad {
    match error {
        Error::NotFound { .. } => return Bad::Missing,
        Error::AlreadyExists { .. } | Error::Precondition { .. } => return Bad::Taken,
        _ => {}
    }
    let text = error.to_string();
    let status = text.split_once("status code: ").and_then(|(_, rest)| rest.get(..3)?.parse::<u16>().ok());
    let part = |tag: &str| {
        let (_, rest) = text.split_once(&format!("<{tag}>"))?;
        rest.split_once('<').map(|(said, _)| said)
    };
    let said: Vec<&str> = ["Code", "Message"].into_iter().filter_map(part).collect();
    let said = shown(cut_bytes(&said.join(": "), 300)).into_owned();
    match (status, said.is_empty()) {
        (Some(status), true) if status < 500 && status != 429 && status != 408 => {
            Bad::Refused(format!("the store answered {status}"))
        }
        (Some(status), false) if status < 500 && status != 429 && status != 408 => {
            Bad::Refused(format!("the store answered {status} ({said})"))
        }
        (Some(status), true) => Bad::Open(format!("the store answered {status}")),
        (Some(status), false) => Bad::Open(format!("the store answered {status} ({said})")),
        (None, _) if matches!(error, Error::PermissionDenied { .. } | Error::Unauthenticated { .. }) => {
            Bad::Refused("the store refuses the credentials".into())
        }
        (None, _) => Bad::Open(format!("no answer: {}", without_query(&innermost(error)))),
    }
}

/// A text without what follows the `?` of an address: signatures stand there.
fn without_query(text: &str) -> String {
    let words = text.split(' ').map(|word| match word.split_once('?') {
        Some((before, _)) if before.contains("://") => before,
        _ => word,
    });
    words.collect::<Vec<_>>().join(" ")
}
