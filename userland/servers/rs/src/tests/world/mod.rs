//! Everything around the root system process, as a small state machine: the kernel with its processes, the process manager, the memory
//! server and the data store. What a service does is said by the tests: see [`super::stage`].

mod kernel;
mod plan;
mod servers;

pub(crate) use kernel::Process;
pub(crate) use plan::{BOSS, Plan, name_of};

use super::*;
use protocol::kernel::UpdateDirection;
use std::collections::{BTreeMap, BTreeSet};
use std::string::String;
use std::vec::Vec;

/// Timer ticks in a second.
const HZ: u64 = 60;

/// What is no message to a server, as it stands in [`Fault::what`].
pub(crate) const LOAD: Kind = Kind(0x7f01);
/// The same for asynchronous messages.
pub(crate) const TELL: Kind = Kind(0x7f02);
/// And for the first notification of the memory server.
pub(crate) const READY: Kind = Kind::NOTIFY;

/// Calls that fail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// Of this kind.
    pub(crate) what: Kind,
    /// So many come through before.
    pub(crate) after: u32,
    /// So many fail.
    pub(crate) times: u32,
    pub(crate) error: Errno,
}

/// The state of the world.
pub(crate) struct World {
    pub(crate) root: Endpoint,
    pub(crate) plan: Plan,
    pub(crate) table: Vec<(Name, BootPolicy)>,
    pub(crate) processes: BTreeMap<Endpoint, Process>,
    /// Users of the boot table.
    pub(crate) users_of_table: BTreeSet<Endpoint>,
    /// The privileges that users share.
    pub(crate) users: Option<PrivilegeSpec>,
    /// The generation of the next process in a slot.
    next: BTreeMap<usize, u32>,
    serial: u32,
    last_pid: u32,
    /// Processes that the process manager knows.
    pub(crate) pids: BTreeMap<Endpoint, u32>,
    /// Whose each of them is.
    pub(crate) uids: BTreeMap<Endpoint, u32>,
    /// Processes that have memory, and whether they are ending.
    pub(crate) memory: BTreeMap<Endpoint, bool>,
    pub(crate) labels: BTreeMap<String, Endpoint>,
    /// What processes let the root system process read.
    pub(crate) granted: BTreeMap<(Endpoint, u64), Vec<u8>>,
    /// What was denied to whom and nobody has asked about.
    pub(crate) denials: Vec<protocol::getinfo::Denial>,
    /// The same of calls of the memory server.
    pub(crate) refusals: Vec<protocol::vm::Refusal>,
    /// Entries of the table of services that everybody sees.
    pub(crate) shown: BTreeMap<usize, ServiceEntry>,
    pub(crate) faults: Vec<Fault>,
    /// Programs that were not ended because a fault was in the way.
    pub(crate) kept_by_fault: BTreeSet<u32>,
    /// Kinds of calls that have failed by a fault.
    pub(crate) failed: Vec<Kind>,
    pub(crate) is_armed: bool,
    /// Who was allowed to run, in order.
    pub(crate) allowed: Vec<Endpoint>,
    /// The changes of places.
    pub(crate) swaps: Vec<UpdateDirection>,
    /// Answers by the tags of their requests.
    pub(crate) answers: BTreeMap<u16, Message>,
    pub(crate) log: Vec<String>,
}

impl World {
    pub(crate) fn of(plan: Plan) -> Self {
        let table = plan.table();
        let mut world = Self {
            root: Endpoint::NONE,
            plan,
            table,
            processes: BTreeMap::new(),
            users_of_table: BTreeSet::new(),
            users: None,
            next: BTreeMap::new(),
            serial: 0,
            last_pid: 100,
            pids: BTreeMap::new(),
            uids: BTreeMap::new(),
            granted: BTreeMap::new(),
            memory: BTreeMap::new(),
            labels: BTreeMap::new(),
            denials: Vec::new(),
            refusals: Vec::new(),
            shown: BTreeMap::new(),
            faults: Vec::new(),
            kept_by_fault: BTreeSet::new(),
            failed: Vec::new(),
            is_armed: false,
            allowed: Vec::new(),
            swaps: Vec::new(),
            answers: BTreeMap::new(),
            log: Vec::new(),
        };
        for (name, policy) in world.table.clone() {
            if policy.endpoint != Endpoint::NONE {
                world.boots(name, &policy);
            }
        }
        world
    }

    /// A program of the boot table is there.
    fn boots(&mut self, name: Name, policy: &BootPolicy) {
        let (endpoint, flags) = (policy.endpoint, BootFlags::from_bits(policy.flags).expect("flags"));
        self.serial += 1;
        let mut process = Process::new(self.serial, None, Some(name));
        if flags.contains(BootFlags::ROOT) {
            self.root = endpoint;
            process.program.is_allowed = true;
            process.id = PrivilegeId::of_boot_program(endpoint.slot());
        }
        if flags.contains(BootFlags::SERVED) {
            self.memory.insert(endpoint, false);
        }
        if name.text() == "user" {
            self.users_of_table.insert(endpoint);
        }
        self.last_pid += 1;
        self.pids.insert(endpoint, self.last_pid);
        self.uids.insert(endpoint, 0);
        self.processes.insert(endpoint, process);
    }

    /// The next fault for a call, if it has one. `about` is whom it is to end.
    fn fault(&mut self, kind: Kind, about: Option<Endpoint>) -> Result<(), Errno> {
        let Some(at) = self.faults.iter().position(|fault| fault.what == kind) else {
            return Ok(());
        };
        let fault = &mut self.faults[at];
        if fault.after > 0 {
            fault.after -= 1;
            return Ok(());
        }
        let error = fault.error;
        fault.times -= 1;
        if fault.times == 0 {
            self.faults.remove(at);
        }
        self.failed.push(kind);
        let program = about.and_then(|endpoint| self.processes.get(&endpoint)).map(|process| process.program.serial);
        self.kept_by_fault.extend(program);
        Err(error)
    }

    /// Calls of a kind fail from now on, so many times.
    pub(crate) fn fail(&mut self, kind: Kind, times: u32, error: Errno) {
        self.faults.push(Fault { what: kind, after: 0, times, error });
    }

    /// An answer reaches whoever waits for it; whoever has died needs none.
    fn deliver(&mut self, answer: &Message) {
        let Some(process) = self.processes.get_mut(&answer.peer) else {
            return;
        };
        match process.program.asks {
            Some(tag) if tag == answer.tag => {
                process.program.asks = None;
                let before = self.answers.insert(tag, *answer);
                assert!(before.is_none(), "request {tag} is answered twice");
            }
            Some(tag) => panic!("{} waits for the answer to {tag}, and gets that to {}", answer.peer, answer.tag),
            None => {}
        }
    }
}

/// The world as the root system process reaches it.
pub(crate) struct Shared(pub(crate) RefCell<World>);

impl Shared {
    pub(crate) fn new(plan: Plan) -> Self {
        Self(RefCell::new(World::of(plan)))
    }
}

impl Transport for &Shared {
    fn sendrec(&mut self, to: Endpoint, message: &mut Message) -> Result<(), Errno> {
        let mut world = self.0.borrow_mut();
        let about = match message.kind {
            Clear::KIND => protocol::decode::<Clear>(message).ok().map(|call| call.process),
            protocol::pm::SrvExit::KIND => {
                protocol::decode::<protocol::pm::SrvExit>(message).ok().map(|call| call.process)
            }
            _ => None,
        };
        if let Err(error) = world.fault(message.kind, about) {
            *message = protocol::reply::<u64>(message, Err(error));
            return Ok(());
        }
        *message = if to == Endpoint::SYSTEM { world.kernel(message) } else { world.server(to, message)? };
        Ok(())
    }
}

impl Servers for &Shared {
    fn wait_until_ready(&mut self, server: Endpoint) -> Result<(), Errno> {
        let mut world = self.0.borrow_mut();
        world.fault(READY, None)?;
        assert!(world.processes[&server].program.runs());
        Ok(())
    }

    fn boot_file(&mut self, place: u64) -> Result<&'static [u8], Errno> {
        let mut world = self.0.borrow_mut();
        world.fault(protocol::vm::TakeBootFile::KIND, None)?;
        Ok(world.plan.file(place))
    }

    fn read(&mut self, granter: Endpoint, grant: GrantId, into: &mut [u8]) -> Result<(), Errno> {
        let world = self.0.borrow();
        let text = world.granted.get(&(granter, grant.raw())).ok_or(Errno::Perm)?;
        into.copy_from_slice(text.get(..into.len()).ok_or(Errno::Perm)?);
        Ok(())
    }

    fn load(
        &mut self,
        vm: Endpoint,
        process: Endpoint,
        name: &Name,
        image: &[u8],
        arguments: &Arguments,
    ) -> Result<(), Errno> {
        let mut world = self.0.borrow_mut();
        world.fault(LOAD, None)?;
        if !world.processes.get(&vm).is_some_and(|server| server.program.runs()) {
            return Err(Errno::Locked);
        }
        assert_eq!(image, name.text().as_bytes(), "every program has its own file");
        let program = &mut world.process(process)?.program;
        assert!(!program.is_allowed, "nobody is given a program while it runs");
        (program.name, program.arguments) = (Some(*name), *arguments);
        Ok(())
    }

    fn tell(&mut self, message: &Message) -> Result<(), Errno> {
        let mut world = self.0.borrow_mut();
        world.fault(TELL, None)?;
        if let Ok(process) = world.process(message.peer) {
            process.told.push(*message);
        }
        Ok(())
    }

    fn answer(&mut self, answer: &Message) {
        self.0.borrow_mut().deliver(answer);
    }

    fn notify(&mut self, to: Endpoint) {
        if let Ok(process) = self.0.borrow_mut().process(to) {
            process.is_pinged = true;
        }
    }

    fn show(&mut self, place: usize, entry: &ServiceEntry) {
        self.0.borrow_mut().shown.insert(place, *entry);
    }

    fn table_grant(&mut self) -> GrantId {
        GrantId::from_raw(77)
    }

    fn log(&mut self, line: fmt::Arguments<'_>) {
        self.0.borrow_mut().log.push(std::format!("{line}"));
    }
}
