//! Asynchronous messages: tables in the memory of their senders.

use super::ipc::{Sent, is_task};
use super::*;
use abi::Trap;
use abi::asynchronous::AsyncEntry;
use zerocopy::{FromBytes, IntoBytes};

const VALID: u32 = 1;
const DONE: u32 = 2;
const NOTIFY: u32 = 4;
const NO_REPLY: u32 = 8;
const NOTIFY_ERROR: u32 = 16;
const ALL: u32 = 31;
const ENTRY: u64 = 80;
/// Bytes before the message.
const HEAD: usize = 16;
const MAX_ENTRIES: u64 = 64;

/// How an entry is to be taken.
#[derive(PartialEq)]
enum Look {
    Empty,
    Done,
    Bad,
    Open,
}

fn look(entry: &AsyncEntry) -> Look {
    match entry.flags {
        0 => Look::Empty,
        flags if flags & DONE != 0 => Look::Done,
        flags if flags & VALID == 0 || flags & !ALL != 0 => Look::Bad,
        _ => Look::Open,
    }
}

impl Model {
    pub(super) fn send_table(&mut self, me: usize, address: u64, count: u64) -> Result<(), Errno> {
        if !self.is_service(me) {
            return Err(Errno::Perm);
        }
        if count > MAX_ENTRIES {
            return Err(Errno::Dom);
        }
        self.program_mut(me).regs.rax = 0;
        self.offer_table(me, address, count);
        Ok(())
    }

    /// A table that is under the name again which registered it is sent again.
    pub(super) fn resend_table(&mut self, i: usize) {
        if let Some((owner, address, count)) = self.authority(i).table
            && owner == self.slots[i].endpoint
        {
            self.offer_table(i, address, count);
        }
    }

    /// The failing instance `a` gives its name back to `b`: of what it has sent under it, `b` knows the results, or sends it itself.
    pub(super) fn hand_back(&mut self, a: usize, b: usize) {
        let name = self.slots[a].endpoint;
        let of = |model: &Self, i: usize| model.authority(i).table.filter(|(owner, ..)| *owner == name);
        let Some((_, address, count)) = of(self, a) else { return };
        self.authority_mut(a).table = None;
        let places: Vec<_> = of(self, b).map_or(Vec::new(), |(_, address, count)| entries(address, count).collect());
        let before: Vec<_> = places.iter().map(|at| self.entry(b, *at)).collect();
        let mut filled = Vec::new();
        let mut lost = 0;
        let is_good = |flags: u32| flags & VALID != 0 && flags & !ALL == 0;
        for (i, at) in entries(address, count).enumerate() {
            let Some(sent) = self.entry(a, at).filter(|entry| is_good(entry.flags)) else { continue };
            let own = before.get(i).copied().flatten().filter(|own| {
                let what = |e: &AsyncEntry| (e.destination, e.message.header(), e.message.body);
                is_good(own.flags) && look(own) == Look::Open && what(own) == what(&sent)
            });
            if sent.flags & DONE != 0 {
                let Some(own) = own else { continue };
                if self.finish(b, places[i], &own, Errno::from_result(sent.result).map(drop)) {
                    self.mailbox_mut(a).notified_by.insert(ASYNCM);
                    self.slots[a].hears = true;
                }
            } else if own.is_none() {
                let is_free = |at: &usize| !filled.contains(at) && before[*at].is_some_and(|entry| entry.flags == 0);
                match (0..places.len()).find(is_free) {
                    None => lost += 1,
                    Some(free) => {
                        filled.push(free);
                        self.store(b, places[free], sent.as_bytes());
                    }
                }
            }
        }
        if lost != 0 {
            let name = self.program(a).name();
            let line = format!("{lost} messages of {name} are lost: the instance before it has no room for them");
            self.machine.lines.push(line);
        }
    }

    fn offer_table(&mut self, me: usize, address: u64, count: u64) {
        let (mut open, mut notify) = (false, false);
        for at in entries(address, count) {
            let Some(entry) = self.entry(me, at).filter(|entry| look(entry) == Look::Open) else { continue };
            match self.entry_receiver(me, &entry) {
                Err(errno) => notify |= self.finish(me, at, &entry, Err(errno)),
                Ok(to) => {
                    let source = self.slots[me].endpoint;
                    let answers = entry.flags & NO_REPLY == 0 || !self.program(to).is(Rts::REPLY);
                    if answers && self.takes(to, source, entry.message.kind.0) {
                        self.give_entry(to, source, &entry);
                        notify |= self.finish(me, at, &entry, Ok(()));
                    } else {
                        let id = self.slots[me].id;
                        self.mailbox_mut(to).async_from.insert(id);
                        self.slots[to].hears = true;
                        open = true;
                    }
                }
            }
        }
        let owner = self.slots[me].endpoint;
        self.authority_mut(me).table = open.then_some((owner, address, count));
        if notify {
            self.post(ASYNCM, me);
        }
    }

    fn entry_receiver(&self, me: usize, entry: &AsyncEntry) -> Result<usize, Errno> {
        let to = entry.destination;
        if to == Endpoint::SELF || to == self.slots[me].endpoint {
            return Ok(me);
        }
        if is_task(to) {
            return Err(Errno::CallDenied);
        }
        let to = self.live(to).ok_or(Errno::DeadSrcDst)?;
        if self.may_send(me, to) { Ok(to) } else { Err(Errno::CallDenied) }
    }

    fn give_entry(&mut self, to: usize, source: Endpoint, entry: &AsyncEntry) {
        let header = entry.message.header();
        self.give(to, source, &Sent { header, body: entry.message.body, status: sent_with(Trap::SendA) });
    }

    /// Writes the result; whether the sender wants to be notified.
    fn finish(&mut self, sender: usize, at: u64, entry: &AsyncEntry, result: Result<(), Errno>) -> bool {
        let wanted = NOTIFY | if result.is_err() { NOTIFY_ERROR } else { 0 };
        let flags = entry.flags | DONE;
        let done = AsyncEntry { flags, result: result.err().map_or(0, Errno::to_result), ..*entry };
        self.store(sender, at, &done.as_bytes()[..HEAD]);
        entry.flags & wanted != 0
    }

    fn entry(&self, sender: usize, at: u64) -> Option<AsyncEntry> {
        let bytes = self.load(sender, at, ENTRY)?;
        AsyncEntry::read_from_bytes(&bytes).ok()
    }

    /// The table of a service, if it is its own; after a swap of slots it is not until it is registered again.
    fn table(&self, sender: usize) -> Vec<u64> {
        match self.authority(sender).table {
            Some((owner, address, count)) if owner == self.slots[sender].endpoint => entries(address, count).collect(),
            _ => Vec::new(),
        }
    }

    /// Takes a message from the sender with the lowest privilege id that has one.
    pub(super) fn receive_async(&mut self, me: usize, from: Endpoint) -> bool {
        for id in self.mailbox(me).async_from.clone() {
            let Some(source) = self.owner_of(id).filter(|source| from == Endpoint::ANY || from == *source) else {
                continue;
            };
            if self.live(source).is_some_and(|sender| self.receive_entry(me, sender)) {
                return true;
            }
        }
        false
    }

    fn receive_entry(&mut self, me: usize, sender: usize) -> bool {
        let source = self.slots[sender].endpoint;
        if self.authority(sender).table.is_some_and(|(owner, ..)| owner != source) {
            return false;
        }
        let (mut taken, mut open, mut notify) = (false, false, false);
        for at in self.table(sender) {
            let Some(entry) = self.entry(sender, at) else { continue };
            match look(&entry) {
                Look::Empty | Look::Done => {}
                Look::Bad => notify |= self.finish(sender, at, &entry, Err(Errno::Inval)),
                Look::Open => match self.entry_receiver(sender, &entry) {
                    Ok(to) if to == me && !taken && self.lets_in(me, source, entry.message.kind.0) => {
                        notify |= self.finish(sender, at, &entry, Ok(()));
                        self.give_entry(me, source, &entry);
                        taken = true;
                    }
                    // Of those who share their privileges, another one may have to find it.
                    Ok(to) => open |= self.slots[to].id == self.slots[me].id,
                    Err(_) => {}
                },
            }
        }
        if !open {
            let id = self.slots[sender].id;
            self.mailbox_mut(me).async_from.remove(&id);
        }
        if notify {
            self.post(ASYNCM, sender);
        }
        taken
    }

    /// Finishes the entries for somebody who is not there for them any more.
    pub(super) fn fail_entries_for(&mut self, slot: usize) {
        let endpoint = self.slots[slot].endpoint;
        for id in self.mailbox(slot).async_from.clone() {
            let Some(sender) = self.owner_of(id).and_then(|source| self.live(source)) else { continue };
            let mut notify = false;
            for at in self.table(sender) {
                let open = self.entry(sender, at).filter(|entry| entry.flags & (VALID | DONE) == VALID);
                if let Some(entry) = open.filter(|entry| entry.destination == endpoint) {
                    notify |= self.finish(sender, at, &entry, Err(Errno::DeadSrcDst));
                }
            }
            if notify {
                self.post(ASYNCM, sender);
            }
        }
    }
}

/// Where the entries lie that lie below the end of all addresses.
fn entries(address: u64, count: u64) -> impl Iterator<Item = u64> {
    (0..count).map_while(move |i| address.checked_add(i * ENTRY))
}
