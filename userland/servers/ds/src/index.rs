//! Finding a place by the hash of what is there: lists of places with the same last bits.

use crate::store::PLACES;

const LISTS: usize = 256;

/// No place.
const NOWHERE: u16 = u16::MAX;

/// The lists.
#[derive(Debug)]
pub(crate) struct Index {
    first: [u16; LISTS],
    next: [u16; PLACES],
}

impl Index {
    pub(crate) const fn new() -> Self {
        Self { first: [NOWHERE; LISTS], next: [NOWHERE; PLACES] }
    }

    /// The first place of the list for a hash.
    #[inline]
    pub(crate) fn first(&self, hash: u32) -> Option<usize> {
        known(self.first[list(hash)])
    }

    /// The one behind it.
    #[inline]
    pub(crate) fn after(&self, place: usize) -> Option<usize> {
        known(self.next[place])
    }

    /// Puts a place, which is in no list, into that for a hash.
    pub(crate) fn add(&mut self, hash: u32, place: usize) {
        self.next[place] = core::mem::replace(&mut self.first[list(hash)], place as u16);
    }

    /// Takes a place out of the list for a hash.
    pub(crate) fn remove(&mut self, hash: u32, place: usize) {
        let behind = core::mem::replace(&mut self.next[place], NOWHERE);
        let mut link = &mut self.first[list(hash)];
        while let Some(at) = known(*link) {
            if at == place {
                *link = behind;
                return;
            }
            link = &mut self.next[at];
        }
    }
}

const fn list(hash: u32) -> usize {
    hash as usize % LISTS
}

fn known(place: u16) -> Option<usize> {
    (place != NOWHERE).then_some(place.into())
}
