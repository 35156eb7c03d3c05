//! `larksub plan`: what would be dropped. Neither network nor credential, and nothing written but `--out` and
//! `--report`.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{Context, forms, write_file};
use crate::cli::{PlanArgs, PlanFormat, Report};
use crate::error::{Exit, Failure};
use crate::manifest::{Manifest, Source};
use crate::pace;
use crate::plan::{self, Plan, merge, saved};
use crate::render::{self, Layout, Paint};
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
    refuse_inputs(context, &sources, args)?;
    let plan = compute(&manifest, &reading, &args.allow.overrides());
    let form = |format, layout: Layout| match format {
        PlanFormat::Text => Ok(text(context, &plan, &reading, layout)),
        PlanFormat::Diff => Ok(diff(context, &manifest, &reading, layout.paint)),
        PlanFormat::Json => document(&plan),
        PlanFormat::Markdown => Ok(forms::markdown(&plan, &args.comment, args.out.as_deref())),
        PlanFormat::Gitlab => Ok(render::gitlab::text(&plan)),
        PlanFormat::Github => {
            Ok(render::github::text(&plan, &|app, key| forms::position(&manifest, &sources, app, key)))
        }
    };
    if let Some(path) = &args.out {
        write_file(path, &document(&plan)?)?;
    }
    for Report { format, path } in &args.report {
        write_file(path, &form(*format, Layout::PLAIN)?)?;
    }
    if args.forms().any(|format| format == PlanFormat::Github) {
        forms::add_outputs(&plan)?;
    }
    context.print(&form(args.format, context.layout(args.full, 1))?)?;
    if args.format == PlanFormat::Diff {
        // A diff shows neither an app without a section nor what a guard says.
        context.note(&render::plan::verdict(&plan, context.stderr.paint));
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

fn diff(context: &Context, manifest: &Manifest, reading: &Reading, paint: Paint) -> String {
    let rows = merge::rows(manifest, &reading.state);
    let tracked = format!("{} (line {})", context.workspace.state.display(), reading.state.serial);
    let declared = context.workspace.manifest.display().to_string();
    render::diff::unified(&rows, &tracked, &declared, paint)
}

fn document(plan: &Plan) -> Result<String, Failure> {
    saved::write(plan).map_err(|error| {
        Failure::new(Exit::Error, "the plan cannot be written as JSON").because(error.to_string())
    })
}

/// A plan saved over the state would end the only ledger there is; two forms in one file would leave one of them.
fn refuse_inputs(context: &Context, sources: &[Source], args: &PlanArgs) -> Result<(), Failure> {
    let file = |path: &Path| fs::metadata(path).ok().filter(Metadata::is_file).map(|it| (it.dev(), it.ino()));
    let inputs = std::iter::once((context.workspace.state.as_path().to_path_buf(), "the state"))
        .chain(sources.iter().map(|source| (PathBuf::from(&source.path), "the manifest")));
    let mut taken: Vec<(PathBuf, &str)> = inputs.collect();
    let outs = args.out.iter().map(|path| ("--out", path));
    let reports = args.report.iter().map(|report| ("--report", &report.path));
    for (option, path) in outs.chain(reports) {
        let is_same = |other: &Path| match file(path) {
            Some(there) => file(other) == Some(there),
            // What is no file yet, or takes more than one thing, such as a pipe.
            None => !path.exists() && std::path::absolute(path).ok() == std::path::absolute(other).ok(),
        };
        if let Some((_, what)) = taken.iter().find(|(other, _)| is_same(other)) {
            let title = format!("{option} {} names {what}", shown(&path.display().to_string()));
            return Err(Failure::new(Exit::Error, title)
                .hint("nothing was written; give it a name of its own, such as `plan.json` or `plan.md`"));
        }
        taken.push((path.clone(), "what another form goes to"));
    }
    Ok(())
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
