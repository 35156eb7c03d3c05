//! Ctrl-C, SIGTERM, both twice, and a parent that is gone.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use larksub::sandbox::Config;
use rustix::process::{Pid, Signal, kill_process};

use crate::world::{LANES, PROGRAM, World, begin, end, intents, lines, swift_platform, until};

const APPLY: [&str; 2] = ["apply", "--auto-approve"];

fn platform(latency: &str) -> Config {
    Config { latency: latency.parse().unwrap(), ..swift_platform() }
}

/// The first calls of two lanes are done, and answered that late.
fn late_platform(slow: Duration) -> Config {
    Config { faults: vec!["A-DROP=slow:2".parse().unwrap()], slow, ..swift_platform() }
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// How the newest run ended, once it has.
fn how(world: &World) -> Option<String> {
    let records = lines(&world.bytes()).concat();
    let last = records.last().filter(|record| record["op"] == "end")?;
    Some(last["how"].as_str().unwrap().to_owned())
}

#[test]
fn a_signal_ends_a_run_after_the_calls_in_flight() {
    for (sent, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let world = World::new(late_platform(Duration::from_millis(700)));
        let child = begin(&mut world.larksub(&APPLY));
        until("a call arrives", || world.calls().iter().any(|key| key.starts_with("hr/")));
        signal(&child, sent);
        let ran = end(child).exits(code).says(&["Interrupted:", "not sent"]);
        assert_eq!(world.check(&ran), Default::default(), "what was in flight has its outcome");
        assert_eq!(how(&world).as_deref(), Some("interrupted"));
        assert!(world.calls().len() <= LANES + 1, "{:?}", world.calls());
        assert_eq!(ran.printed().len(), world.calls().len());
        let rerun = world.run(&["apply", "plan.json"]).exits(3);
        world.check(&rerun);
        world.check_settled(&Default::default());
    }
}

#[test]
fn a_signal_while_an_intent_is_recorded_sends_nothing() {
    let world = World::new(swift_platform());
    let child = begin(world.larksub(&APPLY).env("LARKSUB_FAILPOINT", "synced:2=slow"));
    until("an intent is recorded", || !intents(&world.bytes()).is_empty());
    signal(&child, Signal::INT);
    let ran = end(child).exits(130);
    assert_eq!(world.calls(), Vec::<String>::new());
    assert_eq!(how(&world).as_deref(), Some("interrupted"));
    assert_eq!(world.check(&ran), Default::default(), "what was not sent is not unknown");
    world.run(&["apply", "plan.json"]).exits(3);
    world.check_settled(&Default::default());
}

#[test]
fn a_second_signal_ends_a_run_at_once_and_leaves_a_ledger_that_reads() {
    for (sent, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let world = World::new(late_platform(Duration::from_secs(30)));
        let child = begin(&mut world.larksub(&APPLY));
        until("both late calls arrive", || {
            world.calls().iter().filter(|key| key.ends_with("A-DROP")).count() == 2
        });
        until("the third lane is through", || world.truth()["isv/t1/E-SERV"].status == "unsubscribed");
        let start = Instant::now();
        signal(&child, sent);
        // Two signals of one kind that are pending at once are one: the first has to have been seen.
        std::thread::sleep(Duration::from_millis(300));
        signal(&child, sent);
        let ran = end(child).exits(code);
        assert!(start.elapsed() < Duration::from_secs(4), "it waited all the same: {:?}", start.elapsed());
        let doubtful = world.check(&ran);
        assert_eq!(doubtful.iter().collect::<Vec<_>>(), ["hr/A-DROP", "isv/t2/A-DROP"]);
        let rerun = world.run(&["apply", "plan.json"]).exits(3);
        world.check(&rerun);
        world.check_settled(&doubtful);
    }
}

#[test]
fn what_is_not_answered_within_the_grace_is_unknown_and_one_rerun_settles_it() {
    let world = World::new(late_platform(Duration::from_secs(30)));
    let child = begin(&mut world.larksub(&APPLY));
    until("both late calls arrive", || {
        world.calls().iter().filter(|key| key.ends_with("A-DROP")).count() == 2
    });
    let start = Instant::now();
    signal(&child, Signal::TERM);
    let ran = end(child).exits(143).says(&["interrupted before the answer came"]);
    assert!((4..9).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert_eq!(how(&world).as_deref(), Some("interrupted"));
    let doubtful = world.check(&ran);
    assert!(doubtful.contains("hr/A-DROP") && doubtful.contains("isv/t2/A-DROP"), "{doubtful:?}");
    let rerun = world.run(&["apply", "plan.json"]).exits(3);
    world.check(&rerun);
    world.check_settled(&doubtful);
}

/// Starts an apply under a shell that is killed while the first call is under way.
fn orphaned(world: &World, is_ci: bool) {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(r#""$0" apply --auto-approve >out.log 2>err.log & read -r forever"#).arg(PROGRAM);
    world.in_here(&mut shell);
    if is_ci {
        shell.env("CI", "true");
    }
    let mut parent = shell.stdin(Stdio::piped()).spawn().unwrap();
    until("a call arrives", || world.calls().iter().any(|key| key.starts_with("hr/")));
    parent.kill().unwrap();
    parent.wait().unwrap();
    until("the run ends", || how(world).is_some());
    // Its lock goes with it.
    until("the process ends", || world.run(&["state", "repair"]).status.success());
}

#[test]
fn in_ci_no_orphan_goes_on_dropping() {
    let world = World::new(late_platform(Duration::from_millis(700)));
    orphaned(&world, true);
    assert_eq!(how(&world).as_deref(), Some("interrupted"));
    assert!(world.calls().len() <= LANES + 1, "{:?}", world.calls());
    let truth = world.truth();
    assert!(truth.values().all(|facts| !facts.is_unknown), "{truth:?}");
    for log in ["out.log", "err.log"] {
        std::fs::remove_file(world.path(log)).unwrap();
    }
    world.run(&["apply", "plan.json"]).exits(3);
    world.check_settled(&Default::default());
}

#[test]
fn elsewhere_a_run_outlives_its_shell() {
    let world = World::new(platform("60ms"));
    orphaned(&world, false);
    assert_eq!(how(&world).as_deref(), Some("done"));
    for log in ["out.log", "err.log"] {
        std::fs::remove_file(world.path(log)).unwrap();
    }
    world.check_settled(&Default::default());
}
