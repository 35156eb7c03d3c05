//! The token bucket of one lane, which shapes its flow.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

use super::MAX_RATE;
use super::clock::{Tick, TokioClock};

/// The longest pause that is kept: beyond it, a run that waits is of no use to anyone.
const MAX_PAUSE: Duration = Duration::from_secs(24 * 3600);

/// A minute of evenly spaced calls, and half a second in which they may be under way: their slots are free again
/// when they are due.
const EVEN_MINUTE: Duration = Duration::from_millis(60_500);

/// The furthest that calls are kept apart where somebody else sends, too.
const MAX_INTERVAL: Duration = Duration::from_secs(10);

/// After so many calls without a rate limit they move a little closer together again.
const QUIET: u32 = 10;

/// Lets calls leave at a rate: in one burst, or evenly spaced.
#[derive(Debug)]
pub(super) struct Bucket {
    limiter: Limiter,
    /// Between two calls, once they are evenly spaced; never below `least`.
    interval: Duration,
    least: Duration,
    is_even: bool,
    has_paused: bool,
    /// How many calls have left since the interval changed.
    since: u32,
    /// When the newest call left.
    last: Option<Instant>,
    /// Nothing leaves before.
    not_before: Option<Instant>,
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Tick>>;

impl Bucket {
    /// A lane that has sent nothing yet. At the platform's own rate, a minute's calls may leave at once: the slots
    /// see to it that no more follow within the minute. Who sets a lower rate leaves the rest to somebody else,
    /// who wants to send between these calls, not after all of them.
    pub(super) fn new(rate_per_minute: u32) -> Self {
        let rate = NonZeroU32::new(rate_per_minute).unwrap_or(NonZeroU32::MIN);
        let is_even = rate_per_minute < MAX_RATE;
        let interval = EVEN_MINUTE / rate.get();
        let limiter = if is_even { even(interval) } else { limiter(Quota::per_minute(rate)) };
        Self {
            limiter,
            interval,
            least: interval,
            is_even,
            has_paused: false,
            since: 0,
            last: None,
            not_before: None,
        }
    }

    /// Counts a call as leaving now.
    ///
    /// # Errors
    /// It may not leave now, but then; nothing was counted.
    pub(super) fn take(&mut self) -> Result<(), Instant> {
        let now = Instant::now();
        if let Some(not_before) = self.not_before.filter(|not_before| now < *not_before) {
            return Err(not_before);
        }
        self.limiter.check().map_err(|not_until| not_until.earliest_possible().0)?;
        self.not_before = None;
        self.last = Some(now);
        self.since += 1;
        if self.since >= QUIET && self.interval > self.least {
            self.space((self.interval - self.least / 10).max(self.least));
        }
        Ok(())
    }

    /// Lets nothing leave for `reset`, and from then on evenly spaced calls; further apart where that was not enough
    /// the last time, since then somebody else sends, too.
    pub(super) fn pause(&mut self, reset: Duration) {
        let wider = if self.has_paused && self.since > 0 { self.interval / 4 } else { Duration::ZERO };
        (self.is_even, self.has_paused) = (true, true);
        self.space(self.interval.saturating_add(wider).min(MAX_INTERVAL.max(self.least)));
        let now = Instant::now();
        let over = now.checked_add(reset.min(MAX_PAUSE)).unwrap_or(now);
        self.not_before = self.not_before.max(Some(over));
    }

    /// Spaces the calls evenly from the newest one on.
    fn space(&mut self, interval: Duration) {
        // A limiter's quota cannot be changed; a fresh one knows nothing of the calls before it, so the
        // interval to the newest of them is kept here.
        self.limiter = even(interval);
        (self.interval, self.since) = (interval, 0);
        let spaced = self.last.and_then(|last| last.checked_add(interval));
        self.not_before = self.not_before.max(spaced);
    }

    /// In how long the next call may leave, and how far the ones after it are apart.
    pub(super) fn ahead(&self, now: Instant) -> (Duration, Duration) {
        if !self.is_even {
            return (Duration::ZERO, Duration::ZERO);
        }
        let spaced = self.last.and_then(|last| last.checked_add(self.interval));
        let next = self.not_before.max(spaced);
        (next.map_or(Duration::ZERO, |next| next.saturating_duration_since(now)), self.interval)
    }
}

/// How far apart the calls of a lane are that has not been told to pause.
pub(super) fn interval(rate_per_minute: u32) -> Duration {
    if rate_per_minute < MAX_RATE { EVEN_MINUTE / rate_per_minute.max(1) } else { Duration::ZERO }
}

fn even(interval: Duration) -> Limiter {
    // The interval is never zero, so the fallback is never taken; it exists because a quota is made fallibly.
    limiter(Quota::with_period(interval).unwrap_or_else(|| Quota::per_minute(NonZeroU32::MIN)))
}

fn limiter(quota: Quota) -> Limiter {
    RateLimiter::direct_with_clock(quota, TokioClock)
}
