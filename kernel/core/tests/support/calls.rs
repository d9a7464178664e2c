//! Registers before and after a trap.

use super::Regs;
use abi::{BODY_WORDS, Endpoint, Errno, Kind, Message, Status, Trap};
use protocol::Call;

/// Fills what a trap does not look at.
const GARBAGE: u64 = 0xdead_beef;

/// The kind of message `n`.
pub(crate) fn kind(n: u16) -> Kind {
    Kind(header(n) as u16)
}

/// Message `n`, as a table of asynchronous messages holds it.
pub(crate) fn message(n: u16) -> Message {
    let mut message = Message { body: body(n), ..Message::new(UNUSED, Kind(0)) };
    message.set_header(header(n));
    message
}

/// Kind and tag of message `n`, as they are delivered.
fn header(n: u16) -> u64 {
    u64::from(0x7000 + n) | u64::from(n) << 16
}

/// The payload of message `n`: no two words of any two messages are the same.
fn body(n: u16) -> [u64; BODY_WORDS] {
    core::array::from_fn(|word| 0x1111_0000_0000_0000 * (word as u64 + 1) + u64::from(n))
}

/// A trap with message `n`, and rubbish in the upper halves of registers of which only the lower half counts.
fn call(trap: Trap, to: Endpoint, n: u16, from: Endpoint) -> Regs {
    let half = |value: u64| GARBAGE << 32 | value;
    Regs {
        rax: trap.rax(),
        rdi: half(to.raw().into()),
        rsi: half(header(n)),
        rdx: half(from.raw().into()),
        body: body(n),
        ..Regs::default()
    }
}

/// A source where none is asked for; naming the caller, so that it would be noticed.
const UNUSED: Endpoint = Endpoint::SELF;

pub(crate) fn send(to: Endpoint, n: u16) -> Regs {
    call(Trap::Send, to, n, UNUSED)
}

pub(crate) fn sendnb(to: Endpoint, n: u16) -> Regs {
    call(Trap::SendNb, to, n, UNUSED)
}

pub(crate) fn sendrec(to: Endpoint, n: u16) -> Regs {
    call(Trap::SendRec, to, n, UNUSED)
}

/// With a message in the registers, which is not sent.
pub(crate) fn notify(to: Endpoint) -> Regs {
    call(Trap::Notify, to, 98, UNUSED)
}

/// With a destination and a message in the registers, which do not count.
pub(crate) fn receive(from: Endpoint) -> Regs {
    call(Trap::Receive, UNUSED, 97, from)
}

/// Answers `to` with message `n`, and receives from `from`.
pub(crate) fn reply_receive(to: Endpoint, n: u16, from: Endpoint) -> Regs {
    call(Trap::ReplyReceive, to, n, from)
}

/// Registers a table of asynchronous messages.
pub(crate) fn senda(address: u64, count: u64) -> Regs {
    Regs { rdi: address, rdx: count, ..call(Trap::SendA, UNUSED, 96, UNUSED) }
}

/// A kernel call.
pub(crate) fn kernel_call<C: Call>(request: &C) -> Regs {
    kernel_call_raw(&protocol::encode(C::KIND, request))
}

/// Any number and arguments as a kernel call.
pub(crate) fn kernel_call_raw(message: &Message) -> Regs {
    let tagged = Message { tag: 0x7a9, ..*message };
    Regs { rsi: GARBAGE << 32 | tagged.header(), body: message.body, ..call(Trap::KernelCall, UNUSED, 0, UNUSED) }
}

/// The registers of a process whose kernel call was answered.
pub(crate) fn kernel_answer<C: Call>(reply: &C::Reply) -> Regs {
    let message = Message { tag: 0x7a9, peer: Endpoint::SYSTEM, ..protocol::encode(Kind::OK, reply) };
    let rdi = message.peer.raw().into();
    Regs { rdi, rsi: message.header(), body: message.body, ..Regs::default() }
}

/// The registers of a process that has received message `n`.
pub(crate) fn delivered(from: Endpoint, trap: Trap, n: u16) -> Regs {
    let status = Status::sent_with(trap);
    Regs { rdi: from.raw().into(), rsi: header(n), rdx: status.0, body: body(n), ..Regs::default() }
}

/// The registers of a process that has received a notification, made at this time.
pub(crate) fn notified(from: Endpoint, ticks: u64) -> Regs {
    let body = core::array::from_fn(|word| if word == 0 { ticks } else { 0 });
    Regs { rsi: Kind::NOTIFY.0.into(), body, ..delivered(from, Trap::Notify, 0) }
}

/// The same, received with REPLY_RECEIVE whose answer failed.
pub(crate) fn with_failed_reply(regs: Regs, errno: Errno) -> Regs {
    Regs { rdx: Status(regs.rdx).with_failed_reply(errno).0, ..regs }
}

/// The registers of a process that its own trap left as they were, but for the result.
pub(crate) fn with_result(call: Regs, result: Result<(), Errno>) -> Regs {
    Regs { rax: result.err().map_or(0, Errno::to_result) as u64, ..call }
}
