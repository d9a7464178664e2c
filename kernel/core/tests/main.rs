//! The kernel's state machine, on a machine made of plain structs.

mod against_model;
mod alarms;
mod answers;
mod deadlock;
mod death;
mod denials;
mod fast;
mod filters;
mod fork_exec;
mod frames;
mod irq;
mod kernel_calls;
mod memory_events;
mod model;
mod ports;
mod privctl;
mod processors;
mod rendezvous;
mod runctl;
mod schedule;
mod scheduling;
mod senda;
mod signals;
mod support;
mod swap;
mod trace;
