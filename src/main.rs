//! The `larksub` program: arguments, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(larksub::commands::run_from(std::env::args_os()).code())
}
