//! The command line.

mod bench;
mod build;
mod check;
mod inspect;
mod install;
mod iso;
mod latency;
mod migrate;
mod run;
mod symbolize;

use clap::{Parser, Subcommand};
use std::error::Error;
use std::process::ExitCode;

/// What a command ends with: `Ok`, or what to tell the user.
pub(crate) type Outcome = Result<(), Box<dyn Error>>;

/// Exit codes, as `--help` lists them. Clap itself ends with 2 when it refuses the arguments.
const FAILED: u8 = 1;

/// Builds, checks, installs and runs images of Selix.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 all is well, 1 something was refused or failed, 2 wrong usage.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Build(build::Build),
    Iso(iso::Iso),
    Run(run::Run),
    Check(check::Check),
    Inspect(inspect::Inspect),
    Install(install::Install),
    Migrate(migrate::Migrate),
    Symbolize(symbolize::Symbolize),
    Bench(bench::Bench),
    Latency(latency::Latency),
}

/// Does what the arguments ask for.
pub(crate) fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Build(command) => command.run(),
        Command::Iso(command) => command.run(),
        Command::Run(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Inspect(command) => command.run(),
        Command::Install(command) => command.run(),
        Command::Migrate(command) => command.run(),
        Command::Symbolize(command) => command.run(),
        Command::Bench(command) => command.run(),
        Command::Latency(command) => command.run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mkimage: error: {error}");
            ExitCode::from(FAILED)
        }
    }
}
