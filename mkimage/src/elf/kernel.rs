//! The rules for the kernel's ELF file: those of multiboot2 and of GRUB's loader, and our own.

use super::{Segment, Unreadable, parse, segments};
use goblin::elf::header::{EM_X86_64, ET_EXEC};

/// First word of a multiboot2 header. Multiboot2 specification 2.0, section 3.1.2.
const MAGIC: u32 = 0xe852_50d6;
/// The architecture field for (32-bit protected mode of) x86.
const ARCHITECTURE_I386: u32 = 0;
/// The header lies wholly in the first bytes of the file, at a multiple of [`HEADER_ALIGNMENT`].
const SEARCH_LEN: usize = 32 * 1024;
const HEADER_ALIGNMENT: usize = 8;
/// Magic, architecture, length and checksum: 32 bits each.
const FIXED_LEN: usize = 16;
/// Type, flags and size, 16, 16 and 32 bits, begin each tag.
const TAG_HEAD_LEN: usize = 8;
const TAG_END: u16 = 0;
/// Below lies what belongs to the firmware and to starting the other processors.
const LOWEST_PHYSICAL: u64 = 0x10_0000;
/// GRUB's loader has 32-bit addresses.
const PHYSICAL_END: u64 = 1 << 32;

/// Why a file is refused as a kernel.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// No ELF file.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// Not for this machine.
    #[error("is no little-endian 64-bit ELF file for x86-64 with fixed addresses")]
    Machine,
    /// No multiboot2 header.
    #[error("has no multiboot2 header (magic 0xe85250d6 at a multiple of 8 in its first 32 KiB)")]
    NoHeader,
    /// A multiboot2 header that a loader would not take.
    #[error("has a multiboot2 header with a bad {0}")]
    Header(&'static str),
    /// Nothing to load.
    #[error("has no segment to load")]
    NoSegments,
    /// A segment that is both.
    #[error("has a segment that is both writable and executable, at {0:#x}")]
    WritableCode(u64),
    /// A segment that the loader cannot put where it says.
    #[error("has a segment at physical address {0:#x}: they lie from 1 MiB to 4 GiB")]
    Physical(u64),
    /// Two segments in one place.
    #[error("has segments that overlap in physical memory, at {0:#x} and {1:#x}")]
    Overlap(u64, u64),
    /// An entry point outside.
    #[error("has its entry point {0:#x} outside its executable segments")]
    Entry(u64),
}

/// Checks that GRUB loads a kernel and that its segments are what the kernel's own set-up expects.
///
/// # Errors
/// The first rule that it breaks.
pub fn check(bytes: &[u8]) -> Result<(), KernelError> {
    let elf = parse(bytes)?;
    let machine = elf.header.e_type == ET_EXEC && elf.header.e_machine == EM_X86_64;
    if !(elf.is_64 && elf.little_endian && machine) {
        return Err(KernelError::Machine);
    }
    multiboot_header(bytes)?;
    let segments: Vec<Segment> = segments(bytes)?.into_iter().filter(|s| s.memory > 0).collect();
    placement(&segments)?;
    let holds_entry = |s: &Segment| {
        let inside = |start| elf.entry.checked_sub(start).is_some_and(|offset| offset < s.memory);
        s.access.execute && (inside(s.address) || inside(s.physical))
    };
    if !segments.iter().any(holds_entry) {
        return Err(KernelError::Entry(elf.entry));
    }
    Ok(())
}

fn placement(segments: &[Segment]) -> Result<(), KernelError> {
    if segments.is_empty() {
        return Err(KernelError::NoSegments);
    }
    for (i, s) in segments.iter().enumerate() {
        if s.access.write && s.access.execute {
            return Err(KernelError::WritableCode(s.address));
        }
        let end = s.physical.checked_add(s.memory).filter(|&end| end <= PHYSICAL_END && s.file <= s.memory);
        let end = end.filter(|_| s.physical >= LOWEST_PHYSICAL).ok_or(KernelError::Physical(s.physical))?;
        // Those before have been found not to wrap.
        if let Some(other) = segments[..i].iter().find(|o| o.physical < end && s.physical < o.physical + o.memory) {
            return Err(KernelError::Overlap(other.physical, s.physical));
        }
    }
    Ok(())
}

fn multiboot_header(bytes: &[u8]) -> Result<(), KernelError> {
    let searched = &bytes[..bytes.len().min(SEARCH_LEN)];
    let found = (0..searched.len()).step_by(HEADER_ALIGNMENT).find(|&at| word(&searched[at..], 0) == Some(MAGIC));
    let header = &searched[found.ok_or(KernelError::NoHeader)?..];
    let field = |index: usize| word(header, index * 4).ok_or(KernelError::Header("length"));
    let (architecture, length, checksum) = (field(1)?, field(2)?, field(3)?);
    if architecture != ARCHITECTURE_I386 {
        return Err(KernelError::Header("architecture"));
    }
    if MAGIC.wrapping_add(architecture).wrapping_add(length).wrapping_add(checksum) != 0 {
        return Err(KernelError::Header("checksum"));
    }
    let tags = header.get(FIXED_LEN..length as usize).ok_or(KernelError::Header("length"))?;
    ends_with_end_tag(tags).ok_or(KernelError::Header("list of tags"))
}

/// Follows the tags to the one that ends them.
fn ends_with_end_tag(mut tags: &[u8]) -> Option<()> {
    loop {
        let kind = u16::from_le_bytes(tags.get(..2)?.try_into().ok()?);
        let size = word(tags, 4)? as usize;
        if kind == TAG_END {
            return (size == TAG_HEAD_LEN).then_some(());
        }
        tags = tags.get(size.max(TAG_HEAD_LEN).checked_next_multiple_of(HEADER_ALIGNMENT)?..)?;
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
