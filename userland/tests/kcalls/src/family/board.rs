//! A page that the suite and a child both see: how they tell each other what no message should be needed for.

use core::sync::atomic::{AtomicU64, Ordering};
use rt::Registers;

/// Where a child sees its board.
pub(crate) const BOARD: u64 = 0x60_0000;
/// Words of a page.
const WORDS: usize = 512;
/// Where registers lie on a board.
const REGISTERS: usize = 16;

/// The page. All accesses are atomic; a word of it is named by a number.
#[derive(Debug)]
#[repr(C, align(4096))]
pub struct Board([AtomicU64; WORDS]);

impl Board {
    /// The endpoint that a child talks to.
    pub const PARTNER: usize = 0;
    /// How far a child has come.
    pub const COUNT: usize = 1;
    /// What it found wrong.
    pub const TROUBLE: usize = 2;
    /// A number that the test gives to it.
    pub const ARGUMENT: usize = 3;
    /// What it has to say.
    pub const RESULT: usize = 4;
    /// The first word that is nobody's: tests put there what they like.
    pub const FREE: usize = 64;

    /// Reads a word.
    pub fn get(&self, word: usize) -> u64 {
        self.0[word].load(Ordering::SeqCst)
    }

    /// Writes a word.
    pub fn set(&self, word: usize, value: u64) {
        self.0[word].store(value, Ordering::SeqCst);
    }

    /// Counts one up. Only one process writes a word.
    pub fn count(&self, word: usize) {
        self.set(word, self.get(word).wrapping_add(1));
    }

    /// Writes the registers of a trap.
    pub fn set_registers(&self, registers: &Registers) {
        let Registers { rax, rdi, rsi, rdx, body } = *registers;
        for (i, value) in [rax, rdi, rsi, rdx].into_iter().chain(body).enumerate() {
            self.set(REGISTERS + i, value);
        }
    }

    /// Reads them.
    pub fn registers(&self) -> Registers {
        let at = |i| self.get(REGISTERS + i);
        let body = core::array::from_fn(|i| at(4 + i));
        Registers { rax: at(0), rdi: at(1), rsi: at(2), rdx: at(3), body }
    }

    /// The board at an address where the suite has mapped one.
    ///
    /// # Safety
    /// There is one, as long as anybody uses what this returns.
    pub(crate) unsafe fn at(address: u64) -> &'static Self {
        // SAFETY: by contract; all accesses to it are atomic, and any bytes are words.
        unsafe { &*core::ptr::with_exposed_provenance(address as usize) }
    }
}

/// A child's own board.
#[must_use]
pub fn own_board() -> &'static Board {
    // SAFETY: every child has one there; only children call this. Without one, they get a page fault.
    unsafe { Board::at(BOARD) }
}
