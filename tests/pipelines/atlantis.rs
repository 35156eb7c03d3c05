//! Atlantis: the commands of its workflow, in their order.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use larksub::sandbox::Config;
use rustix::process::Signal;

use crate::forge::{Forge, code, git};
use crate::job::{Step, finish};
use crate::workflow::yaml;

/// A clone whose HEAD is this.
pub fn checkout(forge: &Forge, reference: &str) -> PathBuf {
    let folder = forge.folder("work");
    git(&folder, &["init", "--quiet"]);
    git(&folder, &["remote", "add", "origin", &format!("file://{}", forge.remote().display())]);
    git(&folder, &["fetch", "--quiet", "origin", reference]);
    git(&folder, &["checkout", "--quiet", "--detach", "FETCH_HEAD"]);
    folder
}

/// Runs a text as `sh -e` does.
pub fn sh(forge: &Forge, text: &str, folder: &Path, given: &[(String, String)]) -> Step {
    let temp = forge.folder("temp");
    let mut command = Command::new("sh");
    command.args(["-e", "-c", text]).current_dir(folder);
    forge.surround(&mut command);
    command.envs(given.iter().cloned());
    finish(text.lines().next().unwrap(), &mut command, folder, None, Signal::TERM, &temp).0
}

/// The steps of a stage on Atlantis; the first that fails ends it. The ledger and the secret are the server's files.
fn atlantis(forge: &Forge, stage: &str, folder: &Path) -> Step {
    atlantis_at(forge, stage, folder, ".", "default")
}

/// The same for `-d` and `-w`.
fn atlantis_at(forge: &Forge, stage: &str, folder: &Path, dir: &str, workspace: &str) -> Step {
    let workflow = &yaml("examples/pipelines/atlantis/repos.yaml")["workflows"]["larksub"][stage];
    let mut given = vec![("PLANFILE".to_owned(), forge.path("default.tfplan").display().to_string())];
    given.extend([("REPO_REL_DIR".into(), dir.into()), ("WORKSPACE".into(), workspace.into())]);
    let folder = &folder.join(dir);
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

/// The ledger and the secret are the server's.
fn server() -> Option<Forge> {
    let forge = Forge::new(Config::default())?;
    fs::write(forge.path("server.state.jsonl"), forge.ledger("larksub-state") + "\n").unwrap();
    fs::write(forge.path("server-secret"), "secret-of-the-app\n").unwrap();
    Some(forge)
}

#[track_caller]
fn refuses(forge: &Forge, folder: &Path, dir: &str, workspace: &str, words: &str) {
    for stage in ["plan", "apply"] {
        let ended = atlantis_at(forge, stage, folder, dir, workspace);
        assert!(ended.code == Some(1) && ended.said.contains(words), "{ended:?}");
        assert!(!ended.said.contains("secret-of-the-app"), "{ended:?}");
    }
    assert!(forge.calls().is_empty());
}

#[test]
fn atlantis_plans_and_applies_a_pull_request_with_a_ledger_of_the_server() {
    let repos = yaml("examples/pipelines/atlantis/repos.yaml");
    let repo = &repos["repos"][0];
    assert_eq!(
        (&repo["allow_custom_workflows"], &repo["allowed_overrides"]),
        (&false.into(), &serde_json::json!([]))
    );
    let Some(forge) = server() else { return };
    let pull = forge.removing(&[3]);
    let folder = checkout(&forge, &format!("refs/pull/{}/merge", pull.0));
    let plan = atlantis(&forge, "plan", &folder);
    assert!(plan.code == Some(0) && plan.said.contains(&code(3)), "{plan:?}");
    let apply = atlantis(&forge, "apply", &folder);
    assert!(apply.code == Some(0) && !apply.said.contains("secret-of-the-app"), "{apply:?}");
    assert_eq!(forge.calls(), [code(3)]);
    assert!(fs::read_to_string(forge.path("server.state.jsonl")).unwrap().contains("\"how\":\"done\""));
}

#[test]
fn atlantis_refuses_a_manifest_that_is_a_link() {
    let Some(forge) = server() else { return };
    // The one file on the server that nobody may read, drawn as a problem of the manifest.
    let secret = forge.path("server-secret");
    let pull = forge.open(|desk| {
        fs::remove_file(desk.join("larksub.toml")).unwrap();
        std::os::unix::fs::symlink(&secret, desk.join("larksub.toml")).unwrap();
    });
    let folder = checkout(&forge, &format!("refs/pull/{}/merge", pull.0));
    refuses(&forge, &folder, ".", "default", "no plain file");
}

#[test]
fn atlantis_holds_no_other_folder_or_workspace_against_the_ledger() {
    let Some(forge) = server() else { return };
    let text = forge.manifest(&[3]);
    let pull = forge.open(|desk| {
        fs::create_dir_all(desk.join("docs/ex")).unwrap();
        fs::write(desk.join("docs/ex/larksub.toml"), text).unwrap();
    });
    let folder = checkout(&forge, &format!("refs/pull/{}/merge", pull.0));
    refuses(&forge, &folder, "docs/ex", "default", "without -d and -w");
    refuses(&forge, &folder, ".", "staging", "without -d and -w");
}

#[test]
fn atlantis_refuses_a_pull_request_that_says_itself_what_it_may_be_behind_of() {
    let Some(forge) = server() else { return };
    let text = forge.manifest(&[3]);
    let pull = forge.open(|desk| {
        fs::write(desk.join("larksub.toml"), text).unwrap();
        let own = "version: 3\nprojects: [{dir: ., autoplan: {when_modified: [nothing]}}]\n";
        fs::write(desk.join("atlantis.yaml"), own).unwrap();
    });
    let folder = checkout(&forge, &format!("refs/pull/{}/merge", pull.0));
    refuses(&forge, &folder, ".", "default", "This changes atlantis.yaml");
}
