//! `larksub manifest`: declares subscriptions in the manifest's own files, and keeps what stands there.

mod target;

use std::collections::{BTreeMap, BTreeSet};

use super::Context;
use crate::cli::{AddArgs, FromStateArgs};
use crate::error::{Exit, Failure};
use crate::manifest::write::{Addition, NewApp, NewEntry};
use crate::manifest::{App, Manifest};
use crate::render::{count, grouped};
use crate::state::{BoundApp, State};
use crate::subscription::{AppKind, AppLabel, ApprovalCode, SubscriptionKey, TenantKey};
use crate::text::{is_blank, shown};

use target::Texts;

/// `larksub manifest add`
///
/// # Errors
/// The manifest has problems, the app is known to nobody, or the result would not be a right manifest; nothing is
/// written then.
pub fn add(context: &Context, args: &AddArgs) -> Result<Exit, Failure> {
    if args.name.is_some() && args.codes.len() > 1 {
        return Err(Failure::new(Exit::Error, "one name for several approvals").hint(
            "--name goes with one CODE; `larksub import --names` and `larksub manifest from-state` name many",
        ));
    }
    for (option, text) in [("--name", &args.name), ("--owner", &args.owner)] {
        if text.as_deref().is_some_and(is_blank) {
            return Err(Failure::new(Exit::Error, format!("{option} is blank; nothing was written"))
                .hint(format!("say who or what it is, or leave {option} away")));
        }
    }
    let texts = Texts::read(context)?;
    let declared = texts.manifest.as_ref().and_then(|manifest| manifest.apps.get(&args.app));
    let (kind, section) = match declared {
        Some(app) => (app.kind, None),
        None => {
            let section = bound(context, &args.app)?;
            (section.kind, Some(section))
        }
    };
    check_tenant(&args.app, kind, args.tenant.as_ref())?;
    let mut said = String::new();
    let mut entries = Vec::new();
    let mut removed =
        Failure::new(Exit::Error, "what stands under `removed` cannot be declared; nothing was written");
    let mut seen = BTreeSet::new();
    for code in args.codes.iter().filter(|code| seen.insert(*code)) {
        let key = key(&args.app, args.tenant.as_ref(), code);
        match declared.map(|app| standing(app, args.tenant.as_ref(), code)) {
            Some(Standing::Declared) => said.push_str(&format!("declared already  {key}{}\n", ignored(args))),
            Some(Standing::Removed) => removed = removed.because(key.to_string()),
            Some(Standing::Nowhere) | None => entries.push(NewEntry {
                tenant_key: args.tenant.clone(),
                approval_code: code.clone(),
                name: args.name.clone(),
                owner: args.owner.clone(),
                protect: args.protect,
            }),
        }
    }
    if !removed.causes.is_empty() {
        return Err(removed.hint("delete those entries first, if the approvals are to stay subscribed"));
    }
    let addition =
        Addition { label: args.app.clone(), section: section.filter(|_| !entries.is_empty()), entries };
    texts.write(context, vec![addition], &args.target, None, said)
}

/// What was given for an entry that stands there already; nothing where nothing was.
fn ignored(args: &AddArgs) -> String {
    let given =
        [("--name", args.name.is_some()), ("--owner", args.owner.is_some()), ("--protect", args.protect)];
    let given: Vec<&str> =
        given.into_iter().filter(|(_, is_given)| *is_given).map(|(option, _)| option).collect();
    match given.as_slice() {
        [] => String::new(),
        given => {
            format!("  ({} not taken: the entry stays as it is; change it in the manifest)", given.join(", "))
        }
    }
}

/// `larksub manifest from-state`
///
/// # Errors
/// Manifest or state are refused or contradict each other, or the result would not be a right manifest; nothing is
/// written then.
pub fn from_state(context: &Context, args: &FromStateArgs) -> Result<Exit, Failure> {
    let texts = Texts::read(context)?;
    let reading = context.state(context.state_alone())?;
    let Tracked { additions, said, declared } =
        tracked(texts.manifest.as_ref(), &reading.state, args.app.as_ref())?;
    let said = match declared {
        0 => said,
        declared => format!("{said}{} declared already\n", grouped(declared)),
    };
    texts.write(context, additions, &args.target, args.out.as_deref(), said)
}

/// What is tracked and has to be declared, and what is said of the rest.
struct Tracked {
    additions: Vec<Addition>,
    said: String,
    declared: u64,
}

fn tracked(manifest: Option<&Manifest>, state: &State, only: Option<&AppLabel>) -> Result<Tracked, Failure> {
    let mut found = Tracked { additions: Vec::new(), said: String::new(), declared: 0 };
    let mut places = BTreeMap::new();
    for (index, bound) in state.apps() {
        let section = manifest.and_then(|manifest| section_of(manifest, bound));
        let label = section.map_or(&bound.label, |(label, _)| label);
        if only.is_some_and(|only| only != label) {
            continue;
        }
        check_bound(manifest, bound, section)?;
        places.insert(index, found.additions.len());
        let new = NewApp { identity: bound.identity.clone(), kind: bound.kind };
        let section = if section.is_some() { None } else { Some(new) };
        found.additions.push(Addition { label: label.clone(), section, entries: Vec::new() });
    }
    if let Some(only) = only.filter(|_| places.is_empty()) {
        return Err(Failure::new(Exit::Error, format!("the state knows no app `{only}`"))
            .hint("`larksub state list` lists what is tracked, by app"));
    }
    let mut standing_in: BTreeMap<&AppLabel, BTreeMap<(Option<&TenantKey>, &ApprovalCode), Standing>> =
        BTreeMap::new();
    for (label, app) in manifest.iter().flat_map(|manifest| &manifest.apps) {
        let declared = app
            .subscriptions
            .iter()
            .map(|entry| ((entry.tenant_key.as_ref(), &entry.approval_code), Standing::Declared));
        let removed = app
            .removed
            .iter()
            .map(|entry| ((entry.tenant_key.as_ref(), &entry.approval_code), Standing::Removed));
        standing_in.insert(label, declared.chain(removed).collect());
    }
    let mut has_tracked = BTreeSet::new();
    for (id, subscription) in state.subscriptions().filter(|(_, subscription)| subscription.is_tracked()) {
        let Some(addition) = places.get(&id.app).and_then(|place| found.additions.get_mut(*place)) else {
            continue;
        };
        let standing = standing_in
            .get(&addition.label)
            .and_then(|entries| entries.get(&(id.tenant_key.as_ref(), &id.approval_code)));
        has_tracked.insert(addition.label.clone());
        let key = key(&addition.label, id.tenant_key.as_ref(), &id.approval_code);
        let named = subscription.name.as_ref().map_or(String::new(), |name| format!("  {}", shown(name)));
        match standing {
            Some(Standing::Declared) => found.declared += 1,
            Some(Standing::Removed | Standing::Nowhere) => found.said.push_str(&format!(
                "left out  {key}{named}  (it stands under `removed`: the next plan drops it)\n"
            )),
            None if subscription.open_intent().is_some() => found.said.push_str(&format!(
                "left out  {key}{named}  (unknown: a drop of it got no answer; the next plan drops it, or `larksub import` it if it lives)\n"
            )),
            None => addition.entries.push(NewEntry {
                tenant_key: id.tenant_key.clone(),
                approval_code: id.approval_code.clone(),
                name: subscription.name.clone(),
                owner: subscription.owner.clone(),
                protect: subscription.protect,
            }),
        }
    }
    // A section is for what is tracked: an app that was retired needs none.
    found.additions.retain(|addition| has_tracked.contains(&addition.label));
    Ok(found)
}

/// The section of a bound app, whatever its label.
fn section_of<'a>(manifest: &'a Manifest, bound: &BoundApp) -> Option<(&'a AppLabel, &'a App)> {
    manifest.apps.iter().find(|(_, app)| app.identity == bound.identity)
}

/// Whether manifest and state mean the same app, in the same way.
fn check_bound(
    manifest: Option<&Manifest>,
    bound: &BoundApp,
    section: Option<(&AppLabel, &App)>,
) -> Result<(), Failure> {
    let label = &bound.label;
    match (section, manifest.and_then(|manifest| manifest.apps.get(label))) {
        (Some((label, app)), _) if app.kind != bound.kind => {
            let title = format!("`{label}` is a {} app in the state", bound.kind.as_str());
            Err(Failure::new(Exit::Refused, title)
                .hint(format!("an app's kind does not change: write `kind = \"{}\"`", bound.kind.as_str())))
        }
        (None, Some(other)) => {
            let title = format!(
                "`{label}` is {} in the state, and {} in the manifest",
                bound.identity, other.identity
            );
            Err(Failure::new(Exit::Refused, title)
                .hint("a label keeps its app: give the other app a label of its own; nothing was written"))
        }
        _ => Ok(()),
    }
}

/// Where a code stands in an app's section.
#[derive(Clone, Copy)]
enum Standing {
    Declared,
    Removed,
    Nowhere,
}

fn standing(app: &App, tenant: Option<&TenantKey>, code: &ApprovalCode) -> Standing {
    let is_it =
        |other: &Option<TenantKey>, other_code: &ApprovalCode| (other.as_ref(), other_code) == (tenant, code);
    if app.subscriptions.iter().any(|entry| is_it(&entry.tenant_key, &entry.approval_code)) {
        Standing::Declared
    } else if app.removed.iter().any(|entry| is_it(&entry.tenant_key, &entry.approval_code)) {
        Standing::Removed
    } else {
        Standing::Nowhere
    }
}

/// What the state knows of an app that has no section.
fn bound(context: &Context, label: &AppLabel) -> Result<NewApp, Failure> {
    let nobody = || {
        Failure::new(Exit::Error, format!("neither the manifest nor the state has an app `{label}`"))
            .hint("give it a section first: `[apps.LABEL]` with `app_id`, and `brand` or `base_url`")
    };
    let place = &context.workspace.state;
    if place.address().is_none() && !place.as_path().exists() {
        return Err(nobody());
    }
    let state = context.state(context.state_alone())?.state;
    let (_, bound) = state.app_labelled(label).ok_or_else(nobody)?;
    Ok(NewApp { identity: bound.identity.clone(), kind: bound.kind })
}

fn check_tenant(label: &AppLabel, kind: AppKind, tenant: Option<&TenantKey>) -> Result<(), Failure> {
    match (kind, tenant) {
        (AppKind::Custom, Some(_)) => Err(Failure::new(
            Exit::Error,
            format!("`{label}` is a custom app, which has no tenants to choose"),
        )
        .hint("leave --tenant out")),
        (AppKind::Store, None) => Err(Failure::new(
            Exit::Error,
            format!("`{label}` is a store app: a subscription belongs to a tenant"),
        )
        .hint("name it: --tenant TENANT")),
        (AppKind::Custom, None) | (AppKind::Store, Some(_)) => Ok(()),
    }
}

fn key(label: &AppLabel, tenant: Option<&TenantKey>, code: &ApprovalCode) -> SubscriptionKey {
    SubscriptionKey { app: label.clone(), tenant_key: tenant.cloned(), approval_code: code.clone() }
}

fn subscriptions(number: usize) -> String {
    count(number as u64, "subscription", "subscriptions")
}
