//! A ledger that is rewritten: whole or not at all, and the same afterwards.

use std::fs;
use std::process::Command;

use larksub::state::ledger::Locking;
use larksub::state::record::{By, End, How, Run};
use larksub::state::{Ledger, Record};
use serde_json::Value;

use crate::world::{PROGRAM, World, finish, json, skipped, swift_platform, trials, works};

/// Everything that `show --format json` tells, but for where and when it was last written.
fn told(world: &World) -> Value {
    let mut view = world.show();
    for key in ["serial", "written_at", "written_by"] {
        view.as_object_mut().unwrap().remove(key);
    }
    view
}

fn used() -> World {
    let world = World::new(swift_platform());
    assert!(world.run_with(&["apply", "plan.json"], "answered:2=kill").was_killed());
    world
}

const FAULTS: [&str; 9] = [
    "append:1=kill",
    "sync:1=kill",
    "link:1=kill",
    "rename:1=kill",
    "renamed:1=kill",
    "append:1=enospc",
    "sync:1=eio",
    "link:1=erofs",
    "rename:1=eio",
];

#[test]
fn a_ledger_that_is_compacted_tells_the_same_and_goes_on_in_its_own_lineage() {
    let world = used();
    let (before, digest, old) = (told(&world), world.plan()["digest"].clone(), world.bytes());
    let serial = world.show()["serial"].as_u64().unwrap();
    world.run(&["state", "compact"]).exits(0).says(&["the old ledger", &format!("lines 1 to {serial}")]);
    assert_eq!(told(&world), before);
    assert_eq!(world.plan()["digest"], digest);
    let first: Value =
        serde_json::from_slice(world.bytes().split(|byte| *byte == b'\n').next().unwrap()).unwrap();
    assert_eq!(first["seq"].as_u64(), Some(serial + 1), "it goes on with the next line");
    let kept = format!("larksub.state.jsonl.1-{serial}");
    assert_eq!(fs::read(world.path(&kept)).unwrap(), old);
    fs::remove_file(world.path(&kept)).unwrap();
    // The plan that was reviewed before is resumed after, and ends as if nothing had happened.
    let doubtful =
        world.truth().into_iter().filter(|(_, facts)| facts.is_unknown).map(|(key, _)| key).collect();
    world.run(&["apply", "plan.json"]).exits(3);
    world.check_settled(&doubtful);
    // And again: what is compacted once can be compacted twice.
    let (before, digest) = (told(&world), world.plan()["digest"].clone());
    world.run(&["state", "compact"]).exits(0);
    world.run(&["state", "compact"]).exits(0);
    assert_eq!((told(&world), world.plan()["digest"].clone()), (before, digest));
    world.run(&["apply", "plan.json"]).exits(3);
}

/// Whole under its path, the old ledger or the new one; and what else lies there is what the docs name.
fn check_rewritten(world: &World, before: &Value, kept: &str, what: &str) {
    assert_eq!(&told(world), before, "{what}");
    for name in world.others() {
        assert!(name.starts_with(".larksub-new-") || name.starts_with(kept), "{what}: {name} is left over");
    }
}

#[test]
fn a_compaction_that_is_killed_or_fails_anywhere_leaves_one_whole_ledger() {
    trials(FAULTS.len(), |number| {
        let (world, fault) = (used(), FAULTS[number]);
        let (before, bytes, digest) = (told(&world), world.bytes(), world.plan()["digest"].clone());
        let ran = world.run_with(&["state", "compact"], fault);
        if fault.ends_with("=kill") {
            assert!(ran.was_killed(), "{fault}");
        } else {
            ran.exits(7);
            assert!(
                world.others().iter().all(|name| !name.starts_with('.')),
                "{fault}: {:?}",
                world.others()
            );
        }
        assert_eq!(world.bytes() == bytes, fault != "renamed:1=kill", "{fault}");
        check_rewritten(&world, &before, "larksub.state.jsonl.1-", fault);
        world.run(&["state", "compact"]).exits(0);
        check_rewritten(&world, &before, "larksub.state.jsonl.", fault);
        assert_eq!(world.plan()["digest"], digest);
        world.run(&["apply", "plan.json"]).exits(3);
    });
}

#[test]
fn a_repair_that_is_killed_or_fails_anywhere_leaves_the_damaged_ledger_or_the_repaired_one() {
    trials(FAULTS.len(), |number| {
        let (world, fault) = (used(), FAULTS[number]);
        let mut bytes = world.bytes();
        let at = bytes.windows(8).position(|window| window == b"\"track\",").unwrap();
        bytes[at] ^= 1;
        fs::write(world.ledger(), &bytes).unwrap();
        let ran = world.run_with(&["state", "repair"], fault);
        assert!(ran.was_killed() || ran.status.code() == Some(7), "{fault}");
        if fault == "renamed:1=kill" {
            world.truth();
            world.run(&["state", "repair"]).exits(0).says(&["Nothing to repair"]);
        } else {
            assert_eq!(world.bytes(), bytes, "{fault}");
            world.run(&["plan"]).exits(1);
            world.run(&["state", "repair"]).exits(0);
        }
        let damaged: Vec<String> =
            world.others().into_iter().filter(|name| !name.starts_with(".larksub-new-")).collect();
        assert!(!damaged.is_empty());
        for name in damaged {
            assert!(name.starts_with("larksub.state.jsonl.damaged"), "{fault}: {name}");
            assert_eq!(fs::read(world.path(&name)).unwrap(), bytes, "{fault}: {name}");
        }
        // Lines were written anew, so the reviewed plan is of another history.
        world.run(&["apply", "plan.json"]).exits(4);
        world.run(&["apply", "--auto-approve"]).exits(3);
    });
}

#[test]
fn a_compaction_that_is_killed_at_any_system_call_leaves_one_whole_ledger() {
    if !works(Command::new("strace").args(["-f", "-qq", "-o", "/dev/null", PROGRAM, "--version"])) {
        return skipped("there is no strace that may trace: no compaction is killed at its system calls");
    }
    const CALLS: [&str; 10] =
        ["openat", "write", "fsync", "fchmod", "fchown", "linkat", "link", "rename", "renameat2", "statx"];
    trials(CALLS.len(), |number| {
        let call = CALLS[number];
        for turn in 1..100 {
            let world = used();
            let before = told(&world);
            let mut strace = Command::new("strace");
            strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e"]);
            strace.arg(format!("inject={call}:signal=KILL:when={turn}")).args([PROGRAM, "state", "compact"]);
            let path = std::env::var_os("PATH").unwrap_or_default();
            world.in_here(&mut strace);
            let ran = finish(strace.env("PATH", path));
            check_rewritten(&world, &before, "larksub.state.jsonl.1-", call);
            if !ran.was_killed() {
                ran.exits(0);
                break;
            }
        }
    });
}

#[test]
fn a_ledger_ten_times_its_live_content_says_so_until_it_is_compacted() {
    let world = World::new(swift_platform());
    {
        let locking = Locking { wait: std::time::Duration::ZERO, trusts_network: false };
        let (mut ledger, _, _) = Ledger::open(&world.ledger(), locking).unwrap();
        let at = "2026-01-02T03:04:05Z".parse().unwrap();
        let mut records = Vec::new();
        for number in 0..600_u128 {
            let run = uuid::Uuid::from_u128(number + 1);
            let by = By::default();
            records.push(Record::Run(Run { at, run, plan_digest: "sha256:0".into(), overrides: vec![], by }));
            records.push(Record::End(End { at, run, how: How::Done }));
        }
        ledger.append_each(&records).unwrap();
    }
    let note = "more than ten times what it adds up to; `larksub state compact` rewrites it";
    let lines = world.bytes().iter().filter(|byte| **byte == b'\n').count();
    for args in [&["plan"][..], &["show"], &["state", "list"]] {
        world.run(args).exits(0).says(&[note, &format!("{lines} lines")]);
    }
    let bytes = world.bytes();
    assert_eq!(world.bytes(), bytes, "never by itself");
    let (before, digest) = (told(&world), world.digest());
    world.run(&["state", "compact"]).exits(0);
    assert!(world.bytes().len() * 5 < bytes.len());
    assert_eq!(told(&world), before);
    assert!(!world.run(&["plan"]).exits(0).stderr.contains(note));
    assert_eq!(world.plan()["digest"], json(&format!("{digest:?}")));
    world.run(&["apply", "plan.json"]).exits(3);
}
