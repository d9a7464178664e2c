//! The data store in an image of its suite, which sets the labels there.
#![no_std]
#![no_main]

mod program;

use abi::{Errno, Message};
use sys::{Stopped, Traps};

sys::entry!(main);

/// The name of the boot program that sets labels.
const REGISTRAR: &str = "suite";

fn main() -> u64 {
    match serve() {
        Ok(stopped) => sys::log!("cannot receive any more: {}", stopped.error),
        Err(error) => sys::log!("cannot begin: {error}"),
    }
    1
}

fn serve() -> Result<Stopped, Errno> {
    program::grant_state()?;
    let registrar = sys::lookup(REGISTRAR).ok_or(Errno::Srch)?;
    let mut server = program::begin(registrar, REGISTRAR.as_bytes())?;
    Ok(sys::serve_over(&mut Traps, &mut server, program::answer, |_, _: &Message| {}))
}
