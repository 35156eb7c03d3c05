//! `larksub state pull | push | migrate | unlock`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::duration;

/// How long a lock is waited for.
#[derive(Debug, Clone, Args)]
pub struct LockArgs {
    /// How long to wait for another command that holds the state, such as 30s
    #[arg(long, value_name = "TIME", default_value = "200ms", value_parser = duration)]
    pub lock_timeout: Duration,
}

/// `larksub state pull`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  larksub state pull > backup.jsonl
  larksub state pull --out copy.jsonl && larksub plan --state copy.jsonl

Byte for byte what the state holds, its whole history included. Nothing is locked.")]
pub struct PullArgs {
    /// Write it to a file, which only this user may read
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `larksub state push`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  larksub state push larksub.state.unsent.jsonl   outcomes that an apply could not store
  larksub state push copy.jsonl                   a copy that was pulled and went on

A copy is taken only where the state is its beginning, byte for byte; nothing is ever
overwritten. Of unsent outcomes those that the state has already are passed over.")]
pub struct PushArgs {
    /// What an apply left behind, or a copy of this very ledger
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// How long to wait.
    #[command(flatten)]
    pub lock: LockArgs,
}

/// `larksub state migrate`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  larksub state migrate larksub.state.jsonl s3://bucket/approvals
  larksub state migrate s3://bucket/approvals larksub.state.jsonl

TO must not exist. It is read back and compared byte for byte. FROM stays as it is: move it
away, so that nobody goes on writing there.")]
pub struct MigrateArgs {
    /// The state as it is: a file or an address
    #[arg(value_name = "FROM")]
    pub from: PathBuf,
    /// Where it goes: a file or an address
    #[arg(value_name = "TO")]
    pub to: PathBuf,
    /// How long to wait.
    #[command(flatten)]
    pub lock: LockArgs,
}

/// `larksub state unlock`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  larksub state unlock 5f0c9a52-…                 the id that the refusal names

Only for a holder that is surely gone: a lease in an object store expires by itself within
about a minute, a server's lock does not.")]
pub struct UnlockArgs {
    /// The id of the lock
    #[arg(value_name = "ID")]
    pub id: String,
}
