//! What the root system process does, without the kernel: whatever carries its calls, loads programs and keeps its tables is given to it.
//!
//! It gives the boot programs their privileges and lets them run. Where the image has a policy, it knows each service by its label from then
//! on: has it begin, watches it, restarts it when it dies, and replaces it by another version on request.
#![no_std]

mod arguments;
mod boot;
mod control;
mod denials;
mod life;
mod make;
mod news;
mod policy;
mod scripts;
mod serve;
mod service;
mod startup;
mod time;
mod update;

pub use arguments::Arguments;
pub use boot::{BootFailure, Step};
pub use policy::Set;
pub use service::{Name, PERIODS_TO_END, SERVICES};

use abi::event::SystemEvent;
use abi::grant::GrantId;
use abi::{Endpoint, Errno, Message, PrivilegeFlags, PrivilegeSpec, Signal};
use core::fmt;
use protocol::kernel::{EndKSig, GetKSig};
use protocol::sef::ServiceEntry;
use protocol::{Caller, Transport, ds, getinfo, kernel, pm, privctl, vm};
use service::{Table, Work};
use zerocopy::{Immutable, IntoBytes};

/// The way to others, and what of the root system process is no logic.
pub trait Servers: Transport {
    /// Waits until a server that was started notifies.
    ///
    /// # Errors
    /// That it has ended, or that the caller cannot receive.
    fn wait_until_ready(&mut self, server: Endpoint) -> Result<(), Errno>;

    /// Takes over the file at a place of the boot table.
    ///
    /// # Errors
    /// Those of [`vm::TakeBootFile`].
    fn boot_file(&mut self, place: u64) -> Result<&'static [u8], Errno>;

    /// Reads all of a buffer from what somebody has granted.
    ///
    /// # Errors
    /// Those of SAFECOPYFROM.
    fn read(&mut self, granter: Endpoint, grant: GrantId, into: &mut [u8]) -> Result<(), Errno>;

    /// Gives a process that does not run a program, with arguments behind its name.
    ///
    /// # Errors
    /// `ENOEXEC` for a file that is none, `ENOMEM`, and others of the memory server. The process cannot be used then.
    fn load(
        &mut self,
        vm: Endpoint,
        process: Endpoint,
        name: &Name,
        image: &[u8],
        arguments: &Arguments,
    ) -> Result<(), Errno>;

    /// Sends a message without waiting until it is received.
    ///
    /// # Errors
    /// `ENOSPC` if too many are on their way.
    fn tell(&mut self, message: &Message) -> Result<(), Errno>;

    /// Answers whoever waits for it; nothing happens if nobody does.
    fn answer(&mut self, answer: &Message);

    /// Notifies a service; nothing happens if it is dead.
    fn notify(&mut self, to: Endpoint);

    /// Shows everybody an entry of the table of services.
    fn show(&mut self, place: usize, entry: &ServiceEntry);

    /// The grant by which everybody may read that table.
    fn table_grant(&mut self) -> GrantId;

    /// Writes a line to the log.
    fn log(&mut self, line: fmt::Arguments<'_>);
}

/// Why the system cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fatal {
    /// A service without which nothing works is dead, and cannot be restarted.
    Lost(Name, Errno),
    /// The kernel denies a call.
    Denied(Errno),
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(name, error) => write!(f, "the system cannot go on without {name}: {error}"),
            Self::Denied(error) => write!(f, "cannot deal with signals: {error}"),
        }
    }
}

impl From<Errno> for Fatal {
    fn from(error: Errno) -> Self {
        Self::Denied(error)
    }
}

/// The root system process. Copies of `transport` carry its kernel calls.
#[derive(Debug)]
pub struct Root<T, S> {
    transport: T,
    servers: S,
    me: Endpoint,
    /// The memory server, if it has loaded the others: it is told when one of them has ended.
    pager: Option<Endpoint>,
    /// What services may do.
    policy: Set,
    services: Table,
    /// The arguments of each, in its place.
    arguments: [Arguments; SERVICES],
    /// The files of programs that can be started.
    images: [Option<(Name, &'static [u8])>; abi::boot::MAX_PROGRAMS],
    /// What is under way.
    work: Work,
    /// Why the system cannot go on.
    fatal: Option<Fatal>,
}

impl<T: Transport + Copy, S: Servers> Root<T, S> {
    /// One that makes its kernel calls through `transport`.
    pub const fn new(transport: T, servers: S) -> Self {
        Self {
            transport,
            servers,
            me: Endpoint::NONE,
            pager: None,
            policy: Set::EMPTY,
            services: Table::EMPTY,
            arguments: [Arguments::NONE; SERVICES],
            images: [None; abi::boot::MAX_PROGRAMS],
            work: Work::NONE,
            fatal: None,
        }
    }

    /// Answers a request in its place. Whether there is an answer: if not, there may be one later.
    pub fn answer(&mut self, request: &mut Message) -> bool {
        let mut answered = protocol::rs::answer(self, request);
        if self.has_news() {
            // Who is told of them may be the one that waits for this answer: a request would pass for it.
            if answered {
                self.servers.answer(request);
                answered = false;
            }
            self.publish();
        }
        answered
    }

    /// Deals with a notification.
    ///
    /// # Errors
    /// Why the system cannot go on, here and after [`Root::answer`].
    pub fn notified(&mut self, notification: &Message) -> Result<(), Fatal> {
        match notification.peer {
            Endpoint::SYSTEM => self.signaled(&SystemEvent::read(&notification.body))?,
            Endpoint::CLOCK => self.period(),
            peer => self.is_alive(peer),
        }
        self.publish();
        self.fatal()
    }

    /// Why the system cannot go on, if so.
    ///
    /// # Errors
    /// That.
    pub fn fatal(&mut self) -> Result<(), Fatal> {
        self.fatal.take().map_or(Ok(()), Err)
    }

    /// Deals with what a notification from the kernel tells, and with every other process that has signals.
    fn signaled(&mut self, event: &SystemEvent) -> Result<(), Errno> {
        if let Some((process, signals)) = event.signaled {
            self.handle(process, signals)?;
        }
        loop {
            let next = self.kernel().getksig(GetKSig {})?;
            if next.process == Endpoint::NONE {
                return Ok(());
            }
            self.handle(next.process, next.signals)?;
        }
    }

    /// Ends a process whose signals leave no other way, and lets any other go on.
    fn handle(&mut self, process: Endpoint, signals: u64) -> Result<(), Errno> {
        let done = if let Some(signal) = lethal(signals) {
            self.died(process, signal)
        } else {
            self.pass_on(process, signals);
            match self.kernel().endksig(EndKSig { process }) {
                // Somebody else has become its manager since.
                Err(Errno::Perm) => Ok(()),
                ended => ended.map(drop),
            }
        };
        match done {
            // It is gone already.
            Err(Errno::Inval) => Ok(()),
            other => other,
        }
    }

    fn kernel(&self) -> kernel::Client<T> {
        kernel::Client { to: Endpoint::SYSTEM, transport: self.transport }
    }

    fn privctl(&self) -> privctl::Client<T> {
        privctl::Client { to: Endpoint::SYSTEM, transport: self.transport }
    }

    fn getinfo(&self) -> getinfo::Client<T> {
        getinfo::Client { to: Endpoint::SYSTEM, transport: self.transport }
    }

    fn memory_server(&mut self) -> Result<vm::Client<&mut S>, Errno> {
        let to = self.pager.ok_or(Errno::NoSys)?;
        Ok(vm::Client { to, transport: &mut self.servers })
    }

    fn process_manager(&mut self) -> Result<pm::Client<&mut S>, Errno> {
        let to = self.services.active(Name::PM).ok_or(Errno::NoSys)?;
        Ok(pm::Client { to, transport: &mut self.servers })
    }

    fn data_store(&mut self) -> Result<ds::Client<&mut S>, Errno> {
        let to = self.services.active(Name::DS).ok_or(Errno::NoSys)?;
        Ok(ds::Client { to, transport: &mut self.servers })
    }

    /// Answers somebody who has waited.
    fn answer_later<R: IntoBytes + Immutable>(&mut self, caller: Caller, answer: Result<R, Errno>) {
        let mut request = Message::new(caller.endpoint, abi::Kind(0));
        request.tag = caller.tag;
        self.servers.answer(&protocol::reply(&request, answer.as_ref().map_err(|errno| *errno)));
    }
}

/// The signal of a set that ends a process, if there is one.
fn lethal(signals: u64) -> Option<Signal> {
    let mut all = (1..=Signal::LAST_USER).filter_map(Signal::from_user);
    all.find(|signal| signals & signal.bit() != 0 && (signal.is_lethal() || *signal == Signal::KILL))
}

/// Privileges without any rights.
const fn no_rights(manager: Endpoint) -> PrivilegeSpec {
    PrivilegeSpec {
        sends: 0,
        calls: 0,
        flags: PrivilegeFlags::empty().bits(),
        init_flags: 0,
        traps: 0,
        manager,
        backup: Endpoint::NONE,
        reserved: 0,
    }
}

#[cfg(test)]
mod tests;
