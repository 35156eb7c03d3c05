//! `plan --base`: what is pending on main is told apart from what a change adds, and nothing else changes.

use larksub::plan::saved;
use serde_json::json;

use super::support::{Platform, Scratch, code, manifest};

const URL: &str = "http://127.0.0.1:9";

/// Forty tracked; main drops the first two (`main.json`), the change drops three more.
fn change() -> Scratch {
    let codes: Vec<String> = (1..=40).map(code).collect();
    let scratch = Scratch::tracking(URL, &codes);
    scratch.write("larksub.toml", manifest(URL, &codes[2..]));
    scratch.run("plan --out main.json").exit(0);
    scratch.write("larksub.toml", manifest(URL, &codes[5..]));
    scratch
}

#[test]
fn what_main_drops_anyway_is_told_apart_from_what_the_change_drops() {
    let scratch = change();
    let ran = scratch.run("plan --base main.json --out plan.json --report markdown=plan.md");
    ran.exit(0).says([
        "3 of 40 tracked subscriptions will be dropped by this change; 2 more are pending on main already.",
        "\nDrops (3)\n",
        "\nPending on main already (2)\n",
        "2 drops in common",
    ]);
    let at = |text: &str| ran.stdout.find(text).unwrap();
    assert!(at(&code(3)) < at("Pending on main") && at("Pending on main") < at(&code(1)), "{ran}");
    let plan = scratch.json("plan.json");
    let pending: Vec<bool> =
        plan["drops"].as_array().unwrap().iter().map(|drop| drop["pending"] == true).collect();
    assert_eq!(pending, [true, true, false, false, false]);
    assert!(plan["drops"][4].get("pending").is_none(), "left out where it is not so");
    let main = scratch.json("main.json");
    let base = json!({
        "digest": main["digest"], "manifest_digest": main["facts"]["manifest_digest"],
        "serial": main["facts"]["serial"], "drops": 2, "forgets": 0, "taken_back": [],
        "policy": main["facts"]["policy"],
    });
    assert_eq!(plan["base"], base);
    let comment = scratch.text("plan.md");
    let (own, folded) = comment.split_once("<details><summary>Pending on main already (2)").unwrap();
    assert!(own.contains(&code(3)) && !own.contains(&code(1)), "{comment}");
    assert!(folded.contains(&code(1)) && folded.contains(&code(2)), "{comment}");
    assert!(comment.starts_with("### 3 of 40 tracked subscriptions will be dropped by this change; 2 more"));
    // A saved plan says the same anywhere.
    scratch
        .run("show plan.json")
        .exit(0)
        .says(["2 more are pending on main already", "Pending on main already (2)"]);
    scratch.run("show plan.json --format markdown").exit(0);
}

#[test]
fn a_base_changes_neither_digest_nor_guards_nor_what_is_applied() {
    let scratch = change();
    let alone = scratch.run("plan --format json").json();
    let beside = scratch.run("plan --format json --base main.json").json();
    for key in ["digest", "guards", "counts", "calls", "has_changes", "refused", "facts", "estimate_s"] {
        assert_eq!(alone[key], beside[key], "{key}");
    }
    let toml = scratch.text("larksub.toml");
    scratch.write("larksub.toml", format!("[policy]\nmax_drops = 4\n\n{toml}"));
    let says = ["5 to drop, at most 4", "would be dropped by this change; 2 more are pending"];
    scratch.run("plan --base main.json").exit(4).says(says);
}

#[test]
fn a_step_on_github_gets_the_count_of_the_changes_own() {
    let scratch = change();
    scratch.set("GITHUB_OUTPUT", &scratch.path("outputs").display().to_string());
    scratch.run("plan --base main.json --format github").exit(0).says(["by this change; 2 more"]);
    let outputs = scratch.text("outputs");
    assert!(outputs.contains("\ndrops=5\nown_drops=3\n"), "{outputs}");
    scratch.run("plan --format github").exit(0);
    assert!(scratch.text("outputs").ends_with(&outputs.replace("own_drops=3", "own_drops=5")));
}

#[test]
fn a_change_that_does_nothing_says_so() {
    let codes: Vec<String> = (1..=40).map(code).collect();
    let scratch = change();
    scratch.write("larksub.toml", manifest(URL, &codes[2..]));
    let says = ["This change does nothing; 2 of 40 tracked subscriptions are pending on main already."];
    scratch.run("plan --base main.json").exit(0).says(says);
    // A name is something.
    scratch.write("larksub.toml", manifest(URL, &codes[2..]) + "name = \"New\"\n");
    let says = [
        "This change drops nothing; 2 of 40 tracked subscriptions are pending on main already; 1 to update.",
    ];
    scratch.run("plan --base main.json").exit(0).says(says);
}

#[test]
fn what_a_change_takes_back_is_named() {
    let codes: Vec<String> = (1..=40).map(code).collect();
    let scratch = change();
    let kept: Vec<String> = codes[..1].iter().chain(&codes[2..]).cloned().collect();
    scratch.write("larksub.toml", manifest(URL, &kept));
    let ran = scratch.run("plan --base main.json --out plan.json --report markdown=plan.md");
    ran.exit(0).says(["1 pending on main taken back", "Taken back (1)", &format!("  hr/{}\n", code(1))]);
    assert_eq!(scratch.json("plan.json")["base"]["taken_back"], json!([format!("hr/{}", code(1))]));
    assert!(scratch.text("plan.md").contains(&format!("\n| `hr/{}` |\n", code(1))));
    // Forgotten instead of dropped is the change's own doing.
    let forget = format!("\n[[apps.hr.removed]]\napproval_code = \"{}\"\nforget = true\n", code(1));
    scratch.write("larksub.toml", manifest(URL, &codes[2..]) + &forget);
    let plan = scratch.run("plan --base main.json --format json").json();
    assert_eq!(plan["base"]["taken_back"], json!([format!("hr/{}", code(1))]));
    assert!(plan["forgets"][0].get("pending").is_none());
    scratch.run("plan --out main.json").exit(0);
    scratch.run("plan --base main.json").exit(0).says(["1 to forget (1 of them pending on main already)"]);
}

#[test]
fn a_base_of_an_older_line_holds_and_one_of_another_history_does_not() {
    let scratch = change();
    let (older, main) = (scratch.state(), scratch.text("main.json"));
    scratch.run(&format!("import --app hr {}", code(90))).exit(0);
    scratch.run("plan --base main.json").exit(0).says(["4 of 41 tracked", "2 more are pending"]);
    scratch.run("plan --out newer.json").exit(0);
    // What was done on main since then is past, and not taken back.
    scratch.run(&format!("state rm hr/{} --reason gone", code(1))).exit(0);
    let plan = scratch.run("plan --base main.json --format json").json();
    assert_eq!((&plan["base"]["drops"], &plan["base"]["taken_back"]), (&json!(1), &json!([])));

    scratch.write("larksub.state.jsonl", &older);
    let ran = scratch.run("plan --base newer.json --out plan.json");
    ran.exit(4).says(["--base newer.json: the state here is older than the base's plan", "merge or rebase"]);
    scratch.run(&format!("import --app hr {}", code(91))).exit(0);
    let ran = scratch.run("plan --base newer.json --out plan.json");
    ran.exit(4).says(["a line that this state does not contain", "plan main again"]);
    let twin = Scratch::tracking(URL, &[code(1)]);
    twin.write("main.json", &main);
    let says = ["--base main.json: the base's plan was made from another state (its lineage is "];
    twin.run("plan --base main.json").exit(4).says(says);
    scratch.write("main.json", main.replace("\"calls\": 2", "\"calls\": 1"));
    scratch.run("plan --base main.json").exit(4).says(["it was changed after it was saved"]);
    for (text, says) in [
        (main.replace("\"version\": 1", "\"version\": 2"), "it is of version 2"),
        (main[..200].to_owned(), "it ends in the middle"),
        (scratch.text("larksub.toml"), "it is TOML, perhaps a manifest"),
    ] {
        scratch.write("main.json", text);
        scratch.run("plan --base main.json").exit(1).says([says, "main.json"]);
    }
    scratch.run("plan --base nowhere.json").exit(1).says(["nowhere.json cannot be read"]);
    assert!(!scratch.path("plan.json").exists(), "nothing is saved beside a base that is refused");
}

#[test]
fn a_base_is_never_written_over() {
    let scratch = change();
    let main = scratch.text("main.json");
    for out in ["--out main.json", "--out ./main.json", "--report markdown=main.json"] {
        scratch.run(&format!("plan --base main.json {out}")).exit(1).says(["names the base's plan"]);
    }
    assert_eq!(scratch.text("main.json"), main);
}

#[test]
fn an_unknown_and_a_renamed_app_are_pending_all_the_same() {
    let codes: Vec<String> = (1..=3).map(code).collect();
    let scratch = Scratch::dropping(URL, &codes, &[&codes[2]]);
    scratch.run("plan --out main.json").exit(0);
    let toml = scratch.text("larksub.toml").replace("apps.hr", "apps.people");
    scratch.write("larksub.toml", toml);
    let plan = scratch.run("plan --base main.json --format json").json();
    assert_eq!((&plan["base"]["drops"], &plan["drops"][0]["pending"]), (&json!(2), &json!(true)));
    assert_eq!(plan["base"]["taken_back"], json!([]));
}

#[test]
fn a_plan_that_was_compared_is_applied_like_any_other() {
    let codes: Vec<String> = (1..=3).map(code).collect();
    let platform = Platform::start(&codes, &[]);
    let scratch = Scratch::dropping(&platform.url, &codes, &[&codes[1], &codes[2]]);
    scratch.run("plan --out main.json").exit(0);
    scratch.write("larksub.toml", scratch.text("larksub.toml").replace(&codes[1], "other"));
    scratch
        .run("plan --base main.json --out plan.json")
        .exit(0)
        .says(["1 of 3", "1 more is pending on main already"]);
    scratch.run("apply plan.json").exit(0).says(["2 unsubscribed"]);
    assert_eq!(platform.calls(), codes[..2]);
    scratch.run("apply plan.json").exit(0).says(["already applied"]);
    scratch.run("show plan.json").exit(0).says(["already applied: runs of this plan have done all"]);
}

#[test]
fn a_change_that_loosens_the_gate_says_so_in_every_form() {
    let codes: Vec<String> = (1..=20).map(code).collect();
    let scratch = Scratch::tracking(URL, &codes);
    let policy = |max, percent, reason| {
        format!("[policy]\nmax_drops = {max}\nmax_drop_percent = {percent}\nrequire_reason = {reason}\n\n")
    };
    let own = "[apps.hr.policy]\nmax_drops = 5\n";
    scratch.write("larksub.toml", policy(50, 30, true) + &manifest(URL, &codes) + own);
    scratch.run("plan --out main.json").exit(0);
    let main = scratch.json("main.json");
    let expected = json!({
        "max_drops": 50, "max_drop_percent": 30, "require_reason": true, "require_owner": false,
        "apps": { "hr": { "max_drops": 5 } },
    });
    assert_eq!(main["facts"]["policy"], expected);
    scratch.run("plan --base main.json").exit(0).never_says(["imits differ"]);
    scratch.write("larksub.toml", policy(200, 100, false) + &manifest(URL, &codes[17..]));
    let loose = "`max_drops` 50 → 200, `max_drop_percent` 30 → 100, `require_reason` true → false";
    let says = format!("imits differ from main's: LOOSENED {loose}, `hr`: `max_drops` 5 → none");
    let ran = scratch.run(
        "plan --base main.json --out plan.json --report markdown=plan.md --report html=plan.html --report github=plan.txt",
    );
    ran.exit(0).says([&format!("by this change.\nL{says}.\n")]);
    assert!(scratch.text("plan.txt").contains(&format!("::warning title=larksub plan::l{says}\n")));
    assert!(
        scratch
            .text("plan.md")
            .contains("\n**Limits differ from main's: LOOSENED `max_drops` 50 → 200, `max"),
        "{}",
        scratch.text("plan.md")
    );
    assert!(scratch.text("plan.html").contains("limits differ from main&#39;s: LOOSENED <code>max"));
    assert_eq!(scratch.json("plan.json")["base"]["policy"], expected);
    scratch.run("show plan.json").exit(0).says([&says]);
    // A change of nothing but limits says it too, and which way.
    scratch.write("larksub.toml", policy(9, 40, true) + &manifest(URL, &codes) + own);
    let says = "imits differ from main's: LOOSENED `max_drop_percent` 30 → 40; tightened `max_drops` 50 → 9";
    scratch.run("plan --base main.json").exit(0).says([says]);
    // A plan that does not tell its limits is read, and that they were not compared is said.
    let mut old = saved::read(&scratch.text("main.json")).unwrap();
    old.facts.policy = None;
    scratch.write("main.json", saved::write(&old).unwrap());
    scratch.run("plan --base main.json").exit(0).says(["Limits were not compared"]);
    scratch.run("apply main.json").exit(0);
}

#[test]
fn a_change_that_lifts_protection_says_so_in_its_first_line() {
    let codes: Vec<String> = (1..=3).map(code).collect();
    let protected = manifest(URL, &codes).replace("approval_code", "protect = true\napproval_code");
    let scratch = Scratch::new();
    scratch.write("larksub.toml", protected);
    scratch.run("init").exit(0);
    scratch.run("import --declared").exit(0);
    scratch.write("larksub.toml", manifest(URL, &codes));
    scratch.run("plan").exit(0).says(["3 to update, 3 no longer protected."]);
    let says = ["::warning title=larksub plan::3 subscriptions are no longer protected"];
    scratch.run("plan --format github").exit(0).says(says);
}
