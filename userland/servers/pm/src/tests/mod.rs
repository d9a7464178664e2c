//! The process manager over a kernel and a memory server that do what little it needs of them.

mod fake;
mod services;

use crate::{Pm, Table};
use abi::{Endpoint, Errno};
use fake::{Wire, World};
use protocol::Call;
use std::boxed::Box;
use std::cell::RefCell;

/// A system.
struct Bench<'w> {
    world: &'w RefCell<World>,
    pm: Pm<'w, Wire<'w>, Wire<'w>>,
}

/// Runs a test in a system with these boot programs.
fn test_with(programs: &'static [fake::Program], run: impl FnOnce(&mut Bench<'_>) + Send) {
    /// The table is larger than the stack of a test.
    const STACK: usize = 16 << 20;
    std::thread::scope(|scope| {
        let run = || {
            let world = RefCell::new(World::new(programs));
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
