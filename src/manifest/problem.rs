//! What is wrong with a text, as data: where, why, and what to write instead.

use super::Span;

/// One thing that is wrong, or worth a warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Whether the text can be used all the same.
    pub severity: Severity,
    /// What is wrong, in a lower-case sentence without a full stop. Foreign parts are already escaped.
    pub title: String,
    /// Where it is, and the other places that have a part in it. The first is the main one; none where the
    /// problem has no place.
    pub annotations: Vec<Annotation>,
    /// Why it matters and what to do next, a sentence each.
    pub help: Vec<String>,
    /// Places that hold a secret: they are never shown, by whichever problem draws their line.
    pub redact: Vec<Span>,
}

impl Problem {
    /// An error without a place yet.
    pub fn error(title: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            title: title.into(),
            annotations: Vec::new(),
            help: Vec::new(),
            redact: Vec::new(),
        }
    }

    /// A warning without a place yet.
    pub fn warning(title: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(title) }
    }

    /// The same, with one more place; the first one is the main one.
    pub fn at(mut self, span: Span, label: impl Into<String>) -> Self {
        self.annotations.push(Annotation { span, label: label.into() });
        self
    }

    /// The same, with what to do next.
    pub fn help(mut self, sentence: impl Into<String>) -> Self {
        self.help.push(sentence.into());
        self
    }

    /// The same, with a place that is never shown.
    pub fn redact(mut self, span: Span) -> Self {
        self.redact.push(span);
        self
    }
}

/// A place, with what is to be said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// The bytes to underline.
    pub span: Span,
    /// What stands beside the underline; may be empty.
    pub label: String,
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The text is refused.
    Error,
    /// The text is used, and a person should look.
    Warning,
}

/// Every problem of an input, in the order of its texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);
