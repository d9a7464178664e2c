//! The process manager: who is whose child, who may do what as which user, and the signals of user processes.
//!
//! The logic knows no traps: whatever carries its kernel calls, its calls of the memory server and its late answers is given to it. It waits for the memory
//! server only, and that one for nobody.
#![no_std]

#[cfg(test)]
extern crate std;

mod actions;
mod boot;
mod deliver;
mod exec;
mod exit;
mod files;
mod fork;
mod groups;
mod ids;
mod kill;
mod managed;
mod process;
mod serve;
mod services;
mod signals;
mod stop;
mod table;
mod timers;
mod trace;
mod wait;

pub use boot::BootFailure;
pub use table::{Slot, Table};

use abi::{Endpoint, Errno, Message};
use protocol::{Transport, getinfo, kernel, vm};

/// The way to others. As a transport it carries the calls of the memory server.
pub trait Port: Transport {
    /// Answers a process that waits for that. If it waits no more, nobody needs the answer. Does not wait.
    fn answer(&mut self, reply: &Message);

    /// Sends a message to the file server as soon as that takes it. Does not wait.
    ///
    /// # Errors
    /// That there is none.
    fn tell(&mut self, message: &Message) -> Result<(), Errno>;

    /// Writes a line for people.
    fn log(&mut self, line: core::fmt::Arguments<'_>);

    /// The system cannot go on, and ends.
    fn fail(&mut self, why: &str);
}

/// The process manager. Copies of `kernel` carry its kernel calls.
#[derive(Debug)]
pub struct Pm<'t, K, P> {
    transport: K,
    port: P,
    table: &'t mut Table,
    /// The root system process.
    root: Endpoint,
    /// The memory server.
    vm: Endpoint,
    /// The file server, if there is one.
    files: Option<Endpoint>,
    /// The first user process.
    init: Option<Slot>,
    /// The process manager itself.
    me: Endpoint,
    /// Timer ticks in a second.
    hz: u64,
    /// Who makes the call that is being dealt with. Its signals wait until it is answered.
    current: Option<Slot>,
    /// Some processes could not get their signals, and it is tried again at the next tick.
    retries: bool,
    /// When the kernel is to tell the time.
    alarm: Option<u64>,
}

impl<'t, K: Transport + Copy, P: Port> Pm<'t, K, P> {
    /// One that knows nobody yet.
    pub fn new(transport: K, port: P, table: &'t mut Table) -> Self {
        let nobody = Endpoint::NONE;
        Self {
            transport,
            port,
            table,
            root: nobody,
            vm: nobody,
            files: None,
            init: None,
            me: nobody,
            hz: 0,
            current: None,
            retries: false,
            alarm: None,
        }
    }

    fn kernel(&self) -> kernel::Client<K> {
        kernel::Client { to: Endpoint::SYSTEM, transport: self.transport }
    }

    fn getinfo(&self) -> getinfo::Client<K> {
        getinfo::Client { to: Endpoint::SYSTEM, transport: self.transport }
    }

    fn vm(&mut self) -> vm::Client<&mut P> {
        vm::Client { to: self.vm, transport: &mut self.port }
    }
}

#[cfg(test)]
mod tests;
