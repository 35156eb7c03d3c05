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
    pub(super) round_trip: Duration,
    /// How far the bucket keeps them apart.
    pub(super) interval: Duration,
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
        // However the bucket spaces them, no more than so many are under way at once.
        let apart = flow.round_trip / IN_FLIGHT as u32;
        Self { free, next: first, flow: Flow { interval: flow.interval.max(apart), ..flow } }
    }

    pub(super) fn unlimited(flow: Flow) -> Self {
        Self::new(VecDeque::new(), Duration::ZERO, flow)
    }

    /// The calls of a lane that has sent nothing yet.
    fn fresh(rate_per_minute: u32) -> Self {
        let rate = rate_per_minute.clamp(1, MAX_RATE);
        let free = std::iter::repeat_n(Duration::ZERO, rate as usize).collect();
        let interval = bucket::interval(rate);
        Self::new(free, Duration::ZERO, Flow { round_trip: ROUND_TRIP, interval })
    }

    /// When the last of so many calls will be answered; zero for none.
    pub(super) fn end(mut self, calls: u64) -> Duration {
        if calls == 0 {
            return Duration::ZERO;
        }
        let slots = self.free.len() as u64;
        if slots == 0 {
            return times(self.flow.interval, calls - 1) + self.flow.round_trip;
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
        last.saturating_add(times(period, turns)).saturating_add(self.flow.round_trip)
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
pub(super) fn times(duration: Duration, count: u64) -> Duration {
    let nanos = duration.as_nanos().saturating_mul(count.into());
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// How long so many calls of all lanes take where connections are the limit.
pub(super) fn through_connections(calls: u64, round_trip: Duration) -> Duration {
    times(round_trip, calls) / CONNECTIONS as u32
}

/// How long the calls of all lanes take: what the slowest one takes, since lanes run side by side, if each call is
/// answered within a tenth of a second. Each lane is how many calls it has, and its rate per minute.
pub fn estimate(lanes: impl IntoIterator<Item = (u64, u32)>) -> Duration {
    let (mut calls, mut slowest) = (0_u64, Duration::ZERO);
    for (of_lane, rate) in lanes {
        calls = calls.saturating_add(of_lane);
        slowest = slowest.max(Course::fresh(rate).end(of_lane));
    }
    slowest.max(through_connections(calls, ROUND_TRIP))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(lanes: &[(u64, u32)]) -> f64 {
        estimate(lanes.iter().copied()).as_secs_f64()
    }

    #[test]
    fn a_minute_is_waited_for_whenever_the_quota_is_used_up() {
        for (calls, expected) in
            [(0, 0.0), (1, 0.1), (100, 1.3), (101, 60.3), (200, 61.5), (1000, 542.7), (10_000, 5956.2)]
        {
            let estimated = seconds(&[(calls, 100)]);
            assert!((estimated - expected).abs() < 0.1, "{calls}: {estimated}");
        }
    }

    #[test]
    fn a_lower_rate_is_even() {
        for (calls, rate, expected) in [(31, 30, 60.6), (100, 50, 119.9), (2, 1, 60.6), (1000, 1, 60_439.6)] {
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
        assert!(estimate([(u64::MAX, 1)]) >= Duration::from_nanos(u64::MAX));
        // Ten thousand tenants with a hundred calls each, 128 at a time.
        let estimated = estimate(std::iter::repeat_n((100, 100), 10_000)).as_secs();
        assert_eq!(estimated, 1_000_000 / 10 / 128);
    }
}
