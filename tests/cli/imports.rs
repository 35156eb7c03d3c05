//! Import and the commands that correct the state by hand; none of them makes a call.

use super::support::{Scratch, code, manifest};

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
        (format!("state rm hr/{} hr/{} --reason x", code(1), code(2)), 4, "protected; nothing was forgotten"),
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
