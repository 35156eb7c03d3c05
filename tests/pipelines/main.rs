//! The pipelines of `examples/` are run as they stand: their shell is taken out of the files with a YAML parser and
//! executed step by step, against a repository, a service and a platform on this machine.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod action;
mod atlantis;
#[path = "../support/backend.rs"]
#[allow(dead_code)]
mod backend;
mod forge;
mod github;
mod gitlab;
mod jenkins;
mod job;
mod lab;
mod lint;
mod refusals;
mod workflow;
