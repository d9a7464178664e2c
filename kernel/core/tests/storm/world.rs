//! A system to storm: a root system process that mends what is broken, a memory server, services that answer as they like,
//! and users.

use crate::machine::{Computer, DEVICE};
use crate::regs::Regs;
use crate::tables::Tables;
use abi::asynchronous::MAX_ENTRIES;
use abi::boot::{BootEntry, BootFlags, MAX_PROGRAMS};
use abi::filter::{FilterElement, MAX_FILTER_ELEMENTS};
use abi::grant::{GrantEntry, GrantFlags, GrantId};
use abi::layout::{PAGE_SIZE, USER_START};
use abi::{Endpoint, Errno, Kind, Message, PRIVILEGES, PrivilegeFlags, PrivilegeId, PrivilegeSpec, TrapMask};
use kernel_core::boot::BootMemory;
use kernel_core::frames::FrameNumber;
use kernel_core::ranges::{MAX_LINES, MAX_PORT_RANGES};
use kernel_core::spaces::SPACES;
use kernel_core::tables::Access;
use kernel_core::{Action, CpuId, Kernel, Rts, SLOTS, Slot, SpaceId};
use protocol::Call;
use protocol::irqctl::SetPolicy;
use protocol::kernel::{PortValue, SafeCopy};
use protocol::privctl::{AddIo, AddIrq, AddMemory, Allow, SetSys, UpdateSys};
use std::ops::Range;
use storm::Registers;
use zerocopy::IntoBytes;

/// Processors that run.
pub(crate) const CPUS: usize = 2;
/// A program's memory that it may write.
pub(crate) const ARENA: Range<u64> = USER_START..USER_START + 8 * PAGE_SIZE;
/// Its memory that it may only read.
pub(crate) const TEXT: u64 = ARENA.end;
/// The second list there.
pub(crate) const FILTERS: u64 = TEXT + 1024;
/// Lists on a second page of that kind.
pub(crate) const GRANTS: u64 = TEXT + PAGE_SIZE;
pub(crate) const COPIES: u64 = GRANTS + 2048;
/// Where pages are mapped by call: on both sides of a border between leaf tables.
pub(crate) const WINDOW: Range<u64> = 0x403f_0000..0x4041_0000;
/// The scheduling queue of all but the root.
pub(crate) const PRIORITY: u8 = 7;

/// The programs of the boot table, by their slots.
pub(crate) const ROOT: usize = 0;
pub(crate) const VM: usize = 1;
pub(crate) const STORM: usize = 2;
pub(crate) const PEERS: Range<usize> = 3..7;
/// Programs that wait for their privileges for ever: so few ids are left for others.
const SLEEPERS: Range<usize> = 7..MAX_PROGRAMS - 6;
/// The one that the memory server should load.
const SERVED: usize = SLEEPERS.start + 4;
/// Who is made later, in slots of their own.
pub(crate) const USERS: Range<usize> = 64..68;
pub(crate) const VICTIMS: Range<usize> = 68..74;
/// The first slot that nobody has at the start.
pub(crate) const FIRST_FREE: u32 = 74;

/// The line that wakes the root.
const DOORBELL: u8 = 15;

/// What a storm may do.
#[derive(Clone, Copy)]
pub(crate) struct Rights {
    /// Kernel calls of the service that storms.
    pub(crate) service: u64,
    /// Those of users.
    pub(crate) users: u64,
    /// Those of the others.
    pub(crate) peers: u64,
    /// Traps that users may not make.
    pub(crate) users_lack: TrapMask,
    /// Of a hundred turns of a user so many are the storm's.
    pub(crate) users_storm: u64,
    /// What there is little of.
    pub(crate) scarce: Scarce,
}

/// Lendings of pages.
pub(crate) const LENDINGS: usize = 8;

/// What a system has too little of, so that what uses it up comes to its end soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scarce {
    Nothing,
    Spaces,
    /// Interrupt hooks: the memory server takes them.
    Hooks,
    /// Room for ranges of ports and for lines.
    Ranges,
    /// Answers: of the memory server, and of who is sent something.
    Answers,
}

/// Of what is scarce, so much is left.
const SPACES_LEFT: usize = 13;
const RANGES_LEFT: usize = 1;

pub(crate) struct World<'t> {
    pub(crate) kernel: Kernel<'t, Computer>,
    pub(crate) machine: Computer,
    pub(crate) rights: Rights,
}

/// The root does not get to run any more: the storm has ended the system, as it may if it has the right to.
#[derive(Debug)]
pub(crate) struct Ended;

fn program(name: &str, slot: usize) -> BootEntry {
    let flags = if slot == ROOT { BootFlags::ROOT.bits() } else { 0 };
    let priority = if slot == ROOT { 0 } else { PRIORITY };
    let name = BootEntry::encode_name(name).expect("a good name");
    BootEntry {
        name,
        size: 0,
        crc32: 0,
        traps: 0,
        sends: 0,
        calls: 0,
        priority,
        flags,
        cpu: 0,
        memory: 0,
        reserved: [0; 4],
    }
}

impl<'t> World<'t> {
    /// A system in which everybody is ready.
    pub(crate) fn new(tables: &'t mut Tables, rights: Rights) -> Self {
        let storage = tables.storage();
        let mut world = Self { kernel: Kernel::new(storage, CPUS), machine: Computer::new(), rights };
        for slot in ROOT..SLEEPERS.end {
            let entry = program("program", slot);
            let memory = world.boot_memory(slot).expect("there is memory");
            world.kernel.add_boot_program(&entry, Regs::default(), memory).expect("there is room");
        }
        world.boot().expect("nobody has stormed yet");
        match world.rights.scarce {
            Scarce::Nothing | Scarce::Answers | Scarce::Hooks => {}
            Scarce::Spaces => {
                while world.kernel.spaces.live().count() + SPACES_LEFT < SPACES {
                    world.bare_space().expect("there is memory");
                }
            }
            Scarce::Ranges => world.fill_ranges().expect("nobody has stormed yet"),
        }
        world
    }

    /// What a program has at the start.
    fn boot_memory(&mut self, slot: usize) -> Option<BootMemory> {
        match slot {
            SERVED => FrameNumber::containing(0).map(BootMemory::File),
            slot if SLEEPERS.contains(&slot) => self.bare_space().map(BootMemory::Space),
            _ => self.space().map(BootMemory::Space),
        }
    }

    /// A new space; `None` if there is no room.
    fn bare_space(&mut self) -> Option<SpaceId> {
        self.kernel.spaces.create_own(&mut self.machine).ok()
    }

    /// The same, with the memory that each program has.
    pub(crate) fn space(&mut self) -> Option<SpaceId> {
        let id = self.bare_space()?;
        for page in ARENA.step_by(PAGE_SIZE as usize) {
            self.kernel.spaces.map_new(&mut self.machine, id, page, Access::Write).ok()?;
        }
        for page in [TEXT, GRANTS] {
            self.kernel.spaces.map_new(&mut self.machine, id, page, Access::Read).ok()?;
        }
        let root = self.kernel.spaces.root(id)?;
        self.machine.load(root, TEXT, ports().as_bytes());
        self.machine.load(root, FILTERS, filters().as_bytes());
        self.machine.load(root, GRANTS, grants().as_bytes());
        self.machine.load(root, COPIES, copies().as_bytes());
        Some(id)
    }

    /// The root gives the others their privileges.
    fn boot(&mut self) -> Result<(), Ended> {
        self.machine.cpu = CpuId::BOOT;
        self.kernel.schedule(&mut self.machine, CpuId::BOOT);
        for line in [DOORBELL, 3, 4] {
            self.by_root(&AddIrq { process: Endpoint::SELF, line: line.into() })?.expect("there is room");
        }
        for bit in 0..32 {
            let line = if bit == 0 { DOORBELL } else { 3 + bit % 2 };
            self.by_root(&SetPolicy { line: line.into(), reenable: 1, bit: bit.into() })?.expect("there is room");
        }
        for slot in VM..PEERS.end {
            let id = PrivilegeId::of_boot_program(slot).expect("it is in the table").index() as u32;
            self.by_root(&SetSys { spec: self.spec(slot), process: booted(slot), id })?.expect("it waits");
        }
        self.by_root(&UpdateSys { spec: self.user_spec(), process: Endpoint::NONE, reset_ranges: 0 })?.expect("root");
        for slot in VM..PEERS.end {
            let process = booted(slot);
            // Now all of them are there to be sent to.
            self.by_root(&UpdateSys { spec: self.spec(slot), process, reset_ranges: 0 })?.expect("a service");
            self.add_hardware(process)?;
            self.by_root(&Allow { process })?.expect("it waits");
        }
        let _ = self.by_root(&AddIrq { process: booted(VM), line: 3 })?;
        self.rest()
    }

    /// Every service may use many things, each different ones.
    fn fill_ranges(&mut self) -> Result<(), Ended> {
        for slot in VM..PEERS.end {
            let process = booted(slot);
            // What it has already counts too.
            for place in 1..MAX_PORT_RANGES - RANGES_LEFT {
                let port = (slot * MAX_PORT_RANGES + place) as u16 * 8;
                self.by_root(&AddIo { process, first: port, last: port })?.expect("there is room");
            }
            for line in 0..(MAX_LINES - RANGES_LEFT) as u32 {
                let _ = self.by_root(&AddIrq { process, line: 16 + line })?;
            }
        }
        self.rest()
    }

    /// What a driver may use.
    pub(crate) fn add_hardware(&mut self, process: Endpoint) -> Result<(), Ended> {
        let _ = self.by_root(&AddIo { process, first: 0x1f0, last: 0x1f7 })?;
        let _ = self.by_root(&AddIrq { process, line: 14 })?;
        let start = (DEVICE.start + 1) * PAGE_SIZE;
        let _ = self.by_root(&AddMemory { process, reserved: 0, start, len: 4 * PAGE_SIZE })?;
        Ok(())
    }

    /// The privileges of a service.
    pub(crate) fn spec(&self, slot: usize) -> PrivilegeSpec {
        let calls = match slot {
            VM => u64::MAX,
            STORM => self.rights.service,
            _ => self.rights.peers,
        };
        let pager = if slot == VM { PrivilegeFlags::PAGER } else { PrivilegeFlags::empty() };
        PrivilegeSpec {
            // One that it may not send to.
            sends: !PrivilegeId::mask_of_boot_programs(1 << (PEERS.end - 1)),
            calls,
            flags: (PrivilegeFlags::PREEMPTIBLE | pager).bits(),
            init_flags: 0,
            traps: TrapMask::all().bits(),
            manager: if VICTIMS.contains(&slot) { booted(STORM) } else { booted(ROOT) },
            backup: if slot.is_multiple_of(2) { booted(ROOT) } else { Endpoint::NONE },
            reserved: 0,
        }
    }

    /// Those of users.
    pub(crate) fn user_spec(&self) -> PrivilegeSpec {
        let traps = TrapMask::all() - self.rights.users_lack;
        PrivilegeSpec { calls: self.rights.users, traps: traps.bits(), flags: 0, ..self.spec(USERS.start) }
    }

    /// The root makes a kernel call.
    pub(crate) fn by_root<C: Call>(&mut self, request: &C) -> Result<Result<C::Reply, Errno>, Ended> {
        self.wake_root()?;
        let message = protocol::encode(C::KIND, request);
        let slot = Slot::of(booted(ROOT));
        let made =
            Registers { rax: abi::Trap::KernelCall.rax(), rdi: 0, rsi: message.header(), rdx: 0, body: message.body };
        if self.trap(slot, &made, 0) != Action::Resume {
            return Err(Ended);
        }
        let cpu = self.machine.cpu;
        self.kernel.schedule(&mut self.machine, cpu);
        let frame = self.kernel.process(slot).frame;
        Ok(Errno::from_result(frame.rax as i64).and_then(|_| {
            let message = Message { body: frame.body, ..Message::new(Endpoint::SYSTEM, Kind::OK) };
            protocol::decode(&message)
        }))
    }

    /// Lets the root run.
    fn wake_root(&mut self) -> Result<(), Ended> {
        const PATIENCE: usize = 4;
        let slot = Slot::of(booted(ROOT));
        for _ in 0..PATIENCE {
            let p = self.kernel.process(slot);
            if p.rts() == Rts::RECEIVING {
                self.kernel.interrupt(&mut self.machine, DOORBELL);
            }
            for cpu in processors() {
                self.machine.cpu = cpu;
                if self.kernel.schedule(&mut self.machine, cpu) == Some(slot) {
                    return Ok(());
                }
            }
            self.machine.ticks += 1;
            processors().for_each(|cpu| self.kernel.tick(&mut self.machine, cpu));
        }
        Err(Ended)
    }

    /// The root takes all messages that there are, and waits for the next.
    pub(crate) fn rest(&mut self) -> Result<(), Ended> {
        /// As many as there can be: one from each sender and notifier, and whole tables of asynchronous ones.
        const MOST: usize = SLOTS + PRIVILEGES + PRIVILEGES * MAX_ENTRIES;
        let slot = Slot::of(booted(ROOT));
        for _ in 0..=MOST {
            let Some(cpu) = processors().find(|cpu| self.kernel.cpu(*cpu).current() == Some(slot)) else {
                return Ok(());
            };
            self.machine.cpu = cpu;
            let made = Registers {
                rax: abi::Trap::Receive.rax(),
                rdi: 0,
                rsi: 0,
                rdx: Endpoint::ANY.raw().into(),
                body: [0; abi::BODY_WORDS],
            };
            if self.trap(slot, &made, 0) != Action::Resume {
                return Err(Ended);
            }
            let still_runs = self.kernel.schedule(&mut self.machine, cpu) == Some(slot);
            if still_runs && self.kernel.process(slot).frame.rax != 0 {
                return Err(Ended); // It may not receive any more.
            }
        }
        panic!("there is always one more message for the root");
    }

    /// A process, which runs on the machine's processor, makes a trap: every second one finds the kernel free, and tries the
    /// fast path first.
    pub(crate) fn trap(&mut self, slot: Slot, made: &Registers, number: u64) -> Action {
        let frame = &mut self.kernel.process_mut(slot).frame;
        *frame = frame.trap(made, number);
        if number % 2 == 1
            && let Some(action) = self.fast_trap(slot)
        {
            return action;
        }
        let cpu = self.machine.cpu;
        self.kernel.trap(&mut self.machine, cpu)
    }
}

/// The processors.
pub(crate) fn processors() -> impl Iterator<Item = CpuId> {
    CpuId::all().take(CPUS)
}

/// Accesses to ports that drivers may make.
fn ports() -> [PortValue; 64] {
    core::array::from_fn(|i| PortValue { port: 0x1f0 + 4 * (i as u32 % 2), value: i as u32 })
}

/// Grants to anybody: of memory that is there, of some that is not, and of what others have granted. The fifth is a chain
/// without an end.
fn grants() -> [GrantEntry; 8] {
    let taken = GrantFlags::USED | GrantFlags::VALID;
    let both = GrantFlags::READ | GrantFlags::WRITE;
    let entry = |flags: GrantFlags, start, parent| GrantEntry {
        flags: (taken | flags).bits(),
        grantee: Endpoint::ANY,
        start,
        len: ARENA.end - ARENA.start,
        parent: GrantId::from_raw(parent),
        other: booted(PEERS.start),
        ..GrantEntry::FREE
    };
    let direct = |flags, start| entry(GrantFlags::DIRECT | flags, start, 0);
    [
        direct(both | GrantFlags::MAP, ARENA.start),
        direct(GrantFlags::READ | GrantFlags::MAP, ARENA.start),
        direct(both | GrantFlags::TRY, ARENA.start),
        direct(both | GrantFlags::TRY, WINDOW.start),
        entry(GrantFlags::INDIRECT | both | GrantFlags::MAP, 0, 4),
        GrantEntry { len: 2 * PAGE_SIZE, ..entry(GrantFlags::INDIRECT | both | GrantFlags::MAP, PAGE_SIZE, 0) },
        entry(GrantFlags::MAGIC | both, ARENA.start, 0),
        GrantEntry::FREE,
    ]
}

/// Copies with each of these grants.
fn copies() -> [SafeCopy; 8] {
    let granter = |index| booted(PEERS.start + index / 2 % PEERS.len());
    core::array::from_fn(|index| SafeCopy {
        source: if index % 2 == 0 { Endpoint::SELF } else { granter(index) },
        destination: if index % 2 == 0 { granter(index) } else { Endpoint::SELF },
        grant: GrantId::from_raw(index as u64),
        offset: 0,
        address: ARENA.start,
        len: 64,
    })
}

/// Elements that match what a storm can do without.
fn filters() -> [FilterElement; MAX_FILTER_ELEMENTS] {
    core::array::from_fn(|i| match i % 2 {
        0 => FilterElement::of_kind(Kind(i as u16)),
        _ => FilterElement::of_kind_from(Kind(i as u16), booted(VM)),
    })
}

/// The endpoint of a boot program.
pub(crate) fn booted(slot: usize) -> Endpoint {
    Endpoint::new(slot, 0).expect("it has a slot")
}
