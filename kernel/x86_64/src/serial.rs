//! The first serial port (16550), polled: 115200 bits a second, eight data bits, no parity, one stop bit.

use x86::io::{inb, outb};

/// I/O port of COM1, where PCs have it since the first one.
const COM1: u16 = 0x3f8;
const LINE_CONTROL_8N1: u8 = 0x03;
const DIVISOR_LATCH: u8 = 0x80;
const FIFO_ON_AND_CLEAR: u8 = 0x07;
const MODEM_READY: u8 = 0x03;
const TRANSMITTER_EMPTY: u8 = 0x20;
/// How often the line status is read before a byte is given up: nobody must wait for ever for a port that is not there.
const PATIENCE: u32 = 100_000;

/// The port; of no use, but harmless, where there is none.
pub struct Serial(());

impl Serial {
    /// Sets the port up.
    ///
    /// # Safety
    /// Nobody else uses COM1.
    pub unsafe fn new() -> Self {
        let setup = [
            (1, 0), // No interrupts.
            (3, DIVISOR_LATCH),
            (0, 1), // Divisor 1: 115200.
            (1, 0),
            (3, LINE_CONTROL_8N1),
            (2, FIFO_ON_AND_CLEAR),
            (4, MODEM_READY),
        ];
        for (register, value) in setup {
            // SAFETY: registers of the 16550 at COM1, ours by contract.
            unsafe { outb(COM1 + register, value) };
        }
        Self(())
    }

    /// Sends a byte, after a carriage return if it ends a line.
    pub fn put(&mut self, byte: u8) {
        if byte == b'\n' {
            self.send(b'\r');
        }
        self.send(byte);
    }

    fn send(&mut self, byte: u8) {
        // SAFETY: reads the line status of our port.
        let ready = (0..PATIENCE).any(|_| unsafe { inb(COM1 + 5) } & TRANSMITTER_EMPTY != 0);
        if ready {
            // SAFETY: writes the transmitter of our port.
            unsafe { outb(COM1, byte) };
        }
    }
}
