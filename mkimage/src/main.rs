//! `mkimage`: see `mkimage --help` and docs/images.md.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
