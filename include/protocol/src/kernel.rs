//! The kernel calls: made with [`abi::Trap::KernelCall`], allowed by the call mask, whose bits are their numbers.
//!
//! Besides the errors named here each can fail with `ECALLDENIED` (not in the caller's mask), `EBADREQUEST` (no such call)
//! and `EINVAL` (the arguments are no values of their types, or an endpoint that names no live process). A call that fails
//! has changed nothing.
//!
//! Some calls come in groups: a protocol of its own, all of which one bit of the mask allows. See [`GROUPS`].

use crate::Protocol;
use abi::grant::GrantId;
use abi::{Endpoint, Kind};

crate::protocol! {
    kernel = 0x600;

    /// Makes a process: a copy of the parent's slot, which must be receiving, in a free one, under the slot's next endpoint
    /// and without an address space. The child of a service gets the privileges of users, and waits for its own. `EINVAL`
    /// if the parent is not receiving, or the slot is none or taken.
    0 fn fork(Fork { parent: Endpoint, slot: u32 }) -> Forked { child: Endpoint };
    /// Gives a process another program: registers reset but for stack pointer and entry, a name, and whatever message was on
    /// its way to it is dropped. `EINVAL` for an entry or stack pointer that no program can have.
    1 fn exec(Exec {
        /// Text padded with zeros.
        name: [u8; abi::boot::NAME_LEN],
        stack: u64,
        entry: u64,
        process: Endpoint,
        reserved: u32
    }) -> Executed {};
    /// Frees the slot of a process, with all that it had: whoever waits for it gets `EDEADSRCDST`. `EPERM` for the caller
    /// itself.
    2 fn clear(Clear { process: Endpoint }) -> Cleared {};
    /// Sets how a process is scheduled, and gives it a new turn. For its scheduler only: `EPERM`. `EINVAL` for a number out of
    /// range, `EBADCPU` for a processor that does not run. [`KEEP`] leaves a value as it is.
    3 fn schedule(Schedule {
        process: Endpoint,
        /// Queue, 0 the most urgent.
        priority: i32,
        /// Milliseconds, at least 1.
        quantum: i32,
        /// Number of a processor.
        cpu: i32
    }) -> Scheduled {};
    /// Raises a signal for a process; its signal manager is told. `EINVAL` for a signal that is none, `EPERM` for the root
    /// system process, but by itself.
    6 fn kill(Kill { process: Endpoint, signal: u32 }) -> Killed {};
    /// Takes the signals of the first process that has some and whose manager is the caller;
    /// [`Endpoint::NONE`] if there is no such process. The process stays stopped until [`EndKSig`].
    7 fn getksig(GetKSig {}) -> KSig {
        process: Endpoint,
        reserved: u32,
        /// A bit for each signal.
        signals: u64
    };
    /// The signals of a process have been dealt with: it goes on, unless more have come. `EPERM` if the caller is not its
    /// manager, `EINVAL` if none were taken.
    8 fn endksig(EndKSig { process: Endpoint }) -> EndedKSig {};
    /// Puts a frame with registers and signal mask on a process's stack, and lets it go on in its signal handler. `EBUSY` if it
    /// waits for a message, `EFAULT` if its stack takes no frame, `EINVAL` for a handler that no program can have.
    9 fn sigsend(SigSend {
        /// Address of the handler.
        handler: u64,
        /// Where the handler returns to.
        trampoline: u64,
        /// For [`SigReturn`] to give back.
        mask: u64,
        process: Endpoint,
        signal: u32
    }) -> SigSent {
        /// Address of the frame.
        frame: u64
    };
    /// Takes the registers of a process from the frame that [`SigSend`] made. `EFAULT` if it cannot be read, `EINVAL` if it
    /// is no such frame or has registers that no program can have, `EBUSY` if the process waits for a message.
    10 fn sigreturn(SigReturn { process: Endpoint, reserved: u32, frame: u64 }) -> SigReturned { mask: u64 };
    /// Fills memory of a process, or of the caller as [`Endpoint::SELF`], with a byte. `EFAULT` if it cannot be written.
    13 fn memset(MemSet { process: Endpoint, byte: u32, address: u64, len: u64 }) -> MemorySet {
        /// How many bytes are filled; the caller goes on behind them.
        done: u64
    };
    /// The physical address of memory of the caller. `EFAULT` if it is not there or not contiguous, `EINVAL` for a length of 0.
    14 fn umap(UMap { address: u64, len: u64 }) -> UMapped { physical: u64 };
    /// Copies between any two processes; [`Endpoint::SELF`] is the caller. `EDOM` for no bytes, `EFAULT` if memory cannot be read or
    /// written, `EPERM` for [`CopyFlags::TRY`] without the privilege to grant memory of others. If both sides overlap, the bytes
    /// that are both read and written have no particular value afterwards.
    15 fn vircopy(VirCopy {
        source: Endpoint,
        destination: Endpoint,
        from: u64,
        to: u64,
        len: u64,
        /// Bits of [`CopyFlags`].
        flags: u64
    }) -> VirCopied {
        /// How many bytes are copied; the caller goes on behind them.
        done: u64
    };
    /// The same; [`Endpoint::NONE`] is physical memory, of which only the frames of programs can be copied (`EPERM` for others).
    16 fn physcopy(PhysCopy {
        source: Endpoint,
        destination: Endpoint,
        from: u64,
        to: u64,
        len: u64,
        /// Bits of [`CopyFlags`].
        flags: u64
    }) -> PhysCopied {
        /// How many bytes are copied; the caller goes on behind them.
        done: u64
    };
    /// Reads or writes an I/O port. `EPERM` if not all of the access lies in a range that the caller has, or is not aligned.
    21 fn devio(DevIo { access: PortAccess, port: u32, value: u32 }) -> DevIoDone { value: u32 };
    /// Reads a port many times into memory of the caller, or writes it from there. `EPERM` as for [`DevIo`], `EINVAL` for a
    /// count of 0 or more than [`MAX_PORT_STRING`], `EFAULT` if the memory is not there; no port is touched then.
    22 fn sdevio(SDevIo { access: PortAccess, port: u32, address: u64, count: u64 }) -> SDevIoDone {};
    /// Makes a list of accesses, up to [`MAX_PORT_LIST`] of them ([`PortValue`]) in memory of the caller; values that are read go
    /// there. All are checked before the first is made. `E2BIG` for a longer list, other errors as for [`SDevIo`].
    23 fn vdevio(VDevIo { access: PortAccess, count: u32, address: u64 }) -> VDevIoDone {};
    /// Sets the caller's alarm, instead of the one it had: a notification from [`Endpoint::CLOCK`]. A relative time of 0 cancels
    /// it. `EPERM` for what is no service.
    24 fn setalarm(SetAlarm {
        /// Timer ticks; from now, or since boot.
        ticks: u64,
        /// Not 0: since boot. What is past comes at once.
        absolute: u64
    }) -> AlarmSet {
        /// What was left of the alarm before; [`NEVER`] if there was none.
        left: u64,
        /// Ticks since boot.
        now: u64
    };
    /// How long the system has been up. The cheapest call.
    25 fn times(Times {}) -> Uptime {
        /// Timer ticks since boot.
        ticks: u64,
        /// Ticks in a second.
        hz: u64
    };
    /// One program of the boot table: its name and its endpoint. `EDOM` beyond the end.
    26 fn boot_entry(GetBootEntry {
        /// Place in the table.
        index: u64
    }) -> BootProgram {
        /// Name, padded with zeros.
        name: [u8; abi::boot::NAME_LEN],
        /// Its endpoint; stale if it has ended, [`Endpoint::NONE`] for a file that is no program.
        endpoint: Endpoint,
        reserved: u32
    };
    /// Ends the run of the whole system: stops it, or leaves QEMU with an exit code. Does not return.
    27 fn abort(Abort { how: AbortHow, status: u32 }) -> Aborted {};
    /// The caller's own endpoint and name, and whom it asks how to begin.
    29 fn whoami(WhoAmI {}) -> Identity {
        /// Name, padded with zeros.
        name: [u8; abi::boot::NAME_LEN],
        endpoint: Endpoint,
        /// The root system process.
        root: Endpoint
    };
    /// Copies from memory that was granted to the caller. `EDOM` for no bytes, `EINVAL` if nobody is the granter or the id is
    /// none, `EPERM` if the grant is not valid or does not allow it, `ELOOP` for a chain that is too long, `ENOTREADY` while the
    /// granter is being updated, `EFAULT` if memory cannot be read or written. Nothing is copied then.
    31 fn safecopyfrom(SafeCopyFrom {
        granter: Endpoint,
        reserved: u32,
        grant: GrantId,
        /// Bytes from the start of what is granted.
        offset: u64,
        /// Memory of the caller.
        address: u64,
        len: u64
    }) -> CopiedFrom {
        /// How many bytes are copied; the caller goes on behind them.
        done: u64
    };
    /// Copies to memory that was granted to the caller. Errors as for [`SafeCopyFrom`].
    32 fn safecopyto(SafeCopyTo {
        granter: Endpoint,
        reserved: u32,
        grant: GrantId,
        /// Bytes from the start of what is granted.
        offset: u64,
        /// Memory of the caller.
        address: u64,
        len: u64
    }) -> CopiedTo {
        /// How many bytes are copied; the caller goes on behind them.
        done: u64
    };
    /// Makes a list of copies from and to granted memory, up to [`MAX_COPIES`] of them ([`SafeCopy`]) in memory of the caller, one
    /// after the other. `EINVAL` for another count, or for a place beyond it. Errors as for [`SafeCopyFrom`] are those of the copy
    /// at which the call starts: before a later one that fails, or needs memory that is not there, it stops.
    33 fn vsafecopy(VSafeCopy {
        /// The list.
        address: u64,
        count: u64,
        /// The first copy that is made.
        first: u64,
        /// How many bytes of it have been copied before.
        skip: u64
    }) -> VCopied {
        /// The first copy that is not complete; the count if all are.
        next: u64,
        /// How many bytes of that are copied.
        skip: u64
    };
    /// Tells where the caller keeps its grants: so many of [`abi::grant::GrantEntry`]; 0 for none. `EPERM` for what is no service,
    /// `EINVAL` for too many or an address that is no table's.
    34 fn setgrant(SetGrant { address: u64, count: u64 }) -> GrantsSet {};
    /// Lets the caller see memory that was granted to it, with the right to map, in the place of memory of its own. Everything is a
    /// multiple of the page size. `EINVAL` if not, for no bytes, and for memory of its own; else errors as for [`SafeCopyFrom`], and
    /// `EPERM` for pages that the granter sees only so itself: those it hands on with an indirect grant. `EBUSY` if the caller has lent or
    /// borrowed there, shares the memory or does I/O with it; `ENOSPC` if too much is mapped with grants of one process.
    35 fn safemap(SafeMap {
        granter: Endpoint,
        /// Not 0: to be written, too.
        write: u32,
        grant: GrantId,
        /// Bytes from the start of what is granted.
        offset: u64,
        /// Memory of the caller.
        address: u64,
        len: u64
    }) -> SafeMapped {
        /// How many bytes are mapped, at most [`MAX_LENT`] pages; the caller goes on behind them. 0 if it has to call again.
        done: u64
    };
    /// Takes back what was mapped with a grant that the caller made, through whatever chain. Whoever saw the memory keeps a copy of
    /// what it is now.
    36 fn saferevmap(SafeRevMap { grant: GrantId }) -> SafeRevMapped {
        /// 1 if steps remain: the caller repeats the call.
        more: u64
    };
    /// Ends what the caller has mapped at an address: it keeps a copy. `EINVAL` if nothing begins there.
    37 fn safeunmap(SafeUnmap { address: u64 }) -> SafeUnmapped {
        /// 1 if steps remain: the caller repeats the call.
        more: u64
    };
    /// As [`SafeRevMap`], for everything that was mapped of the page at an address of the caller.
    38 fn saferevmap_at(SafeRevMapAt { address: u64 }) -> SafeRevMappedAt {
        /// 1 if steps remain: the caller repeats the call.
        more: u64
    };
    /// Sets the time of day. `EINVAL` for a fraction of a second and more.
    40 fn settime(SetTime {
        /// Since 1970.
        seconds: u64,
        nanoseconds: u32,
        reserved: u32
    }) -> TimeSet {};
    /// Writes a line to the kernel log under the caller's name; what is no printable ASCII comes out as a dot, but for a line end
    /// at the end. `EINVAL` for a length of 0 or more than [`MAX_DIAG`] bytes, `EFAULT` if the text cannot be read; nothing
    /// is written then.
    44 fn diag_write(DiagWrite {
        /// Address of the text.
        address: u64,
        /// Its length in bytes.
        len: u64
    }) -> DiagWritten {};
    /// Stops a process or lets it go on. `EBUSY` for [`RunAction::StopAfterSend`] while it sends: then it gets
    /// [`abi::Signal::SEND_DONE`] when that is over. `EINVAL` if it is not stopped and should go on.
    46 fn runctl(RunCtl { process: Endpoint, action: RunAction }) -> RunCtlDone {};
    /// Swaps the slots of two services: each goes on under the endpoint of the other. `EPERM` for users, `EBUSY` for one that
    /// could run or sends, `ENOMEM` if the second has no room for the ranges of the first.
    52 fn update(Update { source: Endpoint, destination: Endpoint, direction: UpdateDirection }) -> Updated {};
    /// Ends the caller: its signal manager gets [`abi::Signal::ABRT`], and it never runs again. Does not return.
    53 fn exit(Exit {
        /// For the log: 0 says that all is well.
        status: u64
    }) -> Exited {};
    /// Makes the caller the scheduler of a process, or the kernel itself, and sets the rest as [`Schedule`] does. `EINVAL` and
    /// `EBADCPU` as there.
    54 fn schedctl(SchedCtl {
        process: Endpoint,
        scheduler: Scheduler,
        priority: i32,
        quantum: i32,
        cpu: i32
    }) -> SchedCtlDone {};
    /// Fills memory that was granted to the caller with a byte. Errors as for [`SafeCopyFrom`].
    56 fn safememset(SafeMemSet {
        granter: Endpoint,
        byte: u32,
        grant: GrantId,
        /// Bytes from the start of what is granted.
        offset: u64,
        len: u64
    }) -> SafeMemorySet {
        /// How many bytes are filled; the caller goes on behind them.
        done: u64
    };
}

/// Calls that one bit of the call mask allows.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// The calls.
    pub protocol: Protocol,
    /// Number of the bit.
    pub number: u16,
}

/// The groups, in the order of their bases, which lie [`GROUP_SPAN`] apart.
pub const GROUPS: &[Group] = &[
    Group { protocol: crate::privctl::PROTOCOL, number: 4 },
    Group { protocol: crate::irqctl::PROTOCOL, number: 19 },
    Group { protocol: crate::statectl::PROTOCOL, number: 55 },
    Group { protocol: crate::getinfo::PROTOCOL, number: 28 },
    Group { protocol: crate::vmctl::PROTOCOL, number: 43 },
    Group { protocol: crate::trace::PROTOCOL, number: 5 },
];

/// How far the base of a group lies from that of the next; each has as many numbers at most.
pub const GROUP_SPAN: u16 = 64;

/// The right that a kernel call needs: its bit in the call mask. `None` if there is no such call.
#[inline]
pub const fn right(kind: Kind) -> Option<u64> {
    let offset = kind.0.wrapping_sub(PROTOCOL.base) as usize;
    if offset >= RIGHTS.len() || RIGHTS[offset] == NO_CALL { None } else { Some(1 << RIGHTS[offset]) }
}

/// The bit of the call mask that a policy names: a call's, or that of a group.
pub fn right_by_name(name: &str) -> Option<u64> {
    let call = || PROTOCOL.call(name).map(|call| 1 << call.number);
    GROUPS.iter().find(|group| group.protocol.name == name).map_or_else(call, |group| Some(1 << group.number))
}

/// The name of the right with a number, in a policy. `None` if there is no such right.
pub fn right_name(number: u32) -> Option<&'static str> {
    NAMES.get(number as usize).copied().filter(|name| !name.is_empty())
}

/// The bits of call masks that allow something.
pub const ALL_RIGHTS: u64 = {
    let mut all = 0;
    let mut i = 0;
    while i < RIGHTS.len() {
        if RIGHTS[i] != NO_CALL {
            all |= 1 << RIGHTS[i];
        }
        i += 1;
    }
    all
};

/// Stands in [`RIGHTS`] where there is no call: no bit has this number.
const NO_CALL: u8 = u64::BITS as u8;

/// For each number above the base, the number of the bit that allows the call. So a call is found to exist and to be allowed
/// by one look.
const RIGHTS: [u8; GROUP_SPAN as usize * (GROUPS.len() + 1)] = {
    let mut rights = [NO_CALL; GROUP_SPAN as usize * (GROUPS.len() + 1)];
    let mut i = 0;
    while i < PROTOCOL.calls.len() {
        let number = PROTOCOL.calls[i].number;
        assert!(number < GROUP_SPAN, "the numbers of kernel calls are below the next group's");
        rights[number as usize] = number as u8;
        i += 1;
    }
    let mut i = 0;
    while i < GROUPS.len() {
        let Group { protocol, number } = GROUPS[i];
        let base = GROUP_SPAN * (i as u16 + 1);
        assert!(protocol.base == PROTOCOL.base + base, "groups stand in the order of their bases");
        assert!(rights[number as usize] == NO_CALL, "a group has the number of a call");
        let mut j = 0;
        while j < protocol.calls.len() {
            assert!(protocol.calls[j].number < GROUP_SPAN, "the numbers of a group are below the next one's");
            rights[(base + protocol.calls[j].number) as usize] = number as u8;
            j += 1;
        }
        i += 1;
    }
    rights
};

/// The names of the bits.
const NAMES: [&str; u64::BITS as usize] = {
    let mut names = PROTOCOL.short_names();
    let mut i = 0;
    while i < GROUPS.len() {
        names[GROUPS[i].number as usize] = GROUPS[i].protocol.name;
        i += 1;
    }
    names
};

/// Most bytes of text in one [`DiagWrite`]: writing takes the processor for as long as a long kernel call may.
pub const MAX_DIAG: usize = 144;
/// Most accesses of one [`SDevIo`].
pub const MAX_PORT_STRING: u64 = 1024;
/// Most accesses of one [`VDevIo`].
pub const MAX_PORT_LIST: u32 = 64;
/// Most copies of one [`VSafeCopy`].
pub const MAX_COPIES: u64 = 64;
/// Most bytes that one call copies or fills; its answer tells how far it came.
pub const MAX_COPIED: u64 = 64 * 1024;
/// Most pages of one [`SafeMap`].
pub const MAX_LENT: u32 = 128;
/// Leaves a number of [`Schedule`] as it is.
pub const KEEP: i32 = -1;
/// The time left of an alarm that is not set.
pub const NEVER: u64 = u64::MAX;

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $value:literal,)+ }) => {
        $(#[$doc])*
        #[derive(
            Clone,
            Copy,
            Debug,
            PartialEq,
            Eq,
            zerocopy::TryFromBytes,
            zerocopy::IntoBytes,
            zerocopy::KnownLayout,
            zerocopy::Immutable,
        )]
        #[repr(u32)]
        pub enum $name { $($(#[$vdoc])* $variant = $value,)+ }
    };
}

choice! {
    /// What [`Abort`] does.
    AbortHow {
        /// Stops all processors.
        Halt = 0,
        /// Resets the machine.
        Reset = 1,
        /// Leaves QEMU with an exit code, where it offers that (`isa-debug-exit`); else like [`AbortHow::Halt`].
        Leave = 2,
    }
}

choice! {
    /// What [`RunCtl`] does.
    RunAction {
        /// Stops it at once, whatever it does.
        Stop = 0,
        /// Stops it, unless it is sending.
        StopAfterSend = 1,
        /// Lets it go on.
        Resume = 2,
    }
}

choice! {
    /// Who decides what becomes of a process whose time is used up.
    Scheduler {
        /// The kernel: it gets a new turn.
        Kernel = 0,
        /// The caller of [`SchedCtl`].
        Caller = 1,
    }
}

choice! {
    /// Which way an [`Update`] goes.
    UpdateDirection {
        /// From the old instance to the new.
        Forward = 0,
        /// Back again: the source was the new instance, and failed.
        Rollback = 1,
    }
}

choice! {
    /// An access to an I/O port.
    PortAccess {
        /// Reads 8 bits.
        Read8 = 0,
        /// Reads 16 bits.
        Read16 = 1,
        /// Reads 32 bits.
        Read32 = 2,
        /// Writes 8 bits.
        Write8 = 4,
        /// Writes 16 bits.
        Write16 = 5,
        /// Writes 32 bits.
        Write32 = 6,
    }
}

/// An entry of the list of [`VDevIo`].
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    zerocopy::FromBytes,
    zerocopy::IntoBytes,
    zerocopy::KnownLayout,
    zerocopy::Immutable,
)]
#[repr(C)]
pub struct PortValue {
    /// The port.
    pub port: u32,
    /// What is written, or was read.
    pub value: u32,
}

bitflags::bitflags! {
    /// How [`VirCopy`] copies.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct CopyFlags: u64 {
        /// Fails where memory is not there, instead of waiting for the memory server.
        const TRY = 1;
    }
}

/// A copy of [`VSafeCopy`]. Either source or destination is [`Endpoint::SELF`], and the other one made the grant.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    zerocopy::FromBytes,
    zerocopy::IntoBytes,
    zerocopy::KnownLayout,
    zerocopy::Immutable,
)]
#[repr(C)]
pub struct SafeCopy {
    /// From whom.
    pub source: Endpoint,
    /// To whom.
    pub destination: Endpoint,
    /// The grant.
    pub grant: GrantId,
    /// Bytes from the start of what is granted.
    pub offset: u64,
    /// Memory of the caller.
    pub address: u64,
    /// Bytes.
    pub len: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_needs_its_own_right_and_those_of_a_group_one() {
        for call in PROTOCOL.calls {
            assert_eq!(right(Kind(PROTOCOL.base + call.number)), Some(1 << call.number), "{}", call.name);
        }
        for group in GROUPS {
            for call in group.protocol.calls {
                assert_eq!(right(Kind(group.protocol.base + call.number)), Some(1 << group.number), "{}", call.name);
            }
            assert_eq!(right_by_name(group.protocol.name), Some(1 << group.number));
        }
        assert_eq!(right_by_name("times"), Some(1 << 25));
    }

    #[test]
    fn other_numbers_are_no_calls() {
        let known = |kind: u16| {
            let all = GROUPS.iter().map(|group| &group.protocol).chain([&PROTOCOL]);
            all.into_iter().any(|p| p.calls.iter().any(|call| p.base + call.number == kind))
        };
        for kind in 0..=u16::MAX {
            assert_eq!(right(Kind(kind)).is_some(), known(kind), "{kind:#x}");
        }
        assert_eq!((right_by_name("nothing"), right_by_name("kernel")), (None, None));
    }
}
