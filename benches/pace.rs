//! What a pace costs, and what it meets: `cargo bench --bench pace`.
//!
//! Policies against servers that count their minute in different ways, in virtual time: the calls of one app, up to
//! eight at a time, through the client and against the sandbox's rules. Printed beside the floor, the minutes that
//! the quota itself takes.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::num::NonZeroU32;
use std::time::Duration;

use futures_util::future::join_all;
use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use larksub::credentials::{Credential, SecretSource};
use larksub::feishu::{App, Client, NoAnswer, Platform, Request, Response, Verdict};
use larksub::pace::{IN_FLIGHT, Pace, Rate, Wait};
use larksub::sandbox::{Api, Config, Memory, Subscribed, Tracked, Window};
use larksub::subscription::{AppKind, ApprovalCode, BaseUrl};
use tokio::sync::{Mutex, Notify};
use tokio::time::{Instant, sleep, sleep_until};

const MINUTE: Duration = Duration::from_secs(60);
const WINDOWS: [Window; 3] = [Window::Fixed, Window::Sliding, Window::Bucket];

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo test --benches` only wants to know that it builds.
    if !std::env::args().any(|arg| arg == "--bench") {
        return Ok(());
    }
    println!("| policy | server | delays | calls | took | of the floor | 429s | most in any 60 s |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for calls in [100, 1000] {
        for delays in [Delays::Steady, Delays::Unsteady] {
            for window in WINDOWS {
                row(Policy::Slots, window, delays, calls)?;
            }
        }
        for policy in [Policy::Even, Policy::SmallBurst, Policy::FullBurst] {
            for window in WINDOWS {
                row(policy, window, Delays::Unsteady, calls)?;
            }
        }
    }
    for window in WINDOWS {
        row(Policy::Slots, window, Delays::Unsteady, 10_000)?;
    }
    Ok(())
}

/// How calls are spaced.
#[derive(Debug, Clone, Copy)]
enum Policy {
    /// This program's.
    Slots,
    /// One call every 0.6 s.
    Even,
    /// A token bucket with room for 5, filled 95 times a minute.
    SmallBurst,
    /// The token bucket as it comes: room for 100, filled 100 times a minute.
    FullBurst,
}

#[derive(Debug, Clone, Copy)]
enum Delays {
    /// 100 ms each.
    Steady,
    /// 20 to 200 ms, and 1 to 3 s for one in fifty, on the way there or back.
    Unsteady,
}

fn row(policy: Policy, window: Window, delays: Delays, calls: usize) -> Result<(), Box<dyn Error>> {
    let ran = run(policy, window, delays, calls)?;
    let floor = MINUTE * u32::try_from((calls - 1) / 100)?;
    let of_floor = match floor.is_zero() {
        true => "-".to_owned(),
        false => format!("{:.3}", ran.took.as_secs_f64() / floor.as_secs_f64()),
    };
    let policy = match policy {
        Policy::Slots => "slots above a bucket (larksub)",
        Policy::Even => "one every 0.6 s",
        Policy::SmallBurst => "bucket, burst 5, 95 a minute",
        Policy::FullBurst => "bucket, burst 100, 100 a minute",
    };
    let (window, delays) = (format!("{window:?}").to_lowercase(), format!("{delays:?}").to_lowercase());
    let (took, busiest) = (ran.took.as_secs_f64(), busiest_minute(&ran.arrived));
    println!(
        "| {policy} | {window} | {delays} | {calls} | {took:.1} s | {of_floor} | {} | {busiest} |",
        ran.refused
    );
    Ok(())
}

struct Ran {
    took: Duration,
    refused: usize,
    /// When each call reached the server.
    arrived: Vec<Duration>,
}

fn run(policy: Policy, window: Window, delays: Delays, calls: usize) -> Result<Ran, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let codes: Vec<ApprovalCode> =
        (0..calls).map(|call| format!("C-{call}").parse()).collect::<Result<_, _>>()?;
    let app_id: larksub::subscription::AppId = "cli_bench".parse()?;
    let tracked = |approval_code: &ApprovalCode| {
        let (app_id, approval_code) = (app_id.clone(), approval_code.clone());
        Subscribed::By(Tracked { app_id, tenant_key: None, approval_code })
    };
    let subscribed = codes.iter().map(tracked).collect();
    let latency = match delays {
        Delays::Steady => "100ms",
        Delays::Unsteady => "20ms..200ms",
    };
    let config = Config { window, subscribed, latency: latency.parse()?, ..Config::default() };
    let app = App {
        label: "hr".parse()?,
        app_id: app_id.clone(),
        base_url: "http://127.0.0.1:9".parse()?,
        kind: AppKind::Custom,
        credential: Credential::Secret(SecretSource::Value("made-up-secret".to_owned().into())),
    };
    runtime.block_on(async {
        let platform = Unsteady { memory: Memory::new(config), delays, sent: Cell::new(0) };
        let client = Client::new(platform);
        client.authorize(&app, None).await?;
        let line = Line::new(policy);
        let start = Instant::now();
        let left = RefCell::new(codes.iter());
        join_all((0..IN_FLIGHT).map(|_| async {
            loop {
                let Some(code) = left.borrow_mut().next() else { return };
                loop {
                    line.ready().await;
                    let sent = Instant::now();
                    let answer = client.unsubscribe(&app, None, code).await;
                    line.answered(sent.elapsed());
                    match answer.verdict {
                        Verdict::RateLimited { reset } => line.pause(reset),
                        _ => break,
                    }
                }
            }
        }))
        .await;
        let took = start.elapsed();
        let calls = client.platform().memory.calls();
        let calls = calls.iter().filter(|call| call.api == Some(Api::Unsubscribe));
        let (refused, arrived) = calls.fold((0, Vec::new()), |(refused, mut arrived), call| {
            arrived.push(call.at);
            (refused + usize::from(call.status == 429), arrived)
        });
        Ok(Ran { took, refused, arrived })
    })
}

/// The most calls that arrived in any stretch of 60 s.
fn busiest_minute(arrived: &[Duration]) -> usize {
    let mut at = arrived.to_vec();
    at.sort_unstable();
    let until = |first: Duration| at.partition_point(|then| *then < first + MINUTE);
    at.iter().enumerate().map(|(index, first)| until(*first) - index).max().unwrap_or(0)
}

/// The sandbox behind a network on which a call is late now and then.
struct Unsteady {
    memory: Memory,
    delays: Delays,
    sent: Cell<u64>,
}

impl Platform for Unsteady {
    async fn send(&self, base_url: &BaseUrl, request: Request) -> Result<Response, NoAnswer> {
        let number = self.sent.get();
        self.sent.set(number + 1);
        let mixed = (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
        let is_late = matches!(self.delays, Delays::Unsteady) && mixed.is_multiple_of(50);
        let late = Duration::from_millis(if is_late { 1000 + mixed / 50 % 2000 } else { 0 });
        let (there, back) =
            if mixed.is_multiple_of(100) { (late, Duration::ZERO) } else { (Duration::ZERO, late) };
        sleep(there).await;
        let answer = self.memory.send(base_url, request).await;
        sleep(back).await;
        answer
    }
}

/// Who waits to send a call, one after the other.
struct Line {
    pace: RefCell<AnyPace>,
    turn: Mutex<()>,
    answered: Notify,
}

enum AnyPace {
    Slots(Box<Pace>),
    Bucket { limiter: Box<Limiter>, not_before: Option<Instant> },
}

impl Line {
    fn new(policy: Policy) -> Self {
        let bucket = |quota| {
            let limiter = Box::new(RateLimiter::direct_with_clock(quota, TokioClock));
            AnyPace::Bucket { limiter, not_before: None }
        };
        let number = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        let pace = match policy {
            Policy::Slots => AnyPace::Slots(Box::new(Pace::new(Rate::PerMinute(100), &[]))),
            Policy::Even => bucket(Quota::per_minute(number(100)).allow_burst(number(1))),
            Policy::SmallBurst => bucket(Quota::per_minute(number(95)).allow_burst(number(5))),
            Policy::FullBurst => bucket(Quota::per_minute(number(100))),
        };
        Self { pace: RefCell::new(pace), turn: Mutex::new(()), answered: Notify::new() }
    }

    async fn ready(&self) {
        let _first_in_line = self.turn.lock().await;
        loop {
            let wait = match &mut *self.pace.borrow_mut() {
                AnyPace::Slots(pace) => pace.take().err(),
                AnyPace::Bucket { not_before: Some(at), .. } if Instant::now() < *at => {
                    Some(Wait::Until(*at))
                }
                AnyPace::Bucket { limiter, .. } => {
                    limiter.check().err().map(|not_until| Wait::Until(not_until.earliest_possible().0))
                }
            };
            match wait {
                None => return,
                Some(Wait::Until(at)) => sleep_until(at).await,
                Some(Wait::Answer) => self.answered.notified().await,
            }
        }
    }

    fn answered(&self, took: Duration) {
        if let AnyPace::Slots(pace) = &mut *self.pace.borrow_mut() {
            pace.answered(took);
        }
        self.answered.notify_waiters();
    }

    fn pause(&self, reset: Duration) {
        match &mut *self.pace.borrow_mut() {
            AnyPace::Slots(pace) => pace.pause(reset),
            AnyPace::Bucket { not_before, .. } => {
                *not_before = (*not_before).max(Some(Instant::now() + reset));
            }
        }
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Tick>>;

#[derive(Debug, Clone, Copy)]
struct TokioClock;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Tick(Instant);

impl std::ops::Add<Nanos> for Tick {
    type Output = Self;

    fn add(self, nanos: Nanos) -> Self {
        Self(self.0 + Duration::from(nanos))
    }
}

impl Reference for Tick {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.saturating_duration_since(earlier.0).into()
    }

    fn saturating_sub(&self, nanos: Nanos) -> Self {
        Self(self.0.checked_sub(nanos.into()).unwrap_or(self.0))
    }
}

impl Clock for TokioClock {
    type Instant = Tick;

    fn now(&self) -> Tick {
        Tick(Instant::now())
    }
}
