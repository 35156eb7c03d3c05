//! A plan as a document: what `plan --out` writes, what `--format json` prints, and what `apply PLAN` reads.
//!
//! The document is byte-stable. Its checksum covers every byte of it apart from the checksum's own line, so a
//! plan that was edited, or formatted anew, is refused.

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::digest::{hex, is_digest};
use super::{Counts, FORMAT, Plan, VERSION, Verdict, base};
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
    /// Its checksum matches, and no larksub writes it: whoever changed it made the checksum anew.
    #[error("it contradicts itself: {0}")]
    Untrue(&'static str),
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
/// It is something else, of a newer version, was changed after it was saved, or says of itself what is not so.
pub fn read(text: &str) -> Result<Plan, NotAPlan> {
    #[derive(Deserialize)]
    struct Head {
        format: Option<String>,
        version: Option<u64>,
    }
    // Whoever made the checksum of a changed plan anew did not make a mistake.
    let is_sealed = || take_checksum(text).is_some_and(|(found, without)| found == checksum(&without));
    let head: Head = serde_json::from_str(text).map_err(|error| match is_sealed() {
        true => NotAPlan::Untrue(not_ours(&error)),
        false => foreign(text, &error),
    })?;
    match head.format.as_deref() {
        Some(FORMAT) => {}
        Some(other @ ("larksub.report" | "larksub.history" | "larksub.state")) => {
            return Err(NotAPlan::Foreign(format!("its `format` is `{other}`, not `{FORMAT}`")));
        }
        _ => return Err(NotAPlan::Foreign(format!("its `format` is not `{FORMAT}`"))),
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
    let plan: Plan = serde_json::from_str(&without).map_err(|error| NotAPlan::Untrue(not_ours(&error)))?;
    // It is printed, compared and put into commands.
    if !is_digest(&plan.digest) {
        return Err(NotAPlan::Untrue("its `digest` is none"));
    }
    untrue(&plan, text).map_or(Ok(plan), |what| Err(NotAPlan::Untrue(what)))
}

/// What is not so of what a plan says of itself. A checksum can be made anew by anyone; this cannot be got round, since
/// whatever a plan lists is what its digest is of, and a fresh plan has to give that digest.
fn untrue(plan: &Plan, text: &str) -> Option<&'static str> {
    let Counts { tracked: _, declared: _, drops, unknowns, forgets, updates, untracked } = plan.counts;
    // What is listed is counted, so that no number of the document is ever added up.
    let [dropped, unknown, forgotten, updated, not_tracked] =
        [plan.drops.len(), plan.unknowns.len(), plan.forgets.len(), plan.updates.len(), plan.untracked.len()]
            .map(|number| number as u64);
    let is_counted =
        (drops, unknowns, forgets, updates, untracked) == (dropped, unknown, forgotten, updated, not_tracked);
    let calls = dropped + unknown.saturating_sub(plan.unsettled());
    let is_refused = plan.guards.iter().any(|guard| guard.verdict == Verdict::Refused);
    if base::digest_of(plan).as_deref() != Some(plan.digest.as_str()) {
        Some("its digest is not that of what it lists")
    } else if !is_counted || calls != plan.calls {
        Some("its counts are not those of what it lists")
    } else if plan.has_changes != (calls + forgotten + updated > 0) {
        Some("`has_changes` is not so")
    } else if plan.refused != is_refused {
        Some("`refused` is not what its guards say")
    } else if !is_compared(plan) {
        Some("what it says of its base is not so")
    } else if write(plan).ok().as_deref() != Some(text) {
        Some("it is not written as larksub writes it")
    } else {
        None
    }
}

/// Whether what is pending is as much as the base is said to hold of it.
fn is_compared(plan: &Plan) -> bool {
    let forgets = plan.forgets.iter().filter(|forget| forget.pending).count() as u64;
    let (drops, forgets) = (plan.pending_calls(), forgets);
    let settled = plan.unknowns.iter().all(|unknown| !(unknown.declared && unknown.pending));
    match &plan.base {
        Some(base) => {
            settled
                && (base.drops, base.forgets) == (drops, forgets)
                && is_digest(&base.digest)
                && is_digest(&base.manifest_digest)
        }
        None => settled && (drops, forgets) == (0, 0),
    }
}

/// What no larksub writes, in our own words: the file's are not to be believed.
fn not_ours(error: &serde_json::Error) -> &'static str {
    let text = error.to_string();
    if text.starts_with("duplicate field") {
        "it gives a key twice"
    } else if text.starts_with("unknown field") {
        "it has a key that no plan has"
    } else if text.starts_with("missing field") {
        "it lacks a key that every plan has"
    } else {
        "a value of it is none that a plan has there"
    }
}

/// What a text is that is no JSON object.
fn foreign(text: &str, error: &serde_json::Error) -> NotAPlan {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    NotAPlan::Foreign(if text.is_empty() {
        "it is empty".into()
    } else if text.starts_with("{\"seq\":") {
        "it is a state, the ledger itself".into()
    } else if error.is_eof() {
        format!("it ends in the middle: it was cut off while it was written or copied ({error})")
    } else if !text.starts_with('{') && toml::from_str::<toml::Table>(text).is_ok() {
        "it is TOML, perhaps a manifest".into()
    } else {
        error.to_string()
    })
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
