//! What of a plan has room on a screen whose first line must stay in sight.

use super::Layout;
use crate::text::width;

/// How much is listed; none where everything is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    /// Drops, of all apps together.
    pub drops: Option<usize>,
    /// Lines of each other list. With none, each is a heading that says how much there is.
    pub notes: Option<usize>,
    /// Whether what refuses says how to go on; where not, there is least room, and what the verdict counts is not told again.
    pub remedies: bool,
}

impl Room {
    /// Everything is listed.
    pub const WHOLE: Self = Self { drops: None, notes: None, remedies: true };

    /// How many lines of a list are shown.
    pub fn lines(self) -> usize {
        self.notes.unwrap_or(usize::MAX)
    }

    /// Whether there is room for no more than what there is of each thing.
    pub fn is_least(self) -> bool {
        self.notes == Some(0)
    }
}

/// Lines of each other list, with how many drops are listed before these lists have so many, and whether remedies are.
const STEPS: [(usize, usize, bool); 9] = [
    (40, 20, true),
    (20, 10, true),
    (10, 6, true),
    (5, 6, true),
    (3, 6, true),
    (2, 4, true),
    (1, 2, true),
    (0, 1, true),
    (0, 0, false),
];

/// The most that fits the layout's lines; `write` gives the text with some room, without colour. Where not even the
/// least fits, the least.
pub(super) fn fitting(drops: usize, layout: Layout, write: &dyn Fn(Room) -> String) -> Room {
    let Some(rows) = layout.lines else { return Room::WHOLE };
    let columns = layout.columns.unwrap_or(usize::MAX).max(1);
    let fits = |room: Room| {
        let text = write(room);
        text.lines().map(|line| width(line).div_ceil(columns).max(1)).sum::<usize>() <= rows
    };
    if drops <= rows && fits(Room::WHOLE) {
        return Room::WHOLE;
    }
    for (notes, least, remedies) in STEPS {
        let with = |drops| Room { drops: Some(drops), notes: Some(notes), remedies };
        let least = drops.min(least);
        if remedies && !fits(with(least)) {
            continue;
        }
        // The text grows with its rows, so halving finds the most that fit; each try looks at every drop.
        let (mut fitting, mut beyond) = (least, drops.min(rows).max(least) + 1);
        while beyond - fitting > 1 {
            let middle = fitting + (beyond - fitting) / 2;
            match fits(with(middle)) {
                true => fitting = middle,
                false => beyond = middle,
            }
        }
        return with(fitting);
    }
    Room { drops: Some(0), notes: Some(0), remedies: false }
}

/// A text whose lines end between words where the screen ends; what follows the first line is indented. Colours take
/// no room.
pub(super) fn wrapped(text: &str, indent: usize, layout: Layout) -> String {
    let Some(columns) = layout.columns else { return text.into() };
    let margin = text.len() - text.trim_start_matches(' ').len();
    let mut out = " ".repeat(margin);
    let mut used = 0;
    for (position, word) in text.trim_start_matches(' ').split(' ').enumerate() {
        let len = width(&anstream::adapter::strip_str(word).to_string());
        used = if position == 0 { margin } else { used };
        if position > 0 && used + 1 + len > columns && indent + len <= columns {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            used = indent;
        } else if position > 0 {
            out.push(' ');
            used += 1;
        }
        out.push_str(word);
        used += len;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_between_words() {
        let layout = Layout { columns: Some(12), ..Layout::PLAIN };
        assert_eq!(wrapped("one two three four", 2, layout), "one two\n  three four");
        assert_eq!(
            wrapped("\u{1b}[31mone\u{1b}[0m two three", 2, layout),
            "\u{1b}[31mone\u{1b}[0m two\n  three"
        );
        assert_eq!(wrapped("  one  two three", 4, layout), "  one  two\n    three");
        assert_eq!(wrapped("averyverylongword and", 2, layout), "averyverylongword\n  and");
        assert_eq!(wrapped("one two three four", 2, Layout::PLAIN), "one two three four");
    }
}
