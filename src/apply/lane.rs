//! One app in one tenant: its calls, up to eight at a time, each with its intent and its outcome.
//!
//! The first call goes alone, and so does every next one until the platform has given a verdict: a wrong credential
//! or a platform that is down costs one call, not eight.

use std::cell::{Cell, RefCell};
use std::slice;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use tokio::sync::{Mutex, Notify, SemaphorePermit};
use tokio::time::{Instant, sleep, sleep_until};

use super::send::send;
use super::{Call, Lane, Shared, settled};
use crate::feishu::Platform;
use crate::pace::{IN_FLIGHT, Pace, Wait};
use crate::report::{Event, Unrecorded};
use crate::state::Record;
use crate::state::record::{Intent, Outcome};

/// A lane that is being worked on, as its workers share it.
pub(crate) struct Running<'a, P> {
    pub lane: &'a Lane,
    pub shared: &'a Shared<'a, P>,
    /// Which of the run's lanes it is.
    index: usize,
    pace: RefCell<Pace>,
    /// What has not been begun yet.
    calls: RefCell<slice::Iter<'a, Call>>,
    /// How many calls have been begun and have no outcome yet.
    open: Cell<usize>,
    /// How many of those have to be sent again.
    again: Cell<u64>,
    /// Whether the platform's newest answer was a verdict.
    has_verdict: Cell<bool>,
    pub rate_limits: RateLimits,
    /// Held by whoever is next to begin a call.
    door: Mutex<()>,
    /// Held by whoever is next to send one, for the first time or again.
    turn: Mutex<()>,
    /// A call was answered, or has its outcome.
    changed: Notify,
}

/// The rate limits that the platform has answered with, one after the other.
#[derive(Debug, Default)]
pub(crate) struct RateLimits {
    in_row: Cell<u32>,
    paused_at: Cell<Option<Instant>>,
}

impl RateLimits {
    /// Counts the answer to a call that was sent then. None where it says nothing new: the call was under way when
    /// the one before it was answered.
    pub fn count(&self, sent_at: Instant) -> Option<u32> {
        if self.paused_at.get().is_some_and(|paused_at| sent_at < paused_at) {
            return None;
        }
        self.paused_at.set(Some(Instant::now()));
        self.in_row.set(self.in_row.get() + 1);
        Some(self.in_row.get())
    }

    /// Notes an answer of another kind.
    pub fn end(&self) {
        self.in_row.set(0);
    }
}

/// A call's right to a connection.
pub(crate) type Connection<'a> = SemaphorePermit<'a>;

/// An outcome that is not recorded yet, and the call it belongs to.
type Unwritten<'a> = (&'a Call, Outcome<'static>);

/// Makes the calls of a lane until they are done or the run is held.
pub(crate) async fn run<P: Platform>(lane: &Lane, index: usize, pace: Pace, shared: &Shared<'_, P>) {
    let running = Running {
        lane,
        shared,
        index,
        pace: RefCell::new(pace),
        calls: RefCell::new(lane.calls.iter()),
        open: Cell::new(0),
        again: Cell::new(0),
        has_verdict: Cell::new(false),
        rate_limits: RateLimits::default(),
        door: Mutex::new(()),
        turn: Mutex::new(()),
        changed: Notify::new(),
    };
    let workers = lane.calls.len().min(IN_FLIGHT);
    join_all((0..workers).map(|_| work(&running))).await;
    let rest = running.calls.take();
    shared.unsent.set(shared.unsent.get().saturating_sub(rest.len() as u64));
    shared.report.borrow_mut().pending.extend(rest.map(|call| lane.key(call)));
    shared.finish.set(index, Instant::now());
}

/// One worker: a call, and the next one.
async fn work<'a, P: Platform>(running: &Running<'a, P>) {
    let mut unwritten: Option<Unwritten<'a>> = None;
    loop {
        // Where the next call may leave at once, the last outcome and the next intent share one sync.
        let mut next = running.next().now_or_never().flatten();
        if next.is_none() {
            if !write(running, unwritten.take(), None).await {
                break;
            }
            next = running.next().await;
        }
        let Some((call, connection)) = next else { break };
        if !write(running, unwritten.take(), Some(call)).await {
            running.shared.report.borrow_mut().pending.push(running.lane.key(call));
            break;
        }
        // On the heap, so that a worker that waits is small: there may be thousands of lanes.
        let outcome = Box::pin(send(running, call, connection)).await;
        running.open.set(running.open.get() - 1);
        running.changed.notify_waiters();
        running.foresee(0);
        unwritten = Some((call, outcome));
    }
    write(running, unwritten, None).await;
}

impl<'a, P> Running<'a, P> {
    /// The next call, once it may leave; none where there is no more, or the run is held. Dropped while it waits,
    /// it has taken nothing.
    async fn next(&self) -> Option<(&'a Call, Connection<'a>)> {
        let ready = async {
            let first_in_line = self.door.lock().await;
            while self.open.get() >= self.most_open() {
                self.changed.notified().await;
            }
            // Whoever waits for a call that is not there waits for nothing.
            let is_more = self.calls.borrow().len() > 0;
            let connection = if is_more { self.ready().await } else { None };
            connection.map(|connection| (first_in_line, connection))
        };
        // A call is taken from the rest only once nothing can keep it from being sent.
        let (_first_in_line, connection) = self.unless_held(ready).await.flatten()?;
        let call = self.calls.borrow_mut().next()?;
        self.open.set(self.open.get() + 1);
        self.shared.unsent.set(self.shared.unsent.get().saturating_sub(1));
        Some((call, connection))
    }

    /// Waits until one more call may be sent, for the first time or again, and takes its connection.
    pub async fn ready(&self) -> Option<Connection<'a>> {
        let _first_in_line = self.turn.lock().await;
        loop {
            let connection = self.shared.connections.acquire().await.ok()?;
            let taken = self.pace.borrow_mut().take();
            let Err(wait) = taken else { return Some(connection) };
            // Another lane can use it while this one waits.
            drop(connection);
            match wait {
                Wait::Until(at) => sleep_until(at).await,
                Wait::Answer => self.changed.notified().await,
            }
        }
    }

    /// Waits so long, and then until a call may be sent again; none where the run is held before.
    pub async fn again(&self, wait: Duration) -> Option<Connection<'a>> {
        self.again.set(self.again.get() + 1);
        let ready = async {
            sleep(wait).await;
            self.ready().await
        };
        let connection = self.unless_held(ready).await.flatten();
        self.again.set(self.again.get() - 1);
        connection
    }

    /// Whether the lane may not send any more.
    pub fn is_held(&self) -> bool {
        self.shared.halt.holds(&self.lane.app.label, self.lane.tenant_key.as_ref())
    }

    /// Waits for something, unless the lane may not send any more.
    pub async fn unless_held<T>(&self, wait: impl Future<Output = T>) -> Option<T> {
        self.shared.halt.unless_held(&self.lane.app.label, self.lane.tenant_key.as_ref(), wait).await
    }

    /// Notes that a call that was sent then has been answered now, or was given up.
    pub fn answered(&self, sent_at: Instant) {
        self.pace.borrow_mut().answered(sent_at.elapsed());
        if let Some(lane) = self.shared.report.borrow_mut().lanes.get_mut(self.index) {
            lane.answered.push(self.shared.start.elapsed());
        }
        self.changed.notify_waiters();
    }

    /// Notes whether the platform can be relied on for more than one call at a time.
    pub fn note_verdict(&self, has_verdict: bool) {
        self.has_verdict.set(has_verdict);
    }

    /// Sends nothing for so long, and evenly from then on.
    pub fn pause(&self, reset: Duration) {
        self.pace.borrow_mut().pause(reset);
        self.foresee(1);
    }

    fn most_open(&self) -> usize {
        if self.has_verdict.get() { IN_FLIGHT } else { 1 }
    }

    /// Tells when the lane will be through, if so many more calls have to be sent again.
    fn foresee(&self, more: u64) {
        let again = self.again.get() + more;
        let left = self.calls.borrow().len() as u64 + again;
        let of_all = self.shared.unsent.get() + again;
        self.shared.finish.set(self.index, Instant::now() + self.pace.borrow().remaining(left, of_all));
    }
}

/// Records an outcome and the next intent in one batch, then tells the outcome. False where it cannot be recorded:
/// then everything stops, and the outcome is kept for the report.
async fn write<P>(running: &Running<'_, P>, unwritten: Option<Unwritten<'_>>, next: Option<&Call>) -> bool {
    let Running { lane, shared, .. } = running;
    let outcome = unwritten.as_ref().map(|(_, outcome)| Record::Outcome(outcome.clone()));
    let intent = next.map(|call| {
        Record::Intent(Intent {
            at: (shared.now)(),
            run: shared.run,
            app: lane.app.label.clone(),
            tenant_key: lane.tenant_key.clone(),
            approval_code: call.approval_code.clone(),
        })
    });
    let records: Vec<Record<'static>> = outcome.clone().into_iter().chain(intent).collect();
    if records.is_empty() {
        return true;
    }
    let recorded = shared.recorder.record(records).await;
    let told = unwritten.map(|(call, outcome)| settled(lane, call, &outcome));
    let mut report = shared.report.borrow_mut();
    match recorded {
        Ok(()) => {
            if let Some(settled) = told {
                report.settled.push(settled.clone());
                shared.tell(Event::Settled {
                    settled: Box::new(settled),
                    remaining: shared.finish.remaining(),
                });
            }
            true
        }
        Err(cause) => {
            let none = || Unrecorded { cause, outcomes: Vec::new(), records: Vec::new() };
            let unrecorded = report.unrecorded.get_or_insert_with(none);
            unrecorded.outcomes.extend(told);
            unrecorded.records.extend(outcome);
            shared.halt.break_off();
            false
        }
    }
}
