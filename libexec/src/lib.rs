//! ELF bytes to a checked load plan.
#![no_std]
