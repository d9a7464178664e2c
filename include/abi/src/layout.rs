//! The address space of a program.

/// Bytes in a page.
pub const PAGE_SIZE: u64 = 4096;

/// Lowest address that a program may map. The 64 KiB below stay empty, so that a null pointer with a field offset faults.
pub const USER_START: u64 = 0x1_0000;

/// First address above what a program may map. The last page below the non-canonical hole stays unmapped: a `SYSCALL`
/// at its end would make the kernel return to a non-canonical address.
pub const USER_END: u64 = 0x0000_7fff_ffff_f000;

/// First address above the first stack of a program.
pub const STACK_TOP: u64 = 0x0000_7fff_f000_0000;

/// Bytes of the first stack of a boot program. The page below it is never mapped.
pub const STACK_SIZE: u64 = 64 * 1024;

/// Where the kernel puts a position-independent program. Programs with fixed addresses are linked at
/// [`PROGRAM_BASE`] by our linker script.
pub const PIE_BASE: u64 = 0x0000_5555_0000_0000;

/// Where our linker script puts a program with fixed addresses.
pub const PROGRAM_BASE: u64 = 0x40_0000;

/// The addresses of so many bytes, if a program may have memory at all of them; none need be there.
#[inline(always)]
pub const fn user_range(address: u64, len: u64) -> Option<core::ops::Range<u64>> {
    match address.checked_add(len) {
        Some(end) if address >= USER_START && end <= USER_END => Some(address..end),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_programs_end_where_their_memory_does() {
        for (address, len) in [(USER_START, 0), (USER_START, 1), (USER_END - 1, 1), (USER_END, 0)] {
            assert_eq!(user_range(address, len), Some(address..address + len));
        }
        assert_eq!(user_range(USER_START, USER_END - USER_START), Some(USER_START..USER_END));
        for (address, len) in [(USER_START - 1, 1), (0, 0), (USER_END, 1), (USER_END - 1, 2), (USER_END + 1, 0)] {
            assert_eq!(user_range(address, len), None, "{address:#x} {len}");
        }
        for (address, len) in [(u64::MAX, 1), (u64::MAX, u64::MAX), (USER_START, u64::MAX), (USER_END, u64::MAX)] {
            assert_eq!(user_range(address, len), None, "{address:#x} {len:#x}");
        }
    }
}
