//! A repository with a manifest and a ledger on a branch of its own, the service around it, and a platform.

use std::cell::{Cell, RefCell};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use assert_fs::TempDir;
use larksub::sandbox::http::{Running, start};
use larksub::sandbox::{Api, Call, Config, Subscribed};
use serde_json::{Value, json};

use crate::job::{self, Cancel, Job};
use crate::workflow::{Context, Soundness, holds, loud, root, yaml};

/// How many subscriptions there are at the start.
pub const TRACKED: usize = 30;

/// Git in a folder, as a person.
pub fn git(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=ada", "-c", "user.email=ada@example.org", "-c", "protocol.file.allow=always"])
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "git {args:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout).trim_end().to_owned()
}

/// The `number`th code.
pub fn code(number: usize) -> String {
    format!("{number:08}-AAAA-BBBB-CCCC-DDDDDDDDDDDD")
}

/// A pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pull(pub u64);

/// Everything that a pipeline has to do with.
pub struct Forge {
    folder: TempDir,
    pub platform: Running,
    folders: Cell<usize>,
    runs: Cell<usize>,
    pulls: Cell<u64>,
    /// What somebody wrote for MANIFEST, where it is another place than the files'.
    pub manifest_at: RefCell<Option<String>>,
    /// The same for LARKSUB_STATE.
    pub state_at: RefCell<Option<String>>,
}

impl Forge {
    /// A repository whose main declares what its ledger tracks; none where the tools of the pipelines are missing.
    pub fn new(platform: Config) -> Option<Self> {
        for tool in ["bash", "git", "jq"] {
            if Command::new(tool).arg("--version").output().is_err() {
                loud(&format!("there is no {tool} (.ci/run installs jq): no pipeline is run"));
                return None;
            }
        }
        let subscribed = (1..=TRACKED).map(|number| code(number).parse::<Subscribed>().unwrap()).collect();
        let loopback = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        let platform = start(Config { subscribed, ..platform }, loopback).unwrap();
        let forge = Self {
            folder: TempDir::new().unwrap(),
            platform,
            folders: Cell::new(0),
            runs: Cell::new(100),
            pulls: Cell::new(0),
            manifest_at: RefCell::default(),
            state_at: RefCell::default(),
        };
        let bin = forge.path("bin");
        fs::create_dir(&bin).unwrap();
        for fake in fs::read_dir(root().join("tests/pipelines/fakes")).unwrap() {
            let fake = fake.unwrap();
            std::os::unix::fs::symlink(fake.path(), bin.join(fake.file_name())).unwrap();
        }
        install(&bin.join("larksub"));
        fs::create_dir(forge.path("home")).unwrap();
        fs::write(forge.path("comments.json"), "[]").unwrap();
        fs::write(forge.path("notes.json"), "[]").unwrap();
        let rules = json!([{"type": "required_reviewers", "reviewers": [{"type": "User"}]}]);
        fs::write(forge.path("environment.json"), json!({ "protection_rules": rules }).to_string()).unwrap();
        git(forge.folder.path(), &["init", "--quiet", "--bare", "--initial-branch=main", "remote.git"]);
        git(&forge.remote(), &["config", "uploadpack.allowAnySHA1InWant", "true"]);
        git(&forge.remote(), &["config", "receive.advertisePushOptions", "true"]);

        let desk = forge.desk();
        fs::write(desk.join("larksub.toml"), forge.manifest(&[])).unwrap();
        git(&desk, &["add", "--all"]);
        git(&desk, &["commit", "--quiet", "--message", "manifest"]);
        git(&desk, &["push", "--quiet", "origin", "HEAD:refs/heads/main"]);
        forge.larksub(&desk, &["init"]);
        forge.larksub(&desk, &["import", "--declared"]);
        git(&desk, &["switch", "--quiet", "--orphan", "larksub-state"]);
        git(&desk, &["add", "larksub.state.jsonl"]);
        git(&desk, &["commit", "--quiet", "--message", "ledger"]);
        git(&desk, &["push", "--quiet", "origin", "HEAD:refs/heads/larksub-state"]);
        Some(forge)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn remote(&self) -> PathBuf {
        self.path("remote.git")
    }

    /// A folder that nobody used before.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.folders.set(self.folders.get() + 1);
        let path = self.path(&format!("{name}-{}", self.folders.get()));
        fs::create_dir(&path).unwrap();
        path
    }

    /// A manifest that declares all but these.
    pub fn manifest(&self, removed: &[usize]) -> String {
        let mut text = format!(
            "[policy]\nmax_drop_percent = 60\n\n[apps.hr]\napp_id = \"cli_hr\"\nbase_url = \"{}\"\n",
            self.platform.base_url
        );
        // Far apart, so that two pull requests do not conflict.
        for number in (1..=TRACKED).filter(|number| !removed.contains(number)) {
            text.push_str(&format!(
                "\n\n# {number}\n\n[[apps.hr.subscriptions]]\napproval_code = \"{}\"\n",
                code(number)
            ));
        }
        text
    }

    /// Somebody's clone of main.
    pub fn desk(&self) -> PathBuf {
        let desk = self.folder("desk");
        git(&desk, &["init", "--quiet", "--initial-branch=main"]);
        git(&desk, &["remote", "add", "origin", &self.remote().display().to_string()]);
        if self.git_may_fail(&desk, &["fetch", "--quiet", "origin", "main"]) {
            git(&desk, &["reset", "--quiet", "--hard", "FETCH_HEAD"]);
        }
        desk
    }

    pub fn git_may_fail(&self, folder: &Path, args: &[&str]) -> bool {
        let mut command = Command::new("git");
        command
            .args(args)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.status().unwrap().success()
    }

    /// The program at somebody's desk.
    pub fn larksub(&self, folder: &Path, args: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_larksub"));
        let output = command.args(args).current_dir(folder).env_clear().env("USER", "ada").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The environment of every step.
    pub fn surround(&self, command: &mut Command) {
        let path = std::env::var("PATH").unwrap();
        command.env_clear().env("PATH", format!("{}:{path}", self.path("bin").display()));
        command.env("HOME", self.path("home")).env("FORGE", self.folder.path()).env("CI", "true");
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_TERMINAL_PROMPT", "0");
    }

    /// A pull request from a branch with these changes.
    pub fn open(&self, change: impl FnOnce(&Path)) -> Pull {
        let pull = Pull(self.pulls.get() + 1);
        self.pulls.set(pull.0);
        let desk = self.desk();
        self.push(pull, &desk, change);
        pull
    }

    /// A pull request that removes these from the manifest.
    pub fn removing(&self, removed: &[usize]) -> Pull {
        let text = self.manifest(removed);
        self.open(|desk| fs::write(desk.join("larksub.toml"), text).unwrap())
    }

    /// A further commit.
    pub fn push_again(&self, pull: Pull, change: impl FnOnce(&Path)) {
        let desk = self.desk();
        git(&desk, &["fetch", "--quiet", "origin", &format!("refs/pull/{}/head", pull.0)]);
        git(&desk, &["reset", "--quiet", "--hard", "FETCH_HEAD"]);
        self.push(pull, &desk, change);
    }

    fn push(&self, pull: Pull, desk: &Path, change: impl FnOnce(&Path)) {
        change(desk);
        git(desk, &["add", "--all", "--force"]);
        git(desk, &["commit", "--quiet", "--message", "change"]);
        git(desk, &["push", "--quiet", "--force", "origin", &format!("HEAD:refs/pull/{}/head", pull.0)]);
        git(desk, &["fetch", "--quiet", "origin", "main"]);
        let head = git(desk, &["rev-parse", "HEAD"]);
        git(desk, &["checkout", "--quiet", "--detach", "FETCH_HEAD"]);
        git(desk, &["merge", "--quiet", "--no-ff", "--message", "merge", &head]);
        git(desk, &["push", "--quiet", "--force", "origin", &format!("HEAD:refs/pull/{}/merge", pull.0)]);
    }

    /// Merges it into main, and tells the service.
    pub fn merge(&self, pull: Pull) {
        let desk = self.desk();
        git(&desk, &["fetch", "--quiet", "origin", &format!("refs/pull/{}/head", pull.0)]);
        git(&desk, &["merge", "--quiet", "--no-ff", "--message", "merge", "FETCH_HEAD"]);
        git(&desk, &["push", "--quiet", "origin", "HEAD:refs/heads/main"]);
        let commit = git(&desk, &["rev-parse", "HEAD"]);
        let pulls =
            json!([{ "number": pull.0, "merged_at": "2026-11-22T00:00:00Z", "merge_commit_sha": commit }]);
        fs::write(self.path(&format!("pulls-{commit}.json")), pulls.to_string()).unwrap();
    }

    fn context(&self) -> Context {
        self.runs.set(self.runs.get() + 1);
        let pairs = [
            ("github.token", "token-of-the-job"),
            ("github.ref", "refs/heads/main"),
            ("secrets.LARKSUB_APP_SECRET", "secret-of-the-app"),
            ("secrets.LARKSUB_STATE_KEY", ""),
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_REPOSITORY", "acme/approvals"),
            ("GITHUB_SERVER_URL", "https://github.com"),
            ("GITHUB_RUN_ATTEMPT", "1"),
        ];
        let mut context: Context =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        context.insert("GITHUB_RUN_ID".into(), self.runs.get().to_string());
        context
    }

    fn of_pull(&self, pull: Pull) -> Context {
        let mut context = self.context();
        context.insert("github.event.pull_request.number".into(), pull.0.to_string());
        context.insert("github.event.pull_request.head.sha".into(), self.head(pull));
        context.insert("github.ref".into(), format!("refs/pull/{}/merge", pull.0));
        context
    }

    /// The check of a pull request.
    pub fn plan(&self, pull: Pull) -> Job {
        // The runs that a fork can start see no secret.
        let mut context = self.of_pull(pull);
        context.remove("secrets.LARKSUB_APP_SECRET");
        context.remove("github.token");
        job::run(self, &yaml("examples/pipelines/github/larksub-plan.yml"), "plan", &context, None)
    }

    /// The comment of a pull request.
    pub fn comment(&self, pull: Pull) -> Job {
        self.comment_at(pull, &self.head(pull))
    }

    /// The newest commit of a pull request.
    pub fn head(&self, pull: Pull) -> String {
        git(&self.remote(), &["rev-parse", &format!("refs/pull/{}/head", pull.0)])
    }

    /// The comment that a push of this commit starts.
    pub fn comment_at(&self, pull: Pull, head: &str) -> Job {
        let mut context = self.of_pull(pull);
        context.insert("github.event.pull_request.head.sha".into(), head.into());
        context.remove("secrets.LARKSUB_APP_SECRET");
        job::run(self, &yaml("examples/pipelines/github/larksub-comment.yml"), "comment", &context, None)
    }

    /// What a push to main starts, up to where a person has to approve.
    pub fn begin(&self) -> Deployment<'_> {
        let context = self.context();
        let workflow = yaml("examples/pipelines/github/larksub-apply.yml");
        let plan = job::run(self, &workflow, "plan", &context, None);
        Deployment { forge: self, workflow, context, plan }
    }

    /// A commit that gets to main without a pull request.
    pub fn push_to_main(&self, change: impl FnOnce(&Path)) {
        let desk = self.desk();
        change(&desk);
        git(&desk, &["add", "--all", "--force"]);
        git(&desk, &["commit", "--quiet", "--message", "change"]);
        git(&desk, &["push", "--quiet", "origin", "HEAD:refs/heads/main"]);
    }

    /// From now on the repository takes no push.
    pub fn refuse_pushes(&self) {
        let hook = self.remote().join("hooks/pre-receive");
        fs::write(&hook, "#!/bin/sh\nexit 1\n").unwrap();
        fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }

    /// The comments of a pull request, oldest first.
    pub fn comments(&self, pull: Pull) -> Vec<String> {
        let all: Value =
            serde_json::from_str(&fs::read_to_string(self.path("comments.json")).unwrap()).unwrap();
        let of_pull = all.as_array().unwrap().iter().filter(|comment| comment["number"] == pull.0);
        of_pull.map(|comment| comment["body"].as_str().unwrap().to_owned()).collect()
    }

    /// A comment by somebody.
    pub fn say(&self, pull: Pull, login: &str, kind: &str, body: &str) {
        let path = self.path("comments.json");
        let mut all: Vec<Value> = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let id = all.len() + 1;
        all.push(json!({"id": id, "number": pull.0, "body": body, "user": {"login": login, "type": kind}}));
        fs::write(path, serde_json::to_string(&all).unwrap()).unwrap();
    }

    /// The ledger of a branch.
    pub fn ledger(&self, branch: &str) -> String {
        git(&self.remote(), &["show", &format!("{branch}:larksub.state.jsonl")])
    }

    /// The branches.
    pub fn branches(&self) -> Vec<String> {
        let names = git(&self.remote(), &["for-each-ref", "--format=%(refname:short)", "refs/heads/"]);
        names.lines().map(ToOwned::to_owned).collect()
    }

    /// How many runs were started by hand or by a run.
    pub fn dispatched(&self) -> usize {
        fs::read_to_string(self.path("dispatched")).map_or(0, |text| text.lines().count())
    }

    /// The codes that calls were sent for, sorted.
    pub fn calls(&self) -> Vec<String> {
        let mut codes: Vec<String> = self.platform.calls().iter().filter_map(dropped).collect();
        codes.sort();
        codes
    }
}

fn dropped(call: &Call) -> Option<String> {
    (call.api == Some(Api::Unsubscribe)).then(|| call.approval_code.as_ref().map(ToString::to_string))?
}

/// The program, where the steps find it.
fn install(path: &Path) {
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_larksub"), path).unwrap();
}

/// A run on main that waits for its approval, or has nothing to wait for.
pub struct Deployment<'a> {
    forge: &'a Forge,
    workflow: Value,
    context: Context,
    pub plan: Job,
}

impl Deployment<'_> {
    fn needs(&self, name: &str, job: &Job) -> Context {
        let mut context = self.context.clone();
        context.extend(
            job.outputs.iter().map(|(key, value)| (format!("needs.{name}.outputs.{key}"), value.clone())),
        );
        context
    }

    /// Whether somebody is asked.
    pub fn waits(&self) -> bool {
        let (plan, job) = (&self.workflow["jobs"]["plan"], &self.workflow["jobs"]["apply"]);
        assert_eq!(job["environment"], "production", "a person approves");
        assert_eq!(job["concurrency"]["cancel-in-progress"], false, "no apply is cut off");
        assert_ne!(plan["concurrency"]["group"], job["concurrency"]["group"], "who waits holds no plan up");
        assert!(self.workflow["concurrency"].is_null(), "who waits holds no run up");
        holds(job["if"].as_str(), self.plan.soundness, &self.needs("plan", &self.plan))
    }

    /// What the reviewer sees: the job's name.
    pub fn title(&self) -> String {
        let name = self.workflow["jobs"]["apply"]["name"].as_str().unwrap();
        crate::workflow::replaced(name, &self.needs("plan", &self.plan))
    }

    /// Somebody approves.
    pub fn approve(&self) -> Job {
        self.approve_and_cancel(None)
    }

    /// Somebody approves, and somebody cancels the step `Apply`.
    pub fn approve_and_cancel(&self, cancel: Option<Cancel<'_>>) -> Job {
        assert!(self.waits(), "{}", self.plan);
        let context = self.needs("plan", &self.plan);
        let cancel = cancel.map(|cancel| ("Apply", cancel));
        let apply = job::run(self.forge, &self.workflow, "apply", &context, cancel);
        let condition = self.workflow["jobs"]["again"]["if"].as_str();
        let after = self.needs("apply", &apply);
        if holds(condition, apply.soundness, &after) {
            job::run(self.forge, &self.workflow, "again", &after, None).ends(Soundness::Success);
        }
        apply
    }
}
