//! A server some of whose kernel requests are not what it meant. It may die of that, and so may programs; the kernel stays whole: its
//! invariants hold after each request, page tables are walked again and again, and no memory that is nobody's has changed.

use crate::audit::{audit, checksum};
use crate::bench::{Bench, CHILDREN, test};
use crate::corrupt::Corruptor;
use crate::system::{ROOT, System};
use abi::event::MemoryWait;
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno, Message};
use kernel_core::{Machine, MemoryAccess, Slot};
use protocol::kernel::{EndKSig, GetKSig};
use protocol::vm::*;
use protocol::vmctl::Access;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use storm::Random;

/// One request in so many is spoilt.
const ONE_IN: u64 = 3;
/// Requests from one look at all page tables to the next.
const AUDIT_EVERY: u64 = 16;
/// What is done in one system at most, and how many requests are spoilt there.
const STEPS: u64 = 600;
const IN_ONE: u64 = 200;
/// Processes at a time.
const MOST: usize = 6;
const P: u64 = PAGE_SIZE;
/// Where most memory is: on both sides of a border between page tables.
const HERE: u64 = 0x40_0000 - 8 * P;

/// What the server's requests are spoilt with, while a test plays.
struct Play {
    corruptor: Corruptor,
    requests: Cell<u64>,
    /// How often each kind of request was spoilt, and how often the kernel did it.
    came_up: RefCell<BTreeMap<&'static str, [u64; 2]>>,
    /// Where this thread panicked.
    panicked: RefCell<String>,
    plays: Cell<bool>,
}

thread_local! {
    static PLAY: Play = Play {
        corruptor: Corruptor::new(1),
        requests: Cell::new(0),
        came_up: RefCell::default(),
        panicked: RefCell::default(),
        plays: Cell::new(false),
    };
}

fn name_of(message: &Message) -> &'static str {
    let of = |protocol: &'static protocol::Protocol| {
        let number = message.kind.0.wrapping_sub(protocol.base);
        protocol.calls.iter().find(|call| call.number == number).map(|call| call.name)
    };
    of(&protocol::vmctl::PROTOCOL).or_else(|| of(&protocol::kernel::PROTOCOL)).unwrap_or("none")
}

/// Carries out a request of the server, perhaps spoilt, and looks at the kernel.
pub(crate) fn carry(
    system: &mut System<'_>,
    message: &mut Message,
    make: impl FnOnce(&mut System<'_>, &mut Message) -> Result<(), Errno>,
) -> Result<(), Errno> {
    PLAY.with(|play| {
        if !play.plays.get() {
            return make(system, message);
        }
        let name = name_of(message);
        play.corruptor.note(&message.body);
        let is_spoilt = play.corruptor.spoil(message, ONE_IN, |_| true);
        let result = make(system, message);
        play.corruptor.note(&message.body);
        if is_spoilt {
            let mut came_up = play.came_up.borrow_mut();
            let [spoilt, done] = came_up.entry(name).or_default();
            *spoilt += 1;
            *done += u64::from(result.is_ok());
        }
        let whole = system.kernel.check_invariants();
        assert_eq!(whole, Ok(()), "kernel/core/src: it is not whole after {name} {:x?}", message.body);
        play.requests.set(play.requests.get() + 1);
        if play.requests.get().is_multiple_of(AUDIT_EVERY) {
            look(system);
        }
        result
    })
}

/// Walks all page tables.
fn look(system: &System<'_>) {
    audit(&system.kernel, &system.machine);
}

/// Panics of threads that play are remembered, and not told.
fn remember_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let plays = PLAY.try_with(|play| {
                if play.plays.get() {
                    *play.panicked.borrow_mut() = info.to_string();
                }
                play.plays.get()
            });
            if plays != Ok(true) {
                before(info);
            }
        }));
    });
}

/// Programs and stewards that do this and that, whatever comes of it.
struct Load<'b, 'w, 't> {
    bench: &'b mut Bench<'w, 't>,
    random: Random,
    processes: Vec<Endpoint>,
    next_slot: u32,
}

impl Load<'_, '_, '_> {
    fn who(&mut self) -> Endpoint {
        self.processes[self.random.below(self.processes.len() as u64) as usize]
    }

    fn address(&mut self) -> u64 {
        HERE + self.random.below(24) * P
    }

    /// Gives a process memory at all addresses that are used.
    fn give_all(&mut self, process: Endpoint) {
        let flags = (MapFlags::FIXED | MapFlags::ANONYMOUS).bits();
        let call = Map { address: HERE, len: 32 * P, offset: 0, flags, access: Access::Write, fd: -1, process };
        let _ = self.bench.call(self.bench.first, &call);
    }

    fn access(&mut self) -> Access {
        [Access::Read, Access::Write, Access::Execute][self.random.below(3) as usize]
    }

    fn step(&mut self) {
        let (who, address, len) = (self.who(), self.address(), (1 + self.random.below(9)) * P);
        let (first, access) = (self.bench.first, self.access());
        match self.random.below(24) {
            16.. => self.touch(who, address, MemoryAccess::Write),
            0..=4 => self.touch(who, address, MemoryAccess::Write),
            5 => self.touch(who, address, MemoryAccess::Read),
            6 | 7 => {
                let flags =
                    [MapFlags::empty(), MapFlags::SHARED, MapFlags::PREALLOCATED][self.random.below(3) as usize];
                let flags = (flags | MapFlags::FIXED | MapFlags::ANONYMOUS).bits();
                let call = Map { address, len, offset: 0, flags, access: Access::Write, fd: -1, process: who };
                let _ = self.bench.call(first, &call);
            }
            8 => drop(self.bench.call(first, &Unmap { address, len: P, process: who, reserved: 0 })),
            9 => drop(self.bench.call(first, &Protect { address, len, process: who, access })),
            10 => {
                let process = self.who();
                let (source_address, reserved) = (address, 0);
                let call = Remap { source: who, process, source_address, address: 0, len, access, reserved };
                let _ = self.bench.call(first, &call);
            }
            11 | 12 if self.processes.len() < MOST => {
                let slot = CHILDREN + self.next_slot;
                self.next_slot = (self.next_slot + 1) % 200;
                if let Ok(child) = self.bench.fork_into(who, slot) {
                    self.processes.push(child);
                }
            }
            11..=13 => self.end(who),
            14 => drop(self.bench.call(first, &Fix { process: who, write: 1, address, len })),
            _ => {
                self.bench.event(&MemoryWait { requestor: who, process: who, address, len, access: 1 });
                if self.random.below(16) == 0 {
                    let _ = self.bench.call(first, &Clear { process: who, reserved: 0 });
                    self.give_all(who);
                }
            }
        }
    }

    /// A program touches a byte, and the server is asked for it if it is not there; not for ever.
    fn touch(&mut self, process: Endpoint, address: u64, access: MemoryAccess) {
        const TRIES: usize = 3;
        for _ in 0..TRIES {
            let is_there = {
                let mut system = self.bench.system.borrow_mut();
                let Some(home) = system.kernel.process(Slot::of(process)).space else { return };
                match access {
                    MemoryAccess::Write => system.machine.write(home.root(), address, &[1]).is_ok(),
                    _ => system.machine.reach(home.root(), address, 1, access).is_ok(),
                }
            };
            if is_there {
                return;
            }
            self.bench.event(&MemoryWait { requestor: process, process, address, len: 0, access: access as u8 });
            self.forget_signals();
        }
    }

    fn forget_signals(&mut self) {
        let mut system = self.bench.system.borrow_mut();
        while let Ok(told) = system.by(ROOT, &GetKSig {})
            && told.process != Endpoint::NONE
        {
            let _ = system.by(ROOT, &EndKSig { process: told.process });
        }
    }

    fn end(&mut self, process: Endpoint) {
        let first = self.bench.first;
        if process == first {
            return;
        }
        self.processes.retain(|other| *other != process);
        let _ = self.bench.call(first, &WillExit { process, reserved: 0 });
        let _ = self.bench.system.borrow_mut().by(ROOT, &protocol::kernel::Clear { process });
        let _ = self.bench.call(first, &Exit { process, reserved: 0 });
    }
}

/// Plays in one system until enough is spoilt or the server is dead; whether it lived on.
fn play(seed: u64) -> bool {
    let spoilt_before = PLAY.with(|play| play.corruptor.spoilt());
    let mut lives = true;
    let run = |bench: &mut Bench<'_, '_>| {
        let before = checksum(&bench.system.borrow().machine);
        let processes = vec![bench.first];
        PLAY.with(|play| play.plays.set(true));
        let played = catch_unwind(AssertUnwindSafe(|| {
            let mut load = Load { bench, random: Random::new(seed), processes, next_slot: 0 };
            load.give_all(load.bench.first);
            for _ in 0..STEPS {
                load.step();
                if PLAY.with(|play| play.corruptor.spoilt()) >= spoilt_before + IN_ONE {
                    break;
                }
            }
        }));
        PLAY.with(|play| play.plays.set(false));
        if played.is_err() {
            lives = false;
            let why = PLAY.with(|play| play.panicked.take());
            // The kernel's own code, and looks at it, do not panic whatever the server does.
            let of_kernel = ["kernel/core/src", "storm/audit.rs"].iter().any(|place| why.contains(place));
            assert!(!of_kernel, "seed {seed}: {why}");
        }
        let system = bench.system.borrow();
        look(&system);
        assert_eq!(system.kernel.check_invariants(), Ok(()));
        assert_eq!(checksum(&system.machine), before, "memory of the kernel or of devices has changed");
    };
    crate::bench::unchecked(run);
    lives
}

#[test]
fn a_wrong_server_leaves_the_kernel_whole() {
    /// Kinds of requests that must have been spoilt, and done all the same.
    const EXPECTED: &[&str] =
        &["map", "unmap", "protect", "release", "donate", "share", "settle", "copy", "create", "destroy"];
    let soak = std::env::var_os("SELIX_SOAK").is_some_and(|value| value == "1");
    let enough = if soak { 100_000 } else { 3_000 };
    remember_panics();
    let (mut systems, mut survived) = (0, 0);
    while PLAY.with(|play| play.corruptor.spoilt()) < enough {
        survived += u64::from(play(systems));
        systems += 1;
    }
    PLAY.with(|play| {
        let (spoilt, requests) = (play.corruptor.spoilt(), play.requests.get());
        println!("{spoilt} of {requests} requests were wrong; the server lived on in {survived} of {systems} systems");
        for (name, [spoilt, done]) in play.came_up.borrow().iter() {
            println!("{name:24} {spoilt:8} wrong, {done:8} done all the same");
        }
        for name in EXPECTED {
            let name = format!("vmctl.{name}");
            let [spoilt, done] = play.came_up.borrow().get(&*name).copied().unwrap_or_default();
            assert!(spoilt > 0 && done > 0, "{name}: {spoilt} wrong, {done} done");
        }
        assert!(survived > 0, "the server must live on now and then, or little is seen of what comes after");
    });
    // The same harness tells of a server that is right.
    test(|bench| assert!(bench.mmap(bench.first, 1, MapFlags::empty()).is_ok()));
}
