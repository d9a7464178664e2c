//! The machine under the kernel.
#![no_std]
