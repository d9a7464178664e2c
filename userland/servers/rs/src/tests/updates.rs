//! Updates: how they succeed, and how the old version goes on whatever goes wrong.

use super::stage::{Beginning, Stage, label, play};
use super::world::{LOAD, TELL, name_of};
use super::*;
use crate::service::Phase;
use protocol::kernel::UpdateDirection::{Forward, Rollback};
use protocol::rs::*;
use protocol::sef::Prepare;

const STATE: u32 = 2;

fn update() -> Update {
    Update { label: label("hello"), program: label("hello-2"), state: STATE, patience: 0 }
}

fn ready(error: u32, state_len: u64) -> Ready {
    Ready { state: STATE, error, state_grant: GrantId::from_raw(4), state_len }
}

/// What becomes of an update of `hello` that goes as far as a test says; the tags of both who wait.
struct UnderWay {
    hello: Endpoint,
    old: u32,
    asked: u16,
    ready: u16,
}

impl UnderWay {
    /// The new version was made, and the old one told.
    fn begin(stage: &mut Stage<'_>) -> Self {
        stage.boss_asks(&Up { program: label("hello"), label: [0; _], arguments: GrantId::INVALID, len: 0 });
        let hello = stage.at("hello");
        stage.begins_so(hello, Beginning { error: 0, keeps: 24 });
        let old = stage.world().processes[&hello].program.serial;
        let asked = stage.boss_asks(&update());
        assert_eq!(stage.takes::<Prepare>(hello).expect("it is told").state, STATE);
        Self { hello, old, asked, ready: 0 }
    }

    /// The old one is ready, so that they have changed places.
    fn swap(stage: &mut Stage<'_>) -> Self {
        let mut update = Self::begin(stage);
        update.ready = stage.ask(update.hello, &ready(0, 16));
        assert_eq!(stage.world().swaps, [Forward]);
        assert!(stage.answer_to::<Ready>(update.ready).is_none() && stage.answer_to::<Update>(update.asked).is_none());
        update
    }

    /// The old version goes on, and whoever wanted a new one was told why not.
    fn fails(&self, stage: &Stage<'_>, errno: Errno) {
        assert_eq!(stage.answer_to::<Update>(self.asked).expect("an answer").map(drop), Err(errno));
        assert_eq!((stage.phase("hello"), stage.at("hello")), (Phase::Active, self.hello));
        assert_eq!(stage.world().processes[&self.hello].program.serial, self.old);
        assert_eq!(stage.service("hello").now.program, name_of("hello"));
        assert!(stage.can_ask(self.hello) && stage.service("hello").restarts == 0);
        assert_eq!(stage.world().processes.len(), 8, "nothing is left of the new version");
    }
}

#[test]
fn a_new_version_takes_over_what_the_old_one_gives_it() {
    play(|stage| {
        let update = UnderWay::swap(stage);
        let old = stage.service("hello").other.expect("the old version").endpoint;
        let info = stage.told(update.hello, &GetInit {}).expect("it is starting");
        assert_eq!((info.how, info.endpoint, info.old, info.restarts), (Init::LiveUpdate, update.hello, old, 0));
        assert_eq!((info.state_grant.raw(), info.state_len, info.prepared), (4, 16, STATE));
        stage.begins(update.hello);
        assert!(stage.answer_to::<Update>(update.asked).expect("an answer").is_ok());
        assert!(!stage.world().processes.contains_key(&old));
        let service = stage.service("hello");
        assert_eq!((service.now.program, service.label), (name_of("hello-2"), name_of("hello")));
        // It is started again as what it is now.
        stage.dies(update.hello);
        stage.begins(update.hello);
        assert_eq!(stage.service("hello").now.program, name_of("hello-2"));
    });
}

#[test]
fn what_it_has_kept_will_do_if_it_gives_nothing() {
    play(|stage| {
        let update = UnderWay::begin(stage);
        stage.ask(update.hello, &ready(0, 0));
        let info = stage.told(update.hello, &GetInit {}).expect("it is starting");
        assert_eq!((info.state_grant.raw(), info.state_len), (9, 24));
    });
}

#[test]
fn whichever_call_fails_nothing_has_changed() {
    for kind in [protocol::pm::SrvFork::KIND, SetSys::KIND, LOAD, TELL] {
        play(|stage| {
            let hello = stage.up("hello");
            stage.world_mut().fail(kind, 1, Errno::NoSpc);
            assert_eq!(stage.boss(&update()).map(drop), Err(Errno::NoSpc), "{kind:?}");
            assert_eq!((stage.phase("hello"), stage.world().processes.len()), (Phase::Active, 8));
            assert!(stage.can_ask(hello));
        });
    }
}

#[test]
fn an_old_version_that_refuses_goes_on() {
    play(|stage| {
        let update = UnderWay::begin(stage);
        let tag = stage.ask(update.hello, &ready(Errno::Io as u32, 0));
        assert_eq!(stage.answer_to::<Ready>(tag).expect("an answer").map(drop), Err(Errno::Intr));
        update.fails(stage, Errno::Io);
    });
}

#[test]
fn an_update_that_takes_too_long_is_called_off() {
    play(|stage| {
        let update = UnderWay::begin(stage);
        stage.periods(3);
        assert_eq!(stage.takes::<Prepare>(update.hello).expect("it is told").state, NO_STATE);
        update.fails(stage, Errno::TimedOut);
        // Too late.
        assert_eq!(stage.told(update.hello, &ready(0, 0)).map(drop), Err(Errno::Inval));
        update.fails(stage, Errno::TimedOut);
    });
    play(|stage| {
        let update = UnderWay::begin(stage);
        stage.world_mut().fail(TELL, 1, Errno::NoSpc);
        stage.periods(3);
        assert!(stage.is_logged("cannot be told that its update is called off: ENOSPC"));
        update.fails(stage, Errno::TimedOut);
    });
}

#[test]
fn a_swap_that_fails_leaves_everything_as_it_was() {
    play(|stage| {
        let update = UnderWay::begin(stage);
        stage.world_mut().fail(protocol::vm::Update::KIND, 1, Errno::Busy);
        let tag = stage.ask(update.hello, &ready(0, 16));
        assert_eq!(stage.answer_to::<Ready>(tag).expect("an answer").map(drop), Err(Errno::Intr));
        update.fails(stage, Errno::Busy);
    });
}

#[test]
fn a_new_version_that_does_not_begin_is_rolled_back() {
    type Fails = fn(&mut Stage<'_>, Endpoint);
    let ways: [(Errno, Fails); 3] = [
        (Errno::Io, |stage, hello| _ = stage.begins_so(hello, Beginning::FAILS)),
        (Errno::DeadSrcDst, |stage, hello| stage.dies(hello)),
        (Errno::TimedOut, |stage, _| stage.periods(11)),
    ];
    for (errno, fails) in ways {
        play(|stage| {
            let update = UnderWay::swap(stage);
            fails(stage, update.hello);
            assert_eq!(stage.world().swaps, [Forward, Rollback]);
            assert_eq!(stage.answer_to::<Ready>(update.ready).expect("an answer").map(drop), Err(Errno::Again));
            update.fails(stage, errno);
            assert!(stage.is_logged("hello goes on in its old version"));
            // What it had kept is still there for a crash.
            stage.dies(update.hello);
            let info = stage.told(update.hello, &GetInit {}).expect("it is starting");
            assert_eq!((info.how, info.state_len), (Init::Restart, 24));
        });
    }
}

#[test]
fn a_new_version_that_may_not_run_is_rolled_back() {
    play(|stage| {
        let update = UnderWay::begin(stage);
        stage.world_mut().fail(Allow::KIND, 1, Errno::Inval);
        let tag = stage.ask(update.hello, &ready(0, 16));
        assert_eq!(stage.answer_to::<Ready>(tag).expect("an answer").map(drop), Err(Errno::Again));
        update.fails(stage, Errno::Inval);
    });
}

#[test]
fn a_new_version_that_does_not_ask_has_begun_when_it_runs() {
    play(|stage| {
        let hello = stage.up("mute");
        let call = Update { label: label("mute"), program: label("mute"), state: STATE, patience: 0 };
        let tag = stage.boss_asks(&call);
        stage.ask(hello, &ready(0, 0));
        assert!(stage.answer_to::<Update>(tag).expect("an answer").is_ok());
    });
}

#[test]
fn where_rolling_back_fails_too_the_service_is_restarted() {
    play(|stage| {
        let update = UnderWay::swap(stage);
        stage.world_mut().fail(protocol::vm::Update::KIND, 1, Errno::NoMem);
        stage.begins_so(update.hello, Beginning::FAILS);
        assert!(stage.is_logged("hello cannot be rolled back: ENOMEM"));
        assert_eq!(stage.answer_to::<Update>(update.asked).expect("an answer").map(drop), Err(Errno::Io));
        // The old version is gone, and what it had kept.
        let info = stage.told(update.hello, &GetInit {}).expect("it is starting");
        assert_eq!((info.how, info.state_len), (Init::Restart, 0));
        stage.begins(update.hello);
        assert_eq!((stage.phase("hello"), stage.world().processes.len()), (Phase::Active, 8));
    });
}

#[test]
fn an_old_version_that_dies_while_it_prepares_is_restarted() {
    play(|stage| {
        let update = UnderWay::begin(stage);
        stage.dies(update.hello);
        let told = stage.answer_to::<Update>(update.asked).expect("an answer");
        assert_eq!(told.map(drop), Err(Errno::DeadSrcDst));
        // The next instance hears nothing of it.
        assert!(stage.takes::<Prepare>(update.hello).is_none());
        stage.begins(update.hello);
        assert_eq!((stage.phase("hello"), stage.service("hello").restarts), (Phase::Active, 1));
        assert_eq!(stage.service("hello").now.program, name_of("hello"));
    });
}

#[test]
fn a_new_version_that_dies_before_it_was_needed_ends_the_update() {
    play(|stage| {
        let update = UnderWay::begin(stage);
        let new = stage.service("hello").other.expect("the new version").endpoint;
        stage.dies(new);
        assert_eq!(stage.takes::<Prepare>(update.hello).expect("it is told").state, NO_STATE);
        update.fails(stage, Errno::DeadSrcDst);
    });
}

#[test]
fn an_old_version_that_dies_while_the_new_one_begins_is_no_way_back() {
    // The new one begins; it fails.
    for fails in [false, true] {
        play(|stage| {
            let update = UnderWay::swap(stage);
            let old = stage.service("hello").other.expect("the old version").endpoint;
            stage.dies(old);
            assert!(!stage.world().processes.contains_key(&old));
            let info = stage.told(update.hello, &GetInit {}).expect("it is starting");
            assert_eq!((info.old, info.state_len), (Endpoint::NONE, 0));
            if fails {
                stage.begins_so(update.hello, Beginning::FAILS);
                let told = stage.answer_to::<Update>(update.asked).expect("an answer");
                assert_eq!(told.map(drop), Err(Errno::Io));
                let info = stage.told(update.hello, &GetInit {}).expect("it is starting");
                assert_eq!((info.how, info.state_len), (Init::Restart, 0));
            }
            stage.begins(update.hello);
            assert_eq!(stage.answer_to::<Update>(update.asked).expect("an answer").is_ok(), !fails);
            assert_eq!((stage.phase("hello"), stage.world().processes.len()), (Phase::Active, 8));
        });
    }
}

#[test]
fn the_data_store_is_updated_like_any_other() {
    play(|stage| {
        let store = stage.at("ds");
        let call = Update { label: label("ds"), program: label("ds"), state: STATE, patience: 0 };
        let tag = stage.boss_asks(&call);
        stage.ask(store, &ready(0, 8));
        // What is new meanwhile it hears when it serves again.
        let boss = stage.at("boss");
        stage.dies(boss);
        assert!(stage.world().labels.contains_key("boss"));
        stage.begins(store);
        assert!(stage.answer_to::<Update>(tag).is_none() && !stage.world().labels.contains_key("boss"));
    });
}

#[test]
fn nobody_else_is_ready_or_begins_and_nobody_twice() {
    play(|stage| {
        let done = InitDone { error: 0, reserved: 0, state_grant: GrantId::INVALID, state_len: 0 };
        let failed = InitDone { error: Errno::Io as u32, ..done };
        let update = UnderWay::begin(stage);
        let before = stage.service("hello");
        let is_as_before = |stage: &Stage<'_>| {
            let now = stage.service("hello");
            assert_eq!(
                (now.phase, now.now.endpoint, now.kept.len),
                (before.phase, before.now.endpoint, before.kept.len)
            );
        };
        for who in [update.hello, stage.at("echo"), endpoint(6)] {
            // The one that is asked may say it, but not in another state.
            let wrong = Ready { state: STATE + 1, ..ready(0, 16) };
            assert_eq!(stage.told(who, &wrong).map(drop), Err(Errno::Inval));
            assert_eq!(stage.told(who, &done).map(drop), Err(Errno::Perm));
            assert_eq!(stage.told(who, &failed).map(drop), Err(Errno::Perm));
            assert_eq!(stage.told(who, &GetInit {}).map(drop), Err(Errno::Perm));
            is_as_before(stage);
        }
        for stranger in [stage.at("echo"), endpoint(6)] {
            assert_eq!(stage.told(stranger, &ready(0, 16)).map(drop), Err(Errno::Inval));
            is_as_before(stage);
        }
        stage.ask(update.hello, &ready(0, 16));
        // The new one is not ready for anything.
        assert_eq!(stage.told(update.hello, &ready(0, 16)).map(drop), Err(Errno::Inval));
        stage.begins(update.hello);
        assert_eq!(stage.told(update.hello, &done).map(drop), Err(Errno::Perm));
        assert_eq!(stage.told(update.hello, &failed).map(drop), Err(Errno::Perm));
        assert_eq!(stage.told(update.hello, &GetInit {}).map(drop), Err(Errno::Perm));
        assert_eq!(stage.phase("hello"), Phase::Active);
    });
}
