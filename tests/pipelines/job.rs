//! One job of a workflow, run as GitHub's runner would: a folder of its own, the steps in their order, each in a shell.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::forge::{Forge, git};
use crate::workflow::{Context, Soundness, holds, replaced};

/// A step that ran.
#[derive(Debug)]
pub struct Step {
    pub name: String,
    pub code: Option<i32>,
    pub said: String,
}

/// A job that ended.
#[derive(Debug)]
pub struct Job {
    pub soundness: Soundness,
    pub steps: Vec<Step>,
    pub outputs: BTreeMap<String, String>,
    pub summary: String,
    pub workspace: PathBuf,
}

impl Job {
    /// Checks how it ended.
    #[track_caller]
    pub fn ends(self, soundness: Soundness) -> Self {
        assert_eq!(self.soundness, soundness, "{self}");
        self
    }

    /// Checks a step's exit code.
    #[track_caller]
    pub fn exits(self, name: &str, code: i32) -> Self {
        assert_eq!(self.step(name).code, Some(code), "{self}");
        self
    }

    /// Checks that a step did not run.
    #[track_caller]
    pub fn skips(self, name: &str) -> Self {
        assert!(self.steps.iter().all(|step| step.name != name), "{name} ran\n{self}");
        self
    }

    /// Checks that each of these was said.
    #[track_caller]
    pub fn says<const N: usize>(self, texts: [&str; N]) -> Self {
        for text in texts {
            assert!(self.said().contains(text), "`{text}` is not said\n{self}");
        }
        self
    }

    /// Everything that it printed.
    pub fn said(&self) -> String {
        self.steps.iter().map(|step| step.said.as_str()).collect()
    }

    #[track_caller]
    pub fn step(&self, name: &str) -> &Step {
        self.steps.iter().find(|step| step.name == name).unwrap_or_else(|| panic!("no step {name}\n{self}"))
    }
}

impl std::fmt::Display for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for Step { name, code, said } in &self.steps {
            writeln!(f, "== {name}: {code:?}\n{said}")?;
        }
        writeln!(f, "{:?} {:?}", self.soundness, self.outputs)
    }
}

/// When a job is cancelled.
pub type Cancel<'a> = &'a dyn Fn(&Path) -> bool;

/// Runs a job of a workflow. `cancel` is asked while a step runs; when it says so, the job is cancelled as by hand.
pub fn run(
    forge: &Forge,
    workflow: &Value,
    name: &str,
    context: &Context,
    cancel: Option<(&str, Cancel<'_>)>,
) -> Job {
    let job = &workflow["jobs"][name];
    assert!(job["timeout-minutes"].is_u64(), "{name} has a time limit");
    assert_eq!(workflow["permissions"], serde_json::json!({}), "rights are given to each job");
    assert!(job["permissions"].is_object(), "{name} says which rights it needs");
    let workspace = forge.folder(&format!("work-{name}"));
    let temp = forge.folder("temp");
    let summary = temp.join("summary");
    fs::write(&summary, "").unwrap();
    let mut context = context.clone();
    context.insert("runner.temp".into(), temp.display().to_string());
    let mut ended = Job {
        soundness: Soundness::Success,
        steps: Vec::new(),
        outputs: BTreeMap::new(),
        summary: String::new(),
        workspace: workspace.clone(),
    };
    for (position, step) in job["steps"].as_array().unwrap().iter().enumerate() {
        if !holds(step["if"].as_str(), ended.soundness, &context) {
            continue;
        }
        let id = step["id"].as_str();
        let run = match step["uses"].as_str() {
            Some(action) => uses(forge, action, &step["with"], &workspace, &context),
            None => {
                let output = temp.join(format!("output-{position}"));
                fs::write(&output, "").unwrap();
                let mut command = shell(step, &temp.join(format!("step-{position}.sh")));
                let folder = step["working-directory"].as_str().unwrap_or(".");
                command.current_dir(workspace.join(folder));
                forge.surround(&mut command);
                for environment in [&workflow["env"], &job["env"], &step["env"]] {
                    for (name, value) in environment.as_object().into_iter().flatten() {
                        command.env(name, replaced(value.as_str().unwrap(), &context));
                    }
                }
                command.env("GITHUB_OUTPUT", &output).env("GITHUB_STEP_SUMMARY", &summary);
                command.env("GITHUB_WORKSPACE", &workspace).env("RUNNER_TEMP", &temp);
                command.envs(context.iter().filter(|(name, _)| name.starts_with("GITHUB_")));
                if let Some(manifest) = &*forge.manifest_at.borrow() {
                    command.env("MANIFEST", manifest);
                }
                if let Some(state) = &*forge.state_at.borrow() {
                    command.env("LARKSUB_STATE", state);
                }
                let title = step["name"].as_str().expect("a step that runs has a name");
                let cancel = cancel.filter(|(at, _)| *at == title).map(|(_, cancel)| cancel);
                let (run, was_cancelled) =
                    finish(title, &mut command, &workspace, cancel, Signal::INT, &temp);
                for line in fs::read_to_string(&output).unwrap().lines() {
                    let (name, value) = line.split_once('=').expect("outputs are lines of name=value");
                    if let Some(id) = id {
                        context.insert(format!("steps.{id}.outputs.{name}"), value.into());
                    }
                }
                if was_cancelled {
                    ended.soundness = Soundness::Cancelled;
                }
                run
            }
        };
        let outcome = if run.code == Some(0) { "success" } else { "failure" };
        if let Some(id) = id {
            context.insert(format!("steps.{id}.outcome"), outcome.into());
        }
        if outcome == "failure" && ended.soundness == Soundness::Success {
            ended.soundness = Soundness::Failure;
        }
        ended.steps.push(run);
    }
    for (name, value) in job["outputs"].as_object().into_iter().flatten() {
        ended.outputs.insert(name.clone(), replaced(value.as_str().unwrap(), &context));
    }
    ended.summary = fs::read_to_string(&summary).unwrap();
    ended
}

/// The shell of a step, as the runner starts it.
fn shell(step: &Value, script: &Path) -> Command {
    let text = step["run"].as_str().expect("a step runs or uses something");
    assert!(!text.contains("${{"), "no value is written into a shell's text:\n{text}");
    fs::write(script, text).unwrap();
    let mut command = Command::new("bash");
    match step["shell"].as_str() {
        None => command.arg("-e"),
        Some("bash") => command.args(["--noprofile", "--norc", "-e", "-o", "pipefail"]),
        Some(other) => panic!("the harness does not know the shell {other}"),
    };
    command.arg(script);
    command
}

/// Runs a step to its end, or cancels it: a first signal to the process that the runner started (GitHub's is SIGINT),
/// SIGTERM 7.5 s later, and after 2.5 s more the kill.
pub fn finish(
    name: &str,
    command: &mut Command,
    workspace: &Path,
    cancel: Option<Cancel<'_>>,
    first: Signal,
    temp: &Path,
) -> (Step, bool) {
    let said = temp.join("said");
    let file = fs::File::create(&said).unwrap();
    command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
    let mut child: Child = command.spawn().unwrap();
    let begun = Instant::now();
    let mut signalled: Option<(Instant, usize)> = None;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{name} does not end");
        let send = |signal| kill_process(Pid::from_child(&child), signal).unwrap();
        match signalled {
            None if cancel.is_some_and(|is_time| is_time(workspace)) => {
                send(first);
                signalled = Some((Instant::now(), 1));
            }
            Some((at, 1)) if at.elapsed() > Duration::from_millis(7_500) => {
                send(Signal::TERM);
                signalled = Some((at, 2));
            }
            Some((at, 2)) if at.elapsed() > Duration::from_secs(10) => {
                send(Signal::KILL);
                signalled = Some((at, 3));
            }
            _ => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    let said = String::from_utf8(fs::read(&said).unwrap()).expect("what is printed is UTF-8");
    assert!(!said.contains("panicked"), "{said}");
    (Step { name: name.into(), code: status.code(), said }, signalled.is_some())
}

/// The actions that the files use, as far as they matter here.
fn uses(forge: &Forge, action: &str, with: &Value, workspace: &Path, context: &Context) -> Step {
    let (name, version) = action.split_once('@').expect("an action has a version");
    assert!(
        version.len() == 40 && version.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{action} is pinned"
    );
    let text = |key: &str| with[key].as_str().map(|text| replaced(text, context));
    let mut code = 0;
    match name {
        "actions/checkout" => {
            assert!(with["persist-credentials"].is_boolean(), "whether credentials stay is said");
            let folder = workspace.join(text("path").unwrap_or_default());
            let reference = text("ref").unwrap_or_else(|| context["github.ref"].clone());
            let depth = with["fetch-depth"].as_u64().unwrap_or(1);
            fs::create_dir_all(&folder).unwrap();
            let remote = format!("file://{}", forge.remote().display());
            git(&folder, &["init", "--quiet"]);
            git(&folder, &["remote", "add", "origin", &remote]);
            let depth = if depth == 0 { vec![] } else { vec![format!("--depth={depth}")] };
            let mut fetch = vec!["fetch", "--quiet", "--no-tags"];
            fetch.extend(depth.iter().map(String::as_str));
            fetch.extend(["origin", &reference]);
            if forge.git_may_fail(&folder, &fetch) {
                git(&folder, &["checkout", "--quiet", "--detach", "FETCH_HEAD"]);
            } else {
                code = 1;
            }
        }
        "actions/upload-artifact" => {
            for path in text("path").unwrap().lines() {
                let known = ["plan.json", "plan.md"].map(|name| format!("{}/{name}", context["runner.temp"]));
                assert!(known.iter().any(|known| known == path), "{path} does not leave the job");
            }
        }
        other => panic!("the harness does not know {other}"),
    }
    Step { name: action.into(), code: Some(code), said: String::new() }
}
