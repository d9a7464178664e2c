//! Handlers of signals.

use abi::{Endpoint, Trap};
use core::arch::naked_asm;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use protocol::Call;
use protocol::pm::SigReturn;

const SIGNALS: usize = 32;

/// How often each was called.
static COUNTS: [AtomicU64; SIGNALS] = [const { AtomicU64::new(0) }; SIGNALS];
/// The process manager.
static PM: AtomicU32 = AtomicU32::new(0);

pub(crate) fn set_server(server: Endpoint) {
    PM.store(server.raw(), Ordering::Relaxed);
}

/// The one for all signals, and what it returns to.
pub(crate) fn addresses() -> (u64, u64) {
    (handle as *const () as u64, go_back as *const () as u64)
}

/// How often the handler of a signal was called.
pub(crate) fn count(signal: u64) -> u64 {
    COUNTS[signal as usize % SIGNALS].load(Ordering::Relaxed)
}

extern "C" fn handle(signal: u64, _frame: u64) {
    COUNTS[signal as usize % SIGNALS].fetch_add(1, Ordering::Relaxed);
}

/// Ends a handler: the frame begins where the stack pointer is after its return.
#[unsafe(naked)]
extern "C" fn go_back() {
    naked_asm!(
        "mov r8, rsp",
        "mov edi, [rip + {pm}]",
        "mov esi, {kind}",
        "mov eax, {sendrec}",
        "syscall",
        "ud2",
        pm = sym PM,
        kind = const SigReturn::KIND.0,
        sendrec = const Trap::SendRec.rax(),
    )
}
