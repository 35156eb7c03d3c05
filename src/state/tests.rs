//! What bytes of a ledger mean, and that no others mean anything.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::prelude::*;
use uuid::Uuid;

use super::generator::{self, Batch, Expected, Ledger, Place, lines};
use super::line::{Line, read_line, read_newer_line, sound_crc, write_line};
use super::read::{Reading, Unreadable, read};
use super::record::{Init, Record};
use super::{Contains, State, Status};
use crate::text::is_unseen;

/// Everything that a state says, in a form that can be compared.
fn told(state: &State) -> String {
    let mut out = format!("{} {}\n", state.lineage, state.serial);
    let _ = writeln!(out, "{} {:?} {:?}", state.written_at, state.written_by, state.unended_run());
    for (index, app) in state.apps() {
        let _ = writeln!(out, "{index:?} {app:?} {:?}", state.app_labelled(&app.label));
    }
    for (id, subscription) in state.subscriptions() {
        let run = subscription.last_run.and_then(|run| state.run_facts(&run).cloned());
        let _ = writeln!(out, "{id:?} {subscription:?} {run:?}");
    }
    out
}

fn expected(state: &State) -> BTreeMap<Place, Expected> {
    let told = state.subscriptions().map(|(id, subscription)| {
        let tenant = id.tenant_key.as_ref().map(ToString::to_string);
        let place = (state.app(id.app).unwrap().identity.to_string(), tenant, id.approval_code.to_string());
        let expected = Expected {
            status: subscription.status,
            generation: subscription.generation,
            open_intent: subscription.open_intent().map(|intent| intent.run),
            last_run: subscription.last_run,
            name: subscription.name.clone(),
            protect: subscription.protect,
        };
        (place, expected)
    });
    told.collect()
}

/// A ledger as bytes, with where each batch ends and what the fold had added up to there.
struct Written {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    told: Vec<String>,
    expected: Vec<BTreeMap<Place, Expected>>,
}

fn written(batches: &[Batch]) -> Written {
    let mut written = Written { bytes: Vec::new(), ends: Vec::new(), told: Vec::new(), expected: Vec::new() };
    let mut state: Option<State> = None;
    let mut records = batches.iter();
    let mut serial = 0;
    for (line, ends) in lines(batches) {
        serial += 1;
        written.bytes.extend(line.as_bytes());
        if !ends {
            continue;
        }
        for record in records.next().unwrap().records.iter().cloned() {
            match (&mut state, record) {
                (None, Record::Init(init)) => state = Some(State::begin(init, 1)),
                (Some(state), record) => state.fold(record).unwrap(),
                (None, record) => panic!("{record:?} comes first"),
            }
        }
        let state = state.as_mut().unwrap();
        state.serial = serial;
        written.ends.push(written.bytes.len());
        written.told.push(told(state));
        written.expected.push(expected(state));
    }
    written
}

/// The reading of bytes whose first whole batches are `batches` of `written`: exactly their state, or a refusal.
#[track_caller]
fn check_prefix(written: &Written, bytes: &[u8], batches: usize) -> Reading {
    let reading = read(bytes).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(told(&reading.state), written.told[batches - 1]);
    assert_eq!(reading.sound_len, written.ends[batches - 1] as u64);
    assert_eq!(reading.tail_len, (bytes.len() - written.ends[batches - 1]) as u64);
    reading
}

const HR: &str = r#"{"op":"bind","at":"2026-01-02T03:04:05Z","app":"hr","app_id":"cli_hr","base_url":"https://open.feishu.cn","kind":"custom"}"#;

/// A ledger of every operation, by hand: a batch a line, and one import of three.
fn every_operation() -> Vec<Batch> {
    let run = |number: u128| Uuid::from_u128(number);
    let (one, two) = (run(1), run(2));
    let of = |run: Uuid, code: &str| {
        format!(r#""at":"2026-01-03T00:00:00Z","run":"{run}","app":"hr","approval_code":"{code}""#)
    };
    let texts: Vec<Vec<String>> = vec![
        vec![format!(
            r#"{{"op":"init","at":"2026-01-02T03:04:05Z","format":"larksub.state","version":1,"lineage":"{}","by":{{"user":"ada"}}}}"#,
            run(9)
        )],
        vec![HR.into(), track("A-1"), track("B-2"), track("C-3")],
        vec![r#"{"op":"update","at":"2026-01-02T03:04:06Z","app":"hr","approval_code":"A-1","name":"请假","protect":true}"#.into()],
        vec![format!(
            r#"{{"op":"run","at":"2026-01-03T00:00:00Z","run":"{one}","plan_digest":"sha256:x","overrides":[{{"flag":"allow-drops","value":"9"}}],"by":{{}}}}"#
        )],
        vec![format!(r#"{{"op":"intent",{}}}"#, of(one, "B-2"))],
        vec![
            format!(
                r#"{{"op":"outcome",{},"kind":"unsubscribed","code":0,"http_status":200,"attempts":1}}"#,
                of(one, "B-2")
            ),
            format!(r#"{{"op":"intent",{}}}"#, of(one, "C-3")),
        ],
        vec![format!(r#"{{"op":"outcome",{},"kind":"unknown","attempts":4,"reason":"HTTP 503"}}"#, of(one, "C-3"))],
        vec![format!(r#"{{"op":"end","at":"2026-01-03T00:00:01Z","run":"{one}","how":"done"}}"#)],
        vec![r#"{"op":"forget","at":"2026-01-04T00:00:00Z","app":"hr","approval_code":"A-1","reason":"x","by":{}}"#.into()],
        vec![HR.replace("\"hr\"", "\"people\"")],
        vec![format!(
            r#"{{"op":"run","at":"2026-01-05T00:00:00Z","run":"{two}","plan_digest":"sha256:x","by":{{}}}}"#
        )],
        vec![format!(r#"{{"op":"intent",{}}}"#, of(two, "C-3").replace("\"hr\"", "\"people\""))],
    ];
    let batch = |texts: &Vec<String>| Batch {
        records: texts.iter().map(|text| record(text)).collect(),
        a_line_each: texts.len() > 2,
    };
    texts.iter().map(batch).collect()
}

fn track(code: &str) -> String {
    format!(r#"{{"op":"track","at":"2026-01-02T03:04:05Z","app":"hr","approval_code":"{code}","by":{{}}}}"#)
}

fn record(text: &str) -> Record<'static> {
    serde_json::from_str(Box::leak(text.to_owned().into_boxed_str())).unwrap()
}

fn bytes_of(lines: &[(String, bool)]) -> Vec<u8> {
    lines.iter().flat_map(|(line, _)| line.bytes()).collect()
}

#[test]
fn random_ledgers_are_worth_reading() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for _ in 0..50 {
        let ledger = generator::ledger(40).new_tree(&mut runner).unwrap().current();
        for record in ledger.batches.iter().flat_map(|batch| &batch.records) {
            let json = serde_json::to_value(record).unwrap();
            let word = json.get("kind").filter(|_| json["op"] == "outcome").unwrap_or(&json["op"]);
            *seen.entry(Box::leak(word.as_str().unwrap().to_owned().into_boxed_str())).or_default() += 1;
        }
        let told = ledger.expected.last().unwrap().values();
        *seen.entry("open").or_default() += told.filter(|one| one.open_intent.is_some()).count();
    }
    for (word, least) in
        [("track", 100), ("intent", 50), ("unknown", 5), ("not_found", 5), ("open", 20), ("forget", 20)]
    {
        assert!(seen.get(word).is_some_and(|count| *count >= least), "{word}: {seen:?}");
    }
    assert_eq!(seen.len(), 14, "{seen:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_record_is_the_same_after_it_was_written_and_read(
        seq in any::<u64>(),
        records in prop::collection::vec(generator::record(), 1..4),
        more in any::<bool>(),
    ) {
        let text = write_line(seq, &records, more).unwrap();
        let line = text.strip_suffix('\n').unwrap();
        prop_assert!(!line.contains(is_unseen), "{line}");
        prop_assert!(sound_crc(line.as_bytes()).is_some());
        let expected = Line { seq, records, more };
        prop_assert_eq!(&read_line(line.as_bytes()).unwrap(), &expected);
        prop_assert_eq!(&read_newer_line(line.as_bytes()).unwrap(), &expected);
    }

    #[test]
    fn whatever_whole_batches_there_are_read_as_what_was_true_then(ledger in generator::ledger(40)) {
        let Ledger { batches, expected } = ledger;
        let written = written(&batches);
        for (position, end) in written.ends.iter().enumerate() {
            check_prefix(&written, &written.bytes[..*end], position + 1);
            prop_assert_eq!(&written.expected[position], &expected[position]);
        }
    }

    #[test]
    fn a_ledger_cut_anywhere_reads_as_its_whole_batches(
        ledger in generator::ledger(30),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 20),
    ) {
        let written = written(&ledger.batches);
        for cut in cuts {
            check_cut(&written, cut.index(written.bytes.len()));
        }
    }

    #[test]
    fn a_line_deleted_repeated_or_moved_is_refused(ledger in generator::ledger(20)) {
        let written = written(&ledger.batches);
        let lines = lines(&ledger.batches);
        for position in 0..lines.len() {
            let mut changed = lines.clone();
            changed.remove(position);
            if position + 1 == lines.len() {
                // Nobody can miss a line that might never have been written.
                if ledger.batches.len() > 1 {
                    check_prefix(&written, &bytes_of(&changed), ledger.batches.len() - 1);
                }
            } else {
                prop_assert!(read(&bytes_of(&changed)).is_err(), "without line {}", position + 1);
            }
            let mut changed = lines.clone();
            changed.insert(position, lines[position].clone());
            prop_assert!(read(&bytes_of(&changed)).is_err(), "line {} twice", position + 1);
            if position > 0 {
                let mut changed = lines.clone();
                changed.swap(position - 1, position);
                prop_assert!(read(&bytes_of(&changed)).is_err(), "line {} too early", position + 1);
            }
        }
    }

    #[test]
    fn a_record_that_cannot_follow_leaves_the_state_as_it_was(
        ledger in generator::ledger(20),
        stranger in generator::ledger(20),
        records in prop::collection::vec(generator::record(), 4),
    ) {
        let written = written(&ledger.batches);
        let mut state = read(&written.bytes).unwrap().state;
        let others = stranger.batches.iter().flat_map(|batch| batch.records.iter().cloned());
        for record in others.chain(records) {
            let before = told(&state);
            if state.fold(record).is_err() {
                prop_assert_eq!(told(&state), before);
            }
        }
    }
}

fn check_cut(written: &Written, cut: usize) {
    let bytes = &written.bytes[..cut];
    match written.ends.iter().filter(|end| **end <= cut).count() {
        0 => assert!(read(bytes).is_err(), "cut at byte {cut}"),
        batches => drop(check_prefix(written, bytes, batches)),
    }
}

#[test]
fn every_cut_of_a_ledger_of_every_operation_reads_as_its_whole_batches() {
    let written = written(&every_operation());
    for cut in 0..=written.bytes.len() {
        check_cut(&written, cut);
    }
}

#[test]
fn no_changed_byte_is_ever_read_as_something_else() {
    let written = written(&every_operation());
    let [.., before_last, _] = written.ends.as_slice() else { panic!("there are more") };
    let all_but_last = written.ends.len() - 1;
    let mut refused = 0;
    for position in 0..written.bytes.len() {
        let byte = written.bytes[position];
        for other in [byte ^ 1, byte ^ 0x80, b'\n', b'"', 0] {
            let mut bytes = written.bytes.clone();
            bytes[position] = other;
            if other == byte {
                continue;
            }
            match read(&bytes) {
                Err(_) => refused += 1,
                Ok(_) => {
                    assert!(position >= *before_last, "byte {position} as {other}");
                    check_prefix(&written, &bytes, all_but_last);
                }
            }
        }
    }
    assert!(refused >= *before_last * 4, "{refused}");
}

#[test]
fn an_import_that_was_cut_off_never_happened() {
    let lines = lines(&every_operation());
    for count in 1..4 {
        let reading = read(&bytes_of(&lines[..=count])).unwrap();
        assert_eq!((reading.state.serial, reading.state.subscriptions().len()), (1, 0), "{count} of 4 lines");
        assert!(reading.tail_len > 0);
    }
    let reading = read(&bytes_of(&lines[..5])).unwrap();
    assert_eq!((reading.state.serial, reading.state.tracked(), reading.tail_len), (5, 3, 0));
}

#[test]
fn a_crash_leaves_no_sound_line_behind_a_broken_one() {
    let all = lines(&every_operation());
    for broken in 1..3 {
        let mut cut = all[..4].to_vec();
        cut[broken].0 = cut[broken].0.replace("track", "trick").replace("cli_hr", "cli_it");
        let error = read(&bytes_of(&cut)).unwrap_err();
        assert!(matches!(error, Unreadable::Damaged { line, .. } if line == broken as u64 + 1), "{error}");
    }
}

#[test]
fn what_a_crash_leaves_behind_the_last_line_is_passed_over() {
    let written = written(&every_operation());
    let half = br#"{"seq":15,"records":[{"op":"inte"#;
    for tail in [vec![0], vec![0; 511], vec![0; 4096], half.to_vec(), [&half[..], &[0; 64]].concat()] {
        let bytes = [&written.bytes[..], &tail].concat();
        check_prefix(&written, &bytes, written.ends.len());
    }
}

#[test]
fn nothing_may_stand_between_two_lines() {
    let written = written(&every_operation());
    for end in &written.ends[..written.ends.len() - 1] {
        for between in [&b"\n"[..], b"\0", b" ", b"\r\n", b"{}\n", b"<<<<<<< HEAD\n"] {
            let bytes = [&written.bytes[..*end], between, &written.bytes[*end..]].concat();
            assert!(read(&bytes).is_err(), "{between:?} at byte {end}");
        }
        let mut together = written.bytes.clone();
        together.remove(end - 1);
        assert!(read(&together).is_err(), "lines run together at byte {end}");
    }
    let crlf = String::from_utf8(written.bytes).unwrap().replace('\n', "\r\n");
    assert!(read(crlf.as_bytes()).is_err());
}

fn init(version: u32) -> Record<'static> {
    let lineage = Uuid::from_u128(7);
    let at = "2026-01-02T03:04:05Z".parse().unwrap();
    let format = super::record::FORMAT.into();
    Record::Init(Init { at, format, version, lineage, by: super::By::default() })
}

fn raw(seq: u64, records: &str) -> String {
    let body = format!(r#"{{"seq":{seq},"records":[{records}]"#);
    format!("{body},\"crc\":\"{:08x}\"}}\n", crc32c::crc32c(body.as_bytes()))
}

#[test]
fn a_newer_version_is_read_as_far_as_it_is_known() {
    let strange =
        raw(2, &format!(r#"{{"op":"merge","of":[1,{{"x":2}}]}},{}"#, HR.replace('}', r#","region":"cn"}"#)));
    let newer = format!("{}{strange}", write_line(1, &[init(2)], false).unwrap());
    let reading = read(newer.as_bytes()).unwrap();
    assert_eq!((reading.version, reading.state.serial, reading.state.apps().count()), (2, 2, 1));
    let own = format!("{}{strange}", write_line(1, &[init(1)], false).unwrap());
    assert!(matches!(read(own.as_bytes()), Err(Unreadable::Damaged { line: 2, .. })));
    let none = write_line(1, &[init(0)], false).unwrap();
    assert!(matches!(read(none.as_bytes()), Err(Unreadable::Damaged { line: 1, .. })));
}

#[test]
fn a_sound_line_that_cannot_follow_is_damage() {
    let first = write_line(1, &[init(1)], false).unwrap();
    let bind = raw(2, HR);
    for (what, third) in [
        ("a second init", write_line(3, &[init(1)], false).unwrap()),
        ("an unbound label", raw(3, &track("A-1").replace("\"hr\"", "\"it\""))),
        ("a label of another app", raw(3, &HR.replace("cli_hr", "cli_other"))),
        ("another kind", raw(3, &HR.replace("custom", "store"))),
        (
            "an untracked code",
            raw(3, r#"{"op":"update","at":"2026-01-02T03:04:05Z","app":"hr","approval_code":"A-1"}"#),
        ),
        (
            "a run that never began",
            raw(
                3,
                &format!(
                    r#"{{"op":"end","at":"2026-01-02T03:04:05Z","run":"{}","how":"done"}}"#,
                    Uuid::nil()
                ),
            ),
        ),
        ("a seq too far", raw(4, &track("A-1"))),
        ("a malformed code", raw(3, &track("A_1"))),
        ("a key twice", raw(3, &track("A-1").replace("\"app\":\"hr\"", "\"app\":\"hr\",\"app\":\"hr\""))),
        ("a number as text", raw(3, &track("A-1").replace("\"by\":{}", "\"by\":{\"pid\":\"1\"}"))),
        ("an unknown key", raw(3, &track("A-1").replace("\"by\"", "\"x\":1,\"by\""))),
    ] {
        let bytes = format!("{first}{bind}{third}");
        assert!(matches!(read(bytes.as_bytes()), Err(Unreadable::Damaged { line: 3, .. })), "{what}");
    }
    let good = format!("{first}{bind}{}", raw(3, &track("A-1")));
    assert_eq!(read(good.as_bytes()).unwrap().state.tracked(), 1);
}

#[test]
fn what_is_no_ledger_is_named() {
    let ledger = bytes_of(&lines(&every_operation()));
    let marked = [b"\xef\xbb\xbf", &ledger[..]].concat();
    for (bytes, expected) in [
        (&b""[..], "it is empty"),
        (&[0; 4096], "it is nothing but NUL bytes, not a larksub state"),
        (b"{\"version\":4,\"terraform_version\":\"1.9.0\"}", "it is a Terraform state, not a larksub state"),
        (b"{\n  \"format\": \"larksub.plan\"\n}", "it is a saved plan, not a larksub state"),
        (b"[apps.hr]\napp_id = \"x\"\n", "it is a manifest, not a larksub state"),
        (b"\x1f\x8b\x08\0\0", "it is something else, not a larksub state"),
        (b"{}\n", "it is something else, not a larksub state"),
        (b"\n", "it is something else, not a larksub state"),
        (&marked, "it is something else, not a larksub state"),
        (&ledger[1..], "it is something else, not a larksub state"),
    ] {
        assert_eq!(read(bytes).unwrap_err().to_string(), expected, "{bytes:?}");
    }
}

#[test]
fn a_ledger_knows_its_own_lines() {
    let lines = lines(&every_operation());
    let reading = read(&bytes_of(&lines)).unwrap();
    for (seq, (line, _)) in (1..).zip(&lines) {
        let crc = sound_crc(line.trim_end().as_bytes()).unwrap();
        assert_eq!(reading.lines.contains(seq, crc), Contains::Yes);
        assert_eq!(reading.lines.contains(seq, crc ^ 1), Contains::Other);
    }
    assert_eq!(reading.lines.contains(lines.len() as u64 + 1, 0), Contains::EndsBefore);
    assert_eq!(reading.lines.contains(u64::MAX, 0), Contains::EndsBefore);
    assert_eq!(reading.lines.contains(0, 0), Contains::Compacted);
}

/// What befalls one subscription, in a few letters: `t`rack, `f`orget by hand, `F`orget in a run, a digit begins
/// that run, `i`ntent, and the outcomes `0` unsubscribed, `7` already, `n`ot found, `x` failed, `?` unknown.
fn after(story: &str) -> String {
    let run = |number: u32| Uuid::from_u128(number.into());
    let place = r#""app":"hr","approval_code":"A-1""#;
    let mut lines = vec![write_line(1, &[init(1)], false).unwrap(), raw(2, HR)];
    let mut runs = 0;
    for letter in story.chars() {
        let at = format!(r#""at":"2026-02-01T00:00:{:02}Z""#, lines.len());
        let own = format!(r#"{at},"run":"{}",{place}"#, run(runs));
        let outcome = |kind: &str| format!(r#"{{"op":"outcome",{own},"kind":"{kind}","attempts":1}}"#);
        let record = match letter {
            't' => format!(r#"{{"op":"track",{at},{place},"by":{{}}}}"#),
            'f' => format!(r#"{{"op":"forget",{at},{place},"by":{{}}}}"#),
            'F' => format!(r#"{{"op":"forget",{own},"by":{{}}}}"#),
            'r' => {
                runs += 1;
                let run = run(runs);
                format!(r#"{{"op":"run",{at},"run":"{run}","plan_digest":"sha256:x","by":{{}}}}"#)
            }
            'i' => format!(r#"{{"op":"intent",{own}}}"#),
            '0' => outcome("unsubscribed"),
            '7' => outcome("already_unsubscribed"),
            'n' => outcome("not_found"),
            'x' => outcome("failed"),
            '?' => outcome("unknown"),
            other => panic!("{other} means nothing"),
        };
        lines.push(raw(lines.len() as u64 + 1, &record));
    }
    let reading = match read(lines.concat().as_bytes()) {
        Ok(reading) => reading,
        Err(error) => return error.to_string(),
    };
    let state = reading.state;
    let (_, one) = state.subscriptions().next().unwrap();
    let open = one.open_intent().map(|intent| format!(", open since run {}", intent.run.as_u128()));
    let status = if one.status == Status::Subscribed { "lives" } else { one.status.as_str() };
    format!("{status} {}{}", one.generation, open.unwrap_or_default())
}

#[test]
fn an_unknown_stays_until_it_is_settled() {
    for (story, expected) in [
        ("t", "lives 1"),
        ("tri", "lives 1, open since run 1"),
        ("tri?", "lives 1, open since run 1"),
        // A definite refusal closes its own intent, and no other.
        ("trix", "lives 1"),
        ("trin", "lives 1"),
        ("tririx", "lives 1, open since run 1"),
        ("tri?rin", "lives 1, open since run 1"),
        ("tri?rixrin", "lives 1, open since run 1"),
        ("trixri", "lives 1, open since run 2"),
        ("trixri?rix", "lives 1, open since run 2"),
        ("tri?ri?", "lives 1, open since run 1"),
        ("trir", "lives 1, open since run 1"),
        // 0, 1390007, an import, a rm and an applied forget settle it.
        ("tri?ri0", "unsubscribed 1"),
        ("tri?ri7", "unsubscribed 1"),
        ("tri?t", "lives 2"),
        ("trit", "lives 2"),
        ("tri?f", "forgotten 1"),
        ("tri?rF", "forgotten 1"),
        ("tri?ftri", "lives 2, open since run 2"),
        // Each import counts.
        ("tttt", "lives 4"),
        ("tri0t", "lives 2"),
        ("tri0tri7tft", "lives 4"),
    ] {
        assert_eq!(after(story), expected, "{story}");
    }
}

#[test]
fn no_outcome_stands_without_its_intent_and_no_intent_without_its_subscription() {
    for story in ["tr0", "trix0", "tri00", "trirx", "tri0i", "tri0f", "tff", "trFi", "tritr0", "trit0"] {
        assert!(after(story).contains("cannot follow the lines before it"), "{story}: {}", after(story));
    }
}

#[test]
fn a_new_label_takes_everything_along_and_two_labels_cannot_swap() {
    let first = write_line(1, &[init(1)], false).unwrap();
    let begun = format!("{first}{}{}", raw(2, HR), raw(3, &track("A-1")));
    let renamed = format!("{begun}{}", raw(4, &HR.replace("\"hr\"", "\"people\"")));
    let state = read(renamed.as_bytes()).unwrap().state;
    assert_eq!(state.apps().count(), 1);
    assert!(state.app_labelled(&"hr".parse().unwrap()).is_none());
    let (id, _) = state.subscriptions().next().unwrap();
    assert_eq!(state.key(id).unwrap().to_string(), "people/A-1");
    // The old label is free for another app, and is not the first one's any more.
    let reused = format!("{renamed}{}{}", raw(5, &HR.replace("cli_hr", "cli_it")), raw(6, &track("A-1")));
    let state = read(reused.as_bytes()).unwrap().state;
    let keys: Vec<String> = state.subscriptions().map(|(id, _)| state.key(id).unwrap().to_string()).collect();
    assert_eq!(keys, ["people/A-1", "hr/A-1"]);
    let stale = format!("{renamed}{}", raw(5, &track("B-2")));
    assert!(read(stale.as_bytes()).is_err());
    let two = format!("{begun}{}", raw(4, &HR.replace("cli_hr", "cli_it").replace("\"hr\"", "\"it\"")));
    let swap = format!("{two}{}", raw(5, &HR.replace("\"hr\"", "\"it\"")));
    assert!(read(swap.as_bytes()).is_err());
}
