//! The pipelines of `examples/` are run as they stand: their shell is taken out of the files with a YAML parser and
//! executed step by step, against a repository, a service and a platform on this machine.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod forge;
mod github;
mod job;
mod workflow;
