//! What is refused, with which error, and that nothing comes of it: neither at the target nor in the registers.

use crate::peers::{Peer, WORDS, me, message_from, program};
use abi::{Endpoint, Errno, TRAP_BASE, Trap};
use rt::Registers;
use suite::{Outcome, check_eq};

/// All traps with a destination that is checked.
const SENDING: [Trap; 4] = [Trap::Send, Trap::SendRec, Trap::Notify, Trap::SendNb];

/// Slots that no program of the image has, and slot numbers beyond the table.
const EMPTY_SLOTS: [u32; 6] = [100, 1023, 1024, 1025, 4096, 31_000];

fn registers(rax: u64, to: Endpoint, from: Endpoint) -> Registers {
    Registers { rax, rdi: to.raw().into(), rsi: 0x7001 | 0x55aa << 16, rdx: from.raw().into(), body: peer::body(WORDS) }
}

/// Makes a trap that must fail with `errno` and leave all message registers as they are.
fn expect_error(before: Registers, errno: Errno) -> Outcome {
    let after = rt::trap(before);
    check_eq!(after.rax as i64, errno.to_result());
    check_eq!(Registers { rax: before.rax, ..after }, before);
    Ok(())
}

/// Endpoints that name nobody.
fn nobodies() -> Result<impl Iterator<Item = Endpoint>, suite::Failure> {
    let echo = program("echo")?.raw();
    let stale = [1, 2, Endpoint::LAST_GENERATION].into_iter().map(move |generation| generation << 15 | echo);
    let special = [Endpoint::NONE.raw(), Endpoint::SELF.raw(), u32::MAX, 1 << 31];
    Ok(special.into_iter().chain(EMPTY_SLOTS).chain(stale).map(Endpoint::from_raw))
}

pub(crate) fn dead_endpoints() -> Outcome {
    for nobody in nobodies()? {
        for trap in SENDING {
            expect_error(registers(trap.rax(), nobody, Endpoint::ANY), Errno::DeadSrcDst)?;
        }
    }
    Ok(())
}

pub(crate) fn any_is_no_destination() -> Outcome {
    for trap in SENDING {
        expect_error(registers(trap.rax(), Endpoint::ANY, Endpoint::ANY), Errno::Inval)?;
    }
    Ok(())
}

pub(crate) fn kernel_names_take_no_messages() -> Outcome {
    for name in [Endpoint::HARDWARE, Endpoint::SYSTEM, Endpoint::CLOCK, Endpoint::ASYNCM] {
        for trap in SENDING {
            expect_error(registers(trap.rax(), name, Endpoint::ANY), Errno::TrapDenied)?;
        }
    }
    Ok(())
}

pub(crate) fn receiving_from_nobody() -> Outcome {
    for nobody in nobodies()? {
        expect_error(registers(Trap::Receive.rax(), Endpoint::NONE, nobody), Errno::DeadSrcDst)?;
        expect_error(registers(Trap::ReplyReceive.rax(), Endpoint::NONE, nobody), Errno::DeadSrcDst)?;
    }
    Ok(())
}

pub(crate) fn unknown_traps() -> Outcome {
    let base = u64::from(TRAP_BASE);
    let send = Trap::Send.rax();
    let numbers = [0, 1, 2, 8, 60, 231, base, base + 6, base + 9, base + 31, base + 32, base - 1, u64::MAX];
    let with_upper_half = [send | 1 << 32, send | 1 << 63, send | 0xffff_ffff << 32];
    for rax in numbers.into_iter().chain(with_upper_half) {
        expect_error(registers(rax, program("echo")?, Endpoint::ANY), Errno::BadCall)?;
    }
    Ok(())
}

pub(crate) fn sendnb_to_somebody_busy() -> Outcome {
    let [a, b] = [Peer::named("a")?, Peer::named("b")?];
    a.send_to(b.0)?;
    expect_error(registers(Trap::SendNb.rax(), a.0, Endpoint::NONE), Errno::NotReady)?;
    b.receive_from(Endpoint::ANY)?;
    check_eq!(b.outcome()?.digest, peer::digest(&message_from(a.0, WORDS).body));
    Ok(())
}

pub(crate) fn the_target_is_checked_before_the_trap() -> Outcome {
    // It may use RECEIVE and SENDNB, and send to the suite.
    let bound = Peer::named("bound")?;
    let a = Peer::named("a")?;
    let dead = Endpoint::from_raw(EMPTY_SLOTS[0]);
    let expect = |trap: Trap, to, errno| -> Outcome {
        bound.perform(trap, to, Endpoint::ANY)?;
        check_eq!(bound.result()?, Err(errno));
        Ok(())
    };
    for trap in [Trap::Send, Trap::SendRec, Trap::Notify] {
        expect(trap, Endpoint::ANY, Errno::Inval)?;
        expect(trap, dead, Errno::DeadSrcDst)?;
        expect(trap, a.0, Errno::CallDenied)?;
        expect(trap, me()?, Errno::TrapDenied)?;
    }
    expect(Trap::SendNb, a.0, Errno::CallDenied)?;
    expect(Trap::ReplyReceive, me()?, Errno::TrapDenied)?;
    // Nothing of all this has come here: it would come first.
    a.send_to(me()?)?;
    check_eq!(rt::receive(Endpoint::ANY)?.message, message_from(a.0, WORDS));
    check_eq!(a.result()?, Ok(0));
    Ok(())
}
