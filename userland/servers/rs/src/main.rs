//! The root system process.
#![no_std]
#![no_main]

use abi::event::SystemEvent;
use abi::{Endpoint, Message};
use core::fmt::Display;
use protocol::kernel::AbortHow;
use rs::Root;
use sys::{KernelTransport, Traps};

sys::entry!(main);

fn main() -> u64 {
    let mut root = Root::new(KernelTransport);
    if let Err(failure) = root.boot() {
        give_up(failure);
    }
    let stopped = sys::serve_over(&mut Traps, &mut root, refuse, notified);
    give_up(format_args!("cannot receive any more: {}", stopped.error))
}

/// The root system process has no calls yet.
fn refuse(_: &mut Root<KernelTransport>, request: &mut Message) -> bool {
    *request = rs::refuse(request);
    true
}

fn notified(root: &mut Root<KernelTransport>, notification: &Message) {
    if notification.peer != Endpoint::SYSTEM {
        return;
    }
    if let Err(error) = root.notified(&SystemEvent::read(&notification.body)) {
        give_up(format_args!("cannot deal with signals: {error}"));
    }
}

/// Without its root system process nobody starts or clears up anything: the system ends, and says why.
fn give_up(why: impl Display) -> ! {
    sys::log!("{why}");
    sys::abort(AbortHow::Leave, abi::report::SYSTEM_FAILED)
}
