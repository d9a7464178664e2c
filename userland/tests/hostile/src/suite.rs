//! The part of a suite that deals with victims.

use crate::{Ask, Deed, Order, Survived};
use abi::{Endpoint, Errno, Message};
use core::sync::atomic::{AtomicU32, Ordering};
use protocol::echo::{Client, Reverse};
use protocol::{Call, decode, encode, reply};
use suite::{Failure, Outcome, Text, check, check_eq, fail};
use sys::Ipc;

/// What became of a victim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Stopped,
    WentOn { trouble: u64 },
}

/// The kernel must stop who does this, and only that one.
///
/// # Errors
/// The victim goes on, or others do not.
pub fn stops(deed: Deed, argument: u64) -> Outcome {
    program_stops(next_victim()?, deed, argument)
}

/// The same of a program that is no ordinary victim, but asks like one.
///
/// # Errors
/// It goes on, or others do not.
pub fn program_stops(program: Endpoint, deed: Deed, argument: u64) -> Outcome {
    match fate(program, deed, argument)? {
        Fate::Stopped => echo_answers(),
        Fate::WentOn { .. } => fail!("it went on"),
    }
}

/// Who does this goes on, and so does everybody else.
///
/// # Errors
/// The victim or the others do not, or the victim does not find things as they should be.
pub fn goes_on(deed: Deed, argument: u64) -> Outcome {
    match fate(next_victim()?, deed, argument)? {
        Fate::Stopped => fail!("it was stopped"),
        Fate::WentOn { trouble } => check_eq!(trouble, 0),
    }
    echo_answers()
}

/// Whatever becomes of who does this, the others go on. For what not every processor does alike.
///
/// # Errors
/// The others do not.
pub fn harms_nobody_else(deed: Deed, argument: u64) -> Outcome {
    fate(next_victim()?, deed, argument)?;
    echo_answers()
}

/// # Errors
/// There is no program of that name.
pub fn program(name: &str) -> Result<Endpoint, Failure> {
    let missing = || Failure::Failed(Text::new(format_args!("no program {name} in this image")));
    sys::lookup(name).ok_or_else(missing)
}

/// Has the victim do it.
fn fate(victim: Endpoint, deed: Deed, argument: u64) -> Result<Fate, Failure> {
    let question = rt::receive(victim)?;
    if question.message.kind != Ask::KIND || !question.status.wants_reply() {
        fail!("the victim asks with {:?}", question.message);
    }
    rt::send_nb(&reply(&question.message, Ok(&Order { deed, argument })))?;
    match rt::receive(victim) {
        Err(Errno::DeadSrcDst) => {}
        Err(error) => return Err(error.into()),
        Ok(word) if word.message.kind == Survived::KIND => {
            return Ok(Fate::WentOn { trouble: decode::<Survived>(&word.message)?.trouble });
        }
        Ok(word) => fail!("the victim says {:?}", word.message),
    }
    // Its endpoint is dead for everybody.
    let mut message = Message { peer: victim, ..encode(Ask::KIND, &Ask {}) };
    if rt::sendrec(&mut message) != Err(Errno::DeadSrcDst) {
        fail!("it was stopped, but its endpoint is not dead");
    }
    Ok(Fate::Stopped)
}

fn next_victim() -> Result<Endpoint, Failure> {
    static USED: AtomicU32 = AtomicU32::new(0);
    let number = USED.fetch_add(1, Ordering::Relaxed);
    // As `victim0`, and so on.
    let name = Text::new(format_args!("victim{number}"));
    program(name.as_str())
}

/// # Errors
/// The echo server does not answer, or not rightly.
pub fn echo_answers() -> Outcome {
    let mut echo = Client { to: program("echo")?, transport: Ipc::default() };
    let words = [1, 1 << 63, 3, 4, 5, 6, u64::MAX];
    let answer = echo.reverse(Reverse { words })?;
    check!(answer.words.iter().rev().eq(&words), "echo answers {:x?}", answer.words);
    Ok(())
}
