//! A process manager for one family: a parent, and a child at a time.
#![no_std]
#![no_main]

use abi::{Endpoint, Errno, Message, PrivilegeFlags, PrivilegeSpec, TrapMask};
use bench::calls::{End, Ended, Fork, ForkOnly, Forked, ForkedOnly, Leave, Left, Server, Wait, Waited, answer};
use protocol::kernel::{Clear, KEEP, SchedCtl, Scheduler};
use protocol::privctl::{Allow, DYNAMIC_ID, SetSys};
use protocol::vm::{self, Client, WillExit};
use protocol::{Answer, Call, Caller};
use sys::Ipc;

sys::entry!(main);

/// Where the child goes: behind all programs of the boot table.
const SLOT: u32 = 100;

/// What a child has come to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Child {
    /// There is none.
    None,
    /// It lives, and somebody may wait for its end.
    Lives(Endpoint, Option<Caller>),
    /// It has ended, and nobody has waited for that yet.
    Ended,
}

struct Manager {
    me: Endpoint,
    memory: Client<Ipc>,
    child: Child,
}

fn main() -> u64 {
    let (Ok(identity), Some(server)) = (sys::whoami(), sys::lookup("vm")) else {
        return 1;
    };
    let memory = Client { to: server, transport: Ipc::default() };
    let mut manager = Manager { me: identity.endpoint, memory, child: Child::None };
    sys::serve(&mut manager, answer);
    1
}

impl Manager {
    /// Makes a child that has all but an answer. It asks the memory server for nothing, and so needs no right to.
    fn make(&mut self, parent: Endpoint) -> Result<Endpoint, Errno> {
        if self.child != Child::None {
            return Err(Errno::Busy);
        }
        let process = self.memory.fork(vm::Fork { parent, slot: SLOT })?.child;
        sys::privctl().set_sys(SetSys { spec: self.privileges(), process, id: DYNAMIC_ID })?;
        let (scheduler, priority, quantum, cpu) = (Scheduler::Kernel, KEEP, KEEP, KEEP);
        sys::kernel().schedctl(SchedCtl { process, scheduler, priority, quantum, cpu })?;
        sys::privctl().allow(Allow { process })?;
        self.child = Child::Lives(process, None);
        Ok(process)
    }

    /// A child talks to servers, and asks the kernel for nothing.
    fn privileges(&self) -> PrivilegeSpec {
        PrivilegeSpec {
            sends: !0,
            calls: 0,
            flags: PrivilegeFlags::PREEMPTIBLE.bits(),
            init_flags: 0,
            traps: TrapMask::SENDREC.bits(),
            manager: self.me,
            backup: Endpoint::NONE,
            reserved: 0,
        }
    }

    /// Takes away all that a child has.
    fn destroy(&mut self, process: Endpoint) -> Result<(), Errno> {
        self.memory.will_exit(WillExit { process, reserved: 0 })?;
        sys::kernel().clear(Clear { process })?;
        self.memory.exit(vm::Exit { process, reserved: 0 })?;
        self.child = Child::Ended;
        Ok(())
    }
}

impl Server for Manager {
    fn fork(&mut self, from: Caller, _: Fork) -> Answer<Forked> {
        let made = self.make(from.endpoint).and_then(|child| {
            tell(Caller { endpoint: child, ..from }, &Forked { child: Endpoint::NONE, reserved: 0 })?;
            Ok(Forked { child, reserved: 0 })
        });
        made.into()
    }

    fn fork_only(&mut self, from: Caller, _: ForkOnly) -> Answer<ForkedOnly> {
        self.make(from.endpoint).map(|child| ForkedOnly { child, reserved: 0 }).into()
    }

    fn leave(&mut self, from: Caller, _: Leave) -> Answer<Left> {
        let waiting = match self.child {
            Child::Lives(child, waiting) if child == from.endpoint => waiting,
            _ => return Answer::Fail(Errno::Srch),
        };
        if let Err(error) = self.destroy(from.endpoint) {
            return Answer::Fail(error);
        }
        // Who has gone meanwhile need not be told.
        if waiting.is_some_and(|parent| tell(parent, &Waited {}).is_ok()) {
            self.child = Child::None;
        }
        Answer::Later
    }

    fn wait(&mut self, from: Caller, _: Wait) -> Answer<Waited> {
        match self.child {
            Child::None => Answer::Fail(Errno::Srch),
            Child::Lives(child, _) => {
                self.child = Child::Lives(child, Some(from));
                Answer::Later
            }
            Child::Ended => {
                self.child = Child::None;
                Answer::Reply(Waited {})
            }
        }
    }

    fn end(&mut self, _: Caller, _: End) -> Answer<Ended> {
        let Child::Lives(child, _) = self.child else {
            return Answer::Fail(Errno::Srch);
        };
        let destroyed = self.destroy(child);
        self.child = Child::None;
        destroyed.map(|()| Ended {}).into()
    }
}

/// Answers somebody who has waited.
fn tell<R: zerocopy::IntoBytes + zerocopy::Immutable>(to: Caller, answer: &R) -> Result<(), Errno> {
    let request = Message { tag: to.tag, ..Message::new(to.endpoint, Fork::KIND) };
    rt::send_nb(&protocol::reply(&request, Ok(answer)))
}
