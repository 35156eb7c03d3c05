//! The rules that span entries, sections and files; and the draft as a manifest once they all hold.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, RandomState};

use super::alike::{letter, twin};
use super::draft::{AppDraft, Draft, Entry, Field, Says, Settings};
use super::place::name;
use super::policy::named;
use super::{App, MAX_RATE_PER_MINUTE, Manifest, Policy, Problem, Removed, Span, Subscription, suggest};
use crate::subscription::{AnyCase, AppIdentity, AppKind, AppLabel, ApprovalCode};
use crate::text::is_blank;

/// Reports what is wrong between the parts of a draft.
pub(super) fn draft(draft: &Draft, problems: &mut Vec<Problem>) {
    let mut sections = draft.policies.iter();
    if let Some((first, _)) = sections.next() {
        for (again, _) in sections {
            problems.push(
                Problem::error("`[policy]` stands in two files")
                    .at(again.clone(), "given again here")
                    .at(first.clone(), "first given here")
                    .help("keep one of the two; a limit has to be found in one place"),
            );
        }
    }
    for (label, app) in &draft.apps {
        settings(draft, label, app, problems);
        policies(label, app, problems);
        owners(draft, label, app, problems);
        tenants(draft, label, app, problems);
        repeated(draft, label, app, problems);
    }
    app_ids(draft, problems);
}

fn settings(draft: &Draft, label: &str, app: &AppDraft, problems: &mut Vec<Problem>) {
    let shown = name(label);
    let mut settings = app.settings.iter();
    let Some(first) = settings.next() else {
        if !draft.is_any_broken() {
            problems.push(without_settings(draft, label, app));
        }
        return;
    };
    for again in settings {
        problems.push(
            Problem::error(format!("the settings of app `{shown}` stand in two files"))
                .at(again.span.clone(), "given again here")
                .at(first.span.clone(), "first given here")
                .help("keep one of the two; the app's entries may stand in any file"),
        );
    }
}

/// An app's limits stand beside its settings: whoever reviews that file sees them change.
fn policies(label: &str, app: &AppDraft, problems: &mut Vec<Problem>) {
    let shown = name(label);
    let settings = app.settings.first().map(|settings| &settings.span);
    let mut kept: Option<&Span> = None;
    for (span, _) in &app.policies {
        match (kept, settings) {
            (Some(first), _) => problems.push(
                Problem::error(format!("`[apps.{shown}.policy]` stands in two files"))
                    .at(span.clone(), "given again here")
                    .at(first.clone(), "first given here")
                    .help("keep one of the two; a limit has to be found in one place"),
            ),
            (None, Some(settings)) if settings.source != span.source => problems.push(
                Problem::error(format!("`[apps.{shown}.policy]` stands in another file than the app's settings"))
                    .at(span.clone(), "given here")
                    .at(settings.clone(), "the app's settings")
                    .help("move it there: an app's limits are reviewed with its settings; entries may stand in any file"),
            ),
            _ => {}
        }
        kept = kept.or(Some(span));
    }
}

/// Declared subscriptions whose owner is missing, or is none of those that there are.
fn owners(draft: &Draft, label: &str, app: &AppDraft, problems: &mut Vec<Problem>) {
    let absent = Policy::default();
    let general = draft.policies.first().map_or(&absent, |(_, policy)| policy);
    let own = app.policies.first().map_or(&absent, |(_, policy)| policy);
    let list = own.rule(general, |policy| &policy.owners);
    let required = own.rule(general, |policy| &policy.require_owner).filter(|given| given.value);
    let Some(demand) = list.map(|given| &given.span).or(required.map(|given| &given.span)) else { return };
    let shown = name(label);
    for entry in &app.entries {
        let Says::Declared { name: _, owner, protect: _ } = &entry.says else { continue };
        let problem = match owner {
            Field::Wrong => continue,
            Field::Absent if draft.is_source_broken(entry.span.source) => continue,
            Field::Absent => Problem::error(format!("no `owner` in an entry of app `{shown}`"))
                .at(code_span(entry), "`owner` is missing"),
            Field::Given(text, place) => {
                let span = Span { source: entry.span.source, bytes: place.clone() };
                if is_blank(text) {
                    Problem::error(format!("an `owner` in app `{shown}` is blank")).at(span, "nobody")
                } else {
                    let Some(list) = list.filter(|list| !list.value.contains(text)) else { continue };
                    let meant = suggest::nearest(text, list.value.iter().map(String::as_str));
                    let meant =
                        list.value.iter().map(String::as_str).find(|it| twin(text, it).is_some()).or(meant);
                    let said = match (meant, meant.and_then(|meant| twin(text, meant))) {
                        (Some(meant), Some((here, there))) => format!(
                            "it only looks like `{}`: here stands {}, there {}",
                            name(meant),
                            letter(here),
                            letter(there)
                        ),
                        (Some(meant), None) => format!("did you mean `{}`?", name(meant)),
                        (None, _) => "nobody of that name".into(),
                    };
                    Problem::error(format!("`{}` is none of the owners of app `{shown}`", name(text)))
                        .at(span, said)
                }
            }
        };
        let problem = problem.at(demand.clone(), "demanded here");
        problems.push(match list {
            Some(list) => problem.help(match list.value.as_slice() {
                [only] => format!("there is one owner: `{}`", name(only)),
                owners => format!("the owners are {}", named(owners)),
            }),
            None => problem.help("say who answers for it: `owner = \"…\"`"),
        });
    }
}

fn without_settings(draft: &Draft, label: &str, app: &AppDraft) -> Problem {
    let shown = name(label);
    let others = draft.apps.iter().filter(|(_, other)| !other.settings.is_empty());
    let meant = suggest::nearest(label, others.map(|(other, _)| other.as_str()));
    let said = match meant {
        Some(meant) => format!("did you mean `{}`?", name(meant)),
        None => "no file says which app this is".to_string(),
    };
    Problem::error(format!("app `{shown}` has no settings"))
        .at(app.mention.clone(), said)
        .help(format!("give them once, in any file: `[apps.{shown}]` with `app_id` and `brand`"))
}

/// The kind of an app, where it is certain.
fn kind(draft: &Draft, app: &AppDraft) -> Option<AppKind> {
    let [settings] = app.settings.as_slice() else { return None };
    match &settings.kind {
        Field::Given(kind, _) => Some(*kind),
        // It may stand in what could not be read.
        Field::Absent if !draft.is_source_broken(settings.span.source) => Some(AppKind::Custom),
        Field::Absent | Field::Wrong => None,
    }
}

fn tenants(draft: &Draft, label: &str, app: &AppDraft, problems: &mut Vec<Problem>) {
    let Some(kind) = kind(draft, app) else { return };
    for entry in &app.entries {
        match (kind, &entry.tenant_key) {
            (AppKind::Custom, Field::Given(_, place)) => {
                let mut problem = Problem::error(format!("`tenant_key` in a custom app, `{}`", name(label)))
                    .at(
                        Span { source: entry.span.source, bytes: place.clone() },
                        "a custom app has one tenant, its own",
                    );
                if let Some(settings) = app.settings.first() {
                    problem = problem.at(settings.span.clone(), "the app's settings");
                }
                problems.push(
                    problem.help("remove it; or, if the app comes from the app store, write `kind = \"store\"` in its settings"),
                );
            }
            (AppKind::Store, Field::Absent) if !draft.is_source_broken(entry.span.source) => {
                problems.push(
                    Problem::error(format!("no `tenant_key` in an entry of the store app `{}`", name(label)))
                        .at(entry.span.clone(), "`tenant_key` is missing")
                        .help("give it: `tenant_key = \"…\"`; the same code in another tenant is another subscription"),
                );
            }
            _ => {}
        }
    }
}

/// A subscription's identity in its app, in which letter case does not count.
type Identity<'a> = (Option<&'a str>, AnyCase<'a>);

fn repeated(draft: &Draft, label: &str, app: &AppDraft, problems: &mut Vec<Problem>) {
    let is_store = kind(draft, app) == Some(AppKind::Store);
    let identities = app.entries.iter().filter_map(|entry| Some((identity(entry, is_store)?, entry)));
    if are_different(identities.clone().map(|(identity, _)| identity)) {
        return;
    }
    let mut seen: HashMap<Identity, &Entry> = HashMap::with_capacity(app.entries.len());
    for (identity, entry) in identities {
        let first = *seen.entry(identity).or_insert(entry);
        if !std::ptr::eq(first, entry) {
            // The texts' order, not the order of the keys in a section, decides which one is the repetition.
            let (first, again) =
                if position(first) <= position(entry) { (first, entry) } else { (entry, first) };
            problems.push(repetition(label, again, first));
        }
    }
}

fn identity(entry: &Entry, is_store: bool) -> Option<Identity<'_>> {
    let code = entry.approval_code.get()?;
    let tenant = match &entry.tenant_key {
        Field::Given(tenant, _) => Some(tenant.as_str()),
        // Which tenant was meant is not known.
        Field::Wrong => return None,
        Field::Absent if is_store => return None,
        Field::Absent => None,
    };
    Some((tenant, AnyCase(code)))
}

/// Whether no two are alike, told by their hashes alone: sorting numbers costs a fraction of keeping a map.
fn are_different<'a>(identities: impl Iterator<Item = Identity<'a>>) -> bool {
    let seed = RandomState::new();
    let mut hashes: Vec<u64> = identities.map(|identity| seed.hash_one(identity)).collect();
    hashes.sort_unstable();
    hashes.is_sorted_by(|a, b| a < b)
}

fn position(entry: &Entry) -> (usize, usize) {
    (entry.span.source, entry.span.bytes.start)
}

fn repetition(label: &str, again: &Entry, first: &Entry) -> Problem {
    let label = name(label);
    let code = again.approval_code.get().map(ApprovalCode::as_str).unwrap_or_default();
    let is_same_case = first.approval_code.get() == again.approval_code.get();
    let (title, help) = match (&first.says, &again.says, is_same_case) {
        (Says::Declared { .. }, Says::Declared { .. }, true) => {
            (format!("`{code}` is declared twice in app `{label}`"), "keep one of the two entries")
        }
        (Says::Removed { .. }, Says::Removed { .. }, true) => {
            (format!("`{code}` is removed twice in app `{label}`"), "keep one of the two entries")
        }
        (_, _, true) => (
            format!("`{code}` is declared and removed at once in app `{label}`"),
            "keep the `subscriptions` entry if events should go on, the `removed` entry if they should end",
        ),
        (_, _, false) => (
            format!("`{code}` differs from another entry of app `{label}` in letter case only"),
            "one of the two is a slip: keep the code as the platform writes it, in case too",
        ),
    };
    let (label_again, label_first) = match (&again.says, &first.says) {
        (Says::Declared { .. }, Says::Declared { .. }) => ("declared again here", "first declared here"),
        (Says::Removed { .. }, Says::Removed { .. }) => ("removed again here", "first removed here"),
        (Says::Declared { .. }, Says::Removed { .. }) => ("declared here", "removed here"),
        (Says::Removed { .. }, Says::Declared { .. }) => ("removed here", "declared here"),
    };
    Problem::error(title).at(code_span(again), label_again).at(code_span(first), label_first).help(help)
}

fn code_span(entry: &Entry) -> Span {
    match &entry.approval_code {
        Field::Given(_, place) => Span { source: entry.span.source, bytes: place.clone() },
        Field::Absent | Field::Wrong => entry.span.clone(),
    }
}

fn app_ids(draft: &Draft, problems: &mut Vec<Problem>) {
    let mut seen: HashMap<&str, (&str, Span)> = HashMap::new();
    let mut apps: Vec<(&str, Span, &str)> = Vec::new();
    for (label, app) in &draft.apps {
        for settings in &app.settings {
            if let Field::Given(id, place) = &settings.app_id {
                let span = Span { source: settings.span.source, bytes: place.clone() };
                apps.push((id.as_str(), span, label));
            }
        }
    }
    // In the order of the texts, so that the first place is the one a reader meets first.
    apps.sort_by_key(|(_, span, _)| (span.source, span.bytes.start));
    for (id, span, label) in apps {
        let (first_label, first) = seen.entry(id).or_insert_with(|| (label, span.clone()));
        if *first_label != label {
            problems.push(
                Problem::error(format!("app id `{id}` stands under two labels"))
                    .at(span, format!("app `{}`", name(label)))
                    .at(first.clone(), format!("app `{}`", name(first_label)))
                    .help("one app, one label: what one entry keeps, another could drop; merge the two sections"),
            );
        }
    }
}

/// The draft as a manifest. `None` where a rule does not hold, which has then been reported.
pub(super) fn manifest(draft: Draft, digest: String) -> Option<Manifest> {
    let policy = draft.policies.into_iter().next().map_or_else(Policy::default, |(_, policy)| policy);
    let mut apps = BTreeMap::new();
    for (label, app) in draft.apps {
        apps.insert(label.parse::<AppLabel>().ok()?, finished(app)?);
    }
    Some(Manifest { policy, apps, digest })
}

fn finished(app: AppDraft) -> Option<App> {
    let Settings { span, app_id, base_url, kind, rate_per_minute } = app.settings.into_iter().next()?;
    let policy = app.policies.into_iter().next().map(|(_, policy)| policy).unwrap_or_default();
    let mut subscriptions = Vec::new();
    let mut removed = Vec::new();
    for Entry { span, approval_code, tenant_key, says } in app.entries {
        let (approval_code, place) = given(approval_code)?;
        let tenant_key = given(tenant_key).map(|(tenant_key, _)| tenant_key);
        let span = Span { source: span.source, bytes: place };
        match says {
            Says::Declared { name, owner, protect } => {
                let owner = given(owner).map(|(owner, _)| owner);
                subscriptions.push(Subscription { tenant_key, approval_code, name, owner, protect, span });
            }
            Says::Removed { reason, forget } => {
                removed.push(Removed { tenant_key, approval_code, reason, forget, span });
            }
        }
    }
    Some(App {
        identity: AppIdentity { app_id: given(app_id)?.0, base_url: given(base_url)?.0 },
        kind: given(kind).map_or(AppKind::Custom, |(kind, _)| kind),
        rate_per_minute: given(rate_per_minute).map_or(MAX_RATE_PER_MINUTE, |(rate, _)| rate),
        policy,
        subscriptions,
        removed,
        span,
    })
}

fn given<T>(field: Field<T>) -> Option<(T, std::ops::Range<usize>)> {
    match field {
        Field::Given(value, place) => Some((value, place)),
        Field::Absent | Field::Wrong => None,
    }
}
