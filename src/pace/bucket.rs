//! The token bucket of one lane.

use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::{Instant, sleep_until};

use super::clock::{Tick, TokioClock};
use super::estimate::Rhythm;

/// The longest pause that is kept: beyond it, a run that waits is of no use to anyone.
const MAX_PAUSE: Duration = Duration::from_secs(24 * 3600);

/// Lets calls leave at a rate: never more than it in any 60 seconds, as sent.
#[derive(Debug)]
pub struct Bucket {
    rhythm: Rhythm,
    limiter: Limiter,
    /// When the newest call left.
    last: Option<Instant>,
    /// Nothing leaves before.
    not_before: Option<Instant>,
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Tick>>;

impl Bucket {
    /// A lane that has sent nothing yet. A rate is kept within 1 to 100 a minute.
    pub fn new(rate_per_minute: u32) -> Self {
        let rhythm = Rhythm::fresh(rate_per_minute);
        Self { rhythm, limiter: limiter(rhythm), last: None, not_before: None }
    }

    /// Waits until a call may leave, and counts it as leaving now. Dropped while it waits, it counts nothing.
    pub async fn ready(&mut self) {
        if let Some(not_before) = self.not_before {
            sleep_until(not_before).await;
            self.not_before = None;
        }
        while let Err(not_until) = self.limiter.check() {
            sleep_until(not_until.earliest_possible().0).await;
        }
        self.last = Some(Instant::now());
    }

    /// Sends nothing for `reset`, and goes on without a burst, evenly spaced, for as long as the lane lives.
    /// Of several pauses the one that ends last counts.
    pub fn pause(&mut self, reset: Duration) {
        self.rhythm = self.rhythm.even();
        // A limiter's quota cannot be changed; a fresh one knows nothing of the calls before it, so the
        // interval to the newest of them is kept here.
        self.limiter = limiter(self.rhythm);
        let now = Instant::now();
        let over = now.checked_add(reset.min(MAX_PAUSE)).unwrap_or(now);
        let spaced = self.last.and_then(|last| last.checked_add(self.rhythm.interval));
        self.not_before = self.not_before.max(spaced).max(Some(over));
    }

    /// How long `calls` more take from now on, when nothing else holds them up.
    pub fn remaining(&self, calls: u64) -> Duration {
        let Some(first) = calls.checked_sub(1) else { return Duration::ZERO };
        let wait = self.not_before.map(|until| until.saturating_duration_since(Instant::now()));
        match (wait, self.last) {
            (Some(wait), _) => wait.saturating_add(self.rhythm.stretch(first)),
            (None, None) => self.rhythm.duration(calls),
            // Underway: what is left of the burst is not worth knowing.
            (None, Some(_)) => self.rhythm.stretch(calls),
        }
    }
}

fn limiter(rhythm: Rhythm) -> Limiter {
    // The interval is never zero, so the fallback is never taken; it exists because a quota is made fallibly.
    let quota = Quota::with_period(rhythm.interval)
        .unwrap_or_else(|| Quota::per_minute(std::num::NonZeroU32::MIN))
        .allow_burst(rhythm.burst);
    RateLimiter::direct_with_clock(quota, TokioClock)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pace::estimate;

    async fn send(bucket: &mut Bucket, calls: usize) -> Vec<Instant> {
        let mut sent = Vec::with_capacity(calls);
        for _ in 0..calls {
            bucket.ready().await;
            sent.push(Instant::now());
        }
        sent
    }

    /// The most calls in any stretch of 60 s, both of its ends included.
    fn busiest_minute(sent: &[Instant]) -> usize {
        let minute = Duration::from_secs(60);
        (0..sent.len())
            .map(|first| sent[first..].iter().take_while(|at| **at - sent[first] <= minute).count())
            .max()
            .unwrap_or(0)
    }

    #[tokio::test(start_paused = true)]
    async fn no_minute_holds_more_than_the_rate_and_the_estimate_is_what_it_takes() {
        for rate in [1, 2, 7, 50, 60, 99, 100, 1000] {
            let start = Instant::now();
            let sent = send(&mut Bucket::new(rate), 1000).await;
            assert!(busiest_minute(&sent) <= rate.min(100) as usize, "{rate}");
            let took = (sent[999] - start).as_secs_f64();
            let estimated = estimate([(1000, rate)]).as_secs_f64();
            assert!((took - estimated).abs() <= 0.01 * estimated, "{rate}: {took} s, {estimated} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn few_calls_at_the_full_rate_leave_at_once() {
        let start = Instant::now();
        assert!(send(&mut Bucket::new(100), 5).await.iter().all(|at| *at == start));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_kept_and_what_follows_is_evenly_spaced() {
        for rate in [1, 30, 99, 100] {
            let mut bucket = Bucket::new(rate);
            let interval = bucket.rhythm.interval;
            let mut sent = send(&mut bucket, 10).await;
            let over = Instant::now() + Duration::from_secs(7);
            bucket.pause(Duration::from_secs(7));
            // The answers of calls that were in flight speak of the same limit.
            bucket.pause(Duration::from_secs(1));
            let after = send(&mut bucket, 50).await;
            assert!(after[0] >= over, "{rate}");
            assert!(after.windows(2).all(|pair| pair[1] - pair[0] >= interval), "{rate}");
            sent.extend(after);
            assert!(busiest_minute(&sent) <= rate as usize, "{rate}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_never_lift_the_rate() {
        for rate in [1, 3, 59, 100] {
            let mut bucket = Bucket::new(rate);
            let mut sent = Vec::new();
            for round in 0..40_usize {
                sent.extend(send(&mut bucket, round % 7).await);
                bucket.pause(Duration::from_millis(10));
            }
            assert!(busiest_minute(&sent) <= rate as usize, "{rate}: {}", busiest_minute(&sent));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_calls_that_are_given_up_cost_nothing() {
        let mut bucket = Bucket::new(60);
        bucket.ready().await;
        bucket.pause(Duration::from_secs(30));
        let waited = tokio::time::timeout(Duration::from_secs(5), bucket.ready()).await;
        assert!(waited.is_err());
        assert_eq!(bucket.remaining(1), Duration::from_secs(25));
        let start = Instant::now();
        bucket.ready().await;
        assert_eq!(start.elapsed(), Duration::from_secs(25));
    }

    #[tokio::test(start_paused = true)]
    async fn what_remains_is_what_it_takes() {
        for (rate, paused) in [(100, false), (100, true), (20, false), (20, true)] {
            let mut bucket = Bucket::new(rate);
            assert_eq!(bucket.remaining(0), Duration::ZERO);
            assert_eq!(bucket.remaining(300), estimate([(300, rate)]));
            send(&mut bucket, 100).await;
            if paused {
                bucket.pause(Duration::from_secs(20));
            }
            let (start, remaining) = (Instant::now(), bucket.remaining(200).as_secs_f64());
            send(&mut bucket, 200).await;
            let took = start.elapsed().as_secs_f64();
            assert!((took - remaining).abs() <= 0.01 * remaining, "{rate}: {took} s, {remaining} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_absurd_pause_ends() {
        let mut bucket = Bucket::new(100);
        bucket.pause(Duration::MAX);
        let start = Instant::now();
        bucket.ready().await;
        assert_eq!(start.elapsed(), MAX_PAUSE);
    }
}
