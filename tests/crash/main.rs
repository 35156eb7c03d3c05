//! The ledger survives anything: the real program is killed, starved, raced and lied to, and the rules of
//! `docs/failure-modes.md` are checked after each fault.
//!
//! `LARKSUB_SOAK=10000 cargo test --test crash soak` kills at random for as long as that takes.

// The exemption that clippy.toml gives tests does not reach the helpers of an integration test.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod compact;
mod damage;
mod disk;
mod failpoints;
mod files;
mod merge;
mod proxy;
mod race;
mod signals;
mod soak;
mod syscalls;
mod world;
