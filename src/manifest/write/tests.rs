use proptest::prelude::*;

use super::*;
use crate::manifest::{Manifest, Source, parse};

fn entry(code: &str, name: Option<&str>) -> NewEntry {
    NewEntry {
        tenant_key: None,
        approval_code: code.parse().unwrap(),
        name: name.map(ToOwned::to_owned),
        owner: None,
        protect: false,
    }
}

fn adding(label: &str, entries: Vec<NewEntry>) -> Addition {
    Addition { label: label.parse().unwrap(), section: None, entries }
}

fn section(base_url: &str, kind: AppKind) -> NewApp {
    let identity = AppIdentity { app_id: "cli_new".parse().unwrap(), base_url: base_url.parse().unwrap() };
    NewApp { identity, kind }
}

fn read(text: &str) -> Manifest {
    let source = Source { path: "larksub.toml".into(), bytes: text.as_bytes().to_vec() };
    parse(&[source]).unwrap_or_else(|problems| panic!("{text}\n{problems:#?}"))
}

/// Every line of the old text stands in the new one, in order.
fn keeps(old: &str, new: &str) -> bool {
    let mut lines = new.lines();
    old.lines().all(|line| lines.any(|other| other == line))
}

const TEXT: &str = "# top\n[policy]\nmax_drops = 5 # few\n\n[apps.hr] # people\napp_id = \"cli_hr\"\nbrand = \"feishu\"\n\n# leave\n[[apps.hr.subscriptions]]\napproval_code = 'A-1'   # first\n\n  # why\n  [[apps.hr.removed]]\n  approval_code = \"R-1\"\n\n# money\n[apps.fin]\napp_id = \"cli_fin\"\nbase_url = \"https://fin.example\"\n\n# the end\n";

#[test]
fn what_is_new_stands_with_its_own_and_nothing_else_is_touched() {
    let new = extend(
        TEXT,
        &[adding("hr", vec![entry("A-2", Some("Leave"))]), adding("fin", vec![entry("F-1", None)])],
    )
    .unwrap();
    let expected = TEXT.replace(
        "# first\n",
        "# first\n\n[[apps.hr.subscriptions]]\napproval_code = \"A-2\"\nname = \"Leave\"\n",
    ) + "\n[[apps.fin.subscriptions]]\napproval_code = \"F-1\"\n";
    assert_eq!(new, expected);
    assert_eq!(read(&new).apps.len(), 2);
}

#[test]
fn a_section_is_made_where_there_is_none() {
    let addition = |base_url, kind| Addition {
        label: "new".parse().unwrap(),
        section: Some(section(base_url, kind)),
        entries: vec![entry("N-1", None)],
    };
    assert_eq!(
        extend("", &[addition("https://open.feishu.cn", AppKind::Custom)]).unwrap(),
        "[apps.new]\napp_id = \"cli_new\"\nbrand = \"feishu\"\n\n[[apps.new.subscriptions]]\napproval_code = \"N-1\"\n"
    );
    assert_eq!(
        extend("# codes\n", &[addition("http://127.0.0.1:9", AppKind::Store)]).unwrap(),
        "# codes\n\n[apps.new]\napp_id = \"cli_new\"\nbase_url = \"http://127.0.0.1:9\"\nkind = \"store\"\n\n[[apps.new.subscriptions]]\napproval_code = \"N-1\"\n"
    );
    let new = extend(TEXT, &[addition("https://open.larksuite.com", AppKind::Custom)]).unwrap();
    assert!(new.starts_with(TEXT) && new.contains("brand = \"lark\""), "{new}");
    read(&new);
    // The entries of an app may stand in another file than its settings.
    assert_eq!(
        extend("", &[adding("hr", vec![entry("A-1", None)])]).unwrap(),
        "[[apps.hr.subscriptions]]\napproval_code = \"A-1\"\n"
    );
}

#[test]
fn each_way_of_writing_entries_is_gone_on_with() {
    let head = "[apps.hr]\napp_id = \"cli_hr\"\nbrand = \"feishu\"\n";
    let one = [adding("hr", vec![entry("A-2", Some("x"))])];
    for (old, new) in [
        ("subscriptions = []\n", "subscriptions = [{ approval_code = \"A-2\", name = \"x\" }]\n"),
        (
            "subscriptions = [\n  { approval_code = \"A-1\" } # it\n]\n",
            "subscriptions = [\n  { approval_code = \"A-1\" }, # it\n  { approval_code = \"A-2\", name = \"x\" }\n]\n",
        ),
        (
            "subscriptions = [{ approval_code = \"A-1\" }]\n",
            "subscriptions = [{ approval_code = \"A-1\" }, { approval_code = \"A-2\", name = \"x\" }]\n",
        ),
        (
            "subscriptions = [\n  # first\n  { approval_code = \"A-1\" }, # it\n]\n",
            "subscriptions = [\n  # first\n  { approval_code = \"A-1\" }, # it\n  { approval_code = \"A-2\", name = \"x\" },\n]\n",
        ),
    ] {
        let written = extend(&format!("{head}{old}"), &one).unwrap();
        read(&written);
        assert_eq!(written, format!("{head}{new}"));
    }
    let dotted = "apps.hr.app_id = \"cli_hr\"\napps.hr.brand = \"feishu\"\n";
    let written = extend(dotted, &one).unwrap();
    assert!(written.starts_with(dotted), "{written}");
    assert_eq!(read(&written).apps.values().next().unwrap().subscriptions.len(), 1);
    let inline = "apps = { hr = { app_id = \"cli_hr\", brand = \"feishu\" } }\n";
    assert!(matches!(extend(inline, &one), Err(NotWritable::Inline(_))));
}

#[test]
fn line_ends_and_marks_stay_as_they_are() {
    let text = format!("\u{feff}{}", TEXT.replace('\n', "\r\n"));
    let new = extend(&text, &[adding("fin", vec![entry("F-1", None)])]).unwrap();
    assert!(new.starts_with(&text) && !new.replace("\r\n", "").contains('\n'), "{new:?}");
    assert_eq!(
        extend(&format!("a = 1\r\n{TEXT}"), &[adding("fin", vec![entry("F-1", None)])]),
        Err(NotWritable::NotKept)
    );
    assert_eq!(extend("a = ", &[adding("fin", vec![entry("F-1", None)])]), Err(NotWritable::NotToml));
    assert_eq!(extend("not toml", &[]).as_deref(), Ok("not toml"));
    let unended = "[apps.hr]\napp_id = \"cli_hr\"\nbrand = \"feishu\"";
    assert!(
        extend(unended, &[adding("hr", vec![entry("A-1", None)])])
            .unwrap()
            .starts_with(&format!("{unended}\n\n[["))
    );
}

#[test]
fn every_manifest_of_the_tests_and_examples_can_be_gone_on_with() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let cases = std::fs::read_dir(root.join("tests/plan")).unwrap();
    let cases = cases.map(|entry| entry.unwrap().path().join("larksub.toml"));
    let mut count = 0;
    for path in cases.chain([root.join("examples/larksub.toml")]).filter(|path| path.exists()) {
        let text = std::fs::read_to_string(&path).unwrap();
        let source = Source { path: "x".into(), bytes: text.clone().into_bytes() };
        let Ok(before) = parse(&[source]) else { continue };
        count += 1;
        let additions: Vec<Addition> = before
            .apps
            .iter()
            .map(|(label, app)| {
                let tenant_key = (app.kind == AppKind::Store).then(|| "new".parse().unwrap());
                // A policy may demand one of its owners.
                let owner = app.subscriptions.iter().find_map(|it| it.owner.clone());
                let entry = NewEntry { tenant_key, owner, ..entry("NEW-1", Some("neu")) };
                Addition { label: label.clone(), section: None, entries: vec![entry] }
            })
            .collect();
        let new = extend(&text, &additions).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(keeps(&text, &new), "{}\n{new}", path.display());
        for (label, app) in read(&new).apps {
            let was = before.apps.get(&label).unwrap();
            assert_eq!(app.subscriptions.len(), was.subscriptions.len() + 1, "{}", path.display());
            assert_eq!(app.removed.len(), was.removed.len(), "{}", path.display());
        }
    }
    assert!(count >= 20, "the manifests are found: {count}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_name_comes_back_as_it_was_and_is_never_raw(name in prop::collection::vec(any::<char>(), 0..40), ends in "(##\\[x|::error|\"\"\"|'''|\\\\u0041|\u{202e}|\u{1b}\\[31m|\u{0}|\r\n)?") {
        let name: String = name.into_iter().chain(ends.chars()).collect();
        let text = extend(TEXT, &[adding("fin", vec![entry("F-1", Some(&name))])]).unwrap();
        prop_assert!(text.starts_with(TEXT));
        prop_assert!(!text.chars().any(|c| c != '\n' && is_unseen(c)), "{:?}", text);
        prop_assert!(!text.contains("##["));
        let manifest = read(&text);
        let app = manifest.apps.values().next().unwrap();
        prop_assert_eq!(app.subscriptions[0].name.as_deref(), Some(name.as_str()));
    }

    #[test]
    fn nothing_that_stood_there_is_lost(parts in prop::collection::vec((0..4usize, 0..3usize), 0..8), count in 1..4usize) {
        // Comments, blank lines, indents and sections in any order.
        let mut text = String::from("[apps.hr]\napp_id = \"cli_hr\" # id\nbrand = \"feishu\"\n");
        for (number, (kind, comment)) in parts.into_iter().enumerate() {
            text.push_str(["", "\n# why\n", "  # indented\n\n"][comment]);
            match kind {
                0 => text.push_str(&format!("[[apps.hr.subscriptions]]\napproval_code = \"A-{number}\"\n")),
                1 => text.push_str(&format!("  [[apps.hr.removed]]\n  approval_code = \"R-{number}\" # gone\n")),
                2 => text.push_str(&format!("[apps.x{number}]\napp_id = \"cli_{number}\"\nbrand = \"lark\"\n")),
                _ => text.push_str("\n\n"),
            }
        }
        let before = read(&text).apps.values().map(|app| app.subscriptions.len()).sum::<usize>();
        let entries = (0..count).map(|number| entry(&format!("N-{number}"), None)).collect();
        let new = extend(&text, &[adding("hr", entries)]).unwrap();
        prop_assert!(keeps(&text, &new), "{}\n----\n{}", text, new);
        let after = read(&new).apps.values().map(|app| app.subscriptions.len()).sum::<usize>();
        prop_assert_eq!(after, before + count);
    }
}
