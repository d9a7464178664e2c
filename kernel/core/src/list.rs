//! Queues of processes, linked through the process table: adding, taking and removing cost the same however long they
//! are.

use crate::{Kernel, Machine, Process, Slot, Table};

/// A queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct List {
    head: Option<Slot>,
    tail: Option<Slot>,
}

/// The neighbours of a process in its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Links {
    previous: Option<Slot>,
    next: Option<Slot>,
}

impl Links {
    pub(crate) const NONE: Self = Self { previous: None, next: None };
}

impl List {
    pub(crate) const EMPTY: Self = Self { head: None, tail: None };

    pub(crate) fn head(&self) -> Option<Slot> {
        self.head
    }

    pub(crate) fn push_back<M: Machine>(&mut self, procs: &mut Table<M>, slot: Slot) {
        links(procs, slot).previous = self.tail;
        match self.tail {
            Some(last) => links(procs, last).next = Some(slot),
            None => self.head = Some(slot),
        }
        self.tail = Some(slot);
    }

    pub(crate) fn push_front<M: Machine>(&mut self, procs: &mut Table<M>, slot: Slot) {
        links(procs, slot).next = self.head;
        match self.head {
            Some(first) => links(procs, first).previous = Some(slot),
            None => self.tail = Some(slot),
        }
        self.head = Some(slot);
    }

    /// Takes out a process that is in this queue.
    pub(crate) fn remove<M: Machine>(&mut self, procs: &mut Table<M>, slot: Slot) {
        let Links { previous, next } = core::mem::replace(links(procs, slot), Links::NONE);
        match previous {
            Some(before) => links(procs, before).next = next,
            None => self.head = next,
        }
        match next {
            Some(behind) => links(procs, behind).previous = previous,
            None => self.tail = previous,
        }
    }

    /// Takes out the first process.
    pub(crate) fn pop_front<M: Machine>(&mut self, procs: &mut Table<M>) -> Option<Slot> {
        let first = self.head?;
        let next = core::mem::replace(links(procs, first), Links::NONE).next;
        self.head = next;
        match next {
            Some(behind) => links(procs, behind).previous = None,
            None => self.tail = None,
        }
        Some(first)
    }

    /// The processes, first to last.
    pub(crate) fn iter<'a, M: Machine>(&self, procs: &'a Table<M>) -> impl Iterator<Item = Slot> + 'a {
        core::iter::successors(self.head, |slot| procs[slot.index()].links.next)
    }

    /// Whether both directions of the links agree, seen from `slot`, which is in this queue.
    pub(crate) fn is_linked<M: Machine>(&self, procs: &Table<M>, slot: Slot) -> bool {
        let of = |p: &Process<M>| p.links;
        let Links { previous, next } = of(&procs[slot.index()]);
        let before = previous.map_or(self.head, |p| of(&procs[p.index()]).next);
        let behind = next.map_or(self.tail, |n| of(&procs[n.index()]).previous);
        before == Some(slot) && behind == Some(slot)
    }
}

fn links<M: Machine>(procs: &mut Table<M>, slot: Slot) -> &mut Links {
    &mut procs[slot.index()].links
}

impl<M: Machine> Kernel<'_, M> {
    /// Appends `sender` to the queue of those who wait to send to `to`.
    pub(crate) fn queue_sender(&mut self, to: Slot, sender: Slot) {
        let mut senders = self.process(to).senders;
        senders.push_back(self.procs, sender);
        self.process_mut(to).senders = senders;
    }

    /// Takes `sender` out of that queue.
    pub(crate) fn unqueue_sender(&mut self, to: Slot, sender: Slot) {
        let mut senders = self.process(to).senders;
        senders.remove(self.procs, sender);
        self.process_mut(to).senders = senders;
    }
}
