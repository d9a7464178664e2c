//! ELF bytes to a checked load plan, and a program started as planned.
//!
//! [`plan`] checks a whole file once and says what a loader has to do; [`Plan::at`] decides on an address. [`exec`] does it,
//! through the callbacks of a [`Source`] that has the file and a [`Target`] that has the memory. The crate itself maps
//! nothing, copies nothing and waits for nothing. Its input is hostile: it takes bytes of any kind and alignment, does work
//! linear in their number, and never panics.
//!
//! Accepted are static programs for x86-64: 64-bit little-endian ELF, [fixed](Placement::Fixed) (`ET_EXEC`) or
//! [relocatable](Placement::Relocatable) (static-pie `ET_DYN`), whose segments are each readable, never both writable and
//! executable, in ascending order, and on pages of their own. An empty segment is checked like any other and then left
//! out. Formats and names are those of the System V gABI and of its x86-64 supplement.
//!
//! Not read, because no program needs it to run: the section headers, `e_flags`, the OS ABI bytes of `e_ident`, physical
//! addresses, `PT_PHDR`, `PT_GNU_RELRO`, and the dynamic entries that say nothing about relocations; and of programs that
//! relocate themselves ([`Relocator::Program`]) not those either.
#![no_std]

pub mod auxv;
mod dynamic;
mod error;
mod exec;
mod failure;
mod frame;
mod header;
mod note;
mod plan;
mod relocation;
mod request;
mod run;
mod segment;
mod source;
mod target;
mod writer;

pub use error::{
    DynamicFault, ElfError, FileFault, HeaderFault, PairFault, PlaceFault, PlanError, RelocationFault, Table,
};
pub use exec::{Loaded, exec};
pub use failure::{ExecError, Failure, FrameFault, Refusal, StackFault, Step};
pub use plan::{Placed, Placement, Plan, ProgramHeaders, Relocator, plan, plan_from};
pub use relocation::{Relocation, Relocations};
pub use request::{Accept, Facts, Request, Trust};
pub use run::run;
pub use segment::{Access, Segment, Tls};
pub use source::{EndOfFile, Source};
pub use target::{FileMapping, Fill, Mapped, Reservation, Section, Start, Target};

/// Most segments in memory (`PT_LOAD` program headers that are not empty).
pub const MAX_SEGMENTS: usize = 16;

/// Most program headers of any kind.
pub const MAX_PROGRAM_HEADERS: u16 = 64;

/// Largest alignment that a segment may ask for, in bytes: the largest page of x86-64. [`abi::layout::PIE_BASE`] is a
/// multiple of it.
pub const MAX_SEGMENT_ALIGN: u64 = 1 << 30;

/// Largest alignment of thread-local storage, in bytes.
pub const MAX_TLS_ALIGN: u64 = abi::layout::PAGE_SIZE;

/// Most bytes that a [`Source`] is asked for at once.
pub const READ_MAX: usize = 1024;

/// Most bytes that [`Target::write`] gets at once.
pub const WRITE_MAX: usize = 1024;

/// Most bytes of the whole stack frame: pointers, auxiliary vector, strings of arguments and environment.
pub const ARG_MAX: u64 = 256 * 1024;

/// Bytes of the stack that a frame leaves to the program at least. Where the stack is small, its frame may be no more than
/// what is left; above that the limit is [`ARG_MAX`].
pub const STACK_ROOM: u64 = 4 * abi::layout::PAGE_SIZE;

/// How far above [`abi::layout::PIE_BASE`] the base of a relocatable program may be chosen, in bytes: 16 TiB, so 32 bits of
/// choice for programs aligned to a page.
pub const PIE_SPAN: u64 = 1 << 44;

const _: () = assert!(PIE_SPAN.is_multiple_of(MAX_SEGMENT_ALIGN));
const _: () = assert!(abi::layout::PIE_BASE.is_multiple_of(MAX_SEGMENT_ALIGN));
