//! What must hold of any bytes that the readers are given: the fuzz targets, and what the tests replay.

use crate::error::draw;
use crate::manifest::{self, Source};
use crate::plan::saved;
use crate::state::read::read;
use crate::state::salvage::salvage;
use crate::text::is_unseen;

/// A manifest is read or refused, and its problems can be drawn without showing anything unseen.
///
/// # Panics
/// It does not hold.
pub fn manifest(bytes: &[u8]) {
    let sources = [Source { path: "larksub.toml".into(), bytes: bytes.to_vec() }];
    if let Err(problems) = manifest::parse(&sources) {
        assert!(!problems.0.is_empty(), "refused without a problem");
        let drawn = draw::problems(&problems, &sources, false);
        assert!(!drawn.chars().any(|c| c != '\n' && is_unseen(c)), "unseen characters in {drawn:?}");
    }
}

/// A ledger is read or refused; whatever is read reads the same without its tail, and whatever can be salvaged of
/// a damaged one stands on a prefix of it.
///
/// # Panics
/// It does not hold.
pub fn ledger(bytes: &[u8]) {
    if let Ok(reading) = read(bytes) {
        let sound = usize::try_from(reading.sound_len).ok().and_then(|len| bytes.get(..len));
        let again = sound.map(read);
        let is_same = again.is_some_and(|again| {
            again.is_ok_and(|again| again.state.serial == reading.state.serial && again.tail_len == 0)
        });
        assert!(is_same, "a ledger without its tail reads otherwise");
    }
    if let Some(salvage) = salvage(bytes) {
        assert!(salvage.sound_len <= bytes.len(), "more was salvaged than there is");
    }
}

/// A saved plan is read or refused; what is read is what was written.
///
/// # Panics
/// It does not hold.
pub fn plan(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(plan) = saved::read(text) {
        assert_eq!(
            saved::write(&plan).ok().as_deref(),
            Some(text),
            "another document was read than was written"
        );
    }
}
