//! Asynchronous messages at the rollback of a live update.
//!
//! While the new instance had the name, it may have sent messages that are not delivered yet, some of them taken over from the old
//! instance, each at its place in a table of the same layout. So that none is lost or doubled when the old one gets the name back, its
//! table learns what became of those, and takes the others where it has empty entries.

use crate::privileges::UserTable;
use crate::process::Pending;
use crate::{Kernel, Machine, Slot};
use abi::asynchronous::{AsyncEntry, AsyncFlags, MAX_ENTRIES};
use abi::{Errno, PrivilegeId};
use zerocopy::IntoBytes;

/// Entries of a table, a bit each.
type Entries = u64;
const _: () = assert!(MAX_ENTRIES <= Entries::BITS as usize);

impl<M: Machine> Kernel<'_, M> {
    /// Hands what `failed` has sent under its name to `old`, which gets that name in a moment.
    pub(crate) fn hand_back_messages(&mut self, machine: &mut M, failed: Slot, old: Slot) {
        let name = self.process(failed).endpoint;
        let UserTable { address, count, owner } = self.privileges(failed).async_table;
        if owner != name {
            return;
        }
        self.privileges_mut(failed).async_table = UserTable::NONE;
        let table =
            Some(self.privileges(old).async_table).filter(|table| table.owner == name).unwrap_or(UserTable::NONE);
        let mut filled: Entries = 0;
        let mut next = 0;
        let mut lost = 0;
        for index in 0..count {
            let Some(entry) = self.read_entry(machine, failed, address, index).filter(is_message) else {
                continue;
            };
            let own = (index < table.count && filled >> index & 1 == 0)
                .then(|| self.read_entry(machine, old, table.address, index))
                .flatten()
                .filter(|own| is_same(own, &entry));
            match (is_done(&entry), own) {
                (true, Some(own)) => self.hand_back_result(machine, failed, old, table, (index, own, entry.result)),
                (true, None) | (false, Some(_)) => {}
                (false, None) => match self.fill_entry(machine, old, table, &mut next, &entry) {
                    Some(at) => filled |= 1 << at,
                    None => lost += 1,
                },
            }
        }
        if lost != 0 {
            let name = self.process(failed).name();
            machine
                .log(format_args!("{lost} messages of {name} are lost: the instance before it has no room for them"));
        }
    }

    /// The message of an entry has been delivered, or cannot be, by the other instance.
    fn hand_back_result(
        &mut self,
        machine: &mut M,
        failed: Slot,
        old: Slot,
        table: UserTable,
        (index, own, result): (u64, AsyncEntry, i64),
    ) {
        let result = Errno::from_result(result).map(drop);
        if self.finish_entry(machine, old, table.address, index, &own, result) == Some(true) {
            // It is told when it has the name, with which the mark stays.
            self.privileges_mut(failed).notified_by |= PrivilegeId::ASYNCM.bit();
            self.process_mut(failed).pending |= Pending::MESSAGES;
        }
    }

    /// Puts a message into the next empty entry of a table; which one that is.
    fn fill_entry(
        &mut self,
        machine: &mut M,
        old: Slot,
        table: UserTable,
        next: &mut u64,
        entry: &AsyncEntry,
    ) -> Option<u64> {
        let is_empty = |entry: AsyncEntry| entry.flags == 0;
        let at =
            (*next..table.count).find(|at| self.read_entry(machine, old, table.address, *at).is_some_and(is_empty))?;
        *next = at + 1;
        let address = crate::asynchronous::entry_address(table.address, at)?;
        self.write_memory(machine, old, address, entry.as_bytes()).ok().map(|()| at)
    }
}

fn is_message(entry: &AsyncEntry) -> bool {
    AsyncFlags::from_bits(entry.flags).is_some_and(|flags| flags.contains(AsyncFlags::VALID))
}

fn is_done(entry: &AsyncEntry) -> bool {
    entry.flags & AsyncFlags::DONE.bits() != 0
}

/// Whether an entry has not been delivered and is what another one was made of.
fn is_same(own: &AsyncEntry, entry: &AsyncEntry) -> bool {
    let (a, b) = (&own.message, &entry.message);
    let same = (own.destination, a.header(), a.body) == (entry.destination, b.header(), b.body);
    is_message(own) && !is_done(own) && same
}
