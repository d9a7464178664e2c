//! What both sides see while a mapping lasts, and after its end.

use crate::field::{FIELD, page_at};
use crate::kit::*;
use crate::party::{PAGES, Party};
use abi::{Errno, Signal};
use family::{protect, signal};
use protocol::kernel::{SafeRevMap, SafeRevMapAt, SafeUnmap};
use protocol::vmctl::{Access, Found, Part, ProtectRun, QueryRun, UnmapRun};
use suite::{Outcome, check_eq};
use sys::grants::{Rights, scope};
use sys::vmctl;

pub(crate) fn a_mapping_shows_what_either_side_writes() -> Outcome {
    let (pair, _) = Pair::mapped(true)?;
    pair.user.check(Pair::OWNER, 0, PAGES)?;
    pair.user.store(3, 10)?;
    check_eq!(pair.owner.load(3)?, 10);
    pair.together()?;
    nobody_waits()?;
    pair.end()
}

pub(crate) fn after_the_grantee_unmaps_each_has_its_own() -> Outcome {
    let (pair, grant) = Pair::mapped(true)?;
    pair.together()?;
    pair.owner.paint(21, 0, PAGES)?;
    pair.user.unmaps()?;
    pair.user.check(21, 0, PAGES)?;
    pair.apart()?;
    // It was the grantee who ended it: the grant holds still.
    pair.owner.paint(22, 0, PAGES)?;
    pair.user.maps(grant, 0, true)??;
    pair.user.check(22, 0, PAGES)?;
    pair.together()?;
    check_eq!(pair.user.calls(&SafeUnmap { address: page_at(1) })?.err(), Some(Errno::Inval));
    pair.together()?;
    pair.end()
}

pub(crate) fn after_a_revoke_by_id_each_has_its_own() -> Outcome {
    for first_is_the_owner in [false, true] {
        for writable in [false, true] {
            let (pair, grant) = Pair::mapped(writable)?;
            pair.owner.revokes(grant)?;
            pair.owner.check(Pair::OWNER, 0, PAGES)?;
            pair.user.check(Pair::OWNER, 0, PAGES)?;
            // Whoever writes first, also where the grantee could only read before.
            let (one, other) = if first_is_the_owner { (&pair.owner, &pair.user) } else { (&pair.user, &pair.owner) };
            one.paint(21, 0, PAGES)?;
            other.check(Pair::OWNER, 0, PAGES)?;
            other.paint(22, 0, PAGES)?;
            one.check(21, 0, PAGES)?;
            pair.apart()?;
            check_eq!(pair.user.maps(grant, 0, false)?, Err(Errno::Perm));
            check_eq!(pair.user.calls(&SafeUnmap { address: FIELD })?.err(), Some(Errno::Inval));
            nobody_waits()?;
            pair.end()?;
        }
    }
    Ok(())
}

pub(crate) fn after_a_revoke_by_address_each_has_its_own() -> Outcome {
    let (pair, grant) = Pair::mapped(true)?;
    // Nothing is lent there.
    while pair.owner.calls(&SafeRevMapAt { address: page_at(PAGES) })??.more > 0 {}
    pair.together()?;
    pair.owner.paint(21, 0, PAGES)?;
    // One of the pages is enough.
    while pair.owner.calls(&SafeRevMapAt { address: page_at(3) })??.more > 0 {}
    pair.user.check(21, 0, PAGES)?;
    pair.apart()?;
    // The entry was not cleared, so it can be mapped again.
    pair.user.maps(grant, 0, true)??;
    pair.together()?;
    while pair.owner.calls(&SafeRevMap { grant: grant.id })??.more > 0 {}
    pair.apart()?;
    pair.end()
}

/// The suite is the owner.
pub(crate) fn the_guards_of_the_library_end_a_mapping() -> Outcome {
    let user = Party::start()?;
    for revoked in [true, false] {
        paint_mine(30);
        scope(|scope| {
            let grant = scope.share(&MINE, Rights::READ_WRITE, user.endpoint())?;
            user.maps(received(grant.id())?, 0, true)??;
            user.check(30, 0, PAGES)?;
            MINE.store(first_of(2), 31);
            check_eq!(user.load(first_of(2))?, 31);
            user.store(first_of(5), 32)?;
            check_eq!(MINE.load(first_of(5)), 32);
            // Else it ends with its scope.
            if revoked {
                check_eq!(grant.revoke().memory.load(first_of(5)), 32);
            } else {
                core::mem::forget(grant);
            }
            Ok(())
        })?;
        let before = mine_now();
        user.paint(33, 0, PAGES)?;
        check_eq!(mine_now(), before);
        paint_mine(34);
        user.check(33, 0, PAGES)?;
    }
    user.end()
}

/// The guard of a mapping that was taken back ends nothing that came after it.
pub(crate) fn a_place_has_one_guard_at_a_time() -> Outcome {
    let user = Party::start()?;
    paint_mine(40);
    scope(|scope| {
        let first = scope.share(&MINE, Rights::READ_WRITE, user.endpoint())?;
        user.maps(received(first.id())?, 0, true)??;
        first.revoke();
        let second = scope.share(&MINE, Rights::READ_WRITE, user.endpoint())?;
        check_eq!(user.maps_again(received(second.id())?)?, Err(Errno::Busy));
        user.unmaps()?;
        user.maps_again(received(second.id())?)??;
        MINE.store(first_of(1), 41);
        check_eq!(user.load(first_of(1))?, 41);
        user.unmaps()
    })?;
    user.end()
}

pub(crate) fn whoever_maps_to_read_dies_of_writing() -> Outcome {
    let (pair, grant) = Pair::mapped(false)?;
    let other = Party::start()?;
    let theirs = pair.owner.shares(true, other.endpoint())?;
    other.maps(theirs, 0, true)??;
    pair.owner.store(9, 90)?;
    check_eq!((pair.user.load(9)?, other.load(9)?), (90, 90));
    pair.user.tries_to_store(9, 91)?;
    signal(&pair.user.child, Signal::SEGV)?;
    nobody_waits()?;
    // The others go on.
    check_eq!((pair.owner.load(9)?, other.load(9)?), (90, 90));
    other.store(9, 92)?;
    check_eq!(pair.owner.load(9)?, 92);
    pair.owner.revokes(grant)?;
    pair.owner.revokes(theirs)?;
    other.store(9, 93)?;
    check_eq!(pair.owner.load(9)?, 92);
    other.end()?;
    pair.end()
}

pub(crate) fn the_memory_server_parts_what_is_shared() -> Outcome {
    let (pair, _) = Pair::mapped(true)?;
    for side in [&pair.owner, &pair.user] {
        let (space, address) = (side.child.home.space, page_at(4));
        let call = ProtectRun { space, address, count: 1, access: Access::Read };
        check_eq!(vmctl().protect(call).err(), Some(Errno::Busy));
        let unmap = UnmapRun { space, address, count: 1, reserved: 0 };
        // SAFETY: it is memory of a child.
        check_eq!(unsafe { rt::call_unchecked(&unmap) }.err(), Some(Errno::Busy));
        let there = vmctl().query(QueryRun { space, address })?;
        check_eq!((there.found, there.access), (Found::Memory, Access::Write));
    }
    pair.together()?;
    pair.owner.paint(21, 0, PAGES)?;
    let space = pair.user.child.home.space;
    while vmctl().part(Part { space, address: page_at(4), count: 1, reserved: 0 })?.more > 0 {}
    pair.user.check(21, 0, PAGES)?;
    pair.apart()?;
    protect(space, page_at(4), Access::Read)?;
    protect(space, page_at(4), Access::Write)?;
    pair.end()
}
