//! Interrupt controllers: the local APIC with its timer, and the old PICs, which are silenced (Intel SDM volume 3, chapter
//! 11).

use crate::machine::HZ;
use crate::memory::{Cache, Memory};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use kernel_core::acpi::Madt;
use x86::io::{inb, outb};
use x86::msr;

/// Vector of the timer.
pub(crate) const TIMER_VECTOR: u8 = 0xf0;
/// Vector by which a processor asks another to choose anew who runs.
pub(crate) const SCHEDULE_VECTOR: u8 = 0xf1;
/// Vector by which a processor makes others leave an address space.
pub(crate) const LEAVE_VECTOR: u8 = 0xf3;
/// Vector of interrupts that went away before they were taken; they are not acknowledged.
pub(crate) const SPURIOUS_VECTOR: u8 = 0xff;

/// Where the local APIC's registers lie without firmware tables.
const DEFAULT_LOCAL_APIC: u64 = 0xfee0_0000;
const REGISTERS_LEN: u64 = 4096;

/// Registers, as offsets; divided by 16 they are the numbers of the x2APIC's MSRs.
#[derive(Clone, Copy)]
#[repr(u32)]
enum Register {
    Id = 0x20,
    EndOfInterrupt = 0xb0,
    Spurious = 0xf0,
    CommandLow = 0x300,
    CommandHigh = 0x310,
    TimerEntry = 0x320,
    Local0Entry = 0x350,
    Local1Entry = 0x360,
    InitialCount = 0x380,
    CurrentCount = 0x390,
    DivideConfiguration = 0x3e0,
}

/// Bits of the APIC base MSR.
const X2APIC_ON: u64 = 1 << 10;
const APIC_ON: u64 = 1 << 11;
const X2APIC_MSRS: u32 = 0x800;
const MASKED: u32 = 1 << 16;
const PERIODIC: u32 = 1 << 17;
const SOFTWARE_ENABLE: u32 = 1 << 8;
const DIVIDE_BY_16: u32 = 3;

/// Virtual address of the local APIC's registers; 0 if it is used through MSRs.
static REGISTERS: AtomicU64 = AtomicU64::new(0);

fn read(register: Register) -> u32 {
    match REGISTERS.load(Ordering::Relaxed) {
        // SAFETY: the APIC is in x2APIC mode, where these MSRs exist.
        0 => unsafe { msr::rdmsr(X2APIC_MSRS + register as u32 / 16) as u32 },
        // SAFETY: the registers are mapped there.
        base => unsafe { ((base + register as u64) as *const u32).read_volatile() },
    }
}

fn write(register: Register, value: u32) {
    match REGISTERS.load(Ordering::Relaxed) {
        // SAFETY: the APIC is in x2APIC mode, where these MSRs exist.
        0 => unsafe { msr::wrmsr(X2APIC_MSRS + register as u32 / 16, value.into()) },
        // SAFETY: the registers are mapped there.
        base => unsafe { ((base + register as u64) as *mut u32).write_volatile(value) },
    }
}

/// What one processor's APIC can send another's (Intel SDM volume 3, 11.6.1).
#[derive(Clone, Copy)]
pub(crate) enum Message {
    /// An interrupt.
    Interrupt(u8),
    /// An interrupt that cannot be masked.
    NonMaskable,
    /// Reset, and wait for [`Message::Startup`].
    Init,
    /// Start in real mode at the beginning of this page of memory.
    Startup(u8),
}

/// Sends a message to the processor with an APIC id.
pub(crate) fn send(to: u32, message: Message) {
    const ASSERT: u32 = 1 << 14;
    const PENDING: u32 = 1 << 12;
    let command = ASSERT
        | match message {
            Message::Interrupt(vector) => vector.into(),
            Message::NonMaskable => 4 << 8,
            Message::Init => 5 << 8,
            Message::Startup(page) => 6 << 8 | u32::from(page),
        };
    if REGISTERS.load(Ordering::Relaxed) == 0 {
        let both = u64::from(to) << 32 | u64::from(command);
        // SAFETY: the APIC is in x2APIC mode, where this MSR exists.
        unsafe { msr::wrmsr(X2APIC_MSRS + Register::CommandLow as u32 / 16, both) };
        return;
    }
    write(Register::CommandHigh, to << 24);
    write(Register::CommandLow, command);
    while read(Register::CommandLow) & PENDING != 0 {
        core::hint::spin_loop();
    }
}

/// Waits, with the timer, which must be off.
pub(crate) fn delay(counts: u32) {
    write(Register::TimerEntry, MASKED);
    write(Register::InitialCount, counts);
    while read(Register::CurrentCount) != 0 {
        core::hint::spin_loop();
    }
}

/// Tells the APIC that the interrupt was handled.
pub(crate) fn end_of_interrupt() {
    write(Register::EndOfInterrupt, 0);
}

/// What was found.
#[derive(Clone, Copy, Debug)]
pub struct Interrupts {
    /// APIC id of the boot processor.
    pub boot_cpu: u32,
    /// Timer counts in a tick.
    pub counts_per_tick: u32,
}

/// Sets the controllers up and measures the timer.
///
/// # Errors
/// What is wrong with them.
///
/// # Safety
/// Called once, on the boot processor, with the interrupt table in use.
pub unsafe fn init(memory: &mut Memory, madt: Option<&Madt>) -> Result<Interrupts, &'static str> {
    silence_pics();
    let physical = madt.map_or(DEFAULT_LOCAL_APIC, |m| m.local_apic);
    // SAFETY: every 64-bit processor has this MSR; the APIC is switched on where the firmware left it.
    let x2apic = unsafe {
        let base = msr::rdmsr(msr::IA32_APIC_BASE);
        msr::wrmsr(msr::IA32_APIC_BASE, base | APIC_ON);
        base & X2APIC_ON != 0
    };
    if !x2apic {
        let mapped = memory.map_device(physical, REGISTERS_LEN, Cache::Off);
        REGISTERS.store(mapped.ok_or("the local APIC's registers cannot be mapped")?, Ordering::Relaxed);
    }
    enable_local();
    let counts_per_tick = calibrate().ok_or("the APIC timer does not count, or the interval timer does not")?;
    COUNTS_PER_TICK.store(counts_per_tick, Ordering::Relaxed);
    let id = read(Register::Id);
    Ok(Interrupts { boot_cpu: if x2apic { id } else { id >> 24 }, counts_per_tick })
}

/// Lets the APIC of the processor that this runs on take interrupts, with none of its own.
pub(crate) fn enable_local() {
    if REGISTERS.load(Ordering::Relaxed) == 0 {
        // SAFETY: the boot processor's APIC is in x2APIC mode; all have the same modes, and this one changes up only.
        unsafe { msr::wrmsr(msr::IA32_APIC_BASE, msr::rdmsr(msr::IA32_APIC_BASE) | APIC_ON | X2APIC_ON) };
    }
    for entry in [Register::Local0Entry, Register::Local1Entry, Register::TimerEntry] {
        write(entry, MASKED);
    }
    write(Register::DivideConfiguration, DIVIDE_BY_16);
    write(Register::Spurious, SOFTWARE_ENABLE | u32::from(SPURIOUS_VECTOR));
}

/// Timer counts in a tick, as measured on the boot processor; all have the same clock.
static COUNTS_PER_TICK: AtomicU32 = AtomicU32::new(0);

/// Starts or stops the timer of the processor that this runs on. Its interrupts come as soon as ring 0 waits or is left.
pub(crate) fn set_timer(on: bool) {
    write(Register::TimerEntry, if on { PERIODIC | u32::from(TIMER_VECTOR) } else { MASKED });
    write(Register::InitialCount, if on { COUNTS_PER_TICK.load(Ordering::Relaxed) } else { 0 });
}

/// Counts of the APIC timer in a tick, measured against channel 2 of the 8254 interval timer; `None` if one stands still.
fn calibrate() -> Option<u32> {
    /// Parts of a tick that are measured. A virtual machine may be held up in the middle of one, which makes that one longer, and never
    /// shorter: so the shortest counts.
    const PARTS: u32 = 5;
    (0..PARTS)
        .map(|_| count_part_of_a_tick(PARTS))
        .min_by_key(|counted| counted.unwrap_or(u32::MAX))??
        .checked_mul(PARTS)
}

/// Counts of the APIC timer in a part of a tick, or in more than that.
fn count_part_of_a_tick(parts: u32) -> Option<u32> {
    const PIT_HZ: u64 = 1_193_182;
    const CHANNEL_2: u16 = 0x42;
    const COMMAND: u16 = 0x43;
    const CHANNEL_2_ONE_SHOT: u8 = 0xb0;
    const GATE: u16 = 0x61;
    const GATE_ON: u8 = 0x01;
    const SPEAKER_ON: u8 = 0x02;
    const OUTPUT: u8 = 0x20;
    const PATIENCE: u32 = 100_000_000;
    let pit_counts = PIT_HZ / HZ / u64::from(parts);
    // SAFETY: the ports of the interval timer, which nobody else uses. It begins to count with the last byte, behind the APIC's.
    let done = unsafe {
        outb(GATE, inb(GATE) & !SPEAKER_ON | GATE_ON);
        outb(COMMAND, CHANNEL_2_ONE_SHOT);
        outb(CHANNEL_2, pit_counts as u8);
        write(Register::InitialCount, u32::MAX);
        outb(CHANNEL_2, (pit_counts >> 8) as u8);
        (0..PATIENCE).any(|_| inb(GATE) & OUTPUT != 0)
    };
    let counted = u32::MAX - read(Register::CurrentCount);
    write(Register::InitialCount, 0);
    (done && counted > 0).then_some(counted)
}

/// Moves the old interrupt controllers out of the exceptions' vectors and masks all their inputs.
fn silence_pics() {
    const MASTER: u16 = 0x20;
    const SLAVE: u16 = 0xa0;
    const INIT: u8 = 0x11;
    const FIRST_VECTOR: u8 = 0x20;
    const SLAVE_INPUT: u8 = 2;
    const MODE_8086: u8 = 1;
    const MASK_ALL: u8 = 0xff;
    let sequence = [
        (MASTER, INIT),
        (SLAVE, INIT),
        (MASTER + 1, FIRST_VECTOR),
        (SLAVE + 1, FIRST_VECTOR + 8),
        (MASTER + 1, 1 << SLAVE_INPUT),
        (SLAVE + 1, SLAVE_INPUT),
        (MASTER + 1, MODE_8086),
        (SLAVE + 1, MODE_8086),
        (MASTER + 1, MASK_ALL),
        (SLAVE + 1, MASK_ALL),
    ];
    for (port, value) in sequence {
        // SAFETY: the ports of the old controllers, which nobody else uses.
        unsafe { outb(port, value) };
    }
}
