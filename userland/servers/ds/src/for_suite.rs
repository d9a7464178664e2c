//! The data store in images of its suite and of measurements, where it is no service, and a program of the image sets the labels.
#![no_std]
#![no_main]

#[expect(dead_code, reason = "nobody replaces this one")]
mod program;

use abi::Errno;
use program::Server;
use sys::Traps;

sys::entry!(main);

/// Names of the programs that set labels: one of them is there.
const REGISTRARS: [&str; 2] = ["suite", "bench"];

fn main() -> u64 {
    match begin() {
        Ok(mut server) => {
            let stopped = sys::serve_over(&mut Traps, &mut server, program::answer, |_, _| {});
            sys::log!("cannot receive any more: {}", stopped.error);
        }
        Err(error) => sys::log!("cannot begin: {error}"),
    }
    1
}

fn begin() -> Result<Server, Errno> {
    let found = REGISTRARS.iter().find_map(|name| Some((name, sys::lookup(name)?)));
    let (name, registrar) = found.ok_or(Errno::Srch)?;
    let server = program::begin(registrar, name)?;
    core::mem::forget(program::grant_journal(sys::whoami()?.endpoint)?);
    Ok(server)
}
