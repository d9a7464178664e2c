//! The traps: how a program calls the kernel.

use bitflags::bitflags;

/// Added to a trap's number in `rax`. All traps lie outside the range of Linux system calls, so that a personality can
/// one day tell the two apart.
pub const TRAP_BASE: u32 = 0x1000_0000;

/// What `SYSCALL` asks for.
///
/// | register | in | out |
/// |---|---|---|
/// | rax | [`TRAP_BASE`] + number | 0, or a negative [`crate::Errno`] |
/// | rdi | destination endpoint | source endpoint |
/// | rsi | kind in bits 0-15, tag in bits 16-31 | the same of the message received |
/// | rdx | endpoint to receive from | status (see [`Status`]) |
/// | r8 r9 r10 r12 r13 r14 r15 | payload | payload |
/// | rbx rbp rsp | | preserved |
/// | rcx r11 | | lost |
///
/// A trap is a function call to its caller: x87, MMX, SSE registers, MXCSR and the x87 control word have their initial
/// values afterwards, and the data segment registers are null. A failed trap leaves the message registers as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Trap {
    /// Sends a message; blocks until it is delivered.
    Send = 1,
    /// Receives a message from one endpoint or from [`crate::Endpoint::ANY`]; blocks until there is one.
    Receive = 2,
    /// Sends a message, then receives from the same endpoint only.
    SendRec = 3,
    /// Marks a notification as pending at the destination; never blocks.
    Notify = 4,
    /// Sends if the destination is waiting for it, else fails with `ENOTREADY`; never blocks.
    SendNb = 5,
    /// Answers a process that waits in SENDREC for the caller, then receives. A failed answer is reported in the status,
    /// and the caller receives all the same. If the trap itself fails, no answer was given.
    ReplyReceive = 7,
    /// Makes a kernel call: kind = call number, payload = arguments; the answer comes in the same registers.
    KernelCall = 8,
    /// Registers a table of messages to be sent as their receivers take them; never blocks. `rdi` is its address, `rdx` its
    /// number of entries; see [`crate::asynchronous`].
    SendA = 16,
}

impl Trap {
    /// The trap that a whole `rax` names.
    pub const fn from_rax(rax: u64) -> Option<Self> {
        Some(match rax.wrapping_sub(TRAP_BASE as u64) {
            1 => Self::Send,
            2 => Self::Receive,
            3 => Self::SendRec,
            4 => Self::Notify,
            5 => Self::SendNb,
            7 => Self::ReplyReceive,
            8 => Self::KernelCall,
            16 => Self::SendA,
            _ => return None,
        })
    }

    /// The value of `rax` that names this trap.
    pub const fn rax(self) -> u64 {
        TRAP_BASE as u64 + self as u64
    }

    /// The bit of this trap in a trap mask.
    pub const fn mask(self) -> TrapMask {
        TrapMask::from_bits_retain(1 << self as u32)
    }
}

bitflags! {
    /// A set of traps that a process may use. Kernel calls have a mask of their own.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct TrapMask: u32 {
        /// See [`Trap::Send`].
        const SEND = 1 << Trap::Send as u32;
        /// See [`Trap::Receive`].
        const RECEIVE = 1 << Trap::Receive as u32;
        /// See [`Trap::SendRec`].
        const SENDREC = 1 << Trap::SendRec as u32;
        /// See [`Trap::Notify`].
        const NOTIFY = 1 << Trap::Notify as u32;
        /// See [`Trap::SendNb`].
        const SENDNB = 1 << Trap::SendNb as u32;
        /// See [`Trap::ReplyReceive`].
        const REPLY_RECEIVE = 1 << Trap::ReplyReceive as u32;
        /// See [`Trap::SendA`].
        const SENDA = 1 << Trap::SendA as u32;
    }
}

/// What RECEIVE says about the message it returns, in `rdx`.
///
/// Bits 0-7: number of the trap that the message was sent with. Bit 16: the kernel made the message in the name of its
/// source. Bits 32-47: for REPLY_RECEIVE, the error number of an answer that could not be given, or 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Status(pub u64);

impl Status {
    const FROM_KERNEL: u64 = 1 << 16;
    const REPLY_SHIFT: u32 = 32;

    /// The status of a message that was sent with `trap`.
    pub const fn sent_with(trap: Trap) -> Self {
        Self(trap as u64)
    }

    /// The same message, made by the kernel.
    pub const fn by_kernel(self) -> Self {
        Self(self.0 | Self::FROM_KERNEL)
    }

    /// Adds the result of the answering half of REPLY_RECEIVE.
    pub const fn with_failed_reply(self, errno: crate::Errno) -> Self {
        Self(self.0 | (errno as u64) << Self::REPLY_SHIFT)
    }

    /// Whether it is a notification; a message with that kind may be anything.
    pub const fn is_notification(self) -> bool {
        self.0 & 0xff == Trap::Notify as u64
    }

    /// Whether the sender waits for an answer.
    pub const fn wants_reply(self) -> bool {
        self.0 & 0xff == Trap::SendRec as u64
    }

    /// Whether the kernel made the message.
    pub const fn is_from_kernel(self) -> bool {
        self.0 & Self::FROM_KERNEL != 0
    }

    /// Whether the answer of a REPLY_RECEIVE failed.
    pub const fn has_failed_reply(self) -> bool {
        (self.0 >> Self::REPLY_SHIFT) as u16 != 0
    }

    /// Why the answer of a REPLY_RECEIVE failed, if it did.
    pub const fn failed_reply(self) -> Option<crate::Errno> {
        crate::Errno::from_number((self.0 >> Self::REPLY_SHIFT) as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Errno;

    #[test]
    fn all_of_rax_counts() {
        for trap in [
            Trap::Send,
            Trap::Receive,
            Trap::SendRec,
            Trap::Notify,
            Trap::SendNb,
            Trap::ReplyReceive,
            Trap::KernelCall,
            Trap::SendA,
        ] {
            assert_eq!(Trap::from_rax(trap.rax()), Some(trap));
            assert_eq!(Trap::from_rax(trap.rax() | 1 << 32), None);
            assert_eq!(Trap::from_rax(trap as u64), None, "Linux's number");
        }
        assert_eq!(Trap::from_rax(u64::MAX), None);
    }

    #[test]
    fn status_carries_its_parts() {
        let s = Status::sent_with(Trap::SendRec).with_failed_reply(Errno::DeadSrcDst);
        assert!(s.wants_reply() && !s.is_notification() && !s.is_from_kernel());
        assert_eq!(s.failed_reply(), Some(Errno::DeadSrcDst));
        assert!(s.has_failed_reply() && !Status::sent_with(Trap::SendRec).has_failed_reply());
        let s = Status::sent_with(Trap::Notify).by_kernel();
        assert!(s.is_notification() && s.is_from_kernel() && s.failed_reply().is_none());
    }
}
