//! What recording costs: `cargo bench --bench record`.
//!
//! Each row is measured in the same run as its floor, one `fdatasync` of as many bytes, and printed as a ratio.

use std::error::Error;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use larksub::apply::{self, Call, Lane, Stop, Work};
use larksub::credentials::{Credential, SecretSource};
use larksub::feishu::{App, Client, Http, Platform};
use larksub::pace::{IN_FLIGHT, Rate};
use larksub::sandbox::{Config, Memory, Subscribed, Tracked, http};
use larksub::state::ledger::{Locking, create, read_file};
use larksub::state::record::{Bind, FORMAT, Init, Intent, Outcome, Run, Track, VERSION};
use larksub::state::{By, Ledger, OutcomeKind, Record};
use larksub::subscription::{AppKind, ApprovalCode, TenantKey};
use larksub::workspace::now;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

/// Drops of each row without a network.
const DROPS: usize = 2000;
/// Drops of the rows over HTTP.
const CALLED: usize = 10_000;
const TENANTS: usize = 1000;
const CALLS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo test --benches` only wants to know that it builds.
    if !std::env::args().any(|arg| arg == "--bench") {
        return Ok(());
    }
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let path = |name: &str| folder.path().join(name);
    let per_second = |count: usize, took: Duration| count as f64 / took.as_secs_f64();

    println!("## One batch after the other\n");
    println!("| what | drops | drops/s | against one fdatasync each |");
    println!("| --- | --- | --- | --- |");
    let (alone, bytes) = one_by_one(&path("alone.jsonl"), DROPS)?;
    let sync = floor(&path("floor"), bytes / DROPS)?;
    let floor_rate = per_second(DROPS, sync);
    println!("| the floor: append and fdatasync | {DROPS} | {floor_rate:.0} | 1.00 |");
    let row = |what: &str, drops: usize, took: Duration| {
        let rate = per_second(drops, took);
        println!("| {what} | {drops} | {rate:.0} | {:.2} |", rate / floor_rate);
    };
    row("outcome and next intent in one batch", DROPS, alone);
    row("the same with 100,000 tracked", DROPS, one_by_one(&path("large.jsonl"), 100_000)?.0);
    let (took, lines) = side_by_side(&path("lanes.jsonl"))?;
    row(&format!("an apply, {TENANTS} tenants, platform in memory"), TENANTS * CALLS, took);
    println!("\n{} syncs for {} drops in the last row", lines, TENANTS * CALLS);

    println!("\n## An apply over HTTP on loopback, one app, no quota\n");
    println!(
        "The floor is {IN_FLIGHT} / (one fdatasync + one round trip), both measured alone in this run.\n"
    );
    println!("| latency of the sandbox | round trip | drops | drops/s | of the floor | syncs a drop |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for latency in ["0ms", "2ms", "10ms", "50ms"] {
        let drops = if latency == "50ms" { CALLED / 5 } else { CALLED };
        let ran = over_http(&path(&format!("http-{latency}.jsonl")), latency, drops)?;
        let rate = per_second(drops, ran.took);
        let floor = IN_FLIGHT as f64 / (sync.as_secs_f64() / DROPS as f64 + ran.round_trip.as_secs_f64());
        println!(
            "| {latency} | {:.2} ms | {drops} | {rate:.0} | {:.2} | {:.2} |",
            ran.round_trip.as_secs_f64() * 1000.0,
            rate / floor,
            ran.lines as f64 / drops as f64
        );
    }
    Ok(())
}

/// An apply over HTTP.
struct OverHttp {
    round_trip: Duration,
    took: Duration,
    lines: u64,
}

fn over_http(path: &Path, latency: &str, drops: usize) -> Result<OverHttp, Box<dyn Error>> {
    const TRIPS: usize = 200;
    // The second tenant's calls measure the round trip.
    let config = Config { limit: u32::MAX, latency: latency.parse()?, ..Config::default() };
    let sandbox = http::start(subscribed(config, &[drops, TRIPS])?, "127.0.0.1:0".parse()?)?;
    let app = app(&sandbox.base_url)?;
    let ledger = ledger(path, &[drops])?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = Client::new(Http::new(None));
    let tenant = |number: usize| format!("t{number}").parse().map(Some);
    let other: Option<TenantKey> = tenant(1)?;
    runtime.block_on(client.authorize(&app, other.as_ref()))?;
    let codes: Vec<ApprovalCode> = (0..TRIPS).map(|drop| code(1, drop).parse()).collect::<Result<_, _>>()?;
    let start = Instant::now();
    for code in &codes {
        runtime.block_on(client.unsubscribe(&app, other.as_ref(), code));
    }
    let round_trip = start.elapsed() / TRIPS as u32;
    let lane = Lane { rate: Rate::Unlimited, ..lane(&app, 0, drops)? };
    let before = read_file(path)?.lines.count();
    let took = applied(&runtime, &client, ledger, vec![lane])?;
    Ok(OverHttp { round_trip, took, lines: read_file(path)?.lines.count() - before })
}

fn floor(path: &Path, bytes: usize) -> Result<Duration, Box<dyn Error>> {
    let mut file = OpenOptions::new().create_new(true).append(true).open(path)?;
    let line = vec![b'x'; bytes];
    let start = Instant::now();
    for _ in 0..DROPS {
        file.write_all(&line)?;
        rustix::fs::fdatasync(&file)?;
    }
    Ok(start.elapsed())
}

fn one_by_one(path: &Path, tracked: usize) -> Result<(Duration, usize), Box<dyn Error>> {
    let mut ledger = ledger(path, &[tracked])?;
    let before = std::fs::metadata(path)?.len();
    let run = Uuid::new_v4();
    ledger.append(&[Record::Run(Run {
        at: now(),
        run,
        plan_digest: "bench".into(),
        overrides: vec![],
        by: By::default(),
    })])?;
    let batches: Vec<[Record<'_>; 2]> = (0..DROPS).map(|drop| batch(run, drop)).collect::<Result<_, _>>()?;
    let start = Instant::now();
    for batch in &batches {
        ledger.append(batch)?;
    }
    Ok((start.elapsed(), usize::try_from(std::fs::metadata(path)?.len() - before)?))
}

fn batch(run: Uuid, drop: usize) -> Result<[Record<'static>; 2], Box<dyn Error>> {
    let at = now();
    let outcome = Outcome {
        at,
        run,
        app: "isv".parse()?,
        tenant_key: Some("t0".parse()?),
        approval_code: code(0, drop).parse()?,
        kind: OutcomeKind::Unsubscribed,
        code: Some(0),
        msg: Some("success".into()),
        log_id: Some("0123456789ABCDEF0123456789ABCDEF".into()),
        http_status: Some(200),
        attempts: 1,
        reason: None,
    };
    let Outcome { app, tenant_key, approval_code, .. } = outcome.clone();
    Ok([Record::Outcome(outcome), Record::Intent(Intent { at, run, app, tenant_key, approval_code })])
}

fn side_by_side(path: &Path) -> Result<(Duration, u64), Box<dyn Error>> {
    let loads = [CALLS; TENANTS];
    let ledger = ledger(path, &loads)?;
    let before = read_file(path)?.lines.count();
    let app = app("http://127.0.0.1:9")?;
    let lanes = (0..TENANTS).map(|tenant| lane(&app, tenant, CALLS)).collect::<Result<_, _>>()?;
    let client = Client::new(Memory::new(subscribed(Config::default(), &loads)?));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let took = applied(&runtime, &client, ledger, lanes)?;
    Ok((took, read_file(path)?.lines.count() - before))
}

fn app(base_url: &str) -> Result<Rc<App>, Box<dyn Error>> {
    Ok(Rc::new(App {
        label: "isv".parse()?,
        app_id: "cli_bench".parse()?,
        base_url: base_url.parse()?,
        kind: AppKind::Store,
        credential: Credential::SecretAndTicket {
            secret: SecretSource::Value("made-up-secret".to_owned().into()),
            ticket: SecretSource::Value("made-up-ticket".to_owned().into()),
        },
    }))
}

fn lane(app: &Rc<App>, tenant: usize, calls: usize) -> Result<Lane, Box<dyn Error>> {
    let call = |drop| Ok(Call { approval_code: code(tenant, drop).parse()?, name: None, was_sent: false });
    Ok(Lane {
        app: Rc::clone(app),
        tenant_key: Some(format!("t{tenant}").parse()?),
        rate: Rate::PerMinute(100),
        sent_before: vec![],
        believes_misses: true,
        calls: (0..calls).map(call).collect::<Result<_, Box<dyn Error>>>()?,
    })
}

/// A sandbox in which each tenant has so many subscriptions.
fn subscribed(config: Config, loads: &[usize]) -> Result<Config, Box<dyn Error>> {
    let mut subscribed = Vec::new();
    for (tenant, calls) in loads.iter().enumerate() {
        for drop in 0..*calls {
            subscribed.push(Subscribed::By(Tracked {
                app_id: "cli_bench".parse()?,
                tenant_key: Some(format!("t{tenant}").parse()?),
                approval_code: code(tenant, drop).parse()?,
            }));
        }
    }
    Ok(Config { subscribed, ..config })
}

/// How long an apply of these lanes takes; each of its drops has to come through.
fn applied<P: Platform>(
    runtime: &Runtime,
    client: &Client<P>,
    ledger: Ledger,
    lanes: Vec<Lane>,
) -> Result<Duration, Box<dyn Error>> {
    let calls: usize = lanes.iter().map(|lane| lane.calls.len()).sum();
    let work = Work {
        plan_digest: "bench".into(),
        overrides: vec![],
        by: By::default(),
        binds: vec![],
        updates: vec![],
        forgets: vec![],
        lanes,
        unsettled: 0,
    };
    let (events, _shown) = mpsc::unbounded_channel();
    let (_signal, signal) = watch::channel(None);
    let start = Instant::now();
    let stop = Stop { signal, parent: None };
    let report = runtime.block_on(apply::run(work, client, ledger, now, &events, stop));
    let took = start.elapsed();
    if report.count(OutcomeKind::Unsubscribed) != calls as u64 {
        return Err(format!("not every drop came through: {:?}", report.stopped).into());
    }
    Ok(took)
}

fn ledger(path: &Path, loads: &[usize]) -> Result<Ledger, Box<dyn Error>> {
    let by = By::default();
    let init =
        Init { at: now(), format: FORMAT.into(), version: VERSION, lineage: Uuid::new_v4(), by: by.clone() };
    create(path, &[Record::Init(init)])?;
    let (mut ledger, _, _) = Ledger::open(path, Locking { wait: Duration::ZERO, trusts_network: true })?;
    let mut records = vec![Record::Bind(Bind {
        at: now(),
        app: "isv".parse()?,
        app_id: "cli_bench".parse()?,
        base_url: "http://127.0.0.1:9".parse()?,
        kind: AppKind::Store,
    })];
    for (tenant, calls) in loads.iter().enumerate() {
        for drop in 0..*calls {
            records.push(Record::Track(Track {
                at: now(),
                app: "isv".parse()?,
                tenant_key: Some(format!("t{tenant}").parse()?),
                approval_code: code(tenant, drop).parse()?,
                name: None,
                owner: None,
                protect: false,
                by: by.clone(),
            }));
        }
    }
    ledger.append_each(&records)?;
    Ok(ledger)
}

fn code(tenant: usize, drop: usize) -> String {
    format!("{tenant:08}-8745-2245-9675-{drop:012}")
}
