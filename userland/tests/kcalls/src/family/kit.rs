//! What tests with children have in common.

use crate::{Board, Child, Code, Plan, me, programs};
use abi::event::SystemEvent;
use abi::{BODY_WORDS, Endpoint, Errno, Kind, Message, Trap};
use protocol::echo::{Client, Count};
use protocol::kernel::{MemSet, MemorySet, SetAlarm};
use protocol::trace::{Poke, Poked};
use protocol::{Call, decode, encode};
use rt::Registers;
use suite::{Failure, Outcome, check_eq};
use sys::Ipc;

/// Waits until all others are blocked: `echo` is less urgent than anybody else, so it answers only then.
///
/// # Errors
/// There is no `echo`, or it does not answer.
pub fn settle() -> Outcome {
    let to = sys::lookup("echo").ok_or(Errno::NoEnt)?;
    Client { to, transport: Ipc::default() }.count(Count {})?;
    Ok(())
}

/// Lets the others run for so many timer ticks. Nothing but the end of this may be told meanwhile.
///
/// # Errors
/// Something else was told meanwhile.
pub fn nap(ticks: u64) -> Outcome {
    sys::kernel().setalarm(SetAlarm { ticks, absolute: 0 })?;
    loop {
        let message = rt::receive(Endpoint::ANY)?.message;
        let event = SystemEvent::read(&message.body);
        // A notification may be about somebody who has ended since.
        if message.peer == Endpoint::SYSTEM && event.signaled.is_none() && event.memory.is_none() {
            continue;
        }
        check_eq!(message.peer, Endpoint::CLOCK);
        return Ok(());
    }
}

/// Calls that write memory. That of the suite itself they leave alone: such a call is not made.
#[derive(Clone, Copy, Debug)]
pub struct MemoryOfOthers;

impl MemoryOfOthers {
    /// Writes some bytes.
    ///
    /// # Errors
    /// Those of the call, and `EPERM` for memory of the suite.
    pub fn poke(&self, call: Poke) -> Result<Poked, Errno> {
        Self::call(call.process, &call)
    }

    /// Fills memory.
    ///
    /// # Errors
    /// Those of the call, and `EPERM` for memory of the suite.
    pub fn memset(&self, call: MemSet) -> Result<MemorySet, Errno> {
        if call.process == Endpoint::SELF { Err(Errno::Perm) } else { Self::call(call.process, &call) }
    }

    fn call<C: Call>(process: Endpoint, call: &C) -> Result<C::Reply, Errno> {
        if process == me()? {
            return Err(Errno::Perm);
        }
        // SAFETY: the memory is another process's.
        unsafe { rt::call_unchecked(call) }
    }
}

/// An ordinary child that executes `code`, and runs.
///
/// # Errors
/// That the kernel refuses a step.
pub fn child(code: Code) -> Result<Child, Failure> {
    Child::start(&Plan::new(code)?)
}

/// One that obeys orders, may make these kernel calls, and waits.
///
/// # Errors
/// That the kernel refuses a step.
pub fn obedient(calls: &[&str]) -> Result<Child, Failure> {
    let child = Child::start(&Plan::new(programs::obey)?.calls(calls))?;
    settle()?;
    Ok(child)
}

/// Has an obedient child make a trap; returns when everybody is blocked.
///
/// # Errors
/// It cannot be told.
pub fn order(child: &Child, registers: Registers) -> Outcome {
    child.board().set_registers(&registers);
    rt::notify(child.endpoint)?;
    settle()
}

/// The registers of a trap with a message.
#[must_use]
pub fn registers(trap: Trap, message: &Message, from: Endpoint) -> Registers {
    let (rdi, rdx) = (message.peer.raw().into(), from.raw().into());
    Registers { rax: trap.rax(), rdi, rsi: message.header(), rdx, body: message.body }
}

/// Words of a payload, different in all bits.
pub const WORDS: [u64; BODY_WORDS] = [1, 0x8000_0000_0000_0002, !0, 0x55, 0xaaaa, 6, 0x0123_4567_89ab_cdef];
/// A kind of message that means nothing.
pub const KIND: Kind = Kind(0x7771);

/// A message that means nothing.
#[must_use]
pub fn some_message(to: Endpoint) -> Message {
    Message { body: WORDS, tag: 99, ..Message::new(to, KIND) }
}

/// The same as it comes from a child.
#[must_use]
pub fn message_from(child: &Child) -> Message {
    some_message(child.endpoint)
}

/// Has a child make a message trap.
///
/// # Errors
/// It cannot be told.
pub fn perform(child: &Child, trap: Trap, to: Endpoint, from: Endpoint) -> Outcome {
    order(child, registers(trap, &some_message(to), from))
}

/// The registers of a kernel call.
#[must_use]
pub fn call_registers<C: Call>(call: &C) -> Registers {
    registers(Trap::KernelCall, &encode(C::KIND, call), Endpoint::NONE)
}

/// Has a child make a kernel call.
///
/// # Errors
/// It cannot be told.
pub fn order_call<C: Call>(child: &Child, call: &C) -> Outcome {
    order(child, call_registers(call))
}

/// The result of a child's last trap.
///
/// # Errors
/// That of the trap.
pub fn result(child: &Child) -> Result<u64, Errno> {
    Errno::from_result(child.board().registers().rax as i64)
}

/// The message that it received with it.
#[must_use]
pub fn received(child: &Child) -> Message {
    let Registers { rdi, rsi, body, .. } = child.board().registers();
    let mut message = Message { body, ..Message::new(Endpoint::from_raw(rdi as u32), Kind(0)) };
    message.set_header(rsi);
    message
}

/// Has a child make a kernel call that ends at once, and returns what came of it.
///
/// # Errors
/// It does not end.
pub fn called<C: Call>(child: &Child, call: &C) -> Result<Result<C::Reply, Errno>, Failure> {
    let before = child.board().get(Board::COUNT);
    order_call(child, call)?;
    check_eq!(child.board().get(Board::COUNT), before + 1);
    if let Err(error) = result(child) {
        return Ok(Err(error));
    }
    Ok(Ok(decode::<C::Reply>(&received(child))?))
}
