//! Copies with grants of every kind, byte by byte.

use crate::kit::{BOTH, DATA, Granter, MINE, MORE, direct};
use crate::party::{Painting, Party, SAFE_CALLS, SIZE, paint, paint_all, party};
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno, PrivilegeFlags, PrivilegeSpec};
use family::{Page, Plan, me};
use protocol::getinfo::GetPrivileges;
use protocol::kernel::MAX_COPIED;
use protocol::privctl::UpdateSys;
use protocol::vmctl::Access;
use suite::{Outcome, check, check_eq};
use sys::grants::{Copies, CopiesError, CopyError, ForeignMemory, GrantId, Received, Rights, scope};

/// Seeds: of the suite's memory, and of the other's.
const OURS: u64 = 3;
const THEIRS: u64 = 8;
/// The longest copy.
const MOST: usize = 32768;

pub(crate) fn received(id: GrantId) -> Result<Received, Errno> {
    Ok(Received { granter: me()?, id })
}

/// Copies there and back through a grant of all the suite's memory that `party` has got, which starts `skip` bytes into it.
fn there_and_back(party: &Party, grant: Received, skip: usize, sizes: &[usize], places: &[(usize, usize)]) -> Outcome {
    for &len in sizes {
        for &(offset, at) in places {
            let from = skip + offset;
            party.paint(THEIRS)?;
            party.fetch(grant, offset, at, len)??;
            party.check(&Painting { around: THEIRS, at, len, seed: OURS, from })?;
        }
    }
    Ok(())
}

pub(crate) fn every_size_from_and_to_odd_places() -> Outcome {
    const PLACES: &[(usize, usize)] = &[(0, 0), (1, 0), (0, 7), (4095, 4093), (4099, 4096)];
    let party = Party::start()?;
    let mine = &mut MINE.borrow_mut().0;
    let mut len = 1;
    while len <= MOST {
        for &(offset, at) in PLACES {
            paint_all(mine, OURS);
            scope(|scope| {
                let grant = scope.read_write(&mut *mine, party.endpoint())?;
                let theirs = received(grant.id())?;
                there_and_back(&party, theirs, 0, &[len], &[(offset, at)])?;
                party.paint(THEIRS)?;
                party.store(theirs, offset, at, len)??;
                let back = grant.revoke().memory;
                let painting = Painting { around: OURS, at: offset, len, seed: THEIRS, from: at };
                check_eq!((painting, painting.wrong(back)), (painting, None));
                Ok(())
            })?;
        }
        len *= 2;
    }
    party.end()
}

/// Each link starts a byte further on, and all ends a byte earlier.
pub(crate) fn through_one_to_five_hops() -> Outcome {
    const SIZES: &[usize] = &[1, 8, 513, 4096, MOST];
    const PLACES: &[(usize, usize)] = &[(0, 0), (3, 4094)];
    let parties = [0; 6].map(|_| Party::start());
    let [a, b, c, d, e, f] = parties;
    let parties = [a?, b?, c?, d?, e?, f?];
    let mine = &mut MINE.borrow_mut().0;
    for hops in 1..=5 {
        paint_all(mine, OURS);
        let [first, .., last] = [&parties[0], &parties[hops]];
        scope(|scope| {
            let grant = scope.read_write(&mut *mine, first.endpoint())?;
            let mut theirs = received(grant.id())?;
            for hop in 0..hops {
                let [from, to] = [&parties[hop], &parties[hop + 1]];
                theirs = from.hands_on(theirs, 1, SIZE - 1 - hop, to.endpoint())?;
            }
            there_and_back(last, theirs, hops, SIZES, PLACES)?;
            last.paint(THEIRS)?;
            last.store(theirs, 5, 4091, MOST)??;
            // Beyond the end of what was handed on.
            let beyond = last.fetch(theirs, SIZE - hops - 8, 0, 9)?;
            check_eq!(beyond.map_err(Errno::from), Err(Errno::Perm));
            let back = grant.revoke().memory;
            let painting = Painting { around: OURS, at: hops + 5, len: MOST, seed: THEIRS, from: 4091 };
            check_eq!((painting, painting.wrong(back)), (painting, None));
            check_eq!(last.fetch(theirs, 0, 0, 8)?.map_err(Errno::from), Err(Errno::Perm));
            Ok(())
        })?;
    }
    parties.into_iter().try_for_each(Party::end)
}

/// Gives the suite the privilege to grant memory of others, or takes it.
fn may_grant_for_others(may: bool) -> Outcome {
    let id = family::process_info(me()?)?.privilege_id;
    let mine = sys::getinfo().privileges(GetPrivileges { id: id.into() })?;
    let others = PrivilegeFlags::GRANTS_FOR_OTHERS.bits();
    let flags = mine.flags & PrivilegeFlags::SETTABLE.bits() & !others | if may { others } else { 0 };
    let spec = PrivilegeSpec {
        sends: mine.sends,
        calls: mine.calls,
        flags,
        init_flags: mine.init_flags,
        traps: mine.traps,
        manager: mine.manager,
        backup: mine.backup,
        reserved: 0,
    };
    sys::privctl().update_sys(UpdateSys { spec, process: Endpoint::SELF, reset_ranges: 0 })?;
    Ok(())
}

pub(crate) fn memory_of_another_is_granted_by_those_who_may() -> Outcome {
    let (owner, user) = (Party::start()?, Party::start()?);
    let page = owner.0.home.page(Page(1));
    (0..512).for_each(|i| page.set(i, i as u64 * 3));
    let memory = ForeignMemory { owner: owner.endpoint(), address: Page(1).address(), len: 4096 };
    scope(|scope| {
        let grant = scope.magic(memory, Rights::READ_WRITE, user.endpoint())?;
        let theirs = received(grant.id())?;
        check_eq!(user.fetch(theirs, 0, 0, 4096)?.map_err(Errno::from), Err(Errno::Perm));
        may_grant_for_others(true)?;
        for (offset, at, len) in [(0, 0, 1), (5, 3, 4000), (0, 4095, 4096), (4095, 0, 1)] {
            user.paint(THEIRS)?;
            user.store(theirs, offset, at, len)??;
            user.paint(OURS)?;
            user.fetch(theirs, offset, 77, len)??;
            user.check(&Painting { around: OURS, at: 77, len, seed: THEIRS, from: at })?;
            check_eq!(page.get(offset / 8) >> (offset % 8 * 8) & 0xff, u64::from(paint(THEIRS, at)));
        }
        check_eq!(user.fetch(theirs, 1, 0, 4096)?.map_err(Errno::from), Err(Errno::Perm));
        // The owner itself was not granted anything.
        check_eq!(owner.fetch(theirs, 0, 0, 8)?.map_err(Errno::from), Err(Errno::Perm));
        may_grant_for_others(false)?;
        check_eq!(user.fetch(theirs, 0, 0, 8)?.map_err(Errno::from), Err(Errno::Perm));
        check!(!grant.revoke().faulted, "nobody tried");
        Ok(())
    })?;
    owner.end()?;
    user.end()
}

pub(crate) fn parts_are_filled() -> Outcome {
    let party = Party::start()?;
    let mine = &mut MINE.borrow_mut().0;
    for (offset, len) in [(0, 1), (1, 7), (4095, 2), (9, MOST), (0, SIZE)] {
        paint_all(mine, OURS);
        scope(|scope| {
            let grant = scope.write(&mut *mine, party.endpoint())?;
            party.fill(received(grant.id())?, offset, len, 0xa5)??;
            let back = grant.revoke().memory;
            let expected = |i| if (offset..offset + len).contains(&i) { 0xa5 } else { paint(OURS, i) };
            check_eq!(back.iter().enumerate().position(|(i, &byte)| byte != expected(i)), None);
            Ok(())
        })?;
    }
    party.end()
}

/// The suite's own memory on both sides.
pub(crate) fn lists_of_copies_are_made_in_order() -> Outcome {
    let (source, mut target) = ([1_u8, 2, 3, 4, 5, 6, 7, 8], [0_u8; 8]);
    let (mut first, mut second) = ([0_u8; 3], [0_u8; 4]);
    scope(|scope| {
        let (from, to) = (scope.read(&source, me()?)?, scope.write(&mut target, me()?)?);
        let (readable, writable) = (received(from.id())?, received(to.id())?);
        let mut copies = Copies::new();
        copies.copy_from(readable, 1, &mut first)?;
        copies.copy_to(writable, 2, &[9_u8, 8])?;
        copies.copy_from(readable, 4, &mut second)?;
        check_eq!(copies.make(), Ok(()));
        check_eq!(to.revoke().memory, &[0, 0, 9, 8, 0, 0, 0, 0]);
        Ok(())
    })?;
    check_eq!((first, second), ([2, 3, 4], [5, 6, 7, 8]));
    Ok(())
}

pub(crate) fn what_fails_ends_a_list() -> Outcome {
    let source = [1_u8, 2, 3, 4];
    let mut parts = [[0_u8; 2]; 3];
    check_eq!(Copies::new().make(), Err(CopiesError { errno: Errno::Inval, complete: 0, done: 0 }));
    scope(|scope| {
        let from = scope.read(&source, me()?)?;
        let mut copies = Copies::new();
        for (part, offset) in parts.iter_mut().zip([1, 3, 0]) {
            copies.copy_from(received(from.id())?, offset, part)?;
        }
        check_eq!(copies.make(), Err(CopiesError { errno: Errno::Perm, complete: 1, done: 0 }));
        Ok(())
    })?;
    check_eq!(parts, [[2, 3], [0, 0], [0, 0]]);
    Ok(())
}

/// A third service can do nothing with the grant of two others that have no rights but those for grants.
pub(crate) fn two_share_and_a_third_does_not() -> Outcome {
    let (party, third) = (Party::start()?, Party::start_with(&Plan::new(party)?.calls(SAFE_CALLS))?);
    let mine = &mut MINE.borrow_mut().0;
    paint_all(mine, OURS);
    scope(|scope| {
        let grant = scope.read_write(&mut *mine, party.endpoint())?;
        let theirs = received(grant.id())?;
        third.paint(THEIRS)?;
        for result in [third.fetch(theirs, 0, 0, 64)?, third.store(theirs, 0, 0, 64)?, third.fill(theirs, 0, 64, 1)?] {
            check_eq!(result, Err(CopyError { errno: Errno::Perm, done: 0 }));
        }
        third.check(&Painting { around: THEIRS, at: 0, len: 0, seed: 0, from: 0 })?;
        party.fetch(theirs, 0, 0, 64)??;
        let back = grant.revoke().memory;
        check_eq!(Painting { around: OURS, at: 0, len: 0, seed: 0, from: 0 }.wrong(back), None);
        Ok(())
    })?;
    party.end()?;
    third.end()
}

/// The grant shows one page again and again, and another one at its end, where only the third kernel call comes to.
pub(crate) fn what_is_long_goes_on_by_itself() -> Outcome {
    const PAGES: u64 = 3 * MAX_COPIED / PAGE_SIZE;
    const PLACE: u64 = 0x70_0000;
    let granter = Granter::start()?;
    for page in 0..PAGES {
        let shown = if page + 1 < PAGES { DATA } else { MORE };
        granter.0.home.show(shown, PLACE + page * PAGE_SIZE, Access::Write)?;
    }
    let len = PAGES * PAGE_SIZE;
    let grant = granter.grant(0, direct(me()?, BOTH, PLACE, len));
    grant.fill(8, len - 16, 0xc3)?;
    let right = |(i, word)| word == if i < 1023 { 0xc3c3_c3c3_c3c3_c3c3 } else { 511 | 2 << 32 };
    check_eq!(granter.words().enumerate().skip(1).find(|&place| !right(place)), None);
    // The last step is refused when the grant ends before it.
    let cut = granter.grant(0, direct(me()?, BOTH, PLACE, len - 1));
    check_eq!(cut.fill(0, len, 1), Err(CopyError { errno: Errno::Perm, done: 0 }));
    granter.end()
}
