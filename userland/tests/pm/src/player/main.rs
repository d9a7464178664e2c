//! A user process that does what the suite says.
#![no_std]
#![no_main]

mod handlers;

use abi::{Endpoint, Errno, Kind, Message};
use core::arch::asm;
use pm_suite::{Do, Next, Order, SERVER, SUITE};
use protocol::pm::{Client, Exit, Fork, GetIds, Kill, SigAction, Wait4, status};
use protocol::{Call, Transport, decode, encode};

sys::entry!(main);

/// Carries calls of the process manager. A tag is not needed: there is one call at a time.
struct Wire;

impl Transport for Wire {
    fn sendrec(&mut self, to: Endpoint, message: &mut Message) -> Result<(), Errno> {
        message.peer = to;
        rt::sendrec(message).map(drop)
    }
}

fn main() -> u64 {
    let (Some(suite), Some(server)) = (sys::lookup(SUITE), sys::lookup(SERVER)) else {
        return 1;
    };
    handlers::set_server(server);
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
    let [first, second, third, ..] = order.words;
    let one = |word| Ok([word, 0, 0, 0, 0, 0]);
    let mut pm = Client { to: server, transport: Wire };
    match Do::of(order.what).ok_or(Errno::Inval)? {
        Do::Nothing => Ok([0; 6]),
        Do::Ask => ask(server, &order.words),
        Do::Catch => {
            let (handler, trampoline) = handlers::addresses();
            let (signal, flags) = (first as u32, second as u32);
            pm.sigaction(SigAction { signal, change: 1, handler, trampoline, mask: third, flags, reserved: 0 })?;
            Ok([0; 6])
        }
        Do::Count => one(handlers::count(first)),
        Do::Spin => {
            while handlers::count(first) < second {
                core::hint::spin_loop();
            }
            one(handlers::count(first))
        }
        // SAFETY: the suite means the program to end there.
        Do::Touch => one(unsafe { (first as *const u64).read_volatile() }),
        Do::Divide => {
            // SAFETY: as above.
            unsafe {
                asm!("xor edx, edx", "xor ecx, ecx", "div rcx", inout("rax") 1_u64 => _, out("rcx") _, out("rdx") _)
            };
            Ok([0; 6])
        }
        Do::Illegal => {
            // SAFETY: as above.
            unsafe { asm!("ud2") };
            Ok([0; 6])
        }
        Do::LoseStack => {
            let pid = pm.ids(GetIds {})?.pid as i32;
            let request = encode(Kill::KIND, &Kill { pid, signal: first as u32 });
            // SAFETY: the program ends with this call, or else with the next instruction.
            unsafe {
                asm!(
                    "mov rsp, {nowhere}",
                    "syscall",
                    "ud2",
                    nowhere = const NOWHERE,
                    in("rax") abi::Trap::SendRec.rax(),
                    in("rdi") u64::from(server.raw()),
                    in("rsi") request.header(),
                    in("r8") request.body[0],
                    options(noreturn),
                )
            }
        }
        Do::Cycle => cycle(&mut pm, first, second),
    }
}

/// An address at which there is nothing.
const NOWHERE: u64 = 0x20_0000;

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

fn cycle(pm: &mut Client<Wire>, rounds: u64, offset: u64) -> Result<[u64; 6], Errno> {
    for round in 0..rounds {
        let code = (round + offset) as u32 & 0xff;
        let pid = pm.fork(Fork {})?.pid;
        if pid == 0 {
            let _ = pm.exit(Exit { code, reserved: 0 });
        }
        let waited = pm.wait4(Wait4 { pid: pid as i32, options: 0 })?;
        if (waited.pid, waited.status) != (pid, status::exited(code)) {
            return Ok([round, 1, waited.pid.into(), waited.status.into(), 0, 0]);
        }
    }
    Ok([rounds, 0, 0, 0, 0, 0])
}
