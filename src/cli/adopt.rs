//! The commands that a team begins with: `import`, `manifest`, `doctor`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Format, code};
use crate::inventory::Kind;
use crate::subscription::{AppLabel, ApprovalCode, TenantKey};

/// `larksub import`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:
  larksub import --app hr 7C468A54-8745-2245-9675-08B7C63E7A85
  larksub import --app hr --file codes.csv --check      what it would do, and every problem
  larksub import --app isv --tenant 736588c92lxf175d --file codes.txt
  larksub import --declared                  whatever is declared and the state has never known
  larksub import --app hr --names            ask the platform what the tracked ones are called

Importing says that the app is subscribed; the platform cannot be asked. Name, owner and
protection come from the manifest, and from the list where the code is not declared. A code
that was dropped, forgotten or is unknown must be named: --declared only lists it.

A list is one code a line; or a table whose header has `code` and perhaps `name`, `owner` and
`tenant`; or JSON: codes, or objects with `approval_code`.

No call is made without --names. With it, definitions are read at most 100 a minute; only
Feishu, Lark and the place that the state has for the app are sent a secret.",
    group = clap::ArgGroup::new("what").required(true).multiple(true).args(["codes", "file", "declared", "names"])
)]
pub struct ImportArgs {
    /// The app, by its label in the manifest
    #[arg(long, value_name = "LABEL", required_unless_present_any = ["declared", "names"])]
    pub app: Option<AppLabel>,
    /// The tenant, for a store app
    #[arg(long, value_name = "TENANT")]
    pub tenant: Option<TenantKey>,
    /// Approval codes that the app is subscribed to
    #[arg(value_name = "CODE", value_parser = code)]
    pub codes: Vec<ApprovalCode>,
    /// A list of subscriptions: codes, a table, or JSON; `-` is standard input
    #[arg(long, value_name = "LIST", conflicts_with = "codes")]
    pub file: Option<PathBuf>,
    /// How LIST is written [default: found by its content]
    #[arg(long, value_name = "KIND", requires = "file", conflicts_with_all = ["codes", "declared"])]
    pub file_format: Option<Kind>,
    /// Every declared subscription that the state has never known
    #[arg(long, conflicts_with_all = ["codes", "file", "tenant"])]
    pub declared: bool,
    /// Ask the platform for names: of what is imported, else of what is tracked without one
    #[arg(long)]
    pub names: bool,
    /// Show what would be done, and write nothing
    #[arg(long)]
    pub check: bool,
    /// More certificates to trust, in PEM form
    #[arg(long, value_name = "FILE", requires = "names")]
    pub ca_bundle: Option<PathBuf>,
}

/// `larksub manifest …`
#[derive(Debug, Subcommand)]
pub enum ManifestCommand {
    /// Declare subscriptions, keeping the manifest's comments and order
    #[command(after_help = "Examples:
  larksub manifest add --app hr 7C468A54-8745-2245-9675-08B7C63E7A85 --name \"Leave request\"
  larksub manifest add --app hr --owner people-platform 5B43240B-848C-49BD-9D27-11EF0EE11234 --check

What is declared already stays as it is. The result has to be a right manifest, or nothing is
written.")]
    Add(AddArgs),
    /// Declare what is tracked and not declared yet
    #[command(after_help = "Examples:
  larksub manifest from-state --check        the difference, and nothing is written
  larksub manifest from-state --app hr
  larksub --manifest approvals manifest from-state --into approvals/hr.toml

An app without a section gets one, with what the state knows of it. What stands under
`removed`, and what is unknown, is left out and listed. Done twice, the second time changes
nothing.")]
    FromState(FromStateArgs),
}

/// `larksub manifest add`
#[derive(Debug, Args)]
pub struct AddArgs {
    /// The app, by its label
    #[arg(long, value_name = "LABEL")]
    pub app: AppLabel,
    /// The tenant, for a store app
    #[arg(long, value_name = "TENANT")]
    pub tenant: Option<TenantKey>,
    /// Approval codes to declare
    #[arg(required = true, value_name = "CODE", value_parser = code)]
    pub codes: Vec<ApprovalCode>,
    /// What the approval is called; with one CODE only
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
    /// Who owns it
    #[arg(long, value_name = "TEXT")]
    pub owner: Option<String>,
    /// Refuse to drop it
    #[arg(long)]
    pub protect: bool,
    /// Where it goes.
    #[command(flatten)]
    pub target: TargetArgs,
}

/// `larksub manifest from-state`
#[derive(Debug, Args)]
pub struct FromStateArgs {
    /// Only this app, by its label
    #[arg(long, value_name = "LABEL")]
    pub app: Option<AppLabel>,
    /// Write the result to a new file, and leave the manifest as it is
    #[arg(long, value_name = "FILE", conflicts_with = "into")]
    pub out: Option<PathBuf>,
    /// Where it goes.
    #[command(flatten)]
    pub target: TargetArgs,
}

/// Where entries are written.
#[derive(Debug, Args)]
pub struct TargetArgs {
    /// The file of a manifest folder that gets the entries [default: the one with the app's section]
    #[arg(long, value_name = "FILE")]
    pub into: Option<PathBuf>,
    /// Show what would be written, and write nothing
    #[arg(long)]
    pub check: bool,
}

/// `larksub doctor`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  larksub doctor
  larksub doctor --offline                   in a pull request: no secret, no network
  larksub doctor --format json | jq '.checks[] | select(.result == \"fail\")'

Each check is a line: ok, warn, FAIL or skip, and what to do about it. Only a token is asked
for, and a secret goes only to Feishu, to Lark, or to the place that the state has for the
app. Exits 1 when something fails.")]
pub struct DoctorArgs {
    /// Ask nobody: no credential, no network
    #[arg(long)]
    pub offline: bool,
    /// The form it is printed in
    #[arg(long, value_name = "F", default_value = "text")]
    pub format: Format,
    /// More certificates to trust, in PEM form
    #[arg(long, value_name = "FILE")]
    pub ca_bundle: Option<PathBuf>,
}
