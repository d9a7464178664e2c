//! The traps, as functions.
//!
//! The safe ones do not make the kernel write the caller's memory. What does, SENDA and some kernel calls, takes the memory by reference,
//! as [`crate::senda()`] does, or is unsafe.

use crate::kernel_call::is_harmless;
use abi::{BODY_WORDS, Endpoint, Errno, Kind, Message, Status, Trap};
use core::arch::asm;

/// The registers that a trap reads and writes; see [`abi::Trap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    /// The trap going in, the result coming out.
    pub rax: u64,
    /// Destination in, source out.
    pub rdi: u64,
    /// Kind and tag.
    pub rsi: u64,
    /// Whom to receive from in, status out.
    pub rdx: u64,
    /// The payload: r8 r9 r10 r12 r13 r14 r15.
    pub body: [u64; BODY_WORDS],
}

/// Makes a trap with exactly these registers and returns them as they are afterwards. For tests; programs use the functions below.
///
/// One that could make the kernel write memory of the caller is not made: its result is `EPERM`. See [`trap_unchecked`].
#[inline(always)]
#[must_use]
pub fn trap(registers: Registers) -> Registers {
    let harmless = match Trap::from_rax(registers.rax) {
        Some(Trap::KernelCall) => is_harmless(Kind(registers.rsi as u16)),
        Some(Trap::SendA) => false,
        _ => true,
    };
    if !harmless {
        return Registers { rax: Errno::Perm.to_result() as u64, ..registers };
    }
    // SAFETY: it leaves memory of the caller alone.
    unsafe { trap_unchecked(registers) }
}

/// Executes `SYSCALL` with exactly these registers and returns them as they are afterwards.
///
/// # Safety
/// Nothing in the program relies on the memory of its own that the trap writes or takes away.
#[inline(always)]
#[must_use]
pub unsafe fn trap_unchecked(registers: Registers) -> Registers {
    let Registers { rax, rdi, rsi, rdx, body } = registers;
    let [r8, r9, r10, r12, r13, r14, r15] = body;
    let mut out = registers;
    let [o8, o9, o10, o12, o13, o14, o15] = &mut out.body;
    // SAFETY: but for memory, which the caller vouches for, the kernel changes registers only: those named as outputs, those of the C calling convention (rcx, r11 and
    // the vector registers among them), and MXCSR and the x87 control word, which it sets to the values that Rust code
    // expects. Not `nomem`: a kernel call may read memory that its arguments point to.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") rax => out.rax, inlateout("rdi") rdi => out.rdi,
            inlateout("rsi") rsi => out.rsi, inlateout("rdx") rdx => out.rdx,
            inlateout("r8") r8 => *o8, inlateout("r9") r9 => *o9, inlateout("r10") r10 => *o10,
            inlateout("r12") r12 => *o12, inlateout("r13") r13 => *o13, inlateout("r14") r14 => *o14,
            inlateout("r15") r15 => *o15,
            clobber_abi("sysv64"), options(nostack),
        );
    }
    out
}

/// A message that RECEIVE returned, and what the kernel says about it.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    /// The message; `peer` is its true source.
    pub message: Message,
    /// How it was sent.
    pub status: Status,
}

/// Makes a trap that sends and receives, with this message and these endpoints.
#[inline(always)]
fn message_trap(trap_number: Trap, message: &Message, from: Endpoint) -> Result<Received, Errno> {
    // SAFETY: messages travel in registers.
    unsafe { trap_unchecked_message(trap_number, message, from) }
}

/// The same for any trap.
///
/// # Safety
/// As of [`trap_unchecked`].
#[inline(always)]
pub(crate) unsafe fn trap_unchecked_message(
    trap_number: Trap,
    message: &Message,
    from: Endpoint,
) -> Result<Received, Errno> {
    let registers = Registers {
        rax: trap_number.rax(),
        rdi: message.peer.raw().into(),
        rsi: message.header(),
        rdx: from.raw().into(),
        body: message.body,
    };
    // SAFETY: as the caller says.
    let out = unsafe { trap_unchecked(registers) };
    match Errno::from_result(out.rax as i64)? {
        0 => {}
        _ => return Err(Errno::Proto),
    }
    let mut message = Message { peer: Endpoint::from_raw(out.rdi as u32), body: out.body, ..*message };
    message.set_header(out.rsi);
    Ok(Received { message, status: Status(out.rdx) })
}

/// Sends `message` to its `peer`; blocks until it is delivered.
///
/// # Errors
/// `EINVAL`, `EDEADSRCDST`, `ECALLDENIED`, `ETRAPDENIED`, `ELOCKED`.
#[inline]
pub fn send(message: &Message) -> Result<(), Errno> {
    message_trap(Trap::Send, message, Endpoint::NONE).map(drop)
}

/// Waits for a message from `from`, or from anybody if that is [`Endpoint::ANY`].
///
/// # Errors
/// `EDEADSRCDST`, `ETRAPDENIED`, `ELOCKED`.
#[inline]
pub fn receive(from: Endpoint) -> Result<Received, Errno> {
    message_trap(Trap::Receive, &Message::new(Endpoint::NONE, Kind(0)), from)
}

/// Sends `message` to its `peer` and replaces it by the answer.
///
/// # Errors
/// As [`send`]; `EDEADSRCDST` also if the peer dies before it has answered. The message is then as it was.
#[inline]
pub fn sendrec(message: &mut Message) -> Result<Status, Errno> {
    let received = message_trap(Trap::SendRec, message, message.peer)?;
    *message = received.message;
    Ok(received.status)
}

/// Leaves a notification for `to`; never blocks.
///
/// # Errors
/// `EINVAL`, `EDEADSRCDST`, `ECALLDENIED`, `ETRAPDENIED`.
#[inline]
pub fn notify(to: Endpoint) -> Result<(), Errno> {
    message_trap(Trap::Notify, &Message::new(to, Kind(0)), Endpoint::NONE).map(drop)
}

/// Sends `message` to its `peer` if that waits for it; never blocks.
///
/// # Errors
/// As [`send`], and `ENOTREADY` instead of waiting.
#[inline]
pub fn send_nb(message: &Message) -> Result<(), Errno> {
    message_trap(Trap::SendNb, message, Endpoint::NONE).map(drop)
}

/// Answers the `peer` of `reply`, which waits in SENDREC for the caller, then receives from `from`. Whether the answer
/// failed stands in the status; the caller receives in any case.
///
/// # Errors
/// As [`receive`].
#[inline]
pub fn reply_receive(reply: &Message, from: Endpoint) -> Result<Received, Errno> {
    message_trap(Trap::ReplyReceive, reply, from)
}
