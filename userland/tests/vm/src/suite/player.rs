//! Players: processes that do what a test says.

use abi::event::SystemEvent;
use abi::layout::{PAGE_SIZE, STACK_TOP};
use abi::{Endpoint, Errno, Message, PrivilegeFlags, PrivilegeSpec, Signal, TrapMask};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use exec::Request;
use protocol::Call;
use protocol::getinfo::GetProcess;
use protocol::kernel::{Clear, KEEP, SchedCtl, Scheduler, SetAlarm, right_by_name};
use protocol::privctl::{Allow, DYNAMIC_ID, SetSys};
use protocol::vm::{
    Access, Brk, Client, Exit, Fix, Fork, GetMemory, GetRegion, GetUsage, Map, MapFlags, Protect, RegionKind, SetCalls,
    Unfix, Unmap, Usage, WillExit,
};
use suite::orders::{self, Next, Words};
use suite::{Failure, Outcome, check};
use sys::Ipc;
use vm_suite::{Do, SEED, SERVER};
use zerocopy::FromZeros;

/// Slots below are those of boot programs.
const FIRST_SLOT: u32 = 100;

/// Calls of the memory server that a player may make, as those that stand in the manifest.
const CALLS: u64 = 1 << 2 | 1 << 10 | 1 << 17 | 1 << 18 | 1 << 36 | 1 << 40 | 1 << 47 | 1 << 48;

/// Kernel calls that it may make.
const KERNEL_CALLS: &[&str] = &[
    "boot_entry",
    "diag_write",
    "exit",
    "setgrant",
    "safecopyfrom",
    "safememset",
    "safemap",
    "safeunmap",
    "saferevmap",
];

pub(crate) fn me() -> Result<Endpoint, Errno> {
    sys::whoami().map(|identity| identity.endpoint)
}

/// The memory server, asked by the suite itself.
pub(crate) fn server() -> Client<Ipc> {
    Client { to: sys::lookup(SERVER).unwrap_or(Endpoint::NONE), transport: Ipc::default() }
}

/// How many pages are free.
pub(crate) fn free_pages() -> Result<u64, Errno> {
    server().memory(GetMemory {}).map(|memory| memory.free)
}

/// How many pages no process has: those that are free, page tables, and the server's own, which may take a free one at any time.
pub(crate) fn unused_pages() -> Result<u64, Errno> {
    server().memory(GetMemory {}).map(|memory| memory.free + memory.overhead)
}

/// What becomes of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// It is carried out, with this result.
    Well(Result<Words, Errno>),
    /// The player got signals over it: a bit each.
    Signaled(u64),
    /// Nothing, as long as [anybody waits](be_patient_for).
    Never,
}

/// Ticks after which an order is given up; 0 for never.
static PATIENCE: AtomicU64 = AtomicU64::new(0);

/// From now on, orders that are not carried out in so many ticks are given up.
#[allow(dead_code, reason = "only the load for a wrong server gives up")]
pub(crate) fn be_patient_for(ticks: u64) {
    PATIENCE.store(ticks, Ordering::Relaxed);
}

/// Begins to wait, or ends it.
fn set_alarm(ticks: u64) -> Outcome {
    if PATIENCE.load(Ordering::Relaxed) != 0 {
        sys::kernel().setalarm(SetAlarm { ticks, absolute: 0 })?;
    }
    Ok(())
}

/// A process that waits for orders.
#[derive(Debug)]
pub(crate) struct Player {
    pub(crate) endpoint: Endpoint,
    /// Its request for the next order.
    request: Message,
}

impl Player {
    /// A new one, as the others that are forked from the seed.
    pub(crate) fn start() -> Result<Self, Failure> {
        seed()?.fork()
    }

    /// A child of it, which waits for orders, too.
    pub(crate) fn fork(&self) -> Result<Self, Failure> {
        const SLOTS: u32 = 800;
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = || FIRST_SLOT + NEXT.fetch_add(1, Ordering::Relaxed) % SLOTS;
        let is_free = |slot: &u32| sys::getinfo().process(GetProcess { slot: (*slot).into() }).is_err();
        let slot = (0..SLOTS).map(|_| next()).find(is_free).ok_or(Errno::NoSpc)?;
        Ok(self.fork_into(slot)?)
    }

    /// The same in a slot.
    pub(crate) fn fork_into(&self, slot: u32) -> Result<Self, Errno> {
        let process = server().fork(Fork { parent: self.endpoint, slot })?.child;
        sys::privctl().set_sys(SetSys { spec: spec(me()?), process, id: DYNAMIC_ID })?;
        let (scheduler, priority, quantum, cpu) = (Scheduler::Kernel, KEEP, KEEP, KEEP);
        sys::kernel().schedctl(SchedCtl { process, scheduler, priority, quantum, cpu })?;
        server().set_calls(SetCalls { process, is_user: 0, calls: CALLS })?;
        sys::privctl().allow(Allow { process })?;
        let mut child = Self { endpoint: process, request: Message { peer: process, ..self.request } };
        // What it writes whenever it runs is its own from now on.
        child.order(Do::Nothing, &[]).map_err(|_| Errno::Proto)?;
        Ok(child)
    }

    /// Has it do something; what becomes of it.
    pub(crate) fn order(&mut self, what: Do, words: &[u64]) -> Result<Done, Failure> {
        self.begin(what, words)?;
        self.finish()
    }

    /// Has it begin with something.
    pub(crate) fn begin(&self, what: Do, words: &[u64]) -> Outcome {
        Ok(orders::order(&self.request, what as u64, words)?)
    }

    /// What becomes of what it has begun with.
    pub(crate) fn finish(&mut self) -> Result<Done, Failure> {
        set_alarm(PATIENCE.load(Ordering::Relaxed))?;
        let done = self.done();
        set_alarm(0)?;
        done
    }

    fn done(&mut self) -> Result<Done, Failure> {
        loop {
            let message = rt::receive(Endpoint::ANY)?.message;
            if message.peer == self.endpoint {
                self.request = message;
                return Ok(Done::Well(orders::outcome(&message)?));
            }
            if message.peer == Endpoint::CLOCK {
                return Ok(Done::Never);
            }
            check!(message.peer == Endpoint::SYSTEM, "a message from {:#x}", message.peer.raw());
            if let Some((who, signals)) = SystemEvent::read(&message.body).signaled {
                check!(who == self.endpoint, "signals of {:#x}", who.raw());
                return Ok(Done::Signaled(signals));
            }
        }
    }

    /// Gives it another program, a small player; returns what that tells first: the first word of its stack, where that is, where its
    /// code begins, and the first word of its data.
    pub(crate) fn exec(
        &mut self,
        image: &[u8],
        request: &Request<'_>,
    ) -> Result<Result<[u64; 4], exec::Error>, Failure> {
        let server = sys::lookup(SERVER).ok_or(Errno::NoEnt)?;
        if let Err(error) = exec::exec(server, self.endpoint, "small", image, request) {
            return Ok(Err(error));
        }
        let message = rt::receive(self.endpoint)?.message;
        self.request = message;
        let [first, stack, code, data, ..] = orders::outcome(&message)??;
        Ok(Ok([first, stack, code, data]))
    }

    fn result(&mut self, what: Do, words: &[u64]) -> Result<Result<Words, Errno>, Failure> {
        match self.order(what, words)? {
            Done::Well(result) => Ok(result),
            Done::Signaled(signals) => suite::fail!("{what:?} {words:x?}: signals {signals:#x}"),
            Done::Never => suite::fail!("{what:?} {words:x?}: never"),
        }
    }

    pub(crate) fn read(&mut self, address: u64) -> Result<u64, Failure> {
        Ok(self.result(Do::Read, &[address])??[0])
    }

    pub(crate) fn write(&mut self, address: u64, word: u64) -> Outcome {
        Ok(self.result(Do::Write, &[address, word])?.map(drop)?)
    }

    /// The sum of the first words of pages.
    pub(crate) fn sum(&mut self, address: u64, pages: u64) -> Result<u64, Failure> {
        Ok(self.result(Do::Sum, &[address, pages])??[0])
    }

    /// Writes the first words of pages: `first`, and one more in each page that follows.
    pub(crate) fn fill(&mut self, address: u64, pages: u64, first: u64) -> Outcome {
        Ok(self.result(Do::Fill, &[address, pages, first])?.map(drop)?)
    }

    /// Has it make a call to the memory server.
    pub(crate) fn ask<C: Call>(&mut self, call: &C) -> Result<Result<C::Reply, Errno>, Failure> {
        self.has_called(Do::Ask, call)
    }

    /// Has it make a kernel call.
    pub(crate) fn calls<C: Call>(&mut self, call: &C) -> Result<Result<C::Reply, Errno>, Failure> {
        self.has_called(Do::Call, call)
    }

    fn has_called<C: Call>(&mut self, what: Do, call: &C) -> Result<Result<C::Reply, Errno>, Failure> {
        let Some(words) = orders::words_of(call) else {
            suite::fail!("a player has no room for {}", C::NAME);
        };
        let answer = self.result(what, &words)?;
        Ok(answer.and_then(|words| orders::reply_of::<C>(&words)))
    }

    /// The order must end in this signal; the player is no more then.
    #[track_caller]
    pub(crate) fn dies_of(mut self, what: Do, words: &[u64]) -> Outcome {
        let line = core::panic::Location::caller().line();
        let done = self.order(what, words)?;
        check!(done == Done::Signaled(Signal::SEGV.bit()), "line {line}: {what:?} {words:x?}: {done:x?}");
        self.end()
    }

    /// Maps new memory; returns where.
    pub(crate) fn map(&mut self, pages: u64, flags: MapFlags) -> Result<u64, Failure> {
        Ok(self.ask(&new_memory(0, pages, flags))??.address)
    }

    pub(crate) fn unmap(&mut self, address: u64, pages: u64) -> Result<Result<(), Errno>, Failure> {
        let call = Unmap { address, len: pages * PAGE_SIZE, process: Endpoint::SELF, reserved: 0 };
        Ok(self.ask(&call)?.map(drop))
    }

    pub(crate) fn protect(&mut self, address: u64, pages: u64, access: Access) -> Result<Result<(), Errno>, Failure> {
        let call = Protect { address, len: pages * PAGE_SIZE, process: Endpoint::SELF, access };
        Ok(self.ask(&call)?.map(drop))
    }

    pub(crate) fn brk(&mut self, end: u64) -> Result<Result<u64, Errno>, Failure> {
        Ok(self.ask(&Brk { end })?.map(|done| done.end))
    }

    pub(crate) fn usage(&self) -> Result<Usage, Errno> {
        server().usage(GetUsage { process: self.endpoint, reserved: 0 })
    }

    /// Ends it, whatever it does.
    pub(crate) fn end(self) -> Outcome {
        let process = self.endpoint;
        server().will_exit(WillExit { process, reserved: 0 })?;
        sys::kernel().clear(Clear { process })?;
        server().exit(Exit { process, reserved: 0 })?;
        Ok(())
    }
}

/// New memory, at an address or anywhere, to be written.
pub(crate) fn new_memory(address: u64, pages: u64, flags: MapFlags) -> Map {
    let flags = (MapFlags::ANONYMOUS | flags).bits();
    Map { address, len: pages * PAGE_SIZE, offset: 0, flags, access: Access::Write, fd: -1, process: Endpoint::SELF }
}

/// The program that all players are forked from. It has asked for its first order, and never gets one.
pub(crate) fn seed() -> Result<Player, Failure> {
    static ASKED: AtomicBool = AtomicBool::new(false);
    let endpoint = sys::lookup(SEED).ok_or(Errno::NoEnt)?;
    let mut request = Message::new(endpoint, Next::KIND);
    if !ASKED.swap(true, Ordering::Relaxed) {
        request = rt::receive(endpoint)?.message;
        have_own_memory()?;
        crate::wait_for_others()?;
        // The server's own memory grows when it first compares everything: that is not to be taken for a loss.
        for _ in 0..300 {
            free_pages()?;
        }
    }
    // Its tag is that of every first request.
    request.tag = 0;
    Ok(Player { endpoint, request })
}

/// Makes the memory present that the suite may write, of the stack what any test needs: what the suite itself takes later would look like a
/// loss.
fn have_own_memory() -> Outcome {
    const STACK: u64 = 64 * PAGE_SIZE;
    let process = me()?;
    let mut address = 0;
    while let Ok(region) = server().region(GetRegion { process, reserved: 0, address }) {
        address = region.start + region.len;
        if region.access == Access::Write && region.kind == RegionKind::Anonymous {
            let is_stack = address == STACK_TOP;
            let start = if is_stack { address - STACK } else { region.start };
            let call = Fix { process, write: 1, address: start, len: address - start };
            server().fix(call)?;
            server().unfix(Unfix { process, write: 1, address: start, len: address - start })?;
        }
    }
    Ok(())
}

/// What a player may do: as the seed, whose program it executes, and what grants are for.
fn spec(manager: Endpoint) -> PrivilegeSpec {
    PrivilegeSpec {
        sends: !0,
        calls: KERNEL_CALLS.iter().filter_map(|name| right_by_name(name)).fold(0, |mask, right| mask | right),
        flags: PrivilegeFlags::PREEMPTIBLE.bits(),
        traps: (TrapMask::SENDREC | TrapMask::NOTIFY).bits(),
        manager,
        backup: Endpoint::NONE,
        ..FromZeros::new_zeroed()
    }
}
