//! What recording costs: `cargo bench --bench record`.
//!
//! Each row is measured in the same run as its floor, one `fdatasync` of as many bytes, and printed as a ratio.

use std::cell::RefCell;
use std::error::Error;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use larksub::apply::{self, Call, Lane, Stop, Work};
use larksub::credentials::{Credential, SecretSource};
use larksub::feishu::{App, Client};
use larksub::pace::Rate;
use larksub::sandbox::{Config, Memory, Subscribed, Tracked};
use larksub::state::ledger::{Locking, create};
use larksub::state::record::{Bind, FORMAT, Init, Intent, Outcome, Run, Track, VERSION};
use larksub::state::{By, Ledger, OutcomeKind, Record};
use larksub::subscription::AppKind;
use larksub::workspace::now;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

const DROPS: usize = 2000;
const TENANTS: usize = 1000;
const CALLS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir_in(".")?;
    println!("| what | drops | drops/s | against one fdatasync each |");
    println!("| --- | --- | --- | --- |");
    let (alone, bytes) = one_by_one(&folder.path().join("alone.jsonl"))?;
    let floor = floor(&folder.path().join("floor"), bytes / DROPS)?;
    let per_second = |count: usize, took: Duration| count as f64 / took.as_secs_f64();
    let floor_rate = per_second(DROPS, floor);
    println!("| the floor: append and fdatasync | {DROPS} | {floor_rate:.0} | 1.00 |");
    let rate = per_second(DROPS, alone);
    println!(
        "| one lane: outcome and next intent in one batch | {DROPS} | {rate:.0} | {:.2} |",
        rate / floor_rate
    );
    let side_by_side = side_by_side(&folder.path().join("lanes.jsonl"))?;
    let rate = per_second(TENANTS * CALLS, side_by_side);
    println!(
        "| a whole apply, {TENANTS} tenants side by side, platform in memory | {} | {rate:.0} | {:.2} |",
        TENANTS * CALLS,
        rate / floor_rate
    );
    let drop_ms = alone.as_secs_f64() * 1000.0 / DROPS as f64;
    println!("\nrecording takes {drop_ms:.2} ms a drop: {:.2} % of a paced lane's 637 ms", drop_ms / 6.37);
    Ok(())
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

fn one_by_one(path: &Path) -> Result<(Duration, usize), Box<dyn Error>> {
    let mut ledger = ledger(path, 1, DROPS)?;
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

fn side_by_side(path: &Path) -> Result<Duration, Box<dyn Error>> {
    let ledger = ledger(path, TENANTS, CALLS)?;
    let mut subscribed = Vec::new();
    let app = Rc::new(App {
        label: "isv".parse()?,
        app_id: "cli_bench".parse()?,
        base_url: "http://127.0.0.1:9".parse()?,
        kind: AppKind::Store,
        credential: Credential::SecretAndTicket {
            secret: SecretSource::Value("made-up-secret".to_owned().into()),
            ticket: SecretSource::Value("made-up-ticket".to_owned().into()),
        },
    });
    let mut lanes = Vec::new();
    for tenant in 0..TENANTS {
        let tenant_key = Some(format!("t{tenant}").parse()?);
        let mut calls = Vec::new();
        for drop in 0..CALLS {
            let approval_code: larksub::subscription::ApprovalCode = code(tenant, drop).parse()?;
            subscribed.push(Subscribed::By(Tracked {
                app_id: "cli_bench".parse()?,
                tenant_key: tenant_key.clone(),
                approval_code: approval_code.clone(),
            }));
            calls.push(Call { approval_code, name: None, was_sent: false });
        }
        lanes.push(Lane {
            app: Rc::clone(&app),
            tenant_key,
            rate: Rate::PerMinute(100),
            sent_before: vec![],
            believes_misses: true,
            calls,
        });
    }
    let platform = Memory::new(Config { subscribed, ..Config::default() });
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
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = Client::new(platform);
    let (events, _shown) = mpsc::unbounded_channel();
    let (_signal, signal) = watch::channel(None);
    let took = RefCell::new(Duration::ZERO);
    let report = runtime.block_on(async {
        let start = Instant::now();
        let report = apply::run(work, &client, ledger, now, &events, Stop { signal, parent: None }).await;
        took.replace(start.elapsed());
        report
    });
    assert_eq!(report.settled.len(), TENANTS * CALLS, "every drop has an outcome");
    Ok(took.into_inner())
}

fn ledger(path: &Path, tenants: usize, calls: usize) -> Result<Ledger, Box<dyn Error>> {
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
    for tenant in 0..tenants {
        for drop in 0..calls {
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
