//! The root system process.
#![no_std]
#![no_main]

use abi::event::SystemEvent;
use abi::{Endpoint, Errno, Message};
use core::fmt::Display;
use protocol::Transport;
use protocol::kernel::AbortHow;
use rs::{Root, Servers};
use sys::{Ipc, KernelTransport, Traps};

sys::entry!(main);

fn main() -> u64 {
    let mut root = Root::new(KernelTransport);
    if let Err(failure) = root.boot(&mut Others::default()) {
        give_up(failure);
    }
    let stopped = sys::serve_over(&mut Traps, &mut root, refuse, notified);
    give_up(format_args!("cannot receive any more: {}", stopped.error))
}

/// The way to other servers, before anybody can ask anything.
#[derive(Default)]
struct Others(Ipc);

impl Transport for Others {
    fn sendrec(&mut self, to: Endpoint, message: &mut Message) -> Result<(), Errno> {
        self.0.sendrec(to, message)
    }
}

impl Servers for Others {
    fn wait_until_ready(&mut self, server: Endpoint) -> Result<(), Errno> {
        loop {
            let Message { peer, body, .. } = rt::receive(Endpoint::ANY)?.message;
            if peer == server {
                return Ok(());
            }
            // Nobody else runs: the signal is the server's.
            if peer == Endpoint::SYSTEM && SystemEvent::read(&body).signaled.is_some() {
                return Err(Errno::DeadSrcDst);
            }
        }
    }
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
