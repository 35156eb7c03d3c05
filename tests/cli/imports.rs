//! Import and the commands that correct the state by hand; none of them makes a call.

use super::support::{Platform, Scratch, code, manifest};

const URL: &str = "http://127.0.0.1:9";

/// `hr` declares three codes, the first with name, owner and protection; nothing is tracked.
fn scratch() -> Scratch {
    let scratch = Scratch::new();
    let first = manifest(URL, &[code(1)]) + "name = \"Leave request\"\nowner = \"people\"\nprotect = true\n";
    let entries: String = [2, 3]
        .map(|number| format!("\n[[apps.hr.subscriptions]]\napproval_code = \"{}\"\n", code(number)))
        .concat();
    scratch.write("larksub.toml", first + &entries);
    scratch.run("init").exit(0);
    scratch
}

fn tracked(scratch: &Scratch) -> Vec<String> {
    let ops = scratch.ledger().ops();
    ops.into_iter().filter_map(|op| op.strip_prefix("track ").map(ToOwned::to_owned)).collect()
}

#[test]
fn name_owner_and_protection_come_from_the_manifest_where_the_code_is_declared() {
    let scratch = scratch();
    let ran = scratch.run(&format!("import --app hr {} {}", code(1), code(9)));
    ran.exit(0).says(["2 imported", "Leave request"]);
    let ledger = scratch.ledger();
    let first = ledger.about("track", &code(1))[0].clone();
    assert_eq!(
        (&first["name"], &first["owner"], &first["protect"]),
        (&"Leave request".into(), &"people".into(), &true.into())
    );
    assert_eq!(first["by"]["command"], "import");
    let other = ledger.about("track", &code(9))[0];
    assert!(
        other.get("name").is_none() && other.get("protect").is_none(),
        "what is absent is left out: {other}"
    );
    scratch.run("plan").exit(0).says([&format!("- {}", code(9))]);
}

#[test]
fn a_list_may_hold_comments_blank_lines_and_repeats() {
    let scratch = scratch();
    let list = format!("# from the console\n\n{}   # leave\n\t{}\r\n{}\n", code(1), code(2), code(1));
    scratch.write("codes.txt", &list);
    scratch.run("import --app hr --file codes.txt").exit(0).says(["2 imported"]);
    assert_eq!(tracked(&scratch), [format!("hr/{}", code(1)), format!("hr/{}", code(2))]);
    scratch.run_fed("import --app hr --file -", code(3).as_bytes()).exit(0).says(["1 imported"]);
    assert_eq!(tracked(&scratch).len(), 3);
}

#[test]
fn every_bad_line_of_a_list_is_reported_and_nothing_is_imported() {
    let scratch = scratch();
    let before = scratch.state();
    scratch
        .write("codes.txt", format!("{}\nnot_a_code\n{}\nA B\n::error::x\n\u{1b}[31m\n", code(1), code(2)));
    let ran = scratch.run("import --app hr --file codes.txt");
    ran.exit(1).says([
        "nothing was imported",
        "codes.txt:2:",
        "codes.txt:4:",
        "codes.txt:5:",
        "codes.txt:6:",
    ]);
    ran.never_says(["codes.txt:1:", "codes.txt:3:", "\u{1b}"]);
    for (name, bytes) in [("empty.txt", &b""[..]), ("comments.txt", b"# nothing\n")] {
        scratch.write(name, bytes);
        scratch.run(&format!("import --app hr --file {name}")).exit(1).says(["holds no approval code"]);
    }
    scratch.write("binary.txt", b"\xff\xfe\x00A\n");
    scratch.run("import --app hr --file binary.txt").exit(1).says(["binary.txt:1:"]);
    scratch.run("import --app hr --file nowhere.txt").exit(1).says(["nowhere.txt cannot be read"]);
    assert_eq!(scratch.state(), before);
}

#[test]
fn a_list_from_a_windows_editor_is_read() {
    let scratch = scratch();
    scratch.write("codes.txt", format!("\u{feff}{}\r\n{}\r\n", code(1), code(2)));
    scratch.run("import --app hr --file codes.txt").exit(0).says(["2 imported"]);
}

#[test]
fn declared_tracks_only_what_the_ledger_has_never_known() {
    let scratch = scratch();
    scratch.run(&format!("import --app hr {}", code(1))).exit(0);
    scratch.run(&format!("import --app hr {} {}", code(2), code(3))).exit(0);
    scratch.run(&format!("state rm hr/{} --reason \"gone by hand\"", code(2))).exit(0);
    let before = scratch.state();
    let ran = scratch.run("import --declared");
    ran.exit(0).says(["0 imported, 2 tracked already, 1 to be named as CODE", "forgotten"]);
    assert_eq!(scratch.state(), before);
    scratch.run("plan").exit(0).says(["forgotten", &format!("larksub import --app hr {}", code(2))]);
    scratch.run(&format!("import --app hr {}", code(2))).exit(0).says(["1 imported"]);
    let shown = scratch.run(&format!("state show hr/{} --format json", code(2))).json();
    assert_eq!(shown["generation"], 2);
}

#[test]
fn importing_what_is_tracked_changes_nothing_and_says_so() {
    let scratch = scratch();
    scratch.run("import --declared").exit(0);
    let before = scratch.state();
    scratch.run("import --declared").exit(0).says(["0 imported, 3 tracked already"]);
    let again = scratch.run(&format!("import --app hr {}", code(1)));
    again.exit(0).says(["tracked already", "0 imported, 1 tracked already"]);
    assert_eq!(scratch.state(), before);
}

#[test]
fn tenants_belong_to_store_apps_and_an_app_needs_its_section() {
    let scratch = scratch();
    let store = "\n[apps.isv]\napp_id = \"cli_isv\"\nbrand = \"feishu\"\nkind = \"store\"\n";
    scratch.write("larksub.toml", scratch.text("larksub.toml") + store);
    let before = scratch.state();
    for (line, says) in [
        (format!("import --app hr --tenant acme {}", code(1)), "`hr` is a custom app"),
        (format!("import --app isv {}", code(1)), "`isv` is a store app"),
        (format!("import --app fin {}", code(1)), "the manifest has no app `fin`"),
        ("import --app fin --declared".into(), "the manifest has no app `fin`"),
        (format!("import {}", code(1)), "--app"),
        ("import --declared --tenant acme".into(), "--tenant"),
    ] {
        let ran = scratch.run(&line);
        ran.exit(1).says([says]);
        assert_eq!(scratch.state(), before, "{ran}");
    }
    scratch
        .run(&format!("import --app isv --tenant acme {}", code(1)))
        .exit(0)
        .says([&format!("isv/acme/{}", code(1))]);
}

#[test]
fn codes_that_differ_only_in_letter_case_are_refused() {
    let scratch = scratch();
    scratch.run("import --app hr AbCd-1").exit(0);
    let before = scratch.state();
    for codes in ["ABCD-1", "x-1 X-1", &code(1).to_lowercase(), "ok-1 aBcD-1"] {
        let ran = scratch.run(&format!("import --app hr {codes}"));
        ran.exit(1).says(["codes that differ only in letter case; nothing was imported"]);
        assert_eq!(scratch.state(), before, "{ran}");
    }
}

#[test]
fn a_renamed_label_is_bound_anew_without_a_call_and_keeps_its_history() {
    let scratch = scratch();
    scratch.run("import --declared").exit(0);
    scratch.write("larksub.toml", scratch.text("larksub.toml").replace("apps.hr", "apps.people"));
    scratch.run("plan").exit(0).says(["hr", "people"]);
    scratch.run("plan --detailed-exitcode").exit(2);
    // Before it is applied, both names lead to the subscription, and an import goes to the same app.
    for label in ["hr", "people"] {
        scratch.run(&format!("state show {label}/{}", code(1))).exit(0).says(["Leave request"]);
    }
    scratch.run(&format!("import --app people {}", code(7))).exit(0);
    scratch.run("apply --auto-approve").exit(1).says(["no credential"]);
    scratch.run(&format!("state rm people/{} --reason x", code(7))).exit(0);
    scratch.run("apply --auto-approve").exit(0).says(["1 updated"]);
    scratch.run("plan --detailed-exitcode").exit(0);
    let ledger = scratch.ledger();
    assert_eq!(ledger.ops().iter().filter(|op| op.starts_with("bind")).count(), 2);
    scratch.run("state list").exit(0).says([&format!("people/{}", code(1))]).never_says(["hr/"]);
}

#[test]
fn state_rm_forgets_all_or_nothing_and_says_why_in_the_ledger() {
    let scratch = scratch();
    scratch.run("import --declared").exit(0);
    let before = scratch.state();
    for (line, status, says) in [
        (format!("state rm hr/{} --reason \"\"", code(2)), 1, "the reason is empty"),
        (format!("state rm hr/{} --reason \"  \"", code(2)), 1, "the reason is empty"),
        (format!("state rm hr/{} hr/{} --reason x", code(2), code(8)), 1, "was never known"),
        (format!("state rm fin/{} --reason x", code(2)), 1, "was never known"),
        (format!("state rm hr/acme/{} --reason x", code(2)), 1, "was never known"),
        (format!("state rm hr/{} hr/{} --reason x", code(1), code(2)), 4, "nothing was forgotten: protected"),
    ] {
        scratch.run(&line).exit(status).says([says]);
        assert_eq!(scratch.state(), before, "{line}");
    }
    scratch.run(&format!("state rm hr/{} hr/{} hr/{} --reason \"OPS-7\"", code(2), code(3), code(2))).exit(0);
    let ledger = scratch.ledger();
    assert_eq!(ledger.of("forget").len(), 2);
    let forget = &ledger.of("forget")[0].record;
    assert_eq!((&forget["reason"], forget.get("run")), (&"OPS-7".into(), None));
    assert_eq!(forget["by"]["command"], "state rm");
    scratch.run(&format!("state rm hr/{} --reason x", code(2))).exit(1).says(["is forgotten"]);
    scratch.run("state list").exit(0).says(["1 tracked"]).never_says([&code(2)]);
    scratch.run("state list --all").exit(0).says([&code(2), "forgotten"]);
}

#[test]
fn state_show_tells_everything_or_that_it_is_unknown() {
    let scratch = scratch();
    scratch.run("import --declared").exit(0);
    let shown = scratch.run(&format!("state show hr/{} --format json", code(1))).json();
    assert_eq!(
        (&shown["status"], &shown["protect"], &shown["generation"]),
        (&"subscribed".into(), &true.into(), &1.into())
    );
    scratch.run(&format!("state show hr/{}", code(9))).exit(1).says(["the state does not know"]);
    let all = scratch.run("state list --format json").json();
    assert_eq!(all["subscriptions"].as_array().unwrap().len(), 3);
    assert_eq!(all["apps"][0]["tracked"], 3);
}

#[test]
fn the_manifest_is_read_from_a_folder_of_files() {
    let scratch = Scratch::new();
    scratch.write("approvals/a.toml", format!("[apps.hr]\napp_id = \"cli_hr\"\nbase_url = \"{URL}\"\n"));
    let entry = |number| format!("[[apps.hr.subscriptions]]\napproval_code = \"{}\"\n", code(number));
    scratch.write("approvals/team-b.toml", entry(1));
    scratch.write("approvals/team-c.toml", entry(2));
    scratch.write("approvals/.hidden.toml", "not toml");
    scratch.write("approvals/notes.md", "not toml");
    scratch.write("approvals/deeper/x.toml", "not toml");
    scratch
        .run("--manifest approvals init")
        .exit(0)
        .says(["approvals/larksub.state.jsonl: an empty state", "kept as it is"]);
    scratch.run("--manifest approvals import --declared").exit(0).says(["2 imported"]);
    scratch.run("-C approvals --manifest . plan").exit(0).says(["all 2 tracked"]);
    scratch.write("approvals/team-d.toml", entry(2));
    let ran = scratch.run("--manifest approvals validate");
    ran.exit(1).says(["team-c.toml", "team-d.toml", "1 problem"]);
    std::fs::create_dir(scratch.path("none")).unwrap();
    scratch.run("--manifest none plan").exit(1).says(["has no `*.toml` directly in it"]);
}

#[test]
fn names_and_owners_of_a_table_are_kept_where_the_manifest_does_not_declare_the_code() {
    let scratch = scratch();
    scratch.write(
        "list.csv",
        format!("\u{feff}Owner;Name;approval_code;since\r\nfin;Holiday;{};2020\r\npeople;\"a; \u{1b}[31mb\";{};\r\n;;{};\r\n", code(1), code(8), code(9)),
    );
    let before = scratch.state();
    let check = scratch.run("import --app hr --file list.csv --check");
    check.exit(0).says([
        "would import",
        "3 to import.",
        "Nothing was written",
        "list.csv (a table, without `since`): 3 subscriptions",
        "the list's name is `Holiday`, the manifest's `Leave request` is kept",
        "the list's owner is `fin`, the manifest's `people` is kept",
    ]);
    check.never_says(["\u{1b}"]);
    assert_eq!(scratch.state(), before);
    scratch.run("import --app hr --file list.csv").exit(0).says(["3 imported"]).never_says(["\u{1b}"]);
    let ledger = scratch.ledger();
    let said = |number, key: &str| ledger.about("track", &code(number))[0].get(key).cloned();
    assert_eq!((said(1, "name"), said(1, "owner")), (Some("Leave request".into()), Some("people".into())));
    assert_eq!((said(8, "name"), said(8, "owner")), (Some("a; \u{1b}[31mb".into()), Some("people".into())));
    assert_eq!((said(9, "name"), said(9, "owner")), (None, None));
    // The manifest's silence is its word, too, since the next apply would write it.
    scratch.write("list.csv", format!("code,name\n{},Sick note\n", code(2)));
    scratch.run("import --app hr --file list.csv").exit(0).says(["`Sick note`, the manifest's none is kept"]);
    scratch.run("plan --detailed-exitcode").never_says(["renamed", "update"]);
}

#[test]
fn one_list_serves_several_tenants() {
    let scratch = scratch();
    let store = "\n[apps.isv]\napp_id = \"cli_isv\"\nbrand = \"feishu\"\nkind = \"store\"\n";
    scratch.write("larksub.toml", scratch.text("larksub.toml") + store);
    scratch.write("list.csv", format!("code,tenant\n{},acme\n{},umbrella\n{},\n", code(1), code(1), code(2)));
    let before = scratch.state();
    for (line, says) in [
        ("import --app isv --file list.csv", "list.csv:4: no tenant"),
        (
            "import --app isv --tenant acme --file list.csv",
            "list.csv:3: tenant `umbrella`, and --tenant says `acme`",
        ),
        ("import --app hr --file list.csv", "list.csv:2: tenant `acme`, and `hr` is a custom app"),
    ] {
        scratch.run(line).exit(1).says([says, "nothing was imported"]);
        assert_eq!(scratch.state(), before);
    }
    scratch.write(
        "list.json",
        format!(
            r#"[{{"approval_code":"{}","tenant_key":"acme"}},{{"code":"{}","tenant":"umbrella"}}]"#,
            code(1),
            code(1)
        ),
    );
    scratch.run("import --app isv --file list.json").exit(0).says(["2 imported"]);
    assert_eq!(tracked(&scratch), [format!("isv/acme/{}", code(1)), format!("isv/umbrella/{}", code(1))]);
}

#[test]
fn every_problem_of_a_table_and_of_json_is_told_with_its_place_and_nothing_is_written() {
    let scratch = scratch();
    let before = scratch.state();
    scratch.write("list.csv", format!("code,name\nA_1,x\n{},x,y\n,x\n", code(1)));
    scratch.run("import --app hr --file list.csv").exit(1).says([
        "list.csv has 3 problems; nothing was imported",
        "list.csv:2:1:",
        "list.csv:3:",
        "list.csv:4:",
    ]);
    scratch.write("list.json", format!("[\"{}\",\n 5,\n {{\"name\":\"x\"}}]", code(1)));
    scratch.run("import --app hr --file list.json").exit(1).says(["list.json:2:", "list.json:3:"]);
    scratch.run_fed("import --app hr --file -", b"code,name\nA_1,\n").exit(1).says(["standard input:2:1:"]);
    // What is forced is what is read.
    scratch.write("odd", format!("[\"{}\"]", code(1)));
    scratch.run("import --app hr --file odd --file-format lines").exit(1).says(["odd:1:"]);
    scratch.run(&format!("import --app hr --file-format csv {}", code(1))).exit(1).says(["--file"]);
    scratch.run("import --app hr").exit(1);
    assert_eq!(scratch.state(), before);
    scratch.run("import --app hr --file odd --file-format json").exit(0).says(["1 imported"]);
}

#[test]
fn what_the_ledger_knew_before_is_said_when_it_lives_again() {
    let scratch = scratch();
    scratch.run("import --declared").exit(0);
    scratch.run(&format!("state rm hr/{} --reason x", code(2))).exit(0);
    scratch.write("list", format!("{}\n{}\n", code(1), code(2)));
    let ran = scratch.run("import --app hr --file list --check");
    ran.exit(0).says([
        "tracked already",
        "forgotten",
        "before: it lives again",
        "1 to import (1 dropped, forgotten or unknown before), 1 tracked already.",
    ]);
    scratch.run("import --app hr --file list").exit(0).says(["1 imported (1 dropped", "1 tracked already."]);
}

#[test]
fn names_are_asked_of_the_platform_and_kept_where_nobody_said_one() {
    let list = [
        format!("{} Leave \u{1b}[31m::error::x", code(7)),
        format!("{} Gone", code(8)),
        format!("{} Sick", code(2)),
        code(9),
    ];
    let fault = [format!("{}=deleted", code(8)), format!("{}=not_found", code(9))];
    let platform = Platform::start(&list, &["--fault", &fault[0], "--fault", &fault[1]]);
    let scratch = Scratch::new();
    scratch.write("larksub.toml", manifest(&platform.url, &[code(2)]));
    scratch.run("init").exit(0);
    scratch.run("import --declared").exit(0);
    scratch.run("import --app hr --names").exit(1).says(["no credential"]);
    scratch.set("LARKSUB_APP_SECRET", "s3ntinel-secret");
    let before = scratch.state();
    let codes = format!("{} {} {}", code(7), code(8), code(9));
    let check = scratch.run(&format!("import --app hr {codes} --names --check"));
    check.exit(3).says(["would import"]);
    assert_eq!(scratch.state(), before);
    let ran = scratch.run(&format!("import --app hr {codes} --names"));
    ran.exit(3).says([
        "Leave \\u{1b}[31m::error::x",
        &format!("deleted          hr/{}  Gone", code(8)),
        &format!("no name          hr/{}", code(9)),
        "knows no such code",
        "3 imported, 1 deleted at the platform, 1 without an answer.",
        "the next plan drops it",
    ]);
    ran.never_says(["\u{1b}"]);
    let name = |number| scratch.ledger().about("track", &code(number))[0].get("name").cloned();
    assert_eq!(
        (name(7), name(8), name(9)),
        (Some("Leave \u{1b}[31m::error::x".into()), Some("Gone".into()), None)
    );
    // Declared without a name: the manifest's silence would come back with the next apply.
    let ran = scratch.run("import --names");
    ran.exit(3).says(["name not kept", "Sick", "write it into the manifest"]);
    scratch.run("plan").exit(0).says(["- ", "Gone"]).never_says(["Sick"]);
    scratch.nowhere(&["s3ntinel-secret".to_owned()]);
    assert!(platform.calls().is_empty(), "nothing was unsubscribed");
}

#[test]
fn what_is_tracked_without_a_name_gets_one_and_keeps_the_rest() {
    let platform = Platform::start(&[format!("{} Leave", code(1)), format!("{} Travel", code(2))], &[]);
    let scratch = Scratch::new();
    scratch.write("larksub.toml", manifest::<&str>(&platform.url, &[]));
    scratch.run("init").exit(0);
    scratch.set("LARKSUB_APP_SECRET", "any");
    scratch.write("list.csv", format!("code,name,owner\n{},,people\n{},Trips,\n", code(1), code(2)));
    scratch.run("import --app hr --file list.csv").exit(0);
    scratch.run("import --app hr --names").exit(0).says([
        "given a name",
        "Leave",
        "0 imported, 1 given a name.",
    ]);
    let ledger = scratch.ledger();
    let update = ledger.of("update")[0].record.clone();
    assert_eq!((&update["name"], &update["owner"]), (&"Leave".into(), &"people".into()));
    let before = scratch.state();
    scratch.run("import --app hr --names").exit(0).says(["nothing was asked", "0 imported"]);
    assert_eq!(scratch.state(), before);
    assert_eq!(platform.log().iter().filter(|line| line.starts_with("GET ")).count(), 1);
}

#[test]
fn a_refused_credential_asks_nothing_and_imports_nothing() {
    let platform = Platform::start(&[code(1)], &["--app", "cli_hr:right"]);
    let scratch = Scratch::tracking(&platform.url, &[code(1)]);
    let before = scratch.state();
    let ran = scratch.run(&format!("import --app hr {} --names", code(2)));
    ran.exit(6).says(["nothing imported", "10014", "compare app id, secret"]);
    assert_eq!(scratch.state(), before);
    // What stops in the middle keeps what was learnt.
    let platform = Platform::start(&[code(1), code(2), code(3)], &["--fault", &format!("{}=scope", code(3))]);
    let scratch = Scratch::tracking(&platform.url, &[code(1)]);
    let ran = scratch.run(&format!("import --app hr {} {} --names", code(2), code(3)));
    ran.exit(6).says(["2 imported", "no more names", "lacks the scope", "approval:approval:readonly"]);
    assert_eq!(tracked(&scratch).len(), 3);
}

#[test]
fn names_of_a_store_app_are_asked_in_each_tenant() {
    let list = [format!("cli_isv/acme/{} Leave", code(1)), format!("cli_isv/umbrella/{} Urlaub", code(2))];
    let platform = Platform::start(&list, &["--app", "cli_isv:secret:ticket"]);
    let scratch = Scratch::new();
    let section = manifest::<&str>(&platform.url, &[]).replace("hr", "isv") + "kind = \"store\"\n";
    scratch.write("larksub.toml", section);
    scratch.run("init").exit(0);
    scratch.write("list.csv", format!("code,tenant\n{},acme\n{},umbrella\n", code(1), code(2)));
    scratch.run("import --app isv --file list.csv").exit(0);
    scratch.set("LARKSUB_APP_SECRET", "secret").set("LARKSUB_APP_TICKET", "ticket");
    scratch.run("doctor").exit(0).says(["ok    token         isv: "]);
    let ran = scratch.run("import --app isv --names --tenant acme");
    ran.exit(0).says([&format!("isv/acme/{}  Leave", code(1)), "1 given a name"]);
    scratch
        .run("import --names")
        .exit(0)
        .says([&format!("isv/umbrella/{}  Urlaub", code(2)), "1 given a name"]);
    scratch.set("LARKSUB_APP_TICKET", "stale");
    scratch.run("doctor").exit(1).says(["FAIL  token", "10012"]);
}
