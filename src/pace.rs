//! When a call may be sent: how much, how often; not what.
//!
//! The calls of one lane, that is, of one app in one tenant, obey a [`Pace`]. Two limits make it up, and both have to
//! let a call go:
//!
//! - `slots`: the hard one. As many as the platform allows in a minute; a call takes one when it leaves, and gives
//!   it back a minute after its *answer*. So in no 60 seconds more calls reach the server than there are slots,
//!   however long each of them was under way.
//! - `bucket`: governor's token bucket, which shapes the flow. At the platform's own rate it lets a minute's calls
//!   leave at once; at a lower one, and after the platform has asked for a pause, it spaces them evenly.
//!
//! Everything runs on tokio's clock, so a test of ten thousand calls takes no time.

mod bucket;
mod clock;
mod estimate;
mod slots;

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use bucket::Bucket;
pub use estimate::estimate;
use estimate::{Course, Flow};
use slots::Slots;

/// The most calls of one lane that are under way at once: enough to use up a minute's quota in seconds, and few
/// enough to be waited for when the platform stops answering.
pub const IN_FLIGHT: usize = 8;

/// The most calls of all lanes that are under way at once, each with a connection of its own: well below the
/// 256 open files that some systems allow a process.
pub const CONNECTIONS: usize = 128;

/// The platform's own limit for one app in one tenant. Source: the page of the unsubscribe call.
const MAX_RATE: u32 = 100;

/// How many calls a lane may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// In any 60 seconds; kept within 1 and the platform's own limit.
    PerMinute(u32),
    /// As many as can be under way at once: for measuring what else costs time, against a sandbox without a quota.
    Unlimited,
}

/// Why a call may not leave now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// It is worth asking again then, and no sooner.
    Until(Instant),
    /// Every slot belongs to a call that is under way: one has to be answered first.
    Answer,
}

/// The pace of one lane.
#[derive(Debug)]
pub struct Pace {
    limits: Option<Limits>,
    /// How long a call is under way, on average.
    round_trip: Duration,
    /// Whether nothing has been answered yet.
    is_fresh: bool,
}

#[derive(Debug)]
struct Limits {
    slots: Slots,
    bucket: Bucket,
}

impl Pace {
    /// The pace of a lane whose calls of the last minute, in earlier runs, were answered that long ago.
    pub fn new(rate: Rate, sent_before: &[Duration]) -> Self {
        let limits = match rate {
            Rate::Unlimited => None,
            Rate::PerMinute(rate) => {
                let rate = rate.clamp(1, MAX_RATE);
                Some(Limits {
                    slots: Slots::new(rate, Instant::now(), sent_before),
                    bucket: Bucket::new(rate),
                })
            }
        };
        Self { limits, round_trip: estimate::ROUND_TRIP, is_fresh: true }
    }

    /// Counts a call as leaving now, if it may.
    ///
    /// # Errors
    /// It may not, and nothing was counted.
    pub fn take(&mut self) -> Result<(), Wait> {
        let Some(limits) = &mut self.limits else { return Ok(()) };
        let slot = limits.slots.free(Instant::now())?;
        limits.bucket.take().map_err(Wait::Until)?;
        slot.take();
        Ok(())
    }

    /// Gives back the slot of a call that was answered now, or given up, after it was under way for so long.
    pub fn answered(&mut self, took: Duration) {
        if let Some(limits) = &mut self.limits {
            limits.slots.answered(Instant::now());
        }
        self.is_fresh = false;
        // An eighth of each new one: some calls are slow, and one of them says little of the next.
        self.round_trip = (self.round_trip.saturating_mul(7).saturating_add(took)) / 8;
    }

    /// Sends nothing for `reset`, and goes on evenly spaced for as long as the lane lives. Of several pauses the
    /// one that ends last counts.
    pub fn pause(&mut self, reset: Duration) {
        if let Some(limits) = &mut self.limits {
            limits.bucket.pause(reset);
        }
    }

    /// How long it takes from now on until `calls` more have been answered, when nothing else holds them up;
    /// `of_all` is how many are left in all lanes, with which these share the connections.
    pub fn remaining(&self, calls: u64, of_all: u64) -> Duration {
        let flow = Flow::shared(self.round_trip, calls, of_all);
        let now = Instant::now();
        let course = match &self.limits {
            None => Course::new(VecDeque::new(), Duration::ZERO, flow),
            Some(limits) => {
                let (first, interval) = limits.bucket.ahead(now);
                let free = limits.slots.free_in(now, self.round_trip);
                Course::new(free, first, flow.apart(interval))
            }
        };
        // The first call goes alone.
        let alone = if self.is_fresh && calls > 1 { self.round_trip } else { Duration::ZERO };
        course.end(calls).saturating_add(alone)
    }
}

#[cfg(test)]
mod tests;
