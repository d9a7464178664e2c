//! The kernel log: lines on the serial port and on the screen.
//!
//! Each line begins with who wrote it: `selix: ` for the kernel, the program's name for a program. Programs' text is
//! foreign: what is no printable ASCII comes out as `.`, so that nobody writes lines of others or drives a terminal.

use abi::boot::KERNEL_LOG_NAME;
use core::fmt::{self, Write};
use kernel_x86_64::LogSink;
use kernel_x86_64::boot_info::Display;
use kernel_x86_64::lock::Lock;
use kernel_x86_64::memory::Memory;
use kernel_x86_64::screen::Screen;
use kernel_x86_64::serial::Serial;

/// Writes a line of the kernel's to the log.
#[macro_export]
macro_rules! log {
    ($($arg:tt)*) => { $crate::log::line(format_args!($($arg)*)) };
}

/// What was written before there was a screen, to be shown there as well.
const EARLY_LEN: usize = 2048;

struct Log {
    serial: Option<Serial>,
    screen: Option<Screen>,
    early: arrayvec::ArrayVec<u8, EARLY_LEN>,
}

static LOG: Lock<Log> = Lock::new(Log { serial: None, screen: None, early: arrayvec::ArrayVec::new_const() });

/// How the machine writes to the log.
pub(crate) const SINK: LogSink = LogSink { line, program };

impl Log {
    fn put(&mut self, byte: u8) {
        if let Some(serial) = &mut self.serial {
            serial.put(byte);
        }
        match &mut self.screen {
            Some(screen) => screen.put(byte),
            None => _ = self.early.try_push(byte),
        }
    }
}

impl Write for Log {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| self.put(byte));
        Ok(())
    }
}

/// What stands between a name and the text of its line.
const SEPARATOR: &str = ": ";

/// Text of the kernel's, which may have several lines.
struct Lines<'a>(&'a mut Log);

impl Write for Lines<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0.put(byte);
            if byte == b'\n' {
                self.0.begin_line(KERNEL_LOG_NAME)?;
            }
        }
        Ok(())
    }
}

impl Log {
    fn begin_line(&mut self, name: &str) -> fmt::Result {
        self.write_str(name)?;
        self.write_str(SEPARATOR)
    }

    fn kernel_line(&mut self, text: fmt::Arguments<'_>) {
        // Writing to the log cannot fail.
        _ = self.begin_line(KERNEL_LOG_NAME).and_then(|()| Lines(self).write_fmt(text));
        self.put(b'\n');
    }
}

/// Starts the log on the serial port, on a new line: the boot loader may have left one unfinished.
///
/// # Safety
/// Called once; nobody else uses the port.
pub(crate) unsafe fn start_serial() {
    // SAFETY: by contract.
    let mut serial = unsafe { Serial::new() };
    serial.put(b'\n');
    LOG.lock().serial = Some(serial);
}

/// Shows the log on the screen too, what was written before included.
pub(crate) fn start_screen(display: Option<Display>, memory: &mut Memory) {
    let Some(mut screen) = display.and_then(|display| Screen::new(display, memory)) else {
        return;
    };
    let mut log = LOG.lock();
    log.early.drain(..).for_each(|byte| screen.put(byte));
    log.screen = Some(screen);
}

/// Writes a line of the kernel's.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    LOG.lock().kernel_line(text);
}

/// Writes a line of a program under its name.
fn program(name: &str, text: &[u8]) {
    let mut log = LOG.lock();
    _ = log.begin_line(name);
    for &byte in text.strip_suffix(b"\n").unwrap_or(text) {
        log.put(if byte.is_ascii_graphic() || byte == b' ' { byte } else { b'.' });
    }
    log.put(b'\n');
}

/// Writes a line whoever holds the log.
///
/// # Safety
/// For a panic only.
pub(crate) unsafe fn panic_line(text: fmt::Arguments<'_>) {
    // SAFETY: by contract.
    unsafe { LOG.seize() }.kernel_line(text);
}
