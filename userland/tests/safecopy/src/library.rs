//! The library: guards, scopes, and the table behind them.

use crate::copies::received;
use crate::kit::MINE;
use abi::Errno;
use core::mem::forget;
use family::{me, without_own};
use static_cell::ConstStaticCell;
use suite::{Failure, Outcome, check, check_eq};
use sys::grants::{CopyError, FOREVER, Grantee, Received, Room, add_room, scope};

const REFUSED: Result<(), CopyError> = Err(CopyError { errno: Errno::Perm, done: 0 });

/// Whether the suite can read from a grant of its own.
fn readable(grant: Received) -> Result<(), CopyError> {
    grant.value::<u8>(0).map(drop)
}

/// Comes first of all.
pub(crate) fn the_very_first_grant_has_the_id_0() -> Outcome {
    let byte = [5_u8];
    scope(|scope| {
        let grant = scope.read(&byte, me()?)?;
        check_eq!(grant.id().raw(), 0);
        check_eq!(received(grant.id())?.value::<u8>(0)?, 5);
        Ok(())
    })
}

pub(crate) fn a_guard_that_is_dropped_takes_back() -> Outcome {
    let byte = [5_u8];
    scope(|scope| {
        let first = scope.read(&byte, me()?)?;
        let old = received(first.id())?;
        check_eq!(readable(old), Ok(()));
        drop(first);
        check_eq!(readable(old), REFUSED);
        // The place is taken again, under another id.
        let second = scope.read(&byte, me()?)?;
        let new = received(second.id())?;
        check_eq!((new.id.index(), new.id.sequence()), (old.id.index(), old.id.sequence() + 1));
        check_eq!((readable(old), readable(new)), (REFUSED, Ok(())));
        check!(core::ptr::eq(second.revoke().memory, &byte), "other memory came back");
        check_eq!(readable(new), REFUSED);
        Ok(())
    })
}

pub(crate) fn a_guard_that_is_forgotten_ends_with_its_scope() -> Outcome {
    let (mut outer_bytes, mut inner_bytes) = ([1_u8; 4], [2_u8; 4]);
    scope(|outer| {
        let kept = outer.write(&mut outer_bytes, me()?)?;
        let (writable, forgotten) = scope(|inner| -> Result<_, Failure> {
            let guard = inner.write(&mut inner_bytes, me()?)?;
            let forgotten = received(guard.id())?;
            forget(guard);
            // One of the outer scope that is made, or dropped, in the inner one.
            outer.read(&0_u64, me()?)?;
            forgotten.copy_to(0, &[3_u8; 4])?;
            Ok((received(kept.id())?, forgotten))
        })?;
        check_eq!(forgotten.copy_to(0, &[4_u8; 4]), REFUSED);
        writable.copy_to(0, &[5_u8; 4])?;
        check_eq!(kept.revoke().memory, &[5; 4]);
        Ok(())
    })?;
    check_eq!((outer_bytes, inner_bytes), ([5; 4], [3; 4]));
    Ok(())
}

pub(crate) fn each_direction_allows_what_it_says() -> Outcome {
    let (read, mut write, mut both) = (1_u64, 2_u64, 3_u64);
    scope(|scope| {
        let (a, b, c) =
            (scope.read(&read, me()?)?, scope.write(&mut write, me()?)?, scope.read_write(&mut both, me()?)?);
        let [a, b, c] = [received(a.id())?, received(b.id())?, received(c.id())?].map(|grant| {
            (grant.value::<u64>(0).is_ok(), grant.copy_to(0, &7_u64).is_ok(), grant.fill(4, 4, 0).is_ok())
        });
        check_eq!((a, b, c), ((true, false, false), (false, true, true), (true, true, true)));
        Ok(())
    })?;
    check_eq!((read, write, both), (1, 7, 7));
    Ok(())
}

pub(crate) fn what_is_handed_on_ends_with_what_it_was_made_of() -> Outcome {
    use sys::grants::Rights;
    let bytes = [1_u8, 2, 3, 4];
    scope(|scope| {
        let whole = scope.read(&bytes, me()?)?;
        let part = scope.hand_on(received(whole.id())?, 1..3, Rights::READ_WRITE, me()?)?;
        let got = received(part.id())?;
        check_eq!(got.value::<[u8; 2]>(0)?, [2, 3]);
        check_eq!(got.value::<[u8; 3]>(0), Err(CopyError { errno: Errno::Perm, done: 0 }));
        check_eq!(got.copy_to(0, &[9_u8]), REFUSED);
        let backwards = core::ops::Range { start: 3, end: 1 };
        check_eq!(scope.hand_on(received(whole.id())?, backwards, Rights::READ, me()?).err(), Some(Errno::Inval));
        drop(whole);
        check_eq!(readable(got), REFUSED);
        part.revoke();
        Ok(())
    })
}

/// A page of the suite's own is taken away, and another one comes in its place; the suite itself copies.
pub(crate) fn a_fault_while_trying_is_told_when_it_is_taken_back() -> Outcome {
    let mine = &mut MINE.borrow_mut().0;
    let page = mine.as_ptr().addr() as u64;
    scope(|scope| {
        for missing in [false, true, false] {
            // It is there, wherever it comes from.
            core::hint::black_box(core::hint::black_box(&*mine)[0]);
            let grant = scope.read(&*mine, Grantee::from(me()?).trying())?;
            let theirs = received(grant.id())?;
            let read = || readable(theirs).map_err(Errno::from);
            let result = if missing { without_own(page, read)? } else { read() };
            check_eq!(result, if missing { Err(Errno::Fault) } else { Ok(()) });
            check_eq!(grant.revoke().faulted, missing);
        }
        Ok(())
    })
}

/// More than fit at first: more room keeps those that there are.
pub(crate) fn a_table_that_is_full_grows() -> Outcome {
    /// As many as there is room for at first.
    const FIRST: usize = 16;
    const ALL: usize = 48;
    static NONE: ConstStaticCell<Room<FIRST>> = ConstStaticCell::new(Room::new());
    static MORE: ConstStaticCell<Room<ALL>> = ConstStaticCell::new(Room::new());
    let bytes: [u8; ALL] = core::array::from_fn(|i| i as u8);
    scope(|scope| {
        let mut guards = [const { None }; ALL];
        let me = me()?;
        let make = |i: usize| scope.read(&bytes[i..=i], me);
        for (i, guard) in guards.iter_mut().enumerate() {
            if i == FIRST {
                check_eq!(make(i).err(), Some(Errno::NoSpc));
                check_eq!(add_room(NONE.take()), Err(Errno::Inval));
                check_eq!(make(i).err(), Some(Errno::NoSpc));
                add_room(MORE.take())?;
            }
            *guard = Some(make(i)?);
        }
        check_eq!(make(0).err(), Some(Errno::NoSpc));
        for (guard, byte) in guards.iter().flatten().zip(0..) {
            check_eq!(received(guard.id())?.value::<u8>(0)?, byte);
        }
        // What is given back last is taken first.
        let [third, tenth] = [3, 10].map(|i: usize| guards[i].take().map(|guard| guard.id().index()));
        let (first, second) = (make(0)?, make(0)?);
        check_eq!([first.id().index(), second.id().index()].map(Some), [tenth, third]);
        Ok(())
    })
}

pub(crate) fn memory_that_is_lent_for_good_comes_back_by_revoking() -> Outcome {
    static BYTES: ConstStaticCell<[u8; 16]> = ConstStaticCell::new([1; 16]);
    let grant = FOREVER.write(BYTES.take(), me()?)?;
    let writable = received(grant.id())?;
    writable.fill(8, 8, 2)?;
    let back = grant.revoke().memory;
    check_eq!((back[7], back[8], writable.fill(0, 1, 3)), (1, 2, REFUSED));
    Ok(())
}
