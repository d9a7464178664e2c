//! What a process may have where. Regions are runs of pages, by their first page; none overlap.

use crate::heap::bytes_for_entry;
use abi::layout::{PAGE_SIZE, STACK_TOP, USER_END, USER_START};
use alloc::collections::BTreeMap;
use core::ops::Range;
use protocol::vm::RegionKind;
use protocol::vmctl::{Access, Cache};

/// Pages that programs may have.
pub(crate) const USER: Range<u64> = USER_START / PAGE_SIZE..USER_END / PAGE_SIZE;

/// Where memory is put for which no address is given: below the first stack with room to grow, down to half of that.
pub(crate) const WINDOW: Range<u64> = (STACK_TOP / 2) / PAGE_SIZE..(STACK_TOP - STACK_ROOM) / PAGE_SIZE;

/// How far the first stack can grow.
const STACK_ROOM: u64 = 64 << 20;

/// Pages that are left on both sides of what is put somewhere, so that running over its end is a fault.
const GUARD: u64 = 1;

/// Most regions of a process.
pub(crate) const MOST: usize = 1 << 15;

bitflags::bitflags! {
    /// What memory can be used for, besides being read.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Uses: u8 {
        /// To be written.
        const WRITE = 1;
        /// To be executed.
        const EXECUTE = 2;
    }
}

impl Uses {
    /// Whether an access is one of them.
    pub(crate) fn allow(self, access: Access) -> bool {
        match access {
            Access::Read => true,
            Access::Write => self.contains(Self::WRITE),
            Access::Execute => self.contains(Self::EXECUTE),
        }
    }
}

/// What a region shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Memory of its own: zeros at first, copied when it is written and another names the same frame.
    Anonymous,
    /// Neighbouring frames that stay where they are.
    Contiguous,
    /// A part of memory that other regions show too: of which object, and from which of its pages on.
    Shared {
        /// Which.
        object: u64,
        /// The page of it that the region begins with.
        first: u64,
    },
    /// A device, from a physical page on.
    Physical {
        /// The number of the page.
        first: u64,
        /// How it is cached.
        cache: Cache,
    },
}

impl Kind {
    /// The same for a region that begins so many pages later.
    fn after(self, pages: u64) -> Self {
        match self {
            Self::Anonymous | Self::Contiguous => self,
            Self::Shared { object, first } => Self::Shared { object, first: first + pages },
            Self::Physical { first, cache } => Self::Physical { first: first + pages, cache },
        }
    }
}

impl From<Kind> for RegionKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Anonymous => Self::Anonymous,
            Kind::Contiguous => Self::Contiguous,
            Kind::Shared { .. } => Self::Shared,
            Kind::Physical { .. } => Self::Physical,
        }
    }
}

/// A region, but for where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    /// The first page behind it.
    pub(crate) end: u64,
    /// What the program may do there.
    pub(crate) access: Access,
    /// What it could ever be allowed.
    pub(crate) uses: Uses,
    /// What it shows.
    pub(crate) kind: Kind,
}

impl Region {
    /// Whether one that begins where this one ends goes on with the same.
    fn goes_on_with(&self, other: &Self) -> bool {
        let same = (self.access, self.uses, self.kind) == (other.access, other.uses, other.kind);
        same && self.kind == Kind::Anonymous
    }
}

/// The regions of a process.
#[derive(Default)]
pub(crate) struct Regions {
    map: BTreeMap<u64, Region>,
    /// Where the search for a place in the window begins, downwards.
    top: Option<u64>,
}

impl core::fmt::Debug for Regions {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_map().entries(&self.map).finish()
    }
}

impl Regions {
    /// The most bytes that one more allocates.
    pub(crate) const BYTES_FOR_ONE: usize = bytes_for_entry::<u64, Region>();

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    /// All of them, from the lowest on: first page, and the rest.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Region)> {
        self.map.iter().map(|(start, region)| (*start, region))
    }

    /// The region that a page belongs to, and its first page.
    #[inline]
    pub(crate) fn find(&self, page: u64) -> Option<(u64, Region)> {
        let (start, region) = self.map.range(..=page).next_back()?;
        (page < region.end).then_some((*start, *region))
    }

    /// The region that begins at a page.
    pub(crate) fn at(&self, start: u64) -> Option<&Region> {
        self.map.get(&start)
    }

    /// The first region that ends behind a page.
    pub(crate) fn next(&self, page: u64) -> Option<(u64, Region)> {
        self.find(page).or_else(|| self.map.range(page..).next().map(|(start, region)| (*start, *region)))
    }

    /// Those that have pages in a range, whole.
    pub(crate) fn overlapping(&self, range: Range<u64>) -> impl Iterator<Item = (u64, Region)> {
        let first = self.find(range.start).map_or(range.start, |(start, _)| start);
        self.map.range(first..range.end.max(first)).map(|(start, region)| (*start, *region))
    }

    /// How many pages of a range belong to regions.
    pub(crate) fn covered(&self, range: &Range<u64>) -> u64 {
        let inside = |(start, region): (u64, Region)| region.end.min(range.end) - start.max(range.start);
        self.overlapping(range.clone()).map(inside).sum()
    }

    /// Makes a page the first of a region, if it is in the middle of one. Returns whether it has split one.
    pub(crate) fn split(&mut self, page: u64) -> Option<Region> {
        let (start, region) = self.find(page).filter(|(start, _)| *start < page)?;
        let second = Region { kind: region.kind.after(page - start), ..region };
        self.map.insert(page, second);
        self.map.insert(start, Region { end: page, ..region });
        Some(second)
    }

    /// Adds a region where there is none. It becomes one with its neighbours if they are alike.
    pub(crate) fn insert(&mut self, start: u64, region: Region) {
        self.map.insert(start, region);
        self.join(region.end);
        self.join(start);
    }

    /// Makes one region of two alike that meet at a page.
    pub(crate) fn join(&mut self, page: u64) {
        let Some(&second) = self.map.get(&page) else {
            return;
        };
        let before = self.map.range_mut(..page).next_back();
        if let Some((_, first)) = before.filter(|(_, first)| first.end == page && first.goes_on_with(&second)) {
            first.end = second.end;
            self.map.remove(&page);
        }
    }

    /// Takes the region out that begins at a page.
    pub(crate) fn remove(&mut self, start: u64) -> Option<Region> {
        let region = self.map.remove(&start)?;
        if WINDOW.contains(&start) && self.top.is_some_and(|top| top < region.end) {
            let above = self.map.range(region.end..).next().map_or(WINDOW.end, |(start, _)| *start);
            self.top = Some(above.min(WINDOW.end));
        }
        Some(region)
    }

    /// Changes the access of the region that begins at a page.
    pub(crate) fn set_access(&mut self, start: u64, access: Access) {
        if let Some(region) = self.map.get_mut(&start) {
            region.access = access;
        }
    }

    /// Changes what the region shows that begins at a page.
    pub(crate) fn set_kind(&mut self, start: u64, kind: Kind) {
        if let Some(region) = self.map.get_mut(&start) {
            region.kind = kind;
        }
    }

    /// Finds a place for so many pages, with a page to spare on both sides. Where the last one was found, the next is looked for
    /// first, so that a process with many regions waits no longer than one with few.
    pub(crate) fn find_place(&mut self, pages: u64) -> Option<u64> {
        /// Gaps that are looked at before the one below all regions is tried.
        const PATIENCE: usize = 32;
        let room = pages.checked_add(2 * GUARD)?;
        let top = self.top.unwrap_or(WINDOW.end);
        let found = self.gaps(top).take(PATIENCE).find(|gap| gap.end - gap.start >= room);
        let found = found.or_else(|| self.lowest_gap().filter(|gap| gap.end - gap.start >= room));
        let found = found.or_else(|| self.gaps(WINDOW.end).find(|gap| gap.end - gap.start >= room))?;
        let start = found.end - GUARD - pages;
        self.top = Some(start);
        Some(start)
    }

    /// What is free in the window below a page, from above.
    fn gaps(&self, top: u64) -> impl Iterator<Item = Range<u64>> {
        let mut below = self.map.range(..top).rev();
        let mut top = Some(top);
        core::iter::from_fn(move || {
            let end = top.filter(|end| *end > WINDOW.start)?;
            let (start, before) =
                below.next().map_or((WINDOW.start, None), |(start, region)| (region.end, Some(*start)));
            top = before;
            Some(start.clamp(WINDOW.start, end)..end)
        })
    }

    /// What is free in the window below all regions there.
    fn lowest_gap(&self) -> Option<Range<u64>> {
        let start = self.find(WINDOW.start).map_or(WINDOW.start, |(_, region)| region.end);
        let end = self.map.range(start..).next().map_or(WINDOW.end, |(start, _)| *start);
        (start < end && end <= WINDOW.end).then_some(start..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn anonymous(end: u64, access: Access) -> Region {
        Region { end, access, uses: Uses::all(), kind: Kind::Anonymous }
    }

    fn listed(regions: &Regions) -> Vec<(u64, u64)> {
        regions.iter().map(|(start, region)| (start, region.end)).collect()
    }

    #[test]
    fn neighbours_that_are_alike_become_one() {
        let mut regions = Regions::default();
        regions.insert(10, anonymous(20, Access::Write));
        regions.insert(30, anonymous(40, Access::Write));
        regions.insert(40, anonymous(50, Access::Read));
        regions.insert(20, anonymous(30, Access::Write));
        assert_eq!(listed(&regions), [(10, 40), (40, 50)]);
        let device = Region { kind: Kind::Physical { first: 5, cache: Cache::Off }, ..anonymous(8, Access::Read) };
        regions.insert(4, device);
        regions.insert(8, Region { end: 10, ..device });
        assert_eq!(
            listed(&regions),
            [(4, 8), (8, 10), (10, 40), (40, 50)],
            "a device is mapped and unmapped as a whole"
        );
    }

    #[test]
    fn a_split_region_shows_the_same() {
        let mut regions = Regions::default();
        for (start, kind) in [
            (10, Kind::Shared { object: 3, first: 2 }),
            (20, Kind::Physical { first: 100, cache: Cache::Normal }),
            (30, Kind::Contiguous),
        ] {
            regions.insert(start, Region { kind, ..anonymous(start + 10, Access::Write) });
            assert_eq!(regions.split(start), None);
            assert!(regions.split(start + 4).is_some());
        }
        let kinds: Vec<_> = regions.iter().map(|(start, region)| (start, region.end, region.kind)).collect();
        assert_eq!(
            kinds,
            [
                (10, 14, Kind::Shared { object: 3, first: 2 }),
                (14, 20, Kind::Shared { object: 3, first: 6 }),
                (20, 24, Kind::Physical { first: 100, cache: Cache::Normal }),
                (24, 30, Kind::Physical { first: 104, cache: Cache::Normal }),
                (30, 34, Kind::Contiguous),
                (34, 40, Kind::Contiguous),
            ]
        );
        assert_eq!(regions.split(100), None);
    }

    #[test]
    fn ranges_find_what_they_touch() {
        let mut regions = Regions::default();
        regions.insert(10, anonymous(20, Access::Write));
        regions.insert(30, anonymous(40, Access::Write));
        for (range, starts, covered) in [
            (0..10, &[][..], 0),
            (0..11, &[10], 1),
            (19..30, &[10], 1),
            (15..35, &[10, 30], 10),
            (20..30, &[], 0),
            (12..14, &[10], 2),
            (39..100, &[30], 1),
        ] {
            let found: Vec<_> = regions.overlapping(range.clone()).map(|(start, _)| start).collect();
            assert_eq!((&found[..], regions.covered(&range)), (starts, covered), "{range:?}");
        }
        assert_eq!(regions.next(5).map(|(start, _)| start), Some(10));
        assert_eq!(regions.next(19).map(|(start, _)| start), Some(10));
        assert_eq!(regions.next(20).map(|(start, _)| start), Some(30));
        assert_eq!(regions.next(40), None);
    }

    fn put(regions: &mut Regions, pages: u64) -> Option<u64> {
        let start = regions.find_place(pages)?;
        assert_eq!(regions.covered(&(start - GUARD..start + pages + GUARD)), 0);
        regions.insert(start, anonymous(start + pages, Access::Write));
        Some(start)
    }

    #[test]
    fn places_are_found_downwards_and_again() {
        let mut regions = Regions::default();
        let first = put(&mut regions, 3).expect("all is free");
        assert_eq!(first + 3 + GUARD, WINDOW.end);
        let second = put(&mut regions, 5).expect("all else is free");
        assert_eq!(second + 5 + GUARD, first);
        regions.remove(first);
        assert_eq!(put(&mut regions, 3), Some(first), "what was freed above is found");
        assert_eq!(put(&mut regions, 1), Some(second - 2), "and then what is below");
        regions.remove(second);
        assert_eq!(put(&mut regions, 5), Some(second));
    }

    #[test]
    fn a_full_window_is_found_full() {
        let mut regions = Regions::default();
        let all = WINDOW.end - WINDOW.start;
        assert_eq!(regions.find_place(all), None);
        assert_eq!(regions.find_place(u64::MAX), None);
        assert_eq!(put(&mut regions, all - 2), Some(WINDOW.start + 1));
        assert_eq!(regions.find_place(1), None);
    }

    #[test]
    fn many_small_gaps_do_not_hide_a_large_one() {
        let mut regions = Regions::default();
        let places: Vec<_> = (0..300).map(|_| put(&mut regions, 1).expect("there is room")).collect();
        // The gap that is found is below a region at the bottom of the window.
        regions.insert(WINDOW.start, anonymous(WINDOW.start + 4, Access::Read));
        for start in places.iter().step_by(2) {
            regions.remove(*start);
        }
        let start = put(&mut regions, 50).expect("there is room below");
        assert!(start < *places.last().expect("there are some"));
        assert!(put(&mut regions, 1).is_some());
    }
}
