//! Services die: in each phase, again and again, and with whoever waits for them.

use super::stage::{Beginning, label, play, play_in};
use super::world::{LOAD, Plan, name_of};
use super::*;
use crate::service::Phase;
use abi::policy::ServiceFlags;
use protocol::kernel::UpdateDirection;
use protocol::privctl::{ClearRefs, Disallow};
use protocol::rs::*;

#[test]
fn one_that_crashes_comes_back_at_once_under_its_name_with_what_it_had_kept() {
    play(|stage| {
        let tag = stage.boss_asks(&Up { program: label("hello"), label: [0; _], arguments: GrantId::INVALID, len: 0 });
        let hello = stage.at("hello");
        stage.begins_so(hello, Beginning { error: 0, keeps: 24 });
        assert!(stage.answer_to::<Up>(tag).is_some());
        let (id, pid) = (stage.service("hello").id, stage.service("hello").pid);
        stage.dies(hello);
        let other = stage.service("hello").other.expect("the dead one stays").endpoint;
        let info = stage.told(hello, &GetInit {}).expect("it is starting");
        assert_eq!((info.how, info.restarts, info.endpoint, info.old), (Init::Restart, 1, hello, other));
        assert_eq!((info.state_grant.raw(), info.state_len), (9, 24));
        stage.begins(hello);
        assert!(!stage.world().processes.contains_key(&other) && stage.at("hello") == hello);
        assert_eq!((stage.service("hello").id, stage.service("hello").pid), (id, pid));
        assert_eq!(stage.service("hello").reason, Reason::Crash);
        assert!(stage.is_logged("hello has died, signal 11") && stage.is_logged("hello is up, restarted 1 times"));
    });
}

#[test]
fn while_a_new_one_begins() {
    play(|stage| {
        let hello = stage.up("hello");
        for death in 1..=3_u32 {
            stage.dies(hello);
            // The first restart is at once, the others are not.
            let expected = 1_u32 << (death - 1);
            if death > 1 {
                assert_eq!(stage.phase("hello"), Phase::Waiting { periods: expected });
                stage.periods(expected as usize);
            }
            assert_eq!((stage.service("hello").restarts, stage.at("hello")), (death, hello));
            assert!(matches!(stage.phase("hello"), Phase::Starting { how: Init::Restart, .. }));
        }
        stage.begins(hello);
        assert_eq!(stage.world().processes.len(), 8, "seven of the boot table and this one");
    });
}

#[test]
fn while_it_waits_to_be_restarted_it_cannot_die_again() {
    play(|stage| {
        let hello = stage.up("hello");
        stage.dies(hello);
        stage.dies(hello);
        let before = stage.service("hello");
        stage.dies(hello);
        let after = stage.service("hello");
        assert_eq!((before.phase, before.restarts), (after.phase, after.restarts));
    });
}

#[test]
fn one_that_dies_again_while_the_next_begins_leaves_nothing_to_be_read() {
    play(|stage| {
        stage.boss_asks(&Up { program: label("hello"), label: [0; _], arguments: GrantId::INVALID, len: 0 });
        let hello = stage.at("hello");
        stage.begins_so(hello, Beginning { error: 0, keeps: 24 });
        stage.dies(hello);
        let dead = stage.service("hello").other.expect("the dead one stays").endpoint;
        stage.dies(dead);
        let info = stage.told(hello, &GetInit {}).expect("it is starting");
        assert_eq!((info.old, info.state_len), (Endpoint::NONE, 0));
        stage.begins(hello);
        assert_eq!(stage.phase("hello"), Phase::Active);
    });
}

#[test]
fn what_was_kept_is_offered_once() {
    play(|stage| {
        stage.boss_asks(&Up { program: label("hello"), label: [0; _], arguments: GrantId::INVALID, len: 0 });
        let hello = stage.at("hello");
        stage.begins_so(hello, Beginning { error: 0, keeps: 24 });
        // It may be what the next one has died of.
        stage.dies(hello);
        stage.dies(hello);
        stage.periods(2);
        let info = stage.told(hello, &GetInit {}).expect("it is starting");
        assert_eq!((info.restarts, info.state_len), (2, 0));
    });
}

#[test]
fn a_service_that_is_never_restarted_is_gone() {
    play(|stage| {
        let once = stage.up("once");
        stage.ends(once);
        assert!(stage.known("once").is_none() && !stage.is_logged("once has died"));
        // Also if it never began.
        let tag = stage.boss_asks(&Up { program: label("once"), label: [0; _], arguments: GrantId::INVALID, len: 0 });
        let once = stage.at("once");
        stage.dies(once);
        assert_eq!(stage.answer_to::<Up>(tag).expect("an answer").map(drop), Err(Errno::DeadSrcDst));
        assert!(stage.known("once").is_none());
    });
}

#[test]
fn one_whose_program_was_not_kept_is_given_up() {
    play(|stage| {
        let echo = stage.at("echo");
        stage.dies(echo);
        assert_eq!(stage.phase("echo"), Phase::GivenUp);
        assert!(stage.is_logged("echo is given up") && !stage.world().processes.contains_key(&echo));
        assert_eq!(stage.world().labels.get("echo"), None);
    });
}

#[test]
fn a_new_endpoint_where_the_policy_wants_one() {
    play(|stage| {
        let first = stage.up("phoenix");
        let second_one = stage.up_as("phoenix", "second");
        stage.dies(first);
        let second = stage.at("phoenix");
        assert_ne!(second, first);
        let info = stage.told(second, &GetInit {}).expect("it is starting");
        assert_eq!((info.how, info.old, info.endpoint, info.state_len), (Init::Restart, first, second, 0));
        assert_eq!(stage.service("phoenix").pid, stage.world().pids[&second]);
        stage.begins(second);
        assert_eq!(stage.world().labels["phoenix"], second);
        assert!(!stage.world().processes.contains_key(&first) && stage.world().swaps.is_empty());
        // Whoever may send to it still may.
        let bit = stage.service("phoenix").id.bit();
        assert_ne!(stage.world().processes[&second_one].program.spec.sends & bit, 0);
    });
}

#[test]
fn a_new_instance_that_may_not_run_is_one_that_did_not_begin() {
    for (name, is_new) in [("hello", false), ("phoenix", true)] {
        play(|stage| {
            let process = stage.up(name);
            stage.world_mut().fail(Allow::KIND, 1, Errno::Inval);
            stage.dies(process);
            assert_eq!(stage.phase(name), Phase::Waiting { periods: 2 });
            stage.periods(2);
            stage.all_begin();
            assert_eq!((stage.phase(name), stage.at(name) != process), (Phase::Active, is_new));
            assert_eq!(stage.world().processes.len(), 8, "nothing is left behind");
        });
    }
}

#[test]
fn whichever_call_fails_it_is_tried_again() {
    for kind in [protocol::pm::SrvFork::KIND, SetSys::KIND, SetCalls::KIND, LOAD, protocol::vm::Update::KIND] {
        play(|stage| {
            let hello = stage.up("hello");
            stage.world_mut().fail(kind, 2, Errno::NoMem);
            stage.dies(hello);
            stage.period();
            assert_eq!(stage.phase("hello"), Phase::Waiting { periods: 1 });
            assert!(stage.is_logged("hello cannot be restarted yet: ENOMEM"));
            stage.period();
            stage.begins(hello);
            assert_eq!(stage.phase("hello"), Phase::Active);
        });
    }
    // These only make things worse for others.
    for kind in [ClearRefs::KIND, UpdateSys::KIND, Disallow::KIND] {
        play(|stage| {
            let hello = stage.up("hello");
            stage.world_mut().fail(kind, 1, Errno::Inval);
            stage.dies(hello);
            stage.begins(hello);
            assert_eq!(stage.phase("hello"), Phase::Active);
        });
    }
}

#[test]
fn one_that_died_while_it_sent_is_restarted_all_the_same() {
    play(|stage| {
        let hello = stage.up("hello");
        stage.world_mut().process(hello).expect("a process").program.sends = true;
        stage.dies(hello);
        assert_eq!(stage.world().swaps, [UpdateDirection::Rollback]);
        stage.begins(hello);
        assert_eq!(stage.phase("hello"), Phase::Active);
    });
}

#[test]
fn after_so_many_restarts_it_is_given_up() {
    play(|stage| {
        let limited = stage.up("limited");
        for (restarts, periods) in [(1, 0), (2, 2)] {
            stage.dies(limited);
            stage.periods(periods);
            stage.begins(limited);
            assert_eq!(stage.service("limited").restarts, restarts);
        }
        stage.dies(limited);
        assert_eq!(stage.phase("limited"), Phase::GivenUp);
        assert!(stage.is_logged("limited is given up") && !stage.world().processes.contains_key(&limited));
        assert_eq!(stage.world().labels.get("limited"), None);
        stage.periods(40);
        assert_eq!(stage.phase("limited"), Phase::GivenUp);
    });
}

#[test]
fn a_core_service_that_is_given_up_ends_the_system() {
    play(|stage| {
        let heart = stage.up("heart");
        stage.dies(heart);
        stage.begins(heart);
        assert!(stage.fatal.is_none());
        stage.dies(heart);
        assert_eq!(stage.fatal, Some(Fatal::Lost(name_of("heart"), Errno::DeadSrcDst)));
    });
    // It never began: that is told to whoever wanted it, and nothing is lost.
    play(|stage| {
        let tag = stage.boss_asks(&Up { program: label("heart"), label: [0; _], arguments: GrantId::INVALID, len: 0 });
        let heart = stage.at("heart");
        stage.dies(heart);
        assert!(stage.fatal.is_none() && stage.answer_to::<Up>(tag).expect("an answer").is_err());
    });
}

#[test]
fn several_die_at_the_same_moment() {
    play(|stage| {
        let (hello, limited, echo) = (stage.up("hello"), stage.up("limited"), stage.at("echo"));
        for process in [hello, limited, echo] {
            stage.world_mut().raise(process, Signal::SEGV).expect("a process");
        }
        stage.notified(Endpoint::SYSTEM);
        stage.all_begin();
        assert_eq!((stage.phase("hello"), stage.phase("limited")), (Phase::Active, Phase::Active));
        assert_eq!(stage.phase("echo"), Phase::GivenUp);
    });
}

#[test]
fn a_caller_that_dies_gets_no_answer_and_the_next_one_not_that_of_its_predecessor() {
    let mut plan = Plan::village();
    let all = plan.set(&["hello", "limited", "phoenix"]);
    plan.entry("hello").control = all;
    play_in(plan, |stage| {
        let hello = stage.up("hello");
        let first =
            stage.ask(hello, &Up { program: label("limited"), label: [0; _], arguments: GrantId::INVALID, len: 0 });
        stage.dies(hello);
        stage.begins(hello);
        // The next one under this name waits for something else when the answer comes.
        let second =
            stage.ask(hello, &Up { program: label("phoenix"), label: [0; _], arguments: GrantId::INVALID, len: 0 });
        let limited = stage.at("limited");
        stage.begins(limited);
        assert!(stage.answer_to::<Up>(first).is_none() && stage.answer_to::<Up>(second).is_none());
        let phoenix = stage.at("phoenix");
        stage.begins(phoenix);
        assert_eq!(stage.answer_to::<Up>(second).expect("an answer").map(|done| done.endpoint), Ok(phoenix));
    });
}

#[test]
fn one_that_refreshes_itself_is_not_told_so_while_it_begins() {
    let mut plan = Plan::village();
    let itself = plan.set(&["hello"]);
    plan.entry("hello").control = itself;
    play_in(plan, |stage| {
        let hello = stage.up("hello");
        let tag = stage.ask(hello, &Refresh { label: label("hello") });
        stage.periods(3);
        assert!(matches!(stage.phase("hello"), Phase::Starting { how: Init::Restart, .. }));
        let begun = stage.begins(hello);
        assert!(stage.answer_to::<Refresh>(tag).is_none());
        assert!(stage.answer_to::<InitDone>(begun).expect("an answer").is_ok());
    });
}

#[test]
fn a_caller_that_dies_does_not_stop_what_it_asked_for() {
    play(|stage| {
        let hello = stage.up("hello");
        stage.boss_asks(&Down { label: label("hello") });
        let boss = stage.at("boss");
        stage.dies(boss);
        assert!(stage.known("boss").is_none());
        stage.ends(hello);
        assert!(stage.known("hello").is_none());
    });
}

#[test]
fn signals_that_end_nobody_are_handed_on() {
    play(|stage| {
        let (hello, user) = (stage.up("hello"), endpoint(6));
        stage.world_mut().raise(hello, Signal::from_user(1).expect("a signal")).expect("a process");
        stage.world_mut().raise(hello, Signal::from_user(10).expect("a signal")).expect("a process");
        stage.notified(Endpoint::SYSTEM);
        for number in [1, 10] {
            assert_eq!(stage.takes::<protocol::sef::Signaled>(hello).expect("it is told").signal, number);
        }
        assert!(stage.world().processes[&hello].program.runs() && stage.phase("hello") == Phase::Active);
        assert!(stage.world().processes[&user].told.is_empty());
    });
}

#[test]
fn log_lines_name_the_signal_of_this_death() {
    let mut plan = Plan::village();
    plan.entry("hello").flags = ServiceFlags::KEPT.bits();
    plan.entry("hello").heartbeat = 1000;
    play_in(plan, |stage| {
        let hello = stage.up("hello");
        stage.dies(hello);
        stage.begins(hello);
        stage.periods(4);
        assert!(stage.is_logged("hello does not answer") && stage.is_logged("hello has died, signal 0"));
    });
}
