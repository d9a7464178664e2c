//! What the kernel tells about the system.

use super::Context;
use crate::{CpuId, Machine, Rts, SLOTS, Slot};
use abi::{Endpoint, Errno, PrivilegeFlags, PrivilegeId};
use protocol::getinfo::*;
use protocol::{Answer, Caller};

impl<M: Machine> Server for Context<'_, '_, M> {
    fn boot_policy(&mut self, _: Caller, call: GetBootPolicy) -> Answer<BootPolicy> {
        let policy = self.kernel.boot_entry(call.index).map(|(entry, endpoint)| BootPolicy {
            sends: entry.sends,
            calls: entry.calls,
            traps: entry.traps,
            priority: entry.priority.into(),
            flags: entry.flags,
            cpu: entry.cpu.into(),
            endpoint,
            memory: entry.memory,
        });
        policy.into()
    }

    fn process(&mut self, _: Caller, call: GetProcess) -> Answer<ProcessInfo> {
        let Some(slot) = usize::try_from(call.slot).ok().filter(|slot| *slot < SLOTS).map(Slot::at) else {
            return Answer::Fail(Errno::Dom);
        };
        let p = self.kernel.process(slot);
        if p.rts.contains(Rts::FREE) {
            return Answer::Fail(Errno::Srch);
        }
        let waits_for = if p.rts.contains(Rts::SENDING) {
            p.send_to
        } else if p.rts.contains(Rts::RECEIVING) {
            p.receive_from
        } else {
            Endpoint::NONE
        };
        Answer::Reply(ProcessInfo {
            name: p.name,
            flags: p.rts.bits(),
            endpoint: p.endpoint,
            waits_for,
            scheduler: p.scheduler,
            privilege_id: p.privilege_id.index() as u32,
            cpu: p.cpu.index() as u16,
            priority: p.priority.into(),
            cycles: p.used.cycles,
        })
    }

    fn cpu_time(&mut self, _: Caller, call: GetCpuTime) -> Answer<CpuTime> {
        let time = |slot| {
            let used = self.kernel.process(slot).used;
            CpuTime { user: used.user_ticks, system: used.system_ticks, cycles: used.cycles }
        };
        self.named_or_self(call.process).map(time).into()
    }

    fn privileges(&mut self, _: Caller, call: GetPrivileges) -> Answer<PrivilegesInfo> {
        let Some(id) = u32::try_from(call.id).ok().and_then(PrivilegeId::new) else {
            return Answer::Fail(Errno::Dom);
        };
        let p = self.kernel.privileges_of(id);
        if p.owner == Endpoint::NONE && id != PrivilegeId::USER {
            return Answer::Fail(Errno::Srch);
        }
        Answer::Reply(PrivilegesInfo {
            sends: p.sends,
            calls: p.calls,
            traps: p.traps.bits(),
            flags: p.flags.bits(),
            owner: p.owner,
            manager: p.manager,
            backup: p.backup,
            init_flags: p.init_flags,
        })
    }

    fn denial(&mut self, _: Caller, _: TakeDenial) -> Answer<Denial> {
        if !self.kernel.privileges(self.me).flags.contains(PrivilegeFlags::ROOT) {
            return Answer::Fail(Errno::Perm);
        }
        self.kernel.take_denial().ok_or(Errno::Srch).into()
    }

    fn machine(&mut self, _: Caller, _: GetMachine) -> Answer<MachineInfo> {
        Answer::Reply(MachineInfo {
            cpus: self.kernel.online as u64,
            hz: self.machine.hz(),
            uptime: self.machine.ticks(),
            boot_time: self.kernel.boot_time,
        })
    }

    fn idle_time(&mut self, _: Caller, call: GetIdleTime) -> Answer<IdleTime> {
        let id = usize::try_from(call.cpu).ok().and_then(CpuId::new).filter(|id| self.kernel.is_online(*id));
        let time = |id| {
            let cpu = self.kernel.cpu(id);
            IdleTime { idle: cpu.idle, total: cpu.switched_at }
        };
        id.map(time).ok_or(Errno::Dom).into()
    }
}
