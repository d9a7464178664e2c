//! What processes have, page by page and byte by byte, without frames.

use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno};
use protocol::vmctl::Access;
use std::collections::BTreeMap;
use std::ops::Range;

/// Where in a page there are bytes that matter: at both ends and between.
pub(crate) const PLACES: [u64; 4] = [0, 1, PAGE_SIZE / 2 - 1, PAGE_SIZE - 1];

/// The bytes of a page at [`PLACES`].
pub(crate) type Bytes = [u8; PLACES.len()];

/// What a page shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shows {
    /// Memory of its own.
    Own(Bytes),
    /// The same, of a run of frames.
    Run(Bytes),
    /// A page of a shared object.
    Shared { object: usize, page: u64 },
    /// A page of a file, and whether it was written.
    File(Bytes, bool),
    /// What lies behind the end of a file.
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) access: Access,
    /// It can be given any access, and not only this one or that to read.
    pub(crate) any: bool,
    /// What it can be given if not any.
    pub(crate) most: Access,
    pub(crate) shows: Shows,
}

impl Page {
    /// New memory.
    pub(crate) fn new(access: Access, shows: Shows) -> Self {
        Self { access, any: true, most: access, shows }
    }

    fn may_become(&self, access: Access) -> bool {
        self.any || access == Access::Read || access == self.most
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) endpoint: Endpoint,
    pub(crate) pages: BTreeMap<u64, Page>,
    /// Its data segment, in bytes.
    pub(crate) data: Option<(u64, u64)>,
    /// Most pages.
    pub(crate) limit: u64,
    /// Ranges that were fixed: address, length, whether to be written.
    pub(crate) fixes: Vec<(u64, u64, u32)>,
    /// All that it has is there.
    pub(crate) is_pinned: bool,
}

impl Process {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, pages: BTreeMap::new(), data: None, limit: u64::MAX, fixes: Vec::new(), is_pinned: false }
    }

    pub(crate) fn covered(&self, range: &Range<u64>) -> u64 {
        self.pages.range(range.clone()).count() as u64
    }

    /// Whether so many more pages are too many, when some are taken away for them.
    pub(crate) fn is_too_much(&self, more: u64, replaced: u64) -> bool {
        self.pages.len() as u64 - replaced + more > self.limit
    }

    pub(crate) fn unmap(&mut self, range: Range<u64>) {
        self.pages.retain(|page, _| !range.contains(page));
    }

    pub(crate) fn map(&mut self, start: u64, pages: impl Iterator<Item = Page>) {
        for (number, page) in (start..).zip(pages) {
            assert!(self.pages.insert(number, page).is_none(), "something is at {number:#x} already");
        }
    }

    pub(crate) fn protect(&mut self, range: Range<u64>, access: Access) -> Result<(), Errno> {
        if self.covered(&range) != range.end - range.start {
            return Err(Errno::NoMem);
        }
        if !self.pages.range(range.clone()).all(|(_, page)| page.may_become(access)) {
            return Err(Errno::Perm);
        }
        self.pages.range_mut(range).for_each(|(_, page)| page.access = access);
        Ok(())
    }

    /// Whether all pages of a range can be used so.
    pub(crate) fn permits(&self, range: Range<u64>, access: Access) -> bool {
        let met = |page: &Page| page.shows != Shows::Nothing && (access == Access::Read || page.access == access);
        range.clone().all(|page| self.pages.get(&page).is_some_and(met))
    }
}

/// All processes, and what they share.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) processes: Vec<Process>,
    pub(crate) objects: Vec<BTreeMap<u64, Bytes>>,
}

impl Model {
    /// The bytes that a page shows.
    pub(crate) fn bytes(&self, page: &Page) -> Bytes {
        match page.shows {
            Shows::Own(bytes) | Shows::Run(bytes) | Shows::File(bytes, _) => bytes,
            Shows::Nothing => Bytes::default(),
            Shows::Shared { object, page } => self.objects[object].get(&page).copied().unwrap_or_default(),
        }
    }

    /// A process writes a byte.
    pub(crate) fn write(&mut self, who: usize, page: u64, place: usize, byte: u8) {
        let page = self.processes[who].pages.get_mut(&page).expect("it was written");
        match &mut page.shows {
            Shows::File(bytes, is_written) => {
                bytes[place] = byte;
                *is_written = true;
            }
            Shows::Own(bytes) | Shows::Run(bytes) => bytes[place] = byte,
            Shows::Nothing => panic!("nothing is there"),
            Shows::Shared { object, page } => self.objects[*object].entry(*page).or_default()[place] = byte,
        }
    }

    /// Makes an object of what a range of a process shows, or says which it shows.
    pub(crate) fn share(&mut self, who: usize, range: Range<u64>) -> usize {
        let pages = &mut self.processes[who].pages;
        let first = pages.get(&range.start).expect("it is a region");
        if let Shows::Shared { object, .. } = first.shows {
            return object;
        }
        let object = self.objects.len();
        let mut bytes = BTreeMap::new();
        for (number, page) in pages.range_mut(range.clone()) {
            let Shows::Own(own) = page.shows else { panic!("a region shows one kind of memory") };
            let index = number - range.start;
            bytes.insert(index, own);
            page.shows = Shows::Shared { object, page: index };
        }
        self.objects.push(bytes);
        object
    }
}
