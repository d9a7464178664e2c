//! A user of the shipped system. Its children end by all kinds of faults, after they have used more memory together than there is; and then so does it.
#![no_std]
#![no_main]

use abi::Errno;
use abi::layout::PAGE_SIZE;
use core::arch::asm;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use protocol::echo::{self, Reverse};
use protocol::pm::{Client, Fork, Wait4, Waited, status};
use sys::Ipc;

sys::entry!(main);

/// Pages that a child writes before it ends.
const PAGES: usize = 128;
/// How many children do that, one after the other: 300 MiB, of a machine that has less, and more processes than there can be at once.
const MANY: usize = 1100;
const WORDS: usize = PAGE_SIZE as usize / size_of::<u64>();

/// What they write.
static MEMORY: [AtomicU64; PAGES * WORDS] = [const { AtomicU64::new(0) }; PAGES * WORDS];

/// Faults, and the signals that they are.
const FAULTS: [(fn(), u32); 4] = [(read_null, 11), (write_text, 11), (divide, 8), (undefined, 4)];

enum Trouble {
    Failed(Errno),
    Absent(&'static str),
    /// A child has ended in another way than it should.
    Wrong {
        child: usize,
        status: u32,
    },
    WrongAnswer,
}

impl From<Errno> for Trouble {
    fn from(error: Errno) -> Self {
        Self::Failed(error)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "a call fails: {error}"),
            Self::Absent(name) => write!(f, "there is no {name}"),
            Self::Wrong { child, status } => write!(f, "child {child} ended with status {status:#x}"),
            Self::WrongAnswer => f.write_str("echo answers something else"),
        }
    }
}

fn main() -> u64 {
    match fail_often() {
        Ok(()) => sys::log!("{MANY} children have ended by their faults"),
        Err(trouble) => {
            sys::log!("{trouble}");
            sys::exit_user(1);
        }
    }
    read_null();
    sys::exit_user(2)
}

fn fail_often() -> Result<(), Trouble> {
    let mut pm = sys::process_manager().ok_or(Trouble::Absent("process manager"))?;
    for child in 0..MANY {
        let (fault, signal) = FAULTS[child % FAULTS.len()];
        let waited = child_that(&mut pm, fault)?;
        if waited.status != status::killed(signal, false) {
            return Err(Trouble::Wrong { child, status: waited.status });
        }
    }
    let to = sys::lookup("echo").ok_or(Trouble::Absent("echo"))?;
    let words = [1, 2, 3, 4, 5, 6, 7];
    let answer = echo::Client { to, transport: Ipc::default() }.reverse(Reverse { words })?;
    if answer.words == [7, 6, 5, 4, 3, 2, 1] { Ok(()) } else { Err(Trouble::WrongAnswer) }
}

/// Makes a child that uses memory, and then does this; waits for its end.
fn child_that(pm: &mut Client<Ipc>, fault: fn()) -> Result<Waited, Errno> {
    let pid = pm.fork(Fork {})?.pid;
    if pid == 0 {
        MEMORY.iter().step_by(WORDS).for_each(|word| word.store(1, Ordering::Relaxed));
        fault();
        sys::exit_user(3);
    }
    pm.wait4(Wait4 { pid: pid as i32, options: 0 })
}

fn read_null() {
    // SAFETY: nothing is there, so the process ends here, which is what it is for.
    unsafe { asm!("mov {0}, [{0}]", inout(reg) 8_u64 => _, options(nostack)) }
}

fn write_text() {
    // SAFETY: text is not written, so the process ends here, which is what it is for.
    unsafe { asm!("mov byte ptr [{}], 0", in(reg) write_text as fn() as usize, options(nostack)) }
}

fn divide() {
    // SAFETY: nothing can be divided by 0, so the process ends here, which is what it is for.
    unsafe { asm!("xor ecx, ecx", "div rcx", inout("rax") 1_u64 => _, inout("rdx") 0_u64 => _, out("rcx") _) }
}

fn undefined() {
    // SAFETY: this is no instruction, so the process ends here, which is what it is for.
    unsafe { asm!("ud2") }
}
