//! When it is full, and that nobody can fill it alone.

use super::*;
use crate::{ENTRIES, LABELS, OWNER_BYTES, OWNER_ENTRIES, POOL};

fn services(world: &mut World<'_>, count: usize) -> Vec<Endpoint> {
    let endpoint = |n: usize| Endpoint::from_raw(100 + n as u32);
    (0..count).for_each(|n| world.label(&format!("service{n}"), endpoint(n)).unwrap());
    (0..count).map(endpoint).collect()
}

#[test]
fn a_full_table_is_out_of_memory_until_something_goes() {
    let mut ground = Ground::new(SMALL);
    let mut world = ground.with_services();
    let owners = services(&mut world, ENTRIES / OWNER_ENTRIES);
    for entry in 0..ENTRIES {
        world.number(owners[entry / OWNER_ENTRIES], &format!("{entry}"), entry as u32).unwrap();
    }
    assert_eq!(world.number(A, "one more", 1), Err(Errno::NoMem));
    assert!((0..ENTRIES).all(|entry| world.get(B, &format!("{entry}")) == Ok(entry as u64)));
    world.set_number(A, "77", 1).unwrap();
    world.delete(owners[0], "5", EntryKind::Number).unwrap();
    world.number(A, "one more", 1).unwrap();
    assert_eq!(world.number(A, "and another", 1), Err(Errno::NoMem));
}

#[test]
fn as_many_labels_as_services_and_no_more() {
    let mut ground = Ground::new(SMALL);
    let mut world = ground.fresh(PAPER);
    services(&mut world, LABELS - 1);
    assert_eq!(world.label("one more", A), Err(Errno::NoMem));
    world.delete(RS, "service7", EntryKind::Label).unwrap();
    world.label("one more", A).unwrap();
}

#[test]
fn a_flood_of_one_service_is_its_own_problem() {
    let mut ground = Ground::new(POOL);
    let mut world = ground.with_services();
    let flooded = (0..1000).filter(|n| world.number(A, &format!("flood{n}"), 0).is_ok()).count();
    assert_eq!(flooded, OWNER_ENTRIES);
    let value = vec![1; MAX_VALUE as usize];
    let flooded = (0..100).filter(|n| world.bytes(B, &format!("big{n}"), &value, PLAIN).is_ok()).count();
    assert_eq!(flooded, OWNER_BYTES / value.len());
    for _ in 0..100 {
        world.subscribe_to(A, ".*", Kinds::empty(), SubscribeFlags::OVERWRITE).unwrap();
    }
    // Others go on as if nothing were: with names, numbers, bytes and subscriptions.
    world.label("vfs", Endpoint::from_raw(60)).unwrap();
    for from in [C, RS, Endpoint::from_raw(60)] {
        world.number(from, &format!("n{from}"), 1).unwrap();
        world.bytes(from, &format!("b{from}"), &value, PLAIN).unwrap();
        world.subscribe(from, "drv.*").unwrap();
    }
    // It cannot take over what others have, to get more than its share.
    assert_eq!(world.set_number(A, &format!("n{C}"), 1), Err(Errno::NoMem));
    assert_eq!(world.bytes(B, &format!("b{C}"), &value, Flags::OVERWRITE), Err(Errno::NoMem));
}

#[test]
fn values_have_a_longest() {
    let mut ground = Ground::new(POOL);
    let mut world = ground.with_services();
    world.bytes(A, "x", &vec![1; MAX_VALUE as usize], PLAIN).unwrap();
    assert_eq!(world.bytes(A, "y", &vec![1; MAX_VALUE as usize + 1], PLAIN), Err(Errno::TooBig));
    assert_eq!(world.publish(A, "y", EntryKind::Bytes, PLAIN, (u32::MAX, 1)), Err(Errno::TooBig));
}

#[test]
fn the_fullest_store_fits_a_journal() {
    let mut ground = Ground::new(POOL);
    let mut world = ground.with_services();
    let owners = services(&mut world, LABELS - 4);
    let name = |n: usize| format!("{n:x>79}");
    for (n, owner) in owners.iter().enumerate() {
        world.subscribe(*owner, &"[^a]".repeat(19)).unwrap();
        for entry in 0..ENTRIES / owners.len() {
            world.range(*owner, &name(n * 100 + entry), 1, 1).unwrap();
            let key = world.key(*owner, name(n * 100 + entry).as_bytes());
            while result(world.ds.snapshot(caller(*owner), Snapshot { key })).is_ok_and(|taken| taken.index < 4) {}
        }
    }
    assert_eq!(world.ds.store.pool.room(), 0, "all bytes are taken");
    for _ in 0..3 {
        world.label("a", A).unwrap();
        world.ds.write_anew().unwrap();
    }
    let (dump, words) = (world.dump(), world.ds.journal.words().words.clone());
    assert_eq!(Ground::new(POOL).successor(&words).unwrap().dump(), dump);
}
