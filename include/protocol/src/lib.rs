//! Every call of every server and of the kernel, declared once by [`protocol!`].
//!
//! A declaration gives the request and reply structs (checked at compile time to fit a message), a typed client, the
//! trait that a server implements, its `dispatch`, and a table of calls that image builder, tracer and manual read.
//! Values are read from messages by validation: a byte pattern that is no value of its type is an error to the sender
//! and never reaches server code.
#![no_std]

mod call;
mod declare;
pub mod echo;
pub mod file;
pub mod getinfo;
pub mod irqctl;
pub mod kernel;
pub mod privctl;
pub mod sched;
pub mod statectl;
pub mod trace;
pub mod vm;
pub mod vmctl;

#[doc(hidden)]
pub use call::assert_ascending;
pub use call::{
    Answer, Call, CallInfo, Caller, FieldInfo, Place, Protocol, Transport, call, decode, encode, handle, handle_apart,
    reply,
};
#[doc(hidden)]
pub use zerocopy;

/// All protocols, in the order of their bases.
pub const ALL: &[Protocol] = &[
    kernel::PROTOCOL,
    privctl::PROTOCOL,
    irqctl::PROTOCOL,
    statectl::PROTOCOL,
    getinfo::PROTOCOL,
    vmctl::PROTOCOL,
    trace::PROTOCOL,
    sched::PROTOCOL,
    vm::PROTOCOL,
    file::PROTOCOL,
    echo::PROTOCOL,
];

const _: () = call::assert_distinct(ALL);
