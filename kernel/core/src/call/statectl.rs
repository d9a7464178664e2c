//! What a service changes about itself.

use super::Context;
use crate::Machine;
use crate::privileges::UserTable;
use abi::{Errno, Message};
use protocol::Answer;
use protocol::statectl::*;

impl<M: Machine> Server for Context<'_, '_, M> {
    fn clear_ipc_refs(&mut self, _: &Message, _: ClearRefs) -> Answer<RefsCleared> {
        self.kernel.clear_ipc_refs(self.machine, self.me);
        Answer::Reply(RefsCleared {})
    }

    fn set_state_table(&mut self, _: &Message, call: SetStateTable) -> Answer<StateTableSet> {
        if !self.kernel.is_service(self.me) {
            return Answer::Fail(Errno::Perm);
        }
        let owner = self.my_endpoint();
        self.kernel.privileges_mut(self.me).state_table =
            UserTable { address: call.address, count: call.count, owner };
        Answer::Reply(StateTableSet {})
    }

    fn add_blacklist(&mut self, _: &Message, _: AddBlacklist) -> Answer<BlacklistAdded> {
        Answer::Fail(Errno::NoSys)
    }

    fn add_whitelist(&mut self, _: &Message, _: AddWhitelist) -> Answer<WhitelistAdded> {
        Answer::Fail(Errno::NoSys)
    }

    fn clear_filters(&mut self, _: &Message, _: ClearFilters) -> Answer<FiltersCleared> {
        Answer::Reply(FiltersCleared {})
    }
}
