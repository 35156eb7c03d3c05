//! `larksub state …`: looking into the state, and correcting it.

use std::path::Path;

use super::show::json;
use super::{Context, LOCK_WAIT, env};
use crate::cli::Format;
use crate::error::{Exit, Failure};
use crate::manifest::{self, Manifest};
use crate::render;
use crate::sandbox::Tracked;
use crate::state::ledger::{read_file, refuse_newer};
use crate::state::record::Forget;
use crate::state::{AppIndex, Id, Record, State, Status, Str};
use crate::subscription::SubscriptionKey;
use crate::workspace::{author, now};

/// `larksub state list`
///
/// # Errors
/// The state cannot be read.
pub fn list(context: &Context, all: bool, format: Format) -> Result<Exit, Failure> {
    let reading = context.state_of_any_version()?;
    let which: fn(Status) -> bool = if all { |_| true } else { |status| status == Status::Subscribed };
    let text = match format {
        Format::Json => json(&render::state::document(&reading.state, which))?,
        Format::Text => {
            let path = context.workspace.state.display().to_string();
            render::state::list(&reading.state, &path, which, context.layout(false, 0))
        }
    };
    context.print(&text).map(|()| Exit::Done)
}

/// `larksub state show KEY`
///
/// # Errors
/// The state cannot be read, or does not know the subscription.
pub fn show(context: &Context, key: &SubscriptionKey, format: Format) -> Result<Exit, Failure> {
    let reading = context.state_of_any_version()?;
    let state = &reading.state;
    let id = find(state, manifest(context).as_ref(), key);
    let found = id
        .as_ref()
        .and_then(|id| Some((id, state.subscription(id.app, id.tenant_key.as_ref(), &id.approval_code)?)));
    let Some((id, subscription)) = found else {
        return Err(Failure::new(Exit::Error, format!("the state does not know {key}"))
            .hint("`larksub state list --all` lists what it knows; a store app's key is label/tenant/CODE"));
    };
    let text = match format {
        Format::Json => json(&render::state::view(state, id, subscription))?,
        Format::Text => render::state::details(state, id, subscription),
    };
    context.print(&text).map(|()| Exit::Done)
}

/// `larksub state rm KEY…`
///
/// # Errors
/// A key is not tracked or protected, or the state cannot be written; nothing is forgotten then.
pub fn rm(context: &Context, keys: &[SubscriptionKey], reason: &str) -> Result<Exit, Failure> {
    if reason.trim().is_empty() {
        return Err(Failure::new(Exit::Error, "the reason is empty")
            .hint("say why: it is all that the ledger will tell"));
    }
    let (mut ledger, reading) = context.ledger(LOCK_WAIT)?;
    let state = &reading.state;
    let manifest = manifest(context);
    let by = author("state rm", &env);
    let mut unknown = Failure::new(Exit::Error, "nothing was forgotten: not tracked");
    let mut protected = Failure::new(Exit::Refused, "nothing was forgotten: protected");
    let mut records = Vec::new();
    let mut said = String::new();
    let mut seen = std::collections::BTreeSet::new();
    for key in keys.iter().filter(|key| seen.insert(*key)) {
        let id = find(state, manifest.as_ref(), key);
        let id = id.and_then(|id| {
            Some((state.key(&id)?, state.subscription(id.app, id.tenant_key.as_ref(), &id.approval_code)?))
        });
        match id {
            Some((_, subscription)) if subscription.is_tracked() && subscription.protect => {
                protected = protected.because(key.to_string());
            }
            Some((in_force, subscription)) if subscription.is_tracked() => {
                said.push_str(&format!("forgotten  {key}\n"));
                records.push(Record::Forget(Forget {
                    at: now(),
                    run: None,
                    app: in_force.app,
                    tenant_key: in_force.tenant_key,
                    approval_code: in_force.approval_code,
                    reason: Some(Str::from(reason.to_owned())),
                    by: by.clone(),
                }));
            }
            Some((_, subscription)) => {
                unknown = unknown.because(format!("{key} is {}", subscription.status.as_str()))
            }
            None => unknown = unknown.because(format!("{key} was never known")),
        }
    }
    if !unknown.causes.is_empty() {
        return Err(unknown
            .hint("`larksub state list` lists what is tracked; a store app's key is label/tenant/CODE"));
    }
    if !protected.causes.is_empty() {
        return Err(protected.hint("declare it with `protect = false` and apply that first"));
    }
    ledger.append(&records)?;
    context.print(&said).map(|()| Exit::Done)
}

/// What a state tracks, for the sandbox to begin with.
///
/// # Errors
/// The state cannot be read.
pub fn tracked(context: &Context, path: &Path) -> Result<Vec<Tracked>, Failure> {
    let reading = refuse_newer(path, read_file(path)?)?;
    context.note_tail(&reading);
    let state = &reading.state;
    let subscriptions = state.subscriptions().filter(|(_, subscription)| subscription.is_tracked());
    let tracked = subscriptions.filter_map(|(id, _)| {
        Some(Tracked {
            app_id: state.app(id.app)?.identity.app_id.clone(),
            tenant_key: id.tenant_key.clone(),
            approval_code: id.approval_code.clone(),
        })
    });
    Ok(tracked.collect())
}

/// The manifest, where it is there and right: only for its labels.
pub fn manifest(context: &Context) -> Option<Manifest> {
    let sources = context.workspace.manifest_sources().ok()?;
    manifest::parse(&sources).ok()
}

/// The subscription of a key; its label is the manifest's, else the state's.
pub fn find(state: &State, manifest: Option<&Manifest>, key: &SubscriptionKey) -> Option<Id> {
    let declared = manifest.and_then(|manifest| manifest.apps.get(&key.app));
    let declared = declared.and_then(|app| state.app_of(&app.identity)).map(|(index, _)| index);
    let app: AppIndex = declared.or_else(|| state.app_labelled(&key.app).map(|(index, _)| index))?;
    Some(Id { app, tenant_key: key.tenant_key.clone(), approval_code: key.approval_code.clone() })
}
