//! The memory server over the real kernel's state machine, on a machine with real memory.
//!
//! `SELIX_SOAK=1` makes as many steps as there should be.

mod against_model;
#[path = "../../../kernel/core/tests/storm/audit.rs"]
mod audit;
mod basics;
mod bench;
mod caching;
#[path = "../../../userland/servers/vm/src/corrupt.rs"]
#[allow(dead_code, reason = "the program needs more of it")]
mod corrupt;
mod denials;
mod devices;
mod events;
mod exhaustion;
mod files;
mod game;
mod heap;
mod keeping;
#[path = "../../../kernel/core/tests/storm/machine.rs"]
#[allow(dead_code, reason = "the storms need more of it")]
mod machine;
mod model;
mod questions;
#[path = "../../../kernel/core/tests/storm/regs.rs"]
#[allow(dead_code, reason = "the storms need more of it")]
mod regs;
#[path = "../../../kernel/core/tests/memory/system.rs"]
#[allow(dead_code, reason = "the games with grants need more of it")]
mod system;
#[path = "../../../kernel/core/tests/storm/tables.rs"]
mod tables;
mod vfs;
mod wrong;
