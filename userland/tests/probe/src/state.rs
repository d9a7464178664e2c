//! Everything that a program can see in the processor.

use crate::Random;

/// The general registers, in the order in which [`State`] holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
#[allow(missing_docs)] // The processor's own names.
pub enum Register {
    Rax,
    Rbx,
    Rcx,
    Rdx,
    Rsi,
    Rdi,
    Rbp,
    Rsp,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
}

impl Register {
    /// All of them, in order.
    pub const ALL: [Self; 16] = [
        Self::Rax,
        Self::Rbx,
        Self::Rcx,
        Self::Rdx,
        Self::Rsi,
        Self::Rdi,
        Self::Rbp,
        Self::Rsp,
        Self::R8,
        Self::R9,
        Self::R10,
        Self::R11,
        Self::R12,
        Self::R13,
        Self::R14,
        Self::R15,
    ];

    /// Those that carry a message's payload, in order.
    pub const BODY: [Self; 7] = [Self::R8, Self::R9, Self::R10, Self::R12, Self::R13, Self::R14, Self::R15];
}

/// An FXSAVE area (Intel SDM volume 1, table 10-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(16))]
pub struct Fpu {
    /// x87 control word.
    pub control: u16,
    /// x87 status word.
    pub status: u16,
    /// A bit for each x87 register in use.
    pub tags: u8,
    reserved: u8,
    /// Opcode and addresses of the last x87 instruction. Some processors show them after an exception only.
    pub last: [u16; 9],
    /// MXCSR.
    pub mxcsr: u32,
    mxcsr_mask: u32,
    /// x87 registers, of which the lower half are the MMX registers; 10 bytes each.
    pub st: [[u16; 8]; 8],
    /// SSE registers.
    pub xmm: [u128; 16],
    unused: [u128; 6],
}

const _: () = assert!(size_of::<Fpu>() == 512);

impl Fpu {
    /// The state that a program starts with (Intel SDM volume 3, section 9.2: after FNINIT and with the default MXCSR).
    pub const INITIAL: Self = Self {
        control: 0x37f,
        status: 0,
        tags: 0,
        reserved: 0,
        last: [0; 9],
        mxcsr: 0x1f80,
        mxcsr_mask: 0,
        st: [[0; 8]; 8],
        xmm: [0; 16],
        unused: [0; 6],
    };

    /// Control bits of MXCSR that may be set at will: all but the exception flags and the reserved upper half.
    const MXCSR_CONTROL: u32 = 0xffc0;
    /// Control bits of the x87 control word: exception masks, precision, rounding. Bit 6 always reads as set.
    const X87_CONTROL: u16 = 0x0f3f;
    const X87_CONTROL_ONE: u16 = 0x0040;
    /// Top of stack and condition codes of the x87 status word; not the exceptions, which would be raised.
    const X87_STATUS: u16 = 0x7f00;
    /// Words of an x87 register that exist; the rest of its 16 bytes is reserved.
    const ST_WORDS: usize = 5;

    fn pattern(random: &mut Random) -> Self {
        let mut fpu = Self {
            control: random.word() as u16 & Self::X87_CONTROL | Self::X87_CONTROL_ONE,
            status: random.word() as u16 & Self::X87_STATUS,
            tags: 0xff,
            mxcsr: random.word() as u32 & Self::MXCSR_CONTROL,
            xmm: core::array::from_fn(|_| u128::from(random.word()) << 64 | u128::from(random.word())),
            ..Self::INITIAL
        };
        for word in fpu.st.iter_mut().flat_map(|st| &mut st[..Self::ST_WORDS]) {
            *word = random.word() as u16;
        }
        fpu
    }

    /// Name of the first part that differs.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<&'static str> {
        let parts = [
            ("x87 control word", self.control == other.control),
            ("x87 status word", self.status == other.status),
            ("x87 tags", self.tags == other.tags),
            ("last x87 instruction", self.last == other.last),
            ("MXCSR", self.mxcsr == other.mxcsr),
            ("x87 and MMX registers", self.st == other.st),
            ("xmm registers", self.xmm == other.xmm),
        ];
        parts.iter().find(|(_, equal)| !equal).map(|&(name, _)| name)
    }
}

/// All registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(16))]
pub struct State {
    /// Floating point and vectors.
    pub fpu: Fpu,
    /// General registers, in the order of [`Register::ALL`].
    pub general: [u64; 16],
    /// Flags.
    pub rflags: u64,
    /// ds, es, fs, gs.
    pub selectors: [u16; 4],
}

impl State {
    /// Flags that programs find set: the one that is always 1, and "interrupts on".
    pub const FLAGS_SET: u64 = 0x202;
    /// Flags that a program may set without being disturbed: CF PF AF ZF SF DF OF NT AC ID.
    pub const FLAGS_FREE: u64 = 0x0024_4cd5;
    /// Flags of arithmetic: CF PF AF ZF SF OF.
    pub const FLAGS_ARITHMETIC: u64 = 0x8d5;

    /// Initial FPU state, initial flags, all else zero.
    pub const INITIAL: Self = Self { fpu: Fpu::INITIAL, general: [0; 16], rflags: Self::FLAGS_SET, selectors: [0; 4] };

    /// All registers filled with what belongs to `seed`. Selectors are left alone: few values can be loaded.
    #[must_use]
    pub fn pattern(seed: u64) -> Self {
        let mut random = Random::new(seed);
        Self {
            fpu: Fpu::pattern(&mut random),
            general: core::array::from_fn(|_| random.word()),
            rflags: Self::FLAGS_SET | random.word() & Self::FLAGS_FREE,
            selectors: [0; 4],
        }
    }

    /// A general register.
    #[must_use]
    pub const fn get(&self, register: Register) -> u64 {
        self.general[register as usize]
    }

    /// Sets a general register.
    pub const fn set(&mut self, register: Register, value: u64) {
        self.general[register as usize] = value;
    }

    /// The first of these registers that differs.
    #[must_use]
    pub fn difference(&self, other: &Self, registers: &[Register]) -> Option<Register> {
        registers.iter().copied().find(|&r| self.get(r) != other.get(r))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_repeat_and_differ_everywhere() {
        let (a, b) = (State::pattern(1), State::pattern(2));
        assert_eq!(a, State::pattern(1));
        assert!(Register::ALL.iter().all(|&r| a.get(r) != b.get(r)));
        assert!((0..16).all(|i| a.fpu.xmm[i] != b.fpu.xmm[i]));
        assert!((0..8).all(|i| a.fpu.st[i] != b.fpu.st[i]));
        assert!(a.fpu.mxcsr != b.fpu.mxcsr && a.fpu.control != b.fpu.control && a.rflags != b.rflags);
    }

    #[test]
    fn patterns_can_be_loaded() {
        for seed in 0..1000 {
            let s = State::pattern(seed);
            assert_eq!(s.fpu.mxcsr & !Fpu::MXCSR_CONTROL, 0);
            assert_eq!(s.rflags & !(State::FLAGS_FREE | 0x200), 2);
            assert_eq!(s.fpu.status & 0x80ff, 0, "no pending exception");
        }
    }

    #[test]
    fn each_difference_is_found() {
        let a = State::pattern(1);
        for register in Register::ALL {
            let mut b = a;
            b.set(register, !a.get(register));
            assert_eq!(a.difference(&b, &Register::ALL), Some(register));
        }
        let mut b = a.fpu;
        b.xmm[15] ^= 1 << 127;
        assert_eq!(a.fpu.difference(&b), Some("xmm registers"));
        let mut b = a.fpu;
        b.st[7][4] ^= 1;
        assert_eq!(a.fpu.difference(&b), Some("x87 and MMX registers"));
        let mut b = a.fpu;
        b.mxcsr_mask = 7;
        assert_eq!(a.fpu.difference(&b), None, "says what the processor can do");
    }
}
