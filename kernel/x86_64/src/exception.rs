//! Exceptions: those of programs are signals to them, one in ring 0 is a bug.

use crate::cpu::CpuLocal;
use crate::frame::Frame;
use crate::paging;
use crate::run::{State, StateGuard, act, leave, load_space, lock, state};
use abi::Signal;
use core::fmt;
use kernel_core::{MemoryAccess, Partner};

/// An exception in ring 3; the registers of the process are saved.
pub(crate) unsafe extern "sysv64" fn exception_entry(local: &mut CpuLocal, vector: u64, error: u64) -> *const Frame {
    let mut guard = lock(local);
    let State { kernel, machine } = state(&mut guard);
    // SAFETY: `current` is the process that the exception came from.
    let rip = unsafe { (*local.current).rip };
    let exception = Exception::new(vector as u8, error, rip);
    let partner = match exception.memory_access() {
        Some(access) => kernel.fast_page_fault(machine, local.id, exception.address, access),
        None if exception.is_machine_failure() => None,
        None => kernel.fast_exception(machine, local.id, exception.signal()),
    };
    if let Some(Partner { process, load }) = partner {
        load_space(load);
        local.current = &raw mut process.frame;
        return local.current;
    }
    ordinary(local, guard, &exception)
}

/// An exception that something is in the way of.
#[cold]
fn ordinary(local: &mut CpuLocal, mut guard: StateGuard, exception: &Exception) -> *const Frame {
    let State { kernel, machine } = state(&mut guard);
    assert!(!exception.is_machine_failure(), "{exception} in a process");
    let why = format_args!("{exception}");
    let action = match exception.memory_access() {
        Some(access) => kernel.memory_fault(machine, local.id, exception.address, access, why),
        None => kernel.exception(machine, local.id, exception.signal(), why),
    };
    act(kernel, action);
    leave(local, guard)
}

/// An exception, as a person wants to read it.
struct Exception {
    vector: u8,
    error: u64,
    /// The address that a page fault is about.
    address: u64,
    rip: u64,
}

impl Exception {
    fn new(vector: u8, error: u64, rip: u64) -> Self {
        // SAFETY: reads CR2.
        let address = unsafe { x86::controlregs::cr2() } as u64;
        Self { vector, error, address, rip }
    }

    /// Double faults and machine checks say nothing about the process in which they come.
    fn is_machine_failure(&self) -> bool {
        [8, 18].contains(&self.vector)
    }

    /// What was tried with memory; `None` if it is no page fault.
    fn memory_access(&self) -> Option<MemoryAccess> {
        const PAGE_FAULT: u8 = 14;
        (self.vector == PAGE_FAULT).then_some(match self.error {
            e if e & 1 << 4 != 0 => MemoryAccess::Execute,
            e if e & 1 << 1 != 0 => MemoryAccess::Write,
            _ => MemoryAccess::Read,
        })
    }

    /// The signal that it is to the process.
    fn signal(&self) -> Signal {
        match self.vector {
            0 | 4 | 5 | 16 | 19 => Signal::FPE,
            1 | 3 => Signal::TRAP,
            6 | 7 => Signal::ILL,
            17 => Signal::BUS,
            _ => Signal::SEGV,
        }
    }

    fn name(&self) -> &'static str {
        match self.vector {
            0 => "divide error",
            1 => "debug exception",
            3 => "breakpoint",
            4 => "overflow",
            5 => "bound range exceeded",
            6 => "invalid opcode",
            7 => "device not available",
            8 => "double fault",
            10 => "invalid task state",
            11 => "segment not present",
            12 => "stack fault",
            13 => "general protection",
            14 => "page fault",
            16 => "x87 floating-point error",
            17 => "alignment check",
            18 => "machine check",
            19 => "SIMD floating-point error",
            21 => "control protection",
            _ => "exception",
        }
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name())?;
        if let Some(access) = self.memory_access() {
            let verb = match access {
                MemoryAccess::Execute => "executing",
                MemoryAccess::Write => "writing",
                MemoryAccess::Read => "reading",
            };
            let why = if self.error & 1 != 0 { "not allowed" } else { "not mapped" };
            write!(f, " {verb} {:#x}, {why},", self.address)?;
        } else {
            write!(f, " (vector {}, error code {:#x})", self.vector, self.error)?;
        }
        write!(f, " rip {:#x}", self.rip)
    }
}

/// Registers of ring 0 as `entry` pushes them at an exception.
#[repr(C)]
pub(crate) struct KernelRegisters {
    rax: u64,
    rbx: u64,
    rcx: u64,
    rdx: u64,
    rsi: u64,
    rdi: u64,
    rbp: u64,
    r8: u64,
    r9: u64,
    r10: u64,
    r11: u64,
    r12: u64,
    r13: u64,
    r14: u64,
    r15: u64,
    vector: u64,
    error: u64,
    rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,
}

/// An exception in ring 0: a bug.
pub(crate) unsafe extern "sysv64" fn kernel_exception_entry(r: &KernelRegisters) -> ! {
    let exception = Exception::new(r.vector as u8, r.error, r.rip);
    panic!(
        "{exception} in the kernel\n\
         rax {:016x} rbx {:016x} rcx {:016x} rdx {:016x}\n\
         rsi {:016x} rdi {:016x} rbp {:016x} rsp {:016x}\n\
         r8  {:016x} r9  {:016x} r10 {:016x} r11 {:016x}\n\
         r12 {:016x} r13 {:016x} r14 {:016x} r15 {:016x}\n\
         cs {:x} ss {:x} rflags {:x} cr3 {:016x}",
        r.rax,
        r.rbx,
        r.rcx,
        r.rdx,
        r.rsi,
        r.rdi,
        r.rbp,
        r.rsp,
        r.r8,
        r.r9,
        r.r10,
        r.r11,
        r.r12,
        r.r13,
        r.r14,
        r.r15,
        r.cs,
        r.ss,
        r.rflags,
        paging::current().physical(),
    )
}
