//! `larksub init`: a starter manifest where there is none, and an empty state.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};

use uuid::Uuid;

use super::{Context, env};
use crate::error::{Exit, Failure};
use crate::state::line::write_line;
use crate::state::reach::create_at;
use crate::state::record::{FORMAT, Init, VERSION};
use crate::state::{Record, ledger};
use crate::text::shown;
use crate::workspace::{MANIFEST, author, now};

const STARTER: &str = r#"# What this repository keeps subscribed. `larksub plan` shows what would be dropped.

[policy]
max_drops = 50               # the most drops in one plan
max_drop_percent = 30        # and at most this share of one app's, once 10 are tracked

[apps.hr]
app_id = "cli_0000000000000000"    # the app's id in the developer console
brand = "feishu"                   # or "lark"

# [[apps.hr.subscriptions]]
# approval_code = "7C468A54-8745-2245-9675-08B7C63E7A85"
# name = "Leave request"
# owner = "people-platform"
"#;

/// Runs the command.
///
/// # Errors
/// There is a state already, or something cannot be written.
pub fn run(context: &Context) -> Result<Exit, Failure> {
    let workspace = &context.workspace;
    let state = &workspace.state;
    let is_shared = state.address().is_some();
    if !is_shared && state.as_path().symlink_metadata().is_ok() {
        return Err(ledger::LedgerError::Exists { path: state.as_path().into() }.into());
    }
    let init = Init {
        at: now(),
        format: FORMAT.into(),
        version: VERSION,
        lineage: Uuid::new_v4(),
        by: author("init", &env),
    };
    let records = [Record::Init(init)];
    if is_shared {
        // It may be out of reach, and then nothing is left behind.
        let line = write_line(1, &records, false).map_err(|error| {
            Failure::new(Exit::Error, "the first line cannot be formed").because(error.to_string())
        })?;
        create_at(state, env, &context.holder(), line.as_bytes())?;
    }
    let manifest = if workspace.manifest.is_dir() {
        workspace.manifest.join(MANIFEST)
    } else {
        workspace.manifest.clone()
    };
    let is_there = workspace.manifest_sources().is_ok();
    let mut said = String::new();
    let shown_path = |path: &std::path::Path| shown(&path.display().to_string()).into_owned();
    if is_there {
        said.push_str(&format!("{}: kept as it is\n", shown_path(&workspace.manifest)));
    } else {
        let written = OpenOptions::new().write(true).create_new(true).open(&manifest);
        match written.and_then(|mut file| file.write_all(STARTER.as_bytes())) {
            Ok(()) => said.push_str(&format!("{}: a starter manifest\n", shown_path(&manifest))),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                said.push_str(&format!("{}: kept as it is\n", shown_path(&manifest)));
            }
            Err(error) => {
                let title = format!("{} cannot be written", shown_path(&manifest));
                return Err(Failure::new(Exit::Error, title).because(error.to_string()));
            }
        }
    }
    if !is_shared {
        ledger::create(state.as_path(), &records)?;
    }
    said.push_str(&format!("{}: an empty state\n", state.shown()));
    context.print(&said)?;
    if is_shared {
        context.note(
            "next: declare subscriptions in the manifest, `larksub import` those that exist, `larksub plan`\nset LARKSUB_STATE to this address wherever larksub runs: the manifest does not name it",
        );
        return Ok(Exit::Done);
    }
    context.note(
        "next: declare subscriptions in the manifest, `larksub import` those that exist, `larksub plan`\nin a repository: commit both files, with `larksub.state.jsonl -text -merge` in .gitattributes",
    );
    Ok(Exit::Done)
}
