//! Jenkins: the shell of the Jenkinsfile, in its order, on an agent whose folder is used again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use larksub::sandbox::{Config, Latency};
use rustix::process::Signal;

use crate::atlantis::{checkout, sh};
use crate::backend::{Backend, Seen, Style};
use crate::forge::{Forge, code, git};
use crate::job::{Step, finish};
use crate::workflow::root;

const STATE: &str = "/states/approvals";

/// `reads` may read, `writes` may write; in basic authentication, with the password `pass`.
fn rights(seen: &Seen) -> Option<u16> {
    let is = |text: &str| seen.head.contains(&format!("Basic {text}\r\n"));
    match (is("cmVhZHM6cGFzcw=="), is("d3JpdGVzOnBhc3M=")) {
        (_, true) => None,
        (true, _) => (seen.method != "GET").then_some(403),
        _ => Some(401),
    }
}

fn jenkinsfile() -> String {
    fs::read_to_string(root().join("examples/pipelines/jenkins/Jenkinsfile")).unwrap()
}

/// The blocks between `'''`, as Groovy reads them, and the one line of the apply.
pub fn jenkins() -> (Vec<String>, String) {
    let file = jenkinsfile();
    let blocks: Vec<String> =
        file.split("'''").skip(1).step_by(2).map(|text| text.replace(r"\\", r"\")).collect();
    assert_eq!(blocks.len(), 2, "plan, checkout");
    let apply = file.lines().find_map(|line| line.trim().strip_prefix("sh 'exec ")).unwrap();
    (blocks, "exec ".to_owned() + apply.strip_suffix('\'').unwrap())
}

/// A job: a repository, a state that machines share, and an agent.
struct Jenkins {
    forge: Forge,
    state: Backend,
    agent: PathBuf,
    /// LARKSUB_STATE.
    place: String,
}

impl Jenkins {
    fn new(platform: Config) -> Option<Self> {
        let forge = Forge::new(platform)?;
        let state = Backend::start(Style::Terraform);
        state.refuse_by(rights);
        let file = forge.path("first.state.jsonl");
        fs::write(&file, forge.ledger("larksub-state") + "\n").unwrap();
        git(&forge.remote(), &["branch", "--quiet", "-D", "larksub-state"]);
        let agent = checkout(&forge, "refs/heads/main");
        let place = format!("http://{}{STATE}", state.address);
        let jenkins = Self { forge, state, agent, place };
        let migrate = format!("larksub state migrate {} \"$LARKSUB_STATE\"", file.display());
        let ended = jenkins.sh(&migrate, "writes");
        assert_eq!(ended.code, Some(0), "{ended:?}");
        Some(jenkins)
    }

    fn given(&self, user: &str) -> Vec<(String, String)> {
        [
            ("MANIFEST", "larksub.toml"),
            ("LARKSUB_STATE", &self.place),
            ("LARKSUB_STATE_USERNAME", user),
            ("LARKSUB_STATE_PASSWORD", "pass"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    fn sh(&self, text: &str, user: &str) -> Step {
        sh(&self.forge, text, &self.agent, &self.given(user))
    }

    /// `checkout scm`
    fn check_out(&self, reference: &str) {
        git(&self.agent, &["fetch", "--quiet", "--tags", "origin", reference]);
        git(&self.agent, &["fetch", "--quiet", "origin", reference]);
        git(&self.agent, &["checkout", "--quiet", "--force", "--detach", "FETCH_HEAD"]);
    }

    /// The stage Plan.
    fn plan(&self, reference: &str) -> Step {
        self.check_out(reference);
        self.sh(&jenkins().0[0], "reads")
    }

    /// The stage Plan of a build of main that nothing is wrong with, and its digest.
    #[track_caller]
    fn plan_main(&self) -> String {
        let plan = self.plan("refs/heads/main");
        assert_eq!(plan.code, Some(0), "{plan:?}");
        self.file("digest.txt")
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.agent.join(".larksub").join(name)).unwrap().trim().to_owned()
    }

    /// The stage Apply of a build that was planned with this digest.
    fn apply(&self, digest: &str, abort: Option<&dyn Fn(&Path) -> bool>) -> Step {
        let (blocks, apply) = jenkins();
        self.check_out("refs/heads/main");
        let ready = self.sh(&blocks[1], "nobody");
        if ready.code != Some(0) {
            return ready;
        }
        let mut command = Command::new("sh");
        command.args(["-xe", "-c", &apply]).current_dir(&self.agent);
        self.forge.surround(&mut command);
        command.envs(self.given("writes"));
        command.env("LARKSUB_DIGEST", digest).env("LARKSUB_APP_SECRET", "secret-of-the-app");
        let temp = self.forge.folder("temp");
        let ended = finish("apply", &mut command, &self.agent, abort, Signal::TERM, &temp).0;
        assert!(!ended.said.contains("secret-of-the-app"), "{}", ended.said);
        ended
    }

    fn ledger(&self) -> String {
        let document: serde_json::Value =
            serde_json::from_slice(&self.state.kept(STATE).document.unwrap()).unwrap();
        document["lines"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect()
    }
}

#[test]
fn jenkins_plans_and_applies_with_a_state_that_no_agent_holds() {
    let Some(jenkins) = Jenkins::new(Config::default()) else { return };
    jenkins.forge.merge(jenkins.forge.removing(&[3]));
    let plan = jenkins.plan("refs/heads/main");
    assert!(plan.code == Some(0) && plan.said.contains(&code(3)), "{plan:?}");
    assert_eq!(jenkins.file("changes.txt"), "true");
    let digest = jenkins.file("digest.txt");
    let ended = jenkins.apply(&digest, None);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(jenkins.forge.calls(), [code(3)]);
    assert!(jenkins.ledger().contains("\"how\":\"done\""));
    jenkins.plan_main();
    assert_eq!(jenkins.file("changes.txt"), "false", "nobody is asked for nothing");
}

#[test]
fn a_path_on_the_one_agents_disk_does_for_a_state_too() {
    let Some(mut jenkins) = Jenkins::new(Config::default()) else { return };
    jenkins.place = jenkins.forge.path("first.state.jsonl").display().to_string();
    jenkins.forge.merge(jenkins.forge.removing(&[3]));
    let digest = jenkins.plan_main();
    let before = jenkins.state.seen().len();
    assert_eq!(jenkins.apply(&digest, None).code, Some(0));
    assert_eq!(jenkins.forge.calls(), [code(3)]);
    assert!(fs::read_to_string(&jenkins.place).unwrap().contains("\"how\":\"done\""));
    assert_eq!(jenkins.state.seen().len(), before, "nobody else is asked");
}

#[test]
fn an_older_build_that_is_approved_late_sends_nothing() {
    let Some(jenkins) = Jenkins::new(Config::default()) else { return };
    let (one, two) = (jenkins.forge.removing(&[3]), jenkins.forge.removing(&[11]));
    jenkins.forge.merge(one);
    let older = jenkins.plan_main();
    jenkins.forge.merge(two);
    let newer = jenkins.plan_main();
    let late = jenkins.apply(&older, None);
    assert_eq!(late.code, Some(4), "{late:?}");
    assert!(jenkins.forge.calls().is_empty());
    assert_eq!(jenkins.apply(&newer, None).code, Some(0));
    assert_eq!(jenkins.forge.calls(), [code(3), code(11)]);
}

#[test]
fn an_aborted_build_frees_the_state_and_the_next_one_goes_on() {
    let pause = Duration::from_millis(250);
    let slow = Config { latency: Latency::between(pause, pause), ..Config::default() };
    let Some(jenkins) = Jenkins::new(slow) else { return };
    let few: Vec<usize> = (1..=14).collect();
    jenkins.forge.merge(jenkins.forge.removing(&few));
    let digest = jenkins.plan_main();
    let is_time = |_: &Path| jenkins.ledger().contains("\"op\":\"outcome\"");
    let aborted = jenkins.apply(&digest, Some(&is_time));
    assert_eq!(aborted.code, Some(143), "{aborted:?}");
    assert!(jenkins.ledger().contains("\"how\":\"interrupted\""));
    assert_eq!(jenkins.apply(&digest, None).code, Some(0));
    assert_eq!(jenkins.forge.calls(), few.iter().copied().map(code).collect::<Vec<_>>());
}

#[test]
fn a_tag_called_main_is_not_applied() {
    let Some(jenkins) = Jenkins::new(Config::default()) else { return };
    jenkins.forge.merge(jenkins.forge.removing(&[3]));
    let digest = jenkins.plan_main();
    let desk = jenkins.forge.desk();
    fs::write(desk.join("larksub.toml"), jenkins.forge.manifest(&[7])).unwrap();
    git(&desk, &["commit", "--quiet", "--all", "--message", "nobody reviewed this"]);
    git(&desk, &["push", "--quiet", "origin", "HEAD:refs/tags/main"]);
    let ended = jenkins.apply(&digest, None);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(jenkins.forge.calls(), [code(3)]);
}

#[test]
fn jenkins_refuses_a_link_a_state_file_and_a_folder_of_its_own() {
    let Some(jenkins) = Jenkins::new(Config::default()) else { return };
    let forge = &jenkins.forge;
    let digest = jenkins.plan_main();
    let linked = forge.open(|desk| {
        fs::remove_file(desk.join("larksub.toml")).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", desk.join("larksub.toml")).unwrap();
    });
    let forged = forge.open(|desk| fs::write(desk.join("Larksub.STATE.jsonl"), "forged\n").unwrap());
    for (pull, words) in [(linked, "no plain file"), (forged, "has a state file")] {
        let ended = jenkins.plan(&format!("refs/pull/{}/merge", pull.0));
        assert!(ended.code == Some(1) && ended.said.contains(words), "{ended:?}");
    }
    // What the job writes would land where this leads.
    let elsewhere = forge.folder("home-of-the-agent");
    let led = forge.open(|desk| std::os::unix::fs::symlink(&elsewhere, desk.join(".larksub")).unwrap());
    fs::remove_dir_all(jenkins.agent.join(".larksub")).unwrap();
    let ended = jenkins.plan(&format!("refs/pull/{}/merge", led.0));
    assert!(ended.code == Some(1) && ended.said.contains("This brings .larksub"), "{ended:?}");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    // The same beside the secret.
    forge.merge(linked);
    let ended = jenkins.apply(&digest, None);
    assert!(ended.code == Some(1) && ended.said.contains("no plain file"), "{ended:?}");
    assert!(forge.calls().is_empty());
}

#[test]
fn nobody_who_reads_a_plan_holds_an_agent_or_a_lock() {
    let file = jenkinsfile();
    assert!(!file.contains("disableConcurrentBuilds"));
    let stage = |name: &str| file.split("stage('").find(|stage| stage.starts_with(name)).unwrap().to_owned();
    let approve = stage("Approve");
    assert!(!approve.contains("lock(") && !approve.contains("agent {"), "{approve}");
    let (before, after) = approve.split_once("input message").unwrap();
    assert!(before.contains("milestone 1") && after.contains("milestone 2"), "{approve}");
    assert!(stage("Apply").contains("lock(resource: 'larksub')"));
}
