//! What a service changes about itself.

use super::{Context, Stop, answer};
use crate::filters::{Element, FilterKind, Source, SourceClass};
use crate::privileges::UserTable;
use crate::process::Pending;
use crate::{Kernel, Machine, Rts, Slot};
use abi::filter::{FilterElement, MAX_FILTER_ELEMENTS};
use abi::{Endpoint, Errno, Kind};
use arrayvec::ArrayVec;
use protocol::statectl::*;
use protocol::{Answer, Caller};
use zerocopy::{FromZeros, IntoBytes};

impl<M: Machine> Server for Context<'_, '_, M> {
    fn clear_ipc_refs(&mut self, _: Caller, _: ClearRefs) -> Answer<RefsCleared> {
        self.kernel.clear_ipc_refs(self.machine, self.me);
        Answer::Reply(RefsCleared {})
    }

    fn set_state_table(&mut self, _: Caller, call: SetStateTable) -> Answer<StateTableSet> {
        if !self.kernel.is_service(self.me) {
            return Answer::Fail(Errno::Perm);
        }
        let owner = self.my_endpoint();
        self.kernel.privileges_mut(self.me).state_table = UserTable { address: call.address, count: call.count, owner };
        Answer::Reply(StateTableSet {})
    }

    fn add_blacklist(&mut self, _: Caller, call: AddBlacklist) -> Answer<BlacklistAdded> {
        let added = self.add_filter(FilterKind::Blacklist, call.address, call.count);
        answer(added.map(|()| BlacklistAdded {}))
    }

    fn add_whitelist(&mut self, _: Caller, call: AddWhitelist) -> Answer<WhitelistAdded> {
        let added = self.add_filter(FilterKind::Whitelist, call.address, call.count);
        answer(added.map(|()| WhitelistAdded {}))
    }

    fn clear_filters(&mut self, _: Caller, _: ClearFilters) -> Answer<FiltersCleared> {
        self.kernel.clear_filters(self.me);
        Answer::Reply(FiltersCleared {})
    }
}

impl<M: Machine> Context<'_, '_, M> {
    /// Adds a filter whose elements stand in the caller's memory.
    fn add_filter(&mut self, kind: FilterKind, address: u64, count: u64) -> Result<(), Stop> {
        if !self.kernel.is_service(self.me) {
            return Err(Errno::Perm.into());
        }
        let mut raw = [FilterElement::new_zeroed(); MAX_FILTER_ELEMENTS];
        let count = usize::try_from(count).ok().filter(|count| (1..=raw.len()).contains(count));
        let raw = &mut raw[..count.ok_or(Errno::TooBig)?];
        self.read(self.me, address, raw.as_mut_bytes())?;
        let mut elements = ArrayVec::<Element, MAX_FILTER_ELEMENTS>::new();
        for raw in &*raw {
            elements.push(Element::decode(raw, |name| self.kernel.lookup(name).is_some())?);
        }
        Ok(self.kernel.add_filter(self.me, kind, &elements)?)
    }
}

impl<M: Machine> Kernel<'_, M> {
    fn add_filter(&mut self, slot: Slot, kind: FilterKind, elements: &[Element]) -> Result<(), Errno> {
        let id = self.process(slot).privilege_id.index();
        self.filters.add(&mut self.privileges[id].filters, kind, elements)?;
        self.derive(slot);
        Ok(())
    }

    /// Takes all filters of a process away.
    pub(crate) fn clear_filters(&mut self, slot: Slot) {
        let id = self.process(slot).privilege_id.index();
        self.filters.clear(&mut self.privileges[id].filters);
        self.derive(slot);
    }

    /// Whether the filters of a process let a message in.
    pub(crate) fn lets_in(&self, slot: Slot, source: Endpoint, kind: Kind) -> bool {
        let chain = &self.privileges(slot).filters;
        if chain.is_empty() {
            return true;
        }
        let class = match self.lookup(source) {
            None => SourceClass::Task,
            Some(slot) if self.is_service(slot) => SourceClass::System,
            Some(_) => SourceClass::User,
        };
        self.filters.allows(chain, Source { endpoint: source, class }, Some(kind))
    }

    /// Whether messages of a process take more than a move of registers.
    pub(crate) fn is_special(&self, slot: Slot) -> bool {
        let traced = self.process(slot).pending.contains(Pending::TRACES_TRAPS);
        traced || !self.privileges(slot).filters.is_empty()
    }

    /// What must be set besides RECEIVING while that is so, or a failed answer is to be told.
    pub(crate) fn special(&self, slot: Slot) -> Rts {
        let special = self.is_special(slot) || self.process(slot).failed_reply.is_some();
        if special { Rts::SPECIAL } else { Rts::empty() }
    }
}
