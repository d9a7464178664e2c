//! The I/O APICs, which bring the interrupt lines to the boot processor (Intel 82093AA data sheet, 3.0). What is masked
//! and what is done about it, `kernel_core::lines` knows.

use crate::apic;
use crate::memory::{Cache, Memory};
use arrayvec::ArrayVec;
use kernel_core::acpi::{MAX_IO_APICS, Madt};
use kernel_core::lines::{LINES, Lines, Polarity, Route, Step, Trigger};

/// Vector of line 0; the others follow.
pub(crate) const FIRST_VECTOR: u8 = 0x30;
/// Vector of the last line.
pub(crate) const LAST_VECTOR: u8 = FIRST_VECTOR + (LINES - 1) as u8;

const _: () = assert!(LAST_VECTOR < apic::TIMER_VECTOR);

const REGISTERS_LEN: u64 = 0x20;
/// Where the number of a register is written, and where the register then is.
const SELECT: u64 = 0;
const WINDOW: u64 = 0x10;
const VERSION: u32 = 1;
const REDIRECTION_TABLE: u32 = 0x10;
/// Register numbers have eight bits, and an input has two registers.
const MAX_INPUTS: u32 = (0x100 - REDIRECTION_TABLE) / 2;

/// Bits of a redirection entry. Without others it is delivered as it is, to the one processor with an APIC id.
const ACTIVE_LOW: u32 = 1 << 13;
const LEVEL: u32 = 1 << 15;
const MASKED: u32 = 1 << 16;

/// One of them.
#[derive(Clone, Copy)]
struct Controller {
    /// Virtual address of its registers.
    registers: u64,
    /// Number of its first input among all interrupts of the machine.
    first: u32,
    inputs: u32,
}

impl Controller {
    /// Finds out how many inputs it has, and closes all.
    ///
    /// # Safety
    /// Its registers are mapped there, for good.
    unsafe fn new(registers: u64, first: u32) -> Self {
        let mut new = Self { registers, first, inputs: 0 };
        new.inputs = ((new.read(VERSION) >> 16 & 0xff) + 1).min(MAX_INPUTS);
        (0..new.inputs).for_each(|input| new.route(input, MASKED, 0));
        new
    }

    fn read(&self, register: u32) -> u32 {
        // SAFETY: the registers are mapped there; the kernel lock, or boot, keeps others from selecting in between.
        unsafe {
            ((self.registers + SELECT) as *mut u32).write_volatile(register);
            ((self.registers + WINDOW) as *const u32).read_volatile()
        }
    }

    fn write(&self, register: u32, value: u32) {
        // SAFETY: as for `read`.
        unsafe {
            ((self.registers + SELECT) as *mut u32).write_volatile(register);
            ((self.registers + WINDOW) as *mut u32).write_volatile(value);
        }
    }

    /// Writes the half of a redirection entry that can close it.
    fn set_entry(&self, input: u32, entry: u32) {
        self.write(REDIRECTION_TABLE + 2 * input, entry);
    }

    /// Writes all of a redirection entry, which must be closed.
    fn route(&self, input: u32, entry: u32, apic_id: u8) {
        self.set_entry(input, entry);
        self.write(REDIRECTION_TABLE + 2 * input + 1, u32::from(apic_id) << 24);
    }
}

/// Where a line goes in.
#[derive(Clone, Copy)]
struct Input {
    /// Index among the controllers.
    controller: u8,
    number: u8,
    /// Its redirection entry while it is open.
    entry: u32,
}

/// All of them.
pub struct IoApics {
    controllers: ArrayVec<Controller, MAX_IO_APICS>,
    inputs: [Option<Input>; LINES],
    lines: Lines,
    /// APIC id of the boot processor.
    boot_cpu: u32,
}

impl IoApics {
    /// Finds the controllers and routes every line to the boot processor, all masked. There are no lines without firmware
    /// tables, and none if the boot processor has an APIC id that does not fit a redirection entry.
    ///
    /// # Errors
    /// What is wrong with them.
    ///
    /// # Safety
    /// Called once, with the table that the firmware gave.
    pub unsafe fn init(memory: &mut Memory, madt: Option<&Madt>, boot_cpu: u32) -> Result<Self, &'static str> {
        let mut all = Self { controllers: ArrayVec::new(), inputs: [None; LINES], lines: Lines::NONE, boot_cpu };
        let Some(madt) = madt else { return Ok(all) };
        for info in &madt.io_apics {
            let registers = memory.map_device(info.address.into(), REGISTERS_LEN, Cache::Off);
            let registers = registers.ok_or("an I/O APIC's registers cannot be mapped")?;
            // SAFETY: mapped just now.
            all.controllers.push(unsafe { Controller::new(registers, info.first_interrupt) });
        }
        if let Some(apic_id) = u8::try_from(boot_cpu).ok().filter(|id| *id != BROADCAST) {
            (0..LINES as u8).for_each(|line| all.add_line(line, Route::of(line, &madt.overrides), apic_id));
        }
        Ok(all)
    }

    /// How many inputs they have together.
    pub fn inputs(&self) -> u32 {
        self.controllers.iter().map(|controller| controller.inputs).sum()
    }

    fn add_line(&mut self, line: u8, route: Option<Route>, apic_id: u8) {
        let Some(Route { interrupt, trigger, polarity }) = route else { return };
        let number = |c: &Controller| interrupt.checked_sub(c.first).filter(|number| *number < c.inputs);
        let find = |(index, c)| Some((index, c, number(c)?));
        let Some((index, controller, number)) = self.controllers.iter().enumerate().find_map(find) else { return };
        let level = if trigger == Trigger::Level { LEVEL } else { 0 };
        let low = if polarity == Polarity::Low { ACTIVE_LOW } else { 0 };
        let entry = u32::from(FIRST_VECTOR + line) | level | low;
        controller.route(number, entry | MASKED, apic_id);
        self.inputs[usize::from(line)] = Some(Input { controller: index as u8, number: number as u8, entry });
        self.lines.add(line, trigger);
    }

    /// How a line signals; `None` if there is no such line.
    pub(crate) fn trigger(&self, line: u8) -> Option<Trigger> {
        self.lines.trigger(line)
    }

    pub(crate) fn mask(&mut self, line: u8) {
        let step = self.lines.mask(line);
        self.perform(line, step);
    }

    pub(crate) fn unmask(&mut self, line: u8) {
        let step = self.lines.unmask(line);
        self.perform(line, step);
    }

    /// A vector of a line has come. Returns the line if somebody must be told.
    pub(crate) fn interrupted(&mut self, vector: u8) -> Option<u8> {
        let line = vector - FIRST_VECTOR;
        match self.lines.interrupt(line) {
            Ok(()) => Some(line),
            Err(step) => {
                self.perform(line, step);
                None
            }
        }
    }

    fn perform(&self, line: u8, step: Step) {
        let Some(Some(input)) = self.inputs.get(usize::from(line)) else { return };
        let set =
            |bits| self.controllers[usize::from(input.controller)].set_entry(input.number.into(), input.entry | bits);
        match step {
            Step::None => {}
            Step::Close => set(MASKED),
            Step::Open => set(0),
            Step::OpenAndRaise => {
                set(0);
                apic::send(self.boot_cpu, apic::Message::Interrupt(FIRST_VECTOR + line));
            }
        }
    }
}

/// The APIC id that means every processor.
const BROADCAST: u8 = 0xff;
