//! `larksub state history`: what happened, and under which plan. Nothing is written.

use super::show::json;
use super::state::{find, manifest};
use super::{Context, env};
use crate::cli::Format;
use crate::error::{Exit, Failure};
use crate::render;
use crate::state::history;
use crate::state::reach::bytes_at;
use crate::subscription::SubscriptionKey;

/// Runs the command.
///
/// # Errors
/// The state cannot be read, or does not know the subscription.
pub fn run(context: &Context, key: Option<&SubscriptionKey>, format: Format) -> Result<Exit, Failure> {
    let reading = context.state_of_any_version()?;
    let of = match key {
        None => None,
        Some(key) => {
            let id = find(&reading.state, manifest(context).as_ref(), key);
            let id = id.filter(|id| {
                reading.state.subscription(id.app, id.tenant_key.as_ref(), &id.approval_code).is_some()
            });
            let of = id.and_then(|id| history::of(&reading.state, &reading.state.key(&id)?));
            Some(of.ok_or_else(|| {
                Failure::new(Exit::Error, format!("the state does not know {key}")).hint(
                    "`larksub state list --all` lists what it knows; a store app's key is label/tenant/CODE",
                )
            })?)
        }
    };
    let unreadable = |error: String| {
        Failure::new(Exit::Error, "the history cannot be read")
            .because(error)
            .hint("run it again; somebody may be writing")
    };
    // The state was read from these bytes a moment ago; whatever was appended since is simply not looked at.
    let bytes = bytes_at(&context.workspace.state, env).map_err(|error| unreadable(error.to_string()))?;
    let sound_len = usize::try_from(reading.sound_len).unwrap_or(usize::MAX);
    let sound = bytes.get(..sound_len).ok_or_else(|| unreadable("the file was replaced meanwhile".into()))?;
    let entries = history::entries(sound, reading.version, of.as_ref())
        .map_err(|error| unreadable(error.to_string()))?;
    let text = match format {
        Format::Text => render::history::text(&entries, context.stdout.paint),
        Format::Json => json(&render::history::document(reading.state.lineage, &entries))?,
    };
    context.print(&text).map(|()| Exit::Done)
}
