//! Every folder in `tests/manifest/` is a manifest with what is said of it: `expected.txt` is the drawing of
//! its problems. `UPDATE=1` writes the drawings anew, to be reviewed as a person would read them.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use larksub::error::draw;
use larksub::manifest::{Source, parse};

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifest");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|case| case.is_dir());
    cases.sort();
    cases
}

fn sources(case: &Path) -> Vec<Source> {
    let mut paths: Vec<PathBuf> = fs::read_dir(case).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_string();
    paths.iter().map(|path| Source { path: name(path), bytes: fs::read(path).unwrap() }).collect()
}

#[test]
fn every_problem_is_drawn_as_reviewed() {
    let cases = cases();
    assert!(cases.len() >= 40, "the cases are where they should be");
    let mut different = Vec::new();
    for case in cases {
        let sources = sources(&case);
        let drawn = match parse(&sources) {
            Ok(_) => "no problem\n".to_string(),
            Err(problems) => draw::problems(&problems, &sources, false),
        };
        let path = case.join("expected.txt");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &drawn).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        if drawn != expected {
            different.push(format!("=== {}\n--- expected\n{expected}\n--- drawn\n{drawn}", case.display()));
        }
    }
    assert!(different.is_empty(), "{}\nUPDATE=1 writes them anew", different.join("\n"));
}

#[test]
fn no_drawing_shows_a_secret_or_a_control_character() {
    for case in cases() {
        let sources = sources(&case);
        let Err(problems) = parse(&sources) else { continue };
        let drawn = draw::problems(&problems, &sources, false);
        // Every secret in the cases contains this word.
        assert!(!drawn.contains("s3cret"), "{}\n{drawn}", case.display());
        assert!(!drawn.contains(|c: char| c.is_control() && c != '\n'), "{}", case.display());
        assert!(draw::problems(&problems, &sources, true).contains('\u{1b}'));
    }
}
