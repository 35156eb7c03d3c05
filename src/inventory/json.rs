//! JSON: an array of codes or objects, the same one a line, or a document that holds one such array, as the platform's
//! lists do.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Found, Place, Texts, word};

pub(super) fn read(text: &str, found: &mut Found) {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let is_one_a_line =
        lines.clone().nth(1).is_some() && lines.all(|line| line.starts_with('{') || line.starts_with('"'));
    let first = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    if serde_json::from_str::<&RawValue>(first).ok().and_then(object).is_some_and(|line| is_ours(&line)) {
        let before = text.lines().take_while(|line| line.trim().is_empty()).count() as u64;
        return found.wrong(Place::line(before + 1), OURS);
    }
    if is_one_a_line && first.ends_with(['}', '"', ',']) {
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            match serde_json::from_str::<&RawValue>(line) {
                Ok(value) => entry(value, Place::line(number), found),
                Err(error) => syntax(&error, number - 1, found),
            }
        }
        return;
    }
    match serde_json::from_str::<&RawValue>(text) {
        Ok(value) => document(value, &Places::new(text), found),
        Err(error) => syntax(&error, 0, found),
    }
}

fn syntax(error: &serde_json::Error, lines_before: u64, found: &mut Found) {
    let place = Place { line: error.line() as u64 + lines_before, column: Some(error.column() as u64) };
    let text = error.to_string();
    let says = text.rsplit_once(" at line ").map_or(text.as_str(), |(says, _)| says);
    found.wrong(place, format!("not JSON: {}", crate::text::shown(says)));
}

/// Where the values of a text stand in it.
struct Places<'a> {
    text: &'a str,
    breaks: Vec<usize>,
}

impl<'a> Places<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, breaks: text.match_indices('\n').map(|(at, _)| at).collect() }
    }

    fn of(&self, value: &RawValue) -> Place {
        let offset = (value.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        Place::line(self.breaks.partition_point(|at| *at < offset) as u64 + 1)
    }
}

fn document(value: &RawValue, places: &Places<'_>, found: &mut Found) {
    let Some(members) = object(value) else { return elements(value, places, found) };
    let is_entry = |(key, value): &(String, &RawValue)| is_code_key(key) && value.get().starts_with('"');
    if members.iter().any(is_entry) {
        return entry(value, places.of(value), found);
    }
    if is_ours(&members) {
        return found.wrong(places.of(value), OURS);
    }
    // The platform's lists stand under `data`.
    let data = members.iter().find(|(key, _)| key == "data").and_then(|(_, data)| object(data));
    let arrays =
        members.iter().chain(data.iter().flatten()).filter(|(_, value)| value.get().starts_with('['));
    let arrays: Vec<_> = arrays.collect();
    match arrays.as_slice() {
        [(_, array)] => elements(array, places, found),
        [] => found.wrong(places.of(value), "the object has neither an `approval_code` nor an array of them"),
        many => {
            let is_data = |key: &String| data.iter().flatten().any(|(other, _)| std::ptr::eq(other, key));
            let path = |key: &String| if is_data(key) { format!("data.{key}") } else { key.clone() };
            let names: Vec<String> = many.iter().map(|(key, _)| word(&path(key))).collect();
            let names = names.join(", ");
            let says = format!("the object has several arrays ({names}), and nothing says which is meant");
            found.wrong(places.of(value), says);
        }
    }
}

/// Read as a list, it would bring back what was dropped.
const OURS: &str = "it is a document of larksub, which names dropped subscriptions as well: take the codes that are meant out of it";

/// Whether an object is a document of larksub, or a line of its ledger or its events.
fn is_ours(members: &[(String, &RawValue)]) -> bool {
    let has = |key: &str| members.iter().any(|(other, _)| other == key);
    let is_named =
        |(key, value): &(String, &RawValue)| key == "format" && value.get().starts_with("\"larksub.");
    members.iter().any(is_named) || (has("seq") && (has("records") || has("op")))
}

fn elements(value: &RawValue, places: &Places<'_>, found: &mut Found) {
    match serde_json::from_str::<Vec<&RawValue>>(value.get()) {
        // The elements borrow from the text that `value` does, so their places are still those of the whole.
        Ok(values) => values.into_iter().for_each(|value| entry(value, places.of(value), found)),
        Err(_) => entry(value, places.of(value), found),
    }
}

fn is_code_key(key: &str) -> bool {
    matches!(key, "approval_code" | "code")
}

/// One value: a code, or an object that has one.
fn entry(value: &RawValue, place: Place, found: &mut Found) {
    if let Ok(code) = serde_json::from_str::<String>(value.get()) {
        return Texts { code: Some((place, &code)), ..Texts::default() }.add(place, found);
    }
    let Some(members) = object(value) else {
        return found.wrong(place, format!("{} is neither a code nor an object with one", word(value.get())));
    };
    let mut values: [Option<String>; 4] = [const { None }; 4];
    let mut is_right = true;
    for (key, value) in members {
        let index = match key.as_str() {
            key if is_code_key(key) => 0,
            "tenant_key" | "tenant" => 1,
            "name" | "approval_name" => 2,
            "owner" => 3,
            _ => {
                found.ignore(&key);
                continue;
            }
        };
        match (serde_json::from_str::<Option<String>>(value.get()), values.get_mut(index)) {
            (Ok(text), Some(slot)) if slot.is_none() => *slot = text,
            (Ok(_), _) => {
                is_right = false;
                found.wrong(place, format!("{} is given twice", word(&key)));
            }
            (Err(_), _) => {
                is_right = false;
                found.wrong(place, format!("{} is not a string: {}", word(&key), word(value.get())));
            }
        }
    }
    if is_right {
        let [code, tenant, name, owner] =
            values.each_ref().map(|text| text.as_deref().map(|text| (place, text)));
        Texts { code, tenant, name, owner }.add(place, found);
    }
}

/// The members of an object, repeated ones too.
fn object(value: &RawValue) -> Option<Vec<(String, &RawValue)>> {
    struct Members<'a>(Vec<(String, &'a RawValue)>);

    struct Reader;

    impl<'de> Visitor<'de> for Reader {
        type Value = Members<'de>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(Members(members))
        }
    }

    impl<'de> Deserialize<'de> for Members<'de> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_map(Reader)
        }
    }

    serde_json::from_str::<Members<'_>>(value.get()).ok().map(|Members(members)| members)
}
