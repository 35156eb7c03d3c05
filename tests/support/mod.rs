//! What several test binaries share.

#![allow(dead_code, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

pub mod bench;
pub mod script;
