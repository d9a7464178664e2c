//! What the kernel does, told as simply as possible: vectors that are searched, no queues and no flags that follow from others. Where
//! the kernel looks things up before it changes anything, the model may change and go back to a copy.
//!
//! It knows the first [`SLOTS`] slots and [`CPUS`] processors.

mod ask;
mod asynchronous;
mod calls;
mod death;
mod filters;
mod ipc;
mod memory;
mod privileges;
mod sched;
mod signals;
mod swap;

pub(crate) use ask::*;
use calls::Stop;
pub(crate) use calls::space_name;
pub(crate) use filters::Filter;
pub(crate) use memory::Event;
pub(crate) use privileges::*;

use crate::support::{Regs, TRAP_LEN, TestMachine};
use abi::boot::{BootEntry, NAME_LEN};
use abi::{Endpoint, Errno};
use kernel_core::{Action, Rts, Slot};

/// Slots that the model knows. More of them than boot programs, so that processes can be made.
pub(crate) const SLOTS: usize = 10;
/// Processors that run.
pub(crate) const CPUS: usize = 4;

/// A program: what goes to another slot with it when slots are swapped.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) regs: Regs,
    /// Why it does not run.
    pub(crate) rts: Rts,
    /// While it sends: to whom.
    send_to: Endpoint,
    /// While it receives: from whom.
    receive_from: Endpoint,
    /// The error that it is told with the next message.
    failed_answer: Option<Errno>,
    /// A kernel call that waits for memory.
    suspended: Option<Ask>,
    /// What the memory server has to do for it.
    pub(crate) event: Option<Event>,
    /// Its manager wants to know when it has sent its message.
    wants_send_done: bool,
    /// What it sends is the kernel's message that its time is used up.
    kernel_sends: bool,
    pub(crate) priority: u8,
    quantum: u16,
    ticks_left: u16,
    /// Ticks in which it ran, and in which a service ran instead.
    used: (u64, u64),
    /// Signals that its manager has not taken.
    signals: u64,
    /// Those that it has taken and not finished with.
    taken: u64,
    /// Number of its space.
    pub(crate) space: Option<usize>,
    name: [u8; NAME_LEN],
}

/// A slot: what stays there when its program goes.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) endpoint: Endpoint,
    /// Its privileges.
    pub(crate) id: usize,
    pub(crate) cpu: usize,
    pub(crate) scheduler: Endpoint,
    /// Something has been announced to it since it last found nothing at all.
    hears: bool,
    /// Where it goes, and how it is scheduled there, when it stops running.
    moves_to: Option<(usize, u8, u16)>,
    pub(crate) program: Program,
}

/// All there is.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) machine: TestMachine,
    pub(crate) slots: Vec<Process>,
    pub(crate) ids: Vec<Privileges>,
    /// Who could run but does not, in the order of their turns.
    pub(crate) ready: Vec<usize>,
    pub(crate) running: [Option<usize>; CPUS],
    /// Whoever runs there was stopped meanwhile: then the processor chooses again in any case.
    anew: [bool; CPUS],
    /// Of the one that runs.
    ticks_left: [u16; CPUS],
    billed: [Option<usize>; CPUS],
    /// Who waits to send, first come first.
    sending: Vec<usize>,
    /// Who waits for memory, and the memory server has not been told.
    events: Vec<usize>,
    /// By privilege id: when it goes off.
    alarms: Vec<Option<u64>>,
    pub(crate) root: Endpoint,
    pub(crate) pager: Endpoint,
    boot_programs: usize,
    /// Whether the root gets interrupts.
    has_hook: bool,
    /// What the machine must do.
    pub(crate) action: Action,
}

/// A slot, as the kernel names it.
pub(crate) fn slot(i: usize) -> Slot {
    Slot::of(Endpoint::from_raw(i as u32))
}

impl Program {
    fn none() -> Self {
        Self {
            regs: Regs::default(),
            rts: Rts::FREE,
            send_to: Endpoint::NONE,
            receive_from: Endpoint::NONE,
            failed_answer: None,
            suspended: None,
            event: None,
            wants_send_done: false,
            kernel_sends: false,
            priority: 0,
            quantum: 0,
            ticks_left: 0,
            used: (0, 0),
            signals: 0,
            taken: 0,
            space: None,
            name: [0; NAME_LEN],
        }
    }

    pub(crate) fn is(&self, rts: Rts) -> bool {
        self.rts.contains(rts)
    }

    fn name(&self) -> String {
        String::from_utf8_lossy(&self.name).trim_end_matches('\0').to_owned()
    }
}

impl Process {
    fn free(endpoint: Endpoint) -> Self {
        let program = Program::none();
        Self { endpoint, id: USER, cpu: 0, scheduler: Endpoint::NONE, hears: false, moves_to: None, program }
    }
}

impl Model {
    /// The boot programs, each in the space with the number of its slot. Only the root, at this place, can run.
    pub(crate) fn new(entries: &[BootEntry], root: usize) -> Self {
        const TURN: u16 = 5;
        let mut slots: Vec<_> = (0..SLOTS as u32).map(|slot| Process::free(Endpoint::from_raw(slot))).collect();
        for (place, (slot, entry)) in slots.iter_mut().zip(entries).enumerate() {
            slot.cpu = entry.cpu.into();
            slot.program = Program {
                rts: Rts::NO_PRIV,
                priority: entry.priority,
                quantum: TURN,
                ticks_left: TURN,
                space: Some(place),
                name: entry.name,
                ..Program::none()
            };
        }
        let mut model = Self {
            machine: TestMachine::default(),
            root: slots[root].endpoint,
            slots,
            ids: initial_privileges(),
            ready: Vec::new(),
            running: [None; CPUS],
            anew: [false; CPUS],
            ticks_left: [0; CPUS],
            billed: [None; CPUS],
            sending: Vec::new(),
            events: Vec::new(),
            alarms: vec![None; abi::PRIVILEGES],
            pager: Endpoint::NONE,
            boot_programs: entries.len(),
            has_hook: true,
            action: Action::Resume,
        };
        model.make_root(root);
        model
    }

    pub(crate) fn live(&self, endpoint: Endpoint) -> Option<usize> {
        self.slots.iter().position(|slot| slot.endpoint == endpoint && !slot.program.is(Rts::FREE))
    }

    pub(crate) fn program(&self, i: usize) -> &Program {
        &self.slots[i].program
    }

    fn program_mut(&mut self, i: usize) -> &mut Program {
        &mut self.slots[i].program
    }

    /// Whom a blocked process waits for, by name.
    pub(crate) fn waits_for(&self, i: usize) -> Option<Endpoint> {
        let p = self.program(i);
        if p.is(Rts::SENDING) {
            Some(p.send_to)
        } else if p.is(Rts::RECEIVING) {
            Some(p.receive_from)
        } else {
            None
        }
    }

    /// Whoever runs on a processor traps.
    pub(crate) fn trap(&mut self, cpu: usize, ask: &Ask, regs: Regs) {
        let Some(me) = self.running[cpu] else { return };
        self.program_mut(me).regs = regs;
        if self.program(me).rts.is_empty() {
            self.make_trap(me, ask);
        } else {
            // Another processor has stopped it: it traps again when it goes on.
            self.program_mut(me).regs.rip -= TRAP_LEN;
        }
    }

    fn make_trap(&mut self, me: usize, ask: &Ask) {
        let done = match ask {
            Ask::Unknown(_) => Err(Errno::BadCall),
            Ask::Call(call) => return self.kernel_call(me, call),
            ask => self.ipc(me, ask),
        };
        if let Err(errno) = done {
            self.program_mut(me).regs.rax = errno.to_result() as u64;
        }
    }
}
