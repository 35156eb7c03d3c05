//! What was looked at and how it was found, as plain data.

use serde::Serialize;

use crate::subscription::AppLabel;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What, one word.
    pub check: &'static str,
    /// Of which app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<AppLabel>,
    /// How it was found.
    pub result: Found,
    /// The same in a sentence, escaped.
    pub says: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub help: Vec<String>,
}

/// How something was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Found {
    /// As it should be.
    Ok,
    /// A person should look; nothing fails for it.
    Warn,
    /// A command will fail for it.
    Fail,
    /// It was not looked at.
    Skip,
}

impl Check {
    /// A check of the whole.
    pub fn new(check: &'static str, result: Found, says: impl Into<String>) -> Self {
        Self { check, app: None, result, says: says.into(), help: Vec::new() }
    }

    /// The same, of one app.
    pub fn of(mut self, app: &AppLabel) -> Self {
        self.app = Some(app.clone());
        self
    }

    /// The same, with what to do.
    pub fn help(mut self, sentence: impl Into<String>) -> Self {
        self.help.push(sentence.into());
        self
    }
}
