//! The words that records are made of: kinds of outcomes, endings and allowances, who wrote, and foreign strings.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize};

/// A foreign string that is borrowed from the line wherever JSON's escapes allow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Str<'a>(pub Cow<'a, str>);

/// A guard that a person allowed by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// The flag without its dashes: `allow-drops`, `allow-handover`, `allow-misses`.
    pub flag: OverrideFlag,
    /// What was given to it.
    pub value: String,
}

/// The flags that allow something by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OverrideFlag {
    /// `--allow-drops N`
    AllowDrops,
    /// `--allow-handover KEY`
    AllowHandover,
    /// `--allow-misses LABEL`
    AllowMisses,
}

impl OverrideFlag {
    /// The flag as it is typed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AllowDrops => "--allow-drops",
            Self::AllowHandover => "--allow-handover",
            Self::AllowMisses => "--allow-misses",
        }
    }
}

/// The words for what became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeKind {
    /// We dropped it.
    Unsubscribed,
    /// It was dropped before we called.
    AlreadyUnsubscribed,
    /// The platform does not know the code.
    NotFound,
    /// Refused; it still lives.
    Failed,
    /// Sent, and nobody can say what became of it.
    Unknown,
}

impl OutcomeKind {
    /// The word the ledger and the reports use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unsubscribed => "unsubscribed",
            Self::AlreadyUnsubscribed => "already_unsubscribed",
            Self::NotFound => "not_found",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// How an apply ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// Every call has an outcome.
    Done,
    /// The platform stopped it.
    Stopped,
    /// A signal stopped it.
    Interrupted,
    /// An error of our own stopped it.
    Failed,
}

impl How {
    /// The word the ledger and the reports use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Stopped => "stopped",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
        }
    }
}

/// Who wrote: a person's process, or a CI job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct By<'a> {
    /// The login name.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Str<'a>>,
    /// The machine.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Str<'a>>,
    /// The process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The command: `apply`, `import`.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Str<'a>>,
    /// The page of the CI job.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub ci_url: Option<Str<'a>>,
    /// The commit it ran for.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Str<'a>>,
}

impl By<'_> {
    /// The same, borrowing nothing.
    pub fn into_owned(self) -> By<'static> {
        let Self { user, host, pid, command, ci_url, commit } = self;
        let own = |text: Option<Str<'_>>| text.map(Str::into_owned);
        By {
            user: own(user),
            host: own(host),
            pid,
            command: own(command),
            ci_url: own(ci_url),
            commit: own(commit),
        }
    }
}

impl<'a> Str<'a> {
    /// The same, borrowing nothing.
    pub fn into_owned(self) -> Str<'static> {
        Str(Cow::Owned(self.0.into_owned()))
    }

    /// The same as a string of its own.
    pub fn into_string(self) -> String {
        self.0.into_owned()
    }

    /// The text, not escaped.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'a> From<&'a str> for Str<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for Str<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl Serialize for Str<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl JsonSchema for Str<'_> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Str".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Str<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowing;

        impl<'de> Visitor<'de> for Borrowing {
            type Value = Str<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Str<'de>, E> {
                Ok(Str(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Str<'de>, E> {
                Ok(Str(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Borrowing)
    }
}
