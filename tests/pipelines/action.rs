//! `action.yml`: its steps with an input each, as a workflow gives them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use larksub::sandbox::Config;
use rustix::process::Signal;

use crate::forge::{Forge, code};
use crate::job::finish;
use crate::workflow::{Context, replaced, root, yaml};

/// What a step of a workflow gets from the action.
struct Used {
    code: Option<i32>,
    said: String,
    outputs: BTreeMap<String, String>,
}

/// The action in a folder, with these inputs; the others have their defaults.
fn uses(forge: &Forge, folder: &Path, inputs: &[(&str, &str)], given: &[(&str, &str)]) -> Used {
    let action = yaml("action.yml");
    // One for all steps of a job, and so for every use of the action in it.
    let temp = forge.path("action-temp");
    fs::create_dir_all(&temp).unwrap();
    let mut context = Context::new();
    context.insert("github.action_path".into(), root().display().to_string());
    for (name, input) in action["inputs"].as_object().unwrap() {
        let default = input["default"].as_str().expect("an input has a default");
        context.insert(format!("inputs.{name}"), default.to_owned());
    }
    for (name, value) in inputs {
        let known = context.insert(format!("inputs.{name}"), (*value).to_owned());
        assert!(known.is_some(), "there is no input {name}");
    }
    let mut used = Used { code: Some(0), said: String::new(), outputs: BTreeMap::new() };
    for (position, step) in action["runs"]["steps"].as_array().unwrap().iter().enumerate() {
        if used.code != Some(0) && step["if"] != "always()" {
            continue;
        }
        let text = step["run"].as_str().unwrap();
        assert!(!text.contains("${{"), "no value is written into a shell's text:\n{text}");
        assert_eq!(step["shell"], "bash");
        let (script, output) = (temp.join(format!("{position}.sh")), temp.join(format!("{position}.out")));
        fs::write(&script, text).unwrap();
        fs::write(&output, "").unwrap();
        let mut command = Command::new("bash");
        command.args(["--noprofile", "--norc", "-e", "-o", "pipefail"]).arg(&script);
        let place = step["working-directory"].as_str().unwrap_or(".");
        command.current_dir(folder.join(replaced(place, &context)));
        forge.surround(&mut command);
        command.env("GITHUB_OUTPUT", &output).env("RUNNER_TEMP", &temp).env("GITHUB_WORKSPACE", folder);
        for (name, value) in step["env"].as_object().into_iter().flatten() {
            command.env(name, replaced(value.as_str().unwrap(), &context));
        }
        command.envs(given.iter().copied());
        let name = step["name"].as_str().unwrap();
        let (ran, _) = finish(name, &mut command, folder, None, Signal::INT, &temp);
        if used.code == Some(0) {
            used.code = ran.code;
        }
        used.said.push_str(&ran.said);
        for line in fs::read_to_string(&output).unwrap().lines() {
            let (key, value) = line.split_once('=').unwrap();
            context.insert(format!("steps.{}.outputs.{key}", step["id"].as_str().unwrap()), value.into());
        }
    }
    for (name, output) in action["outputs"].as_object().unwrap() {
        used.outputs.insert(name.clone(), replaced(output["value"].as_str().unwrap(), &context));
    }
    used
}

/// Somebody's folder: the manifest without these, and the ledger.
fn folder(forge: &Forge, removed: &[usize]) -> std::path::PathBuf {
    let desk = forge.desk();
    fs::write(desk.join("larksub.toml"), forge.manifest(removed)).unwrap();
    fs::write(desk.join("my state.jsonl"), forge.ledger("larksub-state") + "\n").unwrap();
    desk
}

#[test]
fn the_action_plans_and_tells_what_it_found() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let desk = folder(&forge, &[3]);
    let state = ("state", "my state.jsonl");
    let used = uses(
        &forge,
        &desk,
        &[state, ("report", "markdown=plan.md\n\ngitlab=w.json"), ("comment-key", "a/b")],
        &[],
    );
    assert_eq!(used.code, Some(0), "{}", used.said);
    let outputs = &used.outputs;
    assert_eq!([&outputs["has_changes"], &outputs["drops"], &outputs["exitcode"]], ["true", "1", "0"]);
    assert!(outputs["digest"].starts_with("sha256:") && used.said.contains(&code(3)), "{}", used.said);
    assert!(fs::read_to_string(desk.join("plan.md")).unwrap().contains("key=a/b "));
    assert!(desk.join("plan.json").exists() && desk.join("w.json").exists());
    let used = uses(&forge, &desk, &[state, ("command", "validate")], &[]);
    assert_eq!((used.code, used.outputs["exitcode"].as_str()), (Some(0), "0"), "{}", used.said);
}

#[test]
fn the_action_fails_where_a_guard_refuses_and_takes_allowances_by_name() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let removed: Vec<usize> = (1..=20).collect();
    let desk = folder(&forge, &removed);
    let state = ("state", "my state.jsonl");
    let used = uses(&forge, &desk, &[state], &[]);
    assert_eq!((used.code, used.outputs["exitcode"].as_str()), (Some(4), "4"), "{}", used.said);
    let used = uses(&forge, &desk, &[state, ("allow", "--allow-drops 20\n")], &[]);
    assert_eq!(used.code, Some(0), "{}", used.said);
    let used = uses(&forge, &desk, &[state, ("allow", "--auto-approve")], &[]);
    assert!(used.code == Some(1) && used.said.contains("begin with --allow-"), "{}", used.said);
    assert_eq!(used.outputs["exitcode"], "", "the exit code of an earlier use is not this one's");
}

#[test]
fn the_action_applies_a_plan_or_a_digest() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let desk = folder(&forge, &[3]);
    let state = ("state", "my state.jsonl");
    let digest = uses(&forge, &desk, &[state], &[]).outputs["digest"].clone();
    let secret = [("LARKSUB_APP_SECRET", "secret-of-the-app")];
    let apply = ("command", "apply");
    let used =
        uses(&forge, &desk, &[state, apply, ("digest", &format!("sha256:{}", "0".repeat(64)))], &secret);
    assert_eq!(used.code, Some(4), "{}", used.said);
    assert_eq!(used.outputs["exitcode"], "4");
    assert!(forge.calls().is_empty());
    let used = uses(&forge, &desk, &[state, apply, ("digest", &digest)], &secret);
    assert_eq!(used.code, Some(0), "{}", used.said);
    assert_eq!(used.outputs["exitcode"], "0");
    assert_eq!(forge.calls(), [code(3)]);
    let used = uses(&forge, &desk, &[state, apply], &secret);
    assert!(used.code == Some(0) && used.said.contains("already applied"), "{}", used.said);
}

#[test]
fn no_input_of_the_action_is_a_command() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let desk = folder(&forge, &[3]);
    let trap = forge.path("trapped");
    let words = format!("$(touch {0}); touch {0} `touch {0}` \" ' --help", trap.display());
    let of_plan =
        ["command", "manifest", "state", "plan", "base", "comment-key", "report", "allow", "version"];
    let of_apply = ["plan", "digest", "allow"];
    let both = of_plan.map(|name| ("plan", name)).into_iter().chain(of_apply.map(|name| ("apply", name)));
    for (command, name) in both {
        uses(&forge, &desk, &[("command", command), (name, &words)], &[]);
        assert!(!trap.exists(), "{name} is run");
    }
    assert!(forge.calls().is_empty());
}

#[test]
fn what_the_action_builds_sees_no_secret() {
    let Some(forge) = Forge::new(Config::default()) else { return };
    let desk = folder(&forge, &[3]);
    let bin = forge.path("bin");
    for name in ["larksub", "cargo"] {
        fs::remove_file(bin.join(name)).unwrap();
    }
    let program = env!("CARGO_BIN_EXE_larksub");
    let build = format!("#!/bin/sh\nenv >\"$FORGE/built\"\nln -s {program} \"$FORGE/bin/larksub\"\n");
    fs::write(bin.join("cargo"), build).unwrap();
    fs::set_permissions(bin.join("cargo"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let secrets =
        ["LARKSUB_APP_SECRET_HR", "LARKSUB_STATE_TOKEN", "AWS_SECRET_ACCESS_KEY", "AZURE_CLIENT_SECRET"];
    let given: Vec<(&str, &str)> = secrets.iter().map(|name| (*name, "hidden-word")).collect();
    let used = uses(&forge, &desk, &[("state", "my state.jsonl")], &given);
    assert_eq!(used.code, Some(0), "{}", used.said);
    let built = fs::read_to_string(forge.path("built")).unwrap();
    assert!(built.contains("RUNNER_TEMP=") && !built.contains("hidden-word"), "{built}");

    // What the program reads first is not even there when the shell of that step starts.
    let install = yaml("action.yml")["runs"]["steps"][0]["env"].clone();
    assert_eq!([&install["LARKSUB_APP_SECRET"], &install["LARKSUB_APP_TICKET"]], ["", ""]);
}
