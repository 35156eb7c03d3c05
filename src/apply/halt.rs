//! What ends a run early: a signal, a stop of an app or a tenant, a ledger that cannot be written.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rustix::process::{Pid, getppid};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use crate::report::{Signal, Stopped};
use crate::state::shared::Hold;
use crate::subscription::{AppLabel, TenantKey};

/// How long calls in flight are waited for after a signal.
const GRACE: Duration = Duration::from_secs(5);

/// What ends a run cleanly.
#[derive(Debug)]
pub struct Stop {
    /// A signal, once there is one.
    pub signal: watch::Receiver<Option<Signal>>,
    /// The process that must go on living: without it nobody waits for this run any more. None where any may.
    pub parent: Option<Pid>,
}

/// Who may still send.
#[derive(Debug)]
pub struct Halt {
    stop: Stop,
    /// The right to write to a shared ledger, which may end.
    hold: Option<Hold>,
    has_let_go: Cell<bool>,
    is_orphan: Cell<bool>,
    stopped: RefCell<BTreeSet<(AppLabel, Option<TenantKey>)>>,
    is_broken: Cell<bool>,
    was_cut_short: Cell<bool>,
    unknowns: RefCell<BTreeMap<AppLabel, u32>>,
    /// When the signal was first seen.
    signalled_at: Cell<Option<Instant>>,
    changed: Notify,
}

impl Halt {
    /// Nothing is stopped yet. Once `hold` has ended, nothing more is sent.
    pub fn new(stop: Stop, hold: Option<Hold>) -> Self {
        Self {
            stop,
            hold,
            has_let_go: Cell::new(false),
            is_orphan: Cell::new(false),
            stopped: RefCell::default(),
            is_broken: Cell::new(false),
            was_cut_short: Cell::new(false),
            unknowns: RefCell::default(),
            signalled_at: Cell::new(None),
            changed: Notify::new(),
        }
    }

    /// The signal, once there was one; a parent that is gone counts as SIGTERM.
    pub fn signal(&self) -> Option<Signal> {
        if self.stop.parent.is_some() && getppid() != self.stop.parent {
            self.is_orphan.set(true);
        }
        let orphaned = self.is_orphan.get().then_some(Signal::Terminate);
        self.stop.signal.borrow().or(orphaned)
    }

    /// Whether a signal kept a call from its verdict.
    pub fn cut_short(&self) -> bool {
        self.was_cut_short.get()
    }

    /// Notes that a signal kept a call from its verdict.
    pub fn note_cut_short(&self) {
        self.was_cut_short.set(true);
    }

    /// Stops an app, or one of its tenants. False where it was stopped already.
    pub fn stop(&self, stopped: &Stopped) -> bool {
        let is_new = self.stopped.borrow_mut().insert((stopped.app.clone(), stopped.tenant_key.clone()));
        self.changed.notify_waiters();
        is_new
    }

    /// Counts one more unknown outcome of an app; says how many it has had in a row, in all its tenants.
    pub fn count_unknown(&self, app: &AppLabel) -> u32 {
        let mut unknowns = self.unknowns.borrow_mut();
        let count = unknowns.entry(app.clone()).or_default();
        *count += 1;
        *count
    }

    /// Notes that an app has been given a verdict.
    pub fn end_unknowns(&self, app: &AppLabel) {
        self.unknowns.borrow_mut().remove(app);
    }

    /// Stops everything: the ledger cannot be written.
    pub fn break_off(&self) {
        self.is_broken.set(true);
        self.changed.notify_waiters();
    }

    /// Whether the right to write has ended; it does not come back in this run.
    pub fn has_let_go(&self) -> bool {
        if self.hold.as_ref().is_some_and(|hold| !hold.is_good()) {
            self.has_let_go.set(true);
        }
        self.has_let_go.get()
    }

    /// Whether a lane may not send any more.
    pub fn holds(&self, app: &AppLabel, tenant_key: Option<&TenantKey>) -> bool {
        if self.is_broken.get() || self.has_let_go() || self.signal().is_some() {
            return true;
        }
        let stopped = self.stopped.borrow();
        let is_stopped =
            |tenant_key: Option<&TenantKey>| stopped.contains(&(app.clone(), tenant_key.cloned()));
        !stopped.is_empty() && (is_stopped(None) || is_stopped(tenant_key))
    }

    /// What `wait` comes to; none where the lane may not send any more, before or after.
    pub async fn unless_held<T>(
        &self,
        app: &AppLabel,
        tenant_key: Option<&TenantKey>,
        wait: impl Future<Output = T>,
    ) -> Option<T> {
        let held = async {
            loop {
                let changed = self.changed.notified();
                if self.holds(app, tenant_key) {
                    return;
                }
                tokio::select! {
                    () = changed => {}
                    () = self.signalled() => return,
                }
            }
        };
        tokio::select! {
            biased;
            () = held => None,
            came_to = wait => Some(came_to).filter(|_| !self.holds(app, tenant_key)),
        }
    }

    /// Waits for an answer, but not longer than the grace after a signal.
    pub async fn within_grace<T>(&self, answer: impl Future<Output = T>) -> Option<T> {
        let given_up = async {
            self.signalled().await;
            let first = self.signalled_at.get().unwrap_or_else(Instant::now);
            self.signalled_at.set(Some(first));
            sleep_until(first + GRACE).await;
        };
        tokio::select! {
            biased;
            answer = answer => Some(answer),
            () = given_up => None,
        }
    }

    /// Waits for a signal.
    pub async fn signalled(&self) {
        let mut signal = self.stop.signal.clone();
        // A sender that is gone can signal no more.
        if signal.wait_for(Option::is_some).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
