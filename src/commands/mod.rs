//! One file a command: each wires the rooms below it and prints.

pub mod sandbox;
