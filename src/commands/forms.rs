//! The forms of a plan that `plan` and `show` share, and where on the disk they go.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::env;
use crate::cli::CommentArgs;
use crate::error::{Exit, Failure};
use crate::manifest::{Manifest, Source, Span};
use crate::plan::Plan;
use crate::render;
use crate::render::github::Position;
use crate::render::markdown::Comment;
use crate::subscription::{AppLabel, ApprovalCode, SubscriptionKey, TenantKey};
use crate::text::shown;

/// A plan as a comment; `saved` is where it is, if it is saved.
pub fn markdown(plan: &Plan, args: &CommentArgs, saved: Option<&Path>) -> String {
    let CommentArgs { max_chars, comment_key } = args;
    let saved = saved.map(|path| path.display().to_string());
    let comment = Comment { key: comment_key.as_deref(), saved: saved.as_deref(), max_chars: *max_chars };
    render::markdown::text(plan, &comment)
}

/// Where a manifest speaks of an app, or of a subscription that goes: its `removed` entry, else the section.
pub fn position(
    manifest: &Manifest,
    sources: &[Source],
    app: &AppLabel,
    key: Option<&SubscriptionKey>,
) -> Option<Position> {
    let section = manifest.apps.get(app)?;
    let is_it = |tenant_key: Option<&TenantKey>, code: &ApprovalCode| {
        key.is_some_and(|key| key.tenant_key.as_ref() == tenant_key && key.approval_code == *code)
    };
    let removed = section.removed.iter().find(|it| is_it(it.tenant_key.as_ref(), &it.approval_code));
    let declared =
        || section.subscriptions.iter().find(|it| is_it(it.tenant_key.as_ref(), &it.approval_code));
    let span = removed.map(|it| &it.span).or_else(|| declared().map(|it| &it.span)).unwrap_or(&section.span);
    let Span { source, bytes } = span;
    let source = sources.get(*source)?;
    let before = source.bytes.get(..bytes.start)?;
    let line = before.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
    Some(Position { file: from_root(&source.path), line })
}

/// A path as GitHub names files: from the repository's root, which the job's environment tells.
fn from_root(path: &str) -> String {
    let root = env("GITHUB_WORKSPACE").map(PathBuf::from).filter(|root| !root.as_os_str().is_empty());
    let whole = || Some((std::fs::canonicalize(path).ok()?, std::fs::canonicalize(root?).ok()?));
    let relative = whole().and_then(|(path, root)| Some(path.strip_prefix(root).ok()?.display().to_string()));
    relative.unwrap_or_else(|| path.to_owned())
}

/// Adds the step's outputs to the file that GitHub names, where it does.
///
/// # Errors
/// The file cannot be written: what follows in the job would take the outputs for empty.
pub fn add_outputs(plan: &Plan) -> Result<(), Failure> {
    let Some(path) = env("GITHUB_OUTPUT").map(PathBuf::from).filter(|path| !path.as_os_str().is_empty())
    else {
        return Ok(());
    };
    let file = std::fs::OpenOptions::new().append(true).create(true).open(&path);
    file.and_then(|mut file| file.write_all(render::github::outputs(plan).as_bytes())).map_err(|error| {
        let title =
            format!("GITHUB_OUTPUT names {}, which cannot be written", shown(&path.display().to_string()));
        Failure::new(Exit::Error, title).because(error.to_string())
    })
}
