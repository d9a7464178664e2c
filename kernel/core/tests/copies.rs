//! Copies between programs.

use crate::support::*;
use abi::boot::{BootEntry, BootFlags};
use abi::grant::{GRANT_SIZE, GrantEntry, GrantFlags, GrantId};
use abi::layout::{PAGE_SIZE, USER_END};
use abi::{Endpoint, Errno, PrivilegeFlags, PrivilegeSpec};
use core::mem::offset_of;
use kernel_core::{MemoryAccess, Rts};
use protocol::kernel::{
    Clear, CopyFlags, MAX_COPIED, MAX_COPIES, PhysCopy, SafeCopy, SafeMemSet, SetGrant, VCopied, VSafeCopy, VirCopy,
};
use protocol::privctl::UpdateSys;
use protocol::vmctl::{AnswerRequest, NextEvent};

const BOTH: GrantFlags = READ.union(WRITE);
/// All memory behind the tables.
const LEN: u64 = MEMORY as u64 - PAGE_SIZE;
const SELF: Endpoint = Endpoint::SELF;

/// A world in which D is the memory server.
fn programs() -> [BootEntry; 4] {
    let mut programs = four();
    programs[3].flags = BootFlags::PAGER.bits();
    programs
}

/// A has granted all of its data to B.
fn granted(world: &mut World<'_>) {
    world.register_grants();
    world.grant_at(A, 0, direct(B, BOTH, DATA, LEN));
}

fn test(run: impl FnOnce(&mut World<'_>)) {
    let mut table = table();
    let mut world = World::new(&mut table, &programs());
    granted(&mut world);
    run(&mut world);
}

/// So many bytes in the memory of a program.
fn dump(world: &World<'_>, who: Endpoint, address: u64, len: u64) -> Vec<u8> {
    let root = world.memory_of(who);
    (address..address + len).map(|at| world.machine.byte(root, at).expect("it is there")).collect()
}

/// What the memory server is told next: who waits, whose memory, where, how many bytes, and what for.
fn next_event(world: &mut World<'_>) -> Result<(Endpoint, Endpoint, u64, u64, u64), Errno> {
    let [names, address, access_and_len] = world.call(D, &NextEvent {})?.words;
    let (requestor, process) = (Endpoint::from_raw(names as u32), Endpoint::from_raw((names >> 32) as u32));
    Ok((requestor, process, address, access_and_len & (u64::MAX >> 8), access_and_len >> 56))
}

fn answer(world: &mut World<'_>, process: Endpoint, available: u32) {
    world.does(D, &AnswerRequest { process, available });
}

const READS: u64 = MemoryAccess::Read as u64;
const WRITES: u64 = MemoryAccess::Write as u64;

#[test]
fn copies_are_exact_for_all_sizes_and_offsets() {
    let sizes = (0..16).map(|shift| 1 << shift).chain([3, 7, 4095, 4097, 65535, MAX_COPIED]);
    for (round, len) in sizes.enumerate() {
        for (there, here) in [(0, 0), (1, 0), (0, 3), (4095, 4093), (round as u64 * 7, round as u64)] {
            test(|world| {
                let (before, expected) = (dump(world, B, DATA, LEN), dump(world, A, DATA + there, len));
                let copied = world.call(B, &from_grant(A, id(0), there, DATA + here, len)).unwrap();
                assert_eq!(copied.done, len);
                let mut after = before.clone();
                after[here as usize..][..len as usize].copy_from_slice(&expected);
                assert!(dump(world, B, DATA, LEN) == after, "{len} bytes from {there} to {here}");
            });
            test(|world| {
                let (before, expected) = (dump(world, A, DATA, LEN), dump(world, B, DATA + here, len));
                let copied = world.call(B, &to_grant(A, id(0), there, DATA + here, len)).unwrap();
                assert_eq!(copied.done, len);
                let mut after = before.clone();
                after[there as usize..][..len as usize].copy_from_slice(&expected);
                assert!(dump(world, A, DATA, LEN) == after, "{len} bytes from {here} to {there}");
            });
        }
    }
}

#[test]
fn a_long_copy_is_done_in_parts() {
    test(|world| {
        let len = MAX_COPIED + 10;
        assert_eq!(world.call(B, &from_grant(A, id(0), 0, DATA, len)).unwrap().done, MAX_COPIED);
        assert_eq!(dump(world, B, DATA, MAX_COPIED), dump(world, A, DATA, MAX_COPIED));
        assert_ne!(dump(world, B, DATA + MAX_COPIED, 10), dump(world, A, DATA + MAX_COPIED, 10));
    });
}

#[test]
fn no_bytes_are_an_error() {
    let vircopy = VirCopy { source: A, destination: SELF, from: DATA, to: DATA, len: 0, flags: 0 };
    let [from, to] = both_ways(A, id(0), 0, 0);
    let fill = kernel_call(&SafeMemSet { granter: A, byte: 1, grant: id(0), offset: 0, len: 0 });
    for call in [from, to, fill, kernel_call(&vircopy)] {
        denied(&programs(), granted, B, call, Errno::Dom);
    }
}

#[test]
fn safememset_fills_what_was_granted() {
    test(|world| {
        let before = dump(world, A, DATA, LEN);
        let call = SafeMemSet { granter: A, byte: 0x5a, grant: id(0), offset: 4090, len: 5000 };
        assert_eq!(world.call(B, &call).unwrap().done, 5000);
        let mut after = before;
        after[4090..9090].fill(0x5a);
        assert!(dump(world, A, DATA, LEN) == after);
        assert_eq!(world.call(B, &SafeMemSet { len: MAX_COPIED + 1, offset: 0, ..call }).unwrap().done, MAX_COPIED);
    });
    for byte in [256, u32::MAX] {
        let call = SafeMemSet { granter: A, byte, grant: id(0), offset: 0, len: 1 };
        denied(&programs(), granted, B, kernel_call(&call), Errno::Inval);
    }
    let read_only = |world: &mut World<'_>| {
        world.register_grants();
        world.grant_at(A, 0, direct(B, READ, DATA, LEN));
    };
    let call = SafeMemSet { granter: A, byte: 1, grant: id(0), offset: 0, len: 1 };
    denied(&programs(), read_only, B, kernel_call(&call), Errno::Perm);
}

#[test]
fn vircopy_copies_between_any_two() {
    for (source, destination) in [(A, B), (SELF, B), (A, SELF), (A, A), (SELF, SELF)] {
        test(|world| {
            let name = |who| if who == SELF { C } else { who };
            let expected = dump(world, name(source), DATA + 5, 9000);
            let call = VirCopy { source, destination, from: DATA + 5, to: DATA + 20_001, len: 9000, flags: 0 };
            assert_eq!(world.call(C, &call).unwrap().done, 9000);
            assert!(dump(world, name(destination), DATA + 20_001, 9000) == expected);
        });
    }
    let call = VirCopy { source: A, destination: B, from: DATA, to: DATA, len: 8, flags: 2 };
    denied(&programs(), granted, C, kernel_call(&call), Errno::Inval);
    denied(&programs(), granted, C, kernel_call(&VirCopy { flags: u64::MAX, ..call }), Errno::Inval);
}

#[test]
fn what_is_no_programs_memory_fails_at_once() {
    for address in [0, MEMORY_START - 1, USER_END - 7, USER_END, 1 << 63, u64::MAX, u64::MAX - 7] {
        let from = from_grant(A, id(0), 0, address, 8);
        let to = to_grant(A, id(0), 0, address, 8);
        let vircopy = VirCopy { source: A, destination: B, from: address, to: DATA, len: 8, flags: 0 };
        let other = VirCopy { from: DATA, to: address, ..vircopy };
        let list = VSafeCopy { address, count: 1, first: 0, skip: 0 };
        for call in [from.into(), to.into(), vircopy.into(), other.into(), list.into()].map(|Trap(regs)| regs) {
            denied(&programs(), granted, B, call, Errno::Fault);
        }
    }
}

/// A call of any sort.
struct Trap(Regs);

impl<C: protocol::Call> From<C> for Trap {
    fn from(call: C) -> Self {
        Self(kernel_call(&call))
    }
}

#[test]
fn a_missing_source_is_asked_for_to_be_read_and_the_whole_of_it() {
    test(|world| {
        world.remove_page(A, DATA + PAGE_SIZE);
        let before = dump(world, B, DATA, LEN);
        let len = MAX_COPIED + 5;
        assert_eq!(world.trap(B, kernel_call(&from_grant(A, id(0), 3, DATA, len))), Outcome::Blocked);
        assert_eq!(world.rts(B), Rts::MEMORY_REQUEST);
        assert!(dump(world, B, DATA, LEN) == before, "nothing is copied yet");
        assert_eq!(next_event(world), Ok((B, A, DATA + 3, len, READS)));
        world.bring_page(A, DATA + PAGE_SIZE);
        answer(world, B, 1);
        world.run(B);
        assert_eq!(world.outcome(B), Outcome::Done);
        assert!(dump(world, B, DATA, MAX_COPIED) == dump(world, A, DATA + 3, MAX_COPIED));
    });
}

#[test]
fn a_missing_destination_is_asked_for_to_be_written() {
    for read_only in [false, true] {
        test(|world| {
            if read_only {
                world.protect_page(A, DATA + PAGE_SIZE);
            } else {
                world.remove_page(A, DATA + PAGE_SIZE);
            }
            let call = kernel_call(&to_grant(A, id(0), PAGE_SIZE - 4, DATA, 8));
            assert_eq!(world.trap(B, call), Outcome::Blocked);
            assert_eq!(next_event(world), Ok((B, A, DATA + PAGE_SIZE - 4, 8, WRITES)));
            world.machine.read_only.clear();
            world.bring_page(A, DATA + PAGE_SIZE);
            answer(world, B, 1);
            world.run(B);
            assert_eq!(dump(world, A, DATA + PAGE_SIZE - 4, 8), dump(world, B, DATA, 8));
        });
    }
}

#[test]
fn a_source_need_not_be_writable() {
    test(|world| {
        world.protect_page(A, DATA);
        assert!(world.call(B, &from_grant(A, id(0), 0, DATA, 8)).is_ok());
        world.protect_page(B, DATA);
        assert_eq!(world.trap(B, kernel_call(&from_grant(A, id(0), 0, DATA, 8))), Outcome::Blocked);
        assert_eq!(next_event(world), Ok((B, B, DATA, 8, WRITES)), "the destination must be");
    });
}

#[test]
fn both_sides_missing_are_two_waits() {
    test(|world| {
        world.remove_page(A, DATA);
        world.remove_page(B, DATA + PAGE_SIZE);
        let call = kernel_call(&from_grant(A, id(0), 8, DATA + PAGE_SIZE, 16));
        assert_eq!(world.trap(B, call), Outcome::Blocked);
        assert_eq!(next_event(world), Ok((B, A, DATA + 8, 16, READS)));
        world.bring_page(A, DATA);
        answer(world, B, 1);
        world.tick(20);
        assert_eq!(next_event(world), Ok((B, B, DATA + PAGE_SIZE, 16, WRITES)));
        world.bring_page(B, DATA + PAGE_SIZE);
        answer(world, B, 1);
        world.run(B);
        assert_eq!(dump(world, B, DATA + PAGE_SIZE, 16), dump(world, A, DATA + 8, 16));
    });
}

#[test]
fn what_cannot_be_brought_fails_and_has_copied_nothing() {
    test(|world| {
        world.remove_page(B, DATA + 3 * PAGE_SIZE);
        let before = dump(world, B, DATA, PAGE_SIZE);
        let call = kernel_call(&from_grant(A, id(0), 0, DATA, 4 * PAGE_SIZE));
        assert_eq!(world.trap(B, call), Outcome::Blocked);
        answer(world, B, 0);
        assert_eq!(world.outcome(B), Outcome::Failed(Errno::Fault));
        assert!(dump(world, B, DATA, PAGE_SIZE) == before);
    });
}

/// B waits in a copy for memory of A; the memory server knows, or not.
fn waiting(told: bool, run: impl Fn(&mut World<'_>)) {
    test(|world| {
        world.remove_page(A, DATA);
        assert_eq!(world.trap(B, both_ways(A, id(0), 0, 8)[0]), Outcome::Blocked);
        if told {
            next_event(world).unwrap();
        }
        run(world);
    });
}

#[test]
fn a_grant_that_was_taken_back_meanwhile_is_not_used() {
    for told in [false, true] {
        waiting(told, |world| {
            world.grant_at(A, 0, GrantEntry { sequence: 1, ..GrantEntry::FREE });
            world.bring_page(A, DATA);
            let before = dump(world, B, DATA, 8);
            answer(world, B, 1);
            world.run(B);
            assert_eq!(world.outcome(B), Outcome::Failed(Errno::Perm));
            assert_eq!(dump(world, B, DATA, 8), before);
        });
    }
}

#[test]
fn one_that_is_killed_while_it_waits_for_memory_of_another_leaves_no_request() {
    for told in [false, true] {
        waiting(told, |world| {
            world.root_does(&Clear { process: B });
            assert_eq!(next_event(world), Err(Errno::NoEnt));
            assert_eq!(world.call(D, &AnswerRequest { process: B, available: 1 }), Err(Errno::Inval));
            world.bring_page(A, DATA);
            world.grant_at(A, 1, direct(C, BOTH, DATA, LEN));
            assert!(world.fetch(C, A, id(1)).is_ok(), "the granter goes on");
        });
    }
}

#[test]
fn when_the_owner_of_the_memory_ends_the_copy_fails_and_leaves_no_request() {
    waiting(false, |world| {
        world.root_does(&Clear { process: A });
        assert_eq!(next_event(world), Err(Errno::NoEnt));
        world.run(B);
        assert_eq!(world.outcome(B), Outcome::Failed(Errno::Inval));
    });
    for available in [0, 1] {
        waiting(true, |world| {
            world.root_does(&Clear { process: A });
            assert_eq!(
                world.rts(B),
                Rts::MEMORY_REQUEST,
                "the answer that is on its way must not meet another request"
            );
            assert_eq!(next_event(world), Err(Errno::NoEnt));
            answer(world, B, available);
            world.run(B);
            assert_eq!(world.outcome(B), Outcome::Failed(Errno::Inval), "not EFAULT: the granter is gone");
        });
    }
}

#[test]
fn a_granter_that_is_updated_while_a_copy_waits_is_not_ready() {
    use protocol::kernel::{Update, UpdateDirection};
    for told in [false, true] {
        waiting(told, |world| {
            world.trap(C, receive(Endpoint::ANY));
            let new = world.new_instance(C, FREE);
            world.root_does(&protocol::privctl::Disallow { process: A });
            world.root_does(&Update { source: A, destination: new, direction: UpdateDirection::Forward });
            if told {
                answer(world, B, 0);
            }
            assert_eq!(next_event(world), Err(Errno::NoEnt));
            world.run(B);
            assert_eq!(world.outcome(B), Outcome::Failed(Errno::NotReady));
        });
    }
}

/// The faulted mark of A's first grant.
fn mark(world: &World<'_>) -> GrantId {
    world.load(A, TABLE + offset_of!(GrantEntry, faulted) as u64)
}

#[test]
fn try_fails_at_once_and_leaves_a_mark() {
    for (way, page) in [(0, A), (0, B), (1, A), (1, B)] {
        test(|world| {
            world.grant_at(A, 0, GrantEntry { sequence: 4, ..direct(B, BOTH | GrantFlags::TRY, DATA, LEN) });
            let grant = GrantId::new(0, 4).unwrap();
            let call = both_ways(A, grant, 0, 8)[way];
            assert_eq!((world.trap(B, call), mark(world)), (Outcome::Done, GrantId::INVALID));
            world.remove_page(page, DATA);
            assert_eq!((world.trap(B, call), mark(world)), (Outcome::Failed(Errno::Fault), grant));
            assert_eq!(next_event(world), Err(Errno::NoEnt), "the memory server does not hear of it");
        });
    }
}

#[test]
fn the_mark_is_with_the_memory_not_with_those_who_handed_the_grant_on() {
    test(|world| {
        world.grant_at(A, 0, direct(C, BOTH | GrantFlags::TRY, DATA, LEN));
        world.grant_at(C, 0, indirect(B, BOTH, (A, id(0)), 0, LEN));
        world.remove_page(A, DATA);
        assert_eq!(world.fetch(B, C, id(0)), Err(Errno::Fault));
        assert_eq!(mark(world), id(0));
        assert_eq!(world.load::<GrantEntry>(C, TABLE), indirect(B, BOTH, (A, id(0)), 0, LEN));
        // One that hands on with TRY what he got without decides nothing.
        world.grant_at(A, 1, direct(C, BOTH, DATA, LEN));
        world.grant_at(C, 1, indirect(B, BOTH | GrantFlags::TRY, (A, id(1)), 0, LEN));
        assert_eq!(world.trap(B, both_ways(C, id(1), 0, 8)[0]), Outcome::Blocked);
    });
}

#[test]
fn a_mark_that_cannot_be_written_does_not_matter() {
    test(|world| {
        world.grant_at(A, 0, direct(B, BOTH | GrantFlags::TRY, DATA, LEN));
        world.remove_page(A, DATA);
        world.protect_page(A, TABLE);
        assert_eq!(world.fetch(B, A, id(0)), Err(Errno::Fault));
        assert_eq!(mark(world), GrantId::INVALID);
    });
}

#[test]
fn only_the_privileged_try_without_a_grant() {
    let call = VirCopy { source: A, destination: B, from: DATA, to: DATA, len: 8, flags: CopyFlags::TRY.bits() };
    denied(&programs(), granted, C, kernel_call(&call), Errno::Perm);
    test(|world| {
        let flags = world.spec().flags | PrivilegeFlags::GRANTS_FOR_OTHERS.bits();
        world.root_does(&UpdateSys { spec: PrivilegeSpec { flags, ..world.spec() }, process: C, reset_ranges: 0 });
        assert!(world.call(C, &call).is_ok());
        world.remove_page(B, DATA);
        assert_eq!(world.call(C, &call), Err(Errno::Fault));
        assert_eq!(next_event(world), Err(Errno::NoEnt));
        assert_eq!(world.trap(C, kernel_call(&VirCopy { flags: 0, ..call })), Outcome::Blocked);
    });
}

#[test]
fn physical_memory_is_copied_where_it_is_a_programs() {
    test(|world| {
        let (first, _) = world.kernel.spaces.claim(2).unwrap();
        let space = world.kernel.spaces.name(world.process(A).space.unwrap().id());
        let copy = |from: u64, len| PhysCopy { source: Endpoint::NONE, destination: B, from, to: DATA, len, flags: 0 };
        assert_eq!(world.call(C, &copy(first, 8)), Err(Errno::Perm), "idle frames are nobody's yet");
        map(world, space, first, 1);
        let root = world.memory_of(B);
        world.does(
            C,
            &PhysCopy { source: B, destination: Endpoint::NONE, from: DATA, to: first + 8, len: 16, flags: 0 },
        );
        world.does(C, &copy(first + 8, 16));
        assert_eq!(dump(world, B, DATA, 16), bytes(root, DATA, 16).unwrap());
        world.does(C, &copy(first, 8));
        assert_eq!(dump(world, B, DATA, 8), [0; 8], "it was cleared");
        assert!(world.call(C, &copy(first + PAGE_SIZE - 8, 8)).is_ok(), "up to the end, whosever the next frame is");
        for (address, errno) in [
            (first + PAGE_SIZE - 4, Errno::Perm),
            (0, Errno::Perm),
            (1 << 40, Errno::Fault),
            (1 << 60, Errno::Fault),
            (u64::MAX - 3, Errno::Fault),
        ] {
            assert_eq!(world.call(C, &copy(address, 8)), Err(errno), "{address:#x}");
        }
        let call = VirCopy { source: Endpoint::NONE, destination: B, from: first, to: DATA, len: 8, flags: 0 };
        assert_eq!(world.call(C, &call), Err(Errno::Inval), "VIRCOPY knows no physical memory");
    });
}

#[test]
fn physical_memory_is_copied_page_by_page() {
    const PAGES: u64 = 3;
    test(|world| {
        let (first, _) = world.kernel.spaces.claim(2 * PAGES).unwrap();
        let space = world.kernel.spaces.name(world.process(A).space.unwrap().id());
        map(world, space, first, 2 * PAGES as u32);
        // Over two borders of pages, to memory that lies otherwise in its pages; and back.
        let (there, here, len) = (first + 100, DATA + 30, 2 * PAGE_SIZE);
        let into = PhysCopy { source: B, destination: Endpoint::NONE, from: here, to: there, len, flags: 0 };
        let expected = dump(world, B, here, len);
        assert_eq!(world.call(C, &into).unwrap().done, len);
        let back =
            PhysCopy { source: Endpoint::NONE, destination: C, from: there - 1, to: DATA + 7, len: len + 2, flags: 0 };
        assert_eq!(world.call(C, &back).unwrap().done, len + 2);
        let got = dump(world, C, DATA + 7, len + 2);
        assert!(got[0] == 0 && got[1..=len as usize] == expected[..] && got[len as usize + 1] == 0, "and no byte more");
        // From physical memory to physical memory, where other bytes follow.
        let (other, less) = (first + PAGES * PAGE_SIZE + 9, len - 16);
        let (source, destination) = (Endpoint::NONE, Endpoint::NONE);
        let among = PhysCopy { source, destination, from: there, to: other, len: less, flags: 0 };
        assert_eq!(world.call(C, &among).unwrap().done, less);
        assert_eq!(world.call(C, &PhysCopy { from: other, len, ..back }).unwrap().done, len);
        let got = dump(world, C, DATA + 7, len);
        let (copied, behind) = got.split_at(less as usize);
        assert!(copied == &expected[..less as usize] && behind == [0; 16], "and no byte more");
    });
}

/// Maps frames for a program, with page tables from the pool.
fn map(world: &mut World<'_>, space: u64, frame: u64, count: u32) {
    use protocol::vmctl::{Access, Backing, Cache, MapRun};
    let (table, tables) = world.kernel.spaces.claim(3).unwrap();
    world.kernel.spaces.donate(&mut world.machine, space, table, tables).unwrap();
    let call = MapRun {
        space,
        address: 1 << 30,
        frame,
        count,
        access: Access::Write,
        backing: Backing::Memory,
        cache: Cache::Normal,
    };
    world.kernel.spaces.map(&mut world.machine, &call, |_| false).unwrap();
}

const FROM_A: SafeCopy =
    SafeCopy { source: A, destination: SELF, grant: GrantId::from_raw(0), offset: 0, address: DATA + 0x3000, len: 100 };
const TO_A: SafeCopy = SafeCopy { source: SELF, destination: A, offset: 0x800, ..FROM_A };

/// Where B keeps a list.
const LIST: u64 = DATA + 0x2000;

fn list(count: u64) -> VSafeCopy {
    VSafeCopy { address: LIST, count, first: 0, skip: 0 }
}

#[test]
fn a_list_of_copies_is_made_in_its_order() {
    test(|world| {
        let expected = dump(world, A, DATA, 100);
        world.store(B, LIST, &[FROM_A, TO_A]);
        assert_eq!(world.call(B, &list(2)), Ok(VCopied { next: 2, skip: 0 }));
        assert_eq!(dump(world, A, DATA + 0x800, 100), expected);
        let full: Vec<_> = (0..MAX_COPIES).map(|i| SafeCopy { offset: i, len: 1, ..FROM_A }).collect();
        world.store(B, LIST, &full[..]);
        assert_eq!(world.call(B, &list(MAX_COPIES)), Ok(VCopied { next: MAX_COPIES, skip: 0 }));
    });
}

#[test]
fn a_list_ends_where_its_count_says() {
    test(|world| {
        let before = dump(world, A, DATA + 0x800, 100);
        world.store(B, LIST, &[FROM_A, TO_A]);
        assert_eq!(world.call(B, &list(1)), Ok(VCopied { next: 1, skip: 0 }));
        assert_eq!(dump(world, A, DATA + 0x800, 100), before, "the copy behind the list is not made");
    });
}

#[test]
fn a_list_goes_on_where_the_last_call_came_to() {
    test(|world| {
        let long = SafeCopy { len: MAX_COPIED - 10, address: DATA, ..FROM_A };
        world.store(B, DATA - PAGE_SIZE / 2, &[long, FROM_A]);
        let call = VSafeCopy { address: DATA - PAGE_SIZE / 2, ..list(2) };
        let done = world.call(B, &call).unwrap();
        assert_eq!(done, VCopied { next: 1, skip: 10 });
        assert_eq!(dump(world, B, DATA, MAX_COPIED - 10 - 0x3000), dump(world, A, DATA, MAX_COPIED - 10 - 0x3000));
        let rest = VSafeCopy { first: done.next, skip: done.skip, ..call };
        assert_eq!(world.call(B, &rest), Ok(VCopied { next: 2, skip: 0 }));
        assert_eq!(dump(world, B, FROM_A.address, 100), dump(world, A, DATA, 100));
    });
}

#[test]
fn the_first_copy_that_fails_ends_a_list() {
    let bad = SafeCopy { offset: LEN, ..FROM_A };
    test(|world| {
        let last = SafeCopy { address: DATA + 0x4000, ..FROM_A };
        world.store(B, LIST, &[FROM_A, bad, last]);
        let before = dump(world, B, last.address, 100);
        let done = world.call(B, &list(3)).unwrap();
        assert_eq!(done, VCopied { next: 1, skip: 0 });
        assert_eq!(world.call(B, &VSafeCopy { first: 1, ..list(3) }), Err(Errno::Perm));
        assert_eq!(dump(world, B, FROM_A.address, 100), dump(world, A, DATA, 100), "what was before stays");
        assert_eq!(dump(world, B, last.address, 100), before, "what comes after is not done");
    });
}

#[test]
fn a_list_waits_for_memory_where_it_has_come_to() {
    test(|world| {
        let missing = SafeCopy { offset: 8 * PAGE_SIZE, ..FROM_A };
        world.remove_page(A, DATA + 8 * PAGE_SIZE);
        world.store(B, LIST, &[FROM_A, missing]);
        assert_eq!(world.call(B, &list(2)), Ok(VCopied { next: 1, skip: 0 }), "what is copied is told first");
        let rest = VSafeCopy { first: 1, ..list(2) };
        assert_eq!(world.trap(B, kernel_call(&rest)), Outcome::Blocked);
        assert_eq!(next_event(world), Ok((B, A, DATA + 8 * PAGE_SIZE, 100, READS)));
        world.bring_page(A, DATA + 8 * PAGE_SIZE);
        answer(world, B, 1);
        world.run(B);
        assert_eq!(answer_in::<VSafeCopy>(&world.regs(B)), Ok(VCopied { next: 2, skip: 0 }));
        assert_eq!(dump(world, B, FROM_A.address, 100), dump(world, A, missing.offset + DATA, 100));
    });
}

#[test]
fn hostile_lists_are_refused() {
    let with = |copies: Vec<SafeCopy>| {
        move |world: &mut World<'_>| {
            granted(world);
            world.store(B, LIST, &copies[..]);
        }
    };
    let good = vec![FROM_A; MAX_COPIES as usize];
    for count in [0, MAX_COPIES + 1, u64::MAX] {
        denied(&programs(), with(good.clone()), B, kernel_call(&list(count)), Errno::Inval);
    }
    for (first, skip, errno) in
        [(2, 0, Errno::Inval), (u64::MAX, 0, Errno::Inval), (0, 100, Errno::Dom), (0, u64::MAX, Errno::Dom)]
    {
        denied(&programs(), with(good.clone()), B, kernel_call(&VSafeCopy { first, skip, ..list(2) }), errno);
    }
    for (source, destination, errno) in [
        (SELF, SELF, Errno::Inval),
        (A, A, Errno::Inval),
        (A, C, Errno::Inval),
        (B, A, Errno::Inval),
        (FREE, SELF, Errno::Inval),
        (SELF, Endpoint::NONE, Errno::Inval),
        (C, SELF, Errno::Perm),
    ] {
        let copies = vec![SafeCopy { source, destination, ..FROM_A }];
        denied(&programs(), with(copies), B, kernel_call(&list(1)), errno);
    }
    let empty = with(vec![SafeCopy { len: 0, ..FROM_A }]);
    denied(&programs(), empty, B, kernel_call(&list(1)), Errno::Dom);
    let beyond = with(vec![SafeCopy { address: u64::MAX, ..FROM_A }]);
    denied(&programs(), beyond, B, kernel_call(&list(1)), Errno::Fault);
}

#[test]
fn granters_of_many_grants_find_each_of_them() {
    test(|world| {
        world.does(A, &SetGrant { address: TABLE, count: GRANTS + 1 });
        for index in [1, 5, GRANTS - 1, GRANTS] {
            let grant = world.grant_at(A, index, direct(B, READ, DATA + 1000 + index * GRANT_SIZE, 8));
            let expected = dump(world, A, DATA + 1000 + index * GRANT_SIZE, 8);
            assert_eq!(world.fetch(B, A, grant).unwrap()[..], expected, "{index}");
        }
    });
}
