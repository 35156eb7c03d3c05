//! `larksub doctor`.
use super::Context;
use crate::cli::DoctorArgs;
use crate::error::{Exit, Failure};
use crate::state::State;
use crate::subscription::AppIdentity;
/// x
pub fn run(_context: &Context, _args: &DoctorArgs) -> Result<Exit, Failure> {
    Ok(Exit::Done)
}
/// Whether an app's secret may be sent to where the manifest says its platform is: it is Feishu's or Lark's own, or
/// the ledger has bound this very app to it.
pub fn is_vouched_for(app: &AppIdentity, state: &State) -> bool {
    app.base_url.brand().is_some() || state.app_of(app).is_some()
}
