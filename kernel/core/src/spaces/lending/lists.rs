//! The lists in which lendings stand, linked through their records: so that whoever looks for one sees no more than those of one
//! space, or of one granter, and adding and removing cost the same however many there are.

use super::records::{Lending, MOST_LINKS};
use core::num::NonZeroU16;

/// Which lending it is: its place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::spaces) struct Place(u16);

/// Nodes of a record, as far as their numbers go.
const SPAN: u16 = 16;

/// Most lendings that nodes can be named of.
pub(super) const MOST_LENDINGS: usize = u16::MAX as usize / SPAN as usize;

impl Place {
    /// That of the first lending there is.
    #[cfg(test)]
    pub(super) const FIRST: Self = Self(0);

    /// `None` beyond what nodes can be named of.
    pub(super) fn new(index: usize) -> Option<Self> {
        if index < MOST_LENDINGS { Some(Self(index as u16)) } else { None }
    }

    pub(super) fn index(self) -> usize {
        self.0.into()
    }

    pub(super) fn node(self, role: Role) -> Node {
        let number = match role {
            Role::Lent => 0,
            Role::Borrowed => 1,
            Role::Stage => 2,
            Role::Link(link) => FIRST_LINK + link as u16,
        };
        Node(NonZeroU16::MIN.saturating_add(self.0 * SPAN + number % SPAN))
    }
}

/// As what a lending stands in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// As pages that a space has lent: in a list of that space.
    Lent,
    /// As pages that a space has borrowed: the same.
    Borrowed,
    /// As one that has come so far, or as a record that is not in use.
    Stage,
    /// As made with a link of a chain: in a list of its granter.
    Link(usize),
}

const FIRST_LINK: u16 = 3;
/// Nodes of a record.
const NODES: usize = FIRST_LINK as usize + MOST_LINKS;
const _: () = assert!(NODES <= SPAN as usize);

/// A place in lists, of which each lending has one for each role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::spaces) struct Node(NonZeroU16);

impl Node {
    /// Whose it is.
    pub(super) fn place(self) -> Place {
        Place((self.0.get() - 1) / SPAN)
    }

    /// Which link of a chain it stands for, if it does.
    pub(super) fn link(self) -> Option<usize> {
        self.number().checked_sub(FIRST_LINK.into())
    }

    fn number(self) -> usize {
        usize::from((self.0.get() - 1) % SPAN)
    }
}

/// A list of lendings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::spaces) struct List {
    first: Option<Node>,
    last: Option<Node>,
}

impl List {
    pub(in crate::spaces) const EMPTY: Self = Self { first: None, last: None };

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(super) fn first(&self) -> Option<Node> {
        self.first
    }

    pub(super) fn push_front(&mut self, table: &mut [Lending], node: Node) {
        *neighbours(table, node) = Neighbours { before: None, behind: self.first };
        match self.first {
            Some(first) => neighbours(table, first).before = Some(node),
            None => self.last = Some(node),
        }
        self.first = Some(node);
    }

    pub(super) fn push_back(&mut self, table: &mut [Lending], node: Node) {
        *neighbours(table, node) = Neighbours { before: self.last, behind: None };
        match self.last {
            Some(last) => neighbours(table, last).behind = Some(node),
            None => self.first = Some(node),
        }
        self.last = Some(node);
    }

    /// Adds all nodes of another list, which keep their order.
    pub(super) fn append(&mut self, table: &mut [Lending], other: Self) {
        let Some(first) = other.first else {
            return;
        };
        match self.last {
            Some(last) => {
                neighbours(table, last).behind = Some(first);
                neighbours(table, first).before = Some(last);
            }
            None => self.first = Some(first),
        }
        self.last = other.last;
    }

    /// Whether a node is the first or the last one. To remove any other changes nothing but its neighbours, so one need not know in
    /// which list it is.
    pub(super) fn has_at_an_end(&self, node: Node) -> bool {
        self.first == Some(node) || self.last == Some(node)
    }

    /// Removes a node that is in this list.
    pub(super) fn remove(&mut self, table: &mut [Lending], node: Node) {
        let Neighbours { before, behind } = core::mem::take(neighbours(table, node));
        match before {
            Some(before) => neighbours(table, before).behind = behind,
            None => self.first = behind,
        }
        match behind {
            Some(behind) => neighbours(table, behind).before = before,
            None => self.last = before,
        }
    }

    /// Whether a node and those beside it agree that it is in this list.
    pub(super) fn is_linked(self, table: &[Lending], node: Node) -> bool {
        let of = |node: Node| table[node.place().index()].neighbours[node.number()];
        let Neighbours { before, behind } = of(node);
        let (next, previous) =
            (before.map_or(self.first, |b| of(b).behind), behind.map_or(self.last, |b| of(b).before));
        next == Some(node) && previous == Some(node)
    }

    /// All nodes, first to last.
    pub(super) fn nodes(self, table: &[Lending]) -> impl Iterator<Item = Node> {
        core::iter::successors(self.first, |&node| behind(table, node))
    }
}

/// The nodes before and behind one in its list.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Neighbours {
    before: Option<Node>,
    behind: Option<Node>,
}

/// Those of all nodes of a record.
pub(super) type AllNeighbours = [Neighbours; NODES];

/// Of a record that is in no list.
pub(super) const ALONE: AllNeighbours = [Neighbours { before: None, behind: None }; NODES];

fn neighbours(table: &mut [Lending], node: Node) -> &mut Neighbours {
    &mut table[node.place().index()].neighbours[node.number()]
}

/// The node behind one in its list.
pub(super) fn behind(table: &[Lending], node: Node) -> Option<Node> {
    table[node.place().index()].neighbours[node.number()].behind
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    #[test]
    fn nodes_know_whose_they_are() {
        for index in [0, 1, 7, MOST_LENDINGS - 1] {
            let place = Place::new(index).unwrap();
            for (role, link) in
                [(Role::Lent, None), (Role::Borrowed, None), (Role::Stage, None), (Role::Link(5), Some(5))]
            {
                let node = place.node(role);
                assert_eq!((node.place().index(), node.link()), (index, link));
            }
        }
        assert_eq!(Place::new(MOST_LENDINGS), None);
    }

    #[test]
    fn lists_keep_their_order_whatever_is_removed() {
        let mut table = std::vec![Lending::UNUSED; 4];
        let node = |index| Place::new(index).unwrap().node(Role::Lent);
        for removed in 0..4 {
            let mut list = List::EMPTY;
            [1, 2, 3].iter().for_each(|&index| list.push_back(&mut table, node(index)));
            list.push_front(&mut table, node(0));
            list.remove(&mut table, node(removed));
            let left: Vec<_> = list.nodes(&table).map(|node| node.place().index()).collect();
            assert_eq!(left, (0..4).filter(|&index| index != removed).collect::<Vec<_>>());
            left.into_iter().rev().for_each(|index| list.remove(&mut table, node(index)));
            assert!(list.is_empty() && list == List::EMPTY);
        }
    }

    #[test]
    fn a_node_is_linked_if_both_sides_agree() {
        type Damage = fn(&mut List, &mut [Lending], Node);
        let damages: [Damage; 2] = [
            |list, table, node| match neighbours(table, node).before {
                Some(before) => neighbours(table, before).behind = None,
                None => list.first = None,
            },
            |list, table, node| match neighbours(table, node).behind {
                Some(behind) => neighbours(table, behind).before = None,
                None => list.last = None,
            },
        ];
        for (damage, damaged) in damages.into_iter().flat_map(|damage| [0, 1, 2].map(|index| (damage, index))) {
            let mut table = std::vec![Lending::UNUSED; 3];
            let node = |index| Place::new(index).unwrap().node(Role::Borrowed);
            let mut list = List::EMPTY;
            (0..3).for_each(|index| list.push_back(&mut table, node(index)));
            assert!((0..3).all(|index| list.is_linked(&table, node(index))));
            damage(&mut list, &mut table, node(damaged));
            assert!(!list.is_linked(&table, node(damaged)));
        }
    }

    #[test]
    fn a_list_goes_on_with_what_is_appended() {
        for (own, others) in [(0, 0), (0, 2), (2, 0), (1, 1), (2, 2)] {
            let mut table = std::vec![Lending::UNUSED; 5];
            let node = |index| Place::new(index).unwrap().node(Role::Lent);
            let (mut list, mut other) = (List::EMPTY, List::EMPTY);
            (0..own).for_each(|index| list.push_back(&mut table, node(index)));
            (own..own + others).for_each(|index| other.push_back(&mut table, node(index)));
            list.append(&mut table, other);
            list.push_back(&mut table, node(own + others));
            let all: Vec<_> = list.nodes(&table).map(|node| node.place().index()).collect();
            assert_eq!(all, (0..=own + others).collect::<Vec<_>>());
            for &index in &all {
                assert!(list.is_linked(&table, node(index)));
                assert_eq!(list.has_at_an_end(node(index)), index == 0 || index == own + others);
            }
            all.into_iter().rev().for_each(|index| list.remove(&mut table, node(index)));
            assert_eq!(list, List::EMPTY);
        }
    }
}
