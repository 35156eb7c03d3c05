//! A ledger that cannot be written any more, in the middle of a run. The limit on file sizes that does it holds for the
//! whole process, so this test has one of its own.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::fs;
use std::path::Path;

use larksub::error::Exit;
use larksub::sandbox::Config;
use larksub::state::ledger::read_file;
use larksub::state::{How, OutcomeKind};
use larksub::subscription::AppKind;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use support::bench::{Bench, Breaks};

/// Gives the limit back, also when the test fails and its message goes to a file.
struct Restore(Rlimit);

impl Drop for Restore {
    fn drop(&mut self) {
        setrlimit(Resource::Fsize, self.0).unwrap();
    }
}

/// From here on the file takes half a line more, and then nothing.
fn fill_the_disk(ledger: &Path) {
    let current = Some(fs::metadata(ledger).unwrap().len() + 40);
    setrlimit(Resource::Fsize, Rlimit { current, ..getrlimit(Resource::Fsize) }).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_fails_ends_the_run_and_the_next_one_goes_on() {
    let restore = Restore(getrlimit(Resource::Fsize));
    // Beyond the limit the kernel also sends a signal, which would end the process if nobody listened.
    let _listened = signal(SignalKind::from_raw(Signal::XFSZ.as_raw())).unwrap();
    let config = Config { latency: "100ms".parse().unwrap(), ..Config::default() };
    let mut bench = Bench::new(config).app("isv", "cli_isv", AppKind::Store);
    for tenant in ["one", "two", "three"] {
        let codes: Vec<String> = (0..20).map(|number| format!("{tenant}-{number}")).collect();
        bench = bench.drops("isv", Some(tenant), &codes);
    }
    bench.breaks = Some(Breaks { after: 25, how: fill_the_disk });
    let ran = bench.run_once().await;
    drop(restore);

    assert_eq!((ran.report.exit(), ran.report.how), (Exit::Unwritable, How::Failed));
    let unrecorded = ran.report.unrecorded.as_ref().unwrap();
    assert!(unrecorded.cause.contains("cannot be written"), "{}", unrecorded.cause);
    // Whatever was in flight is told, though it is not recorded, and nothing more was sent.
    let sent = ran.unsubscribes().count();
    assert!((25..=25 + 24).contains(&sent), "{sent}");
    assert_eq!(ran.report.settled.len() + unrecorded.outcomes.len(), sent);
    assert_eq!(sent + ran.report.pending.len(), 60);
    assert!(!unrecorded.outcomes.is_empty());
    assert!(unrecorded.outcomes.iter().all(|settled| settled.kind == OutcomeKind::Unsubscribed));

    // The ledger has them as unknown, and half a line behind its last whole one.
    let reading = read_file(&bench.state_path()).unwrap();
    assert!(reading.tail_len > 0);
    assert_eq!(ran.plan.unknowns.len(), unrecorded.outcomes.len());
    assert!(reading.state.unended_run().is_some());

    // The next run finds that they were done, and does the rest.
    let done_before = ran.report.settled.len();
    let ours = unrecorded.outcomes.len();
    let ran = bench.run_once().await;
    ran.assert_all(OutcomeKind::Unsubscribed, 60 - done_before).assert_nothing_left();
    assert_eq!(ran.report.settled.iter().filter(|settled| settled.reason.is_some()).count(), ours);
    assert_eq!(ran.report.exit(), Exit::Done);
}
