//! Relocations of position-independent programs.

use crate::error::{ElfError, RelocationFault, Table};
use crate::header::LE;
use crate::segment::{Access, Segments};
use object::{LittleEndian, elf};

pub(crate) type Rela = elf::Rela64<LittleEndian>;
pub(crate) type Relr = elf::Relr64<LittleEndian>;

/// Bytes that a relocation stores.
const TARGET_SIZE: usize = size_of::<u64>();

/// Eight bytes to store before the program starts. They all lie in one writable segment, but maybe in two pages, and may
/// be anywhere in its memory, also behind its contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// Where to store.
    pub address: u64,
    /// What to store, little-endian.
    pub value: u64,
}

/// The relocation tables of a file, checked: reading them cannot fail.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Relocations<'a> {
    rela: &'a [Rela],
    relr: &'a [Relr],
}

impl<'a> Relocations<'a> {
    pub(crate) fn check(rela: &'a [Rela], relr: &'a [Relr], segments: &Segments<'_>) -> Result<Self, ElfError> {
        for (i, entry) in rela.iter().enumerate() {
            check_rela(entry, segments).map_err(|fault| ElfError::Relocation(Table::Rela, i, fault))?;
        }
        check_relr(relr, segments).map_err(|(i, fault)| ElfError::Relocation(Table::Relr, i, fault))?;
        Ok(Self { rela, relr })
    }

    /// What to store where when the program moves up by `base`. A place in both tables comes twice, and the full
    /// relocation wins.
    pub(crate) fn at(self, base: u64, segments: &Segments<'a>) -> impl Iterator<Item = Relocation> {
        let packed = places(self.relr).map(move |at| (at, stored(segments, at)));
        let full = self.rela.iter().filter(|entry| is_relative(entry));
        let full = full.map(|entry| (entry.r_offset.get(LE), entry.r_addend.get(LE).cast_unsigned()));
        packed
            .chain(full)
            .map(move |(at, addend)| Relocation { address: base.wrapping_add(at), value: base.wrapping_add(addend) })
    }
}

fn is_relative(entry: &Rela) -> bool {
    entry.r_info.get(LE) == elf::R_X86_64_RELATIVE.0.into()
}

fn check_rela(entry: &Rela, segments: &Segments<'_>) -> Result<(), RelocationFault> {
    let info = entry.r_info.get(LE);
    if info == elf::R_X86_64_NONE.0.into() {
        return Ok(());
    }
    if !is_relative(entry) {
        return Err(RelocationFault::Kind(info));
    }
    check_target(entry.r_offset.get(LE), segments)
}

fn check_relr(relr: &[Relr], segments: &Segments<'_>) -> Result<(), (usize, RelocationFault)> {
    if relr.first().is_some_and(|word| word.0.get(LE) & 1 != 0) {
        return Err((0, RelocationFault::Start));
    }
    let mut before = None;
    for (i, at) in places(relr).enumerate() {
        // A place that came twice would have to be moved twice.
        if before.replace(at).is_some_and(|before| at <= before) {
            return Err((i, RelocationFault::Order(at)));
        }
        check_target(at, segments).map_err(|fault| (i, fault))?;
    }
    Ok(())
}

fn check_target(at: u64, segments: &Segments<'_>) -> Result<(), RelocationFault> {
    match segments.holding(at, TARGET_SIZE as u64) {
        Some(segment) if segment.access.contains(Access::WRITE) => Ok(()),
        _ => Err(RelocationFault::Target(at)),
    }
}

/// The places that a packed table names (System V gABI, "Relative Relocation Table"): an even word is a place, an odd one
/// a map of which of the next 63 words are places too.
fn places(relr: &[Relr]) -> impl Iterator<Item = u64> {
    const WORD: u64 = TARGET_SIZE as u64;
    const MAPPED: u64 = 63;
    let mut next = 0_u64;
    relr.iter().flat_map(move |entry| {
        let word = entry.0.get(LE);
        let (base, map) = if word & 1 == 0 {
            next = word.wrapping_add(WORD);
            (word, 1)
        } else {
            let base = next;
            next = next.wrapping_add(MAPPED * WORD);
            (base, word >> 1)
        };
        (0..MAPPED).filter(move |bit| map >> bit & 1 != 0).map(move |bit| base.wrapping_add(bit * WORD))
    })
}

/// The number that the program finds at `at` before relocation: of the file, and zero behind the contents.
fn stored(segments: &Segments<'_>, at: u64) -> u64 {
    let Some(segment) = segments.holding(at, TARGET_SIZE as u64) else { return 0 };
    let skip = usize::try_from(at - segment.address).unwrap_or(usize::MAX);
    let mut word = [0; TARGET_SIZE];
    for (to, from) in word.iter_mut().zip(segment.contents.iter().skip(skip)) {
        *to = *from;
    }
    u64::from_le_bytes(word)
}
