//! A system with a root, a memory server and some players, each of which has a processor for itself.

use crate::machine::Computer;
use crate::regs::Regs;
use crate::tables::Tables;
use abi::boot::{BootEntry, BootFlags};
use abi::layout::PAGE_SIZE;
use abi::layout::USER_START;
use abi::{BODY_WORDS, Endpoint, Errno, Kind, Message, PrivilegeFlags, PrivilegeId, PrivilegeSpec, Trap, TrapMask};
use kernel_core::boot::BootMemory;
use kernel_core::{Action, CpuId, Kernel, Rts, Slot};
use protocol::Call;
use protocol::kernel::{Clear, EndKSig, Exec, Fork, GetKSig, KEEP, RunAction, RunCtl, SchedCtl, Scheduler};
use protocol::privctl::{Allow, SetSys, UpdateSys};
use protocol::vmctl::Settle;
use std::ops::Range;
use storm::Registers;

/// The programs by their slots.
pub(crate) const ROOT: usize = 0;
pub(crate) const VM: usize = 1;
/// It waits all the time: who is in that state can be forked.
pub(crate) const PARENT: usize = 2;
pub(crate) const PLAYERS: Range<usize> = 3..8;
/// The player that may grant memory of others.
pub(crate) const FOR_OTHERS: usize = PLAYERS.start;
/// The player that is no service.
pub(crate) const USER: usize = PLAYERS.end - 1;
/// How many mappings there can be.
pub(crate) const LENDINGS: usize = 12;

/// What a call has come to so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is over: the first words of its answer.
    Done(Result<[u64; 2], Errno>),
    /// It waits for the memory server.
    Waits,
}

impl Outcome {
    /// The first word of the answer, how many bytes are copied.
    pub(crate) fn first(self) -> Result<u64, Errno> {
        let Self::Done(result) = self else { panic!("it waits") };
        result.map(|[first, _]| first)
    }
}

pub(crate) struct System<'t> {
    pub(crate) kernel: Kernel<'t, Computer>,
    pub(crate) machine: Computer,
    /// Calls that were started again at once.
    pub(crate) restarts: u64,
}

fn program(slot: usize) -> BootEntry {
    let flags = if slot == ROOT { BootFlags::ROOT.bits() } else { 0 };
    let name = BootEntry::encode_name("program").expect("a good name");
    BootEntry {
        name,
        size: 0,
        crc32: 0,
        traps: 0,
        sends: 0,
        calls: 0,
        priority: 0,
        flags,
        cpu: slot as u8,
        memory: 0,
        reserved: [0; 4],
    }
}

fn processor(slot: usize) -> CpuId {
    CpuId::new(slot).expect("there are as many")
}

fn booted(slot: usize) -> Endpoint {
    Endpoint::new(slot, 0).expect("it has a slot")
}

/// The slot of a program.
pub(crate) fn slot(number: usize) -> Slot {
    Slot::of(booted(number))
}

impl<'t> System<'t> {
    /// A system in which the players have no memory yet.
    pub(crate) fn new(tables: &'t mut Tables) -> Self {
        let storage = tables.storage();
        let kernel = Kernel::new(storage, PLAYERS.end);
        let mut system = Self { kernel, machine: Computer::new(), restarts: 0 };
        for number in ROOT..PLAYERS.end {
            let space = system.kernel.spaces.create_own(&mut system.machine).expect("there is memory");
            system
                .kernel
                .add_boot_program(&program(number), Regs::default(), BootMemory::Space(space))
                .expect("there is room");
        }
        let users = PrivilegeSpec { flags: 0, ..system.spec(USER) };
        system.root_does(&UpdateSys { spec: users, process: Endpoint::NONE, reset_ranges: 0 });
        for number in VM..USER {
            system.admit(number, booted(number));
        }
        system.root_does(&Allow { process: booted(USER) });
        let wait = Registers {
            rax: Trap::Receive.rax(),
            rdi: 0,
            rsi: 0,
            rdx: Endpoint::ANY.raw().into(),
            body: [0; BODY_WORDS],
        };
        system.trap(PARENT, &wait);
        system
    }

    fn spec(&self, number: usize) -> PrivilegeSpec {
        let extra = match number {
            VM => PrivilegeFlags::PAGER,
            FOR_OTHERS => PrivilegeFlags::GRANTS_FOR_OTHERS,
            _ => PrivilegeFlags::empty(),
        };
        PrivilegeSpec {
            sends: 0,
            calls: u64::MAX,
            flags: (PrivilegeFlags::PREEMPTIBLE | extra).bits(),
            init_flags: 0,
            traps: TrapMask::all().bits(),
            manager: booted(ROOT),
            backup: Endpoint::NONE,
            reserved: 0,
        }
    }

    /// Makes a service of a process, and lets it go.
    fn admit(&mut self, number: usize, process: Endpoint) {
        let id = PrivilegeId::of_boot_program(number).expect("it is in the table").index() as u32;
        self.root_does(&SetSys { spec: self.spec(number), process, id });
        self.root_does(&Allow { process });
    }

    /// Makes a new process in the slot of one that has ended; it lives in a space, and runs.
    pub(crate) fn make(&mut self, number: usize, space: u64) -> Endpoint {
        let process = self.root_does(&Fork { parent: booted(PARENT), slot: number as u32 }).child;
        self.exec(process);
        self.root_does(&Settle { process, reserved: 0, space });
        self.admit_or_allow(number, process);
        self.root_does(&SchedCtl {
            process,
            scheduler: Scheduler::Kernel,
            priority: 0,
            quantum: KEEP,
            cpu: number as i32,
        });
        assert_eq!(self.rts(number), Rts::empty());
        process
    }

    fn admit_or_allow(&mut self, number: usize, process: Endpoint) {
        if number == USER {
            self.root_does(&Allow { process });
        } else {
            self.admit(number, process);
        }
    }

    /// Gives a stopped process another program.
    fn exec(&mut self, process: Endpoint) {
        let name = BootEntry::encode_name("new").expect("a good name");
        self.root_does(&Exec { name, stack: USER_START + PAGE_SIZE, entry: USER_START, process, reserved: 0 });
    }

    /// Gives a player another program, and a space if that is to be another one, too.
    pub(crate) fn renew(&mut self, process: Endpoint, space: Option<u64>) {
        self.root_does(&RunCtl { process, action: RunAction::Stop });
        self.leave(process);
        self.exec(process);
        if let Some(space) = space {
            self.root_does(&Settle { process, reserved: 0, space });
        }
        self.root_does(&RunCtl { process, action: RunAction::Resume });
        self.pass_time();
    }

    /// The processor of somebody who was stopped turns to others.
    pub(crate) fn leave(&mut self, process: Endpoint) {
        let cpu = processor(process.slot());
        self.machine.cpu = cpu;
        assert_eq!(self.kernel.schedule(&mut self.machine, cpu), None);
    }

    pub(crate) fn end(&mut self, process: Endpoint) {
        self.root_does(&Clear { process });
        self.pass_time();
    }

    /// Lets the clock finish what others have left.
    fn pass_time(&mut self) {
        /// Ticks in which everything is finished that there can be.
        const LONG: usize = 32;
        for _ in 0..LONG {
            self.machine.ticks += 1;
            self.kernel.tick(&mut self.machine, CpuId::BOOT);
        }
    }

    /// A player has got a signal; it goes on. Which one it was.
    pub(crate) fn take_signal(&mut self, process: Endpoint) -> u64 {
        let taken = self.root_does(&GetKSig {});
        assert_eq!(taken.process, process);
        self.root_does(&EndKSig { process });
        taken.signals
    }

    pub(crate) fn rts(&self, number: usize) -> Rts {
        self.kernel.process(slot(number)).rts()
    }

    pub(crate) fn root_does<C: Call>(&mut self, request: &C) -> C::Reply {
        self.by(ROOT, request).unwrap_or_else(|errno| panic!("{} fails: {errno:?}", C::NAME))
    }

    /// One of the system makes a kernel call.
    pub(crate) fn by<C: Call>(&mut self, who: usize, request: &C) -> Result<C::Reply, Errno> {
        let outcome = self.start(who, &protocol::encode(C::KIND, request));
        let Outcome::Done(result) = outcome else { panic!("{} waits", C::NAME) };
        result?;
        let body = self.kernel.process(slot(who)).frame.body;
        protocol::decode(&Message { body, ..Message::new(Endpoint::SYSTEM, Kind::OK) })
    }

    /// Somebody who runs makes a kernel call.
    pub(crate) fn start(&mut self, who: usize, message: &Message) -> Outcome {
        self.call(who, message);
        self.outcome(who)
    }

    /// The same, and nothing more.
    pub(crate) fn call(&mut self, who: usize, message: &Message) {
        let rax = Trap::KernelCall.rax();
        self.trap(who, &Registers { rax, rdi: 0, rsi: message.header(), rdx: 0, body: message.body });
    }

    /// Somebody whose call was held back makes it once more.
    pub(crate) fn call_again(&mut self, who: usize) {
        let cpu = processor(who);
        self.machine.cpu = cpu;
        assert_eq!(self.kernel.schedule(&mut self.machine, cpu), Some(slot(who)));
        let frame = &mut self.kernel.process_mut(slot(who)).frame;
        *frame = frame.trap_again();
        assert_eq!(self.kernel.trap(&mut self.machine, cpu), Action::Resume);
    }

    fn trap(&mut self, who: usize, made: &Registers) {
        let cpu = processor(who);
        self.machine.cpu = cpu;
        let chosen = self.kernel.schedule(&mut self.machine, cpu);
        assert_eq!(chosen, Some(slot(who)), "it is {:?}", self.rts(who));
        let frame = &mut self.kernel.process_mut(slot(who)).frame;
        *frame = frame.trap(made, frame.rip());
        assert_eq!(self.kernel.trap(&mut self.machine, cpu), Action::Resume);
    }

    /// What the last call of somebody has come to, after the processor has been where it may go on.
    pub(crate) fn outcome(&mut self, who: usize) -> Outcome {
        let cpu = processor(who);
        self.machine.cpu = cpu;
        let chosen = self.kernel.schedule(&mut self.machine, cpu);
        if self.rts(who).contains(Rts::MEMORY_REQUEST) {
            return Outcome::Waits;
        }
        assert_eq!(chosen, Some(slot(who)), "it is {:?}", self.rts(who));
        if !self.is_done(who) {
            assert!(self.is_rewound(who), "its program goes on before its call is done");
            self.restarts += 1;
            self.call_again(who);
            return self.outcome(who);
        }
        let frame = self.kernel.process(slot(who)).frame;
        Outcome::Done(Errno::from_result(frame.rax as i64).map(|_| [frame.body[0], frame.body[1]]))
    }

    /// Whether somebody makes its last trap again when it goes on: register RBX has its address.
    fn is_rewound(&self, who: usize) -> bool {
        let frame = self.kernel.process(slot(who)).frame;
        frame.rip() == frame.rbx
    }

    /// Whether somebody's last kernel call has an answer.
    pub(crate) fn is_done(&self, who: usize) -> bool {
        self.kernel.process(slot(who)).frame.rax != Trap::KernelCall.rax()
    }
}
