//! What must hold when a file is loaded, whatever its bytes.

use crate::pieces::{Pieces, ReadFailed};
use crate::property::relocations;
use crate::space::{CallFailed, Files, Origin, Space};
use abi::layout::{PAGE_SIZE, STACK_TOP};
use libexec::{
    Accept, ExecError, Facts, Loaded, Placed, Plan, Refusal, Request, Segment, Trust, exec, plan, plan_from, run,
};

/// Bytes of zeros behind the contents of a segment that are looked at.
const ZEROS: u64 = 2 * PAGE_SIZE;

/// Bytes of the stack of [`request`].
pub const STACK_SIZE: u64 = 1 << 20;

/// What an exec in the tests fails with.
pub type TestError = ExecError<ReadFailed, CallFailed>;

/// A request without arguments, for programs of all kinds.
pub fn request() -> Request<'static> {
    Request {
        accept: Accept::Foreign,
        stack: STACK_TOP - STACK_SIZE..STACK_TOP,
        base: 0,
        arguments: b"",
        environment: b"",
        name: c"/bin/program",
        facts: Facts { uid: 1, euid: 2, gid: 3, egid: 4, trust: Trust::Caller, random: [5; 16], hwcap: 6 },
    }
}

/// Loads a file into a new space.
///
/// # Panics
/// If a promise is broken.
pub fn load(bytes: &[u8], files: Files, request: &Request<'_>) -> (Space, Result<Loaded, TestError>) {
    let mut space = Space::new(bytes, files);
    let result = run(exec(&mut Pieces::new(bytes), &mut space, request));
    (space, result)
}

/// Checks that a file read in pieces makes the same plan, and that it is loaded as planned or not at all. Returns whether
/// it was loaded.
///
/// # Panics
/// If that does not hold.
pub fn check(bytes: &[u8]) -> bool {
    let whole = plan(bytes);
    let pieces = run(plan_from(&mut Pieces::new(bytes)));
    let request = Request {
        base: bytes.iter().fold(0, |bits, &byte| bits.wrapping_mul(31).wrapping_add(byte.into())),
        ..request()
    };
    let plan = match (whole, pieces) {
        (Ok(plan), Ok(same)) if format!("{plan:?}") == format!("{same:?}") => plan,
        (Err(error), Err(libexec::PlanError::Elf(same))) if error == same => {
            let (space, result) = load(bytes, Files::Copied, &request);
            assert_eq!((space.is_untouched(), result), (true, Err(ExecError::Before(Refusal::Elf(error)))));
            return false;
        }
        (whole, pieces) => panic!("whole: {whole:?}, in pieces: {pieces:?}"),
    };
    let loaded = [Files::Copied, Files::Mapped].map(|files| {
        let (space, result) = load(bytes, files, &request);
        match result {
            Ok(loaded) => check_memory(bytes, &plan, &loaded, &space),
            Err(ExecError::Before(Refusal::Abi(_) | Refusal::Stack(_) | Refusal::Elf(_))) => {
                assert!(space.is_untouched());
            }
            Err(error) => panic!("{error:?}"),
        }
        space.start().is_some()
    });
    assert_eq!(loaded[0], loaded[1]);
    loaded[0]
}

/// Checks that a space holds what the plan says.
fn check_memory(bytes: &[u8], plan: &Plan, loaded: &Loaded, space: &Space) {
    let placed = plan.at(loaded.base).expect("it was loaded there");
    assert_eq!((space.start(), loaded.start.entry), (Some(loaded.start), placed.entry()));
    assert_eq!((loaded.image.clone(), loaded.abi_version), (placed.image(), plan.abi_version()));
    for segment in placed.segments() {
        check_segment(bytes, &placed, &segment, space);
    }
    let image = placed.segments().map(|s| s.pages().end - s.pages().start).sum::<u64>();
    let all = space.regions().iter().map(|region| region.pages.end - region.pages.start).sum::<u64>();
    assert_eq!(all, image + STACK_SIZE, "pages of segments and stack, and no others");
}

fn check_segment(bytes: &[u8], placed: &Placed<'_>, segment: &Segment, space: &Space) {
    let pages = segment.pages();
    for page in [pages.start, segment.address, segment.end() - 1, pages.end - 1] {
        assert_eq!(space.access(page), Some(segment.access));
    }
    let mapped = space.regions().iter().any(|region| region.origin == Origin::File);
    let contents = segment.address..segment.address + segment.file_len;
    let filled_end = contents.end.next_multiple_of(PAGE_SIZE).min(pages.end);
    // Of a mapped page without zeros to be, the file decides what is around the contents.
    let start = if mapped { contents.start } else { pages.start };
    let end = if mapped && segment.file_len == segment.mem_len { contents.end } else { pages.end };
    let looked_at = start..end.min(filled_end + ZEROS);
    let mut expected: Vec<u8> = looked_at
        .clone()
        .map(|at| match contents.contains(&at) {
            true => bytes[(segment.file_offset + (at - contents.start)) as usize],
            false => 0,
        })
        .collect();
    for relocation in relocations(bytes, placed) {
        let word = (relocation.address..).zip(relocation.value.to_le_bytes());
        for (at, byte) in word.filter(|(at, _)| looked_at.contains(at)) {
            expected[(at - looked_at.start) as usize] = byte;
        }
    }
    assert!(space.bytes(start, looked_at.end - start) == expected, "the memory of {segment:x?}");
}
