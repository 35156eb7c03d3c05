//! A state that more than one machine reaches, driven through the program: real servers on loopback, each behind a proxy
//! that counts, delays and misbehaves.
//!
//! The HTTP protocol's server is our own, and needs nothing. `--features s3,azure` and `LARKSUB_TEST_S3`, `LARKSUB_TEST_AZURE` (the
//! addresses of moto's server and of Azurite, which `.ci/run` starts) bring the object stores in; what is not there is said.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../cli/support/mod.rs"]
#[allow(dead_code, unused_imports)]
mod support;

mod addresses;
#[path = "../support/backend.rs"]
mod backend;
mod faults;
mod gcs;
mod gitlab;
mod life;
mod proxy;
mod races;
mod runs;
mod store;
mod terraform;
