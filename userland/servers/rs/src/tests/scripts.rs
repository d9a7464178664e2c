//! Recovery scripts: whatever becomes of one, a service is not forgotten.

use super::stage::{Beginning, Stage, label, play_in};
use super::world::{LOAD, Plan};
use super::*;
use crate::service::{PERIODS_TO_DECIDE, Phase};
use protocol::rs::*;

/// The script decides about `hello` and `limited`, which is restarted twice.
fn plan() -> Plan {
    let mut plan = Plan::village();
    plan.like("once", "mend");
    plan.files.push("mend");
    for scripted in ["hello", "limited", "heart"] {
        plan.entry(scripted).script = plan.place("mend");
    }
    let boss = plan.set(&["mend"]);
    plan.entry("boss").control.iter_mut().zip(boss).for_each(|(word, bits)| *word |= bits);
    plan.entry("mend").control = plan.set(&["hello", "limited", "heart"]);
    plan
}

fn play(act: impl FnOnce(&mut Stage<'_>)) {
    play_in(plan(), act);
}

fn arguments(stage: &Stage<'_>, process: Endpoint) -> std::vec::Vec<u8> {
    stage.world().processes[&process].program.arguments.bytes().to_vec()
}

/// A service dies, and its script begins.
fn script_for(stage: &mut Stage<'_>, service: Endpoint) -> Endpoint {
    stage.dies(service);
    let script = stage.at("mend");
    stage.begins(script);
    script
}

#[test]
fn a_script_restarts_a_service_and_may_end_it() {
    play(|stage| {
        let hello = stage.up("hello");
        let script = script_for(stage, hello);
        assert!(matches!(stage.phase("hello"), Phase::Recovering { script: it, .. } if it == script));
        assert_eq!(arguments(stage, script), b"hello\0terminated\x000\0");
        let tag = stage.ask(script, &Restart { label: label("hello") });
        stage.begins(hello);
        assert!(stage.answer_to::<Restart>(tag).expect("an answer").is_ok());
        let after = stage.service("hello");
        assert_eq!((after.phase, after.restarts, after.reason), (Phase::Active, 1, Reason::Crash));
        assert_eq!(stage.told(script, &Restart { label: label("hello") }).map(drop), Err(Errno::Busy));
        stage.ends(script);
        assert!(stage.known("mend").is_none());
        let script = script_for(stage, hello);
        assert_eq!(arguments(stage, script), b"hello\0terminated\x001\0");
        assert_eq!(stage.told(script, &Down { label: label("hello") }), Ok(DownDone {}));
        assert!(stage.known("hello").is_none());
        stage.ends(script);
        assert!(!stage.is_logged("said nothing"), "{:?}", stage.world().log);
    });
}

#[test]
fn the_reason_is_told() {
    play(|stage| {
        let hello = stage.up("hello");
        assert_eq!(stage.boss(&Edit { label: label("hello"), heartbeat: 1000 }), Ok(Edited {}));
        stage.periods(5);
        let script = stage.at("mend");
        assert_eq!(arguments(stage, script), b"hello\0no-heartbeat\x000\0");
        stage.begins(script);
        stage.ask(script, &Restart { label: label("hello") });
        stage.begins(hello);
        stage.ends(script);
        let tag = stage.boss_asks(&Refresh { label: label("hello") });
        assert!(stage.answer_to::<Refresh>(tag).is_none());
        stage.ends(hello);
        assert!(stage.answer_to::<Refresh>(tag).expect("an answer").is_ok(), "its script decides now");
        let script = stage.at("mend");
        assert_eq!(arguments(stage, script), b"hello\0restart\x001\0");
        assert_eq!(stage.service("hello").reason, Reason::Request);
    });
}

#[test]
fn without_a_word_of_its_script_a_service_is_restarted() {
    let ways: [fn(&mut Stage<'_>, Endpoint); 5] = [
        |stage, script| {
            stage.begins(script);
            stage.ends(script);
        },
        |stage, script| stage.dies(script),
        |stage, script| _ = stage.begins_so(script, Beginning::FAILS),
        |stage, script| {
            stage.begins(script);
            stage.periods(PERIODS_TO_DECIDE as usize);
            assert!(matches!(stage.phase("hello"), Phase::Recovering { .. }));
            stage.period();
        },
        |stage, script| {
            stage.begins(script);
            let tag = stage.boss_asks(&Down { label: label("mend") });
            stage.ends(script);
            assert!(stage.answer_to::<Down>(tag).is_some());
        },
    ];
    for way in ways {
        play(|stage| {
            let hello = stage.up("hello");
            stage.dies(hello);
            let script = stage.at("mend");
            way(stage, script);
            assert!(matches!(stage.phase("hello"), Phase::Starting { how: Init::Restart, .. }));
            assert!(stage.known("mend").is_none() && stage.is_logged("mend has ended and said nothing about hello"));
            stage.begins(hello);
            assert_eq!((stage.phase("hello"), stage.service("hello").restarts), (Phase::Active, 1));
        });
    }
}

#[test]
fn a_script_that_cannot_be_started_is_none() {
    play(|stage| {
        let hello = stage.up("hello");
        stage.world_mut().fail(LOAD, 1, Errno::NoExec);
        stage.dies(hello);
        assert!(
            stage.is_logged("the recovery script of hello cannot be started: ENOEXEC") && stage.known("mend").is_none()
        );
        assert!(matches!(stage.phase("hello"), Phase::Starting { how: Init::Restart, .. }));
    });
}

#[test]
fn two_services_have_two_scripts_at_once() {
    play(|stage| {
        let (hello, limited) = (stage.up("hello"), stage.up("limited"));
        let place = stage.root.services.labeled(stage.service("limited").label).expect("a place");
        stage.dies(hello);
        stage.dies(limited);
        let second = std::format!("mend-{place:02}");
        let (first, other) = (stage.at("mend"), stage.at(&second));
        assert_eq!(
            (arguments(stage, first), arguments(stage, other)),
            (b"hello\0terminated\x000\0".to_vec(), b"limited\0terminated\x000\0".to_vec(),)
        );
        stage.begins(first);
        stage.begins(other);
        // The end of one is not that of the other.
        stage.ends(first);
        assert!(matches!(stage.phase("hello"), Phase::Starting { .. }));
        assert!(matches!(stage.phase("limited"), Phase::Recovering { .. }));
        stage.begins(hello);
        // With both labels taken there is a third one for nobody.
        assert_eq!(stage.told(other, &Down { label: label("limited") }), Ok(DownDone {}));
    });
}

#[test]
fn what_was_restarted_too_often_is_given_up_and_what_is_needed_ends_the_system() {
    play(|stage| {
        let limited = stage.up("limited");
        for _ in 0..2 {
            let script = script_for(stage, limited);
            stage.ask(script, &Restart { label: label("limited") });
            stage.begins(limited);
            stage.ends(script);
        }
        stage.dies(limited);
        assert_eq!((stage.phase("limited"), stage.known("mend").is_none()), (Phase::GivenUp, true));
    });
    play(|stage| {
        let heart = stage.up("heart");
        let script = script_for(stage, heart);
        assert_eq!(stage.told(script, &Down { label: label("heart") }), Err(Errno::Perm));
        stage.ask(script, &Restart { label: label("heart") });
        stage.begins(heart);
        stage.dies(heart);
        assert!(stage.fatal.is_some());
    });
}

#[test]
fn a_restart_that_fails_is_the_script_s_again() {
    play(|stage| {
        let hello = stage.up("hello");
        let script = script_for(stage, hello);
        let tag = stage.ask(script, &Restart { label: label("hello") });
        stage.begins_so(hello, Beginning::FAILS);
        assert_eq!(stage.answer_to::<Restart>(tag).expect("an answer").map(drop), Err(Errno::Io));
        // Another one is there beside the one that has failed.
        let place = stage.root.services.labeled(stage.service("hello").label).expect("a place");
        let second = stage.at(&std::format!("mend-{place:02}"));
        assert_eq!(arguments(stage, second), b"hello\0terminated\x001\0");
        stage.ends(script);
        assert!(matches!(stage.phase("hello"), Phase::Recovering { script, .. } if script == second));
    });
}

#[test]
fn nobody_asks_a_script_while_all_ends() {
    play(|stage| {
        let (hello, limited) = (stage.up("hello"), stage.up("limited"));
        script_for(stage, limited);
        stage.root.shut_down();
        assert_eq!(stage.phase("limited"), Phase::GivenUp);
        stage.dies(hello);
        assert!(stage.known("hello").is_none() && !stage.is_logged("decides about hello"));
    });
}
