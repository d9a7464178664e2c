//! What must hold for all bytes: no panic; a plan that is sound; and agreement with goblin on what is accepted.
//!
//! The agreement goes one way. A file that libexec accepts, goblin parses, and says the same of its entry point, segments,
//! thread-local storage, ABI note and full relocations, and that there is nothing to link. goblin checks far less, so it
//! accepts many files that libexec refuses. It also reads more, and may fail there: so it gets a copy in which everything
//! that libexec documents not to read is blank. Where goblin panics, it has no opinion; where the parts of a file overlap,
//! so that blanking one changes another, it is not asked.

use abi::layout::{PAGE_SIZE, PIE_BASE, USER_END, USER_START};
use abi::note::{NOTE_ABI, NOTE_NAME};
use goblin::elf::program_header::{PT_DYNAMIC, PT_LOAD, PT_TLS};
use goblin::elf::{Elf, dynamic};
use libexec::{Access, ElfError, MAX_SEGMENTS, Placed, Placement, Plan, Relocation, Relocator, Segment, Tls, run};
use std::iter::from_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How the check of some bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// libexec refuses them.
    Refused(ElfError),
    /// libexec accepts them, and goblin agrees.
    Agreed,
    /// libexec accepts them, and goblin panics.
    NoOpinion,
    /// libexec accepts them, and nothing could be blanked for goblin without a change of what libexec reads.
    NotAsked,
}

/// Checks all that must hold for these bytes.
///
/// # Panics
/// If it does not.
pub fn check(bytes: &[u8]) -> Outcome {
    let plan = match libexec::plan(bytes) {
        Ok(plan) => plan,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return Outcome::Refused(error);
        }
    };
    check_segments(bytes, &plan);
    check_places(bytes, &plan);
    check_parts(bytes, &plan);
    let blanked = blank_unread(bytes, &plan);
    if libexec::plan(&blanked).ok().is_none_or(|same| summary(&blanked, &same) != summary(bytes, &plan)) {
        return Outcome::NotAsked;
    }
    match catch_unwind(AssertUnwindSafe(|| Elf::parse(&blanked))) {
        Err(_) => Outcome::NoOpinion,
        Ok(Err(error)) => panic!("goblin refuses what libexec accepts: {error}"),
        Ok(Ok(elf)) => {
            check_agreement(&blanked, &plan, &elf);
            Outcome::Agreed
        }
    }
}

/// All that a plan says.
fn summary(bytes: &[u8], plan: &Plan) -> impl PartialEq + use<> {
    let relocations = plan.at(usual_base(plan)).ok().map(|placed| relocations(bytes, &placed));
    let rest = (plan.placement(), plan.entry(), plan.abi_version(), plan.program_headers());
    (plan.segments().to_vec(), plan.tls(), relocations, rest)
}

/// All relocations of a program in this file.
///
/// # Panics
/// If it is not the file that the plan was made of.
pub fn relocations(mut bytes: &[u8], placed: &Placed<'_>) -> Vec<Relocation> {
    let mut all = placed.relocations();
    from_fn(|| run(all.next(&mut bytes)).expect("the file was checked")).collect()
}

fn usual_base(plan: &Plan) -> u64 {
    match plan.placement() {
        Placement::Fixed => 0,
        Placement::Relocatable => PIE_BASE,
    }
}

fn overlap(a: &std::ops::Range<u64>, b: &std::ops::Range<u64>) -> bool {
    a.start < b.end && b.start < a.end
}

fn check_segments(bytes: &[u8], plan: &Plan) {
    let segments = plan.segments();
    assert!((1..=MAX_SEGMENTS).contains(&segments.len()));
    for (i, s) in segments.iter().enumerate() {
        assert!(s.mem_len > 0 && s.file_len <= s.mem_len);
        assert!(s.access.contains(Access::READ) && !s.access.contains(Access::WRITE | Access::EXECUTE));
        assert!(s.address.checked_add(s.mem_len) == Some(s.end()) && s.end() <= USER_END);
        assert!(s.pages().start <= s.address && s.end() <= s.pages().end && s.pages().end <= USER_END);
        assert_eq!(s.address % PAGE_SIZE, s.file_offset % PAGE_SIZE);
        assert!(segments[..i].iter().all(|other| other.address < s.address && !overlap(&other.pages(), &s.pages())));
        assert_in_file(bytes, s.file_offset, s.file_len);
    }
}

fn assert_in_file(bytes: &[u8], offset: u64, len: u64) {
    assert!(len == 0 || offset.checked_add(len).is_some_and(|end| end <= bytes.len() as u64));
}

/// The segment that has these bytes of memory.
fn holder(mut segments: impl Iterator<Item = Segment>, at: u64, len: u64) -> Option<Segment> {
    let end = at.checked_add(len)?;
    segments.find(|s| s.address <= at && end <= s.end())
}

fn check_places(bytes: &[u8], plan: &Plan) {
    let bases: &[u64] = match plan.placement() {
        Placement::Fixed => &[0],
        Placement::Relocatable => &[PIE_BASE, USER_START.next_multiple_of(plan.align()), 0, USER_END, u64::MAX - 0xfff],
    };
    for &base in bases {
        let Ok(placed) = plan.at(base) else {
            assert_ne!((plan.placement(), base), (Placement::Fixed, 0));
            continue;
        };
        for (s, before) in placed.segments().zip(plan.segments()) {
            assert!(s.pages().start >= USER_START && s.pages().end <= USER_END);
            assert_eq!(Segment { address: base + before.address, ..*before }, s);
        }
        assert_eq!(placed.tls(), plan.tls().map(|tls| Tls { address: base.wrapping_add(tls.address), ..tls }));
        let code = holder(placed.segments(), placed.entry(), 1).expect("the entry is in a segment");
        assert!(code.access.contains(Access::EXECUTE));
        assert!(placed.entry() - code.address < code.file_len);
        for relocation in relocations(bytes, &placed) {
            let target = holder(placed.segments(), relocation.address, 8).expect("the target is in a segment");
            assert!(target.access.contains(Access::WRITE));
        }
    }
    for base in [1, PAGE_SIZE / 2, USER_END, u64::MAX] {
        assert!(plan.at(base).is_err());
    }
}

fn check_parts(bytes: &[u8], plan: &Plan) {
    if let Some(tls) = plan.tls() {
        assert!(tls.align.is_power_of_two() && tls.align <= libexec::MAX_TLS_ALIGN);
        assert!(tls.file_len <= tls.mem_len && tls.mem_len <= USER_END);
        assert_in_file(bytes, tls.file_offset, tls.file_len);
    }
    let headers = plan.program_headers();
    if let Some(address) = headers.address {
        let len = u64::from(headers.count) * u64::from(headers.entry_size);
        let holder = holder(plan.segments().iter().copied(), address, len).expect("the headers are in a segment");
        let skip = address - holder.address;
        let offset = u64::from_le_bytes(bytes[32..40].try_into().unwrap());
        assert!(skip + len <= holder.file_len && holder.file_offset + skip == offset);
    }
}

/// The dynamic tags that libexec reads of a program that relocates itself.
const READ_OF_FOREIGN: [u64; 1] = [dynamic::DT_NEEDED];

/// The dynamic tags that libexec reads of others: those it needs, and of those it refuses the ones that goblin knows.
const READ: [u64; 11] = [
    dynamic::DT_RELA,
    dynamic::DT_RELASZ,
    dynamic::DT_RELAENT,
    DT_RELR,
    DT_RELRSZ,
    DT_RELRENT,
    dynamic::DT_NEEDED,
    dynamic::DT_REL,
    dynamic::DT_RELSZ,
    dynamic::DT_JMPREL,
    dynamic::DT_PLTRELSZ,
];
const DT_RELR: u64 = 36;
const DT_RELRSZ: u64 = 35;
const DT_RELRENT: u64 = 37;

/// A copy of a file that libexec accepts, without section headers, and with `DT_DEBUG` for all dynamic tags that libexec
/// does not read.
fn blank_unread(bytes: &[u8], plan: &Plan) -> Vec<u8> {
    let mut copy = bytes.to_vec();
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let table = word(32) as usize;
    let read: &[u64] = match plan.relocator() {
        Relocator::Loader => &READ,
        Relocator::Program => &READ_OF_FOREIGN,
    };
    for i in 0..usize::from(plan.program_headers().count) {
        let header = table + i * usize::from(plan.program_headers().entry_size);
        if word(header) as u32 != PT_DYNAMIC {
            continue;
        }
        let (start, len) = (word(header + 8) as usize, word(header + 32) as usize);
        for entry in (start..start + len).step_by(16) {
            if word(entry) == dynamic::DT_NULL {
                break;
            }
            if !read.contains(&word(entry)) {
                copy[entry..entry + 8].copy_from_slice(&dynamic::DT_DEBUG.to_le_bytes());
            }
        }
    }
    copy[40..48].fill(0);
    copy[58..64].fill(0);
    copy
}

fn check_agreement(bytes: &[u8], plan: &Plan, elf: &Elf<'_>) {
    assert!(elf.is_64 && elf.little_endian && elf.interpreter.is_none() && elf.libraries.is_empty());
    assert_eq!(elf.entry, plan.entry());
    let of = |kind| elf.program_headers.iter().filter(move |header| header.p_type == kind);
    let theirs = of(PT_LOAD).filter(|header| header.p_memsz != 0);
    let theirs = theirs.map(|h| (h.p_vaddr, h.p_memsz, h.p_offset, h.p_filesz, h.p_flags));
    let ours = plan.segments().iter();
    let ours = ours.map(|s| (s.address, s.mem_len, s.file_offset, s.file_len, s.access.bits()));
    assert!(theirs.eq(ours), "other segments than goblin's");
    let theirs = of(PT_TLS).map(|h| (h.p_vaddr, h.p_memsz, h.p_offset, h.p_filesz, h.p_align.max(1)));
    let ours = plan.tls().into_iter();
    let ours = ours.map(|t| (t.address, t.mem_len, t.file_offset, t.file_len, t.align));
    assert!(theirs.eq(ours), "other thread-local storage than goblin's");
    check_notes(bytes, plan, elf);
    if plan.relocator() == Relocator::Loader {
        check_relocations(bytes, plan, elf);
    }
}

/// goblin takes names that are no text for errors, and has no opinion then.
fn check_notes(bytes: &[u8], plan: &Plan, elf: &Elf<'_>) {
    let notes: Result<Vec<_>, _> = elf.iter_note_headers(bytes).into_iter().flatten().collect();
    let Ok(notes) = notes else { return };
    // goblin cuts the last byte of a name off, whether it is zero or not.
    let whole_name = |name: &str| &bytes[name.as_ptr().addr() - bytes.as_ptr().addr()..][..name.len() + 1];
    let ours = notes.iter().filter(|note| note.n_type == NOTE_ABI && whole_name(note.name) == NOTE_NAME);
    let theirs: Vec<_> = ours.map(|note| note.desc).collect();
    match plan.abi_version() {
        None => assert!(theirs.is_empty()),
        Some(version) => assert_eq!(theirs, [version.to_le_bytes()]),
    }
}

/// goblin knows no packed relocations; the full ones come last.
fn check_relocations(bytes: &[u8], plan: &Plan, elf: &Elf<'_>) {
    assert!(elf.dynrels.is_empty() && elf.pltrelocs.is_empty());
    let Ok(placed) = plan.at(usual_base(plan)) else { return };
    let base = placed.base();
    let ours: Vec<_> =
        relocations(bytes, &placed).iter().map(|r| (r.address - base, r.value.wrapping_sub(base))).collect();
    let relative = elf.dynrelas.iter().filter(|r| r.r_type == goblin::elf::reloc::R_X86_64_RELATIVE);
    let theirs: Vec<_> = relative.map(|r| (r.r_offset, r.r_addend.unwrap_or(0).cast_unsigned())).collect();
    assert!(ours.ends_with(&theirs), "other relocations than goblin's");
}
