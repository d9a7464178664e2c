//! Memory of one program that another one sees: safemap.

use super::{Context, Stop};
use crate::grants::Use;
use crate::spaces::lending::{Link, Links, Loan, Refusal, Side};
use crate::tables::Access;
use crate::{Machine, MemoryAccess};
use abi::Errno;
use abi::grant::{GrantFlags, GrantId};
use abi::layout::{PAGE_SIZE, user_range};
use protocol::kernel::*;

impl<M: Machine> Context<'_, '_, M> {
    pub(super) fn map_granted(&mut self, call: &SafeMap) -> Result<SafeMapped, Stop> {
        let SafeMap { granter, grant, offset, address, len, write } = *call;
        let (access, rights) = match write {
            0 => (Access::Read, GrantFlags::MAP | GrantFlags::READ),
            _ => (Access::Write, GrantFlags::MAP | GrantFlags::READ | GrantFlags::WRITE),
        };
        let mut links = Links::new();
        let wanted = Use { granter, grant, offset, len, access: rights };
        let granted = self.kernel.verify_chain(self.machine, self.my_endpoint(), &wanted, |granter, grant| {
            // A chain that is verified is not longer.
            let _ = links.try_push(Link { granter, grant });
        })?;
        let aligned = [granted.address, address, len].iter().all(|number| number.is_multiple_of(PAGE_SIZE));
        if !aligned || len == 0 {
            return Err(Errno::Inval.into());
        }
        let home = |slot| self.kernel.process(slot).space.ok_or(Errno::Fault);
        let owner = Side { home: home(granted.owner)?, address: granted.address };
        let borrower = Side { home: home(self.me)?, address };
        user_range(address, len).ok_or(Errno::Fault)?;
        let count = (len / PAGE_SIZE).min(MAX_LENT.into()) as u32;
        match self.kernel.spaces.lend(self.machine, &Loan { owner, borrower, count }, access, links) {
            Ok(()) => Ok(SafeMapped { done: u64::from(count) * PAGE_SIZE }),
            Err(Refusal::Again) => Ok(SafeMapped { done: 0 }),
            Err(Refusal::Failed(errno)) => Err(errno.into()),
            Err(Refusal::OwnerLacks(access)) => {
                let access = if access == Access::Write { MemoryAccess::Write } else { MemoryAccess::Read };
                Err(self.need_unless_tried(granted.mark(), granted.owner, granted.address, len, access))
            }
            Err(Refusal::BorrowerLacks) => {
                Err(self.need_unless_tried(granted.mark(), self.me, address, len, MemoryAccess::Write))
            }
        }
    }

    /// One step; whether more are needed.
    pub(super) fn take_back(&mut self, grant: GrantId) -> bool {
        let granter = self.my_endpoint();
        self.kernel.spaces.take_back(self.machine, Link { granter, grant })
    }

    /// The same for what stands at an address.
    pub(super) fn take_back_at(&mut self, address: u64) -> bool {
        let home = self.kernel.process(self.me).space;
        home.is_some_and(|home| self.kernel.spaces.take_back_at(self.machine, home.id(), address))
    }

    /// The same for what the caller has mapped itself.
    pub(super) fn give_up(&mut self, address: u64) -> Result<bool, Errno> {
        let home = self.kernel.process(self.me).space.ok_or(Errno::Inval)?;
        self.kernel.spaces.give_up(self.machine, home.id(), address)
    }
}
