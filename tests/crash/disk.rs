//! A disk that is full, fails, or may not be written.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::world::{
    Approach, PROGRAM, World, finish, key, platform, recovery_records, skipped, swift_platform, works,
};

#[test]
fn what_cannot_be_written_before_the_first_call_sends_nothing() {
    for fault in ["reserve=enospc", "reserve=eio", "append:1=enospc", "append:1=erofs", "sync:1=eio"] {
        let world = World::new(swift_platform());
        let before = world.truth();
        let ran = world.run_with(&["apply", "plan.json"], fault).exits(7);
        ran.says(&["error:", "help:"]);
        assert_eq!(world.calls(), Vec::<String>::new(), "{fault}");
        if fault.starts_with("reserve") {
            assert!(world.sandbox.calls().is_empty(), "{fault}: not even a token");
        }
        if !fault.starts_with("sync") {
            assert_eq!(world.truth(), before, "{fault}");
        }
        world.run(&["apply", "plan.json"]).exits(3);
        world.check_settled(&BTreeSet::new());
    }
}

#[test]
fn outcomes_that_could_not_be_recorded_come_back_from_the_log() {
    // The third batch holds a first outcome. Which ones the later batches hold is chance: calls share syncs, and a
    // batch of intents alone leaves nothing to recover.
    let mut recovered = 0;
    for fault in ["sync:3=eio", "append:4=enospc", "append:4=eio", "sync:5=enospc", "append:5=eio"] {
        let world = World::new(swift_platform());
        let ran = world.run_with(&["apply", "--auto-approve"], fault);
        if ran.status.code() == Some(3) {
            continue;
        }
        let ran = ran.exits(7).says(&["Not recorded:"]);
        let records = recovery_records(&ran.stderr);
        if records.is_empty() {
            continue;
        }
        recovered += records.len();
        let ran = ran.says(&["these outcomes are true", "larksub-recovery: "]);
        let told: BTreeSet<String> = ran.printed().into_keys().chain(records.iter().map(key)).collect();
        assert_eq!(told, world.calls().into_iter().collect(), "{fault}");
        let before = world.truth();
        // As CI systems print it, with something before each line.
        let log: String = ran.stderr.lines().map(|line| format!("2026-01-02T03:04:05Z | {line}\n")).collect();
        fs::write(world.path("job.log"), log).unwrap();
        world.run(&["state", "repair", "--recovery", "job.log"]).exits(0);
        let after = world.truth();
        for record in &records {
            assert_eq!(after[&key(record)].kind.as_deref(), record["kind"].as_str());
        }
        for (key, facts) in
            after.iter().filter(|(key, _)| !records.iter().any(|record| crate::world::key(record) == **key))
        {
            assert_eq!(facts, &before[key], "{fault}: {key} is none of the log's");
        }
        let bytes = world.bytes();
        world.run(&["state", "repair", "--recovery", "job.log"]).exits(0).says(&["0 records added"]);
        assert_eq!(world.bytes(), bytes);
        let doubtful = world.check(&ran);
        fs::remove_file(world.path("job.log")).unwrap();
        world.run(&["apply", "plan.json"]).exits(3);
        world.check_settled(&doubtful);
    }
    assert!(recovered > 0, "nothing was there to be recovered: the test tests nothing");
}

#[test]
fn a_log_of_another_ledger_or_of_nothing_adds_nothing() {
    let (one, other) = (World::new(swift_platform()), World::new(swift_platform()));
    let ran = one.run_with(&["apply", "--auto-approve"], "sync:3=eio").exits(7);
    let before = other.bytes();
    for (log, says) in [(ran.stderr.as_str(), "of another state"), ("nothing here\n", "larksub-recovery: ")] {
        fs::write(other.path("job.log"), log).unwrap();
        other.run(&["state", "repair", "--recovery", "job.log"]).exits(1).says(&["no recovery line", says]);
    }
    // A changed line is passed over: it does not match its own checksum.
    let changed = ran.stderr.replace("\"unsubscribed\"", "\"not_found\"");
    assert_ne!(changed, ran.stderr);
    fs::write(one.path("job.log"), &changed).unwrap();
    let truth = one.truth();
    let lines = recovery_records(&ran.stderr).len();
    let ran = one.run(&["state", "repair", "--recovery", "job.log"]);
    assert!(ran.status.code() == Some(1) || lines > 1, "{}", ran.stderr);
    let changed = recovery_records(&changed)
        .iter()
        .filter(|record| record["kind"] == "not_found")
        .map(key)
        .collect::<Vec<_>>();
    for key in changed.iter().filter(|key| *key != "hr/D-NONE") {
        assert_eq!(one.truth()[key], truth[key], "a changed line was believed");
    }
    assert_eq!(other.bytes(), before);
}

#[test]
fn an_outcome_in_an_old_log_does_not_end_what_was_imported_since() {
    let world = World::new(swift_platform());
    let ran = world.run_with(&["apply", "--auto-approve"], "append:3=eio").exits(7);
    let lost: Vec<String> = recovery_records(&ran.stderr)
        .iter()
        .filter(|record| record["kind"] == "unsubscribed")
        .map(key)
        .collect();
    assert!(lost.contains(&"hr/A-DROP".to_owned()), "{lost:?}");
    fs::write(world.path("job.log"), &ran.stderr).unwrap();
    world.run(&["apply", "plan.json"]).exits(3);
    assert_eq!(world.truth()["hr/A-DROP"].status, "unsubscribed");
    // Somebody subscribes it again, and says so. The log is older than that.
    world.run(&["import", "--app", "hr", "A-DROP"]).exits(0);
    let before = world.truth();
    assert_eq!((before["hr/A-DROP"].status.as_str(), before["hr/A-DROP"].generation), ("subscribed", 2));
    world.run(&["state", "repair", "--recovery", "job.log"]).exits(0);
    assert_eq!(world.truth()["hr/A-DROP"], before["hr/A-DROP"], "a subscription that lives was written off");
}

/// Makes a path immutable, which binds even root, until it is dropped. None where that cannot be done here.
struct Immutable(std::path::PathBuf);

impl Immutable {
    fn new(path: std::path::PathBuf) -> Option<Self> {
        works(Command::new("chattr").arg("+i").arg(&path)).then_some(Self(path))
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        let _ = Command::new("chattr").arg("-i").arg(&self.0).status();
    }
}

#[test]
fn a_ledger_that_may_not_be_written_is_found_before_the_first_call() {
    let world = World::new(swift_platform());
    {
        let Some(_immutable) = Immutable::new(world.ledger()) else {
            return skipped(
                "nothing can be made immutable here: no test of a ledger that may not be written",
            );
        };
        for args in [&["apply", "plan.json"][..], &["import", "--app", "hr", "N-1"], &["state", "compact"]] {
            world.run(args).exits(7).says(&["cannot be written", "help:"]);
        }
        world.run(&["plan"]).exits(0);
        assert!(world.sandbox.calls().is_empty());
    }
    {
        let _immutable = Immutable::new(world.folder.path().to_path_buf()).unwrap();
        // Appending needs no right on the folder; whatever needs a second file is refused whole.
        let before = world.bytes();
        world.run(&["state", "compact"]).exits(7);
        assert_eq!(world.bytes(), before);
        world.run(&["apply", "plan.json"]).exits(3);
        world.run(&["--state", "other.jsonl", "init"]).exits(7);
    }
    world.check_settled(&BTreeSet::new());
}

/// Runs a script with a tmpfs of this size at `tiny`, in a namespace of its own.
fn on_tiny_disk(world: &World, script: &str) -> crate::world::Ran {
    let mut unshare = Command::new("unshare");
    let script = format!("set -eu\nmount -t tmpfs -o size=96k none tiny\ncd tiny\n{script}");
    unshare.args(["-Urm", "sh", "-c", &script, PROGRAM]);
    fs::create_dir_all(world.path("tiny")).unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    world.in_here(&mut unshare);
    finish(unshare.env("PATH", path))
}

#[test]
fn a_full_disk_is_found_before_the_first_call_and_the_same_command_goes_on_once_there_is_room() {
    if !works(Command::new("unshare").args(["-Urm", "sh", "-c", "mount -t tmpfs -o size=16k none /mnt"])) {
        return skipped("no user namespace with a small tmpfs here: the disk is never really full");
    }
    let world = World::new(platform());
    let script = r#"
        cp ../larksub.toml ../larksub.state.jsonl ../plan.json .
        cat /dev/zero > filler 2>../full.log || true
        code=0; "$0" apply plan.json 2>../first.log || code=$?
        echo "first $code"
        cmp larksub.state.jsonl ../larksub.state.jsonl && echo unchanged
        rm filler
        code=0; "$0" apply plan.json >../second.log 2>&1 || code=$?
        echo "second $code"
        cat larksub.state.jsonl > ../larksub.state.jsonl
        ls -A > ../left.log
    "#;
    let calls_before = world.sandbox.calls().len();
    let ran = on_tiny_disk(&world, script).exits(0).says(&["first 7", "unchanged", "second 3"]);
    assert_eq!(calls_before, 0);
    assert!(!ran.stdout.contains("unsubscribed hr/"), "{}", ran.stdout);
    let said = fs::read_to_string(world.path("first.log")).unwrap();
    assert!(said.contains("reserving room for the whole run"), "{said}");
    // Every subject was called once, and once more where an answer was lost: the first run sent nothing.
    assert_eq!(world.calls().len(), 8, "{:?}", world.calls());
    let left = fs::read_to_string(world.path("left.log")).unwrap();
    assert_eq!(left.lines().collect::<Vec<_>>(), ["larksub.state.jsonl", "larksub.toml", "plan.json"]);
    for name in ["first.log", "second.log", "full.log", "left.log"] {
        fs::remove_file(world.path(name)).unwrap();
    }
    fs::remove_dir(world.path("tiny")).unwrap();
    world.check_settled(&BTreeSet::new());
}

#[test]
fn an_import_that_fills_the_disk_has_not_happened() {
    if !works(Command::new("unshare").args(["-Urm", "sh", "-c", "mount -t tmpfs -o size=16k none /mnt"])) {
        return skipped("no user namespace with a small tmpfs here: the disk is never really full");
    }
    let world = World::imported(swift_platform());
    let codes: String = (0..200).map(|number| format!("N-{number}\n")).collect();
    fs::write(world.path("codes.txt"), codes).unwrap();
    let script = r#"
        cp ../larksub.toml ../larksub.state.jsonl .
        head -c 50000 /dev/zero > filler
        code=0; "$0" import --app hr --file ../codes.txt 2>../first.log || code=$?
        echo "first $code"
        "$0" show --format json > ../between.json
        rm filler
        head -c 8000 /dev/zero > filler
        code=0; "$0" import --app hr N-1 2>../second.log >&2 || code=$?
        echo "second $code"
        cat larksub.state.jsonl > ../larksub.state.jsonl
        ls -A > ../left.log
    "#;
    let before = world.truth();
    on_tiny_disk(&world, script).exits(0).says(&["first 7", "second 0"]);
    let between = crate::world::json(&fs::read_to_string(world.path("between.json")).unwrap());
    assert_eq!(crate::world::truth(&between), before);
    let truth = world.truth();
    assert_eq!(truth.len(), before.len() + 1);
    let left = fs::read_to_string(world.path("left.log")).unwrap();
    assert!(left.contains("larksub.state.jsonl.tail-"), "what was half written is kept: {left}");
}

#[test]
fn every_approach_finds_a_full_disk_before_the_first_call() {
    for approach in [Approach::Plan, Approach::Digest, Approach::AutoApprove] {
        let world = World::new(swift_platform());
        let apply = world.apply(approach);
        let args: Vec<&str> = apply.iter().map(String::as_str).collect();
        world.run_with(&args, "reserve=enospc").exits(7).says(&["reserving room for the whole run"]);
        assert!(world.sandbox.calls().is_empty());
    }
}
