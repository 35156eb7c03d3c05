//! The program is killed, or refused by its disk, at every point of a small apply where it could matter.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::world::{Approach, CALLS, World, key, platform, recovery_records, trials};

/// Every point that an apply comes to, with what can happen there.
const POINTS: [(&str, &[&str]); 7] = [
    ("statfs", &["kill"]),
    ("reserve", &["kill"]),
    ("append", &["kill", "half", "enospc", "eio", "erofs"]),
    ("sync", &["kill", "enospc", "eio"]),
    ("synced", &["kill"]),
    ("send", &["kill"]),
    ("answered", &["kill"]),
];

/// How often a run without a fault comes to each point: killed at the turn after that, it is not killed.
fn turns(point: &str) -> usize {
    for turn in 1.. {
        let world = World::new(platform());
        if !world.run_with(&["apply", "--auto-approve"], &format!("{point}:{turn}=kill")).was_killed() {
            return turn - 1;
        }
    }
    unreachable!()
}

#[test]
fn an_apply_that_is_killed_or_refused_at_any_point_loses_nothing_and_one_rerun_ends_it() {
    let counts: Vec<AtomicUsize> = POINTS.iter().map(|_| AtomicUsize::new(0)).collect();
    trials(POINTS.len(), |number| counts[number].store(turns(POINTS[number].0), Ordering::Relaxed));
    let mut faults = Vec::new();
    for ((point, actions), turns) in POINTS.iter().zip(&counts) {
        let turns = turns.load(Ordering::Relaxed);
        assert!(turns > 0, "{point} is never come to");
        for action in *actions {
            faults.extend((1..=turns).map(|turn| (*point, turn, *action)));
        }
    }
    trials(faults.len(), |number| {
        let (point, turn, action) = faults[number];
        let fault = format!("{point}:{turn}={action}");
        eprintln!("{number}: {fault}");
        one(&fault, matches!(action, "kill" | "half"), number);
    });
    eprintln!("failpoints: {} crash points tried, 0 outcomes lost", faults.len());
}

fn one(fault: &str, is_kill: bool, number: usize) {
    let world = World::new(platform());
    let apply = world.apply(Approach::of(number));
    let args: Vec<&str> = apply.iter().map(String::as_str).collect();
    let ran = world.run_with(&args, fault);
    let mut doubtful = world.check(&ran);
    if is_kill {
        // The number of times a point is come to varies by a few: lanes share syncs as it happens.
        if !ran.was_killed() {
            ran.exits(3);
        }
    } else if ran.status.code() != Some(3) {
        let log = ran.stderr.clone();
        let ran = ran.exits(7);
        // Whatever was sent is told, as an outcome or as a recovery line, and nothing else was sent.
        let told: BTreeSet<String> =
            ran.printed().into_keys().chain(recovery_records(&log).iter().map(key)).collect();
        assert_eq!(told, world.calls().into_iter().collect(), "told, and called");
        recover(&world, &log, number);
        doubtful = world.check(&ran);
    }
    let rerun = world.run(&args).exits(3);
    world.check(&rerun);
    world.check_settled(&doubtful);
    // Once for each run, and once more where an answer was lost.
    for key in CALLS {
        let calls = world.calls().iter().filter(|called| *called == key).count();
        assert!((1..=3).contains(&calls), "{key} was called {calls} times");
    }
}

/// The outcomes that a run could not record come in from its log, once; every second time, to see the rest.
fn recover(world: &World, log: &str, number: usize) {
    let records = recovery_records(log);
    if records.is_empty() || number.is_multiple_of(2) {
        return;
    }
    fs::write(world.path("job.log"), log).unwrap();
    world.run(&["state", "repair", "--recovery", "job.log"]).exits(0);
    let truth = world.truth();
    for record in &records {
        assert_eq!(truth[&key(record)].kind.as_deref(), record["kind"].as_str(), "recovered");
    }
    let bytes = world.bytes();
    world.run(&["state", "repair", "--recovery", "job.log"]).exits(0).says(&["0 records added"]);
    assert_eq!(world.bytes(), bytes, "recovering twice adds nothing");
    fs::remove_file(world.path("job.log")).unwrap();
}

#[test]
fn an_import_that_is_killed_at_any_point_has_happened_or_not() {
    const CODES: [&str; 3] = ["N-1", "N-2", "N-3"];
    let faults = ["statfs:1=kill", "append:1=kill", "append:1=half", "sync:1=kill", "synced:1=kill"];
    trials(faults.len(), |number| {
        let world = World::imported(platform());
        let before = world.truth();
        let args: Vec<&str> = ["import", "--app", "hr"].into_iter().chain(CODES).collect();
        let ran = world.run_with(&args, faults[number]);
        assert!(ran.was_killed(), "{}", faults[number]);
        let after = world.truth();
        assert!(after == before || after.len() == before.len() + CODES.len(), "half an import");
        world.run(&args).exits(0);
        assert_eq!(world.truth().len(), before.len() + CODES.len());
        assert!(world.truth().values().all(|facts| facts.generation == 1));
    });
}

#[test]
fn an_unfinished_tail_is_kept_beside_however_often_its_trimming_is_killed() {
    let world = World::new(platform());
    let whole = world.bytes();
    let tail = b"{\"seq\":11,\"records\":[{\"op\":\"trac";
    fs::write(world.ledger(), [&whole[..], tail].concat()).unwrap();
    world.run(&["plan"]).exits(0).says(&["ends in 32 bytes"]);
    for fault in ["tail:1=kill", "trim:1=kill", "trim:1=eio", "tail:1=enospc"] {
        let ran = world.run_with(&["import", "--app", "hr", "N-1"], fault);
        assert!(ran.was_killed() || ran.status.code() == Some(7), "{fault}");
        assert_eq!(world.bytes(), [&whole[..], tail].concat(), "{fault}");
        world.truth();
    }
    world.run(&["import", "--app", "hr", "N-1"]).exits(0).says(&["moved to"]);
    assert!(world.bytes().starts_with(&whole) && world.bytes().len() > whole.len());
    let tails = world.others();
    assert!(!tails.is_empty());
    for name in tails {
        assert!(name.starts_with("larksub.state.jsonl.tail-"), "{name}");
        assert_eq!(fs::read(world.path(&name)).unwrap(), tail, "{name}");
    }
}

#[test]
fn an_unknown_that_is_declared_again_is_never_sent_by_a_rerun() {
    let world = World::new(crate::world::swift_platform());
    // The first answer is that of a lane's first call.
    assert!(world.run_with(&["apply", "plan.json"], "answered:1=kill").was_killed());
    let unknown: Vec<String> =
        world.truth().into_iter().filter(|(_, facts)| facts.is_unknown).map(|(key, _)| key).collect();
    assert!(unknown.contains(&"hr/A-DROP".to_owned()), "{unknown:?}");
    let sent = |key: &str| world.calls().iter().filter(|called| *called == key).count();
    let before = sent("hr/A-DROP");
    let manifest = fs::read_to_string(world.path("larksub.toml")).unwrap();
    let declared = "subscriptions = [{ approval_code = \"A-DROP\" }, ";
    world.write_manifest(&manifest.replacen("subscriptions = [", declared, 1));
    for args in [&["apply", "plan.json"][..], &["apply", "--auto-approve"], &["apply", "--auto-approve"]] {
        world.run(args).exits(3).says(&["1 unknown is declared again and never sent"]);
        assert_eq!(sent("hr/A-DROP"), before, "it was sent again");
        assert!(world.truth()["hr/A-DROP"].is_unknown);
    }
    world.run(&["plan"]).exits(0).says(&["hr/A-DROP", "larksub import", "larksub state rm"]);
    world.run(&["state", "rm", "hr/A-DROP", "--reason", "looked: it is gone"]).exits(0);
    assert_eq!(world.plan()["unknowns"].as_array().map(Vec::len), Some(0));
}
