//! The page cache: blocks of devices that file systems have read, found by their place on the device and by that in a file.
//!
//! It is books only. A block names its frame once, as a page of a process does, so one that is named once is held by the cache alone.

use crate::frames::{Frame, Frames};
use crate::heap::{bytes_for_entry, bytes_for_neighbours};
use abi::Endpoint;
use alloc::collections::BTreeMap;

/// A block by its device and its page there.
pub(crate) type Place = (u64, u64);

/// The same by its device, its file and its page in that.
type InFile = (u64, u64, u64);

/// No file has this number: of a block that belongs to none, or a device that is read as a whole.
pub(crate) const NO_INODE: u64 = 0;

/// A block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Where its contents are.
    pub(crate) frame: Frame,
    /// It is shown once and then forgotten.
    pub(crate) is_once: bool,
    /// The file that it is a page of, and which one.
    file: Option<(u64, u64)>,
    /// When it was used last.
    age: u64,
}

/// All blocks.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    blocks: BTreeMap<Place, Block>,
    files: BTreeMap<InFile, u64>,
    /// The blocks by when they were used last.
    ages: BTreeMap<u64, Place>,
    now: u64,
    /// Which file system has a device.
    owners: BTreeMap<u64, Endpoint>,
}

impl Cache {
    /// The most bytes that one more owner allocates.
    pub(crate) const BYTES_FOR_OWNER: usize = bytes_for_entry::<u64, Endpoint>();

    /// The most bytes that using a block allocates.
    pub(crate) const BYTES_TO_USE: usize = bytes_for_entry::<u64, Place>();

    /// The most bytes that so many more blocks allocate, which are neighbours on the device and in the file.
    pub(crate) const fn bytes_for(blocks: usize) -> usize {
        bytes_for_neighbours::<Place, Block>(blocks)
            + bytes_for_neighbours::<InFile, u64>(blocks)
            + bytes_for_neighbours::<u64, Place>(blocks)
    }

    /// Whose a device is.
    pub(crate) fn owner(&self, device: u64) -> Option<Endpoint> {
        self.owners.get(&device).copied()
    }

    /// Whether a process has some device.
    pub(crate) fn is_owner(&self, process: Endpoint) -> bool {
        self.owners.values().any(|owner| *owner == process)
    }

    /// Says whose a device is; nobody's without an owner.
    pub(crate) fn set_owner(&mut self, device: u64, owner: Option<Endpoint>) {
        match owner {
            Some(owner) => self.owners.insert(device, owner),
            None => self.owners.remove(&device),
        };
    }

    /// A device of a process.
    pub(crate) fn device_of(&self, process: Endpoint) -> Option<u64> {
        self.owners.iter().find(|(_, owner)| **owner == process).map(|(device, _)| *device)
    }

    /// Whether it has nothing that could be given up.
    pub(crate) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The block at a place.
    pub(crate) fn get(&self, place: Place) -> Option<&Block> {
        self.blocks.get(&place)
    }

    /// Where the page of a file is on the device, if that is known.
    pub(crate) fn place_of(&self, device: u64, inode: u64, page: u64) -> Option<Place> {
        let on_device = if inode == NO_INODE { page } else { *self.files.get(&(device, inode, page))? };
        Some((device, on_device))
    }

    /// The first block of a device that is not before a place on it.
    pub(crate) fn first_from(&self, (device, page): Place) -> Option<Place> {
        self.blocks.range((device, page)..=(device, u64::MAX)).next().map(|(place, _)| *place)
    }

    /// Adds a block where there is none. The cache names its frame now.
    pub(crate) fn insert(&mut self, frames: &mut Frames, place: Place, frame: Frame, is_once: bool) {
        frames.name_again(frame);
        self.now += 1;
        self.ages.insert(self.now, place);
        self.blocks.insert(place, Block { frame, is_once, file: None, age: self.now });
    }

    /// A block is a page of a file, and no other is that page.
    pub(crate) fn set_file(&mut self, place: Place, inode: u64, page: u64) {
        let (device, on_device) = place;
        if inode == NO_INODE {
            return;
        }
        if let Some(other) = self.files.insert((device, inode, page), on_device)
            && other != on_device
            && let Some(block) = self.blocks.get_mut(&(device, other))
        {
            block.file = None;
        }
        let block = self.blocks.get_mut(&place);
        let before = block.and_then(|block| block.file.replace((inode, page)));
        if let Some((before, at)) = before.filter(|before| *before != (inode, page)) {
            self.files.remove(&(device, before, at));
        }
    }

    /// A block is shown once, or as often as somebody wants it.
    pub(crate) fn set_once(&mut self, place: Place, is_once: bool) {
        if let Some(block) = self.blocks.get_mut(&place) {
            block.is_once = is_once;
        }
    }

    /// A block is used: it is the last that is given up.
    pub(crate) fn touch(&mut self, place: Place) {
        let Some(block) = self.blocks.get_mut(&place).filter(|block| block.age != self.now) else {
            return;
        };
        self.ages.remove(&block.age);
        self.now += 1;
        block.age = self.now;
        self.ages.insert(self.now, place);
    }

    /// Takes a block out. Returns its frame, which still is named for it.
    #[must_use]
    pub(crate) fn remove(&mut self, place: Place) -> Option<Frame> {
        let block = self.blocks.remove(&place)?;
        self.ages.remove(&block.age);
        if let Some((inode, page)) = block.file {
            self.files.remove(&(place.0, inode, page));
        }
        Some(block.frame)
    }

    /// The block that was not used for longest, of those that were used after a moment and that nobody but the cache holds. And when
    /// that was.
    pub(crate) fn oldest_alone(&self, frames: &Frames, after: u64) -> Option<(u64, Place)> {
        let mut later = self.ages.range(after + 1..).map(|(age, place)| (*age, *place));
        later.find(|(_, place)| self.blocks.get(place).is_some_and(|block| frames.count(block.frame) == 1))
    }

    /// How many blocks the cache alone holds.
    pub(crate) fn alone(&self, frames: &Frames) -> u64 {
        self.blocks.values().filter(|block| frames.count(block.frame) == 1).count() as u64
    }

    /// All blocks.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Place, &Block)> {
        self.blocks.iter().map(|(place, block)| (*place, block))
    }

    /// Whether the books agree: each block is found by all ways, and nothing else is.
    pub(crate) fn is_sound(&self) -> bool {
        let in_files = self.blocks.iter().all(|((device, at), block)| {
            let found = |(inode, page)| self.files.get(&(*device, inode, page)) == Some(at);
            self.ages.get(&block.age) == Some(&(*device, *at)) && block.file.is_none_or(found)
        });
        let of_files = self.blocks.values().filter(|block| block.file.is_some()).count();
        let owned = self.blocks.keys().all(|(device, _)| self.owners.contains_key(device));
        in_files && owned && self.ages.len() == self.blocks.len() && self.files.len() == of_files
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const DEVICE: u64 = 7;

    fn frame(number: u32) -> Frame {
        Frame::new(number).expect("it is not the first")
    }

    /// Frames of which some are named once, by a program.
    fn frames() -> Frames {
        let mut frames = Frames::new(100);
        (1..50).for_each(|number| frames.adopt(frame(number)));
        frames
    }

    fn filled(frames: &mut Frames, count: u32) -> Cache {
        let mut cache = Cache::default();
        cache.set_owner(DEVICE, Some(Endpoint::SYSTEM));
        for number in 0..count {
            let place = (DEVICE, number.into());
            cache.insert(frames, place, frame(1 + number), false);
            cache.set_file(place, 3, u64::from(number) + 100);
            assert!(cache.is_sound());
        }
        cache
    }

    #[test]
    fn blocks_are_found_by_device_and_by_file() {
        let mut frames = frames();
        let mut cache = filled(&mut frames, 3);
        assert_eq!(cache.place_of(DEVICE, 3, 101), Some((DEVICE, 1)));
        assert_eq!(cache.place_of(DEVICE, NO_INODE, 2), Some((DEVICE, 2)));
        assert_eq!((cache.place_of(DEVICE, 4, 101), cache.place_of(DEVICE + 1, 3, 101)), (None, None));
        assert_eq!(cache.get((DEVICE, 1)).map(|block| block.frame), Some(frame(2)));
        assert_eq!(frames.count(frame(2)), 2, "it is named once more");
        assert_eq!(cache.remove((DEVICE, 1)), Some(frame(2)));
        assert_eq!((cache.place_of(DEVICE, 3, 101), cache.remove((DEVICE, 1))), (None, None));
        assert!(cache.is_sound());
    }

    #[test]
    fn a_page_of_a_file_is_one_block() {
        let mut frames = frames();
        let mut cache = filled(&mut frames, 3);
        // The file has got another block for this page.
        cache.set_file((DEVICE, 2), 3, 100);
        assert!(cache.is_sound());
        assert_eq!(cache.place_of(DEVICE, 3, 100), Some((DEVICE, 2)));
        assert_eq!(cache.place_of(DEVICE, 3, 102), None, "the block was that before");
        // And gives it up again.
        cache.set_file((DEVICE, 0), 3, 100);
        cache.set_file((DEVICE, 0), 3, 100);
        cache.set_file((DEVICE, 0), NO_INODE, 9);
        assert!(cache.is_sound());
        assert_eq!(cache.place_of(DEVICE, 3, 100), Some((DEVICE, 0)));
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let mut frames = frames();
        let mut cache = filled(&mut frames, 4);
        assert_eq!((cache.alone(&frames), cache.oldest_alone(&frames, 0)), (0, None), "programs have them, too");
        [1, 2, 4].into_iter().for_each(|number| frames.unname(frame(number)));
        cache.touch((DEVICE, 0));
        cache.touch((DEVICE, 0));
        cache.touch((DEVICE, 9));
        assert!(cache.is_sound());
        let (mut order, mut after) = (Vec::new(), 0);
        while let Some((age, place)) = cache.oldest_alone(&frames, after) {
            order.push(place.1);
            after = age;
        }
        assert_eq!((order, cache.alone(&frames)), (std::vec![1, 3, 0], 3));
    }

    #[test]
    fn devices_have_one_owner() {
        let mut frames = frames();
        let mut cache = filled(&mut frames, 2);
        assert_eq!((cache.owner(DEVICE), cache.owner(8)), (Some(Endpoint::SYSTEM), None));
        assert!(cache.is_owner(Endpoint::SYSTEM) && !cache.is_owner(Endpoint::NONE));
        assert_eq!(cache.device_of(Endpoint::SYSTEM), Some(DEVICE));
        let first = |device, page| cache.first_from((device, page));
        assert_eq!([first(DEVICE, 0), first(DEVICE, 1)], [Some((DEVICE, 0)), Some((DEVICE, 1))]);
        assert_eq!([first(DEVICE, 2), first(DEVICE - 1, 0), first(8, 0)], [None; 3]);
        cache.set_owner(DEVICE, None);
        assert!(!cache.is_sound(), "blocks of nobody's device");
    }
}
