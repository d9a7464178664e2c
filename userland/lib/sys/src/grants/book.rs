//! Which places of the table are taken, and their sequence numbers.

use abi::grant::GrantId;

/// A place of the table. All zeros is one that was never taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// That of its next grant, or of the one that it has.
    sequence: u64,
    /// The scope whose grant stands here; [`NOBODY`] if there is none.
    scope: u64,
    /// Of a free place that was taken before: the free one behind it. The number is one more than its index, 0 for the last.
    next: u64,
}

/// No scope has this number.
const NOBODY: u64 = 0;
/// The scope that never ends.
pub(super) const FOREVER: u64 = 1;

impl Place {
    pub(super) const NEW: Self = Self { sequence: 0, scope: NOBODY, next: 0 };
}

/// The places of a table. The one that was given back last is taken first, so that few of them are ever used.
#[derive(Debug)]
pub(super) struct Book<'m> {
    places: &'m mut [Place],
    /// No place from here on was taken before.
    fresh: usize,
    /// The free place that is taken first, as in [`Place::next`].
    free: u64,
    /// The number of the last scope.
    scopes: u64,
}

impl<'m> Book<'m> {
    /// A table without places.
    pub(super) const fn new() -> Self {
        Self { places: &mut [], fresh: 0, free: 0, scopes: FOREVER }
    }

    /// The number of a new scope.
    pub(super) const fn new_scope(&mut self) -> u64 {
        self.scopes += 1;
        self.scopes
    }

    /// Takes a place for a grant of a scope; `None` if all are taken.
    pub(super) fn take(&mut self, scope: u64) -> Option<GrantId> {
        let (index, next_free) = match self.free.checked_sub(1) {
            Some(index) => (index as usize, self.places.get(index as usize)?.next),
            None => (self.fresh, 0),
        };
        let place = self.places.get_mut(index)?;
        let id = GrantId::new(index as u64, place.sequence)?;
        place.scope = scope;
        self.free = next_free;
        self.fresh = self.fresh.max(index + 1);
        Some(id)
    }

    /// Gives the place of a grant back; its id never comes again. A place that has used up its sequence numbers retires.
    pub(super) fn give_back(&mut self, id: GrantId) {
        let Some(place) = self.places.get_mut(id.index() as usize) else { return };
        place.scope = NOBODY;
        if place.sequence < GrantId::LAST_SEQUENCE {
            place.sequence += 1;
            place.next = self.free;
            self.free = id.index() + 1;
        }
    }

    /// A grant of a scope.
    pub(super) fn grant_of(&self, scope: u64) -> Option<GrantId> {
        let index = self.places.iter().position(|place| place.scope == scope)?;
        GrantId::new(index as u64, self.places[index].sequence)
    }

    /// Moves to more places: `false`, and nothing is changed, if they are not more.
    pub(super) fn grow(&mut self, places: &'m mut [Place]) -> bool {
        let grows = places.len() > self.places.len();
        if grows {
            places[..self.places.len()].copy_from_slice(self.places);
            self.places = places;
        }
        grows
    }

    /// How many places there are.
    pub(super) const fn len(&self) -> usize {
        self.places.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(index: u64, sequence: u64) -> Option<GrantId> {
        GrantId::new(index, sequence)
    }

    fn with<R>(count: usize, run: impl FnOnce(&mut Book<'_>) -> R) -> R {
        let mut places = [Place::NEW; 8];
        let mut book = Book::new();
        assert!(book.grow(&mut places[..count]));
        run(&mut book)
    }

    #[test]
    fn the_first_id_is_0_and_places_are_taken_in_order_until_there_are_none() {
        assert_eq!(Book::new().take(FOREVER), None);
        with(3, |book| {
            assert_eq!([0; 4].map(|_| book.take(FOREVER)), [id(0, 0), id(1, 0), id(2, 0), None]);
            assert_eq!(book.take(FOREVER), None);
        });
    }

    #[test]
    fn what_was_given_back_last_is_taken_first_with_the_next_sequence_number() {
        with(4, |book| {
            let [a, b, c] = [0; 3].map(|_| book.take(FOREVER).unwrap());
            for id in [b, a, c] {
                book.give_back(id);
            }
            assert_eq!([0; 5].map(|_| book.take(FOREVER)), [id(2, 1), id(0, 1), id(1, 1), id(3, 0), None]);
            book.give_back(id(0, 1).unwrap());
            assert_eq!(book.take(FOREVER), id(0, 2));
        });
    }

    #[test]
    fn a_place_whose_sequence_numbers_are_used_up_retires() {
        let mut places = [Place { sequence: GrantId::LAST_SEQUENCE - 1, ..Place::NEW }];
        let mut book = Book::new();
        book.grow(&mut places);
        for sequence in [GrantId::LAST_SEQUENCE - 1, GrantId::LAST_SEQUENCE] {
            let taken = book.take(FOREVER);
            assert_eq!(taken, id(0, sequence));
            book.give_back(taken.unwrap());
        }
        assert_eq!(book.take(FOREVER), None);
    }

    #[test]
    fn more_places_keep_what_was_known() {
        let (mut few, mut as_few, mut more) = ([Place::NEW; 2], [Place::NEW; 2], [Place::NEW; 4]);
        let mut book = Book::new();
        assert!(book.grow(&mut few));
        let [a, _] = [0; 2].map(|_| book.take(FOREVER).unwrap());
        book.give_back(a);
        assert!(!book.grow(&mut as_few) && !book.grow(&mut []), "these are not more");
        assert_eq!(book.len(), 2);
        assert!(book.grow(&mut more));
        assert_eq!([0; 4].map(|_| book.take(FOREVER)), [id(0, 1), id(2, 0), id(3, 0), None]);
    }

    #[test]
    fn the_grants_of_a_scope_are_found() {
        with(5, |book| {
            let (outer, inner) = (book.new_scope(), book.new_scope());
            assert!(outer != inner && outer != FOREVER && inner != FOREVER);
            let [a, b, _, c] = [outer, inner, FOREVER, inner].map(|scope| book.take(scope).unwrap());
            for expected in [b, c] {
                assert_eq!(book.grant_of(inner), Some(expected));
                book.give_back(expected);
            }
            assert_eq!((book.grant_of(inner), book.grant_of(outer)), (None, Some(a)));
        });
    }
}
