//! Grants, copies and mappings of several processes, on a machine with real memory.

mod cases;
#[path = "../storm/machine.rs"]
#[allow(dead_code, reason = "the storms need more of it")]
mod machine;
#[path = "../storm/regs.rs"]
#[allow(dead_code, reason = "the storms need more of it")]
mod regs;
mod server;
mod system;
