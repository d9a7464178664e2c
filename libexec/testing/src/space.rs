//! A space to load programs into, that holds a loader to every promise of [`Target`].

use crate::pieces::wait;
use abi::layout::{PAGE_SIZE, USER_END, USER_START};
use libexec::{Access, FileMapping, Fill, Mapped, Reservation, Section, Start, Target, WRITE_MAX};
use std::collections::BTreeMap;
use std::ops::Range;

const PAGE: usize = PAGE_SIZE as usize;
/// What is in memory that nobody has cleared.
const JUNK: u8 = 0xa5;
const READ_WRITE: Access = Access::READ.union(Access::WRITE);

/// A space, byte by byte. Any call that breaks a promise panics.
#[derive(Clone, Debug)]
pub struct Space {
    file: Vec<u8>,
    files: Files,
    /// The calls so far, by the name of the method.
    pub calls: Vec<&'static str>,
    /// The call that fails, counted from 0.
    pub failing: Option<usize>,
    state: State,
    regions: Vec<Region>,
    /// The pages that somebody has touched.
    pages: BTreeMap<u64, Page>,
}

/// Whether a space can map pages of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files {
    /// It can.
    Mapped,
    /// Their contents have to be copied.
    Copied,
}

/// The call of this number failed, because that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallFailed(pub usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The old program is there.
    Old,
    /// Being loaded.
    Loading,
    /// Half-way, and never whole.
    Broken,
    /// A new program is there.
    Started(Start),
}

/// Pages that were reserved or mapped together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Where they are.
    pub pages: Range<u64>,
    /// What may be done there.
    pub access: Access,
    /// How they came about.
    pub origin: Origin,
}

/// How a region came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// To be filled.
    Whole,
    /// Zeros.
    Zero,
    /// Pages of the file.
    File,
    /// The stack.
    Stack,
}

#[derive(Clone, Debug)]
struct Page {
    bytes: [u8; PAGE],
    /// Bytes that were copied in or set to zero.
    given: [bool; PAGE],
}

impl Space {
    /// A space with an old program in it, for a program out of this file.
    pub fn new(file: &[u8], files: Files) -> Self {
        Self {
            file: file.to_vec(),
            files,
            calls: Vec::new(),
            failing: None,
            state: State::Old,
            regions: Vec::new(),
            pages: BTreeMap::new(),
        }
    }

    /// Whether the old program is as it was.
    pub fn is_untouched(&self) -> bool {
        self.state == State::Old && self.calls.is_empty()
    }

    /// Where the new program begins, if it was started.
    pub fn start(&self) -> Option<Start> {
        match self.state {
            State::Started(start) => Some(start),
            _ => None,
        }
    }

    /// All regions, in the order in which they were made.
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// How many pages have been touched.
    pub fn touched(&self) -> usize {
        self.pages.len()
    }

    /// What the program finds at these addresses.
    ///
    /// # Panics
    /// If not all of them are the program's.
    pub fn bytes(&self, address: u64, len: u64) -> Vec<u8> {
        (address..address + len).map(|at| self.byte(at)).collect()
    }

    /// The word there, see [`Space::bytes`].
    ///
    /// # Panics
    /// See there.
    pub fn word(&self, address: u64) -> u64 {
        u64::from_le_bytes(self.bytes(address, 8).try_into().expect("eight bytes"))
    }

    /// What may be done at an address; `None` if it is not the program's.
    pub fn access(&self, address: u64) -> Option<Access> {
        self.region(address).map(|region| region.access)
    }

    fn region(&self, address: u64) -> Option<&Region> {
        self.regions.iter().find(|region| region.pages.contains(&address))
    }

    fn byte(&self, at: u64) -> u8 {
        let region = self.region(at).unwrap_or_else(|| panic!("nothing at {at:#x}"));
        match self.pages.get(&(at / PAGE_SIZE)) {
            Some(page) => page.bytes[(at % PAGE_SIZE) as usize],
            None => fresh(region.origin),
        }
    }

    /// Begins a call.
    async fn enter(&mut self, name: &'static str) -> Result<(), CallFailed> {
        wait().await;
        match name {
            "clear" => assert_eq!(self.state, State::Old, "cleared once, and first"),
            _ => assert_eq!(self.state, State::Loading, "{name} at a wrong time"),
        }
        let number = self.calls.len();
        self.calls.push(name);
        if self.failing == Some(number) {
            self.state = State::Broken;
            return Err(CallFailed(number));
        }
        Ok(())
    }

    fn add(&mut self, region: Region) {
        let Range { start, end } = region.pages;
        assert!(start.is_multiple_of(PAGE_SIZE) && end.is_multiple_of(PAGE_SIZE), "no pages: {region:?}");
        assert!(USER_START <= start && start < end && end <= USER_END, "outside of user space: {region:?}");
        assert!(region.access.contains(Access::READ) && !region.access.contains(Access::WRITE | Access::EXECUTE));
        let overlap = self.regions.iter().find(|other| other.pages.start < end && start < other.pages.end);
        assert_eq!(overlap, None, "reserved twice: {region:?}");
        self.regions.push(region);
    }

    /// The bytes of a range that is to be changed, which must be writable now, and in regions that `fit`.
    fn change(
        &mut self,
        range: Range<u64>,
        fit: impl Fn(Origin) -> bool,
        mut each: impl FnMut(&mut u8, &mut bool, u64),
    ) {
        for at in range {
            let region = self.region(at).unwrap_or_else(|| panic!("nothing at {at:#x}"));
            assert!(region.access == READ_WRITE && fit(region.origin), "{at:#x} is in {region:?}");
            let byte = fresh(region.origin);
            let page = self.pages.entry(at / PAGE_SIZE).or_insert_with(|| Page::of(byte));
            let i = (at % PAGE_SIZE) as usize;
            each(&mut page.bytes[i], &mut page.given[i], at);
        }
    }

    fn give(&mut self, range: Range<u64>, value: impl Fn(u64) -> u8) {
        let fit = |origin| origin == Origin::Whole;
        self.change(range, fit, |byte, given, at| {
            assert!(!*given, "{at:#x} is given twice");
            (*byte, *given) = (value(at), true);
        });
    }

    fn assert_whole(&self, pages: &Range<u64>) {
        for page in pages.start / PAGE_SIZE..pages.end / PAGE_SIZE {
            let whole = self.pages.get(&page).is_some_and(|page| page.given.iter().all(|&given| given));
            assert!(whole, "page {page:#x} is not whole");
        }
    }
}

/// What an untouched byte is.
fn fresh(origin: Origin) -> u8 {
    match origin {
        Origin::Whole => JUNK,
        Origin::Zero | Origin::File | Origin::Stack => 0,
    }
}

impl Page {
    fn of(byte: u8) -> Self {
        Self { bytes: [byte; PAGE], given: [false; PAGE] }
    }
}

impl Target for Space {
    type Error = CallFailed;

    async fn clear(&mut self) -> Result<(), CallFailed> {
        self.enter("clear").await?;
        self.state = State::Loading;
        Ok(())
    }

    async fn reserve(&mut self, Reservation { pages, access, fill }: Reservation) -> Result<(), CallFailed> {
        self.enter("reserve").await?;
        let origin = match fill {
            Fill::Whole => Origin::Whole,
            Fill::Zero => Origin::Zero,
        };
        assert!(fill == Fill::Zero || access == READ_WRITE, "{access:?} cannot be filled");
        self.add(Region { pages, access, origin });
        Ok(())
    }

    async fn reserve_stack(&mut self, pages: Range<u64>) -> Result<(), CallFailed> {
        self.enter("reserve_stack").await?;
        self.add(Region { pages, access: READ_WRITE, origin: Origin::Stack });
        Ok(())
    }

    async fn copy_in(&mut self, Section { offset, address, len }: Section) -> Result<(), CallFailed> {
        self.enter("copy_in").await?;
        assert!(len > 0 && offset % PAGE_SIZE == address % PAGE_SIZE);
        let bytes = self.file[offset as usize..][..len as usize].to_vec();
        self.give(address..address + len, |at| bytes[(at - address) as usize]);
        Ok(())
    }

    async fn map_file(&mut self, mapping: FileMapping) -> Result<Mapped, CallFailed> {
        self.enter("map_file").await?;
        let FileMapping { offset, pages, clear_end, access } = mapping;
        assert!(offset.is_multiple_of(PAGE_SIZE) && clear_end < PAGE_SIZE && offset < self.file.len() as u64);
        if self.files == Files::Copied {
            return Ok(Mapped::Unsupported);
        }
        self.add(Region { pages: pages.clone(), access, origin: Origin::File });
        for at in pages.start..pages.end - clear_end {
            let byte = self.file.get((offset + (at - pages.start)) as usize).copied().unwrap_or(0);
            let page = self.pages.entry(at / PAGE_SIZE).or_insert_with(|| Page::of(0));
            page.bytes[(at % PAGE_SIZE) as usize] = byte;
        }
        Ok(Mapped::Done)
    }

    async fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), CallFailed> {
        self.enter("write").await?;
        assert!((1..=WRITE_MAX).contains(&bytes.len()), "a write of {} bytes", bytes.len());
        let range = address..address + bytes.len() as u64;
        self.change(range, |_| true, |byte, _, at| *byte = bytes[(at - address) as usize]);
        Ok(())
    }

    async fn zero(&mut self, range: Range<u64>) -> Result<(), CallFailed> {
        self.enter("zero").await?;
        assert!((1..PAGE_SIZE).contains(&(range.end - range.start)), "{range:x?} to clear");
        self.give(range, |_| 0);
        Ok(())
    }

    async fn protect(&mut self, pages: Range<u64>, access: Access) -> Result<(), CallFailed> {
        self.enter("protect").await?;
        assert!(access.contains(Access::READ) && !access.contains(Access::WRITE | Access::EXECUTE));
        self.assert_whole(&pages);
        let region = self.regions.iter_mut().find(|region| region.pages == pages).expect("a region as it was made");
        assert!(region.origin == Origin::Whole && region.access == READ_WRITE && access != READ_WRITE, "{region:?}");
        region.access = access;
        Ok(())
    }

    async fn set_entry(&mut self, start: Start) -> Result<(), CallFailed> {
        self.enter("set_entry").await?;
        for region in &self.regions {
            if region.origin == Origin::Whole {
                self.assert_whole(&region.pages);
            }
        }
        assert!(self.access(start.entry).is_some_and(|access| access.contains(Access::EXECUTE)));
        assert!(start.stack_pointer.is_multiple_of(16));
        assert_eq!(self.region(start.stack_pointer).map(|region| region.origin), Some(Origin::Stack));
        self.state = State::Started(start);
        Ok(())
    }
}
