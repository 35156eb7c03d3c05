//! The pipeline for GitLab: what a merge request, a merge and a cancelled job come to.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use larksub::sandbox::{Config, Latency};
use rustix::process::Signal;
use serde_json::Value;

use crate::forge::{Forge, Pull, TRACKED, code, git};
use crate::job::{Cancel, finish};
use crate::workflow::yaml;

/// A job that ended.
struct Ended {
    code: Option<i32>,
    said: String,
    /// What its `after_script` said, where there is one.
    after: String,
    workspace: PathBuf,
}

impl Ended {
    #[track_caller]
    fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.said, self.after);
        self
    }

    #[track_caller]
    fn says(self, text: &str) -> Self {
        assert!(self.said.contains(text) || self.after.contains(text), "{}{}", self.said, self.after);
        self
    }
}

fn lines(part: &Value) -> String {
    let lines = part.as_array().into_iter().flatten();
    lines.map(|line| line.as_str().unwrap().to_owned() + "\n").collect()
}

/// Runs a job as a runner does: `before_script` and `script` in one shell, `after_script` in another one.
fn run(forge: &Forge, name: &str, commit: &str, given: &[(&str, &str)], cancel: Option<Cancel<'_>>) -> Ended {
    let file = yaml("examples/pipelines/gitlab/.gitlab-ci.yml");
    let (job, base) = (&file[name], &file[".larksub"]);
    assert_eq!(job["extends"], ".larksub");
    assert!(job["timeout"].is_string() && job["rules"].is_array(), "{name}");
    let (workspace, temp) = (forge.folder("work"), forge.folder("temp"));
    git(&workspace, &["init", "--quiet"]);
    git(&workspace, &["remote", "add", "origin", &format!("file://{}", forge.remote().display())]);
    git(&workspace, &["fetch", "--quiet", "origin", commit]);
    git(&workspace, &["checkout", "--quiet", "--detach", "FETCH_HEAD"]);
    let shell = |text: String| {
        let mut command = Command::new("bash");
        fs::write(temp.join("script"), text).unwrap();
        command.args(["-e", "-o", "pipefail"]).arg(temp.join("script")).current_dir(&workspace);
        forge.surround(&mut command);
        for variables in [&file["variables"], &job["variables"]] {
            for (name, value) in variables.as_object().into_iter().flatten() {
                command.env(name, value.as_str().unwrap());
            }
        }
        let url = format!("file://{}", forge.path("").display());
        command.env("CI_SERVER_URL", url.trim_end_matches('/')).env("CI_PROJECT_PATH", "remote");
        command.env("CI_SERVER_HOST", "gitlab.example.org").env("CI_PROJECT_ID", "5").env("CI_JOB_ID", "77");
        command.env("CI_API_V4_URL", "https://gitlab.example.org/api/v4").env("CI_DEFAULT_BRANCH", "main");
        command.env("CI_JOB_URL", "https://gitlab.example.org/acme/approvals/-/jobs/77");
        command.envs(given.iter().copied());
        command
    };
    let mut command = shell(lines(&base["before_script"]) + &lines(&job["script"]));
    let (step, _) = finish(name, &mut command, &workspace, cancel, Signal::TERM, &temp);
    let after = lines(&job["after_script"]);
    let after = match after.is_empty() {
        true => String::new(),
        false => finish("after_script", &mut shell(after), &workspace, None, Signal::TERM, &temp).0.said,
    };
    Ended { code: step.code, said: step.said, after, workspace }
}

/// The pipeline of a merge request: no variable of it is protected.
fn plan(forge: &Forge, pull: Pull) -> Ended {
    let head = format!("refs/pull/{}/head", pull.0);
    run(forge, "plan", &head, &[("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main")], None)
}

const ON_MAIN: [(&str, &str); 2] = [("CI_COMMIT_BRANCH", "main"), ("LARKSUB_NOTE_TOKEN", "token-for-notes")];

/// The plan on main, and what it hands on.
fn plan_main(forge: &Forge) -> (Ended, BTreeMap<String, String>) {
    let ended = run(forge, "plan-main", "refs/heads/main", &ON_MAIN, None);
    let handed = fs::read_to_string(ended.workspace.join("digest.env")).unwrap_or_default();
    let pairs = handed.lines().filter_map(|line| line.split_once('='));
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    (ended, pairs)
}

fn apply(forge: &Forge, handed: &BTreeMap<String, String>, cancel: Option<Cancel<'_>>) -> Ended {
    let mut given = vec![("CI_COMMIT_BRANCH", "main"), ("LARKSUB_APP_SECRET", "secret-of-the-app")];
    given.push(("LARKSUB_PUSH_TOKEN", "token-for-pushes"));
    given.extend(handed.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let ended = run(forge, "apply", "refs/heads/main", &given, cancel);
    let said = format!("{}{}", ended.said, ended.after);
    assert!(!said.contains("secret-of-the-app") && !said.contains("token-for-pushes"), "{said}");
    ended
}

fn notes(forge: &Forge) -> Vec<String> {
    let notes: Value = serde_json::from_str(&fs::read_to_string(forge.path("notes.json")).unwrap()).unwrap();
    notes.as_array().unwrap().iter().map(|note| note["body"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_merge_request_fills_the_widget_and_a_guard_fails_it() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let ended = plan(&forge, forge.removing(&[3])).exits(0).says(&code(3));
    let widget = fs::read_to_string(ended.workspace.join("tfplan.json")).unwrap();
    let widget: Value = serde_json::from_str(&widget).unwrap();
    assert_eq!(widget, serde_json::json!({"create": 0, "update": 0, "delete": 1}));
    assert!(ended.workspace.join("plan.md").exists());
    let all: Vec<usize> = (1..=TRACKED).collect();
    plan(&forge, forge.removing(&all)).exits(4).says("max_drop_percent");
    assert!(forge.calls().is_empty());
}

#[test]
fn a_merge_request_with_a_state_file_or_a_link_is_refused() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let pull = forge.open(|desk| fs::write(desk.join("larksub.state.jsonl"), "forged\n").unwrap());
    plan(&forge, pull).exits(1).says("changes a state file");
    let pull = forge.open(|desk| {
        fs::remove_file(desk.join("larksub.toml")).unwrap();
        std::os::unix::fs::symlink("/proc/self/environ", desk.join("larksub.toml")).unwrap();
    });
    plan(&forge, pull).exits(1).says("a link, a folder or a submodule");
}

#[test]
fn a_merge_is_noted_once_applied_and_its_ledger_is_pushed() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let pull = forge.removing(&[3, 4]);
    forge.merge(pull);
    let (ended, handed) = plan_main(&forge);
    ended.exits(0).says(&code(3));
    assert_eq!(notes(&forge).len(), 1);
    plan_main(&forge).0.exits(0);
    assert_eq!(notes(&forge).len(), 1, "the note is updated in place");
    assert!(notes(&forge)[0].contains(&handed["LARKSUB_DIGEST"]));
    assert!(
        !fs::read_to_string(forge.path("curl.log")).unwrap().contains("token-for-notes"),
        "not in a command line"
    );

    apply(&forge, &handed, None).exits(0);
    assert_eq!(forge.calls(), [code(3), code(4)]);
    assert!(forge.ledger("larksub-state").contains("\"how\":\"done\""));
    let (ended, handed) = plan_main(&forge);
    ended.exits(0);
    apply(&forge, &handed, None).exits(0);
    assert_eq!(forge.calls().len(), 2, "nothing is left");
}

#[test]
fn main_that_moved_on_sends_nothing() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let (one, two) = (forge.removing(&[2]), forge.removing(&[11]));
    forge.merge(one);
    let (_, handed) = plan_main(&forge);
    forge.merge(two);
    apply(&forge, &handed, None).exits(4);
    assert!(forge.calls().is_empty());
    let (_, handed) = plan_main(&forge);
    apply(&forge, &handed, None).exits(0);
    assert_eq!(forge.calls(), [code(2), code(11)]);
}

#[test]
fn a_cancelled_job_pushes_what_it_recorded_and_is_started_again() {
    let pause = std::time::Duration::from_millis(250);
    let Some(forge) = Forge::new(Config { latency: Latency::between(pause, pause), ..Config::default() })
    else {
        return;
    };
    // More than are under way at once, and fewer than a guard refuses.
    let few: Vec<usize> = (1..=14).collect();
    forge.merge(forge.removing(&few));
    let (_, handed) = plan_main(&forge);
    let one_is_done = |workspace: &Path| {
        let ledger = fs::read_to_string(workspace.join(".larksub-state/larksub.state.jsonl"));
        ledger.is_ok_and(|ledger| ledger.contains("\"op\":\"outcome\""))
    };
    apply(&forge, &handed, Some(&one_is_done)).exits(143);
    assert!(forge.ledger("larksub-state").contains("\"how\":\"interrupted\""));
    apply(&forge, &handed, None).exits(0);
    assert_eq!(forge.calls(), few.iter().copied().map(code).collect::<Vec<_>>(), "each is sent once");
}

#[test]
fn a_ledger_that_cannot_be_pushed_is_rescued_and_stops_the_next_plan() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    forge.merge(forge.removing(&[3]));
    let (_, handed) = plan_main(&forge);
    let hook = forge.remote().join("hooks/update");
    fs::write(&hook, "#!/bin/sh\n[ \"$1\" != refs/heads/larksub-state ]\n").unwrap();
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    apply(&forge, &handed, None).exits(0).says("larksub-state-rescue-77");
    assert!(forge.ledger("larksub-state-rescue-77").contains("\"kind\":\"unsubscribed\""));
    plan_main(&forge).0.exits(1).says("state repair --merge");
}
