//! Exceptions and signals of processes that run elsewhere.

use crate::elsewhere::{counts_on, plan, when_left};
use abi::Signal;
use family::{Board, Child, finish, free_slot, programs, signal, until};
use protocol::kernel::{Kill, SigReturn, SigSend};
use protocol::trace::{GetRegister, SetRegister};
use suite::{Outcome, check_eq};
use sys::{kernel, trace};

const ROUNDS: u64 = 40;

pub(crate) fn an_exception_elsewhere_is_dealt_with_here() -> Outcome {
    const RBX: u32 = 1;
    const RIP: u32 = 16;
    const LENGTH: u64 = 2; // Of the instruction that raises it.
    let child = Child::start(&plan(programs::trip, 0)?)?;
    let process = child.endpoint;
    for round in 1..=ROUNDS {
        signal(&child, Signal::ILL)?;
        let rip = when_left(|| trace().get_register(GetRegister { process, index: RIP }))?.value;
        trace().set_register(SetRegister { process, index: RIP, value: rip + LENGTH })?;
        trace().set_register(SetRegister { process, index: RBX, value: round << 8 })?;
        finish(&child)?;
        until(|| child.board().get(Board::RESULT) == round << 8)?;
    }
    child.end()
}

pub(crate) fn a_handler_interrupts_a_process_elsewhere() -> Outcome {
    let child = Child::prepare(&plan(programs::keep_registers, 0)?, free_slot()?)?;
    child.board().set(Board::ARGUMENT, 0x77);
    child.allow()?;
    let process = child.endpoint;
    for round in 1..=ROUNDS {
        counts_on(child.board())?;
        kernel().kill(Kill { process, signal: Signal::KILL.number() })?;
        signal(&child, Signal::KILL)?;
        let call = SigSend {
            handler: programs::handle as *const () as u64,
            trampoline: programs::after_handler as *const () as u64,
            mask: round,
            process,
            signal: Signal::KILL.number(),
        };
        let frame = when_left(|| kernel().sigsend(call))?.frame;
        finish(&child)?;
        signal(&child, Signal::ILL)?;
        check_eq!(child.board().get(Board::FREE), frame);
        check_eq!(when_left(|| kernel().sigreturn(SigReturn { process, reserved: 0, frame }))?.mask, round);
        finish(&child)?;
    }
    counts_on(child.board())?;
    check_eq!(child.board().get(Board::TROUBLE), 0);
    child.end()
}
