//! The watchdog of the kernel lock. No entry into the kernel takes long, so who waits for seconds waits for a processor that hangs: it
//! has every other one looked at by an NMI, and the one that holds the lock panics where it is.
//!
//! Nothing is noted when the lock is taken, which would cost something on the shortest ways through the kernel. Ring 0 runs with
//! interrupts off but for the idle loop, and whoever waits for the lock says so here; so the holder is known by what it is not.
//! A machine with one processor has nobody to wait, and no such watchdog.

use crate::smp;
use core::sync::atomic::{AtomicU32, Ordering};
use kernel_core::CpuId;

/// Cycles of the time-stamp counter after which the lock is held too long: some seconds.
const PATIENCE: u64 = 1 << 34;

/// Processors that wait for the lock, a bit each.
pub(crate) static WAITING: AtomicU32 = AtomicU32::new(0);

/// One more than the number of the processor that has waited too long; 0 if there is none.
pub(crate) static ALARM: AtomicU32 = AtomicU32::new(0);

/// A processor that waits for the lock.
pub(crate) struct Watch {
    id: CpuId,
    since: u64,
}

impl Watch {
    /// Begins to wait.
    pub(crate) fn start(id: CpuId) -> Self {
        WAITING.fetch_or(1 << id.index(), Ordering::Relaxed);
        Self { id, since: now() }
    }

    /// Goes on waiting; at last, sounds the alarm.
    pub(crate) fn look(&mut self) {
        if now().wrapping_sub(self.since) < PATIENCE {
            return;
        }
        let me = self.id.index() as u32 + 1;
        match ALARM.compare_exchange(0, me, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => smp::alarm_others(self.id),
            Err(other) if other == me => {
                panic!("processor {} waits for the kernel lock for too long, and no other one has it", me - 1)
            }
            Err(_) => {} // Another one has done that, and waits for the answer.
        }
        self.since = now();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        WAITING.fetch_and(!(1 << self.id.index()), Ordering::Relaxed);
    }
}

fn now() -> u64 {
    // SAFETY: reads a counter.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Where an NMI leads that finds this processor in the kernel, with another one waiting for too long.
pub(crate) unsafe extern "sysv64" fn report(id: u32, rip: u64) -> ! {
    let waits = ALARM.load(Ordering::Relaxed) - 1;
    panic!("processor {id} holds the kernel lock for too long, at {rip:#018x}; processor {waits} waits for it")
}

/// Keeps the kernel lock for ever, for a test of all this: other processors are made to want it.
#[inline(never)]
pub fn hold_lock() -> ! {
    const PAUSES: u32 = 1 << 20;
    let _held = crate::run::STATE.lock();
    smp::release_others();
    loop {
        smp::kick_others(CpuId::BOOT);
        (0..PAUSES).for_each(|_| core::hint::spin_loop());
    }
}
