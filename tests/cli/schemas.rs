//! `larksub schema`, and what a real run wrote held to it.

use std::path::Path;
use std::process::Command;

use jsonschema::Validator;
use serde_json::Value;

use super::support::{Platform, Scratch, code, manifest};

const URL: &str = "http://127.0.0.1:9";

fn validator(scratch: &Scratch, of: &str) -> Validator {
    let ran = scratch.run(&format!("schema {of}"));
    let schema = ran.exit(0).json();
    assert!(ran.stderr.is_empty() && schema["title"].is_string(), "{ran}");
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

#[track_caller]
fn assert_valid(validator: &Validator, instance: &Value) {
    let errors: Vec<String> = validator.iter_errors(instance).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{instance}: {errors:?}");
}

#[test]
fn a_schema_is_printed_anywhere_and_reads_nothing() {
    let scratch = Scratch::new();
    scratch.set("LARKSUB_STATE", "");
    for of in ["manifest", "plan", "ledger"] {
        validator(&scratch, of);
    }
    scratch.run("schema").exit(1);
    scratch.run("schema policy").exit(1).says(["manifest, plan, ledger"]);
    assert!(scratch.names().is_empty(), "nothing is written");
}

#[test]
fn the_starter_manifest_fits_its_schema() {
    let scratch = Scratch::new();
    scratch.run("init").exit(0);
    let starter: Value = toml::from_str(&scratch.text("larksub.toml")).unwrap();
    assert_valid(&validator(&scratch, "manifest"), &starter);
}

#[test]
fn a_real_run_writes_what_the_schemas_describe() {
    let codes: Vec<String> = (1..=6).map(code).collect();
    let faults = ["--fault", &format!("{}=not_found", codes[0]), "--fault", &format!("{}=already", codes[1])];
    let platform = Platform::start(&codes, &faults);
    let scratch = Scratch::tracking(&platform.url, &codes);
    let (plan, ledger) = (validator(&scratch, "plan"), validator(&scratch, "ledger"));
    let app = manifest(&platform.url, &codes[4..]);
    let removed = format!(
        "\n[[apps.hr.removed]]\napproval_code = \"{}\"\nreason = \"ours no more\"\nforget = true\n",
        codes[3]
    );
    scratch.write("larksub.toml", app + "name = \"a new name\"\nprotect = true\n" + &removed);
    scratch.run("plan --allow-drops 3 --out plan.json").exit(0);
    assert_valid(&plan, &scratch.json("plan.json"));
    scratch.run("apply plan.json").exit(3);
    scratch.run(&format!("state rm hr/{} --reason \"by hand\"", codes[4])).exit(0);
    scratch.run("plan --out again.json").exit(0);
    assert_valid(&plan, &scratch.json("again.json"));
    scratch.run("state compact").exit(0);

    let mut operations = std::collections::BTreeSet::new();
    let names = scratch.names();
    for name in names.iter().filter(|name| name.contains(".state.jsonl")) {
        for line in scratch.text(name).lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            assert_valid(&ledger, &line);
            let records = line["records"].as_array().unwrap().iter();
            operations.extend(records.map(|record| record["op"].as_str().unwrap().to_owned()));
        }
    }
    let all = ["bind", "end", "forget", "init", "intent", "outcome", "run", "snapshot", "track", "update"];
    assert_eq!(operations, all.map(String::from).into(), "every operation was met");
}

/// The page's policy for `jq`, where there is one.
#[test]
fn a_policy_over_the_plan_refuses_a_drop_without_an_owner() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let policy = root.join("examples/policy/owner.jq");
    let text = std::fs::read_to_string(&policy).unwrap();
    let (_, filter) = text.split_once('\n').unwrap();
    let page = std::fs::read_to_string(root.join("docs/schema.md")).unwrap();
    assert!(page.contains(&format!("```jq\n{filter}```")), "the page shows the file");
    let jq = |plan: &Path| Command::new("jq").args(["-r", "-f"]).args([&policy, plan]).output();
    let scratch = Scratch::tracking(URL, &[code(1), code(2)]);
    let kept = scratch.text("larksub.toml");
    scratch.run("plan --out kept.json").exit(0);
    let Ok(output) = jq(&scratch.path("kept.json")) else {
        println!("there is no jq");
        return;
    };
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "every drop has an owner\n");
    scratch.write("larksub.toml", kept.replace(&code(2), &code(3)));
    scratch.run("plan --out drop.json").exit(0);
    let output = jq(&scratch.path("drop.json")).unwrap();
    assert!(!output.status.success(), "{output:?}");
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        format!("hr/{} would be dropped and has no owner\n", code(2))
    );
    scratch.write(
        "larksub.toml",
        kept.replace(&format!("\"{}\"\n", code(2)), &format!("\"{}\"\nowner = \"hr\"\n", code(2))),
    );
    scratch.run("apply --auto-approve").exit(0);
    scratch.write("larksub.toml", kept.replace(&code(2), &code(3)));
    scratch.run("plan --out owned.json").exit(0);
    assert!(jq(&scratch.path("owned.json")).unwrap().status.success());
}
