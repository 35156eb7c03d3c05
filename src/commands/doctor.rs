//! `larksub doctor`: everything that the other commands need, looked at without changing or dropping anything.

mod local;
mod platform;

use super::Context;
use super::show::json;
use crate::checks::Found;
use crate::cli::{DoctorArgs, Format};
use crate::error::{Exit, Failure};
use crate::feishu::Http;
use crate::feishu::http::Timeouts;
use crate::render;
use crate::state::State;
use crate::subscription::AppIdentity;

/// Long enough for a slow network, and short enough to wait for.
const TIMEOUTS: Timeouts =
    Timeouts { connect: std::time::Duration::from_secs(5), total: std::time::Duration::from_secs(10) };

/// Runs the command.
///
/// # Errors
/// The result cannot be printed. What is found wrong is the result.
pub fn run(context: &Context, args: &DoctorArgs) -> Result<Exit, Failure> {
    let mut checks = Vec::new();
    let manifest = local::manifest(context, &mut checks);
    let state = local::state(context, &mut checks);
    if let Some(manifest) = &manifest {
        local::apps(manifest, state.as_ref(), &mut checks);
    }
    let http = Http::with_timeouts(args.ca_bundle.clone(), TIMEOUTS);
    local::surroundings(manifest.as_ref(), &http, &mut checks);
    platform::ask(manifest.as_ref(), state.as_ref(), &http, args.offline, &mut checks)?;
    let exit = match checks.iter().any(|check| check.result == Found::Fail) {
        true => Exit::Error,
        false => Exit::Done,
    };
    let text = match args.format {
        Format::Text => render::doctor::text(&checks, context.stdout.paint),
        Format::Json => json(&render::doctor::document(&checks, exit.code()))?,
    };
    context.print(&text).map(|()| exit)
}

/// Whether an app's secret may be sent to where the manifest says its platform is: it is Feishu's or Lark's own, or
/// the ledger has bound this very app to it. A manifest may come from a pull request.
pub fn is_vouched_for(app: &AppIdentity, state: Option<&State>) -> bool {
    app.base_url.brand().is_some() || state.is_some_and(|state| state.app_of(app).is_some())
}
