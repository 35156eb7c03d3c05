//! `larksub plan`: what would be dropped. Neither network nor credential, and nothing written but `--out` and
//! `--report`.

use std::path::{Path, PathBuf};

use super::show::read_plan;
use super::{Context, forms, write_file};
use crate::cli::{PlanArgs, PlanFormat, Report};
use crate::error::{Exit, Failure};
use crate::manifest::{Manifest, Source};
use crate::pace;
use crate::plan::review::{Misplaced, check_history};
use crate::plan::{self, Plan, base, merge, saved};
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
    let mut plan = compute(&manifest, &reading, &args.allow.overrides());
    if let Some(path) = &args.base {
        base::compare(&mut plan, &read_base(path, &reading)?, &manifest, &reading.state);
    }
    let form = |format, layout: Layout| match format {
        PlanFormat::Text => Ok(text(context, &plan, &reading, layout)),
        PlanFormat::Diff => Ok(diff(context, &manifest, &reading, layout.paint)),
        PlanFormat::Json => document(&plan),
        PlanFormat::Markdown => Ok(forms::markdown(&plan, &args.comment, args.out.as_deref(), None)),
        PlanFormat::Html => Ok(forms::html(&plan, args.out.as_deref(), None)),
        PlanFormat::Gitlab => Ok(render::gitlab::text(&plan)),
        PlanFormat::Github => {
            Ok(render::github::text(&plan, None, &|about| forms::position(&manifest, &sources, about)))
        }
    };
    if let Some(path) = &args.out {
        write_file(path, &document(&plan)?)?;
    }
    for Report { format, path } in &args.report {
        forms::write_report(path, &form(*format, Layout::PLAIN)?)?;
    }
    if args.forms().any(|format| format == PlanFormat::Github) {
        forms::append_outputs(&render::github::outputs(&plan))?;
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

/// The plan of the branch that this one will be merged into, if it was made from this ledger's history.
fn read_base(path: &Path, reading: &Reading) -> Result<Plan, Failure> {
    let (plan, _) = read_plan(path)?;
    let place = format!("--base {}", shown(&path.display().to_string()));
    let refused = |what: String| Failure::new(Exit::Refused, format!("{place}: {what}"));
    check_history(&plan.facts, &reading.state, &reading.lines).map_err(|error| match error {
        Misplaced::Lineage { plan, state } => refused(format!(
            "the base's plan was made from another state (its lineage is {plan}, this one's is {state})"
        ))
        .hint("plan main with the same state as this change: `larksub plan --out main.json` there"),
        Misplaced::Older { serial, plan } => refused(format!(
            "the state here is older than the base's plan: it ends at line {serial}, and that plan was made from line {plan}"
        ))
        .hint("bring main's newest ledger into this branch (merge or rebase), then plan again"),
        Misplaced::OtherHistory(line) => refused(format!(
            "the base's plan was made from a line that this state does not contain: its line {line} is another one"
        ))
        .hint("two copies of one ledger were written to: use main's in both places, and plan main again"),
        Misplaced::App { .. } | Misplaced::Told(_) => Failure::from(error),
    })?;
    Ok(plan)
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
    let inputs = std::iter::once((context.workspace.state.as_path().to_path_buf(), "the state"))
        .chain(args.base.iter().map(|path| (path.clone(), "the base's plan")))
        .chain(sources.iter().map(|source| (PathBuf::from(&source.path), "the manifest")));
    let outs = args.out.iter().map(|path| ("--out", path.as_path()));
    let reports = args.report.iter().map(|report| ("--report", report.path.as_path()));
    let outputs = forms::outputs_file(args.forms().any(|format| format == PlanFormat::Github));
    let outputs = outputs.iter().map(|path| ("GITHUB_OUTPUT", path.as_path()));
    forms::refuse_clashes(inputs.collect(), outs.chain(reports).chain(outputs))
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
