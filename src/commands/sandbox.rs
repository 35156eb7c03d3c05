//! `larksub sandbox`: the embedded platform on a loopback port, until Ctrl-C.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::error::{Exit, Failure};
use crate::sandbox::http::{Sandbox, serve};
use crate::sandbox::{App, Call, Config, Fault, Latency, Subscribed, Tracked, Window};
use crate::text::{Shown, shown};

const EXAMPLES: &str = "\
Examples:
  larksub sandbox --subscribed codes.txt
      write the address it prints into a manifest as the app's base_url, and any text into
      LARKSUB_APP_SECRET; then import the codes, and plan and apply as you would in earnest
  larksub sandbox --listen 127.0.0.1:8787 --state rehearsal.state.jsonl
      go on with a rehearsal: everything that its state tracks is subscribed again
  larksub sandbox --subscribed codes.txt --window sliding --latency 20ms..200ms
  larksub sandbox --subscribed codes.txt --fault 7C468A54-8745-2245-9675-08B7C63E7A85=lost:1
      the first call for that approval is done, and its answer is lost

What can go wrong on purpose (--fault CODE=WHAT[:N]):
  the platform refuses    not_found, already, param, service_error, rate_limit, rate_limit_400,
                          monthly, token, scope, ip, disabled, uninstalled
  a definition is gone    deleted
  something else answers  5xx, html, redirect
  nothing answers         reset
  done, but not told so   empty, string_code, huge, slow, cut, lost
CODE may be `*`: any code that has no fault of its own left. Without N, every call goes wrong.
Several faults of one code are used up in the order given.";

/// Run a platform on this machine, for trying larksub and for tests
///
/// It answers the platform's calls for tokens and for approval subscriptions as the platform does, quota
/// included, and forgets everything when it ends. The first line it prints is its address; it takes calls from
/// then on. Each call is a line on stderr. It accepts made-up secrets, so it listens on loopback only.
#[derive(Debug, Clone, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct SandboxArgs {
    /// Where to listen; port 0 is any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,

    /// What is subscribed at the start, one a line: CODE, APP_ID/CODE or APP_ID/TENANT_KEY/CODE
    ///
    /// A bare CODE is subscribed by every app. What follows on the line is the definition's name. Empty lines and
    /// what follows a `#` are skipped.
    #[arg(long, value_name = "FILE")]
    pub subscribed: Option<PathBuf>,

    /// A state file: what it tracks is subscribed at the start; it is only read
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,

    /// An app and its made-up secret (repeatable); with a ticket it is a store app
    ///
    /// Without any, every app id with a non-empty secret gets a token.
    #[arg(long = "app", value_name = "ID:SECRET[:TICKET]")]
    pub apps: Vec<App>,

    /// Calls per minute of one app, tenant and API
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,

    /// How the minute of the limit moves
    #[arg(long, value_enum, default_value_t = Window::Fixed)]
    pub window: Window,

    /// How long that minute is, to see a limit sooner
    #[arg(long, hide = true, value_name = "N", default_value_t = 60,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub window_seconds: u64,

    /// How long a call takes: `20ms`, or a range such as `20ms..200ms`
    #[arg(long, value_name = "TIME", default_value_t = Latency::NONE)]
    pub latency: Latency,

    /// Go wrong on purpose: the first N calls for CODE, or all of them (repeatable; see --help)
    #[arg(long = "fault", value_name = "CODE=WHAT[:N]")]
    pub faults: Vec<Fault>,

    /// How late the answers of the fault `slow` are
    #[arg(long, hide = true, value_name = "N", default_value_t = 60,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub slow_seconds: u64,
}

/// Runs the sandbox until Ctrl-C or SIGTERM. `tracked` is what the state of `--state` tracks.
pub fn run(args: &SandboxArgs, tracked: Vec<Tracked>) -> Result<Exit, Failure> {
    if !args.listen.ip().is_loopback() {
        let title = format!("the sandbox cannot listen on {}: it is not a loopback address", args.listen);
        return Err(Failure::new(Exit::Error, title)
            .hint("it accepts made-up secrets, so nothing else may reach it")
            .hint("use `--listen 127.0.0.1:0`"));
    }
    let config = config(args, tracked)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed("the sandbox cannot start", &error))?;
    runtime.block_on(run_until_signal(args.listen, config))
}

fn config(args: &SandboxArgs, tracked: Vec<Tracked>) -> Result<Config, Failure> {
    let mut subscribed: Vec<Subscribed> = tracked.into_iter().map(Subscribed::By).collect();
    let mut names = BTreeMap::new();
    if let Some(path) = &args.subscribed {
        for (entry, name) in read_subscribed(path)? {
            if let Some(name) = name {
                names.insert(entry.approval_code().clone(), name);
            }
            subscribed.push(entry);
        }
    }
    Ok(Config {
        apps: args.apps.clone(),
        subscribed,
        names,
        limit: args.limit,
        window: args.window,
        window_length: Duration::from_secs(args.window_seconds),
        latency: args.latency,
        faults: args.faults.clone(),
        slow: Duration::from_secs(args.slow_seconds),
        ..Config::default()
    })
}

async fn run_until_signal(listen: SocketAddr, config: Config) -> Result<Exit, Failure> {
    let signals = |error| failed("the sandbox cannot wait for Ctrl-C", &error);
    // Before the address is printed: who reads it may send a signal at once.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(signals)?;
    let bound = |error| {
        failed(&format!("the sandbox cannot listen on {listen}"), &error)
            .hint("use `--listen 127.0.0.1:0` for any free port")
    };
    let listener = TcpListener::bind(listen).await.map_err(bound)?;
    let address = listener.local_addr().map_err(bound)?;
    let (log, mut calls) = mpsc::unbounded_channel();
    let sandbox = Sandbox::new(config).with_log(log);
    announce(address).map_err(|error| failed("the sandbox cannot print its address", &error))?;

    let log_each = async {
        while let Some(call) = calls.recv().await {
            log_to_stderr(&call);
        }
    };
    tokio::select! {
        () = serve(listener, sandbox, either(&mut interrupt, &mut terminate)) => {}
        () = log_each => {}
    }
    // The signal may have come between an answer and its line.
    while let Ok(call) = calls.try_recv() {
        log_to_stderr(&call);
    }
    Ok(Exit::Done)
}

/// A closed stderr is no reason to stop answering.
fn log_to_stderr(call: &Call) {
    let _ = writeln!(io::stderr(), "{}", log_line(call));
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}

fn announce(address: SocketAddr) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "http://{address}")?;
    stdout.flush()
}

/// `POST /open-apis/… → 200 0`, and what went wrong on purpose. Without a time, so that runs can be compared.
fn log_line(call: &Call) -> String {
    let mut line = format!("{} {} → ", Shown(&call.method), Shown(&call.path));
    match call.status {
        0 => line.push_str("no answer"),
        status => line.push_str(&status.to_string()),
    }
    if let Some(code) = call.code {
        line.push_str(&format!(" {code}"));
    }
    if let Some(fault) = call.fault {
        line.push_str(&format!(" (fault: {fault})"));
    }
    line
}

fn read_subscribed(path: &Path) -> Result<Vec<Named>, Failure> {
    let place = path.to_string_lossy();
    let bytes = std::fs::read(path).map_err(|error| {
        failed(&format!("cannot read the list of subscriptions `{}`", Shown(&place)), &error)
    })?;
    let text = String::from_utf8_lossy(&bytes);
    parse_subscribed(&text).map_err(|(line, cause)| {
        let title = format!("line {line} of `{}` is not a subscription", Shown(&place));
        Failure::new(Exit::Error, title)
            .because(cause)
            .hint("write one a line: `CODE`, `APP_ID/CODE` or `APP_ID/TENANT_KEY/CODE`, and the definition's name behind it; `#` begins a comment")
    })
}

/// What is subscribed, and its definition's name where the list gives one.
type Named = (Subscribed, Option<String>);

/// The entries of a list, or the first line that is none and why.
fn parse_subscribed(text: &str) -> Result<Vec<Named>, (usize, String)> {
    let mut entries = Vec::new();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let entry = line.split('#').next().unwrap_or_default().trim();
        if !entry.is_empty() {
            let (key, name) = entry.split_once(char::is_whitespace).unwrap_or((entry, ""));
            let subscribed = key.parse().map_err(|error| (index.saturating_add(1), format!("{error}")))?;
            entries.push((subscribed, Some(name.trim().to_owned()).filter(|name| !name.is_empty())));
        }
    }
    Ok(entries)
}

fn failed(title: &str, error: &io::Error) -> Failure {
    Failure::new(Exit::Error, title).because(shown(&error.to_string()))
}

#[cfg(test)]
#[path = "sandbox_tests.rs"]
mod tests;
