//! Asynchronous messages: tables in the memory of their senders, see [`abi::asynchronous`].

use crate::ipc::is_kernel_task;
use crate::privileges::UserTable;
use crate::process::Pending;
use crate::{Frame, Kernel, Machine, Rts, Slot};
use abi::asynchronous::{AsyncEntry, AsyncFlags, MAX_ENTRIES};
use abi::{Endpoint, Errno, PrivilegeId, Status, Trap};
use zerocopy::IntoBytes;

/// What became of an entry.
enum Fate {
    /// It is finished, with this result.
    Done(Result<(), Errno>),
    /// Its receiver has not taken it yet.
    Open,
}

impl<M: Machine> Kernel<'_, M> {
    /// Registers a table, instead of the one before, and delivers what can be delivered at once.
    pub(crate) fn senda(&mut self, machine: &mut M, me: Slot) -> Result<(), Errno> {
        if !self.is_service(me) {
            return Err(Errno::Perm);
        }
        let (address, count) = self.process(me).frame.table();
        if count > MAX_ENTRIES as u64 {
            return Err(Errno::Dom);
        }
        let owner = self.process(me).endpoint;
        self.process_mut(me).frame.set_result(0);
        self.send_table(machine, me, UserTable { address, count, owner });
        Ok(())
    }

    /// Offers what a table holds once more, which has come back to its name: receivers may have looked for it meanwhile in vain.
    pub(crate) fn resend_table(&mut self, machine: &mut M, slot: Slot) {
        let table = self.privileges(slot).async_table;
        if table.owner == self.process(slot).endpoint {
            self.send_table(machine, slot, table);
        }
    }

    /// Delivers what can be delivered at once, and keeps the table if something is left.
    fn send_table(&mut self, machine: &mut M, me: Slot, table: UserTable) {
        let UserTable { address, count, .. } = table;
        self.privileges_mut(me).async_table = UserTable::NONE;
        let mut open = false;
        let mut notify = false;
        for index in 0..count {
            let Some(entry) = self.read_entry(machine, me, address, index) else {
                continue;
            };
            let Some(flags) = AsyncFlags::from_bits(entry.flags).filter(|flags| is_open(*flags)) else {
                continue;
            };
            match self.try_entry(me, &entry, flags) {
                Fate::Open => open = true,
                Fate::Done(result) => {
                    notify |= self.finish_entry(machine, me, address, index, &entry, result).unwrap_or(false)
                }
            }
        }
        if open {
            self.privileges_mut(me).async_table = table;
        }
        if notify {
            self.post(machine, PrivilegeId::ASYNCM, me);
        }
    }

    /// Delivers the message of an entry, if its receiver waits for it; else the receiver will look at the table when it receives.
    fn try_entry(&mut self, me: Slot, entry: &AsyncEntry, flags: AsyncFlags) -> Fate {
        let to = match self.check_entry(me, entry) {
            Ok(to) => to,
            Err(errno) => return Fate::Done(Err(errno)),
        };
        let source = self.process(me).endpoint;
        let answers = !flags.contains(AsyncFlags::NO_REPLY) || !self.process(to).rts.contains(Rts::REPLY);
        if answers && self.is_waiting_for(to, source, entry.message.kind) {
            self.deliver_entry(me, to, entry);
            return Fate::Done(Ok(()));
        }
        let bit = self.process(me).privilege_bit();
        self.privileges_mut(to).async_from |= bit;
        self.process_mut(to).pending |= Pending::MESSAGES;
        Fate::Open
    }

    fn check_entry(&self, me: Slot, entry: &AsyncEntry) -> Result<Slot, Errno> {
        if entry.destination == Endpoint::SELF {
            return Ok(me);
        }
        if is_kernel_task(entry.destination) {
            return Err(Errno::CallDenied);
        }
        let to = self.lookup(entry.destination).ok_or(Errno::DeadSrcDst)?;
        if to == me || self.may_send(me, to) { Ok(to) } else { Err(Errno::CallDenied) }
    }

    fn deliver_entry(&mut self, sender: Slot, to: Slot, entry: &AsyncEntry) {
        let mut message = entry.message;
        message.peer = self.process(sender).endpoint;
        self.deliver(to, &message, Status::sent_with(Trap::SendA));
    }

    /// Writes the result of an entry; whether the sender wants to be notified. `None` if the entry cannot be written: then it
    /// stays as it is, and must not be delivered from there, or it would come again for ever.
    pub(crate) fn finish_entry(
        &mut self,
        machine: &mut M,
        sender: Slot,
        address: u64,
        index: u64,
        entry: &AsyncEntry,
        result: Result<(), Errno>,
    ) -> Option<bool> {
        let done = AsyncEntry {
            flags: entry.flags | AsyncFlags::DONE.bits(),
            result: result.err().map_or(0, Errno::to_result),
            ..*entry
        };
        let at = entry_address(address, index)?;
        // The message stays as it is: only what comes before it is written.
        const HEAD: usize = core::mem::offset_of!(AsyncEntry, message);
        self.write_memory(machine, sender, at, &done.as_bytes()[..HEAD]).ok()?;
        let wanted = AsyncFlags::NOTIFY.bits() | if result.is_err() { AsyncFlags::NOTIFY_ERROR.bits() } else { 0 };
        Some(entry.flags & wanted != 0)
    }

    pub(crate) fn read_entry(&self, machine: &M, sender: Slot, address: u64, index: u64) -> Option<AsyncEntry> {
        let mut entry = AsyncEntry::EMPTY;
        let at = entry_address(address, index)?;
        self.read_memory(machine, sender, at, entry.as_mut_bytes()).ok().map(|()| entry)
    }

    /// Delivers the first entry for `me` of the sender with the lowest privilege id that has one and is accepted; whether
    /// there was one.
    pub(crate) fn receive_async(&mut self, machine: &mut M, me: Slot, from: Endpoint) -> bool {
        let mut pending = self.privileges(me).async_from;
        while pending != 0 {
            let sender = PrivilegeId::new(pending.trailing_zeros())
                .and_then(|id| self.owner_of(id))
                .filter(|source| from == Endpoint::ANY || from == *source)
                .and_then(|source| self.lookup(source));
            if sender.is_some_and(|sender| self.take_entry(machine, me, sender)) {
                return true;
            }
            pending &= pending - 1;
        }
        false
    }

    /// Whether the table of `sender` has an entry for `me` that is accepted.
    pub(crate) fn has_entry(&self, machine: &M, me: Slot, sender: Slot) -> bool {
        let (table, source) = (self.privileges(sender).async_table, self.process(sender).endpoint);
        let announced = self.privileges(me).async_from & self.process(sender).privilege_bit() != 0;
        let is_for_me = |entry: AsyncEntry| {
            AsyncFlags::from_bits(entry.flags).is_some_and(is_open)
                && self.check_entry(sender, &entry) == Ok(me)
                && self.lets_in(me, source, entry.message.kind)
        };
        let entries = (0..table.count).filter_map(|index| self.read_entry(machine, sender, table.address, index));
        announced && table.owner == source && entries.into_iter().any(is_for_me)
    }

    /// Takes the first entry for `me` from the table of `sender` that is accepted, if there is one. Everything is checked anew: the
    /// table may be another one by now.
    fn take_entry(&mut self, machine: &mut M, me: Slot, sender: Slot) -> bool {
        let UserTable { address, count, owner } = self.privileges(sender).async_table;
        let source = self.process(sender).endpoint;
        if count != 0 && owner != source {
            return false; // In transition: the new instance has not registered it yet.
        }
        let mut taken = false;
        let mut open = false;
        let mut notify = false;
        for index in 0..count {
            let Some(entry) = self.read_entry(machine, sender, address, index) else {
                continue;
            };
            let Some(flags) = AsyncFlags::from_bits(entry.flags).filter(|flags| flags.contains(AsyncFlags::VALID))
            else {
                // Once: then it is done.
                if entry.flags != 0 && entry.flags & AsyncFlags::DONE.bits() == 0 {
                    notify |=
                        self.finish_entry(machine, sender, address, index, &entry, Err(Errno::Inval)).unwrap_or(false);
                }
                continue;
            };
            if flags.contains(AsyncFlags::DONE) {
                continue;
            }
            match self.check_entry(sender, &entry) {
                Ok(to) if to == me => {}
                // It shares its privileges with `me`, and so the bit that says that there is something.
                Ok(to) if self.process(to).privilege_id == self.process(me).privilege_id => {
                    open = true;
                    continue;
                }
                _ => continue,
            }
            if taken || !self.lets_in(me, source, entry.message.kind) {
                open = true;
                continue;
            }
            let Some(wanted) = self.finish_entry(machine, sender, address, index, &entry, Ok(())) else {
                continue;
            };
            notify |= wanted;
            self.deliver_entry(sender, me, &entry);
            taken = true;
        }
        if !open {
            let bit = self.process(sender).privilege_bit();
            self.privileges_mut(me).async_from &= !bit;
        }
        if notify {
            self.post(machine, PrivilegeId::ASYNCM, sender);
        }
        taken
    }

    /// Finishes the entries that others have for an endpoint which is not there for them any more.
    pub(crate) fn fail_entries_for(&mut self, machine: &mut M, endpoint: Endpoint) {
        let slot = Slot::of(endpoint);
        let pending = self.privileges(slot).async_from;
        for id in PrivilegeId::of_services().filter(|id| pending & id.bit() != 0) {
            let Some(sender) = self.owner_of(id).and_then(|source| self.lookup(source)) else {
                continue;
            };
            let UserTable { address, count, owner } = self.privileges(sender).async_table;
            if owner != self.process(sender).endpoint {
                continue;
            }
            let mut notify = false;
            for index in 0..count {
                let Some(entry) = self.read_entry(machine, sender, address, index) else {
                    continue;
                };
                let open = entry.flags & (AsyncFlags::VALID | AsyncFlags::DONE).bits() == AsyncFlags::VALID.bits();
                if open && entry.destination == endpoint {
                    notify |= self
                        .finish_entry(machine, sender, address, index, &entry, Err(Errno::DeadSrcDst))
                        .unwrap_or(false);
                }
            }
            if notify {
                self.post(machine, PrivilegeId::ASYNCM, sender);
            }
        }
    }
}

fn is_open(flags: AsyncFlags) -> bool {
    flags.contains(AsyncFlags::VALID) && !flags.contains(AsyncFlags::DONE)
}

/// Where an entry lies; `None` beyond the end of the address space.
pub(crate) fn entry_address(table: u64, index: u64) -> Option<u64> {
    table.checked_add(index.checked_mul(size_of::<AsyncEntry>() as u64)?)
}
