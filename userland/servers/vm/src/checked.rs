//! The memory server, which compares its books with the kernel's tables after each request.
#![no_std]
#![no_main]

mod program;

sys::entry!(program::main);

/// Carries the server's kernel calls.
type Calls = rt::Others;

const CHECKS: bool = true;
