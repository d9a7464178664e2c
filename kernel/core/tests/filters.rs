//! Receive filters.

use crate::support::{A, B, C};
use abi::filter::{FilterElement, FilterFlags, MAX_FILTER_ELEMENTS};
use abi::{Endpoint, Errno, Kind};
use kernel_core::filters::FilterKind::{Blacklist, Whitelist};
use kernel_core::filters::{Element, FilterChain, FilterKind, Filters, POOL, Source, SourceClass};
use proptest::prelude::*;

const ONE: Kind = Kind(1);
const TWO: Kind = Kind(2);

fn from(endpoint: Endpoint) -> Element {
    Element { source: Some(endpoint), kind: None }
}

fn of(kind: Kind) -> Element {
    Element { source: None, kind: Some(kind) }
}

fn of_from(kind: Kind, endpoint: Endpoint) -> Element {
    Element { source: Some(endpoint), kind: Some(kind) }
}

/// A system process.
fn system(endpoint: Endpoint) -> Source {
    Source { endpoint, class: SourceClass::System }
}

/// Asks a chain of these filters.
fn allows(filters: &[(FilterKind, &[Element])], source: Source, kind: impl Into<Option<Kind>>) -> bool {
    let (mut pool, mut chain) = (Filters::new(), FilterChain::EMPTY);
    for (kind, elements) in filters {
        pool.add(&mut chain, *kind, elements).unwrap();
    }
    pool.allows(&chain, source, kind.into())
}

#[test]
fn without_filters_all_is_allowed() {
    assert!(allows(&[], system(A), ONE) && allows(&[], system(A), None));
    assert!(FilterChain::EMPTY.is_empty());
}

#[test]
fn a_whitelist_lets_through_what_matches_and_nothing_else() {
    let list: &[(_, &[_])] = &[(Whitelist, &[from(A), of(TWO)])];
    assert!(allows(list, system(A), ONE) && allows(list, system(B), TWO));
    assert!(!allows(list, system(B), ONE) && !allows(list, system(A.next_generation()), ONE));
}

#[test]
fn a_blacklist_keeps_back_what_matches_and_nothing_else() {
    let list: &[(_, &[_])] = &[(Blacklist, &[from(A), of(TWO)])];
    assert!(!allows(list, system(A), ONE) && !allows(list, system(B), TWO));
    assert!(allows(list, system(B), ONE) && allows(list, system(A.next_generation()), ONE));
}

#[test]
fn an_element_with_source_and_kind_needs_both() {
    let list: &[(_, &[_])] = &[(Whitelist, &[of_from(ONE, A)])];
    assert!(allows(list, system(A), ONE));
    assert!(!allows(list, system(A), TWO) && !allows(list, system(B), ONE));
}

#[test]
fn names_of_sorts_match_that_sort_only() {
    let sorts = [
        (Endpoint::ANY_USR, SourceClass::User),
        (Endpoint::ANY_TSK, SourceClass::Task),
        (Endpoint::ANY_SYS, SourceClass::System),
    ];
    for (name, sort) in sorts {
        for (_, class) in sorts {
            let source = Source { endpoint: A, class };
            assert_eq!(allows(&[(Whitelist, &[from(name)])], source, ONE), class == sort, "{name} {class:?}");
        }
    }
}

#[test]
fn the_first_filter_decides_about_what_matches_none() {
    assert!(allows(&[(Blacklist, &[from(A)]), (Whitelist, &[from(B)])], system(C), ONE));
    assert!(!allows(&[(Whitelist, &[from(A)]), (Blacklist, &[from(B)])], system(C), ONE));
}

#[test]
fn a_later_filter_overrules_an_earlier_one_in_its_own_direction() {
    let black = (Blacklist, &[from(A)] as &[_]);
    let white = (Whitelist, &[of_from(ONE, A)] as &[_]);
    assert!(allows(&[black, white], system(A), ONE), "let through again");
    assert!(!allows(&[black, white], system(A), TWO));
    assert!(!allows(&[white, black], system(A), ONE), "kept back after all");
    assert!(allows(&[white, white], system(A), ONE), "allowed twice is allowed");
    assert!(!allows(&[black, black], system(A), ONE), "denied twice is denied");
    assert!(allows(&[black, white, black, white], system(A), ONE));
}

#[test]
fn a_kind_that_cannot_be_read_is_let_through_when_it_matters() {
    assert!(allows(&[(Blacklist, &[of(ONE)])], system(A), None));
    assert!(allows(&[(Whitelist, &[of(ONE)])], system(A), None));
    assert!(
        allows(&[(Whitelist, &[of_from(ONE, A)]), (Blacklist, &[from(A)])], system(A), None),
        "at the first of them"
    );
    assert!(
        !allows(&[(Whitelist, &[of_from(ONE, B)])], system(A), None),
        "the source did not match: it does not matter"
    );
    assert!(!allows(&[(Blacklist, &[from(A)])], system(A), None));
}

#[test]
fn no_elements_and_too_many_are_refused() {
    let (mut pool, mut chain) = (Filters::new(), FilterChain::EMPTY);
    for len in [0, MAX_FILTER_ELEMENTS + 1, POOL + 1] {
        assert_eq!(pool.add(&mut chain, Whitelist, &vec![from(A); len]), Err(Errno::TooBig), "{len}");
    }
    assert_eq!((&pool, chain), (&Filters::new(), FilterChain::EMPTY));
    assert_eq!(pool.add(&mut chain, Whitelist, &[from(A); MAX_FILTER_ELEMENTS]), Ok(()));
}

#[test]
fn an_element_that_asks_for_nothing_is_refused_wherever_it_stands() {
    let (mut pool, mut chain) = (Filters::new(), FilterChain::EMPTY);
    for place in 0..3 {
        let mut elements = [from(A); 3];
        elements[place] = Element { source: None, kind: None };
        assert_eq!(pool.add(&mut chain, Blacklist, &elements), Err(Errno::Inval));
    }
    assert_eq!((pool, chain), (Filters::new(), FilterChain::EMPTY));
}

#[test]
fn a_chain_has_a_quota() {
    let (mut pool, mut chain) = (Filters::new(), FilterChain::EMPTY);
    pool.add(&mut chain, Blacklist, &[from(A); MAX_FILTER_ELEMENTS - 1]).unwrap();
    let before = (pool.clone(), chain);
    assert_eq!(pool.add(&mut chain, Whitelist, &[from(B); 2]), Err(Errno::NoMem));
    assert_eq!((&pool, chain), (&before.0, before.1));
    assert_eq!(pool.add(&mut chain, Whitelist, &[from(A)]), Ok(()));
    assert!(pool.allows(&chain, system(A), Some(ONE)), "the last element counts");
    assert_eq!(pool.add(&mut chain, Whitelist, &[from(B)]), Err(Errno::NoMem));
}

#[test]
fn a_pool_that_is_used_up_recovers_when_owners_clear_their_chains() {
    let mut pool = Filters::new();
    let mut chains = [FilterChain::EMPTY; POOL / MAX_FILTER_ELEMENTS];
    for chain in &mut chains {
        pool.add(chain, Whitelist, &[from(A); MAX_FILTER_ELEMENTS]).unwrap();
    }
    let mut late = FilterChain::EMPTY;
    let before = pool.clone();
    assert_eq!(pool.add(&mut late, Blacklist, &[from(B)]), Err(Errno::NoMem));
    assert_eq!((&pool, late), (&before, FilterChain::EMPTY));
    pool.clear(&mut chains[3]);
    assert!(chains[3].is_empty());
    assert_eq!(pool.add(&mut late, Blacklist, &[from(B); MAX_FILTER_ELEMENTS]), Ok(()));
    assert!(!pool.allows(&late, system(B), Some(ONE)) && pool.allows(&late, system(A), Some(ONE)));
    for chain in chains.iter().filter(|chain| !chain.is_empty()) {
        assert!(pool.allows(chain, system(A), Some(ONE)) && !pool.allows(chain, system(B), Some(ONE)));
    }
}

#[test]
fn clearing_is_for_one_chain_and_may_be_repeated() {
    let mut pool = Filters::new();
    let (mut mine, mut other) = (FilterChain::EMPTY, FilterChain::EMPTY);
    pool.add(&mut mine, Whitelist, &[from(A)]).unwrap();
    pool.add(&mut other, Whitelist, &[from(B)]).unwrap();
    pool.add(&mut mine, Whitelist, &[from(C)]).unwrap();
    pool.clear(&mut mine);
    assert_eq!(mine, FilterChain::EMPTY);
    let before = pool.clone();
    pool.clear(&mut mine);
    assert_eq!(pool, before);
    assert!(pool.allows(&other, system(B), Some(ONE)) && !pool.allows(&other, system(A), Some(ONE)));
}

#[test]
fn elements_are_read_as_they_were_written() {
    let read = |raw| Element::decode(&raw, |endpoint| endpoint == A).unwrap();
    assert_eq!(read(FilterElement::from_source(A)), from(A));
    assert_eq!(read(FilterElement::of_kind(Kind(0))), of(Kind(0)));
    assert_eq!(read(FilterElement::of_kind_from(Kind::NOTIFY, A)), of_from(Kind::NOTIFY, A));
    let sorts = [Endpoint::ANY_USR, Endpoint::ANY_TSK, Endpoint::ANY_SYS];
    let kernel = [Endpoint::HARDWARE, Endpoint::SYSTEM, Endpoint::CLOCK, Endpoint::ASYNCM];
    for name in sorts.into_iter().chain(kernel) {
        assert_eq!(Element::decode(&FilterElement::from_source(name), |_| false), Ok(from(name)), "{name}");
    }
}

#[test]
fn every_wrong_field_of_an_element_is_refused() {
    let good = FilterElement::of_kind_from(ONE, B);
    let read = |raw| Element::decode(&raw, |endpoint| endpoint == B);
    assert!(read(good).is_ok());
    for flags in [0, 4, 1 | 4, 1 << 31 | 3, u32::MAX] {
        assert_eq!(read(FilterElement { flags, ..good }), Err(Errno::Inval), "{flags:#x}");
    }
    for source in [B.next_generation(), A, Endpoint::ANY, Endpoint::NONE, Endpoint::SELF, Endpoint::from_raw(u32::MAX)]
    {
        assert_eq!(read(FilterElement { source: source.raw(), ..good }), Err(Errno::Inval), "{source}");
    }
    for byte in 0..6 {
        let mut reserved = [0; 6];
        reserved[byte] = 0x80;
        assert_eq!(read(FilterElement { reserved, ..good }), Err(Errno::Inval));
    }
    // What the flags do not name must be zero.
    assert_eq!(read(FilterElement { flags: FilterFlags::SOURCE.bits(), ..good }), Err(Errno::Inval));
    assert_eq!(read(FilterElement { flags: FilterFlags::KIND.bits(), ..good }), Err(Errno::Inval));
}

/// A filter, and what it is made of.
type List = (bool, Vec<(Option<u8>, Option<u8>)>);

/// The rule as it is written: filter by filter, each can only do its own thing.
fn expected(lists: &[List], source: Source, kind: Kind) -> bool {
    let mut allowed = lists.first().is_none_or(|(white, _)| !white);
    for (white, elements) in lists {
        let matches = elements.iter().any(|(name, wanted)| {
            name.is_none_or(|n| NAMES[usize::from(n)] == source.endpoint || NAMES[usize::from(n)] == Endpoint::ANY_SYS)
                && wanted.is_none_or(|w| Kind(w.into()) == kind)
        });
        match (white, allowed) {
            (true, false) if matches => allowed = true,
            (false, true) if matches => allowed = false,
            _ => {}
        }
    }
    allowed
}

const NAMES: [Endpoint; 4] = [A, B, Endpoint::ANY_USR, Endpoint::ANY_SYS];

fn lists() -> impl Strategy<Value = Vec<List>> {
    let element = (proptest::option::of(0_u8..4), proptest::option::of(0_u8..3))
        .prop_filter("asks for nothing", |(source, kind)| source.is_some() || kind.is_some());
    proptest::collection::vec((any::<bool>(), proptest::collection::vec(element, 1..4)), 0..5)
}

proptest! {
    /// Two processes add and clear in turn; each always has what it would have alone.
    #[test]
    fn chains_do_as_the_rule_says_and_never_mix(
        rounds in proptest::collection::vec((0_usize..2, lists()), 1..6),
    ) {
        let mut pool = Filters::new();
        let mut chains = [(FilterChain::EMPTY, Vec::new()), (FilterChain::EMPTY, Vec::new())];
        for (who, lists) in rounds {
            let (chain, has) = &mut chains[who];
            if has.len() > 4 {
                pool.clear(chain);
                has.clear();
            }
            for list in lists {
                let elements: Vec<_> = list.1.iter().map(|(source, kind)| Element {
                    source: source.map(|n| NAMES[usize::from(n)]),
                    kind: kind.map(|k| Kind(k.into())),
                }).collect();
                pool.add(chain, if list.0 { Whitelist } else { Blacklist }, &elements).unwrap();
                has.push(list);
            }
            for (chain, has) in &chains {
                for (endpoint, kind) in [A, B, C].into_iter().flat_map(|e| (0..4).map(move |k| (e, Kind(k)))) {
                    let found = pool.allows(chain, system(endpoint), Some(kind));
                    prop_assert_eq!(found, expected(has, system(endpoint), kind), "{} {:?}", endpoint, kind);
                }
            }
        }
    }
}
