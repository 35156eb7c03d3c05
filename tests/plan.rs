//! Every folder in `tests/plan/` is a manifest and a state (told as a script, see `support/script.rs`), with the plan
//! that follows from them: as a reviewer reads it, as it is saved, as a diff, as a comment, and as
//! GitHub's annotations. `allow.txt` holds what is allowed by
//! name, a flag a line; `layout.txt` a screen's columns and lines, where the text is not for a file.
//!
//! `UPDATE=1` writes the expectations anew, to be reviewed with a reviewer's ten seconds.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/script.rs"]
mod script;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use larksub::commands::forms::position;
use larksub::error::draw;
use larksub::manifest::{Manifest, Source, parse};
use larksub::plan::{self, Plan, merge, saved};
use larksub::render::markdown::{Comment, MOST_CHARS};
use larksub::render::plan::Origin;
use larksub::render::{self, Layout, Paint};
use larksub::state::read::{Reading, read};
use larksub::state::{Override, OverrideFlag};
use larksub::{pace, text};

struct Case {
    path: PathBuf,
    manifest: Manifest,
    reading: Reading,
    plan: Plan,
}

impl Case {
    fn read(path: &Path) -> Self {
        let text = |name: &str| fs::read_to_string(path.join(name)).ok();
        let toml = text("larksub.toml").unwrap_or_else(|| panic!("{} has no manifest", path.display()));
        let sources = [Source { path: "larksub.toml".into(), bytes: toml.into() }];
        let manifest = parse(&sources).unwrap_or_else(|problems| {
            panic!("{}\n{}", path.display(), draw::problems(&problems, &sources, false))
        });
        let told = script::ledger(&text("state.txt").unwrap_or_default());
        let reading = read(told.as_bytes()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let overrides: Vec<Override> = text("allow.txt").unwrap_or_default().lines().map(allowed).collect();
        let mut plan = plan::compute(&manifest, &reading.state, &reading.lines, &overrides);
        plan.estimate_s = estimate(&manifest, &plan);
        Self { path: path.into(), manifest, reading, plan }
    }

    fn layout(&self, paint: Paint) -> Layout {
        let Ok(layout) = fs::read_to_string(self.path.join("layout.txt")) else {
            return Layout { paint, ..Layout::PLAIN };
        };
        let numbers: Vec<usize> = layout.split_whitespace().map(|number| number.parse().unwrap()).collect();
        Layout { paint, columns: Some(numbers[0]), lines: Some(numbers[1]) }
    }

    fn text(&self, paint: Paint) -> String {
        let state = &self.reading.state;
        let origin = Origin {
            path: "larksub.state.jsonl",
            written_at: state.written_at,
            written_by: &state.written_by,
        };
        render::plan::text(&self.plan, Some(&origin), self.layout(paint))
    }

    fn markdown(&self) -> String {
        let comment = Comment { key: None, saved: Some("plan.json"), stale: None, max_chars: MOST_CHARS };
        render::markdown::text(&self.plan, &comment)
    }

    fn github(&self) -> String {
        let sources = [Source {
            path: "larksub.toml".into(),
            bytes: fs::read(self.path.join("larksub.toml")).unwrap(),
        }];
        render::github::text(&self.plan, None, &|about| position(&self.manifest, &sources, about))
    }

    fn diff(&self, paint: Paint) -> String {
        let rows = merge::rows(&self.manifest, &self.reading.state);
        let tracked = format!("larksub.state.jsonl (line {})", self.reading.state.serial);
        render::diff::unified(&rows, &tracked, "larksub.toml", paint)
    }
}

fn allowed(line: &str) -> Override {
    let (flag, value) = line.split_once(' ').unwrap();
    let flag = match flag {
        "--allow-drops" => OverrideFlag::AllowDrops,
        "--allow-handover" => OverrideFlag::AllowHandover,
        "--allow-misses" => OverrideFlag::AllowMisses,
        other => panic!("`{other}` allows nothing"),
    };
    Override { flag, value: value.into() }
}

fn estimate(manifest: &Manifest, plan: &Plan) -> u64 {
    let mut lanes: BTreeMap<_, u64> = BTreeMap::new();
    for call in plan.planned_calls() {
        *lanes.entry((call.app, call.tenant_key)).or_default() += 1;
    }
    let lanes: Vec<(u64, u32)> =
        lanes.into_iter().map(|((app, _), calls)| (calls, manifest.apps[app].rate_per_minute)).collect();
    pace::estimate(&lanes).as_secs_f64().ceil() as u64
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plan");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.is_dir());
    paths.sort();
    assert!(paths.len() >= 25, "the cases are where they should be");
    paths.iter().map(|path| Case::read(path)).collect()
}

#[test]
fn every_plan_reads_as_reviewed() {
    let mut different = Vec::new();
    for case in cases() {
        for (name, found) in [
            ("expected.txt", case.text(Paint::Plain)),
            ("expected.json", saved::write(&case.plan).unwrap()),
            ("expected.diff", case.diff(Paint::Plain)),
            ("expected.md", case.markdown()),
            ("expected.github", case.github()),
        ] {
            let path = case.path.join(name);
            if std::env::var_os("UPDATE").is_some() {
                fs::write(&path, &found).unwrap();
            }
            let expected = fs::read_to_string(&path).unwrap_or_default();
            if found != expected {
                different
                    .push(format!("=== {}\n--- expected\n{expected}\n--- found\n{found}", path.display()));
            }
        }
    }
    assert!(different.is_empty(), "{}\nUPDATE=1 writes them anew", different.join("\n"));
}

#[test]
fn every_saved_plan_reads_back() {
    for case in cases() {
        assert_eq!(saved::read(&saved::write(&case.plan).unwrap()).unwrap(), case.plan);
    }
}

#[test]
fn nothing_foreign_is_shown_raw() {
    for case in cases() {
        let path = case.path.display();
        for shown in [case.text(Paint::Plain), case.diff(Paint::Plain)] {
            assert!(!shown.contains(|c| c != '\n' && text::is_unseen(c)), "{path}\n{shown}");
            assert!(!shown.lines().any(|line| line.trim_start().starts_with("::")), "{path}\n{shown}");
            assert!(!shown.contains("##["), "{path}\n{shown}");
        }
        // Colours are all that painting adds.
        for (plain, painted) in [
            (case.text(Paint::Plain), case.text(Paint::Colored)),
            (case.diff(Paint::Plain), case.diff(Paint::Colored)),
        ] {
            assert_eq!(anstream::adapter::strip_str(&painted).to_string(), plain, "{path}");
        }
    }
}
