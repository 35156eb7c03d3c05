//! The guards: measured value, limit and the exact flag or edit are said; what is allowed by name passes.

use serde_json::{Value, json};

use super::support::{Platform, Ran, Scratch, code, manifest};

const URL: &str = "http://127.0.0.1:9";

/// A state in which `hr` tracks this many, and a manifest with this policy that drops the last `drops` of them.
fn dropping(tracked: usize, drops: usize, policy: &str) -> Scratch {
    let codes: Vec<String> = (1..=tracked).map(code).collect();
    let scratch = Scratch::tracking(URL, &codes);
    scratch
        .write("larksub.toml", format!("[policy]\n{policy}\n\n") + &manifest(URL, &codes[..tracked - drops]));
    scratch
}

fn guard(scratch: &Scratch, args: &str, rule: &str) -> Value {
    let plan = scratch.run(&format!("plan --format json {args}")).json();
    let guards = plan["guards"].as_array().unwrap().clone();
    guards.into_iter().find(|guard| guard["rule"] == rule).unwrap_or(Value::Null)
}

/// The plan of a refused plan: shown, saved, and refused again by apply without a call or a record.
fn refused(scratch: &Scratch, says: &[&str]) -> Ran {
    let ran = scratch.run("plan --out plan.json");
    ran.exit(4).says(["REFUSED by", "Digest sha256:"]);
    for text in says {
        ran.says([text]);
    }
    assert_eq!(scratch.json("plan.json")["refused"], true);
    let before = scratch.state();
    let apply = scratch.run("apply plan.json");
    apply.exit(4).says(["the plan is refused by", "; nothing was sent"]);
    for text in says {
        assert!(apply.stderr.contains(text), "stderr says why, too\n{apply}");
    }
    scratch.run("apply --auto-approve").exit(4);
    assert_eq!(scratch.state(), before);
    ran
}

#[test]
fn max_drops_refuses_what_is_strictly_above_it() {
    let scratch = dropping(5, 3, "max_drops = 2");
    let says = ["max_drops: 3 to drop, at most 2", "--allow-drops 3; or, in [policy], `max_drops = 3`"];
    scratch.run("plan").exit(4).says(says);
    refused(&scratch, &["3 to drop, at most 2", "--allow-drops 3; or, in [policy], `max_drops = 3`"]);
    let expected = json!({
        "rule": "max_drops", "verdict": "refused", "measured": 3, "limit": 2,
        "says": "3 to drop, at most 2",
        "remedy": "if every one is meant: --allow-drops 3; or, in [policy], `max_drops = 3`",
    });
    assert_eq!(guard(&scratch, "", "max_drops"), expected);
    scratch.run("plan --allow-drops 2").exit(4);
    scratch
        .run("plan --allow-drops 3")
        .exit(0)
        .says(["allowed  max_drops", "allowed by name: --allow-drops 3"]);
    dropping(5, 2, "max_drops = 2").run("plan").exit(0).says(["ok       max_drops: 2 to drop, at most 2"]);
    dropping(5, 0, "max_drops = 0").run("plan").exit(0);
    dropping(5, 1, "max_drops = 0").run("plan").exit(4);
    dropping(5, 5, "").run("plan").exit(0);
}

#[test]
fn max_drop_percent_is_exact_and_in_force_from_ten_tracked() {
    for (tracked, drops, percent, status) in [
        (9, 9, 30, 0),
        (10, 3, 30, 0),
        (10, 4, 30, 4),
        (11, 3, 27, 4), // 27.27 %
        (11, 3, 28, 0),
        (100, 1, 1, 0),
        (101, 1, 0, 4),
        (10, 10, 100, 0),
        (12, 12, 99, 4),
        (13, 2, 15, 4), // 15.38 %
        (300, 1, 0, 4),
    ] {
        let scratch = dropping(tracked, drops, &format!("max_drop_percent = {percent}"));
        let ran = scratch.run("plan");
        ran.exit(status);
        let measured = guard(&scratch, "", "max_drop_percent");
        if tracked < 10 {
            assert_eq!(measured, Value::Null);
            continue;
        }
        assert_eq!(
            (&measured["measured"], &measured["of"], &measured["limit"], &measured["app"]),
            (&drops.into(), &tracked.into(), &percent.into(), &"hr".into()),
        );
        if status == 4 {
            ran.says([
                &format!("{drops} of {tracked} to drop ("),
                &format!("at most {percent} %"),
                &format!("--allow-drops {drops}; or, in [policy], `max_drop_percent = "),
            ]);
            scratch.run(&format!("plan --allow-drops {drops}")).exit(0);
        }
    }
    // The default is 30.
    let codes: Vec<String> = (1..=10).map(code).collect();
    let scratch = Scratch::tracking(URL, &codes);
    scratch.write("larksub.toml", manifest(URL, &codes[..6]));
    refused(&scratch, &["`hr`: 4 of 10 to drop (40.0 %), at most 30 %"]);
    scratch.write("larksub.toml", manifest(URL, &codes[..7]));
    scratch.run("plan").exit(0);
}

#[test]
fn a_share_above_the_limit_never_looks_like_the_limit() {
    // 301 of 1000 is 30.1 %, and 3001 of 10000 would be rounded to 30.0 %.
    let scratch = dropping(1001, 301, "max_drop_percent = 30");
    scratch.run("plan").exit(4).says(["301 of 1001 to drop (30.1 %), at most 30 %"]);
}

#[test]
fn forgets_are_no_drops() {
    let codes: Vec<String> = (1..=10).map(code).collect();
    let scratch = Scratch::tracking(URL, &codes);
    let mut text = "[policy]\nmax_drops = 0\n\n".to_owned() + &manifest(URL, &[] as &[&str]);
    for code in &codes {
        text.push_str(&format!("\n[[apps.hr.removed]]\napproval_code = \"{code}\"\nforget = true\n"));
    }
    scratch.write("larksub.toml", text);
    scratch.run("plan").exit(0).says(["Nothing to drop of 10 tracked subscriptions; 10 to forget"]);
}

/// A manifest with `hr` protecting its first code.
fn protecting(url: &str, protect: bool) -> String {
    let codes = manifest(url, &[code(1)]) + &format!("protect = {protect}\n");
    codes + &format!("\n[[apps.hr.subscriptions]]\napproval_code = \"{}\"\n", code(2))
}

#[test]
fn a_protected_subscription_goes_only_after_an_applied_protect_false() {
    let platform = Platform::start(&[code(1), code(2)], &[]);
    let scratch = Scratch::new();
    scratch.write("larksub.toml", protecting(&platform.url, true));
    scratch.run("init").exit(0);
    scratch.run("import --declared").exit(0);
    scratch.set("LARKSUB_APP_SECRET", "any");
    let key = format!("hr/{}", code(1));
    let gone = manifest(&platform.url, &[code(2)]);
    scratch.write("larksub.toml", &gone);
    refused(&scratch, &[&format!("{key} is protected, and would be dropped"), "`protect = false`"]);
    scratch.run("plan --allow-drops 1").exit(4);
    let forget = format!("\n[[apps.hr.removed]]\napproval_code = \"{}\"\nforget = true\n", code(1));
    scratch.write("larksub.toml", gone.clone() + &forget);
    refused(&scratch, &[&format!("{key} is protected, and would be forgotten")]);
    let before = scratch.state();
    scratch
        .run(&format!("state rm {key} --reason gone"))
        .exit(4)
        .says(["nothing was forgotten: protected", &key]);
    // Neither is the one beside it.
    scratch.run(&format!("state rm hr/{} {key} --reason gone", code(2))).exit(4);
    assert_eq!(scratch.state(), before);

    scratch.write("larksub.toml", protecting(&platform.url, false));
    scratch.run("plan").exit(0).says(["protect true → false"]);
    scratch.run("apply --auto-approve").exit(0).says(["1 updated"]);
    scratch.write("larksub.toml", &gone);
    scratch.run("apply --auto-approve").exit(0).says(["1 unsubscribed"]);
    scratch.run("plan --detailed-exitcode").exit(0);
}

#[test]
fn an_app_whose_section_is_gone_refuses_the_plan() {
    let scratch = Scratch::tracking(URL, &[code(1), code(2)]);
    scratch.write("larksub.toml", "[apps.fin]\napp_id = \"cli_fin\"\nbrand = \"feishu\"\n");
    refused(
        &scratch,
        &[
            "app `hr` (cli_hr at http://127.0.0.1:9) has 2 tracked and no section in the manifest",
            "keep `[apps.hr]` with its settings and without subscriptions until its drops are applied",
        ],
    );
    let measured = guard(&scratch, "", "no_section");
    assert_eq!((&measured["measured"], &measured["limit"]), (&2.into(), &0.into()));
    scratch.run("plan --allow-drops 99").exit(4);
}

#[test]
fn an_app_that_was_retired_needs_no_section() {
    let platform = Platform::start(&[code(1)], &[]);
    let scratch = Scratch::dropping(&platform.url, &[code(1)], &[]);
    scratch.run("apply --auto-approve").exit(0);
    scratch.write("larksub.toml", "[apps.fin]\napp_id = \"cli_fin\"\nbrand = \"feishu\"\n");
    scratch.run("plan --detailed-exitcode").exit(0);
}

#[test]
fn a_drop_that_differs_from_a_declared_code_in_letter_case_is_never_sent() {
    let (tracked, declared) = ("AbCd-1", "ABCD-1");
    let scratch = Scratch::tracking(URL, &[tracked]);
    scratch.write("larksub.toml", manifest(URL, &[declared]));
    refused(
        &scratch,
        &[
            "hr/AbCd-1 would be dropped, and `ABCD-1` is declared: they differ only in letter case",
            "`larksub state rm hr/AbCd-1 --reason …` and import `ABCD-1`",
        ],
    );
    scratch.run("plan --allow-drops 1 --allow-handover hr/AbCd-1").exit(4);
    // The remedy works.
    scratch.run("state rm hr/AbCd-1 --reason misspelt").exit(0);
    scratch.run("import --app hr ABCD-1").exit(0);
    scratch.run("plan --detailed-exitcode").exit(0);
}

#[test]
fn a_handover_is_allowed_by_the_key_of_its_drop() {
    let platform = Platform::start(&[code(1)], &[]);
    let scratch = Scratch::tracking(&platform.url, &[code(1)]);
    let other = format!(
        "\n[apps.fin]\napp_id = \"cli_fin\"\nbase_url = \"{}\"\n\n[[apps.fin.subscriptions]]\napproval_code = \"{}\"\n",
        platform.url,
        code(1)
    );
    scratch.write("larksub.toml", manifest(&platform.url, &[] as &[&str]) + &other);
    scratch.unset("LARKSUB_APP_SECRET").set("LARKSUB_APP_SECRET_HR", "any");
    let (key, heir) = (format!("hr/{}", code(1)), format!("fin/{}", code(1)));
    refused(
        &scratch,
        &[
            &format!("{key} would be dropped while {heir} is declared and not yet tracked"),
            &format!("--allow-handover {key}"),
        ],
    );
    scratch.run(&format!("plan --allow-handover {heir}")).exit(4);
    scratch.run("plan --allow-drops 9").exit(4);
    scratch
        .run(&format!("plan --allow-handover {key} --out allowed.json"))
        .exit(0)
        .says(["allowed  handover"]);
    let copy = scratch.state();
    scratch.run("apply allowed.json").exit(0);
    scratch.write("larksub.state.jsonl", copy);
    // In another letter case it is the same code to a person.
    let lower = code(1).to_lowercase();
    let declared = scratch.text("larksub.toml");
    scratch.write("larksub.toml", declared.replace(&code(1), &lower));
    refused(
        &scratch,
        &[
            &format!(
                "{key} would be dropped while fin/{lower} is declared and not yet tracked; the codes differ only in letter case"
            ),
            &format!("--allow-handover {key}"),
        ],
    );
    scratch.run(&format!("plan --allow-handover {key}")).exit(0);
    scratch.write("larksub.toml", declared);
    // Subscribed and imported first, it is no loss.
    scratch.run(&format!("import --app fin {}", code(1))).exit(0);
    scratch.run("plan").exit(0).never_says(["handover"]);
}

#[test]
fn a_tenant_that_takes_over_from_another_is_a_handover_too() {
    let entry = |tenant: &str| {
        format!("\n[[apps.isv.subscriptions]]\ntenant_key = \"{tenant}\"\napproval_code = \"{}\"\n", code(1))
    };
    let head = "[apps.isv]\napp_id = \"cli_isv\"\nbrand = \"feishu\"\nkind = \"store\"\n";
    let scratch = Scratch::new();
    scratch.write("larksub.toml", head.to_owned() + &entry("acme"));
    scratch.run("init").exit(0);
    scratch.run("import --declared").exit(0);
    scratch.write("larksub.toml", head.to_owned() + &entry("bolt"));
    let key = format!("isv/acme/{}", code(1));
    refused(&scratch, &[&format!("--allow-handover {key}")]);
    scratch.run(&format!("plan --allow-handover {key}")).exit(0);
}

#[test]
fn a_label_never_changes_its_app_place_or_kind() {
    for (section, says) in [
        (
            "app_id = \"cli_other\"\nbase_url = \"http://127.0.0.1:9\"",
            "`hr` is cli_hr at http://127.0.0.1:9 in the state, and cli_other at http://127.0.0.1:9 in the manifest",
        ),
        (
            "app_id = \"cli_hr\"\nbrand = \"lark\"",
            "`hr` is cli_hr at http://127.0.0.1:9 in the state, and cli_hr at https://open.larksuite.com in the manifest",
        ),
        (
            "app_id = \"cli_hr\"\nbase_url = \"http://127.0.0.1:9\"\nkind = \"store\"",
            "`hr` is a custom app in the state, and a store app in the manifest",
        ),
    ] {
        let scratch = Scratch::tracking(URL, &[code(1)]);
        scratch.write("larksub.toml", format!("[apps.hr]\n{section}\n"));
        refused(&scratch, &[says]);
        let before = scratch.state();
        let tenant = if section.contains("store") { "--tenant acme" } else { "" };
        scratch.run(&format!("import --app hr {tenant} {}", code(2))).exit(4);
        assert_eq!(scratch.state(), before, "nor does an import");
        scratch.run("plan --allow-drops 99").exit(4);
    }
}

#[test]
fn two_labels_that_swap_are_refused_and_done_in_two_applies() {
    let apps = |one: &str, other: &str| {
        let app = |label: &str, id: &str| {
            format!(
                "[apps.{label}]\napp_id = \"{id}\"\nbrand = \"feishu\"\n[[apps.{label}.subscriptions]]\napproval_code = \"{}\"\n",
                code(1)
            )
        };
        app(one, "cli_one") + &app(other, "cli_other")
    };
    let scratch = Scratch::new();
    scratch.write("larksub.toml", apps("a", "b"));
    scratch.run("init").exit(0);
    scratch.run("import --declared").exit(0);
    scratch.write("larksub.toml", apps("b", "a"));
    refused(&scratch, &["`a` is cli_one at https://open.feishu.cn in the state", "in two applies"]);
    for labels in [("c", "b"), ("c", "a"), ("b", "a")] {
        scratch.write("larksub.toml", apps(labels.0, labels.1));
        scratch.run("apply --auto-approve").exit(0).says(["1 updated"]);
        scratch.run("plan --detailed-exitcode").exit(0);
    }
}

#[test]
fn every_refusal_reads_well() {
    let scratch = Scratch::new();
    let codes: Vec<String> = (1..=10).map(code).collect();
    scratch.write("larksub.toml", manifest("https://feishu.example", &codes) + "protect = true\n");
    scratch.run("init").exit(0);
    scratch.run("import --declared").exit(0);
    scratch.begin_transcript();
    let other = format!(
        "\n[apps.fin]\napp_id = \"cli_fin\"\nbrand = \"lark\"\n\n[[apps.fin.subscriptions]]\napproval_code = \"{}\"\n",
        code(9)
    );
    let policy = "[policy]\nmax_drops = 2\n\n";
    scratch
        .write("larksub.toml", policy.to_owned() + &manifest("https://feishu.example", &codes[..5]) + &other);
    scratch.run("plan").exit(4);
    scratch.run("apply --auto-approve").exit(4);
    scratch.run(&format!("plan --allow-drops 5 --allow-handover hr/{}", code(9))).exit(4);
    scratch.transcript("refused");
}

#[test]
fn an_apps_own_limits_hold_beside_the_general_ones_and_allow_drops_replaces_all() {
    let scratch = dropping(12, 3, "max_drops = 5\nmax_drop_percent = 10");
    let toml = scratch.text("larksub.toml");
    let with = |own: &str| {
        let section = format!("base_url = \"{URL}\"\n[apps.hr.policy]\n{own}\n");
        scratch.write("larksub.toml", toml.replace(&format!("base_url = \"{URL}\"\n"), &section));
    };
    scratch.run("plan").exit(4).says(["at most 10 %", "or, in [policy], `max_drop_percent = 25`"]);
    with("max_drop_percent = 25");
    scratch
        .run("plan")
        .exit(0)
        .says(["ok       max_drop_percent: `hr`: 3 of 12 to drop (25.0 %), at most 25 %"]);
    with("max_drop_percent = 24\nmax_drops = 2");
    refused(
        &scratch,
        &[
            "`hr`: 3 to drop, at most 2",
            "or, in [apps.hr.policy], `max_drops = 3`",
            "at most 24 %",
            "or, in [apps.hr.policy], `max_drop_percent = 25`",
        ],
    );
    scratch.run("plan --allow-drops 2").exit(4).says(["3 to drop, and --allow-drops allows 2"]);
    scratch.run("plan --allow-drops 3").exit(0).says(["allowed  max_drops: `hr`: 3 to drop, at most 2"]);
    // The general count holds for the whole plan, whatever the app's own says.
    with("max_drop_percent = 100\nmax_drops = 99");
    scratch.write("larksub.toml", scratch.text("larksub.toml").replace("max_drops = 5", "max_drops = 2"));
    scratch.run("plan").exit(4).says(["max_drops: 3 to drop, at most 2"]);
}

#[test]
fn what_goes_without_a_reason_is_refused_and_no_flag_allows_it() {
    let platform = Platform::start(&[code(1), code(2), code(3)], &[]);
    let scratch = Scratch::tracking(&platform.url, &[code(1), code(2), code(3)]);
    let head = "[policy]\nrequire_reason = true\n\n".to_owned() + &manifest(&platform.url, &[] as &[&str]);
    let entry = |number: usize, reason: &str, forget: bool| {
        let code = code(number);
        format!(
            "\n[[apps.hr.removed]]\napproval_code = \"{code}\"\nreason = \"{reason}\"\nforget = {forget}\n"
        )
    };
    scratch.write("larksub.toml", head.clone() + &entry(2, " \\u200b", false) + &entry(3, "", true));
    refused(
        &scratch,
        &[
            "3 of 3 to go without a reason: `hr/00000001",
            &format!("`[[apps.hr.removed]]`, `approval_code = \"{}\"`, `reason = \"…\"`", code(1)),
            &format!("the entry of `hr/{}` is there", code(2)),
            "no flag allows this",
        ],
    );
    let measured = guard(&scratch, "", "reason");
    assert_eq!(
        (&measured["measured"], &measured["of"], &measured["app"]),
        (&3.into(), &3.into(), &"hr".into())
    );
    scratch.run(&format!("plan --allow-drops 9 --allow-handover hr/{}", code(1))).exit(4);
    assert!(platform.log().is_empty());
    // The remedy works.
    let reasons = entry(1, "OPS-1", false) + &entry(2, "OPS-1", false) + &entry(3, "OPS-1", true);
    scratch.write("larksub.toml", head + &reasons);
    scratch.run("apply --auto-approve").exit(0).says(["2 unsubscribed", "1 forgotten"]);
    scratch.run("plan --detailed-exitcode").exit(0);
}

#[test]
fn an_owner_that_is_demanded_is_every_commands_matter() {
    let scratch = Scratch::tracking(URL, &[code(1), code(2)]);
    let toml = manifest(URL, &[code(1)]) + "owner = \"people-plattform\"\n";
    scratch.write("larksub.toml", "[policy]\nowners = [\"people-platform\"]\n\n".to_owned() + &toml);
    let before = scratch.state();
    for command in ["validate", "plan", "apply --auto-approve", "import --declared"] {
        scratch
            .run(command)
            .exit(1)
            .says(["`people-plattform` is none of the owners of app `hr`", "did you mean"]);
    }
    assert_eq!(scratch.state(), before);
    // What was tracked before without an owner is no reason not to drop it.
    scratch.write("larksub.toml", scratch.text("larksub.toml").replace("plattform", "platform"));
    scratch.run("plan").exit(0).says(["(no owner)"]);
}
