//! Everything ends.

use super::stage::{TERM, label, play_in};
use super::world::{LOAD, Plan};
use super::*;
use crate::service::Phase;
use protocol::rs::*;
use protocol::sef::Signaled;
use std::vec::Vec;

/// A system whose `boss` may end everything.
fn plan() -> Plan {
    let mut plan = Plan::village();
    plan.entry("boss").control = [u64::MAX >> (64 - plan.policy.len()), 0];
    plan
}

#[test]
fn only_who_may_end_each_service_ends_them_all() {
    let mut plan = plan();
    let but_vm = plan.set(&["pm", "ds", "echo", "boss"]);
    plan.entry("boss").control = but_vm;
    play_in(plan, |stage| {
        assert_eq!(stage.boss(&Shutdown {}).map(drop), Err(Errno::Perm));
        assert!(stage.root.services.iter().all(|service| service.phase == Phase::Active));
    });
}

#[test]
fn all_are_asked_to_end_and_then_ended_and_stay_dead() {
    play_in(plan(), |stage| {
        let hello = stage.up("hello");
        let limited = stage.up("limited");
        // One waits to be restarted: it is not any more.
        stage.dies(limited);
        stage.all_begin();
        stage.dies(limited);
        assert!(matches!(stage.phase("limited"), Phase::Waiting { .. }));
        assert!(stage.boss(&Shutdown {}).is_ok());
        assert_eq!(stage.phase("limited"), Phase::GivenUp);
        let all: Vec<_> =
            stage.root.services.iter().filter(|service| !service.is_dead()).map(|it| it.now.endpoint).collect();
        assert_eq!(all.len(), 6);
        for process in all {
            assert_eq!(stage.takes::<Signaled>(process).expect("it is told").signal, TERM);
        }
        stage.ends(hello);
        assert!(stage.known("hello").is_none());
        let boss = stage.at("boss");
        for call in [
            Up { program: label("hello"), label: [0; _], arguments: GrantId::INVALID, len: 0 },
            Up { program: label("once"), label: [0; _], arguments: GrantId::INVALID, len: 0 },
        ] {
            assert_eq!(stage.told(boss, &call).map(drop), Err(Errno::Busy));
        }
        assert_eq!(stage.told(boss, &Restart { label: label("limited") }).map(drop), Err(Errno::Busy));
        // The others do not end by themselves; not even the death of a core service ends the system.
        stage.periods(10);
        assert!(stage.fatal.is_none() && stage.root.services.iter().all(|service| service.phase == Phase::GivenUp));
        let left: Vec<_> = stage.world().processes.keys().copied().collect();
        assert_eq!(left, [stage.world().root, endpoint(6)], "the root and a user");
    });
}

#[test]
fn nothing_is_left_of_one_that_waits_to_be_started_again_as_was_asked() {
    play_in(plan(), |stage| {
        // It is not restarted when it dies, but on request.
        let once = stage.up("once");
        stage.boss_asks(&Refresh { label: label("once") });
        stage.world_mut().fail(LOAD, 1, Errno::NoMem);
        stage.ends(once);
        assert_eq!(stage.phase("once"), Phase::Waiting { periods: 1 });
        assert!(stage.boss(&Shutdown {}).is_ok());
        assert!(stage.known("once").is_none() && !stage.world().processes.contains_key(&once));
    });
}

#[test]
fn whoever_waits_is_told_how_it_came_out() {
    let mut plan = plan();
    for second in ["boss-2", "boss-3"] {
        plan.like("boss", second);
        plan.files.push(second);
    }
    plan.entry("boss").control = [u64::MAX >> (64 - plan.policy.len()), 0];
    play_in(plan, |stage| {
        let (second, third) = (stage.up("boss-2"), stage.up("boss-3"));
        let (hello, beat) = (stage.up("hello"), stage.up("beat"));
        let update = Update { label: label("hello"), program: label("hello-2"), state: 1, patience: 0 };
        let updates = stage.ask(second, &update);
        stage.ask(hello, &Ready { state: 1, error: 0, state_grant: GrantId::INVALID, state_len: 0 });
        let downs = stage.ask(third, &Down { label: label("beat") });
        assert!(stage.boss(&Shutdown {}).is_ok());
        // The update came to nothing; the other one gets what it wanted.
        let told = stage.answer_to::<Update>(updates).expect("an answer");
        assert_eq!(told.map(drop), Err(Errno::DeadSrcDst));
        stage.ends(beat);
        assert!(stage.answer_to::<Down>(downs).expect("an answer").is_ok());
        // Both versions end.
        stage.ends(hello);
        assert!(stage.known("hello").is_none());
    });
}
