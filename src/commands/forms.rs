//! The forms of a plan that `plan` and `show` share, and where on the disk they go.

use std::fs::{self, Metadata};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{env, write_file};
use crate::cli::CommentArgs;
use crate::error::{Exit, Failure};
use crate::manifest::{Manifest, Policy, Source, Span};
use crate::plan::{Guard, Plan, Rule, Stale};
use crate::render;
use crate::render::github::{About, Position};
use crate::render::markdown::Comment;
use crate::subscription::{AppLabel, ApprovalCode, SubscriptionKey, TenantKey};
use crate::text::shown;

/// A plan as a comment; `saved` is where it is, if it is saved.
pub fn markdown(plan: &Plan, args: &CommentArgs, saved: Option<&Path>, stale: Option<&Stale>) -> String {
    let CommentArgs { max_chars, comment_key } = args;
    let saved = saved.map(|path| path.display().to_string());
    let (key, saved) = (comment_key.as_deref(), saved.as_deref());
    let comment = Comment { key, saved, stale, max_chars: *max_chars };
    render::markdown::text(plan, &comment)
}

/// Where a manifest speaks of what an annotation is about: a limit's line, a subscription's entry, an app's section.
pub fn position(manifest: &Manifest, sources: &[Source], about: About<'_>) -> Option<Position> {
    let span = match about {
        About::Subscription(key) => of_app(manifest, &key.app, Some(key)),
        About::Guard(guard) => of_guard(manifest, guard),
    };
    let Span { source, bytes } = span?;
    let source = sources.get(*source)?;
    let before = source.bytes.get(..bytes.start)?;
    let line = before.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
    Some(Position { file: from_root(&source.path), line })
}

/// The line of a limit or a demand, else the section that would hold it; of the other guards what they speak of.
fn of_guard<'a>(manifest: &'a Manifest, guard: &Guard) -> Option<&'a Span> {
    let general = &manifest.policy;
    let app = guard.app.as_ref().and_then(|label| manifest.apps.get(label));
    let section = || app.map(|app| &app.span);
    let rule = |of: fn(&Policy) -> Option<&Span>| app.and_then(|app| of(&app.policy)).or_else(|| of(general));
    match guard.rule {
        // Of this one both hold, each measured on its own.
        Rule::MaxDrops => {
            let policy = app.map_or(general, |app| &app.policy);
            policy.max_drops.as_ref().map(|limit| &limit.span).or(policy.span.as_ref()).or_else(section)
        }
        Rule::MaxDropPercent => rule(|policy| policy.max_drop_percent.as_ref().map(|limit| &limit.span))
            .or_else(|| rule(|policy| policy.span.as_ref()))
            .or_else(section),
        Rule::Reason => {
            rule(|policy| policy.require_reason.as_ref().map(|demand| &demand.span)).or_else(section)
        }
        Rule::WrongApp | Rule::NoSection | Rule::LetterCase | Rule::Protected | Rule::Handover => {
            let key: Option<SubscriptionKey> = guard.key.as_deref().and_then(|key| key.parse().ok());
            of_app(manifest, guard.app.as_ref()?, key.as_ref())
        }
    }
}

/// A plan as a page; `saved` is where it is, if it is saved.
pub fn html(plan: &Plan, saved: Option<&Path>, stale: Option<&Stale>) -> String {
    let saved = saved.map(|path| path.display().to_string());
    render::html::plan(plan, saved.as_deref(), stale)
}

/// Where a manifest speaks of an app, or of a subscription that goes: its `removed` entry, else the section.
fn of_app<'a>(manifest: &'a Manifest, app: &AppLabel, key: Option<&SubscriptionKey>) -> Option<&'a Span> {
    let section = manifest.apps.get(app)?;
    let is_it = |tenant_key: Option<&TenantKey>, code: &ApprovalCode| {
        key.is_some_and(|key| key.tenant_key.as_ref() == tenant_key && key.approval_code == *code)
    };
    let removed = section.removed.iter().find(|it| is_it(it.tenant_key.as_ref(), &it.approval_code));
    let declared =
        || section.subscriptions.iter().find(|it| is_it(it.tenant_key.as_ref(), &it.approval_code));
    let entry = removed.map(|it| &it.span).or_else(|| declared().map(|it| &it.span));
    Some(entry.unwrap_or(&section.span))
}

/// A path as GitHub names files: from the repository's root, which the job's environment tells.
fn from_root(path: &str) -> String {
    let root = env("GITHUB_WORKSPACE").map(PathBuf::from).filter(|root| !root.as_os_str().is_empty());
    let whole = || Some((fs::canonicalize(path).ok()?, fs::canonicalize(root?).ok()?));
    let relative = whole().and_then(|(path, root)| Some(path.strip_prefix(root).ok()?.display().to_string()));
    relative.unwrap_or_else(|| path.to_owned())
}

/// Adds the step's outputs to the file that GitHub names, where it does.
///
/// # Errors
/// The file cannot be written: what follows in the job would take the outputs for empty.
pub fn append_outputs(outputs: &str) -> Result<(), Failure> {
    let Some(path) = named_by("GITHUB_OUTPUT") else { return Ok(()) };
    append(&path, outputs).map_err(|error| {
        let title =
            format!("GITHUB_OUTPUT names {}, which cannot be written", shown(&path.display().to_string()));
        Failure::new(Exit::Error, title).because(error.to_string())
    })
}

/// The file that the step's outputs are added to, where `is_asked` for it: it must be no input either.
pub fn outputs_file(is_asked: bool) -> Option<PathBuf> {
    named_by("GITHUB_OUTPUT").filter(|_| is_asked)
}

/// The path that a variable holds, if it holds one.
fn named_by(variable: &str) -> Option<PathBuf> {
    env(variable).map(PathBuf::from).filter(|path| !path.as_os_str().is_empty())
}

fn append(path: &Path, text: &str) -> io::Result<()> {
    let file = fs::OpenOptions::new().append(true).create(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
}

/// Writes a form to a file: whole, or not at all. The summary of GitHub's step is added to, since others write to
/// it as well.
///
/// # Errors
/// It cannot be written.
pub fn write_report(path: &Path, text: &str) -> Result<(), Failure> {
    match named_by("GITHUB_STEP_SUMMARY").is_some_and(|summary| is_same(path, &summary)) {
        false => write_file(path, text),
        true => append(path, &format!("{text}\n")).map_err(|error| {
            let title = format!("{} cannot be written", shown(&path.display().to_string()));
            Failure::new(Exit::Error, title).because(error.to_string())
        }),
    }
}

/// An empty file in the place of what is there, to be written as things happen: whoever still writes to the old one
/// does not write into this one. What is no regular file, such as a pipe, is written to.
///
/// # Errors
/// It cannot be written there.
pub fn replace(path: &Path) -> io::Result<fs::File> {
    write_file(path, "").map_err(|failure| io::Error::other(failure.causes.join("; ")))?;
    fs::OpenOptions::new().append(true).open(path)
}

/// Refuses files that are read, and those that two things would be written to.
///
/// # Errors
/// A path of `outs` is one of `inputs`, or an earlier one of `outs`.
pub fn refuse_clashes<'a>(
    inputs: Vec<(PathBuf, &str)>,
    outs: impl Iterator<Item = (&'a str, &'a Path)>,
) -> Result<(), Failure> {
    let mut taken = inputs;
    for (option, path) in outs {
        if let Some((_, what)) = taken.iter().find(|(other, _)| is_same(path, other)) {
            let title = format!("{option} {} names {what}", shown(&path.display().to_string()));
            return Err(Failure::new(Exit::Error, title)
                .hint("nothing was written; give it a name of its own, such as `plan.json` or `plan.md`"));
        }
        taken.push((path.to_path_buf(), "what another form goes to"));
    }
    Ok(())
}

/// Whether two paths are one file, there already or not yet.
fn is_same(path: &Path, other: &Path) -> bool {
    let file = |path: &Path| fs::metadata(path).ok().filter(Metadata::is_file).map(|it| (it.dev(), it.ino()));
    match file(path) {
        Some(there) => file(other) == Some(there),
        // What is no file yet, or takes more than one thing, such as a pipe.
        None => !path.exists() && std::path::absolute(path).ok() == std::path::absolute(other).ok(),
    }
}
