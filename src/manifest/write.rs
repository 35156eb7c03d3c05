//! A manifest's text with more declared in it. What stood there stands there still: comments, order, line ends.

use std::fmt::Write as _;

use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, Value};

use crate::subscription::{AppIdentity, AppKind, AppLabel, ApprovalCode, TenantKey};
use crate::text::{is_ci_command, is_unseen};

/// What is to be declared of one app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addition {
    /// Its label.
    pub label: AppLabel,
    /// Its section, where there is none yet in any file.
    pub section: Option<NewApp>,
    /// The entries, in the order in which they are written.
    pub entries: Vec<NewEntry>,
}

/// The section of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApp {
    /// Who it is.
    pub identity: AppIdentity,
    /// Custom or store.
    pub kind: AppKind,
}

/// One `[[apps.LABEL.subscriptions]]` entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// The tenant, in a store app.
    pub tenant_key: Option<TenantKey>,
    /// The identity.
    pub approval_code: ApprovalCode,
    /// For people, not escaped.
    pub name: Option<String>,
    /// For people, not escaped.
    pub owner: Option<String>,
    /// Whether removing the entry is refused.
    pub protect: bool,
}

/// Why a text cannot be written to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotWritable {
    /// It is no TOML.
    #[error("it is not TOML")]
    NotToml,
    /// It would not come back as it was.
    #[error("its lines end in two ways, or it holds a stray carriage return, and could not be kept as it is")]
    NotKept,
    /// An app stands in it in a form that has no place for more.
    #[error("`apps.{0}` is written inline: give it a section `[apps.{0}]`")]
    Inline(AppLabel),
}

/// The text with the additions in it; the same text where there is nothing to add.
///
/// # Errors
/// It cannot be written to without changing what stands there.
pub fn extend(text: &str, additions: &[Addition]) -> Result<String, NotWritable> {
    if additions.iter().all(|addition| addition.section.is_none() && addition.entries.is_empty()) {
        return Ok(text.to_owned());
    }
    let (mark, body) = match text.strip_prefix('\u{feff}') {
        Some(body) => ("\u{feff}", body),
        None => ("", text),
    };
    // The library writes line feeds only.
    let is_crlf = body.contains("\r\n");
    let mut lines = body.replace("\r\n", "\n");
    if is_crlf && lines.replace('\n', "\r\n") != body {
        return Err(NotWritable::NotKept);
    }
    if !lines.is_empty() && !lines.ends_with('\n') {
        lines.push('\n');
    }
    let mut document: DocumentMut = lines.parse().map_err(|_| NotWritable::NotToml)?;
    if document.to_string() != lines {
        return Err(NotWritable::NotKept);
    }
    for addition in additions {
        add(&mut document, addition)?;
    }
    let written = document.to_string();
    Ok(mark.to_owned() + &if is_crlf { written.replace('\n', "\r\n") } else { written })
}

fn add(document: &mut DocumentMut, addition: &Addition) -> Result<(), NotWritable> {
    let Addition { label, section, entries } = addition;
    let inline = || NotWritable::Inline(label.clone());
    let end = last_position(document.as_table());
    let trailing = document.trailing().as_str().unwrap_or_default().to_owned();
    let apps = document.entry("apps").or_insert_with(|| Item::Table(implicit()));
    let apps = apps.as_table_mut().ok_or_else(inline)?;
    let is_here = apps.contains_key(label.as_str());
    let app = apps.entry(label.as_str()).or_insert_with(|| match section {
        Some(section) => Item::Table(new_section(section)),
        None => Item::Table(implicit()),
    });
    let app = app.as_table_mut().ok_or_else(inline)?;
    if let (Some(section), true) = (section, is_here) {
        // Its entries stand here already, and its settings nowhere.
        for (key, value) in settings(section) {
            app.insert(key, Item::Value(value));
        }
        app.set_implicit(false);
    }
    if let Some(Item::Value(Value::Array(array))) = app.get_mut("subscriptions") {
        entries.iter().for_each(|entry| push_inline(array, entry));
        return Ok(());
    }
    let own_end = match app.get("subscriptions").and_then(Item::as_array_of_tables) {
        Some(tables) if !tables.is_empty() => tables.iter().map(last_position).max().unwrap_or(end),
        _ if is_here => last_position(app),
        _ => end,
    };
    // At the end of the text comments may follow; what is new stands behind them.
    let mut before = if own_end >= end && !trailing.trim().is_empty() {
        Some(format!("{trailing}{}", if trailing.ends_with("\n\n") { "" } else { "\n" }))
    } else {
        None
    };
    let has_moved = before.is_some();
    if !is_here && section.is_some() {
        app.set_position(Some(own_end));
        if let Some(before) = before.take() {
            app.decor_mut().set_prefix(before);
        }
    }
    let tables = app.entry("subscriptions").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    let tables = tables.as_array_of_tables_mut().ok_or_else(inline)?;
    for entry in entries {
        let mut table = Table::new();
        table.set_position(Some(own_end));
        if let Some(before) = before.take() {
            table.decor_mut().set_prefix(before);
        }
        for (key, value) in pairs(entry) {
            table.insert(key, Item::Value(value));
        }
        tables.push(table);
    }
    if tables.is_empty() {
        app.remove("subscriptions");
    }
    if has_moved && before.is_none() {
        document.set_trailing("");
    }
    Ok(())
}

fn implicit() -> Table {
    let mut table = Table::new();
    table.set_implicit(true);
    table
}

fn new_section(section: &NewApp) -> Table {
    let mut table = Table::new();
    for (key, value) in settings(section) {
        table.insert(key, Item::Value(value));
    }
    table
}

fn settings(section: &NewApp) -> Vec<(&'static str, Value)> {
    let NewApp { identity, kind } = section;
    let AppIdentity { app_id, base_url } = identity;
    let place = match base_url.brand() {
        Some(brand) => ("brand", brand),
        None => ("base_url", base_url.as_str()),
    };
    let mut settings = vec![("app_id", Value::from(app_id.as_str())), (place.0, Value::from(place.1))];
    if *kind != AppKind::Custom {
        settings.push(("kind", Value::from(kind.as_str())));
    }
    settings
}

fn pairs(entry: &NewEntry) -> Vec<(&'static str, Value)> {
    let NewEntry { tenant_key, approval_code, name, owner, protect } = entry;
    let mut pairs = vec![("approval_code", Value::from(approval_code.as_str()))];
    pairs.extend(tenant_key.as_ref().map(|tenant| ("tenant_key", Value::from(tenant.as_str()))));
    pairs.extend(name.as_ref().map(|name| ("name", quoted(name))));
    pairs.extend(owner.as_ref().map(|owner| ("owner", quoted(owner))));
    if *protect {
        pairs.push(("protect", Value::from(true)));
    }
    pairs
}

/// Adds an inline table as the array's last one stands: on a line of its own, or beside it. A comment behind the last
/// one stays there.
fn push_inline(array: &mut Array, entry: &NewEntry) {
    let text =
        |raw: Option<&toml_edit::RawString>| raw.and_then(|raw| raw.as_str()).unwrap_or_default().to_owned();
    let index = array.len().saturating_sub(1);
    let last = array.get(index).map(|last| (text(last.decor().prefix()), text(last.decor().suffix())));
    let prefix = match last {
        None => String::new(),
        Some((before, behind)) => {
            let tail = behind + &text(Some(array.trailing()));
            match (before.rfind('\n'), tail.rfind('\n')) {
                (Some(indent), Some(end)) => {
                    let (comment, end) = tail.split_at_checked(end).unwrap_or((&tail, ""));
                    let prefix = format!("{comment}{}", before.get(indent..).unwrap_or("\n"));
                    array.set_trailing(end);
                    if let Some(last) = array.get_mut(index) {
                        last.decor_mut().set_suffix("");
                    }
                    prefix
                }
                _ => " ".into(),
            }
        }
    };
    let table: InlineTable = pairs(entry).into_iter().collect();
    let mut value = Value::InlineTable(table);
    value.decor_mut().set_prefix(prefix);
    array.push_formatted(value);
}

/// The greatest position of a table and those in it.
fn last_position(table: &Table) -> isize {
    let inner = table.iter().map(|(_, item)| match item {
        Item::Table(table) => last_position(table),
        Item::ArrayOfTables(tables) => tables.iter().map(last_position).max().unwrap_or_default(),
        Item::None | Item::Value(_) => 0,
    });
    inner.chain(table.position()).max().unwrap_or_default()
}

/// A text as a basic string in which nothing is unseen.
fn quoted(text: &str) -> Value {
    let mut out = String::from("\"");
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        // Writing to a String cannot fail.
        let _ = match c {
            '"' => out.write_str("\\\""),
            '\\' => out.write_str("\\\\"),
            '\n' => out.write_str("\\n"),
            '\r' => out.write_str("\\r"),
            '\t' => out.write_str("\\t"),
            c if (is_unseen(c) || is_ci_command(rest)) && u32::from(c) > 0xffff => {
                write!(out, "\\U{:08X}", u32::from(c))
            }
            c if is_unseen(c) || is_ci_command(rest) => write!(out, "\\u{:04X}", u32::from(c)),
            c => out.write_char(c),
        };
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    out.push('"');
    let value = out.parse::<Value>().map(|mut value| {
        value.decor_mut().clear();
        value
    });
    value.unwrap_or_else(|_| Value::from(text))
}

#[cfg(test)]
mod tests;
