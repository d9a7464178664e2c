//! Small cases that the game has come upon, each by itself.

use crate::audit;
use crate::server::{ARENA, Server, fill};
use crate::system::{LENDINGS, Outcome, PLAYERS, System, VM, slot};
use crate::tables::Tables;
use abi::grant::{GrantEntry, GrantFlags, GrantId};
use abi::layout::{PAGE_SIZE, USER_END};
use abi::{Endpoint, Errno, Signal};
use kernel_core::frames::FrameNumber;
use kernel_core::tables::Access;
use kernel_core::{CpuId, Machine, MemoryAccess, Rts};
use protocol::kernel::{
    MAX_COPIED, SafeCopy, SafeCopyFrom, SafeCopyTo, SafeMap, SafeRevMap, SafeRevMapAt, SetGrant, VCopied, VSafeCopy,
    VirCopy,
};
use protocol::trace::{Stop, UntilTrap};
use protocol::vmctl::{AnswerRequest, NextEvent};
use protocol::{Call, encode};
use zerocopy::{FromBytes, IntoBytes};

const P: u64 = PAGE_SIZE;
/// Three players, all of which have all their memory.
const A: usize = PLAYERS.start;
const B: usize = A + 1;
const C: usize = A + 2;
/// Where a table of grants stands; what else there is lies behind.
const TABLE: u64 = ARENA.start;
const DATA: u64 = TABLE + P;
const ALL: GrantFlags = GrantFlags::READ
    .union(GrantFlags::WRITE)
    .union(GrantFlags::MAP)
    .union(GrantFlags::DIRECT)
    .union(GrantFlags::USED)
    .union(GrantFlags::VALID);
/// As many pages as are shared when they are copied.
const MANY: u64 = 16 * P;

struct Scene<'t> {
    system: System<'t>,
    server: Server,
}

fn scene(run: impl FnOnce(&mut Scene<'_>)) {
    let mut tables = Tables::new(LENDINGS);
    let mut scene = Scene { system: System::new(&mut tables), server: Server::default() };
    for player in [A, B, C] {
        let space = scene.server.create(&mut scene.system);
        for (number, page) in (0..).zip(ARENA.step_by(P as usize)) {
            scene.server.bring(&mut scene.system, space, page, Access::Write);
            let root = scene
                .system
                .kernel
                .spaces
                .find(space)
                .and_then(|id| scene.system.kernel.spaces.root(id).ok_or(Errno::Srch));
            fill(&mut scene.system.machine, root.expect("it lives"), page, &[(player * 50 + number) as u8; P as usize]);
        }
        let old = scene.endpoint(player);
        scene.system.end(old);
        scene.system.make(player, space);
        scene.does(player, &SetGrant { address: TABLE, count: P / 64 });
    }
    run(&mut scene);
    assert_eq!(scene.system.kernel.check_invariants(), Ok(()));
}

fn id(index: u64) -> GrantId {
    GrantId::new(index, 0).expect("it is small")
}

impl Scene<'_> {
    fn endpoint(&self, player: usize) -> Endpoint {
        self.system.kernel.process(slot(player)).endpoint
    }

    fn space(&self, player: usize) -> u64 {
        let home = self.system.kernel.process(slot(player)).space.expect("it lives somewhere");
        self.system.kernel.spaces.name(home.id())
    }

    fn root(&self, player: usize) -> FrameNumber {
        self.system.kernel.process(slot(player)).space.expect("it lives somewhere").root()
    }

    fn does<C: Call>(&mut self, player: usize, call: &C) -> C::Reply {
        self.system.by(player, call).unwrap_or_else(|errno| panic!("{}: {errno:?}", C::NAME))
    }

    fn start<C: Call>(&mut self, player: usize, call: &C) -> Outcome {
        self.system.start(player, &encode(C::KIND, call))
    }

    fn read(&self, player: usize, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.system.machine.read(self.root(player), at, &mut bytes).expect("it is there");
        bytes
    }

    /// A program writes, with a page fault if it is to be; the memory server is not asked.
    fn write(&mut self, player: usize, at: u64, bytes: &[u8]) {
        let root = self.root(player);
        if self.system.machine.write(root, at, bytes).is_ok() {
            return;
        }
        let cpu = CpuId::new(player).expect("there are as many");
        self.system.machine.cpu = cpu;
        let System { kernel, machine, .. } = &mut self.system;
        kernel.schedule(machine, cpu);
        let _ = kernel.memory_fault(machine, cpu, at, MemoryAccess::Write, format_args!("a test"));
        assert_eq!(self.system.rts(player), Rts::empty(), "it may write {at:#x}");
        assert_eq!(self.system.machine.write(root, at, bytes), Ok(()));
    }

    /// A grants C, or somebody else, memory.
    fn grant(&mut self, index: u64, grantee: usize, start: u64, len: u64, flags: GrantFlags) {
        let grantee = self.endpoint(grantee);
        let entry = GrantEntry { flags: flags.bits(), grantee, start, len, ..GrantEntry::FREE };
        self.write(A, TABLE + index * 64, entry.as_bytes());
    }

    /// C copies between A and B.
    fn copy(&mut self, from: u64, to: u64, len: u64) -> VirCopy {
        VirCopy { source: self.endpoint(A), destination: self.endpoint(B), from, to, len, flags: 0 }
    }

    /// The same for many pages, which both share then.
    fn share(&mut self, from: u64) {
        let call = self.copy(from, from, MANY);
        assert_eq!(self.does(C, &call).done, MANY);
        let [a, b] = [A, B].map(|player| (self.space(player), from));
        assert!(audit::share(&self.system, a, b));
    }

    fn take(&mut self, player: usize, page: u64) {
        let space = self.space(player);
        self.server.take(&mut self.system, space, page, true).expect("it is private");
    }

    fn bring(&mut self, player: usize, page: u64) {
        let space = self.space(player);
        self.server.bring(&mut self.system, space, page, Access::Write);
    }

    /// The memory server answers a call of C.
    fn answer(&mut self, available: u32) -> Outcome {
        let process = self.endpoint(C);
        self.system.by(VM, &NextEvent {}).expect("it waits");
        self.system.by(VM, &AnswerRequest { process, available }).expect("it waits");
        self.system.outcome(C)
    }
}

#[test]
fn a_call_that_starts_again_as_it_goes_on_is_done_before_its_program_goes_on() {
    scene(|scene| {
        scene.share(DATA);
        scene.take(A, DATA + MANY);
        let call = scene.copy(DATA + MANY + 5, DATA + 7, 8);
        assert_eq!(scene.start(C, &call), Outcome::Waits);
        scene.bring(A, DATA + MANY);
        assert_eq!(scene.answer(1).first(), Ok(8));
        assert_eq!(scene.read(B, DATA + 7, 8), scene.read(A, DATA + MANY + 5, 8));
    });
}

#[test]
fn a_list_that_has_copied_something_does_not_wait() {
    scene(|scene| {
        scene.grant(0, C, DATA, 2 * P, ALL);
        scene.take(A, DATA + P);
        let (source, destination) = (scene.endpoint(A), Endpoint::SELF);
        let copy = SafeCopy { source, destination, grant: id(0), offset: 0, address: DATA + 3 * P, len: 100 };
        let list = [copy, SafeCopy { offset: P, address: DATA + 4 * P, ..copy }];
        scene.write(C, DATA, list.as_bytes());
        let call = VSafeCopy { address: DATA, count: 2, first: 0, skip: 0 };
        assert_eq!(scene.does(C, &call), VCopied { next: 1, skip: 0 });
        assert_eq!(scene.read(C, DATA + 3 * P, 100), scene.read(A, DATA, 100));
        assert_eq!(scene.start(C, &VSafeCopy { first: 1, ..call }), Outcome::Waits);
        assert_eq!(scene.answer(0), Outcome::Done(Err(Errno::Fault)));
    });
}

#[test]
fn a_page_that_two_had_is_written_after_both_have_given_it_back() {
    scene(|scene| {
        scene.grant(0, B, DATA, 2 * P, ALL);
        scene.grant(1, C, DATA + P, 2 * P, ALL);
        for (player, index, address) in [(B, 0, DATA), (C, 1, DATA + P)] {
            let granter = scene.endpoint(A);
            let call = SafeMap { granter, write: 1, grant: id(index), offset: 0, address, len: 2 * P };
            assert_eq!(scene.does(player, &call).done, 2 * P);
        }
        for index in 0..2 {
            assert_eq!(scene.does(A, &SafeRevMap { grant: id(index) }).more, 0);
        }
        let before = [B, C].map(|player| scene.read(player, DATA, 3 * P as usize));
        for page in [DATA + P, DATA, DATA + 2 * P] {
            scene.write(A, page, &[1, 2, 3]);
        }
        assert!(before == [B, C].map(|player| scene.read(player, DATA, 3 * P as usize)));
    });
}

#[test]
fn what_is_shared_is_written_though_there_is_no_memory_behind_it() {
    scene(|scene| {
        let call = scene.copy(DATA + 8, DATA + 16, USER_END);
        let before = scene.start(C, &call);
        scene.share(DATA);
        assert_eq!(scene.start(C, &call), before, "one cannot tell that it is shared");
        assert_eq!(before.first(), Ok(MAX_COPIED));
    });
}

#[test]
fn a_long_copy_from_the_end_of_all_addresses_fails() {
    scene(|scene| {
        for to in [DATA, u64::MAX] {
            let call = scene.copy(u64::MAX, to | (P - 1), 2 * MANY);
            assert_eq!(scene.start(C, &call).first(), Err(Errno::Fault));
        }
    });
}

#[test]
fn a_traced_call_that_starts_again_is_done_before_its_tracer_hears_of_it() {
    scene(|scene| {
        scene.share(DATA);
        let call = encode(VirCopy::KIND, &scene.copy(DATA + MANY, DATA + 1, 8));
        let process = scene.endpoint(C);
        let system = &mut scene.system;
        system.root_does(&Stop { process });
        system.leave(process);
        system.root_does(&UntilTrap { process });
        system.call(C, &call);
        system.leave(process);
        assert_eq!(system.take_signal(process), Signal::TRAP.bit(), "it is held back");
        system.call_again(C);
        assert_eq!(system.rts(C), Rts::empty(), "it is to be made again, and nobody hears of that");
        system.call_again(C);
        system.leave(process);
        assert!(system.is_done(C));
        assert_eq!(system.take_signal(process), Signal::TRAP.bit());
        assert_eq!(system.outcome(C).first(), Ok(8));
    });
}

#[test]
fn what_is_shared_is_written_though_the_memory_behind_it_is_only_seen() {
    scene(|scene| {
        scene.grant(0, B, DATA + 2 * MANY, P, ALL);
        let granter = scene.endpoint(A);
        let to = DATA + MANY;
        scene.does(B, &SafeMap { granter, write: 0, grant: id(0), offset: 0, address: to, len: P });
        let before = scene.read(B, to, P as usize);
        scene.share(DATA);
        // The first bytes, up to the first page that could be shared.
        let call = scene.copy(DATA + 8, to - P + 8, 2 * MANY);
        assert_eq!(scene.does(C, &call).done, P - 8);
        assert_eq!(scene.read(B, call.to, 16), scene.read(A, call.from, 16));
        assert!(scene.read(B, to, P as usize) == before);
    });
}

#[test]
fn only_the_page_at_an_address_is_taken_back() {
    scene(|scene| {
        scene.grant(0, B, DATA + P, P, ALL);
        let granter = scene.endpoint(A);
        scene.does(B, &SafeMap { granter, write: 0, grant: id(0), offset: 0, address: DATA, len: P });
        for (address, seen) in [(DATA + P - 1, true), (DATA + 2 * P, true), (DATA + 2 * P - 1, false)] {
            assert_eq!(scene.does(A, &SafeRevMapAt { address }).more, 0);
            scene.write(A, DATA + P, address.as_bytes());
            assert_eq!(scene.read(B, DATA, 8) == address.as_bytes(), seen, "after {address:#x}");
        }
    });
}

#[test]
fn what_is_shared_is_not_missing_to_who_only_tries() {
    scene(|scene| {
        scene.grant(0, C, DATA, MANY, ALL | GrantFlags::TRY);
        scene.share(DATA);
        let copied = scene.read(B, DATA, MANY as usize);
        let granter = scene.endpoint(A);
        let call = SafeCopyTo { granter, reserved: 0, grant: id(0), offset: P - 4, address: DATA + 16, len: 8 };
        let expected = scene.read(C, call.address, 8);
        assert_eq!(scene.start(C, &call).first(), Ok(8));
        assert_eq!(scene.read(A, DATA + call.offset, 8), expected);
        assert!(scene.read(B, DATA, MANY as usize) == copied, "the copy is what it was");
        let entry = GrantEntry::read_from_bytes(&scene.read(A, TABLE, 64)).expect("it is as long");
        assert_eq!(entry.faulted, GrantId::INVALID);
    });
}

#[test]
fn only_many_whole_pages_are_shared() {
    // Where in a page the copy begins, how long it is, how much of it one call does, and whether pages are shared then.
    for (offset, len, done, shared) in [
        (0, MANY - P, MANY - P, false),
        (0, MANY - 1, MANY - 1, false),
        (0, MANY, MANY, true),
        (0, MANY + P, MANY + P, true),
        (P - 8, MANY + 7, MAX_COPIED, false),
        (P - 8, MANY + 8, 8, false),
    ] {
        scene(|scene| {
            let call = scene.copy(DATA + offset, DATA + offset, len);
            let expected = scene.read(A, DATA + offset, done as usize);
            assert_eq!(scene.does(C, &call).done, done, "of {len} bytes from {offset}");
            assert!(scene.read(B, DATA + offset, done as usize) == expected);
            let same = |page| {
                let [a, b] = [A, B].map(|player| (scene.space(player), page));
                audit::share(&scene.system, a, b)
            };
            let pages = (0..MANY / P + 2).filter(|page| same(DATA + page * P)).count() as u64;
            assert_eq!(pages, if shared { done / P } else { 0 });
        });
    }
}

/// Gives a player new pages, whose frames follow each other, or do not.
fn arrange(scene: &mut Scene<'_>, player: usize, pages: &[u64], together: bool) {
    let (space, root) = (scene.space(player), scene.root(player));
    pages.iter().for_each(|&page| scene.server.take(&mut scene.system, space, page, false).expect("it is private"));
    let mut order = pages.to_vec();
    if !together {
        order.reverse();
    }
    scene.server.bring_together(&mut scene.system, space, &order);
    for &page in pages {
        let byte = |at: usize| (at as u64 * 7 + page / P * 3 + player as u64) as u8;
        fill(&mut scene.system.machine, root, page, &core::array::from_fn::<u8, { P as usize }, _>(byte));
    }
}

#[test]
fn copies_are_exact_wherever_frames_lie() {
    const COUNT: u64 = 5;
    let pages: Vec<u64> = (0..COUNT).map(|page| DATA + page * P).collect();
    for (source, destination) in [(true, true), (true, false), (false, true), (false, false)] {
        for (from, to, len) in [(0, 0, 2 * P), (0, 0, P + 1), (5, 9, 3 * P), (P - 1, 1, 3 * P), (1, P - 1, 2 * P + 3)] {
            scene(|scene| {
                arrange(scene, A, &pages, source);
                arrange(scene, B, &pages, destination);
                let mut expected = scene.read(B, DATA, (COUNT * P) as usize);
                let bytes = scene.read(A, DATA + from, len as usize);
                expected[to as usize..][..len as usize].copy_from_slice(&bytes);
                let call = scene.copy(DATA + from, DATA + to, len);
                assert_eq!(scene.does(C, &call).done, len);
                assert!(scene.read(B, DATA, (COUNT * P) as usize) == expected, "{len} bytes from {from} to {to}");
            });
        }
    }
}

#[test]
fn a_fault_is_noted_also_in_a_table_that_is_shared() {
    scene(|scene| {
        scene.grant(0, C, DATA + MANY, P, ALL | GrantFlags::TRY);
        scene.share(TABLE);
        let copied = scene.read(B, TABLE, P as usize);
        scene.take(A, DATA + MANY);
        let granter = scene.endpoint(A);
        let call = SafeCopyFrom { granter, reserved: 0, grant: id(0), offset: 0, address: DATA, len: 8 };
        assert_eq!(scene.start(C, &call), Outcome::Done(Err(Errno::Fault)));
        let entry = GrantEntry::read_from_bytes(&scene.read(A, TABLE, 64)).expect("it is as long");
        assert_eq!(entry.faulted, id(0));
        assert!(scene.read(B, TABLE, P as usize) == copied, "the copy is what it was");
    });
}
