//! `larksub schema`: the JSON schema of what people write and what this program writes.

use super::Context;
use crate::cli::SchemaOf;
use crate::error::{Exit, Failure};
use crate::{json, schema};

/// Runs the command.
///
/// # Errors
/// It cannot be printed.
pub fn run(context: &Context, of: SchemaOf) -> Result<Exit, Failure> {
    let schema = match of {
        SchemaOf::Manifest => schema::manifest(),
        SchemaOf::Plan => schema::plan(),
        SchemaOf::Ledger => schema::ledger_line(),
        SchemaOf::Events => schema::events(),
    };
    let text = json::pretty(&schema).map_err(|error| {
        Failure::new(Exit::Error, "the schema cannot be written").because(error.to_string())
    })?;
    context.print(&format!("{text}\n")).map(|()| Exit::Done)
}
