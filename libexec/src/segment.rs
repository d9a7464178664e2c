//! Segments: what goes where in memory.

use crate::error::{ElfError, FileFault, HeaderFault, PairFault};
use crate::header::{Headers, LE, ProgramHeader};
use crate::plan::Placement;
use crate::{MAX_SEGMENT_ALIGN, MAX_SEGMENTS, MAX_TLS_ALIGN};
use abi::layout::{PAGE_SIZE, USER_END, USER_START};
use arrayvec::ArrayVec;
use core::ops::Range;
use object::elf;

bitflags::bitflags! {
    /// What a program may do with the pages of a segment.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Access: u32 {
        /// Execute; never together with [`Access::WRITE`].
        const EXECUTE = elf::PF_X.0;
        /// Write.
        const WRITE = elf::PF_W.0;
        /// Read; every segment has it.
        const READ = elf::PF_R.0;
    }
}

/// A run of memory. All bytes of its pages that the file does not give are zero: those behind the contents, and those of
/// the first page below [`Segment::address`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Index of its program header.
    pub header: u16,
    /// First address.
    pub address: u64,
    /// Bytes in memory; not 0, and no less than there are contents.
    pub mem_len: u64,
    /// Where the contents begin in the file.
    pub file_offset: u64,
    /// Bytes that the file puts at [`Segment::address`].
    pub file_len: u64,
    /// What the program may do there.
    pub access: Access,
}

impl Segment {
    /// First address behind it.
    pub fn end(&self) -> u64 {
        self.address + self.mem_len
    }

    /// Its pages, from the first address of the first to the first address behind the last. No two segments share one.
    pub fn pages(&self) -> Range<u64> {
        self.address / PAGE_SIZE * PAGE_SIZE..self.end().next_multiple_of(PAGE_SIZE)
    }
}

/// Thread-local storage: what each new thread gets a copy of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Where the initial contents lie in memory. Without contents it tells nothing but the alignment.
    pub address: u64,
    /// Bytes for each thread.
    pub mem_len: u64,
    /// Where the initial contents begin in the file.
    pub file_offset: u64,
    /// Bytes of the initial contents, part of a segment; the rest of [`Tls::mem_len`] is zero.
    pub file_len: u64,
    /// Alignment in bytes: a power of two up to [`MAX_TLS_ALIGN`].
    pub align: u64,
}

/// The segments of a file, ascending, no page in two of them, none of them empty.
#[derive(Clone, Debug)]
pub(crate) struct Segments {
    list: ArrayVec<Segment, MAX_SEGMENTS>,
    align: u64,
}

impl Segments {
    pub(crate) fn new(file_len: u64, headers: &Headers) -> Result<Self, ElfError> {
        let mut segments = Self { list: ArrayVec::new(), align: PAGE_SIZE };
        for (index, header) in (0..).zip(&headers.table) {
            if header.p_type.get(LE) == elf::PT_LOAD {
                segments.add(file_len, headers.placement, index, header)?;
            }
        }
        if segments.list.is_empty() {
            return Err(ElfError::File(FileFault::NoSegments));
        }
        Ok(segments)
    }

    fn add(&mut self, file_len: u64, placement: Placement, index: u16, header: &ProgramHeader) -> Result<(), ElfError> {
        let blame = |fault| ElfError::Header(index, fault);
        let contents = contents(file_len, header).map_err(blame)?;
        let segment = Segment {
            header: index,
            address: header.p_vaddr.get(LE),
            mem_len: header.p_memsz.get(LE),
            file_offset: header.p_offset.get(LE),
            file_len: contents.end - contents.start,
            access: access(header).map_err(blame)?,
        };
        check_range(placement, header).map_err(blame)?;
        let align = check_alignment(header).map_err(blame)?;
        if segment.mem_len == 0 {
            // Linkers leave one behind when a part of their script stays empty.
            return Ok(());
        }
        if let Some(before) = self.list.last() {
            let pair = |fault| ElfError::Headers(before.header, index, fault);
            if segment.address < before.address {
                return Err(pair(PairFault::Order));
            }
            if segment.pages().start < before.pages().end {
                return Err(pair(PairFault::SharedPage));
            }
        }
        self.align = self.align.max(align);
        self.list.try_push(segment).map_err(|_| blame(HeaderFault::TooMany))
    }

    /// What the base of a relocatable program must be a multiple of.
    pub(crate) fn align(&self) -> u64 {
        self.align
    }

    pub(crate) fn list(&self) -> &[Segment] {
        &self.list
    }

    /// The segment that `len` bytes of memory at `address` lie in.
    pub(crate) fn holding(&self, address: u64, len: u64) -> Option<&Segment> {
        let end = address.checked_add(len)?;
        self.list.iter().find(|s| s.address <= address && end <= s.end())
    }

    /// Where the file has the `len` bytes at `address`, all of one segment.
    pub(crate) fn contents(&self, address: u64, len: u64) -> Option<u64> {
        let segment = self.holding(address, len)?;
        let skip = address - segment.address;
        (skip + len <= segment.file_len).then_some(segment.file_offset + skip)
    }

    /// The address that `len` bytes of the file at `offset` are loaded to.
    pub(crate) fn address_of(&self, offset: u64, len: u64) -> Option<u64> {
        let end = offset.checked_add(len)?;
        let holds = |s: &&Segment| s.file_offset <= offset && end <= s.file_offset + s.file_len;
        self.list.iter().find(holds).map(|s| s.address + (offset - s.file_offset))
    }

    /// The contents of a header that describes a part of a segment.
    pub(crate) fn part(&self, file_len: u64, header: &ProgramHeader) -> Result<Range<u64>, HeaderFault> {
        let part = contents(file_len, header)?;
        // The same place, not only the same bytes.
        if part.is_empty() || self.contents(header.p_vaddr.get(LE), part.end - part.start) == Some(part.start) {
            Ok(part)
        } else {
            Err(HeaderFault::NotLoaded)
        }
    }

    pub(crate) fn tls(&self, file_len: u64, placement: Placement, header: &ProgramHeader) -> Result<Tls, HeaderFault> {
        check_range(placement, header)?;
        let part = self.part(file_len, header)?;
        Ok(Tls {
            address: header.p_vaddr.get(LE),
            mem_len: header.p_memsz.get(LE),
            file_offset: header.p_offset.get(LE),
            file_len: part.end - part.start,
            align: alignment(header, MAX_TLS_ALIGN)?,
        })
    }
}

/// The bytes of the file that a program header is about. Where none of them begin means nothing.
pub(crate) fn contents(file_len: u64, header: &ProgramHeader) -> Result<Range<u64>, HeaderFault> {
    let (offset, len) = (header.p_offset.get(LE), header.p_filesz.get(LE));
    if len == 0 {
        return Ok(0..0);
    }
    match offset.checked_add(len) {
        Some(end) if end <= file_len => Ok(offset..end),
        _ => Err(HeaderFault::OutsideFile { offset, len }),
    }
}

fn access(header: &ProgramHeader) -> Result<Access, HeaderFault> {
    let flags = header.p_flags.get(LE).0;
    let access = Access::from_bits(flags).ok_or(HeaderFault::Flags(flags))?;
    if !access.contains(Access::READ) {
        return Err(HeaderFault::Unreadable);
    }
    if access.contains(Access::WRITE | Access::EXECUTE) {
        return Err(HeaderFault::WritableCode);
    }
    Ok(access)
}

fn check_range(placement: Placement, header: &ProgramHeader) -> Result<(), HeaderFault> {
    let (start, len) = (header.p_vaddr.get(LE), header.p_memsz.get(LE));
    if header.p_filesz.get(LE) > len {
        return Err(HeaderFault::LargerInFile);
    }
    let end = start.checked_add(len).ok_or(HeaderFault::Wrap)?;
    let allowed = match placement {
        Placement::Fixed => USER_START..USER_END,
        Placement::Relocatable => 0..USER_END - USER_START,
    };
    if len != 0 && (start < allowed.start || end > allowed.end) {
        return Err(HeaderFault::OutsideUserSpace { start, end });
    }
    Ok(())
}

/// The alignment of a program header; 0 and 1 both mean none.
fn alignment(header: &ProgramHeader, max: u64) -> Result<u64, HeaderFault> {
    let align = header.p_align.get(LE).max(1);
    if align.is_power_of_two() && align <= max { Ok(align) } else { Err(HeaderFault::Alignment(align)) }
}

/// Checks that the pages of the file can be the pages in memory.
fn check_alignment(header: &ProgramHeader) -> Result<u64, HeaderFault> {
    let align = alignment(header, MAX_SEGMENT_ALIGN)?;
    let distance = header.p_vaddr.get(LE).wrapping_sub(header.p_offset.get(LE));
    // Both are powers of two, so the larger one decides.
    if distance.is_multiple_of(align.max(PAGE_SIZE)) { Ok(align) } else { Err(HeaderFault::Misaligned) }
}
