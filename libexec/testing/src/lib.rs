//! ELF files to test readers of ELF with: [good ones](good), [malformed ones](malformed()) with the error that each
//! deserves, and [mutated ones](mutation); and [what must hold](property) for all bytes whatsoever.

mod file;
pub mod good;
mod malformed;
pub mod mutation;
pub mod property;

pub use file::{ElfFile, Field, dynamic, header, program, rela, relr};
pub use malformed::{Malformed, malformed};
