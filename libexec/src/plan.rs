//! The plan: everything a loader has to know about a file.

use crate::error::{ElfError, FileFault, HeaderFault, PairFault, PlaceFault, PlanError};
use crate::header::{self, Headers, LE, ProgramHeader};
use crate::relocation::{self, Relocations, Tables};
use crate::run::run;
use crate::segment::{Access, Segment, Segments, Tls};
use crate::source::{EndOfFile, Source, Window};
use crate::{PIE_SPAN, dynamic, note};
use abi::layout::{PIE_BASE, USER_END, USER_START};
use core::ops::Range;
use object::elf;

/// Whether a program can be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// It runs at the addresses it was linked for (`ET_EXEC`).
    Fixed,
    /// It runs wherever its relocations are made for (`ET_DYN`).
    Relocatable,
}

/// Who makes the relocations of a relocatable program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relocator {
    /// The loader: the program has a Selix note, and counts on it.
    Loader,
    /// The program itself, in its first instructions, as static-pie programs of other systems do. Its relocation tables
    /// are not even looked at; they may be of kinds that only its C library knows.
    Program,
}

impl Relocator {
    fn of(abi_version: Option<u32>) -> Self {
        if abi_version.is_some() { Self::Loader } else { Self::Program }
    }
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
pub struct Plan {
    placement: Placement,
    entry: u64,
    segments: Segments,
    tls: Option<Tls>,
    abi_version: Option<u32>,
    program_headers: ProgramHeaders,
    relocations: Tables,
}

/// Checks all of a file in memory.
///
/// # Errors
/// The first thing found wrong, see [`ElfError`].
pub fn plan(file: &[u8]) -> Result<Plan, ElfError> {
    run(plan_from(&mut &*file)).map_err(|error| match error {
        PlanError::Elf(error) => error,
        PlanError::Read(EndOfFile) => ElfError::File(FileFault::TooShort(file.len() as u64)),
    })
}

/// Checks all of a file that is read in pieces: its headers, notes, dynamic section and relocation tables.
///
/// # Errors
/// The first thing found wrong, or that reading fails.
pub async fn plan_from<S: Source>(source: &mut S) -> Result<Plan, PlanError<S::Error>> {
    let (len, mut window) = (source.len(), Window::new());
    let headers = header::read(source, &mut window).await?;
    refuse_demands(&headers.table)?;
    let segments = Segments::new(len, &headers)?;
    let tls = match only(&headers.table, elf::PT_TLS, PairFault::TwoTls)? {
        None => None,
        Some((i, header)) => {
            let tls = segments.tls(len, headers.placement, header);
            Some(tls.map_err(|fault| ElfError::Header(i, fault))?)
        }
    };
    check_entry(headers.entry, &segments)?;
    let abi_version = note::abi_version(source, &mut window, &headers.table).await?;
    let relocator = Relocator::of(abi_version);
    let relocations = match only(&headers.table, elf::PT_DYNAMIC, PairFault::TwoDynamic)? {
        Some((i, header)) => dynamic::tables(source, &mut window, &segments, i, header, relocator).await?,
        None => Tables::default(),
    };
    relocation::check(source, &segments, &relocations).await?;
    let program_headers = program_headers(&headers, &segments);
    let Headers { placement, entry, .. } = headers;
    Ok(Plan { placement, entry, segments, tls, abi_version, program_headers, relocations })
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

fn check_entry(entry: u64, segments: &Segments) -> Result<(), ElfError> {
    let executable = segments.holding(entry, 1).is_some_and(|s| s.access.contains(Access::EXECUTE));
    if executable && segments.contents(entry, 1).is_some() {
        return Ok(());
    }
    Err(ElfError::File(FileFault::Entry(entry)))
}

fn program_headers(headers: &Headers, segments: &Segments) -> ProgramHeaders {
    ProgramHeaders {
        address: segments.address_of(headers.table_offset, size_of_val(headers.table.as_slice()) as u64),
        count: headers.table.len() as u16,
        entry_size: size_of::<ProgramHeader>() as u16,
    }
}

impl Plan {
    /// Whether the program can be moved.
    pub fn placement(&self) -> Placement {
        self.placement
    }

    /// Address of the first instruction: among the contents of an executable segment.
    pub fn entry(&self) -> u64 {
        self.entry
    }

    /// The segments, in ascending order, one at least.
    pub fn segments(&self) -> &[Segment] {
        self.segments.list()
    }

    /// Thread-local storage, if the program has any.
    pub fn tls(&self) -> Option<Tls> {
        self.tls
    }

    /// The ABI version in the program's Selix note; foreign programs have none. What to make of it is the caller's choice.
    pub fn abi_version(&self) -> Option<u32> {
        self.abi_version
    }

    /// Who makes the relocations.
    pub fn relocator(&self) -> Relocator {
        Relocator::of(self.abi_version)
    }

    /// Where the program headers are in memory.
    pub fn program_headers(&self) -> ProgramHeaders {
        self.program_headers
    }

    /// What the base of a relocatable program must be a multiple of: the page size, or more.
    pub fn align(&self) -> u64 {
        self.segments.align()
    }

    /// Where a program goes, chosen by random bits: 0 for one with fixed addresses, and else a base that
    /// [`Plan::at`] takes, from [`PIE_BASE`] on and less than [`PIE_SPAN`] above it, with which the program ends at `end`
    /// or before. Every multiple of [`Plan::align`] there is as likely as any other. Where the program fits nowhere, it is
    /// [`PIE_BASE`]; so is it for `bits` 0.
    pub fn random_base(&self, bits: u64, end: u64) -> u64 {
        if self.placement == Placement::Fixed {
            return 0;
        }
        let image_end = self.segments().last().map_or(0, |last| last.pages().end);
        let room = end.saturating_sub(PIE_BASE + image_end).min(PIE_SPAN - self.align());
        PIE_BASE + bits % (room / self.align() + 1) * self.align()
    }

    /// Decides on where the program goes: `base` is added to all its addresses.
    ///
    /// # Errors
    /// [`PlaceFault`]: a program with fixed addresses takes base 0 only, any other a multiple of [`Plan::align`] with
    /// which all its pages lie in user space.
    pub fn at(&self, base: u64) -> Result<Placed<'_>, ElfError> {
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
        let fits = |s: &Segment| {
            let moved = |at: u64| base.checked_add(at);
            moved(s.pages().start).is_some_and(|start| start >= USER_START)
                && moved(s.pages().end).is_some_and(|end| end <= USER_END)
        };
        if self.segments().iter().all(fits) { Ok(()) } else { Err(PlaceFault::OutsideUserSpace(base)) }
    }
}

/// A plan at its final addresses.
#[derive(Clone, Copy, Debug)]
pub struct Placed<'p> {
    plan: &'p Plan,
    base: u64,
}

impl<'p> Placed<'p> {
    /// What was added to the addresses in the file.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// Address of the first instruction.
    pub fn entry(&self) -> u64 {
        self.base + self.plan.entry
    }

    /// The segments, in ascending order, one at least.
    pub fn segments(&self) -> impl ExactSizeIterator<Item = Segment> + use<'p> {
        let base = self.base;
        self.plan.segments().iter().map(move |s| Segment { address: base + s.address, ..*s })
    }

    /// From the first page to the end of the last one.
    pub fn image(&self) -> Range<u64> {
        let start = self.segments().next().map_or(self.base, |first| first.pages().start);
        let end = self.segments().last().map_or(start, |last| last.pages().end);
        start..end
    }

    /// The ABI version in the program's Selix note, see [`Plan::abi_version`].
    pub fn abi_version(&self) -> Option<u32> {
        self.plan.abi_version
    }

    /// Thread-local storage, if the program has any.
    pub fn tls(&self) -> Option<Tls> {
        self.plan.tls.map(|tls| Tls { address: self.base.wrapping_add(tls.address), ..tls })
    }

    /// Where the program headers are in memory.
    pub fn program_headers(&self) -> ProgramHeaders {
        let headers = self.plan.program_headers;
        ProgramHeaders { address: headers.address.map(|at| self.base + at), ..headers }
    }

    /// What to store, once the contents of all segments are in place. None where [`Relocator::Program`] does it: done
    /// twice, the packed ones (`DT_RELR`) would come out wrong.
    pub fn relocations(&self) -> Relocations<'p> {
        Relocations::new(&self.plan.segments, &self.plan.relocations, self.base)
    }
}
