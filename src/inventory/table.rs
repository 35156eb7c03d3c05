//! A table with a header, as spreadsheets write it.

use csv::{ReaderBuilder, StringRecord, Trim};

use super::{Found, Place, Texts, word};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Code,
    Name,
    Owner,
    Tenant,
}

impl Column {
    fn of(heading: &str) -> Option<Self> {
        Some(match heading.trim().to_lowercase().replace([' ', '-'], "_").as_str() {
            "code" | "approval_code" => Self::Code,
            "name" | "approval_name" => Self::Name,
            "owner" => Self::Owner,
            "tenant" | "tenant_key" => Self::Tenant,
            _ => return None,
        })
    }
}

/// Whether a line is the header of a table that has one column.
pub(super) fn is_header_of_codes(line: &str) -> bool {
    Column::of(line.trim_matches('"')) == Some(Column::Code)
}

pub(super) fn read(text: &str, found: &mut Found) {
    let (text, skipped, separator) = begin(text);
    let mut reader = ReaderBuilder::new()
        .delimiter(separator)
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .from_reader(text.as_bytes());
    let mut lines = Lines { text, at: 0, line: skipped + 1 };
    let mut columns: Option<Vec<Option<Column>>> = None;
    let mut record = StringRecord::new();
    loop {
        let from = reader.position().byte();
        // What it reads is UTF-8 in memory, so there is nothing that could fail.
        if !reader.read_record(&mut record).unwrap_or(false) {
            break;
        }
        let (line, raw) = lines.of(from, reader.position().byte());
        if record.iter().all(str::is_empty) || is_comment(raw, &record, columns.as_deref()) {
            continue;
        }
        if raw.bytes().filter(|byte| *byte == b'"').count() % 2 == 1 {
            found.wrong(
                Place::line(line),
                "a quote is never closed; a cell that holds a quote is written in quotes, and its own doubled",
            );
            continue;
        }
        match &columns {
            None => match header(&record, line, found) {
                Some(header) => columns = Some(header),
                // Without a header nothing says what the cells of the other rows are.
                None => return,
            },
            Some(columns) => row(columns, &record, line, found),
        }
    }
    if columns.is_none() && found.problems.is_empty() {
        found.wrong(
            Place::line(1),
            "the table is empty; its first row names its columns: code,name,owner,tenant",
        );
    }
}

/// Whether a row is none: it begins with a `#`, and has no code. One that begins so and has a code is a subscription,
/// whose owner is called `#hr` for instance.
fn is_comment(raw: &str, record: &StringRecord, columns: Option<&[Option<Column>]>) -> bool {
    let code = columns.filter(|columns| columns.len() == record.len()).and_then(|columns| {
        let index = columns.iter().position(|column| *column == Some(Column::Code))?;
        record.get(index)
    });
    raw.trim_start().starts_with('#') && code.is_none_or(|code| code.is_empty() || code.starts_with('#'))
}

/// The text behind a first line `sep=;`, how many lines that takes, and what separates the cells: the one of the
/// three that stands most often in the header.
fn begin(text: &str) -> (&str, u64, u8) {
    let first = text.lines().next().unwrap_or_default();
    if let Some(separator) = first.strip_prefix("sep=").filter(|rest| rest.len() == 1) {
        let rest = text.get(first.len()..).unwrap_or_default();
        let rest = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n')).unwrap_or(rest);
        return (rest, 1, separator.bytes().next().unwrap_or(b','));
    }
    let says_something = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with('#');
    let header = text.lines().find(says_something).unwrap_or_default();
    let count = |separator: u8| header.bytes().filter(|byte| *byte == separator).count();
    // Of several that stand equally often, the last one is taken.
    let separator = [b'\t', b';', b','].into_iter().max_by_key(|separator| count(*separator));
    (text, 0, separator.unwrap_or(b','))
}

/// The lines on which rows begin: the reader's own count is of where it stopped before.
struct Lines<'a> {
    text: &'a str,
    at: usize,
    line: u64,
}

impl<'a> Lines<'a> {
    /// The line of the row that was read from one byte to another, and its text.
    fn of(&mut self, from: u64, to: u64) -> (u64, &'a str) {
        let index = |byte: u64| usize::try_from(byte).unwrap_or(usize::MAX).min(self.text.len());
        let (from, to) = (index(from), index(to));
        // The line breaks before it were passed over in the same step.
        let row = self.text.get(from..to).unwrap_or_default();
        let from = from + row.len() - row.trim_start_matches(['\r', '\n']).len();
        let before = self.text.get(self.at..from).unwrap_or_default();
        self.line += before.bytes().filter(|byte| *byte == b'\n').count() as u64;
        self.at = from;
        (self.line, self.text.get(from..to).unwrap_or_default())
    }
}

fn header(record: &StringRecord, line: u64, found: &mut Found) -> Option<Vec<Option<Column>>> {
    let columns: Vec<Option<Column>> = record.iter().map(Column::of).collect();
    let place = |index: usize| Place { line, column: Some(index as u64 + 1) };
    for (index, (column, heading)) in columns.iter().zip(record).enumerate() {
        match column {
            None if heading.is_empty() => {}
            None => found.ignore(heading),
            Some(column) if columns.iter().take(index).any(|other| *other == Some(*column)) => {
                found.wrong(place(index), format!("a second column {}", word(heading)));
            }
            Some(_) => {}
        }
    }
    if columns.contains(&Some(Column::Code)) {
        return Some(columns);
    }
    let headings: Vec<String> = record.iter().map(word).collect();
    found.wrong(
        Place::line(line),
        format!("no column is called `code` or `approval_code`; the first row has {}", headings.join(", ")),
    );
    None
}

fn row(columns: &[Option<Column>], record: &StringRecord, line: u64, found: &mut Found) {
    if record.len() != columns.len() {
        let says = format!(
            "the row has {} cells, and the header {}; a cell that holds the separator is written in quotes",
            record.len(),
            columns.len()
        );
        found.wrong(Place::line(line), says);
        return;
    }
    let mut texts = Texts::default();
    for (index, (column, cell)) in columns.iter().zip(record).enumerate() {
        let text = Some((Place { line, column: Some(index as u64 + 1) }, cell));
        match column {
            Some(Column::Code) => texts.code = text,
            Some(Column::Name) => texts.name = text,
            Some(Column::Owner) => texts.owner = text,
            Some(Column::Tenant) => texts.tenant = text,
            None => {}
        }
    }
    texts.add(Place::line(line), found);
}
