//! `larksub import`: tracks subscriptions that exist. The platform cannot be asked which do; with `--names` it is asked
//! what they are called.

mod names;
mod track;
mod wanted;

use super::{Context, LOCK_WAIT, env};
use crate::cli::ImportArgs;
use crate::error::{Exit, Failure};
use crate::names::Names;
use crate::render::grouped;
use crate::state::{Ledger, Reading, State};
use crate::text::shown;
use crate::workspace::author;

use track::{Import, import};
use wanted::{Wanted, wanted};

/// Runs the command.
///
/// # Errors
/// An app has no section, a list has problems, a code is refused, the platform gives no token, or the state cannot be
/// written; nothing is imported then.
pub fn run(context: &Context, args: &ImportArgs) -> Result<Exit, Failure> {
    let (manifest, _) = context.manifest()?;
    let wanted = wanted(&manifest, args)?;
    let by = author("import", &env);
    let to_do = |state: &State, names: &Names| import(&manifest, state, &wanted.all, args, names, &by);
    // Nobody is kept waiting at the lock while the platform is asked.
    let names = match args.names {
        true => {
            let reading = read(context)?;
            to_do(&reading.state, &Names::default())?;
            names::ask(context, &manifest, &reading.state, &wanted.all, args)?
        }
        false => Names::default(),
    };
    let (ledger, reading) = match args.check {
        true => (None, read(context)?),
        false => context.ledger(LOCK_WAIT).map(|(ledger, reading)| (Some(ledger), reading))?,
    };
    let import = to_do(&reading.state, &names)?;
    if let Some(list) = &wanted.list {
        context.note(&format!("{}: {}", list.said(), summary(&import, true)));
    }
    write(ledger, &import)?;
    let mut said: String = import.lines.iter().map(|line| line.text(args.check) + "\n").collect();
    said.push_str(&format!("{}.\n", summary(&import, args.check)));
    if args.check {
        said.push_str("Nothing was written (--check).\n");
    }
    context.print(&said)?;
    Ok(tell(context, &import, &names))
}

fn read(context: &Context) -> Result<Reading, Failure> {
    context.state(context.state_alone())
}

fn write(ledger: Option<Ledger>, import: &Import) -> Result<(), Failure> {
    if let Some(mut ledger) = ledger {
        ledger.append_each(&import.records)?;
    }
    Ok(())
}

fn summary(import: &Import, is_ahead: bool) -> String {
    let Import { records: _, lines: _, tracked, again, unchanged, to_name, named, deleted, unread } = import;
    let words = if is_ahead { ["to import", "to be given a name"] } else { ["imported", "given a name"] };
    let [imported, given] = words;
    let again = match again {
        0 => String::new(),
        again => format!(" ({} dropped, forgotten or unknown before)", grouped(*again)),
    };
    let mut summary = vec![format!("{} {imported}{again}", grouped(*tracked))];
    for (number, what) in [
        (*unchanged, "tracked already"),
        (*to_name, "to be named as CODE"),
        (*named, given),
        (*deleted, "deleted at the platform"),
        (*unread, "without an answer"),
    ] {
        if number > 0 {
            summary.push(format!("{} {what}", grouped(number)));
        }
    }
    summary.join(", ")
}

/// Says what a person has to do about the platform's answers, and how the process ends.
fn tell(context: &Context, import: &Import, names: &Names) -> Exit {
    if import.deleted > 0 {
        context.note("a deleted definition begins no new approvals: leave it out of the manifest, and the next plan drops it");
    }
    let mut exit = if import.unread > 0 { Exit::Incomplete } else { Exit::Done };
    for stopped in &names.stopped {
        let tenant = stopped.tenant_key.as_ref().map(|tenant| format!(" in tenant `{tenant}`"));
        let title =
            format!("app `{}`{}: no more names: {}", stopped.app, tenant.unwrap_or_default(), stopped.says);
        context.complain(
            &Failure::new(Exit::Stopped, title)
                .hint(stopped.hint.clone())
                .hint("what was learnt until then was kept; `larksub import --names` asks for the rest"),
        );
        exit = Exit::Stopped;
    }
    exit
}

/// A path, or standard input, as a person names it.
fn place(path: &std::path::Path) -> String {
    match path == std::path::Path::new("-") {
        true => "standard input".into(),
        false => shown(&path.display().to_string()).into_owned(),
    }
}
