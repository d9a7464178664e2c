//! Files that regions show parts of, each with the descriptor that the file server keeps for them.

use crate::asks::{Ask, Asks};
use crate::cache::{Block, Cache, Place};
use crate::heap::bytes_for_entry;
use alloc::collections::BTreeMap;

/// A descriptor of a file server that is no more.
const CLOSED: i32 = -1;

/// A file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct File {
    /// On which device it is.
    pub(crate) device: u64,
    /// Which of its files; [`NO_INODE`](crate::cache::NO_INODE) for the device itself.
    pub(crate) inode: u64,
    /// What the file server knows it by.
    pub(crate) fd: i32,
    /// How many regions show some of it.
    pub(crate) regions: u64,
}

/// A page of a file that is not in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    /// Which file.
    pub(crate) file: u32,
    /// Which page of it.
    pub(crate) page: u64,
    /// At which page of the process it was needed.
    pub(crate) at: u64,
}

/// All files, what is known of their contents, and what the file server is asked.
#[derive(Debug, Default)]
pub(crate) struct Files {
    map: BTreeMap<u32, File>,
    last: u32,
    /// The page cache.
    pub(crate) cache: Cache,
    /// What is asked.
    pub(crate) asks: Asks,
    /// Why making pages available has stopped.
    pub(crate) missing: Option<Missing>,
}

impl Files {
    /// The most bytes that one more allocates, and a question about it.
    pub(crate) fn bytes_for_one(&self) -> usize {
        bytes_for_entry::<u32, File>() + self.asks.bytes_for_one(self.map.len() + 1)
    }

    /// The most bytes that one more question allocates.
    pub(crate) fn bytes_to_ask(&self) -> usize {
        self.asks.bytes_for_one(self.map.len())
    }

    /// Sees to it that one more can be asked, and that each file can be closed: [`bytes_to_ask`](Self::bytes_to_ask) are reserved.
    pub(crate) fn make_room(&mut self) {
        self.asks.make_room(self.map.len());
    }

    /// Adds a file that a region shows.
    pub(crate) fn add(&mut self, device: u64, inode: u64, fd: i32) -> u32 {
        self.asks.make_room(self.map.len() + 1);
        loop {
            self.last = self.last.wrapping_add(1);
            if !self.map.contains_key(&self.last) {
                break;
            }
        }
        self.map.insert(self.last, File { device, inode, fd, regions: 1 });
        self.last
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &File)> {
        self.map.iter().map(|(number, file)| (*number, file))
    }

    /// The file that the file server knows by a descriptor.
    pub(crate) fn by_fd(&self, fd: i32) -> Option<(u32, &File)> {
        self.iter().find(|(_, file)| file.fd == fd)
    }

    /// A file of a device that the file server knows.
    pub(crate) fn by_inode(&self, device: u64, inode: u64) -> Option<u32> {
        let is_it = |file: &File| (file.device, file.inode) == (device, inode) && file.fd != CLOSED;
        self.iter().find(|(_, file)| is_it(file)).map(|(number, _)| number)
    }

    /// One more region shows some of it.
    pub(crate) fn show(&mut self, file: u32) {
        if let Some(file) = self.map.get_mut(&file) {
            file.regions += 1;
        }
    }

    /// One less does. With the last it is closed.
    pub(crate) fn hide(&mut self, file: u32) {
        let Some(entry) = self.map.get_mut(&file) else {
            return;
        };
        entry.regions -= 1;
        if entry.regions == 0 {
            let fd = entry.fd;
            self.map.remove(&file);
            if fd != CLOSED {
                self.asks.push(Ask::Close(fd));
            }
        }
    }

    /// The file server is no more: its descriptors are none.
    pub(crate) fn forget_descriptors(&mut self) {
        self.map.values_mut().for_each(|file| file.fd = CLOSED);
    }

    /// The block that is a page of a file, if it is there.
    pub(crate) fn block(&self, file: u32, page: u64) -> Option<(Place, Block)> {
        let file = self.map.get(&file)?;
        let place = self.cache.place_of(file.device, file.inode, page)?;
        self.cache.get(place).map(|block| (place, *block))
    }

    /// The descriptor by which a file can be read.
    pub(crate) fn descriptor(&self, file: u32) -> Option<i32> {
        self.map.get(&file).map(|file| file.fd).filter(|fd| *fd != CLOSED)
    }
}
