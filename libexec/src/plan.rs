//! The plan: everything a loader has to know about a file.

use crate::dynamic;
use crate::error::{ElfError, FileFault, HeaderFault, PairFault, PlaceFault};
use crate::header::{self, Headers, LE, ProgramHeader};
use crate::note;
use crate::relocation::{Relocation, Relocations};
use crate::segment::{Access, Segment, Segments, Tls};
use abi::layout::{USER_END, USER_START};
use object::elf;

/// Whether a program can be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// It runs at the addresses it was linked for (`ET_EXEC`).
    Fixed,
    /// It runs wherever its relocations are made for (`ET_DYN`).
    Relocatable,
}

/// Where the program headers are in memory: what `AT_PHDR`, `AT_PHNUM` and `AT_PHENT` of an auxiliary vector say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramHeaders {
    /// Address of the first; `None` if no segment contains them.
    pub address: Option<u64>,
    /// How many.
    pub count: u16,
    /// Bytes of each.
    pub entry_size: u16,
}

/// A file that passed all checks. Addresses are those in the file; see [`Plan::at`].
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    placement: Placement,
    entry: u64,
    segments: Segments<'a>,
    tls: Option<Tls<'a>>,
    abi_version: Option<u32>,
    program_headers: ProgramHeaders,
    relocations: Relocations<'a>,
}

/// Checks all of a file.
///
/// # Errors
/// The first thing found wrong, see [`ElfError`].
pub fn plan(file: &[u8]) -> Result<Plan<'_>, ElfError> {
    let headers = header::read(file)?;
    refuse_demands(headers.table)?;
    let segments = Segments::read(file, &headers)?;
    let tls = match only(headers.table, elf::PT_TLS, PairFault::TwoTls)? {
        None => None,
        Some((i, header)) => {
            let tls = segments.tls(file, headers.placement, header);
            Some(tls.map_err(|fault| ElfError::Header(i, fault))?)
        }
    };
    let relocations = match only(headers.table, elf::PT_DYNAMIC, PairFault::TwoDynamic)? {
        None => Relocations::default(),
        Some((i, header)) => dynamic::read(file, &segments, i, header)?,
    };
    check_entry(headers.entry, &segments)?;
    Ok(Plan {
        placement: headers.placement,
        entry: headers.entry,
        tls,
        abi_version: note::abi_version(file, &headers)?,
        program_headers: program_headers(&headers, &segments),
        segments,
        relocations,
    })
}

/// Refuses what a program may ask for by the mere presence of a program header.
fn refuse_demands(table: &[ProgramHeader]) -> Result<(), ElfError> {
    for (index, header) in (0..).zip(table) {
        let executable = header.p_flags.get(LE).0 & elf::PF_X.0 != 0;
        match header.p_type.get(LE) {
            elf::PT_INTERP => return Err(ElfError::Header(index, HeaderFault::Interpreter)),
            elf::PT_GNU_STACK if executable => return Err(ElfError::Header(index, HeaderFault::ExecutableStack)),
            _ => {}
        }
    }
    Ok(())
}

/// The one program header of a type, if there is any.
fn only(
    table: &[ProgramHeader],
    kind: elf::ProgramType,
    twice: PairFault,
) -> Result<Option<(u16, &ProgramHeader)>, ElfError> {
    let mut all = (0..).zip(table).filter(|(_, header)| header.p_type.get(LE) == kind);
    match (all.next(), all.next()) {
        (Some((first, _)), Some((second, _))) => Err(ElfError::Headers(first, second, twice)),
        (found, _) => Ok(found),
    }
}

fn check_entry(entry: u64, segments: &Segments<'_>) -> Result<(), ElfError> {
    let executable = segments.holding(entry, 1).is_some_and(|s| s.access.contains(Access::EXECUTE));
    if executable && segments.contents(entry, 1).is_some() {
        return Ok(());
    }
    Err(ElfError::File(FileFault::Entry(entry)))
}

fn program_headers(headers: &Headers<'_>, segments: &Segments<'_>) -> ProgramHeaders {
    ProgramHeaders {
        address: segments.address_of(headers.table_offset, size_of_val(headers.table) as u64),
        count: headers.table.len() as u16,
        entry_size: size_of::<ProgramHeader>() as u16,
    }
}

impl<'a> Plan<'a> {
    /// Whether the program can be moved.
    pub fn placement(&self) -> Placement {
        self.placement
    }

    /// Address of the first instruction: among the contents of an executable segment.
    pub fn entry(&self) -> u64 {
        self.entry
    }

    /// The segments, in ascending order, one at least.
    pub fn segments(&self) -> &[Segment<'a>] {
        self.segments.list()
    }

    /// Thread-local storage, if the program has any.
    pub fn tls(&self) -> Option<Tls<'a>> {
        self.tls
    }

    /// The ABI version in the program's Selix note; foreign programs have none. What to make of it is the caller's choice.
    pub fn abi_version(&self) -> Option<u32> {
        self.abi_version
    }

    /// Where the program headers are in memory.
    pub fn program_headers(&self) -> ProgramHeaders {
        self.program_headers
    }

    /// What the base of a relocatable program must be a multiple of: the page size, or more.
    pub fn align(&self) -> u64 {
        self.segments.align()
    }

    /// Decides on where the program goes: `base` is added to all its addresses.
    ///
    /// # Errors
    /// [`PlaceFault`]: a program with fixed addresses takes base 0 only, any other a multiple of [`Plan::align`] with
    /// which all its pages lie in user space.
    pub fn at(&self, base: u64) -> Result<Placed<'_, 'a>, ElfError> {
        self.check_base(base).map_err(ElfError::Place)?;
        Ok(Placed { plan: self, base })
    }

    fn check_base(&self, base: u64) -> Result<(), PlaceFault> {
        if self.placement == Placement::Fixed {
            return if base == 0 { Ok(()) } else { Err(PlaceFault::Fixed(base)) };
        }
        let align = self.align();
        if !base.is_multiple_of(align) {
            return Err(PlaceFault::Misaligned { base, align });
        }
        let fits = |s: &Segment<'_>| {
            let moved = |at: u64| base.checked_add(at);
            moved(s.pages().start).is_some_and(|start| start >= USER_START)
                && moved(s.pages().end).is_some_and(|end| end <= USER_END)
        };
        if self.segments().iter().all(fits) { Ok(()) } else { Err(PlaceFault::OutsideUserSpace(base)) }
    }
}

/// A plan at its final addresses.
#[derive(Clone, Copy, Debug)]
pub struct Placed<'p, 'a> {
    plan: &'p Plan<'a>,
    base: u64,
}

impl<'p, 'a> Placed<'p, 'a> {
    /// What was added to the addresses in the file.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// Address of the first instruction.
    pub fn entry(&self) -> u64 {
        self.base + self.plan.entry
    }

    /// The segments, in ascending order, one at least.
    pub fn segments(&self) -> impl ExactSizeIterator<Item = Segment<'a>> + use<'p, 'a> {
        let base = self.base;
        self.plan.segments().iter().map(move |s| Segment { address: base + s.address, ..*s })
    }

    /// Thread-local storage, if the program has any.
    pub fn tls(&self) -> Option<Tls<'a>> {
        self.plan.tls.map(|tls| Tls { address: self.base.wrapping_add(tls.address), ..tls })
    }

    /// Where the program headers are in memory.
    pub fn program_headers(&self) -> ProgramHeaders {
        let headers = self.plan.program_headers;
        ProgramHeaders { address: headers.address.map(|at| self.base + at), ..headers }
    }

    /// What to store, once the contents of all segments are in place. For a program that does not relocate itself: done
    /// twice, the packed ones (`DT_RELR`) would come out wrong.
    pub fn relocations(&self) -> impl Iterator<Item = Relocation> + use<'p, 'a> {
        self.plan.relocations.at(self.base, &self.plan.segments)
    }
}
