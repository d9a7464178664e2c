//! Receive filters, as a process installs them.

use crate::support::*;
use abi::asynchronous::{AsyncEntry, AsyncFlags};
use abi::filter::{FilterElement, MAX_FILTER_ELEMENTS};
use abi::{Endpoint, Errno, Trap};
use kernel_core::Rts;
use kernel_core::filters::POOL;
use protocol::kernel::Clear;
use protocol::privctl::{Disallow, SetUser};
use protocol::statectl::{AddBlacklist, AddWhitelist, ClearFilters, ClearRefs, SetStateTable};

const ANY: Endpoint = Endpoint::ANY;
const LIST: u64 = MEMORY_START + 0x10;

fn test(run: impl FnOnce(&mut World<'_>)) {
    let mut table = table();
    run(&mut World::new(&mut table, &four()));
}

fn blacklist(world: &mut World<'_>, who: Endpoint, elements: &[FilterElement]) -> Result<(), Errno> {
    world.store(who, LIST, elements);
    world.call(who, &AddBlacklist { address: LIST, count: elements.len() as u64 }).map(drop)
}

fn whitelist(world: &mut World<'_>, who: Endpoint, elements: &[FilterElement]) -> Result<(), Errno> {
    world.store(who, LIST, elements);
    world.call(who, &AddWhitelist { address: LIST, count: elements.len() as u64 }).map(drop)
}

const FROM_A: FilterElement = FilterElement::from_source(A);
const FROM_C: FilterElement = FilterElement::from_source(C);

#[test]
fn what_is_filtered_waits_as_if_nobody_received() {
    test(|world| {
        blacklist(world, B, &[FROM_A]).unwrap();
        world.trap(B, receive(ANY));
        assert_eq!(world.trap(A, sendnb(B, 1)), Outcome::Failed(Errno::NotReady));
        assert_eq!(world.trap(A, notify(B)), Outcome::Done);
        assert_eq!(world.rts(B), Rts::RECEIVING | Rts::SPECIAL);
        assert_eq!(world.trap(A, send(B, 2)), Outcome::Blocked);
        assert_eq!(world.trap(C, send(B, 3)), Outcome::Done);
        assert_eq!(world.regs(B), delivered(C, Trap::Send, 3));
        assert_eq!(world.trap(B, receive(ANY)), Outcome::Blocked, "neither pending nor queued ones come");
    });
}

#[test]
fn clearing_lets_in_what_waits() {
    test(|world| {
        blacklist(world, B, &[FROM_A]).unwrap();
        world.trap(A, notify(B));
        let entry = AsyncEntry { flags: AsyncFlags::VALID.bits(), destination: B, result: 0, message: message(1) };
        world.store(A, MEMORY_START + 0x800, &entry);
        world.trap(A, senda(MEMORY_START + 0x800, 1));
        world.trap(A, send(B, 2));
        world.call(B, &ClearFilters {}).unwrap();
        world.run(B);
        let now = world.machine.ticks;
        world.trap(B, receive(ANY));
        assert_eq!(world.regs(B), notified(A, now));
        world.trap(B, receive(ANY));
        assert_eq!(world.regs(B), delivered(A, Trap::SendA, 1));
        world.trap(B, receive(ANY));
        assert_eq!(world.regs(B), delivered(A, Trap::Send, 2));
        assert_eq!(world.outcome(A), Outcome::Done);
    });
}

#[test]
fn one_who_loses_its_filters_while_it_waits_gets_what_they_kept_out() {
    test(|world| {
        blacklist(world, B, &[FROM_A]).unwrap();
        world.trap(B, receive(ANY));
        world.trap(A, send(B, 1));
        world.as_root(&Disallow { process: B }).unwrap();
        world.as_root(&SetUser { process: B }).unwrap();
        assert_eq!((world.rts(B), world.regs(B)), (Rts::NO_PRIV, delivered(A, Trap::Send, 1)));
        assert_eq!(world.outcome(A), Outcome::Done);
    });
}

#[test]
fn one_who_becomes_a_user_while_it_sends_is_let_in_as_such() {
    test(|world| {
        blacklist(world, B, &[FilterElement::from_source(Endpoint::ANY_SYS)]).unwrap();
        world.trap(B, receive(ANY));
        world.trap(A, send(B, 1));
        world.as_root(&Disallow { process: A }).unwrap();
        assert_eq!(world.rts(A), Rts::SENDING | Rts::NO_PRIV);
        world.as_root(&SetUser { process: A }).unwrap();
        assert_eq!(world.regs(B), delivered(A, Trap::Send, 1));
        assert_eq!((world.rts(A), world.rts(B)), (Rts::NO_PRIV, Rts::empty()));
    });
}

#[test]
fn filters_look_at_source_and_kind_and_form_a_chain() {
    test(|world| {
        whitelist(world, B, &[FilterElement::of_kind(kind(1)), FROM_C]).unwrap();
        blacklist(world, B, &[FilterElement::of_kind_from(kind(2), C)]).unwrap();
        world.trap(B, receive(ANY));
        assert_eq!(world.trap(A, sendnb(B, 2)), Outcome::Failed(Errno::NotReady), "neither kind nor source");
        assert_eq!(world.trap(C, sendnb(B, 2)), Outcome::Failed(Errno::NotReady), "black after white");
        assert_eq!(world.trap(C, sendnb(B, 3)), Outcome::Done);
        world.trap(B, receive(ANY));
        assert_eq!(world.trap(A, sendnb(B, 1)), Outcome::Done);
    });
}

#[test]
fn a_notification_that_is_filtered_hides_no_other() {
    test(|world| {
        blacklist(world, B, &[FROM_A]).unwrap();
        world.trap(A, notify(B));
        world.trap(C, notify(B));
        world.run(B);
        let now = world.machine.ticks;
        world.trap(B, receive(ANY));
        assert_eq!(world.regs(B), notified(C, now));
    });
}

#[test]
fn sorts_of_sources_are_told_apart() {
    test(|world| {
        world.trap(D, receive(ANY));
        let user = world.user(D, FREE);
        world.update_users(world.spec());
        blacklist(world, B, &[FilterElement::from_source(Endpoint::ANY_USR)]).unwrap();
        world.trap(B, receive(ANY));
        assert_eq!(world.trap(user, sendnb(B, 1)), Outcome::Failed(Errno::NotReady));
        assert_eq!(world.trap(A, sendnb(B, 1)), Outcome::Done);
        world.call(B, &ClearFilters {}).unwrap();
        whitelist(world, B, &[FilterElement::from_source(Endpoint::ANY_TSK)]).unwrap();
        world.trap(A, notify(B));
        world.call(B, &protocol::kernel::SetAlarm { ticks: 0, absolute: 1 }).unwrap();
        world.trap(B, receive(ANY));
        assert_eq!(world.regs(B).rdi, Endpoint::CLOCK.raw().into());
    });
}

#[test]
fn one_in_sendrec_whose_answer_is_filtered_waits_on() {
    test(|world| {
        blacklist(world, A, &[FilterElement::of_kind_from(kind(2), B)]).unwrap();
        world.trap(A, sendrec(B, 1));
        world.trap(B, receive(ANY));
        assert_eq!(world.trap(B, sendnb(A, 2)), Outcome::Failed(Errno::NotReady));
        assert_eq!(world.trap(B, reply_receive(A, 2, ANY)), Outcome::Blocked);
        assert_eq!(world.outcome(A), Outcome::Blocked);
        world.trap(C, notify(B));
        assert_eq!(abi::Status(world.regs(B).rdx).failed_reply(), Some(Errno::NotReady));
        assert_eq!(world.trap(B, sendnb(A, 3)), Outcome::Done);
        assert_eq!(world.regs(A), delivered(B, Trap::SendNb, 3));
    });
}

#[test]
fn lists_are_refused_for_length_elements_and_addresses() {
    let good = |world: &mut World<'_>| world.store(A, LIST, &[FROM_C; MAX_FILTER_ELEMENTS]);
    for count in [0, MAX_FILTER_ELEMENTS as u64 + 1, 1 << 32, u64::MAX] {
        denied(&four(), good, A, kernel_call(&AddBlacklist { address: LIST, count }), Errno::TooBig);
        denied(&four(), good, A, kernel_call(&AddWhitelist { address: LIST, count }), Errno::TooBig);
    }
    for address in [0, MEMORY_START + MEMORY as u64 - 15, u64::MAX] {
        denied(&four(), good, A, kernel_call(&AddBlacklist { address, count: 1 }), Errno::Fault);
    }
    for source in [FREE, C.next_generation(), ANY, Endpoint::NONE, Endpoint::SELF] {
        let bad = |world: &mut World<'_>| world.store(A, LIST, &[FROM_C, FilterElement::from_source(source)]);
        denied(&four(), bad, A, kernel_call(&AddWhitelist { address: LIST, count: 2 }), Errno::Inval);
    }
    let empty = |world: &mut World<'_>| world.store(A, LIST, &[FilterElement { flags: 0, ..FROM_C }]);
    denied(&four(), empty, A, kernel_call(&AddWhitelist { address: LIST, count: 1 }), Errno::Inval);
}

#[test]
fn the_pool_runs_out_and_comes_back_with_the_death_of_owners() {
    test(|world| {
        world.trap(D, receive(ANY));
        let full = [FROM_C; MAX_FILTER_ELEMENTS];
        let owners: Vec<_> = (0..POOL / MAX_FILTER_ELEMENTS)
            .map(|i| world.service(D, Endpoint::from_raw((FREE.slot() + i) as u32)))
            .collect();
        for owner in &owners {
            blacklist(world, *owner, &full).unwrap();
        }
        assert_eq!(blacklist(world, A, &[FROM_C]), Err(Errno::NoMem));
        world.as_root(&Clear { process: owners[3] }).unwrap();
        assert_eq!(blacklist(world, A, &full), Ok(()));
        assert_eq!(blacklist(world, A, &[FROM_C]), Err(Errno::NoMem), "its own quota");
        assert_eq!(blacklist(world, B, &[FROM_C]), Err(Errno::NoMem));
    });
}

#[test]
fn users_have_neither_filters_nor_state() {
    test(|world| {
        world.trap(D, receive(ANY));
        let user = world.user(D, FREE);
        world.update_users(world.spec());
        assert_eq!(blacklist(world, user, &[FROM_A]), Err(Errno::Perm));
        assert_eq!(whitelist(world, user, &[FROM_A]), Err(Errno::Perm));
        assert_eq!(world.call(user, &SetStateTable { address: 0, count: 0 }), Err(Errno::Perm));
        assert!(world.call(A, &SetStateTable { address: LIST, count: 3 }).is_ok());
    });
}

#[test]
fn clear_refs_frees_those_who_wait_for_the_caller_which_lives_on() {
    test(|world| {
        let entry = AsyncEntry { flags: AsyncFlags::VALID.bits(), destination: B, result: 5, message: message(1) };
        world.store(A, MEMORY_START, &entry);
        world.trap(A, senda(MEMORY_START, 1));
        world.trap(A, sendrec(B, 1));
        world.trap(C, receive(B));
        world.trap(D, receive(ANY));
        assert!(world.call(B, &ClearRefs {}).is_ok());
        let dead = Outcome::Failed(Errno::DeadSrcDst);
        assert_eq!((world.outcome(A), world.outcome(C), world.outcome(D)), (dead, dead, Outcome::Blocked));
        let entry: AsyncEntry = world.load(A, MEMORY_START);
        assert_eq!(entry.result, Errno::DeadSrcDst.to_result());
        assert_ne!(entry.flags & AsyncFlags::DONE.bits(), 0);
        assert_eq!(world.trap(B, sendnb(D, 2)), Outcome::Done, "under its old name");
        assert_eq!(world.regs(D), delivered(B, Trap::SendNb, 2));
        assert_eq!(world.trap(B, receive(ANY)), Outcome::Blocked, "nothing is left of them");
    });
}

#[test]
fn clear_refs_takes_back_what_the_caller_has_told_others() {
    test(|world| {
        let entry = AsyncEntry { flags: AsyncFlags::VALID.bits(), destination: B, result: 5, message: message(1) };
        world.store(A, MEMORY_START, &entry);
        world.trap(A, senda(MEMORY_START, 1));
        world.trap(A, notify(B));
        world.does(A, &ClearRefs {});
        assert_eq!(world.trap(B, receive(ANY)), Outcome::Blocked);
    });
}

#[test]
fn receiving_from_one_whose_message_a_filter_keeps_out_closes_no_circle() {
    test(|world| {
        blacklist(world, B, &[FROM_A]).unwrap();
        assert_eq!(world.trap(A, send(B, 1)), Outcome::Blocked);
        assert_eq!(world.trap(B, receive(A)), Outcome::Blocked);
        world.root_does(&Disallow { process: B });
        world.root_does(&SetUser { process: B });
        assert_eq!(world.regs(B), delivered(A, Trap::Send, 1), "as soon as the filter is gone");
    });
}
