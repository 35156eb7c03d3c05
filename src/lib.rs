//! `larksub` manages an app's Feishu/Lark approval-event subscriptions as code.
//!
//! The map, top down; imports run downward only (`docs/architecture.md` says what each must not know):
//!
//! - [`cli`]: the command line as data. [`commands`]: one file a command, wiring the rooms below.
//! - [`error`]: what a person sees when something is wrong, and the exit codes.
//! - [`workspace`]: where the manifest and the state are. [`render`]: plans, states and reports as text.
//! - [`apply`]: a plan, the platform, the pace and the ledger become a report. [`names`]: what definitions are called.
//!   [`sandbox`]: a platform to try it on.
//! - [`checks`], [`report`], [`plan`], [`state`], [`manifest`]: data and the pure functions over it.
//! - [`schema`]: the formats as JSON schemas.
//! - [`inventory`]: lists of subscriptions that somebody else wrote.
//! - [`feishu`]: the platform. [`pace`]: when a call may be sent. [`credentials`]: where secrets come from.
//! - [`subscription`], [`text`]: identifiers, and foreign strings made safe to show.

#[cfg(not(unix))]
compile_error!(
    "larksub runs on Linux (tested) and macOS (best effort): its ledger relies on POSIX file locks, links and renames"
);

pub mod apply;
pub mod checks;
pub mod cli;
pub mod commands;
pub mod credentials;
pub mod error;
pub mod failpoint;
pub mod feishu;
#[doc(hidden)]
pub mod fuzz;
pub mod inventory;
pub mod json;
pub mod manifest;
pub mod names;
pub mod pace;
pub mod plan;
pub mod render;
pub mod report;
pub mod sandbox;
pub mod schema;
pub mod state;
pub mod subscription;
pub mod text;
pub mod workspace;
