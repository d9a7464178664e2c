//! The kernel's half of every address space, and the kernel's image.

use abi::layout::PAGE_SIZE;
use core::ops::Range;

/// Where all RAM is mapped: physical address + this. Never executable.
pub const DIRECT_MAP: u64 = 0xffff_8000_0000_0000;
/// Where devices' registers and firmware tables are mapped: physical address + this.
pub const DEVICE_MAP: u64 = 0xffff_c000_0000_0000;
/// Bytes of physical address space that [`DEVICE_MAP`] has room for.
pub const DEVICE_MAP_SIZE: u64 = 1 << 39;
/// Where the kernel's image is mapped: physical address + this. The linker script says the same.
pub const IMAGE_MAP: u64 = 0xffff_ffff_8000_0000;
/// How much of physical memory the tables of the boot code map, at [`DIRECT_MAP`].
pub const EARLY_LIMIT: u64 = 1 << 32;
/// Memory below belongs to the firmware, and to the code that other processors start with.
pub const LOW_MEMORY: u64 = 1 << 20;

/// The address of a physical address in the direct map.
pub const fn direct(physical: u64) -> u64 {
    DIRECT_MAP + physical
}

unsafe extern "C" {
    static image_start: u8;
    static text_start: u8;
    static text_end: u8;
    static rodata_end: u8;
    static image_end: u8;
}

/// The parts of the kernel's image, as virtual addresses on page borders.
#[derive(Clone, Debug)]
pub struct Image {
    /// Executable.
    pub text: Range<u64>,
    /// Read only.
    pub rodata: Range<u64>,
    /// Writable.
    pub data: Range<u64>,
}

impl Image {
    /// As the linker laid it out.
    pub fn get() -> Self {
        let [text, text_to, rodata_to, end] =
            [&raw const text_start, &raw const text_end, &raw const rodata_end, &raw const image_end].map(address);
        Self { text: text..text_to, rodata: text_to..rodata_to, data: rodata_to..end }
    }

    /// All physical memory that the boot loader loaded the kernel to, the boot code below the image included.
    pub fn physical() -> Range<u64> {
        let [start, end] = [&raw const image_start, &raw const image_end].map(address);
        start..(end - IMAGE_MAP).next_multiple_of(PAGE_SIZE)
    }
}

/// The address of a symbol of the linker, behind which there is nothing.
fn address(symbol: *const u8) -> u64 {
    symbol as u64
}
