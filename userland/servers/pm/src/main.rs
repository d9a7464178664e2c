//! The process manager.
#![no_std]
#![no_main]

use abi::{Endpoint, Errno, Message};
use pm::{Pm, Port, Table};
use protocol::Transport;
use protocol::kernel::AbortHow;
use static_cell::ConstStaticCell;
use sys::{Ipc, KernelTransport, Traps};

sys::entry!(main);

static TABLE: ConstStaticCell<Table> = ConstStaticCell::new(Table::EMPTY);

fn main() -> u64 {
    let mut server = Pm::new(KernelTransport, Others::default(), TABLE.take());
    if let Err(failure) = server.boot() {
        sys::log!("cannot begin: {failure}");
        return 1;
    }
    let stopped = sys::serve_over(&mut Traps, &mut server, Pm::answer, Pm::notified);
    sys::log!("cannot receive any more: {}", stopped.error);
    1
}

/// The way to the memory server, and to those who wait for an answer.
#[derive(Default)]
struct Others(Ipc);

impl Transport for Others {
    fn sendrec(&mut self, to: Endpoint, message: &mut Message) -> Result<(), Errno> {
        self.0.sendrec(to, message)
    }
}

impl Port for Others {
    fn answer(&mut self, reply: &Message) {
        // Who does not wait any more has been ended, or got a signal.
        let _ = rt::send_nb(reply);
    }

    // There is no file server yet: a table of asynchronous messages comes with it.
    fn tell(&mut self, _: &Message) -> Result<(), Errno> {
        Err(Errno::NoEnt)
    }

    fn log(&mut self, line: core::fmt::Arguments<'_>) {
        sys::log!("{line}");
    }

    fn fail(&mut self, why: &str) {
        sys::log!("{why}");
        sys::abort(AbortHow::Leave, abi::report::SYSTEM_FAILED)
    }
}
