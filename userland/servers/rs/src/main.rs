//! The root system process.
#![no_std]
#![no_main]

mod others;

use abi::Message;
use core::fmt::Display;
use others::Others;
use protocol::kernel::AbortHow;
use rs::Root;
use static_cell::ConstStaticCell;
use sys::{KernelTransport, Traps};

sys::entry!(main);

type Server = Root<KernelTransport, Others>;

/// Too large for the stack.
static ROOT: ConstStaticCell<Server> = ConstStaticCell::new(Root::new(KernelTransport, Others::new()));

fn main() -> u64 {
    let root = ROOT.take();
    if let Err(failure) = root.boot() {
        give_up(failure);
    }
    let stopped = sys::serve_over(&mut Traps, root, answer, notified);
    give_up(format_args!("cannot receive any more: {}", stopped.error))
}

fn answer(root: &mut Server, request: &mut Message) -> bool {
    let answered = root.answer(request);
    root.fatal().unwrap_or_else(|fatal| give_up(fatal));
    answered
}

fn notified(root: &mut Server, notification: &Message) {
    root.notified(notification).unwrap_or_else(|fatal| give_up(fatal));
}

/// Without its root system process nobody starts or clears up anything: the system ends, and says why.
fn give_up(why: impl Display) -> ! {
    sys::log!("{why}");
    sys::abort(AbortHow::Leave, abi::report::SYSTEM_FAILED)
}
