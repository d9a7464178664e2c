//! The kernel's binary: what the boot loader tells goes in, core and machine are connected, the boot programs run.
#![no_std]
#![no_main]

mod crash;
mod load;
mod log;
mod multiboot;
mod panic;

use libbare as _; // The memory functions.

use abi::boot::BootFlags;
use abi::layout::PAGE_SIZE;
use abi::note::AbiNote;
use core::ops::Range;
use kernel_core::boot::{BootMemory, BootProgram, MAX_MODULES, Module, match_modules};
use kernel_core::options::Options;
use kernel_core::{CpuId, Kernel, Spaces};
use kernel_x86_64::cpu::{self, Features};
use kernel_x86_64::ioapic::IoApics;
use kernel_x86_64::layout::direct;
use kernel_x86_64::memory::Memory;
use kernel_x86_64::{BootInfo, X86, acpi, apic, check, run, smp, traced};

/// The kernel is built for an ABI like every program.
#[used]
#[unsafe(link_section = ".note.selix")]
static ABI_NOTE: AbiNote = AbiNote::CURRENT;

const MIB: u64 = 1 << 20;

/// Where the boot code goes to: on the boot processor's kernel stack, with the first 4 GiB in the direct map.
#[unsafe(no_mangle)]
extern "C" fn kernel_main(magic: u32, info: u32) -> ! {
    // SAFETY: the first thing that runs; it runs once.
    unsafe { log::start_serial() };
    log!("Selix {}, ABI {}", env!("CARGO_PKG_VERSION"), abi::ABI_VERSION);
    // SAFETY: the boot code passed on what the boot loader gave it; the memory is kept until `reclaim`, after the last use.
    let info = unsafe { multiboot::find(magic, info) }.unwrap_or_else(|error| fail(error));
    let boot = multiboot::read(&info).unwrap_or_else(|error| fail(error));
    let options = Options::parse(boot.command_line, |name, value| log!("option {name}={value} is no good: ignored"));
    if let Some(port) = options.debug_exit {
        run::set_debug_exit(port);
    }
    if let Some(trace) = options.trace {
        traced::switch_on(trace);
    }
    if let Some(every) = options.check {
        check::switch_on(every.get());
    }
    let features = Features::detect();
    // SAFETY: called once, on the boot code's tables.
    let mut memory = unsafe { Memory::init(&boot, &features) }.unwrap_or_else(|error| fail(error));
    // SAFETY: on the kernel's own tables; this is the boot processor.
    let local = unsafe { cpu::init(CpuId::BOOT, &features) };
    log::start_screen(boot.display, &mut memory);
    log!("processor: {features}");
    log!("memory: {} MiB usable", memory.total / MIB);
    let madt = boot.acpi.and_then(|root| acpi::find_madt(&mut memory, root));
    // SAFETY: called once, with the interrupt table in use.
    let interrupts = unsafe { apic::init(&mut memory, madt.as_ref()) }.unwrap_or_else(|error| fail(error));
    // SAFETY: called once; the firmware's table was checked.
    let io_apics = unsafe { IoApics::init(&mut memory, madt.as_ref(), interrupts.boot_cpu) };
    let io_apics = io_apics.unwrap_or_else(|error| fail(error));
    log!("interrupts: {} timer counts a tick, {} I/O APIC inputs", interrupts.counts_per_tick, io_apics.inputs());
    // SAFETY: called once, with the timer off.
    let cpus =
        madt.as_ref().map_or(1, |madt| unsafe { smp::start_others(&memory, &boot, &features, madt, &interrupts) });
    log!("processors: {cpus} of {} run", madt.map_or(1, |madt| madt.cpus.len()));
    let mut machine = X86::new(&memory, io_apics, log::SINK);
    // SAFETY: called once.
    let storage = unsafe { run::storage(memory.frames, memory.lendings) };
    let mut kernel = Kernel::new(storage, cpus);
    let programs = start_programs(&boot, &mut kernel, &mut machine);
    reclaim(&boot, &mut kernel.spaces);
    if let Some(crash) = options.crash {
        crash::crash(crash);
    }
    let free = kernel.spaces.frames().free_count() as u64 * PAGE_SIZE / MIB;
    log!("up: {programs} programs, {free} MiB free");
    // SAFETY: called once, with everything set up.
    unsafe { run::start(local, run::State { kernel, machine }) }
}

/// Makes every program of the boot table, and loads those that the memory server does not; returns how many there are.
fn start_programs(boot: &BootInfo<'_>, kernel: &mut Kernel<'_, X86>, machine: &mut X86) -> usize {
    let modules = modules(boot);
    let programs = match_modules(&modules).unwrap_or_else(|error| fail(error));
    let mut started = 0;
    for BootProgram { entry, elf } in &programs {
        let made = if entry.has(BootFlags::FILE) || entry.has(BootFlags::SERVED) {
            load::keep(elf, &mut kernel.spaces)
        } else {
            load::load(elf, &mut kernel.spaces, machine)
        };
        match made {
            Ok((_, BootMemory::File(first))) if entry.has(BootFlags::FILE) => _ = kernel.add_boot_file(entry, first),
            Ok((frame, memory)) => started += usize::from(kernel.add_boot_program(entry, frame, memory).is_some()),
            Err(error) => {
                let name = entry.name().unwrap_or_default();
                fail(format_args!("the boot program {name} cannot be loaded: {error}"))
            }
        }
    }
    started
}

/// The modules, as the files that they are.
fn modules<'a>(boot: &BootInfo<'a>) -> arrayvec::ArrayVec<Module<'a>, MAX_MODULES> {
    let file = |range: &Range<u64>| {
        // SAFETY: the boot loader put the module there; the memory stays the kernel's until `reclaim`, which comes after
        // the last use.
        unsafe { core::slice::from_raw_parts(direct(range.start) as *const u8, (range.end - range.start) as usize) }
    };
    boot.modules.iter().map(|m| Module { name: m.name, bytes: file(&m.range) }).collect()
}

/// Frees the memory of the modules and the boot information, which nobody reads any more.
fn reclaim(boot: &BootInfo<'_>, spaces: &mut Spaces<'_>) {
    for range in boot.modules.iter().map(|m| &m.range).chain([&boot.range]) {
        spaces.reclaim(range.start / PAGE_SIZE * PAGE_SIZE..range.end.next_multiple_of(PAGE_SIZE));
    }
}

/// Ends a boot that cannot go on: says why, and stops as a panic does.
fn fail(why: impl core::fmt::Display) -> ! {
    log!("cannot boot: {why}");
    run::leave_or_halt(abi::report::KERNEL_PANIC)
}
