//! Which instructions are told of. Pure.

use iced_x86::{Code, Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};

/// First address of the kernel's half of the address space: what is executed there, runs in ring 0.
pub(crate) const KERNEL_START: u64 = 0xffff_8000_0000_0000;

/// The width of the guest's instructions. Firmware and loader have others, but run below the kernel.
const BITS: u32 = 64;

const LOADS_SEGMENT: [Code; 3] = [Code::Mov_Sreg_rm16, Code::Mov_Sreg_r32m16, Code::Mov_Sreg_r64m16];

/// Something that was executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Event {
    /// A program reads the time-stamp counter: it begins or ends a measurement.
    Rdtsc,
    /// The kernel writes to an I/O port, as it does for each character of its log.
    Out,
    /// The FPU state is saved.
    Fxsave,
    /// The FPU state is loaded.
    Fxrstor,
    /// CR3 is written, which empties the TLB.
    Cr3,
    /// A page is taken out of the TLB.
    Invlpg,
    /// A model-specific register is written.
    Wrmsr,
    /// The two GS bases change places.
    Swapgs,
    /// A data segment register is loaded.
    Segment,
    /// Memory is changed atomically.
    Atomic,
    /// The processor waits for an interrupt.
    Hlt,
}

impl Event {
    pub(crate) const ALL: [Self; 11] = [
        Self::Rdtsc,
        Self::Out,
        Self::Fxsave,
        Self::Fxrstor,
        Self::Cr3,
        Self::Invlpg,
        Self::Wrmsr,
        Self::Swapgs,
        Self::Segment,
        Self::Atomic,
        Self::Hlt,
    ];

    /// Its name in the file.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Rdtsc => "rdtsc",
            Self::Out => "out",
            Self::Fxsave => "fxsave",
            Self::Fxrstor => "fxrstor",
            Self::Cr3 => "cr3",
            Self::Invlpg => "invlpg",
            Self::Wrmsr => "wrmsr",
            Self::Swapgs => "swapgs",
            Self::Segment => "segment",
            Self::Atomic => "atomic",
            Self::Hlt => "hlt",
        }
    }

    /// What an instruction at this address is, if it is to be told of.
    pub(crate) fn of(address: u64, bytes: &[u8]) -> Option<Self> {
        let instruction = Decoder::with_ip(BITS, bytes, address, DecoderOptions::NONE).decode();
        if instruction.code() == Code::INVALID {
            return None;
        }
        let is_kernel = address >= KERNEL_START;
        Some(match instruction.mnemonic() {
            Mnemonic::Rdtsc if !is_kernel => Self::Rdtsc,
            _ if !is_kernel => return None,
            Mnemonic::Out | Mnemonic::Outsb | Mnemonic::Outsw | Mnemonic::Outsd => Self::Out,
            Mnemonic::Fxsave | Mnemonic::Fxsave64 => Self::Fxsave,
            Mnemonic::Fxrstor | Mnemonic::Fxrstor64 => Self::Fxrstor,
            Mnemonic::Invlpg => Self::Invlpg,
            Mnemonic::Wrmsr => Self::Wrmsr,
            Mnemonic::Swapgs => Self::Swapgs,
            Mnemonic::Hlt => Self::Hlt,
            Mnemonic::Mov if instruction.op0_register() == Register::CR3 => Self::Cr3,
            _ if LOADS_SEGMENT.contains(&instruction.code()) => Self::Segment,
            _ if is_atomic(&instruction) => Self::Atomic,
            _ => return None,
        })
    }
}

/// Exchanges with memory lock the bus without being told to.
fn is_atomic(instruction: &Instruction) -> bool {
    let exchanges = instruction.mnemonic() == Mnemonic::Xchg;
    instruction.has_lock_prefix() || exchanges && (0..2).any(|operand| instruction.op_kind(operand) == OpKind::Memory)
}
