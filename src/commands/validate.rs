//! `larksub validate`: the manifest, and the state where there is one.

use super::{Context, env};
use crate::error::{Exit, Failure, draw};
use crate::manifest::{Manifest, Problem, Problems};
use crate::plan::merge::rows;
use crate::render::{Paint, count};
use crate::state::reach::read_at;
use crate::state::{LedgerError, State};
use crate::text::shown;

/// Runs the command.
///
/// # Errors
/// Manifest or state are refused.
pub fn run(context: &Context) -> Result<Exit, Failure> {
    let (manifest, state) = context.manifest_and_state();
    // Both are looked at, so that one run tells everything.
    let state = match context.state(state) {
        Ok(reading) => Some(reading.state),
        Err(_) if is_missing(context) => None,
        Err(failure) => {
            if let Err(manifest) = &manifest {
                context.complain(manifest);
            }
            return Err(failure);
        }
    };
    let (manifest, sources) = manifest?;
    let path = |path: &std::path::Path| shown(&path.display().to_string()).into_owned();
    let mut said = format!("{}: {}\n", path(&context.workspace.manifest), summary(&manifest));
    match &state {
        Some(state) => {
            let tracked = count(state.tracked() as u64, "tracked subscription", "tracked subscriptions");
            let line =
                format!("{}: line {}, {tracked}\n", path(context.workspace.state.as_path()), state.serial);
            said.push_str(&line);
            let warnings = stale_removals(&manifest, state);
            if !warnings.0.is_empty() {
                context.note(
                    draw::problems(&warnings, &sources, context.stderr.paint == Paint::Colored).trim_end(),
                );
            }
        }
        None => said.push_str(&format!("{}: none yet\n", path(context.workspace.state.as_path()))),
    }
    context.print(&said).map(|()| Exit::Done)
}

fn is_missing(context: &Context) -> bool {
    matches!(read_at(&context.workspace.state, env), Err(LedgerError::Missing { .. }))
}

fn summary(manifest: &Manifest) -> String {
    let apps = manifest.apps.values();
    let subscriptions: usize = apps.clone().map(|app| app.subscriptions.len()).sum();
    let removed: usize = apps.clone().map(|app| app.removed.len()).sum();
    format!(
        "{}, {}, {}",
        count(apps.len() as u64, "app", "apps"),
        count(subscriptions as u64, "subscription", "subscriptions"),
        count(removed as u64, "removed entry", "removed entries")
    )
}

/// `removed` entries that have done their work, or never had any.
fn stale_removals(manifest: &Manifest, state: &State) -> Problems {
    let mut problems = Problems::default();
    for row in rows(manifest, state) {
        let Some(removed) = row.removed.filter(|_| row.tracked().is_none()) else { continue };
        let problem = match row.known {
            Some(known) => Problem::warning(format!("{} is {} already", row.key(), known.status.as_str()))
                .at(removed.span.clone(), "this entry can be deleted"),
            None => Problem::warning(format!("the state has never known {}", row.key()))
                .at(removed.span.clone(), "nothing to remove")
                .help("check the code; if it is right, the entry can be deleted"),
        };
        problems.0.push(problem);
    }
    problems
}
