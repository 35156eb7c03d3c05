//! Every way in which one thing in a JSON document can be of a wrong form.

use serde_json::{Value, json};

/// The document with one thing changed, each with what it is: a value of another type, a negative number, a word that
/// means nothing, a key too many, a key too few. `pinned` keys have a word that only this very document may have: it is
/// not changed to another one, nor taken away.
pub fn mutations(document: &Value, pinned: &[&str]) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    let mut rest = vec![String::new()];
    while let Some(place) = rest.pop() {
        let Some(value) = document.pointer(&place) else { continue };
        let mut change = |what: &str, to: Value| {
            let mut changed = document.clone();
            if let Some(there) = changed.pointer_mut(&place) {
                *there = to;
                found.push((format!("{place}: {what}"), changed));
            }
        };
        let is_pinned = pinned.iter().any(|key| place.ends_with(&format!("/{key}")));
        match value {
            Value::Null => {}
            Value::Bool(_) => change("a boolean as text", json!("true")),
            Value::Number(_) => {
                change("a number as text", json!("7"));
                change("a fraction", json!(0.5));
            }
            Value::String(_) => {
                change("text as a number", json!(7));
                if !is_pinned {
                    change("another word", json!("no such word"));
                }
            }
            Value::Array(items) => {
                change("a list as an object", json!({}));
                rest.extend((0..items.len()).map(|index| format!("{place}/{index}")));
            }
            Value::Object(keys) => {
                change("an object as text", json!("{}"));
                let mut more = keys.clone();
                more.insert("zzz".into(), true.into());
                change("a key too many", more.into());
                for key in keys.keys().filter(|key| !pinned.contains(&key.as_str())) {
                    let mut fewer = keys.clone();
                    fewer.remove(key);
                    change(&format!("no `{key}`"), fewer.into());
                }
                rest.extend(keys.keys().map(|key| format!("{place}/{}", key.replace('/', "~1"))));
            }
        }
    }
    found
}
