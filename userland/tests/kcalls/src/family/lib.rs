//! Processes that a suite makes for itself: forked from a program that waits for it, with the suite's own code in a space
//! of their own, and whatever privileges a test wants. The suite manages their signals, is their scheduler if asked, and
//! feeds their memory, unless the image has a memory server: then that does, and the suite says what is there.
#![no_std]

mod board;
mod child;
mod events;
mod home;
pub mod kit;
pub mod programs;
mod server;
mod watch;

pub use board::{Board, own_board};
pub use child::{Child, Code, Plan, QUANTUM, RUNS, free_slot, kernel_calls, me, named_bytes, process_info, seed};
pub use events::{fault, finish, frozen, next_event, signal};
pub use home::{Home, PAGES, Page, STACK_PAGES, claim, free_frames, protect, unmap, without_own};
pub use server::{SERVER, give, go_on, hold, is_served, take_away, touch};
pub use watch::{spin, until};

use abi::Kind;

/// The name of a suite in the boot table.
pub const SUITE: &str = "suite";
/// The name of the program that children are forked from.
pub const SEED: &str = "seed";
/// What that program sends.
pub const SEED_KIND: Kind = Kind(0x7760);
