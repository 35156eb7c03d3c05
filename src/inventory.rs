//! Lists of subscriptions as somebody else wrote them: a script's lines, a spreadsheet's table, a program's JSON.
//!
//! [`read`] is pure: bytes in, entries or every problem out, each with its place. Whose the entries are, and what becomes
//! of them, is `commands/import`'s.

mod json;
mod lines;
mod quotes;
mod table;

use std::collections::HashMap;
use std::fmt;

use crate::manifest::MAX_TEXT;
use crate::subscription::{ApprovalCode, Malformed, TenantKey};
use crate::text::{Shown, cut};

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// One code a line.
    Lines,
    /// A table with a header, its cells separated by commas, semicolons or tabs.
    Csv,
    /// An array, or one value a line.
    Json,
}

/// A place in a list, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line on which it begins.
    pub line: u64,
    /// The column of a table, or the character of a line that is no JSON.
    pub column: Option<u64>,
}

impl Place {
    fn line(line: u64) -> Self {
        Self { line, column: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.line)?;
        self.column.map_or(Ok(()), |column| write!(f, ":{column}"))
    }
}

/// One subscription of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub place: Place,
    /// The code.
    pub approval_code: ApprovalCode,
    /// The tenant, where the list says.
    pub tenant_key: Option<TenantKey>,
    /// For people, not escaped.
    pub name: Option<String>,
    /// For people, not escaped.
    pub owner: Option<String>,
}

/// What a list says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// How it is written.
    pub kind: Kind,
    /// Its subscriptions, in its order; each once.
    pub entries: Vec<Entry>,
    /// Columns or keys of it that mean nothing here, not escaped.
    pub ignored: Vec<String>,
}

/// Something that is wrong with a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What, escaped.
    pub says: String,
}

impl Problem {
    fn new(place: Place, says: impl Into<String>) -> Self {
        Self { place, says: says.into() }
    }
}

/// Reads a list. Its kind is found by its content, where none is given.
///
/// # Errors
/// Every problem of it, in its order.
pub fn read(bytes: &[u8], kind: Option<Kind>) -> Result<Inventory, Vec<Problem>> {
    let text = decode(bytes)?;
    let kind = kind.unwrap_or_else(|| kind_of(text));
    let mut found = Found::default();
    match kind {
        Kind::Lines => lines::read(text, &mut found),
        Kind::Csv => table::read(text, &mut found),
        Kind::Json => json::read(text, &mut found),
    }
    let Found { entries, mut problems, ignored } = found;
    let entries = once(entries, &mut problems);
    if !problems.is_empty() {
        problems.sort_by_key(|problem| problem.place);
        return Err(problems);
    }
    Ok(Inventory { kind, entries, ignored })
}

#[derive(Default)]
struct Found {
    entries: Vec<Entry>,
    problems: Vec<Problem>,
    ignored: Vec<String>,
}

impl Found {
    fn wrong(&mut self, place: Place, says: impl Into<String>) {
        self.problems.push(Problem::new(place, says));
    }

    fn ignore(&mut self, what: &str) {
        if !self.ignored.iter().any(|known| known == what) {
            self.ignored.push(what.to_owned());
        }
    }
}

/// What the cells or values of one subscription say, each with its place; an empty text is an absent one.
#[derive(Default)]
struct Texts<'a> {
    code: Option<(Place, &'a str)>,
    tenant: Option<(Place, &'a str)>,
    name: Option<(Place, &'a str)>,
    owner: Option<(Place, &'a str)>,
}

impl Texts<'_> {
    /// Adds the entry that they make up, or what is wrong with each of them.
    fn add(self, place: Place, found: &mut Found) {
        let given = |text: Option<(Place, &'_ str)>| {
            text.map(|(place, text)| (place, text.trim().to_owned())).filter(|(_, text)| !text.is_empty())
        };
        let mut problems = Vec::new();
        let malformed = |place, error: Malformed| {
            let text = cut(&error.text, 2 * 64).into_owned();
            Problem::new(place, Malformed { text, ..error }.to_string())
        };
        let code = match given(self.code) {
            Some((place, text)) => text.parse().map_err(|error| problems.push(malformed(place, error))).ok(),
            None => {
                problems.push(Problem::new(place, "there is no approval code"));
                None
            }
        };
        let tenant_key = given(self.tenant).and_then(|(place, text)| {
            text.parse().map_err(|error| problems.push(malformed(place, error))).ok()
        });
        let mut free = |what, text| {
            let (place, text) = given(text)?;
            let length = text.chars().count();
            if length > MAX_TEXT {
                let says = format!("the {what} is too long: {length} characters, and at most {MAX_TEXT}");
                problems.push(Problem::new(place, says));
            }
            Some(text)
        };
        let (name, owner) = (free("name", self.name), free("owner", self.owner));
        match code {
            Some(approval_code) if problems.is_empty() => {
                found.entries.push(Entry { place, approval_code, tenant_key, name, owner });
            }
            _ => found.problems.append(&mut problems),
        }
    }
}

/// The text of a list. A mark at its beginning is no part of it.
fn decode(bytes: &[u8]) -> Result<&str, Vec<Problem>> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        let says = "the list is UTF-16: save it as UTF-8 (a spreadsheet calls that \"CSV UTF-8\")";
        return Err(vec![Problem::new(Place::line(1), says)]);
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|_| {
        let lines = (1..).zip(bytes.split(|byte| *byte == b'\n'));
        let wrong = lines.filter(|(_, line)| std::str::from_utf8(line).is_err());
        let says = "the line is not UTF-8: save the list as UTF-8 (a spreadsheet calls that \"CSV UTF-8\")";
        wrong.map(|(number, _)| Problem::new(Place::line(number), says)).collect()
    })
}

/// How a text is written, by its first line that says something.
fn kind_of(text: &str) -> Kind {
    let lines = text.lines().map(str::trim);
    let Some(first) = lines.clone().find(|line| !line.is_empty() && !line.starts_with('#')) else {
        return Kind::Lines;
    };
    if first.starts_with(['[', '{']) {
        return Kind::Json;
    }
    if first.starts_with("sep=") {
        return Kind::Csv;
    }
    let before_comment = first.split(" #").next().unwrap_or_default();
    let has_columns = before_comment.contains([',', ';', '\t']);
    if has_columns || table::is_header_of_codes(first) { Kind::Csv } else { Kind::Lines }
}

/// Each subscription once. What is repeated with another name or owner, or in another letter case, is a problem: nobody
/// can say which is meant.
fn once(entries: Vec<Entry>, problems: &mut Vec<Problem>) -> Vec<Entry> {
    let mut seen: HashMap<(Option<TenantKey>, String), usize> = HashMap::new();
    let mut kept: Vec<Entry> = Vec::with_capacity(entries.len());
    for entry in entries {
        let key = (entry.tenant_key.clone(), entry.approval_code.case_folded());
        let Some(first) = seen.get(&key).and_then(|index| kept.get(*index)) else {
            seen.insert(key, kept.len());
            kept.push(entry);
            continue;
        };
        let (code, line) = (&entry.approval_code, first.place.line);
        if *code != first.approval_code {
            let says =
                format!("{code} differs from {} on line {line} only in letter case", first.approval_code);
            problems.push(Problem::new(entry.place, says));
        } else if (&first.name, &first.owner) != (&entry.name, &entry.owner) {
            let says = format!("{code} again, with another name or owner than on line {line}");
            problems.push(Problem::new(entry.place, says));
        }
    }
    kept
}

/// A foreign word in a sentence.
fn word(text: &str) -> String {
    format!("`{}`", Shown(&cut(text.trim(), 64)))
}

#[cfg(test)]
mod tests;
