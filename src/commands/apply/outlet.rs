//! Where the result of an apply goes: stdout, the files of `--report`, the outputs of a step.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::cli::{ApplyArgs, ApplyFormat, ApplyReport};
use crate::commands::show::json;
use crate::commands::{Context, forms};
use crate::error::{Exit, Failure};
use crate::plan::Plan;
use crate::render::ending::github;
use crate::render::ending::{self, CameTo, Ending, NotBegun};
use crate::render::markdown::{Comment, word};
use crate::render::{events, html, report};
use crate::report::{Event, Report};
use crate::state::Override;
use crate::state::ledger::read_file;
use crate::text::shown;
use crate::workspace::now;
use uuid::Uuid;

/// What is known of an apply, however far it came.
#[derive(Debug, Default)]
pub struct Known {
    /// What would be done now.
    pub plan: Option<Rc<Plan>>,
    /// The digest of what is to be done.
    pub digest: Option<String>,
    /// What is allowed by name.
    pub overrides: Vec<Override>,
    /// The ledger that it is for, as the reviewed plan says.
    pub lineage: Option<Uuid>,
    /// How the reviewed plan and the one of now differ.
    pub difference: Option<String>,
}

/// Where the result goes. Whether it can go there was found out before anything is sent.
pub struct Outlet<'a> {
    context: &'a Context,
    args: &'a ApplyArgs,
    streams: Vec<Stream>,
}

/// A file of events that is written as they happen.
struct Stream {
    file: File,
    path: PathBuf,
    failed: Option<io::Error>,
}

impl<'a> Outlet<'a> {
    /// Opens what is written as it happens.
    ///
    /// # Errors
    /// A report names the manifest, the state, the plan or what another one goes to, or cannot be written there.
    pub fn open(context: &'a Context, args: &'a ApplyArgs) -> Result<Self, Failure> {
        let reports = &args.forms.report;
        let is_github = args.forms.forms().any(|format| format == ApplyFormat::Github);
        if !reports.is_empty() || is_github {
            refuse_inputs(context, args)?;
        }
        let mut streams = Vec::new();
        for ApplyReport { format, path } in reports {
            if *format == ApplyFormat::Ndjson {
                let file = forms::replace(path).map_err(|error| cannot_write(path, &error))?;
                streams.push(Stream { file, path: path.clone(), failed: None });
            }
        }
        Ok(Self { context, args, streams })
    }

    /// Tells the plan that is to be carried out.
    pub fn planned(&mut self, plan: &Plan) {
        if self.has_events() {
            self.stream(&events::planned(plan, now()));
        }
    }

    /// Says something beside the result.
    pub fn note(&mut self, text: &str) {
        self.context.note(text);
        if self.has_events() {
            self.stream(&events::note(text, now()));
        }
    }

    /// Tells what has happened. It is durable already.
    pub fn event(&mut self, event: &Event) {
        if self.has_events() {
            self.stream(&events::event(event, now()));
        }
    }

    fn has_events(&self) -> bool {
        self.args.forms.forms().any(|format| format == ApplyFormat::Ndjson)
    }

    fn stream(&mut self, lines: &str) {
        if self.args.forms.format == ApplyFormat::Ndjson {
            // The ledger holds it; a reader that has gone, or a full disk, must not stop the run.
            let _ = self.context.print(lines);
        }
        for stream in self.streams.iter_mut().filter(|stream| stream.failed.is_none()) {
            stream.failed = stream.file.write_all(lines.as_bytes()).err();
        }
    }

    /// Tells what a run came to; gives how the process ends.
    pub fn ran(mut self, known: &Known, report: &Report, text: &str) -> Exit {
        let exit = report.exit();
        let again = (exit != Exit::Done).then(|| again(self.args, known));
        let told = self.tell(known, CameTo::Ran(report), exit, again.as_deref(), text);
        match exit {
            // What was asked for is not there, and only the exit code can tell a pipeline.
            Exit::Done if !told => Exit::Error,
            exit => exit,
        }
    }

    /// Tells why nothing was begun.
    pub fn not_begun(mut self, known: &mut Known, failure: &Failure) {
        // Where another command holds the state, or the manifest is wrong, it still says which one it is.
        if known.lineage.is_none() {
            let reading = read_file(self.context.workspace.state.as_path()).ok();
            known.lineage = reading.map(|reading| reading.state.lineage);
        }
        let Failure { exit, title, causes, hints, drawing } = failure;
        let again = match exit {
            Exit::Refused => match known.plan.as_deref() {
                Some(plan) => super::refusal::again(plan),
                None => Some("larksub plan --out plan.json".to_owned()),
            },
            Exit::Locked | Exit::Unwritable => Some(again(self.args, known)),
            _ => None,
        };
        let why = NotBegun {
            title: title.strip_suffix("; nothing was sent").unwrap_or(title).to_owned(),
            causes: causes.clone(),
            hints: hints.clone(),
            drawing: anstream::adapter::strip_str(drawing).to_string(),
            difference: known.difference.clone(),
        };
        self.tell(known, CameTo::NotBegun(&why), *exit, again.as_deref(), "");
    }

    /// Prints and writes every form; whether all could be written to files.
    fn tell(
        &mut self,
        known: &Known,
        came_to: CameTo<'_>,
        exit: Exit,
        again: Option<&str>,
        text: &str,
    ) -> bool {
        let ending = Ending {
            came_to,
            exit,
            plan: known.plan.as_deref(),
            digest: known.digest.as_deref(),
            overrides: &known.overrides,
            again,
            lineage: known.plan.as_deref().map(|plan| plan.facts.lineage).or(known.lineage),
        };
        if self.has_events() {
            self.stream(&events::finished(&ending, now()));
        }
        let is_run = matches!(came_to, CameTo::Ran(_));
        let printed = match self.args.forms.format {
            ApplyFormat::Ndjson => Ok(()),
            ApplyFormat::Text => self.context.print(text),
            // An error is on stderr, and no document.
            ApplyFormat::Json if !is_run => Ok(()),
            format => self.form(format, &ending).and_then(|text| self.context.print(&text)),
        };
        // The ledger tells what was done; a result that cannot be printed must not hide it.
        if let Err(failure) = printed {
            self.context.complain(&failure.hint("what was done is in the ledger: `larksub state history`"));
        }
        let mut failures = Vec::new();
        for ApplyReport { format, path } in &self.args.forms.report {
            let written = match format {
                ApplyFormat::Ndjson => Ok(()),
                format => self.form(*format, &ending).and_then(|text| forms::write_report(path, &text)),
            };
            failures.extend(written.err());
        }
        let streams = self.streams.iter();
        failures.extend(streams.filter_map(|it| Some(cannot_write(&it.path, it.failed.as_ref()?))));
        if self.args.forms.forms().any(|format| format == ApplyFormat::Github) {
            failures.extend(forms::append_outputs(&github::outputs(&ending)).err());
        }
        let all_written = failures.is_empty();
        for failure in failures {
            let failure = match is_run {
                true => failure.hint("what was done is in the ledger: `larksub state history`"),
                false => failure,
            };
            self.context.complain(&failure);
        }
        all_written
    }

    fn form(&self, format: ApplyFormat, ending: &Ending<'_>) -> Result<String, Failure> {
        Ok(match format {
            ApplyFormat::Text => ending::text(ending),
            ApplyFormat::Json => json(&report::document(ending))?,
            ApplyFormat::Ndjson => String::new(),
            ApplyFormat::Markdown => {
                let comment = &self.args.forms.comment;
                let (key, max_chars) = (comment.comment_key.as_deref(), comment.max_chars);
                ending::markdown::text(ending, &Comment { key, saved: None, stale: None, max_chars })
            }
            ApplyFormat::Gitlab => ending::gitlab(ending),
            ApplyFormat::Github => github::text(ending),
            ApplyFormat::Html => html::ending(ending),
        })
    }
}

/// The command that goes on where an apply ended: what is allowed by a saved plan is in it.
fn again(args: &ApplyArgs, known: &Known) -> String {
    let flags = |overrides: &[Override]| {
        overrides.iter().map(|it| format!(" {} {}", it.flag.as_str(), word(&it.value))).collect::<String>()
    };
    match (&args.plan, args.digest.as_ref().or(known.digest.as_ref())) {
        (Some(path), _) => {
            format!("larksub apply {}{}", word(&path.display().to_string()), flags(&super::named(args)))
        }
        (None, Some(digest)) => format!("larksub apply --digest {digest}{}", flags(&known.overrides)),
        (None, None) => "larksub apply".into(),
    }
}

/// A report over the ledger would end the only one there is; that is found before anything is sent.
fn refuse_inputs(context: &Context, args: &ApplyArgs) -> Result<(), Failure> {
    let workspace = &context.workspace;
    let mut inputs = vec![
        (workspace.state.as_path().to_path_buf(), "the state"),
        (workspace.manifest.clone(), "the manifest"),
    ];
    // One that cannot be read is complained about in its turn.
    let sources = workspace.manifest_sources().unwrap_or_default();
    inputs.extend(sources.into_iter().map(|source| (PathBuf::from(source.path), "the manifest")));
    inputs.extend(args.plan.iter().map(|path| (path.clone(), "the plan")));
    inputs.extend(args.ca_bundle.iter().map(|path| (path.clone(), "the certificates")));
    let paths = args.forms.report.iter().map(|report| ("--report", report.path.as_path()));
    let outputs = forms::outputs_file(args.forms.forms().any(|format| format == ApplyFormat::Github));
    let outputs = outputs.iter().map(|path| ("GITHUB_OUTPUT", path.as_path()));
    forms::refuse_clashes(inputs, paths.chain(outputs))?;
    for ApplyReport { path, .. } in &args.forms.report {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if path.is_dir() || !folder.is_dir() {
            let title = format!("--report {} cannot be written", shown(&path.display().to_string()));
            let cause = if path.is_dir() { "it is a folder" } else { "its folder is not there" };
            return Err(Failure::new(Exit::Error, title).because(cause).hint("nothing was sent"));
        }
    }
    Ok(())
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    let title = format!("{} cannot be written", shown(&path.display().to_string()));
    Failure::new(Exit::Error, title).because(error.to_string())
}
