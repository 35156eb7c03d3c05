//! The manifest's schema beside its parser.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use larksub::manifest::{Source, parse};
use larksub::schema;
use larksub::subscription::{AppId, AppLabel, ApprovalCode, BaseUrl, TenantKey};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{assert_valid, folders, root, validator};

fn sources(case: &Path) -> Vec<Source> {
    let entries = fs::read_dir(case).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect();
    paths.sort();
    let source = |path: PathBuf| Source { bytes: fs::read(&path).unwrap(), path: path.display().to_string() };
    paths.into_iter().map(source).collect()
}

fn toml_as_json(text: &str) -> Option<Value> {
    toml::from_str(text.trim_start_matches('\u{feff}')).ok()
}

fn manifest_of(text: &str) -> Value {
    toml_as_json(text).unwrap_or_else(|| panic!("no TOML:\n{text}"))
}

#[test]
fn the_examples_are_what_the_schema_describes() {
    let validator = validator(&schema::manifest());
    let text = fs::read_to_string(root().join("examples/larksub.toml")).unwrap();
    assert_valid(&validator, &manifest_of(&text), "examples/larksub.toml");
    let mut count = 0;
    let pages = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    for page in pages.chain([root().join("README.md")]) {
        let text = fs::read_to_string(&page).unwrap_or_default();
        for block in text.split("```toml manifest\n").skip(1) {
            let block = block.split("```").next().unwrap();
            assert_valid(&validator, &manifest_of(block), &page.display().to_string());
            count += 1;
        }
    }
    assert!(count >= 2, "manifests are found in the pages");
}

/// What is refused by the parser and cannot be by a schema of one file: repetitions, what another file says, and
/// what is missing altogether. A new one is to be looked at.
const BEYOND_THE_SCHEMA: [&str; 21] = [
    "app-id-under-two-labels",
    "app-id-under-two-labels-across-files-and-places",
    "app-that-is-empty",
    "code-three-times-far-apart",
    "declared-and-removed",
    "declared-and-removed-across-files-in-letter-case-only",
    "duplicate-removed",
    "duplicate-subscription",
    "duplicate-subscription-across-files",
    "duplicate-subscription-in-letter-case-only",
    "empty-file",
    "empty-file-in-a-folder",
    "only-comments",
    "only-policy",
    "owner-missing-where-one-is-demanded",
    "owner-that-nobody-is",
    "policy-in-two-files",
    "same-code-in-two-tenants-is-right-twice-in-one-is-not",
    "settings-in-two-files",
    "settings-nowhere",
    "tenant-key-in-a-custom-app-of-another-file",
];

#[test]
fn the_schema_never_refuses_what_the_parser_accepts() {
    let validator = validator(&schema::manifest());
    let (mut accepted, mut refused, mut beyond) = (0, 0, BTreeSet::new());
    for case in folders("tests/manifest").into_iter().chain(folders("tests/plan")) {
        let sources = sources(&case);
        let texts: Option<Vec<&str>> =
            sources.iter().map(|source| str::from_utf8(&source.bytes).ok()).collect();
        let Some(files) =
            texts.and_then(|texts| texts.into_iter().map(toml_as_json).collect::<Option<Vec<_>>>())
        else {
            assert!(parse(&sources).is_err(), "{} is no TOML", case.display());
            continue;
        };
        let name = case.file_name().unwrap().to_str().unwrap().to_owned();
        match (parse(&sources).is_ok(), files.iter().all(|file| validator.is_valid(file))) {
            (true, true) => accepted += 1,
            (true, false) => panic!("{name}: the parser accepts what the schema refuses"),
            (false, false) => refused += 1,
            (false, true) => {
                beyond.insert(name);
            }
        }
    }
    println!("{accepted} accepted, {refused} refused by both, {} beyond the schema", beyond.len());
    assert!(accepted >= 40 && refused >= 30, "{accepted} accepted, {refused} refused");
    assert_eq!(beyond, BEYOND_THE_SCHEMA.map(String::from).into(), "what only the parser refuses");
}

/// A value that is right for a key, in the syntax of TOML.
fn right_value(key: &str) -> &'static str {
    match key {
        "policy" | "apps" => "{}",
        "max_drops" | "max_drop_percent" | "rate_per_minute" => "1",
        "protect" | "forget" | "require_reason" | "require_owner" => "true",
        "owners" => "[\"x\"]",
        "brand" => "\"feishu\"",
        "base_url" => "\"https://x.example\"",
        "kind" => "\"custom\"",
        "subscriptions" | "removed" => "[]",
        _ => "\"x\"",
    }
}

#[test]
fn parser_and_schema_know_the_same_keys_in_the_same_places() {
    let schema = schema::manifest();
    let app = &schema["properties"]["apps"]["patternProperties"][AppLabel::PATTERN];
    let items = |key: &str| &app["properties"][key]["items"];
    let places = [
        ("", &schema),
        ("[policy]\n", &schema["properties"]["policy"]),
        ("[apps.hr]\n", app),
        ("[apps.hr.policy]\n", &app["properties"]["policy"]),
        ("[[apps.hr.subscriptions]]\n", items("subscriptions")),
        ("[[apps.hr.removed]]\n", items("removed")),
    ];
    let keys_of = |section: &Value| section["properties"].as_object().unwrap().keys().cloned().collect();
    let known: Vec<BTreeSet<String>> = places.iter().map(|(_, section)| keys_of(section)).collect();
    let all: BTreeSet<&String> = known.iter().flatten().collect();
    assert!(all.len() >= 16, "{all:?}");
    for ((header, _), known) in places.iter().zip(&known) {
        for key in &all {
            let text = format!("{header}{key} = {}\n", right_value(key));
            let sources = [Source { path: "larksub.toml".into(), bytes: text.clone().into() }];
            let problems = parse(&sources).map_or_else(|problems| problems.0, |_| Vec::new());
            let is_unknown = problems.iter().any(|problem| problem.title.starts_with("unknown key"));
            assert_eq!(!is_unknown, known.contains(*key), "{text}");
        }
    }
}

#[test]
fn parser_and_schema_demand_the_same_of_each_section() {
    let settings = "app_id = \"x\"\nbrand = \"feishu\"\n";
    let validator = validator(&schema::manifest());
    let entry = |keys: &str| format!("[[apps.hr.subscriptions]]\n{keys}");
    for (text, is_right) in [
        (format!("[apps.hr]\n{settings}"), true),
        (format!("[apps.hr]\n{settings}base_url = \"https://x.example\"\n"), false),
        ("[apps.hr]\napp_id = \"x\"\n".into(), false),
        ("[apps.hr]\napp_id = \"x\"\nbase_url = \"http://127.0.0.1:80\"\n".into(), true),
        ("[apps.hr]\nbrand = \"feishu\"\n".into(), false),
        ("[apps.hr]\nkind = \"custom\"\n".into(), false),
        ("[apps.hr]\nrate_per_minute = 5\n".into(), false),
        (format!("[apps.hr]\n{settings}rate_per_minute = 1\n"), true),
        (format!("[apps.hr]\n{settings}rate_per_minute = 0\n"), false),
        (format!("[apps.hr]\n{settings}rate_per_minute = 101\n"), false),
        (format!("[apps.hr-file]\n{settings}"), false),
        (format!("[apps.Hr]\n{settings}"), false),
        (format!("[apps.hr]\n{settings}app_secret = \"x\"\n"), false),
        (format!("[apps.hr]\n{settings}{}", entry("approval_code = \"A\"\n")), true),
        (format!("[apps.hr]\n{settings}{}", entry("approval_code = \"A\"\ntenant_key = \"t\"\n")), false),
        (format!("[apps.hr]\n{settings}{}", entry("name = \"A\"\n")), false),
        (format!("[apps.hr]\n{settings}kind = \"store\"\n{}", entry("approval_code = \"A\"\n")), false),
        (
            format!(
                "[apps.hr]\n{settings}kind = \"store\"\n{}",
                entry("approval_code = \"A\"\ntenant_key = \"t\"\n")
            ),
            true,
        ),
        (format!("[policy]\nmax_drop_percent = 101\n[apps.hr]\n{settings}"), false),
        (format!("[policy]\nowners = []\n[apps.hr]\n{settings}"), false),
        (format!("[policy]\nowners = [\"a\", \"a\"]\n[apps.hr]\n{settings}"), false),
        (format!("[policy]\nowners = [\" \"]\n[apps.hr]\n{settings}"), false),
        (format!("[policy]\nowners = \"a\"\n[apps.hr]\n{settings}"), false),
        (format!("[policy]\nowners = [1]\n[apps.hr]\n{settings}"), false),
        (format!("[policy]\nrequire_reason = 1\n[apps.hr]\n{settings}"), false),
        (format!("[apps.hr]\n{settings}[apps.hr.policy]\nmax_drops = 1\nowners = [\"a\"]\n"), true),
        (format!("[apps.hr]\n{settings}[apps.hr.policy]\nmax_drops = -1\n"), false),
        ("[apps.hr.policy]\nmax_drops = 1\n".into(), false),
        (format!("[policy]\nmax_drops = -1\n[apps.hr]\n{settings}"), false),
        (
            format!(
                "[apps.hr]\n{settings}{}name = \"{}\"\n",
                entry("approval_code = \"A\"\n"),
                "名".repeat(200)
            ),
            true,
        ),
        (
            format!(
                "[apps.hr]\n{settings}{}name = \"{}\"\n",
                entry("approval_code = \"A\"\n"),
                "名".repeat(201)
            ),
            false,
        ),
    ] {
        let sources = [Source { path: "larksub.toml".into(), bytes: text.clone().into() }];
        assert_eq!(parse(&sources).is_ok(), is_right, "the parser: {text}");
        assert_eq!(validator.is_valid(&manifest_of(&text)), is_right, "the schema: {text}");
    }
    // In a folder another file has the settings: entries may stand alone, with or without a tenant.
    for keys in ["approval_code = \"A\"\n", "approval_code = \"A\"\ntenant_key = \"t\"\n"] {
        assert_valid(&validator, &manifest_of(&entry(keys)), keys);
    }
}

#[test]
fn a_base_url_is_asked_for_as_it_is_written_down() {
    let validator = validator(&json!({ "type": "string", "pattern": BaseUrl::PATTERN }));
    for (text, parser, schema) in [
        ("https://open.feishu.cn", true, true),
        ("https://Open.Feishu.CN:8443/", true, true),
        ("http://127.0.0.1:8080", true, true),
        ("http://localhost/", true, true),
        ("http://[::1]:9", true, true),
        ("http://open.feishu.cn", false, false),
        ("http://localhost.example", false, false),
        ("https://x@open.feishu.cn", false, false),
        ("https://open.feishu.cn/path", false, false),
        ("https://open.feishu.cn?x", false, false),
        ("open.feishu.cn", false, false),
        ("ftp://open.feishu.cn", false, false),
        // Only the parser judges hosts; and it reads spellings that nobody should write.
        ("https://a b", false, false),
        ("https://[::g]", false, true),
        ("HTTPS://open.feishu.cn", true, false),
        ("http://LOCALHOST", true, false),
    ] {
        assert_eq!(text.parse::<BaseUrl>().is_ok(), parser, "the parser: {text}");
        assert_eq!(validator.is_valid(&text.into()), schema, "the schema: {text}");
        if let Ok(url) = text.parse::<BaseUrl>() {
            assert!(validator.is_valid(&url.as_str().into()), "as records have it: {url}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn identifiers_and_their_patterns_agree(text in "[a-zA-Z0-9_.é \\n-]{0,4}(file|[a-z0-9-]{58,62})?[a-z\\n]?") {
        let matches = |pattern: &str| {
            validator(&json!({ "type": "string", "pattern": pattern })).is_valid(&text.as_str().into())
        };
        prop_assert_eq!(matches(ApprovalCode::PATTERN), text.parse::<ApprovalCode>().is_ok());
        prop_assert_eq!(matches(TenantKey::PATTERN), text.parse::<TenantKey>().is_ok());
        prop_assert_eq!(matches(AppId::PATTERN), text.parse::<AppId>().is_ok());
        prop_assert_eq!(matches(AppLabel::PATTERN) && !text.ends_with("file"), text.parse::<AppLabel>().is_ok());
    }
}
