//! What an import writes, and what it says of each subscription.

use std::collections::{BTreeMap, BTreeSet};

use super::wanted::Wanted;
use crate::cli::ImportArgs;
use crate::error::{Exit, Failure};
use crate::feishu::codes::DefinitionStatus;
use crate::manifest::{self, MAX_TEXT, Manifest};
use crate::names::{Names, Told};
use crate::render::{count, time};
use crate::state::record::{Bind, By, Track, Update};
use crate::state::{AppIndex, Record, State, Status, Str, Subscription};
use crate::subscription::{AppLabel, ApprovalCode, SubscriptionKey, TenantKey};
use crate::text::shown;
use crate::workspace::now;

/// What an import writes and says.
#[derive(Default)]
pub(super) struct Import {
    pub records: Vec<Record<'static>>,
    pub lines: Vec<Line>,
    pub tracked: u64,
    /// Of those, what the ledger knew as dropped, forgotten or unknown.
    pub again: u64,
    pub unchanged: u64,
    pub to_name: u64,
    /// Tracked before, and given a name now.
    pub named: u64,
    pub deleted: u64,
    /// What the platform was asked for in vain.
    pub unread: u64,
}

/// One line of the result.
pub(super) struct Line {
    word: Word,
    key: SubscriptionKey,
    /// Not escaped.
    name: Option<String>,
    notes: Vec<String>,
    /// The platform has deleted the definition, which is told in the same line.
    is_deleted: bool,
}

#[derive(Clone, Copy)]
enum Word {
    Imported,
    TrackedAlready,
    NotImported,
    Named,
    NotNamed,
    Deleted,
    Unread,
}

impl Line {
    /// The text of it; `is_ahead` where nothing was written.
    pub fn text(&self, is_ahead: bool) -> String {
        let Self { word: kind, key, name, notes, is_deleted } = self;
        let word = match (kind, is_ahead) {
            (Word::Imported, false) => "imported",
            (Word::Imported, true) => "would import",
            (Word::TrackedAlready, _) => "tracked already",
            (Word::NotImported, _) => "not imported",
            (Word::Named, false) => "given a name",
            (Word::Named, true) => "would be named",
            (Word::NotNamed, _) => "name not kept",
            (Word::Deleted, _) => "deleted",
            (Word::Unread, _) => "no name",
        };
        let name = name.as_ref().map_or(String::new(), |name| format!("  {}", shown(name)));
        let mut told = notes.clone();
        let word = match is_deleted {
            true => {
                if !matches!(kind, Word::Deleted) {
                    told.insert(0, word.into());
                }
                told.push("the platform has deleted the definition".into());
                "deleted"
            }
            false => word,
        };
        let notes = &told;
        let notes = match notes.is_empty() {
            true => String::new(),
            false => format!("  ({})", notes.join("; ")),
        };
        format!("{word:16} {key}{name}{notes}")
    }
}

/// What an import does to a state.
///
/// # Errors
/// A label stands for another app, or codes differ only in letter case.
pub(super) fn import(
    manifest: &Manifest,
    state: &State,
    wanted: &[Wanted<'_>],
    args: &ImportArgs,
    names: &Names,
    by: &By<'static>,
) -> Result<Import, Failure> {
    let mut import = Import::default();
    let mut labels: BTreeMap<&AppLabel, (AppLabel, Option<AppIndex>)> = BTreeMap::new();
    for want in wanted {
        if !labels.contains_key(want.label) {
            labels.insert(want.label, label_in_force(want, state, &mut import.records)?);
        }
    }
    refuse_case_twins(manifest, state, wanted)?;
    let declared = declared(manifest);
    let mut imported = BTreeSet::new();
    for want in wanted {
        let Some((label, index)) = labels.get(want.label) else { continue };
        let tenant = want.tenant_key.as_ref();
        let known = index.and_then(|index| state.subscription(index, tenant, &want.approval_code));
        let entry = declared.get(&(want.label, tenant, &want.approval_code)).copied();
        if let Some(track) = one(&mut import, want, entry, known, args.declared, names) {
            imported.insert(want.key());
            import.records.push(Record::Track(Track { app: label.clone(), by: by.clone(), ..track }));
        }
    }
    if import.tracked == 0 {
        // A binding alone says nothing that the next import would not say again.
        import.records.clear();
    }
    learnt(&mut import, manifest, state, &declared, &imported, names);
    Ok(import)
}

/// What becomes of one subscription that is wanted: its line, and its record where it is to be tracked.
fn one(
    import: &mut Import,
    want: &Wanted<'_>,
    entry: Option<&manifest::Subscription>,
    known: Option<&Subscription>,
    only_new: bool,
    names: &Names,
) -> Option<Track<'static>> {
    let key = want.key();
    let mut notes = differences(want, entry);
    // The manifest wins; else the list, else the platform.
    let listed = match entry {
        Some(entry) => entry.name.clone(),
        None => want.name.clone().or_else(|| told_name(names, &key)),
    };
    let line = |word, notes| Line { word, key: key.clone(), name: listed.clone(), notes, is_deleted: false };
    match known {
        Some(known) if known.is_tracked() && known.open_intent().is_none() => {
            import.unchanged += 1;
            if !only_new {
                import.lines.push(line(Word::TrackedAlready, notes));
            }
            return None;
        }
        Some(known) if only_new => {
            import.to_name += 1;
            notes.push(format!("{}: name it as CODE if it lives", was(known)));
            import.lines.push(line(Word::NotImported, notes));
            return None;
        }
        Some(known) => {
            import.again += 1;
            notes.insert(0, format!("{} before: it lives again", was(known)));
        }
        None => {}
    }
    import.tracked += 1;
    if entry.is_none() {
        // Rightly so for what is to be dropped, and a surprise in the next plan otherwise.
        notes.push("not declared: the next plan drops it".into());
    }
    import.lines.push(line(Word::Imported, notes));
    let owner = entry.map_or_else(|| want.owner.clone(), |entry| entry.owner.clone());
    Some(Track {
        at: now(),
        app: want.label.clone(),
        tenant_key: want.tenant_key.clone(),
        approval_code: want.approval_code.clone(),
        name: listed.map(Str::from),
        owner: owner.map(Str::from),
        protect: entry.is_some_and(|entry| entry.protect),
        by: By::default(),
    })
}

fn was(known: &Subscription) -> String {
    match known.status {
        Status::Subscribed => "unknown".into(),
        status => format!("{} {}", status.as_str(), time::date(known.changed_at)),
    }
}

/// Where a list says something else than the manifest, which wins.
fn differences(want: &Wanted<'_>, entry: Option<&manifest::Subscription>) -> Vec<String> {
    let Some(entry) = entry else { return Vec::new() };
    let differs = |what, listed: &Option<String>, declared: &Option<String>| {
        let listed = listed.as_ref().filter(|_| listed != declared)?;
        let declared = match declared {
            Some(declared) => format!("`{}` is kept", shown(declared)),
            None => "none is kept".into(),
        };
        Some(format!("the list's {what} is `{}`, the manifest's {declared}", shown(listed)))
    };
    let name = differs("name", &want.name, &entry.name);
    name.into_iter().chain(differs("owner", &want.owner, &entry.owner)).collect()
}

/// What the platform said of the name, short enough for a manifest.
fn told_name(names: &Names, key: &SubscriptionKey) -> Option<String> {
    let Told::Definition(definition) = names.told.get(key)? else { return None };
    let name = definition.name.as_ref()?.trim();
    Some(match name.char_indices().nth(MAX_TEXT) {
        None => name.to_owned(),
        Some(_) => name.chars().take(MAX_TEXT - 1).chain(['…']).collect(),
    })
}

/// What else the platform's answers come to: names for what is tracked, and what a person should know.
fn learnt(
    import: &mut Import,
    manifest: &Manifest,
    state: &State,
    declared: &BTreeMap<Place<'_>, &manifest::Subscription>,
    imported: &BTreeSet<SubscriptionKey>,
    names: &Names,
) {
    for (key, told) in &names.told {
        let entry = declared.get(&(&key.app, key.tenant_key.as_ref(), &key.approval_code)).copied();
        let app = manifest.apps.get(&key.app).and_then(|app| state.app_of(&app.identity));
        let known = app.and_then(|(index, bound)| {
            let known = state.subscription(index, key.tenant_key.as_ref(), &key.approval_code)?;
            Some((bound, known))
        });
        let name = told_name(names, key);
        let mut line = |word, notes| {
            import.lines.push(Line { word, key: key.clone(), name: name.clone(), notes, is_deleted: false });
        };
        let status = match told {
            Told::Definition(definition) => definition.status,
            Told::NotFound => {
                import.unread += 1;
                line(Word::Unread, vec!["the platform knows no such code for this app: check it".into()]);
                continue;
            }
            Told::Failed(why) => {
                import.unread += 1;
                line(Word::Unread, vec![why.clone()]);
                continue;
            }
        };
        let is_nameless =
            |known: &Subscription| known.is_tracked() && known.name.is_none() && !imported.contains(key);
        match (entry, known, &name) {
            // What the manifest says is what the next apply would write, so its silence is kept.
            (Some(entry), _, Some(_)) if entry.name.is_none() => {
                line(Word::NotNamed, vec!["declared without a name: write it into the manifest".into()]);
            }
            (None, Some((bound, known)), Some(text)) if is_nameless(known) => {
                line(Word::Named, Vec::new());
                import.named += 1;
                import.records.push(Record::Update(Update {
                    at: now(),
                    app: bound.label.clone(),
                    tenant_key: key.tenant_key.clone(),
                    approval_code: key.approval_code.clone(),
                    name: Some(Str::from(text.clone())),
                    owner: known.owner.clone().map(Str::from),
                    protect: known.protect,
                }));
            }
            _ => {}
        }
        if status == DefinitionStatus::Deleted {
            import.deleted += 1;
            match import.lines.iter_mut().rfind(|line| line.key == *key) {
                Some(line) => line.is_deleted = true,
                None => import.lines.push(Line {
                    word: Word::Deleted,
                    key: key.clone(),
                    name: name.clone(),
                    notes: Vec::new(),
                    is_deleted: true,
                }),
            }
        }
    }
}

type Place<'a> = (&'a AppLabel, Option<&'a TenantKey>, &'a ApprovalCode);

fn declared(manifest: &Manifest) -> BTreeMap<Place<'_>, &manifest::Subscription> {
    let entries = manifest.apps.iter().flat_map(|(label, app)| {
        let entries = app.subscriptions.iter();
        entries.map(move |entry| ((label, entry.tenant_key.as_ref(), &entry.approval_code), entry))
    });
    entries.collect()
}

/// The label that records of this app carry: the one in force in the ledger, which a pending rename has not changed
/// yet, or a new binding.
fn label_in_force(
    want: &Wanted<'_>,
    state: &State,
    records: &mut Vec<Record<'static>>,
) -> Result<(AppLabel, Option<AppIndex>), Failure> {
    let (label, app) = (want.label, want.app);
    if let Some((_, holder)) = state.app_labelled(label).filter(|(_, holder)| holder.identity != app.identity)
    {
        let title =
            format!("`{label}` is {} in the state, and {} in the manifest", holder.identity, app.identity);
        return Err(Failure::new(Exit::Refused, title)
            .hint("a label keeps its app: give the other app a label of its own; nothing was imported"));
    }
    match state.app_of(&app.identity) {
        Some((_, known)) if known.kind != app.kind => {
            let title = format!("`{label}` is a {} app in the state", known.kind.as_str());
            Err(Failure::new(Exit::Refused, title)
                .hint(format!("an app's kind does not change: write `kind = \"{}\"`", known.kind.as_str())))
        }
        Some((index, known)) => Ok((known.label.clone(), Some(index))),
        None => {
            records.push(Record::Bind(Bind {
                at: now(),
                app: label.clone(),
                app_id: app.identity.app_id.clone(),
                base_url: app.identity.base_url.clone(),
                kind: app.kind,
            }));
            Ok((label.clone(), None))
        }
    }
}

/// Codes that differ from a tracked or declared one, or from each other, only in letter case: one of the two is
/// wrong, and dropping it later would drop the other.
fn refuse_case_twins(manifest: &Manifest, state: &State, wanted: &[Wanted<'_>]) -> Result<(), Failure> {
    let mut folded: BTreeMap<(&AppLabel, Option<&TenantKey>, String), (&ApprovalCode, &'static str)> =
        BTreeMap::new();
    let mut failure =
        Failure::new(Exit::Error, "codes that differ only in letter case; nothing was imported");
    for (label, app) in &manifest.apps {
        for entry in &app.subscriptions {
            let place = (label, entry.tenant_key.as_ref(), entry.approval_code.case_folded());
            folded.insert(place, (&entry.approval_code, "declared"));
        }
        let Some((index, _)) = state.app_of(&app.identity) else { continue };
        for (id, subscription) in state.subscriptions() {
            if id.app == index && subscription.is_tracked() {
                let place = (label, id.tenant_key.as_ref(), id.approval_code.case_folded());
                folded.insert(place, (&id.approval_code, "tracked"));
            }
        }
    }
    for want in wanted {
        let place = (want.label, want.tenant_key.as_ref(), want.approval_code.case_folded());
        match folded.get(&place) {
            Some((other, what)) if **other != want.approval_code => {
                failure = failure.because(format!("{}, and `{other}` is {what}", want.key()));
            }
            Some(_) => {}
            None => {
                folded.insert(place, (&want.approval_code, "named, too"));
            }
        }
    }
    if failure.causes.is_empty() {
        return Ok(());
    }
    let twins = count(failure.causes.len() as u64, "code", "codes");
    Err(failure.hint(format!("find out which spelling the platform uses, and correct the {twins}")))
}
