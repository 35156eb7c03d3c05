//! An apply at an address: who may, what it costs, and what a runner that vanishes leaves behind.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::life::{codes, dropping, pulled};
use crate::store::Store;
use crate::support::{Platform, Scratch, manifest};

#[test]
fn a_second_writer_is_refused_and_told_who_the_first_one_is() {
    for store in Store::all() {
        let all = codes(20);
        let platform = Platform::start(&all, &["--latency", "300ms..300ms"]);
        let scratch = dropping(&store, &platform.url, &all);
        let first = scratch.spawn("apply --auto-approve");
        first.until("a call is sent", || !platform.calls().is_empty());
        let refused = scratch.run("apply --auto-approve");
        refused.exit(5).says([&store.url, "is locked by", "apply, process", "since", "state unlock"]);
        if store.is_objects() {
            refused.says(["last sign of life"]);
        }
        scratch.run(&format!("state rm hr/{} --reason x", all[0])).exit(5);
        scratch.run("plan").exit(0);
        scratch
            .run("state unlock 00000000-0000-0000-0000-000000000000")
            .exit(1)
            .says(["by another id", "apply"]);
        let waited = scratch.spawn("apply --auto-approve --lock-timeout 60s");
        first.wait().exit(0).says(["20 unsubscribed"]);
        waited.wait().exit(0);
        assert_eq!(platform.calls().len(), 20, "{}: no call twice", store.name);
    }
}

/// Kills an apply when so many outcomes were shown; another machine goes on. Gives what was shown, and the calls in all.
fn killed_and_gone_on(store: &Store, after: usize) -> (usize, usize) {
    let all = codes(30);
    let platform = Platform::start(&all, &["--latency", "20ms..60ms"]);
    let scratch = dropping(store, &platform.url, &all);
    let one = scratch.spawn("apply --auto-approve");
    one.until("calls are sent", || platform.calls().len() > after);
    one.signal(Signal::KILL);
    let shown: BTreeSet<String> = {
        let ran = one.wait();
        let whole = ran.stdout.lines().filter(|line| line.starts_with("unsubscribed "));
        whole
            .map(|line| line.split_whitespace().nth(1).unwrap().trim_start_matches("hr/").to_owned())
            .collect()
    };
    let ledger = pulled(&scratch);
    for code in &shown {
        assert_eq!(
            ledger.kinds(code),
            ["unsubscribed"],
            "{}: {code} was shown and is not stored",
            store.name
        );
    }
    // Another machine: nothing but the address is the same.
    let other = Scratch::new();
    store.set(&other);
    other.set("LARKSUB_APP_SECRET", "any-secret");
    other.write(
        "larksub.toml",
        "[policy]\nmax_drop_percent = 100\n\n".to_owned() + &manifest::<&str>(&platform.url, &[]),
    );
    let refused = other.run("apply --auto-approve");
    refused.exit(5);
    let id = refused.stderr.split("state unlock ").nth(1).unwrap().split('`').next().unwrap().to_owned();
    other.run(&format!("state unlock {id}")).exit(0).says(["it was held by"]);
    other.run(&format!("state unlock {id}")).exit(1).says(["is not locked"]);
    other.run("apply --auto-approve").exit(0);
    let ledger = pulled(&other);
    for code in &all {
        assert_eq!(ledger.outcome(code)["kind"], "unsubscribed", "{}: {code}", store.name);
    }
    other.run("plan --detailed-exitcode").exit(0);
    (shown.len(), platform.calls().len())
}

#[test]
fn a_runner_that_vanishes_loses_nothing_that_was_shown_and_another_one_goes_on() {
    let rounds: usize = std::env::var("LARKSUB_TEST_KILLS").ok().and_then(|it| it.parse().ok()).unwrap_or(2);
    for kill in 0..rounds {
        for store in Store::all() {
            let after = kill * 29 / rounds.max(1);
            let (shown, calls) = killed_and_gone_on(&store, after);
            // What was in flight is settled by one more call each.
            assert!((30..=38).contains(&calls), "{}: {calls} calls", store.name);
            eprintln!(
                "killed on {} after {after} calls: {shown} shown, {calls} calls for 30 drops in all",
                store.name
            );
        }
    }
}

#[test]
fn an_expired_lease_is_taken_over_without_a_person() {
    for store in Store::all().into_iter().filter(Store::is_objects) {
        let all = codes(10);
        let platform = Platform::start(&all, &["--latency", "300ms..300ms"]);
        let scratch = dropping(&store, &platform.url, &all);
        scratch.set("LARKSUB_STATE_LEASE", "3");
        let one = scratch.spawn("apply --auto-approve");
        one.until("a call is sent", || !platform.calls().is_empty());
        one.signal(Signal::KILL);
        one.wait();
        scratch.run("apply --auto-approve").exit(5).says(["is taken over by itself"]);
        let over = scratch.run("apply --auto-approve --lock-timeout 30s");
        over.exit(0).says(["took over the expired lease of"]);
        assert_eq!(pulled(&scratch).of("run").len(), 2);
    }
}

#[test]
fn a_writer_that_sleeps_past_its_lease_sends_nothing_more_and_overwrites_nothing() {
    for store in Store::all().into_iter().filter(Store::is_objects) {
        let all = codes(24);
        let platform = Platform::start(&all, &["--latency", "100ms..100ms"]);
        let scratch = dropping(&store, &platform.url, &all);
        scratch.set("LARKSUB_STATE_LEASE", "3");
        let sleeper = scratch.spawn("apply --auto-approve");
        sleeper.until("a call is sent", || platform.calls().len() > 2);
        sleeper.signal(Signal::STOP);
        scratch.run("apply --auto-approve --lock-timeout 30s").exit(0).says(["took over the expired lease"]);
        let (stored, calls) = (scratch.aside("state pull").stdout, platform.calls().len());
        sleeper.signal(Signal::CONT);
        let woken = sleeper.wait();
        woken.exit(7);
        assert_eq!(platform.calls().len(), calls, "{woken}");
        assert_eq!(scratch.aside("state pull").stdout, stored, "{woken}");
        scratch.run("plan --detailed-exitcode").exit(0);
    }
}

#[test]
fn a_live_lease_is_renewed_and_nobody_takes_it_over() {
    for store in Store::all().into_iter().filter(Store::is_objects) {
        let all = codes(3);
        let platform = Platform::start(&all, &["--latency", "3s..3s"]);
        let scratch = dropping(&store, &platform.url, &all);
        scratch.set("LARKSUB_STATE_LEASE", "3");
        let first = scratch.spawn("apply --auto-approve");
        first.until("a call is sent", || store.proxy.count("PUT", "lease.json") > 4);
        // Twice as long as the lease lasts.
        scratch.run("import --declared").exit(5);
        first.until("it is renewed", || store.proxy.count("PUT", "lease.json") > 8);
        scratch.run("apply --auto-approve").exit(5);
        first.wait().exit(0).says(["3 unsubscribed"]);
    }
}

#[test]
fn a_hundred_drops_take_less_than_ten_seconds_with_50_ms_to_the_store() {
    for store in Store::all() {
        let all = codes(100);
        let platform = Platform::start(&all, &[]);
        let scratch = dropping(&store, &platform.url, &all);
        store.proxy.take_seen();
        store.proxy.delay(Duration::from_millis(50));
        let begun = Instant::now();
        scratch.run("apply --auto-approve").exit(0).says(["100 unsubscribed"]);
        let took = begun.elapsed();
        let seen = store.proxy.take_seen();
        let appends = seen
            .iter()
            .filter(|line| line.starts_with(store.append.0) && line.contains(store.append.1))
            .count();
        eprintln!(
            "100 drops on {} at 50 ms: {took:?}, {} requests, {appends} of them appends",
            store.name,
            seen.len()
        );
        assert!(took < Duration::from_secs(10), "{}: {took:?}", store.name);
        store.proxy.delay(Duration::ZERO);
        store.proxy.take_seen();
        scratch.run("plan").exit(0);
        eprintln!("a plan after it on {}: {} requests", store.name, store.proxy.take_seen().len());
    }
}
