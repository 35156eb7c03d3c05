//! One line of `apply --format ndjson`: written by hand, since a stream is a choice of lines that grow new keys.

use serde_json::{Map, Value, json};

use crate::plan::digest;
use crate::render::events;

/// One event: 2020-12. What it does not know it allows, as a reader of the stream has to.
pub fn events() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format!("An event of larksub apply ({}, version {})", events::FORMAT, events::VERSION),
        "description": "One line of what `larksub apply --format ndjson` prints. What is absent is left out. A reader passes over types and keys that it does not know. Names, messages and log ids are foreign strings, not escaped beyond JSON's own rules.",
        "type": "object",
        "properties": {
            "format": { "description": "What the stream is.", "const": events::FORMAT },
            "version": { "description": "The version of the stream.", "const": events::VERSION },
            "type": { "description": "What has happened: `planned`, `note`, `started`, `settled`, `paused`, `stopped`, `error`, `finished`, or a word that is newer than this schema.", "type": "string" },
            "at": { "description": "When the line was written, in UTC.", "type": "string", "format": "date-time" },
        },
        "required": ["format", "version", "type", "at"],
        "allOf": [
            event("planned", json!({
                "digest": digest("Of what would be done now."),
                "calls": count("How many calls it has, retries aside."),
                "refused": { "description": "Whether a guard refuses it.", "type": "boolean" },
                "plan": { "description": "The plan, as `larksub schema plan` describes it, without its checksum.", "type": "object" },
            }), &["digest", "calls", "refused", "plan"]),
            event("note", json!({ "says": text("What is said beside the result.") }), &["says"]),
            event("started", json!({
                "run": run(),
                "calls": count("How many calls the run has."),
                "estimate_s": count("How long they take at the configured pace, in whole seconds."),
            }), &["run", "calls", "estimate_s"]),
            event("settled", json!({
                "outcome": outcome(),
                "remaining_s": count("How long the rest takes, in whole seconds."),
            }), &["outcome", "remaining_s"]),
            event("paused", json!({
                "app": text("The app's label."),
                "tenant_key": text("The tenant, in a store app."),
                "pause_s": count("For how many seconds nothing is sent there."),
                "remaining_s": count("How long the rest takes, in whole seconds."),
            }), &["app", "pause_s", "remaining_s"]),
            event("stopped", stopped(), &["app", "reason", "says", "hint"]),
            event("error", json!({
                "exit_code": count("How the process ends."),
                "title": text("What was wrong and where."),
                "causes": texts("What led to it, outermost first."),
                "hints": texts("What to do next."),
                "difference": texts("How the reviewed plan and the one of now differ, a line each."),
            }), &["exit_code", "title", "causes", "hints"]),
            event("finished", finished(), &[
                "how", "exit_code", "overrides", "counts", "pending", "stopped", "lanes", "took_ms",
            ]),
        ],
    })
}

fn event(r#type: &str, properties: Value, required: &[&str]) -> Value {
    json!({
        "if": { "properties": { "type": { "const": r#type } }, "required": ["type"] },
        "then": { "properties": properties, "required": required },
    })
}

fn finished() -> Value {
    let words = [
        ("unsubscribed", "Dropped by this run."),
        ("already_unsubscribed", "Dropped before this run."),
        ("not_found", "Codes that the platform does not know."),
        ("failed", "Refused; they still live."),
        ("unknown", "Sent, and nobody can say what became of them."),
        ("forgotten", "Left the state without a call."),
        ("updated", "Other updates of the state."),
        ("pending", "Not sent."),
        ("unsettled", "Unknowns that are declared again, for a person to settle."),
    ];
    let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
    let counts: Map<String, Value> = words.iter().map(|(name, says)| ((*name).into(), count(says))).collect();
    json!({
        "how": {
            "description": "How the run ended; `not_begun` where nothing was sent or recorded.",
            "enum": ["done", "stopped", "interrupted", "failed", "not_begun"],
        },
        "exit_code": count("How the process ends."),
        "run": run(),
        "plan_digest": digest("Of the plan that was to be carried out."),
        "overrides": {
            "description": "What was allowed by name.",
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "flag": text("The flag without its dashes."),
                    "value": text("What was given to it."),
                },
                "required": ["flag", "value"],
            },
        },
        "counts": {
            "description": "How much of each.",
            "type": "object",
            "properties": counts,
            "required": names,
        },
        "pending": texts("The keys that were not sent."),
        "stopped": {
            "description": "What sends nothing more, and why.",
            "type": "array",
            "items": { "type": "object", "properties": stopped(), "required": ["app", "reason", "says", "hint"] },
        },
        "lanes": {
            "description": "The calls by app and tenant against their quota.",
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "app": text("The app's label."),
                    "tenant_key": text("The tenant, in a store app."),
                    "rate_per_minute": count("How many calls it may make in any 60 seconds."),
                    "calls": count("How many were planned."),
                    "answers": count("How many tries were answered or given up."),
                    "busiest_minute": count("The most of them in any 60 seconds, with those of earlier runs."),
                },
                "required": ["app", "calls", "answers", "busiest_minute"],
            },
        },
        "took_ms": count("From the run's first record to its last, in milliseconds."),
        "unrecorded": {
            "description": "Outcomes that are true and that the ledger does not hold; only with exit code 7.",
            "type": "object",
            "properties": {
                "cause": text("Why."),
                "outcomes": { "description": "Which.", "type": "array", "items": outcome() },
            },
            "required": ["cause", "outcomes"],
        },
    })
}

fn outcome() -> Value {
    json!({
        "description": "What became of one call; it is in the ledger.",
        "type": "object",
        "properties": {
            "key": text("`label/CODE`, or `label/tenant/CODE` in a store app."),
            "name": text("For people."),
            "kind": {
                "description": "The word for it.",
                "enum": ["unsubscribed", "already_unsubscribed", "not_found", "failed", "unknown"],
            },
            "code": { "description": "The platform's code.", "type": "integer" },
            "msg": text("The platform's message."),
            "log_id": text("What the platform's support asks for."),
            "http_status": count("The HTTP status."),
            "attempts": count("How many times the call was sent."),
            "reason": text("Why, in words of larksub."),
            "at": { "description": "When the last answer was there, or was given up.", "type": "string", "format": "date-time" },
        },
        "required": ["key", "kind", "attempts", "at"],
    })
}

fn stopped() -> Value {
    json!({
        "app": text("The app's label."),
        "tenant_key": text("The tenant, where only that one stops."),
        "reason": text("One word."),
        "says": text("The same in a sentence."),
        "hint": text("What to do about it."),
        "troubleshooter": text("The platform's page about this failure."),
    })
}

fn run() -> Value {
    json!({ "description": "Identifies the run in the ledger.", "type": "string", "format": "uuid" })
}

fn digest(says: &str) -> Value {
    json!({ "description": says, "type": "string", "pattern": digest::PATTERN })
}

fn count(says: &str) -> Value {
    json!({ "description": says, "type": "integer", "minimum": 0 })
}

fn text(says: &str) -> Value {
    json!({ "description": says, "type": "string" })
}

fn texts(says: &str) -> Value {
    json!({ "description": says, "type": "array", "items": { "type": "string" } })
}
