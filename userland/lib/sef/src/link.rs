//! The way to everybody else.

use abi::{Endpoint, Errno, Message};
use protocol::Call;
use protocol::rs::Ready;
use rt::Received;
use sys::grants::scope;
use sys::{Ipc, Port, Traps};

/// What the framework does with the kernel.
pub trait Link: Port {
    /// Asks the root system process something.
    ///
    /// # Errors
    /// Those of SENDREC, and of the answer.
    fn ask<C: Call>(&mut self, root: Endpoint, call: &C) -> Result<C::Reply, Errno>;

    /// Says that the service can be replaced, with its state to be read by whoever has its endpoint then. Returns only if it was not.
    ///
    /// # Errors
    /// Why it was not.
    fn ready(&mut self, root: Endpoint, me: Endpoint, state: u32, saved: &[u8]) -> Result<(), Errno>;

    /// Notifies somebody.
    ///
    /// # Errors
    /// Those of NOTIFY.
    fn notify(&mut self, to: Endpoint) -> Result<(), Errno>;

    /// Answers somebody who waits for it; nothing happens if he does not.
    fn answer(&mut self, answer: &Message);
}

/// The real one.
#[derive(Clone, Copy, Debug)]
pub struct Kernel;

impl Port for Kernel {
    fn receive(&mut self) -> Result<Received, Errno> {
        Traps.receive()
    }

    fn reply_receive(&mut self, reply: &Message) -> Result<Received, Errno> {
        Traps.reply_receive(reply)
    }
}

impl Link for Kernel {
    fn ask<C: Call>(&mut self, root: Endpoint, call: &C) -> Result<C::Reply, Errno> {
        protocol::call(&mut Ipc::default(), root, call)
    }

    fn ready(&mut self, root: Endpoint, me: Endpoint, state: u32, saved: &[u8]) -> Result<(), Errno> {
        let call = Ready { state, error: 0, state_grant: abi::grant::GrantId::INVALID, state_len: 0 };
        if saved.is_empty() {
            return self.ask(root, &call).map(drop);
        }
        scope(|scope| match scope.read(saved, me) {
            Ok(lent) => self.ask(root, &Ready { state_grant: lent.id(), state_len: saved.len() as u64, ..call }),
            Err(errno) => self.ask(root, &Ready { error: errno as u32, ..call }),
        })
        .map(drop)
    }

    fn notify(&mut self, to: Endpoint) -> Result<(), Errno> {
        rt::notify(to)
    }

    fn answer(&mut self, answer: &Message) {
        // Whoever does not wait any more needs none.
        let _ = rt::send_nb(answer);
    }
}
