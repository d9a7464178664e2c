//! Tracing.

use super::fake::boot;
use super::*;
use crate::signals::*;
use protocol::{Call, trace};

const USR1: u32 = 10;

impl Bench<'_> {
    fn ptrace(
        &mut self,
        who: Endpoint,
        request: TraceRequest,
        pid: u32,
        address: u64,
        data: u64,
    ) -> Result<u64, Errno> {
        match self.ask(who, &Ptrace { request, pid, address, data }) {
            Some(answer) => answer.map(|traced| traced.data),
            None => self.answer_of::<Ptrace>(who).expect("it is answered").map(|_| 0),
        }
    }

    /// A process that is traced by another one; both, and the pid of the first.
    fn traced(&mut self) -> (Endpoint, u32, Endpoint) {
        let (tracer, _) = self.child();
        let (child, pid) = self.child();
        self.ptrace(tracer, TraceRequest::Attach, pid, 0, 0).unwrap();
        (child, pid, tracer)
    }

    fn stopped(&mut self, tracer: Endpoint) -> Result<(u32, u32), Errno> {
        self.wait(tracer, -1, WaitOptions::NO_HANG).unwrap().map(|(pid, status)| (pid, status >> 8))
    }
}

#[test]
fn whoever_attaches_is_told_of_each_signal_first() {
    test(|bench| {
        let (child, pid, tracer) = bench.traced();
        bench.catch_untraced(child, USR1);
        assert_eq!(bench.stopped(tracer), Ok((pid, STOP)));
        assert!(!bench.runs(child));
        assert_eq!(bench.ptrace(tracer, TraceRequest::Resume, pid, 0, 0), Ok(0));
        assert!(bench.runs(child));
        bench.kill(boot("init"), pid as i32, USR1).unwrap();
        assert_eq!((bench.called(child, USR1), bench.stopped(tracer)), (0, Ok((pid, USR1))));
        // It is passed on, or another one, or none.
        bench.ptrace(tracer, TraceRequest::Resume, pid, 0, USR1.into()).unwrap();
        assert_eq!((bench.called(child, USR1), bench.runs(child)), (1, true));
        bench.kill(boot("init"), pid as i32, TERM).unwrap();
        assert_eq!(bench.stopped(tracer), Ok((pid, TERM)));
        bench.ptrace(tracer, TraceRequest::Resume, pid, 0, 0).unwrap();
        assert!(bench.runs(child));
        bench.kill(boot("init"), pid as i32, KILL).unwrap();
        assert_eq!(bench.wait(tracer, -1, WaitOptions::NO_HANG), Some(Ok((pid, KILL))), "the tracer hears it first");
        assert_eq!(bench.poll(boot("init")), Ok((pid, KILL)), "then the parent");
    });
}

#[test]
fn who_may_trace_whom() {
    test(|bench| {
        let init = boot("init");
        let (user, user_pid) = bench.child();
        let (other, other_pid) = bench.child();
        bench.asks(user, &SetUid { uid: 5, reserved: 0 }).unwrap();
        bench.asks(other, &SetUid { uid: 6, reserved: 0 }).unwrap();
        let attach = |bench: &mut Bench<'_>, who, pid| bench.ptrace(who, TraceRequest::Attach, pid, 0, 0);
        assert_eq!(attach(bench, user, other_pid), Err(Errno::Perm));
        assert_eq!(attach(bench, user, user_pid), Err(Errno::Perm), "oneself");
        assert_eq!(attach(bench, init, 29_999), Err(Errno::Srch));
        for name in ["pm", "vm", "hello"] {
            let (pid, _) = bench.pid_of(boot(name)).unwrap();
            assert_eq!(attach(bench, init, pid), Err(Errno::Perm), "{name}");
            assert_eq!(attach(bench, boot("hello"), pid), Err(Errno::Perm), "a service does not trace");
        }
        let (same, same_pid) = bench.fork(user);
        bench.pm.table[crate::Slot::of(same)].flags |= crate::process::Flags::TAINTED;
        assert_eq!(attach(bench, user, same_pid), Err(Errno::Perm), "a set-id program");
        bench.pm.table[crate::Slot::of(same)].flags.remove(crate::process::Flags::TAINTED);
        attach(bench, user, same_pid).unwrap();
        assert_eq!(attach(bench, init, same_pid), Err(Errno::Busy));
        assert_eq!(bench.ptrace(other, TraceRequest::Resume, same_pid, 0, 0), Err(Errno::Srch), "not its tracer");
        bench.stopped(user).unwrap();
        bench.ptrace(user, TraceRequest::Resume, same_pid, 0, 0).unwrap();
        assert_eq!(bench.ptrace(user, TraceRequest::Peek, same_pid, 8, 0), Err(Errno::Busy), "it runs");
    });
}

#[test]
fn a_service_is_traced_by_root_if_its_signals_come_here() {
    test(|bench| {
        let hello = boot("hello");
        let (pid, _) = bench.pid_of(hello).unwrap();
        bench.world.borrow_mut().managed = Some(hello);
        let (user, _) = bench.child();
        bench.asks(user, &SetUid { uid: 5, reserved: 0 }).unwrap();
        assert_eq!(bench.ptrace(user, TraceRequest::Attach, pid, 0, 0), Err(Errno::Perm));
        let (root, _) = bench.child();
        bench.ptrace(root, TraceRequest::Attach, pid, 0, 0).unwrap();
        assert_eq!(bench.stopped(root), Ok((pid, STOP)));
        bench.ptrace(root, TraceRequest::Resume, pid, 0, 0).unwrap();
        bench.fault(hello, SEGV);
        assert_eq!(bench.stopped(root), Ok((pid, SEGV)));
    });
}

#[test]
fn steps_memory_and_registers_are_the_kernel_s() {
    test(|bench| {
        let (child, pid, tracer) = bench.traced();
        bench.stopped(tracer).unwrap();
        assert_eq!(bench.ptrace(tracer, TraceRequest::Peek, pid, 0x5000, 0), Ok(!0x5000));
        assert_eq!(bench.ptrace(tracer, TraceRequest::Poke, pid, 8, 1), Ok(0));
        assert_eq!(bench.ptrace(tracer, TraceRequest::Poke, pid, 0, 1), Err(Errno::Fault));
        assert_eq!(bench.ptrace(tracer, TraceRequest::GetRegister, pid, 16, 0), Ok(16));
        for index in [18, u64::MAX] {
            assert_eq!(bench.ptrace(tracer, TraceRequest::GetRegister, pid, index, 0), Err(Errno::Fault));
        }
        for request in [TraceRequest::Resume, TraceRequest::Step, TraceRequest::Syscall] {
            assert_eq!(bench.ptrace(tracer, request, pid, 0, 32), Err(Errno::Inval));
            assert_eq!(bench.ptrace(tracer, request, pid, 0, u64::MAX), Err(Errno::Inval));
            bench.ptrace(tracer, request, pid, 0, 0).unwrap();
            bench.fault(child, TRAP);
            assert_eq!(bench.stopped(tracer), Ok((pid, TRAP)));
        }
        let kinds = bench.world.borrow().find(child).unwrap().traced_for.clone();
        assert_eq!(kinds, [trace::Resume::KIND, trace::Step::KIND, trace::UntilTrap::KIND]);
        assert_eq!(bench.ptrace(tracer, TraceRequest::SetOptions, pid, 0, 8), Err(Errno::Inval));
        bench.ptrace(tracer, TraceRequest::Detach, pid, 0, USR1.into()).unwrap();
        assert_eq!(bench.poll(boot("init")), Ok((pid, USR1)), "what it was let go with");
    });
}

#[test]
fn the_end_of_a_tracer_is_that_of_whom_it_traces() {
    test(|bench| {
        let (child, pid, tracer) = bench.traced();
        bench.exit(tracer, 0);
        assert!(!bench.lives(child));
        let mut told = std::vec![bench.poll(boot("init")).unwrap(), bench.poll(boot("init")).unwrap()];
        told.retain(|(other, _)| *other == pid);
        assert_eq!(told, [(pid, KILL)]);
    });
}

#[test]
fn a_child_that_its_parent_traces_is_told_to_the_next_parent() {
    test(|bench| {
        for ends_before in [false, true] {
            let (parent, parent_pid) = bench.child();
            let (child, pid) = bench.fork(parent);
            bench.ptrace(child, TraceRequest::TraceMe, 0, 0, 0).unwrap();
            if ends_before {
                bench.kill(boot("init"), pid as i32, KILL).unwrap();
            }
            bench.exit(parent, 0);
            assert!(!bench.lives(child));
            let mut told = std::vec![bench.poll(boot("init")).unwrap(), bench.poll(boot("init")).unwrap()];
            told.sort_unstable();
            assert_eq!(told, [(parent_pid, 0), (pid, KILL)]);
        }
    });
}

#[test]
fn a_dead_one_whose_tracer_dies_is_told_to_its_parent() {
    test(|bench| {
        let (_, pid, tracer) = bench.traced();
        bench.kill(boot("init"), pid as i32, KILL).unwrap();
        assert_eq!(bench.poll(boot("init")), Ok((0, 0)), "its tracer has not asked");
        bench.exit(tracer, 0);
        let told = [bench.poll(boot("init")).unwrap(), bench.poll(boot("init")).unwrap()];
        assert!(told.contains(&(pid, KILL)), "{told:?}");
    });
}

#[test]
fn a_traced_process_is_ended_with_a_code() {
    test(|bench| {
        let (child, pid, tracer) = bench.traced();
        bench.stopped(tracer).unwrap();
        assert_eq!(bench.ptrace(tracer, TraceRequest::Exit, pid, 0, 9), Ok(0));
        assert!(!bench.lives(child));
        assert_eq!(bench.wait(tracer, -1, WaitOptions::NO_HANG), Some(Ok((pid, 9 << 8))));
        assert_eq!(bench.poll(boot("init")), Ok((pid, 9 << 8)));
    });
}

#[test]
fn children_and_programs_of_the_traced() {
    test(|bench| {
        let (parent, _) = bench.child();
        let (child, pid) = bench.fork(parent);
        bench.ptrace(child, TraceRequest::TraceMe, 0, 0, 0).unwrap();
        assert_eq!(bench.ptrace(child, TraceRequest::TraceMe, 0, 0, 0), Err(Errno::Busy));
        let exec = |bench: &mut Bench<'_>| {
            let name = abi::boot::BootEntry::encode_name("new").unwrap();
            bench.asks(boot("rs"), &ExecNew { process: child, flags: 0, uid: 0, gid: 0, name }).unwrap();
            let restart = ExecRestart { process: child, error: 0, entry: HANDLER, stack: HANDLER };
            bench.asks(boot("rs"), &restart).unwrap();
        };
        exec(bench);
        assert_eq!(bench.stopped(parent), Ok((pid, TRAP)));
        bench.ptrace(parent, TraceRequest::SetOptions, pid, 0, TRACE_ALT_EXEC | TRACE_FORK).unwrap();
        bench.ptrace(parent, TraceRequest::Resume, pid, 0, 0).unwrap();
        exec(bench);
        assert_eq!(bench.stopped(parent), Ok((pid, STOP)));
        bench.ptrace(parent, TraceRequest::Resume, pid, 0, 0).unwrap();
        let (grandchild, grandchild_pid) = bench.fork(child);
        assert!(!bench.runs(grandchild));
        assert_eq!(bench.stopped(parent), Ok((grandchild_pid, STOP)));
        bench.ptrace(parent, TraceRequest::Resume, grandchild_pid, 0, 0).unwrap();
        bench.kill(boot("init"), pid as i32, URG).unwrap();
        bench.stopped(parent).unwrap();
        bench.ptrace(parent, TraceRequest::SetOptions, pid, 0, TRACE_NO_EXEC).unwrap();
        bench.ptrace(parent, TraceRequest::Resume, pid, 0, 0).unwrap();
        exec(bench);
        assert!(bench.runs(child));
        let (untraced, _) = bench.fork(child);
        assert!(bench.runs(untraced));
    });
}

impl Bench<'_> {
    /// Gives somebody a handler, though it cannot ask for one now.
    fn catch_untraced(&mut self, who: Endpoint, signal: u32) {
        let action = Action { handler: HANDLER, trampoline: HANDLER, ..Action::DEFAULT };
        self.pm.table.actions_mut(crate::Slot::of(who))[signal as usize] = action;
    }
}
