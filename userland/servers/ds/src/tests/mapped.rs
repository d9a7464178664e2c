//! Ranges of memory of others.

use super::*;

fn key(text: &str) -> Key {
    Key::new(text.as_bytes()).unwrap()
}

fn snapshot(world: &mut World<'_>, from: Endpoint) -> Result<u32, Errno> {
    result(world.ds.snapshot(caller(from), Snapshot { key: key("m") })).map(|taken| taken.index)
}

/// The first byte of a snapshot.
fn first_of(world: &mut World<'_>, index: u32) -> Result<u8, Errno> {
    let grant = world.grant(B, &[0]);
    let call = RetrieveSnapshot { key: key("m"), index, capacity: 1, reserved: 0, grant };
    let done = result(world.ds.retrieve_snapshot(caller(B), call))?;
    assert_eq!((done.len, done.copied), (4096, 1));
    Ok(world.granted(B, grant)[0])
}

#[test]
fn what_the_owner_writes_is_what_is_retrieved() {
    let mut ground = Ground::new(SMALL);
    let mut world = ground.with_services();
    let grant = world.range(A, "m", 5, 2).unwrap();
    assert_eq!(world.get_bytes(B, "m", EntryKind::Mapped, 8192), Ok((vec![5; 8192], 8192)));
    world.granted(A, grant)[1] = 6;
    assert_eq!(world.get_bytes(B, "m", EntryKind::Mapped, 3), Ok((vec![5, 6, 5], 8192)));
    let granted = result(world.ds.map(caller(B), MapRange { key: key("m") })).unwrap();
    assert_eq!((granted.len, granted.owner), (8192, A));
    assert_eq!(result(world.ds.map(caller(C), MapRange { key: key("m") })).unwrap().grant, granted.grant);
    let (_, range, to) = world.ds.lending.handed_on.values().next().unwrap();
    assert_eq!((*range, *to), (Range { granter: A, grant, len: 8192 }, Endpoint::ANY));
}

#[test]
fn a_range_is_of_whole_pages_and_is_not_replaced() {
    let mut ground = Ground::new(SMALL);
    let mut world = ground.with_services();
    let grant = world.grant(A, &[1; 4096]).raw();
    for len in [0, 1, 4095, 4097] {
        assert_eq!(world.publish(A, "m", EntryKind::Mapped, PLAIN, (len, grant)), Err(Errno::Inval), "{len}");
    }
    assert_eq!(world.publish(A, "m", EntryKind::Mapped, Flags::OVERWRITE, (4096, grant)), Err(Errno::Inval));
    assert_eq!(world.publish(A, "m", EntryKind::Mapped, PLAIN, (69632, grant)), Err(Errno::TooBig));
    assert_eq!(world.publish(A, "m", EntryKind::Mapped, PLAIN, (8192, grant)), Err(Errno::Perm), "it is shorter");
    world.publish(A, "m", EntryKind::Mapped, PLAIN, (4096, grant)).unwrap();
    assert_eq!(world.publish(A, "m", EntryKind::Mapped, PLAIN, (4096, grant)), Err(Errno::Exist));
}

#[test]
fn the_last_snapshots_are_kept() {
    let mut ground = Ground::new(32 << 10);
    let mut world = ground.with_services();
    let grant = world.range(A, "m", 0, 1).unwrap();
    for taken in 0..100_u32 {
        world.granted(A, grant)[0] = taken as u8;
        assert_eq!(snapshot(&mut world, B), Ok(taken));
        world.granted(A, grant)[0] = 0xff;
        for index in 0..=taken + 2 {
            let is_kept = index <= taken && index + 5 > taken;
            let expected = if is_kept { Ok(index as u8) } else { Err(Errno::Inval) };
            assert_eq!(first_of(&mut world, index), expected, "{index} of {taken}");
        }
        assert_eq!(first_of(&mut world, u32::MAX), Err(Errno::Inval));
    }
    assert_eq!(world.ds.store.pool.room(), (32 << 10) - 5 * 4096);
    world.delete(A, "m", EntryKind::Mapped).unwrap();
    assert_eq!(world.ds.store.pool.room(), 32 << 10);
    assert_eq!(first_of(&mut world, 99), Err(Errno::Srch));
}

#[test]
fn snapshots_count_as_bytes_of_the_owner() {
    let mut ground = Ground::new(9000);
    let mut world = ground.with_services();
    world.range(A, "m", 1, 1).unwrap();
    assert_eq!((snapshot(&mut world, B), snapshot(&mut world, B)), (Ok(0), Ok(1)));
    let before = world.dump();
    assert_eq!(snapshot(&mut world, B), Err(Errno::NoMem));
    assert_eq!(world.dump(), before);
    world.delete(A, "m", EntryKind::Mapped).unwrap();
    world.range(A, "m", 2, 1).unwrap();
    assert_eq!(snapshot(&mut world, A), Ok(0), "a new range counts anew");
}

#[test]
fn who_may_not_does_not() {
    let mut ground = Ground::new(32 << 10);
    let mut world = ground.with_services();
    let grant = world.grant(A, &[1; 4096]).raw();
    world.publish(A, "m", EntryKind::Mapped, Flags::PRIVATE_OVERWRITE, (4096, grant)).unwrap();
    assert_eq!((snapshot(&mut world, B), snapshot(&mut world, USER)), (Err(Errno::Perm), Err(Errno::Perm)));
    assert_eq!(snapshot(&mut world, A), Ok(0));
    assert_eq!(first_of(&mut world, 0), Ok(1));
    world.delete(A, "m", EntryKind::Mapped).unwrap();
    world.publish(A, "m", EntryKind::Mapped, Flags::PRIVATE_RETRIEVE, (4096, grant)).unwrap();
    assert_eq!(snapshot(&mut world, A), Ok(0));
    assert_eq!((snapshot(&mut world, B), first_of(&mut world, 0)), (Err(Errno::Perm), Err(Errno::Perm)));
    assert_eq!(result(world.ds.map(caller(B), MapRange { key: key("m") })), Err(Errno::Perm));
    assert!(result(world.ds.map(caller(A), MapRange { key: key("m") })).is_ok());
    assert_eq!(world.ds.lending.handed_on.values().next().unwrap().2, A, "to its owner alone");
}

#[test]
fn deleting_takes_back_what_was_handed_on() {
    let mut ground = Ground::new(SMALL);
    let mut world = ground.with_services();
    world.range(A, "m", 1, 1).unwrap();
    result(world.ds.map(caller(B), MapRange { key: key("m") })).unwrap();
    assert_eq!(world.ds.lending.handed_on.len(), 1);
    world.delete(A, "m", EntryKind::Mapped).unwrap();
    assert!(world.ds.lending.handed_on.is_empty());
    assert_eq!(world.delete(A, "m", EntryKind::Mapped), Err(Errno::Srch));
    assert_eq!(result(world.ds.map(caller(B), MapRange { key: key("m") })), Err(Errno::Srch));
}

#[test]
fn memory_that_its_owner_has_taken_back_is_an_error() {
    let mut ground = Ground::new(SMALL);
    let mut world = ground.with_services();
    world.range(A, "m", 1, 1).unwrap();
    world.ds.lending.memory.clear();
    assert_eq!(world.get_bytes(B, "m", EntryKind::Mapped, 10), Err(Errno::Perm));
    assert_eq!(snapshot(&mut world, A), Err(Errno::Perm));
    assert_eq!(world.delete(A, "m", EntryKind::Mapped), Ok(()));
}
