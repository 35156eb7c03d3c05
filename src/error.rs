//! What a person sees when something is wrong: what, why it matters, what to do next; and the exit codes.

pub mod draw;
mod from;

use std::fmt::Write as _;

use crate::render::Paint;

/// How the process ends. The numbers are an interface: pipelines branch on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, nothing wrong.
    Done,
    /// Something is wrong with the input or the surroundings; nothing was changed.
    Error,
    /// The plan gives `apply` something to do (only with `--detailed-exitcode`).
    Changes,
    /// Applied, but some calls are failed, not found or unknown.
    Incomplete,
    /// Refused: a guard, a stale plan, a different digest.
    Refused,
    /// Another command holds the state.
    Locked,
    /// Stopped by the platform: credential, scope, quota, or unknown answers in a row.
    Stopped,
    /// The state cannot be written.
    Unwritable,
    /// Ctrl-C, cleanly.
    Interrupted,
    /// SIGTERM, cleanly.
    Terminated,
}

impl Exit {
    /// The number the process exits with.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Error => 1,
            Self::Changes => 2,
            Self::Incomplete => 3,
            Self::Refused => 4,
            Self::Locked => 5,
            Self::Stopped => 6,
            Self::Unwritable => 7,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

/// An error as a person sees it. Lower modules have small typed errors of their own; `commands` turns them
/// into this one.
#[derive(Debug, Clone)]
pub struct Failure {
    /// How the process ends.
    pub exit: Exit,
    /// What was wrong and where, a lower-case sentence without a full stop. Foreign parts are already escaped.
    pub title: String,
    /// What led to it, outermost first.
    pub causes: Vec<String>,
    /// Why it matters and what to do next, a sentence each.
    pub hints: Vec<String>,
    /// Problems that were drawn already, to stand before the title.
    pub drawing: String,
}

impl Failure {
    /// An error that ends the process with `exit`.
    pub fn new(exit: Exit, title: impl Into<String>) -> Self {
        Self { exit, title: title.into(), causes: Vec::new(), hints: Vec::new(), drawing: String::new() }
    }

    /// The same, with what led to it.
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// The same, with what to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The text of it for stderr, line break at its end included.
    pub fn text(&self, paint: Paint) -> String {
        let Self { exit: _, title, causes, hints, drawing } = self;
        let mut out = drawing.clone();
        if !out.is_empty() && !out.ends_with("\n\n") {
            out.push('\n');
        }
        let _ = writeln!(out, "{} {title}", paint.bad("error:"));
        for (number, cause) in (1..).zip(causes) {
            let _ = match causes.len() {
                1 => writeln!(out, "  cause: {cause}"),
                _ => writeln!(out, "  cause {number}: {cause}"),
            };
        }
        for hint in hints {
            let _ = writeln!(out, "  {} {hint}", paint.good("help:"));
        }
        out
    }
}
