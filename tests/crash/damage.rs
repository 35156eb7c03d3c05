//! Bytes that were changed, lost, repeated, moved or cut off after they were written.

use std::collections::BTreeMap;
use std::fs;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use larksub::state::State;
use larksub::state::read::read;
use larksub::state::salvage::salvage;

use crate::world::{Facts, Truth, World, key, lines, swift_platform, trials};

/// A ledger with a bit of everything: two imports, drops, a miss, a forget, a code that was dropped and imported again,
/// and a call that nobody knows the end of.
fn eventful() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let world = World::new(swift_platform());
        world.run(&["apply", "plan.json"]).exits(3);
        world.run(&["import", "--app", "hr", "A-DROP", "N-1"]).exits(0);
        world.run(&["state", "rm", "hr/N-1", "--reason", "never was"]).exits(0);
        world.run(&["import", "--app", "hr", "C-LOST"]).exits(0);
        assert!(world.run_with(&["apply", "--auto-approve"], "answered:1=kill").was_killed());
        world.run(&["import", "--app", "hr", "N-1"]).exits(0);
        world.bytes()
    })
}

fn truth_of(state: &State) -> Truth {
    let facts = state.subscriptions().map(|(id, one)| {
        let facts = Facts {
            status: one.status.as_str().into(),
            kind: one.outcome.as_ref().map(|outcome| outcome.kind.as_str().into()),
            is_unknown: one.open_intent().is_some(),
            name: one.name.clone(),
            protect: one.protect,
            generation: one.generation,
        };
        (state.key(id).unwrap().to_string(), facts)
    });
    facts.collect()
}

/// What a repair may make of the truth. `lost` are the records that stood in the lines that were damaged.
fn check_repaired(truth: &Truth, repaired: &Truth, lost: &[serde_json::Value], is_said: bool, what: &str) {
    for key in repaired.keys() {
        assert!(truth.contains_key(key), "{what}: {key} is invented");
    }
    let is_lost = |op: &str, of: &str| {
        lost.iter().any(|record| record["op"] == op && (op == "bind" || key(record) == of))
    };
    for (key, facts) in truth {
        let Some(found) = repaired.get(key) else {
            assert!(
                is_said && (is_lost("track", key) || is_lost("bind", key)),
                "{what}: {key} is silently missing"
            );
            continue;
        };
        let is_right = match (facts.status.as_str(), found.status.as_str()) {
            (truth, found) if truth == found => true,
            (_, "subscribed") => true,
            // That it was imported again is known to nobody then; it is said, and a plan lists it as untracked.
            ("subscribed", _) => is_said && is_lost("track", key),
            _ => false,
        };
        assert!(is_right, "{what}: {key} is {found:?}, and was {facts:?}");
    }
}

#[test]
fn every_flipped_and_every_missing_byte_is_read_right_trimmed_or_refused() {
    let bytes = eventful();
    let whole = truth_of(&read(bytes).unwrap().state);
    let starts: Vec<usize> = std::iter::once(0)
        .chain(bytes.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at + 1))
        .collect();
    // Which bytes hold whole batches, and what they add up to.
    let mut prefixes: BTreeMap<usize, Truth> = BTreeMap::new();
    for start in &starts[1..] {
        if let Ok(reading) = read(&bytes[..*start])
            && reading.tail_len == 0
        {
            prefixes.insert(*start, truth_of(&reading.state));
        }
    }
    assert_eq!(prefixes[&bytes.len()], whole);
    let (refused, trimmed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let judge = |given: &[u8], what: &str| match read(given) {
        Err(error) => {
            refused.fetch_add(1, Ordering::Relaxed);
            assert!(!error.to_string().is_empty());
        }
        Ok(reading) => {
            let sound = reading.sound_len as usize;
            assert_eq!(given[..sound], bytes[..sound], "{what}: damage is believed");
            assert_eq!(truth_of(&reading.state), prefixes[&sound], "{what}: misread");
            assert_eq!(given.len() - sound, reading.tail_len as usize);
            trimmed.fetch_add(1, Ordering::Relaxed);
        }
    };
    for len in 0..bytes.len() {
        judge(&bytes[..len], &format!("cut at {len}"));
    }
    let wanted: Vec<Vec<serde_json::Value>> = lines(bytes);
    for position in 0..bytes.len() {
        let mut flipped = bytes.to_vec();
        flipped[position] ^= 1 << (position % 8);
        judge(&flipped, &format!("flipped at {position}"));
        // And what a repair would make of it. A line break that is gone damages two lines at most.
        let line = starts.partition_point(|start| *start <= position) - 1;
        if let Some(salvage) = salvage(&flipped) {
            let is_said = !salvage.lost.is_empty() || !salvage.unproven.is_empty();
            let repaired = truth_of(&salvage.state);
            check_repaired(&whole, &repaired, &wanted[line], is_said, &format!("repaired at {position}"));
        } else {
            assert_eq!(line, 0, "nothing is believed of a ledger that is damaged at {position}");
        }
    }
    let (refused, trimmed) = (refused.into_inner(), trimmed.into_inner());
    eprintln!(
        "damage: {0} bytes flipped and {0} truncations: {refused} refused, {trimmed} trimmed, 0 misread",
        bytes.len()
    );
}

/// What is done to the line `at` (from 0); none where it cannot be.
type Damage = fn(&mut Vec<Vec<u8>>, at: usize) -> Option<()>;

/// Its name, what it does, how many lines further it is noticed, and whether anything is lost by it.
const DAMAGES: [(&str, Damage, usize, bool); 8] = [
    ("flipped at its beginning", |lines, at| flip(lines, at, 5), 0, true),
    (
        "flipped in the middle",
        |lines, at| {
            let middle = lines[at].len() / 2;
            flip(lines, at, middle)
        },
        0,
        true,
    ),
    (
        "flipped in its checksum",
        |lines, at| {
            let near_end = lines[at].len() - 5;
            flip(lines, at, near_end)
        },
        0,
        true,
    ),
    (
        "deleted",
        |lines, at| {
            lines.remove(at);
            Some(())
        },
        0,
        true,
    ),
    (
        "NUL",
        |lines, at| {
            let len = lines[at].len();
            lines[at] = [vec![0; len - 1], vec![b'\n']].concat();
            Some(())
        },
        0,
        true,
    ),
    (
        "repeated",
        |lines, at| {
            lines.insert(at, lines[at].clone());
            Some(())
        },
        1,
        false,
    ),
    ("swapped with the next", |lines, at| (at + 1 < lines.len()).then(|| lines.swap(at, at + 1)), 0, false),
    (
        "run into the next",
        |lines, at| {
            (at + 1 < lines.len()).then(|| {
                lines[at].pop();
            })
        },
        0,
        false,
    ),
];

fn flip(lines: &mut [Vec<u8>], at: usize, position: usize) -> Option<()> {
    lines[at][position] ^= 1;
    Some(())
}

#[test]
fn a_damaged_line_is_named_and_changed_by_nobody_until_a_repair_keeps_what_is_provable() {
    let bytes = eventful();
    let truth = truth_of(&read(bytes).unwrap().state);
    let split: Vec<Vec<u8>> = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let records = lines(bytes);
    let tried = AtomicUsize::new(0);
    trials(split.len(), |at| {
        let world = World::imported(swift_platform());
        let manifest = fs::read_to_string(world.path("larksub.toml")).unwrap();
        let base_url =
            records.concat().iter().find_map(|record| record["base_url"].as_str().map(ToOwned::to_owned));
        world.write_manifest(&manifest.replace(&world.sandbox.base_url, &base_url.unwrap()));
        for (name, damage, later, is_lossy) in DAMAGES {
            let mut damaged = split.clone();
            if damage(&mut damaged, at).is_none() {
                continue;
            }
            let is_last = at + 1 == split.len();
            if is_last && is_lossy {
                // Not to be told from a line that was never finished: see the truncations.
                continue;
            }
            tried.fetch_add(1, Ordering::Relaxed);
            let what = format!("line {} {name}", at + 1);
            let damaged = damaged.concat();
            fs::write(world.ledger(), &damaged).unwrap();
            let named = format!("line {} (byte ", at + 1 + later);
            let is_first = at == 0 && name != "repeated" && name != "run into the next";
            for args in [&["plan"][..], &["show"], &["apply", "--auto-approve"], &["state", "compact"]] {
                let ran = world.run(args).exits(1);
                assert!(
                    is_first || ran.stderr.contains(&named),
                    "{what}: {named} is not said: {}",
                    ran.stderr
                );
                assert_eq!(world.bytes(), damaged, "{what}: {args:?} wrote");
            }
            let ran = world.run(&["state", "repair"]);
            let kept = world.path("larksub.state.jsonl.damaged");
            if is_first {
                ran.exits(1);
                assert_eq!(world.bytes(), damaged, "{what}");
                assert!(!kept.exists(), "{what}");
                continue;
            }
            let ran = ran.exits(0);
            assert_eq!(fs::read(&kept).unwrap(), damaged, "{what}: the damaged ledger is not kept");
            fs::remove_file(kept).unwrap();
            let repaired = world.truth();
            if is_lossy {
                let number = format!("  line {}, by", at + 1);
                let is_said = ran.stdout.contains("Lost, ") && ran.stdout.contains(&number);
                assert!(is_said, "{what}: {}", ran.stdout);
                check_repaired(&truth, &repaired, &records[at], is_said, &what);
            } else {
                assert_eq!(repaired, truth, "{what}: nothing was lost");
            }
            // What was repaired is a ledger like any other.
            world.run(&["import", "--app", "hr", "N-9"]).exits(0);
            world.run(&["state", "compact"]).exits(0);
            for name in world.others() {
                fs::remove_file(world.path(&name)).unwrap();
            }
        }
    });
    eprintln!("damage: {} ledgers of {} lines repaired, no status wrong", tried.into_inner(), split.len());
}

#[test]
fn a_clock_that_went_backwards_does_not_confuse_a_repair() {
    let world = World::new(swift_platform());
    world.run(&["apply", "plan.json"]).exits(3);
    let at_drop = world.bytes();
    world.run(&["import", "--app", "hr", "A-DROP"]).exits(0);
    let truth = world.truth();
    assert_eq!(truth["hr/A-DROP"].status, "subscribed");
    // The import was written on a machine whose clock is a year behind, and a line before it is damaged.
    let bytes = world.bytes();
    let import = String::from_utf8(bytes[at_drop.len()..].to_vec()).unwrap();
    let body = &import[..import.rfind(",\"crc\"").unwrap()];
    let at = body.find("\"at\":\"").unwrap() + 6;
    let body = format!("{}2020{}", &body[..at], &body[at + 4..]);
    let import = format!("{body},\"crc\":\"{:08x}\"}}\n", crc32c::crc32c(body.as_bytes()));
    let damaged_line = at_drop.split_inclusive(|byte| *byte == b'\n').count() - 1;
    let mut split: Vec<Vec<u8>> =
        at_drop.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    split[damaged_line][20] ^= 1;
    fs::write(world.ledger(), [split.concat(), import.into_bytes()].concat()).unwrap();
    world.run(&["plan"]).exits(1);
    world.run(&["state", "repair"]).exits(0);
    assert_eq!(world.truth()["hr/A-DROP"].status, "subscribed", "a subscription that lives was written off");
}

#[test]
fn line_ends_of_another_system_are_refused_and_named() {
    let world = World::imported(swift_platform());
    let truth = world.truth();
    let crlf = String::from_utf8(world.bytes()).unwrap().replace('\n', "\r\n");
    fs::write(world.ledger(), &crlf).unwrap();
    world.run(&["plan"]).exits(1).says(&["CRLF", "-text"]);
    let ran = world.run(&["state", "repair"]).exits(0);
    assert!(!ran.stdout.contains("Lost"), "{}", ran.stdout);
    assert_eq!(world.truth(), truth);
}
