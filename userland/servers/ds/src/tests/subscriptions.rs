//! Who is told of what.

use super::*;

const INITIAL: SubscribeFlags = SubscribeFlags::INITIAL;

#[test]
fn several_changes_are_one_notice_and_all_of_them_are_told() {
    let mut ground = Ground::new(SMALL);
    let mut world = ground.with_services();
    world.subscribe(B, "x.*").unwrap();
    world.number(A, "x1", 1).unwrap();
    world.number(A, "y", 1).unwrap();
    world.number(C, "x2", 1).unwrap();
    assert_eq!(world.notices(), [B]);
    assert_eq!(world.checks(B), ["x1", "x2"]);
    assert_eq!(world.notices(), []);
}

#[test]
fn a_change_tells_what_it_is() {
    let mut ground = Ground::new(SMALL);
    let mut world = ground.with_services();
    world.subscribe(B, ".*").unwrap();
    world.number(A, "n", 7).unwrap();
    world.bytes(C, "b", b"xyz", PLAIN).unwrap();
    world.label("d", Endpoint::from_raw(44)).unwrap();
    let mut told = || {
        let Changed { value, key, kind, owner, .. } =
            result(world.ds.check(caller(B), Check { grant: GrantId::INVALID })).unwrap();
        (key.text().unwrap().to_vec(), kind, owner, value)
    };
    assert_eq!(told(), (b"d".to_vec(), EntryKind::Label, RS, 44), "labels come first");
    assert_eq!(told(), (b"n".to_vec(), EntryKind::Number, A, 7));
    assert_eq!(told(), (b"b".to_vec(), EntryKind::Bytes, C, 3));
}

#[test]
fn an_equal_value_is_a_change_and_a_removal_is_told_by_nothing() {
    let mut ground = Ground::new(SMALL);
    let mut world = ground.with_services();
    world.number(A, "x", 1).unwrap();
    world.subscribe(B, "x").unwrap();
    world.set_number(A, "x", 1).unwrap();
    assert_eq!((world.notices(), world.checks(B)), (vec![B], vec!["x".into()]));
    world.set_number(A, "x", 1).unwrap();
    world.notices();
    world.delete(A, "x", EntryKind::Number).unwrap();
    assert_eq!((world.notices(), world.check(B)), (vec![B], Err(Errno::NoEnt)));
}

#[test]
fn initial_tells_of_what_is_there() {
    let mut ground = Ground::new(SMALL);
    let mut world = ground.with_services();
    world.subscribe_to(B, "x.*", Kinds::empty(), INITIAL).unwrap();
    assert_eq!((world.notices(), world.check(B)), (vec![], Err(Errno::NoEnt)), "nothing is there");
    world.number(A, "x1", 1).unwrap();
    world.bytes(A, "x2", b"2", PLAIN).unwrap();
    world.publish(A, "x3", EntryKind::Number, Flags::PRIVATE_SUBSCRIBE, (0, 1)).unwrap();
    world.checks(B);
    world.notices();
    world.subscribe_to(B, "x.*", Kinds::empty(), INITIAL | SubscribeFlags::OVERWRITE).unwrap();
    assert_eq!((world.notices(), world.checks(B)), (vec![B], vec!["x1".into(), "x2".into()]));
    world.subscribe_to(B, ".*", Kinds::LABEL, INITIAL | SubscribeFlags::OVERWRITE).unwrap();
    assert_eq!(world.checks(B), ["rs", "a", "b", "c"]);
    world.subscribe_to(B, "x.*", Kinds::NUMBER, INITIAL | SubscribeFlags::OVERWRITE).unwrap();
    assert_eq!(world.checks(B), ["x1"]);
    world.subscribe_to(B, "x.*", Kinds::empty(), SubscribeFlags::OVERWRITE).unwrap();
    assert_eq!(world.check(B), Err(Errno::NoEnt));
}

#[test]
fn there_is_one_subscription_for_each_label() {
    let mut ground = Ground::new(SMALL);
    let mut world = ground.with_services();
    world.subscribe(B, "x").unwrap();
    assert_eq!(world.subscribe(B, "y"), Err(Errno::Exist));
    world.number(A, "y", 1).unwrap();
    assert_eq!(world.check(B), Err(Errno::NoEnt), "the first one counts");
    world.number(A, "x", 1).unwrap();
    world.subscribe_to(B, "y", Kinds::empty(), SubscribeFlags::OVERWRITE).unwrap();
    assert_eq!(world.check(B), Err(Errno::NoEnt), "marks of the former are gone");
    world.set_number(A, "y", 1).unwrap();
    assert_eq!(world.checks(B), ["y"]);
    assert_eq!((world.subscribe(USER, "x"), world.check(USER)), (Err(Errno::Srch), Err(Errno::Srch)));
    assert_eq!(world.check(C), Err(Errno::Srch), "it has none");
}

#[test]
fn what_is_private_is_told_to_its_owner_only() {
    let mut ground = Ground::new(SMALL);
    let mut world = ground.with_services();
    world.subscribe(A, ".*").unwrap();
    world.subscribe(B, ".*").unwrap();
    let private = |world: &mut World<'_>, flags| world.publish(A, "x", EntryKind::Number, flags, (0, 1)).unwrap();
    private(&mut world, Flags::PRIVATE_SUBSCRIBE);
    assert_eq!(world.notices(), [A]);
    assert_eq!((world.checks(A), world.checks(B)), (vec!["x".into()], vec![]));
    private(&mut world, Flags::OVERWRITE);
    assert_eq!(world.notices(), [A, B]);
    // B has not been told yet, and must not be told any more.
    private(&mut world, Flags::OVERWRITE | Flags::PRIVATE_SUBSCRIBE);
    assert_eq!((world.notices(), world.check(B)), (vec![A], Err(Errno::NoEnt)));
    world.delete(A, "x", EntryKind::Number).unwrap();
    assert_eq!(world.notices(), [A]);
}

#[test]
fn what_only_its_owner_may_retrieve_is_not_told() {
    let mut ground = Ground::new(SMALL);
    let mut world = ground.with_services();
    world.subscribe(B, "x").unwrap();
    world.publish(A, "x", EntryKind::Number, Flags::PRIVATE_RETRIEVE, (0, 77)).unwrap();
    let told = result(world.ds.check(caller(B), Check { grant: GrantId::INVALID })).unwrap();
    assert_eq!(told.value, 0);
}

#[test]
fn a_long_key_without_room_is_told_later() {
    let mut ground = Ground::new(SMALL);
    let mut world = ground.with_services();
    let long = "x".repeat(40);
    world.subscribe(B, "x*").unwrap();
    world.number(A, &long, 1).unwrap();
    assert_eq!(result(world.ds.check(caller(B), Check { grant: GrantId::INVALID })), Err(Errno::TooBig));
    assert_eq!(result(world.ds.check(caller(B), Check { grant: BAD })), Err(Errno::Perm));
    assert_eq!(world.checks(B), [long]);
}

#[test]
fn patterns_are_for_whole_keys() {
    let mut ground = Ground::new(SMALL);
    let mut world = ground.with_services();
    world.subscribe(A, "a.c").unwrap();
    world.subscribe(B, r"drv\.blk\..*").unwrap();
    for key in ["xabc", "abcd", "abc", "drv.blk.at_wini_0", "drv.blk", "xdrv.blk.a"] {
        world.number(C, key, 1).unwrap();
    }
    assert_eq!((world.checks(A), world.checks(B)), (vec!["abc".into()], vec!["drv.blk.at_wini_0".into()]));
    assert_eq!(world.subscribe(C, "("), Err(Errno::Inval));
    assert_eq!(world.check(C), Err(Errno::Srch), "a bad pattern is no subscription");
    assert_eq!(world.subscribe(C, &"a".repeat(80)), Err(Errno::Inval));
    assert_eq!(world.subscribe(C, &"a".repeat(79)), Ok(()));
}
