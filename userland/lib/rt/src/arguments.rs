//! The arguments of the program.

use core::ffi::CStr;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering};

/// The frame that the program was started with: see `libexec`. Null before it was, and on the host.
static FRAME: AtomicPtr<u64> = AtomicPtr::new(null_mut());

/// Notes where the arguments are.
///
/// # Safety
/// `frame` is what the stack pointer was at the first instruction of the program.
#[doc(hidden)]
pub unsafe fn started_with(frame: *const u64) {
    FRAME.store(frame.cast_mut(), Ordering::Relaxed);
}

/// The arguments of the program, as they are; the first one is its name. A program that the kernel has loaded has none.
pub fn arguments() -> impl ExactSizeIterator<Item = &'static [u8]> {
    let frame = FRAME.load(Ordering::Relaxed).cast_const();
    // SAFETY: it is null, or whoever has loaded the program has put the number of arguments there, and nobody changes it.
    let count = unsafe { frame.as_ref() }.map_or(0, |count| *count as usize);
    (0..count).map(move |number| {
        // SAFETY: behind that number are as many addresses, each of bytes that end with zero. They lie above the stack of the program, to
        // which they belong as long as it runs; nobody writes there.
        unsafe { CStr::from_ptr(frame.add(1 + number).cast::<*const core::ffi::c_char>().read()) }.to_bytes()
    })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    #[test]
    fn arguments_are_where_the_frame_says() {
        assert_eq!(arguments().len(), 0, "a program that was not started has none");
        let (name, other) = (c"hello", c"");
        let frame = Vec::from([2, name.as_ptr() as u64, other.as_ptr() as u64, 0]).leak();
        // SAFETY: it is such a frame, and stays.
        unsafe { started_with(frame.as_ptr()) };
        let found: Vec<_> = arguments().collect();
        assert_eq!(found, [&b"hello"[..], b""]);
        let none = Vec::from([0_u64, 0]).leak();
        // SAFETY: the same.
        unsafe { started_with(none.as_ptr()) };
        assert_eq!(arguments().len(), 0);
    }
}
