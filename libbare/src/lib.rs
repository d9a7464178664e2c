//! What freestanding programs need from nobody else: memory functions, stubs, linker script.
#![no_std]
