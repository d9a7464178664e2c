//! The kernel calls that tell about the system. What they tell travels in the answer: there is no table to copy.

use abi::Endpoint;

crate::protocol! {
    getinfo = 0x700;

    /// The policy of a boot program: what the boot table says. `EDOM` beyond the end.
    1 fn boot_policy(GetBootPolicy { index: u64 }) -> BootPolicy {
        /// Boot programs that it may send to, a bit for each place in the table.
        sends: u64,
        /// Kernel calls.
        calls: u64,
        /// Traps.
        traps: u32,
        /// Scheduling queue.
        priority: u16,
        /// Bits of [`abi::boot::BootFlags`].
        flags: u16,
        /// Number of a processor.
        cpu: u32,
        /// [`Endpoint::NONE`] for a file that is no program.
        endpoint: Endpoint,
        /// Calls of the memory server, a bit each.
        memory: u64
    };
    /// The process in a slot. `EDOM` beyond the last slot, `ESRCH` if it is free.
    2 fn process(GetProcess { slot: u64 }) -> ProcessInfo {
        name: [u8; abi::boot::NAME_LEN],
        /// Why it does not run: bits whose meaning the kernel's manual has.
        flags: u32,
        endpoint: Endpoint,
        /// Whom it waits for, [`Endpoint::NONE`] if for nobody.
        waits_for: Endpoint,
        /// Who decides on its turns, [`Endpoint::NONE`] for the kernel.
        scheduler: Endpoint,
        /// Index of its privilege structure.
        privilege_id: u32,
        cpu: u16,
        priority: u16,
        /// Cycles of the time-stamp counter that it ran.
        cycles: u64
    };
    /// How much time a process has had, in timer ticks.
    3 fn cpu_time(GetCpuTime { process: Endpoint }) -> CpuTime {
        /// In its own program.
        user: u64,
        /// In services on its behalf.
        system: u64,
        /// Cycles of the time-stamp counter.
        cycles: u64
    };
    /// A privilege structure. `EDOM` beyond the last, `ESRCH` if it is not used.
    4 fn privileges(GetPrivileges { id: u64 }) -> PrivilegesInfo {
        sends: u64,
        calls: u64,
        traps: u32,
        flags: u32,
        /// Who has it; one of many for that of users.
        owner: Endpoint,
        manager: Endpoint,
        backup: Endpoint,
        /// Those that were handed on to it.
        init_flags: u32
    };
    /// The machine.
    5 fn machine(GetMachine {}) -> MachineInfo {
        /// Processors that run.
        cpus: u64,
        /// Timer ticks in a second.
        hz: u64,
        /// Timer ticks since boot.
        uptime: u64,
        /// Seconds since 1970 at boot; 0 if nobody has set the time.
        boot_time: u64
    };
    /// The time that a processor had nothing to do, and all of it, in cycles of the time-stamp counter. `EDOM` if it does not run.
    6 fn idle_time(GetIdleTime { cpu: u64 }) -> IdleTime { idle: u64, total: u64 };
    /// What a process wanted and may not have: of all that nobody has asked about yet one thing, which is told once. `ESRCH` if there is none, `EPERM` except
    /// for the root system process.
    7 fn denial(TakeDenial {}) -> Denial {
        /// Who; of several users the last one.
        process: Endpoint,
        denied: Denied,
        /// Which: the bit of the trap in [`abi::TrapMask`], the endpoint of who has the receiver's privileges now, the number of the call's bit in masks, the port,
        /// or the line.
        detail: u64
    };
}

crate::vmctl::field_enum! {
    /// What is denied to a process.
    Denied {
        /// A trap.
        Trap = 0,
        /// To send to somebody.
        Receiver = 1,
        /// A kernel call.
        Call = 2,
        /// An I/O port.
        Port = 3,
        /// An interrupt line.
        Line = 4,
    }
}
