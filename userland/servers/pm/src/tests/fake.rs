//! The kernel and the memory server, as far as the process manager needs them.

use crate::Port;
use abi::boot::{BootEntry, BootFlags};
use abi::{Endpoint, Errno, Kind, Message};
use abi::{PrivilegeId, Signal};
use protocol::getinfo::*;
use protocol::kernel::*;
use protocol::{Call, Transport};
use protocol::{trace, vm};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::vec::Vec;

/// A boot program: its name and flags.
pub(super) type Program = (&'static str, BootFlags);

/// What usually starts. A file is among them, and takes no slot.
pub(super) const USUAL: &[Program] = &[
    ("pm", BootFlags::SERVED),
    ("init", BootFlags::SERVED),
    ("hello", BootFlags::SERVED),
    ("vm", BootFlags::PAGER),
    ("rs", BootFlags::ROOT),
    ("policy", BootFlags::FILE),
];

/// The same with a file server.
pub(super) const WITH_FILES: &[Program] = &[
    ("pm", BootFlags::SERVED),
    ("init", BootFlags::SERVED),
    ("hello", BootFlags::SERVED),
    ("vm", BootFlags::PAGER),
    ("rs", BootFlags::ROOT),
    ("vfs", BootFlags::SERVED),
];

/// The file server there.
pub(super) const FILES: Endpoint = Endpoint::from_raw(5);

/// The same with two users, and no first one.
pub(super) const WITH_USERS: &[Program] = &[
    ("pm", BootFlags::SERVED),
    ("ping", BootFlags::SERVED),
    ("hello", BootFlags::SERVED),
    ("vm", BootFlags::PAGER),
    ("rs", BootFlags::ROOT),
    ("pong", BootFlags::SERVED),
];

/// Those of the boot programs that are no services.
const USERS: &[&str] = &["init", "ping", "pong"];

/// The endpoint of a boot program.
pub(super) fn boot(name: &str) -> Endpoint {
    let slot = USUAL.iter().position(|(other, _)| *other == name).expect("there is such a program");
    Endpoint::new(slot, 0).expect("it has a slot")
}

/// A process, as kernel and memory server know it.
#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) endpoint: Endpoint,
    name: [u8; 16],
    /// It waits for an answer of the process manager: the tag of its call.
    pub(super) waits: Option<u16>,
    /// The answer that it has got.
    answer: Option<Message>,
    /// It waits for another service.
    pub(super) elsewhere: bool,
    /// It is about to send.
    pub(super) sends: bool,
    /// Its manager wants to know when it has sent.
    delayed: bool,
    /// It was told to stand.
    pub(super) held: bool,
    /// Its tracer has stopped it.
    pub(super) traced: bool,
    /// Signals that nobody has taken, a bit each.
    pub(super) signals: u64,
    /// Signals were taken, and not ended.
    pub(super) taken: bool,
    /// Its stack takes no frames.
    pub(super) has_no_stack: bool,
    /// The handlers that it is in, with the masks that they go back to.
    pub(super) handlers: Vec<(u32, u64)>,
    /// How often each handler was called.
    pub(super) called: BTreeMap<u32, u64>,
    /// Programs that it has got.
    pub(super) programs: Vec<u64>,
    /// What it was traced for.
    pub(super) traced_for: Vec<Kind>,
    /// Timer ticks that it has run.
    pub(super) user: u64,
    /// Timer ticks for it.
    pub(super) system: u64,
    /// Its privileges.
    privileges: u32,
}

/// All there is.
#[derive(Debug)]
pub(super) struct World {
    programs: &'static [Program],
    processes: BTreeMap<usize, Process>,
    generations: Vec<u32>,
    next_tag: u16,
    /// Calls of this kind fail.
    pub(super) denies: Option<(Kind, Errno)>,
    /// Messages to the file server.
    pub(super) told: Vec<Message>,
    /// Signals that went to services.
    pub(super) killed: Vec<(Endpoint, u32)>,
    /// Ticks since boot.
    pub(super) now: u64,
    /// When the alarm comes.
    pub(super) alarm: Option<u64>,
    /// Why the system has ended.
    pub(super) failed: Option<std::string::String>,
    /// Whose manager the process manager is among the services.
    pub(super) managed: Option<Endpoint>,
    /// Whether it manages users.
    pub(super) manages_users: bool,
}

impl World {
    pub(super) fn new(programs: &'static [Program]) -> Self {
        let mut world = Self {
            programs,
            processes: BTreeMap::new(),
            generations: std::vec![0; Endpoint::SLOTS],
            next_tag: 0,
            denies: None,
            told: Vec::new(),
            killed: Vec::new(),
            now: 1000,
            alarm: None,
            failed: None,
            managed: None,
            manages_users: true,
        };
        for (slot, (name, flags)) in programs.iter().enumerate() {
            if !flags.contains(BootFlags::FILE) {
                let own = PrivilegeId::of_boot_program(slot).expect("there are few");
                let id = if USERS.contains(name) { PrivilegeId::USER } else { own };
                let (name, privileges) = (BootEntry::encode_name(name).expect("a good name"), id.index() as u32);
                let endpoint = Endpoint::new(slot, 0).expect("a slot");
                world.add(slot, Process { name, endpoint, privileges, ..Process::default() });
            }
        }
        world
    }

    fn add(&mut self, slot: usize, process: Process) {
        assert!(self.processes.insert(slot, process).is_none(), "slot {slot} is taken");
    }

    /// How many processes there are.
    pub(super) fn len(&self) -> usize {
        self.processes.len()
    }

    /// All processes.
    pub(super) fn endpoints(&self) -> Vec<Endpoint> {
        self.processes.values().map(|process| process.endpoint).collect()
    }

    pub(super) fn find(&self, endpoint: Endpoint) -> Option<&Process> {
        self.processes.get(&endpoint.slot()).filter(|process| process.endpoint == endpoint)
    }

    pub(super) fn get(&mut self, endpoint: Endpoint) -> Result<&mut Process, Errno> {
        self.processes.get_mut(&endpoint.slot()).filter(|process| process.endpoint == endpoint).ok_or(Errno::Inval)
    }

    /// Somebody sends a request, and waits.
    pub(super) fn asks(&mut self, who: Endpoint, request: &Message) -> Message {
        self.next_tag = self.next_tag.wrapping_add(1);
        let tag = self.next_tag;
        let process = self.get(who).expect("it lives");
        assert!(process.runs(), "{who} does not run: {process:?}");
        process.waits = Some(tag);
        Message { peer: who, tag, ..*request }
    }

    /// It is answered.
    pub(super) fn is_answered(&mut self, reply: &Message) {
        let Ok(process) = self.get(reply.peer) else { return };
        assert_eq!(process.waits, Some(reply.tag), "{} waits for no such answer", reply.peer);
        process.waits = None;
        process.answer = Some(*reply);
    }

    pub(super) fn take_answer(&mut self, who: Endpoint) -> Option<Message> {
        self.get(who).ok()?.answer.take()
    }

    /// A process is gone, without the process manager.
    pub(super) fn vanish(&mut self, who: Endpoint) {
        self.processes.remove(&who.slot());
    }

    /// A process is made in a slot.
    fn make(&mut self, parent: Endpoint, slot: u32) -> Result<Endpoint, Errno> {
        let parent = self.find(parent).ok_or(Errno::Srch)?.clone();
        let slot = slot as usize;
        if parent.waits.is_none() || self.processes.contains_key(&slot) || slot >= Endpoint::SLOTS {
            return Err(Errno::Inval);
        }
        let endpoint = Endpoint::new(slot, self.generations[slot]).expect("a slot").next_generation();
        self.generations[slot] = endpoint.generation();
        // Its handlers are on its own stack.
        let Process { name, waits, handlers, privileges, .. } = parent;
        self.add(slot, Process { name, endpoint, waits, handlers, privileges, ..Process::default() });
        Ok(endpoint)
    }

    fn answer(&mut self, m: &Message) -> Message {
        if let Some((_, errno)) = self.denies.filter(|(kind, _)| *kind == m.kind) {
            return protocol::reply::<u64>(m, Err(errno));
        }
        match m.kind {
            GetBootPolicy::KIND => serve(m, |call: GetBootPolicy| self.policy(call.index)),
            GetProcess::KIND => serve(m, |call: GetProcess| self.info(call.slot)),
            GetMachine::KIND => serve(m, |_: GetMachine| Ok(MachineInfo { cpus: 1, hz: 100, uptime: 0, boot_time: 0 })),
            GetPrivileges::KIND => serve(m, |call: GetPrivileges| Ok(self.privileges(call.id))),
            GetCpuTime::KIND => serve(m, |call: GetCpuTime| {
                let Process { user, system, .. } = *self.get(call.process)?;
                Ok(CpuTime { user, system, cycles: 0 })
            }),
            WhoAmI::KIND => serve(m, |_: WhoAmI| {
                let slot = self.programs.iter().position(|(name, _)| *name == "pm").expect("it is there");
                Ok(Identity { name: [0; 16], endpoint: Endpoint::new(slot, 0).expect("a slot"), root: Endpoint::NONE })
            }),
            Times::KIND => serve(m, |_: Times| Ok(Uptime { ticks: self.now, hz: 100 })),
            SetAlarm::KIND => serve(m, |call: SetAlarm| {
                self.alarm = (call.ticks != 0).then_some(call.ticks);
                assert!(call.ticks == 0 || call.absolute != 0 && call.ticks > self.now);
                Ok(AlarmSet { left: 0, now: self.now })
            }),
            Clear::KIND => serve(m, |call: Clear| {
                self.get(call.process)?;
                self.processes.remove(&call.process.slot());
                Ok(Cleared {})
            }),
            SchedCtl::KIND => serve(m, |call: SchedCtl| self.get(call.process).map(|_| SchedCtlDone {})),
            Exec::KIND => serve(m, |call: Exec| {
                let process = self.get(call.process)?;
                process.programs.push(call.entry);
                (process.waits, process.elsewhere, process.name) = (None, false, call.name);
                process.handlers.clear();
                Ok(Executed {})
            }),
            vm::Fork::KIND => serve(m, |call: vm::Fork| {
                self.make(call.parent, call.slot).map(|child| vm::ForkDone { child, reserved: 0 })
            }),
            vm::Spawn::KIND => serve(m, |call: vm::Spawn| {
                self.make(call.parent, call.slot).map(|child| vm::SpawnDone { child, reserved: 0 })
            }),
            vm::WillExit::KIND => serve(m, |call: vm::WillExit| {
                self.get(call.process).map_err(|_| Errno::Srch).map(|_| vm::WillExitDone {})
            }),
            vm::Exit::KIND => serve(m, |_: vm::Exit| Ok(vm::ExitDone {})),
            _ => self.answer_about_signals(m),
        }
    }

    fn answer_about_signals(&mut self, m: &Message) -> Message {
        match m.kind {
            RunCtl::KIND => serve(m, |call: RunCtl| {
                let process = self.get(call.process)?;
                match call.action {
                    RunAction::StopAfterSend if process.sends => {
                        process.delayed = true;
                        return Err(Errno::Busy);
                    }
                    RunAction::Stop | RunAction::StopAfterSend => process.held = true,
                    RunAction::Resume if !process.held => return Err(Errno::Inval),
                    RunAction::Resume => process.held = false,
                }
                Ok(RunCtlDone {})
            }),
            Kill::KIND => serve(m, |call: Kill| {
                self.get(call.process)?;
                self.killed.push((call.process, call.signal));
                Ok(Killed {})
            }),
            GetKSig::KIND => serve(m, |_: GetKSig| {
                let next = self.processes.values_mut().find(|process| process.signals != 0);
                let Some(process) = next else {
                    return Ok(KSig { process: Endpoint::NONE, reserved: 0, signals: 0 });
                };
                process.taken = true;
                let signals = core::mem::take(&mut process.signals);
                Ok(KSig { process: process.endpoint, reserved: 0, signals })
            }),
            EndKSig::KIND => serve(m, |call: EndKSig| {
                let process = self.get(call.process)?;
                if !core::mem::take(&mut process.taken) { Err(Errno::Inval) } else { Ok(EndedKSig {}) }
            }),
            SigSend::KIND => serve(m, |call: SigSend| {
                let process = self.get(call.process)?;
                if !process.is_idle() {
                    return Err(Errno::Busy);
                }
                if process.has_no_stack {
                    return Err(Errno::Fault);
                }
                process.handlers.push((call.signal, call.mask));
                *process.called.entry(call.signal).or_default() += 1;
                Ok(SigSent { frame: process.handlers.len() as u64 })
            }),
            SigReturn::KIND => serve(m, |call: SigReturn| {
                let process = self.get(call.process)?;
                if !process.is_idle() {
                    return Err(Errno::Busy);
                }
                if call.frame != process.handlers.len() as u64 {
                    return Err(Errno::Inval);
                }
                let (_, mask) = process.handlers.pop().ok_or(Errno::Inval)?;
                Ok(SigReturned { mask })
            }),
            trace::Stop::KIND => serve(m, |call: trace::Stop| {
                self.get(call.process)?.traced = true;
                Ok(trace::Stopped {})
            }),
            trace::Resume::KIND => {
                serve(m, |call: trace::Resume| self.trace(call.process, m).map(|()| trace::Resumed {}))
            }
            trace::Detach::KIND => {
                serve(m, |call: trace::Detach| self.trace(call.process, m).map(|()| trace::Detached {}))
            }
            trace::Step::KIND => serve(m, |call: trace::Step| self.trace(call.process, m).map(|()| trace::Stepped {})),
            trace::UntilTrap::KIND => {
                serve(m, |call: trace::UntilTrap| self.trace(call.process, m).map(|()| trace::TrapAwaited {}))
            }
            trace::Peek::KIND => serve(m, |call: trace::Peek| {
                self.get(call.process)?;
                let mut bytes = [0; trace::MAX_PEEK];
                bytes[..8].copy_from_slice(&(!call.address).to_le_bytes());
                Ok(trace::Peeked { bytes })
            }),
            trace::Poke::KIND => serve(m, |call: trace::Poke| {
                self.get(call.process)?;
                if call.address == 0 { Err(Errno::Fault) } else { Ok(trace::Poked {}) }
            }),
            trace::GetRegister::KIND => serve(m, |call: trace::GetRegister| {
                self.get(call.process)?;
                if call.index > 17 { Err(Errno::Fault) } else { Ok(trace::Register { value: call.index.into() }) }
            }),
            kind => panic!("{kind:?} is a call that is not expected"),
        }
    }

    fn trace(&mut self, process: Endpoint, m: &Message) -> Result<(), Errno> {
        let process = self.get(process)?;
        process.traced_for.push(m.kind);
        if core::mem::take(&mut process.traced) { Ok(()) } else { Err(Errno::Inval) }
    }

    fn privileges(&self, id: u64) -> PrivilegesInfo {
        let managed = self.managed.and_then(|process| self.find(process)).map(|process| u64::from(process.privileges));
        let is_managed = managed == Some(id) || self.manages_users && id == PrivilegeId::USER.index() as u64;
        let manager = if is_managed { "pm" } else { "rs" };
        let slot = self.programs.iter().position(|(name, _)| *name == manager).expect("it is there");
        let manager = Endpoint::new(slot, 0).expect("a slot");
        let nobody = Endpoint::NONE;
        PrivilegesInfo { sends: 0, calls: 0, traps: 0, flags: 0, owner: nobody, manager, backup: nobody, init_flags: 0 }
    }

    fn policy(&self, index: u64) -> Result<BootPolicy, Errno> {
        let (_, flags) = self.programs.get(index as usize).ok_or(Errno::Dom)?;
        let endpoint = Endpoint::new(index as usize, 0).expect("a slot");
        let flags = flags.bits();
        Ok(BootPolicy { sends: 0, calls: 0, traps: 0, priority: 0, flags, cpu: 0, endpoint, memory: 0 })
    }

    fn info(&self, slot: u64) -> Result<ProcessInfo, Errno> {
        let process = self.processes.get(&(slot as usize)).ok_or(Errno::Srch)?;
        let nobody = Endpoint::NONE;
        Ok(ProcessInfo {
            name: process.name,
            flags: 0,
            endpoint: process.endpoint,
            waits_for: nobody,
            scheduler: nobody,
            privilege_id: process.privileges,
            cpu: 0,
            priority: 0,
            cycles: 0,
        })
    }
}

impl Default for Process {
    fn default() -> Self {
        Self {
            endpoint: Endpoint::NONE,
            name: [0; 16],
            waits: None,
            answer: None,
            elsewhere: false,
            sends: false,
            delayed: false,
            held: false,
            traced: false,
            signals: 0,
            taken: false,
            has_no_stack: false,
            handlers: Vec::new(),
            called: BTreeMap::new(),
            programs: Vec::new(),
            traced_for: Vec::new(),
            user: 0,
            system: 0,
            privileges: 0,
        }
    }
}

impl Process {
    /// It is stopped.
    fn stands(&self) -> bool {
        self.held || self.traced || self.taken || self.signals != 0
    }

    /// Its registers are its own, and it does not run.
    fn is_idle(&self) -> bool {
        self.stands() && self.waits.is_none() && !self.elsewhere && !self.sends
    }

    /// It runs.
    pub(super) fn runs(&self) -> bool {
        !self.stands() && self.waits.is_none() && !self.elsewhere && !self.sends
    }

    /// What it sent has been received. Whether its manager is told.
    pub(super) fn has_sent(&mut self) {
        self.sends = false;
        if core::mem::take(&mut self.delayed) {
            self.signals |= Signal::SEND_DONE.bit();
        }
    }
}

fn serve<C: Call>(request: &Message, act: impl FnOnce(C) -> Result<C::Reply, Errno>) -> Message {
    match protocol::decode::<C>(request).and_then(act) {
        Ok(reply) => protocol::reply(request, Ok(&reply)),
        Err(error) => protocol::reply::<u64>(request, Err(error)),
    }
}

/// Carries messages there.
#[derive(Clone, Copy)]
pub(super) struct Wire<'w>(pub(super) &'w RefCell<World>);

impl Transport for Wire<'_> {
    fn sendrec(&mut self, _: Endpoint, message: &mut Message) -> Result<(), Errno> {
        *message = self.0.borrow_mut().answer(message);
        Ok(())
    }
}

impl Port for Wire<'_> {
    fn answer(&mut self, reply: &Message) {
        self.0.borrow_mut().is_answered(reply);
    }

    fn tell(&mut self, message: &Message) -> Result<(), Errno> {
        self.0.borrow_mut().told.push(*message);
        Ok(())
    }

    fn log(&mut self, line: core::fmt::Arguments<'_>) {
        std::eprintln!("{line}");
    }

    fn fail(&mut self, why: &str) {
        self.0.borrow_mut().failed = Some(why.into());
    }
}
