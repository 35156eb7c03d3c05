//! Strings that try to move the cursor, hide text or speak to a CI system, from everywhere that strings come from.

use serde_json::json;

use super::support::{Scratch, code, gateway, manifest};

/// What must never reach a person raw.
const HOSTILE: [&str; 12] = [
    "\u{1b}[31mred\u{1b}[0m",
    "\u{1b}]0;title\u{7}",
    "\u{9b}2J",
    "over\u{202e}evil\u{202c}",
    "\u{2066}isolate\u{2069}",
    "zero\u{200b}width\u{feff}",
    "::error::stop",
    "  ::add-mask::x",
    "##[error]stop",
    "##vso[task.complete result=Failed]",
    "tag\u{e0041}\u{e007f}",
    "line\u{2028}break",
];

/// Characters and commands that no output holds, whatever its form.
#[track_caller]
fn clean(text: &str) {
    for (number, line) in (1..).zip(text.lines()) {
        let unseen = |c: char| (c.is_control() && c != '\t') || larksub::text::is_unseen(c);
        assert!(!line.contains(unseen), "line {number} holds an unseen character: {line:?}\n{text}");
        let trimmed = line.trim_start();
        assert!(!trimmed.starts_with("::"), "line {number} speaks to a CI system: {line}");
        for word in ["##[", "##vso["] {
            assert!(!line.contains(word), "line {number} speaks to a CI system: {line}");
        }
    }
}

/// A manifest whose every entry has one of the hostile names and owners, and these codes declared.
fn hostile_manifest(url: &str, declared: std::ops::Range<usize>, removed: std::ops::Range<usize>) -> String {
    let mut text =
        format!("[policy]\nmax_drop_percent = 100\n\n[apps.hr]\napp_id = \"cli_hr\"\nbase_url = \"{url}\"\n");
    let quoted = |text: &str| serde_json::to_string(text).unwrap().replace('\u{7f}', "\\u007f");
    for number in declared {
        let name = toml_escaped(HOSTILE[number % HOSTILE.len()]);
        text.push_str(&format!(
            "\n[[apps.hr.subscriptions]]\napproval_code = {}\nname = {name}\nowner = {name}\n",
            quoted(&code(number))
        ));
    }
    for number in removed {
        let reason = toml_escaped(HOSTILE[number % HOSTILE.len()]);
        text.push_str(&format!(
            "\n[[apps.hr.removed]]\napproval_code = {}\nreason = {reason}\n",
            quoted(&code(number))
        ));
    }
    text
}

/// A TOML string that holds the text and nothing unseen.
fn toml_escaped(text: &str) -> String {
    let escaped = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        ' '..='~' => c.to_string(),
        c => format!("\\U{:08X}", u32::from(c)),
    };
    format!("\"{}\"", text.chars().map(escaped).collect::<String>())
}

#[test]
fn names_owners_and_reasons_are_never_shown_raw() {
    let all = HOSTILE.len();
    let url = gateway(|request| {
        let body = match request.path.contains("/auth/") {
            true => json!({ "code": 0, "tenant_access_token": "t-1", "expire": 7200 }),
            false => json!({ "code": 0, "msg": "success", "data": {} }),
        };
        (200, Vec::new(), body.to_string())
    });
    let scratch = Scratch::new();
    scratch.write("larksub.toml", hostile_manifest(&url, 0..all, 0..0));
    let ran = scratch.run("validate");
    clean(&(ran.stdout + &ran.stderr));
    scratch.run("init").exit(0);
    scratch.run("import --declared").exit(0).says(["12 imported"]);
    scratch.write("larksub.toml", hostile_manifest(&url, 1..6, 6..all));
    scratch.set("LARKSUB_APP_SECRET", "any");
    for line in [
        "plan",
        "plan --full",
        "plan --format diff",
        "plan --format json",
        "plan --out plan.json",
        "show plan.json",
        "show plan.json --format json",
        "state list",
        "state list --format json",
        "show",
        "show --format json",
        &format!("state show hr/{}", code(8)),
        &format!("state show hr/{} --format json", code(8)),
        "import --declared",
        "apply plan.json",
        "validate",
        "plan",
        "state list --all",
    ] {
        let ran = scratch.run(line);
        ran.exit(0);
        clean(&ran.stdout);
        clean(&ran.stderr);
    }
    clean(&scratch.text("plan.json"));
    clean(&scratch.text("larksub.state.jsonl"));
    // They mean the same all the same.
    let names: Vec<String> = scratch
        .ledger()
        .of("track")
        .iter()
        .map(|entry| entry.record["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, HOSTILE);
}

#[test]
fn messages_of_the_platform_are_never_shown_raw() {
    let hostile = HOSTILE.join(" ") + "\n::error::second line\r::warning::third";
    for (number, start) in HOSTILE.iter().enumerate() {
        let msg = format!("{start}{hostile}");
        let for_token = number % 2 == 0;
        let url = gateway(move |request| {
            let refused = json!({
                "code": if for_token { 10014 } else { 1390001 }, "msg": msg,
                "error": { "log_id": msg, "troubleshooter": msg, "permission_violations": [{ "subject": msg }] },
            });
            match request.path.contains("/auth/") && !for_token {
                true => (200, Vec::new(), json!({ "code": 0, "tenant_access_token": "t-1" }).to_string()),
                false => (400, Vec::new(), refused.to_string()),
            }
        });
        let scratch = Scratch::dropping(&url, &[code(1)], &[]);
        for line in [
            "apply --auto-approve",
            "apply --auto-approve --format json",
            "plan",
            "state list",
            "show --format json",
            &format!("state show hr/{}", code(1)),
            &format!("state show hr/{} --format json", code(1)),
        ] {
            let ran = scratch.run(line);
            clean(&ran.stdout);
            clean(&ran.stderr);
        }
        clean(&scratch.text("larksub.state.jsonl"));
        if !for_token {
            assert!(scratch.ledger().outcome(&code(1))["msg"].as_str().unwrap().starts_with(start));
        }
    }
}

#[test]
fn a_message_is_kept_to_a_kibibyte() {
    let url = gateway(|request| {
        let msg = "长".repeat(2_000);
        match request.path.contains("/auth/") {
            true => (200, Vec::new(), json!({ "code": 0, "tenant_access_token": "t-1" }).to_string()),
            false => (400, Vec::new(), json!({ "code": 1390001, "msg": msg }).to_string()),
        }
    });
    let scratch = Scratch::dropping(&url, &[code(1)], &[]);
    scratch.run("apply --auto-approve").exit(3);
    let ledger = scratch.ledger();
    let msg = ledger.outcome(&code(1))["msg"].as_str().unwrap().to_owned();
    assert_eq!(msg.len(), 1023, "whole characters");
}

#[test]
fn arguments_variables_and_paths_are_never_shown_raw() {
    let scratch = Scratch::tracking("http://127.0.0.1:9", &[code(1)]);
    scratch.write("larksub.toml", manifest("http://127.0.0.1:9", &[] as &[&str]));
    // Grouped, because each of them is a process; one of each group stands at the start.
    for hostile in [HOSTILE[..6].concat(), HOSTILE[6..].concat(), HOSTILE[8..].concat()] {
        for line in [
            format!("--manifest \"{hostile}\" plan"),
            format!("--state \"{hostile}\" plan"),
            format!("--state \"{hostile}\" init"),
            format!("--state \"{hostile}\" plan"),
            format!("--state \"{hostile}\" state list"),
            format!("-C \"{hostile}\" plan"),
            format!("show \"{hostile}.json\""),
            format!("plan --out \"{hostile}.json\""),
            format!("plan --format diff --out \"{hostile}.json\""),
            format!("import --app hr \"{hostile}\""),
            format!("import --app hr --file \"{hostile}.txt\""),
            format!("import --app \"{hostile}\" {}", code(1)),
            format!("state rm \"{hostile}\" --reason x"),
            format!("state show \"{hostile}\""),
            format!("plan --allow-handover \"{hostile}\""),
            format!("plan --format \"{hostile}\""),
            format!("apply --digest \"{hostile}\""),
            format!("apply --lock-timeout \"{hostile}\""),
            format!("\"{hostile}\""),
            format!("plan \"--{hostile}\""),
            format!("plan \"--format={hostile}\""),
            format!("\"x\n{hostile}\""),
            format!("plan \"--format=x\n{hostile}\""),
        ] {
            let ran = scratch.run(&line);
            assert!(!ran.stderr.contains("panicked"), "{ran}");
            clean(&ran.stdout);
            clean(&ran.stderr);
        }
        let key = format!("hr/{}", code(1));
        scratch.run(&format!("state rm {key} --reason \"{hostile}\"")).exit(0);
        scratch.set("USER", &hostile);
        scratch.run(&format!("import --app hr {}", code(1))).exit(0);
        for line in ["plan", "state list", "show --format json", "apply"] {
            let ran = scratch.run(line);
            clean(&ran.stdout);
            clean(&ran.stderr);
        }
        scratch.unset("USER");
    }
    clean(&scratch.text("larksub.state.jsonl"));
}

#[test]
fn a_hostile_plan_file_is_refused_without_being_quoted_raw() {
    let scratch = Scratch::dropping("http://127.0.0.1:9", &[code(1)], &[]);
    for hostile in HOSTILE {
        for text in [
            hostile.to_owned(),
            json!({ "format": hostile }).to_string(),
            json!({ "format": "larksub.plan", "version": 1, hostile: 1, "checksum": hostile }).to_string(),
        ] {
            scratch.write("plan.json", &text);
            for line in ["show plan.json", "apply plan.json"] {
                let ran = scratch.run(line);
                assert!(matches!(ran.status, Some(1 | 4)), "{ran}");
                clean(&ran.stderr);
            }
            scratch.write("state.jsonl", &text);
            let ran = scratch.run("--state state.jsonl plan");
            ran.exit(1);
            clean(&ran.stderr);
        }
    }
}
