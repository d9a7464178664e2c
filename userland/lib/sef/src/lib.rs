//! The System Event Framework: what every service is written with.
//!
//! A service implements [`Service`], all of whose methods but one have defaults, and is run by [`run`]. The framework asks the root system
//! process how to begin, has the service begin, answers pings, receives signals, and lets the service be replaced by another version of
//! it. What is for the framework never reaches the service; what somebody else makes look so reaches it as an ordinary request.
#![no_std]

mod link;
mod service;
mod steward;

pub use link::{Kernel, Link};
pub use protocol::sef::state;
pub use service::{Begin, Old, Prepared, Service};
pub use steward::Steward;

use abi::{Endpoint, Errno, Message};

/// Runs a service: asks how to begin, begins, and serves. Returns only when that is impossible, with an exit status.
pub fn run(service: &mut impl Service) -> u64 {
    let identity = match sys::whoami() {
        Ok(identity) => identity,
        Err(error) => return give_up("cannot learn its own name", error),
    };
    let mut steward = Steward::new(Kernel, identity.endpoint, identity.root);
    match steward.begin(service) {
        Ok(()) => {}
        Err(error) => return give_up("cannot begin", error),
    }
    give_up("cannot receive any more", steward.serve(service))
}

/// Begins for a program that serves nobody, such as one that only asks others. It can neither be pinged nor replaced.
///
/// # Errors
/// That it may not ask how to begin, or is not starting.
pub fn start() -> Result<Begin, Errno> {
    struct Quiet(Option<Begin>);
    impl Service for Quiet {
        fn begin(&mut self, begin: &Begin) -> Result<(), Errno> {
            self.0 = Some(*begin);
            Ok(())
        }

        fn answer(&mut self, request: &mut Message) -> bool {
            *request = protocol::reply::<u64>(request, Err(Errno::NoSys));
            true
        }
    }
    let identity = sys::whoami()?;
    let mut quiet = Quiet(None);
    Steward::new(Kernel, identity.endpoint, identity.root).begin(&mut quiet)?;
    quiet.0.ok_or(Errno::Proto)
}

fn give_up(what: &str, error: Errno) -> u64 {
    sys::log!("{what}: {error}");
    1
}

/// The endpoint of a service by its label, as the root system process knows it.
///
/// # Errors
/// `ESRCH` if there is none, and those of the way to that process.
pub fn lookup(label: &str) -> Result<Endpoint, Errno> {
    let label = abi::boot::BootEntry::encode_name(label).ok_or(Errno::Inval)?;
    let root = sys::whoami()?.root;
    let mut client = protocol::rs::Client { to: root, transport: sys::Ipc::default() };
    client.lookup(protocol::rs::Lookup { label }).map(|found| found.endpoint)
}

#[cfg(test)]
mod tests;
