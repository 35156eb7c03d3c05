//! How long the right to write lasts, by a clock that goes on while the machine sleeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// The right to write, as whoever is about to send a call asks for it.
#[derive(Debug, Clone)]
pub struct Hold {
    /// In milliseconds of [`now`].
    until: Arc<AtomicU64>,
    is_lost: Arc<AtomicBool>,
}

impl Hold {
    /// One that lasts so long from an instant on.
    #[cfg(any(feature = "s3", feature = "gcs", feature = "azure", test))]
    pub(super) fn new(from: Duration, ttl: Duration) -> Self {
        let hold = Self { until: Arc::default(), is_lost: Arc::default() };
        hold.renew(from, ttl);
        hold
    }

    /// It lasts so long from that instant on, at which the renewal was asked for.
    #[cfg(any(feature = "s3", feature = "gcs", feature = "azure", test))]
    pub(super) fn renew(&self, from: Duration, ttl: Duration) {
        let until = u64::try_from((from + ttl).as_millis()).unwrap_or(u64::MAX);
        self.until.store(until, Ordering::SeqCst);
    }

    /// Somebody else has it.
    #[cfg(any(feature = "s3", feature = "gcs", feature = "azure", test))]
    pub(super) fn lose(&self) {
        self.is_lost.store(true, Ordering::SeqCst);
    }

    /// Whether it was taken by somebody else.
    pub fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::SeqCst)
    }

    /// Whether it lasts at this instant.
    pub fn is_good(&self) -> bool {
        !self.is_lost() && now().as_millis() < u128::from(self.until.load(Ordering::SeqCst))
    }
}

/// Time since the machine started, the time that it slept included.
pub(super) fn now() -> Duration {
    #[cfg(target_os = "linux")]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Boottime;
    // There it goes on in sleep as well.
    #[cfg(not(target_os = "linux"))]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
    let now = rustix::time::clock_gettime(CLOCK);
    let (seconds, nanos) = (u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0));
    Duration::new(seconds, nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_ends_when_its_time_is_over_or_somebody_else_has_it() {
        let hold = Hold::new(now(), Duration::from_secs(60));
        assert!(hold.is_good());
        // The renewal was asked for a minute ago: what came in between was sleep.
        let ago = now().saturating_sub(Duration::from_secs(61));
        hold.renew(ago, Duration::from_secs(60));
        assert!(!hold.is_good() && !hold.is_lost());
        hold.renew(now(), Duration::from_secs(60));
        assert!(hold.is_good());
        hold.lose();
        assert!(!hold.is_good());
    }
}
