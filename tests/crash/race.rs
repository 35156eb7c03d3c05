//! Many at once: one writes, the others say who does, and nobody waits for the dead.

use std::fs;
use std::process::Child;
use std::time::{Duration, Instant};

use larksub::sandbox::Config;
use rustix::process::{Pid, Signal, kill_process};

use crate::world::{Approach, World, begin, end, lines, swift_platform, until};

const APPLY: [&str; 2] = ["apply", "--auto-approve"];

fn slow_platform() -> Config {
    Config { latency: "1500ms".parse().unwrap(), ..swift_platform() }
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Starts an apply and waits until its run is recorded.
fn holder(world: &World, ci_url: Option<&str>) -> Child {
    let mut command = world.larksub(&APPLY);
    if let Some(url) = ci_url {
        command.env("CI_JOB_URL", url);
    }
    let child = begin(&mut command);
    until("a run is recorded", || lines(&world.bytes()).concat().iter().any(|record| record["op"] == "run"));
    child
}

#[test]
fn of_twenty_applies_one_runs_and_the_others_leave_at_once() {
    const RACERS: usize = 20;
    let world = World::new(slow_platform());
    let start = Instant::now();
    let mut racers: Vec<Child> = (0..RACERS).map(|_| begin(&mut world.larksub(&APPLY))).collect();
    let mut left = Vec::new();
    until("all but one have left", || {
        for number in (0..racers.len()).rev() {
            if racers[number].try_wait().unwrap().is_some() {
                left.push((end(racers.swap_remove(number)), start.elapsed()));
            }
        }
        racers.len() == 1
    });
    let slowest = left.iter().map(|(_, elapsed)| *elapsed).max().unwrap();
    for (ran, _) in left {
        // Before the winner has its tokens nothing is recorded that could name it.
        let is_named = ran.stderr.contains("by tester@");
        ran.exits(5)
            .says(&["is locked", if is_named { "apply, process" } else { "by another larksub command" }]);
    }
    // As many start at once as there are cores; each takes its 200 ms.
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    let winner = racers.pop().unwrap();
    until("a call is under way", || !world.calls().is_empty());
    signal(&winner, Signal::TERM);
    end(winner).exits(143);
    let runs = lines(&world.bytes()).concat().iter().filter(|record| record["op"] == "run").count();
    assert_eq!(runs, 1, "two applies ran");
    eprintln!("racers: {RACERS}, 1 ran, {} left with exit 5, the slowest after {slowest:?}", RACERS - 1);
}

#[test]
fn who_holds_the_lock_is_named_and_a_reader_never_waits() {
    let world = World::new(slow_platform());
    let child = holder(&world, None);
    let pid = format!("process {}", child.id());
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let named = ["is locked", &*format!("tester@{host}"), "apply", &*pid, "since 2", "UTC"];
    let before = world.bytes();
    world.run(&["import", "--app", "hr", "N-1"]).exits(5).says(&named);
    world.run(&APPLY).exits(5).says(&named);
    world.run(&["state", "rm", "hr/K-KEEP", "--reason", "x"]).exits(5).says(&named);
    world.run(&["state", "compact"]).exits(5).says(&named);
    world.run(&["state", "repair"]).exits(5).says(&named);
    // What is read is a prefix: what was known when the run began stands, whatever has been added since.
    let plan = world.plan();
    assert_eq!(plan["calls"], 6);
    let truth = world.truth();
    assert_eq!(truth.len(), 8);
    world.run(&["state", "history"]).exits(0);
    let after = world.bytes();
    assert!(after.starts_with(&before), "somebody else wrote");
    signal(&child, Signal::KILL);
    let ran = end(child);
    assert!(ran.was_killed());
    let doubtful = world.check(&ran);
    assert!(!doubtful.is_empty());
    // The dead hold nothing.
    world.run(&["import", "--app", "hr", "N-1"]).exits(0);
}

#[test]
fn a_ci_job_that_holds_the_lock_is_named_by_its_page() {
    let world = World::new(slow_platform());
    let url = "https://ci.example/jobs/4711";
    let child = holder(&world, Some(url));
    world.run(&APPLY).exits(5).says(&["is locked", url]);
    signal(&child, Signal::KILL);
    end(child);
}

#[test]
fn who_waits_for_the_lock_gets_it() {
    let world = World::new(Config { latency: "60ms".parse().unwrap(), ..swift_platform() });
    let first = holder(&world, None);
    let mut waiting = world.larksub(&["apply", "plan.json", "--lock-timeout", "30s"]);
    let second = begin(&mut waiting);
    end(first).exits(3);
    // The reviewed plan is resumed: what the platform does not know is all that is left of it.
    let ran = end(second).exits(3);
    assert_eq!(ran.printed().into_keys().collect::<Vec<_>>(), ["hr/D-NONE"]);
    world.check_settled(&Default::default());
}

#[test]
fn a_holder_that_is_killed_blocks_nobody() {
    let world = World::new(Config { latency: "60ms".parse().unwrap(), ..swift_platform() });
    let first = holder(&world, None);
    let mut waiting = world.larksub(&["apply", "plan.json", "--lock-timeout", "30s"]);
    let second = begin(&mut waiting);
    signal(&first, Signal::KILL);
    let killed = end(first);
    assert!(killed.was_killed());
    let ran = end(second).exits(3);
    world.check(&ran);
    let truth = world.truth();
    assert!(truth.values().filter(|facts| facts.is_unknown).count() <= 1, "{truth:?}");
}

#[test]
fn a_ledger_on_a_network_is_refused_unless_it_is_allowed_by_name() {
    let world = World::new(swift_platform());
    let fault = "statfs=eio";
    let before = world.bytes();
    for args in [&APPLY[..], &["import", "--app", "hr", "N-1"], &["state", "compact"], &["state", "repair"]] {
        let ran = world.run_with(args, fault).exits(1);
        ran.says(&["network file system", "--allow-network-lock"]);
    }
    assert_eq!((world.bytes(), world.sandbox.calls()), (before, vec![]));
    world.run_with(&["plan"], fault).exits(0);
    let apply = world.apply(Approach::Plan);
    let mut args: Vec<&str> = apply.iter().map(String::as_str).collect();
    args.push("--allow-network-lock");
    world.run_with(&args, fault).exits(3);
    world.check_settled(&Default::default());
    assert!(fs::exists(world.ledger()).unwrap());
}
