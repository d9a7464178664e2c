//! The saved registers of a process.

use abi::{BODY_WORDS, Context, Endpoint, FPU_LEN, Signal, Status};
use core::sync::atomic::{AtomicU32, Ordering};
use kernel_core::Request;

/// How a process came into the kernel, and so how it leaves. An interrupt says so in the frame, and leaving takes it back: so
/// a trap need not.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Entered {
    /// By SYSCALL: a function call to the process, which gets wiped vector registers.
    Trap = 0,
    /// By an interrupt or exception: it gets back everything.
    Interrupt = 1,
}

/// Registers as the entry code saves them. `rcx` and `r11`, the data segment registers and the FPU state are lost in a trap
/// and saved by an interrupt only.
#[derive(Clone)]
#[repr(C, align(16))]
pub struct Frame {
    pub(crate) rax: u64,
    pub(crate) rbx: u64,
    pub(crate) rcx: u64,
    pub(crate) rdx: u64,
    pub(crate) rsi: u64,
    pub(crate) rdi: u64,
    pub(crate) rbp: u64,
    pub(crate) rsp: u64,
    pub(crate) r11: u64,
    /// The registers that carry a payload: r8, r9, r10, r12, r13, r14, r15.
    pub(crate) body: [u64; BODY_WORDS],
    pub(crate) rip: u64,
    pub(crate) rflags: u64,
    pub(crate) entered: Entered,
    /// Data segment registers: ds, es, fs, gs.
    pub(crate) selectors: [u16; 4],
    pub(crate) fpu: Fpu,
}

/// The memory image of FXSAVE64 (Intel SDM volume 1, 10.5.1).
#[derive(Clone)]
#[repr(C, align(16))]
pub(crate) struct Fpu([u8; FPU_LEN]);

impl Fpu {
    /// The state that a process starts with and that a trap leaves: all registers zero and empty, all exceptions masked.
    pub(crate) const INITIAL: Self = {
        const CONTROL_WORD: u16 = 0x037f;
        const MXCSR: u32 = 0x1f80;
        let mut image = [0; 512];
        [image[0], image[1]] = CONTROL_WORD.to_le_bytes();
        [image[24], image[25], image[26], image[27]] = MXCSR.to_le_bytes();
        Self(image)
    };

    /// A state that a program chose: bits of MXCSR that the processors do not have would fault when it is loaded (Intel SDM
    /// volume 1, 10.2.3).
    fn chosen(mut image: [u8; FPU_LEN]) -> Self {
        const MXCSR: core::ops::Range<usize> = 24..28;
        let mxcsr = u32::from_le_bytes([image[24], image[25], image[26], image[27]]);
        image[MXCSR].copy_from_slice(&(mxcsr & MXCSR_BITS.load(Ordering::Relaxed)).to_le_bytes());
        Self(image)
    }
}

/// Bits of MXCSR that all processors have.
static MXCSR_BITS: AtomicU32 = AtomicU32::new(u32::MAX);

/// Finds out which bits of MXCSR the processor has that this runs on (Intel SDM volume 1, 11.6.6).
///
/// # Safety
/// FXSAVE is enabled.
pub(crate) unsafe fn init_mxcsr_bits() {
    /// All but "denormals are zeros": what a processor has that says nothing.
    const DEFAULT: u32 = 0xffbf;
    let mut image = Fpu::INITIAL;
    // SAFETY: the image has the length and the alignment; the caller vouches for the instruction.
    unsafe { core::arch::asm!("fxsave64 [{}]", in(reg) &raw mut image, options(nostack, preserves_flags)) };
    let own = match u32::from_le_bytes([image.0[28], image.0[29], image.0[30], image.0[31]]) {
        0 => DEFAULT,
        bits => bits,
    };
    MXCSR_BITS.fetch_and(own, Ordering::Relaxed);
}

/// Interrupts on, and the bit that is always one.
const USER_FLAGS: u64 = 0x202;
/// The flags that a program may choose: carry, parity, adjust, zero, sign, trap, direction, overflow, nested task, alignment
/// check and identification. All of them it can set by POPF as well; none is in force in the kernel, which every entry clears of
/// them.
const CHOSEN_FLAGS: u64 = 0x24_4dd5;
/// Bytes of the SYSCALL instruction.
const SYSCALL_LEN: u64 = 2;

impl Frame {
    /// A process that starts at `entry` with its stack below `stack`; all other registers are zero.
    pub fn starting_at(entry: u64, stack: u64) -> Self {
        Self { rip: entry, rsp: stack, rflags: USER_FLAGS, ..Self::EMPTY }
    }

    /// Where a register of the payload is.
    const fn body_offset(word: usize) -> usize {
        core::mem::offset_of!(Self, body) + word * size_of::<u64>()
    }

    pub(crate) const R8: usize = Self::body_offset(0);
    pub(crate) const R9: usize = Self::body_offset(1);
    pub(crate) const R10: usize = Self::body_offset(2);
    pub(crate) const R12: usize = Self::body_offset(3);
    pub(crate) const R13: usize = Self::body_offset(4);
    pub(crate) const R14: usize = Self::body_offset(5);
    pub(crate) const R15: usize = Self::body_offset(6);

    /// A frame of nobody.
    pub const EMPTY: Self = Self {
        rax: 0,
        rbx: 0,
        rcx: 0,
        rdx: 0,
        rsi: 0,
        rdi: 0,
        rbp: 0,
        rsp: 0,
        r11: 0,
        body: [0; BODY_WORDS],
        rip: 0,
        rflags: 0,
        entered: Entered::Interrupt,
        selectors: [0; 4],
        fpu: Fpu::INITIAL,
    };
}

impl Default for Frame {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl kernel_core::Frame for Frame {
    fn request(&self) -> Request {
        Request {
            rax: self.rax,
            destination: Endpoint::from_raw(self.rdi as u32),
            header: self.rsi,
            source: Endpoint::from_raw(self.rdx as u32),
        }
    }

    fn body(&self) -> [u64; BODY_WORDS] {
        self.body
    }

    fn body_mut(&mut self) -> &mut [u64; BODY_WORDS] {
        &mut self.body
    }

    fn set_head(&mut self, source: Endpoint, header: u64, status: Status) {
        self.rax = 0;
        self.rdi = source.raw().into();
        self.rsi = header;
        self.rdx = status.0;
    }

    fn table(&self) -> (u64, u64) {
        (self.rdi, self.rdx)
    }

    fn start(&mut self, entry: u64, stack: u64) {
        *self = Self::starting_at(entry, stack);
    }

    fn context(&self) -> Context {
        let Self { rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r11, rip, rflags, body, .. } = *self;
        let [r8, r9, r10, r12, r13, r14, r15] = body;
        // What a trap did not save it has lost: it gets the initial state.
        let fpu = match self.entered {
            Entered::Trap => Fpu::INITIAL.0,
            Entered::Interrupt => self.fpu.0,
        };
        Context { rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15, rip, rflags, fpu }
    }

    fn set_context(&mut self, context: &Context) {
        let Context { rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15, rip, rflags, fpu } =
            *context;
        *self = Self {
            rax,
            rbx,
            rcx,
            rdx,
            rsi,
            rdi,
            rbp,
            rsp,
            r11,
            body: [r8, r9, r10, r12, r13, r14, r15],
            rip,
            rflags: rflags & CHOSEN_FLAGS | USER_FLAGS,
            entered: Entered::Interrupt,
            selectors: [0; 4],
            fpu: Fpu::chosen(fpu),
        };
    }

    fn handle_signal(&mut self, handler: u64, stack: u64, signal: Signal, frame: u64) {
        *self = Self { rdi: signal.number().into(), rsi: frame, ..Self::starting_at(handler, stack) };
    }

    fn set_step(&mut self, on: bool) {
        const TRAP_FLAG: u64 = 1 << 8;
        self.rflags = if on { self.rflags | TRAP_FLAG } else { self.rflags & !TRAP_FLAG };
    }

    fn rewind_trap(&mut self) {
        self.rip -= SYSCALL_LEN;
    }

    fn set_result(&mut self, result: i64) {
        self.rax = result as u64;
    }
}
