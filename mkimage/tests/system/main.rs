//! Whole images, booted: on all kinds of machines, with wrong boot sets, and with a kernel that crashes on purpose.

#[path = "../support/mod.rs"]
mod support;

mod bench;
mod boots;
mod command;
mod crashes;
mod latency;
mod malformed;
mod misreports;
mod page;
mod rights;
mod screens;
mod traces;
mod users;
mod wrong_server;
mod wrong_sets;

use mkimage::image::Image;
use mkimage::iso;
use mkimage::progress::Progress;
use qemu::{Goal, Machine, Run};
use std::path::PathBuf;
use tempfile::TempDir;

/// The image that a newcomer builds.
const SHIPPED: &str = "etc/image.toml";
/// Option that lets the kernel end QEMU.
const DEBUG_EXIT: &str = "debug-exit=0xf4";

/// An image as an ISO that is gone with this.
struct Disk {
    _folder: TempDir,
    iso: PathBuf,
}

fn disk(image: &Image) -> Disk {
    let folder = tempfile::tempdir().expect("a folder for the ISO");
    let iso = folder.path().join("selix.iso");
    iso::write(image, &iso, Progress::Silent).expect("the ISO is written");
    Disk { _folder: folder, iso }
}

/// The shipped image, changed.
fn changed(change: impl FnOnce(&mut Image)) -> Disk {
    let mut image = support::made(SHIPPED).expect("the image is built").image.clone();
    change(&mut image);
    disk(&image)
}

/// Runs a machine; what it shows is kept under `name`.
fn run(name: &str, machine: &Machine, goal: &Goal) -> Run {
    let run = qemu::run(machine, goal).expect("QEMU runs");
    run.save(&support::logs(), name).expect("the logs are kept");
    run
}
