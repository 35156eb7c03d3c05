//! Addresses and credentials that are refused, before anything is asked of anybody.

use crate::support::{Scratch, code, manifest};

fn scratch() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("larksub.toml", manifest("http://127.0.0.1:1", &[code(1)]));
    scratch
}

#[test]
fn an_address_with_a_secret_in_it_is_refused_and_never_shown() {
    let scratch = scratch();
    for address in [
        "https://me:hunter2secret@git.example/s",
        "s3://key:hunter2secret@b/k",
        "https://x/s?sig=hunter2secret",
    ] {
        scratch.set("LARKSUB_STATE", address);
        for line in ["plan", "init", "apply --auto-approve", "validate", "state unlock x"] {
            scratch.run(line).exit(1).says(["environment"]);
        }
        scratch.unset("LARKSUB_STATE");
        scratch.run(&format!("state migrate larksub.state.jsonl {address}")).exit(1);
        scratch.run(&format!("plan --state {address}")).exit(1);
    }
    let said = scratch.said();
    assert!(!said.contains("hunter2secret"), "{said}");
    assert_eq!(scratch.names(), ["larksub.toml"]);
}

#[test]
fn what_is_no_address_of_a_state_is_refused_with_what_is() {
    let scratch = scratch();
    for (address, says) in [
        ("http://git.example/state", "plain http"),
        ("ftp://host/state", "no `ftp://` address"),
        ("s3://bucket", "names no key"),
        ("s3://bucket/a//b", "no plain names"),
    ] {
        scratch.run(&format!("plan --state {address}")).exit(1).says([says, "help:"]);
    }
}

#[test]
fn an_engine_that_is_not_built_in_is_refused_with_how_to_get_it() {
    let scratch = scratch();
    for (address, feature, is_built) in [
        ("s3://bucket/key", "s3", cfg!(feature = "s3")),
        ("gs://bucket/key", "gcs", cfg!(feature = "gcs")),
        ("az://container/key", "azure", cfg!(feature = "azure")),
    ] {
        if !is_built {
            let says = format!("cargo install --locked --path . --features {feature}");
            scratch.run(&format!("plan --state {address}")).exit(1).says([&says]);
        }
    }
}

#[test]
fn a_local_state_has_nothing_to_unlock() {
    let scratch = scratch();
    scratch.run("init").exit(0);
    scratch.run("state unlock abc").exit(1).says(["the operating system frees its lock"]);
}

#[test]
fn an_aws_profile_without_keys_of_its_own_is_refused_with_the_command_that_exports_them() {
    if !cfg!(feature = "s3") {
        crate::store::skipped("the test of AWS profiles needs --features s3");
        return;
    }
    let scratch = scratch();
    scratch.write(".aws/config", "[profile me]\nsso_session = corp\nregion = eu-west-1\n");
    scratch.write(".aws/credentials", "[half]\naws_access_key_id = x\n");
    scratch.set("HOME", &scratch.path("").display().to_string()).set("LARKSUB_STATE", "s3://b/k");
    scratch.set("AWS_PROFILE", "me");
    scratch.run("plan").exit(1).says(["aws configure export-credentials --profile me --format env"]);
    scratch.set("AWS_PROFILE", "nobody");
    scratch.run("plan").exit(1).says(["no AWS profile `nobody`"]);
}

#[test]
fn of_user_and_password_both_are_needed_and_times_are_numbers() {
    let scratch = scratch();
    scratch.set("LARKSUB_STATE", "https://git.example/state");
    scratch.set("LARKSUB_STATE_USERNAME", "me");
    scratch.run("plan").exit(1).says(["only one is given"]);
    scratch.unset("LARKSUB_STATE_USERNAME").set("LARKSUB_STATE_TIMEOUT", "soon");
    scratch.run("plan").exit(1).says(["LARKSUB_STATE_TIMEOUT"]);
}
