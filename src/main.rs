//! The `larksub` program: arguments, run, exit code.

use std::process::ExitCode;

use clap::Parser as _;
use larksub::cli::Cli;
use larksub::commands;
use larksub::error::Exit;

fn main() -> ExitCode {
    let exit = match Cli::try_parse() {
        Ok(cli) => commands::run(&cli),
        Err(error) => {
            // Help and version are printed this way, too; a closed stream is no reason to fail.
            let _ = error.print();
            if error.use_stderr() { Exit::Error } else { Exit::Done }
        }
    };
    ExitCode::from(exit.code())
}
