//! The memory functions, under names that can be tested on the host.

use core::arch::asm;

/// Copies `n` bytes from `src` to `dst`, lowest address first.
///
/// # Safety
/// `src` is readable and `dst` writable for `n` bytes; `dst` does not lie inside `src..src + n`, unless it equals `src`.
pub unsafe fn copy_forward(dst: *mut u8, src: *const u8, n: usize) {
    // SAFETY: touches the ranges of the contract only; the direction flag is clear by the ABI.
    unsafe {
        asm!(
            "rep movsq",
            "mov ecx, {tail:e}",
            "rep movsb",
            tail = in(reg) n & 7,
            inout("rcx") n >> 3 => _, inout("rdi") dst => _, inout("rsi") src => _,
            options(nostack, preserves_flags),
        );
    }
}

/// Copies `n` bytes from `src` to `dst`, highest address first.
///
/// # Safety
/// `src` is readable and `dst` writable for `n` bytes; `src` does not lie inside `dst..dst + n`, unless it equals `dst`.
pub unsafe fn copy_backward(dst: *mut u8, src: *const u8, n: usize) {
    // SAFETY: touches the ranges of the contract only (pointers to the last byte and word are computed, wrapping, and not
    // used when there is none); the direction flag is clear again afterwards.
    unsafe {
        asm!(
            "std",
            "rep movsb",
            "mov rcx, {words}",
            "sub rdi, 7",
            "sub rsi, 7",
            "rep movsq",
            "cld",
            words = in(reg) n >> 3,
            inout("rcx") n & 7 => _,
            inout("rdi") dst.wrapping_add(n).wrapping_sub(1) => _,
            inout("rsi") src.wrapping_add(n).wrapping_sub(1) => _,
            options(nostack),
        );
    }
}

/// Sets `n` bytes from `dst` on to `value`.
///
/// # Safety
/// `dst` is writable for `n` bytes.
pub unsafe fn fill(dst: *mut u8, value: u8, n: usize) {
    // SAFETY: touches the range of the contract only; the direction flag is clear by the ABI.
    unsafe {
        asm!(
            "rep stosq",
            "mov ecx, {tail:e}",
            "rep stosb",
            tail = in(reg) n & 7,
            inout("rcx") n >> 3 => _, inout("rdi") dst => _,
            in("rax") u64::from(value) * 0x0101_0101_0101_0101,
            options(nostack, preserves_flags),
        );
    }
}

/// Compares `n` bytes: negative, 0 or positive as `a` is less than, equal to or greater than `b`.
///
/// # Safety
/// Both are readable for `n` bytes.
pub unsafe fn compare(a: *const u8, b: *const u8, n: usize) -> i32 {
    let mut i = 0;
    // Words while they are equal, then the bytes that decide.
    while i + 8 <= n {
        // SAFETY: `i + 8 <= n`.
        let equal = unsafe { a.add(i).cast::<u64>().read_unaligned() == b.add(i).cast::<u64>().read_unaligned() };
        if !equal {
            break;
        }
        i += 8;
    }
    while i < n {
        // SAFETY: `i < n`.
        let (x, y) = unsafe { (*a.add(i), *b.add(i)) };
        if x != y {
            return i32::from(x) - i32::from(y);
        }
        i += 1;
    }
    0
}

/// How many bytes there are before the first zero.
///
/// # Safety
/// All bytes from `text` on are readable, up to a zero.
pub unsafe fn length(text: *const u8) -> usize {
    let left: usize;
    // SAFETY: reads up to the zero only; the direction flag is clear by the ABI.
    unsafe {
        asm!(
            "repne scasb",
            inout("rcx") usize::MAX => left, inout("rdi") text => _, in("al") 0_u8,
            options(nostack, readonly),
        );
    }
    // The zero was counted, too.
    usize::MAX - left - 1
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    const GUARD: usize = 24;

    #[test]
    fn copies_of_every_small_length_and_offset_touch_nothing_else() {
        for n in 0..40 {
            for offset in 0..9 {
                let src: Vec<u8> = (1..=n as u8).collect();
                let mut dst = std::vec![0xee; n + offset + GUARD];
                // SAFETY: both vectors are long enough.
                unsafe { copy_forward(dst[offset..].as_mut_ptr(), src.as_ptr(), n) };
                assert_eq!(dst[offset..offset + n], src);
                assert!(dst[..offset].iter().chain(&dst[offset + n..]).all(|&b| b == 0xee));
                dst.fill(0xee);
                // SAFETY: both vectors are long enough.
                unsafe { copy_backward(dst[offset..].as_mut_ptr(), src.as_ptr(), n) };
                assert_eq!(dst[offset..offset + n], src);
                assert!(dst[..offset].iter().chain(&dst[offset + n..]).all(|&b| b == 0xee));
            }
        }
    }

    #[test]
    fn lengths_end_at_the_first_zero() {
        for n in 0..40 {
            let mut text: Vec<u8> = std::vec![0xff; n];
            text.extend([0, 0xee, 0]);
            // SAFETY: a zero is there.
            assert_eq!(unsafe { length(text.as_ptr()) }, n);
        }
    }

    #[test]
    fn overlapping_copies() {
        for n in 0..40 {
            for shift in 0..20 {
                let start: Vec<u8> = (0..n as u8 + shift as u8).collect();
                let (mut up, mut down) = (start.clone(), start.clone());
                // SAFETY: source and destination lie in the vectors, and each direction suits its overlap.
                unsafe {
                    let p = up.as_mut_ptr();
                    copy_backward(p.add(shift), p, n);
                    let p = down.as_mut_ptr();
                    copy_forward(p, p.add(shift), n);
                }
                assert_eq!(up[shift..], start[..n]);
                assert_eq!(down[..n], start[shift..]);
            }
        }
    }

    #[test]
    fn fills_of_every_small_length() {
        for n in 0..40 {
            let mut dst = std::vec![0; n + GUARD];
            // SAFETY: long enough.
            unsafe { fill(dst.as_mut_ptr(), 0xa5, n) };
            assert!(dst[..n].iter().all(|&b| b == 0xa5) && dst[n..].iter().all(|&b| b == 0));
        }
    }

    #[test]
    fn comparison_agrees_with_slices() {
        for n in 0..20 {
            for at in 0..n {
                for change in [0, 1, 0x80, 0xff] {
                    let a = std::vec![0x40_u8; n];
                    let mut b = a.clone();
                    b[at] = change;
                    // SAFETY: both have `n` bytes.
                    let order = unsafe { compare(a.as_ptr(), b.as_ptr(), n) };
                    assert_eq!(order.cmp(&0), a.cmp(&b));
                }
            }
        }
    }
}
