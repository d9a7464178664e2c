//! The kernel calls that give and take privileges. Only services may make them: `EPERM`.
//!
//! A process waits, with the privilege flag NO_PRIV, from its fork or from boot until somebody allows it to run.

use abi::{Endpoint, PrivilegeSpec};

crate::protocol! {
    privctl = 0x640;

    /// Lets a process run that waits for its privileges: `EPERM` if it does not.
    1 fn allow(Allow { process: Endpoint }) -> Allowed {};
    /// Makes it wait: `EPERM` if it does already.
    2 fn disallow(Disallow { process: Endpoint }) -> Disallowed {};
    /// Gives a process that waits a privilege structure of its own, as if it was new: `EPERM` if it does not wait. `EINVAL` for
    /// an id that is not static, `EBUSY` for one that is taken, `ENOSPC` if no dynamic one is left.
    3 fn set_sys(SetSys {
        spec: PrivilegeSpec,
        process: Endpoint,
        /// A static id, or [`DYNAMIC_ID`].
        id: u32
    }) -> SysSet {
        /// Its id.
        id: u32
    };
    /// Gives a process that waits the privileges of users: `EPERM` if it does not wait.
    4 fn set_user(SetUser { process: Endpoint }) -> UserSet {};
    /// Adds a range of I/O ports to those of a service: `EPERM` for a process that is none. `EINVAL` for a range that ends before
    /// it begins, `ENOMEM` if the list is full. Ports that the kernel keeps for itself stay out of reach.
    5 fn add_io(AddIo {
        process: Endpoint,
        first: u16,
        /// The last one.
        last: u16
    }) -> IoAdded {};
    /// The same for a range of physical memory.
    6 fn add_memory(AddMemory { process: Endpoint, reserved: u32, start: u64, len: u64 }) -> MemoryAdded {};
    /// The same for an interrupt line.
    7 fn add_irq(AddIrq { process: Endpoint, line: u32 }) -> IrqAdded {};
    /// Whether physical memory lies wholly in one range of a process: `EPERM` if not.
    8 fn query_memory(QueryMemory { process: Endpoint, reserved: u32, start: u64, len: u64 }) -> MemoryQueried {};
    /// Changes the privileges of a service: `EPERM` for a process that is none. With [`Endpoint::NONE`] as process, those that
    /// all users share; that is for the root system process only. A manager and its backup must be
    /// services: `EINVAL`, and so for users that would manage themselves.
    9 fn update_sys(UpdateSys {
        spec: PrivilegeSpec,
        process: Endpoint,
        /// Not 0: it loses all its ranges.
        reset_ranges: u32
    }) -> SysUpdated {};
    /// The caller waits from now on, and the process runs: both or none. Errors as of [`Allow`].
    10 fn yield_to(YieldTo { process: Endpoint }) -> Yielded {};
    /// Everybody who waits for a process gets `EDEADSRCDST`; the process itself goes on. Signals that it took as a manager and did
    /// not end are offered to it again.
    11 fn clear_ipc_refs(ClearRefs { process: Endpoint }) -> RefsCleared {};
}

/// Asks [`SetSys`] for any free id.
pub const DYNAMIC_ID: u32 = u32::MAX;
