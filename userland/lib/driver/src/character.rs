//! Drivers of character devices.

use abi::grant::GrantId;
use abi::{Endpoint, Errno, Kind, Message};
use protocol::cdev::*;
use protocol::{Answer, Caller};
use sys::grants::Received;

/// Most minor devices that are open at once.
pub const MOST_OPEN: usize = 256;

/// What the driver of a character device can do. Positions and counts are bytes.
pub trait Character {
    /// Opens a minor device.
    ///
    /// # Errors
    /// `ENXIO` if there is none such.
    fn open(&mut self, minor: u32, access: OpenFor) -> Result<(), Errno>;

    /// Closes it.
    fn close(&mut self, _minor: u32) {}

    /// Reads to memory that was granted. Returns how many bytes; 0 at the end.
    ///
    /// # Errors
    /// `EIO`, which is the default, and those of copies.
    fn read(&mut self, _minor: u32, _position: u64, _to: Received, _count: u64) -> Result<u64, Errno> {
        Err(Errno::Io)
    }

    /// Writes from memory that was granted. Returns how many bytes.
    ///
    /// # Errors
    /// `EIO`, which is the default, and those of copies.
    fn write(&mut self, _minor: u32, _position: u64, _from: Received, _count: u64) -> Result<u64, Errno> {
        Err(Errno::Io)
    }

    /// Does something else. Returns a number.
    ///
    /// # Errors
    /// `ENOTTY` if it knows no such request, which is the default.
    fn ioctl(&mut self, _minor: u32, _request: u32, _grant: Received) -> Result<u64, Errno> {
        Err(Errno::NoTty)
    }
}

/// The minor devices that are open at this instance of a driver. What is asked about another one was meant for the instance before it.
#[derive(Debug)]
pub struct Minors {
    /// Which, and how often each is open.
    open: [(u32, u32); MOST_OPEN],
    count: usize,
}

impl Minors {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self { open: [(0, 0); MOST_OPEN], count: 0 }
    }

    /// Answers a request for a driver in its place. Whatever is no request for a character device is answered with `ENOSYS`; a request to open a device of
    /// another kind with `ENXIO`, so that nobody waits for a wrong one.
    pub fn answer(&mut self, driver: &mut impl Character, request: &mut Message) -> bool {
        if request.kind == BLOCK_OPEN {
            *request = protocol::reply::<u64>(request, Err(Errno::NxIo));
            return true;
        }
        protocol::cdev::answer(&mut Asked { minors: self, driver }, request)
    }

    fn place(&self, minor: u32) -> Option<usize> {
        self.open[..self.count].iter().position(|(open, _)| *open == minor)
    }

    /// # Errors
    /// `ERESTART` for one that is not open here.
    fn check(&self, minor: u32) -> Result<(), Errno> {
        self.place(minor).map(drop).ok_or(Errno::Restart)
    }

    /// Whether one more can be opened.
    fn has_room(&self, minor: u32) -> bool {
        self.place(minor).is_some() || self.count < MOST_OPEN
    }

    fn note_open(&mut self, minor: u32) {
        match self.place(minor) {
            Some(place) => self.open[place].1 = self.open[place].1.saturating_add(1),
            None => {
                self.open[self.count] = (minor, 1);
                self.count += 1;
            }
        }
    }

    fn note_close(&mut self, minor: u32) {
        if let Some(place) = self.place(minor) {
            self.open[place].1 -= 1;
            if self.open[place].1 == 0 {
                self.count -= 1;
                self.open.swap(place, self.count);
            }
        }
    }

    /// Those that are open, and how often: for the state of a live update.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32)> {
        self.open[..self.count].iter().copied()
    }

    /// Takes over one that was open so often at the instance before this one. Whether there was room.
    pub fn take_over(&mut self, minor: u32, times: u32) -> bool {
        let has_room = times > 0 && self.place(minor).is_none() && self.count < MOST_OPEN;
        if has_room {
            self.open[self.count] = (minor, times);
            self.count += 1;
        }
        has_room
    }
}

impl Default for Minors {
    fn default() -> Self {
        Self::new()
    }
}

/// The request by which a block device is opened.
const BLOCK_OPEN: Kind = Kind(0x500);

/// A driver that is asked something.
struct Asked<'a, D> {
    minors: &'a mut Minors,
    driver: &'a mut D,
}

impl<D: Character> Asked<'_, D> {
    fn do_open(&mut self, call: &Open) -> Result<u32, Errno> {
        let access = OpenFor::from_bits(call.access).ok_or(Errno::Inval)?;
        if !self.minors.has_room(call.minor) {
            return Err(Errno::NFile);
        }
        self.driver.open(call.minor, access)?;
        self.minors.note_open(call.minor);
        Ok(call.minor)
    }

    /// Checks where something is to be read or written.
    fn transfer(&self, from: Caller, minor: u32, position: u64, count: u64, grant: GrantId) -> Result<Received, Errno> {
        self.minors.check(minor)?;
        position.checked_add(count).ok_or(Errno::Inval)?;
        Ok(received(from.endpoint, grant))
    }
}

fn received(granter: Endpoint, id: GrantId) -> Received {
    Received { granter, id }
}

impl<D: Character> Server for Asked<'_, D> {
    fn open(&mut self, _: Caller, call: Open) -> Answer<Opened> {
        self.do_open(&call).map(|minor| Opened { minor }).into()
    }

    fn close(&mut self, _: Caller, call: Close) -> Answer<Closed> {
        let closed = self.minors.check(call.minor).map(|()| {
            self.driver.close(call.minor);
            self.minors.note_close(call.minor);
            Closed {}
        });
        closed.into()
    }

    fn read(&mut self, from: Caller, call: Read) -> Answer<ReadDone> {
        let Read { minor, position, grant, count, .. } = call;
        let to = self.transfer(from, minor, position, count, grant);
        to.and_then(|to| self.driver.read(minor, position, to, count)).map(|count| ReadDone { count }).into()
    }

    fn write(&mut self, from: Caller, call: Write) -> Answer<Written> {
        let Write { minor, position, grant, count, .. } = call;
        let source = self.transfer(from, minor, position, count, grant);
        source.and_then(|from| self.driver.write(minor, position, from, count)).map(|count| Written { count }).into()
    }

    fn ioctl(&mut self, from: Caller, call: IoCtl) -> Answer<IoCtlDone> {
        let checked = self.minors.check(call.minor);
        let grant = received(from.endpoint, call.grant);
        checked
            .and_then(|()| self.driver.ioctl(call.minor, call.request, grant))
            .map(|value| IoCtlDone { value })
            .into()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use protocol::Call;
    use std::vec::Vec;

    /// Two minors; notes what it is asked.
    #[derive(Default)]
    struct Two {
        asked: Vec<(&'static str, u32)>,
    }

    impl Character for Two {
        fn open(&mut self, minor: u32, _: OpenFor) -> Result<(), Errno> {
            self.asked.push(("open", minor));
            if !(2..100).contains(&minor) { Ok(()) } else { Err(Errno::NxIo) }
        }

        fn close(&mut self, minor: u32) {
            self.asked.push(("close", minor));
        }

        fn read(&mut self, minor: u32, _: u64, _: Received, count: u64) -> Result<u64, Errno> {
            self.asked.push(("read", minor));
            Ok(count.min(3))
        }
    }

    fn ask<C: Call>(minors: &mut Minors, driver: &mut Two, call: &C) -> Result<C::Reply, Errno> {
        let mut message = protocol::encode(C::KIND, call);
        assert!(minors.answer(driver, &mut message));
        message.kind.status().expect("an answer")?;
        protocol::decode(&message)
    }

    const GRANT: GrantId = GrantId::INVALID;

    fn read(minor: u32) -> Read {
        Read { minor, reserved: 0, position: 0, grant: GRANT, count: 10 }
    }

    #[test]
    fn what_was_not_opened_here_was_meant_for_somebody_else() {
        let (mut minors, mut two) = (Minors::new(), Two::default());
        assert_eq!(ask(&mut minors, &mut two, &read(0)), Err(Errno::Restart));
        assert_eq!(ask(&mut minors, &mut two, &Close { minor: 0 }).map(drop), Err(Errno::Restart));
        let write = Write { minor: 0, reserved: 0, position: 0, grant: GRANT, count: 1 };
        assert_eq!(ask(&mut minors, &mut two, &write), Err(Errno::Restart));
        let ioctl = IoCtl { minor: 0, request: 1, grant: GRANT };
        assert_eq!(ask(&mut minors, &mut two, &ioctl), Err(Errno::Restart));
        assert_eq!(two.asked, []);
        assert_eq!(ask(&mut minors, &mut two, &Open { minor: 0, access: 1 }), Ok(Opened { minor: 0 }));
        assert_eq!(ask(&mut minors, &mut two, &read(0)), Ok(ReadDone { count: 3 }));
        assert_eq!(ask(&mut minors, &mut two, &read(1)), Err(Errno::Restart));
        assert_eq!(ask(&mut minors, &mut two, &write), Err(Errno::Io));
        assert_eq!(ask(&mut minors, &mut two, &ioctl), Err(Errno::NoTty));
    }

    #[test]
    fn it_is_open_as_often_as_it_was_opened() {
        let (mut minors, mut two) = (Minors::new(), Two::default());
        for _ in 0..2 {
            ask(&mut minors, &mut two, &Open { minor: 1, access: 3 }).expect("it exists");
        }
        assert_eq!(minors.iter().collect::<Vec<_>>(), [(1, 2)]);
        ask(&mut minors, &mut two, &Close { minor: 1 }).expect("it is open");
        assert!(ask(&mut minors, &mut two, &read(1)).is_ok());
        ask(&mut minors, &mut two, &Close { minor: 1 }).expect("it is open");
        assert_eq!(ask(&mut minors, &mut two, &read(1)), Err(Errno::Restart));
    }

    #[test]
    fn wrong_requests_are_refused_before_the_driver_hears_of_them() {
        let (mut minors, mut two) = (Minors::new(), Two::default());
        assert_eq!(ask(&mut minors, &mut two, &Open { minor: 0, access: 4 }), Err(Errno::Inval));
        assert_eq!(ask(&mut minors, &mut two, &Open { minor: 5, access: 1 }), Err(Errno::NxIo));
        assert_eq!(two.asked, [("open", 5)]);
        ask(&mut minors, &mut two, &Open { minor: 0, access: 1 }).expect("it exists");
        for (position, count) in [(u64::MAX, 1), (1, u64::MAX), (u64::MAX, u64::MAX)] {
            let call = Read { position, count, ..read(0) };
            assert_eq!(ask(&mut minors, &mut two, &call), Err(Errno::Inval));
        }
        let mut block = Message::new(Endpoint::NONE, BLOCK_OPEN);
        assert!(minors.answer(&mut two, &mut block));
        assert_eq!(block.kind, Kind::failed(Errno::NxIo));
        let mut unknown = Message::new(Endpoint::NONE, Kind(0x7001));
        assert!(minors.answer(&mut two, &mut unknown));
        assert_eq!(unknown.kind, Kind::failed(Errno::NoSys));
    }

    #[test]
    fn more_than_there_is_room_for_are_refused() {
        let (mut minors, mut two) = (Minors::new(), Two::default());
        for minor in 0..MOST_OPEN as u32 {
            ask(&mut minors, &mut two, &Open { minor: minor + 100, access: 1 }).expect("there is room");
        }
        assert_eq!(ask(&mut minors, &mut two, &Open { minor: 9999, access: 1 }), Err(Errno::NFile));
        assert!(ask(&mut minors, &mut two, &Open { minor: 100, access: 1 }).is_ok(), "it is open already");
        assert!(!minors.take_over(5, 1));
    }
}
