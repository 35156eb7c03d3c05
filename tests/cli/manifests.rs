//! The manifest as the program writes it: what stood there stays, what is new is right, or nothing is written.

use proptest::prelude::*;

use super::support::{Platform, Scratch, code, manifest};

const URL: &str = "http://127.0.0.1:9";

/// `hr` tracks what `script` imports, and its section declares nothing.
fn tracking(list: &str) -> Scratch {
    let scratch = Scratch::new();
    scratch.write("larksub.toml", format!("# ours\n{}# the end\n", manifest::<&str>(URL, &[])));
    scratch.run("init").exit(0);
    scratch.write("list", list);
    scratch.run("import --app hr --file list").exit(0);
    scratch
}

/// Every line of the old text stands in the new one, in order.
fn keeps(old: &str, new: &str) -> bool {
    let mut lines = new.lines();
    old.lines().all(|line| lines.any(|other| other == line))
}

#[test]
fn after_from_state_a_plan_has_nothing_to_drop_and_twice_changes_nothing() {
    let list = format!("code,name,owner\n{},\"Leave, long\",hr\n{},,\n", code(1), code(2));
    let scratch = tracking(&list);
    scratch.run("plan --detailed-exitcode").exit(2);
    let before = scratch.text("larksub.toml");
    let check = scratch.run("manifest from-state --check");
    check.exit(0).says(["+name = \"Leave, long\"", "2 subscriptions to declare", "Nothing was written"]);
    assert_eq!(scratch.text("larksub.toml"), before);
    let ran = scratch.run("manifest from-state");
    ran.exit(0).says([
        "--- larksub.toml",
        "+[[apps.hr.subscriptions]]",
        "2 subscriptions declared in larksub.toml.",
    ]);
    let after = scratch.text("larksub.toml");
    assert!(keeps(&before, &after), "{after}");
    scratch.run("plan --detailed-exitcode").exit(0).says(["Nothing to drop: all 2 tracked"]);
    let ran = scratch.run("manifest from-state");
    ran.exit(0).says(["2 declared already", "Nothing to declare"]).never_says(["+++"]);
    assert_eq!(scratch.text("larksub.toml"), after);
    assert_eq!(scratch.names(), ["larksub.state.jsonl", "larksub.toml", "list"], "nothing is left behind");
}

#[test]
fn without_a_manifest_one_is_made_of_what_the_state_knows() {
    let scratch = Scratch::new();
    scratch.write(
        "larksub.toml",
        format!(
            "{}\n[apps.isv]\napp_id = \"cli_isv\"\nbrand = \"lark\"\nkind = \"store\"\n",
            manifest::<&str>(URL, &[])
        ),
    );
    scratch.run("init").exit(0);
    scratch.run(&format!("import --app hr {}", code(1))).exit(0);
    scratch.write("isv.csv", format!("code,tenant\n{},acme\n{},umbrella\n", code(1), code(1)));
    scratch.run("import --app isv --file isv.csv").exit(0).says(["2 imported", "isv/acme/", "isv/umbrella/"]);
    std::fs::remove_file(scratch.path("larksub.toml")).unwrap();
    scratch.run("manifest from-state --out new.toml").exit(0).says(["3 subscriptions declared in new.toml"]);
    assert!(!scratch.names().contains(&"larksub.toml".to_owned()));
    let text = scratch.text("new.toml");
    assert!(
        text.contains("brand = \"lark\"\nkind = \"store\"\n") && text.contains("tenant_key = \"acme\""),
        "{text}"
    );
    scratch
        .run("--manifest new.toml --state larksub.state.jsonl plan --detailed-exitcode")
        .exit(0)
        .says(["Nothing to drop"]);
    // The same again is no change; anything else is not overwritten.
    scratch.run("manifest from-state --out new.toml").exit(0);
    scratch.write("new.toml", "# mine\n");
    scratch.run("manifest from-state --out new.toml").exit(1).says(["says something else"]);
    assert_eq!(scratch.text("new.toml"), "# mine\n");
    scratch.run("manifest from-state --app isv").exit(0).says(["2 subscriptions declared in larksub.toml"]);
    scratch.run("manifest from-state --app fin").exit(1).says(["the state knows no app `fin`"]);
}

#[test]
fn in_a_folder_entries_go_to_the_file_with_the_section_or_to_the_one_that_is_named() {
    let scratch = Scratch::new();
    scratch.write("m/a.toml", manifest::<&str>(URL, &[]));
    scratch.write("m/b.toml", "[apps.fin]\napp_id = \"cli_fin\"\nbrand = \"feishu\"\n");
    scratch.run("--manifest m init").exit(0);
    scratch.run(&format!("--manifest m import --app hr {} {}", code(1), code(2))).exit(0);
    scratch.run(&format!("--manifest m import --app fin {}", code(3))).exit(0);
    scratch.run("--manifest m manifest from-state --out one.toml").exit(1).says(["2 files", "--app"]);
    for (into, says) in [
        ("x.toml", "no file of the manifest"),
        ("m/x.txt", "no file"),
        ("m/.x.toml", "no file"),
        ("m/d/x.toml", "no file"),
    ] {
        let into =
            if into == "x.toml" { scratch.path("x.toml").display().to_string() } else { into.to_owned() };
        scratch.run(&format!("--manifest m manifest from-state --into {into}")).exit(1).says([says]);
    }
    scratch.run("--manifest m manifest from-state --app fin").exit(0).says(["declared in m/b.toml"]);
    scratch.run(&format!("--manifest m manifest add --app hr {} --into m/team.toml", code(1))).exit(0);
    assert_eq!(
        scratch.text("m/team.toml"),
        format!("[[apps.hr.subscriptions]]\napproval_code = \"{}\"\n", code(1))
    );
    scratch.run("--manifest m manifest from-state").exit(0).says(["declared in m/a.toml"]);
    scratch.run("--manifest m plan").exit(0).says(["all 3 tracked"]);
    scratch.run("manifest from-state --into m/a.toml").exit(1);
}

#[test]
fn what_is_removed_or_unknown_is_left_out_and_said() {
    let scratch = tracking(&format!("{}\n{}\n", code(1), code(2)));
    let removed = format!("[[apps.hr.removed]]\napproval_code = \"{}\"\n", code(2));
    scratch.write("larksub.toml", scratch.text("larksub.toml") + &removed);
    let ran = scratch.run("manifest from-state");
    ran.exit(0).says([&format!("left out  hr/{}", code(2)), "1 subscription declared"]);
    scratch
        .run(&format!("manifest add --app hr {} {}", code(3), code(2)))
        .exit(1)
        .says(["stands under `removed`", &code(2)]);
    assert!(!scratch.text("larksub.toml").contains(&code(3)));
    // A run that is killed while its call is under way leaves nobody knowing whether the subscription lives.
    let platform = Platform::start(&[code(2)], &[]);
    let unknown = Scratch::dropping(&platform.url, &[code(1), code(2)], &[&code(1)]);
    unknown.set("LARKSUB_FAILPOINT", "send=kill");
    assert_eq!(unknown.run("apply --auto-approve").status, None);
    let before = unknown.text("larksub.toml");
    let ran = unknown.run("manifest from-state");
    ran.exit(0).says([
        &format!("left out  hr/{}", code(2)),
        "got no answer",
        "1 declared already",
        "Nothing to declare",
    ]);
    assert_eq!(unknown.text("larksub.toml"), before);
}

#[test]
fn an_entry_is_added_with_all_that_is_said_of_it() {
    let scratch = Scratch::new();
    let text = format!("{}name = \"kept\" # and why\n\n# last words\n", manifest(URL, &[code(1)]));
    scratch.write("larksub.toml", &text);
    let ran = scratch.run(&format!("manifest add --app hr {} {} --owner hr --protect", code(2), code(1)));
    ran.exit(0).says([&format!("declared already  hr/{}", code(1)), "1 subscription declared"]);
    let expected = format!(
        "{text}\n[[apps.hr.subscriptions]]\napproval_code = \"{}\"\nowner = \"hr\"\nprotect = true\n",
        code(2)
    );
    assert_eq!(scratch.text("larksub.toml"), expected);
    scratch
        .run(&format!("manifest add --app hr {} --name \"A b\"", code(3)))
        .exit(0)
        .says(["+name = \"A b\""]);
    let before = scratch.text("larksub.toml");
    for (line, says) in [
        (format!("manifest add --app hr --name x {} {}", code(4), code(5)), "one name for several"),
        (format!("manifest add --app hr {}", code(1).to_lowercase()), "letter case only"),
        (format!("manifest add --app hr --tenant t {}", code(4)), "custom app"),
        (
            format!("manifest add --app fin {}", code(4)),
            "neither the manifest nor the state has an app `fin`",
        ),
        (format!("manifest add --app hr {} --name {}", code(4), "x".repeat(201)), "too long"),
        ("manifest add --app hr A_B".into(), "not an approval code"),
        (format!("manifest add --app hr {}", code(2)), "Nothing to declare"),
    ] {
        let ran = scratch.run(&line);
        ran.exit(if says == "Nothing to declare" { 0 } else { 1 }).says([says]);
        assert_eq!(scratch.text("larksub.toml"), before, "{ran}");
    }
}

#[test]
fn a_manifest_with_problems_is_refused_unchanged() {
    let scratch = tracking(&code(1));
    for (text, says) in [
        ("[apps.hr]\napp_id = 5\n", "is refused|problem"),
        ("[apps.hr\n", "problem"),
        ("apps = { hr = { app_id = \"cli_hr\", base_url = \"http://127.0.0.1:9\" } }\n", "written inline"),
        ("[apps.hr]\napp_id = \"cli_other\"\nbrand = \"feishu\"\n", "in the state, and"),
        (
            "[apps.hr]\napp_id = \"cli_hr\"\nbase_url = \"http://127.0.0.1:9\"\nkind = \"store\"\n",
            "is a custom app in the state",
        ),
    ] {
        scratch.write("larksub.toml", text);
        let ran = scratch.run("manifest from-state");
        assert!(ran.status == Some(1) || ran.status == Some(4), "{ran}");
        assert!(says.split('|').any(|says| ran.stderr.contains(says)), "{ran}");
        assert_eq!(scratch.text("larksub.toml"), text);
    }
}

#[test]
fn a_renamed_app_is_found_by_what_it_is() {
    let scratch = tracking(&code(1));
    scratch.write("larksub.toml", scratch.text("larksub.toml").replace("apps.hr", "apps.people"));
    scratch.run("manifest from-state").exit(0).says(["+[[apps.people.subscriptions]]"]);
    scratch.run("plan").exit(0).never_says(["will be dropped"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_tracked_is_declared_so_that_nothing_is_to_drop(
        names in prop::collection::vec(prop::option::of("[^\u{0}-\u{8}]{0,20}"), 1..12),
        declared in prop::collection::vec(any::<bool>(), 12),
    ) {
        let scratch = Scratch::new();
        let already: Vec<String> = declared.iter().zip(1..=names.len()).filter(|(is, _)| **is).map(|(_, n)| code(n)).collect();
        scratch.write("larksub.toml", format!("# top\n{}\n# end\n", manifest(URL, &already)));
        scratch.run("init").exit(0);
        let list: Vec<_> = names.iter().zip(1..).map(|(name, n)| serde_json::json!({ "code": code(n), "name": name, "owner": "::error::x" })).collect();
        scratch.write("list.json", serde_json::to_string(&list).unwrap());
        scratch.run("import --app hr --file list.json").exit(0);
        let before = scratch.text("larksub.toml");
        let ran = scratch.run("manifest from-state");
        ran.exit(0);
        prop_assert!(!ran.stdout.chars().any(|c| c != '\n' && c.is_control()), "{}", ran);
        let after = scratch.text("larksub.toml");
        prop_assert!(keeps(&before, &after), "{}", after);
        scratch.run("plan --detailed-exitcode").exit(0).says(["Nothing to drop"]);
        scratch.run("manifest from-state").exit(0).says(["Nothing to declare"]);
        prop_assert_eq!(scratch.text("larksub.toml"), after);
    }
}

#[test]
fn what_is_given_for_a_declared_code_is_not_silently_dropped_and_blanks_are_refused() {
    let scratch = Scratch::tracking(URL, &[code(1)]);
    let before = scratch.text("larksub.toml");
    let ran = scratch.run(&format!("manifest add --app hr {} --name Leave --owner hr", code(1)));
    ran.exit(0).says(["--name, --owner not taken: the entry stays as it is"]);
    scratch.run(&format!("manifest add --app hr {}", code(1))).exit(0).never_says(["not taken"]);
    for args in ["--name=", "--owner=\u{a0}"] {
        let ran = scratch.run(&format!("manifest add --app hr {} {args}", code(2)));
        ran.exit(1).says(["is blank; nothing was written"]);
    }
    assert_eq!(scratch.text("larksub.toml"), before);
}

#[test]
fn owners_that_only_look_alike_are_told_apart_by_the_letter() {
    let scratch = Scratch::tracking(URL, &[code(1)]);
    let entry = manifest(URL, &[code(1)]);
    scratch.write(
        "larksub.toml",
        format!("[policy]\nowners = [\"team-a\", \"te\u{430}m-a\"]\n\n{entry}owner = \"team-a\"\n"),
    );
    scratch.run("validate").exit(1).says(["only looks like `team-a`", "(U+0430)", "(U+0061)"]);
    scratch.write(
        "larksub.toml",
        format!("[policy]\nowners = [\"team-a\"]\n\n{entry}owner = \"te\u{430}m-a\"\n"),
    );
    let ran = scratch.run("validate");
    ran.exit(1).says(["it only looks like `team-a`", "(U+0430)"]).never_says(["did you mean"]);
}
