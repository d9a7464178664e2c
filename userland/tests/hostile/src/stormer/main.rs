//! Makes random traps and kernel calls that get past decoding, and checks what comes back.
#![no_std]
#![no_main]

mod frames;

use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno, Message};
use core::cell::UnsafeCell;
use hostile::random_trap::{self, MAGIC, Progress};
use probe::{Random, Register, State};
use protocol::kernel::GetBootEntry;
use protocol::vmctl::GetSpaceOf;
use protocol::{Call, encode};
use storm::{Generator, Histogram, Known, Registers, Row};

sys::entry!(main);

/// Chosen once, so that every run makes the same traps.
const SEED: u64 = 0x5e11_c0de;
/// Traps between two reports, and between two looks at the histogram.
const REPORT_EVERY: u64 = 5_000;
const SHOW_EVERY: u64 = 100_000;
/// What this program may do without: everything may be written there.
const ARENA: usize = 8 * PAGE_SIZE as usize;
/// Those that the run depends on.
const SPARED: [&str; 5] = ["suite", "echo", "plain", "server", "rs"];

#[repr(align(4096))]
struct Arena(UnsafeCell<[u8; ARENA]>);

// SAFETY: nobody refers to what is in it.
unsafe impl Sync for Arena {}

static ARENA_PAGES: Arena = Arena(UnsafeCell::new([0; ARENA]));

fn main() -> u64 {
    let Some((known, suite)) = get_to_know() else {
        sys::log!("no program {} in this image", hostile::SUITE);
        return 1;
    };
    let is_server = known.spared.contains(&Endpoint::SELF);
    if is_server && let Err(wrong) = frames::try_all() {
        sys::log!("{wrong}");
        return report(suite, 0, true).map_or(1, |()| 0);
    }
    // What ends the run or the program; and a memory server gives its own privileges away by no call about itself.
    let mut generator = Generator::new(SEED, known, 60, &["kernel.abort", "kernel.exit"]);
    let mut values = Random::new(!SEED);
    let mut histogram = Histogram::EMPTY;
    // For ever: the suite ends the run when it has seen enough.
    for traps in 1.. {
        let made = generator.draw();
        let before = state(&made, &mut values);
        let after = probe::trap(&before);
        let verdict = random_trap::check(&before, &after);
        if let Err(rule) = verdict {
            sys::log!("trap {traps}, {}: {rule}", Row::of(made.rax, made.rsi).name());
        }
        let result = after.get(Register::Rax) as i64;
        histogram.count(Row::of(made.rax, made.rsi), result);
        generator.learn(&made, result, &Register::BODY.map(|register| after.get(register)));
        if traps % SHOW_EVERY == 0 {
            sys::log!("{histogram}");
        }
        if verdict.is_err() || traps % REPORT_EVERY == 0 {
            if let Err(error) = report(suite, traps, verdict.is_err()) {
                sys::log!("cannot report: {error}");
                return 1;
            }
        }
    }
    0
}

/// Tells the suite how far it is. It may not be allowed to wait for that one.
fn report(suite: Endpoint, traps: u64, wrong: bool) -> Result<(), Errno> {
    let progress = Progress { magic: MAGIC, traps, wrong: wrong.into() };
    let message = Message { peer: suite, ..encode(Progress::KIND, &progress) };
    loop {
        match rt::send_nb(&message) {
            Err(Errno::NotReady) => {}
            result => return result,
        }
    }
}

/// Who there is, whom no trap may name, and the suite.
fn get_to_know() -> Option<(Known, Endpoint)> {
    let arena = ARENA_PAGES.0.get() as u64;
    let me = sys::whoami().ok()?.endpoint;
    let mut known = Known::new(me, arena..arena + ARENA as u64, 0x4003_f000_0000..0x4003_f002_0000);
    let is_server = sys::vmctl().space_of(GetSpaceOf { process: me }).is_ok();
    for index in 0.. {
        let Ok(program) = sys::kernel().boot_entry(GetBootEntry { index }) else { break };
        let len = program.name.iter().position(|byte| *byte == 0).unwrap_or(program.name.len());
        let name = core::str::from_utf8(&program.name[..len]).unwrap_or_default();
        if !is_server || !SPARED.contains(&name) {
            known.endpoints.push(program.endpoint.raw().into());
            continue;
        }
        let _ = known.spared.try_push(program.endpoint);
        if let Ok(home) = sys::vmctl().space_of(GetSpaceOf { process: program.endpoint }) {
            let _ = known.spared_spaces.try_push(home.space);
        }
    }
    if is_server {
        let _ = known.spared.try_push(Endpoint::SELF);
    }
    sys::lookup(hostile::SUITE).map(|suite| (known, suite))
}

/// All registers, those that the trap does not look at with any value.
fn state(made: &Registers, values: &mut Random) -> State {
    let mut state = State::pattern(values.word());
    let Registers { rax, rdi, rsi, rdx, body } = *made;
    let named = [(Register::Rax, rax), (Register::Rdi, rdi), (Register::Rsi, rsi), (Register::Rdx, rdx)];
    for (register, value) in named.into_iter().chain(Register::BODY.into_iter().zip(body)) {
        state.set(register, value);
    }
    state
}
