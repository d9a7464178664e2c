//! The kernel and the memory server, as far as the process manager needs them.

use crate::Port;
use abi::boot::{BootEntry, BootFlags};
use abi::{Endpoint, Errno, Kind, Message};
use protocol::getinfo::{BootPolicy, GetBootPolicy, GetMachine, GetProcess, MachineInfo, ProcessInfo};
use protocol::kernel::Clear;
use protocol::vm::{Exit, ExitDone, Spawn, SpawnDone, WillExit, WillExitDone};
use protocol::{Call, Transport};
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
    /// The memory server knows it, and that it is going to end.
    memory: Option<bool>,
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
        };
        for (slot, (name, flags)) in programs.iter().enumerate() {
            if !flags.contains(BootFlags::FILE) {
                let name = BootEntry::encode_name(name).expect("a good name");
                world.add(slot, Process::new(Endpoint::new(slot, 0).expect("a slot"), name));
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
        assert_eq!(process.waits, None, "{who} waits already");
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
        self.add(slot, Process { endpoint, memory: Some(false), answer: None, ..parent });
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
            Clear::KIND => serve(m, |call: Clear| {
                self.get(call.process)?;
                self.processes.remove(&call.process.slot());
                Ok(protocol::kernel::Cleared {})
            }),
            Spawn::KIND => {
                serve(m, |call: Spawn| self.make(call.parent, call.slot).map(|child| SpawnDone { child, reserved: 0 }))
            }
            WillExit::KIND => serve(m, |call: WillExit| {
                self.get(call.process).map_err(|_| Errno::Srch)?.memory = Some(true);
                Ok(WillExitDone {})
            }),
            Exit::KIND => serve(m, |_: Exit| Ok(ExitDone {})),
            kind => panic!("{kind:?} is a call that is not expected"),
        }
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
            privilege_id: 0,
            cpu: 0,
            priority: 0,
            cycles: 0,
        })
    }
}

impl Process {
    fn new(endpoint: Endpoint, name: [u8; 16]) -> Self {
        Self { endpoint, name, waits: None, answer: None, memory: Some(false) }
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
}
