//! The JSON schemas, held to what they describe by a validator that is not ours: to the parser of the manifest, and to
//! the readers of plans and of the ledger, each of which must refuse exactly what its schema refuses.
//!
//! `schemas/` holds them as files, so that a change of a format meets a reviewer; `UPDATE=1` writes them anew.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod documents;
mod manifest;
mod mutations;
#[path = "../support/script.rs"]
mod script;

use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use larksub::schema;
use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn validator(schema: &Value) -> Validator {
    jsonschema::options().should_validate_formats(true).build(schema).unwrap()
}

fn folders(name: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(name)).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

#[track_caller]
fn assert_valid(validator: &Validator, instance: &Value, place: &str) {
    let errors: Vec<String> = validator
        .iter_errors(instance)
        .map(|error| format!("{place}: {error} at {}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{}", errors.join("\n"));
}

#[test]
fn the_schemas_are_valid_and_stand_in_the_repository() {
    for (name, schema, draft) in [
        ("manifest", schema::manifest(), "http://json-schema.org/draft-07/schema#"),
        ("plan", schema::plan(), "https://json-schema.org/draft/2020-12/schema"),
        ("ledger", schema::ledger_line(), "https://json-schema.org/draft/2020-12/schema"),
        ("events", schema::events(), "https://json-schema.org/draft/2020-12/schema"),
    ] {
        assert_eq!(schema["$schema"], draft);
        jsonschema::meta::validate(&schema).unwrap();
        let path = root().join(format!("schemas/{name}.json"));
        let text = larksub::json::pretty(&schema).unwrap() + "\n";
        if std::env::var_os("UPDATE").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &text).unwrap();
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == text,
            "schemas/{name}.json differs from `larksub schema {name}`; UPDATE=1 writes it anew"
        );
    }
}

#[test]
fn every_key_is_described_for_a_reader() {
    fn undescribed(schema: &Value, place: &str, found: &mut Vec<String>) {
        let Some(keys) = schema.as_object() else {
            let items = schema.as_array().into_iter().flatten();
            return items.for_each(|item| undescribed(item, place, found));
        };
        for (name, inner) in keys {
            let place = format!("{place}/{name}");
            if let Some(text) = inner.as_str().filter(|_| name == "description") {
                let is_prose = !text.contains("[`") && !text.contains("::") && !text.contains('\n');
                if !is_prose || !text.ends_with(['.', ')', '`']) {
                    found.push(format!("{place}: {text}"));
                }
            }
            // Conditions describe nothing.
            if !["if", "then", "else", "dependencies"].contains(&name.as_str()) {
                undescribed(inner, &place, found);
            }
        }
        let properties = schema["properties"].as_object().into_iter().flatten();
        for (key, inner) in properties.filter(|(key, _)| *key != "op" && *key != "what") {
            if inner["description"].as_str().is_none() {
                found.push(format!("{place}/{key} is not described"));
            }
        }
    }
    let mut found = Vec::new();
    for schema in [schema::manifest(), schema::plan(), schema::ledger_line(), schema::events()] {
        undescribed(&schema, "", &mut found);
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
