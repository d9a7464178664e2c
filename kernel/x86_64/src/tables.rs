//! Segments, the task state segment, and the interrupt table.
//!
//! Every gate has an interrupt stack, because a red zone may lie below the stack pointer wherever ring 0 is interrupted.
//! From ring 3 such a stack is a landing pad: the entry code saves the registers and moves on to the kernel stack. There
//! are seven; those that may strike ring 0 anywhere have their own, and the address of their processor's [`CpuLocal`] at
//! the base, since GS may still be the program's.

use crate::cpu::{CpuLocal, Stacks};
use crate::entry;
use core::arch::asm;
use core::cell::UnsafeCell;
use x86::dtables::{DescriptorTablePointer, lgdt, lidt, load_ldtr};
use x86::segmentation::SegmentSelector;
use x86::task::load_tr;

/// Interrupt stacks in use. Their numbers, as gates name them, start at 1.
pub(crate) const INTERRUPT_STACKS: usize = 6;
const LANDING: u8 = 1;
const PAGE_FAULT: u8 = 2;
const DOUBLE_FAULT: u8 = 3;
const NMI: u8 = 4;
const MACHINE_CHECK: u8 = 5;
const DEBUG: u8 = 6;

pub(crate) const KERNEL_CODE: u16 = 0x08;
const KERNEL_DATA: u16 = 0x10;
/// SYSRET takes the stack segment 8 and the 64-bit code segment 16 above this, so nothing is at this place itself.
pub(crate) const SYSRET_BASE: u16 = 0x18;
/// Data and stack segment of programs, with their privilege level.
pub(crate) const USER_DATA: u16 = 0x20 | 3;
/// Code segment of programs, with their privilege level.
pub(crate) const USER_CODE: u16 = 0x28 | 3;
const TASK: u16 = 0x30;

const CODE_SEGMENT: u64 = 0x00af_9a00_0000_ffff;
const DATA_SEGMENT: u64 = 0x00cf_9200_0000_ffff;
const RING_3: u64 = 3 << 45;

/// Task state segment (Intel SDM volume 3, 8.7): the stacks, and no I/O permission map.
#[repr(C, packed(4))]
struct TaskState {
    reserved: u32,
    ring_stacks: [u64; 3],
    reserved_2: u64,
    interrupt_stacks: [u64; 7],
    reserved_3: u64,
    reserved_4: u16,
    io_map: u16,
}

/// The tables of one processor.
pub(crate) struct Tables {
    segments: [u64; 8],
    task: TaskState,
}

impl Tables {
    pub(crate) const EMPTY: Self = Self {
        segments: [0; 8],
        task: TaskState {
            reserved: 0,
            ring_stacks: [0; 3],
            reserved_2: 0,
            interrupt_stacks: [0; 7],
            reserved_3: 0,
            reserved_4: 0,
            // Beyond the limit: no port is open to programs.
            io_map: size_of::<TaskState>() as u16,
        },
    };

    /// Fills the tables in and makes the processor use them.
    ///
    /// # Safety
    /// Called once for each processor, on it; `self` stays where it is, and `stacks` are its own.
    pub(crate) unsafe fn load(&mut self, local: *mut CpuLocal, stacks: *mut Stacks) {
        let mut tops = [0; 7];
        for (i, top) in tops.iter_mut().take(INTERRUPT_STACKS).enumerate() {
            // SAFETY: the stacks are ours; the base of each holds the pointer, below it the stack begins.
            unsafe {
                let base = (&raw mut (*stacks).interrupt[i]).add(1).cast::<[*mut CpuLocal; 2]>().sub(1);
                base.cast::<*mut CpuLocal>().write(local);
                *top = base as u64;
            }
        }
        self.task.interrupt_stacks = tops;
        let task = &raw const self.task as u64;
        let limit = size_of::<TaskState>() as u64 - 1;
        const PRESENT_TASK: u64 = 0x89 << 40;
        self.segments = [
            0,
            CODE_SEGMENT,
            DATA_SEGMENT,
            0,
            DATA_SEGMENT | RING_3,
            CODE_SEGMENT | RING_3,
            limit | (task & 0xff_ffff) << 16 | PRESENT_TASK | (task >> 24 & 0xff) << 56,
            task >> 32,
        ];
        // SAFETY: the tables are complete and stay; the far return reloads the code segment with our own.
        unsafe {
            lgdt(&DescriptorTablePointer::new_from_slice(&self.segments));
            asm!(
                "mov ss, {data:e}",
                "mov ds, {null:e}",
                "mov es, {null:e}",
                "mov fs, {null:e}",
                "mov gs, {null:e}",
                "push {code}",
                "lea {scratch}, [rip + 2f]",
                "push {scratch}",
                "retfq",
                "2:",
                data = in(reg) u64::from(KERNEL_DATA),
                null = in(reg) 0_u64,
                code = in(reg) u64::from(KERNEL_CODE),
                scratch = out(reg) _,
            );
            load_tr(SegmentSelector::from_raw(TASK));
            load_ldtr(SegmentSelector::from_raw(0)); // Whatever the firmware had: no selector leads there.
            lidt(&DescriptorTablePointer::new_from_slice(interrupt_table()));
        }
    }
}

/// An entry of the interrupt table (Intel SDM volume 3, 6.14.1).
#[derive(Clone, Copy)]
#[repr(C)]
struct Gate {
    offset_low: u16,
    segment: u16,
    stack: u8,
    kind: u8,
    offset_middle: u16,
    offset_high: u32,
    reserved: u32,
}

const GATES: usize = 256;
const BREAKPOINT: usize = 3;

struct InterruptTable(UnsafeCell<[Gate; GATES]>);

// SAFETY: written by the boot processor before any other reads it, see `interrupt_table`.
unsafe impl Sync for InterruptTable {}

static TABLE: InterruptTable = InterruptTable(UnsafeCell::new(
    [Gate { offset_low: 0, segment: 0, stack: 0, kind: 0, offset_middle: 0, offset_high: 0, reserved: 0 }; GATES],
));

/// The stack of a vector.
const fn stack_of(vector: usize) -> u8 {
    match vector {
        1 => DEBUG,
        2 => NMI,
        8 => DOUBLE_FAULT,
        14 => PAGE_FAULT,
        18 => MACHINE_CHECK,
        _ => LANDING,
    }
}

// The rule that every gate has an interrupt stack, and one that exists.
const _: () = {
    let mut vector = 0;
    while vector < GATES {
        assert!(1 <= stack_of(vector) && stack_of(vector) as usize <= INTERRUPT_STACKS);
        vector += 1;
    }
};

/// The table, filled in.
fn interrupt_table() -> &'static [Gate] {
    const INTERRUPT_GATE: u8 = 0x8e;
    const FROM_RING_3: u8 = 3 << 5;
    // SAFETY: processors are started one after the other, and each writes the same.
    let table = unsafe { &mut *TABLE.0.get() };
    for (vector, gate) in table.iter_mut().enumerate() {
        let handler = entry::handler(vector);
        *gate = Gate {
            offset_low: handler as u16,
            segment: KERNEL_CODE,
            stack: stack_of(vector),
            kind: INTERRUPT_GATE | if vector == BREAKPOINT { FROM_RING_3 } else { 0 },
            offset_middle: (handler >> 16) as u16,
            offset_high: (handler >> 32) as u32,
            reserved: 0,
        };
    }
    table
}
