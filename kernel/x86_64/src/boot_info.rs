//! What the boot loader tells, in our own terms.

use arrayvec::ArrayVec;
use core::ops::Range;
use kernel_core::acpi::RootTable;
use kernel_core::boot::MAX_MODULES;
use kernel_core::regions::MAX_REGIONS;

/// A module as the boot loader left it in memory.
#[derive(Clone, Debug)]
pub struct LoadedModule<'a> {
    /// Its name: the string of the loader's configuration.
    pub name: &'a str,
    /// Physical addresses of the file.
    pub range: Range<u64>,
}

/// The screen that the boot loader set up.
#[derive(Clone, Copy, Debug)]
pub enum Display {
    /// Text of PC video cards: two bytes a character.
    Text(Surface),
    /// Pixels of 32 bits; the position of the lowest bit of red, green and blue in them.
    Pixels(Surface, [u8; 3]),
}

/// Memory that shows.
#[derive(Clone, Copy, Debug)]
pub struct Surface {
    /// Physical address.
    pub address: u64,
    /// Bytes from one line to the next.
    pub pitch: u32,
    /// Characters or pixels in a line.
    pub width: u32,
    /// Lines.
    pub height: u32,
}

/// What the boot loader tells.
#[derive(Debug)]
pub struct BootInfo<'a> {
    /// The kernel's command line.
    pub command_line: &'a str,
    /// Physical addresses of the boot information itself.
    pub range: Range<u64>,
    /// Memory that is ours to use, physical addresses; what follows here lies in it.
    pub usable: ArrayVec<Range<u64>, MAX_REGIONS>,
    /// The modules.
    pub modules: ArrayVec<LoadedModule<'a>, MAX_MODULES>,
    /// The firmware's tables, if it has any.
    pub acpi: Option<RootTable>,
    /// The screen, if there is one that we can write to.
    pub display: Option<Display>,
}
