//! The kernel of the world: processes, privileges, signals.

use super::*;
use protocol::getinfo::TakeDenial;
use protocol::kernel::{AlarmSet, BootProgram, GetBootEntry};
use protocol::kernel::{KEEP, Kill, Killed, SchedCtl, SchedCtlDone, SetAlarm, Times, UpdateDirection, Uptime};
use protocol::privctl::*;

/// What is at an endpoint, whichever program runs there.
#[derive(Debug)]
pub(crate) struct Process {
    /// Of its privileges; `None` for who has no rights of its own.
    pub(crate) id: Option<PrivilegeId>,
    /// The root system process has notified it.
    pub(crate) is_pinged: bool,
    /// What the root system process has told it.
    pub(crate) told: Vec<Message>,
    pub(crate) program: Program,
}

/// What goes on under another endpoint when two processes change places.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// No two programs have the same.
    pub(crate) serial: u32,
    /// What it was loaded with.
    pub(crate) name: Option<Name>,
    pub(crate) arguments: Arguments,
    pub(crate) spec: PrivilegeSpec,
    pub(crate) is_allowed: bool,
    /// Raised for it, and not told.
    pub(crate) signals: u64,
    /// By a signal that has not been dealt with.
    pub(crate) is_stopped: bool,
    /// It waits until somebody takes its message.
    pub(crate) sends: bool,
    /// The tag of the request that the root system process has not answered.
    pub(crate) asks: Option<u16>,
}

impl Program {
    /// Whether it does something, if only waiting.
    pub(crate) fn runs(&self) -> bool {
        self.is_allowed && !self.is_stopped
    }
}

impl Process {
    pub(crate) fn new(serial: u32, id: Option<PrivilegeId>, name: Option<Name>) -> Self {
        let spec = no_rights(Endpoint::NONE);
        let program = Program {
            serial,
            name,
            arguments: Arguments::NONE,
            spec,
            is_allowed: false,
            signals: 0,
            is_stopped: false,
            sends: false,
            asks: None,
        };
        Self { id, is_pinged: false, told: Vec::new(), program }
    }
}

impl World {
    pub(crate) fn process(&mut self, endpoint: Endpoint) -> Result<&mut Process, Errno> {
        self.processes.get_mut(&endpoint).ok_or(Errno::Inval)
    }

    fn service(&mut self, endpoint: Endpoint) -> Result<&mut Process, Errno> {
        self.process(endpoint).and_then(|process| if process.id.is_some() { Ok(process) } else { Err(Errno::Perm) })
    }

    /// The answer to a kernel call.
    pub(super) fn kernel(&mut self, m: &Message) -> Message {
        match m.kind {
            WhoAmI::KIND => serve(m, |_: WhoAmI| Ok(Identity { name: [0; 16], endpoint: self.root, root: self.root })),
            GetBootPolicy::KIND => serve(m, |call: GetBootPolicy| {
                self.table.get(call.index as usize).map(|(_, policy)| *policy).ok_or(Errno::Dom)
            }),
            GetBootEntry::KIND => serve(m, |call: GetBootEntry| {
                let (name, policy) = self.table.get(call.index as usize).ok_or(Errno::Dom)?;
                Ok(BootProgram { name: name.0, endpoint: policy.endpoint, reserved: 0 })
            }),
            Times::KIND => serve(m, |_: Times| Ok(Uptime { ticks: 5, hz: HZ })),
            SetAlarm::KIND => serve(m, |call: SetAlarm| {
                assert_eq!((call.ticks, call.absolute), (HZ, 0));
                self.is_armed = true;
                Ok(AlarmSet { left: 0, now: 5 })
            }),
            SchedCtl::KIND => serve(m, |call: SchedCtl| {
                self.process(call.process)?;
                if call.cpu > 0 && call.cpu != KEEP { Err(Errno::BadCpu) } else { Ok(SchedCtlDone {}) }
            }),
            Clear::KIND => serve(m, |call: Clear| self.clear(call.process).map(|()| Cleared {})),
            Kill::KIND => serve(m, |call: Kill| {
                let signal = Signal::from_user(call.signal).ok_or(Errno::Inval)?;
                self.raise(call.process, signal).map(|()| Killed {})
            }),
            GetKSig::KIND => serve(m, |_: GetKSig| Ok(self.take_signals())),
            EndKSig::KIND => serve(m, |call: EndKSig| {
                let root = self.root;
                if self.manager(call.process) != Some(root) {
                    return Err(Errno::Perm);
                }
                let program = &mut self.process(call.process)?.program;
                if !program.is_stopped {
                    return Err(Errno::Inval);
                }
                program.is_stopped = program.signals != 0;
                Ok(EndedKSig {})
            }),
            TakeDenial::KIND => serve(m, |_: TakeDenial| self.denials.pop().ok_or(Errno::Srch)),
            _ => self.privileges(m),
        }
    }

    fn privileges(&mut self, m: &Message) -> Message {
        match m.kind {
            Allow::KIND => serve(m, |call: Allow| {
                let program = &mut self.process(call.process)?.program;
                if program.is_allowed {
                    return Err(Errno::Perm);
                }
                program.is_allowed = true;
                self.allowed.push(call.process);
                Ok(Allowed {})
            }),
            Disallow::KIND => serve(m, |call: Disallow| {
                let program = &mut self.process(call.process)?.program;
                if core::mem::take(&mut program.is_allowed) { Ok(Disallowed {}) } else { Err(Errno::Perm) }
            }),
            SetSys::KIND => serve(m, |call: SetSys| self.set_sys(&call).map(|id| SysSet { id: id.index() as u32 })),
            SetUser::KIND => serve(m, |call: SetUser| {
                let process = self.process(call.process)?;
                if process.program.is_allowed {
                    return Err(Errno::Perm);
                }
                process.id = None;
                Ok(UserSet {})
            }),
            UpdateSys::KIND => serve(m, |UpdateSys { process, spec, reset_ranges }| {
                assert_eq!(reset_ranges, 0);
                let spec = self.decode(&spec)?;
                if process == Endpoint::NONE {
                    self.users = Some(spec);
                } else {
                    self.service(process)?.program.spec = spec;
                }
                Ok(SysUpdated {})
            }),
            AddIo::KIND => serve(m, |call: AddIo| self.service(call.process).map(|_| IoAdded {})),
            AddMemory::KIND => serve(m, |call: AddMemory| self.service(call.process).map(|_| MemoryAdded {})),
            AddIrq::KIND => serve(m, |call: AddIrq| self.service(call.process).map(|_| IrqAdded {})),
            ClearRefs::KIND => serve(m, |call: ClearRefs| {
                self.process(call.process)?.told.clear();
                Ok(RefsCleared {})
            }),
            other => panic!("the root system process has no use for {other:?}"),
        }
    }

    fn set_sys(&mut self, call: &SetSys) -> Result<PrivilegeId, Errno> {
        if self.process(call.process)?.program.is_allowed {
            return Err(Errno::Perm);
        }
        let spec = self.decode(&call.spec)?;
        let programs = self.table.iter().filter(|(_, policy)| policy.endpoint != Endpoint::NONE).count();
        let is_taken = |id| self.processes.values().any(|process| process.id == Some(id));
        let id = match call.id {
            DYNAMIC_ID => PrivilegeId::of_services().skip(programs).find(|id| !is_taken(*id)).ok_or(Errno::NoSpc)?,
            id => PrivilegeId::new(id).filter(|id| !is_taken(*id)).ok_or(Errno::Busy)?,
        };
        let process = self.process(call.process)?;
        (process.id, process.program.spec) = (Some(id), spec);
        Ok(id)
    }

    /// Privileges as the kernel takes them: bits of ids that nobody has are left out, and managers are services.
    fn decode(&self, spec: &PrivilegeSpec) -> Result<PrivilegeSpec, Errno> {
        let is_service = |endpoint| self.processes.get(&endpoint).is_some_and(|process| process.id.is_some());
        let manager = spec.manager == Endpoint::SELF || is_service(spec.manager);
        let backup = spec.backup == Endpoint::NONE || is_service(spec.backup);
        if !manager || !backup || spec.flags().is_none() {
            return Err(Errno::Inval);
        }
        let ids = self.processes.values().filter_map(|process| process.id);
        let taken = ids.fold(PrivilegeId::USER.bit(), |mask, id| mask | id.bit());
        Ok(PrivilegeSpec { sends: spec.sends & taken, ..*spec })
    }

    /// A process is no more, and nobody may send to its id.
    pub(super) fn clear(&mut self, endpoint: Endpoint) -> Result<(), Errno> {
        if endpoint == self.root {
            return Err(Errno::Perm);
        }
        let gone = self.processes.remove(&endpoint).ok_or(Errno::Inval)?;
        let next = endpoint.next_generation();
        self.next.insert(endpoint.slot(), next.generation());
        let bit = gone.id.map_or(0, PrivilegeId::bit);
        self.processes.values_mut().for_each(|process| process.program.spec.sends &= !bit);
        Ok(())
    }

    /// Raises a signal: the process stops.
    pub(crate) fn raise(&mut self, endpoint: Endpoint, signal: Signal) -> Result<(), Errno> {
        if endpoint == self.root {
            return Err(Errno::Perm);
        }
        let program = &mut self.process(endpoint)?.program;
        program.signals |= signal.bit();
        program.is_stopped = true;
        Ok(())
    }

    /// Who deals with the signals of a process: the root system process, if the one that its privileges name is dead.
    pub(crate) fn manager(&self, endpoint: Endpoint) -> Option<Endpoint> {
        let process = self.processes.get(&endpoint)?;
        let spec = if process.id.is_none() { self.users } else { Some(process.program.spec) };
        let named = spec.map_or(Endpoint::NONE, |spec| spec.manager);
        let is_alive = self.processes.get(&named).is_some_and(|process| process.id.is_some());
        Some(if is_alive { named } else { self.root })
    }

    /// The first process that has signals for the root system process.
    pub(crate) fn first_signaled(&self) -> Option<Endpoint> {
        let with_signals = self.processes.iter().filter(|(_, process)| process.program.signals != 0);
        with_signals.map(|(endpoint, _)| *endpoint).find(|endpoint| self.manager(*endpoint) == Some(self.root))
    }

    pub(super) fn take_signals(&mut self) -> KSig {
        let Some(process) = self.first_signaled() else {
            return KSig { process: Endpoint::NONE, reserved: 0, signals: 0 };
        };
        let signals = self.processes.get_mut(&process).map(|it| core::mem::take(&mut it.program.signals));
        KSig { process, reserved: 0, signals: signals.unwrap_or(0) }
    }

    /// Two services change places.
    pub(super) fn swap(&mut self, a: Endpoint, b: Endpoint, direction: UpdateDirection) -> Result<(), Errno> {
        if a == b {
            return Err(Errno::Inval);
        }
        let is_still = |process: &Process| {
            let Program { asks, sends, .. } = process.program;
            !process.program.runs() || asks.is_some() && !sends
        };
        let (first, second) = (self.service(a)?, b);
        // A roll back withdraws the message.
        let may_send = direction == UpdateDirection::Rollback;
        let (first_still, first_id) = (is_still(first) && (may_send || !first.program.sends), first.id);
        let second = self.service(second)?;
        if !first_still || !is_still(second) || second.program.sends {
            return Err(Errno::Busy);
        }
        let bits = [first_id, second.id].map(|id| id.map_or(0, PrivilegeId::bit));
        let mut programs = [a, b].map(|endpoint| self.processes[&endpoint].program.clone());
        programs[0].sends = false;
        // The one that comes has the rights of the one that goes.
        let sends = programs[0].spec.sends;
        programs[1].spec.sends |= sends & !bits[1];
        for (program, (own, other)) in programs.iter_mut().zip([(bits[1], bits[0]), (bits[0], bits[1])]) {
            if program.spec.sends & own != 0 {
                program.spec.sends = program.spec.sends & !own | other;
            }
        }
        for (endpoint, program) in [b, a].into_iter().zip(programs) {
            self.process(endpoint)?.program = program;
        }
        self.swaps.push(direction);
        Ok(())
    }

    /// A new process in a free slot.
    pub(super) fn spawn(&mut self) -> Endpoint {
        let is_free = |slot: &usize| !self.processes.keys().any(|endpoint| endpoint.slot() == *slot);
        let slot = (0..Endpoint::SLOTS).find(is_free).expect("a slot");
        let generation = self.next.get(&slot).copied().unwrap_or(1);
        let child = Endpoint::new(slot, generation).expect("an endpoint");
        self.serial += 1;
        self.processes.insert(child, Process::new(self.serial, None, None));
        child
    }
}
