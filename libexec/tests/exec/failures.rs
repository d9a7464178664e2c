//! Whatever fails, it is told whether the old program is still there; and nothing happens after a failure.

use crate::support::packed;
use libexec::{ElfError, ExecError, Failure, Loaded, RelocationFault, Request, Step, Table, exec, run};
use libexec_testing::good::{self, DATA};
use libexec_testing::loading::{TestError, request};
use libexec_testing::pieces::{Pieces, ReadFailed};
use libexec_testing::space::{CallFailed, Files, Space};
use libexec_testing::{ElfFile, program, rela};

/// Execs with a source and a space that fail where they are told to.
fn attempt(source: &mut Pieces, space: &mut Space, request: &Request<'_>) -> Result<Loaded, TestError> {
    run(exec(source, space, request))
}

/// The method that a step is of.
fn method(step: &Step) -> &'static str {
    match step {
        Step::Clear => "clear",
        Step::Reserve(_) => "reserve",
        Step::ReserveStack(_) => "reserve_stack",
        Step::CopyIn(_) => "copy_in",
        Step::MapFile(_) => "map_file",
        Step::Write(_) => "write",
        Step::Zero(_) => "zero",
        Step::Protect(_) => "protect",
        Step::SetEntry => "set_entry",
    }
}

/// Files of which all together every method is called.
fn files() -> Vec<(&'static str, ElfFile)> {
    let mut files = good::all();
    files.push(("many zeros", good::fixed().set(program::p_memsz(DATA), 0x1_0000)));
    files
}

/// Each call fails once. [`Space`] panics if another one follows.
#[test]
fn a_failed_call_ends_the_exec_and_is_told() {
    let arguments = packed(&["argument"; 300]);
    let request = Request { arguments: &arguments, ..request() };
    let mut failed = Vec::new();
    for (name, file) in files() {
        for files in [Files::Copied, Files::Mapped] {
            let mut whole = Space::new(&file.0, files);
            attempt(&mut Pieces::new(&file.0), &mut whole, &request).unwrap();
            for number in 0..whole.calls.len() {
                let mut space = Space::new(&file.0, files);
                space.failing = Some(number);
                let Err(ExecError::After(Failure::Target(step, error))) =
                    attempt(&mut Pieces::new(&file.0), &mut space, &request)
                else {
                    panic!("{name}: call {number} failed, and that was not told")
                };
                assert_eq!((error, method(&step)), (CallFailed(number), whole.calls[number]), "{name}");
                assert_eq!((&space.calls[..], space.start()), (&whole.calls[..=number], None), "{name}");
                failed.push(method(&step));
            }
        }
    }
    failed.sort_unstable();
    failed.dedup();
    let all = ["clear", "copy_in", "map_file", "protect", "reserve", "reserve_stack", "set_entry", "write", "zero"];
    assert_eq!(failed, all);
}

/// Each read fails once. Until the space is cleared the old program is whole; afterwards it is told that it is not.
#[test]
fn a_failed_read_is_told() {
    let (mut before, mut after) = (0, 0);
    for (name, file) in files() {
        let mut whole = Pieces::new(&file.0);
        attempt(&mut whole, &mut Space::new(&file.0, Files::Copied), &request()).unwrap();
        for number in 0..whole.reads {
            let mut source = Pieces { failing: Some(number), ..Pieces::new(&file.0) };
            let mut space = Space::new(&file.0, Files::Copied);
            let error = attempt(&mut source, &mut space, &request()).unwrap_err();
            assert_eq!((source.reads, space.start()), (number + 1, None), "{name}: no read after a failed one");
            match error {
                ExecError::Before(refusal) => {
                    assert_eq!((refusal, space.is_untouched()), (libexec::Refusal::Read(ReadFailed(number)), true));
                    before += 1;
                }
                ExecError::After(failure) => {
                    assert_eq!((failure, space.is_untouched()), (Failure::Read(ReadFailed(number)), false));
                    after += 1;
                }
            }
        }
    }
    assert!(before > files().len() && after > 0, "{before} before, {after} after");
}

/// The relocations are read again when they are made, and another file may be there by then.
#[test]
fn a_file_that_changes_in_between_is_noticed() {
    let file = good::rela();
    let text = good::address(0, good::TEXT);
    let other = file.clone().set(rela::r_offset(0), text);
    let mut whole = Pieces::new(&file.0);
    run(libexec::plan_from(&mut whole)).unwrap();
    let mut source = Pieces { changed: Some((whole.reads, other.0)), ..Pieces::new(&file.0) };
    let mut space = Space::new(&file.0, Files::Copied);
    let fault = ElfError::Relocation(Table::Rela, 0, RelocationFault::Target(text));
    let result = attempt(&mut source, &mut space, &request());
    assert_eq!((result, space.start()), (Err(ExecError::After(Failure::Changed(fault))), None));
}

/// A file that changes at any read, to any of these, is loaded or it is not; nothing breaks.
#[test]
fn a_file_may_change_at_any_time() {
    let files = files();
    let (mut loaded, mut not) = (0, 0);
    for (_, file) in &files {
        for (_, other) in &files {
            let mut other = other.0.clone();
            other.resize(file.0.len(), 0);
            for number in 0..8 {
                let mut source = Pieces { changed: Some((number, other.clone())), ..Pieces::new(&file.0) };
                let mut space = Space::new(&file.0, Files::Copied);
                match attempt(&mut source, &mut space, &request()) {
                    Ok(_) => loaded += 1,
                    Err(error) => {
                        assert_eq!(
                            (matches!(error, ExecError::Before(_)), space.start()),
                            (space.is_untouched(), None)
                        );
                        not += 1;
                    }
                }
            }
        }
    }
    assert!(loaded > 0 && not > 0, "{loaded} loaded, {not} not");
}
