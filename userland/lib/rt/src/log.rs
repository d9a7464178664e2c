//! The kernel log.

use crate::{Line, kernel_call};
use abi::Errno;
use core::fmt;
use protocol::Call;
use protocol::kernel::DiagWrite;

/// Writes text to the kernel log, all of it with one kernel call, so that nobody's text comes in between.
///
/// # Errors
/// See [`DiagWrite`].
pub fn write_line(text: &[u8]) -> Result<(), Errno> {
    let call = DiagWrite { address: text.as_ptr() as u64, len: text.len() as u64 };
    let mut message = protocol::encode(DiagWrite::KIND, &call);
    kernel_call(&mut message)?;
    message.kind.status().ok_or(Errno::Proto)?
}

/// Formats text and writes its lines. A program that may not write to the log goes on without.
pub fn log(text: fmt::Arguments) {
    let mut line = Line::new();
    // A `Line` takes everything; an error here is one of a `Display` inside `text`, and what it wrote is kept.
    let _ = fmt::Write::write_fmt(&mut line, text);
    for line in line.as_bytes().split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let _ = write_line(line);
    }
}
