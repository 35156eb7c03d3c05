//! The manifest's JSON schema, written for a person who meets it in an editor.
//!
//! It is draft-07, and nothing in it is referred to: the language server for TOML that most editors use (taplo) knows no
//! newer draft, shows no description beside a reference, and does not look past `allOf`.

use serde_json::{Value, json};

use crate::manifest::{MAX_DROP_PERCENT, MAX_RATE_PER_MINUTE, MAX_TEXT};
use crate::subscription::{AppId, AppLabel, ApprovalCode, BaseUrl, TenantKey};

const DRAFT: &str = "http://json-schema.org/draft-07/schema#";

/// A manifest, or one file of a folder of them.
pub fn manifest() -> Value {
    json!({
        "$schema": DRAFT,
        "title": "larksub manifest",
        "description": "Which approval-event subscriptions should live: `larksub.toml`, or one file of a folder. What leaves it is unsubscribed by the next `larksub apply`, and events lost after that never come back. No secret ever stands in it.",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "policy": policy(
                "Limits and demands that refuse a plan: `larksub plan` and `larksub apply` exit 4. An app may have its own.",
                "The most drops in one plan, all apps together. Without it there is no such limit.",
            ),
            "apps": {
                "description": "The apps by label: `[apps.hr]`. A label is the name that people use, and a part of the names of the variables that hold the app's secrets: lower-case letters, digits and hyphens, beginning with a letter and not ending in `file`.",
                "type": "object",
                "additionalProperties": false,
                "patternProperties": { AppLabel::PATTERN: app(), "file$": false },
            },
        },
    })
}

fn policy(description: &str, max_drops: &str) -> Value {
    let percent = MAX_DROP_PERCENT;
    json!({
        "description": description,
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "max_drops": {
                "description": max_drops,
                "type": "integer",
                "minimum": 0,
                "examples": [50],
            },
            "max_drop_percent": {
                "description": format!("The most drops in one app, in percent of what is tracked in it; measured where 10 or more are tracked. {percent} where absent."),
                "type": "integer",
                "minimum": 0,
                "maximum": 100,
                "default": percent,
            },
            "require_reason": {
                "description": "`true`: whatever leaves the state needs a `removed` entry with a `reason`.",
                "type": "boolean",
                "default": false,
            },
            "require_owner": {
                "description": "`true`: every declared subscription needs an `owner`.",
                "type": "boolean",
                "default": false,
            },
            "owners": {
                "description": "The owners that there are: every declared subscription has one of them.",
                "type": "array",
                "minItems": 1,
                "uniqueItems": true,
                "items": { "type": "string", "pattern": r"\S", "maxLength": MAX_TEXT },
                "examples": [["people-platform", "finance-ops"]],
            },
        },
    })
}

/// An app's settings stand together, in one file; its entries may stand alone, in another file of a folder.
fn app() -> Value {
    let settings = ["app_id"];
    json!({
        "description": "An app and its subscriptions. Its settings (`app_id`; `brand` or `base_url`) stand in one file; in a folder its entries may stand in any.",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "app_id": {
                "description": "The app's id, from its page in the developer console, under credentials.",
                "type": "string",
                "pattern": AppId::PATTERN,
                "examples": ["cli_9dbb2dd6f5e0d104"],
            },
            "brand": {
                "description": "Where the app's platform is: `feishu` stands for https://open.feishu.cn, `lark` for https://open.larksuite.com. For any other place give `base_url` instead.",
                "type": "string",
                "enum": ["feishu", "lark"],
                "x-taplo": { "docs": { "enumValues": ["https://open.feishu.cn", "https://open.larksuite.com"] } },
            },
            "base_url": {
                "description": "Where the app's platform is, instead of `brand`: scheme, host and port only. Plain http is for loopback only.",
                "type": "string",
                "pattern": BaseUrl::PATTERN,
                "examples": ["https://open.feishu.cn", "http://127.0.0.1:8080"],
            },
            "kind": {
                "description": "`custom`: self-built, with one tenant. `store`: from the app store (ISV), with many tenants; each of its entries then has a `tenant_key`. `custom` where absent.",
                "type": "string",
                "enum": ["custom", "store"],
                "default": "custom",
                "x-taplo": { "docs": { "enumValues": ["Self-built: one tenant.", "From the app store (ISV): many tenants."] } },
            },
            "rate_per_minute": {
                "description": format!("Calls per minute, for each tenant. The platform's own limit, {MAX_RATE_PER_MINUTE}, is the default and the most: lower it where other programs unsubscribe with the same app."),
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_RATE_PER_MINUTE,
                "default": MAX_RATE_PER_MINUTE,
            },
            "policy": policy(
                "Limits and demands of this app: `[apps.LABEL.policy]`, in the file with its settings. A key here goes before the same key of `[policy]`; of `max_drops` both hold.",
                "The most drops of this app in one plan. Without it there is no such limit.",
            ),
            "subscriptions": {
                "description": "The subscriptions that should live: an entry each, `[[apps.LABEL.subscriptions]]`.",
                "type": "array",
                "items": subscription(),
            },
            "removed": {
                "description": "Optional: why a code goes, or that it goes without a call: `[[apps.LABEL.removed]]`. An entry that merely disappears from `subscriptions` is dropped as well.",
                "type": "array",
                "items": removed(),
            },
        },
        // Written so that each mistake is one sentence at its place: of a `oneOf` editors say the whole app.
        "dependencies": {
            "app_id": { "if": { "required": ["base_url"] }, "else": { "required": ["brand"] } },
            "brand": settings,
            "base_url": { "required": settings, "properties": { "brand": false } },
            "kind": settings,
            "rate_per_minute": settings,
            "policy": settings,
        },
        "if": { "required": ["kind"], "properties": { "kind": { "const": "store" } } },
        "then": entries(&json!({ "required": ["tenant_key"] })),
        "else": {
            // A file without the settings cannot say which kind it is.
            "if": { "required": ["app_id"] },
            "then": entries(&json!({ "properties": { "tenant_key": false } })),
        },
    })
}

/// What holds of every entry of an app.
fn entries(rule: &Value) -> Value {
    let entries = json!({ "items": rule });
    json!({ "properties": { "subscriptions": entries, "removed": entries } })
}

fn subscription() -> Value {
    json!({
        "description": "A subscription that should live. Its code identifies it, in a store app with its tenant.",
        "type": "object",
        "additionalProperties": false,
        "required": ["approval_code"],
        "properties": {
            "approval_code": approval_code(),
            "tenant_key": tenant_key(),
            "name": text("What the approval is called, for people; shown in the plan."),
            "owner": text("Who answers for it, for people; shown in the plan."),
            "protect": {
                "description": "`true`: removing the entry is refused until `protect = false` has been applied. Two reviews for one loss.",
                "type": "boolean",
                "default": false,
            },
        },
    })
}

fn removed() -> Value {
    json!({
        "description": "A subscription that goes, and why.",
        "type": "object",
        "additionalProperties": false,
        "required": ["approval_code"],
        "properties": {
            "approval_code": approval_code(),
            "tenant_key": tenant_key(),
            "reason": text("Why it goes; shown in the plan and kept in the state."),
            "forget": {
                "description": "`true`: it leaves the state without a call, because the definition no longer exists or another program takes the subscription over. If it lives, its events go on.",
                "type": "boolean",
                "default": false,
            },
        },
    })
}

fn approval_code() -> Value {
    json!({
        "description": "The approval definition's code: from the answer of \"create definition\", or from the definition's URL in the approval admin console opened with developer mode on. Letter case counts.",
        "type": "string",
        "pattern": ApprovalCode::PATTERN,
        "examples": ["7C468A54-8745-2245-9675-08B7C63E7A85"],
    })
}

fn tenant_key() -> Value {
    json!({
        "description": "The tenant: required in a store app (`kind = \"store\"`), an error in a custom one. It comes with the events that the app receives from the tenant.",
        "type": "string",
        "pattern": TenantKey::PATTERN,
        "examples": ["736588c92lxf175d"],
    })
}

fn text(description: &str) -> Value {
    json!({ "description": description, "type": "string", "maxLength": MAX_TEXT })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::manifest::place::Place;

    #[test]
    fn the_schema_has_the_keys_that_the_parser_names() {
        let schema = manifest();
        let app = &schema["properties"]["apps"]["patternProperties"][AppLabel::PATTERN];
        for (place, section) in [
            (Place::Root, &schema),
            (Place::Policy, &schema["properties"]["policy"]),
            (Place::App("hr"), app),
            (Place::AppPolicy("hr"), &app["properties"]["policy"]),
            (Place::Subscription("hr"), &app["properties"]["subscriptions"]["items"]),
            (Place::Removed("hr"), &app["properties"]["removed"]["items"]),
        ] {
            let keys: BTreeSet<&str> =
                section["properties"].as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(keys, place.keys().iter().copied().collect(), "{place}");
            assert_eq!(section["additionalProperties"], false, "{place}");
        }
    }
}
