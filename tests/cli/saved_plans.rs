//! Saved plans: byte-stable, applied as reviewed or not at all, resumed after a run that was cut short.

use rustix::process::Signal;

use super::support::{Platform, Scratch, code, manifest};

const URL: &str = "http://127.0.0.1:9";

#[test]
fn two_plans_of_unchanged_facts_are_the_same_bytes() {
    let scratch = Scratch::dropping(URL, &[code(1), code(2), code(3)], &[&code(2)]);
    scratch.run("plan --out one.json").exit(0);
    scratch.run("plan --out other.json").exit(0);
    assert_eq!(scratch.bytes("one.json"), scratch.bytes("other.json"));
    // The order of a manifest's entries, its comments and its files mean nothing to the digest.
    scratch.write("larksub.toml", "# x\n".to_owned() + &scratch.text("larksub.toml"));
    scratch.run("plan --out third.json").exit(0);
    assert_eq!(scratch.json("one.json")["digest"], scratch.json("third.json")["digest"]);
}

#[test]
fn a_plan_is_never_saved_over_the_manifest_or_the_state() {
    let scratch = Scratch::dropping(URL, &[code(1)], &[]);
    let (state, toml) = (scratch.state(), scratch.text("larksub.toml"));
    for path in ["larksub.state.jsonl", "./larksub.state.jsonl", "larksub.toml"] {
        scratch.run(&format!("plan --out {path}")).exit(1);
        assert_eq!((scratch.state(), scratch.text("larksub.toml")), (state.clone(), toml.clone()), "{path}");
    }
    std::os::unix::fs::symlink("larksub.state.jsonl", scratch.path("link.json")).unwrap();
    scratch.run("plan --out link.json").exit(1);
    assert_eq!(scratch.state(), state);
}

#[test]
fn a_plan_that_cannot_be_saved_is_1_although_it_was_made() {
    let scratch = Scratch::dropping(URL, &[code(1)], &[]);
    scratch.run("plan --out nowhere/plan.json").exit(1).says(["nowhere/plan.json cannot be written"]);
    scratch.run("plan --out /dev/full").exit(1);
}

#[test]
fn a_digest_applies_what_it_names_and_nothing_else() {
    let platform = Platform::start(&[code(1), code(2)], &[]);
    let scratch = Scratch::dropping(&platform.url, &[code(1), code(2)], &[&code(2)]);
    scratch.run("plan --out plan.json").exit(0);
    let digest = scratch.json("plan.json")["digest"].as_str().unwrap().to_owned();
    let other = format!("sha256:{}", "0".repeat(64));
    let ran = scratch.run(&format!("apply --digest {other}"));
    ran.exit(4).says([
        &other,
        &digest,
        "what would happen now is not what was reviewed",
        "no flag overrides this",
    ]);
    assert!(ran.stderr.contains("will be dropped"), "the fresh plan is shown\n{ran}");
    assert!(platform.log().is_empty());
    scratch.run(&format!("apply --digest {digest}")).exit(0);
    assert_eq!(platform.calls(), [code(1)]);
    scratch.run(&format!("apply --digest {digest}")).exit(0).says(["already applied"]);
    assert_eq!(platform.calls().len(), 1);
    assert_eq!(scratch.ledger().of("run")[0].record["plan_digest"], digest.as_str());
}

#[test]
fn what_changed_since_the_review_is_shown_and_refused() {
    let scratch = Scratch::dropping(URL, &[code(1), code(2), code(3)], &[&code(2), &code(3)]);
    scratch.run("plan --out plan.json").exit(0);
    let before = scratch.state();
    scratch.write("larksub.toml", manifest(URL, &[code(1), code(3)]));
    let ran = scratch.run("apply plan.json");
    ran.exit(4).says([&format!("- drop hr/{}", code(1)), &format!("+ drop hr/{}", code(2))]);
    for flag in ["--auto-approve", "--allow-drops 99"] {
        scratch.run(&format!("apply plan.json {flag}")).exit(4);
    }
    assert_eq!(scratch.state(), before);
}

#[test]
fn a_subscription_that_was_imported_again_is_not_dropped_by_an_old_plan() {
    let platform = Platform::start(&[code(1)], &[]);
    let scratch = Scratch::dropping(&platform.url, &[code(1)], &[]);
    scratch.run("plan --out plan.json").exit(0);
    scratch.run("apply plan.json").exit(0);
    scratch.run(&format!("import --app hr {}", code(1))).exit(0);
    let ran = scratch.run("apply plan.json");
    ran.exit(4).says([&format!("+ drop hr/{} (tracked 2 times)", code(1))]);
    assert_eq!(platform.calls().len(), 1);
}

#[test]
fn a_plan_that_was_edited_or_formatted_anew_is_refused() {
    let scratch = Scratch::dropping(URL, &[code(1), code(2)], &[]);
    scratch.run("plan --out plan.json").exit(0);
    let text = scratch.text("plan.json");
    let compact: serde_json::Value = serde_json::from_str(&text).unwrap();
    for edited in [
        text.replace(&code(1), &code(3)),
        text.replace("\"calls\": 2", "\"calls\": 1"),
        text.replace("\"refused\": false", "\"refused\":  false"),
        text.replace("  \"has_changes\"", "  \"extra\": 1,\n  \"has_changes\""),
        compact.to_string(),
        text.lines().filter(|line| !line.contains("checksum")).collect::<Vec<_>>().join("\n"),
        text.replace('\n', "\r\n"),
    ] {
        assert_ne!(edited, text);
        scratch.write("edited.json", &edited);
        scratch.run("apply edited.json").exit(4).says(["it was changed after it was saved", "plan again"]);
        scratch.run("show edited.json").exit(4);
    }
    for (broken, says) in [
        (String::new(), "it is not a saved plan"),
        ("{}".into(), "its `format` is not `larksub.plan`"),
        ("null".into(), "it is not a saved plan"),
        ("[]".into(), "it is not a saved plan"),
        (text[..text.len() / 2].to_owned(), "it is not a saved plan"),
        (scratch.text("larksub.state.jsonl"), "it is not a saved plan"),
        (scratch.text("larksub.toml"), "it is not a saved plan"),
        (text.replace("\"version\": 1", "\"version\": 2"), "it is of version 2; this larksub knows 1"),
    ] {
        scratch.write("broken.json", &broken);
        scratch.run("apply broken.json").exit(1).says([says, "broken.json"]);
        scratch.run("show broken.json").exit(1);
    }
    scratch.write("broken.json", b"\xff\xfe");
    scratch.run("apply broken.json").exit(1);
    scratch.run("apply nowhere.json").exit(1).says(["nowhere.json"]);
}

#[test]
fn a_plan_of_another_state_or_app_or_of_an_older_copy_is_refused_in_its_own_words() {
    let scratch = Scratch::dropping(URL, &[code(1), code(2)], &[]);
    let older = scratch.state();
    scratch.run(&format!("import --app hr {}", code(3))).exit(0);
    scratch.run("plan --out plan.json").exit(0);
    let newer = scratch.state();

    scratch.write("larksub.state.jsonl", &older);
    let says = ["the state is older than the plan", "never apply to this one"];
    scratch.run("apply plan.json").exit(4).says(says);

    scratch.run(&format!("import --app hr {}", code(4))).exit(0);
    scratch.run("apply plan.json").exit(4).says(["the state went another way"]);

    let twin = Scratch::dropping(URL, &[code(1), code(2)], &[]);
    twin.write("plan.json", scratch.text("plan.json"));
    twin.run("apply plan.json").exit(4).says(["the plan was made from another state (its lineage is "]);

    scratch.write("larksub.state.jsonl", &newer);
    scratch.write("larksub.toml", "[apps.hr]\napp_id = \"cli_hr\"\nbrand = \"feishu\"\n");
    let says = ["the plan was made for another app: `hr` is cli_hr at http://127.0.0.1:9 there"];
    scratch.run("apply plan.json").exit(4).says(says);
    assert_eq!(scratch.state(), newer);
}

#[test]
fn what_is_allowed_on_the_plan_holds_for_its_apply_and_not_for_its_digest() {
    let codes: Vec<String> = (1..=10).map(code).collect();
    let platform = Platform::start(&codes, &[]);
    let scratch = Scratch::tracking(&platform.url, &codes);
    scratch.write("larksub.toml", manifest(&platform.url, &codes[..6]));
    scratch.run("plan --allow-drops 4 --out plan.json").exit(0);
    scratch.run("show plan.json").exit(0).says(["allowed by name: --allow-drops 4"]);
    let digest = scratch.json("plan.json")["digest"].as_str().unwrap().to_owned();
    scratch.run(&format!("apply --digest {digest}")).exit(4).says(["--allow-drops 4"]);
    assert!(platform.log().is_empty());
    let copy = scratch.state();
    scratch.run(&format!("apply --digest {digest} --allow-drops 4")).exit(0);
    let given = serde_json::json!([{ "flag": "allow-drops", "value": "4" }]);
    assert_eq!(scratch.ledger().of("run")[0].record["overrides"], given);

    scratch.write("larksub.state.jsonl", copy);
    scratch.run("apply plan.json").exit(0);
    assert_eq!(scratch.ledger().of("run")[0].record["overrides"], given);
}

#[test]
fn what_is_allowed_on_apply_adds_to_what_the_plan_allows() {
    let codes: Vec<String> = (1..=10).map(code).collect();
    let platform = Platform::start(&codes, &[]);
    let scratch = Scratch::tracking(&platform.url, &codes);
    scratch.write("larksub.toml", manifest(&platform.url, &codes[..6]));
    scratch.run("plan --out plan.json").exit(4);
    scratch.run("apply plan.json").exit(4);
    scratch.run("apply plan.json --allow-drops 4").exit(0).says(["4 unsubscribed"]);
}

#[test]
fn of_several_allowances_the_smallest_holds() {
    let codes: Vec<String> = (1..=10).map(code).collect();
    let platform = Platform::start(&codes, &[]);
    let scratch = Scratch::tracking(&platform.url, &codes);
    scratch.write("larksub.toml", manifest(&platform.url, &codes[..6]));
    scratch.run("plan --allow-drops 4 --out plan.json").exit(0);
    let state = scratch.state();
    let ran = scratch.run("apply plan.json --allow-drops 1");
    ran.exit(4)
        .says(["4 to drop, and --allow-drops allows 1", "of several --allow-drops the smallest holds"]);
    assert_eq!(scratch.state(), state);
    assert!(platform.log().is_empty());
    scratch.run("apply plan.json --allow-drops 9").exit(0).says(["4 unsubscribed"]);
}

#[test]
fn an_allowance_never_changes_the_digest() {
    let codes: Vec<String> = (1..=10).map(code).collect();
    let scratch = Scratch::tracking(URL, &codes);
    scratch.write("larksub.toml", manifest(URL, &codes[..6]));
    let digest = |args: &str| scratch.run(&format!("plan --format json {args}")).json()["digest"].clone();
    assert_eq!(digest(""), digest("--allow-drops 4"));
}

pub fn a_run_that_was_killed_is_finished_by_the_same_command() {
    let codes: Vec<String> = (1..=5).map(code).collect();
    // One is done and never answered, so the run cannot end before it is killed.
    let slow = format!("{}=slow:1", codes[2]);
    let platform = Platform::start(&codes, &["--latency", "100ms", "--fault", &slow]);
    let scratch = Scratch::dropping(&platform.url, &codes, &[]);
    scratch.run("plan --out plan.json").exit(0);
    let running = scratch.spawn("apply plan.json");
    let state = || scratch.text("larksub.state.jsonl");
    running.until("something is settled", || state().contains(r#""op":"outcome""#));
    running.until("the slow call arrives", || platform.calls().contains(&codes[2]));
    running.signal(Signal::KILL);
    assert_eq!(running.wait().status, None);
    let ledger = scratch.ledger();
    let settled = ledger.of("outcome").len();
    assert!(settled < codes.len() && ledger.of("end").is_empty());
    let in_flight: Vec<String> = codes
        .iter()
        .filter(|code| ledger.about("intent", code).len() == 1 && ledger.kinds(code).is_empty())
        .cloned()
        .collect();
    assert!(!in_flight.is_empty());
    let done: Vec<String> = platform.calls();
    scratch.run("plan").exit(0).says([&format!("Unknown ({})", in_flight.len())]);
    scratch.run("show").exit(0).says(["unknown since"]);

    scratch.run("apply plan.json").exit(0);
    let ledger = scratch.ledger();
    for code in &codes {
        assert_eq!(ledger.kinds(code), ["unsubscribed"], "{code}");
    }
    for code in in_flight.iter().filter(|code| done.contains(code)) {
        let outcome = ledger.outcome(code);
        assert_eq!(outcome["code"], 1390007);
        assert_eq!(outcome["reason"], "an earlier try of ours did it, and its answer was lost");
    }
    let runs = ledger.of("run");
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[0].record["plan_digest"], runs[1].record["plan_digest"]);
    let calls = platform.calls().len();
    scratch.run("apply plan.json").exit(0).says(["already applied"]);
    scratch.run("plan --detailed-exitcode").exit(0).says(["Nothing to drop"]);
    assert_eq!(platform.calls().len(), calls);
}

#[test]
fn a_run_that_was_interrupted_is_resumed_by_its_digest_even_when_labels_and_names_changed() {
    let codes: Vec<String> = (1..=4).map(code).collect();
    // The first call goes alone, and is answered a second after it arrived.
    let slow = format!("{}=slow:1", codes[0]);
    let platform = Platform::start(&codes, &["--fault", &slow, "--slow-seconds", "1"]);
    let scratch = Scratch::dropping(&platform.url, &codes, &[&codes[3]]);
    scratch.run("plan --out plan.json").exit(0);
    let digest = scratch.json("plan.json")["digest"].as_str().unwrap().to_owned();
    let running = scratch.spawn("apply plan.json");
    running.until("a call arrives", || !platform.calls().is_empty());
    running.signal(Signal::INT);
    running.wait().exit(130);
    let left = 3 - scratch.ledger().of("outcome").len();
    assert!(left > 0);
    let declared = manifest(&platform.url, &[&codes[3]]) + "name = \"New\"\n";
    scratch.write("larksub.toml", declared.replace("apps.hr", "apps.people"));
    scratch
        .run(&format!("apply --digest {digest}"))
        .exit(0)
        .says([&format!("{left} unsubscribed"), "2 updated"]);
    scratch.run("plan --detailed-exitcode").exit(0);
}

#[test]
fn a_resumed_plan_sends_again_what_failed_and_is_refused_once_something_else_is_planned() {
    let platform = Platform::start(&[code(1), code(2)], &["--fault", &format!("{}=not_found:2", code(1))]);
    let scratch = Scratch::dropping(&platform.url, &[code(1), code(2), code(3)], &[&code(3)]);
    scratch.run("plan --out plan.json").exit(0);
    scratch.run("apply plan.json").exit(3);
    scratch.run("apply plan.json").exit(3);
    let kept = scratch.text("larksub.toml");
    scratch.write("larksub.toml", manifest(&platform.url, &[] as &[&str]));
    scratch.run("apply plan.json").exit(4).says([&format!("+ drop hr/{}", code(3))]);
    scratch.write("larksub.toml", kept);
    scratch.run("apply plan.json").exit(0);
    assert_eq!(scratch.ledger().kinds(&code(1)), ["not_found", "not_found", "unsubscribed"]);
    assert_eq!(platform.calls().iter().filter(|call| **call == code(2)).count(), 1);
}

#[test]
fn a_plan_of_forgets_is_resumed_and_already_applied_like_any_other() {
    let scratch = Scratch::tracking(URL, &[code(1), code(2)]);
    let removed = format!("\n[[apps.hr.removed]]\napproval_code = \"{}\"\nforget = true\n", code(1));
    scratch.write("larksub.toml", manifest(URL, &[code(2)]) + &removed);
    scratch.unset("LARKSUB_APP_SECRET");
    scratch.run("plan --out plan.json").exit(0);
    scratch.run("apply plan.json").exit(0).says(["1 forgotten"]);
    let ledger = scratch.ledger();
    let forget = &ledger.of("forget")[0].record;
    assert_eq!(forget["run"], ledger.of("run")[0].record["run"]);
    scratch.run("apply plan.json").exit(0).says(["already applied"]);
    // Tracked again by hand and forgotten by hand, it is another story.
    scratch.run(&format!("import --app hr {}", code(1))).exit(0);
    scratch.run("apply plan.json").exit(4);
}

#[test]
fn show_of_a_plan_needs_no_state_and_warns_where_the_state_has_moved() {
    let scratch = Scratch::dropping(URL, &[code(1)], &[]);
    scratch.run("plan --out plan.json").exit(0);
    scratch.run("show plan.json").exit(0).never_says(["stale"]);
    scratch.run(&format!("import --app hr {}", code(2))).exit(0);
    scratch.run("show plan.json").exit(0).says(["stale"]);
    let printed = scratch.run("show plan.json --format json").stdout;
    assert_eq!(printed, scratch.text("plan.json"));
    let elsewhere = Scratch::new();
    elsewhere.write("plan.json", scratch.text("plan.json"));
    elsewhere.run("show plan.json").exit(0).says(["The one tracked subscription will be dropped"]);
}

#[test]
fn refusals_of_a_saved_plan_read_well() {
    let scratch = Scratch::dropping("https://feishu.example", &[code(1), code(2)], &[&code(2)]);
    scratch.run("plan --out plan.json").exit(0);
    scratch.begin_transcript();
    scratch.write("larksub.toml", manifest("https://feishu.example", &[code(1)]));
    scratch.run("apply plan.json").exit(4);
    scratch.run(&format!("apply --digest sha256:{}", "0".repeat(64))).exit(4);
    scratch.run("apply").exit(1);
    scratch.write("plan.json", scratch.text("plan.json").replace("hr", "fin"));
    scratch.run("apply plan.json").exit(4);
    scratch.transcript("stale");
}

#[test]
fn every_form_of_a_saved_plan_says_that_the_state_has_moved() {
    let scratch = Scratch::dropping(URL, &[code(1)], &[]);
    scratch.run("plan --out plan.json").exit(0);
    for format in ["text", "markdown", "gitlab", "github", "json"] {
        let ran = scratch.run(&format!("show plan.json --format {format}"));
        ran.exit(0).never_says(["stale", "warning"]);
    }
    scratch.run(&format!("import --app hr {}", code(2))).exit(0);
    let says =
        "stale: the plan was made from line 3, and the state has line 4 now; `apply` decides by the digest";
    for format in ["text", "markdown", "gitlab", "github", "json"] {
        let ran = scratch.run(&format!("show plan.json --format {format}"));
        assert_eq!(ran.exit(0).stderr, format!("warning: {says}\n"), "{format}");
    }
    let comment = scratch.run("show plan.json --format markdown").stdout;
    assert!(comment.lines().nth(2) == Some(&format!("**Warning: {says}.**")), "{comment}");
    let annotations = scratch.run("show plan.json --format github").stdout;
    assert!(annotations.starts_with(&format!("::warning title=larksub plan::{says}\n")), "{annotations}");
    assert_eq!(scratch.run("show plan.json --format json").stdout, scratch.text("plan.json"));
    // An older copy, and one that went another way.
    let state = scratch.text("larksub.state.jsonl");
    let first = state.lines().next().unwrap();
    scratch.write("larksub.state.jsonl", format!("{first}\n"));
    scratch.run("show plan.json").exit(0).says(["an older copy: it ends at line 1"]);
    for number in [3, 4] {
        scratch.run(&format!("import --app hr {}", code(number))).exit(0);
    }
    scratch.run("show plan.json").exit(0).says(["the state here went another way: its line 3"]);
}

#[test]
fn show_says_how_much_of_a_plan_is_applied() {
    let fault = format!("{}=not_found:1", code(2));
    let platform = Platform::start(&[code(1), code(2)], &["--fault", &fault]);
    let scratch = Scratch::dropping(&platform.url, &[code(1), code(2)], &[]);
    scratch.run("plan --out plan.json").exit(0);
    scratch.run("apply plan.json").exit(3);
    let partly = "partly applied: runs of this plan have done 1 of the 2 that it lists";
    scratch.run("show plan.json").exit(0).says([partly]);
    scratch.run("show plan.json --format markdown").exit(0).says([&format!("**Warning: {partly}")]);
    scratch.run("apply plan.json").exit(0);
    let wholly = "already applied: runs of this plan have done all that it lists";
    scratch
        .run("show plan.json --format github")
        .exit(0)
        .says([&format!("::warning title=larksub plan::{wholly}")]);
    // Tracked anew, it is another subscription than the one that was dropped.
    scratch.run(&format!("import --app hr {}", code(1))).exit(0);
    scratch.run("show plan.json").exit(0).says([partly]);
}

#[test]
fn what_was_allowed_stands_beside_every_outcome_of_its_run() {
    let codes: Vec<String> = (1..=10).map(code).collect();
    let platform = Platform::start(&codes, &[]);
    let scratch = Scratch::tracking(&platform.url, &codes);
    scratch.write("larksub.toml", manifest(&platform.url, &codes[..6]));
    scratch.run("plan --allow-drops 4 --out plan.json").exit(0);
    scratch.run("apply plan.json").exit(0).says(["4 unsubscribed.\n  allowed by name: --allow-drops 4\n"]);
    let given = serde_json::json!([{ "flag": "allow-drops", "value": "4" }]);
    let history = scratch.run("state history --format json").json();
    for entry in history["entries"].as_array().unwrap() {
        let is_of_a_run = entry.get("run").is_some();
        assert_eq!(entry.get("overrides"), is_of_a_run.then_some(&given), "{entry}");
    }
    let text = scratch.run("state history").stdout;
    let told = text.lines().filter(|line| line.contains("  with --allow-drops 4")).count();
    assert_eq!(told, 6, "the run, its four outcomes and its end: {text}");
    scratch.run(&format!("state history hr/{}", codes[9])).exit(0).says(["with --allow-drops 4"]);

    // What is allowed on apply adds to it, and the JSON report has both.
    scratch.write("larksub.toml", manifest(&platform.url, &codes[..1]));
    let ran = scratch.run("apply --auto-approve --allow-drops 5 --allow-misses hr --format json");
    let both = serde_json::json!([
        { "flag": "allow-drops", "value": "5" }, { "flag": "allow-misses", "value": "hr" },
    ]);
    assert_eq!(ran.exit(0).json()["overrides"], both);
    // Where nothing was allowed, nothing is said.
    scratch.write(
        "larksub.toml",
        "[policy]\nmax_drop_percent = 100\n".to_owned() + &manifest(&platform.url, &[] as &[&str]),
    );
    let ran = scratch.run("apply --auto-approve --format json");
    assert_eq!(ran.exit(0).json().get("overrides"), None);
}
