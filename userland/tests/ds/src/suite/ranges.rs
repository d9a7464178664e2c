//! Memory that others see.

use crate::actor::{Actor, begin, inline, store};
use abi::Errno;
use abi::layout::PAGE_SIZE;
use ds_client::{EntryKind, Flags, SubscribeFlags};
use ds_suite::orders::{Hide, Leave, Look, Show, TakeBack, Touch};
use protocol::ds::{MapRange, Retrieve, RetrieveSnapshot, Snapshot};
use suite::{Failure, Outcome, check, check_eq};

const LEN: u32 = PAGE_SIZE as u32;

/// An actor that has published its first page.
fn owner(name: &str) -> Result<Actor, Failure> {
    let mut owner = Actor::find(name)?;
    let grant = owner.lend()?.raw();
    owner.publish(inline("m"), EntryKind::Mapped, Flags::empty(), LEN, grant)?;
    Ok(owner)
}

/// Has an actor see the range.
fn show(actor: &mut Actor) -> Result<(), Errno> {
    let granted = actor.store.map(MapRange { key: inline("m") })?;
    let granter = sys::lookup(ds_client::NAME).ok_or(Errno::NoEnt)?;
    actor.own.show(Show { granter, reserved: 0, grant: granted.grant }).map(drop)
}

fn look(actor: &mut Actor, word: u64) -> Result<u64, Errno> {
    actor.own.look(Look { word }).map(|seen| seen.value)
}

/// Copies the range as it is now; its first word.
fn copied(actor: &mut Actor) -> Result<u64, Errno> {
    let grant = actor.lend()?;
    let call = Retrieve { key: inline("m"), kind: EntryKind::Mapped, capacity: LEN, reserved: 0, grant };
    let found = actor.store.retrieve(call)?;
    if (found.value, found.len) == (LEN.into(), LEN) { actor.read(0) } else { Err(Errno::Proto) }
}

pub(crate) fn what_the_owner_writes_is_seen() -> Outcome {
    begin()?;
    let (mut a, mut b, mut c) = (owner("a")?, Actor::find("b")?, Actor::find("c")?);
    a.write(0, 5)?;
    check_eq!(copied(&mut b)?, 5);
    show(&mut b)?;
    show(&mut c)?;
    for value in 6..9 {
        a.write(0, value)?;
        check_eq!((look(&mut b, 0)?, look(&mut c, 0)?, copied(&mut c)?), (value, value, value));
    }
    // What the owner takes back is seen no more, and is an error to copy.
    a.own.take_back(TakeBack {})?;
    a.write(0, 9)?;
    check_eq!((look(&mut b, 0)?, copied(&mut c)), (8, Err(Errno::Perm)));
    check_eq!(show(&mut c), Err(Errno::Perm));
    b.own.hide(Hide {})?;
    c.own.hide(Hide {})?;
    Ok(())
}

pub(crate) fn a_range_cannot_be_what_it_is_not() -> Outcome {
    begin()?;
    let mut a = Actor::find("a")?;
    let grant = a.lend()?.raw();
    let mut publish = |flags, len| a.publish(inline("m"), EntryKind::Mapped, flags, len, grant);
    for len in [0, 1, LEN - 1, LEN + 1] {
        check_eq!((len, publish(Flags::empty(), len)), (len, Err(Errno::Inval)));
    }
    check_eq!(publish(Flags::OVERWRITE, LEN), Err(Errno::Inval));
    check_eq!(publish(Flags::empty(), 3 * LEN), Err(Errno::Perm));
    check_eq!(publish(Flags::empty(), 2 * LEN), Ok(()));
    check_eq!(publish(Flags::empty(), LEN), Err(Errno::Exist));
    Ok(())
}

pub(crate) fn snapshots_stay_as_they_were_taken() -> Outcome {
    begin()?;
    let (mut a, mut b) = (owner("a")?, Actor::find("b")?);
    let room = b.lend()?;
    for number in 0..100 {
        a.write(0, number)?;
        check_eq!(b.store.snapshot(Snapshot { key: inline("m") })?.index, number as u32);
    }
    a.write(0, 1000)?;
    for index in 0..102_u32 {
        let call = RetrieveSnapshot { key: inline("m"), index, capacity: 8, reserved: 0, grant: room };
        match b.store.retrieve_snapshot(call) {
            Ok(found) => {
                check!((95..100).contains(&index), "snapshot {index} is still there");
                check_eq!((found.len, found.copied, b.read(0)?), (LEN, 8, index.into()));
            }
            Err(error) => check_eq!((index, (95..100).contains(&index), error), (index, false, Errno::Inval)),
        }
    }
    Ok(())
}

pub(crate) fn deleting_leaves_whoever_looks_a_copy() -> Outcome {
    begin()?;
    let (mut a, mut b) = (owner("a")?, Actor::find("b")?);
    a.write(0, 5)?;
    show(&mut b)?;
    a.delete("m", EntryKind::Mapped)?;
    a.write(0, 6)?;
    check_eq!(look(&mut b, 0)?, 5);
    check_eq!(a.delete("m", EntryKind::Mapped), Err(Errno::Srch));
    check_eq!(show(&mut b), Err(Errno::Srch));
    check_eq!(a.read(0)?, 6);
    Ok(())
}

pub(crate) fn who_writes_what_is_only_shown_ends_alone() -> Outcome {
    begin()?;
    let (mut a, mut e) = (owner("a")?, Actor::find("e")?);
    a.write(0, 5)?;
    show(&mut e)?;
    check_eq!(look(&mut e, 0)?, 5);
    check_eq!(e.own.touch(Touch { word: 0, value: 6 }).map(drop), Err(Errno::DeadSrcDst));
    check_eq!((a.read(0)?, copied(&mut Actor::find("b")?)?), (5, 5));
    Ok(())
}

pub(crate) fn who_dies_is_forgotten() -> Outcome {
    begin()?;
    let (mut d, mut b) = (owner("d")?, Actor::find("b")?);
    let endpoint = d.endpoint;
    d.number("m", 4)?;
    d.subscribe(".*", SubscribeFlags::empty())?;
    b.subscribe("m", SubscribeFlags::empty())?;
    d.write(0, 5)?;
    show(&mut b)?;
    check_eq!(d.own.leave(Leave {}).map(drop), Err(Errno::DeadSrcDst));
    // Until its label goes, what it has said is there, but its memory is not.
    check_eq!((copied(&mut b).is_err(), look(&mut b, 0)?), (true, 5));
    b.number("other", 1)?;
    store()?.delete_label("d")?;
    check_eq!((b.notices()? > 0, b.check()), (true, Err(Errno::NoEnt)));
    check_eq!(b.retrieve(inline("m"), EntryKind::Number), Err(Errno::Srch));
    check_eq!((show(&mut b), copied(&mut b)), (Err(Errno::Srch), Err(Errno::Srch)));
    check_eq!(look(&mut b, 0)?, 5);
    // Its successor has another endpoint, and nothing of what it had.
    store()?.set_label("d", endpoint.next_generation())?;
    check_eq!(store()?.endpoint("d")?, endpoint.next_generation());
    b.own.hide(Hide {})?;
    Ok(())
}
