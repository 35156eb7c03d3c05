//! The `larksub` program: arguments, run, exit code.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use larksub::cli::Cli;
use larksub::commands;
use larksub::error::Exit;
use larksub::text::{is_unseen, shown};

fn main() -> ExitCode {
    let exit = match Cli::try_parse() {
        Ok(cli) => commands::run(&cli),
        // A closed stream is no reason to fail.
        Err(error) if error.use_stderr() => {
            let _ = write!(std::io::stderr(), "{}", safe(&error.render().to_string()));
            Exit::Error
        }
        // Help and version come this way, too.
        Err(error) => {
            let _ = error.print();
            Exit::Done
        }
    };
    ExitCode::from(exit.code())
}

/// A usage error, whose text quotes what was typed: a pipeline may pass on what somebody else wrote.
fn safe(error: &str) -> String {
    let mut text = error.to_owned();
    for argument in std::env::args_os().skip(1) {
        let argument = argument.to_string_lossy();
        // Of `--flag=value` clap quotes either part.
        let parts = argument.split('=').chain([argument.as_ref()]);
        for part in parts.filter(|part| part.contains(is_unseen) || part.contains("##")) {
            text = text.replace(part, &shown(part));
        }
    }
    let unseen = |c: char| c != '\n' && is_unseen(c);
    text.chars().map(|c| if unseen(c) { c.escape_unicode().to_string() } else { c.to_string() }).collect()
}
