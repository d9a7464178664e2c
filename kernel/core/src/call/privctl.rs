//! Giving and taking privileges.

use super::Context;
use crate::{Machine, Slot};
use abi::{Endpoint, Errno, PrivilegeId};
use protocol::privctl::*;
use protocol::{Answer, Caller};

impl<M: Machine> Context<'_, '_, M> {
    /// The process that a call is about, if the caller may make such calls.
    fn subject(&self, process: Endpoint) -> Result<Slot, Errno> {
        if self.kernel.is_service(self.me) { self.named_or_self(process) } else { Err(Errno::Perm) }
    }

    /// The same, if that is a service.
    fn service(&self, process: Endpoint) -> Result<Slot, Errno> {
        self.subject(process).and_then(|slot| if self.kernel.is_service(slot) { Ok(slot) } else { Err(Errno::Perm) })
    }
}

impl<M: Machine> Server for Context<'_, '_, M> {
    fn allow(&mut self, _: Caller, call: Allow) -> Answer<Allowed> {
        self.subject(call.process).and_then(|slot| self.kernel.allow(slot)).map(|()| Allowed {}).into()
    }

    fn disallow(&mut self, _: Caller, call: Disallow) -> Answer<Disallowed> {
        let done = self.subject(call.process).and_then(|slot| self.kernel.disallow(self.machine, slot));
        done.map(|()| Disallowed {}).into()
    }

    fn set_sys(&mut self, _: Caller, call: SetSys) -> Answer<SysSet> {
        let id = match call.id {
            DYNAMIC_ID => Ok(None),
            id => PrivilegeId::new(id).map(Some).ok_or(Errno::Inval),
        };
        let slot = self.subject(call.process);
        slot.and_then(|slot| self.kernel.set_service(self.machine, slot, id?, &call.spec))
            .map(|id| SysSet { id: id.index() as u32 })
            .into()
    }

    fn set_user(&mut self, _: Caller, call: SetUser) -> Answer<UserSet> {
        self.subject(call.process).and_then(|slot| self.kernel.set_user(self.machine, slot)).map(|()| UserSet {}).into()
    }

    fn add_io(&mut self, _: Caller, call: AddIo) -> Answer<IoAdded> {
        let slot = self.service(call.process);
        slot.and_then(|slot| self.kernel.privileges_mut(slot).resources.add_ports(call.first, call.last))
            .map(|()| IoAdded {})
            .into()
    }

    fn add_memory(&mut self, _: Caller, call: AddMemory) -> Answer<MemoryAdded> {
        let slot = self.service(call.process);
        slot.and_then(|slot| self.kernel.privileges_mut(slot).resources.add_memory(call.start, call.len))
            .map(|()| MemoryAdded {})
            .into()
    }

    fn add_irq(&mut self, _: Caller, call: AddIrq) -> Answer<IrqAdded> {
        let line = u8::try_from(call.line).map_err(|_| Errno::Inval);
        let slot = self.service(call.process);
        slot.and_then(|slot| self.kernel.privileges_mut(slot).resources.add_line(line?)).map(|()| IrqAdded {}).into()
    }

    fn query_memory(&mut self, _: Caller, call: QueryMemory) -> Answer<MemoryQueried> {
        let query = |slot| {
            let allows = self.kernel.privileges(slot).resources.allows_memory(call.start, call.len);
            if allows { Ok(MemoryQueried {}) } else { Err(Errno::Perm) }
        };
        self.subject(call.process).and_then(query).into()
    }

    fn update_sys(&mut self, _: Caller, call: UpdateSys) -> Answer<SysUpdated> {
        let done = if call.process == Endpoint::NONE {
            self.kernel.update_users(self.machine, self.me, &call.spec)
        } else {
            self.service(call.process).and_then(|slot| {
                self.kernel.update_service(self.machine, slot, &call.spec)?;
                if call.reset_ranges != 0 {
                    self.kernel.privileges_mut(slot).resources = crate::ranges::Resources::NONE;
                }
                Ok(())
            })
        };
        done.map(|()| SysUpdated {}).into()
    }

    fn yield_to(&mut self, _: Caller, call: YieldTo) -> Answer<Yielded> {
        let me = self.me;
        let done = self.subject(call.process).and_then(|slot| self.kernel.yield_to(self.machine, me, slot));
        done.map(|()| Yielded {}).into()
    }

    fn clear_ipc_refs(&mut self, _: Caller, call: ClearRefs) -> Answer<RefsCleared> {
        let slot = self.subject(call.process);
        slot.map(|slot| self.kernel.clear_ipc_refs(self.machine, slot)).map(|()| RefsCleared {}).into()
    }
}
