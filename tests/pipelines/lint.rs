//! The files are what their services read: schemas and linters that are not ours. `.ci/run` installs them; where they are
//! missing these tests say so and check nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::jenkins::jenkins;
use crate::lab;
use crate::workflow::{loud, root, yaml};

/// A tool of `tests/pipelines/linters.txt`, where it is installed.
fn tool(name: &str) -> Option<PathBuf> {
    let path = root().join("target/linters/bin").join(name);
    if !path.exists() {
        loud(&format!("{} is missing (.ci/run installs it): nothing is checked with it", path.display()));
        return None;
    }
    Some(path)
}

#[track_caller]
fn passes(tool: &Path, args: &[&str]) {
    let mut command = Command::new(tool);
    let output = command.args(args).current_dir(root()).env("NO_COLOR", "1").output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {args:?}\n{said}", tool.display());
}

fn workflows() -> Vec<String> {
    let mut found = vec![".github/workflows/ci.yml".to_owned()];
    for entry in fs::read_dir(root().join("examples/pipelines/github")).unwrap() {
        found.push(format!("examples/pipelines/github/{}", entry.unwrap().file_name().to_str().unwrap()));
    }
    assert!(found.len() >= 4);
    found
}

#[test]
fn actionlint_and_shellcheck_find_nothing_in_the_workflows() {
    let (Some(actionlint), Some(shellcheck)) = (tool("actionlint"), tool("shellcheck")) else { return };
    for file in workflows() {
        passes(&actionlint, &["-shellcheck", shellcheck.to_str().unwrap(), &file]);
    }
}

#[test]
fn shellcheck_finds_nothing_in_the_shell_of_gitlab_and_jenkins() {
    let Some(shellcheck) = tool("shellcheck") else { return };
    let folder = assert_fs::TempDir::new().unwrap();
    let file = folder.path().join("script");
    let check = |shell: &str, text: &str| {
        fs::write(&file, text).unwrap();
        // What the service sets, and that a failing `cd` ends a job (`-e`), it cannot know.
        let args = ["--shell", shell, "--exclude", "SC2153,SC2154,SC2164", file.to_str().unwrap()];
        passes(&shellcheck, &args);
    };
    let gitlab = yaml("examples/pipelines/gitlab/.gitlab-ci.yml");
    for name in ["build", "plan", "plan-main", "note", "apply"] {
        check("bash", &lab::shell(&gitlab, name));
    }
    let (blocks, apply) = jenkins();
    blocks.iter().for_each(|block| check("sh", block));
    check("sh", &apply);
}

#[test]
fn zizmor_finds_no_way_in() {
    let Some(zizmor) = tool("zizmor") else { return };
    // It takes workflows where they belong.
    let folder = assert_fs::TempDir::new().unwrap();
    let place = folder.path().join(".github/workflows");
    fs::create_dir_all(&place).unwrap();
    for file in workflows().iter().filter(|file| file.starts_with("examples")) {
        fs::copy(root().join(file), place.join(Path::new(file).file_name().unwrap())).unwrap();
    }
    fs::copy(root().join("action.yml"), folder.path().join("action.yml")).unwrap();
    passes(&zizmor, &["--offline", "--quiet", folder.path().to_str().unwrap()]);
}

#[test]
fn the_files_follow_the_services_schemas() {
    let Some(check) = tool("check-jsonschema") else { return };
    for file in workflows() {
        passes(&check, &["--builtin-schema", "vendor.github-workflows", &file]);
    }
    passes(&check, &["--builtin-schema", "vendor.github-actions", "action.yml"]);
    passes(&check, &["--builtin-schema", "vendor.gitlab-ci", "examples/pipelines/gitlab/.gitlab-ci.yml"]);
}

#[test]
fn the_hooks_are_what_pre_commit_reads() {
    let Some(pre_commit) = tool("pre-commit") else { return };
    passes(&pre_commit, &["validate-manifest", ".pre-commit-hooks.yaml"]);
}

#[test]
fn the_jenkinsfile_is_groovy() {
    let Some(python) = tool("python3") else { return };
    let script = "
import sys, tree_sitter_groovy
from tree_sitter import Language, Parser
tree = Parser(Language(tree_sitter_groovy.language())).parse(open(sys.argv[1], 'rb').read())
sys.exit(tree.root_node.has_error)";
    passes(&python, &["-c", script, "examples/pipelines/jenkins/Jenkinsfile"]);
}
