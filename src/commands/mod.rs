//! One file a command: each wires the rooms below it and prints.

pub mod apply;
pub mod compact;
pub mod doctor;
pub mod forms;
pub mod history;
pub mod import;
pub mod init;
pub mod manifest;
pub mod plan;
pub mod progress;
pub mod repair;
pub mod sandbox;
pub mod schema;
pub mod shared;
pub mod show;
pub mod state;
pub mod validate;

use std::ffi::OsString;
use std::fs::Permissions;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use clap::{CommandFactory as _, Parser as _};

use crate::cli::{Cli, ColorWhen, Command, Global, ManifestCommand, StateCommand};
use crate::error::{Exit, Failure, draw};
use crate::manifest::{Manifest, Source, parse};
use crate::render::{Layout, Paint};
use crate::state::compact::is_overgrown;
use crate::state::ledger::{Locking, refuse_newer};
use crate::state::reach::{Opened, open_at, read_at};
use crate::state::shared::Holder;
use crate::state::{Ledger, LedgerError, Place, Reading};
use crate::text::{is_unseen, shown};
use crate::workspace::{Workspace, author, now};
use uuid::Uuid;

/// What every command works with.
#[derive(Debug, Clone)]
pub struct Context {
    /// Its words, for whoever finds the state locked by it.
    pub command: &'static str,
    /// Where manifest and state are.
    pub workspace: Workspace,
    /// Whether a network file system's locks are trusted.
    pub trusts_network: bool,
    /// What stdout can show.
    pub stdout: Screen,
    /// What stderr can show.
    pub stderr: Screen,
    /// How much is said beside the result.
    pub verbosity: Verbosity,
}

/// What a stream can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// Whether a person may be looking.
    pub is_terminal: bool,
    /// Colours, or none.
    pub paint: Paint,
}

/// A manifest with its texts, or why there is none.
pub type ManifestReading = Result<(Manifest, Vec<Source>), Failure>;

/// A state that was read, and of which nothing has been said yet.
#[derive(Debug)]
pub struct StateReading(Result<Reading, LedgerError>);

/// How much is said beside the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Results and errors.
    Quiet,
    /// Progress and notes as well.
    Normal,
    /// Where things were read from.
    Verbose,
    /// Every call's answer.
    Debug,
}

/// Runs the program with these arguments, its own name first. Whatever is to be said has been printed when this
/// returns.
pub fn run_from(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    match Cli::try_parse_from(&arguments) {
        Ok(cli) => run(&cli),
        // A closed stream is no reason to fail.
        Err(error) if error.use_stderr() => {
            let _ = write!(io::stderr(), "{}", safe(&error.render().to_string(), &arguments));
            Exit::Error
        }
        // Help and version come this way, too.
        Err(error) => {
            let _ = error.print();
            Exit::Done
        }
    }
}

/// A usage error, whose text quotes what was typed: a pipeline may pass on what somebody else wrote.
fn safe(error: &str, arguments: &[OsString]) -> String {
    let mut text = error.to_owned();
    for argument in arguments.iter().skip(1) {
        let argument = argument.to_string_lossy();
        // Of `--flag=value` clap quotes either part.
        let parts = argument.split('=').chain([argument.as_ref()]);
        for part in parts.filter(|part| part.contains(is_unseen) || part.contains("##")) {
            text = text.replace(part, &shown(part));
        }
    }
    let unseen = |c: char| c != '\n' && is_unseen(c);
    text.chars().map(|c| if unseen(c) { c.escape_unicode().to_string() } else { c.to_string() }).collect()
}

fn run(cli: &Cli) -> Exit {
    let entered = enter(cli.global.folder.as_deref());
    let context = Context { command: name(&cli.command), ..Context::new(&cli.global) };
    let checked = entered.and_then(|()| check_state_path(&context, &cli.command));
    match checked.and_then(|()| dispatch(&context, &cli.command)) {
        Ok(exit) => exit,
        Err(failure) => {
            context.complain(&failure);
            failure.exit
        }
    }
}

/// Goes to the folder of `-C`, so that every relative path is from there: manifest and state, plans, lists, secrets.
fn enter(folder: Option<&Path>) -> Result<(), Failure> {
    let Some(folder) = folder else { return Ok(()) };
    std::env::set_current_dir(folder).map_err(|error| {
        let title = format!("cannot work in {}", shown(&folder.display().to_string()));
        Failure::new(Exit::Error, title).because(error.to_string())
    })
}

/// The words of a command that writes to the state.
fn name(command: &Command) -> &'static str {
    match command {
        Command::Init => "init",
        Command::Import(_) => "import",
        Command::Apply(_) => "apply",
        Command::State(StateCommand::Rm { .. }) => "state rm",
        Command::State(StateCommand::Repair { .. }) => "state repair",
        Command::State(StateCommand::Push(_)) => "state push",
        Command::State(StateCommand::Migrate(_)) => "state migrate",
        _ => "larksub",
    }
}

fn dispatch(context: &Context, command: &Command) -> Result<Exit, Failure> {
    match command {
        Command::Init => init::run(context),
        Command::Validate => validate::run(context),
        Command::Import(args) => import::run(context, args),
        Command::Manifest(ManifestCommand::Add(args)) => manifest::add(context, args),
        Command::Manifest(ManifestCommand::FromState(args)) => manifest::from_state(context, args),
        Command::Doctor(args) => doctor::run(context, args),
        Command::Plan(args) => plan::run(context, args),
        Command::Apply(args) => apply::run(context, args),
        Command::Show(args) => show::run(context, args),
        Command::State(StateCommand::List { all, format }) => state::list(context, *all, *format),
        Command::State(StateCommand::Show { key, format }) => state::show(context, key, *format),
        Command::State(StateCommand::Rm { keys, reason }) => state::rm(context, keys, reason),
        Command::State(StateCommand::History { key, format }) => history::run(context, key.as_ref(), *format),
        Command::State(StateCommand::Repair { merge, recovery }) => {
            repair::run(context, merge.as_deref(), recovery.as_deref())
        }
        Command::State(StateCommand::Compact) => compact::run(context),
        Command::State(StateCommand::Pull(args)) => shared::pull(context, args),
        Command::State(StateCommand::Push(args)) => shared::push(context, args),
        Command::State(StateCommand::Migrate(args)) => shared::migrate(context, args),
        Command::State(StateCommand::Unlock(args)) => shared::unlock(context, args),
        Command::Sandbox(args) => {
            let tracked = args.state.as_deref().map(|path| state::tracked(context, path)).transpose()?;
            sandbox::run(args, tracked.unwrap_or_default())
        }
        Command::Schema { of } => schema::run(context, *of),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "larksub", &mut script);
            context.print(&String::from_utf8_lossy(&script)).map(|()| Exit::Done)
        }
    }
}

impl Context {
    /// The surroundings that the global options and the process describe.
    pub fn new(global: &Global) -> Self {
        let Global { folder: _, manifest, state, allow_network_lock, color, verbose, quiet } = global;
        // Not clap's: it would reach the sandbox's own --state as well.
        let state = state.clone().or_else(|| env(STATE_VARIABLE).map(PathBuf::from));
        let screen = |is_terminal: bool| Screen { is_terminal, paint: paint(*color, is_terminal) };
        Self {
            command: "larksub",
            workspace: Workspace::new(manifest.as_deref(), state.as_deref()),
            trusts_network: *allow_network_lock,
            stdout: screen(io::stdout().is_terminal()),
            stderr: screen(io::stderr().is_terminal()),
            verbosity: match (quiet, verbose) {
                (true, _) => Verbosity::Quiet,
                (false, 0) => Verbosity::Normal,
                (false, 1) => Verbosity::Verbose,
                (false, _) => Verbosity::Debug,
            },
        }
    }

    /// Prints a result to stdout.
    ///
    /// # Errors
    /// It cannot be written, as on a full disk. A reader that has gone is none.
    pub fn print(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::new(Exit::Error, "the result cannot be written to stdout")
                    .because(error.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// Says something beside the result, on stderr.
    pub fn note(&self, text: &str) {
        if self.verbosity > Verbosity::Quiet {
            // There is no better place to say that stderr is closed.
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }

    /// Says where things come from, on stderr, if asked for.
    pub fn detail(&self, text: &str) {
        if self.verbosity >= Verbosity::Verbose {
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }

    /// Prints an error to stderr.
    pub fn complain(&self, failure: &Failure) {
        let _ = io::stderr().lock().write_all(failure.text(self.stderr.paint).as_bytes());
    }

    /// How texts are laid out on stdout; `full` lists everything however small the screen. `below` is how many rows
    /// something else needs beneath.
    pub fn layout(&self, full: bool, below: usize) -> Layout {
        let Screen { is_terminal, paint } = self.stdout;
        let size = if is_terminal { rustix::termios::tcgetwinsize(io::stdout()).ok() } else { None };
        let size = size.filter(|size| size.ws_col >= 40 && size.ws_row >= 10);
        Layout {
            paint,
            columns: size.map(|size| usize::from(size.ws_col)).filter(|_| !full),
            lines: size.map(|size| usize::from(size.ws_row).saturating_sub(below + 1)).filter(|_| !full),
        }
    }

    /// Reads the manifest.
    ///
    /// # Errors
    /// It is missing, or has problems; all of them are drawn.
    pub fn manifest(&self) -> ManifestReading {
        let sources = self.workspace.manifest_sources()?;
        self.detail(&format!("manifest: {}", shown(&self.workspace.manifest.display().to_string())));
        match parse(&sources) {
            Ok(manifest) => Ok((manifest, sources)),
            Err(problems) => {
                let count = crate::render::count(problems.0.len() as u64, "problem", "problems");
                let drawing = draw::problems(&problems, &sources, self.stderr.paint == Paint::Colored);
                let path = self.workspace.manifest.display().to_string();
                let title = format!("the manifest {} has {count}", shown(&path));
                Err(Failure { drawing, ..Failure::new(Exit::Error, title) })
            }
        }
    }

    /// Reads the manifest and, at the same time, the state without a lock, for what decides something. Of the state
    /// nothing has been said yet: that is [`Context::state`]'s, once it is the state's turn.
    pub fn manifest_and_state(&self) -> (ManifestReading, StateReading) {
        let place = &self.workspace.state;
        thread::scope(|scope| {
            let state = thread::Builder::new().spawn_scoped(scope, || read_at(place, env));
            let manifest = self.manifest();
            let state = match state {
                Ok(state) => state.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                // A system that gives no more threads.
                Err(_) => read_at(place, env),
            };
            (manifest, StateReading(state))
        })
    }

    /// Reads the state without a lock; nothing has been said of it yet.
    pub fn state_alone(&self) -> StateReading {
        StateReading(read_at(&self.workspace.state, env))
    }

    /// What was read of the state, for what decides something.
    ///
    /// # Errors
    /// It is missing, damaged, something else, or of a newer version.
    pub fn state(&self, StateReading(reading): StateReading) -> Result<Reading, Failure> {
        let reading = self.told(reading?);
        Ok(refuse_newer(self.workspace.state.as_path(), reading)?)
    }

    /// Reads the state without a lock, for what only shows it.
    ///
    /// # Errors
    /// It is missing, damaged or something else.
    pub fn state_of_any_version(&self) -> Result<Reading, Failure> {
        Ok(self.told(read_at(&self.workspace.state, env)?))
    }

    fn told(&self, reading: Reading) -> Reading {
        let path = shown(&self.workspace.state.display().to_string()).into_owned();
        self.detail(&format!("state: {path}, line {}", reading.state.serial));
        self.note_tail(&reading);
        self.note_size(&reading);
        reading
    }

    /// Opens the state for writing, waiting up to `wait` for another command.
    ///
    /// # Errors
    /// It is missing, locked, not writable, something else, damaged, or of a newer version.
    pub fn ledger(&self, wait: Duration) -> Result<(Ledger, Reading), Failure> {
        let locking = Locking { wait, trusts_network: self.trusts_network };
        let opened = open_at(&self.workspace.state, env, &self.holder(), locking)?;
        let Opened { ledger, reading, kept_tail, note } = opened;
        if self.command == "apply" {
            shared::note_unsent(self);
        }
        if let Some(note) = note {
            self.note(&format!("note: {note}"));
        }
        if let Some(kept) = kept_tail {
            self.note(&format!(
                "note: the state ended in a line that was cut off while it was written; it was moved to {}",
                shown(&kept.display().to_string())
            ));
        }
        self.note_size(&reading);
        Ok((ledger, reading))
    }

    /// This process, as whoever finds the state locked by it is told.
    pub fn holder(&self) -> Holder {
        let at = now();
        Holder {
            id: Uuid::new_v4().to_string(),
            who: crate::render::plan::author(&author(self.command, &env)),
            operation: self.command.into(),
            since: Some(at),
            heartbeat: None,
        }
    }

    fn note_size(&self, reading: &Reading) {
        // A shared one is read from its newest snapshot, and is not compacted.
        if self.workspace.state.address().is_none() && is_overgrown(reading.lines.count(), &reading.state) {
            self.note(&format!(
                "note: {} has {} lines, more than ten times what it adds up to; `larksub state compact` rewrites it",
                shown(&self.workspace.state.display().to_string()),
                reading.lines.count()
            ));
        }
    }

    /// Says that the state ends in something that was never acknowledged, where it does.
    pub fn note_tail(&self, reading: &Reading) {
        if reading.tail_lines > 0 {
            // However quiet: a copy that was cut short looks like this, and reads as less than there is.
            let lines = crate::render::count(reading.tail_lines, "whole line", "whole lines");
            let _ = writeln!(
                io::stderr(),
                "warning: {} ends in {lines} of a batch whose end is missing; they were never acknowledged, and are ignored (if that import did report success, this copy was cut short: restore it)",
                shown(&self.workspace.state.display().to_string())
            );
        } else if reading.tail_len > 0 {
            self.note(&format!(
                "note: {} ends in {} bytes of a line that was cut off while it was written; they were never acknowledged, and are ignored",
                shown(&self.workspace.state.display().to_string()),
                reading.tail_len
            ));
        }
        if reading.version > crate::state::record::VERSION {
            self.note("note: a newer larksub wrote this state; only what this version understands is shown");
        }
    }
}

/// Names the state, where --state does not.
const STATE_VARIABLE: &str = "LARKSUB_STATE";

/// A variable that a pipeline meant to set, and did not, must not mean the state that happens to be here.
fn check_state_path(context: &Context, command: &Command) -> Result<(), Failure> {
    let needs_state = !matches!(
        command,
        Command::Doctor(_) | Command::Sandbox(_) | Command::Schema { .. } | Command::Completions { .. }
    );
    if !needs_state {
        return Ok(());
    }
    if !context.workspace.state.as_path().as_os_str().is_empty() {
        return check_place(&context.workspace.state);
    }
    Err(Failure::new(Exit::Error, "the path of the state is empty")
        .hint(format!("name a state with --state or {STATE_VARIABLE}, or unset {STATE_VARIABLE}")))
}

/// What looks like an address and is none is refused before anything is made of it.
fn check_place(place: &Place) -> Result<(), Failure> {
    place.check().map_err(|problem| Failure::new(Exit::Error, problem.to_string()).hint(problem.hint()))
}

/// How long another command's lock is waited for, where nobody says how long.
pub const LOCK_WAIT: Duration = Duration::from_millis(200);

/// A variable of the environment.
pub fn env(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// Writes a file that a person asked for: whole, or not at all. What is no regular file, such as a pipe, is written to.
///
/// # Errors
/// It cannot be written.
pub fn write_file(path: &Path, text: &str) -> Result<(), Failure> {
    let write = || {
        // A link stays one, and a file keeps its mode.
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let there = std::fs::metadata(&path).ok();
        if there.as_ref().is_some_and(|there| !there.is_file()) {
            return std::fs::write(&path, text);
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut builder = tempfile::Builder::new();
        // What the process's mask leaves of it, as for any new file.
        builder.prefix(".larksub-").permissions(Permissions::from_mode(0o666));
        let file = builder.tempfile_in(folder.unwrap_or(Path::new(".")))?;
        if let Some(there) = there {
            file.as_file().set_permissions(there.permissions())?;
        }
        file.as_file().write_all(text.as_bytes())?;
        file.persist(&path).map(drop).map_err(|error| error.error)
    };
    write().map_err(|error| {
        let title = format!("{} cannot be written", shown(&path.display().to_string()));
        Failure::new(Exit::Error, title).because(error.to_string())
    })
}

fn paint(when: ColorWhen, is_terminal: bool) -> Paint {
    let is_unwanted = || {
        env("NO_COLOR").is_some_and(|value| !value.is_empty())
            || env("TERM").is_some_and(|term| term == "dumb")
    };
    match when {
        ColorWhen::Always => Paint::Colored,
        ColorWhen::Auto if is_terminal && !is_unwanted() => Paint::Colored,
        ColorWhen::Auto | ColorWhen::Never => Paint::Plain,
    }
}
