//! Receive filters: which messages a process takes for the time being. Others wait as if it were not receiving.
//!
//! A process has a chain of filters, in the order in which it installed them. Each is a list of elements that a message
//! may match, and is either a whitelist, which can turn a denial into permission, or a blacklist, which can do the
//! opposite. Before the first of them everything is allowed if that one is a blacklist, else nothing.
//!
//! So what counts is the last element that matches, whatever filter it belongs to: the chain is kept as one list of
//! elements, linked through a pool that all processes share. There is no table of filters besides, so their number is
//! limited by that of their elements only. A quota for each chain keeps one process from using up the pool, and bounds
//! what a look at a message can cost.

use abi::filter::{FilterElement, FilterFlags, MAX_FILTER_ELEMENTS};
use abi::{Endpoint, Errno, Kind};

/// Number of elements in the pool: eight chains of full length.
pub const POOL: usize = 8 * MAX_FILTER_ELEMENTS;

/// What a filter does with the messages that match it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterKind {
    /// Keeps them back.
    Blacklist,
    /// Lets them through.
    Whitelist,
}

/// The sorts of sources, each with a name for filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceClass {
    /// Ordinary user processes.
    User,
    /// The kernel's own names.
    Task,
    /// System processes: all others.
    System,
}

impl SourceClass {
    /// What an element says that means all of this sort.
    const fn name(self) -> Endpoint {
        match self {
            Self::User => Endpoint::ANY_USR,
            Self::Task => Endpoint::ANY_TSK,
            Self::System => Endpoint::ANY_SYS,
        }
    }
}

/// Whom a message comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name.
    pub endpoint: Endpoint,
    /// Of which sort it is.
    pub class: SourceClass,
}

/// What a message must have to match. An element that asks for nothing is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element {
    /// The source, or the name of a sort of sources.
    pub source: Option<Endpoint>,
    /// The kind.
    pub kind: Option<Kind>,
}

impl Element {
    /// Reads an element that a program has written. `is_live` says whether an endpoint is that of a live process; the names
    /// of the kernel always are.
    ///
    /// # Errors
    /// [`Errno::Inval`] if it selects nothing, has unknown flags, has something where zero belongs, or has a source that
    /// names nobody.
    pub fn decode(raw: &FilterElement, is_live: impl FnOnce(Endpoint) -> bool) -> Result<Self, Errno> {
        const NAMES: [Endpoint; 7] = [
            Endpoint::ANY_USR,
            Endpoint::ANY_TSK,
            Endpoint::ANY_SYS,
            Endpoint::HARDWARE,
            Endpoint::SYSTEM,
            Endpoint::CLOCK,
            Endpoint::ASYNCM,
        ];
        let flags = FilterFlags::from_bits(raw.flags).ok_or(Errno::Inval)?;
        let source = flags.contains(FilterFlags::SOURCE).then_some(Endpoint::from_raw(raw.source));
        let kind = flags.contains(FilterFlags::KIND).then_some(Kind(raw.kind));
        let clean =
            (source.is_some() || raw.source == 0) && (kind.is_some() || raw.kind == 0) && raw.reserved == [0; 6];
        if !clean || flags.is_empty() || source.is_some_and(|name| !NAMES.contains(&name) && !is_live(name)) {
            return Err(Errno::Inval);
        }
        Ok(Self { source, kind })
    }

    fn matches_source(&self, source: Source) -> bool {
        self.source.is_none_or(|name| name == source.endpoint || name == source.class.name())
    }
}

/// The place of an element in the pool.
type Place = u16;
/// No place.
const END: Place = Place::MAX;

const _: () = assert!(POOL < END as usize);

/// An element in the pool: in one chain, or free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Node {
    element: Element,
    kind: FilterKind,
    next: Place,
}

/// The filters of one process, to be kept with its privileges. It goes wherever they go, and must be
/// [cleared](Filters::clear) when they end; of two copies one is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterChain {
    first: Place,
    last: Place,
    len: u16,
}

impl FilterChain {
    /// No filters: everything is allowed.
    pub const EMPTY: Self = Self { first: END, last: END, len: 0 };

    /// Whether there are no filters.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// The elements of all filters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filters {
    nodes: [Node; POOL],
    /// The free ones, linked.
    free: Place,
    free_count: u16,
}

impl Default for Filters {
    fn default() -> Self {
        Self::new()
    }
}

impl Filters {
    /// Nobody has filters.
    pub const fn new() -> Self {
        let unused = Element { source: None, kind: None };
        let mut nodes = [Node { element: unused, kind: FilterKind::Blacklist, next: END }; POOL];
        let mut place = 1;
        while place < POOL {
            nodes[place - 1].next = place as Place;
            place += 1;
        }
        Self { nodes, free: 0, free_count: POOL as u16 }
    }

    /// Adds a filter at the end of a chain.
    ///
    /// # Errors
    /// [`Errno::TooBig`] for no elements or more than [`MAX_FILTER_ELEMENTS`], [`Errno::Inval`] for one that asks for nothing,
    /// [`Errno::NoMem`] if the chain would become longer than that, or the pool is used up.
    pub fn add(&mut self, chain: &mut FilterChain, kind: FilterKind, elements: &[Element]) -> Result<(), Errno> {
        if elements.is_empty() || elements.len() > MAX_FILTER_ELEMENTS {
            return Err(Errno::TooBig);
        }
        if elements.iter().any(|element| element.source.is_none() && element.kind.is_none()) {
            return Err(Errno::Inval);
        }
        let left = MAX_FILTER_ELEMENTS.saturating_sub(chain.len.into());
        if elements.len() > left.min(self.free_count.into()) {
            return Err(Errno::NoMem);
        }
        elements.iter().for_each(|element| self.append(chain, kind, *element));
        Ok(())
    }

    /// Takes all filters of a chain away.
    pub fn clear(&mut self, chain: &mut FilterChain) {
        let FilterChain { first, last, len } = core::mem::replace(chain, FilterChain::EMPTY);
        if len > 0 {
            self.nodes[usize::from(last)].next = self.free;
            self.free = first;
            self.free_count += len;
        }
    }

    /// Whether a chain lets a message through. A kind that is `None` could not be read; as soon as it matters, the message is
    /// let through, so that whoever takes it finds the error.
    pub fn allows(&self, chain: &FilterChain, source: Source, kind: Option<Kind>) -> bool {
        let mut allowed = chain.is_empty() || self.nodes[usize::from(chain.first)].kind == FilterKind::Blacklist;
        let matching = self.iter(chain).filter(|node| node.element.matches_source(source));
        for Node { element, kind: filter, .. } in matching {
            match (element.kind, kind) {
                (Some(_), None) => return true,
                (wanted, found) if wanted.is_none() || wanted == found => allowed = *filter == FilterKind::Whitelist,
                _ => {}
            }
        }
        allowed
    }

    fn iter(&self, chain: &FilterChain) -> impl Iterator<Item = &Node> {
        let node = |place: Place| self.nodes.get(usize::from(place));
        core::iter::successors(node(chain.first), move |n| node(n.next))
    }

    /// Moves a free node, which there must be, to the end of a chain.
    fn append(&mut self, chain: &mut FilterChain, kind: FilterKind, element: Element) {
        let place = self.free;
        let node = &mut self.nodes[usize::from(place)];
        self.free = core::mem::replace(&mut node.next, END);
        self.free_count -= 1;
        (node.element, node.kind) = (element, kind);
        match self.nodes.get_mut(usize::from(chain.last)) {
            Some(last) => last.next = place,
            None => chain.first = place,
        }
        chain.last = place;
        chain.len += 1;
    }
}
