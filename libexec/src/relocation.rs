//! Relocations of position-independent programs.

use crate::error::{ElfError, PlanError, RelocationFault, Table};
use crate::header::LE;
use crate::segment::{Access, Segments};
use crate::source::{Source, Window};
use core::ops::Range;
use object::{LittleEndian, U64, elf};

pub(crate) type Rela = elf::Rela64<LittleEndian>;
pub(crate) type Relr = elf::Relr64<LittleEndian>;

/// Bytes that a relocation stores.
const TARGET_SIZE: u64 = size_of::<u64>() as u64;

/// Eight bytes to store before the program starts. They all lie in one writable segment, but maybe in two pages, and may
/// be anywhere in its memory, also behind its contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// Where to store.
    pub address: u64,
    /// What to store, little-endian.
    pub value: u64,
}

/// Where in the file the relocation tables are: whole entries.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tables {
    pub(crate) rela: Range<u64>,
    pub(crate) relr: Range<u64>,
}

/// Goes through the relocations of a program, packed ones first. A place in both tables comes twice, and the full
/// relocation wins.
///
/// The tables are read anew, and checked anew: the file may be another one by now.
pub struct Relocations<'p> {
    segments: &'p Segments,
    base: u64,
    places: Places<'p>,
    data: Window,
}

impl<'p> Relocations<'p> {
    pub(crate) fn new(segments: &'p Segments, tables: &Tables, base: u64) -> Self {
        Self { segments, base, places: Places::new(segments, tables), data: Window::new() }
    }

    /// The next one.
    ///
    /// # Errors
    /// The file cannot be read, or is not the one that the plan was made of: [`ElfError::Relocation`].
    pub async fn next<S: Source>(&mut self, source: &mut S) -> Result<Option<Relocation>, PlanError<S::Error>> {
        let (at, addend) = match self.places.next(source).await? {
            None => return Ok(None),
            Some(Place::Packed(at)) => (at, self.stored(source, at).await.map_err(PlanError::Read)?),
            Some(Place::Full(at, addend)) => (at, addend),
        };
        Ok(Some(Relocation { address: self.base.wrapping_add(at), value: self.base.wrapping_add(addend) }))
    }

    /// The number that the program finds at `at` before relocation: of the file, and zero behind the contents.
    async fn stored<S: Source>(&mut self, source: &mut S, at: u64) -> Result<u64, S::Error> {
        if let Some(offset) = self.segments.contents(at, TARGET_SIZE) {
            let word: U64<LittleEndian> = self.data.record(source, offset).await?;
            return Ok(word.get(LE));
        }
        let mut word = [0; TARGET_SIZE as usize];
        for (address, byte) in (at..).zip(&mut word) {
            if let Some(offset) = self.segments.contents(address, 1) {
                *byte = self.data.record(source, offset).await?;
            }
        }
        Ok(u64::from_le_bytes(word))
    }
}

/// Checks all relocations.
pub(crate) async fn check<S: Source>(
    source: &mut S,
    segments: &Segments,
    tables: &Tables,
) -> Result<(), PlanError<S::Error>> {
    let mut places = Places::new(segments, tables);
    while places.next(source).await?.is_some() {}
    Ok(())
}

/// A place to relocate, at base 0.
enum Place {
    /// The number to add the base to is at the place.
    Packed(u64),
    /// The number is the second one.
    Full(u64, u64),
}

/// Goes through the tables. What comes out is checked.
struct Places<'p> {
    segments: &'p Segments,
    packed: Packed,
    /// What is left of the table of full relocations, and which entry is next.
    full: Range<u64>,
    index: usize,
    window: Window,
}

impl<'p> Places<'p> {
    fn new(segments: &'p Segments, tables: &Tables) -> Self {
        let packed = Packed::new(tables.relr.clone());
        Self { segments, packed, full: tables.rela.clone(), index: 0, window: Window::new() }
    }

    async fn next<S: Source>(&mut self, source: &mut S) -> Result<Option<Place>, PlanError<S::Error>> {
        match self.packed.next(source, &mut self.window, self.segments).await? {
            Some(at) => Ok(Some(Place::Packed(at))),
            None => self.next_full(source).await,
        }
    }

    async fn next_full<S: Source>(&mut self, source: &mut S) -> Result<Option<Place>, PlanError<S::Error>> {
        while !self.full.is_empty() {
            let entry: Rela = self.window.record(source, self.full.start).await.map_err(PlanError::Read)?;
            let place = check_rela(&entry, self.segments);
            let place = place.map_err(|fault| ElfError::Relocation(Table::Rela, self.index, fault))?;
            self.full.start += size_of::<Rela>() as u64;
            self.index += 1;
            if let Some((at, addend)) = place {
                return Ok(Some(Place::Full(at, addend)));
            }
        }
        Ok(None)
    }
}

/// Place and addend of a full relocation; an empty one has none.
fn check_rela(entry: &Rela, segments: &Segments) -> Result<Option<(u64, u64)>, RelocationFault> {
    let info = entry.r_info.get(LE);
    if info == elf::R_X86_64_NONE.0.into() {
        return Ok(None);
    }
    if info != elf::R_X86_64_RELATIVE.0.into() {
        return Err(RelocationFault::Kind(info));
    }
    let at = entry.r_offset.get(LE);
    check_target(at, segments)?;
    Ok(Some((at, entry.r_addend.get(LE).cast_unsigned())))
}

fn check_target(at: u64, segments: &Segments) -> Result<(), RelocationFault> {
    match segments.holding(at, TARGET_SIZE) {
        Some(segment) if segment.access.contains(Access::WRITE) => Ok(()),
        _ => Err(RelocationFault::Target(at)),
    }
}

/// Goes through a packed table (System V gABI, "Relative Relocation Table"): an even word is a place, an odd one a map of
/// which of the next 63 words are places too.
struct Packed {
    /// What is left of the table.
    words: Range<u64>,
    /// The word behind those that the last word of the table was about; `None` before the first.
    next: Option<u64>,
    /// Of the word last read: a bit for each place yet to come, and the place of bit 0.
    map: u64,
    base: u64,
    /// The last place, and how many there were.
    before: Option<u64>,
    index: usize,
}

impl Packed {
    /// Words that a bitmap is about.
    const MAPPED: u64 = 63;

    fn new(words: Range<u64>) -> Self {
        Self { words, next: None, map: 0, base: 0, before: None, index: 0 }
    }

    async fn next<S: Source>(
        &mut self,
        source: &mut S,
        window: &mut Window,
        segments: &Segments,
    ) -> Result<Option<u64>, PlanError<S::Error>> {
        while self.map == 0 {
            if self.words.is_empty() {
                return Ok(None);
            }
            let word: Relr = window.record(source, self.words.start).await.map_err(PlanError::Read)?;
            self.words.start += size_of::<Relr>() as u64;
            self.take(word.0.get(LE)).map_err(|fault| self.blame(fault))?;
        }
        let at = self.base.wrapping_add(u64::from(self.map.trailing_zeros()) * TARGET_SIZE);
        self.map &= self.map - 1;
        // A place that came twice would have to be moved twice.
        if self.before.replace(at).is_some_and(|before| at <= before) {
            return Err(self.blame(RelocationFault::Order(at)).into());
        }
        check_target(at, segments).map_err(|fault| self.blame(fault))?;
        self.index += 1;
        Ok(Some(at))
    }

    fn take(&mut self, word: u64) -> Result<(), RelocationFault> {
        let covered = if word & 1 == 0 {
            (self.base, self.map) = (word, 1);
            1
        } else {
            (self.base, self.map) = (self.next.ok_or(RelocationFault::Start)?, word >> 1);
            Self::MAPPED
        };
        self.next = Some(self.base.wrapping_add(covered * TARGET_SIZE));
        Ok(())
    }

    fn blame(&self, fault: RelocationFault) -> ElfError {
        ElfError::Relocation(Table::Relr, self.index, fault)
    }
}
