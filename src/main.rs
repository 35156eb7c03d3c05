//! The `larksub` program.

fn main() {}
