//! Makes random traps and kernel calls that get past decoding, and checks what comes back.
#![no_std]
#![no_main]

mod frames;
mod victims;

use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno, Kind, Message, Trap};
use core::cell::UnsafeCell;
use core::ops::Range;
use hostile::random_trap::{self, MAGIC, Noted, Progress};
use probe::{Random, Register, State};
use protocol::vmctl::{GetSpaceOf, NextEvent};
use protocol::{Call, decode, encode};
use storm::{Generator, Histogram, Known, Registers, Row, rows};

sys::entry!(main);

/// Chosen once, so that every run makes the same traps.
const SEED: u64 = 0x5e11_c0de;
/// Of a hundred traps so many are kernel calls.
const CALLS: u64 = 60;
/// What ends the run or the program, and what makes others more urgent than those that the run depends on.
const OMITTED: &[&str] = &["kernel.abort", "kernel.exit", "privctl.yield_to", "kernel.schedule", "kernel.schedctl"];
/// Traps between two reports, between two shows of the histogram, and between two rounds of a memory server.
const REPORT_EVERY: u64 = 500;
const SHOW_EVERY: u64 = 50_000;
const SERVE_EVERY: u64 = 128;
/// Where pages are mapped in other spaces.
const WINDOW: Range<u64> = 0x4003_f000_0000..0x4003_f002_0000;
/// What this program may do without: everything may be written there.
const ARENA: usize = 8 * PAGE_SIZE as usize;
#[repr(align(4096))]
struct Arena(UnsafeCell<[u8; ARENA]>);

// SAFETY: nobody refers to what is in it.
unsafe impl Sync for Arena {}

static ARENA_PAGES: Arena = Arena(UnsafeCell::new([0; ARENA]));

fn main() -> u64 {
    if sys::whoami().is_ok_and(|me| sys::name_of(&me.name) == victims::SEED) {
        victims::wait();
    }
    let Some((known, suite)) = get_to_know() else {
        sys::log!("no program {} in this image", hostile::SUITE);
        return 1;
    };
    let seed = sys::lookup(victims::SEED).filter(|_| is_memory_server(known.me));
    if seed.is_some()
        && let Err(wrong) = frames::try_all()
    {
        sys::log!("{wrong}");
        return report(suite, 0, true).map_or(1, |()| 0);
    }
    let mut generator = Generator::new(SEED, known, CALLS, OMITTED);
    let mut values = Random::new(!SEED);
    let mut histogram = Histogram::EMPTY;
    // For ever: the suite ends the run when it has seen enough.
    for traps in 0.. {
        if let Some(seed) = seed.filter(|_| traps % SERVE_EVERY == 0) {
            victims::renew(&mut generator.known, seed, &mut values);
            if let Err(error) = victims::serve(&generator.known) {
                sys::log!("cannot be a memory server: {error}");
                return 1;
            }
        }
        let made = generator.draw(&histogram);
        let before = state(&made, &mut values);
        let after = probe::trap(&before);
        let verdict = random_trap::check(&before, &after);
        if let Err(rule) = verdict {
            sys::log!("trap {traps}, {}: {rule}", Row::of(made.rax, made.rsi).name());
        }
        let result = after.get(Register::Rax) as i64;
        histogram.count(Row::of(made.rax, made.rsi), result);
        let body = Register::BODY.map(|register| after.get(register));
        generator.learn(&made, result, &body);
        if result == 0
            && is_next_event(&made)
            && victims::deal_with(&generator.known, [body[0], body[1], body[2]]).is_err()
        {
            sys::log!("cannot answer {:#x}", body[0]);
        }
        if traps % SHOW_EVERY == SHOW_EVERY - 1 {
            show(&histogram);
        }
        if (verdict.is_err() || traps % REPORT_EVERY == 0)
            && let Err(error) = report(suite, traps, verdict.is_err())
        {
            sys::log!("cannot report: {error}");
            return 1;
        }
    }
    0
}

fn is_next_event(made: &Registers) -> bool {
    Trap::from_rax(made.rax) == Some(Trap::KernelCall) && Kind(made.rsi as u16) == NextEvent::KIND
}

/// A line of the log for each row.
fn show(histogram: &Histogram) {
    for row in rows() {
        sys::log!("{}", histogram.line(row));
    }
}

/// Tells the suite how far it is. A memory server is not preempted: while it waits here, others run.
fn report(suite: Endpoint, traps: u64, wrong: bool) -> Result<(), Errno> {
    let progress = Progress { magic: MAGIC, traps, wrong: wrong.into() };
    let mut message = Message { peer: suite, ..encode(Progress::KIND, &progress) };
    rt::sendrec(&mut message)?;
    decode::<Noted>(&message).map(drop)
}

fn is_memory_server(me: Endpoint) -> bool {
    sys::vmctl().space_of(GetSpaceOf { process: me }).is_ok()
}

/// Who there is, whom no trap may name, and the suite.
fn get_to_know() -> Option<(Known, Endpoint)> {
    let arena = ARENA_PAGES.0.get() as u64;
    let me = sys::whoami().ok()?.endpoint;
    let mut known = Known::new(me, arena..arena + ARENA as u64, WINDOW);
    let is_server = is_memory_server(me);
    for program in sys::boot_programs() {
        if !is_server {
            known.endpoints.push(program.endpoint.raw().into());
            continue;
        }
        // The run depends on all of them; the storm has victims of its own.
        let _ = known.spared.try_push(program.endpoint);
        if let Ok(home) = sys::vmctl().space_of(GetSpaceOf { process: program.endpoint }) {
            let _ = known.spared_spaces.try_push(home.space);
        }
    }
    if is_server {
        let _ = known.spared.try_push(Endpoint::SELF);
    }
    known.root = sys::lookup("rs").unwrap_or(known.root);
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
