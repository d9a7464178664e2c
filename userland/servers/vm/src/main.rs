//! The memory server.
#![no_std]
#![no_main]

mod program;

sys::entry!(program::main);

/// Nothing is compared.
const CHECKS: bool = false;
