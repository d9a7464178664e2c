//! What memory is, byte by byte, and who may do what with it. No page tables, no frames, no sharing that nobody asked for: a
//! page refers to a cell of bytes; a mapping lets two pages refer to one cell; when it ends, the borrower has a cell of its own.

mod calls;
mod verify;

pub(crate) use calls::{Call, Need, Plan, Verdict};
pub(crate) use verify::Wanted;

use abi::Endpoint;
use abi::grant::GrantId;
use abi::layout::{PAGE_SIZE, USER_END, USER_START};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The name of an address space.
pub(crate) type SpaceName = u64;
pub(crate) type Bytes = [u8; PAGE_SIZE as usize];
pub(crate) type Cell = Rc<RefCell<Bytes>>;

pub(crate) fn cell(bytes: Bytes) -> Cell {
    Rc::new(RefCell::new(bytes))
}

/// A page of somebody.
#[derive(Clone)]
pub(crate) struct Page {
    pub(crate) cell: Cell,
    /// Whether its program may write it.
    pub(crate) write: bool,
}

/// Pages that one sees of another.
#[derive(Clone, Debug)]
pub(crate) struct Mapping {
    pub(crate) owner: SpaceName,
    pub(crate) from: u64,
    pub(crate) borrower: SpaceName,
    pub(crate) to: u64,
    pub(crate) len: u64,
    /// Grants that it was made with, and who made them.
    pub(crate) links: Vec<(Endpoint, GrantId)>,
}

fn meet((a, len_a): (u64, u64), (b, len_b): (u64, u64)) -> bool {
    a < b + len_b && b < a + len_a
}

impl Mapping {
    pub(crate) fn lends(&self, space: SpaceName, address: u64, len: u64) -> bool {
        self.owner == space && meet((self.from, self.len), (address, len))
    }

    pub(crate) fn borrows(&self, space: SpaceName, address: u64, len: u64) -> bool {
        self.borrower == space && meet((self.to, self.len), (address, len))
    }

    pub(crate) fn meets(&self, space: SpaceName, address: u64, len: u64) -> bool {
        self.lends(space, address, len) || self.borrows(space, address, len)
    }
}

/// Where somebody says that its grants are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    pub(crate) address: u64,
    pub(crate) count: u64,
    /// Under which name it said so.
    pub(crate) owner: Endpoint,
}

#[derive(Clone)]
pub(crate) struct Process {
    pub(crate) endpoint: Endpoint,
    pub(crate) space: SpaceName,
    /// Only services have grants.
    pub(crate) service: bool,
    /// It may grant memory of others.
    pub(crate) for_others: bool,
    pub(crate) table: Table,
}

#[derive(Default)]
pub(crate) struct Model {
    pub(crate) spaces: BTreeMap<SpaceName, BTreeMap<u64, Page>>,
    pub(crate) mappings: Vec<Mapping>,
    pub(crate) processes: Vec<Process>,
    /// How many mappings there can be, and of how many of them one can be the owner.
    pub(crate) room: (usize, usize),
}

/// The pages of a range, by their addresses.
pub(crate) fn pages_of(address: u64, len: u64) -> impl Iterator<Item = u64> {
    let first = address - address % PAGE_SIZE;
    (first..address + len).step_by(PAGE_SIZE as usize)
}

/// Whether programs can have memory there.
fn is_users(address: u64, len: u64) -> bool {
    address >= USER_START && address.checked_add(len).is_some_and(|end| end <= USER_END)
}

/// Memory.
impl Model {
    pub(crate) fn page(&self, space: SpaceName, address: u64) -> Option<&Page> {
        self.spaces.get(&space)?.get(&(address - address % PAGE_SIZE))
    }

    pub(crate) fn page_mut(&mut self, space: SpaceName, address: u64) -> Option<&mut Page> {
        self.spaces.get_mut(&space)?.get_mut(&(address - address % PAGE_SIZE))
    }

    /// Whether all of a range is there, and may be written if that is wanted.
    pub(crate) fn has(&self, space: SpaceName, address: u64, len: u64, write: bool) -> bool {
        let has = |page| self.page(space, page).is_some_and(|page| page.write || !write);
        len == 0 || is_users(address, len) && pages_of(address, len).all(has)
    }

    /// Whether a part of a range is borrowed and may only be read: nobody can change that.
    fn denies(&self, space: SpaceName, address: u64, len: u64) -> bool {
        let read_only = |page| self.page(space, page).is_some_and(|page| !page.write);
        is_users(address, len)
            && pages_of(address, len)
                .any(|page| read_only(page) && self.mappings.iter().any(|m| m.borrows(space, page, PAGE_SIZE)))
    }

    /// What stands in a range, all of which is there.
    pub(crate) fn read(&self, space: SpaceName, address: u64, len: u64) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(len as usize);
        while (bytes.len() as u64) < len {
            let at = address + bytes.len() as u64;
            let first = (at % PAGE_SIZE) as usize;
            let part = (PAGE_SIZE as usize - first).min(len as usize - bytes.len());
            bytes.extend_from_slice(&self.page(space, at)?.cell.borrow()[first..first + part]);
        }
        Some(bytes)
    }

    /// Puts bytes into a range, all of which is there.
    pub(crate) fn write(&mut self, space: SpaceName, address: u64, bytes: &[u8]) {
        let mut done = 0;
        while done < bytes.len() {
            let at = address + done as u64;
            let first = (at % PAGE_SIZE) as usize;
            let part = (PAGE_SIZE as usize - first).min(bytes.len() - done);
            let page = self.page(space, at).expect("it is there");
            page.cell.borrow_mut()[first..first + part].copy_from_slice(&bytes[done..done + part]);
            done += part;
        }
    }

    /// Copies from page to page, upwards.
    fn copy(&mut self, (source, from): (SpaceName, u64), (destination, to): (SpaceName, u64), len: u64) {
        let mut done = 0;
        while done < len {
            let (a, b) = (from + done, to + done);
            let part = (len - done).min(PAGE_SIZE - a % PAGE_SIZE).min(PAGE_SIZE - b % PAGE_SIZE);
            let bytes = self.read(source, a, part).expect("it is there");
            self.write(destination, b, &bytes);
            done += part;
        }
    }
}

/// Mappings.
impl Model {
    fn map(&mut self, mapping: Mapping, write: bool) {
        for offset in (0..mapping.len).step_by(PAGE_SIZE as usize) {
            let cell = self.page(mapping.owner, mapping.from + offset).expect("it is there").cell.clone();
            let page = self.page_mut(mapping.borrower, mapping.to + offset).expect("it is there");
            *page = Page { cell, write };
        }
        self.mappings.push(mapping);
    }

    /// Ends mappings: their borrowers keep copies, which they may write. Returns how many there were.
    pub(crate) fn end(&mut self, which: impl Fn(&Mapping) -> bool) -> usize {
        let (ended, left) = std::mem::take(&mut self.mappings).into_iter().partition::<Vec<_>, _>(|m| which(m));
        self.mappings = left;
        for mapping in &ended {
            for offset in (0..mapping.len).step_by(PAGE_SIZE as usize) {
                let page = self.page_mut(mapping.borrower, mapping.to + offset).expect("it is there");
                let bytes = *page.cell.borrow();
                *page = Page { cell: cell(bytes), write: true };
            }
        }
        ended.len()
    }

    /// Ends whatever was mapped with grants of somebody.
    pub(crate) fn end_grants_of(&mut self, granter: Endpoint) -> usize {
        self.end(|mapping| mapping.links.iter().any(|link| link.0 == granter))
    }

    pub(crate) fn destroy(&mut self, space: SpaceName) {
        self.end(|mapping| mapping.owner == space || mapping.borrower == space);
        self.spaces.remove(&space);
    }

    pub(crate) fn process_named(&self, endpoint: Endpoint) -> Option<&Process> {
        let found = self.processes.iter().find(|process| process.endpoint == endpoint);
        // Who has died, and is not replaced yet, has no name.
        found.filter(|_| endpoint != Endpoint::NONE)
    }
}
