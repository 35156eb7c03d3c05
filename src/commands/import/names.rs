//! Whom to ask for names, and with what.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use super::Wanted;
use super::wanted::apps;
use crate::cli::ImportArgs;
use crate::commands::doctor::is_vouched_for;
use crate::commands::{Context, env};
use crate::credentials::{self, Need};
use crate::error::{Exit, Failure};
use crate::feishu::{App, Client, Http, StopScope};
use crate::manifest::{self, Manifest};
use crate::names::{Lane, Names, ask as ask_platform};
use crate::pace::Rate;
use crate::render::{count, grouped};
use crate::state::State;
use crate::subscription::{AppLabel, ApprovalCode, TenantKey};

/// Asks the platform for what is wanted, else for what is tracked without a name.
///
/// # Errors
/// A credential is missing, or an app's secret would go to a place that nobody has vouched for. Nothing was sent.
pub(super) fn ask(
    context: &Context,
    manifest: &Manifest,
    state: &State,
    wanted: &[Wanted<'_>],
    args: &ImportArgs,
) -> Result<Names, Failure> {
    let mut targets: BTreeMap<(&AppLabel, Option<TenantKey>), BTreeSet<ApprovalCode>> = BTreeMap::new();
    if wanted.is_empty() {
        for (label, app) in apps(manifest, args.app.as_ref())? {
            for code in nameless(app, state, args.tenant.as_ref()) {
                targets.entry((label, code.0)).or_default().insert(code.1);
            }
        }
    }
    for want in wanted {
        let lane = targets.entry((want.label, want.tenant_key.clone())).or_default();
        lane.insert(want.approval_code.clone());
    }
    if targets.is_empty() {
        context.note("nothing that is tracked lacks a name, so nothing was asked");
        return Ok(Names::default());
    }
    let mut tenants: BTreeMap<&AppLabel, usize> = BTreeMap::new();
    for (label, _) in targets.keys() {
        *tenants.entry(label).or_default() += 1;
    }
    let mut needs = Vec::new();
    for (label, tenants) in tenants {
        let Some(app) = manifest.apps.get(label) else { continue };
        if !is_vouched_for(&app.identity, Some(state)) {
            let title = format!("`{label}` is at {}, and no secret was sent there", app.identity.base_url);
            return Err(Failure::new(Exit::Refused, title)
                .hint("only Feishu, Lark and a place that the state has for the app are sent a secret; nothing was imported")
                .hint("import without --names first, which records the place; then `larksub import --names`"));
        }
        needs.push(Need { label: label.clone(), kind: app.kind, tenants });
    }
    let credentials = credentials::find(&env, &needs, manifest.apps.len())?;
    let mut found: BTreeMap<&AppLabel, Rc<App>> = BTreeMap::new();
    for (label, _) in targets.keys() {
        if let (Some(app), Some(credential)) = (manifest.apps.get(label), credentials.get(label)) {
            found.entry(label).or_insert_with(|| {
                Rc::new(App {
                    label: (*label).clone(),
                    app_id: app.identity.app_id.clone(),
                    base_url: app.identity.base_url.clone(),
                    kind: app.kind,
                    credential: credential.clone(),
                })
            });
        }
    }
    let lanes: Vec<Lane> = targets
        .into_iter()
        .filter_map(|((label, tenant_key), codes)| {
            let rate = Rate::PerMinute(manifest.apps.get(label)?.rate_per_minute);
            let app = Rc::clone(found.get(label)?);
            Some(Lane { app, tenant_key, rate, codes: codes.into_iter().collect() })
        })
        .collect();
    run(context, args, &lanes)
}

fn run(context: &Context, args: &ImportArgs, lanes: &[Lane]) -> Result<Names, Failure> {
    let cannot = |error: std::io::Error| {
        Failure::new(Exit::Error, "the platform cannot be asked").because(error.to_string())
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot)?;
    runtime.block_on(async {
        let client = Client::new(Http::new(args.ca_bundle.clone()));
        // A credential that is refused is found before anything else is asked, and ends it.
        for lane in lanes {
            match client.authorize(&lane.app, lane.tenant_key.as_ref()).await {
                Err(error) if error.scope() == StopScope::App => {
                    let title = format!("no name was asked for, and nothing imported: {error}");
                    return Err(Failure::new(Exit::Stopped, title)
                        .hint(error.hint())
                        .hint("an import without --names needs no credential"));
                }
                // One tenant's refusal is its own; it is told with what the others gave.
                Ok(()) | Err(_) => {}
            }
        }
        let calls: usize = lanes.iter().map(|lane| lane.codes.len()).sum();
        let longest = lanes.iter().map(Lane::estimate).max().unwrap_or_default();
        if longest > Duration::from_secs(10) {
            let names = count(calls as u64, "name", "names");
            context.note(&format!("asking for {names}, about {} s", grouped(longest.as_secs())));
        }
        Ok(ask_platform(&client, lanes).await)
    })
}

/// The subscriptions of an app that are tracked without a name.
fn nameless(
    app: &manifest::App,
    state: &State,
    tenant: Option<&TenantKey>,
) -> Vec<(Option<TenantKey>, ApprovalCode)> {
    let Some((index, _)) = state.app_of(&app.identity) else { return Vec::new() };
    let subscriptions = state.subscriptions().filter(|(id, subscription)| {
        id.app == index
            && subscription.is_tracked()
            && subscription.name.is_none()
            && (tenant.is_none() || id.tenant_key.as_ref() == tenant)
    });
    subscriptions.map(|(id, _)| (id.tenant_key.clone(), id.approval_code.clone())).collect()
}
