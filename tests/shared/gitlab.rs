//! The client against what GitLab's and Terraform's documentation say, request by request.

use crate::backend::{Backend, Style};
use crate::proxy::Do;
use crate::store::Store;
use crate::support::encodings::base64;
use crate::support::{Scratch, code, manifest};

const PATH: &str = "/api/v4/projects/42/terraform/state/approvals";

fn scratch(store: &Store) -> Scratch {
    let scratch = Scratch::new();
    store.set(&scratch);
    scratch.write("larksub.toml", manifest("http://127.0.0.1:1", &[code(1)]));
    scratch
}

fn backend(store: &Store) -> &Backend {
    store.backend.as_ref().unwrap()
}

#[test]
fn a_gitlab_address_is_locked_as_gitlab_documents_it() {
    let store = Store::http_of(Style::Gitlab, PATH);
    let scratch = scratch(&store);
    scratch.set("TF_HTTP_USERNAME", "me").set("TF_HTTP_PASSWORD", "glpat-secret-secret");
    scratch.run("init").exit(0);
    scratch.run("import --declared").exit(0);
    let seen = backend(&store).seen();
    let told: Vec<String> = seen
        .iter()
        .map(|seen| {
            format!(
                "{} {}{}",
                seen.method,
                seen.path.trim_start_matches(PATH),
                if seen.query.is_empty() { "" } else { "?ID" }
            )
        })
        .collect();
    let append = ["GET ", "POST ?ID", "GET "];
    let init = [&["POST /lock", "GET "][..], &append, &["DELETE /lock"]].concat();
    assert_eq!(told, [init.clone(), init].concat());
    let basic = base64(b"me:glpat-secret-secret");
    for seen in &seen {
        assert!(
            seen.head.to_lowercase().contains(&format!("authorization: basic {}", basic.to_lowercase())),
            "{}",
            seen.head
        );
    }
    let lock: serde_json::Value = serde_json::from_str(&seen[0].body).unwrap();
    let keys: Vec<&str> = lock.as_object().unwrap().keys().map(String::as_str).collect();
    let mut fields = ["ID", "Operation", "Info", "Who", "Version", "Created", "Path"];
    fields.sort_unstable();
    assert_eq!(keys, fields);
    assert_eq!(seen[3].query, format!("ID={}", lock["ID"].as_str().unwrap()));
    let document: serde_json::Value =
        serde_json::from_slice(&backend(&store).kept(PATH).document.unwrap()).unwrap();
    assert_eq!((&document["format"], &document["serial"]), (&"larksub.state.document".into(), &3.into()));
    scratch.nowhere(&["glpat-secret-secret".into(), basic]);
}

#[test]
fn a_job_uses_its_own_token_for_its_own_server_and_for_no_other() {
    let store = Store::http_of(Style::Gitlab, PATH);
    let scratch = scratch(&store);
    let job = base64(b"gitlab-ci-token:job-token-secret");
    scratch.set("CI_JOB_TOKEN", "job-token-secret");
    scratch.set("CI_API_V4_URL", &format!("http://{}/api/v4", store.proxy.address));
    scratch.run("init").exit(0);
    assert!(backend(&store).seen().iter().all(|seen| seen.head.contains(&job)));
    scratch.set("CI_API_V4_URL", "http://gitlab.example/api/v4");
    let before = backend(&store).seen().len();
    scratch.run("plan").exit(0);
    assert!(
        backend(&store).seen()[before..]
            .iter()
            .all(|seen| !seen.head.to_lowercase().contains("authorization"))
    );
}

#[test]
fn a_token_goes_into_the_header_that_is_named() {
    let store = Store::http();
    let scratch = scratch(&store);
    scratch.write("token", "glpat-in-a-file\n");
    scratch.set("LARKSUB_STATE_TOKEN_FILE", "token").set("LARKSUB_STATE_TOKEN_HEADER", "Private-Token");
    scratch.run("init").exit(0);
    assert!(
        backend(&store)
            .seen()
            .iter()
            .all(|seen| seen.head.to_lowercase().contains("private-token: glpat-in-a-file\r\n"))
    );
    scratch.unset("LARKSUB_STATE_TOKEN_HEADER").run("plan").exit(0);
    assert!(backend(&store).seen().last().unwrap().head.contains("Bearer glpat-in-a-file"));
}

#[test]
fn terraforms_variables_for_another_state_do_not_reach_this_one() {
    let store = Store::http();
    let scratch = scratch(&store);
    scratch
        .set("TF_HTTP_ADDRESS", "https://git.example/other")
        .set("TF_HTTP_LOCK_ADDRESS", "https://git.example/other/lock");
    scratch
        .set("TF_HTTP_USERNAME", "me")
        .set("TF_HTTP_PASSWORD", "not-for-this-server")
        .set("TF_HTTP_LOCK_METHOD", "POST");
    scratch.run("init").exit(0);
    assert!(backend(&store).seen().iter().all(|seen| !seen.head.to_lowercase().contains("authorization")));
    assert!(backend(&store).seen().iter().any(|seen| seen.method == "LOCK"));
    let other = "http://127.0.0.2:9/lock";
    scratch
        .set("LARKSUB_STATE_LOCK_ADDRESS", other)
        .run("import --declared")
        .exit(1)
        .says(["not on the same server"]);
}

#[test]
fn a_server_that_does_not_lock_is_not_written_to_unless_a_person_says_so() {
    let store = Store::http_of(Style::None, "/states/one");
    let scratch = scratch(&store);
    scratch.run("init").exit(1).says([
        "cannot be locked",
        "LOCK was answered with 405",
        "LARKSUB_STATE_ALLOW_UNLOCKED=1",
    ]);
    assert!(backend(&store).kept("/states/one").document.is_none());
    scratch.set("LARKSUB_STATE_ALLOW_UNLOCKED", "1");
    scratch.run("init").exit(0);
    scratch.run("import --declared").exit(0);
    scratch.run("state list").exit(0).says([&code(1)]);
}

#[test]
fn a_holder_that_answers_name_is_shown_and_its_text_cannot_command_a_pipeline() {
    for status in [423, 409] {
        let store = Store::http_of(Style::Gitlab, PATH);
        let scratch = scratch(&store);
        scratch.run("init").exit(0);
        let body = r###"{"ID":"e25a9d4c","Operation":"OperationTypeApply","Info":"","Who":"\n::error::alice@runner\u001b[31m","Version":"1.11.4","Created":"2026-01-02T03:04:05Z","Path":""}"###;
        store.proxy.rule("POST", "/lock", 0, usize::MAX, Do::Answer(status, body.into()));
        let ran = scratch.run("import --declared");
        ran.exit(5).says([
            "alice@runner",
            "OperationTypeApply",
            "2026-01-02 03:04:05 UTC",
            "state unlock e25a9d4c",
        ]);
        assert!(
            !ran.stderr.contains('\u{1b}') && !ran.stderr.lines().any(|line| line.starts_with("::")),
            "{ran}"
        );
        store.proxy.heal();
        let body = r#"{"ID":"x`; rm -rf ~","Who":"mallory"}"#;
        store.proxy.rule("POST", "/lock", 0, usize::MAX, Do::Answer(status, body.into()));
        scratch.run("import --declared").exit(5).says(["mallory", "`larksub state unlock ID`"]);
        store.proxy.heal();
        store.proxy.rule("POST", "/lock", 0, usize::MAX, Do::Answer(status, "<html>busy</html>".into()));
        scratch.run("import --declared").exit(5).says(["somebody"]);
    }
}

#[test]
fn a_state_of_terraform_is_told_apart_and_never_overwritten() {
    let store = Store::http();
    let scratch = scratch(&store);
    let theirs = br#"{"version":4,"terraform_version":"1.11.4","serial":3,"lineage":"x","resources":[]}"#;
    backend(&store).set("/states/one", theirs);
    for line in ["init", "plan", "import --declared", "state pull"] {
        scratch.run(line).exit(1).says(["a Terraform state"]);
    }
    assert_eq!(backend(&store).kept("/states/one").document.unwrap(), theirs);
    assert!(backend(&store).kept("/states/one").lock.is_none(), "what is refused is unlocked again");
}

#[test]
fn a_lock_that_was_taken_away_ends_the_run() {
    let store = Store::http();
    let scratch = scratch(&store);
    scratch.run("init").exit(0);
    // Between the lock and the write somebody unlocks by force and writes.
    store.proxy.rule("POST", "?ID=", 0, 1, Do::Answer(423, r#"{"ID":"other","Who":"bob@laptop"}"#.into()));
    scratch.run("import --declared").exit(7).says(["bob@laptop", "nothing of theirs was overwritten"]);
    assert!(scratch.run("state list").exit(0).stdout.find(&code(1)).is_none());
}
