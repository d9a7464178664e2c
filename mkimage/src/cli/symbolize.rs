//! `mkimage symbolize`.

use super::Outcome;
use mkimage::fsutil::Context;
use mkimage::symbolize::Symbolizer;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;

/// Turn the addresses in a log into function, file and line
///
/// Lines without an address that is known pass through unchanged.
#[derive(Debug, clap::Args)]
pub(super) struct Symbolize {
    /// The log; without it, stdin is read
    log: Option<PathBuf>,
    /// The unstripped ELF files of the image, as `build` left them
    #[arg(long, value_name = "DIR", default_value = "build/debug/selix")]
    debug_dir: PathBuf,
}

impl Symbolize {
    pub(super) fn run(self) -> Outcome {
        let mut input: Box<dyn BufRead> = match &self.log {
            Some(path) => Box::new(BufReader::new(std::fs::File::open(path).during("open", path)?)),
            None => Box::new(std::io::stdin().lock()),
        };
        if !self.debug_dir.is_dir() {
            let dir = self.debug_dir.display();
            return Err(format!("there is no directory {dir}: build the image, or name its --debug-dir").into());
        }
        let mut symbolizer = Symbolizer::new(&self.debug_dir);
        let mut output = std::io::stdout();
        let mut line = Vec::new();
        // Line by line, so that it can stand in a pipe behind a running system.
        while input.read_until(b'\n', &mut line)? > 0 {
            let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line));
            writeln!(output, "{}", symbolizer.line(&text))?;
            line.clear();
        }
        Ok(())
    }
}
