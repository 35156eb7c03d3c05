//! `larksub apply`: what was planned is done, and what became of it is recorded.

mod outlet;
mod refusal;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::rc::Rc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use self::outlet::{Known, Outlet};
use super::plan::{compute, text};
use super::progress::{Progress, TICK};
use super::show::read_plan;
use super::{Context, env};
use crate::apply::{self, Call, Lane, Stop, Work};
use crate::cli::{ApplyArgs, ApplyFormat};
use crate::credentials::{self, Credential, Need};
use crate::error::{Exit, Failure};
use crate::feishu::{self, Client, Http};
use crate::manifest::Manifest;
use crate::pace::Rate;
use crate::plan::review::{Agreement, agreement, check_place, check_words};
use crate::plan::{Plan, Update};
use crate::render::{self, Paint};
use crate::report::{Report, Signal};
use crate::state::record::{Bind, By, Forget, Update as UpdateRecord};
use crate::state::{Ledger, Override, OverrideFlag, Reading, State, Str};
use crate::subscription::{AppLabel, TenantKey};
use crate::workspace::{author, now};

/// Runs the command.
///
/// # Errors
/// Anything that keeps the run from beginning; nothing was sent then.
pub fn run(context: &Context, args: &ApplyArgs) -> Result<Exit, Failure> {
    let mut outlet = Outlet::open(context, args)?;
    let mut known = Known::default();
    match begin(context, args, &mut outlet, &mut known) {
        Ok((report, text)) => Ok(outlet.ran(&known, &report, &text)),
        Err(failure) => {
            outlet.not_begun(&mut known, &failure);
            Err(failure)
        }
    }
}

/// The run, and what is printed of it at its end where a person reads along. What is learned on the way is `known`
/// whatever comes of it.
fn begin(
    context: &Context,
    args: &ApplyArgs,
    outlet: &mut Outlet<'_>,
    known: &mut Known,
) -> Result<(Report, String), Failure> {
    let reviewed = args.plan.as_deref().map(read_plan).transpose()?.map(|(plan, _)| plan);
    known.lineage = reviewed.as_ref().map(|plan| plan.facts.lineage);
    known.digest = reviewed.as_ref().map(|plan| plan.digest.clone()).or(args.digest.clone());
    let (manifest, _) = context.manifest()?;
    let overrides = overrides(args, reviewed.as_ref(), &manifest)?;
    known.overrides = overrides.clone();
    let (mut ledger, reading) = context.ledger(args.lock_timeout)?;
    let plan = Rc::new(compute(&manifest, &reading, &overrides));
    known.plan = Some(Rc::clone(&plan));
    let is_reviewed = args.plan.is_some() || args.digest.is_some();
    outlet.planned(&plan);
    if let Some(reviewed) = &reviewed {
        check_place(&reviewed.facts, &manifest, &reading.state, &reading.lines)?;
    }
    let digest = reviewed.as_ref().map(|plan| &plan.digest).or(args.digest.as_ref());
    let agreed = digest.map_or(Agreement::Same, |digest| agreement(digest, &plan, &manifest, &reading.state));
    if agreed == Agreement::Different {
        return Err(different(context, args, reviewed.as_ref(), &plan, &reading, known));
    }
    if let (Some(reviewed), Agreement::Same) = (&reviewed, agreed) {
        check_words(reviewed, &plan)?;
    }
    // A plan that is resumed is still the one that was reviewed: its runs carry the reviewed digest.
    let plan_digest = digest.cloned().unwrap_or_else(|| plan.digest.clone());
    known.digest = Some(plan_digest.clone());
    if plan.refused {
        show_plan(context, args, &plan, &reading)?;
        return Err(refusal::failure(&plan));
    }
    if agreed == Agreement::AlreadyApplied {
        outlet.note("already applied: nothing of this plan is left to do");
    }
    if !plan.has_changes {
        let report = Report { unsettled: plan.unsettled(), ..Report::empty() };
        return Ok((report, text(context, &plan, &reading, layout(context, args))));
    }
    approve(context, args, &plan, &reading, is_reviewed)?;
    let credentials = credentials(&plan, &manifest)?;
    let work =
        work(&plan, &manifest, overrides, plan_digest, &args.allow_misses, &credentials, &reading.state)?;
    // Two lines a call, and the first and the last of the run: a full disk is found before the first call.
    let calls: usize = work.lanes.iter().map(|lane| lane.calls.len()).sum();
    if calls > 0 {
        ledger.reserve(calls as u64 * 2 + 2)?;
    }
    let report = carry_out(context, args, work, ledger, outlet)?;
    if let Some(unrecorded) = &report.unrecorded {
        let text = render::report::unrecorded(unrecorded, reading.state.lineage, context.stderr.paint);
        let _ = io::stderr().lock().write_all(text.as_bytes());
        super::shared::keep_unsent(context, unrecorded, reading.state.lineage);
    }
    let text = render::report::summary(&report, context.stdout.paint);
    Ok((report, text))
}

/// What the flags of this very command allow by name.
fn named(args: &ApplyArgs) -> Vec<Override> {
    let misses = args.allow_misses.iter();
    let misses = misses.map(|it| Override { flag: OverrideFlag::AllowMisses, value: it.to_string() });
    args.allow.overrides().into_iter().chain(misses).collect()
}

/// What is allowed by name: by the saved plan, and by the flags given now.
fn overrides(
    args: &ApplyArgs,
    reviewed: Option<&Plan>,
    manifest: &Manifest,
) -> Result<Vec<Override>, Failure> {
    let mut overrides = reviewed.map(|plan| plan.overrides.clone()).unwrap_or_default();
    for label in &args.allow_misses {
        if !manifest.apps.contains_key(label) {
            return Err(Failure::new(
                Exit::Error,
                format!("--allow-misses names `{label}`, which is no app of the manifest"),
            ));
        }
    }
    overrides.extend(named(args));
    overrides.sort();
    overrides.dedup();
    Ok(overrides)
}

fn show_plan(context: &Context, args: &ApplyArgs, plan: &Plan, reading: &Reading) -> Result<(), Failure> {
    let text = text(context, plan, reading, layout(context, args));
    match args.forms.format {
        ApplyFormat::Text => context.print(&text),
        // stdout is for the one document.
        _ => {
            context.note(text.trim_end());
            Ok(())
        }
    }
}

/// The prompt and what it asks about stand beneath the plan.
fn layout(context: &Context, args: &ApplyArgs) -> render::Layout {
    context.layout(args.full, 6)
}

/// Asks a person, where nobody has reviewed the plan yet.
fn approve(
    context: &Context,
    args: &ApplyArgs,
    plan: &Plan,
    reading: &Reading,
    is_reviewed: bool,
) -> Result<(), Failure> {
    if is_reviewed {
        return Ok(());
    }
    if args.auto_approve {
        return show_plan(context, args, plan, reading);
    }
    if !io::stdin().is_terminal() || !context.stderr.is_terminal {
        show_plan(context, args, plan, reading)?;
        return Err(Failure::new(Exit::Error, "there is no terminal to ask at, and nothing was applied")
            .hint("have a plan reviewed: `larksub plan --out plan.json`, then `larksub apply plan.json`")
            .hint("or pass the digest of the plan that was reviewed: --digest sha256:…; or --auto-approve"));
    }
    show_plan(context, args, plan, reading)?;
    let loss = match plan.calls {
        0 => "No call is made; only the state is written.".into(),
        calls => {
            let approvals = render::count(calls, "approval", "approvals");
            format!(
                "The app receives no further events of {approvals}, and events that are lost never come back."
            )
        }
    };
    let unlisted = render::plan::unlisted(plan, None, layout(context, args));
    let unlisted = match unlisted {
        0 => String::new(),
        1 => "1 of them is not listed above; --full lists every one.\n".into(),
        some => format!("{} of them are not listed above; --full lists every one.\n", render::grouped(some)),
    };
    let mut stderr = io::stderr().lock();
    let asked =
        write!(stderr, "\n{loss}\n{unlisted}Only `yes` applies this plan: ").and_then(|()| stderr.flush());
    let mut answer = String::new();
    let answered = asked.and_then(|()| io::stdin().lock().read_line(&mut answer));
    if answered.is_ok() && answer.trim() == "yes" {
        return Ok(());
    }
    Err(Failure::new(Exit::Error, "not approved, and nothing was applied")
        .hint("`larksub plan` shows the plan again; only the word `yes` applies it"))
}

/// The credentials of the apps that calls are planned for; a plan without calls needs none.
fn credentials(plan: &Plan, manifest: &Manifest) -> Result<BTreeMap<AppLabel, Credential>, Failure> {
    let mut tenants: BTreeMap<&AppLabel, BTreeSet<Option<&TenantKey>>> = BTreeMap::new();
    for call in plan.planned_calls() {
        tenants.entry(call.app).or_default().insert(call.tenant_key);
    }
    let needs = tenants.into_iter().filter_map(|(label, tenants)| {
        let kind = manifest.apps.get(label)?.kind;
        Some(Need { label: label.clone(), kind, tenants: tenants.len() })
    });
    let needs: Vec<Need> = needs.collect();
    let found = credentials::find(&env, &needs, manifest.apps.len())?;
    // A file that holds no secret is found here, before anything is written or sent.
    let mut failure = Failure::new(Exit::Error, "a credential cannot be used; no call was sent");
    for (label, credential) in &found {
        for error in credential.sources().into_iter().filter_map(|source| source.read().err()) {
            failure = failure.because(format!("app `{label}`: {error}"));
        }
    }
    if failure.causes.is_empty() {
        return Ok(found);
    }
    Err(failure.hint("write the secret into the file, alone on one line, and let this user read it"))
}

fn work(
    plan: &Plan,
    manifest: &Manifest,
    overrides: Vec<Override>,
    plan_digest: String,
    allow_misses: &[AppLabel],
    credentials: &BTreeMap<AppLabel, Credential>,
    state: &State,
) -> Result<Work, Failure> {
    let by = author("apply", &env);
    let mut binds = Vec::new();
    let mut updates = Vec::new();
    for update in &plan.updates {
        match update {
            Update::Rename { app: label, from: _ } => {
                let Some(app) = manifest.apps.get(label) else { continue };
                binds.push(Bind {
                    at: now(),
                    app: label.clone(),
                    app_id: app.identity.app_id.clone(),
                    base_url: app.identity.base_url.clone(),
                    kind: app.kind,
                });
            }
            Update::Metadata { app, tenant_key, approval_code, from: _, to } => updates.push(UpdateRecord {
                at: now(),
                app: app.clone(),
                tenant_key: tenant_key.clone(),
                approval_code: approval_code.clone(),
                name: to.name.clone().map(Str::from),
                owner: to.owner.clone().map(Str::from),
                protect: to.protect,
            }),
        }
    }
    let forgets = plan.forgets.iter().map(|forget| Forget {
        at: now(),
        run: None,
        app: forget.app.clone(),
        tenant_key: forget.tenant_key.clone(),
        approval_code: forget.approval_code.clone(),
        reason: forget.reason.clone().map(Str::from),
        by: By::default(),
    });
    Ok(Work {
        plan_digest,
        overrides,
        by,
        binds,
        updates,
        forgets: forgets.collect(),
        lanes: lanes(plan, manifest, allow_misses, credentials, state)?,
        unsettled: plan.unsettled(),
    })
}

fn lanes(
    plan: &Plan,
    manifest: &Manifest,
    allow_misses: &[AppLabel],
    credentials: &BTreeMap<AppLabel, Credential>,
    state: &State,
) -> Result<Vec<Lane>, Failure> {
    let mut sent_before = state.calls_of_last_minute(now());
    let mut apps: BTreeMap<&AppLabel, Rc<feishu::App>> = BTreeMap::new();
    let mut lanes: BTreeMap<(&AppLabel, Option<&TenantKey>), Lane> = BTreeMap::new();
    for call in plan.planned_calls() {
        let (Some(section), Some(credential)) = (manifest.apps.get(call.app), credentials.get(call.app))
        else {
            return Err(Failure::new(
                Exit::Error,
                format!("the plan calls for app `{}`, which has no section", call.app),
            ));
        };
        let app = apps.entry(call.app).or_insert_with(|| {
            Rc::new(feishu::App {
                label: call.app.clone(),
                app_id: section.identity.app_id.clone(),
                base_url: section.identity.base_url.clone(),
                kind: section.kind,
                credential: credential.clone(),
            })
        });
        let lane = lanes.entry((call.app, call.tenant_key)).or_insert_with(|| Lane {
            app: Rc::clone(app),
            tenant_key: call.tenant_key.cloned(),
            rate: Rate::PerMinute(section.rate_per_minute),
            sent_before: state
                .app_of(&section.identity)
                .and_then(|(index, _)| sent_before.remove(&(index, call.tenant_key)))
                .unwrap_or_default(),
            believes_misses: credential.proves_app() || allow_misses.contains(call.app),
            calls: Vec::new(),
        });
        lane.calls.push(Call {
            approval_code: call.approval_code.clone(),
            name: call.name.map(ToOwned::to_owned),
            was_sent: call.was_sent,
        });
    }
    Ok(lanes.into_values().collect())
}

fn carry_out(
    context: &Context,
    args: &ApplyArgs,
    work: Work,
    ledger: Ledger,
    outlet: &mut Outlet<'_>,
) -> Result<Report, Failure> {
    let cannot =
        |error: io::Error| Failure::new(Exit::Error, "the run cannot begin").because(error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot)?;
    let client = Client::new(Http::new(args.ca_bundle.clone()));
    let mut progress = Progress::new(context, args.forms.format == ApplyFormat::Text);
    let report = runtime.block_on(async {
        // A CI job that was killed must not leave an orphan that goes on dropping.
        let parent = env("CI").and_then(|_| rustix::process::getppid());
        let (stop, signals) = watch::channel(None);
        let watcher = tokio::spawn(watch_signals(stop)?);
        let (events, mut shown) = mpsc::unbounded_channel();
        let running = async {
            let events = events;
            apply::run(work, &client, ledger, now, &events, Stop { signal: signals, parent }).await
        };
        let showing = async {
            let mut tick = tokio::time::interval(TICK);
            loop {
                tokio::select! {
                    event = shown.recv() => match event {
                        Some(event) => {
                            progress.show(&event);
                            outlet.event(&event);
                        }
                        None => return,
                    },
                    _ = tick.tick() => progress.tick(),
                }
            }
        };
        let (report, ()) = tokio::join!(running, showing);
        watcher.abort();
        Ok(report)
    });
    progress.end();
    report.map_err(cannot)
}

/// The first signal ends the run cleanly; the second ends the process at once. The ledger is readable all the same.
fn watch_signals(stop: watch::Sender<Option<Signal>>) -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        loop {
            let (signal, exit) = tokio::select! {
                _ = interrupt.recv() => (Signal::Interrupt, Exit::Interrupted),
                _ = terminate.recv() => (Signal::Terminate, Exit::Terminated),
            };
            if stop.borrow().is_some() {
                std::process::exit(exit.code().into());
            }
            let _ =
                writeln!(io::stderr(), "stopping: no new call; what is in flight has 5 s (again: at once)");
            stop.send_replace(Some(signal));
        }
    })
}

/// Another digest than the reviewed one: what differs, and what to do.
fn different(
    context: &Context,
    args: &ApplyArgs,
    reviewed: Option<&Plan>,
    fresh: &Plan,
    reading: &Reading,
    known: &mut Known,
) -> Failure {
    let was = reviewed.map(|plan| plan.digest.as_str()).or(args.digest.as_deref()).unwrap_or_default();
    let failure =
        Failure::new(Exit::Refused, "what would happen now is not what was reviewed; nothing was sent")
            .because(format!("reviewed {was}"))
            .because(format!("now      {}", fresh.digest));
    match reviewed {
        Some(reviewed) => {
            context.note(&render::plan::difference(reviewed, fresh, context.stderr.paint));
            known.difference = Some(render::plan::difference(reviewed, fresh, Paint::Plain));
        }
        None => context.note(text(context, fresh, reading, layout(context, args)).trim_end()),
    }
    failure.hint("plan again, and have that plan reviewed; no flag overrides this")
}
