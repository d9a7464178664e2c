//! The memory server.
#![no_std]
#![no_main]

mod program;

sys::entry!(program::main);

/// Carries the server's kernel calls.
type Calls = rt::Others;

/// Nothing is compared.
const CHECKS: bool = false;
