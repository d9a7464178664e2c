//! What the suite [orders](suite::orders) a player to do.
#![no_std]

use abi::layout::PAGE_SIZE;
use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

mod files {
    //! The calls by which the suite tells the stand-in of the file server how to do its work.

    protocol::protocol! {
        files = 0x7300;

        /// From now on it answers so.
        1 fn behave(Behave { how: crate::How }) -> Behaved {};
        /// Answers what it has held back.
        2 fn release(Release {}) -> Released {};
        /// What it has been asked, and what it has open for the memory server.
        3 fn tell(Tell {}) -> Told {
            look_ups: u64,
            reads: u64,
            closes: u64,
            open: u64,
            /// 1 while it holds an answer back.
            held: u64,
            /// What has become of the last [`FixFor`]: 0 if it is not answered, 1 if it is, else a negative error number.
            fixed: i64,
            /// What the memory server says to wrong answers: an error number for each kind of them, in 16 bits.
            refusals: u64
        };
        /// Has a range of a process made available, without waiting.
        4 fn fix_for(FixFor { process: abi::Endpoint, reserved: u32, address: u64, len: u64 }) -> FixBegun {};
        /// Fills memory of a process. The error is that of the kernel.
        5 fn fill(FillIn { process: abi::Endpoint, reserved: u32, address: u64, len: u64 }) -> Filled {};
        /// Maps a part of a file for a process that is being loaded.
        6 fn load(Load { process: abi::Endpoint, clear_end: u32, inode: u64, address: u64, len: u64, offset: u64 }) -> Loaded {};
    }
}

pub use files::{
    Behave, Behaved, Client as FilesClient, FillIn, Filled, FixBegun, FixFor, Load, Loaded, PROTOCOL as FILES_PROTOCOL,
    Release, Released, Server as FilesServer, Tell, Told, answer as answer_files,
};

/// How the stand-in answers the memory server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(u64)]
pub enum How {
    /// As it should.
    Well,
    /// With an error.
    Failing,
    /// Not before it is told to.
    Late,
    /// With success, but nothing is read.
    Lying,
    /// First with wrong numbers, then as it should.
    Guessing,
}

/// The device with the files.
pub const DEVICE: u64 = 5;

/// Files by their numbers, which are the descriptors of all processes: their bytes.
pub const SIZES: [(u64, u64); 3] = [(3, 3 * PAGE_SIZE), (4, PAGE_SIZE + 24), (5, 64 * PAGE_SIZE)];

/// A word of a file, by its page and the word there; never zero.
pub const fn word_of(inode: u64, page: u64, word: u64) -> u64 {
    inode << 48 | (page + 1) << 16 | word
}

/// Name of the stand-in of the file server.
pub const FILES: &str = "files";

/// What a player can do; the words of the order are its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(u64)]
pub enum Do {
    /// Nothing.
    Nothing,
    /// Reads a word at an address.
    Read,
    /// Writes it.
    Write,
    /// Reads the first word of each of so many pages; tells their sum.
    Sum,
    /// Writes the first word of each: a number that grows from page to page.
    Fill,
    /// Asks the memory server: the kind of a request, and its payload.
    Ask,
    /// Makes a kernel call: its kind, and its payload.
    Call,
    /// Sends the memory server a notification.
    Notify,
    /// Calls a function at an address.
    Jump,
    /// Ends.
    Exit,
}

/// Name of the program that players are forked from.
pub const SEED: &str = "player";
/// Name of the suite.
pub const SUITE: &str = "suite";
/// Name of the memory server.
pub const SERVER: &str = "vm";
