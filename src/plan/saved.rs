//! A plan as a document: what `plan --out` writes, what `--format json` prints, and what `apply PLAN` reads.
//!
//! The document is byte-stable. Its checksum covers every byte of it apart from the checksum's own line, so a
//! plan that was edited, or formatted anew, is refused.

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::digest::{hex, is_digest};
use super::{FORMAT, Plan, VERSION};
use crate::json;

/// Why a document is refused as a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAPlan {
    /// It is something else.
    #[error("it is not a saved plan: {0}")]
    Foreign(String),
    /// A newer larksub wrote it.
    #[error("it is of version {0}; this larksub knows {VERSION}")]
    Newer(u64),
    /// It is not what was saved.
    #[error("its checksum does not match: it was changed after it was saved")]
    Changed,
}

/// The document of a plan, line break at its end included.
///
/// # Errors
/// Never for a plan of this module; serde_json's signature.
pub fn write(plan: &Plan) -> serde_json::Result<String> {
    let mut text = json::pretty(plan)?;
    text.push('\n');
    let checksum = checksum(&text);
    // The facts always follow the digest, and no string can hold a line break.
    let at = text.find(BEFORE).map(|at| at + 1).unwrap_or(0);
    text.insert_str(at, &format!("  \"checksum\": \"{checksum}\",\n"));
    Ok(text)
}

const BEFORE: &str = "\n  \"facts\": {";
const KEY: &str = "\n  \"checksum\": \"";

/// Reads a document.
///
/// # Errors
/// It is something else, of a newer version, or was changed after it was saved.
pub fn read(text: &str) -> Result<Plan, NotAPlan> {
    #[derive(Deserialize)]
    struct Head {
        format: Option<String>,
        version: Option<u64>,
    }
    let head: Head = serde_json::from_str(text).map_err(|error| NotAPlan::Foreign(error.to_string()))?;
    if head.format.as_deref() != Some(FORMAT) {
        return Err(NotAPlan::Foreign(format!("its `format` is not `{FORMAT}`")));
    }
    match head.version {
        Some(version) if version > u64::from(VERSION) => return Err(NotAPlan::Newer(version)),
        Some(version) if version == u64::from(VERSION) => {}
        _ => return Err(NotAPlan::Foreign("it names no version".into())),
    }
    let (found, without) = take_checksum(text).ok_or(NotAPlan::Changed)?;
    if found != checksum(&without) {
        return Err(NotAPlan::Changed);
    }
    let plan: Plan = serde_json::from_str(&without).map_err(|error| NotAPlan::Foreign(error.to_string()))?;
    // It is printed, compared and put into commands.
    if !is_digest(&plan.digest) {
        return Err(NotAPlan::Foreign("its `digest` is none".into()));
    }
    Ok(plan)
}

fn take_checksum(text: &str) -> Option<(String, String)> {
    let line = text.find(KEY)? + 1;
    let value = line + KEY.len() - 1;
    let value_len = text.get(value..)?.find("\",\n")?;
    let found = text.get(value..value + value_len)?;
    let (before, after) = (text.get(..line)?, text.get(value + value_len + "\",\n".len()..)?);
    Some((found.to_owned(), format!("{before}{after}")))
}

fn checksum(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}
