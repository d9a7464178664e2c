//! Every call of every server and of the kernel, declared once by [`protocol!`].
//!
//! A declaration gives the request and reply structs (checked at compile time to fit a message), a typed client, the
//! trait that a server implements, its `dispatch`, and a table of calls that image builder, tracer and manual read.
//! Values are read from messages by validation: a byte pattern that is no value of its type is an error to the sender
//! and never reaches server code.
#![no_std]

pub mod assist;
mod call;
pub mod cdev;
mod declare;
pub mod ds;
pub mod echo;
pub mod file;
pub mod getinfo;
pub mod irqctl;
pub mod kernel;
pub mod pm;
pub mod pmfiles;
pub mod privctl;
pub mod rs;
pub mod sched;
pub mod sef;
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
    cdev::PROTOCOL,
    kernel::PROTOCOL,
    privctl::PROTOCOL,
    irqctl::PROTOCOL,
    statectl::PROTOCOL,
    getinfo::PROTOCOL,
    vmctl::PROTOCOL,
    trace::PROTOCOL,
    ds::PROTOCOL,
    sched::PROTOCOL,
    pm::PROTOCOL,
    pmfiles::PROTOCOL,
    vm::PROTOCOL,
    file::PROTOCOL,
    sef::PROTOCOL,
    rs::PROTOCOL,
    echo::PROTOCOL,
    assist::PROTOCOL,
];

const _: () = call::assert_distinct(ALL);
