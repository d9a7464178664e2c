//! A user process that does what the suite says.
#![no_std]
#![no_main]

mod handlers;

use abi::{Endpoint, Errno};
use core::arch::asm;
use pm_suite::{Do, SERVER, SUITE};
use protocol::pm::{Client, Exit, Fork, GetIds, Kill, SigAction, Wait4, status};
use protocol::{Call, encode};
use suite::orders::{self, NOTHING, Words, one};
use sys::Ipc;

sys::entry!(main);

fn main() -> u64 {
    let (Some(suite), Some(server)) = (sys::lookup(SUITE), sys::lookup(SERVER)) else {
        return 1;
    };
    handlers::set_server(server);
    orders::obey(suite, |what, words| carry_out(what, words, server))
}

fn carry_out(what: Do, words: &Words, server: Endpoint) -> Result<Words, Errno> {
    let [first, second, third, ..] = *words;
    let mut pm = Client { to: server, transport: Ipc::default() };
    match what {
        Do::Nothing => Ok(NOTHING),
        Do::Ask => orders::ask(&mut pm.transport, server, words),
        Do::Catch => {
            let (handler, trampoline) = handlers::addresses();
            let (signal, flags) = (first as u32, second as u32);
            pm.sigaction(SigAction { signal, change: 1, handler, trampoline, mask: third, flags, reserved: 0 })?;
            Ok(NOTHING)
        }
        Do::Count => Ok(one(handlers::count(first))),
        Do::Spin => {
            while handlers::count(first) < second {
                core::hint::spin_loop();
            }
            Ok(one(handlers::count(first)))
        }
        // SAFETY: the suite means the program to end there.
        Do::Touch => Ok(one(unsafe { (first as *const u64).read_volatile() })),
        Do::Divide => {
            // SAFETY: as above.
            unsafe {
                asm!("xor edx, edx", "xor ecx, ecx", "div rcx", inout("rax") 1_u64 => _, out("rcx") _, out("rdx") _)
            };
            Ok(NOTHING)
        }
        Do::Illegal => {
            // SAFETY: as above.
            unsafe { asm!("ud2") };
            Ok(NOTHING)
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

fn cycle(pm: &mut Client<Ipc>, rounds: u64, offset: u64) -> Result<Words, Errno> {
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
