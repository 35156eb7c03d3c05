//! The hard limit: a call's slot comes free a minute after the call was answered. Pure; told what time it is.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::Wait;

/// For how long an answered call keeps its slot: a minute, and what two clocks may disagree about its length (a clock
/// that is being set right runs wrong by 1 in 2000 at most).
pub(super) const HELD: Duration = Duration::from_millis(60_050);

/// The slots of one lane.
#[derive(Debug)]
pub(super) struct Slots {
    count: usize,
    /// Of calls that are under way: nobody can say yet when they come free.
    in_flight: usize,
    /// When those of answered calls come free, in order.
    free_at: VecDeque<Instant>,
}

/// A slot that is free, and not taken yet.
pub(super) struct Free<'a>(&'a mut Slots);

impl Free<'_> {
    pub(super) fn take(self) {
        self.0.in_flight += 1;
    }
}

impl Slots {
    /// All free but those of calls that were answered `sent_before` ago.
    pub(super) fn new(count: u32, now: Instant, sent_before: &[Duration]) -> Self {
        let free_at = sent_before.iter().map(|age| now + HELD.saturating_sub(*age));
        let mut free_at: Vec<Instant> = free_at.filter(|at| *at > now).collect();
        free_at.sort_unstable();
        Self { count: count as usize, in_flight: 0, free_at: free_at.into() }
    }

    /// A free slot.
    ///
    /// # Errors
    /// There is none, and when to ask again.
    pub(super) fn free(&mut self, now: Instant) -> Result<Free<'_>, Wait> {
        while self.free_at.front().is_some_and(|at| *at <= now) {
            self.free_at.pop_front();
        }
        let taken = self.in_flight + self.free_at.len();
        match taken.checked_sub(self.count) {
            None => Ok(Free(self)),
            // More than all of them are taken where an earlier run's rate was higher, or its calls were cut off.
            Some(surplus) => Err(self.free_at.get(surplus).map_or(Wait::Answer, |at| Wait::Until(*at))),
        }
    }

    /// A call that had a slot was answered now.
    pub(super) fn answered(&mut self, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.free_at.push_back(now + HELD);
    }

    /// In how long each slot will be free, in order, if what is under way is answered within `round_trip`.
    pub(super) fn free_in(&self, now: Instant, round_trip: Duration) -> VecDeque<Duration> {
        let answered = self.free_at.iter().map(|at| at.saturating_duration_since(now));
        let in_flight = std::iter::repeat_n(round_trip + HELD, self.in_flight);
        let surplus = (self.in_flight + self.free_at.len()).saturating_sub(self.count);
        let unused = self.count.saturating_sub(self.in_flight + self.free_at.len());
        std::iter::repeat_n(Duration::ZERO, unused).chain(answered).chain(in_flight).skip(surplus).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn take(slots: &mut Slots, now: Instant) -> Result<(), Wait> {
        slots.free(now).map(Free::take)
    }

    #[test]
    fn a_slot_comes_free_a_minute_after_the_answer_not_after_the_call() {
        let start = Instant::now();
        let mut slots = Slots::new(1, start, &[]);
        assert_eq!(take(&mut slots, start), Ok(()));
        assert_eq!(take(&mut slots, start + 600 * SECOND), Err(Wait::Answer));
        let answered = start + 700 * SECOND;
        slots.answered(answered);
        assert_eq!(take(&mut slots, answered + 60 * SECOND), Err(Wait::Until(answered + HELD)));
        assert_eq!(take(&mut slots, answered + HELD), Ok(()));
    }

    #[test]
    fn what_an_earlier_run_sent_takes_slots_until_its_minute_is_over() {
        let now = Instant::now();
        let ages = [59 * SECOND, 61 * SECOND, Duration::ZERO, 30 * SECOND];
        let mut slots = Slots::new(4, now, &ages);
        assert_eq!(slots.free_in(now, SECOND)[0], Duration::ZERO);
        assert_eq!(take(&mut slots, now), Ok(()));
        assert_eq!(take(&mut slots, now), Err(Wait::Until(now + HELD - 59 * SECOND)));
        assert_eq!(take(&mut slots, now + 2 * SECOND), Ok(()));
    }

    #[test]
    fn more_earlier_calls_than_slots_are_waited_for_down_to_the_last_free_one() {
        let now = Instant::now();
        let ages: Vec<Duration> = (0..10).map(|age| age * SECOND).collect();
        let mut slots = Slots::new(3, now, &ages);
        let third_newest = now + HELD - 2 * SECOND;
        assert_eq!(take(&mut slots, now), Err(Wait::Until(third_newest)));
        assert_eq!(slots.free_in(now, SECOND).len(), 3);
        assert_eq!(take(&mut slots, third_newest), Ok(()));
    }
}
