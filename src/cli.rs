//! The command line as data: types and help texts.

mod adopt;
mod apply_forms;
mod forms;
mod shared;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use self::adopt::{AddArgs, DoctorArgs, FromStateArgs, ImportArgs, ManifestCommand, TargetArgs};
pub use self::apply_forms::{ApplyFormArgs, ApplyFormat, ApplyReport};
use self::forms::report;
pub use self::forms::{CommentArgs, Format, PlanFormat, Report, ShowFormat};
pub use self::shared::{LockArgs, MigrateArgs, PullArgs, PushArgs, UnlockArgs};

use crate::commands::sandbox::SandboxArgs;
use crate::plan::digest::is_digest;
use crate::state::{Override, OverrideFlag};
use crate::subscription::{AppLabel, ApprovalCode, SubscriptionKey};

/// Feishu/Lark approval-event subscriptions as code.
#[derive(Debug, Parser)]
#[command(
    name = "larksub",
    version,
    about = "Feishu/Lark approval-event subscriptions as code",
    long_about = "A manifest says which approval definitions an app stays subscribed to; a ledger remembers \
                  which ones are. `plan` shows the subscriptions to drop, `apply` drops them within the platform's \
                  quota and records what became of every call.\n\n\
                  The platform has no call that lists subscriptions, and events lost after a wrong drop never come \
                  back: the state is the only ledger, and a drop cannot be undone.",
    after_help = "Examples:
  larksub init                              a starter manifest and an empty state
  larksub import --app hr --declared        track what is declared and already subscribed
  larksub plan --out plan.json              show what would be dropped, and save it for review
  larksub apply plan.json                   drop exactly that, or nothing

Exit codes: 0 done; 1 error; 2 plan has changes (--detailed-exitcode); 3 applied, some calls
failed, not found or unknown; 4 refused; 5 locked; 6 stopped by the platform; 7 state cannot
be written; 130/143 interrupted.",
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// Work as if started in DIR
    #[arg(short = 'C', value_name = "DIR", global = true)]
    pub folder: Option<PathBuf>,
    /// The manifest: a TOML file, or a folder of them [default: larksub.toml]
    #[arg(long, value_name = "PATH", global = true)]
    pub manifest: Option<PathBuf>,
    /// The state: a file, or s3://…, gs://…, az://…, https://… [env: LARKSUB_STATE] [default: larksub.state.jsonl beside the manifest]
    #[arg(long, value_name = "PATH|URL", global = true)]
    pub state: Option<PathBuf>,
    /// Write to a state on a network file system, because its locks are known to be real
    #[arg(long, global = true, hide_short_help = true)]
    pub allow_network_lock: bool,
    /// Colour: auto (on a terminal without NO_COLOR), always or never
    #[arg(long, value_name = "WHEN", default_value = "auto", hide_possible_values = true, global = true)]
    pub color: ColorWhen,
    /// Say where things are read from (-vv: each call's answer, too); never a secret
    #[arg(short, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// Say only results and errors
    #[arg(short, long, conflicts_with = "verbose", global = true)]
    pub quiet: bool,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a starter manifest and an empty state
    #[command(after_help = "Examples:
  larksub init
  larksub -C deploy/approvals init

Nothing is overwritten: an existing manifest stays as it is, and an existing state is an
error, because a new one would forget what is subscribed.")]
    Init,
    /// Check the manifest, and the state where there is one
    #[command(after_help = "Examples:
  larksub validate
  larksub validate --manifest approvals/     a folder of manifests

Every problem of every file is reported at once. Neither network nor credential is needed.")]
    Validate,
    /// Record that subscriptions exist; no call is made without --names
    Import(ImportArgs),
    /// Write the manifest: declare subscriptions, or all that is tracked
    #[command(
        subcommand,
        after_help = "Examples:
  larksub manifest add --app hr 7C468A54-8745-2245-9675-08B7C63E7A85 --name \"Leave request\"
  larksub manifest from-state --check        declare all that is tracked: the difference first"
    )]
    Manifest(ManifestCommand),
    /// Check what larksub needs: manifest, state, credentials, network, clock
    Doctor(DoctorArgs),
    /// Show what `apply` would do
    Plan(PlanArgs),
    /// Drop what the plan says, and record what became of every call
    Apply(ApplyArgs),
    /// Show a saved plan, or the state
    Show(ShowArgs),
    /// Show what is tracked and what happened, or correct the state
    #[command(subcommand)]
    State(StateCommand),
    /// Run the embedded platform, for trying and for tests
    Sandbox(SandboxArgs),
    /// Print the JSON schema of a format, for editors, policy engines and validators
    #[command(after_help = "Examples:
  larksub schema manifest > larksub.schema.json   completion in editors, with this first line
                                                  in larksub.toml: #:schema ./larksub.schema.json
  larksub schema plan > plan.schema.json          what `plan --out` and `--format json` write
  larksub schema ledger > line.schema.json        one line of the state
  larksub schema events > event.schema.json       one line of `apply --format ndjson`

The manifest's is draft-07, which editors of TOML understand; the others are 2020-12. None
of them replaces `larksub validate`.")]
    Schema {
        /// Of what
        #[arg(value_name = "OF")]
        of: SchemaOf,
    },
    /// Print completions for a shell
    #[command(after_help = "Examples:
  larksub completions bash > /etc/bash_completion.d/larksub
  larksub completions zsh > \"${fpath[1]}/_larksub\"
  larksub completions fish > ~/.config/fish/completions/larksub.fish")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// What there is a JSON schema of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// A manifest, or one file of a folder of them
    Manifest,
    /// A saved plan
    Plan,
    /// One line of the state
    Ledger,
    /// One line of `apply --format ndjson`
    Events,
}

/// `larksub plan`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  larksub plan
  larksub plan --out plan.json --detailed-exitcode
  larksub plan --format diff
  larksub plan --out plan.json --report markdown=plan.md --report gitlab=tfplan.json
  larksub plan --base main.json              beside what `plan --out main.json` saved on main
  larksub plan --report html=plan.html       a page for an artifact
  larksub plan --allow-drops 12              a reviewed exception to max_drops and max_drop_percent

Neither network nor credential is needed, and nothing is written but --out and --report. A
plan that a guard refuses is shown, saved, and exits 4.")]
pub struct PlanArgs {
    /// Save the plan, for `apply PLAN`
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Tell what a saved plan of the main branch holds already from what this change adds
    #[arg(long, value_name = "FILE")]
    pub base: Option<PathBuf>,
    /// The form it is printed in
    #[arg(long, value_name = "F", default_value = "text")]
    pub format: PlanFormat,
    /// Write the plan to a file in another form as well (repeatable)
    #[arg(long, value_name = "F=FILE", value_parser = report)]
    pub report: Vec<Report>,
    /// What a comment is like.
    #[command(flatten)]
    pub comment: CommentArgs,
    /// List everything, however small the terminal
    #[arg(long)]
    pub full: bool,
    /// Exit 2 instead of 0 when `apply` has something to do
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// What is allowed by name
    #[command(flatten)]
    pub allow: AllowArgs,
}

impl PlanArgs {
    /// Every form that is asked for.
    pub fn forms(&self) -> impl Iterator<Item = PlanFormat> {
        std::iter::once(self.format).chain(self.report.iter().map(|report| report.format))
    }
}

/// `larksub apply`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  larksub apply                              plan, show it, ask, drop
  larksub apply plan.json                    exactly the plan that was reviewed, or nothing
  larksub apply --digest sha256:…            the same, where only the digest is at hand
  larksub apply --auto-approve               without a reviewer
  larksub apply plan.json --report html=apply.html --report markdown=apply.md
  larksub apply plan.json --format ndjson    an event a line, as it happens

A plan whose run was interrupted is resumed by the same command. A saved plan also notices
an older copy of the state; a digest alone cannot. Without a terminal one of PLAN, --digest
and --auto-approve is needed.

Credentials come from the environment: LARKSUB_APP_SECRET_<LABEL> (or LARKSUB_APP_SECRET
where the manifest has one app), for store apps also LARKSUB_APP_TICKET_<LABEL>; or
LARKSUB_TENANT_ACCESS_TOKEN_<LABEL>. Each also as …_FILE.")]
pub struct ApplyArgs {
    /// A plan that `plan --out` saved
    #[arg(value_name = "PLAN", conflicts_with = "digest")]
    pub plan: Option<PathBuf>,
    /// The digest of the plan that was reviewed
    #[arg(long, value_name = "sha256:…", value_parser = digest)]
    pub digest: Option<String>,
    /// Do not ask
    #[arg(long)]
    pub auto_approve: bool,
    /// In which forms the result is told.
    #[command(flatten)]
    pub forms: ApplyFormArgs,
    /// How long to wait for another command that holds the state, such as 30s
    #[arg(long, value_name = "TIME", default_value = "200ms", value_parser = duration)]
    pub lock_timeout: Duration,
    /// More certificates to trust, in PEM form
    #[arg(long, value_name = "FILE")]
    pub ca_bundle: Option<PathBuf>,
    /// List everything, however small the terminal
    #[arg(long)]
    pub full: bool,
    /// What is allowed by name
    #[command(flatten)]
    pub allow: AllowArgs,
    /// Believe "already unsubscribed" with this app's ready-made token, which does not prove its app
    #[arg(long, value_name = "LABEL")]
    pub allow_misses: Vec<AppLabel>,
}

/// The guards that can be allowed by name.
#[derive(Debug, Clone, Args)]
pub struct AllowArgs {
    /// Allow up to N drops in the whole plan, whatever max_drops and max_drop_percent say
    #[arg(long, value_name = "N")]
    pub allow_drops: Option<u64>,
    /// Drop KEY although another app or tenant declares its code and does not track it yet
    #[arg(long, value_name = "KEY")]
    pub allow_handover: Vec<SubscriptionKey>,
}

impl AllowArgs {
    /// The same as records keep it.
    pub fn overrides(&self) -> Vec<Override> {
        let Self { allow_drops, allow_handover } = self;
        let drops = allow_drops.iter().map(|most| (OverrideFlag::AllowDrops, most.to_string()));
        let handovers = allow_handover.iter().map(|key| (OverrideFlag::AllowHandover, key.to_string()));
        drops.chain(handovers).map(|(flag, value)| Override { flag, value }).collect()
    }
}

/// `larksub show`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  larksub show                               the state
  larksub show plan.json                     a saved plan, anywhere
  larksub show plan.json --format markdown   the same, for a comment
  larksub show --format json | jq '.subscriptions[] | select(.status == \"subscribed\")'")]
pub struct ShowArgs {
    /// A plan that `plan --out` saved; the state where absent
    #[arg(value_name = "PLAN")]
    pub plan: Option<PathBuf>,
    /// The form it is printed in; the state only as text or json
    #[arg(long, value_name = "F", default_value = "text")]
    pub format: ShowFormat,
    /// List everything, however small the terminal
    #[arg(long)]
    pub full: bool,
    /// What a comment is like.
    #[command(flatten)]
    pub comment: CommentArgs,
}

/// `larksub state …`
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// List what is tracked
    List {
        /// Also what was dropped or forgotten
        #[arg(long)]
        all: bool,
        /// The form it is printed in
        #[arg(long, value_name = "F", default_value = "text")]
        format: Format,
    },
    /// Show one subscription
    Show {
        /// `label/CODE`, or `label/tenant/CODE` in a store app
        key: SubscriptionKey,
        /// The form it is printed in
        #[arg(long, value_name = "F", default_value = "text")]
        format: Format,
    },
    /// Forget subscriptions, without a call
    #[command(after_help = "Examples:
  larksub state rm hr/5B43240B-848C-49BD-9D27-11EF0EE11234 --reason \"dropped by hand in the console\"

The subscription itself is untouched: if it lives, its events go on. A protected one is
refused.")]
    Rm {
        /// `label/CODE`, or `label/tenant/CODE` in a store app
        #[arg(required = true, value_name = "KEY")]
        keys: Vec<SubscriptionKey>,
        /// Why; kept in the ledger
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Show what happened, and under which plan: to one subscription, or to all
    #[command(after_help = "Examples:
  larksub state history
  larksub state history hr/7C468A54-8745-2245-9675-08B7C63E7A85
  larksub state history --format json | jq '.entries[] | select(.kind == \"unsubscribed\")'")]
    History {
        /// `label/CODE`, or `label/tenant/CODE` in a store app
        key: Option<SubscriptionKey>,
        /// The form it is printed in
        #[arg(long, value_name = "F", default_value = "text")]
        format: Format,
    },
    /// Keep what a damaged state can prove, or add what another copy of it knows
    #[command(after_help = "Examples:
  larksub state repair                               a ledger that is refused as damaged
  larksub state repair --merge old.state.jsonl       two copies that went different ways
  larksub state repair --recovery job.log            outcomes that an apply could not record

The original is kept beside the state. What cannot be proved is said, and never guessed:
whatever a lost line tracked or dropped is for a person to settle, with `import` and `state
rm`.")]
    Repair {
        /// Another copy of the same ledger, whose further lines are added
        #[arg(long, value_name = "FILE", conflicts_with = "recovery")]
        merge: Option<PathBuf>,
        /// A log that holds the recovery lines of an apply; `-` is standard input
        #[arg(long, value_name = "FILE")]
        recovery: Option<PathBuf>,
    },
    /// Rewrite the state as what it adds up to; the old one is kept beside it
    #[command(after_help = "Examples:
  larksub state compact

The new ledger has the same lineage and goes on with the next line number. What happened
before is in the old one, whose name tells its first and last line.")]
    Compact,
    /// Print a state as it is, byte for byte
    Pull(PullArgs),
    /// Add to the state what an apply could not store there, or what a copy of it knows
    Push(PushArgs),
    /// Copy a state to another place, and compare
    Migrate(MigrateArgs),
    /// Free the lock of a shared state whose holder is gone
    Unlock(UnlockArgs),
}

fn code(text: &str) -> Result<ApprovalCode, String> {
    text.parse().map_err(|error| {
        format!("{error}; a code comes from the answer of \"create definition\", or from the definition's URL in the approval admin console with developer mode on")
    })
}

fn digest(text: &str) -> Result<String, String> {
    if is_digest(text) {
        Ok(text.into())
    } else {
        Err("a digest is `sha256:` and 64 lower-case hexadecimal digits, as `plan` prints it".into())
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: f64 =
        number.parse().map_err(|_| "a time is a number and a unit: `200ms`, `30s`, `5m`".to_owned())?;
    let seconds = match unit {
        "ms" => number / 1000.0,
        "s" => number,
        "m" => number * 60.0,
        _ => return Err("a time is a number and a unit: `200ms`, `30s`, `5m`".into()),
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| "that time is too long".into())
}
