//! Interrupts for drivers.

use super::Context;
use crate::Machine;
use crate::irq::Policy;
use abi::Errno;
use protocol::irqctl::*;
use protocol::{Answer, Caller};

impl<M: Machine> Server for Context<'_, '_, M> {
    fn set_policy(&mut self, _: Caller, call: SetPolicy) -> Answer<PolicySet> {
        let (owner, policy) = (self.my_endpoint(), if call.reenable == 0 { Policy::Hold } else { Policy::Reenable });
        let (Ok(line), Ok(bit)) = (u8::try_from(call.line), u8::try_from(call.bit)) else {
            return Answer::Fail(Errno::Inval);
        };
        if !self.kernel.privileges(self.me).resources.allows_line(line) {
            self.kernel.note_line(self.me, line);
            return Answer::Fail(Errno::Perm);
        }
        let hook = self.kernel.hooks.set_policy(self.machine, owner, line, policy, bit);
        hook.map(|hook| PolicySet { hook: hook as u32 }).into()
    }

    fn remove_policy(&mut self, _: Caller, call: RemovePolicy) -> Answer<PolicyRemoved> {
        let owner = self.my_endpoint();
        self.kernel.hooks.remove(self.machine, owner, call.hook.into()).map(|()| PolicyRemoved {}).into()
    }

    fn enable(&mut self, _: Caller, call: Enable) -> Answer<Enabled> {
        let owner = self.my_endpoint();
        self.kernel.hooks.enable(self.machine, owner, call.hook.into()).map(|()| Enabled {}).into()
    }

    fn disable(&mut self, _: Caller, call: Disable) -> Answer<Disabled> {
        let owner = self.my_endpoint();
        self.kernel.hooks.disable(self.machine, owner, call.hook.into()).map(|()| Disabled {}).into()
    }
}
