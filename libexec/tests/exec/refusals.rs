//! What is refused before anything is done, and what is said then.

use crate::support::packed;
use abi::Errno;
use abi::layout::{PAGE_SIZE, PROGRAM_BASE, STACK_TOP, USER_END, USER_START};
use libexec::{
    ARG_MAX, Accept, ElfError, EndOfFile, ExecError, Failure, FileFault, FrameFault, Refusal, Request, StackFault,
    Step, exec, plan, run,
};
use libexec_testing::good::{self, DATA, RODATA, slot};
use libexec_testing::loading::{load, request};
use libexec_testing::pieces::ReadFailed;
use libexec_testing::space::{Files, Space};
use libexec_testing::{Field, program};
use std::ops::Range;

/// The refusal of a file; nothing may have been done.
fn refused(bytes: &[u8], request: &Request<'_>) -> Refusal<ReadFailed> {
    let (space, result) = load(bytes, Files::Copied, request);
    assert!(space.is_untouched());
    match result {
        Err(ExecError::Before(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn malformed_files_leave_the_old_program() {
    for file in libexec_testing::malformed() {
        assert_eq!(refused(&file.bytes, &request()), Refusal::Elf(file.error), "{}", file.name);
    }
}

/// Read in pieces, a cut file is refused for the same reason as in memory.
#[test]
fn files_cut_anywhere_leave_the_old_program() {
    for (name, file) in good::all() {
        for len in 0..file.0.len() {
            let cut = &file.0[..len];
            match plan(cut) {
                Ok(_) => assert!(load(cut, Files::Copied, &request()).1.is_ok(), "{name}, {len} bytes"),
                Err(error) => assert_eq!(refused(cut, &request()), Refusal::Elf(error), "{name}, {len} bytes"),
            }
        }
    }
}

/// The version in the note of [`good::fixed`].
const VERSION: Field = Field { offset: slot(RODATA) as usize + 20, size: 4 };

#[test]
fn a_program_for_another_abi() {
    let other = u64::from(abi::ABI_VERSION) + 1;
    let file = good::fixed().set(VERSION, other);
    for accept in [Accept::Native, Accept::Foreign] {
        assert_eq!(refused(&file.0, &Request { accept, ..request() }), Refusal::Abi(Some(abi::ABI_VERSION + 1)));
    }
}

#[test]
fn a_foreign_program_needs_to_be_wanted() {
    let file = good::fixed().set(program::p_type(good::NOTE), 0);
    assert_eq!(refused(&file.0, &Request { accept: Accept::Native, ..request() }), Refusal::Abi(None));
    assert!(load(&file.0, Files::Copied, &Request { accept: Accept::Foreign, ..request() }).1.is_ok());
}

#[test]
fn strings_without_end() {
    let file = good::fixed();
    for bytes in [&b"a"[..], b"a\0b", b"\0\0x"] {
        let arguments = Request { arguments: bytes, ..request() };
        assert_eq!(refused(&file.0, &arguments), Refusal::Frame(FrameFault::Arguments));
        let environment = Request { environment: bytes, ..request() };
        assert_eq!(refused(&file.0, &environment), Refusal::Frame(FrameFault::Environment));
    }
}

fn with_stack(stack: Range<u64>) -> Request<'static> {
    Request { stack, ..request() }
}

#[test]
#[allow(clippy::reversed_empty_ranges, reason = "such ranges are what is refused")]
fn stacks_that_cannot_be() {
    let ranges = [
        0..0,
        STACK_TOP..STACK_TOP,
        STACK_TOP..STACK_TOP - PAGE_SIZE,
        STACK_TOP - PAGE_SIZE + 1..STACK_TOP,
        STACK_TOP - 0x1_0000..STACK_TOP - 8,
        USER_START - PAGE_SIZE..STACK_TOP,
        STACK_TOP..USER_END + PAGE_SIZE,
        0xffff_8000_0000_0000..0xffff_8000_0001_0000,
        u64::MAX - 0xfff..0,
    ];
    for stack in ranges {
        let expected = Refusal::Stack(StackFault::Range(stack.clone()));
        assert_eq!(refused(&good::fixed().0, &with_stack(stack)), expected);
    }
}

/// The page below the stack stays free, so that a stack that grows too far faults.
#[test]
fn a_program_where_the_stack_goes() {
    let pages = plan(&good::fixed().0).unwrap().segments()[DATA].pages();
    let clash = Refusal::Stack(StackFault::Segment(DATA as u16));
    let size = 0x8000;
    for start in [pages.start - size + PAGE_SIZE, pages.start, pages.end] {
        assert_eq!(refused(&good::fixed().0, &with_stack(start..start + size)), clash, "stack at {start:#x}");
    }
    for start in [pages.end + PAGE_SIZE, PROGRAM_BASE - size] {
        assert!(
            load(&good::fixed().0, Files::Copied, &with_stack(start..start + size)).1.is_ok(),
            "stack at {start:#x}"
        );
    }
}

#[test]
fn every_error_has_its_number() {
    let elf = ElfError::File(FileFault::NotElf);
    let cases: [(ExecError<Errno, Errno>, Errno); 11] = [
        (ExecError::Before(Refusal::Elf(elf)), Errno::NoExec),
        (ExecError::Before(Refusal::Abi(None)), Errno::NoExec),
        (ExecError::Before(Refusal::Read(Errno::Perm)), Errno::Perm),
        (ExecError::Before(Refusal::Frame(FrameFault::TooBig { len: 1, limit: 0 })), Errno::TooBig),
        (ExecError::Before(Refusal::Frame(FrameFault::Arguments)), Errno::Inval),
        (ExecError::Before(Refusal::Frame(FrameFault::Environment)), Errno::Inval),
        (ExecError::Before(Refusal::Stack(StackFault::Range(0..0))), Errno::Inval),
        (ExecError::Before(Refusal::Stack(StackFault::Segment(0))), Errno::NoExec),
        (ExecError::After(Failure::Target(Step::Clear, Errno::NoMem)), Errno::NoMem),
        (ExecError::After(Failure::Read(Errno::Io)), Errno::Io),
        (ExecError::After(Failure::Changed(elf)), Errno::NoExec),
    ];
    for (error, number) in cases {
        assert_eq!(Errno::from(error.clone()), number, "{error:?}");
    }
    assert_eq!(Errno::from(EndOfFile), Errno::Io);
}

#[test]
fn every_error_says_what_and_where() {
    let file = good::fixed();
    let text = |request: Request<'_>| {
        let mut space = Space::new(&file.0, Files::Copied);
        run(exec(&mut &file.0[..], &mut space, &request)).map_err(|error| match error {
            ExecError::Before(refusal) => refusal.to_string(),
            ExecError::After(failure) => panic!("{failure:?}"),
        })
    };
    let long = packed(&[vec![b'x'; ARG_MAX as usize]]);
    assert_eq!(
        text(Request { arguments: &long, ..request() }).unwrap_err(),
        "arguments and environment take 262158 bytes, the limit is 262144; give fewer or shorter ones"
    );
    assert_eq!(
        text(with_stack(0x1000..0x1001)).unwrap_err(),
        "no stack can be at 0x1000 to 0x1001; give whole pages in user space"
    );
    let target: ExecError<Errno, Errno> =
        ExecError::After(Failure::Target(Step::Reserve(0x40_0000..0x40_1000), Errno::NoMem));
    let expected = format!(
        "cannot reserve pages at 0x400000 to 0x401000: {}; the old program is gone, end the process",
        Errno::NoMem
    );
    assert_eq!(target.to_string(), expected);
}
