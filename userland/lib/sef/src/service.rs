//! What a service is to the framework.

use abi::event::SystemEvent;
use abi::grant::GrantId;
use abi::{Endpoint, Errno, Message, Signal};
use protocol::rs::Init;
use protocol::sef::state;
use sys::grants::Received;

/// How a service begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    /// In which way.
    pub how: Init,
    /// How often it was restarted.
    pub restarts: u32,
    /// Its own endpoint.
    pub endpoint: Endpoint,
    /// The root system process.
    pub root: Endpoint,
    /// What the instance before it has left.
    pub old: Option<Old>,
    /// The table of all services, to be read: [`protocol::sef::TABLE_LEN`] entries of [`protocol::sef::ServiceEntry`].
    pub table: Received,
    /// The state that the instance before it was replaced in, [`protocol::rs::NO_STATE`] if it was not.
    pub prepared: u32,
}

/// State that an instance has left, to be read while the next one begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Old {
    /// Where it is.
    pub state: Received,
    /// Bytes.
    pub len: u64,
}

/// Whether a service can be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prepared {
    /// It can.
    Ready,
    /// Not yet: it is asked again before it receives the next message.
    NotYet,
    /// It cannot, and will not be able to.
    Never(Errno),
}

/// A service. Only [`Service::answer`] has to be written.
pub trait Service {
    /// Begins for the first time.
    ///
    /// # Errors
    /// It cannot: it is ended, and whoever wanted it is told.
    fn begin(&mut self, _begin: &Begin) -> Result<(), Errno> {
        Ok(())
    }

    /// Begins after a crash of an instance before it. By default as for the first time: whatever that one knew is lost.
    ///
    /// # Errors
    /// It cannot, and is ended.
    fn begin_again(&mut self, begin: &Begin) -> Result<(), Errno> {
        self.begin(begin)
    }

    /// Begins as a new version, with the state of the old one.
    ///
    /// # Errors
    /// It cannot: the old version goes on. `ENOSYS` if it never can, which is the default.
    fn take_over(&mut self, _begin: &Begin) -> Result<(), Errno> {
        Err(Errno::NoSys)
    }

    /// Whether it can be replaced in a state at all.
    ///
    /// # Errors
    /// `EINVAL` if not in this one, `ENOSYS` if in none, which is the default.
    fn accepts(&self, _state: u32) -> Result<(), Errno> {
        Err(Errno::NoSys)
    }

    /// Whether it can be replaced now, in a state other than [`state::WORK_FREE`].
    fn prepare(&mut self, _state: u32) -> Prepared {
        Prepared::NotYet
    }

    /// The state that it is to be replaced in has become another one; [`protocol::rs::NO_STATE`] for none.
    fn state_changed(&mut self, _old: u32, _new: u32) {}

    /// Its state, for the next version of it.
    ///
    /// # Errors
    /// It cannot be replaced.
    fn save(&mut self) -> Result<&[u8], Errno> {
        Ok(&[])
    }

    /// Memory that an instance after a crash may read, granted to the service's own endpoint, and its length.
    fn kept_state(&self) -> Option<(GrantId, u64)> {
        None
    }

    /// Answers a request in its place. Whether there is an answer: if not, there may be one later.
    fn answer(&mut self, request: &mut Message) -> bool;

    /// Somebody other than the root system process or the kernel has notified it.
    fn notified(&mut self, _notification: &Message) {}

    /// The kernel tells something: see [`abi::event`].
    fn told(&mut self, _event: &SystemEvent) {}

    /// A signal was raised for it, but none that ends it.
    fn signal(&mut self, _signal: Signal) {}

    /// Whether it answers a ping. A service that finds itself unable to work may leave that, and is restarted.
    fn is_well(&mut self) -> bool {
        true
    }
}

/// Whether a state is one of those that exist for all services.
pub(crate) const fn is_for_tests(number: u32) -> bool {
    matches!(number, state::UNREACHABLE | state::CRASH)
}
