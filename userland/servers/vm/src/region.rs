//! What a process may have where. Regions are runs of pages, by their first page; none overlap.

use crate::sorted::{At, Sorted};
use abi::layout::{PAGE_SIZE, STACK_TOP, USER_END, USER_START};
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
    /// A file: from it at first, copied when it is written.
    File {
        /// Which.
        file: u32,
        /// The page of it that the region begins with.
        first: u64,
        /// Where it ends, in bytes from its beginning: the rest of that page is zero, and behind it is nothing.
        end: u64,
    },
    /// Blocks of the page cache, all of which are there.
    Cache,
    /// A device, from a physical page on.
    Physical {
        /// The number of the page.
        first: u64,
        /// How it is cached.
        cache: Cache,
    },
}

impl Kind {
    /// Whether its pages are copied when they are written and another names the same frame.
    #[inline]
    pub(crate) fn is_own(self) -> bool {
        matches!(self, Self::Anonymous | Self::File { .. })
    }

    /// How many of its first pages can ever be there.
    pub(crate) fn pages_with_contents(self) -> u64 {
        match self {
            Self::File { first, end, .. } => end.div_ceil(PAGE_SIZE).saturating_sub(first),
            _ => u64::MAX,
        }
    }

    /// The same for a region that begins so many pages later.
    fn after(self, pages: u64) -> Self {
        match self {
            Self::Anonymous | Self::Contiguous | Self::Cache => self,
            Self::File { file, first, end } => Self::File { file, first: first + pages, end },
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
            Kind::File { .. } => Self::File,
            Kind::Cache => Self::Cache,
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
        same && matches!(self.kind, Kind::Anonymous | Kind::Cache)
    }
}

/// The regions of a process.
#[derive(Default)]
pub(crate) struct Regions {
    map: Sorted<Region>,
    /// Where the search for a place in the window begins, downwards.
    top: Option<u64>,
}

impl core::fmt::Debug for Regions {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_map().entries(self.map.iter()).finish()
    }
}

impl Regions {
    /// The most bytes that so many more allocate.
    pub(crate) fn bytes_for(&self, regions: usize) -> usize {
        self.map.bytes_to_insert(regions)
    }

    /// The most bytes that a copy of all allocates.
    pub(crate) fn bytes(&self) -> usize {
        Sorted::<Region>::bytes_to_fill(self.len())
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    /// All of them, from the lowest on: first page, and the rest.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Region)> {
        self.map.iter()
    }

    /// Where the region is that a page belongs to.
    #[inline]
    fn place_of(&self, page: u64) -> Option<At> {
        self.map.floor(page).filter(|at| page < self.map.value(*at).end)
    }

    fn entry(&self, at: At) -> (u64, Region) {
        (self.map.key(at), *self.map.value(at))
    }

    /// The region that a page belongs to, and its first page.
    #[inline]
    pub(crate) fn find(&self, page: u64) -> Option<(u64, Region)> {
        self.place_of(page).map(|at| self.entry(at))
    }

    /// The region that begins at a page.
    pub(crate) fn at(&self, start: u64) -> Option<&Region> {
        self.map.find(start).map(|at| self.map.value(at))
    }

    /// Where the first region is that ends behind a page.
    fn place_behind(&self, page: u64) -> Option<At> {
        self.place_of(page).or_else(|| self.map.ceiling(page))
    }

    /// The first region that ends behind a page.
    pub(crate) fn next(&self, page: u64) -> Option<(u64, Region)> {
        self.place_behind(page).map(|at| self.entry(at))
    }

    /// Those that have pages in a range, whole.
    pub(crate) fn overlapping(&self, range: Range<u64>) -> impl Iterator<Item = (u64, Region)> {
        let behind = self.map.from(self.place_behind(range.start));
        behind.take_while(move |(start, _)| *start < range.end).map(|(start, region)| (start, *region))
    }

    /// How many pages of a range belong to regions.
    pub(crate) fn covered(&self, range: &Range<u64>) -> u64 {
        let inside = |(start, region): (u64, Region)| region.end.min(range.end) - start.max(range.start);
        self.overlapping(range.clone()).map(inside).sum()
    }

    /// Makes a page the first of a region, if it is in the middle of one. Returns whether it has split one.
    pub(crate) fn split(&mut self, page: u64) -> Option<Region> {
        let at = self.place_of(page).filter(|at| self.map.key(*at) < page)?;
        let (start, region) = self.entry(at);
        let second = Region { kind: region.kind.after(page - start), ..region };
        self.map.value_mut(at).end = page;
        self.map.insert(page, second);
        Some(second)
    }

    /// Adds a region where there is none. It becomes one with its neighbours if they are alike.
    pub(crate) fn insert(&mut self, start: u64, region: Region) {
        let at = self.map.insert(start, region);
        if let Some(next) = self.map.after(at) {
            self.join_at(next);
        }
        if let Some(at) = self.map.find(start) {
            self.join_at(at);
        }
    }

    /// Makes one region of two alike that meet at a page.
    pub(crate) fn join(&mut self, page: u64) {
        if let Some(at) = self.map.find(page) {
            self.join_at(at);
        }
    }

    /// Makes one region of one and that before it, if they meet and are alike.
    fn join_at(&mut self, at: At) {
        let (start, second) = self.entry(at);
        let Some(before) = self.map.before(at) else {
            return;
        };
        let first = self.map.value_mut(before);
        if first.end == start && first.goes_on_with(&second) {
            first.end = second.end;
            self.map.remove(at);
        }
    }

    /// Takes the region out that begins at a page.
    pub(crate) fn remove(&mut self, start: u64) -> Option<Region> {
        let at = self.map.find(start)?;
        let above = self.map.after(at).map_or(WINDOW.end, |above| self.map.key(above));
        let region = self.map.remove(at);
        if WINDOW.contains(&start) && self.top.is_some_and(|top| top < region.end) {
            self.top = Some(above.min(WINDOW.end));
        }
        Some(region)
    }

    /// Changes the access of the region that begins at a page.
    pub(crate) fn set_access(&mut self, start: u64, access: Access) {
        if let Some(at) = self.map.find(start) {
            self.map.value_mut(at).access = access;
        }
    }

    /// Changes what the region shows that begins at a page.
    pub(crate) fn set_kind(&mut self, start: u64, kind: Kind) {
        if let Some(at) = self.map.find(start) {
            self.map.value_mut(at).kind = kind;
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
        let mut below = top.checked_sub(1).and_then(|last| self.map.floor(last));
        let mut top = Some(top);
        core::iter::from_fn(move || {
            let end = top.filter(|end| *end > WINDOW.start)?;
            let start = below.map_or(WINDOW.start, |at| self.map.value(at).end);
            top = below.map(|at| self.map.key(at));
            below = below.and_then(|at| self.map.before(at));
            Some(start.clamp(WINDOW.start, end)..end)
        })
    }

    /// What is free in the window below all regions there.
    fn lowest_gap(&self) -> Option<Range<u64>> {
        let start = self.find(WINDOW.start).map_or(WINDOW.start, |(_, region)| region.end);
        let end = self.map.ceiling(start).map_or(WINDOW.end, |at| self.map.key(at));
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
