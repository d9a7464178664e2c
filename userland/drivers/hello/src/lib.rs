//! A driver without a device: reading it gives a text. It counts how often it was opened, and keeps that number over a live update, but not over a
//! crash. There are two versions of it, whose states have different layouts: the second one reads that of the first.
#![no_std]

mod state;

pub use state::{First, Second, State, Version};

use abi::{Errno, Message};
use core::marker::PhantomData;
use driver::{Character, Kind, Minors, announce};
use protocol::cdev::OpenFor;
use protocol::sef::state::{PROTOCOL_FREE, REQUEST_FREE, WORK_FREE};
use sef::{Begin, Old, Prepared, Service};
use sys::grants::Received;

/// What it says.
pub const TEXT: &[u8] = b"Hello, World!\n";
/// Its one minor device.
const MINOR: u32 = 0;
/// Room for its state.
const STATE_LEN: usize = 64;

/// The driver.
#[derive(Debug)]
pub struct Hello<V> {
    state: State,
    minors: Minors,
    /// Its state as it was saved last.
    saved: [u8; STATE_LEN],
    version: PhantomData<V>,
}

impl<V: Version> Hello<V> {
    /// It was never opened.
    #[must_use]
    pub const fn new() -> Self {
        let state = State { opens: 0, reads: 0 };
        Self { state, minors: Minors::new(), saved: [0; STATE_LEN], version: PhantomData }
    }

    /// Takes over the state of an old version, and which minors are open there.
    ///
    /// # Errors
    /// `EINVAL` for a state that this version cannot read.
    fn restore(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        let (state, open) = V::read(bytes).ok_or(Errno::Inval)?;
        self.state = state;
        self.minors.take_over(MINOR, open);
        Ok(())
    }

    fn announce(&self, begin: &Begin) -> Result<(), Errno> {
        announce(Kind::Character, begin.endpoint, sef::lookup("ds")?)
    }
}

impl<V: Version> Default for Hello<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V: Version> Service for Hello<V> {
    fn begin(&mut self, begin: &Begin) -> Result<(), Errno> {
        sys::log!("{}", core::str::from_utf8(TEXT).unwrap_or_default().trim_end());
        self.announce(begin)
    }

    fn begin_again(&mut self, begin: &Begin) -> Result<(), Errno> {
        sys::log!("restarted");
        self.announce(begin)
    }

    fn take_over(&mut self, begin: &Begin) -> Result<(), Errno> {
        let Old { state, len } = begin.old.ok_or(Errno::NoEnt)?;
        let mut bytes = [0; STATE_LEN];
        let bytes = bytes.get_mut(..len as usize).ok_or(Errno::TooBig)?;
        state.copy_from(0, bytes)?;
        let restored = self.restore(bytes);
        match restored {
            Ok(()) => sys::log!("a new version, opened {} times", self.state.opens),
            Err(_) => sys::log!("cannot read the state of the old version: that is newer"),
        }
        restored
    }

    fn accepts(&self, state: u32) -> Result<(), Errno> {
        let is_known = matches!(state, WORK_FREE | REQUEST_FREE | PROTOCOL_FREE);
        if is_known { Ok(()) } else { Err(Errno::Inval) }
    }

    fn prepare(&mut self, _: u32) -> Prepared {
        // It never has anything half done.
        Prepared::Ready
    }

    fn save(&mut self) -> Result<&[u8], Errno> {
        let open = self.minors.iter().find(|(minor, _)| *minor == MINOR).map_or(0, |(_, times)| times);
        let len = V::write(&self.state, open, &mut self.saved).ok_or(Errno::TooBig)?;
        Ok(&self.saved[..len])
    }

    fn answer(&mut self, request: &mut Message) -> bool {
        self.minors.answer(&mut self.state, request)
    }
}

impl Character for State {
    fn open(&mut self, minor: u32, _: OpenFor) -> Result<(), Errno> {
        if minor != MINOR {
            return Err(Errno::NxIo);
        }
        self.opens = self.opens.saturating_add(1);
        Ok(())
    }

    fn read(&mut self, _: u32, position: u64, to: Received, count: u64) -> Result<u64, Errno> {
        let rest = usize::try_from(position).ok().and_then(|position| TEXT.get(position..)).unwrap_or_default();
        let part = &rest[..rest.len().min(usize::try_from(count).unwrap_or(usize::MAX))];
        if !part.is_empty() {
            to.copy_to(0, part)?;
        }
        self.reads = self.reads.saturating_add(part.len() as u64);
        Ok(part.len() as u64)
    }

    /// How often it was opened, whatever is asked.
    fn ioctl(&mut self, _: u32, request: u32, _: Received) -> Result<u64, Errno> {
        match request {
            GET_OPENS => Ok(self.opens.into()),
            GET_READS => Ok(self.reads),
            _ => Err(Errno::NoTty),
        }
    }
}

/// The request that tells how often it was opened.
pub const GET_OPENS: u32 = 1;
/// The request that tells how many bytes were read.
pub const GET_READS: u32 = 2;
