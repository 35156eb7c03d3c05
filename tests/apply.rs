//! Whole applies on tokio's paused clock: a real ledger in a scratch folder, the sandbox's rules in memory.
//!
//! Between the two stands a witness that reads the ledger as it grows and lets no call through whose intent is not in
//! it. After every run the ledger is read back and must hold exactly what the report says.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::time::Duration;

use larksub::error::Exit;
use larksub::report::{Event, Signal};
use larksub::sandbox::{Api, Config, Window};
use larksub::state::{How, OutcomeKind};
use larksub::subscription::AppKind;

use support::bench::{Bench, Ran};

fn codes(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("C-{number:03}")).collect()
}

/// One app `hr` with that many subscriptions to drop, and a sandbox with these faults.
fn hr(count: usize, faults: &[&str]) -> Bench {
    Bench::new(Config {
        faults: faults.iter().map(|fault| fault.parse().unwrap()).collect(),
        ..Config::default()
    })
    .app("hr", "cli_hr", AppKind::Custom)
    .drops("hr", None, &codes(count))
}

fn window(window: Window) -> Config {
    Config { window, latency: "20ms..200ms".parse().unwrap(), ..Config::default() }
}

#[tokio::test(start_paused = true)]
async fn two_hundred_drops_meet_no_rate_limit_whatever_the_window() {
    for kind in [Window::Fixed, Window::Sliding, Window::Bucket] {
        let bench =
            Bench::new(window(kind)).app("hr", "cli_hr", AppKind::Custom).drops("hr", None, &codes(200));
        let ran = bench.run().await;
        let refused = ran.calls.iter().filter(|call| call.status == 429).count();
        eprintln!(
            "{kind:?}: {refused} of 200 met a 429; {:.1} s, estimated {:.1} s; busiest minute {}",
            ran.elapsed.as_secs_f64(),
            ran.estimate.as_secs_f64(),
            ran.busiest_minute()
        );
        assert_eq!(refused, 0, "{kind:?}");
        assert!(ran.busiest_minute() <= 100, "{kind:?}: {}", ran.busiest_minute());
        ran.assert_all(OutcomeKind::Unsubscribed, 200).assert_nothing_left();
        assert_eq!(ran.report.exit(), Exit::Done);
        let (took, estimated) = (ran.elapsed.as_secs_f64(), ran.estimate.as_secs_f64());
        assert!((took - estimated).abs() <= 0.05 * estimated, "{kind:?}: {took} s, {estimated} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_drops_take_the_nine_minutes_that_the_quota_takes() {
    for (latency, most) in [("100ms", 1.006), ("20ms..200ms", 1.008)] {
        for kind in [Window::Fixed, Window::Sliding, Window::Bucket] {
            let config = Config { latency: latency.parse().unwrap(), ..window(kind) };
            let bench = Bench::new(config).app("hr", "cli_hr", AppKind::Custom);
            let ran = bench.drops("hr", None, &codes(1000)).run().await;
            let ratio = ran.elapsed.as_secs_f64() / 540.0;
            eprintln!("{kind:?} {latency}: {ratio:.4} of the floor, in {} lines", ran.lines);
            // An outcome shares its line with an intent, or with other outcomes, wherever both are there.
            assert!(ran.lines <= 1500, "{} syncs for 1000 drops", ran.lines);
            assert!(ratio <= most, "{kind:?} {latency}: {ratio}");
            assert!(ran.calls.iter().all(|call| call.status != 429), "{kind:?} {latency}");
            assert!(ran.busiest_minute() <= 100, "{kind:?}: {}", ran.busiest_minute());
            ran.assert_all(OutcomeKind::Unsubscribed, 1000).assert_nothing_left();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_drops_in_forty_tenants_take_as_long_as_the_largest() {
    let mut bench = Bench::new(window(Window::Sliding)).app("isv", "cli_isv", AppKind::Store);
    for tenant in 0..40 {
        let codes: Vec<String> = (0..250).map(|number| format!("T-{tenant}-{number}")).collect();
        bench = bench.drops("isv", Some(&format!("tenant-{tenant}")), &codes);
    }
    let ran = bench.run().await;
    ran.assert_all(OutcomeKind::Unsubscribed, 10_000).assert_nothing_left();
    assert!(ran.calls.iter().all(|call| call.status != 429));
    assert!(ran.busiest_minute() <= 100, "{}", ran.busiest_minute());
    assert!(ran.most_at_once <= larksub::pace::CONNECTIONS, "{}", ran.most_at_once);
    let (took, estimated) = (ran.elapsed.as_secs_f64(), ran.estimate.as_secs_f64());
    eprintln!("{took:.1} s, estimated {estimated:.1} s, {} at once", ran.most_at_once);
    assert!((took - estimated).abs() <= 0.05 * estimated, "{took} s, {estimated} s");
}

#[tokio::test(start_paused = true)]
async fn one_call_goes_alone_and_then_no_more_than_eight() {
    let ran = Bench::new(window(Window::Sliding))
        .app("hr", "cli_hr", AppKind::Custom)
        .drops("hr", None, &codes(100))
        .run()
        .await;
    assert_eq!(ran.most_at_once, 8);
    // Whatever is wrong with all of them is found by the first.
    for fault in ["scope", "disabled", "monthly"] {
        let ran = hr(40, &[&format!("*={fault}")]).run().await;
        assert_eq!(ran.unsubscribes().count(), 1, "{fault}");
    }
    // After an answer without a verdict no new call is sent beside the one that waits for its next try.
    let ran = hr(40, &["C-000=5xx:2"]).run().await;
    let first: Vec<_> = ran.unsubscribes().take(4).map(|call| call.approval_code.clone()).collect();
    assert!(first[..3].iter().all(|code| *code == first[0]) && first[3] != first[0], "{first:?}");
}

#[tokio::test(start_paused = true)]
async fn the_calls_of_an_earlier_run_count() {
    let config = Config { latency: "100ms".parse().unwrap(), ..window(Window::Sliding) };
    let mut bench = Bench::new(config).app("hr", "cli_hr", AppKind::Custom).drops("hr", None, &codes(170));
    bench.set_signal(Some((Duration::from_millis(700), Signal::Interrupt)));
    let first = bench.run_once().await;
    assert!((30..60).contains(&first.report.settled.len()), "{}", first.report.settled.len());
    bench.set_signal(None);
    let second = bench.run_once().await;
    assert!(second.report.pending.is_empty());
    let all: Vec<Duration> = first.unsubscribes().chain(second.unsubscribes()).map(|call| call.at).collect();
    assert_eq!(all.len(), 170);
    let in_minute = all.windows(101).filter(|calls| calls[100] - calls[0] < Duration::from_secs(60)).count();
    assert_eq!(in_minute, 0);
    assert!(second.calls.iter().all(|call| call.status != 429));
    // A hundred in the first minute, the rest in the second: counting twice would take a third.
    assert!(second.elapsed < Duration::from_secs(63), "{:?}", second.elapsed);
    // What is shown at the beginning is what it takes.
    let shown = second.events.iter().find_map(|event| match event {
        Event::Started { estimate, .. } => Some(estimate.as_secs_f64()),
        _ => None,
    });
    let (took, shown) = (second.elapsed.as_secs_f64(), shown.unwrap());
    assert!((took - shown).abs() <= 0.05 * shown, "{took} s, {shown} s");
}

#[tokio::test(start_paused = true)]
async fn a_quota_that_others_use_up_costs_pauses_and_no_outcome() {
    for (kind, limit) in
        [(Window::Fixed, 40), (Window::Sliding, 40), (Window::Bucket, 40), (Window::Sliding, 90)]
    {
        let config = Config { limit, ..window(kind) };
        let bench = Bench::new(config).app("hr", "cli_hr", AppKind::Custom);
        let ran = bench.drops("hr", None, &codes(300)).run().await;
        ran.assert_all(OutcomeKind::Unsubscribed, 300).assert_nothing_left();
        let refused = ran.calls.iter().filter(|call| call.status == 429).count();
        let floor = 60 * (300 / limit as u64);
        eprintln!(
            "{kind:?} {limit}: {refused} of 300 met a 429, {} pauses, {:?} of {floor} s",
            ran.paused(),
            ran.elapsed
        );
        assert!(refused > 0, "{kind:?} {limit}: the test tests nothing");
        assert!(ran.elapsed.as_secs() < 2 * floor, "{kind:?} {limit}: {:?}", ran.elapsed);
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_rate_limit_the_time_that_is_shown_is_the_time_that_it_takes() {
    let faults = vec!["C-050=rate_limit:1".parse().unwrap()];
    let bench = Bench::new(Config { faults, ..window(Window::Fixed) }).app("hr", "cli_hr", AppKind::Custom);
    let ran = bench.drops("hr", None, &codes(400)).run().await;
    ran.assert_all(OutcomeKind::Unsubscribed, 400);
    let corrected = ran.events.iter().find_map(|event| match event {
        Event::Paused { remaining, .. } => Some(remaining.as_secs_f64()),
        _ => None,
    });
    let limited = ran.unsubscribes().find(|call| call.status == 429).unwrap().at;
    let last = ran.unsubscribes().map(|call| call.at).max().unwrap();
    let (took, corrected) = ((last - limited).as_secs_f64(), corrected.unwrap());
    assert!((took - corrected).abs() <= 0.05 * took, "{took} s, {corrected} s");
    // Of the very last call, too.
    let ran = hr(1, &["C-000=rate_limit:1"]).run().await;
    let shown = ran.events.iter().any(
        |event| matches!(event, Event::Paused { pause, remaining, .. } if remaining >= pause && !pause.is_zero()),
    );
    assert!(shown, "{:?}", ran.events);
}

#[tokio::test(start_paused = true)]
async fn a_lower_rate_is_kept() {
    let bench = Bench::new(window(Window::Sliding)).app("hr", "cli_hr", AppKind::Custom).rate("hr", 30);
    let ran = bench.drops("hr", None, &codes(100)).run().await;
    assert!(ran.busiest_minute() <= 30, "{}", ran.busiest_minute());
    ran.assert_all(OutcomeKind::Unsubscribed, 100);
    let (took, estimated) = (ran.elapsed.as_secs_f64(), ran.estimate.as_secs_f64());
    assert!((took - estimated).abs() <= 0.05 * estimated, "{took} s, {estimated} s");
}

#[tokio::test(start_paused = true)]
async fn forty_tenants_take_as_long_as_one() {
    let mut took = Vec::new();
    for tenants in [1, 40] {
        let mut bench = Bench::new(window(Window::Sliding)).app("isv", "cli_isv", AppKind::Store);
        for tenant in 0..tenants {
            let codes: Vec<String> = (0..150).map(|number| format!("T-{tenant}-{number}")).collect();
            bench = bench.drops("isv", Some(&format!("tenant-{tenant}")), &codes);
        }
        let ran = bench.run().await;
        ran.assert_all(OutcomeKind::Unsubscribed, tenants * 150).assert_nothing_left();
        assert!(ran.calls.iter().all(|call| call.status != 429));
        took.push(ran.elapsed.as_secs_f64());
    }
    eprintln!("one tenant {:.1} s, forty {:.1} s", took[0], took[1]);
    assert!((took[1] - took[0]).abs() <= 0.1 * took[0], "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn every_fault_becomes_its_outcome() {
    use OutcomeKind::{AlreadyUnsubscribed, Failed, NotFound, Unknown, Unsubscribed};
    for (fault, expected, attempts) in [
        ("not_found", NotFound, 1),
        ("already", AlreadyUnsubscribed, 1),
        ("param", Failed, 1),
        // Without a verdict: tried four times in all.
        ("service_error", Unknown, 4),
        ("5xx", Unknown, 4),
        ("html", Unknown, 4),
        ("redirect", Unknown, 4),
        ("reset", Unknown, 4),
        ("empty", Unknown, 4),
        ("string_code", Unknown, 4),
        ("huge", Unknown, 4),
        ("slow", Unknown, 4),
        ("cut", Unknown, 4),
        ("lost", Unknown, 4),
        // Once or twice, and then the truth: not done yet.
        ("service_error:1", Unsubscribed, 2),
        ("5xx:2", Unsubscribed, 3),
        ("html:3", Unsubscribed, 4),
        ("redirect:1", Unsubscribed, 2),
        ("reset:1", Unsubscribed, 2),
        ("rate_limit:1", Unsubscribed, 2),
        ("rate_limit_400:3", Unsubscribed, 4),
        ("token:1", Unsubscribed, 2),
        // Or done, and the answer was lost: it was us.
        ("lost:1", Unsubscribed, 2),
        ("lost:3", Unsubscribed, 4),
        ("empty:1", Unsubscribed, 2),
        ("string_code:1", Unsubscribed, 2),
        ("huge:1", Unsubscribed, 2),
        ("slow:1", Unsubscribed, 2),
        ("cut:1", Unsubscribed, 2),
    ] {
        let ran = hr(3, &[&format!("C-001={fault}")]).run().await;
        let settled = ran.settled("hr/C-001");
        assert_eq!((settled.kind, settled.attempts), (expected, attempts), "{fault}: {settled:?}");
        assert_eq!(ran.sent("C-001"), attempts as usize, "{fault}");
        for other in ["hr/C-000", "hr/C-002"] {
            assert_eq!(ran.settled(other).kind, Unsubscribed, "{fault}");
        }
        let exit = if matches!(expected, Unsubscribed | AlreadyUnsubscribed) {
            Exit::Done
        } else {
            Exit::Incomplete
        };
        assert_eq!((ran.report.exit(), ran.report.how), (exit, How::Done), "{fault}");
        if expected == Unsubscribed {
            ran.assert_nothing_left();
        }
        // What was done and answered without its answer is explained in the ledger.
        let was_lost = ["lost:", "empty:", "string_code:", "huge:", "slow:", "cut:"]
            .iter()
            .any(|word| fault.starts_with(word));
        let reason = settled.reason.as_deref().unwrap_or_default();
        assert_eq!(reason.contains("its answer was lost"), was_lost, "{fault}: {reason}");
        if expected == Unknown {
            assert!(!reason.is_empty(), "{fault}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_unknown_is_settled_by_the_next_run() {
    let mut bench = hr(3, &["C-001=lost:4", "C-002=5xx:4"]);
    let ran = bench.run_once().await;
    assert_eq!(ran.report.count(OutcomeKind::Unknown), 2);
    let plan = bench.plan();
    assert_eq!((plan.unknowns.len(), plan.drops.len(), plan.calls), (2, 0, 2));
    let ran = bench.run_once().await;
    ran.assert_all(OutcomeKind::Unsubscribed, 2).assert_nothing_left();
    // One was done by the lost call, the other one only now.
    assert!(ran.settled("hr/C-001").reason.as_deref().is_some_and(|reason| reason.contains("lost")));
    assert_eq!(ran.settled("hr/C-002").reason, None);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outlives_a_later_refusal() {
    let mut bench = hr(1, &["C-000=lost:4", "C-000=param:1", "C-000=not_found:1"]);
    for expected in [OutcomeKind::Unknown, OutcomeKind::Failed, OutcomeKind::NotFound] {
        bench.run_once().await.assert_all(expected, 1);
        assert_eq!(bench.plan().unknowns.len(), 1, "after {expected:?}");
    }
    bench.run_once().await.assert_all(OutcomeKind::Unsubscribed, 1).assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn a_ready_made_token_is_not_believed_that_nothing_lives() {
    let bench = hr(2, &["C-001=already"]).ready_made("hr").await;
    let ran = bench.run().await;
    let settled = ran.settled("hr/C-001");
    assert_eq!(settled.kind, OutcomeKind::Failed);
    assert!(settled.reason.as_deref().is_some_and(|reason| reason.contains("--allow-misses")), "{settled:?}");
    assert_eq!((ran.report.exit(), ran.plan.calls), (Exit::Incomplete, 1));

    let ran = hr(2, &["C-001=already"]).ready_made("hr").await.believes("hr").run().await;
    assert_eq!(ran.settled("hr/C-001").kind, OutcomeKind::AlreadyUnsubscribed);
    ran.assert_nothing_left();

    // After a lost try of our own it is believed all the same.
    let ran = hr(2, &["C-001=lost:1"]).ready_made("hr").await.run().await;
    ran.assert_all(OutcomeKind::Unsubscribed, 2).assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn after_a_rate_limit_it_pauses_and_goes_on_evenly() {
    let ran = hr(30, &["C-010=rate_limit:1"]).run().await;
    ran.assert_all(OutcomeKind::Unsubscribed, 30).assert_nothing_left();
    let limited = ran.unsubscribes().position(|call| call.status == 429).unwrap();
    let at = ran.unsubscribes().nth(limited).unwrap().at;
    // What was in flight at the limit arrives with it.
    let after: Vec<Duration> = ran.unsubscribes().map(|call| call.at).filter(|then| *then > at).collect();
    assert!(after[0] - at >= Duration::from_secs(1), "{after:?}");
    let even = Duration::from_millis(600);
    let gaps: Vec<Duration> = after.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().all(|gap| *gap >= even), "{gaps:?}");
    assert_eq!(ran.paused(), 1);
}

#[tokio::test(start_paused = true)]
async fn ten_rate_limits_in_a_row_stop_the_tenant() {
    let ran = hr(40, &["*=rate_limit_400"]).run().await;
    assert_eq!((ran.report.exit(), ran.report.how), (Exit::Stopped, How::Stopped));
    assert_eq!(ran.report.stopped.len(), 1);
    assert_eq!(ran.report.stopped[0].reason, "rate_limit");
    let sent = ran.unsubscribes().count();
    // What is in flight beside the tenth still comes back.
    assert!((10..=17).contains(&sent), "{sent}");
    assert!(ran.report.settled.iter().all(|settled| settled.kind == OutcomeKind::Failed));
    assert_eq!(ran.report.settled.len() + ran.report.pending.len(), 40);
    // Nothing is unknown: a rate limit is a definite no.
    assert_eq!((ran.plan.calls, ran.plan.unknowns.len()), (40, 0));
    // With several under way: those that were refused together count once.
    let faults: Vec<String> = (20..40).map(|number| format!("C-{number:03}=rate_limit")).collect();
    let ran = hr(40, &faults.iter().map(String::as_str).collect::<Vec<_>>()).run().await;
    assert_eq!((ran.report.exit(), ran.report.stopped.len()), (Exit::Stopped, 1));
    let refused = ran.unsubscribes().filter(|call| call.status == 429).count();
    assert!((10..=17).contains(&refused), "{refused}");
    assert_eq!(ran.report.count(OutcomeKind::Unsubscribed), 20);
    // Four of eight refused together are no row of four.
    let faults = ["C-001=rate_limit:4", "C-002=rate_limit:4", "C-003=rate_limit:4", "C-004=rate_limit:4"];
    hr(12, &faults).run().await.assert_all(OutcomeKind::Unsubscribed, 12);
}

#[tokio::test(start_paused = true)]
async fn rate_limits_in_one_tenant_are_not_the_others() {
    let bench = Bench::new(Config { faults: vec!["A-1=rate_limit".parse().unwrap()], ..Config::default() })
        .app("isv", "cli_isv", AppKind::Store)
        .drops("isv", Some("one"), &["A-1".into(), "A-2".into()])
        .drops("isv", Some("two"), &["B-1".into(), "B-2".into()]);
    let ran = bench.run().await;
    assert_eq!(ran.report.stopped.len(), 1);
    assert_eq!(ran.report.stopped[0].tenant_key.as_ref().unwrap().as_str(), "one");
    for key in ["isv/two/B-1", "isv/two/B-2"] {
        assert_eq!(ran.settled(key).kind, OutcomeKind::Unsubscribed);
    }
}

#[tokio::test(start_paused = true)]
async fn five_unknowns_in_a_row_stop_the_app() {
    let ran = hr(40, &["*=5xx"]).run().await;
    assert_eq!((ran.report.exit(), ran.report.how), (Exit::Stopped, How::Stopped));
    assert_eq!(ran.report.stopped.len(), 1);
    assert_eq!(ran.report.stopped[0].reason, "unknowns");
    let unknown = ran.report.count(OutcomeKind::Unknown) as usize;
    assert!((5..=12).contains(&unknown), "{unknown}");
    assert_eq!(unknown + ran.report.pending.len(), 40);
    assert_eq!(ran.plan.unknowns.len(), unknown);
    // Four unknowns and a verdict are no row.
    let faults = [
        "C-000=5xx",
        "C-001=5xx",
        "C-002=5xx",
        "C-003=5xx",
        "C-005=5xx",
        "C-006=5xx",
        "C-007=5xx",
        "C-008=5xx",
    ];
    let ran = hr(12, &faults).run().await;
    assert_eq!((ran.report.stopped.len(), ran.report.count(OutcomeKind::Unknown)), (0, 8));
    assert_eq!(ran.report.settled.len(), 12);
    // With several under way: what was begun with the fifth comes to its outcome, and nothing new is begun.
    let faults: Vec<String> = (20..40).map(|number| format!("C-{number:03}=5xx")).collect();
    let ran = hr(40, &faults.iter().map(String::as_str).collect::<Vec<_>>()).run().await;
    assert_eq!((ran.report.exit(), ran.report.stopped.len()), (Exit::Stopped, 1));
    let unknown = ran.report.count(OutcomeKind::Unknown);
    assert!((5..=8).contains(&unknown), "{unknown}");
    assert_eq!(ran.report.count(OutcomeKind::Unsubscribed), 20);
}

#[tokio::test(start_paused = true)]
async fn a_stop_of_one_app_leaves_the_other_alone() {
    for (fault, reason, stops_app) in [
        ("scope", "scope", true),
        ("ip", "ip", true),
        ("disabled", "app_disabled", true),
        ("token", "credential", true),
        ("monthly", "monthly_cap", false),
        ("uninstalled", "not_installed", false),
    ] {
        let config = Config { faults: vec![format!("A-1={fault}").parse().unwrap()], ..Config::default() };
        let bench = Bench::new(config)
            .app("hr", "cli_hr", AppKind::Custom)
            .app("isv", "cli_isv", AppKind::Store)
            .drops("hr", None, &["H-1".into(), "H-2".into()])
            .drops("isv", Some("one"), &["A-1".into(), "A-2".into(), "A-3".into()])
            .drops("isv", Some("two"), &codes(20));
        let ran = bench.run().await;
        let [stopped] = ran.report.stopped.as_slice() else { panic!("{fault}: {:?}", ran.report.stopped) };
        assert_eq!((stopped.app.as_str(), stopped.reason), ("isv", reason), "{fault}");
        assert_eq!(stopped.tenant_key.is_none(), stops_app, "{fault}");
        assert_eq!((ran.report.exit(), ran.report.how), (Exit::Stopped, How::Stopped), "{fault}");
        assert_eq!(ran.settled("isv/one/A-1").kind, OutcomeKind::Failed, "{fault}");
        for key in ["hr/H-1", "hr/H-2"] {
            assert_eq!(ran.settled(key).kind, OutcomeKind::Unsubscribed, "{fault}");
        }
        let two = ran.report.settled.iter().filter(|settled| settled.key.to_string().starts_with("isv/two/"));
        let two = two.filter(|settled| settled.kind == OutcomeKind::Unsubscribed).count();
        assert_eq!(two == 20, !stops_app, "{fault}: {two}");
        assert_eq!(ran.report.settled.len() + ran.report.pending.len(), 25, "{fault}");
        assert!(ran.report.pending.iter().any(|key| key.to_string() == "isv/one/A-3"), "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_renewed_once() {
    let ran = hr(5, &["C-002=token:1"]).run().await;
    ran.assert_all(OutcomeKind::Unsubscribed, 5).assert_nothing_left();
    let tokens = ran.calls.iter().filter(|call| call.api == Some(Api::CustomTenantToken)).count();
    assert_eq!(tokens, 2);
    assert_eq!(ran.sent("C-002"), 2);
}

#[tokio::test(start_paused = true)]
async fn tokens_that_are_refused_everywhere_at_once_are_renewed_within_the_connections() {
    let faults = (0..150).map(|tenant| format!("T-{tenant}-0=token:1").parse().unwrap()).collect();
    let mut bench =
        Bench::new(Config { faults, ..window(Window::Sliding) }).app("isv", "cli_isv", AppKind::Store);
    for tenant in 0..150 {
        let codes: Vec<String> = (0..3).map(|number| format!("T-{tenant}-{number}")).collect();
        bench = bench.drops("isv", Some(&format!("tenant-{tenant}")), &codes);
    }
    let ran = bench.run().await;
    ran.assert_all(OutcomeKind::Unsubscribed, 450).assert_nothing_left();
    assert!(
        ran.calls.iter().any(|call| call.status == 400 || call.code == Some(99_991_663)),
        "nothing was refused"
    );
    assert!(ran.most_at_once <= larksub::pace::CONNECTIONS, "{}", ran.most_at_once);
}

#[tokio::test(start_paused = true)]
async fn a_run_outlives_its_token() {
    let config = Config { token_lifetime: Duration::from_secs(60), ..Config::default() };
    let bench = Bench::new(config).app("hr", "cli_hr", AppKind::Custom).drops("hr", None, &codes(300));
    let ran = bench.run().await;
    ran.assert_all(OutcomeKind::Unsubscribed, 300).assert_nothing_left();
    assert!(ran.calls.iter().all(|call| call.code == Some(0)));
}

#[tokio::test(start_paused = true)]
async fn a_credential_that_is_refused_for_an_app_sends_nothing_at_all() {
    let config = Config { apps: vec!["cli_it:right".parse().unwrap()], ..Config::default() };
    let bench = Bench::new(config)
        .app("hr", "cli_hr", AppKind::Custom)
        .app("it", "cli_it", AppKind::Custom)
        .drops("hr", None, &codes(2))
        .drops("it", None, &codes(2));
    let ran = bench.run().await;
    assert_eq!((ran.unsubscribes().count(), ran.report.run), (0, None));
    assert_eq!((ran.report.exit(), ran.report.pending.len(), ran.plan.calls), (Exit::Stopped, 4, 4));
}

#[tokio::test(start_paused = true)]
async fn a_signal_ends_a_run_within_its_grace() {
    for signal in [Signal::Interrupt, Signal::Terminate] {
        for fault in [None, Some("*=slow")] {
            let config = Config { latency: "2s".parse().unwrap(), ..Config::default() };
            let faults = fault.iter().map(|fault| fault.parse().unwrap()).collect();
            let bench = Bench::new(Config { faults, ..config })
                .app("hr", "cli_hr", AppKind::Custom)
                .drops("hr", None, &codes(100))
                .signal(Duration::from_millis(9_050), signal);
            let ran = bench.run().await;
            let case = format!("{signal:?} {fault:?}");
            assert!(ran.elapsed <= Duration::from_millis(14_100), "{case}: {:?}", ran.elapsed);
            let exit = if signal == Signal::Interrupt { Exit::Interrupted } else { Exit::Terminated };
            assert_eq!((ran.report.exit(), ran.report.how), (exit, How::Interrupted), "{case}");
            assert_eq!(ran.report.settled.len() + ran.report.pending.len(), 100, "{case}");
            let unknown = ran.report.count(OutcomeKind::Unknown);
            assert_eq!(unknown > 0, fault.is_some(), "{case}: {unknown}");
            assert!(unknown <= 8, "{case}: {unknown}");
            let last = ran.unsubscribes().last().unwrap().at;
            assert!(last <= Duration::from_millis(11_000), "{case}: {last:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_signal_before_the_first_call_leaves_no_trace() {
    let config = Config { latency: "2s".parse().unwrap(), ..Config::default() };
    let bench = Bench::new(config)
        .app("hr", "cli_hr", AppKind::Custom)
        .drops("hr", None, &codes(3))
        .signal(Duration::from_millis(500), Signal::Interrupt);
    let ran = bench.run().await;
    assert_eq!((ran.report.run, ran.report.pending.len(), ran.unsubscribes().count()), (None, 3, 0));
    assert_eq!(ran.report.exit(), Exit::Interrupted);
}

#[tokio::test(start_paused = true)]
async fn a_signal_while_it_waits_after_a_rate_limit_leaves_nothing_unknown() {
    let bench = hr(5, &["C-001=rate_limit"]).signal(Duration::from_millis(1500), Signal::Terminate);
    let ran = bench.run().await;
    assert_eq!(ran.settled("hr/C-001").kind, OutcomeKind::Failed);
    assert_eq!(ran.plan.unknowns.len(), 0);
    assert_eq!(ran.report.exit(), Exit::Terminated);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_interrupted_is_finished_by_the_next() {
    let config = Config { latency: "2s".parse().unwrap(), ..Config::default() };
    let mut bench = Bench::new(config).app("hr", "cli_hr", AppKind::Custom).drops("hr", None, &codes(60));
    let reviewed = bench.plan().digest;
    let mut bench_signal = Some((Duration::from_secs(10), Signal::Terminate));
    for is_whole in [false, true] {
        bench.set_signal(bench_signal.take());
        let ran = bench.run_reviewed(&reviewed).await;
        assert_eq!(ran.report.pending.is_empty(), is_whole);
        assert!(!ran.report.settled.is_empty());
    }
    let plan = bench.plan();
    assert_eq!((plan.calls, plan.has_changes), (0, false));
    assert_eq!(bench.agreement(&reviewed), larksub::plan::review::Agreement::AlreadyApplied);
}

#[tokio::test(start_paused = true)]
async fn forgets_and_metadata_need_no_platform() {
    let ran: Ran = hr(0, &[]).forgets("hr", &codes(3)).run().await;
    assert!(ran.calls.is_empty());
    assert_eq!((ran.report.forgotten, ran.report.exit()), (3, Exit::Done));
    ran.assert_nothing_left();
}
