//! What every program carries: the ABI note, the memory functions, the panic handler.

use abi::note::AbiNote;
use core::panic::PanicInfo;

extern crate libbare as _;

/// Exit status of a program that panicked.
const PANICKED: u64 = 101;

#[used]
// SAFETY: the section holds notes only, and the linker script gives it a segment of its own.
#[unsafe(link_section = ".note.selix")]
static NOTE: AbiNote = AbiNote::CURRENT;

#[panic_handler]
fn panicked(info: &PanicInfo) -> ! {
    match info.location() {
        Some(at) => crate::log(format_args!("panicked at {}:{}: {}", at.file(), at.line(), info.message())),
        None => crate::log(format_args!("panicked: {}", info.message())),
    }
    crate::exit(PANICKED)
}
