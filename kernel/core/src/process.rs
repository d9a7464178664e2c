//! Processes.

use crate::events::MemoryEvent;
use crate::list::{Links, List};
use crate::sched::Place;
use crate::spaces::Home;
use crate::{CpuId, Machine, QUANTUM_TICKS};
use abi::boot::{BootEntry, NAME_LEN};
use abi::{Endpoint, Errno, PrivilegeId, TrapMask};
use bitflags::bitflags;
use core::num::NonZeroU16;

/// Number of process slots.
pub const SLOTS: usize = Endpoint::SLOTS;

/// The process table.
pub type Table<M> = [Process<M>; SLOTS];

/// The place of a process in the table; always in range. Kept with a bit beside it, so that there is room for a "none".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(NonZeroU16);

impl Slot {
    const TAG: NonZeroU16 = NonZeroU16::new(1 << 15).expect("it is not zero");

    /// The slot that an endpoint would have. Whether it lives there, [`crate::Kernel::lookup`] says.
    #[inline(always)]
    pub const fn of(endpoint: Endpoint) -> Self {
        Self::at(endpoint.slot())
    }

    /// The slot with an index below [`SLOTS`].
    #[inline(always)]
    pub(crate) const fn at(index: usize) -> Self {
        const _: () = assert!(SLOTS.is_power_of_two() && SLOTS <= Slot::TAG.get() as usize);
        match NonZeroU16::new(Self::TAG.get() | (index % SLOTS) as u16) {
            Some(tagged) => Self(tagged),
            None => Self(Self::TAG), // The tag is set.
        }
    }

    /// The index into the table.
    #[inline(always)]
    pub const fn index(self) -> usize {
        self.0.get() as usize % SLOTS
    }

    /// All slots.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..SLOTS).map(Self::at)
    }
}

bitflags! {
    /// Why a process does not run. It is runnable if and only if none is set.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Rts: u32 {
        /// The slot is not in use.
        const FREE = 1;
        /// Its message waits to be taken by [`Process::send_to`].
        const SENDING = 1 << 1;
        /// It waits for a message from [`Process::receive_from`].
        const RECEIVING = 1 << 2;
        /// Besides RECEIVING: it is in SENDREC, takes no notifications, and may be answered by REPLY_RECEIVE.
        const REPLY = 1 << 3;
        /// Besides RECEIVING: what it receives takes more than a move of registers. It has filters, or must be told that its
        /// answer failed.
        const SPECIAL = 1 << 4;
        /// Stopped by RUNCTL.
        const STOPPED = 1 << 5;
        /// It has signals that its manager has not taken yet.
        const SIGNALED = 1 << 6;
        /// Its manager has not finished with its signals.
        const SIGNAL_PENDING = 1 << 7;
        /// Stopped by a tracer.
        const TRACED = 1 << 8;
        /// It waits for its privileges.
        const NO_PRIV = 1 << 9;
        /// It has no address space to run in.
        const NO_SPACE = 1 << 10;
        /// It touched memory that is not there; the memory server has to do something.
        const PAGE_FAULT = 1 << 11;
        /// A kernel call of it needs memory that is not there.
        const MEMORY_REQUEST = 1 << 12;
        /// Its time is used up, and its scheduler has to decide.
        const NO_QUANTUM = 1 << 13;
        /// It has asked to be ended.
        const EXITED = 1 << 14;
    }
}

impl Rts {
    /// What ends when it has got a message.
    pub(crate) const WAITS: Self = Self::RECEIVING.union(Self::REPLY).union(Self::SPECIAL);
}

bitflags! {
    /// What else is to be done for a process.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Pending: u32 {
        /// Its kernel call was suspended, and goes on when it runs.
        const CALL = 1;
        /// When its message has been sent, its manager gets a signal.
        const SEND_SIGNAL = 1 << 1;
        /// The message that it sends is the kernel's: that its time is used up.
        const KERNEL_SENDS = 1 << 2;
        /// Notifications or asynchronous messages may wait for it.
        const MESSAGES = 1 << 3;
        /// The memory server has not been told yet what it waits for.
        const EVENT = 1 << 4;
        /// Its tracer wants to know of its traps.
        const TRACES_TRAPS = 1 << 5;
        /// Its trap was held back, and is made when it goes on.
        const TRAP_HELD = 1 << 6;
        /// It made its trap, and its tracer is told when it goes on.
        const TRAP_MADE = 1 << 7;
        /// It executes one instruction.
        const STEPS = 1 << 8;
        /// What is to be done before the process runs.
        const BEFORE_RUNNING = Self::CALL.bits() | Self::TRAP_MADE.bits();
        /// All that has to do with traced traps.
        const TRACED_TRAPS = Self::TRACES_TRAPS.bits() | Self::TRAP_HELD.bits() | Self::TRAP_MADE.bits();
    }
}

/// A process slot. The frame comes first: on the machine the address of one is that of the other. 1024 bytes there, and
/// as much aligned, so that a slot turns into an address by a shift.
#[repr(C, align(1024))]
pub struct Process<M: Machine> {
    /// Saved registers.
    pub frame: M::Frame,
    /// Its address space; `None` in a free slot.
    pub space: Option<Home>,
    /// Its name for others. A free slot keeps that of the last process.
    pub endpoint: Endpoint,
    pub(crate) rts: Rts,
    /// Whom it sends to, while SENDING.
    pub(crate) send_to: Endpoint,
    /// Whom it receives from, while RECEIVING.
    pub(crate) receive_from: Endpoint,
    /// Why the answering half of its REPLY_RECEIVE failed: told with the message that it receives.
    pub(crate) failed_reply: Option<Errno>,
    pub(crate) pending: Pending,
    /// What it waits for the memory server to do.
    pub(crate) memory_event: Option<MemoryEvent>,
    /// Those who wait to send to it, first come first.
    pub(crate) senders: List,
    /// Its place in a queue of ready processes or of senders; it is never in both.
    pub(crate) links: Links,
    pub(crate) privilege_id: PrivilegeId,
    /// From its privileges, kept here for the fast path: the traps that it may use and that need nothing special, whom it may
    /// send to, and the kernel calls that it may make.
    pub(crate) plain_traps: TrapMask,
    pub(crate) sends: u64,
    pub(crate) calls: u64,
    /// The bit of its privilege id in send masks: kept, so that the fast path need not shift.
    pub(crate) privilege_bit: u64,
    /// Where it runs.
    pub(crate) cpu: CpuId,
    /// Queue that it is scheduled in, 0 the most urgent.
    pub(crate) priority: u8,
    /// It is preempted by those that are more urgent than this: its priority, or 0 if by nobody.
    pub(crate) urgency: u8,
    /// Timer ticks of its turn that are left, while it does not run.
    pub(crate) ticks_left: u16,
    /// Ticks of a whole turn.
    pub(crate) quantum: u16,
    /// Where it goes as soon as it does not run any more.
    pub(crate) moves_to: Option<Place>,
    /// Who decides what becomes of it when its time is used up; [`Endpoint::NONE`] for the kernel.
    pub(crate) scheduler: Endpoint,
    /// It is the scheduler of others, or was.
    pub(crate) is_scheduler: bool,
    /// Signals that its manager has not taken yet, a bit each.
    pub(crate) signals: u64,
    /// Those that he has taken and not ended: they are offered to whoever follows him.
    pub(crate) taken_signals: u64,
    /// What it has used of the processors.
    pub(crate) used: Usage,
    pub(crate) name: [u8; NAME_LEN],
}

/// What a process has used of the processors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Cycles of the time-stamp counter, in its program and in the kernel on its behalf.
    pub cycles: u64,
    /// Timer ticks that found it running.
    pub user_ticks: u64,
    /// Timer ticks that found a service running on its behalf.
    pub system_ticks: u64,
}

impl<M: Machine> Process<M> {
    /// A free slot that was never used.
    pub fn free(slot: Slot, frame: M::Frame) -> Self {
        Self {
            frame,
            space: None,
            endpoint: Endpoint::from_raw(slot.index() as u32),
            rts: Rts::FREE,
            send_to: Endpoint::NONE,
            receive_from: Endpoint::NONE,
            failed_reply: None,
            pending: Pending::empty(),
            memory_event: None,
            senders: List::EMPTY,
            links: Links::NONE,
            privilege_id: PrivilegeId::USER,
            plain_traps: TrapMask::empty(),
            sends: 0,
            calls: 0,
            privilege_bit: PrivilegeId::USER.bit(),
            cpu: CpuId::BOOT,
            priority: 0,
            urgency: 0,
            ticks_left: 0,
            quantum: 0,
            moves_to: None,
            scheduler: Endpoint::NONE,
            is_scheduler: false,
            signals: 0,
            taken_signals: 0,
            used: Usage::default(),
            name: [0; NAME_LEN],
        }
    }

    /// A process of the boot table, which waits for its privileges and is in no queue.
    pub(crate) fn new(endpoint: Endpoint, entry: &BootEntry, cpu: CpuId, frame: M::Frame, space: Option<Home>) -> Self {
        let homeless = if space.is_none() { Rts::NO_SPACE } else { Rts::empty() };
        Self {
            space,
            endpoint,
            rts: Rts::NO_PRIV | homeless,
            cpu,
            priority: entry.priority,
            urgency: entry.priority,
            ticks_left: QUANTUM_TICKS,
            quantum: QUANTUM_TICKS,
            name: entry.name,
            ..Self::free(Slot::of(endpoint), frame)
        }
    }

    /// The name it was booted under.
    pub fn name(&self) -> &str {
        let len = self.name.iter().position(|&b| b == 0).unwrap_or(NAME_LEN);
        core::str::from_utf8(&self.name[..len]).unwrap_or("?")
    }

    /// Why it does not run.
    pub fn rts(&self) -> Rts {
        self.rts
    }

    /// The bit of its privilege id in masks of such ids.
    pub(crate) fn privilege_bit(&self) -> u64 {
        self.privilege_bit
    }

    pub(crate) fn set_privilege_id(&mut self, id: PrivilegeId) {
        self.privilege_id = id;
        self.privilege_bit = id.bit();
    }
}
