//! The whole job with no account: `cargo run --release --example quickstart`.
//!
//! It makes a scratch folder, starts the embedded platform on a free loopback port, and runs the `larksub`
//! commands that a person would, each as a process of its own: this very program, with [`AS_LARKSUB`] set.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use larksub::sandbox::{Config, Subscribed, Tracked, http};

/// Set for the processes that are to be `larksub`.
const AS_LARKSUB: &str = "QUICKSTART_AS_LARKSUB";

/// What the platform does not know, although the state tracks it.
const MISSING: &str = "D4A91F02-6B7E-4C15-8E33-0A2C5B9E7F10";

fn main() -> Result<ExitCode, Box<dyn Error>> {
    if std::env::var_os(AS_LARKSUB).is_some() {
        return Ok(ExitCode::from(larksub::commands::run_from(std::env::args_os()).code()));
    }
    let folder = tempfile::Builder::new().prefix("larksub-quickstart-").tempdir()?.keep();
    let platform = http::start(platform()?, "127.0.0.1:0".parse()?)?;
    let manifest = folder.join("larksub.toml");
    println!("A platform on {}, and a scratch folder: {}", platform.base_url, folder.display());

    fs::write(&manifest, first_manifest(&platform.base_url))?;
    step("A new state.", &folder, &["init"], 0)?;
    step(
        "What is declared is subscribed already; from now on the state says so.",
        &folder,
        &["import", "--declared"],
        0,
    )?;

    fs::write(&manifest, second_manifest(&platform.base_url))?;
    println!("\n\nSeven entries leave the manifest, as a pull request would have it.");
    step("What would be dropped? The plan is shown and saved.", &folder, &["plan", "--out", "plan.json"], 0)?;
    step("The same as a diff.", &folder, &["plan", "--format", "diff"], 0)?;
    step(
        "Exactly the reviewed plan: one code is unknown to the platform.",
        &folder,
        &["apply", "plan.json"],
        3,
    )?;
    step("What is left?", &folder, &["plan"], 0)?;

    let removed = format!(
        "\n[[apps.hr.removed]]\napproval_code = \"{MISSING}\"\nreason = \"deleted on the platform\"\nforget = true\n"
    );
    fs::write(&manifest, second_manifest(&platform.base_url) + &removed)?;
    println!("\n\nThe platform has no such approval: a `removed` entry with `forget = true` lets it go.");
    step(
        "Without a call, so without a credential or a reviewer's digest.",
        &folder,
        &["apply", "--auto-approve"],
        0,
    )?;
    step("And now?", &folder, &["plan", "--detailed-exitcode"], 0)?;

    println!("\n\nThe platform took {} calls. The folder is yours to look at:", platform.calls().len());
    println!(
        "  {}\n  larksub -C {} state list --all",
        folder.join("larksub.state.jsonl").display(),
        folder.display()
    );
    Ok(ExitCode::SUCCESS)
}

/// Runs one command and says what it stands for; an exit code other than the expected one is an error.
fn step(why: &str, folder: &Path, arguments: &[&str], expected: i32) -> Result<(), Box<dyn Error>> {
    println!("\n\n# {why}\n$ larksub {}", arguments.join(" "));
    let status = Command::new(std::env::current_exe()?)
        .args(arguments)
        .current_dir(folder)
        .env(AS_LARKSUB, "1")
        .env_remove("LARKSUB_STATE")
        .env("LARKSUB_APP_SECRET_HR", "made-up-secret")
        .env("LARKSUB_APP_SECRET_ISV", "made-up-secret-too")
        .env("LARKSUB_APP_TICKET_ISV", "made-up-ticket")
        .status()?;
    println!("(exit {})", status.code().unwrap_or(-1));
    if status.code() == Some(expected) {
        return Ok(());
    }
    Err(format!("`larksub {}` was to exit {expected}", arguments.join(" ")).into())
}

/// One subscription: the app's label, its tenant, the code, its name, its owner, and whether it stays.
type Entry = (&'static str, Option<&'static str>, &'static str, &'static str, &'static str, bool);

const HR: &str = "cli_9dbb2dd6f5e0d104";
const ISV: &str = "cli_a1b2c3d4e5f60708";
const ACME: Option<&str> = Some("736588c92lxf175d");
const GLOBEX: Option<&str> = Some("2ed263bf32cf1651");

const ENTRIES: [Entry; 21] = [
    ("hr", None, "7C468A54-8745-2245-9675-08B7C63E7A85", "Leave request", "people-platform", true),
    ("hr", None, "1FB9C7A0-2C36-4E0B-9A61-3D0F5A7B2C41", "请假申请", "people-platform", true),
    ("hr", None, "5B43240B-848C-49BD-9D27-11EF0EE11234", "Travel request (2019)", "people-platform", false),
    ("hr", None, "0E6D1A55-31B9-4C47-B5C0-6D9C4B8E1F22", "出差报销", "finance-ops", false),
    ("hr", None, "93A5D0C7-7E1D-4A0B-8B44-52B1E0D3C6F7", "Hardware order", "it-desk", false),
    ("hr", None, "B2C7E5F1-9A34-4D68-A0E2-7F16C3D5B489", "Badge replacement", "it-desk", true),
    ("hr", None, MISSING, "Old onboarding", "people-platform", false),
    ("hr", None, "E8F03B6C-15D2-4B97-9C7A-2A4D6F8B0C13", "Overtime", "people-platform", true),
    ("hr", None, "3A7D9C14-0B5E-4F28-B6D1-8E2C4A6F0B35", "Expense claim", "finance-ops", true),
    ("hr", None, "6C1E8F27-4D3A-4B50-9E72-1B3D5F7A9C46", "Contract review", "legal", true),
    ("hr", None, "A9D24B68-7F1C-4E03-8A56-3C5E7B9D1F57", "Vendor onboarding", "procurement", true),
    ("hr", None, "D0F35C79-8A2D-4F14-9B67-4D6F8C0E2A68", "Office supplies", "it-desk", true),
    ("hr", None, "F1046D80-9B3E-4025-8C78-5E709D1F3B79", "Probation review", "people-platform", true),
    ("isv", ACME, "02157E91-0C4F-4136-9D89-6F81AE204C8A", "Invoice approval", "billing", true),
    ("isv", ACME, "13268FA2-1D50-4247-8E9A-7092BF315D9B", "Refund approval", "billing", false),
    ("isv", ACME, "243790B3-2E61-4358-9FAB-81A3C0426EAC", "Credit note", "billing", true),
    ("isv", ACME, "3548A1C4-3F72-4469-80BC-92B4D1537FBD", "Price override", "sales-ops", true),
    ("isv", GLOBEX, "4659B2D5-4083-457A-91CD-A3C5E2648ACE", "Invoice approval", "billing", true),
    ("isv", GLOBEX, "576AC3E6-5194-468B-82DE-B4D6F3759BDF", "Refund approval", "billing", false),
    ("isv", GLOBEX, "687BD4F7-62A5-479C-93EF-C5E704860CE0", "Discount approval", "sales-ops", false),
    ("isv", GLOBEX, "798CE508-73B6-48AD-84F0-D6F815971DF1", "Quote approval", "sales-ops", true),
];

/// The platform, where one approval of each kind goes wrong in its own way.
fn platform() -> Result<Config, Box<dyn Error>> {
    let mut subscribed = Vec::new();
    for (label, tenant, code, ..) in ENTRIES.into_iter().filter(|entry| entry.2 != MISSING) {
        subscribed.push(Subscribed::By(Tracked {
            app_id: if label == "hr" { HR } else { ISV }.parse()?,
            tenant_key: tenant.map(str::parse).transpose()?,
            approval_code: code.parse()?,
        }));
    }
    let faults = [
        // Somebody dropped it by hand.
        "0E6D1A55-31B9-4C47-B5C0-6D9C4B8E1F22=already",
        // The service fails once (1395001).
        "93A5D0C7-7E1D-4A0B-8B44-52B1E0D3C6F7=service_error:1",
        // The rate limit, which names a pause of a second.
        "576AC3E6-5194-468B-82DE-B4D6F3759BDF=rate_limit:1",
    ];
    let faults = faults.into_iter().map(str::parse).collect::<Result<Vec<_>, _>>()?;
    Ok(Config { subscribed, faults, ..Config::default() })
}

fn first_manifest(base_url: &str) -> String {
    manifest(base_url, |_| true)
}

fn second_manifest(base_url: &str) -> String {
    let reason = "\n[[apps.hr.removed]]\napproval_code = \"5B43240B-848C-49BD-9D27-11EF0EE11234\"\nreason = \"form retired, OPS-123\"\n";
    manifest(base_url, |entry| entry.5) + reason
}

fn manifest(base_url: &str, keeps: fn(&Entry) -> bool) -> String {
    let mut text = format!(
        "[policy]\nmax_drops = 20\nmax_drop_percent = 40\n\n\
         [apps.hr]\napp_id = \"{HR}\"\nbase_url = \"{base_url}\"\n\n\
         [apps.isv]\napp_id = \"{ISV}\"\nbase_url = \"{base_url}\"\nkind = \"store\"\n"
    );
    for entry in ENTRIES.iter().filter(|entry| keeps(entry)) {
        let (label, tenant, code, name, owner, _) = entry;
        text.push_str(&format!("\n[[apps.{label}.subscriptions]]\n"));
        if let Some(tenant) = tenant {
            text.push_str(&format!("tenant_key = \"{tenant}\"\n"));
        }
        text.push_str(&format!("approval_code = \"{code}\"\nname = \"{name}\"\nowner = \"{owner}\"\n"));
    }
    text
}
