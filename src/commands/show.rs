//! `larksub show`: a saved plan, or the state. Nothing is written, and a newer state is shown as far as it goes.

use std::path::Path;

use super::plan::compute;
use super::{Context, forms};
use crate::cli::{ShowArgs, ShowFormat};
use crate::error::{Exit, Failure};
use crate::plan::{Plan, saved, stale::stale};
use crate::render;
use crate::state::ledger::read_file;
use crate::text::shown;

/// Runs the command.
///
/// # Errors
/// The plan or the state cannot be read.
pub fn run(context: &Context, args: &ShowArgs) -> Result<Exit, Failure> {
    match &args.plan {
        Some(path) => show_plan(context, path, args)?,
        None => show_state(context, args)?,
    }
    Ok(Exit::Done)
}

/// Reads a saved plan.
///
/// # Errors
/// It cannot be read, is something else, or was changed.
pub fn read_plan(path: &Path) -> Result<(Plan, String), Failure> {
    let place = shown(&path.display().to_string()).into_owned();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::new(Exit::Error, format!("the plan {place} cannot be read"))
            .because(error.to_string())
            .hint("`larksub plan --out FILE` saves one; relative paths are from the folder of -C")
    })?;
    let plan = saved::read(&text).map_err(|error| {
        let failure = Failure::from(error);
        Failure { title: format!("{place}: {}", failure.title), ..failure }
    })?;
    Ok((plan, text))
}

fn show_plan(context: &Context, path: &Path, args: &ShowArgs) -> Result<(), Failure> {
    let (plan, text) = read_plan(path)?;
    // The plan stands for itself; a state that happens to be here only tells whether it is stale. Nothing is fetched for that.
    let reading = read_file(context.workspace.state.as_path()).ok();
    let stale = reading.and_then(|reading| {
        // Where the manifest is here as well, the rest of what it tells can be compared, too.
        let manifest = context.manifest();
        let fresh = manifest.ok().map(|(manifest, _)| compute(&manifest, &reading, &plan.overrides));
        stale(&plan, &reading.state, &reading.lines, fresh.as_ref())
    });
    let stale = stale.as_ref();
    if let Some(stale) = stale {
        context.note(&format!("warning: {}", render::stale::sentence(stale)));
    }
    match args.format {
        ShowFormat::Json => context.print(&text),
        ShowFormat::Text => {
            let layout = context.layout(args.full, 0);
            let text = render::plan::text(&plan, None, layout);
            // What is not to be believed says so itself, wherever the text goes.
            let forged = stale.filter(|stale| stale.told.is_some());
            let warning = forged.map_or(String::new(), |stale| {
                format!("{}\n", layout.paint.bad(render::stale::sentence(stale)))
            });
            context.print(&format!("{warning}{text}"))
        }
        ShowFormat::Markdown => context.print(&forms::markdown(&plan, &args.comment, Some(path), stale)),
        ShowFormat::Html => context.print(&forms::html(&plan, Some(path), stale)),
        ShowFormat::Gitlab => context.print(&render::gitlab::text(&plan)),
        ShowFormat::Github => {
            let outputs = forms::outputs_file(true);
            let mut inputs = vec![
                (path.to_path_buf(), "the plan"),
                (context.workspace.state.as_path().to_path_buf(), "the state"),
            ];
            // A manifest that cannot be read is not this command's matter.
            let sources = context.workspace.manifest_sources().unwrap_or_default();
            inputs.extend(sources.into_iter().map(|source| (source.path.into(), "the manifest")));
            forms::refuse_clashes(inputs, outputs.iter().map(|path| ("GITHUB_OUTPUT", path.as_path())))?;
            forms::append_outputs(&render::github::outputs(&plan))?;
            // A saved plan does not know where the manifest says what.
            context.print(&render::github::text(&plan, stale, &|_| None))
        }
    }
}

fn show_state(context: &Context, args: &ShowArgs) -> Result<(), Failure> {
    if !matches!(args.format, ShowFormat::Text | ShowFormat::Json) {
        return Err(Failure::new(
            Exit::Error,
            "the state is shown as text or json; the other forms are a plan's",
        )
        .hint("name a saved plan: `larksub show plan.json --format markdown`"));
    }
    let reading = context.state_of_any_version()?;
    match args.format {
        ShowFormat::Json => context.print(&json(&render::state::document(&reading.state, |_| true))?),
        _ => {
            let path = context.workspace.state.display().to_string();
            context.print(&render::state::list(&reading.state, &path, |_| true, context.layout(args.full, 0)))
        }
    }
}

/// A document as indented JSON with a line break at its end.
///
/// # Errors
/// Never for this project's documents.
pub fn json<T: serde::Serialize>(document: &T) -> Result<String, Failure> {
    let text = crate::json::pretty(document);
    let text = text.map_err(|error| Failure::new(Exit::Error, "no JSON").because(error.to_string()))?;
    Ok(format!("{text}\n"))
}
