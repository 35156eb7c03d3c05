//! Tracked against declared as a unified diff.
//!
//! The operations come from the plan's own sorted merge, not from a search for them: linear, and the same for the
//! same facts.

use std::fmt::Write as _;

use similar::udiff::UnifiedHunkHeader;
use similar::{DiffOp, group_diff_ops};

use super::Paint;
use crate::plan::merge::Row;
use crate::text::shown;

/// How many unchanged lines stand around a change.
const CONTEXT: usize = 3;

/// The diff, empty where nothing differs. `tracked` and `declared` name the two sides.
pub fn unified(rows: &[Row<'_>], tracked: &str, declared: &str, paint: Paint) -> String {
    let sides = Sides::of(rows);
    let mut text = String::new();
    for ops in group_diff_ops(sides.ops(), CONTEXT) {
        if ops.iter().all(|op| matches!(op, DiffOp::Equal { .. })) {
            continue;
        }
        if text.is_empty() {
            let heads = format!("--- {}\n+++ {}", shown(tracked), shown(declared));
            let _ = writeln!(text, "{}", paint.strong(heads));
        }
        let _ = writeln!(text, "{}", paint.faint(UnifiedHunkHeader::new(&ops)));
        for op in &ops {
            sides.write(op, paint, &mut text);
        }
    }
    text
}

/// The rows as the lines of two texts.
struct Sides<'a> {
    old: Vec<Line<'a>>,
    new: Vec<Line<'a>>,
    steps: Vec<Step>,
}

#[derive(Clone, Copy)]
struct Line<'a> {
    row: &'a Row<'a>,
    name: Option<&'a str>,
    owner: Option<&'a str>,
    protect: bool,
    note: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Equal,
    Change { old: usize, new: usize },
}

impl<'a> Sides<'a> {
    fn of(rows: &'a [Row<'a>]) -> Self {
        let mut sides = Self { old: Vec::new(), new: Vec::new(), steps: Vec::new() };
        for row in rows {
            let old = row.tracked().map(|tracked| Line {
                row,
                name: tracked.name.as_deref(),
                owner: tracked.owner.as_deref(),
                protect: tracked.protect,
                note: match (row.declared, row.removed) {
                    (None, Some(removed)) if removed.forget => "  # forgotten without a call",
                    _ if tracked.open_intent().is_some() => "  # unknown: sent once without a verdict",
                    _ => "",
                },
            });
            let new = row.declared.map(|declared| Line {
                row,
                name: declared.name.as_deref(),
                owner: declared.owner.as_deref(),
                protect: declared.protect,
                note: if old.is_none() { "  # not tracked; no call" } else { "" },
            });
            let is_equal = matches!((&old, &new), (Some(old), Some(new)) if old.is_same(new));
            if old.is_some() || new.is_some() {
                let change =
                    Step::Change { old: usize::from(old.is_some()), new: usize::from(new.is_some()) };
                sides.steps.push(if is_equal { Step::Equal } else { change });
            }
            sides.old.extend(old);
            sides.new.extend(new);
        }
        sides
    }

    /// One operation for each run of equal rows and for each run of changed ones.
    fn ops(&self) -> Vec<DiffOp> {
        let mut ops = Vec::new();
        let (mut old_index, mut new_index) = (0, 0);
        for run in self.steps.chunk_by(|a, b| (*a == Step::Equal) == (*b == Step::Equal)) {
            let (old_len, new_len) = run.iter().fold((0, 0), |(olds, news), step| match step {
                Step::Equal => (olds + 1, news + 1),
                Step::Change { old, new } => (olds + old, news + new),
            });
            ops.push(match (run.first(), old_len, new_len) {
                (Some(Step::Equal), len, _) => DiffOp::Equal { old_index, new_index, len },
                (_, old_len, 0) => DiffOp::Delete { old_index, old_len, new_index },
                (_, 0, new_len) => DiffOp::Insert { old_index, new_index, new_len },
                (_, old_len, new_len) => DiffOp::Replace { old_index, old_len, new_index, new_len },
            });
            old_index += old_len;
            new_index += new_len;
        }
        ops
    }

    fn write(&self, op: &DiffOp, paint: Paint, text: &mut String) {
        let old = self.old.get(op.old_range()).unwrap_or_default();
        let new = self.new.get(op.new_range()).unwrap_or_default();
        if let DiffOp::Equal { .. } = op {
            for line in old {
                let _ = writeln!(text, " {line}");
            }
            return;
        }
        for line in old {
            let _ = writeln!(text, "{}", paint.loss(format_args!("-{line}")));
        }
        for line in new {
            let _ = writeln!(text, "{}", paint.good(format_args!("+{line}")));
        }
    }
}

impl Line<'_> {
    fn is_same(&self, other: &Line<'_>) -> bool {
        let Self { row: _, name, owner, protect, note: _ } = self;
        *name == other.name && *owner == other.owner && *protect == other.protect
    }
}

impl std::fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { row, name, owner, protect, note } = self;
        write!(f, "{}/", row.label)?;
        if let Some(tenant) = row.tenant_key {
            write!(f, "{tenant}/")?;
        }
        write!(f, "{}", row.approval_code)?;
        for text in [name, owner].into_iter().flatten() {
            write!(f, "  {}", shown(text))?;
        }
        write!(f, "{}{note}", if *protect { "  protected" } else { "" })
    }
}

#[cfg(test)]
mod tests;
