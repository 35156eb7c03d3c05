//! Plans, states and reports as text, diff, JSON, Markdown, a page, or what a CI system reads. Only this module formats, and it
//! does nothing else.

pub mod diff;
pub mod doctor;
mod drops;
pub mod edit;
pub mod ending;
pub mod events;
pub mod github;
pub mod gitlab;
mod guards;
pub mod history;
pub mod html;
pub mod limits;
pub mod markdown;
pub mod paint;
pub mod pick;
pub mod plan;
pub mod report;
mod screen;
pub mod stale;
pub mod standing;
pub mod state;
pub mod time;

pub use paint::Paint;

/// What the place that a text is printed to can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Colours, or none.
    pub paint: Paint,
    /// Columns of the terminal; none where it is not one, and nothing is cut then.
    pub columns: Option<usize>,
    /// How many lines a list may take before it is grouped and counted; none where all is listed.
    pub lines: Option<usize>,
}

impl Layout {
    /// For a file, a pipe or a log: no colour, nothing cut, everything listed.
    pub const PLAIN: Self = Self { paint: Paint::Plain, columns: None, lines: None };
}

/// `1 drop`, `2 drops`.
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// A number with thin groups: `10,000`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
