//! What the entries of an auxiliary vector are called. Numbers as on Linux; the first ten are in the System V ABI, x86-64
//! supplement, too. Each entry is two words: one of these, and its value. [`NULL`] comes last.

/// End of the vector.
pub const NULL: u64 = 0;
/// Address of the program headers; left out where no segment contains them.
pub const PHDR: u64 = 3;
/// Bytes of a program header.
pub const PHENT: u64 = 4;
/// Number of program headers.
pub const PHNUM: u64 = 5;
/// Bytes of a page.
pub const PAGESZ: u64 = 6;
/// Base of the dynamic linker: 0, there is none.
pub const BASE: u64 = 7;
/// Flags: 0.
pub const FLAGS: u64 = 8;
/// Address of the program's first instruction.
pub const ENTRY: u64 = 9;
/// Real user.
pub const UID: u64 = 11;
/// Effective user.
pub const EUID: u64 = 12;
/// Real group.
pub const GID: u64 = 13;
/// Effective group.
pub const EGID: u64 = 14;
/// Features of the processor: EDX of CPUID leaf 1.
pub const HWCAP: u64 = 16;
/// How many ticks of `times` make a second.
pub const CLKTCK: u64 = 17;
/// 1 if the program has rights that its caller has not, else 0.
pub const SECURE: u64 = 23;
/// Address of 16 random bytes.
pub const RANDOM: u64 = 25;
/// Address of the name that the program was started by.
pub const EXECFN: u64 = 31;
