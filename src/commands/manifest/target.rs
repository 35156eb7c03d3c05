//! The manifest's files: which one an app's entries go to, and how they get there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::subscriptions;
use crate::cli::TargetArgs;
use crate::commands::{Context, write_file};
use crate::error::{Exit, Failure, draw};
use crate::manifest::write::{Addition, extend};
use crate::manifest::{Manifest, Source, parse};
use crate::render::{Paint, count, edit};
use crate::text::shown;
use crate::workspace::{MANIFEST, ManifestError};

/// An edit of more entries is counted, not shown.
const MOST_SHOWN: usize = 1000;

/// The manifest as its files say it.
pub(super) struct Texts {
    sources: Vec<Source>,
    /// None where there is no file yet.
    pub manifest: Option<Manifest>,
}

impl Texts {
    /// Reads the manifest's files, if there are any.
    ///
    /// # Errors
    /// They have problems; a manifest that is wrong is not written to.
    pub fn read(context: &Context) -> Result<Self, Failure> {
        match context.workspace.manifest_sources() {
            Err(ManifestError::Missing { .. } | ManifestError::EmptyFolder { .. }) => {
                Ok(Self { sources: Vec::new(), manifest: None })
            }
            _ => {
                let (manifest, sources) = context.manifest()?;
                Ok(Self { sources, manifest: Some(manifest) })
            }
        }
    }

    /// Shows and writes what is added, `said` before it; or writes the result to `out`.
    ///
    /// # Errors
    /// The result would not be a right manifest, or cannot be written.
    pub fn write(
        &self,
        context: &Context,
        additions: Vec<Addition>,
        target: &TargetArgs,
        out: Option<&Path>,
        mut said: String,
    ) -> Result<Exit, Failure> {
        let added: usize = additions.iter().map(|addition| addition.entries.len()).sum();
        let mut by_file: BTreeMap<PathBuf, Vec<Addition>> = BTreeMap::new();
        for addition in additions {
            if addition.section.is_some() || !addition.entries.is_empty() {
                by_file.entry(self.file_of(context, &addition, target)?).or_default().push(addition);
            }
        }
        let edits = self.edits(context, by_file)?;
        if edits.is_empty() {
            said.push_str("Nothing to declare: the manifest stays as it is.\n");
            return context.print(&said).map(|()| Exit::Done);
        }
        for edit in &edits {
            let path = out.unwrap_or(&edit.path).display().to_string();
            match added > MOST_SHOWN {
                false => said.push_str(&edit::unified(&edit.old, &edit.new, &path, context.stdout.paint)),
                true => said.push_str(&format!(
                    "{}: {} more (the difference is too long to show)\n",
                    shown(&path),
                    count(edit.lines(), "line", "lines")
                )),
            }
        }
        if target.check {
            said.push_str(&format!("{} to declare. Nothing was written (--check).\n", subscriptions(added)));
            return context.print(&said).map(|()| Exit::Done);
        }
        let paths = match out {
            Some(out) => vec![write_out(out, &edits)?],
            None => write_in_place(&edits)?,
        };
        said.push_str(&format!("{} declared in {}.\n", subscriptions(added), paths.join(", ")));
        context.print(&said).map(|()| Exit::Done)
    }

    /// Which file an app's entries go to: the one that is named, the one with its section, the only one, or a new one
    /// of its own.
    fn file_of(
        &self,
        context: &Context,
        addition: &Addition,
        target: &TargetArgs,
    ) -> Result<PathBuf, Failure> {
        let manifest = &context.workspace.manifest;
        if let Some(into) = &target.into {
            return into_file(manifest, into);
        }
        if !manifest.is_dir() {
            return Ok(manifest.clone());
        }
        let section = self.manifest.as_ref().and_then(|manifest| manifest.apps.get(&addition.label));
        let source = section.and_then(|app| self.sources.get(app.span.source));
        Ok(match (source, self.sources.as_slice()) {
            (Some(source), _) | (None, [source]) => PathBuf::from(&source.path),
            (None, []) => manifest.join(MANIFEST),
            (None, _) => manifest.join(format!("{}.toml", addition.label)),
        })
    }

    /// The files as they will be. They make up a right manifest, or nothing is to be written.
    fn edits(
        &self,
        context: &Context,
        by_file: BTreeMap<PathBuf, Vec<Addition>>,
    ) -> Result<Vec<Edit>, Failure> {
        let mut sources = self.sources.clone();
        let mut edits = Vec::new();
        for (path, additions) in by_file {
            let name = path.display().to_string();
            let known = sources.iter_mut().find(|source| is_same(Path::new(&source.path), &path));
            let old = match &known {
                Some(source) => String::from_utf8_lossy(&source.bytes).into_owned(),
                None => String::new(),
            };
            let new = extend(&old, &additions).map_err(|error| {
                Failure::new(Exit::Error, format!("{} cannot be written to: {error}", shown(&name))).hint(
                    "nothing was written; with --into the entries go to another file of a manifest folder",
                )
            })?;
            let is_new = known.is_none();
            match known {
                Some(source) => source.bytes = new.clone().into_bytes(),
                None => sources.push(Source { path: name, bytes: new.clone().into_bytes() }),
            }
            edits.push(Edit { path, is_new, old, new });
        }
        if !edits.is_empty()
            && let Err(problems) = parse(&sources)
        {
            let drawing = draw::problems(&problems, &sources, context.stderr.paint == Paint::Colored);
            let failure =
                Failure::new(Exit::Error, "the result would not be a right manifest; nothing was written");
            return Err(Failure { drawing, ..failure });
        }
        Ok(edits)
    }
}

/// One file, before and after.
struct Edit {
    path: PathBuf,
    is_new: bool,
    old: String,
    new: String,
}

impl Edit {
    fn lines(&self) -> u64 {
        self.new.lines().count().saturating_sub(self.old.lines().count()) as u64
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    one == other || real(one) == real(other)
}

/// A file that a person names: the manifest itself, or one that a reader of the folder would find.
fn into_file(manifest: &Path, into: &Path) -> Result<PathBuf, Failure> {
    let named = shown(&into.display().to_string()).into_owned();
    if !manifest.is_dir() {
        return match is_same(manifest, into) {
            true => Ok(manifest.to_path_buf()),
            false => {
                Err(Failure::new(Exit::Error, format!("the manifest is one file, and {named} is another"))
                    .hint("leave --into out; --out FILE writes the result elsewhere"))
            }
        };
    }
    let path = match into.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(_) => into.to_path_buf(),
        None if is_same(manifest, Path::new(".")) => into.to_path_buf(),
        None => manifest.join(into),
    };
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    if is_same(folder, manifest) && name.ends_with(b".toml") && !name.starts_with(b".") && !path.is_dir() {
        return Ok(path);
    }
    Err(Failure::new(Exit::Error, format!("{named} would be no file of the manifest"))
        .hint("a manifest folder's files stand directly in it, end in `.toml` and are not hidden"))
}

fn write_in_place(edits: &[Edit]) -> Result<Vec<String>, Failure> {
    // Somebody may have saved the file in an editor meanwhile.
    for edit in edits {
        let there = fs::read(&edit.path).ok();
        let is_unchanged = match &there {
            Some(bytes) => !edit.is_new && bytes.as_slice() == edit.old.as_bytes(),
            None => edit.is_new,
        };
        if !is_unchanged {
            let title = format!(
                "{} was changed meanwhile; nothing was written",
                shown(&edit.path.display().to_string())
            );
            return Err(Failure::new(Exit::Error, title).hint("run this again"));
        }
    }
    edits
        .iter()
        .map(|edit| {
            write_file(&edit.path, &edit.new)?;
            Ok(shown(&edit.path.display().to_string()).into_owned())
        })
        .collect()
}

fn write_out(out: &Path, edits: &[Edit]) -> Result<String, Failure> {
    let named = shown(&out.display().to_string()).into_owned();
    let [edit] = edits else {
        let files = count(edits.len() as u64, "file", "files");
        return Err(Failure::new(Exit::Error, format!("the result would be {files}, and --out names one"))
            .hint("name one app with --app"));
    };
    match fs::read(out) {
        Ok(there) if there == edit.new.as_bytes() => return Ok(named),
        Ok(_) => {
            return Err(Failure::new(
                Exit::Error,
                format!("there is a file at {named} already, and it says something else"),
            )
            .hint("name a new file; without --out the manifest itself is written"));
        }
        Err(_) => {}
    }
    write_file(out, &edit.new).map(|()| named)
}
