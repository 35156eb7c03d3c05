//! Every way in which the platform, or what stands before it, can answer: what becomes of the call.

use std::thread::scope;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::support::{Platform, Scratch, code, manifest};

const OURS: &str = "an earlier try of ours did it, and its answer was lost";

/// Faults of one call, and what becomes of it: exit status, outcome, tries, the platform's code, our words.
type Case = (&'static [&'static str], i32, &'static str, u64, Option<i64>, Option<&'static str>);

const CASES: &[Case] = &[
    (&[], 0, "unsubscribed", 1, Some(0), None),
    // The platform says what it means.
    (&["not_found"], 3, "not_found", 1, Some(1390002), None),
    (&["param"], 3, "failed", 1, Some(1390001), None),
    (&["already"], 0, "already_unsubscribed", 1, Some(1390007), None),
    // It asks for another try.
    (&["rate_limit:1"], 0, "unsubscribed", 2, Some(0), None),
    (&["rate_limit_400:1"], 0, "unsubscribed", 2, Some(0), None),
    (&["token:1"], 0, "unsubscribed", 2, Some(0), None),
    // No verdict, and nothing was done.
    (&["service_error:1"], 0, "unsubscribed", 2, Some(0), None),
    (&["5xx:1"], 0, "unsubscribed", 2, Some(0), None),
    (&["html:1"], 0, "unsubscribed", 2, Some(0), None),
    (&["redirect:1"], 0, "unsubscribed", 2, Some(0), None),
    (&["reset:1"], 0, "unsubscribed", 2, Some(0), None),
    (&["5xx:1", "reset:1"], 0, "unsubscribed", 3, Some(0), None),
    (&["html:1", "not_found:1"], 3, "not_found", 2, Some(1390002), None),
    // It was done, and nobody told us: the next try finds it gone, and it was us.
    (&["lost:1"], 0, "unsubscribed", 2, Some(1390007), Some(OURS)),
    (&["cut:1"], 0, "unsubscribed", 2, Some(1390007), Some(OURS)),
    (&["empty:1"], 0, "unsubscribed", 2, Some(1390007), Some(OURS)),
    (&["string_code:1"], 0, "unsubscribed", 2, Some(1390007), Some(OURS)),
    (&["huge:1"], 0, "unsubscribed", 2, Some(1390007), Some(OURS)),
    (&["service_error:1", "already:1"], 0, "unsubscribed", 2, Some(1390007), Some(OURS)),
    // A rate limit is no lost try.
    (&["rate_limit:1", "already:1"], 0, "already_unsubscribed", 2, Some(1390007), None),
    // It was done, and a refusal of the next try does not undo it.
    (
        &["lost:1", "param:1"],
        3,
        "unknown",
        2,
        Some(1390001),
        Some("an earlier try got no answer, so it may be gone"),
    ),
    // Without a verdict to the end.
    (&["service_error"], 3, "unknown", 4, Some(1395001), Some("the approval service failed (code 1395001)")),
    (
        &["redirect"],
        3,
        "unknown",
        4,
        None,
        Some("the answer is not what the platform documents: it is a redirect"),
    ),
];

pub fn a_fault_becomes_the_outcome_that_is_true() {
    scope(|scope| {
        for case in CASES {
            scope.spawn(move || check(case));
        }
    });
}

fn check((faults, status, kind, tries, answered, reason): &Case) {
    let mut args = Vec::new();
    for fault in *faults {
        args.extend(["--fault".to_owned(), format!("{}={fault}", code(1))]);
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let platform = Platform::start(&[code(1), code(2)], &args);
    let scratch = Scratch::dropping(&platform.url, &[code(1), code(2)], &[]);
    let ran = scratch.run("apply --auto-approve");
    ran.exit(*status);
    let ledger = scratch.ledger();
    let outcome = ledger.outcome(&code(1));
    assert_eq!(outcome["kind"], *kind, "{faults:?}\n{ran}");
    assert_eq!(outcome["attempts"], *tries, "{faults:?}\n{ran}");
    assert_eq!(outcome["code"].as_i64(), *answered, "{faults:?}\n{ran}");
    assert_eq!(outcome["reason"].as_str(), *reason, "{faults:?}\n{ran}");
    assert_eq!(ledger.about("intent", &code(1)).len(), 1, "one intent covers all tries");
    assert_eq!(ledger.kinds(&code(2)), ["unsubscribed"], "the others go on: {faults:?}");
    assert_eq!(ledger.ops().last().unwrap(), "end done");
    let line = ran.stdout.lines().find(|line| line.starts_with(&format!("{kind} ")));
    assert!(line.is_some_and(|line| line.contains(&code(1))), "{ran}");
    let sent = platform.calls().iter().filter(|call| **call == code(1)).count();
    assert_eq!(sent as u64, *tries, "{faults:?}");
    if *status == 0 {
        scratch.run("plan --detailed-exitcode").exit(0);
    } else {
        // What is not done stays in the plan, and is sent again.
        let says = if *kind == "unknown" { "Unknown (1)" } else { "last try: " };
        scratch.run("plan --detailed-exitcode").exit(2).says([says]);
    }
}

pub fn five_calls_in_a_row_without_a_verdict_stop_the_app() {
    let codes: Vec<String> = (1..=8).map(code).collect();
    let platform = Platform::start(&codes, &["--fault", "*=5xx"]);
    let scratch = Scratch::dropping(&platform.url, &codes, &[]);
    let report = scratch.run("apply --auto-approve --format json").exit(6).json();
    assert_eq!(report["stopped"][0]["reason"], "unknowns");
    let unknown = report["counts"]["unknown"].as_u64().unwrap();
    assert!((5..=7).contains(&unknown), "{report}");
    let pending = report["pending"].as_array().unwrap().len() as u64;
    assert_eq!(unknown + pending, 8);
    let ledger = scratch.ledger();
    assert!(ledger.of("outcome").iter().all(|entry| entry.record["kind"] == "unknown"));
    assert_eq!(ledger.ops().last().unwrap(), "end stopped");
    assert_eq!(ledger.of("intent").len() as u64, unknown, "what is pending has no intent");
}

#[test]
fn a_token_that_is_refused_twice_stops_the_app() {
    let platform = Platform::start(&[code(1), code(2)], &["--fault", "*=token"]);
    let scratch = Scratch::dropping(&platform.url, &[code(1), code(2)], &[]);
    let ran = scratch.run("apply --auto-approve");
    ran.exit(6).says(["a new token was refused as well", "1 not sent"]);
    assert_eq!(scratch.ledger().kinds(&code(1)), ["failed"]);
}

pub fn ten_rate_limits_in_a_row_stop_the_tenant() {
    let platform = Platform::start(&[code(1), code(2)], &["--fault", "*=rate_limit"]);
    let scratch = Scratch::dropping(&platform.url, &[code(1), code(2)], &[]);
    let ran = scratch.run("apply --auto-approve");
    ran.exit(6).says(["10 rate limits in a row", "the platform's rate limit; nothing is sent for 1 s"]);
    let ledger = scratch.ledger();
    assert_eq!(ledger.kinds(&code(1)), ["failed"], "a call that was rate limited was not taken");
    assert_eq!(platform.calls().len(), 10);
    assert_eq!(ledger.ops().last().unwrap(), "end stopped");
}

#[test]
fn a_signal_while_waiting_after_a_rate_limit_leaves_nothing_unknown() {
    let platform = Platform::start(&[code(1)], &["--fault", "*=rate_limit"]);
    let scratch = Scratch::dropping(&platform.url, &[code(1)], &[]);
    let running = scratch.spawn("apply --auto-approve");
    running.until("a call is refused", || !platform.calls().is_empty());
    running.signal(Signal::INT);
    running.wait_at_most(Duration::from_secs(3)).exit(130);
    assert_eq!(scratch.ledger().kinds(&code(1)), ["failed"]);
    scratch.run("plan").exit(0).never_says(["Unknown"]);
}

pub fn a_quota_is_kept_and_a_pause_is_said() {
    let codes: Vec<String> = (1..=6).map(code).collect();
    let platform = Platform::start(&codes, &["--limit", "4", "--window-seconds", "2"]);
    let scratch = Scratch::dropping(&platform.url, &codes, &[]);
    scratch.run("apply --auto-approve").exit(0).says(["6 unsubscribed", "nothing is sent for"]);
}

/// A state in which a call was sent and nobody can say what became of it.
fn unknown(platform: &Platform) -> Scratch {
    let scratch = Scratch::dropping(&platform.url, &[code(1), code(2)], &[&code(2)]);
    let running = scratch.spawn("apply --auto-approve");
    let state = || scratch.text("larksub.state.jsonl");
    running.until("an intent is written", || state().contains(r#""op":"intent""#));
    running.signal(Signal::KILL);
    running.wait();
    scratch
}

/// A manifest in which what is unknown is declared again.
fn declared_again(url: &str) -> String {
    manifest(url, &[code(1), code(2)])
}

#[test]
fn an_unknown_that_is_declared_again_is_never_sent_and_every_apply_ends_3() {
    let platform = Platform::start(&[code(1), code(2)], &["--latency", "1s"]);
    let scratch = unknown(&platform);
    scratch.write("larksub.toml", declared_again(&platform.url));
    let key = format!("hr/{}", code(1));
    for command in ["plan", "plan --detailed-exitcode"] {
        scratch.run(command).exit(0).says([
            "1 unknown to settle by hand",
            "declared again, so it is not sent",
            &format!("larksub import --app hr {}", code(1)),
            &format!("larksub state rm {key}"),
        ]);
    }
    let before = scratch.state();
    let report = scratch.run("apply --auto-approve --format json").exit(3).json();
    assert_eq!((&report["counts"]["unsettled"], &report["exit_code"]), (&1.into(), &3.into()));
    scratch.run("apply --auto-approve").exit(3).says([&key]);
    assert_eq!(scratch.state(), before, "nothing to do is nothing to record");
    let with_name = declared_again(&platform.url) + "name = \"Leave\"\n";
    scratch.write("larksub.toml", with_name);
    scratch.run("apply --auto-approve").exit(3).says(["1 updated", "declared again and never sent"]);

    // It lives.
    let copy = scratch.state();
    scratch
        .run("import --declared")
        .exit(0)
        .says(["to be named as CODE", "unknown: name it as CODE if it lives"]);
    scratch.run(&format!("import --app hr {}", code(1))).exit(0).says(["1 imported"]);
    scratch.run("apply --auto-approve").exit(0);
    // Or it is gone.
    scratch.write("larksub.state.jsonl", copy);
    scratch.run(&format!("state rm {key} --reason \"looked it up\"")).exit(0);
    scratch.run("apply --auto-approve").exit(0).says(["forgotten "]);
}

pub fn an_unknown_counts_as_a_drop_and_is_settled_by_the_next_apply() {
    let platform = Platform::start(&[code(1), code(2)], &["--latency", "2s"]);
    let scratch = unknown(&platform);
    let text = scratch.text("larksub.toml");
    scratch.write("larksub.toml", text.replace("max_drop_percent = 100", "max_drops = 0"));
    scratch.run("plan").exit(4).says(["1 to drop, at most 0", "Unknown (1)"]);
    scratch.write("larksub.toml", &text);
    scratch.run("plan --detailed-exitcode").exit(2).says(["1 call, "]);
    scratch.run("apply --auto-approve").exit(0);
    assert_eq!(scratch.ledger().kinds(&code(1)), ["unsubscribed"]);
    scratch.run("plan --detailed-exitcode").exit(0).never_says(["Unknown"]);
}

#[test]
fn an_unknown_is_settled_by_a_forget_without_a_call() {
    let platform = Platform::start(&[code(1), code(2)], &["--latency", "1s"]);
    let scratch = unknown(&platform);
    let text = scratch.text("larksub.toml");
    let removed = format!("\n[[apps.hr.removed]]\napproval_code = \"{}\"\nforget = true\n", code(1));
    scratch.write("larksub.toml", text + &removed);
    scratch.unset("LARKSUB_APP_SECRET");
    scratch.run("apply --auto-approve").exit(0).says(["1 forgotten"]);
    scratch.run("plan --detailed-exitcode").exit(0);
}

pub fn an_unknown_stays_open_across_a_later_failure() {
    let platform = Platform::start(
        &[code(1), code(2)],
        &["--latency", "2s", "--fault", &format!("{}=param:1", code(1))],
    );
    let scratch = unknown(&platform);
    let found: Vec<String> = platform.calls();
    scratch.run("apply --auto-approve");
    let kinds: Vec<String> = scratch.ledger().kinds(&code(1)).iter().map(ToString::to_string).collect();
    if found.is_empty() && kinds == ["failed"] {
        scratch.run("plan").exit(0).says(["Unknown (1)"]);
        let shown = scratch.run(&format!("state show hr/{} --format json", code(1))).json();
        assert_ne!(shown["open_intent"], Value::Null);
    }
    scratch.run("apply --auto-approve").exit(0);
}
