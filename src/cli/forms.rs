//! The forms that results are printed in, as the command line names them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::render::markdown::{LEAST_CHARS, MOST_CHARS, is_key};

/// The forms of most results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One document.
    Json,
}

/// The forms a plan is printed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    /// For people.
    Text,
    /// Tracked against declared, as a unified diff.
    Diff,
    /// The document that --out saves.
    Json,
    /// For a comment in a pull or merge request.
    Markdown,
    /// GitLab's merge-request widget.
    Gitlab,
    /// GitHub's annotations, and the step's outputs.
    Github,
    /// One page that needs nothing else.
    Html,
}

/// The forms that a saved plan is printed in; it does not hold what a diff needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ShowFormat {
    /// For people.
    Text,
    /// One document.
    Json,
    /// For a comment in a pull or merge request.
    Markdown,
    /// GitLab's merge-request widget.
    Gitlab,
    /// GitHub's annotations, and the step's outputs.
    Github,
    /// One page that needs nothing else.
    Html,
}

/// A form of the plan, and the file it goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Which form.
    pub format: PlanFormat,
    /// Where it goes.
    pub path: PathBuf,
}

/// What a comment is like.
#[derive(Debug, Clone, Args)]
pub struct CommentArgs {
    /// Fold a comment (`markdown`) to at most N characters
    #[arg(long, value_name = "N", default_value_t = MOST_CHARS, value_parser = max_chars)]
    pub max_chars: usize,
    /// Mark a comment with TEXT, to find it again [default: the state's lineage]
    #[arg(long, value_name = "TEXT", value_parser = comment_key)]
    pub comment_key: Option<String>,
}

pub(super) fn report(text: &str) -> Result<Report, String> {
    form_and_path(text, "plan").map(|(format, path)| Report { format, path })
}

/// A form and the file it goes to; `of` is what a file of it may be called.
pub(super) fn form_and_path<F: ValueEnum>(text: &str, of: &str) -> Result<(F, PathBuf), String> {
    let (kind, path) = text.split_once('=').unwrap_or((text, ""));
    let format = F::from_str(kind, false).map_err(|_| {
        let forms = F::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        let forms: Vec<String> = forms.map(|form| form.get_name().to_owned()).collect();
        format!("a report is F=FILE, such as `markdown={of}.md`, with F one of {}", forms.join(", "))
    })?;
    match path {
        "" => Err(format!("the file is missing: `{kind}=FILE`")),
        "-" => Err(format!(
            "`-` is no file here: `--format {kind}` prints it; a file of that name is `{kind}=./-`"
        )),
        path => Ok((format, path.into())),
    }
}

fn max_chars(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number >= LEAST_CHARS => Ok(number),
        _ => Err(format!(
            "a whole number, {LEAST_CHARS} at least: the counts, the digest and the command need room"
        )),
    }
}

fn comment_key(text: &str) -> Result<String, String> {
    match is_key(text) {
        true => Ok(text.into()),
        false => Err(
            "1 to 100 letters, digits and `._/-`, beginning and ending with a letter or digit, without two \
                      hyphens in a row"
                .into(),
        ),
    }
}
