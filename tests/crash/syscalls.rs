//! The program is killed at its k-th system call, whichever that is: nothing of it knows that it is watched.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::world::{Approach, PROGRAM, Ran, World, finish, skipped, soak, swift_platform, trials, works};

/// Calls that a run makes a few times: each one of them is tried.
const FEW: [&str; 8] =
    ["openat", "write", "fdatasync", "fsync", "ftruncate", "fallocate", "flock", "newfstatat,statx"];

/// Calls of the wire and of waiting, and any call at all: only some of them, as every how-many-th.
const MANY: [(&str, usize); 5] =
    [("all", 13), ("connect", 1), ("writev,sendto", 1), ("recvfrom,read", 2), ("epoll_wait,epoll_pwait,futex", 3)];

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

#[test]
fn an_apply_that_is_killed_at_any_system_call_loses_nothing_and_one_rerun_ends_it() {
    if !has_strace() {
        return;
    }
    // strace counts by thread, and the ledger is written on one of its own: traced alone, each of its calls has a turn.
    let ledger = FEW.map(|calls| (calls, 1, true));
    let all = FEW.map(|calls| (calls, 1, false));
    // A long run tries every call there is.
    let many = MANY.map(|(calls, step)| (calls, if soak().is_some() { 1 } else { step }, false));
    let kinds: Vec<(&str, usize, bool)> = many.into_iter().chain(ledger).chain(all).collect();
    let (tried, missed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    trials(kinds.len(), |number| {
        let (calls, step, only_ledger) = kinds[number];
        for turn in (1..MOST).step_by(step) {
            if !one(calls, turn, only_ledger) {
                if turn == 1 {
                    missed.fetch_add(1, Ordering::Relaxed);
                    eprintln!("{calls} is never called{}", if only_ledger { " on the ledger" } else { "" });
                }
                break;
            }
            tried.fetch_add(1, Ordering::Relaxed);
        }
    });
    let (tried, missed) = (tried.into_inner(), missed.into_inner());
    assert!(tried > 100 && missed < kinds.len() / 2, "{tried} tried, {missed} kinds never called");
    eprintln!("system calls: {tried} crash points tried, 0 outcomes lost");
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
    let calls = ["openat", "write", "fsync", "linkat,link,renameat2,renameat,rename", "unlink,unlinkat", "fchmod"];
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
