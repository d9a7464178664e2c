//! What a freestanding program needs from nobody else: the memory functions that compiled code calls, and the two
//! unwinding symbols that the shipped `core` refers to.
//!
//! The functions use string instructions in words: a copy costs an eighth of a byte-wise one where instructions are
//! counted, and they cannot be compiled into calls of themselves.
#![no_std]

pub mod memory;
// Where panics unwind (on the host) these symbols are those of `std` and of the C library, whatever feature another
// package of the same build turned on.
#[cfg(all(feature = "symbols", panic = "abort"))]
mod symbols;
