//! Kernel calls, typed clients, serve loop.
#![no_std]
