//! Atlantis and Jenkins: the commands of their files, in their order.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use larksub::sandbox::Config;
use rustix::process::Signal;

use crate::forge::{Forge, code, git};
use crate::job::{Step, finish};
use crate::workflow::{root, yaml};

fn checkout(forge: &Forge, reference: &str) -> PathBuf {
    let folder = forge.folder("work");
    git(&folder, &["init", "--quiet"]);
    git(&folder, &["remote", "add", "origin", &format!("file://{}", forge.remote().display())]);
    git(&folder, &["fetch", "--quiet", "origin", reference]);
    git(&folder, &["checkout", "--quiet", "--detach", "FETCH_HEAD"]);
    folder
}

fn sh(forge: &Forge, text: &str, folder: &Path, given: &[(String, String)]) -> Step {
    let temp = forge.folder("temp");
    let mut command = Command::new("sh");
    command.args(["-e", "-c", text]).current_dir(folder);
    forge.surround(&mut command);
    command.envs(given.iter().cloned());
    finish(text.lines().next().unwrap(), &mut command, folder, None, Signal::TERM, &temp).0
}

/// The steps of a stage on Atlantis; the first that fails ends it. The ledger and the secret are the server's files.
fn atlantis(forge: &Forge, stage: &str, folder: &Path) -> Step {
    let workflow = &yaml("examples/pipelines/atlantis/repos.yaml")["workflows"]["larksub"][stage];
    let mut given = vec![("PLANFILE".to_owned(), forge.path("default.tfplan").display().to_string())];
    let mut said = String::new();
    for step in workflow["steps"].as_array().unwrap() {
        if let Some(variable) = step["env"].as_object() {
            let here = match variable["value"].as_str().unwrap() {
                "/var/lib/larksub/larksub.state.jsonl" => forge.path("server.state.jsonl"),
                "/run/secrets/larksub-app-secret" => forge.path("server-secret"),
                other => panic!("{other}"),
            };
            given.push((variable["name"].as_str().unwrap().to_owned(), here.display().to_string()));
            continue;
        }
        let mut ended = sh(forge, step["run"].as_str().unwrap(), folder, &given);
        said.push_str(&ended.said);
        if ended.code != Some(0) {
            ended.said = said;
            return ended;
        }
    }
    Step { name: stage.into(), code: Some(0), said }
}

#[test]
fn atlantis_plans_and_applies_a_pull_request_with_a_ledger_of_the_server() {
    let repos = yaml("examples/pipelines/atlantis/repos.yaml");
    let repo = &repos["repos"][0];
    assert_eq!(
        (&repo["allow_custom_workflows"], &repo["allowed_overrides"]),
        (&false.into(), &serde_json::json!([]))
    );
    let Some(forge) = Forge::new(Config::default()) else { return };
    fs::write(forge.path("server.state.jsonl"), forge.ledger("larksub-state") + "\n").unwrap();
    fs::write(forge.path("server-secret"), "secret-of-the-app\n").unwrap();
    let pull = forge.removing(&[3]);
    let folder = checkout(&forge, &format!("refs/pull/{}/merge", pull.0));
    let plan = atlantis(&forge, "plan", &folder);
    assert!(plan.code == Some(0) && plan.said.contains(&code(3)), "{plan:?}");
    let apply = atlantis(&forge, "apply", &folder);
    assert!(apply.code == Some(0) && !apply.said.contains("secret-of-the-app"), "{apply:?}");
    assert_eq!(forge.calls(), [code(3)]);
    assert!(fs::read_to_string(forge.path("server.state.jsonl")).unwrap().contains("\"how\":\"done\""));

    // The one file on the server that nobody may read, drawn as a problem of the manifest.
    let secret = forge.path("server-secret");
    let pull = forge.open(|desk| {
        fs::remove_file(desk.join("larksub.toml")).unwrap();
        std::os::unix::fs::symlink(&secret, desk.join("larksub.toml")).unwrap();
    });
    let folder = checkout(&forge, &format!("refs/pull/{}/merge", pull.0));
    for stage in ["plan", "apply"] {
        let ended = atlantis(&forge, stage, &folder);
        assert!(ended.code == Some(1) && ended.said.contains("no plain file"), "{ended:?}");
        assert!(!ended.said.contains("secret-of-the-app"), "{ended:?}");
    }
}

/// The shell of the Jenkinsfile: the blocks between `'''`, and the one line of the apply.
fn jenkins() -> (Vec<String>, String) {
    let file = fs::read_to_string(root().join("examples/pipelines/jenkins/Jenkinsfile")).unwrap();
    let blocks: Vec<String> = file.split("'''").skip(1).step_by(2).map(ToOwned::to_owned).collect();
    assert_eq!(blocks.len(), 3, "plan, checkout, keep");
    let apply = file.lines().find_map(|line| line.trim().strip_prefix("sh 'exec ")).unwrap();
    (blocks, "exec ".to_owned() + apply.strip_suffix('\'').unwrap())
}

#[test]
fn jenkins_plans_applies_and_pushes_the_ledger() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let (blocks, apply) = jenkins();
    forge.merge(forge.removing(&[3]));
    let mut given = vec![
        ("MANIFEST".to_owned(), "larksub.toml".to_owned()),
        ("LARKSUB_STATE".to_owned(), ".larksub-state/larksub.state.jsonl".to_owned()),
        ("BUILD_NUMBER".to_owned(), "9".to_owned()),
    ];
    let folder = checkout(&forge, "refs/heads/main");
    let plan = sh(&forge, &blocks[0], &folder, &given);
    assert!(plan.code == Some(0) && plan.said.contains(&code(3)), "{plan:?}");
    assert_eq!(fs::read_to_string(folder.join("changes.txt")).unwrap().trim(), "true");
    let digest = fs::read_to_string(folder.join("digest.txt")).unwrap().trim().to_owned();
    given.push(("LARKSUB_DIGEST".to_owned(), digest));
    // The agent's folder is used again.
    let ready = sh(&forge, &blocks[1], &folder, &given);
    assert_eq!(ready.code, Some(0), "{ready:?}");
    let secret = ("LARKSUB_APP_SECRET".to_owned(), "secret-of-the-app".to_owned());
    let ended = sh(&forge, &apply, &folder, &[given.clone(), vec![secret]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let kept = sh(&forge, &blocks[2], &folder, &given);
    assert_eq!(kept.code, Some(0), "{kept:?}");
    assert_eq!(forge.calls(), [code(3)]);
    assert!(forge.ledger("larksub-state").contains("\"how\":\"done\""));

    // Somebody else pushed: it goes to a branch of its own, and the next plan is refused.
    forge.merge(forge.removing(&[3, 4]));
    let folder = checkout(&forge, "refs/heads/main");
    assert_eq!(sh(&forge, &blocks[0], &folder, &given).code, Some(0));
    fs::write(folder.join(".larksub-state/larksub.state.jsonl"), "what this build recorded\n").unwrap();
    let other = checkout(&forge, "refs/heads/larksub-state");
    git(&other, &["commit", "--quiet", "--allow-empty", "--message", "import"]);
    git(&other, &["push", "--quiet", "origin", "HEAD:refs/heads/larksub-state"]);
    let kept = sh(&forge, &blocks[2], &folder, &given);
    assert!(kept.code == Some(1) && kept.said.contains("larksub-state-rescue-9"), "{kept:?}");
    assert!(forge.ledger("larksub-state-rescue-9").contains("what this build recorded"));
    let refused = sh(&forge, &blocks[0], &folder, &given);
    assert!(refused.code == Some(1) && refused.said.contains("state repair --merge"), "{refused:?}");
}

#[test]
fn jenkins_refuses_a_link_and_a_state_file() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let (blocks, _) = jenkins();
    let given = [("MANIFEST".to_owned(), "larksub.toml".to_owned())];
    let linked = forge.open(|desk| {
        fs::remove_file(desk.join("larksub.toml")).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", desk.join("larksub.toml")).unwrap();
    });
    let forged = forge.open(|desk| fs::write(desk.join("Larksub.STATE.jsonl"), "forged\n").unwrap());
    for (pull, words) in [(linked, "no plain file"), (forged, "has a state file")] {
        let folder = checkout(&forge, &format!("refs/pull/{}/merge", pull.0));
        let ended = sh(&forge, &blocks[0], &folder, &given);
        assert!(ended.code == Some(1) && ended.said.contains(words), "{ended:?}");
    }
}
