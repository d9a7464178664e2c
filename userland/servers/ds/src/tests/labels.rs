//! Labels, and what happens to what a service has when its label goes or moves.

use super::*;

#[test]
fn labels_and_endpoints_find_each_other() {
    let mut ground = Ground::new(SMALL);
    let mut world = ground.with_services();
    assert_eq!(world.endpoint("a"), Ok(A.raw().into()));
    assert_eq!(world.endpoint("rs"), Ok(RS.raw().into()), "who sets labels has one from the beginning");
    assert_eq!(world.endpoint("d"), Err(Errno::Srch));
    let call = |endpoint| RetrieveLabel { endpoint, reserved: 0, grant: GrantId::INVALID };
    let label = result(world.ds.retrieve_label(caller(USER), call(B))).unwrap().label;
    assert_eq!(label.text(), Some(&b"b"[..]));
    assert_eq!(result(world.ds.retrieve_label(caller(USER), call(USER))), Err(Errno::Srch));
}

#[test]
fn a_long_label_needs_room() {
    let mut ground = Ground::new(SMALL);
    let mut world = ground.with_services();
    let (long, endpoint) = ("x".repeat(79), Endpoint::from_raw(50));
    world.label(&long, endpoint).unwrap();
    let call = |grant| RetrieveLabel { endpoint, reserved: 0, grant };
    assert_eq!(result(world.ds.retrieve_label(caller(A), call(GrantId::INVALID))), Err(Errno::TooBig));
    assert_eq!(result(world.ds.retrieve_label(caller(A), call(BAD))), Err(Errno::Perm));
    let grant = world.grant(A, &[0; 79]);
    assert_eq!(result(world.ds.retrieve_label(caller(A), call(grant))).unwrap().label.len, 79);
    assert_eq!(*world.granted(A, grant), long.as_bytes());
}

#[test]
fn nobody_else_sets_labels() {
    let mut ground = Ground::new(SMALL);
    let mut world = ground.with_services();
    let before = world.dump();
    for other in [A, USER] {
        for flags in [PLAIN, Flags::OVERWRITE] {
            assert_eq!(world.publish(other, "new", EntryKind::Label, flags, (0, 60)), Err(Errno::Perm));
            assert_eq!(world.publish(other, "b", EntryKind::Label, flags, (0, 60)), Err(Errno::Perm));
        }
        assert_eq!(world.delete(other, "b", EntryKind::Label), Err(Errno::Perm));
    }
    assert_eq!(world.dump(), before);
}

#[test]
fn an_endpoint_has_one_label() {
    let mut ground = Ground::new(SMALL);
    let mut world = ground.with_services();
    assert_eq!(world.label("other", A), Err(Errno::Exist));
    assert_eq!(world.label("b", A), Err(Errno::Exist));
    assert_eq!(world.publish(RS, "a", EntryKind::Label, PLAIN, (0, 70)), Err(Errno::Exist));
    for nobody in [Endpoint::NONE.raw(), Endpoint::ANY.raw(), Endpoint::SELF.raw(), 1024, u32::MAX] {
        assert_eq!(world.label("new", Endpoint::from_raw(nobody)), Err(Errno::Inval), "{nobody:#x}");
    }
    assert_eq!(world.publish(RS, "new", EntryKind::Label, PLAIN, (0, 1 << 32 | 70)), Err(Errno::Inval));
}

#[test]
fn the_label_of_who_sets_labels_stays() {
    let mut ground = Ground::new(SMALL);
    let mut world = ground.with_services();
    assert_eq!(world.delete(RS, "rs", EntryKind::Label), Err(Errno::Perm));
    assert_eq!(world.label("rs", Endpoint::from_raw(70)), Err(Errno::Perm));
    assert_eq!(world.label("rs", RS), Ok(()));
}

#[test]
fn with_its_label_goes_all_that_a_service_has() {
    let mut ground = Ground::new(64 << 10);
    let mut world = ground.with_services();
    world.subscribe(B, "x.*").unwrap();
    world.subscribe(A, ".*").unwrap();
    world.number(A, "x1", 1).unwrap();
    world.bytes(A, "x2", b"2", PLAIN).unwrap();
    let grant = world.range(A, "x3", 3, 1).unwrap();
    world.number(A, "y", 1).unwrap();
    world.number(C, "x4", 4).unwrap();
    assert!(result(world.ds.map(caller(B), MapRange { key: Key::new(b"x3").unwrap() })).is_ok());
    assert!(result(world.ds.snapshot(caller(B), Snapshot { key: Key::new(b"x3").unwrap() })).is_ok());
    world.notices();
    world.delete(RS, "a", EntryKind::Label).unwrap();
    assert_eq!(world.notices(), [B], "who has subscribed is told, but not the dead");
    assert_eq!(world.checks(B), ["x4"], "what has gone is not told of");
    for (key, kind) in [("x1", EntryKind::Number), ("x2", EntryKind::Bytes), ("x3", EntryKind::Mapped)] {
        assert_eq!(world.retrieve(B, key, kind), Err(Errno::Srch));
    }
    assert!(world.ds.lending.handed_on.is_empty(), "what was handed on is taken back");
    assert_eq!((world.get(B, "x4"), world.ds.store.pool.room()), (Ok(4), 64 << 10));
    assert_eq!((world.check(A), world.number(A, "z", 1)), (Err(Errno::Srch), Err(Errno::Perm)));
    // A new instance has nothing of it.
    let again = A.next_generation();
    world.label("a", again).unwrap();
    assert_eq!(world.endpoint("a"), Ok(again.raw().into()));
    world.subscribe(again, ".*").unwrap();
    world.number(again, "x1", 2).unwrap();
    let _ = grant;
}

#[test]
fn what_a_service_has_outlives_its_endpoint_with_its_label() {
    let mut ground = Ground::new(64 << 10);
    let mut world = ground.with_services();
    world.number(A, "x", 1).unwrap();
    world.range(A, "m", 3, 1).unwrap();
    world.subscribe(A, "y").unwrap();
    world.number(B, "y", 1).unwrap();
    assert!(result(world.ds.map(caller(B), MapRange { key: Key::new(b"m").unwrap() })).is_ok());
    let again = A.next_generation();
    world.label("a", again).unwrap();
    assert_eq!(world.retrieve(B, "x", EntryKind::Number).unwrap().owner, again);
    assert_eq!(world.delete(A, "x", EntryKind::Number), Err(Errno::Perm), "the old endpoint is nobody's");
    assert_eq!(world.checks(again), ["y"], "what it was not told of, it is told now");
    assert_eq!(world.delete(again, "x", EntryKind::Number), Ok(()));
    assert_eq!(world.retrieve(B, "m", EntryKind::Mapped), Err(Errno::Srch), "the memory was the old process's");
    assert!(world.ds.lending.handed_on.is_empty());
}

#[test]
fn setting_a_label_to_the_same_endpoint_keeps_everything() {
    let mut ground = Ground::new(64 << 10);
    let mut world = ground.with_services();
    world.range(A, "m", 3, 1).unwrap();
    world.subscribe_to(B, "a", Kinds::LABEL, SubscribeFlags::empty()).unwrap();
    world.label("a", A).unwrap();
    assert!(world.retrieve(B, "m", EntryKind::Mapped).is_ok());
    assert_eq!((world.notices(), world.checks(B)), (vec![B], vec!["a".into()]));
}

#[test]
fn with_a_new_label_a_service_does_not_own_what_it_had() {
    let mut ground = Ground::new(SMALL);
    let mut world = ground.with_services();
    world.number(A, "x", 1).unwrap();
    let again = A.next_generation();
    world.label("new", again).unwrap();
    assert_eq!(world.delete(again, "x", EntryKind::Number), Err(Errno::Perm));
}
