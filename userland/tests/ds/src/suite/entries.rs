//! Publishing, retrieving, deleting.

use crate::actor::{Actor, begin, inline, store};
use abi::grant::GrantId;
use abi::{Endpoint, Errno};
use ds_client::{EntryKind, Flags, SubscribeFlags};
use protocol::ds::{Key, Publish, Retrieve};
use suite::{Outcome, check_eq};

const PLAIN: Flags = Flags::empty();

pub(crate) fn who_has_no_label_publishes_nothing() -> Outcome {
    let mut a = Actor::find("a")?;
    check_eq!(a.number("x", 1), Err(Errno::Perm));
    check_eq!(a.delete("x", EntryKind::Number), Err(Errno::Perm));
    check_eq!(a.subscribe("x", SubscribeFlags::empty()), Err(Errno::Srch));
    check_eq!(a.check(), Err(Errno::Srch));
    store()?.set_number("x", 7, PLAIN)?;
    check_eq!(a.retrieve(inline("x"), EntryKind::Number)?.value, 7);
    store()?.delete("x", EntryKind::Number)?;
    Ok(())
}

pub(crate) fn only_who_sets_labels_sets_labels() -> Outcome {
    begin()?;
    let (mut a, b) = (Actor::find("a")?, Actor::find("b")?);
    let wrong = b.endpoint.next_generation().raw().into();
    check_eq!(a.publish(inline("b"), EntryKind::Label, Flags::OVERWRITE, 0, wrong), Err(Errno::Perm));
    check_eq!(a.delete("b", EntryKind::Label), Err(Errno::Perm));
    check_eq!(store()?.endpoint("b")?, b.endpoint);
    let label = store()?.label(b.endpoint)?;
    check_eq!(label.as_str(), "b");
    check_eq!(a.retrieve(inline("suite"), EntryKind::Label)?.value, sys::whoami()?.endpoint.raw().into());
    Ok(())
}

pub(crate) fn each_kind_comes_back() -> Outcome {
    begin()?;
    let (mut a, mut b) = (Actor::find("a")?, Actor::find("b")?);
    a.number("same", 0xdead_beef)?;
    a.write_bytes(b"twenty bytes or more")?;
    let grant = a.lend()?.raw();
    a.publish(inline("same"), EntryKind::Bytes, PLAIN, 20, grant)?;
    check_eq!(a.publish(inline("same"), EntryKind::Bytes, PLAIN, 20, grant), Err(Errno::Exist));
    let number = b.retrieve(inline("same"), EntryKind::Number)?;
    check_eq!((number.value, number.owner), (0xdead_beef, a.endpoint));
    let room = b.lend()?;
    let call = Retrieve { key: inline("same"), kind: EntryKind::Bytes, capacity: 100, reserved: 0, grant: room };
    let found = b.store.retrieve(call)?;
    check_eq!((found.value, found.len), (20, 20));
    let mut bytes = [0; 20];
    b.read_bytes(&mut bytes)?;
    check_eq!(&bytes, b"twenty bytes or more");
    check_eq!(b.delete("same", EntryKind::Number), Err(Errno::Perm));
    a.delete("same", EntryKind::Number)?;
    check_eq!(b.retrieve(inline("same"), EntryKind::Number), Err(Errno::Srch));
    check_eq!(b.retrieve(inline("same"), EntryKind::Bytes)?.len, 20);
    check_eq!(a.delete("same", EntryKind::Number), Err(Errno::Srch));
    Ok(())
}

pub(crate) fn keys_of_any_length_travel() -> Outcome {
    begin()?;
    let mut store = store()?;
    for len in [1, 32, 33, 79] {
        store.set_number(&LONG[..len], len as u32, PLAIN)?;
        check_eq!(store.number(&LONG[..len])?, len as u32);
    }
    check_eq!(store.set_number(LONG, 1, PLAIN), Err(Errno::Inval));
    check_eq!(store.set_number("", 1, PLAIN), Err(Errno::Inval));
    for len in [1, 32, 33, 79] {
        store.delete(&LONG[..len], EntryKind::Number)?;
    }
    Ok(())
}

/// One byte too long for a key.
const LONG: &str = "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk";

pub(crate) fn bad_grants_are_errors_and_the_store_goes_on() -> Outcome {
    begin()?;
    let mut a = Actor::find("a")?;
    let stale = a.lend()?;
    let grant = a.lend()?;
    let good = Publish { key: inline("x"), kind: EntryKind::Bytes, flags: 0, len: 8, value: grant.raw() };
    let far = GrantId::new(1000, 0).ok_or(Errno::Inval)?;
    for (call, error) in [
        (Publish { value: stale.raw(), ..good }, Errno::Perm),
        (Publish { value: far.raw(), ..good }, Errno::Perm),
        (Publish { value: u64::MAX, ..good }, Errno::Inval),
        (Publish { len: 8193, ..good }, Errno::Perm),
        (Publish { len: 65536, ..good }, Errno::Perm),
        (Publish { key: Key::granted(stale, 40), ..good }, Errno::Perm),
        (Publish { key: Key::granted(grant, 80), ..good }, Errno::Inval),
        (Publish { kind: EntryKind::Mapped, len: 12288, ..good }, Errno::Perm),
    ] {
        check_eq!((call, a.store.publish(call).map(drop)), (call, Err(error)));
    }
    // A key of zeros is none.
    let zeros = Publish { key: Key::granted(grant, 40), ..good };
    check_eq!(a.store.publish(zeros).map(drop), Err(Errno::Inval));
    a.store.publish(good)?;
    let call = Retrieve { key: inline("x"), kind: EntryKind::Bytes, capacity: 8, reserved: 0, grant: stale };
    check_eq!(a.store.retrieve(call).map(drop), Err(Errno::Perm));
    check_eq!(a.store.retrieve(Retrieve { grant, ..call })?.value, 8);
    Ok(())
}

pub(crate) fn little_room_gets_the_beginning() -> Outcome {
    begin()?;
    let mut store = store()?;
    store.set_bytes("x", b"0123456789", PLAIN)?;
    let mut room = [b'-'; 4];
    check_eq!(store.bytes("x", &mut room)?, 10);
    check_eq!(&room, b"0123");
    check_eq!(store.bytes("x", &mut [])?, 10);
    let mut more = [b'-'; 12];
    check_eq!(store.string("x", &mut more)?, "0123456789");
    check_eq!(store.set_bytes("y", &[], PLAIN), Err(Errno::Inval));
    store.delete("x", EntryKind::Bytes)?;
    Ok(())
}

pub(crate) fn a_flood_of_one_is_its_own_problem() -> Outcome {
    begin()?;
    let (mut a, mut b) = (Actor::find("a")?, Actor::find("b")?);
    let mut published = 0;
    let refused = loop {
        let key = Key::new(&[b'f', b'0' + published / 50, b'0' + published % 50]).ok_or(Errno::Inval)?;
        match a.publish(key, EntryKind::Number, PLAIN, 0, 1) {
            Ok(()) => published += 1,
            Err(error) => break error,
        }
    };
    check_eq!((published, refused), (64, Errno::NoMem));
    b.number("mine", 1)?;
    store()?.set_label("new", Endpoint::from_raw(900))?;
    store()?.set_number("ours", 1, PLAIN)?;
    store()?.delete("ours", EntryKind::Number)?;
    store()?.delete_label("new")?;
    Ok(())
}
