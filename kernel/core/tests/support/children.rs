//! Processes that are not in the boot table, and the memory of programs.

use super::{World, spec_of};
use abi::boot::BootEntry;
use abi::{Endpoint, Errno, PrivilegeSpec};
use kernel_core::Slot;
use protocol::Call;
use protocol::kernel::{Exec, Fork, KEEP, SchedCtl, Scheduler};
use protocol::privctl::{Allow, DYNAMIC_ID, SetSys, SetUser, UpdateSys};
use protocol::vmctl::Settle;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Where the programs of [`World::exec`] start.
pub(crate) const ENTRY: u64 = abi::layout::USER_START + 0x40;
/// Their stack pointer.
pub(crate) const STACK: u64 = abi::layout::USER_START + 0x4000;

impl World<'_> {
    /// What a service may have: everything, and the root manages it.
    pub(crate) fn spec(&self) -> PrivilegeSpec {
        spec_of(&super::program("any"), self.root)
    }

    /// The root forks a process that waits for a message.
    pub(crate) fn fork(&mut self, parent: Endpoint, slot: Endpoint) -> Result<Endpoint, Errno> {
        self.as_root(&Fork { parent, slot: slot.slot() as u32 }).map(|forked| forked.child)
    }

    /// Makes a child in a free slot with a space of its own and the kernel as scheduler, which waits for its privileges and for
    /// what its parent waits for.
    pub(crate) fn child(&mut self, parent: Endpoint, slot: Endpoint) -> Endpoint {
        let child = self.fork(parent, slot).expect("the parent waits, and the slot is free");
        let (root, _) = self.kernel.spaces.claim(1).expect("there are frames");
        let space = self.kernel.spaces.create(&mut self.machine, root).expect("there is room");
        self.as_root(&Settle { process: child, reserved: 0, space }).expect("it does not run");
        let scheduler = Scheduler::Kernel;
        let schedctl = SchedCtl { process: child, scheduler, priority: KEEP, quantum: KEEP, cpu: KEEP };
        self.as_root(&schedctl).expect("nothing changes");
        child
    }

    /// Makes a child that has a program of its own and runs as a user.
    pub(crate) fn user(&mut self, parent: Endpoint, slot: Endpoint) -> Endpoint {
        let child = self.child(parent, slot);
        self.exec(child).expect("it waits");
        self.as_root(&SetUser { process: child }).expect("it waits for its privileges");
        self.as_root(&Allow { process: child }).expect("it waits");
        child
    }

    /// Makes a child that has a program of its own and waits as a service for somebody to let it run.
    pub(crate) fn new_instance(&mut self, parent: Endpoint, slot: Endpoint) -> Endpoint {
        let process = self.child(parent, slot);
        self.exec(process).expect("it waits");
        let spec = self.spec();
        self.as_root(&SetSys { spec, process, id: DYNAMIC_ID }).expect("it waits for its privileges");
        process
    }

    /// The same, and it runs.
    pub(crate) fn service(&mut self, parent: Endpoint, slot: Endpoint) -> Endpoint {
        let process = self.new_instance(parent, slot);
        self.as_root(&Allow { process }).expect("it waits");
        process
    }

    /// Lets everybody send to those that came last, too.
    pub(crate) fn allow_sends(&mut self, who: Endpoint) {
        let spec = PrivilegeSpec { sends: u64::MAX, ..self.spec() };
        self.as_root(&UpdateSys { spec, process: who, reset_ranges: 0 }).expect("it is a service");
    }

    /// The root makes a kernel call, which succeeds.
    pub(crate) fn root_does<C: Call>(&mut self, request: &C) {
        if let Err(errno) = self.as_root(request) {
            panic!("{}: {errno}", C::NAME);
        }
    }

    /// A process makes a kernel call, which succeeds.
    pub(crate) fn does<C: Call>(&mut self, who: Endpoint, request: &C) {
        if let Err(errno) = self.call(who, request) {
            panic!("{}: {errno}", C::NAME);
        }
    }

    /// What users may do from now on.
    pub(crate) fn update_users(&mut self, spec: PrivilegeSpec) {
        self.as_root(&UpdateSys { spec, process: Endpoint::NONE, reset_ranges: 0 }).expect("the root may do that");
    }

    /// The root gives a process another program.
    pub(crate) fn exec(&mut self, process: Endpoint) -> Result<(), Errno> {
        let name = BootEntry::encode_name("new").expect("a good name");
        self.as_root(&Exec { name, stack: STACK, entry: ENTRY, process, reserved: 0 }).map(drop)
    }

    /// The number of the root table of the space that a process lives in.
    pub(crate) fn memory_of(&self, who: Endpoint) -> usize {
        let space = self.kernel.process(Slot::of(who)).space.expect("it has a space");
        (space.root().address() / abi::layout::PAGE_SIZE) as usize
    }

    /// Puts something into a program's memory.
    pub(crate) fn store<T: IntoBytes + Immutable + ?Sized>(&mut self, who: Endpoint, address: u64, value: &T) {
        let root = self.memory_of(who);
        for (at, byte) in (address..).zip(value.as_bytes()) {
            self.machine.written.insert((root, at), *byte);
        }
    }

    /// What stands in a program's memory.
    pub(crate) fn load<T: FromBytes + IntoBytes + KnownLayout>(&self, who: Endpoint, address: u64) -> T {
        let root = self.memory_of(who);
        let mut value = T::new_zeroed();
        for (at, byte) in (address..).zip(value.as_mut_bytes()) {
            *byte = self.machine.byte(root, at).expect("memory is there");
        }
        value
    }

    /// Takes the page of an address away from a program.
    pub(crate) fn remove_page(&mut self, who: Endpoint, address: u64) {
        let page = (self.memory_of(who), super::page_of(address));
        self.machine.absent.insert(page);
    }

    /// Makes the page of an address one that its program can only read.
    pub(crate) fn protect_page(&mut self, who: Endpoint, address: u64) {
        let page = (self.memory_of(who), super::page_of(address));
        self.machine.read_only.insert(page);
    }

    /// Brings it back.
    pub(crate) fn bring_page(&mut self, who: Endpoint, address: u64) {
        let page = (self.memory_of(who), super::page_of(address));
        self.machine.absent.remove(&page);
    }
}
