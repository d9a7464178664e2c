//! The table of lendings.

use super::lists::{ALONE, AllNeighbours, List, MOST_LENDINGS, Node, Place, Role, behind};
use crate::SLOTS;
use crate::frames::Aside;
use crate::spaces::SpaceId;
use abi::Endpoint;
use abi::grant::{GrantId, MAX_HOPS};
use abi::layout::PAGE_SIZE;
use arrayvec::ArrayVec;

/// A grant that a lending was made with, and who made that grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Who can take it back.
    pub granter: Endpoint,
    /// Its name there.
    pub grant: GrantId,
}

/// Links of the longest chain.
pub(super) const MOST_LINKS: usize = MAX_HOPS + 1;

/// All links of a chain, from the borrower to the owner.
pub type Links = ArrayVec<Link, MOST_LINKS>;

/// How far a lending has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Both sides see the same.
    Live,
    /// It is being taken back: that is done for so many pages.
    Ending(u32),
    /// It was taken back. What is left of it neither side may write, as long as no page has been copied.
    Kept,
    /// Its pages are copied one after the other.
    Leaving,
}

impl Stage {
    /// Whether it has not been taken back from all pages yet.
    pub(super) fn is_running(self) -> bool {
        matches!(self, Self::Live | Self::Ending(_))
    }

    /// Whether something is still to be done, by itself.
    fn is_waiting(self) -> bool {
        matches!(self, Self::Ending(_) | Self::Leaving)
    }
}

/// A run of pages that one space has borrowed from another.
#[derive(Clone, Debug)]
pub struct Lending {
    pub(super) owner: SpaceId,
    pub(super) borrower: SpaceId,
    /// Where it is with the owner.
    pub(super) from: u64,
    /// And with the borrower.
    pub(super) to: u64,
    /// Pages; 0 if the record is not in use.
    pub(super) count: u32,
    pub(super) stage: Stage,
    pub(super) aside: Aside,
    /// With what it was made, as long as it runs.
    pub(super) links: Links,
    pub(super) neighbours: AllNeighbours,
}

/// Whether two runs of pages meet.
fn meet((a, len_a): (u64, u32), (b, len_b): (u64, u32)) -> bool {
    a < b + u64::from(len_b) * PAGE_SIZE && b < a + u64::from(len_a) * PAGE_SIZE
}

impl Lending {
    /// An entry of the table that is not in use.
    pub const UNUSED: Self = Self {
        owner: SpaceId::new(0),
        borrower: SpaceId::new(0),
        from: 0,
        to: 0,
        count: 0,
        stage: Stage::Kept,
        aside: Aside::EMPTY,
        links: Links::new_const(),
        neighbours: ALONE,
    };

    /// Whether it has pages of a run as the owner's.
    pub(super) fn lends(&self, owner: SpaceId, address: u64, count: u32) -> bool {
        self.owner == owner && meet((self.from, self.count), (address, count))
    }

    /// Whether it has pages of a run as the borrower's.
    pub(super) fn borrows(&self, borrower: SpaceId, address: u64, count: u32) -> bool {
        self.borrower == borrower && meet((self.to, self.count), (address, count))
    }

    /// Whether it has pages of a run at all.
    pub(super) fn meets(&self, id: SpaceId, address: u64, count: u32) -> bool {
        self.lends(id, address, count) || self.borrows(id, address, count)
    }
}

/// The lendings of a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::spaces) struct Shares {
    /// In which it is the owner.
    pub(super) lent: List,
    /// In which it is the borrower.
    pub(super) borrowed: List,
    /// How many run in which it is the owner.
    pub(super) running: u16,
}

impl Shares {
    pub(in crate::spaces) const NONE: Self = Self { lent: List::EMPTY, borrowed: List::EMPTY, running: 0 };

    /// Whether there are any.
    #[inline(always)]
    pub(in crate::spaces) fn any(&self) -> bool {
        !(self.lent.is_empty() && self.borrowed.is_empty())
    }
}

/// Those that are not live, in the order in which they came so far.
#[derive(Clone, Copy)]
struct Ended {
    /// Those that are still to be ended.
    waiting: List,
    /// Those that were taken back.
    kept: List,
}

impl Ended {
    /// Where those of a stage stand.
    fn of(&mut self, stage: Stage) -> Option<&mut List> {
        match stage {
            Stage::Live => None,
            Stage::Ending(_) | Stage::Leaving => Some(&mut self.waiting),
            Stage::Kept => Some(&mut self.kept),
        }
    }
}

/// All lendings.
pub struct Lendings<'t> {
    table: &'t mut [Lending],
    /// Places from here on were never used.
    fresh: usize,
    /// Those that were, and are not now.
    free: List,
    ended: Ended,
    /// Those that run, by the slot of each of their granters.
    granted: [List; SLOTS],
    /// Those that run, by their links of which the granter is gone: they are still to be ended.
    orphaned: List,
}

impl<'t> Lendings<'t> {
    /// None; `table` is as large as there may be at once.
    pub fn new(table: &'t mut [Lending]) -> Self {
        let len = table.len().min(MOST_LENDINGS);
        let ended = Ended { waiting: List::EMPTY, kept: List::EMPTY };
        let (granted, orphaned) = ([List::EMPTY; SLOTS], List::EMPTY);
        Self { table: &mut table[..len], fresh: 0, free: List::EMPTY, ended, granted, orphaned }
    }

    pub(super) fn get(&self, place: Place) -> &Lending {
        &self.table[place.index()]
    }

    pub(super) fn get_mut(&mut self, place: Place) -> &mut Lending {
        &mut self.table[place.index()]
    }

    /// Those in use.
    pub(super) fn all(&self) -> impl Iterator<Item = (Place, &Lending)> {
        let records = self.table[..self.fresh].iter().enumerate().filter(|(_, lending)| lending.count > 0);
        records.filter_map(|(index, lending)| Some((Place::new(index)?, lending)))
    }

    /// Those of a list.
    pub(super) fn of(&self, list: List) -> impl Iterator<Item = (Place, &Lending)> {
        list.nodes(self.table).map(|node| (node.place(), self.get(node.place())))
    }

    /// The first node behind one that is another lending's.
    pub(super) fn behind(&self, node: Node) -> Option<Node> {
        let nodes = core::iter::successors(Some(node), |&node| behind(self.table, node));
        nodes.into_iter().find(|next| next.place() != node.place())
    }

    /// Those that run and were made with links of a granter.
    pub(super) fn granted_by(&self, granter: Endpoint) -> List {
        self.granted[granter.slot()]
    }

    /// The one that has waited longest to be ended.
    pub(super) fn first_waiting(&self) -> Option<Place> {
        self.ended.waiting.first().map(Node::place)
    }

    /// The one that has longest been without one of its granters.
    pub(super) fn first_orphaned(&self) -> Option<Place> {
        self.orphaned.first().map(Node::place)
    }

    /// The one that was taken back first.
    pub(super) fn first_kept(&self) -> Option<Place> {
        self.ended.kept.first().map(Node::place)
    }

    /// How many pages' owners may have lent at once: half of the table, so that nobody leaves the others without.
    pub(super) fn quota(&self) -> usize {
        self.table.len() / 2
    }

    pub(super) fn is_full(&self) -> bool {
        self.fresh == self.table.len() && self.free.is_empty()
    }

    /// Whether a node is in a list, as far as it and its neighbours tell.
    pub(super) fn is_linked(&self, list: List, node: Node) -> bool {
        list.is_linked(self.table, node)
    }

    /// Whether each lending is in the lists for its stage and its links, and nothing else is.
    pub(super) fn are_all_listed(&self) -> bool {
        let len = |list: List| list.nodes(self.table).take(usize::from(u16::MAX)).count();
        let (mut ended, mut granted, mut used) = (0, 0, 0);
        for (place, lending) in self.all() {
            used += 1;
            if let Some(&mut list) = { self.ended }.of(lending.stage) {
                ended += 1;
                if !self.is_linked(list, place.node(Role::Stage)) {
                    return false;
                }
            }
            for (i, link) in lending.links.iter().enumerate() {
                granted += 1;
                let lists = [self.granted_by(link.granter), self.orphaned];
                if !lists.iter().any(|&list| self.is_linked(list, place.node(Role::Link(i)))) {
                    return false;
                }
            }
        }
        let lists = [self.ended.waiting, self.ended.kept].map(len);
        let granters = self.granted.iter().chain([&self.orphaned]);
        lists.iter().sum::<usize>() == ended
            && granters.map(|&list| len(list)).sum::<usize>() == granted
            && used + len(self.free) == self.fresh
    }

    /// Adds one to the lendings of its owner and of its borrower. There is room.
    pub(super) fn add(&mut self, lending: Lending, [owner, borrower]: [&mut Shares; 2]) {
        let Some(place) = self.take() else {
            return;
        };
        let stage = lending.stage;
        self.table[place.index()] = lending;
        owner.lent.push_back(self.table, place.node(Role::Lent));
        borrower.borrowed.push_back(self.table, place.node(Role::Borrowed));
        owner.running += u16::from(stage.is_running());
        if let Some(list) = self.ended.of(stage) {
            list.push_back(self.table, place.node(Role::Stage));
        }
        let mut number = 0;
        while let Some(link) = self.get(place).links.get(number) {
            self.granted[link.granter.slot()].push_back(self.table, place.node(Role::Link(number)));
            number += 1;
        }
    }

    /// A record that is not in use.
    fn take(&mut self) -> Option<Place> {
        if let Some(node) = self.free.first() {
            self.free.remove(self.table, node);
            return Some(node.place());
        }
        let place = Place::new(self.fresh).filter(|place| place.index() < self.table.len())?;
        self.fresh += 1;
        Some(place)
    }

    /// One comes to another stage; `owner` are its owner's lendings.
    pub(super) fn turn(&mut self, place: Place, stage: Stage, owner: &mut Shares) {
        let before = core::mem::replace(&mut self.table[place.index()].stage, stage);
        // One that waits still keeps its place.
        if !(before.is_waiting() && stage.is_waiting()) {
            let node = place.node(Role::Stage);
            if let Some(list) = self.ended.of(before) {
                list.remove(self.table, node);
            }
            if let Some(list) = self.ended.of(stage) {
                list.push_back(self.table, node);
            }
        }
        if before.is_running() && !stage.is_running() {
            owner.running -= 1;
            self.unlink(place);
        }
    }

    /// Nobody takes it back any more.
    fn unlink(&mut self, place: Place) {
        let links = core::mem::take(&mut self.table[place.index()].links);
        for (i, link) in links.iter().enumerate() {
            let node = place.node(Role::Link(i));
            let of_orphans = self.orphaned.has_at_an_end(node);
            let list = if of_orphans { &mut self.orphaned } else { &mut self.granted[link.granter.slot()] };
            list.remove(self.table, node);
        }
    }

    /// Removes one.
    pub(super) fn remove(&mut self, place: Place, [owner, borrower]: [&mut Shares; 2]) {
        self.turn(place, Stage::Kept, owner);
        self.ended.kept.remove(self.table, place.node(Role::Stage));
        owner.lent.remove(self.table, place.node(Role::Lent));
        borrower.borrowed.remove(self.table, place.node(Role::Borrowed));
        self.table[place.index()].count = 0;
        self.free.push_front(self.table, place.node(Role::Stage));
    }

    /// A granter takes back no more what was made with its links: it is to be ended. Costs the same however much that is.
    pub(super) fn forget_granter(&mut self, granter: Endpoint) {
        let granted = core::mem::replace(&mut self.granted[granter.slot()], List::EMPTY);
        self.orphaned.append(self.table, granted);
    }

    /// Two processes go on under each other's endpoints.
    pub(super) fn rename(&mut self, a: Endpoint, b: Endpoint) {
        for (old, new) in [(a, b), (b, a)] {
            let mut next = self.granted_by(old).first();
            while let Some(node) = next {
                let links = &mut self.table[node.place().index()].links;
                if let Some(link) = node.link().and_then(|i| links.get_mut(i)) {
                    link.granter = new;
                }
                next = behind(self.table, node);
            }
        }
        self.granted.swap(a.slot(), b.slot());
    }
}
