//! Memory that somebody waits for. In an image without a memory server the suite is that: it sees what is asked for, brings it,
//! and answers. Else the server does all this, when it is let go on.

use crate::kit::Granter;
use abi::Endpoint;
use abi::event::MemoryWait;
use abi::layout::PAGE_SIZE;
use family::kit::settle;
use family::{Home, Page, fault, is_served, protect};
use protocol::vmctl::{Access, AnswerRequest, Found, NextEvent, QueryRun};
use suite::{Failure, Outcome, check, check_eq};
use sys::vmctl;

pub(crate) const READS: u8 = 0;
pub(crate) const WRITES: u8 = 1;

/// A process waits for memory that a kernel call of it needs: the kernel's `Rts::MEMORY_REQUEST`.
const MEMORY_REQUEST: u32 = 1 << 12;

/// Makes the memory that somebody waits for available: maps pages where there are none, and lets pages be written.
pub(crate) fn bring(home: &Home, wait: &MemoryWait) -> Outcome {
    if is_served() {
        return Ok(());
    }
    let end = wait.address + wait.len;
    let mut address = wait.address - wait.address % PAGE_SIZE;
    while address < end {
        let page = Page(((address - Page::BOARD.address()) / PAGE_SIZE) as usize);
        let there = vmctl().query(QueryRun { space: home.space, address })?;
        let access = if wait.access == WRITES { Access::Write } else { Access::Read };
        match there.found {
            Found::Nothing => home.map_page(page, access)?,
            _ if wait.access == WRITES => protect(home.space, address, access)?,
            _ => {}
        }
        address += PAGE_SIZE;
    }
    Ok(())
}

/// Answers whoever waits. A memory server goes on and gives the answer that is right.
pub(crate) fn answer(process: Endpoint, available: bool) -> Outcome {
    if is_served() {
        return family::go_on();
    }
    vmctl().answer_request(AnswerRequest { process, available: available.into() })?;
    settle()
}

/// A page that came to be read can be written again.
pub(crate) fn writable_again(home: &Home, page: Page) -> Outcome {
    if is_served() { Ok(()) } else { protect(home.space, page.address(), Access::Write) }
}

/// Waits until `user` needs memory, which must be this part of what `owner` has, and nobody else does. What is asked for only the
/// memory server hears, if there is one: it must be [held](family::hold).
#[track_caller]
pub(crate) fn wanted(
    user: &Granter,
    owner: &Granter,
    address: u64,
    len: u64,
    access: u8,
) -> Result<MemoryWait, Failure> {
    let line = core::panic::Location::caller().line();
    let expected = MemoryWait { requestor: user.endpoint(), process: owner.endpoint(), address, len, access };
    if is_served() {
        check_eq!((line, user.0.info()?.flags), (line, MEMORY_REQUEST));
        return Ok(expected);
    }
    let wait = fault(&user.0)?;
    check!(wait == expected, "line {line}: wants {wait:x?}, should want {expected:x?}");
    nobody_waits()?;
    Ok(wait)
}

/// No request is left.
pub(crate) fn nobody_waits() -> Outcome {
    check_eq!(vmctl().next_event(NextEvent {}).err(), Some(abi::Errno::NoEnt));
    Ok(())
}
