//! Who controls what, and the arguments that services get.

use super::stage::{Stage, label, play, play_in};
use super::world::{LOAD, Plan};
use super::*;
use abi::boot::BootFlags;
use protocol::pm::{GetProcessStatus, SrvIds};
use protocol::rs::*;

/// The user of the boot table.
fn user() -> Endpoint {
    endpoint(6)
}

fn is(stage: &Stage<'_>, uid: u32) {
    stage.world_mut().uids.insert(user(), uid);
}

fn up(program: &str) -> Up {
    Up { program: label(program), label: [0; _], arguments: GrantId::INVALID, len: 0 }
}

#[test]
fn boot_programs_are_the_users_of_their_policy_before_users_run() {
    let mut plan = Plan::village();
    plan.entry("user").uid = 1234;
    plan.entry("echo").uid = 7;
    play_in(plan, |stage| {
        let world = stage.world();
        assert_eq!((world.uids[&user()], world.uids[&endpoint(5)], world.uids[&world.root]), (1234, 7, 0));
        assert!(world.processes[&user()].program.runs());
    });
    // One that would be root does not run; all others do.
    let mut plan = Plan::village();
    plan.boot.push(("user-2", BootFlags::SERVED));
    plan.like("user", "user-2");
    let shared = super::world::Shared::new(plan);
    shared.0.borrow_mut().users_of_table.insert(endpoint(7));
    let fault = super::world::Fault { what: SrvIds::KIND, after: 6, times: 1, error: Errno::DeadSrcDst };
    shared.0.borrow_mut().faults.push(fault);
    let stage = Stage::booted(&shared);
    let world = stage.world();
    assert!(!world.processes[&user()].program.runs(), "{:?}", world.log);
    assert!(world.processes[&endpoint(7)].program.runs());
}

#[test]
fn a_user_that_is_root_controls_all_and_another_one_nothing() {
    play(|stage| {
        let user = user();
        let hello = stage.up("hello");
        for uid in [1, 77, 1000, u32::MAX] {
            is(stage, uid);
            assert_eq!(stage.told(user, &up("limited")).map(drop), Err(Errno::Perm));
            assert_eq!(stage.told(user, &Down { label: label("hello") }), Err(Errno::Perm));
            assert_eq!(stage.told(user, &Refresh { label: label("hello") }).map(drop), Err(Errno::Perm));
            assert_eq!(stage.told(user, &Edit { label: label("hello"), heartbeat: 5 }), Err(Errno::Perm));
            assert_eq!(stage.told(user, &Shutdown {}), Err(Errno::Perm));
        }
        assert_eq!(stage.at("hello"), hello);
        is(stage, 0);
        assert_eq!(stage.told(user, &Edit { label: label("hello"), heartbeat: 5000 }), Ok(Edited {}));
        let tag = stage.ask(user, &Down { label: label("hello") });
        stage.ends(hello);
        assert_eq!(stage.answer_to::<Down>(tag), Some(Ok(DownDone {})));
        let tag = stage.ask(user, &up("limited"));
        let limited = stage.at("limited");
        stage.begins(limited);
        assert_eq!(stage.answer_to::<Up>(tag).expect("an answer").map(|up| up.endpoint), Ok(limited));
        assert_eq!(stage.told(user, &Shutdown {}), Ok(ShutdownDone {}));
    });
}

#[test]
fn whoever_cannot_be_told_apart_from_others_is_not_root() {
    play(|stage| {
        let user = user();
        is(stage, 0);
        // The process manager knows another one in that slot; it has ended; it fails.
        let pid = stage.world_mut().pids.remove(&user).expect("a pid");
        let other = Endpoint::new(user.slot(), 5).expect("a slot");
        stage.world_mut().processes.insert(other, super::world::Process::new(99, None, None));
        stage.world_mut().users_of_table.insert(other);
        stage.world_mut().pids.insert(other, pid);
        stage.world_mut().uids.insert(other, 0);
        assert_eq!(stage.told(user, &up("hello")).map(drop), Err(Errno::Perm));
        stage.world_mut().pids.remove(&other);
        assert_eq!(stage.told(user, &up("hello")).map(drop), Err(Errno::Perm));
        stage.world_mut().pids.insert(user, pid);
        for error in [Errno::DeadSrcDst, Errno::Locked, Errno::NoSys] {
            stage.world_mut().fail(GetProcessStatus::KIND, 1, error);
            assert_eq!(stage.told(user, &up("hello")).map(drop), Err(Errno::Perm));
        }
        let tag = stage.ask(user, &up("hello"));
        assert!(stage.answer_to::<Up>(tag).is_none(), "it begins");
    });
}

#[test]
fn a_service_is_root_by_its_policy() {
    let mut plan = Plan::village();
    plan.entry("echo").uid = 0;
    play_in(plan, |stage| {
        let (echo, hello) = (stage.at("echo"), stage.up("hello"));
        // What the process manager knows of it does not matter.
        stage.world_mut().uids.insert(hello, 0);
        assert_eq!(stage.told(hello, &Edit { label: label("echo"), heartbeat: 5 }), Err(Errno::Perm));
        assert_eq!(stage.told(echo, &Edit { label: label("hello"), heartbeat: 5 }), Ok(Edited {}));
    });
}

#[test]
fn the_root_system_process_and_users_are_nobody_s() {
    play(|stage| {
        let user = user();
        is(stage, 0);
        assert_eq!(stage.told(user, &Down { label: label("rs") }), Err(Errno::Perm));
        assert_eq!(stage.told(user, &Restart { label: label("rs") }).map(drop), Err(Errno::Perm));
        assert_eq!(stage.told(user, &up("rs")).map(drop), Err(Errno::Perm));
        assert_eq!(stage.told(user, &Up { label: label("rs"), ..up("hello") }).map(drop), Err(Errno::Busy));
        assert_eq!(stage.told(user, &Up { label: label("x"), ..up("user") }).map(drop), Err(Errno::Perm));
        assert_eq!(stage.boss(&Down { label: label("rs") }), Err(Errno::Perm));
        assert!(stage.known("rs").is_none() && stage.known("x").is_none());
    });
}

#[test]
fn a_service_has_its_arguments_in_every_life() {
    play(|stage| {
        let boss = stage.at("boss");
        stage.world_mut().granted.insert((boss, 5), b"list  all".to_vec());
        let call = Up { arguments: GrantId::from_raw(5), len: 9, ..up("hello") };
        let arguments = |stage: &Stage<'_>, at: Endpoint| stage.world().processes[&at].program.arguments;
        let tag = stage.boss_asks(&call);
        let hello = stage.at("hello");
        assert_eq!(arguments(stage, hello).bytes(), b"list\0all\0");
        stage.begins(hello);
        assert!(stage.answer_to::<Up>(tag).expect("an answer").is_ok());
        stage.dies(hello);
        stage.all_begin();
        assert_eq!((stage.service("hello").restarts, arguments(stage, hello).bytes()), (1, &b"list\0all\0"[..]));
        stage.boss_asks(&Update { label: label("hello"), program: label("hello-2"), state: 1, patience: 0 });
        let new = stage.service("hello").other.expect("a new version").endpoint;
        assert_eq!(arguments(stage, new).bytes(), b"list\0all\0");
        stage.ends(hello);
        let other = stage.up("limited");
        assert_eq!(arguments(stage, other), Arguments::NONE);
    });
}

#[test]
fn arguments_that_cannot_be_had_start_nobody() {
    play(|stage| {
        let boss = stage.at("boss");
        let long = [b'x'; MAX_ARGUMENTS as usize + 1];
        stage.world_mut().granted.insert((boss, 5), long.to_vec());
        let count = stage.world().processes.len();
        let with = |grant, len| Up { arguments: GrantId::from_raw(grant), len, ..up("hello") };
        for (call, error) in [
            (with(5, MAX_ARGUMENTS + 1), Errno::TooBig),
            (with(5, u64::MAX), Errno::TooBig),
            (with(6, 3), Errno::Perm),
            (Up { label: label("boss"), ..with(6, 3) }, Errno::Busy),
        ] {
            assert_eq!(stage.boss(&call).map(drop), Err(error));
            assert!(stage.known("hello").is_none());
        }
        // Nothing is read for whom nothing is done.
        let echo = stage.at("echo");
        assert_eq!(stage.told(echo, &with(5, 3)).map(drop), Err(Errno::Perm));
        stage.world_mut().fail(LOAD, 1, Errno::NoExec);
        assert_eq!(stage.boss(&with(5, 3)).map(drop), Err(Errno::NoExec));
        assert_eq!((stage.known("hello").is_none(), stage.world().processes.len()), (true, count));
        let tag = stage.boss_asks(&with(5, MAX_ARGUMENTS));
        assert!(stage.answer_to::<Up>(tag).is_none() && stage.known("hello").is_some());
    });
}
