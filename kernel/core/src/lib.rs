//! The kernel as a state machine without a machine.
#![no_std]
