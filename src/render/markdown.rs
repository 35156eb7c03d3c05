//! A plan as a comment in a pull or merge request: GitHub's and GitLab's Markdown. Its length has a limit, and what has
//! to be left out for it is said near the top.

pub(super) mod escape;
pub(super) mod sections;

use std::fmt::Write as _;

use self::escape::{NAME, code};
use self::sections::{Room, Sorted};
use super::pick::marked;
use super::{Paint, count, grouped, limits, plan, stale, standing, time};
use crate::plan::{Plan, Stale};

/// From how many characters on a comment has room for more than the least.
const ROOMY: usize = 4_000;

/// The least that a comment can be limited to.
pub const LEAST_CHARS: usize = 2_000;

/// What a comment is limited to where nobody says: GitHub takes 65,536 characters, and a pipeline may add some.
pub const MOST_CHARS: usize = 60_000;

/// How a comment is to be written.
#[derive(Debug, Clone, Copy)]
pub struct Comment<'a> {
    /// What a pipeline finds the comment by; the ledger's lineage where absent.
    pub key: Option<&'a str>,
    /// Where the plan is saved, if it is; not escaped.
    pub saved: Option<&'a str>,
    /// What has moved since it was saved, if anything has.
    pub stale: Option<&'a Stale>,
    /// The most characters.
    pub max_chars: usize,
}

/// The comment: at most `max_chars` characters.
pub fn text(plan: &Plan, comment: &Comment<'_>) -> String {
    let max_chars = comment.max_chars.max(LEAST_CHARS);
    // No row is shorter, so that no plan is written whole in vain.
    let most_rows = max_chars / SHORTEST_ROW;
    let marked = marked(plan);
    let sorted = sections::sorted(&marked);
    let stands = standing::sentence(plan, &marked);
    let stands = stands.as_deref();
    let write = |room| write(plan, &sorted, stands, comment, room);
    let fits = |text: &String| text.chars().count() <= max_chars;
    if sections::rows(plan) <= most_rows {
        let whole = write(Room::WHOLE);
        if fits(&whole) {
            return whole;
        }
    }
    // The comment grows with its rows, so halving finds the most that fit.
    let most = |least: usize, with: &dyn Fn(usize) -> Room| {
        let (mut fitting, mut beyond) = (least, most_rows.max(least) + 1);
        while beyond - fitting > 1 {
            let middle = fitting + (beyond - fitting) / 2;
            match fits(&write(with(middle))) {
                true => fitting = middle,
                false => beyond = middle,
            }
        }
        write(with(fitting))
    };
    // What decides a review is listed longest: refusals and unknowns, then drops, then the rest.
    for (urgent, rest) in [(40, 10), (10, 3), (3, 1), (1, 0)] {
        let with = |drops| Room { drops, urgent, rest };
        if fits(&write(with(LEAST_DROPS))) {
            return most(LEAST_DROPS, &with);
        }
    }
    // Then as much as there is room for, though it be one drop.
    for urgent in [1, 0] {
        let with = |drops| Room { drops, urgent, rest: 0 };
        if fits(&write(with(0))) {
            return most(0, &with);
        }
    }
    write(Room { drops: 0, urgent: 0, rest: 0 })
}

/// `| `A` | **none** | …`: code, name, owner, reason and date take more than this.
const SHORTEST_ROW: usize = 24;

/// So many drops at least are listed before refusals and unknowns are folded.
const LEAST_DROPS: usize = 6;

fn write(
    plan: &Plan,
    sorted: &Sorted<'_>,
    stands: Option<&str>,
    comment: &Comment<'_>,
    room: Room,
) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "### {}", plan::verdict(plan, Paint::Plain));
    if let Some(stands) = stands {
        let _ = writeln!(out, "\n**{stands}**");
    }
    if let Some(stale) = comment.stale {
        let _ = writeln!(out, "\n**Warning: {}.**", stale::sentence(stale));
    }
    out.push_str(&limits::paragraph(plan, comment.max_chars < ROOMY));
    let everything = everything(comment);
    let unlisted = sections::unlisted(sorted, room);
    if unlisted > 0 {
        let _ = writeln!(
            out,
            "\n**{} of {} not listed here**, for want of room. {everything} lists every one.",
            grouped(unlisted),
            count(plan.counts.drops, "drop is", "drops are"),
        );
    }
    sections::refusals(plan, room, &everything, &mut out);
    sections::unknowns(plan, room, &everything, &mut out);
    sections::drops(plan, sorted, room, &everything, &mut out);
    sections::pending(sorted, room, &everything, &mut out);
    sections::taken_back(plan, room, &everything, &mut out);
    sections::guards(plan, room, &everything, &mut out);
    sections::without_calls(plan, room, &everything, &mut out);
    sections::untracked(plan, room, &everything, &mut out);
    foot(plan, comment, &mut out);
    out
}

/// The command that lists what a comment leaves out.
fn everything(comment: &Comment<'_>) -> String {
    let command = match comment.saved {
        Some(path) => format!("larksub show {} --full", word(path)),
        None => "larksub plan --full".into(),
    };
    code(&command, NAME * 2).unwrap_or_default()
}

/// What stands beneath in every comment, folded or not.
fn foot(plan: &Plan, comment: &Comment<'_>, out: &mut String) {
    out.push('\n');
    if plan.calls > 0 {
        let _ = write!(out, "{}, {}. ", count(plan.calls, "call", "calls"), time::estimate(plan.estimate_s));
    }
    let _ = writeln!(
        out,
        "Made from line {} of the state `{}`, with {} tracked.",
        plan.facts.serial,
        plan.facts.lineage,
        grouped(plan.counts.tracked)
    );
    let _ = writeln!(out, "\nDigest `{}`", plan.digest);
    if plan.refused {
        out.push_str("\n**`apply` refuses this plan, too.**\n");
    } else if plan.has_changes {
        let _ = writeln!(out, "\nExactly this, or nothing:\n\n```sh\n{}\n```", command(plan, comment));
    } else {
        out.push_str("\n`apply` has nothing to do.\n");
    }
    let lineage = plan.facts.lineage.to_string();
    let key = comment.key.filter(|key| is_key(key)).unwrap_or(&lineage);
    let _ = writeln!(out, "\n<!-- larksub-plan key={key} digest={} -->", plan.digest);
}

/// The command that applies the plan. Allowances that would take more than a few lines are in the saved plan.
pub(super) fn command(plan: &Plan, comment: &Comment<'_>) -> String {
    const LONGEST: usize = 400;
    let mut command = format!("larksub apply --digest {}", plan.digest);
    for given in &plan.overrides {
        let _ = write!(command, " {} {}", given.flag.as_str(), word(&given.value));
        if command.len() > LONGEST {
            let path = comment.saved.unwrap_or("plan.json");
            return format!(
                "larksub apply {}   # the saved plan holds its {}",
                word(path),
                count(plan.overrides.len() as u64, "allowance", "allowances")
            );
        }
    }
    command
}

/// A word of a command line, on one line whatever it holds, quoted where a shell would read it otherwise.
pub fn word(text: &str) -> String {
    const LONGEST: usize = 160;
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.' | b':');
    let text = crate::text::shown(text);
    let text: String = text.chars().take(LONGEST).collect();
    match text.bytes().all(is_plain) && !text.is_empty() {
        true => text,
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

/// Whether a text can stand in the marker, whose end it must not be: letters, digits and `._/-`, a letter or digit at
/// either end, no two hyphens in a row.
pub fn is_key(text: &str) -> bool {
    let is_in = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'/' | b'-');
    let is_at_end = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    text.len() <= 100
        && text.bytes().all(is_in)
        && is_at_end(text.bytes().next())
        && is_at_end(text.bytes().last())
        && !text.contains("--")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_cannot_end_the_marker() {
        for key in ["a", "hr", "org/repo", "prod-1.eu_x", "0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0"] {
            assert!(is_key(key), "{key}");
        }
        for key in ["", "-", "a-", "-a", "a--b", "a b", "a>b", "a\nb", "请", "a=b", &"a".repeat(101)] {
            assert!(!is_key(key), "{key}");
        }
    }

    #[test]
    fn a_word_is_one_for_a_shell() {
        for (given, expected) in [
            ("plan.json", "plan.json"),
            ("hr/A-1", "hr/A-1"),
            ("my plan", "'my plan'"),
            ("a';rm -rf /;'", "'a'\\'';rm -rf /;'\\'''"),
            ("", "''"),
            ("a\n```", "'a\\n```'"),
        ] {
            assert_eq!(word(given), expected);
        }
    }
}
