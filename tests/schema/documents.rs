//! The schemas of plans and of the ledger's lines beside their readers.

use std::collections::BTreeMap;
use std::fs;

use larksub::plan::Plan;
use larksub::schema;
use larksub::state::line::read_line;
use serde_json::{Value, json};

use super::mutations::mutations;
use super::{assert_valid, folders, root, script, validator};

#[test]
fn the_schema_of_a_plan_refuses_what_its_reader_refuses() {
    // Words that the schema pins, and the reader compares elsewhere.
    const PINNED: [&str; 4] = ["format", "digest", "manifest_digest", "tail_crc"];
    let validator = validator(&schema::plan());
    let mut counts = BTreeMap::<bool, u64>::new();
    for case in folders("tests/plan") {
        let text = fs::read_to_string(case.join("expected.json")).unwrap();
        let mut plan: Value = serde_json::from_str(&text).unwrap();
        assert_valid(&validator, &plan, &case.display().to_string());
        let checksum = plan.as_object_mut().unwrap().remove("checksum").unwrap();
        assert!(!validator.is_valid(&plan), "a plan without its checksum");
        for (what, changed) in mutations(&plan, &PINNED) {
            let is_right = serde_json::from_value::<Plan>(changed.clone()).is_ok();
            let mut changed = changed;
            if let Some(changed) = changed.as_object_mut() {
                changed.insert("checksum".into(), checksum.clone());
            }
            assert_eq!(validator.is_valid(&changed), is_right, "{}: {what}", case.display());
            *counts.entry(is_right).or_default() += 1;
        }
    }
    println!("changed plans: {counts:?}");
    assert!(counts[&false] >= 2_000 && counts[&true] >= 100, "{counts:?}");
}

#[test]
fn a_plan_of_another_format_or_version_is_no_plan() {
    let validator = validator(&schema::plan());
    let text = fs::read_to_string(root().join("tests/plan/nothing-to-do/expected.json")).unwrap();
    let plan: Value = serde_json::from_str(&text).unwrap();
    for (key, value) in [
        ("format", json!("larksub.state")),
        ("version", json!(2)),
        ("digest", json!("sha256:0")),
        ("checksum", json!("0")),
        ("estimate_s", Value::Null),
    ] {
        let mut changed = plan.clone();
        changed[key] = value;
        assert!(!validator.is_valid(&changed), "{key}");
    }
}

/// A line as the ledger has it: `op` is the first key of a record.
fn line_text(line: &Value) -> String {
    let mut line = line.clone();
    let records = line.as_object_mut().and_then(|line| line.remove("records"));
    let record = |record: &Value| {
        let Some(mut rest) = record.as_object().cloned() else { return record.to_string() };
        let Some(op) = rest.remove("op") else { return record.to_string() };
        let rest = Value::Object(rest).to_string();
        format!("{{\"op\":{op},{}", &rest[1..])
    };
    let records = records.map(|records| match &records {
        Value::Array(records) => format!("[{}]", records.iter().map(record).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    });
    let text = line.to_string();
    match records {
        Some(records) => format!("{{\"records\":{records},{}", &text[1..]),
        None => text,
    }
}

#[test]
fn the_schema_of_a_line_refuses_what_its_reader_refuses() {
    let validator = validator(&schema::ledger_line());
    let (mut lines, mut counts) = (0, BTreeMap::<bool, u64>::new());
    let mut told: Vec<String> = folders("tests/plan")
        .iter()
        .filter_map(|case| fs::read_to_string(case.join("state.txt")).ok())
        .collect();
    told.push("bind isv cli_a https://x.example store\ntrack isv/t/A name=n owner=o protect\nupdate isv/t/A name=m\nrun 1\nintent isv/t/A\noutcome isv/t/A failed\nend failed\nforget isv/t/A reason=r".into());
    for told in told {
        for text in script::ledger(&told).lines() {
            lines += 1;
            let line: Value = serde_json::from_str(text).unwrap();
            assert_valid(&validator, &line, text);
            // The reader has compared the checksum before.
            let changes = mutations(&line, &["format", "crc"]).into_iter();
            for (what, changed) in changes.filter(|(what, _)| !what.starts_with("/crc")) {
                let is_right = read_line(line_text(&changed).as_bytes()).is_ok();
                assert_eq!(validator.is_valid(&changed), is_right, "{what} of {text}");
                *counts.entry(is_right).or_default() += 1;
            }
        }
    }
    println!("{lines} lines; changed: {counts:?}");
    assert!(lines >= 300 && counts[&false] >= 3_000, "{lines} lines, {counts:?}");
}
