//! Backtraces: the kernel and the shipped `core` are compiled with frame pointers.

use crate::paging::is_readable;
use core::arch::asm;

/// Most frames that are followed.
const MAX_DEPTH: usize = 64;

/// The return addresses on the stack, innermost first, from the caller of this function on. Follows frame pointers for as
/// long as they point upwards into readable memory; exceptions in ring 0 make the chain go on where they happened.
pub fn addresses() -> impl Iterator<Item = u64> {
    let mut frame: u64;
    // SAFETY: copies a register.
    unsafe { asm!("mov {}, rbp", out(reg) frame, options(nomem, nostack, preserves_flags)) };
    core::iter::from_fn(move || {
        let good = frame != 0 && frame.is_multiple_of(8) && is_readable(frame) && is_readable(frame + 15);
        if !good {
            return None;
        }
        // SAFETY: both words are readable.
        let [next, address] = unsafe { (frame as *const [u64; 2]).read() };
        frame = next;
        (address != 0).then_some(address)
    })
    .take(MAX_DEPTH)
}
