//! The lower modules' errors as a person sees them: one place decides exit codes and hints.

use super::{Exit, Failure};
use crate::credentials::CredentialProblem;
use crate::plan::review::Misplaced;
use crate::plan::saved::NotAPlan;
use crate::render::plan::author;
use crate::render::time;
use crate::state::shared::{Kind, Trouble};
use crate::state::{LedgerError, RunFacts, Unreadable};
use crate::text::{Shown, shown};
use crate::workspace::ManifestError;

impl From<ManifestError> for Failure {
    fn from(error: ManifestError) -> Self {
        let failure = Self::new(Exit::Error, shown(&error.to_string()));
        match error {
            ManifestError::Missing { .. } => failure.hint(
                "`larksub init` writes a starter manifest; --manifest names another place, -C another folder",
            ),
            ManifestError::EmptyFolder { .. } => failure
                .hint("a manifest folder's files stand directly in it, end in `.toml` and are not hidden"),
            ManifestError::Read { .. } => failure.hint("check that it is a file this user may read"),
        }
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        let title = shown(&error.to_string()).into_owned();
        match error {
            LedgerError::Missing { .. } => Self::new(Exit::Error, title)
                .hint("a missing state is never taken for \"nothing is subscribed\": restore it, or name it with --state")
                .hint("where there never was one: `larksub init`, then `larksub import`"),
            LedgerError::Exists { .. } => Self::new(Exit::Error, title)
                .hint("nothing was changed: a new state would forget what is subscribed")
                .hint("to begin anew all the same, move that file away first"),
            LedgerError::Read { .. } => Self::new(Exit::Error, title).hint("check that it is a file this user may read"),
            LedgerError::Unreadable { source, .. } => unreadable(Self::new(Exit::Error, title), &source),
            LedgerError::Newer { .. } => Self::new(Exit::Error, title)
                .hint("update larksub; until then `show` and `state list` print what this version understands"),
            LedgerError::Locked { holder, .. } => {
                let failure = match holder {
                    Some(holder) => Self::new(Exit::Locked, format!("{title} by {}", holder_text(&holder))),
                    None => Self::new(Exit::Locked, format!("{title} by another larksub command")),
                };
                failure.hint("run this again when that one has ended; `apply --lock-timeout 30s` waits for it")
            }
            LedgerError::Shared { trouble, .. } => shared(title, &trouble),
            LedgerError::Network { .. } => Self::new(Exit::Error, title)
                .hint("two machines could write to it at once, and neither would know: keep it on a local disk")
                .hint("where you know that its locks are real: --allow-network-lock"),
            LedgerError::Write { .. } => Self::new(Exit::Unwritable, title)
                .hint("make room, or give this user the right to write there; without a record no call is sent"),
        }
    }
}

fn shared(title: String, trouble: &Trouble) -> Failure {
    let exit = match trouble.kind {
        Kind::Held => Exit::Locked,
        Kind::Write | Kind::Lost => Exit::Unwritable,
        Kind::Missing | Kind::Exists | Kind::Setup | Kind::Read | Kind::NotTheirs => Exit::Error,
    };
    let failure =
        trouble.hints.iter().fold(Failure::new(exit, title), |failure, hint| failure.hint(hint.clone()));
    match &trouble.holder {
        Some(holder) if trouble.kind == Kind::Held => failure
            .hint("run this again when that one has ended; `apply --lock-timeout 2m` waits for it")
            .hint(format!("only where it is surely gone: `larksub state unlock {}`", holder.plain_id())),
        _ => failure,
    }
}

fn unreadable(failure: Failure, why: &Unreadable) -> Failure {
    match why {
        Unreadable::Empty => failure
            .hint("an empty file is not an empty state: restore the ledger from its backup or version control")
            .hint("where there never was one, delete the file and run `larksub init`"),
        Unreadable::Foreign(_) => failure.hint("nothing was changed; name the right file with --state"),
        Unreadable::Damaged { .. } => failure
            .hint("nothing was changed, and nothing is believed of what follows that line")
            .hint("restore the file from its backup or version control; or `larksub state repair` keeps what can be proved"),
    }
}

fn holder_text(holder: &RunFacts) -> String {
    format!("{}, since {}", author(&holder.by), time::minute(holder.at))
}

impl From<NotAPlan> for Failure {
    fn from(error: NotAPlan) -> Self {
        let title = format!("the saved plan is refused: {}", Shown(&error.to_string()));
        match error {
            NotAPlan::Foreign(_) => Self::new(Exit::Error, title).hint("`larksub plan --out FILE` saves one"),
            NotAPlan::Newer(_) => {
                Self::new(Exit::Error, title).hint("update larksub, or plan again with this one")
            }
            NotAPlan::Untrue(_) => Self::new(Exit::Refused, title)
                .hint("its checksum matches, so somebody made that anew: nothing in it can be believed")
                .hint("plan again, and have that reviewed; find out who can write to where plans are kept"),
            NotAPlan::Changed => Self::new(Exit::Refused, title).hint(
                "what was reviewed is what was saved, byte for byte: plan again, and have that reviewed",
            ),
        }
    }
}

impl From<Misplaced> for Failure {
    fn from(error: Misplaced) -> Self {
        let failure = Self::new(Exit::Refused, error.to_string());
        match error {
            Misplaced::Told(_) => failure
                .hint("the file was not written by `larksub plan`, although its checksum matches: who can write to where plans are kept?")
                .hint("plan again, and have that reviewed"),
            Misplaced::Lineage { .. } => failure.hint("name the state that it was made from with --state, or plan again"),
            Misplaced::App { .. } => failure.hint("apply it where it was made, or plan again here and have that reviewed"),
            Misplaced::Older { .. } => failure
                .hint("this is an older copy: what was dropped since is not in it; get the newest ledger, never apply to this one"),
            Misplaced::OtherHistory(_) => failure
                .hint("two copies of one ledger were written to; find the one that the plan was made from"),
        }
    }
}

impl From<Vec<CredentialProblem>> for Failure {
    fn from(problems: Vec<CredentialProblem>) -> Self {
        let failure = Self::new(Exit::Error, "a credential is missing or cannot be used; no call was sent");
        let failure = problems.iter().fold(failure, |failure, problem| failure.because(problem.to_string()));
        let mut hints: Vec<String> = problems.iter().map(|problem| problem.hint()).collect();
        hints.dedup();
        hints.into_iter().fold(failure, Failure::hint)
    }
}
