//! The kernel's state machine, on a machine made of plain structs.

mod against_model;
mod answers;
mod deadlock;
mod death;
mod denials;
mod fast;
mod filters;
mod frames;
mod irq;
mod kernel_calls;
mod model;
mod processors;
mod rendezvous;
mod scheduling;
mod senda;
mod support;
