//! The whole job, from nothing to an empty second plan.

use super::support::{Platform, Scratch};

const LEAVE: &str = "7C468A54-8745-2245-9675-08B7C63E7A85";
const TRAVEL: &str = "81D31358-93AF-92D6-7425-01A5D67C4E71";
const EXPENSE: &str = "5B43240B-848C-49BD-9D27-11EF0EE11234";
const VISITOR: &str = "0E2E4F73-70B8-4D19-B3F5-6A4B4B6F1B2D";

fn custom_app(url: &str, codes: &[(&str, &str)]) -> String {
    let mut text =
        format!("[policy]\nmax_drops = 5\n\n[apps.hr]\napp_id = \"cli_hr\"\nbase_url = \"{url}\"\n");
    for (code, name) in codes {
        text.push_str(&format!(
            "\n[[apps.hr.subscriptions]]\napproval_code = \"{code}\"\nname = \"{name}\"\nowner = \"people\"\n"
        ));
    }
    text
}

#[test]
fn a_second_plan_after_an_apply_is_empty() {
    let platform = Platform::start(&[LEAVE, TRAVEL, EXPENSE], &[]);
    let scratch = Scratch::new();
    let all = [(LEAVE, "Leave request"), (TRAVEL, "差旅申请"), (EXPENSE, "Expenses")];
    scratch.write("larksub.toml", custom_app(&platform.url, &all));
    scratch.run("init").exit(0);
    scratch.run("plan").exit(0).says(["never imported"]);
    scratch.run("import --declared").exit(0);
    scratch.run("plan --detailed-exitcode").exit(0).says(["Nothing to drop"]);
    scratch.run("validate").exit(0);

    let removed =
        format!("\n[[apps.hr.removed]]\napproval_code = \"{TRAVEL}\"\nreason = \"form retired, OPS-123\"\n");
    let kept = custom_app(&platform.url, &[(LEAVE, "Leave of absence")]);
    scratch.write("larksub.toml", kept + &removed);
    scratch.run("plan --out plan.json").exit(0);
    scratch.run("plan --detailed-exitcode").exit(2);
    scratch.run("plan --format diff").exit(0);
    scratch.run("show plan.json").exit(0);
    let printed = scratch.aside("plan --format json").exit(0).stdout.clone();
    assert_eq!(printed, scratch.text("plan.json"), "what is printed is what is saved");
    assert!(platform.log().is_empty(), "nothing but apply calls the platform");

    scratch.set("LARKSUB_APP_SECRET", "any-secret");
    scratch.run("apply plan.json").exit(0);
    scratch.run("plan --detailed-exitcode").exit(0).says(["Nothing to drop"]);
    scratch.run("validate").exit(0).says(["this entry can be deleted"]);
    scratch.run("show").exit(0);
    scratch.run(&format!("state show hr/{TRAVEL}")).exit(0);
    scratch.run("apply plan.json").exit(0).says(["already applied"]);

    let mut calls = platform.calls();
    calls.sort();
    assert_eq!(calls, [EXPENSE, TRAVEL]);
    scratch.transcript("custom_app");
}

#[test]
fn the_ledger_tells_every_step_in_order() {
    let platform = Platform::start(&[LEAVE, TRAVEL], &[]);
    let scratch = Scratch::new();
    scratch.write("larksub.toml", custom_app(&platform.url, &[(LEAVE, "Leave"), (TRAVEL, "Travel")]));
    scratch.run("init").exit(0);
    scratch.run("import --declared").exit(0);
    let before = scratch.state();
    let kept = custom_app(&platform.url, &[(LEAVE, "Leave of absence")]);
    scratch.write("larksub.toml", kept);
    scratch.set("LARKSUB_APP_SECRET", "any-secret");
    scratch.run("plan --out plan.json").exit(0);
    assert_eq!(scratch.state(), before, "a plan writes nothing");
    scratch.run("apply plan.json").exit(0);
    assert!(scratch.state().starts_with(&before), "the ledger is only ever appended to");

    let ledger = scratch.ledger();
    assert_eq!(
        ledger.ops(),
        [
            "init".into(),
            "bind hr custom".into(),
            format!("track hr/{LEAVE}"),
            format!("track hr/{TRAVEL}"),
            "run".into(),
            format!("update hr/{LEAVE}"),
            format!("intent hr/{TRAVEL}"),
            format!("outcome hr/{TRAVEL} unsubscribed"),
            "end done".to_string(),
        ]
    );
    let digest = scratch.json("plan.json")["digest"].clone();
    let run = &ledger.of("run")[0].record;
    assert_eq!(run["plan_digest"], digest);
    assert_eq!(run["by"]["command"], "apply");
    assert!(run["by"]["pid"].is_u64() && run["by"]["host"].is_string());
    let outcome = ledger.outcome(TRAVEL);
    assert_eq!(
        (&outcome["code"], &outcome["http_status"], &outcome["attempts"]),
        (&0.into(), &200.into(), &1.into())
    );
    assert_eq!(outcome["log_id"].as_str().unwrap().len(), 32, "{outcome}");
    for op in ["intent", "outcome", "end"] {
        assert!(ledger.of(op).iter().all(|entry| entry.record["run"] == run["run"]), "{op}");
    }
    // An import is one batch of a line each; a reader tells by `more` that it was not cut.
    let lines: Vec<String> = String::from_utf8(before).unwrap().lines().map(ToOwned::to_owned).collect();
    let more: Vec<bool> = lines.iter().map(|line| line.contains(r#"],"more":true,"crc""#)).collect();
    assert_eq!(more, [false, true, true, false]);
}

fn store_app(url: &str, entries: &[(&str, &str)]) -> String {
    let mut text = format!("[apps.isv]\napp_id = \"cli_isv\"\nbase_url = \"{url}\"\nkind = \"store\"\n");
    for (tenant, code) in entries {
        text.push_str(&format!(
            "\n[[apps.isv.subscriptions]]\ntenant_key = \"{tenant}\"\napproval_code = \"{code}\"\n"
        ));
    }
    text
}

#[test]
fn a_store_app_drops_in_each_tenant_with_a_token_of_its_own() {
    let subscribed = [("acme", LEAVE), ("acme", TRAVEL), ("bolt", LEAVE), ("bolt", VISITOR)];
    let listed: Vec<String> =
        subscribed.iter().map(|(tenant, code)| format!("cli_isv/{tenant}/{code}")).collect();
    let platform = Platform::start(&listed, &["--app", "cli_isv:any-secret:any-ticket"]);
    let scratch = Scratch::new();
    scratch.write("larksub.toml", store_app(&platform.url, &subscribed));
    scratch.run("init").exit(0);
    scratch.run(&format!("import --app isv --tenant acme {LEAVE} {TRAVEL}")).exit(0);
    scratch.run("import --app isv --declared").exit(0);

    scratch.write("larksub.toml", store_app(&platform.url, &[("acme", LEAVE)]));
    scratch.set("LARKSUB_APP_SECRET_ISV", "any-secret").set("LARKSUB_APP_TICKET_ISV", "any-ticket");
    scratch.run("plan").exit(0);
    scratch.run("plan --format diff").exit(0);
    scratch.run("apply --auto-approve --format json").exit(0);
    scratch.run("plan --detailed-exitcode").exit(0).says(["Nothing to drop"]);
    scratch.run("state list").exit(0);
    scratch.run(&format!("state show isv/bolt/{VISITOR}")).exit(0).says(["unsubscribed since"]);

    let ledger = scratch.ledger();
    let mut dropped: Vec<String> = ledger.ops().into_iter().filter(|op| op.starts_with("outcome")).collect();
    dropped.sort();
    assert_eq!(
        dropped,
        [
            format!("outcome isv/acme/{TRAVEL} unsubscribed"),
            format!("outcome isv/bolt/{VISITOR} unsubscribed"),
            format!("outcome isv/bolt/{LEAVE} unsubscribed"),
        ]
    );
    let log = platform.log();
    let asked = |path: &str| log.iter().filter(|line| line.contains(path)).count();
    assert_eq!((asked("/app_access_token "), asked("/tenant_access_token ")), (1, 2), "{log:?}");
}

#[test]
fn a_store_apps_plan_reads_by_tenant() {
    let scratch = Scratch::new();
    let url = "http://127.0.0.1:9";
    scratch.write("larksub.toml", store_app(url, &[("acme", LEAVE), ("acme", TRAVEL), ("bolt", LEAVE)]));
    scratch.run("init").exit(0);
    scratch.run("import --declared").exit(0);
    scratch.write("larksub.toml", store_app(url, &[("acme", LEAVE)]));
    scratch.run("plan").exit(0);
    scratch.run("plan --format diff").exit(0);
    scratch.run("state list").exit(0);
    scratch.transcript("store_app");
}
