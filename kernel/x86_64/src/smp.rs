//! Starting the other processors (Intel SDM volume 3, 9.4): each begins in real mode at a page below 1 MiB, to which a few
//! instructions are copied that lead it, through the boot code's page tables, to the Rust function `ap_main`.

use crate::apic::{self, Message};
use crate::boot_info::BootInfo;
use crate::cpu::{self, Features};
use crate::layout::{LOW_MEMORY, direct};
use crate::memory::Memory;
use crate::{entry, paging};
use abi::layout::PAGE_SIZE;
use arrayvec::ArrayVec;
use core::arch::global_asm;
use core::ops::Range;
use core::ptr::{copy_nonoverlapping, null};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use kernel_core::acpi::Madt;
use kernel_core::boot::MAX_MODULES;
use kernel_core::regions::find_gap;
use kernel_core::{CpuId, MAX_CPUS};

// Linked elsewhere than it runs: addresses within it are reckoned from where it was copied to, which real mode knows as its
// code segment. It leaves the tables' addresses to the copy.
global_asm!(
    ".section .boot.rodata, \"a\"",
    ".global trampoline_start, trampoline_end",
    ".balign 16",
    ".code16",
    "trampoline_start:",
    "cli",
    "cld",
    "mov ax, cs",
    "mov ds, ax",
    "mov ss, ax", // The rest of the page is the stack.
    "mov sp, 4096",
    "mov eax, 0x620", // As the boot code sets them: see `start`.
    "mov cr4, eax",
    "mov eax, offset boot_root",
    "mov cr3, eax",
    "mov ecx, 0xc0000080",
    "rdmsr",
    "or eax, 0x900",
    "wrmsr",
    "lgdt [trampoline_gdt_at]",
    "mov eax, 0x80010023",
    "mov cr0, eax",
    // Straight to 64-bit code, by a far return with a 32-bit operand.
    "mov bx, cs",
    "movzx ebx, bx",
    "shl ebx, 4",
    "lea ebx, [ebx + trampoline_long_at]",
    "mov eax, 8",
    "push eax",
    "push ebx",
    "retf", // LLVM takes its operands for 32 bits wide.
    ".balign 8",
    "trampoline_gdt_pointer: .short 23",
    ".long boot_gdt",
    ".code64",
    "trampoline_long:",
    "xor eax, eax",
    "mov ds, eax",
    "mov es, eax",
    "mov fs, eax",
    "mov gs, eax",
    "mov eax, 16",
    "mov ss, eax",
    "movabs rax, offset {stack}",
    "mov rsp, [rax]",
    "xor ebp, ebp",
    "movabs rax, offset {ap_main}",
    "call rax",
    "ud2",
    "trampoline_end:",
    ".set trampoline_gdt_at, trampoline_gdt_pointer - trampoline_start",
    ".set trampoline_long_at, trampoline_long - trampoline_start",
    ".text",
    stack = sym STACK,
    ap_main = sym ap_main,
);

unsafe extern "C" {
    static trampoline_start: u8;
    static trampoline_end: u8;
}

/// Where the stack of the processor that is being started ends.
static STACK: AtomicU64 = AtomicU64::new(0);
/// Its number.
static NUMBER: AtomicU32 = AtomicU32::new(0);
/// The kernel's root table.
static ROOT: AtomicU64 = AtomicU64::new(0);
static FEATURES: AtomicPtr<Features> = AtomicPtr::new(null::<Features>().cast_mut());
/// Set by the processor that is being started, when it needs none of these any more.
static STARTED: AtomicBool = AtomicBool::new(false);
/// Set when the system is up: until then the others wait outside the kernel.
static GO: AtomicBool = AtomicBool::new(false);

/// How many processors run.
static COUNT: AtomicU32 = AtomicU32::new(1);

/// APIC ids of the processors, by their numbers.
static APIC_IDS: [AtomicU32; MAX_CPUS] = [const { AtomicU32::new(0) }; MAX_CPUS];

/// Starts all processors of the table, up to [`MAX_CPUS`]; returns how many run, the boot processor included. One that does
/// not answer is left alone.
///
/// # Safety
/// Called once, on the boot processor, before its timer is started.
pub unsafe fn start_others(
    memory: &Memory,
    boot: &BootInfo<'_>,
    features: &Features,
    madt: &Madt,
    interrupts: &apic::Interrupts,
) -> usize {
    // The lowest page is the firmware's, and its tables begin at 640 KiB. Between them boot loaders may put modules.
    const CONVENTIONAL_END: u64 = 640 * 1024;
    const _: () = assert!(CONVENTIONAL_END < LOW_MEMORY);
    let mut in_use: ArrayVec<Range<u64>, { MAX_MODULES + 2 }> = ArrayVec::new();
    in_use.push(0..PAGE_SIZE);
    in_use.push(boot.range.clone());
    in_use.extend(boot.modules.iter().map(|module| module.range.clone()));
    APIC_IDS[0].store(interrupts.boot_cpu, Ordering::Relaxed);
    let Some(page) = find_gap(&boot.usable, &in_use, PAGE_SIZE, CONVENTIONAL_END) else {
        return 1;
    };
    let (from, to) = (&raw const trampoline_start, &raw const trampoline_end);
    // SAFETY: the page is usable low memory, which the kernel keeps for this; the code is shorter than a page.
    unsafe {
        copy_nonoverlapping(
            direct(from as u64) as *const u8,
            direct(page.start) as *mut u8,
            to as usize - from as usize,
        )
    };
    ROOT.store(memory.root.physical(), Ordering::Relaxed);
    FEATURES.store((&raw const *features).cast_mut(), Ordering::Relaxed);
    let mut count = 1;
    for &apic_id in madt.cpus.iter().filter(|id| **id != interrupts.boot_cpu) {
        let Some(id) = CpuId::new(count) else {
            break;
        };
        APIC_IDS[count].store(apic_id, Ordering::Relaxed);
        STACK.store(cpu::kernel_stack_end(id), Ordering::Relaxed);
        NUMBER.store(count as u32, Ordering::Relaxed);
        STARTED.store(false, Ordering::Release);
        if wake(apic_id, (page.start / PAGE_SIZE) as u8, interrupts.counts_per_tick) {
            count += 1;
        }
    }
    COUNT.store(count as u32, Ordering::Relaxed);
    count
}

/// Starts one processor in real mode at a page; whether it came to life in time.
fn wake(apic_id: u32, page: u8, counts_per_tick: u32) -> bool {
    /// Ticks of 10 ms after which a processor is given up.
    const PATIENCE: u32 = 100;
    apic::send(apic_id, Message::Init);
    apic::delay(counts_per_tick); // 10 ms.
    for _ in 0..2 {
        apic::send(apic_id, Message::Startup(page));
        apic::delay(counts_per_tick / 50); // 200 microseconds.
    }
    let started = (0..PATIENCE).any(|_| {
        let started = STARTED.load(Ordering::Acquire);
        if !started {
            apic::delay(counts_per_tick);
        }
        started
    });
    if !started {
        // It must not come to life later, with the stack and number of another.
        apic::send(apic_id, Message::Init);
    }
    started
}

/// Where the trampoline leads: on the processor's own kernel stack, with the boot code's page tables.
unsafe extern "C" fn ap_main() -> ! {
    // SAFETY: the kernel's tables map this code and stack as the boot code's do.
    unsafe { paging::load(paging::Table::at(ROOT.load(Ordering::Relaxed))) };
    let id = CpuId::new(NUMBER.load(Ordering::Relaxed) as usize).unwrap_or(CpuId::BOOT);
    // SAFETY: the boot processor waits, and the features stay where they are until then; the id is this processor's.
    let local = unsafe { cpu::init(id, &*FEATURES.load(Ordering::Relaxed)) };
    apic::enable_local();
    STARTED.store(true, Ordering::Release);
    while !GO.load(Ordering::Acquire) {
        core::hint::spin_loop();
    }
    // SAFETY: the kernel is up; an interrupt will find all that it needs.
    unsafe { entry::idle(local) }
}

/// Lets the other processors go into the kernel.
pub(crate) fn release_others() {
    GO.store(true, Ordering::Release);
}

/// Asks a processor to choose anew who runs.
pub(crate) fn kick(id: CpuId) {
    send(id, Message::Interrupt(apic::SCHEDULE_VECTOR));
}

/// The same with all but this one.
pub(crate) fn kick_others(me: CpuId) {
    others(me).for_each(kick);
}

/// Has all but this one look whether they hold the kernel lock: see [`crate::watchdog`].
pub(crate) fn alarm_others(me: CpuId) {
    others(me).for_each(|id| send(id, Message::NonMaskable));
}

fn others(me: CpuId) -> impl Iterator<Item = CpuId> {
    let running = COUNT.load(Ordering::Relaxed) as usize;
    CpuId::all().take(running).filter(move |id| *id != me)
}

fn send(id: CpuId, message: Message) {
    apic::send(APIC_IDS[id.index()].load(Ordering::Relaxed), message);
}

/// Processors that are to load the kernel's own space, a bit each. Only who holds the kernel lock asks.
static LEAVE: AtomicU32 = AtomicU32::new(0);

/// Makes processors load the kernel's own space, and returns when they have. Called with the kernel lock held.
///
/// Those that run a program take the interrupt and want the lock; those that came into the kernel by themselves want it
/// already. Interrupts are off for both, but whoever waits for the lock looks here: see [`leave_if_asked`]. Who just gave
/// the lock back runs a program in a moment, or idles and was not asked. So the answer comes soon, and the lock is not let
/// go meanwhile.
pub(crate) fn leave_others(cpus: u32) {
    LEAVE.fetch_or(cpus, Ordering::Release);
    for id in CpuId::all().filter(|id| cpus >> id.index() & 1 != 0) {
        send(id, Message::Interrupt(apic::LEAVE_VECTOR));
    }
    while LEAVE.load(Ordering::Acquire) != 0 {
        core::hint::spin_loop();
    }
}

/// Loads the kernel's own space if another processor asked the one with this number, which is this one, to. Whether it did.
pub(crate) fn leave_if_asked(id: CpuId) -> bool {
    let me = 1 << id.index();
    if LEAVE.load(Ordering::Acquire) & me == 0 {
        return false;
    }
    // SAFETY: the kernel's own space maps the kernel like every other.
    unsafe { paging::load(paging::Table::at(ROOT.load(Ordering::Relaxed))) };
    LEAVE.fetch_and(!me, Ordering::Release);
    true
}
