//! Ranges of physical memory at boot, before there is a frame table.

use abi::layout::PAGE_SIZE;
use arrayvec::ArrayVec;
use core::ops::Range;

/// Most ranges of usable memory that are kept; memory maps of PCs have a dozen.
pub const MAX_REGIONS: usize = 64;

/// Whether two ranges have an address in common.
pub fn overlap(a: &Range<u64>, b: &Range<u64>) -> bool {
    a.start.max(b.start) < a.end.min(b.end)
}

/// The indices of two ranges that overlap, if any do.
pub fn first_overlap(ranges: &[Range<u64>]) -> Option<(usize, usize)> {
    let pairs = (1..ranges.len()).flat_map(|j| (0..j).map(move |i| (i, j)));
    pairs.into_iter().find(|&(i, j)| overlap(&ranges[i], &ranges[j]))
}

/// Ascending ranges with the same addresses, of which no two touch: so no page falls between two of them.
///
/// # Panics
/// If there are more than [`MAX_REGIONS`].
pub fn merged(ranges: &[Range<u64>]) -> ArrayVec<Range<u64>, MAX_REGIONS> {
    let mut all: ArrayVec<Range<u64>, MAX_REGIONS> = ranges.iter().filter(|r| !r.is_empty()).cloned().collect();
    all.sort_unstable_by_key(|r| r.start);
    let mut merged: ArrayVec<Range<u64>, MAX_REGIONS> = ArrayVec::new();
    for range in all {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// The lowest `size` bytes on a page border, below `limit`, that lie in one range of `usable` and in none of `in_use`.
pub fn find_gap(usable: &[Range<u64>], in_use: &[Range<u64>], size: u64, limit: u64) -> Option<Range<u64>> {
    // The lowest gap begins where a usable range does, or where a used one ends.
    let candidates = usable.iter().map(|r| r.start).chain(in_use.iter().map(|r| r.end));
    let on_pages = candidates.filter_map(|start| start.checked_next_multiple_of(PAGE_SIZE));
    let ranges = on_pages.filter_map(|start| Some(start..start.checked_add(size)?));
    let fits = |range: &Range<u64>| {
        range.end <= limit
            && usable.iter().any(|r| r.start <= range.start && range.end <= r.end)
            && !in_use.iter().any(|r| overlap(r, range))
    };
    ranges.filter(fits).min_by_key(|range| range.start)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    const P: u64 = PAGE_SIZE;

    /// One range.
    fn one(start: u64, end: u64) -> [Range<u64>; 1] {
        [Range { start, end }]
    }

    #[test]
    fn gaps_begin_behind_what_is_in_use() {
        let usable = [0..10 * P, 20 * P..40 * P];
        assert_eq!(find_gap(&usable, &[], P, u64::MAX), Some(0..P));
        assert_eq!(find_gap(&usable, &one(0, P + 1), P, u64::MAX), Some(2 * P..3 * P));
        assert_eq!(find_gap(&usable, &one(0, P), 10 * P, u64::MAX), Some(20 * P..30 * P), "no gap crosses a hole");
        assert_eq!(find_gap(&usable, &[P..2 * P, 25 * P..26 * P], 9 * P, u64::MAX), Some(26 * P..35 * P));
        assert_eq!(find_gap(&usable, &[], 21 * P, u64::MAX), None);
        assert_eq!(find_gap(&usable, &one(0, 10 * P), P, 20 * P), None, "the limit counts");
        assert_eq!(find_gap(&one(u64::MAX - P, u64::MAX), &[], P, u64::MAX), None, "nothing wraps");
        assert_eq!(find_gap(&usable, &[], u64::MAX, u64::MAX), None);
    }

    #[test]
    fn ranges_that_touch_become_one() {
        let ranges = [5 * P..7 * P, 0..P, P..2 * P, 6 * P..9 * P, 3 * P..3 * P];
        assert_eq!(merged(&ranges).as_slice(), [0..2 * P, 5 * P..9 * P]);
    }

    #[test]
    fn overlaps_are_found() {
        assert_eq!(first_overlap(&[0..4, 8..9, 4..8]), None);
        assert_eq!(first_overlap(&[0..4, 8..9, 3..8]), Some((0, 2)));
        assert_eq!(first_overlap(&[0..4, 2..2, 2..3]), Some((0, 2)), "an empty range overlaps nothing");
        assert_eq!(first_overlap(&[]), None);
    }

    fn pages() -> impl Strategy<Value = Vec<Range<u64>>> {
        proptest::collection::vec((0..30_u64, 0..8_u64).prop_map(|(start, len)| start * P..(start + len) * P), 0..6)
    }

    proptest! {
        #[test]
        fn the_gap_is_the_lowest_there_is(usable in pages(), in_use in pages(), size in 1..8_u64) {
            let free = |page: u64| {
                let inside = |r: &Range<u64>| r.contains(&(page * P));
                usable.iter().any(inside) && !in_use.iter().any(inside)
            };
            let lowest = (0..40).find(|&start| {
                let whole = |r: &Range<u64>| r.start <= start * P && (start + size) * P <= r.end;
                usable.iter().any(whole) && (start..start + size).all(free)
            });
            let found = find_gap(&usable, &in_use, size * P, u64::MAX);
            prop_assert_eq!(found, lowest.map(|start| start * P..(start + size) * P));
        }

        #[test]
        fn merging_keeps_every_address(ranges in pages()) {
            let all = merged(&ranges);
            for page in 0..40 {
                let inside = |r: &Range<u64>| r.contains(&(page * P));
                prop_assert_eq!(ranges.iter().any(inside), all.iter().any(inside));
            }
            prop_assert!(all.windows(2).all(|w| w[0].end < w[1].start));
        }
    }
}
