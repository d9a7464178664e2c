//! Program start, traps, panic: the one low-level user crate.
#![no_std]
