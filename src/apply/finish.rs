//! When the lanes of a run will be through.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

/// When each lane will be through. Kept sorted: there may be thousands, and each outcome asks for the last one.
#[derive(Debug)]
pub(crate) struct Finish(RefCell<Times>);

#[derive(Debug)]
struct Times {
    of: Vec<Instant>,
    sorted: BTreeSet<(Instant, usize)>,
}

impl Finish {
    /// The lanes, in order.
    pub fn new(of: Vec<Instant>) -> Self {
        let sorted = of.iter().enumerate().map(|(lane, at)| (*at, lane)).collect();
        Self(RefCell::new(Times { of, sorted }))
    }

    /// A lane will be through then.
    pub fn set(&self, lane: usize, at: Instant) {
        let Times { of, sorted } = &mut *self.0.borrow_mut();
        if let Some(known) = of.get_mut(lane) {
            sorted.remove(&(*known, lane));
            sorted.insert((at, lane));
            *known = at;
        }
    }

    /// How long the rest of the run takes: what its slowest lane does.
    pub fn remaining(&self) -> Duration {
        let times = self.0.borrow();
        times.sorted.last().map_or(Duration::ZERO, |(at, _)| at.saturating_duration_since(Instant::now()))
    }
}
