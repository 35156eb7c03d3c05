//! What happened, as text and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use uuid::Uuid;

use super::{Paint, time};
use crate::render::plan::author;
use crate::state::history::Entry;
use crate::state::{OutcomeKind, Override};
use crate::text::{pad, shown};

/// The history as one JSON document.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    format: &'static str,
    version: u32,
    lineage: Uuid,
    entries: &'a [Entry],
}

/// The history as one JSON document.
pub fn document(lineage: Uuid, entries: &[Entry]) -> Document<'_> {
    Document { format: "larksub.history", version: 1, lineage, entries }
}

/// A line an entry, oldest first. An intent is shown where it has no outcome: then it is all that is known.
pub fn text(entries: &[Entry], paint: Paint) -> String {
    let mut out = String::new();
    let answered = answered(entries);
    for (position, entry) in entries.iter().enumerate() {
        if entry.op == "intent" && answered.contains_key(&position) {
            continue;
        }
        let _ = writeln!(out, "{}", line(entry, paint));
    }
    out
}

/// The positions of the intents that have an outcome, with the outcome's.
fn answered(entries: &[Entry]) -> BTreeMap<usize, usize> {
    let mut open = BTreeMap::new();
    let mut answered = BTreeMap::new();
    for (position, entry) in entries.iter().enumerate() {
        let place = (entry.run, &entry.app, &entry.tenant_key, &entry.approval_code);
        match entry.op {
            "intent" => {
                open.insert(place, position);
            }
            "outcome" => {
                if let Some(intent) = open.remove(&place) {
                    answered.insert(intent, position);
                }
            }
            _ => {}
        }
    }
    answered
}

/// What was allowed by name, as on a command line; of many the first, and how many more.
pub fn allowances(overrides: &[Override], most: usize) -> String {
    let given = overrides.iter().take(most);
    let given: Vec<String> =
        given.map(|given| format!("{} {}", given.flag.as_str(), shown(&given.value))).collect();
    match overrides.len().saturating_sub(most) {
        0 => given.join(", "),
        more => format!("{} and {more} more", given.join(", ")),
    }
}

fn line(entry: &Entry, paint: Paint) -> String {
    let Entry {
        seq,
        at,
        op,
        app,
        tenant_key,
        approval_code,
        kind,
        code,
        msg,
        log_id,
        http_status,
        attempts: _,
        reason,
        how,
        run,
        plan_digest,
        overrides,
        by,
    } = entry;
    let word = match (kind, how, *op) {
        (Some(kind), ..) => kind.as_str().to_owned(),
        (_, Some(how), _) => format!("end: {}", how.as_str()),
        (_, _, "intent") => "sent, no outcome".into(),
        (_, _, op) => op.to_owned(),
    };
    let word = pad(&word, 20);
    let word = match kind {
        Some(OutcomeKind::Unsubscribed | OutcomeKind::AlreadyUnsubscribed) => paint.loss(word),
        Some(OutcomeKind::Failed | OutcomeKind::NotFound | OutcomeKind::Unknown) => paint.doubt(word),
        None => word,
    };
    let mut text = format!("{}  {}  {word}", pad(&format!("line {seq}"), 9), time::minute(*at));
    let key: Vec<&str> =
        [app.as_ref().map(|app| app.as_str()), tenant_key.as_ref().map(|tenant| tenant.as_str())]
            .into_iter()
            .flatten()
            .chain(approval_code.as_ref().map(|code| code.as_str()))
            .collect();
    if !key.is_empty() {
        let _ = write!(text, " {}", key.join("/"));
    }
    let mut facts = Vec::new();
    facts.extend(code.filter(|code| *code != 0).map(|code| format!("code {code}")));
    facts.extend(msg.as_deref().filter(|_| code != &Some(0)).map(|msg| format!("\"{}\"", shown(msg))));
    facts.extend(http_status.filter(|status| *status != 200).map(|status| format!("HTTP {status}")));
    facts.extend(log_id.as_deref().map(|log_id| format!("log id {}", shown(log_id))));
    facts.extend(reason.as_deref().map(|reason| shown(reason).into_owned()));
    if !facts.is_empty() {
        let _ = write!(text, "  ({})", facts.join(", "));
    }
    if let Some(by) = by {
        let _ = write!(text, "  by {}", author(by));
    }
    if let Some(digest) = plan_digest {
        let _ = write!(text, "  plan {}", shown(&digest.chars().take(19).collect::<String>()));
    }
    if !overrides.is_empty() {
        // The run's own line has all of them.
        let most = if *op == "run" { usize::MAX } else { 3 };
        let _ = write!(text, "  with {}", allowances(overrides, most));
    }
    if let (Some(run), "run" | "intent") = (run, *op) {
        let _ = write!(text, "  run {run}");
    }
    text
}
