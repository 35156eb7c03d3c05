//! Whether the quotes of a table's line mean one thing only. A lenient reader guesses, and a guess can take the codes of
//! whole rows for a name.

/// What is wrong with a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// It begins with a quote, and the line ends before another one ends it.
    Open,
    /// Text stands behind the quote that ends it.
    Behind,
    /// It holds a quote, and does not begin with one.
    Inside,
}

/// The first slip of a line, and the number of its cell, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slip {
    pub(super) cell: u64,
    pub(super) what: What,
}

/// Checks one line.
///
/// # Errors
/// A cell of it has a quote that means nothing, or more than one thing.
pub(super) fn check(line: &str, separator: u8) -> Result<(), Slip> {
    let separator = char::from(separator);
    let mut rest = line;
    for cell in 1.. {
        let slip = |what| Err(Slip { cell, what });
        let end = match rest.strip_prefix('"') {
            Some(quoted) => match end_of_quoted(quoted) {
                None => return slip(What::Open),
                Some(behind) => match behind.split_once(separator) {
                    Some((blank, next)) if blank.trim().is_empty() => Some(next),
                    None if behind.trim().is_empty() => None,
                    _ => return slip(What::Behind),
                },
            },
            None => {
                let (text, next) = match rest.split_once(separator) {
                    Some((text, next)) => (text, Some(next)),
                    None => (rest, None),
                };
                if text.contains('"') {
                    return slip(What::Inside);
                }
                next
            }
        };
        match end {
            Some(next) => rest = next,
            None => break,
        }
    }
    Ok(())
}

/// Whether a line ends a quoted cell that an earlier one began, and is right from there on.
pub(super) fn closes(line: &str, separator: u8) -> bool {
    check(&format!("\"{line}"), separator).is_ok()
}

/// What stands behind the quote that ends a quoted cell, whose first quote is cut off; a doubled one does not end it.
fn end_of_quoted(quoted: &str) -> Option<&str> {
    let mut rest = quoted;
    loop {
        let (_, behind) = rest.split_once('"')?;
        match behind.strip_prefix('"') {
            Some(more) => rest = more,
            None => return Some(behind),
        }
    }
}
