//! ELF files to test readers of ELF with: [good ones](good), [malformed ones](malformed()) with the error that each
//! deserves, and [mutated ones](mutation); [what must hold](property) for all bytes whatsoever; and [a source](pieces) and
//! [a target](space) that hold a loader to its promises.

mod file;
pub mod good;
pub mod loading;
mod malformed;
pub mod mutation;
pub mod pieces;
pub mod property;
pub mod space;

pub use file::{ElfFile, Field, dynamic, header, program, rela, relr};
pub use malformed::{Malformed, malformed};
