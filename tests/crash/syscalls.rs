//! The program is killed at its k-th system call, whichever that is: nothing of it knows that it is watched.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::world::{Approach, PROGRAM, Ran, World, finish, skipped, soak, swift_platform, trials, works};

/// Of a call that a run makes more often than this, so many are tried, evenly spread; in a long run each.
const EACH: usize = 8;

/// What leaves something behind: each of these is tried, however many there are.
const WRITING: &str = "write writev sendto openat fdatasync fsync ftruncate fallocate flock";

/// Beyond this the program is not killed any more; a loop needs an end all the same.
const MOST: usize = 10_000;

fn traced(world: &World, args: &[&str], calls: &str, turn: usize, only: Option<&str>) -> Ran {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null"]);
    if let Some(path) = only {
        strace.args(["-P", path]);
    }
    strace.arg("-e").arg(format!("trace={calls}"));
    strace.arg("-e").arg(format!("inject={calls}:signal=KILL:when={turn}")).arg(PROGRAM).args(args);
    let path = std::env::var_os("PATH").unwrap_or_default();
    world.in_here(&mut strace);
    finish(strace.env("PATH", path))
}

fn has_strace() -> bool {
    let is_there = works(Command::new("strace").args(["-f", "-qq", "-o", "/dev/null", PROGRAM, "--version"]));
    if !is_there {
        skipped("there is no strace that may trace: nothing is killed at its system calls");
    }
    is_there
}

/// The system calls that a run makes, and how often.
fn calls_made() -> BTreeMap<String, usize> {
    let world = World::new(swift_platform());
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "trace.log", PROGRAM, "apply", "plan.json"]);
    let path = std::env::var_os("PATH").unwrap_or_default();
    world.in_here(&mut strace);
    finish(strace.env("PATH", path)).exits(3);
    let mut made = BTreeMap::new();
    for line in std::fs::read_to_string(world.path("trace.log")).unwrap().lines() {
        // `4711  openat(AT_FDCWD, …`; what was resumed, signals and exits have another form.
        let call = line.split_whitespace().nth(1).and_then(|word| word.split_once('('));
        let is_name = |name: &str| name.starts_with(|c: char| c.is_ascii_lowercase());
        if let Some((call, _)) = call.filter(|(name, _)| is_name(name)) {
            *made.entry(call.to_owned()).or_default() += 1;
        }
    }
    made
}

#[test]
fn an_apply_that_is_killed_at_any_system_call_loses_nothing_and_one_rerun_ends_it() {
    if !has_strace() {
        return;
    }
    // strace counts by call and by thread. The ledger is written on a thread of its own, so those calls are counted
    // apart as well: then each of them has its turn.
    let mut kinds: Vec<(String, usize, bool)> = Vec::new();
    for (call, times) in calls_made() {
        let all = soak().is_some() || WRITING.split(' ').any(|writing| writing == call);
        let step = if all { 1 } else { times.div_ceil(EACH) };
        if WRITING.split(' ').any(|writing| writing == call) {
            kinds.push((call.clone(), 1, true));
        }
        kinds.push((call, step, false));
    }
    let tried = AtomicUsize::new(0);
    trials(kinds.len(), |number| {
        let (call, step, only_ledger) = &kinds[number];
        let mut misses = 0;
        for turn in (1..MOST).step_by(*step) {
            if one(call, turn, *only_ledger) {
                tried.fetch_add(1, Ordering::Relaxed);
                misses = 0;
                continue;
            }
            // Threads share the work as it happens: one miss is not yet the end.
            misses += 1;
            if misses == 2 {
                let of = if *only_ledger { " of the ledger" } else { "" };
                eprintln!("{call}{of}: killed at the turns up to {}", turn.saturating_sub(2 * step));
                break;
            }
        }
    });
    let tried = tried.into_inner();
    assert!(tried > 100, "only {tried} tried");
    eprintln!("system calls: {} kinds, {tried} crash points tried, 0 outcomes lost", kinds.len());
}

/// Whether it was killed there.
fn one(calls: &str, turn: usize, only_ledger: bool) -> bool {
    let world = World::new(swift_platform());
    let apply = world.apply(Approach::of(turn));
    let args: Vec<&str> = apply.iter().map(String::as_str).collect();
    let ledger = world.ledger();
    let ran = traced(&world, &args, calls, turn, only_ledger.then(|| ledger.to_str().unwrap()));
    let doubtful = world.check(&ran);
    let was_killed = ran.was_killed();
    if !was_killed {
        ran.exits(3);
    }
    let rerun = world.run(&args).exits(3);
    world.check(&rerun);
    world.check_settled(&doubtful);
    was_killed
}

#[test]
fn an_init_that_is_killed_at_any_system_call_leaves_a_whole_ledger_or_none() {
    if !has_strace() {
        return;
    }
    let calls = ["openat", "write", "fsync", "linkat", "link", "renameat2", "rename", "unlink"];
    trials(calls.len(), |number| {
        for turn in 1..MOST {
            let world = World::imported(swift_platform());
            std::fs::remove_file(world.ledger()).unwrap();
            let was_killed = traced(&world, &["init"], calls[number], turn, None).was_killed();
            if world.ledger().exists() {
                assert_eq!(world.show()["serial"], 1);
            } else {
                assert!(was_killed);
                world.run(&["init"]).exits(0);
            }
            for name in world.others() {
                assert!(name.starts_with(".larksub-init-"), "{name} is left over");
            }
            if !was_killed {
                break;
            }
        }
    });
}
