//! What stops the workflows of GitHub before something is lost, or approved by nobody.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use larksub::sandbox::Config;
use serde_json::json;

use crate::forge::{Forge, code, git};
use crate::workflow::Soundness::{Failure, Success};
use crate::workflow::yaml;

#[test]
fn where_the_ledger_cannot_be_pushed_nothing_is_sent() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let pull = forge.removing(&[3]);
    forge.merge(pull);
    let run = forge.begin();
    let before = forge.ledger("larksub-state");
    forge.refuse_pushes();
    let job = run.approve().ends(Failure).exits("Can the ledger be kept?", 1).says(["Nothing was sent"]);
    let job = job.skips("Apply").exits("Keep the ledger", 0);
    assert!(forge.calls().is_empty() && forge.ledger("larksub-state") == before, "{job}");
    assert_eq!((job.outputs["stale"].as_str(), forge.dispatched()), ("", 0), "{job}");

    fs::remove_file(forge.remote().join("hooks/pre-receive")).unwrap();
    run.approve().ends(Success);
    assert_eq!(forge.calls(), [code(3)], "the same job, started again");
}

#[test]
fn a_ledger_that_somebody_wrote_since_the_job_read_it_stops_the_apply() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let pull = forge.removing(&[3]);
    forge.merge(pull);
    let run = forge.begin();
    let desk = forge.desk();
    git(&desk, &["fetch", "--quiet", "origin", "larksub-state"]);
    git(&desk, &["checkout", "--quiet", "FETCH_HEAD"]);
    fs::write(desk.join("larksub.toml"), forge.manifest(&[])).unwrap();
    forge.larksub(&desk, &["import", "--app", "hr", "NEWCOMER"]);
    git(&desk, &["commit", "--quiet", "--all", "--message", "import"]);
    // The job asks the service between its checkout and its own push.
    let (gh, push) = (forge.path("bin/gh"), "push --quiet origin HEAD:refs/heads/larksub-state");
    let real = fs::read_link(&gh).unwrap();
    fs::remove_file(&gh).unwrap();
    let text = format!("#!/bin/sh\ngit -C {} {push}\nexec {} \"$@\"\n", desk.display(), real.display());
    fs::write(&gh, text).unwrap();
    fs::set_permissions(&gh, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let job = run.approve().ends(Failure).exits("Can the ledger be kept?", 1).skips("Apply");
    assert!(forge.calls().is_empty() && forge.ledger("larksub-state").contains("NEWCOMER"), "{job}");
    // Started again it reads the newer ledger, which has another plan.
    run.approve().ends(Failure).exits("Apply", 4);
    assert!(forge.calls().is_empty());
}

#[test]
fn the_branch_says_that_a_run_began_and_then_what_it_recorded() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let pull = forge.removing(&[3]);
    forge.merge(pull);
    forge.begin().approve().ends(Success);
    let log = git(&forge.remote(), &["log", "--format=%s", "larksub-state"]);
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 3, "{log}");
    assert_eq!(lines[1], format!("{} begins", lines[0]));
}

#[test]
fn an_environment_that_asks_nobody_fails_the_plan() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let pull = forge.removing(&[3]);
    forge.merge(pull);
    let file = forge.path("environment.json");
    let rules = [
        json!([]),
        json!([{"type": "wait_timer", "wait_timer": 30}, {"type": "branch_policy"}]),
        json!([{"type": "required_reviewers", "reviewers": []}]),
    ];
    let mut answers: Vec<String> =
        rules.iter().map(|it| json!({ "protection_rules": it }).to_string()).collect();
    answers.extend(["{}".to_owned(), String::new()]);
    for answer in answers {
        fs::write(&file, &answer).unwrap();
        let run = forge.begin();
        assert!(!run.waits(), "{answer}");
        run.plan.ends(Failure).says(["no required reviewers", "GitHub Enterprise"]).skips("Plan");
    }
    // Not there at all: GitHub would make it.
    fs::remove_file(&file).unwrap();
    let run = forge.begin();
    assert!(!run.waits() && run.plan.said().contains("no required reviewers"), "{}", run.plan);
    assert!(forge.calls().is_empty());
}

#[test]
fn files_of_main_with_our_names_are_never_taken_for_ours() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let names = ["plan.md", "plan.json", "base.json", "body.json", "apply.md"];
    forge.push_to_main(|desk| {
        for name in names {
            fs::write(desk.join(name), "FOREIGN\n").unwrap();
        }
    });
    let broken = forge.open(|desk| fs::write(desk.join("larksub.toml"), "[apps.hr\n").unwrap());
    let plan = forge.plan(broken).ends(Failure).exits("Plan", 1);
    assert!(!plan.summary.contains("FOREIGN"), "{}", plan.summary);
    forge.comment(broken).ends(Failure).exits("Plan", 1).exits("Comment", 0);
    let comments = forge.comments(broken);
    assert!(comments.len() == 1 && comments[0].contains("There is no plan."), "{comments:?}");

    let pull = forge.removing(&[3]);
    let jobs = [forge.plan(pull).ends(Success), forge.comment(pull).ends(Success)];
    forge.merge(pull);
    let run = forge.begin();
    let job = run.approve().ends(Success);
    for (name, text) in
        [("comment", &forge.comments(pull)[0]), ("plan", &run.plan.summary), ("apply", &job.summary)]
    {
        assert!(!text.contains("FOREIGN") && text.contains(&code(3)), "{name}: {text}");
    }
    for job in [&jobs[0], &jobs[1], &run.plan, &job] {
        for name in names {
            let text = fs::read_to_string(job.workspace.join(name)).unwrap();
            assert_eq!(text, "FOREIGN\n", "{name} is written over\n{job}");
        }
    }

    // A broken main, and an apply that says nothing.
    let waiting = forge.removing(&[3, 4]);
    forge.merge(waiting);
    let run = forge.begin();
    forge.push_to_main(|desk| fs::write(desk.join("larksub.toml"), "[apps.hr\n").unwrap());
    let job = run.approve().ends(Failure).exits("Apply", 1);
    assert!(!job.summary.contains("FOREIGN"), "{}", job.summary);
    let run = forge.begin();
    assert!(!run.plan.summary.contains("FOREIGN") && !run.plan.said().contains("FOREIGN"), "{}", run.plan);
}

#[test]
fn a_commit_that_the_comment_did_not_look_at_passes_no_check() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let pull = forge.removing(&[3]);
    let old = forge.head(pull);
    let text = forge.manifest(&[4]);
    forge.push_again(pull, |desk| fs::write(desk.join("larksub.toml"), text).unwrap());
    forge.comment_at(pull, &old).ends(Failure).exits("Plan", 1).says(["moved on"]);
    assert!(forge.comments(pull).is_empty(), "{:?}", forge.comments(pull));
}

#[test]
fn a_pull_request_that_is_sent_to_main_later_is_looked_at() {
    for (file, event) in [("plan", "pull_request"), ("comment", "pull_request_target")] {
        let workflow = yaml(&format!("examples/pipelines/github/larksub-{file}.yml"));
        let types = workflow["on"][event]["types"].as_array().unwrap();
        for name in ["opened", "reopened", "synchronize", "edited"] {
            assert!(types.contains(&json!(name)), "{file}: {name}");
        }
        assert!(workflow["jobs"][file]["if"].is_null(), "a check that is skipped counts as passed");
    }
}

#[test]
fn a_pull_request_that_brings_the_ledgers_folder_is_refused_by_both_jobs() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let pull = forge.open(|desk| {
        fs::create_dir(desk.join(".larksub-state")).unwrap();
        fs::write(desk.join(".larksub-state/note"), "FORK\n").unwrap();
    });
    forge.plan(pull).ends(Failure).says(["brings .larksub-state"]).skips("Plan");
    forge.comment(pull).ends(Failure).says(["brings .larksub-state"]);
    assert!(forge.comments(pull)[0].contains("brings .larksub-state"), "{:?}", forge.comments(pull));
}

#[test]
fn a_manifest_on_main_that_is_no_plain_file_is_not_read_beside_a_secret() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let pull = forge.removing(&[3]);
    forge.merge(pull);
    let waiting = forge.begin();
    let to_link = |desk: &Path| {
        fs::remove_file(desk.join("larksub.toml")).unwrap();
        symlink("/proc/self/environ", desk.join("larksub.toml")).unwrap();
    };
    forge.push_to_main(to_link);
    let words = "no plain manifest on main";
    let job = waiting.approve().ends(Failure).says([words]).skips("Apply");
    assert!(!job.said().contains("secret-of-the-app") && job.outputs["stale"].is_empty(), "{job}");
    let run = forge.begin();
    assert!(!run.waits());
    run.plan.ends(Failure).says([words]).skips("Plan");

    forge.manifest_at.replace(Some("approvals/".into()));
    forge.push_to_main(|desk| {
        fs::create_dir(desk.join("approvals")).unwrap();
        fs::write(desk.join("approvals/hr.toml"), forge.manifest(&[3])).unwrap();
        fs::write(desk.join("approvals/README.md"), "not a manifest\n").unwrap();
        symlink("/etc", desk.join("approvals/.hidden.toml")).unwrap();
    });
    forge.begin().approve().ends(Success);
    assert_eq!(forge.calls(), [code(3)], "a folder of plain files is fine");
    forge.push_to_main(|desk| symlink("hr.toml", desk.join("approvals/it.toml")).unwrap());
    forge.begin().plan.ends(Failure).says([words]).skips("Plan");
}

#[test]
fn a_ledger_of_another_name_is_kept_too() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let desk = forge.desk();
    git(&desk, &["fetch", "--quiet", "origin", "larksub-state"]);
    git(&desk, &["checkout", "--quiet", "FETCH_HEAD"]);
    git(&desk, &["mv", "larksub.state.jsonl", "hr-eu.jsonl"]);
    git(&desk, &["commit", "--quiet", "--message", "name"]);
    git(&desk, &["push", "--quiet", "origin", "HEAD:refs/heads/larksub-state"]);
    forge.state_at.replace(Some(".larksub-state/hr-eu.jsonl".into()));
    let pull = forge.removing(&[3]);
    forge.merge(pull);
    forge.begin().approve().ends(Success).exits("Keep the ledger", 0);
    let ledger = git(&forge.remote(), &["show", "larksub-state:hr-eu.jsonl"]);
    assert!(ledger.contains("\"kind\":\"unsubscribed\""), "{ledger}");
    assert!(!forge.begin().waits(), "and is read again");
}

#[test]
fn of_two_runs_that_wait_the_older_one_sends_nothing_after_the_newer_one() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let (one, two) = (forge.removing(&[2]), forge.removing(&[11]));
    forge.merge(one);
    let older = forge.begin();
    forge.merge(two);
    // Planned, shown and waiting while the older one still waits.
    let newer = forge.begin();
    assert!(older.waits() && newer.waits() && older.title() != newer.title());
    assert!(forge.comments(two)[0].contains("It waits for approval"), "{:?}", forge.comments(two));
    newer.approve().ends(Success);
    assert_eq!(forge.calls(), [code(2), code(11)]);
    older.approve().ends(Failure).exits("Apply", 4);
    assert_eq!(forge.calls(), [code(2), code(11)]);
    assert!(!forge.begin().waits(), "nothing is left to approve");
}
