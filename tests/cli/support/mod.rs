//! A scratch folder, the program in it, and a platform beside it.

pub mod encodings;
mod gateway;
mod ledger;
mod normal;
mod platform;
mod scratch;

pub use gateway::{Answer, Request, gateway};
pub use ledger::Ledger;
pub use platform::Platform;
pub use scratch::{Ran, Scratch, code, manifest};

/// Runs scenarios side by side, each on a thread of its name, and fails when one of them does.
pub fn together(scenarios: &[(&str, fn())]) {
    std::thread::scope(|scope| {
        let threads: Vec<_> = scenarios
            .iter()
            .map(|(name, run)| {
                let thread = std::thread::Builder::new().name((*name).to_owned()).spawn_scoped(scope, run);
                (name, thread.unwrap())
            })
            .collect();
        let failed: Vec<_> =
            threads.into_iter().filter_map(|(name, thread)| thread.join().err().map(|_| *name)).collect();
        assert!(failed.is_empty(), "failed: {failed:?}");
    });
}
