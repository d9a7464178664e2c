//! What a program finds on its stack.

use crate::support::{loaded, packed};
use abi::layout::{PAGE_SIZE, PROGRAM_BASE, STACK_TOP};
use libexec::{ARG_MAX, ExecError, Facts, FrameFault, Refusal, Request, STACK_ROOM, Trust, auxv};
use libexec_testing::loading::{load, request};
use libexec_testing::space::{Files, Space};
use libexec_testing::{good, program};

const KIB: usize = 1024;

/// A frame, read back as a start code does.
struct Frame {
    arguments: Vec<Vec<u8>>,
    environment: Vec<Vec<u8>>,
    auxv: Vec<(u64, u64)>,
    /// Where everything begins.
    start: u64,
}

fn string(space: &Space, mut address: u64) -> Vec<u8> {
    let mut string = Vec::new();
    loop {
        match space.bytes(address, 1)[0] {
            0 => return string,
            byte => string.push(byte),
        }
        address += 1;
    }
}

/// The words from `at` on up to a zero, and the address behind that.
fn words(space: &Space, mut at: u64) -> (Vec<u64>, u64) {
    let mut words = Vec::new();
    loop {
        let word = space.word(at);
        at += 8;
        if word == 0 {
            return (words, at);
        }
        words.push(word);
    }
}

fn read(space: &Space) -> Frame {
    let start = space.start().unwrap().stack_pointer;
    let count = space.word(start);
    let (arguments, at) = words(space, start + 8);
    assert_eq!(arguments.len() as u64, count);
    let (environment, mut at) = words(space, at);
    let mut vector = Vec::new();
    loop {
        vector.push((space.word(at), space.word(at + 8)));
        at += 16;
        if vector.last() == Some(&(auxv::NULL, 0)) {
            break;
        }
    }
    let strings = |addresses: Vec<u64>| addresses.into_iter().map(|at| string(space, at)).collect();
    Frame { arguments: strings(arguments), environment: strings(environment), auxv: vector, start }
}

impl Frame {
    fn value(&self, kind: u64) -> Option<u64> {
        self.auxv.iter().find(|entry| entry.0 == kind).map(|entry| entry.1)
    }

    fn len(&self) -> u64 {
        STACK_TOP - self.start
    }
}

fn frame(request: &Request<'_>) -> (Space, Frame) {
    let (space, _) = loaded(&good::fixed().0, request);
    let frame = read(&space);
    (space, frame)
}

/// Checks that these strings arrive.
fn check(arguments: &[Vec<u8>], environment: &[Vec<u8>]) {
    let (args, env) = (packed(arguments), packed(environment));
    let (space, frame) = frame(&Request { arguments: &args, environment: &env, ..request() });
    assert_eq!((frame.arguments.as_slice(), frame.environment.as_slice()), (arguments, environment));
    assert_eq!(string(&space, frame.value(auxv::EXECFN).unwrap()), b"/bin/program");
    assert_eq!(space.bytes(frame.value(auxv::RANDOM).unwrap(), 16), [5; 16]);
    assert_eq!(space.word(STACK_TOP - 8), 0);
}

#[test]
fn nothing() {
    check(&[], &[]);
}

#[test]
fn one_string_of_each_kind() {
    check(&[b"program".to_vec()], &[]);
    check(&[], &[b"PATH=/bin".to_vec()]);
    check(&[b"program".to_vec()], &[b"PATH=/bin".to_vec()]);
}

#[test]
fn empty_strings_and_strings_of_all_bytes() {
    let all: Vec<u8> = (1..=255).collect();
    check(&[vec![], all.clone(), vec![]], &[vec![], vec![], all]);
}

/// All remainders that the alignment of the stack pointer can meet, strings across writes and pages.
#[test]
fn strings_of_all_lengths() {
    for len in (0..40).chain([1000, 1023, 1024, 1025, 4095, 4096, 4097, 10_000]) {
        check(&[vec![b'a'; len], vec![b'b'; 3]], &[vec![b'c'; len]]);
        check(&vec![vec![b'a'; 5]; len.min(1100)], &[]);
    }
}

#[test]
fn a_kibibyte_and_128_of_them() {
    for len in [KIB, 128 * KIB] {
        check(&[vec![b'x'; len - 1]], &[]);
        check(&[], &[vec![b'x'; len - 1]]);
        let numbered: Vec<_> = (0..len / 32).map(|i| format!("{i:031}").into_bytes()).collect();
        check(&numbered, &[]);
        check(&numbered[..numbered.len() / 2], &numbered[numbered.len() / 2..]);
    }
}

/// Facts that all differ, and an auxiliary vector of exactly these entries.
#[test]
fn the_auxiliary_vector_is_complete() {
    let facts =
        Facts { uid: 11, euid: 12, gid: 13, egid: 14, trust: Trust::Nobody, random: [7; 16], hwcap: 0x1_0000_0015 };
    let (space, frame) = frame(&Request { facts, name: c"name", ..request() });
    let (random, name) = (frame.value(auxv::RANDOM).unwrap(), frame.value(auxv::EXECFN).unwrap());
    let expected = [
        (3, PROGRAM_BASE + 64),
        (4, 56),
        (5, 7),
        (6, PAGE_SIZE),
        (7, 0),
        (8, 0),
        (9, good::address(PROGRAM_BASE, good::TEXT)),
        (11, 11),
        (12, 12),
        (13, 13),
        (14, 14),
        (16, 0x1_0000_0015),
        (17, 100),
        (23, 1),
        (25, random),
        (31, name),
        (0, 0),
    ];
    assert_eq!(frame.auxv, expected);
    assert_eq!((space.bytes(random, 16), string(&space, name)), (vec![7; 16], b"name".to_vec()));
}

#[test]
fn a_trusted_environment() {
    let (_, frame) = frame(&request());
    assert_eq!(frame.value(auxv::SECURE), Some(0));
}

#[test]
fn headers_that_are_not_loaded_are_not_told() {
    let file = good::fixed().set(program::p_filesz(good::HEADERS), 64 + 56);
    let (space, _) = loaded(&file.0, &request());
    assert_eq!(read(&space).value(auxv::PHDR), None);
}

#[test]
fn addresses_of_a_relocatable_program_are_those_in_memory() {
    let (space, program) = loaded(&good::rela().0, &Request { base: 77, ..request() });
    let frame = read(&space);
    assert_eq!(frame.value(auxv::PHDR), Some(program.base + 64));
    assert_eq!(frame.value(auxv::ENTRY), Some(program.base + good::address(0, good::TEXT)));
    assert_eq!(frame.value(auxv::BASE), Some(0));
}

/// The result of an exec with one argument of so many bytes.
fn with_argument(len: u64, base: &Request<'_>) -> Result<Frame, FrameFault> {
    let arguments = packed(&[vec![b'x'; len as usize]]);
    let request = Request { arguments: &arguments, ..base.clone() };
    match load(&good::fixed().0, Files::Copied, &request) {
        (space, Ok(_)) => Ok(read(&space)),
        (space, Err(ExecError::Before(Refusal::Frame(fault)))) if space.is_untouched() => Err(fault),
        (_, Err(error)) => panic!("{error:?}"),
    }
}

/// Finds the longest argument that a frame of `limit` bytes has room for, tries it, and one byte more.
fn check_limit(limit: u64, request: &Request<'_>) {
    let empty = with_argument(0, request).unwrap();
    let rest = empty.len() - 16;
    let fits = (limit - rest - 16..limit).take_while(|&len| with_argument(len, request).is_ok()).last().unwrap();
    assert_eq!(with_argument(fits, request).unwrap().len(), limit);
    assert_eq!(with_argument(fits + 1, request).err(), Some(FrameFault::TooBig { len: limit + 1, limit }));
}

#[test]
fn a_frame_at_the_limit() {
    check_limit(ARG_MAX, &request());
}

#[test]
fn a_frame_at_the_limit_of_a_small_stack() {
    let size = 0x1_0000;
    check_limit(size - STACK_ROOM, &Request { stack: STACK_TOP - size..STACK_TOP, ..request() });
}

#[test]
fn a_stack_without_room_takes_no_frame() {
    for pages in [1, 3, 4] {
        let stack = STACK_TOP - pages * PAGE_SIZE..STACK_TOP;
        let fault = with_argument(0, &Request { stack, ..request() }).err();
        assert!(matches!(fault, Some(FrameFault::TooBig { limit: 0, .. })), "{fault:?}");
    }
}

/// Many short strings take more room for their addresses than for their bytes.
#[test]
fn addresses_of_strings_count() {
    let count =
        |len: usize| load(&good::fixed().0, Files::Copied, &Request { environment: &vec![0; len], ..request() }).1;
    assert!(count(ARG_MAX as usize / 9 - 100).is_ok());
    for len in [ARG_MAX as usize / 9, 40_000, ARG_MAX as usize, 16 * ARG_MAX as usize] {
        let result = count(len);
        assert!(matches!(result, Err(ExecError::Before(Refusal::Frame(FrameFault::TooBig { .. })))), "{result:?}");
    }
}
