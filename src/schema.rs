//! The formats as JSON schemas: what people write, and what this program writes.
//!
//! The manifest is parsed by hand, so its schema is written by hand; tests hold the two together. The plan's and the
//! ledger's are derived from the very types that are written. Nothing here is built but by `larksub schema`.

mod events;
mod manifest;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use crate::plan::{self, Plan};
use crate::state::record::{self, Record};

pub use events::events;
pub use manifest::manifest;

/// A saved plan, which is what `plan --format json` prints: 2020-12.
pub fn plan() -> Value {
    let mut schema = written::<Plan>();
    let checksum = json!({
        "description": "SHA-256 of the document without this line: a plan that was edited or formatted anew is refused.",
        "type": "string",
        "pattern": plan::digest::PATTERN,
    });
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("checksum".into(), checksum);
    }
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.push("checksum".into());
    }
    let title = format!("A plan of larksub ({}, version {})", plan::FORMAT, plan::VERSION);
    titled(schema, &title)
}

/// One line of the ledger: 2020-12.
pub fn ledger_line() -> Value {
    let title = format!("A line of larksub's state ({}, version {})", record::FORMAT, record::VERSION);
    titled(written::<Line<'static>>(), &title)
}

/// One line of the ledger: one synced batch.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a line is written and read by `state::line`; this is its form")]
struct Line<'a> {
    /// The line's number: consecutive from the ledger's first line on.
    #[schemars(range(min = 1))]
    seq: u64,
    /// What happened, in order. `op` is the first key of each.
    #[schemars(length(min = 1))]
    records: Vec<Record<'a>>,
    /// The batch goes on in the next line.
    #[schemars(default, skip_serializing_if = "Option::is_none", extend("const" = true))]
    more: Option<bool>,
    /// CRC-32C of the line's own bytes before `,"crc"`, in eight hexadecimal digits.
    #[schemars(regex(pattern = r"^[0-9a-f]{8}$"))]
    crc: String,
}

/// The schema of what a type is written as.
fn written<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize().with_transform(RecursiveTransform(tidy));
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

fn titled(mut schema: Value, title: &str) -> Value {
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("title".into(), title.into());
    }
    schema
}

/// Makes a derived schema say what is written, and no more.
fn tidy(schema: &mut Schema) {
    // Rust's sizes of numbers are formats that no validator knows, and a strict one refuses.
    if schema
        .get("format")
        .and_then(Value::as_str)
        .is_some_and(|format| format.starts_with(['u', 'i']) && format != "uuid")
    {
        schema.remove("format");
    }
    // A paragraph is one line; an editor or a page breaks it where it has to.
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.replace('\n', " ");
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.values_mut().filter_map(Value::as_object_mut).for_each(without_null);
    }
}

/// What is absent is left out: no key is ever written as null.
fn without_null(property: &mut Map<String, Value>) {
    if property.get("default").is_some_and(Value::is_null) {
        property.remove("default");
    }
    let Some(types) = property.get("type").and_then(Value::as_array) else {
        let Some(choices) = property.get("anyOf").and_then(Value::as_array) else { return };
        let mut kept = choices.iter().filter(|choice| choice.get("type") != Some(&"null".into()));
        if let (Some(Value::Object(only)), None) = (kept.next(), kept.next()) {
            let only = only.clone();
            property.remove("anyOf");
            property.extend(only);
        }
        return;
    };
    let mut kept = types.iter().filter(|word| *word != "null");
    if let (Some(only), None) = (kept.next(), kept.next()) {
        let only = only.clone();
        property.insert("type".into(), only);
    }
}
