//! The kernel looks at itself: at traps whether its invariants hold, and at the end whether its text and its constants are
//! still what they were. Off unless the command line asks for it; then traps come in as they do when messages are
//! [`traced`](crate::traced).

use crate::layout::Image;
use crate::machine::X86;
use core::ops::Range;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use kernel_core::Kernel;

/// Traps from one look to the next; 0 if nobody looks.
static EVERY: AtomicU32 = AtomicU32::new(0);
/// Traps since the last look.
static TRAPS: AtomicU32 = AtomicU32::new(0);
/// The checksums of [`sums`], as they were at the start.
static SUMS: AtomicU64 = AtomicU64::new(0);

/// Looks at every so many traps from now on, on processors that are set up from now on.
pub fn switch_on(every: u32) {
    SUMS.store(sums(), Ordering::Relaxed);
    EVERY.store(every, Ordering::Relaxed);
}

pub(crate) fn is_on() -> bool {
    EVERY.load(Ordering::Relaxed) != 0
}

/// A trap was made: looks whether what came before it has left the kernel whole.
pub(crate) fn before_trap(kernel: &Kernel<'_, X86>) {
    if is_on() && TRAPS.fetch_add(1, Ordering::Relaxed) + 1 >= EVERY.load(Ordering::Relaxed) {
        TRAPS.store(0, Ordering::Relaxed);
        invariants(kernel);
    }
}

/// The system ends: looks at everything once more.
pub(crate) fn at_end(kernel: &Kernel<'_, X86>) {
    if is_on() {
        invariants(kernel);
        assert_eq!(sums(), SUMS.load(Ordering::Relaxed), "the kernel's text or constants have changed");
    }
}

fn invariants(kernel: &Kernel<'_, X86>) {
    if let Err(violation) = kernel.check_invariants() {
        panic!("the kernel is not whole: {violation:?}");
    }
}

/// Checksums of the text and of the constants.
fn sums() -> u64 {
    let Image { text, rodata, .. } = Image::get();
    u64::from(sum(text)) << 32 | u64::from(sum(rodata))
}

fn sum(range: Range<u64>) -> u32 {
    // SAFETY: a part of the image that nobody writes.
    let bytes = unsafe { core::slice::from_raw_parts(range.start as *const u8, (range.end - range.start) as usize) };
    crc32fast::hash(bytes)
}
