//! Processes begin, begin anew, change places and end.

use super::{Game, MOST};
use crate::model::{Page, Process, Shows};
use abi::Errno;
use protocol::vm::{Clear, Exit, Pin, SetLimits, UNLIMITED, Update, UpdateDirection, WillExit};

impl Game<'_, '_, '_, '_> {
    /// A slot that neither a process has nor the stand-ins for file server and file system.
    fn free_slot(&self) -> u32 {
        let files = self.bench.vfs.iter().flat_map(|vfs| [vfs.server, vfs.fs]);
        let processes = self.model.processes.iter().map(|process| process.endpoint);
        let all: Vec<_> = processes.chain(files).map(|process| process.slot()).collect();
        (crate::bench::CHILDREN..).find(|slot| !all.contains(&(*slot as usize))).expect("there are enough")
    }

    pub(super) fn fork(&mut self, who: usize) {
        if self.model.processes.len() == MOST {
            return;
        }
        let parent = self.model.processes[who].endpoint;
        let has_run = self.model.processes[who].pages.values().any(|page| matches!(page.shows, Shows::Run(_)));
        let slot = self.free_slot();
        let expected = if has_run { Err(Errno::NoMem) } else { Ok(()) };
        let call = protocol::vm::Fork { parent, slot };
        let Ok(done) = self.call(self.bench.first, &call, expected) else {
            return;
        };
        self.bench.make_service(done.child);
        let fixes = Vec::new();
        self.model.processes.push(Process {
            endpoint: done.child,
            fixes,
            is_pinned: false,
            ..self.model.processes[who].clone()
        });
    }

    /// A process that has nothing yet is made.
    pub(super) fn spawn(&mut self, who: usize) {
        if self.model.processes.len() == MOST {
            return;
        }
        let parent = self.model.processes[who].endpoint;
        let slot = self.free_slot();
        let call = protocol::vm::Spawn { parent, slot };
        let Ok(done) = self.call(self.bench.first, &call, Ok(())) else {
            return;
        };
        self.bench.make_service(done.child);
        self.model.processes.push(Process::new(done.child));
    }

    pub(super) fn exit(&mut self, who: usize) {
        let process = self.model.processes[who].endpoint;
        if process == self.bench.first {
            return;
        }
        let first = self.bench.first;
        if self.random.below(4) == 0 {
            let _ = self.call(first, &Exit { process, reserved: 0 }, Err(Errno::Inval));
        }
        let _ = self.call(first, &WillExit { process, reserved: 0 }, Ok(()));
        if self.random.below(2) == 0 {
            self.bench.system.borrow_mut().end(process);
            let _ = self.call(first, &Exit { process, reserved: 0 }, Ok(()));
        } else {
            let _ = self.call(first, &Exit { process, reserved: 0 }, Ok(()));
            self.bench.system.borrow_mut().end(process);
        }
        self.model.processes.remove(who);
    }

    pub(super) fn clear(&mut self, who: usize) {
        let process = self.model.processes[who].endpoint;
        let _ = self.call(self.bench.first, &Clear { process, reserved: 0 }, Ok(()));
        let old = &mut self.model.processes[who];
        *old = Process { limit: old.limit, ..Process::new(process) };
    }

    pub(super) fn update(&mut self, who: usize) {
        let other = self.random.below(self.model.processes.len() as u64) as usize;
        let [source, destination] = [who, other].map(|who| self.model.processes[who].endpoint);
        // The first one must go on to wait, and be a steward.
        if source == self.bench.first || destination == self.bench.first {
            return;
        }
        let expected = if who == other { Err(Errno::Inval) } else { Ok(()) };
        let call = Update { source, destination, flags: 0, direction: UpdateDirection::Forward };
        if self.call(self.bench.first, &call, expected).is_ok() {
            self.model.processes.swap(who, other);
            self.model.processes[who].endpoint = source;
            self.model.processes[other].endpoint = destination;
        }
    }

    pub(super) fn limit(&mut self, who: usize) {
        let process = self.model.processes[who].endpoint;
        let pages = if self.random.below(2) == 0 { UNLIMITED } else { 20 + self.random.below(60) };
        let call = SetLimits { process, reserved: 0, pages, resident: UNLIMITED };
        let _ = self.call(self.bench.first, &call, Ok(()));
        self.model.processes[who].limit = pages;
    }

    /// All that a process has is made available; what it shows is the same.
    pub(super) fn pin(&mut self, who: usize) {
        // Whether all of a file is in memory, the model does not know.
        let is_of_file = |page: &Page| matches!(page.shows, Shows::File(..) | Shows::Nothing);
        if self.model.processes[who].pages.values().any(is_of_file) {
            return;
        }
        self.model.processes[who].is_pinned = true;
        let process = self.model.processes[who].endpoint;
        let _ = self.call(self.bench.first, &Pin { process, reserved: 0 }, Ok(()));
        let pages = self.model.processes[who].pages.len() as u64;
        let usage = protocol::vm::GetUsage { process, reserved: 0 };
        assert_eq!(self.bench.call(self.bench.first, &usage).map(|usage| usage.resident), Ok(pages));
    }
}
