//! `mkimage inspect`.

use super::Outcome;
use mkimage::image::Image;
use mkimage::inspect::report;
use std::path::PathBuf;

/// Show what is in an image: versions, files, segments, and what each program may do
#[derive(Debug, clap::Args)]
pub(super) struct Inspect {
    /// The image
    #[arg(default_value = "build/selix.img")]
    image: PathBuf,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(super) fn run(self) -> Outcome {
        let report = report(&Image::open(&self.image)?)?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            print!("{report}");
        }
        Ok(())
    }
}
