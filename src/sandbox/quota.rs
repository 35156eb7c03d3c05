//! How many calls are let through: counted per app, tenant and API, as the platform does.
//!
//! The platform does not say whether its minute is fixed or sliding, so a client must hold against each kind.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::route::Api;
use crate::subscription::{AppId, TenantKey};

/// How the window of a quota moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Window {
    /// It begins with the first call after the last one ended.
    Fixed,
    /// Any stretch of time as long as the window.
    Sliding,
    /// A token bucket: full at first, filled evenly.
    Bucket,
}

/// Whose calls are counted together.
pub(super) type Key = (AppId, Option<TenantKey>, Api);

/// A call too many, and how many seconds until one is let through again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exceeded {
    pub(super) reset: u64,
}

#[derive(Debug)]
pub(super) struct Quota {
    window: Window,
    limit: u32,
    length: Duration,
    counts: HashMap<Key, Count>,
}

#[derive(Debug)]
enum Count {
    Fixed { since: Duration, used: u32 },
    Sliding { let_through: VecDeque<Duration> },
    Bucket { full_at: Duration },
}

impl Quota {
    pub(super) fn new(window: Window, limit: u32, length: Duration) -> Self {
        Self { window, limit, length, counts: HashMap::new() }
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    /// Lets a call through and counts it, or says when to come again; a refused call is not counted.
    pub(super) fn take(&mut self, now: Duration, key: Key) -> Result<(), Exceeded> {
        let (window, limit, length) = (self.window, self.limit, self.length);
        let count = self.counts.entry(key).or_insert_with(|| match window {
            Window::Fixed => Count::Fixed { since: now, used: 0 },
            Window::Sliding => Count::Sliding { let_through: VecDeque::new() },
            Window::Bucket => Count::Bucket { full_at: now },
        });
        match count {
            Count::Fixed { since, used } => take_fixed(since, used, now, limit, length),
            Count::Sliding { let_through } => take_sliding(let_through, now, limit, length),
            Count::Bucket { full_at } => take_bucket(full_at, now, limit, length),
        }
        .map_err(|free_at| Exceeded { reset: whole_seconds(free_at.saturating_sub(now)) })
    }
}

// Each takes one call from its window, or gives the time at which it would.

fn take_fixed(
    since: &mut Duration,
    used: &mut u32,
    now: Duration,
    limit: u32,
    length: Duration,
) -> Result<(), Duration> {
    if now.saturating_sub(*since) >= length {
        (*since, *used) = (now, 0);
    }
    if *used >= limit {
        return Err(since.saturating_add(length));
    }
    *used += 1;
    Ok(())
}

fn take_sliding(
    let_through: &mut VecDeque<Duration>,
    now: Duration,
    limit: u32,
    length: Duration,
) -> Result<(), Duration> {
    while let_through.front().is_some_and(|at| now.saturating_sub(*at) >= length) {
        let_through.pop_front();
    }
    if u32::try_from(let_through.len()).is_ok_and(|used| used < limit) {
        let_through.push_back(now);
        return Ok(());
    }
    Err(let_through.front().copied().unwrap_or(now).saturating_add(length))
}

/// The bucket is kept as the one number that says when it will be full again.
fn take_bucket(full_at: &mut Duration, now: Duration, limit: u32, length: Duration) -> Result<(), Duration> {
    let one = length.checked_div(limit).unwrap_or(length);
    let all_but_one = one.saturating_mul(limit.saturating_sub(1));
    let full = (*full_at).max(now);
    if limit == 0 || full.saturating_sub(now) > all_but_one {
        return Err(full.saturating_sub(all_but_one).max(now.saturating_add(Duration::from_nanos(1))));
    }
    *full_at = full.saturating_add(one);
    Ok(())
}

/// Rounded up, so that whoever waits that long is let through; never 0.
fn whole_seconds(duration: Duration) -> u64 {
    let up = u64::from(duration.subsec_nanos() > 0);
    duration.as_secs().saturating_add(up).max(1)
}

#[cfg(test)]
mod tests {
    use super::super::random::Random;
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn key(app: &str, api: Api) -> Key {
        (app.parse().unwrap(), None, api)
    }

    fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// What becomes of one call each at these seconds: 0, or the seconds to wait.
    fn resets(window: Window, limit: u32, seconds: &[f64]) -> Vec<u64> {
        let mut quota = Quota::new(window, limit, MINUTE);
        seconds
            .iter()
            .map(|s| quota.take(at(*s), key("a", Api::Read)).map_or_else(|exceeded| exceeded.reset, |()| 0))
            .collect()
    }

    #[test]
    fn a_hundred_pass_at_once_and_the_next_does_not() {
        for window in [Window::Fixed, Window::Sliding, Window::Bucket] {
            let results = resets(window, 100, &[5.0; 101]);
            assert!(results[..100].iter().all(|reset| *reset == 0), "{window:?}");
            assert_eq!(results[100], if window == Window::Bucket { 1 } else { 60 }, "{window:?}");
        }
    }

    #[test]
    fn the_reset_counts_down_in_whole_seconds_and_is_never_0() {
        let seconds = [0.0, 0.0, 0.5, 1.0, 30.2, 59.0, 59.9, 60.0];
        for window in [Window::Fixed, Window::Sliding] {
            assert_eq!(resets(window, 2, &seconds), [0, 0, 60, 59, 30, 1, 1, 0], "{window:?}");
        }
        // A bucket of 2 a minute gives one back after 30 seconds.
        assert_eq!(resets(Window::Bucket, 2, &[0.0, 0.0, 0.0, 29.5, 30.0, 30.0]), [0, 0, 30, 1, 0, 30]);
    }

    #[test]
    fn windows_differ_around_their_edge() {
        // One call opens a fixed window, the rest of it is used late, and a full new one follows at once:
        // three calls within six seconds, which a sliding window refuses.
        let seconds = [0.0, 55.0, 61.0, 61.0];
        assert_eq!(resets(Window::Fixed, 2, &seconds), [0, 0, 0, 0]);
        assert_eq!(resets(Window::Sliding, 2, &seconds), [0, 0, 0, 54]);
        assert_eq!(resets(Window::Bucket, 2, &seconds), [0, 0, 0, 24]);
    }

    #[test]
    fn apps_and_calls_are_counted_apart() {
        let mut quota = Quota::new(Window::Sliding, 1, MINUTE);
        let tenant = ("a".parse().unwrap(), Some("t".parse().unwrap()), Api::Read);
        for key in [key("a", Api::Read), key("a", Api::Subscribe), key("b", Api::Read), tenant] {
            assert_eq!(quota.take(at(1.0), key.clone()), Ok(()));
            assert_eq!(quota.take(at(1.0), key), Err(Exceeded { reset: 60 }));
        }
    }

    #[test]
    fn whoever_waits_as_told_is_let_through() {
        for window in [Window::Fixed, Window::Sliding, Window::Bucket] {
            for limit in [1, 7, 100] {
                let mut quota = Quota::new(window, limit, MINUTE);
                let mut random = Random::new(u64::from(limit));
                let mut now = Duration::ZERO;
                for _ in 0..5000 {
                    now += Duration::from_millis(random.up_to(400));
                    if let Err(exceeded) = quota.take(now, key("a", Api::Read)) {
                        now += Duration::from_secs(exceeded.reset);
                        assert_eq!(quota.take(now, key("a", Api::Read)), Ok(()), "{window:?} {limit}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_sliding_window_never_lets_more_through_in_any_minute() {
        let mut quota = Quota::new(Window::Sliding, 10, MINUTE);
        let mut random = Random::new(3);
        let (mut now, mut passed) = (Duration::ZERO, Vec::new());
        for _ in 0..5000 {
            now += Duration::from_millis(random.up_to(5000));
            if quota.take(now, key("a", Api::Read)).is_ok() {
                passed.push(now);
            }
        }
        assert!(passed.windows(11).all(|calls| calls[10] - calls[0] >= MINUTE));
    }

    #[test]
    fn a_quota_of_nothing_refuses_everything() {
        for window in [Window::Fixed, Window::Sliding, Window::Bucket] {
            assert!(Quota::new(window, 0, MINUTE).take(at(1.0), key("a", Api::Read)).is_err(), "{window:?}");
        }
    }
}
