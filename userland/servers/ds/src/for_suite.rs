//! The data store in an image of its suite, which sets the labels there.
#![no_std]
#![no_main]

mod program;

sys::entry!(program::main);

/// The name of the boot program that sets labels.
const REGISTRAR: &str = "suite";
