//! The pipeline for GitLab: what a merge request, a merge, a cancelled job and a lost runner come to.

use std::fs;
use std::time::Duration;

use larksub::sandbox::{Config, Latency};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::forge::{TRACKED, code, git};
use crate::lab::Lab;
use crate::workflow::yaml;

fn lab() -> Option<Lab> {
    Lab::new(Config::default())
}

/// A platform that is slow enough for a signal to come in between.
fn slow() -> Option<Lab> {
    let pause = Duration::from_millis(250);
    Lab::new(Config { latency: Latency::between(pause, pause), ..Config::default() })
}

#[test]
fn a_merge_request_fills_the_widget_and_a_guard_fails_it() {
    let Some(lab) = lab() else { return };
    let ended = lab.plan(lab.forge.removing(&[3])).exits(0).says(&code(3));
    let widget: Value = serde_json::from_str(&ended.file("tfplan.json")).unwrap();
    assert_eq!(widget, json!({"create": 0, "update": 0, "delete": 1}));
    assert!(ended.file("plan.md").contains(&code(3)));
    let all: Vec<usize> = (1..=TRACKED).collect();
    lab.plan(lab.forge.removing(&all)).exits(4).says("max_drop_percent");
    assert!(lab.forge.calls().is_empty());
    assert!(lab.lock().is_none(), "a plan takes no lock");
}

#[test]
fn a_merge_request_is_told_what_main_waits_for_already() {
    let Some(lab) = lab() else { return };
    lab.forge.merge(lab.forge.removing(&[2]));
    let both = lab.forge.removing(&[2, 20]);
    let plan: Value =
        serde_json::from_str(&lab.plan(both).exits(0).says("pending").file("plan.json")).unwrap();
    assert_eq!(plan["drops"].as_array().unwrap().len(), 2);
}

#[test]
fn a_hostile_merge_request_is_refused_before_larksub_reads_it() {
    let Some(lab) = lab() else { return };
    let before = lab.state.seen().len();
    let pull = lab.forge.open(|desk| fs::write(desk.join("Larksub.STATE.jsonl"), "forged\n").unwrap());
    lab.plan(pull).exits(1).says("changes a state file");
    let pull = lab.forge.open(|desk| {
        fs::remove_file(desk.join("larksub.toml")).unwrap();
        std::os::unix::fs::symlink("/proc/self/environ", desk.join("larksub.toml")).unwrap();
    });
    lab.plan(pull).exits(1).says("a link, a folder or a submodule");
    let pull = lab.forge.open(|desk| {
        fs::create_dir_all(desk.join(".larksub")).unwrap();
        fs::write(desk.join(".larksub/plan.md"), "nothing is dropped\n").unwrap();
    });
    lab.plan(pull).exits(1).says("This brings .larksub");
    assert_eq!(lab.state.seen().len(), before, "nobody asked for the state");
}

#[test]
fn a_link_that_got_into_main_is_read_neither_by_plan_nor_beside_the_secret() {
    let Some(lab) = lab() else { return };
    lab.forge.merge(lab.forge.removing(&[3]));
    lab.plan_main().exits(0);
    let pull = lab.forge.open(|desk| {
        fs::remove_file(desk.join("larksub.toml")).unwrap();
        std::os::unix::fs::symlink("/proc/self/environ", desk.join("larksub.toml")).unwrap();
    });
    lab.forge.merge(pull);
    lab.apply().exits(1).says("a link, a folder or a submodule");
    lab.plan_main().exits(1).says("a link, a folder or a submodule");
    assert!(lab.forge.calls().is_empty());
}

#[test]
fn a_forks_own_pipeline_says_that_it_has_no_state() {
    let Some(lab) = lab() else { return };
    let before = lab.state.seen().len();
    lab.plan_in(lab.forge.removing(&[3]), "6").exits(1).says("runs in the fork");
    assert_eq!(lab.state.seen().len(), before, "it asks nobody");
}

#[test]
fn a_merge_is_noted_once_and_applied_into_the_state() {
    let Some(lab) = lab() else { return };
    let pull = lab.forge.removing(&[3, 4]);
    lab.forge.merge(pull);
    // More talk than a page holds.
    let talk: Vec<Value> = (1..=100)
        .map(|id| json!({"id": id, "number": pull.0, "author": {"id": 8}, "body": "nice"}))
        .collect();
    fs::write(lab.forge.path("notes.json"), serde_json::to_string(&talk).unwrap()).unwrap();
    let planned = lab.plan_main().exits(0).says(&code(3));
    let plan: Value = serde_json::from_str(&planned.file("plan.json")).unwrap();
    assert_eq!(lab.notes(pull).len(), 101);
    lab.plan_main().exits(0);
    assert_eq!(lab.notes(pull).len(), 101, "the note is updated in place");
    assert!(lab.notes(pull)[100].contains(plan["digest"].as_str().unwrap()));
    let log = fs::read_to_string(lab.forge.path("curl.log")).unwrap();
    assert!(!log.contains("token-for-notes"), "not in a command line");

    let ended = lab.apply().exits(0);
    assert!(ended.file("apply.md").contains(&code(3)));
    assert_eq!(lab.forge.calls(), [code(3), code(4)]);
    assert!(lab.ledger().contains("\"how\":\"done\""));
    assert!(lab.lock().is_none());
    lab.plan_main().exits(0);
    lab.apply().exits(0);
    assert_eq!(lab.forge.calls().len(), 2, "nothing is left");
}

#[test]
fn a_secret_is_in_no_job_that_builds_and_nobody_waits_for_an_apply() {
    let file = yaml("examples/pipelines/gitlab/.gitlab-ci.yml");
    for (name, job) in file.as_object().unwrap() {
        let script = job["script"].to_string() + &job["before_script"].to_string();
        let has_environment = !job["environment"].is_null();
        assert_eq!(has_environment, name == "apply" || name == "note", "{name}");
        assert!(!has_environment || !script.contains("cargo"), "{name}");
    }
    let apply = &file["apply"];
    assert_eq!(
        (&apply["rules"][0]["when"], &apply["rules"][0]["allow_failure"]),
        (&json!("manual"), &json!(true))
    );
    assert_eq!((&apply["environment"], &apply["resource_group"]), (&json!("production"), &json!("larksub")));
    assert_eq!(file["note"]["environment"]["action"], "access", "it deploys nothing");
}

#[test]
fn main_that_moved_on_sends_nothing() {
    let Some(lab) = lab() else { return };
    let (one, two) = (lab.forge.removing(&[2]), lab.forge.removing(&[11]));
    lab.forge.merge(one);
    lab.plan_main().exits(0);
    lab.forge.merge(two);
    lab.apply().exits(4);
    assert!(lab.forge.calls().is_empty());
    lab.plan_main().exits(0);
    lab.apply().exits(0);
    assert_eq!(lab.forge.calls(), [code(2), code(11)]);
}

#[test]
fn of_two_merges_at_once_both_are_applied_by_one_job_and_the_other_sends_nothing() {
    let Some(lab) = slow() else { return };
    // Far enough apart for both to merge.
    let few: Vec<usize> = (1..=7).chain(11..=17).collect();
    let (one, two) = (lab.forge.removing(&few[..7]), lab.forge.removing(&few[7..]));
    lab.forge.merge(one);
    let older: Value = serde_json::from_str(&lab.plan_main().exits(0).file("plan.json")).unwrap();
    lab.forge.merge(two);
    lab.plan_main().exits(0);
    // Even without the resource group the server's lock lets one of them write.
    lab.given.borrow_mut().insert("LOCK_TIMEOUT".into(), "0s".into());
    let tried = std::cell::Cell::new(false);
    let second = || {
        if lab.ledger().contains("\"op\":\"outcome\"") && !tried.replace(true) {
            lab.apply().exits(5);
        }
        false
    };
    lab.apply_and(Signal::TERM, &second).exits(0);
    assert!(tried.get());
    let all = few.iter().copied().map(code).collect::<Vec<_>>();
    assert_eq!(lab.forge.calls(), all);
    let digest = older["digest"].as_str().unwrap().to_owned();
    lab.given.borrow_mut().insert("LARKSUB_DIGEST".into(), digest);
    lab.apply().exits(4);
    assert_eq!(lab.forge.calls(), all, "each is sent once");
}

#[test]
fn a_tag_with_the_branchs_name_is_not_taken_for_it() {
    let Some(lab) = lab() else { return };
    let desk = lab.forge.desk();
    fs::write(desk.join("larksub.toml"), lab.forge.manifest(&[7])).unwrap();
    git(&desk, &["commit", "--quiet", "--all", "--message", "nobody reviewed this"]);
    git(&desk, &["push", "--quiet", "origin", "HEAD:refs/tags/main"]);
    let pull = lab.forge.removing(&[3]);
    let plan = lab.plan(pull).exits(0);
    assert!(!plan.said.contains(&code(7)) && plan.said.contains(&code(3)), "{}", plan.said);
    lab.forge.merge(pull);
    lab.plan_main().exits(0);
    lab.apply().exits(0);
    assert_eq!(lab.forge.calls(), [code(3)]);
}

#[test]
fn a_cancelled_job_frees_the_lock_and_is_started_again() {
    let Some(lab) = slow() else { return };
    // More than are under way at once, and fewer than a guard refuses.
    let few: Vec<usize> = (1..=14).collect();
    lab.forge.merge(lab.forge.removing(&few));
    lab.plan_main().exits(0);
    lab.apply_and(Signal::TERM, &|| lab.ledger().contains("\"op\":\"outcome\"")).exits(143);
    assert!(lab.ledger().contains("\"how\":\"interrupted\""));
    assert!(lab.lock().is_none());
    lab.apply().exits(0);
    assert_eq!(lab.forge.calls(), few.iter().copied().map(code).collect::<Vec<_>>(), "each is sent once");
}

#[test]
fn a_runner_that_vanished_leaves_what_it_did_and_a_lock_that_a_maintainer_frees() {
    let Some(lab) = slow() else { return };
    lab.given.borrow_mut().insert("LOCK_TIMEOUT".into(), "0s".into());
    let few: Vec<usize> = (1..=14).collect();
    lab.forge.merge(lab.forge.removing(&few));
    lab.plan_main().exits(0);
    let killed = lab.apply_and(Signal::KILL, &|| lab.ledger().contains("\"op\":\"outcome\""));
    assert_eq!(killed.code, None, "{}", killed.said);
    let sent = lab.forge.calls().len();
    assert!(lab.ledger().contains("\"op\":\"outcome\""), "what was shown is stored");
    let lock = lab.lock().unwrap();
    lab.apply().exits(5).says(&format!("state unlock {lock}"));
    assert_eq!(lab.forge.calls().len(), sent, "nothing is sent beside a lock");
    let (ended, said) = lab.ada(&["state", "unlock", &lock]);
    assert_eq!(ended, Some(0), "{said}");
    lab.apply().exits(0);
    let mut calls = lab.forge.calls();
    // Those under way when it died were sent again: eight at most.
    assert!(calls.len() <= few.len() + 8, "{calls:?}");
    calls.dedup();
    assert_eq!(calls, few.iter().copied().map(code).collect::<Vec<_>>());
    assert!(lab.lock().is_none());
}

#[test]
fn a_job_that_a_developer_started_cannot_write_and_so_sends_nothing() {
    let Some(lab) = lab() else { return };
    lab.forge.merge(lab.forge.removing(&[3]));
    lab.plan_main().exits(0);
    lab.apply_of_a_developer().exits(1).says("403");
    assert!(lab.forge.calls().is_empty());
    lab.apply().exits(0);
}

#[test]
fn a_state_that_goes_away_leaves_its_outcomes_in_an_artifact() {
    let Some(lab) = slow() else { return };
    let few: Vec<usize> = (1..=14).collect();
    lab.forge.merge(lab.forge.removing(&few));
    lab.plan_main().exits(0);
    lab.given.borrow_mut().insert("LARKSUB_STATE_TIMEOUT".into(), "1".into());
    let gone = |seen: &crate::backend::Seen| {
        let is_a_verdict = seen.method == "POST" && seen.body.contains(r#"\"op\":\"outcome\""#);
        is_a_verdict.then_some(503)
    };
    lab.state.refuse_by(gone);
    let ended = lab.apply().exits(7);
    let path = &yaml("examples/pipelines/gitlab/.gitlab-ci.yml")["apply"]["artifacts"]["paths"][1];
    let file = ended.workspace.join(path.as_str().unwrap().trim_end_matches('*'));
    lab.state.refuse_by(|_| None);
    if let Some(lock) = lab.lock() {
        assert_eq!(lab.ada(&["state", "unlock", &lock]).0, Some(0));
    }
    let (pushed, said) = lab.ada(&["state", "push", &file.display().to_string()]);
    assert_eq!(pushed, Some(0), "{said}");
    let sent = lab.forge.calls().len();
    lab.apply().exits(0);
    assert!(sent > 0 && sent < few.len(), "{sent}");
    assert_eq!(lab.forge.calls().len(), few.len(), "what was pushed is not sent again");
}
