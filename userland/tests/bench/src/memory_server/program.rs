//! The beginning of a program: from its file in memory to its first instruction, which reads the counter.

use crate::family::Family;
use crate::file::{self, File};
use crate::memory::Memory;
use abi::layout::{PAGE_SIZE, STACK_TOP};
use abi::{Endpoint, Errno};
use bench::{Trouble, report_some, timed};
use exec::{Accept, Facts, Request, Trust};
use static_cell::ConstStaticCell;

/// Bytes of its stack.
const STACK: u64 = 256 * PAGE_SIZE;

const WARM_UP: usize = 10;
const SAMPLES: usize = 100;

static FILE: ConstStaticCell<File> = ConstStaticCell::new(File::EMPTY);

/// Measures how a process gets the program again and again, each time instead of the same one. It waits for an answer then.
pub(crate) fn measure(memory: &Memory, family: &mut Family) -> Result<(), Trouble> {
    let me = sys::whoami()?.endpoint;
    let image = FILE.take().fill(me);
    let process = family.fork_only()?;
    report_some("exec.100k", WARM_UP, &mut [0; SAMPLES], |_| {
        let before = timed::now();
        exec::exec(memory.server(), process, "program", image, &REQUEST).map_err(|_| Errno::NoExec)?;
        let begun = begun(process)?;
        Ok(begun.wrapping_sub(before) as u32)
    })?;
    Ok(family.end()?)
}

/// How it is started: with two arguments and a variable.
const REQUEST: Request<'static> = Request {
    accept: Accept::Native,
    stack: STACK_TOP - STACK..STACK_TOP,
    base: 0,
    arguments: b"program\0argument\0",
    environment: b"HOME=/\0",
    name: c"program",
    facts: Facts { uid: 0, euid: 0, gid: 0, egid: 0, trust: Trust::Caller, random: [0; 16], hwcap: 0 },
};

/// Waits for the program's message; returns when it began.
fn begun(process: Endpoint) -> Result<u64, Trouble> {
    let [begun, first, last, zero, ..] = rt::receive(process)?.message.body;
    // All of it is there: the ends of its file, and its bss.
    if [first, last, zero] == [file::FIRST_WORD, file::LAST_WORD, 0] { Ok(begun) } else { Err(Trouble::WrongAnswer) }
}
