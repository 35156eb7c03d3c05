//! How long calls take at a pace: the bucket's arithmetic, without a clock.

use std::num::NonZeroU32;
use std::time::Duration;

/// The platform's own limit for one app in one tenant.
const MAX_RATE: u32 = 100;
/// Calls that may leave at once at the full rate: a first answer soon, for few calls no wait at all.
const FULL_RATE_BURST: NonZeroU32 = match NonZeroU32::new(5) {
    Some(burst) => burst,
    None => NonZeroU32::MIN,
};
/// What is left of the full rate for the even stream, once a burst may come on top.
const FULL_RATE_STREAM: u32 = MAX_RATE - FULL_RATE_BURST.get();
/// A minute and the clocks' disagreement about it.
const WINDOW: Duration = Duration::from_millis(60_500);

/// A burst, and then one call every interval.
///
/// In any stretch of 60 s at most `burst + ⌊60 s / interval⌋` calls leave, which is within the rate by choice of
/// the two: 5 + 94 at 100 a minute, 1 + (r − 1) at a lower rate r.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rhythm {
    pub(super) burst: NonZeroU32,
    pub(super) interval: Duration,
}

impl Rhythm {
    /// The rhythm of a fresh lane. A rate beyond the platform's own is that one; 0 is 1.
    pub(super) fn fresh(rate_per_minute: u32) -> Self {
        let rate = rate_per_minute.clamp(1, MAX_RATE);
        let (burst, stream) =
            if rate == MAX_RATE { (FULL_RATE_BURST, FULL_RATE_STREAM) } else { (NonZeroU32::MIN, rate) };
        Self { burst, interval: WINDOW / stream.max(1) }
    }

    /// The same interval, without a burst.
    pub(super) fn even(self) -> Self {
        Self { burst: NonZeroU32::MIN, ..self }
    }

    /// From the first call's sending to the last one's, when nothing else holds them up.
    pub(super) fn duration(self, calls: u64) -> Duration {
        self.stretch(calls.saturating_sub(self.burst.get().into()))
    }

    /// That many intervals; about 584 years at most.
    pub(super) fn stretch(self, intervals: u64) -> Duration {
        let nanos = self.interval.as_nanos().saturating_mul(intervals.into());
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// How long the calls of all lanes take: what the slowest one takes, since lanes run side by side. Each lane is
/// how many calls it has, and its rate per minute. The platform's own time to answer comes on top.
pub fn estimate(lanes: impl IntoIterator<Item = (u64, u32)>) -> Duration {
    lanes.into_iter().map(|(calls, rate)| Rhythm::fresh(rate).duration(calls)).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_lane_decides() {
        assert_eq!(estimate([]), Duration::ZERO);
        assert_eq!(estimate([(0, 100), (5, 100), (1, 1)]), Duration::ZERO);
        assert_eq!(estimate([(2, 1)]), Duration::from_millis(60_500));
        assert_eq!(estimate([(100, 100)]), Rhythm::fresh(100).interval * 95);
        assert_eq!(estimate([(1000, 100), (10, 60), (11, 1)]).as_secs(), 633);
        assert_eq!(estimate([(u64::MAX, 1)]), Duration::from_nanos(u64::MAX));
        assert_eq!(estimate([(61, 0)]), estimate([(61, 1)]));
        assert_eq!(estimate([(61, u32::MAX)]), estimate([(61, 100)]));
    }
}
