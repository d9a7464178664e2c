//! The process manager over a kernel and a memory server that do what little it needs of them.

mod fake;
mod files;
mod ids;
mod lives;
mod model;
mod services;
mod signals;
mod stops;
mod timers;
mod traces;

use crate::{Pm, Table};
use abi::{Endpoint, Errno, Message};
use fake::{Wire, World};
use protocol::Call;
use protocol::pm::*;
use std::boxed::Box;
use std::cell::RefCell;

/// An address of code.
const HANDLER: u64 = abi::layout::PROGRAM_BASE;

/// A system.
struct Bench<'w> {
    world: &'w RefCell<World>,
    pm: Pm<'w, Wire<'w>, Wire<'w>>,
}

/// Runs a test in a system with these boot programs.
fn test_with(programs: &'static [fake::Program], run: impl FnOnce(&mut Bench<'_>) + Send) {
    test_in(|| World::new(programs), run);
}

/// The same in a system that is made so.
fn test_in(world: impl FnOnce() -> World + Send, run: impl FnOnce(&mut Bench<'_>) + Send) {
    /// The table is larger than the stack of a test.
    const STACK: usize = 16 << 20;
    std::thread::scope(|scope| {
        let run = || {
            let world = RefCell::new(world());
            let mut table = Box::new(Table::EMPTY);
            let mut pm = Pm::new(Wire(&world), Wire(&world), &mut table);
            pm.boot().expect("it can begin");
            let mut bench = Bench { world: &world, pm };
            run(&mut bench);
            bench.check();
        };
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, run);
        if let Err(panic) = thread.expect("there is a thread").join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// The same with those that there usually are.
fn test(run: impl FnOnce(&mut Bench<'_>) + Send) {
    test_with(fake::USUAL, run);
}

impl Bench<'_> {
    /// Somebody makes a call. `None` if the answer comes later, or never.
    fn ask<C: Call>(&mut self, who: Endpoint, call: &C) -> Option<Result<C::Reply, Errno>> {
        let mut message = self.world.borrow_mut().asks(who, &protocol::encode(C::KIND, call));
        if !self.pm.answer(&mut message) {
            return None;
        }
        self.world.borrow_mut().is_answered(&message);
        self.answer_of::<C>(who)
    }

    /// What somebody has been answered meanwhile.
    fn answer_of<C: Call>(&mut self, who: Endpoint) -> Option<Result<C::Reply, Errno>> {
        let answer = self.world.borrow_mut().take_answer(who)?;
        Some(answer.kind.status().expect("it is an answer").and_then(|()| protocol::decode(&answer)))
    }

    /// The same, which is answered at once.
    fn asks<C: Call>(&mut self, who: Endpoint, call: &C) -> Result<C::Reply, Errno> {
        self.ask(who, call).unwrap_or_else(|| panic!("{} is not answered", C::NAME))
    }

    /// Makes a child; its endpoint and pid. Both go on.
    fn fork(&mut self, parent: Endpoint) -> (Endpoint, u32) {
        let before: std::vec::Vec<_> = self.world.borrow().endpoints();
        assert_eq!(self.ask(parent, &Fork {}), None, "the answer is a late one");
        let pid = self.answer_of::<Fork>(parent).expect("it is there").expect("there is room").pid;
        let child = self.world.borrow().endpoints().into_iter().find(|who| !before.contains(who)).expect("it was made");
        assert_eq!(self.answer_of::<Fork>(child), Some(Ok(Forked { pid: 0, reserved: 0 })));
        (child, pid)
    }

    /// A child of the first user process.
    fn child(&mut self) -> (Endpoint, u32) {
        self.fork(fake::boot("init"))
    }

    fn exit(&mut self, who: Endpoint, code: u32) {
        assert_eq!(self.ask(who, &Exit { code, reserved: 0 }), None);
        assert_eq!(self.answer_of::<Exit>(who), None);
    }

    /// Waits for a child: its pid and status. `None` if it really waits.
    fn wait(&mut self, who: Endpoint, pid: i32, options: WaitOptions) -> Option<Result<(u32, u32), Errno>> {
        let answer = self.ask(who, &Wait4 { pid, options: options.bits() })?;
        Some(answer.map(|waited| (waited.pid, waited.status)))
    }

    /// What somebody who waits has been told.
    fn waited(&mut self, who: Endpoint) -> Option<Result<(u32, u32), Errno>> {
        Some(self.answer_of::<Wait4>(who)?.map(|waited| (waited.pid, waited.status)))
    }

    /// The same without waiting; nothing is a pid of 0.
    fn poll(&mut self, who: Endpoint) -> Result<(u32, u32), Errno> {
        self.wait(who, -1, WaitOptions::NO_HANG).expect("it does not wait")
    }

    fn kill(&mut self, who: Endpoint, pid: i32, signal: u32) -> Result<(), Errno> {
        match self.ask(who, &Kill { pid, signal }) {
            Some(answer) => answer.map(drop),
            // It got its answer before its signals, or is no more.
            None => self.answer_of::<Kill>(who).unwrap_or(Ok(Killed {})).map(drop),
        }
    }

    /// Somebody gets a handler for a signal.
    fn catch(&mut self, who: Endpoint, signal: u32) {
        self.acts(who, signal, HANDLER, 0, ActionFlags::empty()).expect("it can be caught");
    }

    fn acts(&mut self, who: Endpoint, signal: u32, handler: u64, mask: u64, flags: ActionFlags) -> Result<(), Errno> {
        let trampoline = HANDLER;
        let call = SigAction { signal, change: 1, handler, trampoline, mask, flags: flags.bits(), reserved: 0 };
        self.asks(who, &call).map(drop)
    }

    /// How often a handler of somebody has been called.
    fn called(&self, who: Endpoint, signal: u32) -> u64 {
        self.world.borrow().find(who).and_then(|process| process.called.get(&signal).copied()).unwrap_or(0)
    }

    /// Somebody returns from its last handler.
    fn returns(&mut self, who: Endpoint) {
        let frame = self.world.borrow().find(who).expect("it lives").handlers.len() as u64;
        assert_eq!(self.ask(who, &SigReturn { frame }), None);
        assert!(self.answer_of::<SigReturn>(who).is_some());
    }

    /// The kernel raises a signal for somebody.
    fn fault(&mut self, who: Endpoint, signal: u32) {
        self.world.borrow_mut().get(who).expect("it lives").signals |= 1 << signal;
        self.system();
    }

    /// The kernel tells of signals.
    fn system(&mut self) {
        self.pm.notified(&Message::new(Endpoint::SYSTEM, abi::Kind::NOTIFY));
    }

    fn runs(&self, who: Endpoint) -> bool {
        self.world.borrow().find(who).is_some_and(fake::Process::runs)
    }

    fn lives(&self, who: Endpoint) -> bool {
        self.world.borrow().find(who).is_some()
    }

    /// Kernel, memory server and process manager know the same processes.
    fn check(&self) {
        let world = self.world.borrow();
        for (slot, process) in self.pm.table.iter() {
            let lives = world.find(process.endpoint).is_some();
            let has_ended = process.is(crate::process::Flags::ZOMBIE | crate::process::Flags::TRACE_ZOMBIE);
            assert!(lives != has_ended, "process {} in slot {slot:?} is {:?}", process.pid, process.flags);
        }
        let ended = self.pm.table.iter().filter(|(_, process)| world.find(process.endpoint).is_none()).count();
        assert_eq!(world.len() + ended, self.pm.table.len(), "somebody is known to the kernel only");
    }

    /// Processes that there are.
    fn len(&self) -> usize {
        self.pm.table.len()
    }
}
