//! A source's tree → the draft: every key of every section, each problem with its place.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::draft::{AppDraft, Draft, Entry, Field, Says, Settings};
use super::place::{Place, list, name};
use super::secret;
use super::value::{
    Context, Expected, Key, Value, base_url, boolean, brand, free_text, help_for_app_id, help_for_code,
    help_for_tenant, identifier, kind, number, wrong_type,
};
use super::{MAX_RATE_PER_MINUTE, Problem, policy};
use crate::subscription::AppLabel;

/// Reads one source into the draft. Returns whether it says anything at all.
pub(super) fn source(cx: &mut Context, root: &DeTable, draft: &mut Draft) -> bool {
    let mut says_something = false;
    for (key, value) in root {
        match key.get_ref().as_ref() {
            "policy" => {
                says_something = true;
                if let Some(table) = section(cx, key, value, Place::Policy) {
                    let span = cx.span(value.span());
                    draft.policies.push((span.clone(), policy::read(cx, Place::Policy, table, span)));
                }
            }
            "apps" => {
                if let Some(table) = section(cx, key, value, Place::App("LABEL")) {
                    says_something |= table.iter().next().is_some();
                    apps(cx, table, &mut draft.apps);
                } else {
                    says_something = true;
                }
            }
            _ => {
                says_something = true;
                unknown(cx, Place::Root, key, value);
            }
        }
    }
    says_something
}

fn section<'v, 'i>(
    cx: &mut Context,
    key: &Key,
    value: &'v Value<'i>,
    place: Place,
) -> Option<&'v DeTable<'i>> {
    let table = value.get_ref().as_table();
    if table.is_none() {
        wrong_type(cx, key.get_ref(), value, Expected::Section(place));
    }
    table
}

fn apps(cx: &mut Context, table: &DeTable, apps: &mut BTreeMap<String, AppDraft>) {
    for (key, value) in table {
        let label = key.get_ref().as_ref();
        // An app may be called `secretariat`; a secret is no section.
        if !value.get_ref().is_table() && secret::is_secret(label) {
            unknown(cx, Place::Apps, key, value);
            continue;
        }
        if !value.get_ref().is_table() && Place::App("").keys().contains(&label) {
            let title = format!("`{label}` stands in no app");
            cx.report(
                title,
                key.span(),
                "a key of `[apps.LABEL]`",
                &["open the app's section first: `[apps.hr]`"],
            );
            continue;
        }
        if let Err(malformed) = label.parse::<AppLabel>() {
            let problem = Problem::error(format!("`{}` is not {}", name(label), malformed.what))
                .at(cx.span(key.span()), label_meant(label))
                .help(format!("{} is {}", malformed.what, malformed.rule))
                .help("it becomes part of a variable's name, such as LARKSUB_APP_SECRET_HR");
            cx.problems.push(problem);
        }
        let Some(table) = section(cx, key, value, Place::App(label)) else { continue };
        let mention = cx.span(key.span());
        let draft = apps.entry(label.to_string()).or_insert_with(|| AppDraft {
            mention,
            settings: Vec::new(),
            entries: Vec::new(),
            policies: Vec::new(),
        });
        app(cx, label, table, value.span(), draft);
    }
}

fn label_meant(label: &str) -> String {
    let mut meant = label.trim().to_lowercase().replace(['_', ' ', '.'], "-");
    if meant.ends_with("file") {
        meant.push_str("-app");
    }
    match meant.parse::<AppLabel>() {
        Ok(meant) => format!("write `{meant}`"),
        Err(_) => String::new(),
    }
}

fn app(cx: &mut Context, label: &str, table: &DeTable, place: Range<usize>, draft: &mut AppDraft) {
    let mut settings = Settings {
        span: cx.span(place),
        app_id: Field::Absent,
        base_url: Field::Absent,
        kind: Field::Absent,
        rate_per_minute: Field::Absent,
    };
    let mut has_settings = false;
    let mut places: [Option<Range<usize>>; 2] = [None, None];
    for (key, value) in table {
        let [brand_at, base_url_at] = &mut places;
        let is_setting = match key.get_ref().as_ref() {
            "app_id" => {
                settings.app_id = Field::read(identifier(cx, key, value, help_for_app_id));
                true
            }
            "brand" => {
                settings.base_url = Field::read(brand(cx, key, value));
                *brand_at = Some(key.span());
                true
            }
            "base_url" => {
                settings.base_url = Field::read(base_url(cx, key, value));
                *base_url_at = Some(key.span());
                true
            }
            "kind" => {
                settings.kind = Field::read(kind(cx, key, value));
                true
            }
            "rate_per_minute" => {
                settings.rate_per_minute = Field::read(rate(cx, key, value));
                true
            }
            "policy" => {
                if let Some(table) = section(cx, key, value, Place::AppPolicy(label)) {
                    let span = cx.span(value.span());
                    draft
                        .policies
                        .push((span.clone(), policy::read(cx, Place::AppPolicy(label), table, span)));
                }
                false
            }
            "subscriptions" => {
                entries(cx, Place::Subscription(label), key, value, &mut draft.entries);
                false
            }
            "removed" => {
                entries(cx, Place::Removed(label), key, value, &mut draft.entries);
                false
            }
            _ => match unknown(cx, Place::App(label), key, value) {
                // A misspelt key has been reported; that it is missing would be said twice.
                Some("app_id") => {
                    settings.app_id = Field::Wrong;
                    true
                }
                Some("brand" | "base_url") => {
                    settings.base_url = Field::Wrong;
                    true
                }
                Some("kind") => {
                    settings.kind = Field::Wrong;
                    true
                }
                Some("rate_per_minute") => true,
                _ => false,
            },
        };
        has_settings |= is_setting;
    }
    if let [Some(brand), Some(base_url)] = places {
        let problem = Problem::error(format!("app `{}` has both `brand` and `base_url`", name(label)))
            .at(cx.span(base_url), "one place")
            .at(cx.span(brand), "and another")
            .help("keep one of them: `brand` stands for a well-known base URL");
        cx.problems.push(problem);
        settings.base_url = Field::Wrong;
    }
    if has_settings {
        report_missing(cx, label, &settings);
        draft.settings.push(settings);
    }
}

fn rate(cx: &mut Context, key: &Key, value: &Value) -> Option<(u32, Range<usize>)> {
    let why = "the platform allows 100 calls a minute for an app in a tenant, whoever makes them";
    let rate = number(cx, key, value, 1..=u64::from(MAX_RATE_PER_MINUTE), why)?;
    Some((u32::try_from(rate).ok()?, value.span()))
}

fn report_missing(cx: &mut Context, label: &str, settings: &Settings) {
    if cx.is_broken {
        return;
    }
    let place = settings.span.bytes.clone();
    if settings.app_id.is_absent() {
        let title = format!("app `{}` has no `app_id`", name(label));
        cx.report(title, place.clone(), "`app_id` is missing", &["give it: `app_id = \"cli_…\"`"]);
    }
    if settings.base_url.is_absent() {
        let title = format!("app `{}` has neither `brand` nor `base_url`", name(label));
        let help = "give one: `brand = \"feishu\"`, `brand = \"lark\"` or `base_url = \"https://…\"`";
        cx.report(title, place, "where its platform is, is missing", &[help]);
    }
}

fn entries(cx: &mut Context, place: Place, key: &Key, value: &Value, found: &mut Vec<Entry>) {
    let DeValue::Array(array) = value.get_ref() else {
        wrong_type(cx, key.get_ref(), value, Expected::Entries(place));
        return;
    };
    found.reserve(array.len());
    for item in array {
        match item.get_ref() {
            DeValue::Table(table) => found.push(entry(cx, place, table, item.span())),
            DeValue::String(text) => {
                let help = format!("write it as an entry: {place} with `approval_code = \"{}\"`", name(text));
                cx.report(
                    format!("an entry of `{}` must be a table, not a string", key.get_ref()),
                    item.span(),
                    "",
                    &[&help],
                );
            }
            _ => wrong_type(cx, key.get_ref(), item, Expected::Entries(place)),
        }
    }
}

fn entry(cx: &mut Context, place: Place, table: &DeTable, at: Range<usize>) -> Entry {
    let mut approval_code = Field::Absent;
    let mut tenant_key = Field::Absent;
    let (mut name, mut owner, mut reason) = (None, Field::Absent, None);
    let (mut protect, mut forget) = (false, false);
    let is_removed = matches!(place, Place::Removed(_));
    for (key, value) in table {
        match key.get_ref().as_ref() {
            "approval_code" => approval_code = Field::read(identifier(cx, key, value, help_for_code)),
            "tenant_key" => tenant_key = Field::read(identifier(cx, key, value, help_for_tenant)),
            "name" if !is_removed => name = free_text(cx, key, value),
            "owner" if !is_removed => {
                owner = Field::read(free_text(cx, key, value).map(|text| (text, value.span())));
            }
            "protect" if !is_removed => protect = boolean(cx, key, value),
            "reason" if is_removed => reason = free_text(cx, key, value),
            "forget" if is_removed => forget = boolean(cx, key, value),
            _ => match unknown(cx, place, key, value) {
                Some("approval_code") => approval_code = Field::Wrong,
                Some("tenant_key") => tenant_key = Field::Wrong,
                Some("owner") => owner = Field::Wrong,
                _ => {}
            },
        }
    }
    if approval_code.is_absent() && !cx.is_broken {
        let help =
            "give it: `approval_code = \"…\"`; the code is what the entry is about, a name is for people";
        cx.report(
            format!("no `approval_code` in {place}"),
            at.clone(),
            "`approval_code` is missing",
            &[help],
        );
    }
    let says =
        if is_removed { Says::Removed { reason, forget } } else { Says::Declared { name, owner, protect } };
    Entry { span: cx.span(at), approval_code, tenant_key, says }
}

/// Reports a key that has no place here, and gives the key that it was probably meant to be.
pub(super) fn unknown(cx: &mut Context, place: Place, key: &Key, value: &Value) -> Option<&'static str> {
    let word = key.get_ref().as_ref();
    if secret::is_secret(word) {
        report_secret(cx, place, key, value);
        return None;
    }
    let meant = place.nearest_key(word);
    let home = place.home_of(word);
    let label = match (home, meant) {
        (Some(home), _) => format!("a key of {home}"),
        (None, Some(meant)) => format!("did you mean `{meant}`?"),
        (None, None) => String::new(),
    };
    let help = match place {
        Place::Root => "at the top of a manifest stand `[policy]` and the apps, `[apps.LABEL]`".to_string(),
        _ => format!("the keys of {place} are {}", list(place.keys())),
    };
    cx.report(
        format!("unknown key `{}` {}", name(word), place.preposition_and_name()),
        key.span(),
        label,
        &[&help],
    );
    if home.is_some() { None } else { meant }
}

/// Reports a secret without showing it: only its key is underlined, and its value is hidden from every drawing.
fn report_secret(cx: &mut Context, place: Place, key: &Key, value: &Value) {
    let word = key.get_ref().as_ref();
    let label = place.app().filter(|label| label.parse::<AppLabel>().is_ok());
    let mut problem = secret::problem(word, label, cx.span(key.span()));
    let mut rest = vec![value];
    while let Some(value) = rest.pop() {
        match value.get_ref() {
            DeValue::Array(array) => rest.extend(array.iter()),
            DeValue::Table(table) => {
                for (key, value) in table {
                    problem = problem.redact(cx.span(key.span()));
                    rest.push(value);
                }
            }
            _ => problem = problem.redact(cx.span(value.span())),
        }
    }
    cx.problems.push(problem);
}
