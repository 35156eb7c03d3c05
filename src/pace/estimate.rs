//! How long calls take at a pace: its arithmetic, without a clock.

use std::collections::VecDeque;
use std::time::Duration;

use super::bucket;
use super::slots::HELD;
use super::{CONNECTIONS, IN_FLIGHT, MAX_RATE};

/// How long a call is taken to be under way before one was: what the platform's answers take across a continent.
pub(super) const ROUND_TRIP: Duration = Duration::from_millis(100);

/// How calls follow each other where no slot is missing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flow {
    /// How long each is under way.
    round_trip: Duration,
    /// How far they are apart.
    interval: Duration,
    /// How long all lanes' calls take where connections are the limit.
    least: Duration,
}

impl Flow {
    /// The calls of a lane that has so many of all that are left: so many of the connections are its own, but no
    /// more than may be under way at once.
    pub(super) fn shared(round_trip: Duration, calls: u64, of_all: u64) -> Self {
        let share = |of_all: u64| times(round_trip, of_all) / CONNECTIONS as u32;
        let lanes = of_all / calls.max(1);
        let interval = (round_trip / IN_FLIGHT as u32).max(share(lanes));
        Self { round_trip, interval, least: share(of_all) }
    }

    /// The same, kept apart that far by the bucket.
    pub(super) fn apart(self, interval: Duration) -> Self {
        Self { interval: self.interval.max(interval), ..self }
    }
}

/// The calls ahead, from now on.
#[derive(Debug)]
pub(super) struct Course {
    /// In how long each slot will be free, in order; none where slots are no limit.
    free: VecDeque<Duration>,
    /// When the next call may leave.
    next: Duration,
    flow: Flow,
}

impl Course {
    pub(super) fn new(free: VecDeque<Duration>, first: Duration, flow: Flow) -> Self {
        Self { free, next: first, flow }
    }

    /// When the last of so many calls will be answered; zero for none.
    pub(super) fn end(mut self, calls: u64) -> Duration {
        if calls == 0 {
            return Duration::ZERO;
        }
        let least = self.flow.least;
        let slots = self.free.len() as u64;
        if slots == 0 {
            return (times(self.flow.interval, calls - 1).saturating_add(self.flow.round_trip)).max(least);
        }
        // Once every slot has had its turn, each turn repeats the one before, a period later.
        let held = HELD.saturating_add(self.flow.round_trip);
        let period = held.max(times(self.flow.interval, slots));
        let first = calls.min(slots);
        let turns = (calls - first) / slots;
        let mut last = self.send(first);
        let rest = (calls - first) % slots;
        if rest > 0 {
            last = self.send(rest);
        }
        last.saturating_add(times(period, turns)).saturating_add(self.flow.round_trip).max(least)
    }

    /// Sends so many calls; when the last of them leaves.
    fn send(&mut self, calls: u64) -> Duration {
        let mut last = self.next;
        for _ in 0..calls {
            let free = self.free.pop_front().unwrap_or_default();
            last = self.next.max(free);
            self.free.push_back(last.saturating_add(HELD).saturating_add(self.flow.round_trip));
            self.next = last.saturating_add(self.flow.interval);
        }
        last
    }
}

/// About 584 years at most.
fn times(duration: Duration, count: u64) -> Duration {
    let nanos = duration.as_nanos().saturating_mul(count.into());
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// How long the calls of all lanes take: what the slowest one takes, since lanes run side by side, if each call is
/// answered within a tenth of a second. Each lane is how many calls it has, and its rate per minute.
pub fn estimate(lanes: &[(u64, u32)]) -> Duration {
    let of_all = lanes.iter().fold(0_u64, |sum, (calls, _)| sum.saturating_add(*calls));
    let ends = lanes.iter().map(|(calls, rate)| {
        let rate = (*rate).clamp(1, MAX_RATE);
        let free = std::iter::repeat_n(Duration::ZERO, rate as usize).collect();
        let flow = Flow::shared(ROUND_TRIP, *calls, of_all).apart(bucket::interval(rate));
        // The first call goes alone.
        let first = if *calls > 1 { ROUND_TRIP } else { Duration::ZERO };
        Course::new(free, first, flow).end(*calls)
    });
    ends.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(lanes: &[(u64, u32)]) -> f64 {
        estimate(lanes).as_secs_f64()
    }

    #[test]
    fn a_minute_is_waited_for_whenever_the_quota_is_used_up() {
        for (calls, expected) in
            [(0, 0.0), (1, 0.1), (100, 1.4), (101, 60.4), (200, 61.6), (1000, 542.8), (10_000, 5956.3)]
        {
            let estimated = seconds(&[(calls, 100)]);
            assert!((estimated - expected).abs() < 0.1, "{calls}: {estimated}");
        }
    }

    #[test]
    fn a_lower_rate_is_even() {
        for (calls, rate, expected) in [(31, 30, 60.7), (100, 50, 120.0), (2, 1, 60.6), (1000, 1, 60_439.6)] {
            let estimated = seconds(&[(calls, rate)]);
            assert!((estimated - expected).abs() < 0.1 + expected * 0.001, "{calls} at {rate}: {estimated}");
        }
    }

    #[test]
    fn the_slowest_lane_decides_until_the_connections_do() {
        assert_eq!(seconds(&[]), 0.0);
        assert_eq!(seconds(&[(1000, 100), (10, 60), (1, 1)]), seconds(&[(1000, 100)]));
        assert_eq!(seconds(&[(61, 0)]), seconds(&[(61, 1)]));
        assert_eq!(seconds(&[(61, u32::MAX)]), seconds(&[(61, 100)]));
        assert!(estimate(&[(u64::MAX, 1)]) >= Duration::from_nanos(u64::MAX));
        // Ten thousand tenants with a hundred calls each, 128 at a time.
        let estimated = estimate(&[(100, 100); 10_000]).as_secs();
        assert_eq!(estimated, 1_000_000 / 10 / 128);
    }
}
