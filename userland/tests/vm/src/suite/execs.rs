//! New programs for old processes.

use crate::player::{Player, server, unused_pages};
use crate::programs::{DATA, File, MARK, Plan, STEP};
use abi::Errno;
use abi::layout::{PAGE_SIZE, PIE_BASE, PROGRAM_BASE, STACK_TOP};
use exec::{ARG_MAX, Accept, ExecError, Facts, PIE_SPAN, Request, Trust};
use protocol::vm::{SetLimits, UNLIMITED};
use rt::random::Random;
use suite::{Failure, Outcome, check, check_eq};
use vm_suite::Do;

const LONG: bool = option_env!("SELIX_SOAK").is_some();
const STACK: u64 = 4 << 20;
const RANDOM: [u8; 16] = *b"sixteen bytes!!!";
const PLAIN: Plan = Plan { data: 1, bss: 0, relocatable: false, tls: false };

/// Numbers of entries of the auxiliary vector (System V ABI for x86-64, 3.4.3).
const AT_NULL: u64 = 0;
const AT_PHDR: u64 = 3;
const AT_PHNUM: u64 = 5;
const AT_PAGESZ: u64 = 6;
const AT_ENTRY: u64 = 9;
const AT_RANDOM: u64 = 25;

fn request(arguments: &'static [u8], environment: &'static [u8]) -> Request<'static> {
    Request {
        accept: Accept::Native,
        stack: STACK_TOP - STACK..STACK_TOP,
        base: 0,
        arguments,
        environment,
        name: c"small",
        facts: Facts { uid: 0, euid: 0, gid: 0, egid: 0, trust: Trust::Caller, random: RANDOM, hwcap: 7 },
    }
}

/// The same, which must succeed.
fn run(player: &mut Player, plan: &Plan, request: &Request<'_>) -> Result<[u64; 4], Failure> {
    let file = File::new(plan);
    match player.exec(file.bytes(), request)? {
        Ok(told) => Ok(told),
        Err(error) => suite::fail!("{plan:?}: {error}"),
    }
}

pub(crate) fn many_segments_have_what_the_file_says() -> Outcome {
    for data in [1, 2, 11, 15] {
        let mut player = Player::start()?;
        let told = run(&mut player, &Plan { data, ..PLAIN }, &request(b"a\0", b""))?;
        check_eq!((told[0], told[2], told[3]), (1, PROGRAM_BASE + PAGE_SIZE, MARK));
        for i in 0..u64::from(data) {
            let at = PROGRAM_BASE + DATA + i * STEP;
            check_eq!(
                (i, player.read(at)?, player.read(at + 16)?, player.read(at + PAGE_SIZE - 8)?),
                (i, MARK + i, 0, 0)
            );
            player.write(at + 8, i)?;
        }
        player.dies_of(Do::Write, &[PROGRAM_BASE, 1])?;
    }
    Ok(())
}

pub(crate) fn a_gigabyte_of_zeros_takes_what_is_touched() -> Outcome {
    const BSS: u64 = 1 << 30;
    let mut player = Player::start()?;
    run(&mut player, &Plan { bss: BSS, ..PLAIN }, &request(b"", b""))?;
    let before = player.usage()?;
    check!(before.pages >= BSS / PAGE_SIZE && before.resident < 20, "{before:?}");
    for at in [PAGE_SIZE, BSS / 2, BSS] {
        let address = (PROGRAM_BASE + DATA + at) & !7;
        check_eq!(player.read(address)?, 0);
        player.write(address, at)?;
        check_eq!(player.read(address)?, at);
    }
    check_eq!(player.usage()?.resident - before.resident, 3);
    player.dies_of(Do::Read, &[PROGRAM_BASE + DATA + BSS + 2 * PAGE_SIZE])
}

pub(crate) fn a_movable_program_is_moved() -> Outcome {
    let mut places = [0; 3];
    for (place, base) in places.iter_mut().zip([0, 0x1234_5678_9abc_def1, 0x0fed_cba9_8765_4321]) {
        let mut player = Player::start()?;
        let plan = Plan { relocatable: true, data: 3, ..PLAIN };
        let told = run(&mut player, &plan, &Request { base, ..request(b"", b"") })?;
        *place = told[2] - PAGE_SIZE;
        check_eq!((told[3], player.read(*place + DATA + STEP)?), (MARK, MARK + 1));
        player.end()?;
    }
    check_eq!(places[0], PIE_BASE);
    check!(places[1] != places[2] && places[1..].iter().all(|place| *place > PIE_BASE), "{places:x?}");
    Ok(())
}

/// What a program is given by whoever asks for it is never the same, on processors with and without random numbers.
pub(crate) fn no_two_programs_have_the_same_random_bytes_and_place() -> Outcome {
    const MANY: usize = 8;
    let mut random = Random::new();
    let (mut places, mut bytes) = ([0; MANY], [[0; 2]; MANY]);
    let plan = Plan { relocatable: true, ..PLAIN };
    let mut player = Player::start()?;
    for i in 0..MANY {
        let mut asked = request(b"", b"");
        (asked.base, asked.facts.random) = (random.word(), random.bytes());
        let told = run(&mut player, &plan, &asked)?;
        places[i] = told[2] - PAGE_SIZE;
        // No arguments and no environment: the auxiliary vector begins behind two zeros.
        let mut at = told[1] + 24;
        while player.read(at)? != AT_RANDOM {
            at += 16;
        }
        let random = player.read(at + 8)?;
        bytes[i] = [player.read(random)?, player.read(random + 8)?];
    }
    player.end()?;
    for i in 0..MANY {
        check!((PIE_BASE..PIE_BASE + PIE_SPAN).contains(&places[i]), "{:x}", places[i]);
        check!(!places[..i].contains(&places[i]), "{places:x?}");
        check!(!bytes[..i].contains(&bytes[i]) && bytes[i] != [0; 2], "{bytes:x?}");
    }
    Ok(())
}

pub(crate) fn the_stack_tells_all_that_a_program_wants_to_know() -> Outcome {
    let mut player = Player::start()?;
    let plan = Plan { tls: true, ..PLAIN };
    let [count, stack, code, _] = run(&mut player, &plan, &request(b"one\0two\0", b"A=1\0"))?;
    check_eq!((count, stack % 16), (2, 0));
    let mut at = stack + 8;
    let mut next = |player: &mut Player| {
        at += 8;
        player.read(at - 8)
    };
    let text = |player: &mut Player, address: u64| {
        let word = player.read(address & !7)? >> (address % 8 * 8);
        let rest = player.read((address & !7) + 8)?;
        let bits = 64 - address % 8 * 8;
        Ok::<_, Failure>(if bits == 64 { word } else { word | rest << bits })
    };
    for expected in [*b"one\0", *b"two\0"] {
        let address = next(&mut player)?;
        check_eq!(text(&mut player, address)? as u32, u32::from_le_bytes(expected));
    }
    check_eq!(next(&mut player)?, 0);
    let address = next(&mut player)?;
    check_eq!(text(&mut player, address)? as u32, u32::from_le_bytes(*b"A=1\0"));
    check_eq!(next(&mut player)?, 0);
    let mut found = [None; 32];
    loop {
        let (kind, value) = (next(&mut player)?, next(&mut player)?);
        if kind == AT_NULL {
            break;
        }
        found[kind as usize % 32] = Some(value);
    }
    let entry = |kind: u64| found[kind as usize].unwrap_or(u64::MAX);
    check_eq!((entry(AT_PAGESZ), entry(AT_ENTRY), entry(AT_PHNUM)), (PAGE_SIZE, code, 4));
    let (random, half) =
        (entry(AT_RANDOM), |i: usize| u64::from_le_bytes(RANDOM[i..i + 8].try_into().unwrap_or_default()));
    check_eq!([text(&mut player, random)?, text(&mut player, random + 8)?], [half(0), half(8)]);
    // The last program header is that of the thread-local storage: type 7.
    check_eq!(player.read(entry(AT_PHDR) + 3 * 56)? as u32, 7);
    player.end()
}

pub(crate) fn arguments_may_be_many_but_not_too_many() -> Outcome {
    const MANY: usize = 128 << 10;
    /// Empty strings.
    static EMPTY: [u8; ARG_MAX as usize] = [0; ARG_MAX as usize];
    let mut player = Player::start()?;
    for count in [0, 1, 1000] {
        let told = run(&mut player, &PLAIN, &request(&EMPTY[..count], b""))?;
        check_eq!(told[0], count as u64);
    }
    // One long string.
    static LONG_STRING: [u8; MANY] = {
        let mut text = [b'y'; MANY];
        text[MANY - 1] = 0;
        text
    };
    let told = run(&mut player, &PLAIN, &request(&LONG_STRING, &LONG_STRING[MANY - 2..]))?;
    check_eq!(told[0], 1);
    let address = player.read(told[1] + 8)?;
    check_eq!(player.read(address.next_multiple_of(8))?, 0x7979_7979_7979_7979);
    let file = File::new(&PLAIN);
    let refused = player.exec(file.bytes(), &request(&EMPTY, b""))?;
    check!(
        matches!(&refused, Err(error @ ExecError::Before(_)) if Errno::from(error.clone()) == Errno::TooBig),
        "{refused:?}"
    );
    // The program goes on that was there.
    check_eq!(player.read(PROGRAM_BASE + DATA)?, MARK);
    player.end()
}

pub(crate) fn a_bad_file_leaves_the_old_program() -> Outcome {
    let mut player = Player::start()?;
    let own = player.map(1, protocol::vm::MapFlags::empty())?;
    player.write(own, 5)?;
    let before = player.usage()?;
    // Where, what is put there, and how much of the file is left.
    let spoilt: [(usize, u8, usize); 12] = [
        (0, 0, usize::MAX),
        (4, 1, usize::MAX),
        (5, 2, usize::MAX),
        (16, 1, usize::MAX),
        (18, 3, usize::MAX),
        (25, 0x7f, usize::MAX),
        (33, 0xff, usize::MAX),
        (56, 0xff, usize::MAX),
        (64, 3, usize::MAX),
        (68, 7, usize::MAX),
        (0x7f, 0x7f, 63),
        (0x7f, 0, 4096),
    ];
    for (at, byte, len) in spoilt {
        let mut file = File::new(&PLAIN);
        file.bytes_mut()[at] = byte;
        let bytes = file.bytes();
        let result = player.exec(&bytes[..len.min(bytes.len())], &request(b"", b""))?;
        let is_refused =
            |error: &exec::Error| matches!(error, ExecError::Before(_)) && Errno::from(error.clone()) == Errno::NoExec;
        check!(result.as_ref().is_err_and(is_refused), "{at} {byte:#x} {len}: {result:?}");
    }
    check_eq!((player.read(own)?, player.usage()?.pages), (5, before.pages));
    player.end()
}

pub(crate) fn without_memory_the_process_can_only_be_ended() -> Outcome {
    let before = unused_pages()?;
    for pages in [0, 1, 4, 500] {
        let mut player = Player::start()?;
        let process = player.endpoint;
        server().set_limits(SetLimits { process, reserved: 0, pages, resident: UNLIMITED })?;
        let file = File::new(&Plan { data: 3, bss: 1 << 24, ..PLAIN });
        let result = player.exec(file.bytes(), &request(b"a\0", b""))?;
        let is_late =
            |error: &exec::Error| matches!(error, ExecError::After(_)) && Errno::from(error.clone()) == Errno::NoMem;
        check!(result.as_ref().is_err_and(is_late), "{pages}: {result:?}");
        player.end()?;
        check!(unused_pages()? + 64 >= before, "{pages}: {} of {before}", unused_pages()?);
    }
    Ok(())
}

pub(crate) fn many_programs_leave_everything_as_it_was() -> Outcome {
    let rounds = if LONG { 10_000 } else { 40 };
    let mut before = 0;
    for round in 0..rounds {
        let mut player = Player::start()?;
        let told = run(&mut player, &Plan { data: 2, bss: 1 << 16, ..PLAIN }, &request(b"a\0b\0", b"C=D\0"))?;
        check_eq!((round, told[0], told[3]), (round, 2, MARK));
        player.end()?;
        let free = unused_pages()?;
        check!(round == 0 || free == before, "round {round}: {free} free, {before} before");
        before = free;
    }
    Ok(())
}
