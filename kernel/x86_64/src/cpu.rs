//! A processor: its features, its control registers, and what the kernel keeps for it.

use crate::apic;
use crate::frame::Frame;
use crate::paging;
use crate::tables::{self, Tables};
use abi::layout::PAGE_SIZE;
use core::cell::UnsafeCell;
use core::fmt;
use core::ptr::null_mut;
use core::sync::atomic::AtomicU64;
use kernel_core::{CpuId, MAX_CPUS};
use x86::controlregs::{Cr0, Cr4, cr0, cr0_write, cr4_write};
use x86::msr;

/// What the processor offers beyond what Selix needs.
#[derive(Clone, Copy, Debug)]
pub struct Features {
    /// Ring 0 cannot execute programs' memory.
    pub smep: bool,
    /// Ring 0 cannot touch programs' memory.
    pub smap: bool,
    /// Programs cannot read where the kernel's tables are.
    pub umip: bool,
    /// Kernel mappings stay in the TLB over a switch.
    pub global_pages: bool,
    /// Pages of 1 GiB.
    pub huge_pages: bool,
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { smep, smap, umip, global_pages, huge_pages } = *self;
        let named = [
            (smep, "smep"),
            (smap, "smap"),
            (umip, "umip"),
            (global_pages, "global pages"),
            (huge_pages, "1 GiB pages"),
        ];
        let mut names = named.iter().filter(|(there, _)| *there).map(|(_, name)| *name);
        f.write_str(names.next().unwrap_or("no extras"))?;
        names.try_for_each(|name| write!(f, ", {name}"))
    }
}

impl Features {
    /// Asks the processor.
    pub fn detect() -> Self {
        let cpuid = x86::cpuid::CpuId::new();
        let basic = cpuid.get_feature_info();
        let extended = cpuid.get_extended_feature_info();
        let processor = cpuid.get_extended_processor_and_feature_identifiers();
        Self {
            smep: extended.as_ref().is_some_and(|f| f.has_smep()),
            smap: extended.as_ref().is_some_and(|f| f.has_smap()),
            umip: extended.as_ref().is_some_and(|f| f.has_umip()),
            global_pages: basic.is_some_and(|f| f.has_pge()),
            huge_pages: processor.is_some_and(|f| f.has_1gib_pages()),
        }
    }

    /// Switches on what there is, and off what the kernel's rules forbid: CR4 is written whole, so that FSGSBASE (ring 3
    /// could forge a kernel-looking GS base) and OSXSAVE (FXSAVE leaves the upper register halves alone) are off
    /// whatever the firmware did.
    ///
    /// # Safety
    /// The kernel's own page tables are in use: they keep W^X, and map nothing of programs.
    unsafe fn enable(&self) {
        let mut on = Cr4::CR4_ENABLE_PAE | Cr4::CR4_ENABLE_SSE | Cr4::CR4_UNMASKED_SSE | Cr4::CR4_ENABLE_MACHINE_CHECK;
        on.set(Cr4::CR4_ENABLE_SMEP, self.smep);
        on.set(Cr4::CR4_ENABLE_SMAP, self.smap);
        on.set(Cr4::CR4_ENABLE_UMIP, self.umip);
        on.set(Cr4::CR4_ENABLE_GLOBAL_PAGES, self.global_pages);
        // SAFETY: by contract; alignment checks (CR0.AM) are made in ring 3 only.
        unsafe {
            cr0_write(cr0() | Cr0::CR0_WRITE_PROTECT | Cr0::CR0_ALIGNMENT_MASK);
            cr4_write(on);
        }
    }
}

/// Boot needs most of it: it has tables of everything that the boot loader told on the stack.
const KERNEL_STACK_SIZE: usize = 64 * 1024;
const INTERRUPT_STACK_SIZE: usize = 16 * 1024;

/// A page that is never mapped: below a stack, it turns an overflow into a fault.
#[repr(C, align(4096))]
struct GuardPage([u8; PAGE_SIZE as usize]);

/// Most of the stacks are for interrupts: see [`crate::tables`].
#[repr(C, align(4096))]
pub(crate) struct Stacks {
    kernel_guard: GuardPage,
    kernel: [u8; KERNEL_STACK_SIZE],
    idle_guard: GuardPage,
    idle: [u8; PAGE_SIZE as usize],
    pub(crate) interrupt: [[u8; INTERRUPT_STACK_SIZE]; tables::INTERRUPT_STACKS],
}

/// What the kernel keeps for a processor. GS points here in ring 0.
#[repr(C, align(64))]
pub struct CpuLocal {
    /// Its own address, for the entry code.
    pub(crate) me: *mut Self,
    /// The program's stack pointer, for the few instructions until it is saved.
    pub(crate) scratch: u64,
    /// The frame of the process that runs.
    pub(crate) current: *mut Frame,
    /// End of the stack that the kernel runs on.
    pub(crate) kernel_stack: u64,
    /// End of the stack that the idle loop waits on.
    pub(crate) idle_stack: u64,
    /// How many NMIs came.
    pub(crate) nmis: AtomicU64,
    /// Its number.
    pub(crate) id: CpuId,
    /// Whether its timer runs.
    timer_on: bool,
    tables: Tables,
}

impl CpuLocal {
    /// Lets the timer of this processor run, or stops it: one that waits has nobody to preempt. That of the boot processor
    /// keeps the time and always runs.
    pub(crate) fn set_timer(&mut self, on: bool) {
        let on = on || self.id == CpuId::BOOT;
        if on != self.timer_on {
            self.timer_on = on;
            apic::set_timer(on);
        }
    }
}

/// What all processors have without asking for memory; two statics, so that the stacks take no room in the file.
pub(crate) struct PerCpu<T>(UnsafeCell<[T; MAX_CPUS]>);

// SAFETY: each processor has an element of its own, which it reaches one use at a time: `CpuLocal` by `init` and then
// through GS only, with interrupts off.
unsafe impl<T> Sync for PerCpu<T> {}

impl<T> PerCpu<T> {
    /// The element of a processor.
    fn get(&self, id: CpuId) -> *mut T {
        // SAFETY: the index of a processor is in range.
        unsafe { self.0.get().cast::<T>().add(id.index()) }
    }
}

static LOCALS: PerCpu<CpuLocal> = PerCpu(UnsafeCell::new(
    [const {
        CpuLocal {
            me: null_mut(),
            scratch: 0,
            current: null_mut(),
            kernel_stack: 0,
            idle_stack: 0,
            nmis: AtomicU64::new(0),
            id: CpuId::BOOT,
            timer_on: false,
            tables: Tables::EMPTY,
        }
    }; MAX_CPUS],
));

pub(crate) static STACKS: PerCpu<Stacks> = PerCpu(UnsafeCell::new(
    [const {
        Stacks {
            kernel_guard: GuardPage([0; PAGE_SIZE as usize]),
            kernel: [0; KERNEL_STACK_SIZE],
            idle_guard: GuardPage([0; PAGE_SIZE as usize]),
            idle: [0; PAGE_SIZE as usize],
            interrupt: [[0; INTERRUPT_STACK_SIZE]; tables::INTERRUPT_STACKS],
        }
    }; MAX_CPUS],
));

/// The processor that this runs on.
pub(crate) fn this() -> CpuId {
    // SAFETY: in ring 0, GS points to what the kernel keeps for the processor; the number never changes.
    unsafe {
        let me: *const CpuLocal;
        core::arch::asm!("mov {}, gs:[{}]", out(reg) me, const core::mem::offset_of!(CpuLocal, me), options(nostack, preserves_flags, readonly, pure));
        (*me).id
    }
}

/// Whether a page must not be mapped: it lies below a stack.
pub(crate) fn is_guard_page(page: u64) -> bool {
    CpuId::all().any(|id| {
        let stacks = STACKS.get(id);
        // SAFETY: only addresses are taken.
        let guards = unsafe { [&raw const (*stacks).kernel_guard, &raw const (*stacks).idle_guard] };
        guards.iter().any(|guard| *guard as u64 == page)
    })
}

/// Where the kernel stack of the boot processor ends in [`STACKS`]: the boot code runs on it.
pub(crate) const BOOT_STACK_END: usize = core::mem::offset_of!(Stacks, kernel) + KERNEL_STACK_SIZE;

/// End of a processor's kernel stack.
pub(crate) fn kernel_stack_end(id: CpuId) -> u64 {
    STACKS.get(id) as u64 + BOOT_STACK_END as u64
}

/// Sets up the processor that this runs on: features, segments, interrupt table, traps.
///
/// # Safety
/// Called once for each processor, on it, with an id of its own and the kernel's own page tables in use.
pub unsafe fn init(id: CpuId, features: &Features) -> &'static mut CpuLocal {
    // SAFETY: called once for each id, so these are the only references; the stacks are only pointed to.
    unsafe {
        features.enable();
        crate::frame::init_mxcsr_bits();
        paging::init_cache_types();
        let local = &mut *LOCALS.get(id);
        let stacks = STACKS.get(id);
        let me: *mut CpuLocal = local;
        local.me = me;
        local.id = id;
        local.kernel_stack = kernel_stack_end(id);
        local.idle_stack = (&raw const (*stacks).idle).add(1) as u64;
        local.tables.load(me, stacks);
        msr::wrmsr(msr::IA32_GS_BASE, me as u64);
        msr::wrmsr(msr::IA32_KERNEL_GSBASE, 0);
        msr::wrmsr(msr::IA32_FS_BASE, 0);
        crate::entry::enable_traps();
        local
    }
}
