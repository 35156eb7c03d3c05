use std::cell::RefCell;
use std::collections::VecDeque;

use futures_util::future::join_all;
use tokio::sync::{Mutex, Notify, Semaphore};
use tokio::time::{sleep, sleep_until};

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

/// When each call reached a server, and when it was answered.
type Seen = Vec<(Instant, Instant)>;

/// Makes calls at a pace, up to eight at a time; `latency` gives the ways there and back of each.
async fn send(pace: &RefCell<Pace>, calls: usize, latency: impl Fn(usize) -> (Duration, Duration)) -> Seen {
    send_over(&Semaphore::new(IN_FLIGHT), pace, calls, latency).await
}

/// The same, over connections that others use as well.
async fn send_over(
    connections: &Semaphore,
    pace: &RefCell<Pace>,
    calls: usize,
    latency: impl Fn(usize) -> (Duration, Duration),
) -> Seen {
    let (turn, answered) = (Mutex::new(()), Notify::new());
    let left = RefCell::new((0..calls).collect::<VecDeque<_>>());
    let seen = RefCell::new(Vec::new());
    let worker = || async {
        loop {
            let waiting = turn.lock().await;
            let Some(call) = left.borrow_mut().pop_front() else { return };
            let connection = loop {
                let connection = connections.acquire().await.unwrap();
                let taken = pace.borrow_mut().take();
                let Err(wait) = taken else { break connection };
                drop(connection);
                match wait {
                    Wait::Until(at) => sleep_until(at).await,
                    Wait::Answer => answered.notified().await,
                }
            };
            drop(waiting);
            let (sent, (there, back)) = (Instant::now(), latency(call));
            sleep(there).await;
            let arrived = Instant::now();
            sleep(back).await;
            drop(connection);
            pace.borrow_mut().answered(sent.elapsed());
            answered.notify_waiters();
            seen.borrow_mut().push((arrived, Instant::now()));
        }
    };
    join_all((0..IN_FLIGHT).map(|_| worker())).await;
    seen.into_inner()
}

/// The most calls that reached the server in any stretch of 60 s, both of its ends included.
fn busiest_minute(seen: &Seen) -> usize {
    let mut at: Vec<Instant> = seen.iter().map(|(arrived, _)| *arrived).collect();
    at.sort_unstable();
    let in_minute = |first: usize| at[first..].iter().take_while(|then| **then - at[first] <= MINUTE).count();
    (0..at.len()).map(in_minute).max().unwrap_or(0)
}

/// Delays that look random, of which one in fifty is of 1 to 3 s, on the way there or back.
fn unsteady(call: usize) -> (Duration, Duration) {
    let mixed = (call as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
    let is_late = mixed.is_multiple_of(50);
    let late = Duration::from_millis(if is_late { 1000 + mixed / 50 % 2000 } else { 0 });
    let (there, back) = (Duration::from_millis(mixed % 60), Duration::from_millis(mixed / 60 % 60));
    if mixed.is_multiple_of(100) { (there + late, back) } else { (there, back + late) }
}

fn steady(_: usize) -> (Duration, Duration) {
    (Duration::from_millis(50), Duration::from_millis(50))
}

#[tokio::test(start_paused = true)]
async fn no_minute_of_the_server_holds_more_than_the_rate() {
    for rate in [1, 2, 7, 8, 9, 50, 99, 100, 1000] {
        for latency in [unsteady, steady, |_| Default::default()] {
            let seen = send(&RefCell::new(Pace::new(Rate::PerMinute(rate), &[])), 500, latency).await;
            assert!(busiest_minute(&seen) <= rate.min(100) as usize, "{rate}: {}", busiest_minute(&seen));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_estimate_is_what_it_takes() {
    for (rate, calls) in [(100, 1000), (100, 201), (30, 100), (99, 300), (1, 10)] {
        let start = Instant::now();
        send(&RefCell::new(Pace::new(Rate::PerMinute(rate), &[])), calls, steady).await;
        let (took, estimated) =
            (start.elapsed().as_secs_f64(), estimate(&[(calls as u64, rate)]).as_secs_f64());
        assert!((took - estimated).abs() <= 0.01 * estimated, "{calls} at {rate}: {took} s, {estimated} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_calls_take_little_more_than_the_nine_minutes_that_the_quota_takes() {
    for (latency, most) in [(steady as fn(usize) -> _, 1.006), (unsteady, 1.015)] {
        let start = Instant::now();
        send(&RefCell::new(Pace::new(Rate::PerMinute(100), &[])), 1000, latency).await;
        let ratio = start.elapsed().as_secs_f64() / 540.0;
        assert!(ratio <= most, "{ratio}");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_of_earlier_runs_count() {
    let ages: Vec<Duration> = (0..60).map(|_| Duration::from_secs(20)).collect();
    let pace = RefCell::new(Pace::new(Rate::PerMinute(100), &ages));
    let (start, estimated) = (Instant::now(), pace.borrow().remaining(100, 100));
    let seen = send(&pace, 100, steady).await;
    let early = seen.iter().filter(|(arrived, _)| *arrived - start < Duration::from_secs(40)).count();
    assert_eq!(early, 40);
    let took = start.elapsed().as_secs_f64();
    assert!((took - 40.8).abs() < 0.3, "{took}");
    assert!((took - estimated.as_secs_f64()).abs() < 0.5, "{took} {estimated:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_kept_and_what_follows_is_evenly_spaced_and_foreseen() {
    for rate in [1, 30, 99, 100] {
        let pace = RefCell::new(Pace::new(Rate::PerMinute(rate), &[]));
        let mut all = send(&pace, 10, steady).await;
        let over = Instant::now() + Duration::from_secs(7);
        pace.borrow_mut().pause(Duration::from_secs(7));
        // The answers of calls that were in flight speak of the same limit.
        pace.borrow_mut().pause(Duration::from_secs(1));
        let (start, foreseen) = (Instant::now(), pace.borrow().remaining(150, 150).as_secs_f64());
        let after = send(&pace, 150, steady).await;
        let took = start.elapsed().as_secs_f64();
        assert!((took - foreseen).abs() <= 0.01 * foreseen, "{rate}: {took} s, {foreseen} s");
        assert!(after[0].0 >= over, "{rate}");
        let least = Duration::from_millis(60_500) / rate;
        assert!(after.windows(2).all(|pair| pair[1].0 - pair[0].0 >= least), "{rate}");
        all.extend(after);
        assert!(busiest_minute(&all) <= rate as usize, "{rate}");
    }
}

#[tokio::test(start_paused = true)]
async fn pauses_never_lift_the_rate() {
    for rate in [1, 3, 59, 100] {
        let pace = RefCell::new(Pace::new(Rate::PerMinute(rate), &[]));
        let mut seen = Vec::new();
        for round in 0..40_usize {
            seen.extend(send(&pace, round % 7, unsteady).await);
            pace.borrow_mut().pause(Duration::from_millis(10));
        }
        assert!(busiest_minute(&seen) <= rate as usize, "{rate}: {}", busiest_minute(&seen));
    }
}

#[tokio::test(start_paused = true)]
async fn what_remains_is_foreseen_at_any_point_of_a_run() {
    for sent in [1, 50, 100, 150, 399] {
        let pace = RefCell::new(Pace::new(Rate::PerMinute(100), &[]));
        send(&pace, sent, steady).await;
        let (start, foreseen) = (Instant::now(), pace.borrow().remaining(300, 300).as_secs_f64());
        send(&pace, 300, steady).await;
        let took = start.elapsed().as_secs_f64();
        assert!((took - foreseen).abs() <= 0.01 * foreseen, "after {sent}: {took} s, {foreseen} s");
    }
}

#[tokio::test(start_paused = true)]
async fn an_absurd_pause_ends() {
    let pace = RefCell::new(Pace::new(Rate::PerMinute(100), &[]));
    pace.borrow_mut().pause(Duration::MAX);
    let start = Instant::now();
    send(&pace, 1, |_| Default::default()).await;
    assert_eq!(start.elapsed(), Duration::from_secs(24 * 3600));
}

#[tokio::test(start_paused = true)]
async fn nothing_holds_an_unlimited_lane_up() {
    let pace = RefCell::new(Pace::new(Rate::Unlimited, &[]));
    let (start, foreseen) = (Instant::now(), pace.borrow().remaining(8000, 8000));
    send(&pace, 8000, steady).await;
    assert_eq!(start.elapsed().as_secs(), 100);
    assert!((foreseen.as_secs_f64() - 100.0).abs() < 1.0, "{foreseen:?}");
}

#[tokio::test(start_paused = true)]
async fn lanes_that_share_the_connections_take_what_is_foreseen() {
    for (lanes, calls) in [(100, 200), (200, 200), (400, 101)] {
        let (connections, start) = (Semaphore::new(CONNECTIONS), Instant::now());
        let lane = || async {
            let pace = RefCell::new(Pace::new(Rate::PerMinute(100), &[]));
            send_over(&connections, &pace, calls, steady).await;
        };
        join_all((0..lanes).map(|_| lane())).await;
        let took = start.elapsed().as_secs_f64();
        let foreseen = estimate(&vec![(calls as u64, 100); lanes]).as_secs_f64();
        assert!((took - foreseen).abs() <= 0.05 * took, "{lanes} x {calls}: {took} s, {foreseen} s");
    }
}
