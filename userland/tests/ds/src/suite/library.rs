//! What programs ask the data store with.

use crate::actor::{Actor, begin, inline, store};
use abi::{Endpoint, Errno};
use ds_client::{EntryKind, Flags, Kinds, SubscribeFlags};
use suite::{Outcome, check_eq};
use sys::grants::{FOREVER, Pages, Place};

const PLAIN: Flags = Flags::empty();
const LONG: &str = "a.key.that.is.too.long.to.travel.in.a.message";

pub(crate) fn labels_numbers_and_strings() -> Outcome {
    begin()?;
    let mut store = store()?;
    let endpoint = Endpoint::from_raw(901);
    store.set_label(LONG, endpoint)?;
    let label = store.label(endpoint)?;
    check_eq!((store.endpoint(LONG)?, label.as_str()), (endpoint, LONG));
    store.delete_label(LONG)?;
    check_eq!((store.endpoint(LONG), store.label(endpoint).map(drop)), (Err(Errno::Srch), Err(Errno::Srch)));
    store.set_number(LONG, 5, PLAIN)?;
    store.set_string(LONG, "größer", PLAIN)?;
    let mut room = [0; 16];
    check_eq!((store.number(LONG)?, store.string(LONG, &mut room)?), (5, "größer"));
    let mut little = [0; 3];
    check_eq!(store.string(LONG, &mut little)?, "gr");
    check_eq!(store.set_string(LONG, "", Flags::OVERWRITE), Err(Errno::Inval));
    store.delete(LONG, EntryKind::Number)?;
    store.delete(LONG, EntryKind::Bytes)?;
    Ok(())
}

pub(crate) fn changes_are_told_with_their_keys() -> Outcome {
    begin()?;
    let mut store = store()?;
    let mut a = Actor::find("a")?;
    // The suite's own changes, since it is told of them too, and an actor's.
    store.set_number(LONG, 5, PLAIN)?;
    a.number("a.short", 6)?;
    store.subscribe("a[.].*", Kinds::NUMBER, SubscribeFlags::INITIAL | SubscribeFlags::OVERWRITE)?;
    let first = store.next_change()?.ok_or(Errno::NoEnt)?;
    check_eq!(
        (first.key(), first.kind, first.owner, first.value),
        (LONG, EntryKind::Number, sys::whoami()?.endpoint, 5)
    );
    let second = store.next_change()?.ok_or(Errno::NoEnt)?;
    check_eq!((second.key(), second.owner, second.value), ("a.short", a.endpoint, 6));
    check_eq!(store.next_change()?, None);
    store.subscribe("nothing", Kinds::LABEL, SubscribeFlags::OVERWRITE)?;
    store.delete(LONG, EntryKind::Number)?;
    Ok(())
}

pub(crate) fn pages_are_shared_and_copied() -> Outcome {
    static PAGES: Pages<2> = Pages::new();
    static SEEN: Pages<1> = Pages::new();
    static PLACE: Place<1> = Place::of(&SEEN);
    static MORE: Pages<3> = Pages::new();
    static TOO_LARGE: Place<3> = Place::of(&MORE);
    begin()?;
    let mut store = store()?;
    let grant = store.share(&FOREVER, LONG, &PAGES, PLAIN)?;
    PAGES.store(0, 5);
    let mut word = [0; 8];
    check_eq!((store.copy_range(LONG, &mut word)?, u64::from_le_bytes(word)), (8192, 5));
    check_eq!(store.snapshot(LONG)?, 0);
    PAGES.store(0, 6);
    check_eq!((store.copy_snapshot(LONG, 0, &mut word)?, u64::from_le_bytes(word)), (8192, 5));
    check_eq!(store.copy_snapshot(LONG, 1, &mut word), Err(Errno::Inval));
    drop(grant);
    check_eq!(store.copy_range(LONG, &mut word), Err(Errno::Perm));
    store.delete(LONG, EntryKind::Mapped)?;
    // And those of an actor are seen.
    let mut a = Actor::find("a")?;
    let grant = a.lend()?.raw();
    a.publish(inline("m"), EntryKind::Mapped, PLAIN, 8192, grant)?;
    check_eq!(store.map("m", &TOO_LARGE).map(drop), Err(Errno::Inval));
    let seen = store.map("m", &PLACE)?;
    a.write(0, 8)?;
    check_eq!(seen.load(0), 8);
    a.delete("m", EntryKind::Mapped)?;
    a.write(0, 9)?;
    check_eq!(seen.load(0), 8);
    Ok(())
}
