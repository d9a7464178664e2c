//! The calls: what answers them.

use crate::{Pm, Port};
use abi::{Errno, Message};
use protocol::pm::*;
use protocol::{Answer, Caller, Transport};

impl<K: Transport + Copy, P: Port> Pm<'_, K, P> {
    /// Answers a request in its place. Whether there is an answer: if not, there will be one later, or never.
    pub fn answer(&mut self, message: &mut Message) -> bool {
        protocol::pm::answer(self, message)
    }
}

impl<K: Transport + Copy, P: Port> Server for Pm<'_, K, P> {
    fn exit(&mut self, _: Caller, _: Exit) -> Answer<ExitDone> {
        Answer::Fail(Errno::NoSys)
    }

    fn fork(&mut self, _: Caller, _: Fork) -> Answer<Forked> {
        Answer::Fail(Errno::NoSys)
    }

    fn wait4(&mut self, _: Caller, _: Wait4) -> Answer<Waited> {
        Answer::Fail(Errno::NoSys)
    }

    fn ids(&mut self, _: Caller, _: GetIds) -> Answer<Ids> {
        Answer::Fail(Errno::NoSys)
    }

    fn getpgid(&mut self, _: Caller, _: GetGroup) -> Answer<Group> {
        Answer::Fail(Errno::NoSys)
    }

    fn setpgid(&mut self, _: Caller, _: SetGroup) -> Answer<GroupSet> {
        Answer::Fail(Errno::NoSys)
    }

    fn setsid(&mut self, _: Caller, _: SetSession) -> Answer<SessionSet> {
        Answer::Fail(Errno::NoSys)
    }

    fn setuid(&mut self, _: Caller, _: SetUid) -> Answer<UidSet> {
        Answer::Fail(Errno::NoSys)
    }

    fn setgid(&mut self, _: Caller, _: SetGid) -> Answer<GidSet> {
        Answer::Fail(Errno::NoSys)
    }

    fn seteuid(&mut self, _: Caller, _: SetEffectiveUid) -> Answer<EffectiveUidSet> {
        Answer::Fail(Errno::NoSys)
    }

    fn setegid(&mut self, _: Caller, _: SetEffectiveGid) -> Answer<EffectiveGidSet> {
        Answer::Fail(Errno::NoSys)
    }

    fn setgroups(&mut self, _: Caller, _: SetGroups) -> Answer<GroupsSet> {
        Answer::Fail(Errno::NoSys)
    }

    fn getgroups(&mut self, _: Caller, _: GetGroups) -> Answer<Groups> {
        Answer::Fail(Errno::NoSys)
    }

    fn kill(&mut self, _: Caller, _: Kill) -> Answer<Killed> {
        Answer::Fail(Errno::NoSys)
    }

    fn sigaction(&mut self, _: Caller, _: SigAction) -> Answer<OldAction> {
        Answer::Fail(Errno::NoSys)
    }

    fn sigprocmask(&mut self, _: Caller, _: SigMask) -> Answer<OldMask> {
        Answer::Fail(Errno::NoSys)
    }

    fn sigpending(&mut self, _: Caller, _: SigPending) -> Answer<Pending> {
        Answer::Fail(Errno::NoSys)
    }

    fn sigsuspend(&mut self, _: Caller, _: SigSuspend) -> Answer<Suspended> {
        Answer::Fail(Errno::NoSys)
    }

    fn sigreturn(&mut self, _: Caller, _: SigReturn) -> Answer<SigReturned> {
        Answer::Fail(Errno::NoSys)
    }

    fn setitimer(&mut self, _: Caller, _: SetTimer) -> Answer<OldTimer> {
        Answer::Fail(Errno::NoSys)
    }

    fn getitimer(&mut self, _: Caller, _: GetTimer) -> Answer<TimerLeft> {
        Answer::Fail(Errno::NoSys)
    }

    fn times(&mut self, _: Caller, _: GetTimes) -> Answer<ProcessTimes> {
        Answer::Fail(Errno::NoSys)
    }

    fn ptrace(&mut self, _: Caller, _: Ptrace) -> Answer<Traced> {
        Answer::Fail(Errno::NoSys)
    }

    fn exec(&mut self, _: Caller, _: Exec) -> Answer<ExecDone> {
        Answer::Fail(Errno::NoSys)
    }

    fn srv_fork(&mut self, from: Caller, call: SrvFork) -> Answer<SrvForked> {
        self.do_srv_fork(from.endpoint, &call).into()
    }

    fn srv_exit(&mut self, from: Caller, call: SrvExit) -> Answer<SrvExited> {
        self.do_srv_exit(from.endpoint, call.process).map(|()| SrvExited {}).into()
    }

    fn srv_kill(&mut self, _: Caller, _: SrvKill) -> Answer<SrvKilled> {
        Answer::Fail(Errno::NoSys)
    }

    fn pid_of(&mut self, from: Caller, call: PidOf) -> Answer<PidFound> {
        self.do_pid_of(from.endpoint, call.process).into()
    }

    fn exec_new(&mut self, _: Caller, _: ExecNew) -> Answer<ExecNewDone> {
        Answer::Fail(Errno::NoSys)
    }

    fn exec_restart(&mut self, _: Caller, _: ExecRestart) -> Answer<ExecRestarted> {
        Answer::Fail(Errno::NoSys)
    }

    fn process(&mut self, _: Caller, call: GetProcessStatus) -> Answer<ProcessStatus> {
        self.do_process(call.slot).into()
    }

    fn files_done(&mut self, _: Caller, _: FilesDone) -> Answer<FilesDoneNoted> {
        Answer::Fail(Errno::NoSys)
    }
}
