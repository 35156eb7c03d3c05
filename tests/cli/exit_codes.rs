//! The exit codes are an interface: each is reached here, with what is said beside it.

use std::fs::File;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use super::support::{Platform, Scratch, code, manifest};

#[test]
fn a_usage_error_is_1_because_2_means_changes() {
    let scratch = Scratch::new();
    for line in [
        "",
        "nonsense",
        "plan --nonsense",
        "plan extra",
        "import",
        "import --app hr",
        "import --app Hr CODE",
        "import --app hr not_a_code",
        "import --declared --file codes.txt",
        "apply --digest sha256:12",
        "apply plan.json --digest sha256:12",
        "apply --lock-timeout soon",
        "state",
        "state rm",
        "state rm hr/A",
        "state show hr",
        "plan --allow-drops many",
        "plan --color sometimes",
        "completions powerless",
        "-v -q plan",
    ] {
        let ran = scratch.run(line);
        ran.exit(1);
        assert!(ran.stdout.is_empty() && !ran.stderr.is_empty(), "{ran}");
    }
    assert!(scratch.names().is_empty());
}

#[test]
fn the_exit_codes_of_a_plan_are_0_2_and_4() {
    let scratch = Scratch::tracking("http://127.0.0.1:9", &[code(1), code(2)]);
    scratch.run("plan").exit(0);
    scratch.run("plan --detailed-exitcode").exit(0);
    scratch.write("larksub.toml", manifest("http://127.0.0.1:9", &[code(1)]));
    scratch.run("plan").exit(0);
    scratch.run("plan --detailed-exitcode").exit(2);
    scratch.run("plan --allow-drops 0").exit(4);
    scratch.run("plan --allow-drops 0 --detailed-exitcode").exit(4);
}

#[test]
fn metadata_alone_is_a_change_and_what_is_untracked_is_none() {
    let scratch = Scratch::tracking("http://127.0.0.1:9", &[code(1)]);
    let declared = manifest("http://127.0.0.1:9", &[code(1)]);
    scratch.write("larksub.toml", format!("{declared}name = \"New\"\n"));
    scratch.run("plan --detailed-exitcode").exit(2);
    scratch.write("larksub.toml", manifest("http://127.0.0.1:9", &[code(1), code(2)]));
    scratch.run("plan --detailed-exitcode").exit(0).says(["Declared and not tracked (1)"]);
}

#[test]
fn an_apply_whose_calls_did_not_all_succeed_ends_3() {
    for (fault, kind) in [("not_found", "not_found"), ("param", "failed")] {
        let platform = Platform::start(&[code(1)], &["--fault", &format!("{}={fault}", code(1))]);
        let scratch = Scratch::dropping(&platform.url, &[code(1)], &[]);
        scratch.run("apply --auto-approve").exit(3).says([kind, "Applied, not everything"]);
        assert_eq!(scratch.ledger().kinds(&code(1)), [kind]);
        scratch.run("plan --detailed-exitcode").exit(2).says([&format!("last try: {kind}")]);
    }
}

#[test]
fn a_locked_state_is_5_at_once_and_the_message_names_who_holds_it() {
    let scratch = Scratch::dropping("http://127.0.0.1:9", &[code(1), code(2)], &[]);
    let file = File::open(scratch.path("larksub.state.jsonl")).unwrap();
    file.try_lock().unwrap();
    let before = scratch.state();
    for line in [
        "apply --auto-approve",
        &format!("import --app hr {}", code(3)),
        &format!("state rm hr/{} --reason x", code(1)),
    ] {
        let ran = scratch.spawn(line).wait_at_most(Duration::from_secs(2));
        ran.exit(5).says(["is locked by another larksub command", "--lock-timeout"]);
    }
    // Readers need no lock.
    scratch.run("plan").exit(0);
    scratch.run("show").exit(0);
    scratch.run("state list").exit(0);
    assert_eq!(scratch.state(), before);
}

pub fn a_lock_that_is_freed_in_time_is_waited_for() {
    let scratch = Scratch::dropping("http://127.0.0.1:9", &[code(1)], &[]);
    let file = File::open(scratch.path("larksub.state.jsonl")).unwrap();
    file.try_lock().unwrap();
    let waiting = scratch.spawn("apply --auto-approve --lock-timeout 20s");
    std::thread::sleep(Duration::from_millis(100));
    drop(file);
    waiting.wait_at_most(Duration::from_secs(10)).exit(6).says(["no token for app `hr`"]);
}

#[test]
fn while_an_apply_runs_its_lock_names_it_and_ends_with_it() {
    let platform = Platform::start(&[code(1)], &["--latency", "2s"]);
    let scratch = Scratch::dropping(&platform.url, &[code(1)], &[]);
    scratch.set("USER", "jane");
    let running = scratch.spawn("apply --auto-approve");
    running
        .until("its intent is written", || scratch.text("larksub.state.jsonl").contains(r#""op":"intent""#));
    let refused = scratch.spawn("apply --auto-approve").wait_at_most(Duration::from_secs(2));
    refused.exit(5).says(["is locked by jane@", "(apply, process ", "), since "]);
    scratch.run("plan").exit(0).says(["Unknown (1)"]);
    running.signal(Signal::KILL);
    assert_eq!(running.wait().status, None);
    // Nobody unlocks by hand.
    scratch.run(&format!("import --app hr {}", code(2))).exit(0);
}

pub fn a_ci_job_that_holds_the_lock_is_named_by_its_page() {
    let platform = Platform::start(&[code(1)], &["--latency", "2s"]);
    let scratch = Scratch::dropping(&platform.url, &[code(1)], &[]);
    scratch.set("CI_JOB_URL", "https://ci.example/jobs/7").set("CI_COMMIT_SHA", "0123456789abcdef");
    let running = scratch.spawn("apply --auto-approve");
    running
        .until("its intent is written", || scratch.text("larksub.state.jsonl").contains(r#""op":"intent""#));
    let refused = scratch.run("apply --auto-approve");
    refused.exit(5).says(["is locked by https://ci.example/jobs/7 (0123456789ab)"]);
    running.wait().exit(0);
    assert_eq!(scratch.ledger().of("run")[0].record["by"]["ci_url"], "https://ci.example/jobs/7");
}

#[test]
fn a_wrong_secret_sends_nothing_at_all_and_is_6() {
    let platform = Platform::start(&[code(1)], &["--app", "cli_hr:right-secret"]);
    let scratch = Scratch::dropping(&platform.url, &[code(1)], &[]);
    let before = scratch.state();
    let ran = scratch.run("apply --auto-approve");
    ran.exit(6).says(["10014", "the credential was refused", "log id", "1 not sent"]);
    assert!(platform.calls().is_empty());
    assert_eq!(scratch.state(), before, "nothing was sent, so nothing is recorded");
    let report = scratch.run("apply --auto-approve --format json").exit(6).json();
    assert_eq!(report["exit_code"], 6);
    assert_eq!(report["pending"], serde_json::json!([format!("hr/{}", code(1))]));
    assert_eq!(report["stopped"][0]["reason"], "credential");
    scratch.set("LARKSUB_APP_SECRET", "right-secret");
    scratch.run("apply --auto-approve").exit(0);
}

#[test]
fn one_app_refused_sends_nothing_for_the_other_either() {
    let platform =
        Platform::start(&[code(1), code(2)], &["--app", "cli_hr:right-hr", "--app", "cli_fin:right-fin"]);
    let scratch = two_apps(&platform.url);
    scratch.set("LARKSUB_APP_SECRET_HR", "right-hr").set("LARKSUB_APP_SECRET_FIN", "wrong");
    scratch.run("apply --auto-approve").exit(6).says(["`fin`", "10014"]);
    assert!(platform.calls().is_empty());
}

/// Apps `hr` and `fin`, each with one drop.
fn two_apps(url: &str) -> Scratch {
    let scratch = Scratch::new();
    let manifest = |entries: [&str; 2]| {
        let [hr, fin] = entries;
        format!(
            "[apps.hr]\napp_id = \"cli_hr\"\nbase_url = \"{url}\"\n{hr}\n[apps.fin]\napp_id = \"cli_fin\"\nbase_url = \"{url}\"\n{fin}"
        )
    };
    let entry = |label: &str, number| {
        format!("[[apps.{label}.subscriptions]]\napproval_code = \"{}\"\n", code(number))
    };
    scratch.write("larksub.toml", manifest([&entry("hr", 1), &entry("fin", 2)]));
    scratch.run("init").exit(0);
    scratch.run("import --declared").exit(0);
    scratch.write("larksub.toml", manifest(["", ""]));
    scratch
}

#[test]
fn what_is_wrong_with_an_app_stops_that_app_and_the_other_goes_on() {
    for (fault, reason, words) in [
        ("scope", "scope", "the app lacks the scope"),
        ("ip", "ip", "IP allow list"),
        ("disabled", "app_disabled", "the app is disabled"),
    ] {
        let platform = Platform::start(&[code(1), code(2)], &["--fault", &format!("{}={fault}", code(2))]);
        let scratch = two_apps(&platform.url);
        scratch.set("LARKSUB_APP_SECRET_HR", "any").set("LARKSUB_APP_SECRET_FIN", "any");
        let ran = scratch.run("apply --auto-approve");
        ran.exit(6).says(["stopped: fin", words, "failed"]);
        let ledger = scratch.ledger();
        assert_eq!(ledger.kinds(&code(1)), ["unsubscribed"], "{fault}");
        assert_eq!(ledger.kinds(&code(2)), ["failed"], "{fault}");
        assert_eq!(ledger.ops().last().unwrap(), "end stopped");
        let report = scratch.run("apply --auto-approve --format json").exit(6).json();
        assert_eq!(report["stopped"][0]["reason"], reason);
    }
}

#[test]
fn what_is_wrong_with_a_tenant_stops_that_tenant_and_what_is_pending_is_named() {
    for (fault, reason) in [("uninstalled", "not_installed"), ("monthly", "monthly_cap")] {
        let codes: Vec<String> = (1..=4).map(code).collect();
        let listed: Vec<String> = codes
            .iter()
            .flat_map(|code| ["acme", "bolt"].map(|tenant| format!("cli_isv/{tenant}/{code}")))
            .collect();
        // Only acme has the first code, so the fault is acme's.
        let platform = Platform::start(&listed, &["--fault", &format!("{}={fault}", codes[0])]);
        let scratch = Scratch::new();
        let head =
            format!("[apps.isv]\napp_id = \"cli_isv\"\nbase_url = \"{}\"\nkind = \"store\"\n", platform.url);
        scratch.write("larksub.toml", &head);
        scratch.run("init").exit(0);
        scratch.run(&format!("import --app isv --tenant acme {}", codes.join(" "))).exit(0);
        scratch.run(&format!("import --app isv --tenant bolt {}", codes[1..].join(" "))).exit(0);
        scratch.set("LARKSUB_APP_SECRET", "any").set("LARKSUB_APP_TICKET", "any");
        let report = scratch.run("apply --auto-approve --format json").exit(6).json();
        assert_eq!(report["stopped"][0]["reason"], reason);
        assert_eq!(report["stopped"][0]["tenant_key"], "acme");
        assert_eq!(report["counts"]["unsubscribed"], 3, "bolt goes on: {report}");
        assert_eq!(report["counts"]["failed"], 1, "{report}");
        let pending: Vec<String> = codes[1..].iter().map(|code| format!("isv/acme/{code}")).collect();
        assert_eq!(report["pending"], serde_json::json!(pending));
        // What is pending has no record at all.
        let ledger = scratch.ledger();
        assert!(ledger.of("intent").iter().all(|entry| {
            entry.record["tenant_key"] == "bolt" || entry.record["approval_code"] == codes[0]
        }));
        assert_eq!(ledger.ops().last().unwrap(), "end stopped");
    }
}

#[test]
fn a_refused_ticket_stops_the_app_and_a_refused_tenant_only_itself() {
    let listed = [format!("cli_isv/acme/{}", code(1))];
    let platform = Platform::start(&listed, &["--app", "cli_isv:any-secret:right-ticket"]);
    let scratch = Scratch::new();
    let head =
        format!("[apps.isv]\napp_id = \"cli_isv\"\nbase_url = \"{}\"\nkind = \"store\"\n", platform.url);
    scratch.write("larksub.toml", &head);
    scratch.run("init").exit(0);
    scratch.run(&format!("import --app isv --tenant acme {}", code(1))).exit(0);
    scratch.set("LARKSUB_APP_SECRET", "any-secret").set("LARKSUB_APP_TICKET", "stale-ticket");
    scratch.run("apply --auto-approve").exit(6).says(["10012", "ticket"]);
    assert!(platform.calls().is_empty());
}

pub fn a_platform_that_cannot_be_reached_is_6_and_nothing_is_recorded() {
    let scratch = Scratch::dropping("http://127.0.0.1:9", &[code(1)], &[]);
    let before = scratch.state();
    scratch.run("apply --auto-approve").exit(6).says(["no token for app `hr` in 3 tries", "HTTPS_PROXY"]);
    assert_eq!(scratch.state(), before);
}

/// The program with its files limited to so many blocks of 512 bytes, as on a disk that is full.
fn limited(scratch: &Scratch, blocks: usize, line: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
    command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_larksub")]);
    command.args(line.split_whitespace());
    scratch.surround(&mut command);
    command
}

/// At every place where the disk may become full: the ledger stays readable, nothing is sent without a durable
/// intent, every outcome that could not be recorded is told, and the next run finishes.
#[test]
fn a_state_that_cannot_be_written_is_7_and_never_a_call_without_its_intent() {
    let codes: Vec<String> = (1..=3).map(code).collect();
    let mut ended = Vec::new();
    let (mut nothing_sent, mut told) = (false, false);
    for blocks in 1.. {
        let platform = Platform::start(&codes, &[]);
        let scratch = Scratch::dropping(&platform.url, &codes, &[]);
        let before = scratch.state();
        if blocks * 512 < before.len() {
            continue;
        }
        let line = "apply --auto-approve";
        let ran = scratch.start(line, limited(&scratch, blocks, line)).wait();
        ended.push(ran.status.unwrap());
        let calls = platform.calls();
        let after = scratch.state();
        assert!(after.starts_with(&before));
        let whole = after.iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
        let text = String::from_utf8(after[..whole].to_vec()).unwrap();
        let ledger = super::support::Ledger::read(&text);
        for called in &calls {
            assert_eq!(
                ledger.about("intent", called).len(),
                1,
                "{called} was sent without its intent\n{ran}"
            );
            let is_recorded = !ledger.kinds(called).is_empty();
            let is_told = ran.stderr.contains(&format!("unsubscribed         hr/{called}"));
            assert!(is_recorded != is_told, "{called} is recorded, or told as not recorded\n{ran}");
            told |= is_told;
        }
        nothing_sent |= calls.is_empty();
        if ran.status == Some(0) {
            break;
        }
        ran.exit(7).says(["cannot be written", "help:"]);
        scratch.run("plan").exit(0);
        // With room again the same command finishes; what was cut off is kept beside.
        let again = scratch.run("apply --auto-approve");
        again.exit(0);
        assert_eq!(
            scratch.names().iter().any(|name| name.contains(".tail-")),
            whole < after.len(),
            "{again}"
        );
        assert!(scratch.ledger().of("outcome").iter().all(|entry| entry.record["kind"] == "unsubscribed"));
        scratch.run("plan --detailed-exitcode").exit(0).says(["Nothing to drop"]);
    }
    assert!(ended.len() > 2 && ended.ends_with(&[7, 0]), "{ended:?}");
    assert!(nothing_sent && told, "the disk was full at different times: {ended:?}");
}

#[test]
fn an_init_that_cannot_be_written_leaves_nothing() {
    let scratch = Scratch::new();
    scratch.write("larksub.toml", manifest("http://127.0.0.1:9", &[code(1)]));
    let ran = scratch.start("init", limited(&scratch, 0, "init")).wait();
    ran.exit(7).says(["cannot be written"]);
    assert_eq!(scratch.names(), ["larksub.toml"]);
    scratch.run("--state nowhere/state.jsonl init").exit(7).says(["nowhere/state.jsonl"]);
}

#[test]
fn an_import_that_cannot_be_written_whole_imports_nothing() {
    let scratch = Scratch::new();
    scratch.write("larksub.toml", manifest("http://127.0.0.1:9", &[] as &[&str]));
    scratch.run("init").exit(0);
    let before = scratch.text("larksub.state.jsonl");
    let codes: Vec<String> = (1..=20).map(code).collect();
    let line = format!("import --app hr {}", codes.join(" "));
    let ran = scratch.start(&line, limited(&scratch, 4, &line)).wait();
    ran.exit(7);
    assert!(ran.stdout.is_empty(), "{ran}");
    assert!(scratch.text("larksub.state.jsonl").len() > before.len(), "some of it was written");
    scratch.run("state list").exit(0).says(["0 tracked subscriptions", "were never acknowledged"]);
    scratch.run(&line).exit(0).says(["20 imported", "it was moved to"]);
    assert_eq!(scratch.ledger().of("track").len(), 20);
}

pub fn ctrl_c_records_what_is_in_flight_and_ends_130() {
    interrupt(Signal::INT, 130);
}

pub fn sigterm_records_what_is_in_flight_and_ends_143() {
    interrupt(Signal::TERM, 143);
}

fn interrupt(signal: Signal, status: i32) {
    let codes: Vec<String> = (1..=20).map(code).collect();
    let platform = Platform::start(&codes, &["--latency", "700ms"]);
    let scratch = Scratch::dropping(&platform.url, &codes, &[]);
    scratch.run("plan --out plan.json").exit(0);
    let running = scratch.spawn("apply plan.json");
    let state = || scratch.text("larksub.state.jsonl");
    running.until("an intent is written", || state().contains(r#""op":"intent""#));
    running.signal(signal);
    let ran = running.wait_at_most(Duration::from_secs(5));
    ran.exit(status).says(["stopping: no new call", "Interrupted:", "not sent"]);
    let ledger = scratch.ledger();
    assert_eq!(ledger.ops().last().unwrap(), "end interrupted");
    assert_eq!(ledger.of("intent").len(), ledger.of("outcome").len(), "what was in flight was waited for");
    // Where the signal came before the intent was synced, nothing was sent.
    let is_right = |kind: &str, attempts: u64| (kind == "unsubscribed") == (attempts > 0);
    let outcomes = ledger.of("outcome");
    assert!(outcomes.iter().all(|entry| is_right(
        entry.record["kind"].as_str().unwrap(),
        entry.record["attempts"].as_u64().unwrap()
    )));
    assert!(ledger.of("intent").len() < codes.len());
}

pub fn a_call_that_outlasts_the_grace_is_unknown() {
    let platform = Platform::start(&[code(1), code(2)], &["--fault", "*=slow"]);
    let scratch = Scratch::dropping(&platform.url, &[code(1), code(2)], &[]);
    let running = scratch.spawn("apply --auto-approve");
    running.until("a call is sent", || !platform.calls().is_empty());
    running.signal(Signal::INT);
    let ran = running.wait_at_most(Duration::from_secs(9));
    ran.exit(130).says(["unknown", "interrupted before the answer came"]);
    let ledger = scratch.ledger();
    assert_eq!(ledger.kinds(&code(1)), ["unknown"]);
    assert_eq!(ledger.ops().last().unwrap(), "end interrupted");
    scratch.run("plan").exit(0).says(["Unknown (1)", "sent again, and counted as a drop"]);
}

pub fn a_second_signal_ends_at_once() {
    let platform = Platform::start(&[code(1)], &["--fault", "*=slow"]);
    let scratch = Scratch::dropping(&platform.url, &[code(1)], &[]);
    let running = scratch.spawn("apply --auto-approve");
    running.until("a call is sent", || !platform.calls().is_empty());
    running.signal(Signal::TERM);
    // Two signals of one kind at the same time are one.
    std::thread::sleep(Duration::from_millis(300));
    running.signal(Signal::TERM);
    running.wait_at_most(Duration::from_secs(2)).exit(143);
    let ledger = scratch.ledger();
    assert_eq!(ledger.of("intent").len(), 1);
    assert!(ledger.of("outcome").is_empty() && ledger.of("end").is_empty());
}

#[test]
fn a_signal_before_anything_was_sent_changes_nothing() {
    let platform = Platform::start(&[code(1)], &["--latency", "20s"]);
    let scratch = Scratch::dropping(&platform.url, &[code(1)], &[]);
    let before = scratch.state();
    let running = scratch.spawn("apply --auto-approve");
    running.until("it holds the lock", || {
        File::open(scratch.path("larksub.state.jsonl")).unwrap().try_lock().is_err()
    });
    std::thread::sleep(Duration::from_millis(100));
    running.signal(Signal::INT);
    running.wait_at_most(Duration::from_secs(4)).exit(130);
    assert_eq!(scratch.state(), before);
}
