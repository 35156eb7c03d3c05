//! The forms that the result of an apply is printed and written in.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::CommentArgs;

/// The forms of what an apply came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ApplyFormat {
    /// For people, as it happens.
    Text,
    /// One document at the end.
    Json,
    /// An event a line, as it happens.
    Ndjson,
    /// For a comment in a pull or merge request.
    Markdown,
    /// GitLab's merge-request widget.
    Gitlab,
    /// GitHub's annotations, and the step's outputs.
    Github,
    /// One page that needs nothing else.
    Html,
}

/// A form of the result, and the file it goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplyReport {
    /// Which form.
    pub format: ApplyFormat,
    /// Where it goes.
    pub path: PathBuf,
}

/// The forms that are asked for.
#[derive(Debug, Clone, Args)]
pub struct ApplyFormArgs {
    /// The form the result is printed in
    #[arg(long, value_name = "F", default_value = "text")]
    pub format: ApplyFormat,
    /// Write the result to a file in another form as well (repeatable)
    #[arg(long, value_name = "F=FILE", value_parser = report)]
    pub report: Vec<ApplyReport>,
    /// What a comment is like.
    #[command(flatten)]
    pub comment: CommentArgs,
}

impl ApplyFormArgs {
    /// Every form that is asked for.
    pub fn forms(&self) -> impl Iterator<Item = ApplyFormat> {
        std::iter::once(self.format).chain(self.report.iter().map(|report| report.format))
    }
}

fn report(text: &str) -> Result<ApplyReport, String> {
    super::forms::form_and_path(text, "result").map(|(format, path)| ApplyReport { format, path })
}
