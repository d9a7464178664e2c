//! The process manager: who is whose child, who may do what as which user, and signals. See `docs/pm.md`.
//!
//! Processes are named by their pids: 1 is the first user process, 0 is nobody, or the caller where that is said. A child or group
//! that does not exist is `ESRCH`, or `ECHILD` where a process waits. No call names memory of its caller. A call that is for a
//! service or for the root system process fails with `EPERM` for others. A call that fails has changed nothing.

use crate::vmctl::field_enum;
use abi::Endpoint;
use abi::boot::NAME_LEN;

/// The highest pid.
pub const LAST_PID: u32 = 30_000;
/// Most supplementary groups.
pub const MAX_GROUPS: usize = 12;
/// The highest user or group id.
pub const LAST_ID: u32 = i32::MAX as u32;

/// What a status of [`Waited`] says, as POSIX lays it out.
pub mod status {
    /// It has ended by itself, with this code.
    pub const fn exited(code: u32) -> u32 {
        (code & 0xff) << 8
    }

    /// A signal has ended it; whether its memory was saved.
    pub const fn killed(signal: u32, core: bool) -> u32 {
        signal & 0x7f | if core { CORE } else { 0 }
    }

    /// A signal has stopped it.
    pub const fn stopped(signal: u32) -> u32 {
        (signal & 0xff) << 8 | 0x7f
    }

    /// The code that it has ended with by itself; `None` if it has not.
    pub const fn code(status: u32) -> Option<u32> {
        if status & 0x7f == 0 { Some(status >> 8 & 0xff) } else { None }
    }

    /// The signal that has ended it; `None` if none has.
    pub const fn signal(status: u32) -> Option<u32> {
        match status & 0x7f {
            0 | 0x7f => None,
            signal => Some(signal),
        }
    }

    /// It goes on.
    pub const CONTINUED: u32 = 0xffff;
    /// Memory was saved.
    pub const CORE: u32 = 0x80;
}

bitflags::bitflags! {
    /// How to wait: the options of [`Wait4`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct WaitOptions: u32 {
        /// Not at all: pid 0 if there is no status yet.
        const NO_HANG = 1;
        /// Also for children that have been stopped.
        const UNTRACED = 2;
        /// Also for children that go on after a stop.
        const CONTINUED = 8;
    }

    /// What goes with a handler: the flags of [`SigAction`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct ActionFlags: u32 {
        /// For the signal of a child that has changed: not when it stops or goes on.
        const NO_CHILD_STOP = 1;
        /// For the same: children leave no status.
        const NO_CHILD_WAIT = 2;
        /// The signal is not blocked in its handler.
        const NO_DEFER = 0x4000_0000;
        /// The default comes back when the handler begins.
        const RESET_HAND = 0x8000_0000;
    }

    /// What an exec changes: the flags of [`ExecNew`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct ExecFlags: u32 {
        /// The program has the set-user-id bit.
        const SET_UID = 1;
        /// The program has the set-group-id bit.
        const SET_GID = 2;
    }

    /// What is the matter with a process: the flags of [`ProcessStatus`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct ProcessFlags: u32 {
        /// It is a service.
        const SERVICE = 1;
        /// It waits for a child.
        const WAITS = 1 << 1;
        /// It has ended, and its parent has not asked for its status.
        const ZOMBIE = 1 << 2;
        /// It is ending.
        const EXITS = 1 << 3;
        /// A signal or a tracer has stopped it.
        const STOPPED = 1 << 4;
        /// Somebody traces it.
        const TRACED = 1 << 5;
        /// It waits for a signal.
        const SUSPENDED = 1 << 6;
        /// The file server has to answer for it.
        const FILES = 1 << 7;
        /// Its old program is gone, and the new one not complete.
        const PARTIAL_EXEC = 1 << 8;
    }
}

/// The default action of a signal, as a handler.
pub const DEFAULT: u64 = 0;
/// A signal is ignored, as a handler.
pub const IGNORE: u64 = 1;

field_enum! {
    /// What becomes of a signal mask.
    How {
        /// It is only asked for.
        Query = 0,
        /// These are blocked too.
        Block = 1,
        /// These are blocked no more.
        Unblock = 2,
        /// These are blocked, and no others.
        Set = 3,
    }
}

field_enum! {
    /// A timer of a process.
    Timer {
        /// Counts always; raises `SIGALRM`.
        Real = 0,
        /// Counts while the process runs.
        Virtual = 1,
        /// The same, and while the system works for it.
        Profile = 2,
    }
}

field_enum! {
    /// What a tracer wants.
    TraceRequest {
        /// The caller lets its parent trace it.
        TraceMe = 0,
        /// The caller traces a process from now on, which stops.
        Attach = 1,
        /// It ends that; `data` is a signal for the process, or 0.
        Detach = 2,
        /// The process goes on; `data` as above.
        Resume = 3,
        /// It executes one instruction.
        Step = 4,
        /// It goes on to its next trap, or to the end of that.
        Syscall = 5,
        /// It ends, with the exit code `data`.
        Exit = 6,
        /// Reads the word at `address`.
        Peek = 7,
        /// Writes it.
        Poke = 8,
        /// Reads the register with this number in [`abi::Context`].
        GetRegister = 9,
        /// Writes it.
        SetRegister = 10,
        /// Sets bits of [`TRACE_FORK`] and the others.
        SetOptions = 11,
    }
}

/// Option of a tracer: children of the process are traced, too.
pub const TRACE_FORK: u64 = 1;
/// Option of a tracer: an exec stops with `SIGSTOP` instead of `SIGTRAP`.
pub const TRACE_ALT_EXEC: u64 = 2;
/// Option of a tracer: an exec does not stop.
pub const TRACE_NO_EXEC: u64 = 4;

crate::protocol! {
    pm = 0x0a00;

    /// Ends the caller. There is no answer, except for services: `EPERM`, and `SIGKILL`.
    0 fn exit(Exit { code: u32, reserved: u32 }) -> ExitDone {};
    /// Makes a child, which is what the caller is, and is answered too, with pid 0. `EAGAIN` if there are too many processes, `EPERM` for services,
    /// and what the memory server says.
    1 fn fork(Fork {}) -> Forked { pid: u32, reserved: u32 };
    /// Waits until a child changes. Which: a pid, -1 for any, 0 for any of the caller's group, and else any of the group with the
    /// opposite number. `ECHILD` if there is none, `EINVAL` for other options, `EINTR` if a handler was called.
    2 fn wait4(Wait4 {
        pid: i32,
        /// Bits of [`WaitOptions`].
        options: u32
    }) -> Waited {
        pid: u32,
        /// See [`status`].
        status: u32,
        /// Timer ticks that the child and those that it has waited for have run.
        user: u64,
        /// Those of services on their behalf.
        system: u64
    };
    /// Who the caller is.
    3 fn ids(GetIds {}) -> Ids {
        pid: u32,
        parent: u32,
        group: u32,
        session: u32,
        uid: u32,
        effective_uid: u32,
        saved_uid: u32,
        gid: u32,
        effective_gid: u32,
        saved_gid: u32
    };
    /// The process group and session of a process; of the caller for 0.
    4 fn getpgid(GetGroup { pid: u32, reserved: u32 }) -> Group { group: u32, session: u32 };
    /// Puts a process, the caller or a child of its session that has not had another program, into a group of that session, or into a new one that has its
    /// pid. 0 is the caller, and its own pid. `EPERM` for a session's leader and for a group that is in no such session, `ESRCH` for a process
    /// that is none of those, `EACCES` for a child that has another program.
    5 fn setpgid(SetGroup { pid: u32, group: u32 }) -> GroupSet {};
    /// Begins a session and a group. `EPERM` for a group's leader.
    6 fn setsid(SetSession {}) -> SessionSet { pid: u32, reserved: u32 };
    /// Sets the user id. `EPERM` for another than the real one, except for root, `EINVAL` for one above [`LAST_ID`].
    7 fn setuid(SetUid { uid: u32, reserved: u32 }) -> UidSet {};
    /// The same with the group id.
    8 fn setgid(SetGid { gid: u32, reserved: u32 }) -> GidSet {};
    /// Sets the effective user id: root to any, others to the real or the saved one. Errors as of [`SetUid`].
    9 fn seteuid(SetEffectiveUid { uid: u32, reserved: u32 }) -> EffectiveUidSet {};
    /// The same with the group id.
    10 fn setegid(SetEffectiveGid { gid: u32, reserved: u32 }) -> EffectiveGidSet {};
    /// Sets the supplementary groups. `EPERM` except for root, `EINVAL` for more than [`MAX_GROUPS`] or a number above [`LAST_ID`].
    11 fn setgroups(SetGroups { count: u32, groups: [u32; 12] }) -> GroupsSet {};
    /// The supplementary groups.
    12 fn getgroups(GetGroups {}) -> Groups { count: u32, groups: [u32; 12] };
    /// Sends a signal: to a process, with 0 to the caller's group, with -1 to everybody, else to the group with the opposite number. Signal 0 only
    /// tests. `EINVAL` for what is no signal, and for `SIGKILL` to pid 1; `EPERM` if there is nobody to whom the caller may, and for a
    /// user that sends a service what would end it as a fault of its own; `ESRCH` if there is nobody at all.
    13 fn kill(Kill { pid: i32, signal: u32 }) -> Killed {};
    /// What the caller does about a signal. `EINVAL` for what is no signal, and for `SIGKILL` and `SIGSTOP` unless only asked for; for
    /// unknown flags, and for an address that is no program's.
    14 fn sigaction(SigAction {
        signal: u32,
        /// 0 to ask only.
        change: u32,
        /// Address of the handler, [`DEFAULT`] or [`IGNORE`].
        handler: u64,
        /// Where the handler returns to: that calls [`SigReturn`].
        trampoline: u64,
        /// Signals that are blocked meanwhile, a bit each, as in all sets of signals.
        mask: u64,
        /// Bits of [`ActionFlags`].
        flags: u32,
        reserved: u32
    }) -> OldAction { handler: u64, trampoline: u64, mask: u64, flags: u32, reserved: u32 };
    /// Changes which signals are blocked. `SIGKILL` and `SIGSTOP` never are.
    15 fn sigprocmask(SigMask { how: How, reserved: u32, set: u64 }) -> OldMask { set: u64 };
    /// Which signals have come and are blocked.
    16 fn sigpending(SigPending {}) -> Pending { set: u64 };
    /// Blocks other signals until a handler was called. `EINTR` then.
    17 fn sigsuspend(SigSuspend { set: u64 }) -> Suspended {};
    /// Ends a handler, of which the kernel has put this frame on the stack. What it is answered with is lost with
    /// its registers; if there is no frame, it ends with `SIGSEGV`.
    18 fn sigreturn(SigReturn { frame: u64 }) -> SigReturned {};
    /// Sets a timer. 0 stops it. `EINVAL` for what is less than that, or for a million microseconds and more.
    19 fn setitimer(SetTimer {
        timer: Timer,
        reserved: u32,
        /// How long after a signal the next one comes; 0 for never.
        interval_seconds: i64,
        interval_micros: i64,
        /// How long until the first one.
        seconds: i64,
        micros: i64
    }) -> OldTimer { interval_seconds: i64, interval_micros: i64, seconds: i64, micros: i64 };
    /// What is left of a timer.
    20 fn getitimer(GetTimer { timer: Timer, reserved: u32 }) -> TimerLeft { interval_seconds: i64, interval_micros: i64, seconds: i64, micros: i64 };
    /// Timer ticks that the caller has run, and its children that it has waited for.
    21 fn times(GetTimes {}) -> ProcessTimes { user: u64, system: u64, child_user: u64, child_system: u64 };
    /// Traces a process. `EPERM`, `EBUSY` and `ESRCH` as ptrace(2) has them; `EINVAL` for a bad signal or option; what the kernel says of memory and registers.
    22 fn ptrace(Ptrace { request: TraceRequest, pid: u32, address: u64, data: u64 }) -> Traced { data: u64 };
    /// Gives the caller another program, from a file whose path and arguments lie in its memory. `ENOSYS` as long as there is no file server.
    23 fn exec(Exec { path: u64, path_len: u64, frame: u64, frame_len: u64 }) -> ExecDone {};

    /// Makes a process for the root system process: its child, a service with these ids, without memory and privileges. Only for that
    /// one. `EAGAIN` if there are too many processes, and what the memory server says.
    40 fn srv_fork(SrvFork { uid: u32, gid: u32 }) -> SrvForked { child: Endpoint, pid: u32 };
    /// Ends a service for good, with its memory: for the root system process. `EINVAL` for a user process, `EPERM` for the root itself.
    41 fn srv_exit(SrvExit { process: Endpoint, reserved: u32 }) -> SrvExited {};
    /// Sends a signal to any process, whoever it belongs to: for the root system process.
    42 fn srv_kill(SrvKill { process: Endpoint, signal: u32 }) -> SrvKilled {};
    /// The pid of a process and that of its parent: for services, and about the caller. `ESRCH` if there is none.
    43 fn pid_of(PidOf { process: Endpoint, reserved: u32 }) -> PidFound { pid: u32, parent: u32 };
    /// The old program of a process is gone, and this is the new one: for the root system process and the file server.
    44 fn exec_new(ExecNew {
        process: Endpoint,
        /// Bits of [`ExecFlags`].
        flags: u32,
        /// Owner of the program.
        uid: u32,
        /// Group of the program.
        gid: u32,
        name: [u8; NAME_LEN]
    }) -> ExecNewDone {
        /// Not 0: its ids are other ones now, or were before.
        set_id: u32,
        reserved: u32
    };
    /// The end of an exec, good or not: for the same. With an error and after [`ExecNew`] the process ends; before that it is
    /// answered with the error. Without, it begins at `entry`, unless that is 0: then it has been given its registers already.
    45 fn exec_restart(ExecRestart {
        process: Endpoint,
        /// 0, or the error.
        error: u32,
        entry: u64,
        stack: u64
    }) -> ExecRestarted {};
    /// The process in a slot, for lists. `EDOM` beyond the last slot, `ESRCH` if it is free.
    46 fn process(GetProcessStatus { slot: u32, reserved: u32 }) -> ProcessStatus {
        name: [u8; NAME_LEN],
        endpoint: Endpoint,
        pid: u32,
        parent: u32,
        group: u32,
        session: u32,
        uid: u32,
        effective_uid: u32,
        /// Bits of [`ProcessFlags`].
        flags: u32
    };
    /// The file server has done what it was told about a process: see `pmfiles`. Only for that one, and not answered.
    47 fn files_done(FilesDone { process: Endpoint, error: u32 }) -> FilesDoneNoted {};
    /// Says who a process is: for the root system process, about programs of the boot table, which are root's until then. Its real, effective and saved ids are
    /// these, and it is in no other group. `EINVAL` for ids that are none, `ESRCH` for no process.
    48 fn srv_ids(SrvIds { process: Endpoint, uid: u32, gid: u32 }) -> SrvIdsSet {};
}

#[cfg(test)]
mod tests {
    use super::status::*;

    #[test]
    fn a_status_says_one_thing() {
        for number in [0, 1, 31, 255] {
            assert_eq!((code(exited(number)), signal(exited(number))), (Some(number), None));
        }
        for (number, core) in [(1, false), (11, true), (31, false)] {
            assert_eq!((code(killed(number, core)), signal(killed(number, core))), (None, Some(number)));
        }
        for neither in [stopped(19), CONTINUED] {
            assert_eq!((code(neither), signal(neither)), (None, None));
        }
    }
}
