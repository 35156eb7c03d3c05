#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
//! The fuzz targets' corpus, replayed: `fuzz/corpus/TARGET/*`, each file as it is, cut short and with bytes changed.

use std::fs;
use std::path::Path;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        files += 1;
        check(&bytes);
        for position in (0..bytes.len()).step_by(bytes.len() / 97 + 1) {
            check(&bytes[..position]);
            let mut changed = bytes.clone();
            for change in [b'\n', b'"', 0, 0xff, changed[position] ^ 1] {
                changed[position] = change;
                check(&changed);
            }
        }
    }
    assert!(files > 0, "the corpus of {target} is empty");
}

#[test]
fn no_manifest_of_the_corpus_breaks_the_reader_or_the_drawing() {
    replay("manifest", larksub::fuzz::manifest);
}

#[test]
fn no_ledger_of_the_corpus_is_misread() {
    replay("ledger", larksub::fuzz::ledger);
}

#[test]
fn no_plan_of_the_corpus_is_read_as_another() {
    replay("plan", larksub::fuzz::plan);
}
