//! Panics: the end of the kernel, told so that it can be understood.

use crate::log::panic_line;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};
use kernel_x86_64::{backtrace, power, run};

static PANICKING: AtomicBool = AtomicBool::new(false);

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    if PANICKING.swap(true, Ordering::Relaxed) {
        power::halt(); // A panic while telling of one.
    }
    // SAFETY: this is a panic.
    unsafe {
        match info.location() {
            Some(at) => panic_line(format_args!("panic at {}:{}:", at.file(), at.line())),
            None => panic_line(format_args!("panic:")),
        }
        panic_line(format_args!("{}", info.message()));
        panic_line(format_args!("backtrace:"));
        for (i, address) in backtrace::addresses().enumerate() {
            panic_line(format_args!("  #{i} {address:#018x}"));
        }
    }
    run::leave_or_halt(abi::report::KERNEL_PANIC)
}
