//! What happens as time passes: deadlines, delays before restarts, pings.

use super::stage::{Beginning, label, play, play_in};
use super::world::{Plan, name_of};
use super::*;
use crate::service::{PERIODS_TO_BEGIN, PERIODS_TO_PREPARE, Phase};
use protocol::privctl::Disallow;
use protocol::rs::*;

const TO_BEGIN: usize = PERIODS_TO_BEGIN as usize;

#[test]
fn a_service_has_ten_periods_to_begin() {
    play(|stage| {
        let tag = stage.boss_asks(&Up { program: label("hello"), label: [0; _], arguments: GrantId::INVALID, len: 0 });
        stage.periods(TO_BEGIN);
        assert!(stage.answer_to::<Up>(tag).is_none());
        stage.period();
        assert_eq!(stage.answer_to::<Up>(tag).expect("an answer").map(drop), Err(Errno::TimedOut));
        // One that begins in the last moment is in time.
        let tag = stage.boss_asks(&Up { program: label("hello"), label: [0; _], arguments: GrantId::INVALID, len: 0 });
        stage.periods(TO_BEGIN);
        let hello = stage.at("hello");
        stage.begins(hello);
        assert!(stage.answer_to::<Up>(tag).expect("an answer").is_ok());
    });
}

#[test]
fn one_that_hangs_after_a_crash_is_tried_again() {
    play(|stage| {
        let hello = stage.up("hello");
        stage.dies(hello);
        let hanging = stage.world().processes[&hello].program.serial;
        stage.periods(TO_BEGIN + 1);
        assert_eq!(stage.phase("hello"), Phase::Waiting { periods: 2 });
        assert!(!stage.world().processes[&hello].program.runs(), "whatever it does it does no more");
        stage.periods(2);
        assert_ne!(stage.world().processes[&hello].program.serial, hanging);
        stage.begins(hello);
    });
}

#[test]
fn delays_double_up_to_what_the_policy_says() {
    for (backoff, expected) in [(30, [2, 4, 8, 16, 30, 30]), (1, [1; 6]), (5, [2, 4, 5, 5, 5, 5]), (0, [1; 6])] {
        let mut plan = Plan::village();
        plan.entry("hello").backoff = backoff;
        play_in(plan, |stage| {
            let hello = stage.up("hello");
            stage.dies(hello);
            for periods in expected {
                // It begins, and dies before a period is over.
                stage.begins(hello);
                stage.dies(hello);
                assert_eq!(stage.phase("hello"), Phase::Waiting { periods });
                stage.periods(periods as usize - 1);
                assert_eq!(stage.phase("hello"), Phase::Waiting { periods: 1 });
                stage.period();
                assert!(matches!(stage.phase("hello"), Phase::Starting { .. }));
            }
        });
    }
}

#[test]
fn after_a_period_in_which_it_was_well_the_next_restart_is_at_once() {
    play(|stage| {
        let hello = stage.up("hello");
        stage.dies(hello);
        stage.begins(hello);
        stage.dies(hello);
        stage.periods(2);
        stage.begins(hello);
        assert_eq!(stage.service("hello").failures, 2);
        stage.period();
        assert_eq!(stage.service("hello").failures, 0);
        stage.dies(hello);
        assert!(matches!(stage.phase("hello"), Phase::Starting { how: Init::Restart, .. }));
    });
}

#[test]
fn one_that_is_pinged_is_well_when_it_answers() {
    play(|stage| {
        let beat = stage.up("beat");
        assert_eq!(stage.service("beat").heartbeat, 2);
        for _ in 0..20 {
            stage.period();
            stage.pongs();
        }
        assert_eq!((stage.phase("beat"), stage.service("beat").restarts), (Phase::Active, 0));
        assert!(stage.can_ask(beat));
    });
}

#[test]
fn two_silent_beats_are_a_death() {
    play(|stage| {
        let beat = stage.up("beat");
        let silent = stage.world().processes[&beat].program.serial;
        stage.periods(4);
        assert_eq!(stage.phase("beat"), Phase::Active);
        stage.period();
        assert!(stage.is_logged("beat does not answer"));
        assert_eq!((stage.service("beat").reason, stage.service("beat").restarts), (Reason::NoHeartbeat, 1));
        let dead = stage.service("beat").other.expect("the dead one").endpoint;
        assert_eq!(stage.world().processes[&dead].program.serial, silent);
        assert!(!stage.world().processes[&dead].program.runs(), "it is silent for good");
        stage.begins(beat);
        assert_eq!(stage.phase("beat"), Phase::Active);
    });
}

#[test]
fn an_answer_that_comes_late_is_one() {
    play(|stage| {
        stage.up("beat");
        for _ in 0..5 {
            stage.periods(4);
            stage.pongs();
        }
        assert_eq!((stage.phase("beat"), stage.service("beat").restarts), (Phase::Active, 0));
    });
}

#[test]
fn notifications_of_others_say_nothing() {
    play(|stage| {
        let (beat, hello) = (stage.up("beat"), stage.up("hello"));
        for _ in 0..5 {
            stage.period();
            [hello, endpoint(6), endpoint(40)].into_iter().for_each(|who| stage.notified(who));
        }
        assert_eq!(stage.service("beat").reason, Reason::NoHeartbeat);
        // Nor do those of one that is dead already.
        stage.begins(beat);
        stage.dies(beat);
        let before = stage.phase("beat");
        stage.notified(beat);
        assert_eq!(stage.phase("beat"), before);
    });
}

#[test]
fn one_that_cannot_be_stopped_for_good_is_replaced_all_the_same() {
    play(|stage| {
        let beat = stage.up("beat");
        stage.world_mut().fail(Disallow::KIND, 1, Errno::NoMem);
        stage.periods(5);
        // It runs, so that nobody can have its place yet.
        assert!(stage.is_logged("beat cannot be restarted yet: EBUSY"));
        stage.period();
        stage.begins(beat);
        assert_eq!(stage.phase("beat"), Phase::Active);
    });
}

#[test]
fn heartbeats_can_be_changed_and_stopped() {
    play(|stage| {
        stage.up("beat");
        stage.periods(4);
        assert!(stage.boss(&Edit { label: label("beat"), heartbeat: 0 }).is_ok());
        stage.periods(20);
        assert_eq!(stage.phase("beat"), Phase::Active);
        assert!(stage.boss(&Edit { label: label("beat"), heartbeat: 1000 }).is_ok());
        stage.periods(2);
        assert_eq!(stage.service("beat").restarts, 0);
        stage.period();
        assert_eq!(stage.service("beat").restarts, 1);
    });
}

#[test]
fn a_service_has_so_long_to_prepare_as_was_said() {
    for (patience, periods) in [(0, PERIODS_TO_PREPARE as usize), (1, 1), (1000, 1), (2001, 3)] {
        play(|stage| {
            stage.up("hello");
            let call = Update { label: label("hello"), program: label("hello-2"), state: 2, patience };
            let tag = stage.boss_asks(&call);
            stage.periods(periods);
            assert!(stage.answer_to::<Update>(tag).is_none());
            stage.period();
            assert_eq!(stage.answer_to::<Update>(tag).expect("an answer").map(drop), Err(Errno::TimedOut));
            assert_eq!(stage.phase("hello"), Phase::Active);
        });
    }
}

#[test]
fn while_it_prepares_it_is_not_pinged() {
    play(|stage| {
        let beat = stage.up("beat");
        let call = Update { label: label("beat"), program: label("beat"), state: 2, patience: 20_000 };
        stage.boss_asks(&call);
        stage.periods(21);
        assert!(!stage.world().processes[&beat].is_pinged);
        // Then it is again, and has its time to answer.
        stage.periods(3);
        assert!(stage.world().processes[&beat].is_pinged && stage.phase("beat") == Phase::Active);
    });
}

#[test]
fn an_endless_crash_loop_is_one_restart_in_a_while() {
    play(|stage| {
        let hello = stage.up("hello");
        stage.dies(hello);
        let mut restarts = 0;
        for _ in 0..300 {
            if stage.next_to_begin() == Some(hello) {
                stage.begins_so(hello, Beginning::FAILS);
            }
            stage.period();
            restarts = stage.service("hello").restarts;
        }
        // At 0, 2, 6, 14, 30 and every 30 periods from then on.
        assert_eq!(restarts, 14);
        assert_eq!(stage.service("hello").label, name_of("hello"));
    });
}
