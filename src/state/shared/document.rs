//! The ledger as one JSON document, for servers that keep one document. Pure.
//!
//! `serial` and `lineage` stand at its top, where Terraform's state has them and where servers look for them. The lines are
//! strings, so that a server that writes JSON anew cannot change a byte of them. There is no `version` at its top: with one, an
//! old one, Terraform would take the document for a state of its own, and write over it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

const FORMAT: &str = "larksub.state.document";
const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct Document<'a> {
    format: std::borrow::Cow<'a, str>,
    format_version: u32,
    serial: u64,
    lineage: Uuid,
    lines: Vec<std::borrow::Cow<'a, str>>,
}

/// The document of a ledger's bytes.
pub(super) fn write(ledger: &[u8], serial: u64, lineage: Uuid) -> Result<Vec<u8>, String> {
    let text = std::str::from_utf8(ledger).map_err(|error| error.to_string())?;
    let lines = text.lines().map(Into::into).collect();
    let document = Document { format: FORMAT.into(), format_version: VERSION, serial, lineage, lines };
    let mut bytes = serde_json::to_vec_pretty(&document).map_err(|error| error.to_string())?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The ledger's bytes that a document holds.
///
/// # Errors
/// It is something else; what, as the end of a sentence.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let value: serde_json::Value =
        serde_json::from_slice(bytes).map_err(|_| "is no JSON document".to_owned())?;
    if value.get("terraform_version").is_some() {
        return Err("is a Terraform state, not one of larksub".into());
    }
    if value.get("format").and_then(serde_json::Value::as_str) != Some(FORMAT) {
        return Err("is another document, not a state of larksub".into());
    }
    if value.get("format_version").and_then(serde_json::Value::as_u64) != Some(u64::from(VERSION)) {
        return Err("is a document of a newer larksub".into());
    }
    let document: Document<'_> =
        serde_json::from_value(value).map_err(|error| format!("is a damaged document: {error}"))?;
    let mut ledger = String::new();
    for line in &document.lines {
        ledger.push_str(line);
        ledger.push('\n');
    }
    Ok(ledger.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_comes_back_byte_for_byte() {
        let ledger = "{\"seq\":1,\"x\":\"\\u202e \\\" 请假\"}\n{\"seq\":2}\n".as_bytes();
        let document = write(ledger, 2, Uuid::nil()).unwrap();
        assert_eq!(read(&document).unwrap(), ledger);
        // A server may write the JSON anew.
        let value: serde_json::Value = serde_json::from_slice(&document).unwrap();
        assert_eq!(value["serial"], 2);
        assert_eq!(read(value.to_string().as_bytes()).unwrap(), ledger);
    }

    #[test]
    fn what_is_something_else_is_refused() {
        for (bytes, why) in [
            ("", "no JSON"),
            ("{}", "another document"),
            (r#"{"version":4,"terraform_version":"1.11.4","serial":3}"#, "Terraform"),
            (r#"{"format":"larksub.state.document","format_version":2}"#, "newer"),
            (r#"{"format":"larksub.state.document","format_version":1}"#, "damaged"),
        ] {
            let error = read(bytes.as_bytes()).unwrap_err();
            assert!(error.contains(why), "{bytes}: {error}");
        }
    }
}
