//! The rules as a shell holds them: behind a lock, with a clock.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::reply::{Call, Reply};
use super::rules::{Request, Rules};
use super::{Config, Tracked};

#[derive(Debug)]
pub(super) struct Shared {
    rules: Mutex<Rules>,
    start: Instant,
}

impl Shared {
    pub(super) fn new(config: Config) -> Self {
        Self { rules: Mutex::new(Rules::new(config)), start: Instant::now() }
    }

    pub(super) fn draw_latency(&self) -> (Duration, Duration) {
        self.lock().draw_latency()
    }

    /// The time is taken under the lock: calls arrive one after the other.
    pub(super) fn answer(&self, request: &Request<'_>) -> Reply {
        let mut rules = self.lock();
        rules.answer(self.start.elapsed(), request)
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.lock().calls().to_vec()
    }

    pub(super) fn is_subscribed(&self, one: &Tracked) -> bool {
        self.lock().is_subscribed(one)
    }

    fn lock(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
