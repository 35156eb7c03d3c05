//! The diff, read by a patch applier of its own: what is tracked, patched, is what is declared.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::manifest::{self, Manifest};
use crate::plan::merge::rows;
use crate::state::State;
use crate::state::generator::{self, LABELS};
use crate::state::read::read;

/// Applies a unified diff to lines.
fn patch(old: &[String], diff: &str) -> Vec<String> {
    let mut new = Vec::new();
    let mut next = 0;
    let mut expected = (0, 0);
    for line in diff.lines().skip(2) {
        if let Some(range) = line.strip_prefix("@@ -").and_then(|rest| rest.strip_suffix(" @@")) {
            assert_eq!(expected, (0, 0), "a hunk ends early");
            let (from, to) = range.split_once(" +").unwrap();
            let numbers = |text: &str| {
                let (start, len) = text.split_once(',').unwrap_or((text, "1"));
                (start.parse::<usize>().unwrap(), len.parse::<usize>().unwrap())
            };
            let ((start, old_len), (new_start, new_len)) = (numbers(from), numbers(to));
            // An empty side names the line before it.
            let start = if old_len == 0 { start } else { start - 1 };
            new.extend(old[next..start].iter().map(|line| bare(line)));
            next = start;
            assert_eq!(new.len(), if new_len == 0 { new_start } else { new_start - 1 }, "{line}");
            expected = (old_len, new_len);
            continue;
        }
        let (sign, text) = line.split_at(1);
        let text = bare(text);
        if sign != "+" {
            assert_eq!(text, bare(&old[next]));
            next += 1;
            expected.0 -= 1;
        }
        if sign != "-" {
            new.push(text);
            expected.1 -= 1;
        }
    }
    assert_eq!(expected, (0, 0), "the last hunk ends early");
    new.extend(old[next..].iter().map(|line| bare(line)));
    new
}

/// A line without the diff's own remark on it.
fn bare(line: &str) -> String {
    const NOTES: [&str; 3] = [
        "  # forgotten without a call",
        "  # unknown: sent once without a verdict",
        "  # not tracked; no call",
    ];
    let note = NOTES.iter().find_map(|note| line.strip_suffix(note));
    note.unwrap_or(line).to_owned()
}

fn lines(side: &[Line<'_>]) -> Vec<String> {
    side.iter().map(|line| bare(&line.to_string())).collect()
}

fn check(rows: &[Row<'_>]) -> String {
    let diff = unified(rows, "state", "manifest", Paint::Plain);
    let sides = Sides::of(rows);
    assert_eq!(patch(&lines(&sides.old), &diff), lines(&sides.new), "{diff}");
    assert_eq!(diff.is_empty(), lines(&sides.old) == lines(&sides.new));
    assert_eq!(diff, unified(rows, "state", "manifest", Paint::Plain));
    diff
}

fn state(ledger: &generator::Ledger) -> State {
    let lines = generator::lines(&ledger.batches);
    let text: String = lines.iter().map(|(line, _)| line.as_str()).collect();
    read(text.as_bytes()).unwrap().state
}

/// A manifest that says one of a few things of each code, by `says`.
fn manifest(state: &State, says: &[u8]) -> Manifest {
    let mut toml = String::new();
    let mut says = says.iter().cycle();
    let mut free = LABELS.to_vec();
    // In one manifest, an app id has one section.
    let mut ids = std::collections::BTreeSet::new();
    for (index, app) in state.apps().filter(|(_, app)| ids.insert(&app.identity.app_id)) {
        let label = app.label.as_str();
        free.retain(|other| *other != label);
        let _ = writeln!(
            toml,
            "[apps.{label}]\napp_id = \"{}\"\nbase_url = \"{}\"\nkind = \"{}\"",
            app.identity.app_id,
            app.identity.base_url,
            app.kind.as_str()
        );
        let mut seen = std::collections::BTreeSet::new();
        let of = state.subscriptions().filter(|(id, _)| id.app == index);
        for (id, subscription) in of {
            // Two codes that differ only in letter case cannot both be declared.
            if !seen.insert((id.tenant_key.clone(), id.approval_code.case_folded())) {
                continue;
            }
            let what = says.next().copied().unwrap_or_default();
            let table = if what == 1 { "removed" } else { "subscriptions" };
            if what == 0 {
                continue;
            }
            let _ = writeln!(toml, "[[apps.{label}.{table}]]\napproval_code = \"{}\"", id.approval_code);
            if let Some(tenant) = &id.tenant_key {
                let _ = writeln!(toml, "tenant_key = \"{tenant}\"");
            }
            match what {
                1 => toml.push_str("forget = true\n"),
                2 => toml.push_str("name = \"another\"\n"),
                _ => {
                    if let Some(name) = subscription
                        .name
                        .as_deref()
                        .filter(|name| name.chars().all(|c| c.is_ascii_alphabetic()))
                    {
                        let _ = writeln!(toml, "name = \"{name}\"");
                    }
                    let _ = writeln!(toml, "protect = {}", subscription.protect);
                }
            }
        }
    }
    if toml.is_empty() {
        let _ = writeln!(toml, "[apps.{}]\napp_id = \"x\"\nbrand = \"lark\"", free[0]);
    }
    manifest::parse(&[manifest::Source { path: "larksub.toml".into(), bytes: toml.clone().into() }])
        .unwrap_or_else(|problems| panic!("{problems:?}\n{toml}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_tracked_patched_is_what_is_declared(
        ledger in generator::ledger(60), says in prop::collection::vec(0_u8..6, 16),
    ) {
        let state = state(&ledger);
        check(&rows(&manifest(&state, &says), &state));
    }
}

/// Many declared, of which the ledger knows nothing: every row is one line.
fn many(count: usize, entry: impl Fn(usize) -> bool) -> Manifest {
    let mut toml = String::from("[apps.hr]\napp_id = \"cli_hr\"\nbrand = \"lark\"\n");
    for number in (0..count).filter(|number| entry(*number)) {
        let _ = writeln!(toml, "[[apps.hr.subscriptions]]\napproval_code = \"C-{number:06}\"");
    }
    manifest::parse(&[manifest::Source { path: "larksub.toml".into(), bytes: toml.into() }]).unwrap()
}

#[test]
fn every_row_is_looked_at_once_and_written_once() {
    const COUNT: usize = 100_000;
    let mut text = String::new();
    let mut push = |seq: usize, records: String, more: bool| {
        let body =
            format!(r#"{{"seq":{seq},"records":[{records}]{}"#, if more { r#","more":true"# } else { "" });
        let _ = writeln!(text, "{body},\"crc\":\"{:08x}\"}}", crc32c::crc32c(body.as_bytes()));
    };
    let at = r#""at":"2026-01-01T00:00:00Z""#;
    push(
        1,
        format!(
            r#"{{"op":"init",{at},"format":"larksub.state","version":1,"lineage":"00000000-0000-0000-0000-000000000001","by":{{}}}},{{"op":"bind",{at},"app":"hr","app_id":"cli_hr","base_url":"https://open.larksuite.com","kind":"custom"}}"#
        ),
        false,
    );
    // Three of four are tracked, and two of three declared.
    let tracked: Vec<usize> = (0..COUNT).filter(|number| number % 4 != 0).collect();
    for (seq, number) in (2..).zip(&tracked) {
        push(
            seq,
            format!(r#"{{"op":"track",{at},"app":"hr","approval_code":"C-{number:06}","by":{{}}}}"#),
            seq <= tracked.len(),
        );
    }
    let state = read(text.as_bytes()).unwrap().state;
    let manifest = many(COUNT, |number| number % 3 != 0);
    let rows = rows(&manifest, &state);
    let sides = Sides::of(&rows);
    assert_eq!((sides.old.len(), sides.new.len()), (75_000, 66_666));
    let ops = sides.ops();
    let (mut old, mut new) = (0, 0);
    for op in &ops {
        assert_eq!((op.old_range().start, op.new_range().start), (old, new));
        (old, new) = (op.old_range().end, op.new_range().end);
    }
    assert_eq!((old, new), (sides.old.len(), sides.new.len()));
    assert!(ops.len() <= rows.len());
    let diff = unified(&rows, "state", "manifest", Paint::Plain);
    // A line of either side stands in it once at most, and a hunk has one line of its own.
    let lines = diff.lines().filter(|line| !line.starts_with("@@")).count() - 2;
    assert!(lines <= sides.old.len() + sides.new.len());
    assert!(diff.lines().filter(|line| line.starts_with("@@")).count() <= ops.len());
    assert_eq!(patch(&self::lines(&sides.old), &diff), self::lines(&sides.new));
}
