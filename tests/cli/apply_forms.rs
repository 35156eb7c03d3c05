//! What an apply came to, in every form, printed and written: after runs, and where nothing was begun.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::support::{Answer, Platform, Ran, Scratch, code, gateway, manifest};

const ALL: &str = " --report text=a.txt --report json=a.json --report ndjson=a.ndjson --report markdown=a.md --report gitlab=a.gitlab.json --report github=a.log --report html=a.html";

fn events(text: &str) -> Vec<Value> {
    assert!(text.ends_with('\n'), "{text}");
    let validator =
        jsonschema::options().should_validate_formats(true).build(&larksub::schema::events()).unwrap();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for event in &events {
        let errors: Vec<String> = validator.iter_errors(event).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}\n{event:#}");
    }
    events
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

/// Three to drop: one goes, one is refused, one is not found.
fn mixed() -> (Platform, Scratch) {
    let fault = |number, what| format!("--fault={}={what}", code(number));
    let platform = Platform::start(&[code(1), code(2)], &[&fault(2, "param"), &fault(3, "not_found")]);
    let scratch = Scratch::dropping(&platform.url, &[code(1), code(2), code(3)], &[]);
    (platform, scratch)
}

#[test]
fn every_form_tells_what_a_run_came_to() {
    let (_platform, scratch) = mixed();
    scratch.write("outputs", "earlier=1\n");
    scratch.set("GITHUB_OUTPUT", &scratch.path("outputs").display().to_string());
    scratch.run("plan --out plan.json").exit(0);
    let ran = scratch.run(&format!("apply plan.json{ALL} --comment-key org/repo"));
    ran.exit(3);
    let digest = scratch.json("plan.json")["digest"].as_str().unwrap().to_owned();
    let run = scratch.json("a.json")["run"].as_str().unwrap().to_owned();
    let verdict = "1 of 3 dropped; 1 failed, 1 not found; exit 3.";
    let comment = scratch.text("a.md");
    assert!(comment.starts_with(&format!("### {verdict}\n")), "{comment}");
    assert!(
        comment.ends_with(&format!("<!-- larksub-apply key=org/repo digest={digest} run={run} -->\n")),
        "{comment}"
    );
    assert!(comment.contains("```sh\nlarksub apply plan.json\n```"), "{comment}");
    assert!(
        comment.find("#### Failed (1)").unwrap() < comment.find("<summary>Done (1)").unwrap(),
        "{comment}"
    );
    assert!(scratch.text("a.html").contains(&format!("<h1><bdi>{verdict}</bdi></h1>")));
    assert_eq!(scratch.text("a.gitlab.json"), "{\"create\":0,\"update\":0,\"delete\":1}\n");
    let outputs = scratch.text("outputs");
    for line in [
        "earlier=1",
        "dropped=1",
        "failed=1",
        "not_found=1",
        "unknown=0",
        "pending=0",
        "exit_code=3",
        &format!("digest={digest}"),
        &format!("run={run}"),
    ] {
        assert!(outputs.lines().any(|it| it == line), "{line}\n{outputs}");
    }
    let log = scratch.text("a.log");
    assert!(log.contains("::error title=failed::") && log.contains("::warning title=not found::"), "{log}");
    let text = scratch.text("a.txt");
    assert!(text.contains("\nApplied, not everything: 1 unsubscribed, 1 not found, 1 failed.\n"), "{text}");
    let document = scratch.json("a.json");
    assert_eq!(
        document["lanes"],
        json!([{"app": "hr", "rate_per_minute": 100, "calls": 3, "answers": 3, "busiest_minute": 3}])
    );
    assert!(document["outcomes"][0]["at"].is_string() && document["started_at"].is_string(), "{document}");
    let events = events(&scratch.text("a.ndjson"));
    assert_eq!(types(&events), ["planned", "started", "settled", "settled", "settled", "finished"]);
    let last = &events[5];
    assert_eq!(
        (&last["exit_code"], &last["plan_digest"], &last["run"]),
        (&json!(3), &json!(digest), &json!(run))
    );
    assert_eq!(last["counts"], document["counts"]);
    // Once all is settled the forms say so, too.
    let done = Scratch::tracking("http://127.0.0.1:9", &[code(1)]);
    done.run(&format!("apply{ALL}")).exit(0);
    assert!(done.text("a.md").starts_with("### Nothing to do; exit 0.\n"), "{}", done.text("a.md"));
}

#[test]
fn each_form_is_printed_too_and_alone_on_stdout() {
    let begins = [
        ("ndjson", "{\"format\":\"larksub.events\",\"version\":1,\"type\":\"planned\","),
        ("markdown", "### 1 of 3 dropped;"),
        ("gitlab", "{\"create\":0,\"update\":0,\"delete\":1}\n"),
        ("github", "::error title=failed::"),
        ("html", "<!doctype html>\n"),
        ("json", "{\n  \"format\": \"larksub.report\","),
    ];
    for (format, begin) in begins {
        let (_platform, scratch) = mixed();
        let ran = scratch.run(&format!("apply --auto-approve --format {format}"));
        ran.exit(3);
        assert!(ran.stdout.starts_with(begin), "{ran}");
    }
}

#[test]
fn what_is_not_begun_is_written_as_well() {
    let scratch = Scratch::dropping("http://127.0.0.1:9", &[code(1), code(2), code(3)], &[]);
    scratch.run("plan --out plan.json").exit(0);
    let state = scratch.state();
    let toml = scratch.text("larksub.toml");
    let is_told = |ran: &Ran, exit: i64, what: &str| {
        ran.exit(exit as i32);
        let comment = scratch.text("a.md");
        assert!(comment.starts_with("### Nothing was sent: "), "{comment}");
        assert!(scratch.text("a.html").contains("<h1><bdi>Nothing was sent: "));
        assert!(scratch.text("a.txt").starts_with("Nothing was sent: "));
        assert!(scratch.text("a.log").starts_with("::error title=larksub apply::Nothing was sent: "));
        assert_eq!(scratch.text("a.gitlab.json"), "{\"create\":0,\"update\":0,\"delete\":0}\n");
        assert_eq!(
            (&scratch.json("a.json")["exit_code"], &scratch.json("a.json")["how"]),
            (&json!(exit), &json!("not_begun"))
        );
        let events = events(&scratch.text("a.ndjson"));
        let [.., error, finished] = &events[..] else { panic!("{events:?}") };
        assert_eq!((&error["type"], &error["exit_code"]), (&json!("error"), &json!(exit)));
        assert_eq!((&finished["type"], &finished["exit_code"]), (&json!("finished"), &json!(exit)));
        for form in ["a.md", "a.html", "a.txt", "a.log", "a.json", "a.ndjson"] {
            assert!(scratch.text(form).contains(what), "{form} does not say {what}:\n{}", scratch.text(form));
        }
        assert_eq!(scratch.state(), state, "{what}");
    };
    // No secret, an unreadable plan, a manifest with a problem, a lock, another digest, a guard.
    scratch.unset("LARKSUB_APP_SECRET");
    is_told(&scratch.run(&format!("apply plan.json{ALL}")), 1, "LARKSUB_APP_SECRET");
    scratch.set("LARKSUB_APP_SECRET", "x");
    is_told(&scratch.run(&format!("apply none.json{ALL}")), 1, "none.json");
    scratch.write("larksub.toml", "[apps.hr]\nfoo = 1\n");
    is_told(&scratch.run(&format!("apply plan.json{ALL}")), 1, "problem");
    assert!(scratch.text("a.html").contains("foo = 1"));
    scratch.write("larksub.toml", &toml);
    let ledger = fs::File::open(scratch.path("larksub.state.jsonl")).unwrap();
    ledger.lock().unwrap();
    is_told(&scratch.run(&format!("apply plan.json{ALL}")), 5, "larksub");
    drop(ledger);
    scratch.write(
        "larksub.toml",
        toml.clone() + &format!("[[apps.hr.subscriptions]]\napproval_code = \"{}\"\n", code(2)),
    );
    is_told(&scratch.run(&format!("apply plan.json{ALL}")), 4, &code(2));
    scratch.write("larksub.toml", toml.replace("[policy]", "[policy]\nmax_drops = 1"));
    is_told(&scratch.run(&format!("apply{ALL}")), 4, "3 to drop, at most 1");
    let printed = scratch.run("apply --format ndjson");
    assert_eq!(types(&events(&printed.exit(4).stdout)), ["planned", "error", "finished"]);
}

#[test]
fn a_report_over_what_is_read_is_refused_before_anything_is_sent() {
    let platform = Platform::start(&[code(1)], &[]);
    let scratch = Scratch::dropping(&platform.url, &[code(1)], &[]);
    scratch.run("plan --out plan.json").exit(0);
    let (state, toml, plan) = (scratch.state(), scratch.text("larksub.toml"), scratch.text("plan.json"));
    std::os::unix::fs::symlink("larksub.state.jsonl", scratch.path("link")).unwrap();
    for reports in [
        "--report html=larksub.state.jsonl",
        "--report ndjson=larksub.state.jsonl",
        "--report ndjson=link",
        "--report markdown=./larksub.toml",
        "--report json=plan.json",
        "--report text=new --report html=./new",
        "--report text=none/new",
        "--report text=.",
    ] {
        scratch.run(&format!("apply plan.json {reports}")).exit(1);
        let now = (scratch.state(), scratch.text("larksub.toml"), scratch.text("plan.json"));
        assert!(now == (state.clone(), toml.clone(), plan.clone()), "{reports}");
    }
    assert!(platform.calls().is_empty() && !scratch.path("new").exists());
}

#[test]
fn a_report_that_cannot_be_written_is_said_and_the_ledger_is_right() {
    for (report, outputs) in
        [("html=/dev/full", "outputs"), ("ndjson=/dev/full", "outputs"), ("github=log", "/dev/full")]
    {
        let platform = Platform::start(&[code(1)], &[]);
        let scratch = Scratch::dropping(&platform.url, &[code(1)], &[]);
        let outputs = if outputs.starts_with('/') {
            outputs.into()
        } else {
            scratch.path(outputs).display().to_string()
        };
        scratch.set("GITHUB_OUTPUT", &outputs);
        let ran = scratch.run(&format!("apply --auto-approve --report {report}"));
        ran.exit(1).says(["cannot be written", "what was done is in the ledger"]);
        assert_eq!(scratch.ledger().kinds(&code(1)), ["unsubscribed"]);
    }
    // A worse exit code stays.
    let (_platform, scratch) = mixed();
    scratch.run("apply --auto-approve --report html=/dev/full").exit(3).says(["/dev/full cannot be written"]);
}

#[test]
fn a_reader_that_goes_away_does_not_end_the_run() {
    let (_platform, scratch) = mixed();
    let mut command = scratch.command("apply --auto-approve --format ndjson");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    command.stdout(writer);
    let running = scratch.start("apply --auto-approve --format ndjson", command);
    running.wait().exit(3);
    assert_eq!(scratch.ledger().of("outcome").len(), 3);
    assert_eq!(scratch.ledger().of("end").len(), 1);
}

#[test]
fn a_step_s_summary_is_added_to() {
    let scratch = Scratch::dropping("http://127.0.0.1:9", &[code(1)], &[]);
    scratch.write("summary.md", "# before\n");
    scratch.set("GITHUB_STEP_SUMMARY", &scratch.path("summary.md").display().to_string());
    scratch.run("plan --report markdown=summary.md").exit(0);
    scratch.unset("LARKSUB_APP_SECRET");
    scratch.run("apply --auto-approve --report markdown=summary.md").exit(1);
    let summary = scratch.text("summary.md");
    assert!(
        summary.starts_with("# before\n### The one tracked subscription will be dropped.\n"),
        "{summary}"
    );
    assert!(summary.contains("\n\n### Nothing was sent: "), "{summary}");
}

#[test]
fn a_run_that_is_ended_by_a_signal_ends_its_stream() {
    let codes: Vec<String> = (0..40).map(code).collect();
    let platform = Platform::start(&codes, &["--latency=300ms"]);
    let scratch = Scratch::dropping(&platform.url, &codes, &[]);
    let running = scratch.spawn("apply --auto-approve --report ndjson=a.ndjson");
    running.until("a call is settled", || {
        fs::read_to_string(scratch.path("a.ndjson")).is_ok_and(|text| text.contains("\"settled\""))
    });
    running.signal(Signal::TERM);
    running.wait().exit(143);
    let events = events(&scratch.text("a.ndjson"));
    let last = events.last().unwrap();
    assert_eq!(
        (&last["type"], &last["exit_code"], &last["how"]),
        (&json!("finished"), &json!(143), &json!("interrupted"))
    );
    // What the stream says is what the ledger holds.
    let settled = events.iter().filter(|event| event["type"] == "settled").count();
    assert_eq!(settled, scratch.ledger().of("outcome").len());
}

#[test]
fn what_the_platform_says_acts_nowhere() {
    let msg = "\u{1b}[2J::error::x\n##[error]y <script>alert(1)</script> | `z` \u{202e}";
    let answer = move |request: &super::support::Request| -> Answer {
        let body = match request.path.ends_with("/unsubscribe") {
            true => json!({"code": 1390001, "msg": msg, "error": {"log_id": msg, "troubleshooter": msg}}),
            false => json!({"code": 0, "msg": "ok", "tenant_access_token": "t-1", "expire": 7200}),
        };
        (
            if request.path.ends_with("/unsubscribe") { 400 } else { 200 },
            vec![("X-Tt-Logid", "<b>##[error]".into())],
            body.to_string(),
        )
    };
    let scratch = Scratch::dropping(&gateway(answer), &[code(1)], &[]);
    scratch.run(&format!("apply --auto-approve{ALL}")).exit(3);
    // The ledger keeps what it means; no form shows it raw.
    assert_eq!(scratch.ledger().outcome(&code(1))["msg"], msg);
    for form in ["a.txt", "a.json", "a.ndjson", "a.md", "a.log", "a.html"] {
        let text = scratch.text(form);
        assert!(!text.contains(['\u{1b}', '\u{202e}']) && !text.contains("##["), "{form}\n{text}");
        let is_command = |line: &str| line.starts_with("::") && form != "a.log";
        assert!(!text.lines().any(is_command), "{form}\n{text}");
    }
    assert!(!scratch.text("a.html").contains("<script") && !scratch.text("a.html").contains("<b>#"));
}

#[test]
fn a_refused_apply_names_its_guards_and_counts_once_and_a_command_that_helps() {
    let codes: Vec<String> = (1..=30).map(code).collect();
    let scratch = Scratch::tracking("http://127.0.0.1:9", &codes);
    let toml = scratch.text("larksub.toml");
    let none = "[policy]\nmax_drops = 2\nmax_drop_percent = 100\n\n[apps.hr]\napp_id = \"cli_hr\"\nbase_url = \"http://127.0.0.1:9\"\n";
    scratch.write("larksub.toml", none);
    scratch.run("plan --out plan.json").exit(4);
    let ran = scratch.run(&format!("apply plan.json{ALL}"));
    ran.exit(4);
    let title = "the plan is refused by max_drops, with 30 of 30 tracked to drop";
    assert!(ran.stderr.contains(&format!("error: {title}; nothing was sent\n")), "{ran}");
    let (comment, log) = (scratch.text("a.md"), scratch.text("a.log"));
    for text in [&comment, &log] {
        assert_eq!(text.to_lowercase().matches("nothing was sent").count(), 1, "{text}");
        assert!(text.replace('`', "").contains("max_drops: 30 to drop, at most 2"), "{text}");
    }
    assert!(comment.contains("```sh\nlarksub plan --out plan.json --allow-drops 30\n```"), "{comment}");
    assert_eq!(scratch.json("a.json")["error"]["title"], title);
    scratch.run("plan --out plan.json --allow-drops 30").exit(0);
    // A plan that is stale says what differs, with names.
    scratch.write("larksub.toml", toml.replace(&code(30), &code(31)) + "name = \"Leave\"\n");
    scratch.run(&format!("import --app hr {}", code(31))).exit(0);
    scratch.write("larksub.toml", none.replace("max_drops = 2", "max_drops = 99"));
    scratch.run(&format!("apply plan.json{ALL}")).exit(4);
    let comment = scratch.text("a.md");
    assert!(comment.contains(&format!("+ drop hr/{} Leave", code(31))), "{comment}");
    assert!(comment.contains("```sh\nlarksub plan --out plan.json --allow-drops 31\n```"), "{comment}");
    assert_eq!(comment.matches("othing was sent").count(), 1, "{comment}");
    // What no flag allows has no command that would be refused again.
    let protected =
        manifest("http://127.0.0.1:9", &codes).replace("approval_code", "protect = true\napproval_code");
    scratch.write("larksub.toml", protected);
    scratch.run(&format!("state rm hr/{} --reason gone", code(31))).exit(0);
    scratch.run("apply --auto-approve --allow-drops 9").exit(0);
    scratch.write("larksub.toml", none);
    scratch.run("plan").exit(4).says(["REFUSED by 2 guards"]);
    let ran = scratch.run(&format!("apply --auto-approve{ALL}"));
    ran.exit(4).says([
        "refused by protected, max_drops",
        "protected: and 20 more; `larksub plan --full` lists them",
    ]);
    assert_eq!(ran.stderr.matches("two reviews for one loss").count(), 1, "{ran}");
    assert!(!scratch.text("a.md").contains("To go on:\n\n```"), "{}", scratch.text("a.md"));
}

#[test]
fn the_comment_of_a_locked_state_can_be_found_again() {
    let scratch = Scratch::dropping("http://127.0.0.1:9", &[code(1)], &[]);
    scratch.run("plan --out plan.json").exit(0);
    let lineage = scratch.json("plan.json")["facts"]["lineage"].as_str().unwrap().to_owned();
    let file = fs::File::open(scratch.path("larksub.state.jsonl")).unwrap();
    file.lock().unwrap();
    for (command, key) in [
        ("apply plan.json", lineage.as_str()),
        ("apply --auto-approve", lineage.as_str()),
        ("apply plan.json --comment-key org/repo", "org/repo"),
    ] {
        let ran = scratch.run(&format!("{command} --format markdown"));
        ran.exit(5);
        assert!(ran.stdout.contains(&format!("<!-- larksub-apply key={key}")), "{ran}");
    }
}

#[test]
fn what_has_scrolled_away_is_told_again_beneath_the_summary() {
    let (_platform, scratch) = mixed();
    let ran = scratch.run("apply --auto-approve");
    ran.exit(3);
    let (_, end) = ran.stdout.split_once("Applied, not everything:").unwrap();
    for number in [2, 3] {
        assert!(end.contains(&format!("\n    - hr/{}", code(number))), "{ran}");
    }
    assert!(!end.contains(&code(1)), "{ran}");
    // Twenty at most.
    let codes: Vec<String> = (1..=25).map(code).collect();
    let faults: Vec<String> = codes.iter().map(|code| format!("--fault={code}=not_found")).collect();
    let faults: Vec<&str> = faults.iter().map(String::as_str).collect();
    let platform = Platform::start(&codes, &faults);
    let scratch = Scratch::dropping(&platform.url, &codes, &[]);
    let ran = scratch.run("apply --auto-approve");
    ran.exit(3);
    let (_, end) = ran.stdout.split_once("Applied, not everything:").unwrap();
    assert_eq!(end.matches("    - hr/").count(), 20, "{ran}");
    assert!(end.contains("… and 5 more; `larksub state history` has them all"), "{ran}");
}
