//! `larksub plan`: what would be dropped. Neither network nor credential, and nothing written but `--out`.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::{Context, write_file};
use crate::cli::{PlanArgs, PlanFormat};
use crate::error::{Exit, Failure};
use crate::manifest::{Manifest, Source};
use crate::pace;
use crate::plan::{self, Plan, merge, saved};
use crate::render::{self, Layout};
use crate::state::{Override, Reading};
use crate::text::shown;

/// Runs the command.
///
/// # Errors
/// Manifest or state are refused, or the plan cannot be saved.
pub fn run(context: &Context, args: &PlanArgs) -> Result<Exit, Failure> {
    let (manifest, state) = context.manifest_and_state();
    let (manifest, sources) = manifest?;
    let reading = context.state(state)?;
    if let Some(path) = &args.out {
        refuse_inputs(context, &sources, path)?;
    }
    let plan = compute(&manifest, &reading, &args.allow.overrides());
    let document =
        if args.out.is_some() || args.format == PlanFormat::Json { document(&plan)? } else { String::new() };
    if let Some(path) = &args.out {
        write_file(path, &document)?;
    }
    match args.format {
        PlanFormat::Text => context.print(&text(context, &plan, &reading, context.layout(args.full, 1)))?,
        PlanFormat::Diff => {
            context.print(&diff(context, &manifest, &reading))?;
            // A diff shows neither an app without a section nor what a guard says.
            context.note(&render::plan::verdict(&plan, context.stderr.paint));
        }
        PlanFormat::Json => context.print(&document)?,
    }
    if let Some(path) = &args.out {
        let path = shown(&path.display().to_string()).into_owned();
        let does = if plan.refused { "refuses it, too" } else { "does exactly this, or nothing" };
        context.note(&format!("saved: {path}; `larksub apply {path}` {does}"));
    }
    let exit = exit(&plan, args.detailed_exitcode);
    // The process ends now; giving back a million texts one by one would only take its time.
    std::mem::forget((manifest, sources, reading, plan));
    Ok(exit)
}

/// The plan with its estimated time.
pub fn compute(manifest: &Manifest, reading: &Reading, overrides: &[Override]) -> Plan {
    let mut plan = plan::compute(manifest, &reading.state, &reading.lines, overrides);
    plan.estimate_s = estimate(manifest, &plan);
    plan
}

/// The plan as people read it, with the state it was made from.
pub fn text(context: &Context, plan: &Plan, reading: &Reading, layout: Layout) -> String {
    let path = context.workspace.state.display().to_string();
    let origin = render::plan::Origin {
        path: &path,
        written_at: reading.state.written_at,
        written_by: &reading.state.written_by,
    };
    render::plan::text(plan, Some(&origin), layout)
}

fn diff(context: &Context, manifest: &Manifest, reading: &Reading) -> String {
    let rows = merge::rows(manifest, &reading.state);
    let tracked = format!("{} (line {})", context.workspace.state.display(), reading.state.serial);
    let declared = context.workspace.manifest.display().to_string();
    render::diff::unified(&rows, &tracked, &declared, context.stdout.paint)
}

fn document(plan: &Plan) -> Result<String, Failure> {
    saved::write(plan).map_err(|error| {
        Failure::new(Exit::Error, "the plan cannot be written as JSON").because(error.to_string())
    })
}

/// A plan saved over the state would end the only ledger there is.
fn refuse_inputs(context: &Context, sources: &[Source], out: &Path) -> Result<(), Failure> {
    let file = |path: &Path| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    let Some(there) = file(out) else { return Ok(()) };
    let manifests = sources.iter().map(|source| (Path::new(&source.path), "manifest"));
    let mut inputs = std::iter::once((context.workspace.state.as_path(), "state")).chain(manifests);
    match inputs.find(|(path, _)| file(path) == Some(there)) {
        None => Ok(()),
        Some((_, what)) => {
            let title = format!("--out {} names the {what}", shown(&out.display().to_string()));
            Err(Failure::new(Exit::Error, title)
                .hint("nothing was written; save the plan under a name of its own, such as `plan.json`"))
        }
    }
}

fn estimate(manifest: &Manifest, plan: &Plan) -> u64 {
    let mut lanes: std::collections::BTreeMap<_, u64> = std::collections::BTreeMap::new();
    for call in plan.planned_calls() {
        *lanes.entry((call.app, call.tenant_key)).or_default() += 1;
    }
    let rate = |app| manifest.apps.get(app).map_or(1, |app: &crate::manifest::App| app.rate_per_minute);
    let lanes: Vec<(u64, u32)> = lanes.into_iter().map(|((app, _), calls)| (calls, rate(app))).collect();
    let time = pace::estimate(&lanes);
    time.as_secs_f64().ceil() as u64
}

fn exit(plan: &Plan, detailed: bool) -> Exit {
    if plan.refused {
        Exit::Refused
    } else if detailed && plan.has_changes {
        Exit::Changes
    } else {
        Exit::Done
    }
}
