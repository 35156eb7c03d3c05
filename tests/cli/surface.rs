//! What meets the eye: help, completions, colour, streams, paths.

use std::io::Read as _;
use std::process::Stdio;

use super::support::{Platform, Scratch, code, manifest};

const URL: &str = "http://127.0.0.1:9";

#[test]
fn every_command_has_help_with_examples() {
    let scratch = Scratch::new();
    let top = scratch.run("--help");
    top.exit(0).says(["Examples:", "Exit codes: 0 done"]);
    let listed = top.stdout.split("Commands:").nth(1).unwrap().split("\n\n").next().unwrap().to_owned();
    let commands: Vec<&str> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(commands.len() >= 9, "{commands:?}");
    for command in commands {
        let help = scratch.run(&format!("{command} --help"));
        help.exit(0);
        assert!(help.stderr.is_empty(), "{help}");
        assert!(command == "state" || help.stdout.contains("Examples:"), "{help}");
        scratch.run(&format!("{command} -h")).exit(0);
    }
    for command in ["list", "show", "rm"] {
        scratch.run(&format!("state {command} --help")).exit(0);
    }
    scratch.run("--version").exit(0).says(["larksub "]);
    assert!(scratch.names().is_empty(), "help touches nothing");
}

#[test]
fn completions_of_each_shell_name_every_command() {
    let scratch = Scratch::new();
    for shell in ["bash", "zsh", "fish"] {
        let ran = scratch.run(&format!("completions {shell}"));
        ran.exit(0);
        assert!(ran.stderr.is_empty(), "{ran}");
        for word in ["larksub", "import", "apply", "allow-drops", "sandbox", "lock-timeout"] {
            assert!(ran.stdout.contains(word), "{word}: {ran}");
        }
    }
    let script = scratch.run("completions bash").stdout;
    scratch.write("larksub.bash", script);
    let mut bash = std::process::Command::new("/bin/bash");
    bash.args(["-n", "larksub.bash"]);
    scratch.surround(&mut bash);
    if let Ok(output) = bash.output() {
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
fn colour_is_for_terminals_or_on_request() {
    let scratch = Scratch::dropping(URL, &[code(1)], &[]);
    let is_coloured = |line: &str| {
        let ran = scratch.run(line);
        ran.stdout.contains('\u{1b}') || ran.stderr.contains('\u{1b}')
    };
    for line in
        ["plan", "plan --format diff", "state list", "--state nowhere plan", "validate", "nonsense", "--help"]
    {
        assert!(!is_coloured(line), "{line}");
        assert!(!is_coloured(&format!("--color never {line}")), "{line}");
    }
    for line in ["plan", "plan --format diff", "--state nowhere plan"] {
        assert!(is_coloured(&format!("--color always {line}")), "{line}");
    }
    scratch.set("NO_COLOR", "1");
    assert!(!is_coloured("plan"));
    // What a person asks for on the command line comes before what the environment says.
    assert!(is_coloured("--color always plan"));
    for line in ["plan --format json", "plan --out plan.json"] {
        assert!(
            !scratch.run(&format!("--color always {line}")).stdout.contains("\u{1b}[")
                || line.contains("--out")
        );
    }
    assert!(!scratch.text("plan.json").contains('\u{1b}'), "a saved plan is never coloured");
}

#[test]
fn without_a_terminal_an_apply_needs_plan_digest_or_auto_approve() {
    let scratch = Scratch::dropping(URL, &[code(1)], &[]);
    let before = scratch.state();
    let ran = scratch.run("apply");
    ran.exit(1).says(["there is no terminal to ask at", "--digest", "--auto-approve", "will be dropped"]);
    scratch.run_fed("apply", b"yes\n").exit(1);
    assert_eq!(scratch.state(), before);
    // Nothing to do is nothing to ask.
    scratch.write("larksub.toml", manifest(URL, &[code(1)]));
    scratch.run("apply").exit(0).says(["Nothing to drop"]);
}

#[test]
fn a_reader_that_goes_away_is_no_panic_and_no_failure() {
    let codes: Vec<String> = (1..=3000).map(code).collect();
    let scratch = Scratch::dropping(URL, &codes, &[]);
    for line in [
        "plan",
        "plan --format diff",
        "plan --format json",
        "state list",
        "show --format json",
        "completions bash",
        "--help",
    ] {
        let mut command = scratch.command(line);
        command.stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut first = [0; 16];
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut first).unwrap();
        drop(stdout);
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!stderr.contains("panicked"), "{line}: {stderr}");
        assert!(output.status.success(), "{line}: {:?} {stderr}", output.status);
    }
}

#[test]
fn closed_streams_are_no_panic() {
    let scratch = Scratch::dropping(URL, &[code(1)], &[]);
    for line in ["plan", "plan nonsense", "state list", "--state nowhere plan", "--help"] {
        for redirect in [">&-", "2>&-", "<&-", ">&- 2>&- <&-"] {
            let script = format!("exec {} {line} {redirect}", env!("CARGO_BIN_EXE_larksub"));
            let mut command = std::process::Command::new("/bin/sh");
            command.args(["-c", &script]);
            scratch.surround(&mut command);
            let ran = scratch.start(&format!("{line} {redirect}"), command).wait();
            assert!(matches!(ran.status, Some(0 | 1)), "{ran}");
            assert!(!ran.stderr.contains("panicked"), "{ran}");
        }
    }
    // A result that cannot be written is an error; a full disk is not a reader that has gone.
    let script = format!("exec {} plan > /dev/full", env!("CARGO_BIN_EXE_larksub"));
    let mut command = std::process::Command::new("/bin/sh");
    command.args(["-c", &script]);
    scratch.surround(&mut command);
    scratch.start("plan > /dev/full", command).wait().exit(1).says(["cannot be written to stdout"]);
}

#[test]
fn an_apply_whose_output_nobody_reads_does_its_work() {
    let codes: Vec<String> = (1..=3).map(code).collect();
    let platform = Platform::start(&codes, &["--latency", "50ms"]);
    let scratch = Scratch::dropping(&platform.url, &codes, &[]);
    let mut command = scratch.command("apply --auto-approve");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    drop(child.stderr.take());
    assert!(child.wait().unwrap().success());
    assert_eq!(scratch.ledger().of("outcome").len(), 3);
    assert_eq!(scratch.ledger().ops().last().unwrap(), "end done");
}

#[test]
fn quiet_says_only_results_and_errors() {
    let scratch = Scratch::dropping(URL, &[code(1)], &[]);
    let ran = scratch.run("-q plan --out plan.json");
    ran.exit(0);
    assert!(ran.stderr.is_empty() && !ran.stdout.is_empty(), "{ran}");
    let ran = scratch.run("-q --state nowhere plan");
    ran.exit(1).says(["error: there is no state"]);
    let ran = scratch.run("-v plan");
    assert!(
        ran.stderr.contains("manifest: larksub.toml") && ran.stderr.contains("state: larksub.state.jsonl"),
        "{ran}"
    );
}

#[test]
fn json_is_the_only_thing_on_stdout() {
    let platform = Platform::start(&[code(1)], &[]);
    let scratch = Scratch::dropping(&platform.url, &[code(1)], &[]);
    for line in ["plan --format json", "show --format json", "state list --format json"] {
        scratch.run(line).exit(0).json();
    }
    let report = scratch.run("apply --auto-approve --format json").exit(0).json();
    assert_eq!((&report["format"], &report["how"]), (&"larksub.report".into(), &"done".into()));
    assert_eq!(report["outcomes"][0]["kind"], "unsubscribed");
    assert!(report["run"].is_string() && report["outcomes"][0]["log_id"].is_string());
    let again = scratch.run("apply --auto-approve --format json").exit(0).json();
    assert_eq!(again["counts"]["unsubscribed"], 0);
}

#[test]
fn paths_are_from_the_folder_of_c_and_the_state_stands_beside_the_manifest() {
    let scratch = Scratch::new();
    scratch.write("deploy/larksub.toml", manifest(URL, &[code(1)]));
    scratch.run("-C deploy init").exit(0);
    scratch.run("-C deploy import --declared").exit(0);
    scratch.run("--manifest deploy/larksub.toml plan").exit(0).says(["the one tracked subscription"]);
    scratch.run("-C deploy plan --out plan.json").exit(0);
    assert!(scratch.path("deploy/larksub.state.jsonl").exists());

    std::fs::rename(scratch.path("deploy/larksub.state.jsonl"), scratch.path("elsewhere.jsonl")).unwrap();
    scratch.run("-C deploy plan").exit(1);
    scratch.run("-C deploy --state ../elsewhere.jsonl plan").exit(0);
    scratch.set("LARKSUB_STATE", "../elsewhere.jsonl");
    scratch.run("-C deploy plan").exit(0);
    scratch.set("LARKSUB_STATE", "nowhere.jsonl");
    scratch.run("-C deploy --state ../elsewhere.jsonl plan").exit(0);
    scratch.run("-C deploy plan").exit(1).says(["nowhere.jsonl"]);
    scratch.run("-C nowhere plan").exit(1).says(["nowhere"]);
}

#[test]
fn every_path_of_a_command_is_from_the_folder_of_c() {
    let scratch = Scratch::new();
    scratch.write("deploy/larksub.toml", manifest(URL, &[] as &[&str]));
    scratch.write("deploy/codes.txt", code(1));
    scratch.run("-C deploy init").exit(0);
    scratch.run("-C deploy import --app hr --file codes.txt").exit(0);
    scratch.run("-C deploy plan --out plan.json").exit(0);
    assert!(scratch.path("deploy/plan.json").exists() && !scratch.path("plan.json").exists());
    scratch.run("-C deploy show plan.json").exit(0);
    scratch.run("-C deploy apply plan.json").exit(1).says(["no credential"]);
    scratch.write("deploy/secret.txt", "");
    scratch.set("LARKSUB_APP_SECRET_FILE", "secret.txt");
    scratch.run("-C deploy apply plan.json").exit(1).says(["it is empty"]);
}

#[test]
fn an_empty_state_variable_never_means_another_state() {
    let scratch = Scratch::tracking(URL, &[code(1)]);
    scratch.set("LARKSUB_STATE", "");
    scratch.run("plan").exit(1).says(["--state or LARKSUB_STATE"]);
}
