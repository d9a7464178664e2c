//! A kernel, the server, and processes that wait for a message all the time: what they read and write is looked for by their page
//! tables, as a processor does.

use crate::heap::{CountedHeap, served, unserved};
use crate::machine::RAM;
use crate::model::{Bytes, PLACES};
use crate::system::{LENDINGS, Outcome, PARENT, ROOT, System, VM, slot};
use crate::tables::Tables;
use crate::vfs::Vfs;
use abi::event::MemoryWait;
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno, Message, PrivilegeFlags, PrivilegeSpec, TrapMask};
use kernel_core::{Machine, MemoryAccess};
use protocol::privctl::{Allow, DYNAMIC_ID, SetSys};
use protocol::vm::*;
use protocol::vmctl::{Access, GetSpaceOf};
use protocol::{Call, Transport};
use std::cell::{Cell, RefCell};
use vm::{Authority, Segv, Vm};

/// Where the server has its heap.
const HEAP: u64 = 0x1000_0000 / PAGE_SIZE;

/// Carries the server's kernel calls.
#[derive(Clone, Copy)]
pub(crate) struct Wire<'w, 't>(&'w RefCell<System<'t>>);

impl Transport for Wire<'_, '_> {
    fn sendrec(&mut self, _: Endpoint, message: &mut Message) -> Result<(), Errno> {
        unserved(|| {
            crate::wrong::carry(&mut self.0.borrow_mut(), message, |system, message| {
                let Outcome::Done(result) = system.start(VM, message) else { panic!("the server waits") };
                result?;
                message.kind = abi::Kind::OK;
                message.body = system.kernel.process(slot(VM)).frame.body;
                Ok(())
            })
        })
    }
}

pub(crate) struct Bench<'w, 't> {
    pub(crate) system: &'w RefCell<System<'t>>,
    pub(crate) vm: Vm<Wire<'w, 't>, CountedHeap>,
    /// A steward that waits; all others come from it.
    pub(crate) first: Endpoint,
    /// What must be the same in the end.
    at_start: u64,
    /// Slots that are free for children.
    next_slot: Cell<u32>,
    /// Who answers for files, if somebody does.
    pub(crate) vfs: Option<Vfs>,
}

/// A first slot behind those of the system.
pub(crate) const CHILDREN: u32 = 16;

/// Runs a test with a server that knows one process.
pub(crate) fn test(run: impl FnOnce(&mut Bench<'_, '_>)) {
    unchecked(|bench| {
        run(bench);
        bench.check();
    });
}

/// The same, after which nothing need fit.
pub(crate) fn unchecked(run: impl FnOnce(&mut Bench<'_, '_>)) {
    let mut tables = Tables::new(LENDINGS);
    let system = RefCell::new(System::new(&mut tables));
    run(&mut Bench::new(&system));
}

impl<'w, 't> Bench<'w, 't> {
    fn new(system: &'w RefCell<System<'t>>) -> Self {
        let endpoint = |number| system.borrow().kernel.process(slot(number)).endpoint;
        let (vm, first) = (endpoint(VM), endpoint(PARENT));
        let space = system.borrow_mut().by(VM, &GetSpaceOf { process: vm }).expect("it lives somewhere").space;
        system.borrow_mut().leave(first);
        let heap = CountedHeap::new(HEAP);
        let vm = served(|| Vm::start(Wire(system), heap, space)).expect("there is memory");
        let mut bench = Self { system, vm, first, at_start: 0, next_slot: Cell::new(CHILDREN), vfs: None };
        let authority = Authority::Service(u64::MAX);
        served(|| bench.vm.adopt(first, authority)).expect("it is there");
        // Its first space is the kernel's own.
        bench.does(first, &Clear { process: first, reserved: 0 });
        bench.at_start = bench.free();
        bench.check();
        bench
    }

    /// Frames that nobody has, and those of the server's heap.
    pub(crate) fn free(&self) -> u64 {
        let info = self.vm.memory_info();
        info.free + crate::heap::pages()
    }

    /// All is as it was when the test began.
    pub(crate) fn assert_all_free(&self) {
        assert_eq!(self.free(), self.at_start, "frames are missing");
    }

    /// Compares everything.
    pub(crate) fn check(&self) {
        if let Err(wrong) = self.vm.check() {
            panic!("{wrong}");
        }
        assert_eq!(self.system.borrow().kernel.check_invariants(), Ok(()));
    }

    /// A process makes a call of the server.
    pub(crate) fn call<C: Call>(&mut self, from: Endpoint, call: &C) -> Result<C::Reply, Errno> {
        let mut message = Message { peer: from, tag: 7, ..protocol::encode(C::KIND, call) };
        if !served(|| self.vm.answer(&mut message)) {
            assert!(self.vfs.is_some(), "it is answered at once");
            self.serve_files();
            message = self.vm.take_late_answer().expect("it is answered");
        }
        assert_eq!((message.peer, message.tag), (from, 7));
        message.kind.status().expect("it is an answer")?;
        protocol::decode(&message)
    }

    /// A process makes a call that is answered later, with this tag.
    pub(crate) fn begins<C: Call>(&mut self, from: Endpoint, tag: u16, call: &C) {
        let mut message = Message { peer: from, tag, ..protocol::encode(C::KIND, call) };
        assert!(!served(|| self.vm.answer(&mut message)), "{:?}", message.kind.status());
        self.check();
    }

    /// The next answer that comes later, of a call with this tag.
    pub(crate) fn late<C: Call>(&mut self, from: Endpoint, tag: u16, _: &C) -> Option<Result<C::Reply, Errno>> {
        let message = self.vm.take_late_answer()?;
        assert_eq!((message.peer, message.tag), (from, tag));
        let status = message.kind.status().expect("it is an answer");
        Some(status.and_then(|()| protocol::decode(&message)))
    }

    /// Answers whatever the server asks about files.
    fn serve_files(&mut self) {
        if let Some(mut vfs) = self.vfs.take() {
            vfs.serve(self);
            self.vfs = Some(vfs);
        }
    }

    /// The same, which succeeds, and everything fits afterwards.
    pub(crate) fn does<C: Call>(&mut self, from: Endpoint, call: &C) -> C::Reply {
        let reply = self.call(from, call).unwrap_or_else(|error| panic!("{}: {error}", C::NAME));
        self.check();
        reply
    }

    /// The same, which is refused, and nothing has changed.
    pub(crate) fn is_refused<C: Call>(&mut self, from: Endpoint, call: &C, error: Errno)
    where
        C::Reply: std::fmt::Debug,
    {
        let before = (self.vm.describe(), self.free());
        assert_eq!(self.call(from, call).map(drop), Err(error), "{}", C::NAME);
        assert_eq!((self.vm.describe(), self.free()), before, "{} has changed something", C::NAME);
        self.check();
    }

    pub(crate) fn fork_into(&mut self, parent: Endpoint, slot: u32) -> Result<Endpoint, Errno> {
        self.call(self.first, &Fork { parent, slot }).map(|done| done.child)
    }

    /// A child that may ask for nothing yet.
    pub(crate) fn plain_child(&mut self, parent: Endpoint) -> Endpoint {
        let slot = self.next_slot.replace(self.next_slot.get() + 1);
        self.fork_into(parent, slot).expect("there is memory")
    }

    /// A child, which is a steward, too.
    pub(crate) fn child(&mut self, parent: Endpoint) -> Endpoint {
        let child = self.plain_child(parent);
        self.does(self.first, &SetCalls { process: child, is_user: 0, calls: u64::MAX });
        child
    }

    /// Makes a service of a child, so that it can take part in updates.
    pub(crate) fn make_service(&mut self, process: Endpoint) {
        let manager = self.system.borrow().kernel.process(slot(ROOT)).endpoint;
        let spec = PrivilegeSpec {
            sends: 0,
            calls: 0,
            flags: PrivilegeFlags::PREEMPTIBLE.bits(),
            init_flags: 0,
            traps: TrapMask::all().bits(),
            manager,
            backup: Endpoint::NONE,
            reserved: 0,
        };
        let mut system = self.system.borrow_mut();
        system.root_does(&SetSys { spec, process, id: DYNAMIC_ID });
        system.root_does(&Allow { process });
        drop(system);
        self.does(self.first, &SetCalls { process, is_user: 0, calls: u64::MAX });
    }

    /// How long the object is that a page shows.
    pub(crate) fn object_len(&self, process: Endpoint, page: u64) -> u64 {
        self.vm.object_len(process, page)
    }

    /// What a program would read, if it is there.
    pub(crate) fn shown(&self, process: Endpoint, page: u64) -> Option<Bytes> {
        let root = self.root(process);
        let system = self.system.borrow();
        let mut bytes = Bytes::default();
        for (byte, place) in bytes.iter_mut().zip(PLACES) {
            let one = std::slice::from_mut(byte);
            Machine::read(&system.machine, root, page * PAGE_SIZE + place, one).ok()?;
        }
        Some(bytes)
    }

    /// A process ends, as the kernel and the server see it.
    pub(crate) fn end(&mut self, process: Endpoint) {
        self.does(self.first, &WillExit { process, reserved: 0 });
        self.system.borrow_mut().end(process);
        self.does(self.first, &Exit { process, reserved: 0 });
    }

    pub(crate) fn mmap(&mut self, process: Endpoint, pages: u64, flags: MapFlags) -> Result<u64, Errno> {
        let flags = (flags | MapFlags::ANONYMOUS).bits();
        let len = pages * PAGE_SIZE;
        let call = Map { address: 0, len, offset: 0, flags, access: Access::Write, fd: -1, process };
        self.call(process, &call).map(|mapped| mapped.address)
    }

    pub(crate) fn map_at(&mut self, process: Endpoint, address: u64, pages: u64, access: Access) -> Result<(), Errno> {
        let flags = (MapFlags::FIXED | MapFlags::ANONYMOUS).bits();
        let call = Map { address, len: pages * PAGE_SIZE, offset: 0, flags, access, fd: -1, process };
        self.call(process, &call).map(drop)
    }

    pub(crate) fn munmap(&mut self, process: Endpoint, address: u64, pages: u64) -> Result<(), Errno> {
        let call = Unmap { address, len: pages * PAGE_SIZE, process, reserved: 0 };
        self.call(process, &call).map(drop)
    }

    pub(crate) fn resident(&mut self, process: Endpoint) -> u64 {
        self.does(process, &GetUsage { process, reserved: 0 }).resident
    }

    pub(crate) fn root(&self, process: Endpoint) -> kernel_core::frames::FrameNumber {
        self.system.borrow().kernel.process(kernel_core::Slot::of(process)).space.expect("it has a space").root()
    }

    /// The kernel tells the server something.
    pub(crate) fn event(&mut self, wait: &MemoryWait) {
        let _ = served(|| self.vm.event(wait));
    }

    /// A program touches memory; what is not there is brought. Whether it gets a signal instead.
    fn touch<R>(
        &mut self,
        process: Endpoint,
        address: u64,
        access: MemoryAccess,
        act: impl Fn(&mut System<'_>, kernel_core::frames::FrameNumber) -> Result<R, kernel_core::Fault>,
    ) -> Result<R, Segv> {
        loop {
            let root = self.root(process);
            if let Ok(result) = act(&mut self.system.borrow_mut(), root) {
                return Ok(result);
            }
            let wait = MemoryWait { requestor: process, process, address, len: 0, access: access as u8 };
            if let Some(segv) = served(|| self.vm.event(&wait)) {
                self.system.borrow_mut().take_signal(process);
                return Err(segv);
            }
            self.serve_files();
            if let Some(segv) = self.vm.take_segv() {
                self.system.borrow_mut().take_signal(process);
                return Err(segv);
            }
        }
    }

    /// A program touches memory, whatever becomes of it.
    pub(crate) fn fault(&mut self, process: Endpoint, address: u64, access: MemoryAccess) -> Option<Segv> {
        let wait = MemoryWait { requestor: process, process, address, len: 0, access: access as u8 };
        let segv = served(|| self.vm.event(&wait));
        self.check();
        segv
    }

    /// A program writes bytes of one page.
    pub(crate) fn poke(&mut self, process: Endpoint, address: u64, bytes: &[u8]) {
        let write = |system: &mut System<'_>, root| system.machine.write(root, address, bytes);
        self.touch(process, address, MemoryAccess::Write, write).expect("it may");
    }

    /// What a program would read of one page, if it is there.
    pub(crate) fn peek(&self, process: Endpoint, address: u64, len: u64) -> Option<Vec<u8>> {
        let mut bytes = vec![0; len as usize];
        let root = self.root(process);
        Machine::read(&self.system.borrow().machine, root, address, &mut bytes).ok().map(|()| bytes)
    }

    /// A program writes a byte.
    pub(crate) fn write(&mut self, process: Endpoint, address: u64, byte: u8) -> Result<(), Segv> {
        self.touch(process, address, MemoryAccess::Write, |system, root| system.machine.write(root, address, &[byte]))
    }

    /// A program reads a byte.
    pub(crate) fn read(&mut self, process: Endpoint, address: u64) -> Result<u8, Segv> {
        self.touch(process, address, MemoryAccess::Read, |system, root| {
            let mut byte = [0];
            Machine::read(&system.machine, root, address, &mut byte).map(|()| byte[0])
        })
    }

    /// A program executes what is at an address.
    pub(crate) fn run(&mut self, process: Endpoint, address: u64) -> Result<(), Segv> {
        self.touch(process, address, MemoryAccess::Execute, |system, root| {
            system.machine.reach(root, address, 1, MemoryAccess::Execute)
        })
    }

    /// Somebody needs memory of a process for a call. Whether it was made available.
    pub(crate) fn request(&mut self, process: Endpoint, address: u64, len: u64, access: MemoryAccess) -> bool {
        let wait = MemoryWait { requestor: process, process, address, len, access: access as u8 };
        assert_eq!(served(|| self.vm.event(&wait)), None);
        self.serve_files();
        let root = self.root(process);
        self.system.borrow().machine.reach(root, address, len, access).is_ok()
    }
}

/// Frames of the machine.
pub(crate) const FRAMES: u64 = RAM.end - RAM.start;
