//! Where a state is: a file, or an address that more than one machine reaches. Pure.

use std::fmt;
use std::path::{Path, PathBuf};

use url::{Host, Url};

use crate::text::shown;

/// Where a state is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// As it is shown; a path as it was written, an address without anything secret.
    written: PathBuf,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    File,
    Address(Address),
    Refused(BadAddress),
}

/// An address of a shared state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A prefix in an object store.
    Objects {
        /// Whose.
        engine: Engine,
        /// The bucket or container.
        bucket: String,
        /// What the names of its objects begin with, without a slash at its ends.
        key: String,
    },
    /// One document on an HTTP server.
    Http(Url),
}

/// An object store's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Amazon's S3, and what speaks like it.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
}

impl Engine {
    /// The cargo feature that brings it.
    pub fn feature(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gcs => "gcs",
            Self::Azure => "azure",
        }
    }
}

/// Why an address is refused. It never shows the address: what is wrong with it may be a secret in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// A name or password stands in it.
    #[error("the address of the state holds a user name or password")]
    Credential,
    /// A query or fragment, which may hold a signature or a token.
    #[error("the address of the state has a query or a fragment, which may hold a secret")]
    Query,
    /// Plain http to another machine.
    #[error("the address of the state is plain http, which only the loopback interface may be")]
    Plain,
    /// Another scheme.
    #[error("a state is no `{0}://` address")]
    Scheme(String),
    /// It is not an address.
    #[error("the address of the state is malformed: {0}")]
    Malformed(&'static str),
}

impl BadAddress {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Credential => {
                "leave it out: an address is shown and kept in logs; credentials come from the environment, such as LARKSUB_STATE_USERNAME and LARKSUB_STATE_PASSWORD"
            }
            Self::Query => "leave it out: credentials come from the environment, never from the address",
            Self::Plain => "use https: who can read along could also change what is said to be subscribed",
            Self::Scheme(_) => {
                "s3://bucket/key, gs://bucket/key, az://container/key, https://…, or the path of a file"
            }
            Self::Malformed(_) => {
                "s3://bucket/key, with letters, digits and `-_.=+@/` in the key; https://host/path"
            }
        }
    }
}

impl Place {
    /// Reads what --state or the environment says. What looks like an address and is none is refused by [`Self::check`].
    pub fn new(written: &Path) -> Self {
        let Some(text) = written.to_str().filter(|text| is_address(text)) else {
            return Self { written: written.into(), kind: Kind::File };
        };
        match address(text) {
            Ok((text, address)) => Self { written: text.into(), kind: Kind::Address(address) },
            Err(problem) => {
                Self { written: "(an address that is refused)".into(), kind: Kind::Refused(problem) }
            }
        }
    }

    /// Whether it can be one at all.
    ///
    /// # Errors
    /// It is an address that is refused.
    pub fn check(&self) -> Result<(), BadAddress> {
        match &self.kind {
            Kind::Refused(problem) => Err(problem.clone()),
            Kind::File | Kind::Address(_) => Ok(()),
        }
    }

    /// The address; none where it is a file.
    pub fn address(&self) -> Option<&Address> {
        match &self.kind {
            Kind::Address(address) => Some(address),
            Kind::File | Kind::Refused(_) => None,
        }
    }

    /// As it is shown; for a file it is the path.
    pub fn as_path(&self) -> &Path {
        &self.written
    }

    /// For messages, not escaped.
    pub fn display(&self) -> std::path::Display<'_> {
        self.written.display()
    }

    /// For messages, escaped.
    pub fn shown(&self) -> String {
        shown(&self.written.display().to_string()).into_owned()
    }
}

impl From<PathBuf> for Place {
    fn from(path: PathBuf) -> Self {
        Self { written: path, kind: Kind::File }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.display().fmt(f)
    }
}

/// A scheme and `://`; no path that anybody writes begins like that.
fn is_address(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| {
        !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    })
}

fn address(text: &str) -> Result<(String, Address), BadAddress> {
    let url = Url::parse(text).map_err(|_| BadAddress::Malformed("it cannot be parsed"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(BadAddress::Credential);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(BadAddress::Query);
    }
    let engine = match url.scheme() {
        "s3" => Engine::S3,
        "gs" => Engine::Gcs,
        "az" => Engine::Azure,
        "https" => return Ok((url.to_string(), Address::Http(url))),
        "http" if is_loopback(&url) => return Ok((url.to_string(), Address::Http(url))),
        "http" => return Err(BadAddress::Plain),
        scheme => return Err(BadAddress::Scheme(scheme.to_owned())),
    };
    let bucket = url.host_str().unwrap_or_default().to_owned();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if bucket.is_empty() || !bucket.chars().all(is_plain) || url.port().is_some() {
        return Err(BadAddress::Malformed("it names no bucket or container"));
    }
    let key = url.path().trim_matches('/').to_owned();
    let is_good = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part.chars().all(|c| is_plain(c) || "=+@".contains(c))
    };
    if key.is_empty() {
        return Err(BadAddress::Malformed("it names no key behind the bucket"));
    }
    if key.len() > 512 || !key.split('/').all(is_good) {
        return Err(BadAddress::Malformed("its key has parts that are no plain names"));
    }
    Ok((format!("{}://{bucket}/{key}", url.scheme()), Address::Objects { engine, bucket, key }))
}

/// Whether a request to it stays on this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Place {
        Place::new(Path::new(text))
    }

    #[test]
    fn a_path_stays_a_path_and_an_address_is_told_apart() {
        for path in ["larksub.state.jsonl", "s3:/odd", "/tmp/a:b", "C:\\x", ""] {
            assert_eq!(place(path).address(), None, "{path}");
            assert_eq!(place(path).check(), Ok(()), "{path}");
        }
        let objects = |engine, bucket: &str, key: &str| {
            Some(Address::Objects { engine, bucket: bucket.into(), key: key.into() })
        };
        let cases = [
            ("s3://b/approvals/prod", objects(Engine::S3, "b", "approvals/prod")),
            ("gs://b.c/k/", objects(Engine::Gcs, "b.c", "k")),
            ("az://cont/k", objects(Engine::Azure, "cont", "k")),
        ];
        for (text, expected) in cases {
            assert_eq!(place(text).address().cloned(), expected, "{text}");
        }
        assert!(matches!(place("https://git.example/api").address(), Some(Address::Http(_))));
        assert!(matches!(place("http://127.0.0.1:8/x").address(), Some(Address::Http(_))));
    }

    #[test]
    fn an_address_with_a_secret_is_refused_and_never_shown() {
        for text in [
            "https://me:hunter2@git.example/state",
            "s3://AKIA:hunter2@bucket/key",
            "https://hunter2@git.example/state",
            "https://git.example/state?token=hunter2",
            "az://c/k?sig=hunter2",
            "https://git.example/state#hunter2",
        ] {
            let place = place(text);
            let problem = place.check().unwrap_err();
            assert!(!format!("{place} {problem} {place:?}").contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_of_a_state_is_refused() {
        for text in [
            "http://git.example/state",
            "ftp://host/x",
            "s3://bucket",
            "s3://bucket/",
            "s3:///key",
            "s3://bucket/a//b",
            "s3://bucket/a%2e%2e",
            "s3://bucket/a b",
            "https://",
        ] {
            assert!(place(text).check().is_err(), "{text}");
        }
    }
}
