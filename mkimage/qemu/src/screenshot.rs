//! Takes a picture of the guest's screen.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::picture::Picture;
use crate::process::{Process, Remains};
use crate::run::{Run, follow};
use crate::watch::Watch;
use crate::{End, Error, Goal, Machine};

/// How long the guest goes on after the line, for what it writes to the screen later than to the serial port.
const SETTLE: Duration = Duration::from_millis(500);

/// Boots `machine`, waits for a line on its serial port that begins with `line`, writes its screen to the PNG file
/// `png`, and ends it. Gives what had come from the serial port when the line was there.
///
/// # Errors
///
/// [`Error::NoScreenshot`] with what went wrong in the run, if the line never came; or what keeps the run from being
/// made or the picture from being written.
pub fn screenshot(machine: &Machine, line: &str, png: &Path) -> Result<String, Error> {
    let goal = Goal::Line(line.to_owned());
    let process = Process::start(machine, Stdio::null())?;
    let mut watch = Watch::new(machine.serial_limit_bytes(), goal.clone());
    let stopped = follow(&process, machine, &mut watch);
    if stopped == Some(End::GoalReached) {
        thread::sleep(SETTLE);
        let picture = take(&process)?;
        process.stop()?;
        write(&picture, png)?;
        return Ok(watch.into_log());
    }
    let remains: Remains = if stopped.is_some() { process.stop()? } else { process.finish()? };
    let run = Run::judged(watch.into_log(), stopped, remains, &goal);
    Err(Error::NoScreenshot(run.verdict.to_string()))
}

/// Takes the picture of a running machine.
fn take(process: &Process) -> Result<Picture, Error> {
    let file = process.scratch().join("screen.ppm");
    process.monitor()?.screendump(&file)?;
    let ppm = fs::read(&file).map_err(Error::io("read", &file))?;
    Picture::from_ppm(&ppm).map_err(|problem| Error::Monitor(format!("QEMU's picture of the screen: {problem}")))
}

fn write(picture: &Picture, png: &Path) -> Result<(), Error> {
    let file = File::create(png).map_err(Error::io("create", png))?;
    picture.write_png(file).map_err(|error| Error::io("write", png)(error.into()))
}
