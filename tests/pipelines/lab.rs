//! GitLab: a repository, its runner, and the state that the server keeps for those whose token may.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use larksub::sandbox::Config;
use rustix::process::Signal;
use serde_json::Value;

use crate::backend::{Backend, Seen, Style};
use crate::forge::{Forge, Pull, git};
use crate::job::{Cancel, finish};
use crate::workflow::yaml;

const STATE: &str = "/api/v4/projects/5/terraform/state/approvals";
const DEVELOPER: (&str, &str) = ("CI_JOB_TOKEN", "job-of-a-developer");
const MAINTAINER: (&str, &str) = ("CI_JOB_TOKEN", "job-of-a-maintainer");

/// Nobody reads without a token, and a job that a Developer started does not write. The tokens are as basic authentication has
/// them: `gitlab-ci-token:job-of-a-developer`, and so on.
fn roles(seen: &Seen) -> Option<u16> {
    let is = |text: &str| seen.head.contains(&format!("Basic {text}\r\n"));
    let developer = is("Z2l0bGFiLWNpLXRva2VuOmpvYi1vZi1hLWRldmVsb3Blcg==");
    let maintainer = is("Z2l0bGFiLWNpLXRva2VuOmpvYi1vZi1hLW1haW50YWluZXI=") || is("YWRhOnRva2VuLW9mLWFkYQ==");
    match (developer, maintainer) {
        (_, true) => None,
        (true, _) => (seen.method != "GET").then_some(403),
        _ => Some(401),
    }
}

/// A job that ended.
pub struct Ended {
    pub code: Option<i32>,
    pub said: String,
    pub workspace: PathBuf,
}

impl Ended {
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.said);
        self
    }

    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.said.contains(text), "`{text}` is not said\n{}", self.said);
        self
    }

    /// A file of `.larksub`.
    #[track_caller]
    pub fn file(&self, name: &str) -> String {
        fs::read_to_string(self.workspace.join(".larksub").join(name)).unwrap()
    }
}

/// Everything that the pipeline has to do with.
pub struct Lab {
    pub forge: Forge,
    pub state: Backend,
    /// Where each job ran last.
    ran: RefCell<BTreeMap<String, PathBuf>>,
    /// What somebody wrote into the file, or gave.
    pub given: RefCell<BTreeMap<String, String>>,
}

impl Lab {
    /// A project whose state tracks what its main declares; none where the tools are missing.
    pub fn new(platform: Config) -> Option<Self> {
        let forge = Forge::new(platform)?;
        let state = Backend::start(Style::Gitlab);
        state.refuse_by(roles);
        let lab = Self { forge, state, ran: RefCell::default(), given: RefCell::default() };
        let file = lab.forge.path("first.state.jsonl");
        fs::write(&file, lab.forge.ledger("larksub-state") + "\n").unwrap();
        git(&lab.forge.remote(), &["branch", "--quiet", "-D", "larksub-state"]);
        let (code, said) = lab.ada(&["state", "migrate", &file.display().to_string(), &lab.address()]);
        assert_eq!(code, Some(0), "{said}");
        Some(lab)
    }

    fn api(&self) -> String {
        format!("http://{}/api/v4", self.state.address)
    }

    fn address(&self) -> String {
        format!("http://{}{STATE}", self.state.address)
    }

    /// The program at the desk of a Maintainer.
    pub fn ada(&self, args: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_larksub"));
        command.args(args).current_dir(self.forge.folder("desk")).env_clear().env("USER", "ada");
        command.env("LARKSUB_STATE_USERNAME", "ada").env("LARKSUB_STATE_PASSWORD", "token-of-ada");
        let output = command.env("LARKSUB_STATE", self.address()).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        (output.status.code(), said)
    }

    /// The ledger's lines as the server keeps them.
    pub fn ledger(&self) -> String {
        let document: Value = serde_json::from_slice(&self.state.kept(STATE).document.unwrap()).unwrap();
        document["lines"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect()
    }

    /// The id of the lock, where there is one.
    pub fn lock(&self) -> Option<String> {
        let lock: Value = serde_json::from_str(&self.state.kept(STATE).lock?).unwrap();
        Some(lock["ID"].as_str().unwrap().to_owned())
    }

    /// Runs a job as a runner does: what it needs was made, `before_script` and `script` are one shell.
    fn run(
        &self,
        name: &str,
        commit: &str,
        given: &[(&str, &str)],
        cancel: Option<(Signal, Cancel<'_>)>,
    ) -> Ended {
        let file = yaml("examples/pipelines/gitlab/.gitlab-ci.yml");
        let job = &file[name];
        assert!(job["timeout"].is_string(), "{name} has a time limit");
        assert!(job["after_script"].is_null(), "the harness does not know it");
        let (workspace, temp) = (self.forge.folder("work"), self.forge.folder("temp"));
        git(&workspace, &["init", "--quiet"]);
        let remote = format!("file://{}", self.forge.remote().display());
        git(&workspace, &["remote", "add", "origin", &remote]);
        // With the tags, as a clone has them.
        git(&workspace, &["fetch", "--quiet", "--tags", "origin", commit]);
        git(&workspace, &["fetch", "--quiet", "origin", commit]);
        git(&workspace, &["checkout", "--quiet", "--detach", "FETCH_HEAD"]);
        let mut command = Command::new("bash");
        self.forge.surround(&mut command);
        let mut variables = BTreeMap::from(
            [
                ("CI_API_V4_URL", self.api().as_str()),
                ("CI_PROJECT_ID", "5"),
                ("CI_DEFAULT_BRANCH", "main"),
                ("CI_PROJECT_DIR", workspace.to_str().unwrap()),
                ("CI_JOB_URL", "https://gitlab.example.org/acme/approvals/-/jobs/77"),
                MAINTAINER,
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        for group in [&file["variables"], &job["variables"]] {
            for (name, value) in group.as_object().into_iter().flatten() {
                variables.insert(name.clone(), expanded(value.as_str().unwrap(), &variables));
            }
        }
        for need in job["needs"].as_array().into_iter().flatten() {
            if need["artifacts"] != false {
                variables.extend(self.fetch(need.as_str().unwrap(), &file, &workspace));
            }
        }
        variables.extend(self.given.borrow().clone());
        variables.extend(given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let script = temp.join("script");
        fs::write(&script, shell(&file, name)).unwrap();
        command.args(["-e", "-o", "pipefail"]).arg(&script).current_dir(&workspace).envs(variables);
        let (signal, cancel) = cancel.map_or((Signal::TERM, None), |(signal, cancel)| (signal, Some(cancel)));
        let (step, _) = finish(name, &mut command, &workspace, cancel, signal, &temp);
        for secret in ["secret-of-the-app", "token-for-notes", DEVELOPER.1, MAINTAINER.1] {
            assert!(!step.said.contains(secret), "{}", step.said);
        }
        self.ran.borrow_mut().insert(name.into(), workspace.clone());
        Ended { code: step.code, said: step.said, workspace }
    }

    /// The artifacts of a job that ran, and the variables that it handed on.
    fn fetch(&self, from: &str, file: &Value, to: &Path) -> BTreeMap<String, String> {
        let ran = self.ran.borrow()[from].clone();
        let artifacts = &file[from]["artifacts"];
        for path in artifacts["paths"].as_array().unwrap() {
            let path = path.as_str().unwrap();
            let into = to.join(path);
            fs::create_dir_all(into.parent().unwrap()).unwrap();
            let mut command = Command::new("cp");
            assert!(command.arg("-P").arg(ran.join(path)).arg(into).status().unwrap().success(), "{path}");
        }
        let Some(handed) = artifacts["reports"]["dotenv"].as_str() else { return BTreeMap::new() };
        let handed = fs::read_to_string(ran.join(handed)).unwrap();
        let pairs = handed.lines().map(|line| line.split_once('=').expect("NAME=value"));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// The pipeline of a merge request: no variable of it is protected, and a Developer started it.
    pub fn plan(&self, pull: Pull) -> Ended {
        self.plan_in(pull, "5")
    }

    /// The same, in the project that the branch is in.
    pub fn plan_in(&self, pull: Pull, project: &str) -> Ended {
        let head = format!("refs/pull/{}/head", pull.0);
        let given = [
            DEVELOPER,
            ("CI_PROJECT_ID", project),
            ("CI_MERGE_REQUEST_PROJECT_ID", "5"),
            ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main"),
        ];
        self.run("build", &head, &given, None).exits(0);
        self.run("plan", &head, &given, None)
    }

    /// What a push to main starts, up to where somebody has to start `apply`.
    pub fn plan_main(&self) -> Ended {
        let on_main = [("CI_COMMIT_BRANCH", "main"), DEVELOPER];
        let main = "refs/heads/main";
        self.run("build", main, &on_main, None).exits(0);
        let ended = self.run("plan-main", main, &on_main, None);
        if ended.code == Some(0) {
            let given = [&on_main[..], &[("LARKSUB_NOTE_TOKEN", "token-for-notes")]].concat();
            self.run("note", main, &given, None).exits(0);
        }
        ended
    }

    /// Somebody starts `apply` of the newest pipeline.
    pub fn apply(&self) -> Ended {
        self.apply_of(MAINTAINER, None)
    }

    pub fn apply_of_a_developer(&self) -> Ended {
        self.apply_of(DEVELOPER, None)
    }

    /// The same, and a signal once it is time.
    pub fn apply_and(&self, signal: Signal, is_time: &dyn Fn() -> bool) -> Ended {
        self.apply_of(MAINTAINER, Some((signal, &|_: &Path| is_time())))
    }

    fn apply_of(&self, token: (&str, &str), cancel: Option<(Signal, Cancel<'_>)>) -> Ended {
        let given = [("CI_COMMIT_BRANCH", "main"), ("LARKSUB_APP_SECRET", "secret-of-the-app"), token];
        self.run("apply", "refs/heads/main", &given, cancel)
    }

    /// The notes of a merge request.
    pub fn notes(&self, pull: Pull) -> Vec<String> {
        let notes = fs::read_to_string(self.forge.path("notes.json")).unwrap();
        let notes: Vec<Value> = serde_json::from_str(&notes).unwrap();
        let of_pull = notes.iter().filter(|note| note["number"] == pull.0);
        of_pull.map(|note| note["body"].as_str().unwrap().to_owned()).collect()
    }
}

/// The whole shell of a job.
pub fn shell(file: &Value, name: &str) -> String {
    let job = &file[name];
    let base = job["extends"].as_str().map_or(&Value::Null, |base| &file[base]);
    lines(&base["before_script"]) + &lines(&job["script"])
}

fn lines(part: &Value) -> String {
    let lines = part.as_array().into_iter().flatten();
    lines.map(|line| line.as_str().unwrap().to_owned() + "\n").collect()
}

/// `$NAME` by what is known, as the server does before the runner sees it.
fn expanded(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut parts = text.split('$');
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(part.len());
        out.push_str(&variables[&part[..end]]);
        out.push_str(&part[end..]);
    }
    out
}
