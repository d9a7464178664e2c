//! Publishing, retrieving and deleting.

use super::*;

#[test]
fn each_kind_comes_back_as_it_was_published() {
    let mut ground = Ground::new(SMALL);
    let mut world = ground.with_services();
    world.number(A, "n", 0xdead_beef).unwrap();
    world.bytes(A, "b", b"some bytes\0", PLAIN).unwrap();
    let number = world.retrieve(USER, "n", EntryKind::Number).unwrap();
    assert_eq!(number, Retrieved { value: 0xdead_beef, len: 0, owner: A });
    assert_eq!(world.get_bytes(USER, "b", EntryKind::Bytes, 100), Ok((b"some bytes\0".to_vec(), 11)));
    assert_eq!(world.retrieve(USER, "b", EntryKind::Bytes).unwrap().owner, A);
    let label = world.retrieve(USER, "a", EntryKind::Label).unwrap();
    assert_eq!(label, Retrieved { value: A.raw().into(), len: 0, owner: RS });
    for (key, kind) in [("n", EntryKind::Number), ("b", EntryKind::Bytes)] {
        world.delete(A, key, kind).unwrap();
        assert_eq!(world.retrieve(A, key, kind), Err(Errno::Srch));
    }
}

#[test]
fn a_key_is_there_once_for_each_kind() {
    let mut ground = Ground::new(SMALL);
    let mut world = ground.with_services();
    world.label("same", Endpoint::from_raw(40)).unwrap();
    world.number(A, "same", 1).unwrap();
    world.bytes(B, "same", b"2", PLAIN).unwrap();
    assert_eq!(world.get(C, "same"), Ok(1));
    world.delete(A, "same", EntryKind::Number).unwrap();
    assert_eq!(world.get(C, "same"), Err(Errno::Srch));
    assert_eq!(world.get_bytes(C, "same", EntryKind::Bytes, 9), Ok((b"2".to_vec(), 1)));
    assert_eq!(world.endpoint("same"), Ok(40));
}

#[test]
fn an_entry_is_replaced_only_if_that_is_asked_for() {
    let mut ground = Ground::new(SMALL);
    let mut world = ground.with_services();
    world.number(A, "x", 1).unwrap();
    let before = world.dump();
    assert_eq!(world.number(A, "x", 2), Err(Errno::Exist));
    assert_eq!(world.number(B, "x", 2), Err(Errno::Exist));
    assert_eq!(world.dump(), before);
    world.set_number(B, "x", 2).unwrap();
    let found = world.retrieve(A, "x", EntryKind::Number).unwrap();
    assert_eq!((found.value, found.owner), (2, B), "it has another value and another owner");
    assert_eq!(world.delete(A, "x", EntryKind::Number), Err(Errno::Perm));
    world.delete(B, "x", EntryKind::Number).unwrap();
}

#[test]
fn bytes_are_replaced_by_longer_and_shorter_ones() {
    let mut ground = Ground::new(100);
    let mut world = ground.with_services();
    for len in [50, 100, 1, 99, 100, 3] {
        let bytes = vec![len as u8; len];
        world.bytes(A, "x", &bytes, Flags::OVERWRITE).unwrap();
        assert_eq!(world.get_bytes(B, "x", EntryKind::Bytes, 200), Ok((bytes, len as u32)));
    }
    assert_eq!(world.bytes(A, "x", &[0; 101], Flags::OVERWRITE), Err(Errno::NoMem));
    assert_eq!(world.get_bytes(B, "x", EntryKind::Bytes, 200), Ok((vec![3; 3], 3)));
}

#[test]
fn only_the_owner_does_what_is_private() {
    let mut ground = Ground::new(SMALL);
    let mut world = ground.with_services();
    world.publish(A, "r", EntryKind::Number, Flags::PRIVATE_RETRIEVE, (0, 1)).unwrap();
    world.publish(A, "o", EntryKind::Number, Flags::PRIVATE_OVERWRITE, (0, 1)).unwrap();
    assert_eq!(world.get(A, "r"), Ok(1));
    for other in [B, RS, USER] {
        assert_eq!(world.get(other, "r"), Err(Errno::Perm));
        assert_eq!(world.get(other, "o"), Ok(1));
    }
    assert_eq!(world.set_number(B, "o", 2), Err(Errno::Perm));
    assert_eq!(world.set_number(B, "r", 2), Ok(()), "who may not know it may replace it");
    world.set_number(A, "o", 3).unwrap();
    world.set_number(B, "o", 4).unwrap();
    assert_eq!(world.get(A, "o"), Ok(4), "flags are replaced, too");
}

#[test]
fn little_room_gets_the_beginning() {
    let mut ground = Ground::new(SMALL);
    let mut world = ground.with_services();
    world.bytes(A, "x", b"0123456789", PLAIN).unwrap();
    for room in 0..=10 {
        let expected = (b"0123456789"[..room].to_vec(), 10);
        assert_eq!(world.get_bytes(B, "x", EntryKind::Bytes, room), Ok(expected), "{room}");
    }
    assert_eq!(world.retrieve(B, "x", EntryKind::Bytes).unwrap().len, 10, "the length is told without a copy");
}

#[test]
fn keys_have_up_to_79_bytes() {
    let mut ground = Ground::new(SMALL);
    let mut world = ground.with_services();
    for len in [1, 31, 32, 33, 79] {
        let key = "k".repeat(len);
        world.number(A, &key, len as u32).unwrap();
        assert_eq!(world.get(B, &key), Ok(len as u64));
    }
    for len in [0, 80] {
        assert_eq!(world.number(A, &"k".repeat(len), 1), Err(Errno::Inval), "{len}");
        assert_eq!(world.get(A, &"k".repeat(len)), Err(Errno::Inval), "{len}");
    }
}

#[test]
fn whoever_has_a_label_is_shown_what_there_is() {
    let mut ground = Ground::new(SMALL);
    let mut world = ground.with_services();
    let long = "l".repeat(50);
    world.number(A, &long, 1).unwrap();
    world.publish(A, "hidden", EntryKind::Bytes, Flags::PRIVATE_RETRIEVE, (3, 0)).unwrap_err();
    world.bytes(A, "hidden", b"abc", Flags::PRIVATE_RETRIEVE).unwrap();
    let mut list = |from: Endpoint, grant: GrantId| {
        let (mut place, mut all) = (0, Vec::new());
        loop {
            match result(world.ds.info(caller(from), GetInfo { place, reserved: 0, grant })) {
                Ok(EntryInfo { place: at, kind, key, owner, len, .. }) => {
                    all.push((String::from_utf8_lossy(key.text().unwrap_or(b"long")).into_owned(), kind, owner, len));
                    place = at + 1;
                }
                Err(error) => return (all, error),
            }
        }
    };
    assert_eq!(list(USER, BAD), (vec![], Errno::Perm));
    let (first, error) = list(B, GrantId::INVALID);
    assert_eq!((first.len(), error), (4, Errno::TooBig), "the key is too long for the answer");
    assert_eq!(list(B, BAD).1, Errno::Perm);
    let grant = world.grant(B, &[0; 79]);
    world.ds.lending.memory.insert((RS.raw(), grant.raw()), vec![0; 79]);
    world.ds.lending.memory.insert((A.raw(), grant.raw()), vec![0; 79]);
    let mut list = |from: Endpoint| {
        let places = core::iter::successors(Some(0), |place| Some(place + 1)).take(PLACES);
        let mut ask = |place| result(world.ds.info(caller(from), GetInfo { place, reserved: 0, grant }));
        let mut found: Vec<_> = places.filter_map(|place| ask(place).ok()).map(|info| (info.place, info.len)).collect();
        found.dedup();
        found.len()
    };
    assert_eq!((list(B), list(A), list(RS)), (5, 6, 6));
    assert_eq!(&world.granted(RS, grant)[..50], long.as_bytes());
}
