//! The symbols themselves.

use crate::memory;

/// # Safety
/// As in C: `src` and `dst` are valid for `n` bytes and do not overlap.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(dst: *mut u8, src: *const u8, n: usize) -> *mut u8 {
    // SAFETY: by contract.
    unsafe { memory::copy_forward(dst, src, n) };
    dst
}

/// # Safety
/// As in C: `src` and `dst` are valid for `n` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(dst: *mut u8, src: *const u8, n: usize) -> *mut u8 {
    if (dst as usize).wrapping_sub(src as usize) >= n {
        // SAFETY: valid by contract, and `dst` is not inside the source.
        unsafe { memory::copy_forward(dst, src, n) };
    } else {
        // SAFETY: valid by contract, and `dst` is inside the source, so `src` is not inside the destination.
        unsafe { memory::copy_backward(dst, src, n) };
    }
    dst
}

/// # Safety
/// As in C: `dst` is valid for `n` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(dst: *mut u8, value: i32, n: usize) -> *mut u8 {
    // SAFETY: by contract.
    unsafe { memory::fill(dst, value as u8, n) };
    dst
}

/// # Safety
/// As in C: both are valid for `n` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    // SAFETY: by contract.
    unsafe { memory::compare(a, b, n) }
}

/// # Safety
/// As in C: both are valid for `n` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    // SAFETY: by contract.
    unsafe { memory::compare(a, b, n) }
}

/// # Safety
/// As in C: bytes up to a zero are readable from `text` on.
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    // SAFETY: by contract.
    unsafe { memory::length(text) }
}

// The shipped `core` was built to unwind and refers to these two. Programs are built with `panic = "abort"`: nobody
// calls them.

#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    loop {
        core::hint::spin_loop();
    }
}
