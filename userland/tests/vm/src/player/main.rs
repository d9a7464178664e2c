//! Does what the suite says.
#![no_std]
#![no_main]

use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno, Message, Trap};
use rt::Registers;
use suite::orders::{self, NOTHING, Words, one};
use vm_suite::{Do, SERVER, SUITE};

sys::entry!(main);

fn main() -> u64 {
    let (Some(suite), Some(server)) = (sys::lookup(SUITE), sys::lookup(SERVER)) else {
        return 1;
    };
    orders::obey(suite, |what, words| carry_out(what, words, server))
}

fn carry_out(what: Do, words: &Words, server: Endpoint) -> Result<Words, Errno> {
    let [address, argument, second, ..] = *words;
    let pages = |count| (0..count).map(move |page| (page, (address + page * PAGE_SIZE) as *mut u64));
    match what {
        Do::Nothing => Ok(NOTHING),
        // SAFETY: what the suite says is not this program's own; or the program ends there, and is meant to.
        Do::Read => Ok(one(unsafe { (address as *const u64).read_volatile() })),
        Do::Write => {
            // SAFETY: as above.
            unsafe { (address as *mut u64).write_volatile(argument) };
            Ok(NOTHING)
        }
        // SAFETY: as above.
        Do::Sum => Ok(one(pages(argument).fold(0, |sum, (_, at)| sum + unsafe { at.read_volatile() }))),
        Do::Fill => {
            // SAFETY: as above.
            pages(argument).for_each(|(page, at)| unsafe { at.write_volatile(second + page) });
            Ok(NOTHING)
        }
        Do::Ask => orders::ask(&mut sys::Ipc::default(), server, words),
        Do::Call => call(words),
        Do::Notify => rt::notify(server).map(|()| NOTHING),
        Do::Jump => {
            // SAFETY: as above.
            let function: extern "C" fn() = unsafe { core::mem::transmute(address) };
            function();
            Ok(NOTHING)
        }
        Do::Exit => sys::exit(argument),
    }
}

fn call(words: &Words) -> Result<Words, Errno> {
    let message @ Message { body, .. } = orders::request(words);
    let before = Registers { rax: Trap::KernelCall.rax(), rdi: 0, rsi: message.header(), rdx: 0, body };
    // SAFETY: it is about memory that this program has for the suite.
    let after = unsafe { rt::trap_unchecked(before) };
    Errno::from_result(after.rax as i64).map(|_| core::array::from_fn(|i| after.body[i]))
}
