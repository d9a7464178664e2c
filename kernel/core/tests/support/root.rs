//! The root system process of a world: it gives the others their privileges, and ends those that cannot go on.

use super::{Regs, World, kernel_call, program, receive};
use abi::boot::{BootEntry, BootFlags};
use abi::event::SystemEvent;
use abi::{Endpoint, Errno, Message, PrivilegeFlags, PrivilegeId, PrivilegeSpec, Signal, Status};
use kernel_core::{Action, CpuId};
use protocol::Call;
use protocol::irqctl::SetPolicy;
use protocol::kernel::{Clear, EndKSig};
use protocol::privctl::{AddIrq, Allow, SetSys, UpdateSys};

/// The interrupt line by which a test wakes the root.
pub(crate) const DOORBELL: u8 = 15;

/// The signals that end a process.
const ENDS: u64 = {
    let mut set = Signal::KILL.bit();
    let mut number = 1;
    while let Some(signal) = Signal::from_user(number) {
        if signal.is_lethal() {
            set |= signal.bit();
        }
        number += 1;
    }
    set
};

/// The root's own entry.
pub(crate) fn root_entry() -> BootEntry {
    BootEntry { priority: 0, flags: BootFlags::ROOT.bits(), ..program("root") }
}

/// What a boot program gets, by its entry: it is a service that the root manages.
pub(crate) fn spec_of(entry: &BootEntry, root: Endpoint) -> PrivilegeSpec {
    let pager = BootFlags::from_bits_retain(entry.flags).contains(BootFlags::PAGER);
    let flags = PrivilegeFlags::PREEMPTIBLE | if pager { PrivilegeFlags::PAGER } else { PrivilegeFlags::empty() };
    PrivilegeSpec {
        sends: PrivilegeId::mask_of_boot_programs(entry.sends),
        calls: entry.calls,
        flags: flags.bits(),
        init_flags: 0,
        traps: entry.traps,
        manager: root,
        backup: Endpoint::NONE,
        reserved: 0,
    }
}

impl World<'_> {
    /// The root makes a kernel call. It must be waiting for a message, and does so again then.
    pub(crate) fn as_root<C: Call>(&mut self, request: &C) -> Result<C::Reply, Errno> {
        self.kernel.interrupt(&mut self.machine, DOORBELL);
        self.choose(CpuId::BOOT);
        let answer = self.call_by_root(request);
        self.rest();
        answer
    }

    /// Gives a boot program its privileges, now that it is there, and lets it run.
    pub(crate) fn admit(&mut self, place: usize) {
        self.kernel.interrupt(&mut self.machine, DOORBELL);
        self.choose(CpuId::BOOT);
        self.grant(place);
        self.rest();
    }

    /// The root starts: the others get their privileges, in their order, and run as soon as it waits.
    pub(crate) fn start_root(&mut self) {
        self.choose(CpuId::BOOT);
        let line = DOORBELL.into();
        self.call_by_root(&AddIrq { process: Endpoint::SELF, line }).expect("there is room for a line");
        self.call_by_root(&SetPolicy { line, reenable: 1, bit: 0 }).expect("there is a hook");
        let root = self.root.slot();
        (0..self.entries.len()).filter(|place| *place != root).for_each(|place| self.grant(place));
        self.rest();
        self.machine.devices.take_done();
    }

    fn grant(&mut self, place: usize) {
        let id = PrivilegeId::of_boot_program(place).expect("it is in the boot table").index() as u32;
        let process = Endpoint::new(place, 0).expect("it has a slot");
        let spec = spec_of(&self.entries[place], self.root);
        self.call_by_root(&SetSys { spec, process, id }).expect("it waits, and the id is its own");
        // Those before it may send to it from now on.
        for place in 0..self.entries.len() {
            let process = Endpoint::new(place, 0).expect("it has a slot");
            let spec = spec_of(&self.entries[place], self.root);
            let gone = self.kernel.lookup(process).is_none();
            if process != self.root && !gone && self.is_admitted(process) {
                self.call_by_root(&UpdateSys { spec, process, reset_ranges: 0 }).expect("it is a service");
            }
        }
        self.call_by_root(&Allow { process }).expect("it waits");
    }

    /// Whether the process has a structure of its own.
    fn is_admitted(&self, process: Endpoint) -> bool {
        self.process(process).privilege_id() != PrivilegeId::USER
    }

    /// The root, which runs, makes a kernel call.
    fn call_by_root<C: Call>(&mut self, request: &C) -> Result<C::Reply, Errno> {
        assert_eq!(self.running(), Some(self.root), "the root does not get to run");
        self.trap_on(CpuId::BOOT, kernel_call(request));
        self.choose(CpuId::BOOT);
        answer_in::<C>(&self.regs(self.root))
    }

    /// The root deals with whatever it is told, until it is told nothing more.
    pub(crate) fn rest(&mut self) {
        while self.running() == Some(self.root) {
            self.trap_on(CpuId::BOOT, receive(Endpoint::ANY));
            self.choose(CpuId::BOOT);
            if self.running() == Some(self.root) {
                self.attend();
            }
        }
    }

    /// The root has received something.
    pub(crate) fn attend(&mut self) {
        let regs = self.regs(self.root);
        let system = regs.rdi == u64::from(Endpoint::SYSTEM.raw()) && Status(regs.rdx).is_notification();
        let event = system.then(|| SystemEvent::read(&regs.body));
        match event.and_then(|event| event.signaled) {
            Some((process, signals)) if signals & ENDS != 0 => {
                self.call_by_root(&Clear { process }).expect("it is there");
            }
            Some((process, _)) => {
                self.call_by_root(&EndKSig { process }).expect("it is managed by the root");
            }
            None => {}
        }
    }

    /// Whoever runs on a processor enters its program.
    pub(crate) fn enter(&mut self, cpu: CpuId) {
        let slot = self.kernel.cpu(cpu).current().expect("somebody runs");
        let _ = self.kernel.enter_space(cpu, slot);
    }

    /// Whoever runs on a processor traps, and the machine has nothing to do.
    pub(crate) fn trap_on(&mut self, cpu: CpuId, call: Regs) {
        let me = self.kernel.cpu(cpu).current().expect("somebody runs");
        self.kernel.process_mut(me).frame = call;
        assert_eq!(self.kernel.trap(&mut self.machine, cpu), Action::Resume);
    }
}

/// The answer to a kernel call.
pub(crate) fn answer_in<C: Call>(regs: &Regs) -> Result<C::Reply, Errno> {
    Errno::from_result(regs.rax as i64)?;
    let mut message = Message::new(Endpoint::SYSTEM, abi::Kind(0));
    message.set_header(regs.rsi);
    message.body = regs.body;
    protocol::decode(&message)
}
