//! The ELF note that says which ABI a program was built for.
//!
//! Layout as in the System V gABI, "Note Section": name size, descriptor size, type, name, descriptor, each padded to
//! four bytes. The name is `Selix`, the type [`NOTE_ABI`], the descriptor one 32-bit [`crate::ABI_VERSION`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Name of the owner of our notes, with the zero byte that belongs to it.
pub const NOTE_NAME: [u8; 6] = *b"Selix\0";
/// Type of the note with the ABI version.
pub const NOTE_ABI: u32 = 1;
/// Section that the note goes into; the linker script makes a `PT_NOTE` segment of it.
pub const NOTE_SECTION: &str = ".note.selix";

/// The whole note, as it stands in a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct AbiNote {
    name_size: u32,
    desc_size: u32,
    kind: u32,
    name: [u8; 8],
    version: u32,
}

impl AbiNote {
    /// The note of a program built from this source.
    pub const CURRENT: Self = Self {
        name_size: NOTE_NAME.len() as u32,
        desc_size: 4,
        kind: NOTE_ABI,
        name: *b"Selix\0\0\0",
        version: crate::ABI_VERSION,
    };
}
