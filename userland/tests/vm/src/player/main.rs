//! Does what the suite says.
#![no_std]
#![no_main]

use abi::layout::PAGE_SIZE;
use abi::{BODY_WORDS, Endpoint, Errno, Kind, Message, Trap};
use protocol::{Call, decode, encode};
use rt::Registers;
use vm_suite::{Do, Next, Order, SERVER, SUITE};

sys::entry!(main);

fn main() -> u64 {
    let (Some(suite), Some(server)) = (sys::lookup(SUITE), sys::lookup(SERVER)) else {
        return 1;
    };
    let mut done = Ok([0; 6]);
    loop {
        let (error, words) = match done {
            Ok(words) => (0, words),
            Err(error) => (error as u64, [0; 6]),
        };
        let mut message = Message { peer: suite, ..encode(Next::KIND, &Next { error, words }) };
        if rt::sendrec(&mut message).is_err() {
            return 2;
        }
        let Ok(order) = decode::<Order>(&message) else { return 3 };
        done = carry_out(&order, server);
    }
}

fn carry_out(order: &Order, server: Endpoint) -> Result<[u64; 6], Errno> {
    let [address, argument, second, ..] = order.words;
    let first = |word| [word, 0, 0, 0, 0, 0];
    let pages = |count| (0..count).map(move |page| (page, (address + page * PAGE_SIZE) as *mut u64));
    match Do::of(order.what).ok_or(Errno::Inval)? {
        Do::Nothing => Ok([0; 6]),
        // SAFETY: what the suite says is not this program's own; or the program ends there, and is meant to.
        Do::Read => Ok(first(unsafe { (address as *const u64).read_volatile() })),
        Do::Write => {
            // SAFETY: as above.
            unsafe { (address as *mut u64).write_volatile(argument) };
            Ok([0; 6])
        }
        // SAFETY: as above.
        Do::Sum => Ok(first(pages(argument).fold(0, |sum, (_, at)| sum + unsafe { at.read_volatile() }))),
        Do::Fill => {
            // SAFETY: as above.
            pages(argument).for_each(|(page, at)| unsafe { at.write_volatile(second + page) });
            Ok([0; 6])
        }
        Do::Ask => ask(server, &order.words),
        Do::Call => call(&order.words),
        Do::Notify => rt::notify(server).map(|()| [0; 6]),
        Do::Jump => {
            // SAFETY: as above.
            let function: extern "C" fn() = unsafe { core::mem::transmute(address) };
            function();
            Ok([0; 6])
        }
        Do::Exit => sys::exit(argument),
    }
}

fn ask(server: Endpoint, words: &[u64; 6]) -> Result<[u64; 6], Errno> {
    let mut message = Message::new(server, Kind(words[0] as u16));
    message.body[..5].copy_from_slice(&words[1..]);
    rt::sendrec(&mut message)?;
    match message.kind.status() {
        Some(Ok(())) => Ok(core::array::from_fn(|i| message.body[i])),
        Some(Err(error)) => Err(error),
        None => Err(Errno::Proto),
    }
}

fn call(words: &[u64; 6]) -> Result<[u64; 6], Errno> {
    let mut message = Message::new(Endpoint::SYSTEM, Kind(words[0] as u16));
    message.body[..5].copy_from_slice(&words[1..]);
    let Message { body, .. } = message;
    let before = Registers { rax: Trap::KernelCall.rax(), rdi: 0, rsi: message.header(), rdx: 0, body };
    // SAFETY: it is about memory that this program has for the suite.
    let after = unsafe { rt::trap_unchecked(before) };
    Errno::from_result(after.rax as i64).map(|_| core::array::from_fn(|i| after.body[i]))
}

const _: () = assert!(BODY_WORDS == 7);
