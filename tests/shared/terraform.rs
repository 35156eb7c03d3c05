//! The `terraform` program as the second client of one server: each respects the other's lock.

use std::process::Command;

use crate::life::{codes, dropping};
use crate::store::Store;
use crate::support::{Platform, Scratch, code, manifest};

fn is_there() -> bool {
    let is_there =
        Command::new("terraform").arg("version").output().is_ok_and(|output| output.status.success());
    if !is_there {
        crate::store::skipped("there is no terraform in PATH, and nothing of this test ran");
    }
    is_there
}

fn terraform(scratch: &Scratch, line: &str) -> (bool, String) {
    let mut command = Command::new("terraform");
    command.args(line.split(' ')).current_dir(scratch.path("tf"));
    command.env("TF_IN_AUTOMATION", "1").env("CHECKPOINT_DISABLE", "1").env("TF_CLI_ARGS", "-no-color");
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

fn configure(scratch: &Scratch, url: &str, provisioner: &str) {
    scratch.write(
        "tf/main.tf",
        format!(
            "terraform {{\n  backend \"http\" {{\n    address = \"{url}\"\n    lock_address = \"{url}\"\n    unlock_address = \"{url}\"\n  }}\n}}\nresource \"terraform_data\" \"x\" {{\n{provisioner}\n}}\n"
        ),
    );
    let (is_done, said) = terraform(scratch, "init");
    assert!(is_done, "{said}");
}

#[test]
fn while_terraform_holds_the_lock_larksub_exits_5_and_names_it() {
    if !is_there() {
        return;
    }
    let store = Store::http();
    let scratch = Scratch::new();
    store.set(&scratch);
    scratch.write("larksub.toml", manifest("http://127.0.0.1:1", &[code(1)]));
    let program = env!("CARGO_BIN_EXE_larksub");
    // Terraform runs larksub while it applies, and so while it holds the lock.
    let shell = format!(
        "cd .. && {program} init --state {} > said.txt 2>&1; echo \\\"= $?\\\" >> said.txt",
        store.url
    );
    let provisioner = format!("  provisioner \"local-exec\" {{\n    command = \"{shell}\"\n  }}");
    configure(&scratch, &store.url, &provisioner);
    let (is_done, said) = terraform(&scratch, "apply -auto-approve");
    assert!(is_done, "{said}");
    let said = scratch.text("said.txt");
    assert!(said.contains("= 5") && said.contains("OperationTypeApply"), "{said}");
    let user = said.split("is locked by ").nth(1).unwrap();
    assert!(user.contains('@'), "{said}");
}

#[test]
fn while_larksub_holds_the_lock_terraform_is_refused_and_shown_who() {
    if !is_there() {
        return;
    }
    let store = Store::http();
    let all = codes(3);
    let platform = Platform::start(&all, &["--latency", "6s..6s"]);
    let theirs = Scratch::new();
    configure(&theirs, &store.url, "");
    let scratch = dropping(&store, &platform.url, &all);
    let running = scratch.spawn("apply --auto-approve");
    running.until("it holds the lock", || store.backend.as_ref().unwrap().kept("/states/one").lock.is_some());
    let lock = store.backend.as_ref().unwrap().kept("/states/one").lock.unwrap();
    let lock: serde_json::Value = serde_json::from_str(&lock).unwrap();
    assert!(lock["Who"].as_str().unwrap().contains("apply"), "{lock}");
    let (is_done, said) = terraform(&theirs, "plan -lock-timeout=0s");
    assert!(!is_done, "{said}");
    // It shows the holder's id, and of the rest its own.
    for word in ["Error acquiring the state lock", "already locked", lock["ID"].as_str().unwrap()] {
        assert!(said.contains(word), "{said}");
    }
    running.wait().exit(0);
    // Once it is free, Terraform does not take the document for a state of its own.
    let (is_done, said) = terraform(&theirs, "apply -auto-approve");
    assert!(!is_done && said.contains("version"), "{said}");
    scratch.run("plan --detailed-exitcode").exit(0);
}
