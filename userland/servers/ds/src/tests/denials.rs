//! Refusals, one thing wrong at a time; none of them changes anything.

use super::*;

/// A store with something of each kind.
fn filled(world: &mut World<'_>) {
    world.number(A, "n", 1).unwrap();
    world.bytes(A, "b", b"bytes", PLAIN).unwrap();
    world.range(A, "m", 1, 1).unwrap();
    world.subscribe(A, "x").unwrap();
    world.notices();
}

#[test]
fn publishing() {
    let mut ground = Ground::new(SMALL);
    let mut world = ground.with_services();
    filled(&mut world);
    let before = world.dump();
    let grant = world.grant(A, b"0123456789").raw();
    let good = Publish { key: Key::new(b"new").unwrap(), kind: EntryKind::Bytes, flags: 0, len: 10, value: grant };
    let key = |text: &[u8]| Key::new(text).unwrap();
    let mut dirty = good.key;
    dirty.bytes[31] = 1;
    for (from, call, error) in [
        (USER, good, Errno::Perm),
        (A, Publish { flags: 1, ..good }, Errno::Inval),
        (A, Publish { flags: 0x2000, ..good }, Errno::Inval),
        (A, Publish { len: 0, ..good }, Errno::Inval),
        (A, Publish { len: 11, ..good }, Errno::Perm),
        (A, Publish { len: MAX_VALUE + 1, ..good }, Errno::TooBig),
        (A, Publish { value: BAD.raw(), ..good }, Errno::Perm),
        (A, Publish { value: u64::MAX, ..good }, Errno::Perm),
        (A, Publish { key: key(b"b"), ..good }, Errno::Exist),
        (A, Publish { key: key(b""), ..good }, Errno::Inval),
        (A, Publish { key: key(b"a\0b"), ..good }, Errno::Inval),
        (A, Publish { key: dirty, ..good }, Errno::Inval),
        (A, Publish { key: Key { len: 80, ..good.key }, ..good }, Errno::Inval),
        (A, Publish { key: Key { len: u32::MAX, ..good.key }, ..good }, Errno::Inval),
        (A, Publish { key: Key::granted(BAD, 40), ..good }, Errno::Perm),
        (A, Publish { key: Key::granted(GrantId::from_raw(grant), 40), ..good }, Errno::Perm),
        (A, Publish { kind: EntryKind::Number, len: 0, value: 1 << 32, ..good }, Errno::Inval),
        (A, Publish { kind: EntryKind::Number, len: 1, value: 1, ..good }, Errno::Inval),
        (A, Publish { kind: EntryKind::Label, len: 0, value: 70, ..good }, Errno::Perm),
        (RS, Publish { kind: EntryKind::Label, len: 4, value: 70, ..good }, Errno::Inval),
        (A, Publish { kind: EntryKind::Mapped, len: 4096, ..good }, Errno::Perm),
    ] {
        assert_eq!(result(world.ds.publish(caller(from), call)), Err(error), "{from} {call:?}");
        assert_eq!((world.dump(), world.notices()), (before.clone(), vec![]), "{call:?}");
    }
    assert!(result(world.ds.publish(caller(A), good)).is_ok());
}

#[test]
fn a_copy_that_fails_leaves_the_old_value() {
    let mut ground = Ground::new(SMALL);
    let mut world = ground.with_services();
    filled(&mut world);
    let before = world.dump();
    let bad = (5, BAD.raw());
    assert_eq!(world.publish(A, "b", EntryKind::Bytes, Flags::OVERWRITE, bad), Err(Errno::Perm));
    assert_eq!(world.dump(), before);
    assert_eq!(world.get_bytes(B, "b", EntryKind::Bytes, 9), Ok((b"bytes".to_vec(), 5)));
}

#[test]
fn everything_else() {
    let mut ground = Ground::new(SMALL);
    let mut world = ground.with_services();
    filled(&mut world);
    let before = world.dump();
    assert_eq!(world.delete(B, "n", EntryKind::Number), Err(Errno::Perm));
    assert_eq!(world.delete(USER, "n", EntryKind::Number), Err(Errno::Perm));
    assert_eq!(world.delete(A, "unknown", EntryKind::Number), Err(Errno::Srch));
    assert_eq!(world.delete(A, "n", EntryKind::Bytes), Err(Errno::Srch), "another kind");
    assert_eq!(world.delete(A, "", EntryKind::Number), Err(Errno::Inval));
    assert_eq!(world.get(A, "unknown"), Err(Errno::Srch));
    assert_eq!(world.retrieve(A, "n", EntryKind::Mapped), Err(Errno::Srch));
    let call = Retrieve { key: Key::new(b"b").unwrap(), kind: EntryKind::Bytes, capacity: 9, reserved: 0, grant: BAD };
    assert_eq!(result(world.ds.retrieve(caller(A), call)), Err(Errno::Perm));
    let pattern = Key::new(b"y").unwrap();
    for (kinds, flags) in [(0x10, 0), (0x100, 0), (u32::MAX, 0), (0, 1), (0, 0x4000)] {
        let call = Subscribe { pattern, kinds, flags };
        assert_eq!(result(world.ds.subscribe(caller(C), call)), Err(Errno::Inval), "{kinds:#x} {flags:#x}");
    }
    assert_eq!(world.dump(), before);
}

#[test]
fn whatever_bytes_a_request_has_it_is_answered() {
    use abi::{Kind, Message};
    let mut ground = Ground::new(SMALL);
    let mut world = ground.with_services();
    filled(&mut world);
    let mut random = 1_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    for _ in 0..20_000 {
        let mut message = Message::new([RS, A, B, USER][next() as usize % 4], Kind(0x800 + next() as u16 % 12));
        for word in &mut message.body {
            *word = next() >> (next() % 64);
        }
        if next() % 2 == 0 {
            // As good as it can be: a short key, and a kind.
            message.body[0] = u64::from(b'a' + (next() % 20) as u8);
            message.body[1..4].fill(0);
            message.body[4] = 1 | (next() % 4) << 32;
        }
        assert!(answer(&mut world.ds, &mut message));
        assert!(message.kind.status().is_some());
        world.notices();
    }
    let (dump, words) = (world.dump(), world.ds.journal.words().words.clone());
    assert_eq!(Ground::new(SMALL).successor(&words).unwrap().dump(), dump);
}
