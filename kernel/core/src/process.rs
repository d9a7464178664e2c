//! Processes and their privileges.

use crate::list::{Links, List};
use crate::spaces::Home;
use crate::{CpuId, Machine, QUANTUM_TICKS};
use abi::boot::{BootEntry, MAX_PROGRAMS, NAME_LEN};
use abi::{Endpoint, Errno, TrapMask};
use bitflags::bitflags;

/// Number of process slots.
pub const SLOTS: usize = Endpoint::SLOTS;

/// The process table.
pub type Table<M> = [Process<M>; SLOTS];

/// The place of a process in the table; always in range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(u16);

impl Slot {
    /// The slot that an endpoint would have. Whether it lives there, [`crate::Kernel::lookup`] says.
    pub const fn of(endpoint: Endpoint) -> Self {
        Self(endpoint.slot() as u16)
    }

    /// The index into the table.
    pub const fn index(self) -> usize {
        self.0 as usize & (SLOTS - 1)
    }

    /// All slots.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..SLOTS as u16).map(Self)
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
    /// Those who wait to send to it, first come first.
    pub(crate) senders: List,
    /// Its place in a queue of ready processes or of senders; it is never in both.
    pub(crate) links: Links,
    privilege_id: u8,
    /// The bit of its privilege id in send masks: kept, so that the fast path need not shift.
    privilege_bit: u64,
    /// Where it runs.
    pub(crate) cpu: CpuId,
    /// Queue that it is scheduled in, 0 the most urgent.
    pub(crate) priority: u8,
    /// Timer ticks that it may still run before others of its priority do.
    pub(crate) ticks_left: u16,
    name: [u8; NAME_LEN],
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
            senders: List::EMPTY,
            links: Links::NONE,
            privilege_id: 0,
            privilege_bit: 0,
            cpu: CpuId::BOOT,
            priority: 0,
            ticks_left: 0,
            name: [0; NAME_LEN],
        }
    }

    /// A process of the boot table, runnable and in no queue yet.
    pub(crate) fn new(endpoint: Endpoint, entry: &BootEntry, cpu: CpuId, frame: M::Frame, space: Home) -> Self {
        let id = endpoint.slot();
        Self {
            space: Some(space),
            endpoint,
            rts: Rts::empty(),
            privilege_id: id as u8,
            privilege_bit: 1 << id,
            cpu,
            priority: entry.priority,
            ticks_left: QUANTUM_TICKS,
            name: entry.name,
            ..Self::free(Slot::of(endpoint), frame)
        }
    }

    /// The name it was booted under.
    pub fn name(&self) -> &str {
        let len = self.name.iter().position(|&b| b == 0).unwrap_or(NAME_LEN);
        core::str::from_utf8(&self.name[..len]).unwrap_or("?")
    }

    /// The name, padded with zeros.
    pub(crate) fn name_field(&self) -> [u8; NAME_LEN] {
        self.name
    }

    /// Why it does not run.
    pub fn rts(&self) -> Rts {
        self.rts
    }

    /// The bit of its privilege id in masks of such ids.
    pub(crate) fn privilege_bit(&self) -> u64 {
        self.privilege_bit
    }

    /// The index of its privileges; always in range.
    pub(crate) fn privilege_id(&self) -> usize {
        usize::from(self.privilege_id) % MAX_PROGRAMS
    }
}

/// What a process may do. Its id is its index in the kernel's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Privileges {
    /// Traps it may use.
    pub traps: TrapMask,
    /// Privilege ids it may send to, a bit each.
    pub sends: u64,
    /// Kernel calls it may make, a bit each.
    pub calls: u64,
    /// Privilege ids whose notifications it has not received yet, a bit each.
    pub(crate) notified_by: u64,
}

impl Privileges {
    /// May do nothing.
    pub const NONE: Self = Self { traps: TrapMask::empty(), sends: 0, calls: 0, notified_by: 0 };

    /// Those that the boot table gives.
    pub(crate) fn of_boot_entry(entry: &BootEntry) -> Self {
        // The table was checked: it has known bits only.
        let traps = TrapMask::from_bits(entry.traps).unwrap_or(TrapMask::empty());
        Self { traps, sends: entry.sends, calls: entry.calls, notified_by: 0 }
    }
}
