//! Plans and applies of any size, with names as people give them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use larksub::error::Exit;
use larksub::manifest::{Source, parse};
use larksub::plan::{self, Plan};
use larksub::render::ending::{CameTo, Ending};
use larksub::report::Report;
use larksub::sandbox::Config;
use larksub::state::Override;
use larksub::state::read::read;
use larksub::subscription::AppKind;

use super::support::bench::{Bench, Ran};
use super::support::script;

const APPS: [(&str, &str); 3] =
    [("finance", "cli_9dbb2dd6f5e0d101"), ("hr", "cli_9dbb2dd6f5e0d102"), ("legal", "cli_9dbb2dd6f5e0d103")];

const NAMES: [&str; 8] = [
    "出差报销 Travel expenses",
    "请假申请",
    "采购审批（2019 版）",
    "Contract review",
    "用印申请 Seal use",
    "Laptop request",
    "加班申请",
    "招聘需求 Head count, all regions, with the budget owner's consent",
];

/// The code of a drop; the last three digits differ most.
pub fn code(number: usize) -> String {
    format!("7C468A54-8745-2245-9675-{number:012}")
}

fn app(number: usize, drops: usize, apps: usize) -> &'static str {
    APPS[number * apps / drops.max(1)].0
}

/// A plan of so many drops in so many apps: every tenth without an owner, two of three with a reason; refused on request.
pub fn plan(drops: usize, apps: usize, refused: bool) -> Plan {
    let most = if refused { drops.saturating_sub(1) } else { drops };
    let mut toml = format!("[policy]\nmax_drops = {most}\nmax_drop_percent = 100\n");
    let mut told = String::new();
    for (label, id) in APPS.iter().take(apps) {
        let _ = writeln!(toml, "[apps.{label}]\napp_id = \"{id}\"\nbrand = \"feishu\"");
        let _ = writeln!(told, "bind {label} {id} https://open.feishu.cn");
    }
    for number in 0..drops {
        let app = app(number, drops, apps);
        let owner = if number % 10 == 3 { "" } else { " owner=people-platform" };
        let _ = writeln!(told, "track {app}/{} name=\"{}\"{owner}", code(number), NAMES[number % 8]);
        if number % 3 != 1 {
            let _ = writeln!(
                toml,
                "[[apps.{app}.removed]]\napproval_code = \"{}\"\nreason = \"form retired, OPS-{number}\"",
                code(number)
            );
        }
    }
    // What stays, what is forgotten, what nobody tracks, what has another name now.
    let first = APPS[0].0;
    let _ = writeln!(
        told,
        "track {first}/FORGET-1 name=\"旧表单\" owner=it\ntrack {first}/STAYS-1 name=\"old name\" owner=it"
    );
    let _ = writeln!(
        toml,
        "[[apps.{first}.removed]]\napproval_code = \"FORGET-1\"\nforget = true\nreason = \"never existed\"\n[[apps.{first}.subscriptions]]\napproval_code = \"STAYS-1\"\nname = \"新名称\"\nowner = \"it\"\n[[apps.{first}.subscriptions]]\napproval_code = \"NEW-1\"\nname = \"报销\""
    );
    let manifest = parse(&[Source { path: "larksub.toml".into(), bytes: toml.into() }]).unwrap();
    let reading = read(script::ledger(&told).as_bytes()).unwrap();
    let mut plan = plan::compute(&manifest, &reading.state, &reading.lines, &[]);
    plan.estimate_s = 90;
    plan
}

/// An apply of that plan's calls on a paused clock, with these faults; names are the plan's.
pub async fn applied(plan: &Plan, faults: &[String]) -> Ran {
    let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    let latency = "20ms..200ms".parse().unwrap();
    let mut bench = Bench::new(Config { faults, latency, ..Config::default() });
    let mut codes: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for drop in &plan.drops {
        codes.entry(drop.app.as_str()).or_default().push(drop.approval_code.to_string());
    }
    for (label, id) in APPS.iter().filter(|(label, _)| codes.contains_key(label)) {
        bench = bench.app(label, id, AppKind::Custom).drops(label, None, &codes[label]);
    }
    let mut ran = bench.run().await;
    let names: BTreeMap<String, Option<String>> =
        plan.drops.iter().map(|drop| (drop.key().to_string(), drop.name.clone())).collect();
    for settled in &mut ran.report.settled {
        settled.name = names[&settled.key.to_string()].clone();
    }
    ran
}

/// What a report comes to, as the forms take it.
pub fn ending<'a>(report: &'a Report, plan: &'a Plan, overrides: &'a [Override]) -> Ending<'a> {
    let exit = report.exit();
    Ending {
        came_to: CameTo::Ran(report),
        exit,
        plan: Some(plan),
        digest: Some(&plan.digest),
        overrides,
        lineage: Some(plan.facts.lineage),
        again: (exit != Exit::Done).then_some("larksub apply plan.json"),
    }
}
