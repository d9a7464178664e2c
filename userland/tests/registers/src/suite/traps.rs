//! Registers after every kind of trap.

use crate::program;
use abi::{Endpoint, Errno, Kind, Message, Status, Trap};
use probe::{Register, State};
use protocol::kernel::{SetAlarm, Times};
use protocol::{Call, encode};
use registers::mirror::{Reflect, Spend};
use registers::report::Spent;
use registers::{filled, message_in, with_message};
use suite::{Failure, Outcome, check, check_eq, fail};

/// Patterns to try each trap with: every combination of null data segment registers.
const SEEDS: core::ops::Range<u64> = 0..16;

/// Makes a trap with all other registers filled, and checks those that carry no message.
fn trap(seed: u64, trap: Trap, message: &Message, from: Endpoint) -> Result<State, Failure> {
    let before = with_message(filled(seed), trap, message, from);
    let after = probe::trap(&before);
    if let Err(what) = probe::after_trap(&before, &after) {
        fail!("{what}");
    }
    Ok(after)
}

fn result(after: &State) -> Result<u64, Errno> {
    Errno::from_result(after.get(Register::Rax) as i64)
}

/// The trap fails, and the message registers are as they were.
fn fails(seed: u64, number: Trap, message: &Message, from: Endpoint, errno: Errno) -> Outcome {
    let after = trap(seed, number, message, from)?;
    check_eq!(result(&after), Err(errno));
    check_eq!(message_in(&after), *message);
    check_eq!(after.get(Register::Rdx), u64::from(from.raw()));
    Ok(())
}

/// A message with something in every word.
fn full(to: Endpoint, kind: Kind) -> Message {
    Message { peer: to, kind, tag: 0x7e57, body: core::array::from_fn(|i| !(0x0101_0101_0101_0101 * i as u64)) }
}

pub(crate) fn after_a_kernel_call() -> Outcome {
    for seed in SEEDS {
        let after = trap(seed, Trap::KernelCall, &full(Endpoint::SYSTEM, Times::KIND), Endpoint::NONE)?;
        check_eq!(result(&after), Ok(0));
        let answer = message_in(&after);
        check_eq!((answer.peer, answer.kind, answer.tag), (Endpoint::SYSTEM, Kind::OK, 0x7e57));
        check_eq!(answer.body[2..], [0; 5]);
        check_eq!(after.get(Register::Rsi) >> 32, 0);
        check_eq!(after.get(Register::Rdx), 0);
    }
    Ok(())
}

pub(crate) fn after_a_failed_kernel_call() -> Outcome {
    for seed in SEEDS {
        let message = full(Endpoint::SYSTEM, Kind(protocol::kernel::PROTOCOL.base - 1));
        fails(seed, Trap::KernelCall, &message, Endpoint::NONE, Errno::BadRequest)?;
    }
    Ok(())
}

pub(crate) fn after_an_unknown_trap() -> Outcome {
    for seed in SEEDS {
        // All registers are left as the pattern has them, rax too.
        let before = filled(seed);
        let after = probe::trap(&before);
        if let Err(what) = probe::after_trap(&before, &after) {
            fail!("{what}");
        }
        check_eq!(result(&after), Err(Errno::BadCall));
        check_eq!(before.difference(&after, &[Register::Rdi, Register::Rsi, Register::Rdx]), None);
        check_eq!(before.difference(&after, &Register::BODY), None);
    }
    Ok(())
}

pub(crate) fn after_a_failed_message() -> Outcome {
    for seed in SEEDS {
        for number in [Trap::Send, Trap::SendRec, Trap::Notify, Trap::SendNb] {
            fails(seed, number, &full(Endpoint::NONE, Kind(1)), Endpoint::ANY, Errno::DeadSrcDst)?;
        }
        fails(seed, Trap::Receive, &full(Endpoint::ANY, Kind(1)), Endpoint::NONE, Errno::DeadSrcDst)?;
    }
    Ok(())
}

pub(crate) fn after_a_notification() -> Outcome {
    for seed in SEEDS {
        let after = trap(seed, Trap::Notify, &full(program("b")?, Kind(1)), Endpoint::NONE)?;
        check_eq!(result(&after), Ok(0));
    }
    Ok(())
}

/// No call of anybody's: whoever gets it goes on.
const UNKNOWN: Kind = Kind(0x773f);

pub(crate) fn after_a_send_to_a_waiting_receiver() -> Outcome {
    for seed in SEEDS {
        let after = trap(seed, Trap::Send, &full(program("echo")?, UNKNOWN), Endpoint::NONE)?;
        check_eq!(result(&after), Ok(0));
    }
    Ok(())
}

pub(crate) fn after_a_blocked_send() -> Outcome {
    for seed in SEEDS {
        // The first makes the mirror run, the second finds it not waiting yet.
        for _ in 0..2 {
            let after = trap(seed, Trap::Send, &full(program("b")?, UNKNOWN), Endpoint::NONE)?;
            check_eq!(result(&after), Ok(0));
        }
    }
    Ok(())
}

/// Has `b` spend time and send what came of it; both end with a message for the suite.
fn order_report(seed: u64) -> Result<Endpoint, Failure> {
    let b = program("b")?;
    rt::send(&Message { peer: b, ..encode(Spend::KIND, &Spend { seed }) })?;
    Ok(b)
}

/// Receives the report of `b` with all registers filled.
fn receive_report(seed: u64, b: Endpoint) -> Outcome {
    let after = trap(seed, Trap::Receive, &full(Endpoint::NONE, Kind(0)), b)?;
    check_eq!(result(&after), Ok(0));
    let report = message_in(&after);
    check_eq!((report.peer, report.kind, report.tag), (b, Spent::KIND, 0));
    check_eq!(after.get(Register::Rdi), u64::from(b.raw()));
    check_eq!(after.get(Register::Rsi), u64::from(Spent::KIND.0));
    check_eq!(Status(after.get(Register::Rdx)), Status::sent_with(Trap::Send));
    check_eq!(report.body[2..], [0; 5]);
    Ok(())
}

pub(crate) fn after_a_message_that_waited() -> Outcome {
    let b = order_report(5)?;
    // `echo` is less urgent than `b`: when it answers, the report waits.
    after_calls_to_echo()?;
    receive_report(6, b)
}

pub(crate) fn after_a_blocked_receive() -> Outcome {
    let b = order_report(9)?;
    receive_report(10, b)
}

pub(crate) fn after_a_received_notification() -> Outcome {
    for seed in SEEDS {
        // What is past comes at once.
        sys::kernel().setalarm(SetAlarm { ticks: 1, absolute: 1 })?;
        let after = trap(seed, Trap::Receive, &full(Endpoint::NONE, Kind(0)), Endpoint::CLOCK)?;
        check_eq!(result(&after), Ok(0));
        let message = message_in(&after);
        check_eq!((message.peer, message.kind, message.tag), (Endpoint::CLOCK, Kind::NOTIFY, 0));
        check_eq!(message.body[1..], [0; 6]);
        check_eq!(Status(after.get(Register::Rdx)), Status::sent_with(Trap::Notify));
    }
    Ok(())
}

/// The mirror fills its registers before each of its traps: from this program to it and back nothing else goes.
pub(crate) fn after_a_thousand_calls_to_a_mirror() -> Outcome {
    let mirrors = [program("b")?, program("c")?];
    for seed in 0..1000 {
        let to = mirrors[seed as usize & 1];
        let words = [seed, !seed, 3, 4, 5, u64::MAX];
        let request = Message { peer: to, tag: seed as u16, ..encode(Reflect::KIND, &Reflect { words }) };
        let after = trap(seed, Trap::SendRec, &request, Endpoint::NONE)?;
        check_eq!(result(&after), Ok(0));
        let answer = message_in(&after);
        check_eq!((answer.peer, answer.kind, answer.tag), (to, Kind::OK, seed as u16));
        check_eq!(answer.body[..6], words);
        check!(answer.body[6] == 0, "the mirror found {} wrong registers", answer.body[6]);
        check_eq!(after.get(Register::Rdi), u64::from(to.raw()));
        check_eq!(after.get(Register::Rsi) >> 32, 0);
        check_eq!(Status(after.get(Register::Rdx)), Status::sent_with(Trap::ReplyReceive));
    }
    Ok(())
}

pub(crate) fn after_calls_to_echo() -> Outcome {
    let echo = program("echo")?;
    for seed in SEEDS {
        let request = full(echo, Kind(protocol::echo::PROTOCOL.base + 1));
        let after = trap(seed, Trap::SendRec, &request, Endpoint::NONE)?;
        check_eq!(result(&after), Ok(0));
        let answer = message_in(&after);
        check_eq!((answer.peer, answer.kind, answer.tag), (echo, Kind::OK, request.tag));
        check!(answer.body.iter().rev().eq(&request.body), "echo answers {:x?}", answer.body);
    }
    Ok(())
}

/// The first of the tests: the partner, less urgent than the suite, ends itself as soon as the suite waits for it.
pub(crate) fn after_the_death_of_the_partner() -> Outcome {
    let message = full(program("mortal")?, Kind(1));
    fails(3, Trap::SendRec, &message, Endpoint::ANY, Errno::DeadSrcDst)?;
    fails(4, Trap::SendRec, &message, Endpoint::ANY, Errno::DeadSrcDst)
}
