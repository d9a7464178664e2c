//! The one server of the ungrouped calls.

use super::{Context, answer};
use crate::{Action, Machine, Rts};
use abi::{Endpoint, Errno, Signal};
use protocol::kernel::*;
use protocol::{Answer, Caller};

impl<M: Machine> Server for Context<'_, '_, M> {
    fn fork(&mut self, _: Caller, call: Fork) -> Answer<Forked> {
        self.kernel.fork(call.parent, call.slot).map(|child| Forked { child }).into()
    }

    fn exec(&mut self, _: Caller, call: Exec) -> Answer<Executed> {
        self.kernel.exec(self.machine, &call).map(|()| Executed {}).into()
    }

    fn clear(&mut self, _: Caller, call: Clear) -> Answer<Cleared> {
        self.clear_process(call.process).map(|()| Cleared {}).into()
    }

    fn schedule(&mut self, _: Caller, call: Schedule) -> Answer<Scheduled> {
        Context::schedule(self, call).map(|()| Scheduled {}).into()
    }

    fn kill(&mut self, _: Caller, call: Kill) -> Answer<Killed> {
        Context::kill(self, &call).map(|()| Killed {}).into()
    }

    fn getksig(&mut self, _: Caller, _: GetKSig) -> Answer<KSig> {
        let (process, signals) = match self.kernel.take_signaled(self.me) {
            Some((slot, signals)) => (self.kernel.process(slot).endpoint, signals),
            None => (Endpoint::NONE, 0),
        };
        Answer::Reply(KSig { process, reserved: 0, signals })
    }

    fn endksig(&mut self, _: Caller, call: EndKSig) -> Answer<EndedKSig> {
        let me = self.me;
        let slot = self.kernel.named(call.process);
        slot.and_then(|slot| self.kernel.end_signals(me, slot)).map(|()| EndedKSig {}).into()
    }

    fn sigsend(&mut self, _: Caller, call: SigSend) -> Answer<SigSent> {
        answer(self.send_signal(&call))
    }

    fn sigreturn(&mut self, _: Caller, call: SigReturn) -> Answer<SigReturned> {
        answer(self.return_from_signal(&call))
    }

    fn memset(&mut self, _: Caller, call: MemSet) -> Answer<MemorySet> {
        answer(self.fill_memory(&call))
    }

    fn umap(&mut self, _: Caller, call: UMap) -> Answer<UMapped> {
        answer(self.find_memory(&call))
    }

    fn vircopy(&mut self, _: Caller, call: VirCopy) -> Answer<VirCopied> {
        answer(self.virtual_copy(&call))
    }

    fn physcopy(&mut self, _: Caller, call: PhysCopy) -> Answer<PhysCopied> {
        answer(self.physical_copy(&call))
    }

    fn safecopyfrom(&mut self, _: Caller, call: SafeCopyFrom) -> Answer<CopiedFrom> {
        answer(self.copy_from_grant(&call))
    }

    fn safecopyto(&mut self, _: Caller, call: SafeCopyTo) -> Answer<CopiedTo> {
        answer(self.copy_to_grant(&call))
    }

    fn vsafecopy(&mut self, _: Caller, call: VSafeCopy) -> Answer<VCopied> {
        answer(self.copy_list(&call))
    }

    fn setgrant(&mut self, _: Caller, call: SetGrant) -> Answer<GrantsSet> {
        self.kernel.set_grant_table(self.me, call.address, call.count).map(|()| GrantsSet {}).into()
    }

    fn safemap(&mut self, _: Caller, call: SafeMap) -> Answer<SafeMapped> {
        answer(self.map_granted(&call))
    }

    fn saferevmap(&mut self, _: Caller, call: SafeRevMap) -> Answer<SafeRevMapped> {
        Answer::Reply(SafeRevMapped { more: self.take_back(call.grant).into() })
    }

    fn safeunmap(&mut self, _: Caller, call: SafeUnmap) -> Answer<SafeUnmapped> {
        self.give_up(call.address).map(|more| SafeUnmapped { more: more.into() }).into()
    }

    fn saferevmap_at(&mut self, _: Caller, call: SafeRevMapAt) -> Answer<SafeRevMappedAt> {
        Answer::Reply(SafeRevMappedAt { more: self.take_back_at(call.address).into() })
    }

    fn safememset(&mut self, _: Caller, call: SafeMemSet) -> Answer<SafeMemorySet> {
        answer(self.fill_granted(&call))
    }

    fn devio(&mut self, _: Caller, call: DevIo) -> Answer<DevIoDone> {
        self.port_access(call).into()
    }

    fn sdevio(&mut self, _: Caller, call: SDevIo) -> Answer<SDevIoDone> {
        answer(self.port_string(call))
    }

    fn vdevio(&mut self, _: Caller, call: VDevIo) -> Answer<VDevIoDone> {
        answer(self.port_list(call))
    }

    fn setalarm(&mut self, _: Caller, call: SetAlarm) -> Answer<AlarmSet> {
        let now = self.machine.ticks();
        let deadline = match (call.absolute != 0, call.ticks) {
            (false, 0) => None,
            (false, ticks) => Some(now.saturating_add(ticks)),
            (true, ticks) => Some(ticks),
        };
        let left = self.kernel.set_alarm(self.machine, self.me, deadline);
        left.map(|left| AlarmSet { left, now }).into()
    }

    fn times(&mut self, _: Caller, _: Times) -> Answer<Uptime> {
        Answer::Reply(Uptime { ticks: self.machine.ticks(), hz: self.machine.hz() })
    }

    fn boot_entry(&mut self, _: Caller, call: GetBootEntry) -> Answer<BootProgram> {
        let entry = self.kernel.boot_entry(call.index);
        entry.map(|(entry, endpoint)| BootProgram { name: entry.name, endpoint, reserved: 0 }).into()
    }

    fn abort(&mut self, _: Caller, call: Abort) -> Answer<Aborted> {
        self.kernel.action = Action::Abort { how: call.how, status: call.status };
        Answer::Later
    }

    fn whoami(&mut self, _: Caller, _: WhoAmI) -> Answer<Identity> {
        let p = self.kernel.process(self.me);
        Answer::Reply(Identity { name: p.name, endpoint: p.endpoint, root: self.kernel.root })
    }

    fn settime(&mut self, _: Caller, call: SetTime) -> Answer<TimeSet> {
        const NANOSECONDS: u32 = 1_000_000_000;
        if call.nanoseconds >= NANOSECONDS {
            return Answer::Fail(Errno::Inval);
        }
        let uptime = self.machine.ticks() / self.machine.hz();
        self.kernel.boot_time = call.seconds.saturating_sub(uptime);
        Answer::Reply(TimeSet {})
    }

    fn diag_write(&mut self, _: Caller, call: DiagWrite) -> Answer<DiagWritten> {
        let mut text = [0; MAX_DIAG];
        let Some(text) = usize::try_from(call.len).ok().filter(|&len| len > 0).and_then(|len| text.get_mut(..len))
        else {
            return Answer::Fail(Errno::Inval);
        };
        let write = self.read(self.me, call.address, text);
        answer(write.map(|()| {
            self.machine.log_program(self.kernel.process(self.me).name(), text);
            DiagWritten {}
        }))
    }

    fn runctl(&mut self, _: Caller, call: RunCtl) -> Answer<RunCtlDone> {
        let slot = self.kernel.named(call.process);
        slot.and_then(|slot| self.kernel.run_control(self.machine, slot, call.action)).map(|()| RunCtlDone {}).into()
    }

    fn update(&mut self, _: Caller, call: Update) -> Answer<Updated> {
        self.kernel.update(self.machine, &call).map(|()| Updated {}).into()
    }

    fn exit(&mut self, _: Caller, call: Exit) -> Answer<Exited> {
        self.machine.log(format_args!("{} exited, status {}", self.kernel.process(self.me).name(), call.status));
        self.kernel.block(self.machine, self.me, Rts::EXITED);
        self.kernel.raise(self.machine, self.me, Signal::ABRT);
        Answer::Later
    }

    fn schedctl(&mut self, _: Caller, call: SchedCtl) -> Answer<SchedCtlDone> {
        self.take_schedule(call).map(|()| SchedCtlDone {}).into()
    }
}

impl<M: Machine> Context<'_, '_, M> {
    /// Raises a signal for a process. Nobody else raises one for the root system process: a lethal one would end the system.
    fn kill(&mut self, call: &Kill) -> Result<(), Errno> {
        let slot = self.kernel.named(call.process)?;
        let signal = Signal::from_user(call.signal).ok_or(Errno::Inval)?;
        if call.process == self.kernel.root && slot != self.me {
            return Err(Errno::Perm);
        }
        self.kernel.raise(self.machine, slot, signal);
        Ok(())
    }
}
