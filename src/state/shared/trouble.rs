//! What can go wrong with a shared state, and who holds one.

use std::fmt;

use jiff::Timestamp;

use crate::text::{cut_bytes, shown};

/// What kind of trouble it is; it decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// There is no state.
    Missing,
    /// There is one where a new one was to be.
    Exists,
    /// Somebody else holds it.
    Held,
    /// The address, a credential or this build is not right for it.
    Setup,
    /// It cannot be read.
    Read,
    /// It cannot be written, or nobody can say whether it was.
    Write,
    /// Somebody else wrote while this one held the right to.
    Lost,
    /// What was to be unlocked is not locked, or by another id.
    NotTheirs,
}

/// Something is wrong with a shared state. Every text in it is escaped and free of secrets.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// Of which kind.
    pub kind: Kind,
    /// What, as the end of a sentence that begins with the state.
    pub says: String,
    /// What to do about it.
    pub hints: Vec<String>,
    /// Who holds it, where that is the trouble.
    pub holder: Option<Box<Holder>>,
}

/// Who holds the right to write to a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// What `state unlock` asks for.
    pub id: String,
    /// A person, host and process, or a CI job's page; not escaped.
    pub who: String,
    /// The command; not escaped.
    pub operation: String,
    /// Since when, by that machine's clock.
    pub since: Option<Timestamp>,
    /// The newest sign of life, by that machine's clock.
    pub heartbeat: Option<Timestamp>,
}

impl Holder {
    /// Its id as it may stand in a command that a person copies; another server's may hold anything.
    pub fn plain_id(&self) -> &str {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let is_good = !self.id.is_empty() && self.id.len() <= 64 && self.id.chars().all(is_plain);
        if is_good { &self.id } else { "ID" }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, who, operation, since, heartbeat } = self;
        let short = |text: &str| shown(cut_bytes(text, 300)).into_owned();
        f.write_str(&short(if who.is_empty() { "somebody" } else { who }))?;
        if !operation.is_empty() && !who.contains(operation.as_str()) {
            write!(f, ", {}", short(operation))?;
        }
        if let Some(since) = since {
            write!(f, ", since {}", second(*since))?;
        }
        if let Some(heartbeat) = heartbeat {
            write!(f, ", last sign of life {}", second(*heartbeat))?;
        }
        write!(f, " (lock {})", short(id))
    }
}

fn second(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

impl Trouble {
    /// One without hints. What is foreign in `says` is escaped already.
    pub fn new(kind: Kind, says: impl Into<String>) -> Self {
        Self { kind, says: says.into(), hints: Vec::new(), holder: None }
    }

    /// The same, with what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Somebody else holds it.
    pub fn held(holder: Holder) -> Self {
        let says = format!("is locked by {holder}");
        Self { holder: Some(Box::new(holder)), ..Self::new(Kind::Held, says) }
    }

    /// Somebody else wrote where this one was to.
    pub fn lost(says: impl Into<String>) -> Self {
        Self::new(Kind::Lost, says)
            .hint("another writer took over while this one was away; nothing of theirs was overwritten, and nothing more is sent")
    }

    /// The same trouble, met while writing.
    pub fn writing(mut self) -> Self {
        if self.kind == Kind::Read || self.kind == Kind::Missing {
            self.kind = Kind::Write;
        }
        self
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.says)
    }
}

impl std::error::Error for Trouble {}

/// There is no state.
pub(super) fn missing() -> Trouble {
    Trouble::new(Kind::Missing, "is not there")
}

/// There is one already.
pub(super) fn exists() -> Trouble {
    Trouble::new(Kind::Exists, "is there already")
        .hint("nothing was changed: a new state would forget what is subscribed; name another address to begin anew")
}

/// What was to be unlocked is locked by another id.
pub(super) fn not_theirs(holder: &Holder) -> Trouble {
    let id = holder.plain_id();
    Trouble::new(Kind::NotTheirs, format!("is locked by another id: {holder}"))
        .hint(format!("only where that one is surely gone: `larksub state unlock {id}`"))
}
