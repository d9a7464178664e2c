//! Registers of a program, as they are saved on its stack when it gets a signal, and shown to a tracer.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Bytes of the state of x87 and SSE, as FXSAVE64 lays it out (Intel SDM volume 1, 10.5.1).
pub const FPU_LEN: usize = 512;

/// All registers of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C, align(16))]
#[allow(missing_docs)] // The names say it.
pub struct Context {
    pub rax: u64,
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rbp: u64,
    pub rsp: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rip: u64,
    pub rflags: u64,
    pub fpu: [u8; FPU_LEN],
}

/// What a signal handler finds on its stack, above the address that it returns to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C, align(16))]
pub struct SignalFrame {
    /// [`SignalFrame::MAGIC`].
    pub magic: u64,
    /// The signal mask to go back to.
    pub mask: u64,
    /// The registers to go back to.
    pub context: Context,
}

impl SignalFrame {
    /// Tells a frame from other memory.
    pub const MAGIC: u64 = u64::from_le_bytes(*b"SELIXSIG");
}

const _: () = assert!(size_of::<SignalFrame>() == 16 + 18 * 8 + FPU_LEN);
