//! The calls: what answers them.

use crate::ids::Wish;
use crate::process::Flags;
use crate::{Pm, Port};
use abi::Message;
use protocol::pm::*;
use protocol::{Answer, Caller, Transport};

impl<K: Transport + Copy, P: Port> Pm<'_, K, P> {
    /// Answers a request in its place. Whether there is an answer: if not, there will be one later, or never.
    pub fn answer(&mut self, message: &mut Message) -> bool {
        let caller = self.table.find(message.peer);
        if caller.is_some_and(|slot| self.table[slot].is(Flags::EXITS)) {
            // It has sent that before it was ended.
            return false;
        }
        self.current = caller;
        let answered = protocol::pm::answer(self, message);
        let Some(slot) = self.current.take() else {
            return answered;
        };
        if answered && !self.table[slot].signals.due().is_empty() {
            // It gets its answer first, and then its signals, before it goes on.
            self.hold(slot);
            self.port.answer(message);
            self.deliver(slot);
            return false;
        }
        if !answered {
            self.deliver(slot);
        }
        answered
    }
}

impl<K: Transport + Copy, P: Port> Server for Pm<'_, K, P> {
    fn exit(&mut self, from: Caller, call: Exit) -> Answer<ExitDone> {
        self.do_exit(from, &call)
    }

    fn fork(&mut self, from: Caller, _: Fork) -> Answer<Forked> {
        self.do_fork(from)
    }

    fn wait4(&mut self, from: Caller, call: Wait4) -> Answer<Waited> {
        self.do_wait4(from, &call)
    }

    fn ids(&mut self, from: Caller, _: GetIds) -> Answer<Ids> {
        self.do_ids(from).into()
    }

    fn getpgid(&mut self, from: Caller, call: GetGroup) -> Answer<Group> {
        self.do_getpgid(from, call.pid).into()
    }

    fn setpgid(&mut self, from: Caller, call: SetGroup) -> Answer<GroupSet> {
        self.do_setpgid(from, &call).map(|()| GroupSet {}).into()
    }

    fn setsid(&mut self, from: Caller, _: SetSession) -> Answer<SessionSet> {
        self.do_setsid(from)
    }

    fn setuid(&mut self, from: Caller, call: SetUid) -> Answer<UidSet> {
        self.set_ids(from, Wish::User(call.uid), UidSet {})
    }

    fn setgid(&mut self, from: Caller, call: SetGid) -> Answer<GidSet> {
        self.set_ids(from, Wish::Group(call.gid), GidSet {})
    }

    fn seteuid(&mut self, from: Caller, call: SetEffectiveUid) -> Answer<EffectiveUidSet> {
        self.set_ids(from, Wish::EffectiveUser(call.uid), EffectiveUidSet {})
    }

    fn setegid(&mut self, from: Caller, call: SetEffectiveGid) -> Answer<EffectiveGidSet> {
        self.set_ids(from, Wish::EffectiveGroup(call.gid), EffectiveGidSet {})
    }

    fn setgroups(&mut self, from: Caller, call: SetGroups) -> Answer<GroupsSet> {
        self.do_setgroups(from, &call)
    }

    fn getgroups(&mut self, from: Caller, _: GetGroups) -> Answer<Groups> {
        self.do_getgroups(from).into()
    }

    fn kill(&mut self, from: Caller, call: Kill) -> Answer<Killed> {
        self.do_kill(from, &call).map(|()| Killed {}).into()
    }

    fn sigaction(&mut self, from: Caller, call: SigAction) -> Answer<OldAction> {
        self.do_sigaction(from, &call).into()
    }

    fn sigprocmask(&mut self, from: Caller, call: SigMask) -> Answer<OldMask> {
        self.do_sigprocmask(from, &call).into()
    }

    fn sigpending(&mut self, from: Caller, _: SigPending) -> Answer<Pending> {
        self.do_sigpending(from).into()
    }

    fn sigsuspend(&mut self, from: Caller, call: SigSuspend) -> Answer<Suspended> {
        self.do_sigsuspend(from, &call)
    }

    fn sigreturn(&mut self, from: Caller, call: SigReturn) -> Answer<SigReturned> {
        self.do_sigreturn(from, &call)
    }

    fn setitimer(&mut self, from: Caller, call: SetTimer) -> Answer<OldTimer> {
        self.do_setitimer(from, &call).into()
    }

    fn getitimer(&mut self, from: Caller, call: GetTimer) -> Answer<TimerLeft> {
        self.do_getitimer(from, &call).into()
    }

    fn times(&mut self, from: Caller, _: GetTimes) -> Answer<ProcessTimes> {
        self.do_times(from).into()
    }

    fn ptrace(&mut self, from: Caller, call: Ptrace) -> Answer<Traced> {
        self.do_ptrace(from, &call)
    }

    fn exec(&mut self, from: Caller, call: Exec) -> Answer<ExecDone> {
        self.do_exec(from, &call)
    }

    fn srv_fork(&mut self, from: Caller, call: SrvFork) -> Answer<SrvForked> {
        self.do_srv_fork(from.endpoint, &call).into()
    }

    fn srv_exit(&mut self, from: Caller, call: SrvExit) -> Answer<SrvExited> {
        self.do_srv_exit(from.endpoint, call.process).map(|()| SrvExited {}).into()
    }

    fn srv_kill(&mut self, from: Caller, call: SrvKill) -> Answer<SrvKilled> {
        self.do_srv_kill(from.endpoint, &call).map(|()| SrvKilled {}).into()
    }

    fn pid_of(&mut self, from: Caller, call: PidOf) -> Answer<PidFound> {
        self.do_pid_of(from.endpoint, call.process).into()
    }

    fn exec_new(&mut self, from: Caller, call: ExecNew) -> Answer<ExecNewDone> {
        self.do_exec_new(from, &call).into()
    }

    fn exec_restart(&mut self, from: Caller, call: ExecRestart) -> Answer<ExecRestarted> {
        self.do_exec_restart(from, &call).map(|()| ExecRestarted {}).into()
    }

    fn process(&mut self, _: Caller, call: GetProcessStatus) -> Answer<ProcessStatus> {
        self.do_process(call.slot).into()
    }

    fn files_done(&mut self, from: Caller, call: FilesDone) -> Answer<FilesDoneNoted> {
        self.do_files_done(from, &call)
    }

    fn srv_ids(&mut self, from: Caller, call: SrvIds) -> Answer<SrvIdsSet> {
        self.do_srv_ids(from.endpoint, &call).map(|()| SrvIdsSet {}).into()
    }
}
