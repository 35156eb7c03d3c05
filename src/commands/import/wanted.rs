//! What a person says is there: codes, a list, or what the manifest declares.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

use super::place;
use crate::cli::ImportArgs;
use crate::error::{Exit, Failure};
use crate::inventory::{self, Inventory, Kind};
use crate::manifest::{App, Manifest};
use crate::render::count;
use crate::subscription::{AppKind, AppLabel, ApprovalCode, SubscriptionKey, TenantKey};
use crate::text::shown;

const WHERE_CODES_ARE: &str = "a code comes from the answer of \"create definition\", or from the definition's URL in \
                               the approval admin console with developer mode on";

/// One subscription that a person says is there.
pub(super) struct Wanted<'a> {
    pub label: &'a AppLabel,
    pub app: &'a App,
    pub tenant_key: Option<TenantKey>,
    pub approval_code: ApprovalCode,
    /// What a list calls it, not escaped.
    pub name: Option<String>,
    /// Whom a list names for it, not escaped.
    pub owner: Option<String>,
}

impl Wanted<'_> {
    pub fn key(&self) -> SubscriptionKey {
        SubscriptionKey {
            app: self.label.clone(),
            tenant_key: self.tenant_key.clone(),
            approval_code: self.approval_code.clone(),
        }
    }
}

/// All of them, and the list that they stand in.
pub(super) struct AllWanted<'a> {
    pub all: Vec<Wanted<'a>>,
    pub list: Option<List>,
}

/// A list that was read.
pub(super) struct List {
    place: String,
    kind: Kind,
    entries: u64,
    ignored: Vec<String>,
}

impl List {
    /// What it is, for a person to compare with what they meant.
    pub fn said(&self) -> String {
        let Self { place, kind, entries, ignored } = self;
        let kind = match kind {
            Kind::Lines => "plain lines",
            Kind::Csv => "a table",
            Kind::Json => "JSON",
        };
        let ignored: Vec<String> = ignored.iter().map(|what| format!("`{}`", shown(what))).collect();
        let ignored = match ignored.len() {
            0 => String::new(),
            _ => format!(", without {}", ignored.join(", ")),
        };
        format!("{place} ({kind}{ignored}): {}", count(*entries, "subscription", "subscriptions"))
    }
}

pub(super) fn wanted<'a>(manifest: &'a Manifest, args: &ImportArgs) -> Result<AllWanted<'a>, Failure> {
    if args.declared {
        let entries = apps(manifest, args.app.as_ref())?.into_iter().flat_map(|(label, app)| {
            app.subscriptions.iter().map(move |entry| Wanted {
                label,
                app,
                tenant_key: entry.tenant_key.clone(),
                approval_code: entry.approval_code.clone(),
                name: None,
                owner: None,
            })
        });
        return Ok(AllWanted { all: entries.collect(), list: None });
    }
    if args.codes.is_empty() && args.file.is_none() {
        // Names alone, of what is tracked.
        apps(manifest, args.app.as_ref())?;
        return Ok(AllWanted { all: Vec::new(), list: None });
    }
    let Some(label) = &args.app else {
        return Err(
            Failure::new(Exit::Error, "an import of codes needs its app").hint("name it: --app LABEL")
        );
    };
    let (label, app) = section(manifest, label)?;
    if let (AppKind::Custom, Some(_)) = (app.kind, &args.tenant) {
        return Err(Failure::new(
            Exit::Error,
            format!("`{label}` is a custom app, which has no tenants to choose"),
        )
        .hint("leave --tenant out; an app from the app store has `kind = \"store\"` in its section"));
    }
    match &args.file {
        Some(path) => of_list(path, label, app, args),
        None => {
            if app.kind == AppKind::Store && args.tenant.is_none() {
                return Err(Failure::new(
                    Exit::Error,
                    format!("`{label}` is a store app: a subscription belongs to a tenant"),
                )
                .hint("name it: --tenant TENANT"));
            }
            let mut seen = BTreeSet::new();
            let new = args.codes.iter().filter(|code| seen.insert(*code)).cloned();
            let all = new.map(|approval_code| Wanted {
                label,
                app,
                tenant_key: args.tenant.clone(),
                approval_code,
                name: None,
                owner: None,
            });
            Ok(AllWanted { all: all.collect(), list: None })
        }
    }
}

/// The apps of the manifest, or the one of a label.
pub(super) fn apps<'a>(
    manifest: &'a Manifest,
    label: Option<&AppLabel>,
) -> Result<Vec<(&'a AppLabel, &'a App)>, Failure> {
    match label {
        Some(label) => Ok(vec![section(manifest, label)?]),
        None => Ok(manifest.apps.iter().collect()),
    }
}

fn section<'a>(manifest: &'a Manifest, label: &AppLabel) -> Result<(&'a AppLabel, &'a App), Failure> {
    manifest.apps.get_key_value(label).ok_or_else(|| {
        let known: Vec<&str> = manifest.apps.keys().map(AppLabel::as_str).collect();
        Failure::new(Exit::Error, format!("the manifest has no app `{label}`"))
            .hint(format!("its apps are: {}; an import needs the app's section", known.join(", ")))
    })
}

/// The subscriptions of a list, or every problem of it.
fn of_list<'a>(
    path: &Path,
    label: &'a AppLabel,
    app: &'a App,
    args: &ImportArgs,
) -> Result<AllWanted<'a>, Failure> {
    let place = place(path);
    let mut bytes = Vec::new();
    let read = match path == Path::new("-") {
        true => std::io::stdin().lock().read_to_end(&mut bytes),
        false => std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)),
    };
    read.map_err(|error| {
        Failure::new(Exit::Error, format!("{place} cannot be read")).because(error.to_string())
    })?;
    let Inventory { kind, entries, ignored } =
        inventory::read(&bytes, args.file_format).map_err(|problems| {
            let is_of_codes = problems.iter().any(|problem| problem.says.contains(ApprovalCode::WHAT));
            let problems =
                problems.into_iter().map(|problem| format!("{place}:{}: {}", problem.place, problem.says));
            let failure = refused(&place, problems.collect());
            if is_of_codes { failure.hint(WHERE_CODES_ARE) } else { failure }
        })?;
    if entries.is_empty() {
        return Err(Failure::new(Exit::Error, format!("{place} holds no approval code"))
            .hint("write one a line, or a table with a column `code`, or a JSON array"));
    }
    let mut problems = Vec::new();
    let mut all = Vec::with_capacity(entries.len());
    for entry in entries {
        let at = format!("{place}:{}", entry.place);
        match (app.kind, &entry.tenant_key, &args.tenant) {
            (AppKind::Custom, Some(tenant), _) => {
                problems
                    .push(format!("{at}: tenant `{tenant}`, and `{label}` is a custom app, which has none"));
            }
            (AppKind::Store, Some(own), Some(all)) if own != all => {
                problems.push(format!("{at}: tenant `{own}`, and --tenant says `{all}`"));
            }
            (AppKind::Store, None, None) => {
                problems.push(format!("{at}: no tenant, and `{label}` is a store app"));
            }
            _ => {}
        }
        all.push(Wanted {
            label,
            app,
            tenant_key: entry.tenant_key.or_else(|| args.tenant.clone()),
            approval_code: entry.approval_code,
            name: entry.name,
            owner: entry.owner,
        });
    }
    if !problems.is_empty() {
        return Err(refused(&place, problems)
            .hint("a store app's list has a column `tenant`, or --tenant names the one of all; a custom app's has neither"));
    }
    let list = List { place, kind, entries: all.len() as u64, ignored };
    Ok(AllWanted { all, list: Some(list) })
}

fn refused(place: &str, problems: Vec<String>) -> Failure {
    let title =
        format!("{place} has {}; nothing was imported", count(problems.len() as u64, "problem", "problems"));
    problems.into_iter().fold(Failure::new(Exit::Error, title), Failure::because)
}
