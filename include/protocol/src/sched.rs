//! What the kernel tells the scheduler of a process, in the name of that process.

use abi::Kind;

crate::protocol! {
    sched = 0x0900;

    /// The time of the sender is used up: it waits until its scheduler gives it a new turn. Only a message that the status calls
    /// the kernel's says so; it is not answered.
    1 fn out_of_quantum(OutOfQuantum {
        /// Cycles of the time-stamp counter that it has run, ever.
        cycles: u64,
        /// The same in timer ticks.
        user_ticks: u64,
        /// Timer ticks of services on its behalf.
        system_ticks: u64,
        /// Scheduling queue.
        priority: u32,
        /// Number of its processor.
        cpu: u32,
        /// Ticks of the turn that is over.
        quantum: u64
    }) -> Acknowledged {};
}

/// The kind of [`OutOfQuantum`].
pub const OUT_OF_QUANTUM: Kind = <OutOfQuantum as crate::Call>::KIND;
