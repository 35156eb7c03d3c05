//! A table with a header, as spreadsheets write it.

use csv::{ReaderBuilder, StringRecord, Trim};

use super::quotes::{self, Slip, What};
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
    let lines: Vec<(u64, &str)> = lines(text, skipped).collect();
    let mut columns: Option<Vec<Option<Column>>> = None;
    let mut next = 0;
    while let Some((line, raw)) = lines.get(next).copied() {
        next += 1;
        let record = cells(raw, separator);
        if record.iter().all(str::is_empty) || is_comment(raw, &record, columns.as_deref()) {
            continue;
        }
        if let Err(slip) = quotes::check(raw, separator) {
            let rest = lines.get(next..).unwrap_or_default();
            next += told(&slip, line, rest, separator, found);
            if columns.is_none() {
                return;
            }
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

/// Reports a slip, and gives how many of the lines after it belong to the same cell. A row is one line: a quote that is
/// left open would swallow the rows after it, codes and all, and nobody would see them again.
fn told(slip: &Slip, line: u64, rest: &[(u64, &str)], separator: u8, found: &mut Found) -> usize {
    let place = Place { line, column: Some(slip.cell) };
    match slip.what {
        What::Open => {
            let end = rest.iter().position(|(_, raw)| raw.contains('"'));
            let end = end.filter(|at| rest.get(*at).is_some_and(|(_, raw)| quotes::closes(raw, separator)));
            let where_to = end.and_then(|at| rest.get(at)).map(|(last, _)| *last);
            let goes_on = match where_to {
                Some(last) => format!("the quoted cell goes on to line {last}"),
                None => "a quote is never closed on its line".into(),
            };
            let says = format!(
                "{goes_on}, and a row is one line: take the line break out of the cell; a quote that is part of a cell is written twice, in a cell in quotes"
            );
            found.wrong(place, says);
            end.map_or(0, |at| at + 1)
        }
        What::Behind => {
            found.wrong(
                place,
                "text stands behind the quote that ends the cell; a quote that is part of a cell is written twice: `\"5\"\" pipe\"`",
            );
            0
        }
        What::Inside => {
            found.wrong(
                place,
                "a quote stands in a cell that does not begin with one; a cell that holds a quote is written in quotes, and its own doubled",
            );
            0
        }
    }
}

/// The cells of one line.
fn cells(raw: &str, separator: u8) -> StringRecord {
    let mut builder = ReaderBuilder::new();
    builder.delimiter(separator).has_headers(false).flexible(true).trim(Trim::All);
    let mut record = StringRecord::new();
    // What it reads is UTF-8 in memory, so there is nothing that could fail.
    let _ = builder.from_reader(raw.as_bytes()).read_record(&mut record);
    record
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

/// The lines with their numbers, whatever ends them. A line end of old Macs counts where there is no other.
fn lines(text: &str, skipped: u64) -> impl Iterator<Item = (u64, &str)> {
    let is_old = !text.contains('\n');
    let ended = (skipped + 1..).zip(text.split(if is_old { '\r' } else { '\n' }));
    ended.flat_map(|(number, line)| line.split('\r').map(move |line| (number, line)))
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
