//! What can be asked about services, with every error that there is.

use super::stage::{Beginning, Stage, TERM, label, play, play_in};
use super::world::{LOAD, Plan, TELL};
use super::*;
use crate::service::{PERIODS_TO_END, Phase};
use protocol::kernel::{Kill, SchedCtl};
use protocol::pm::SrvFork;
use protocol::rs::*;
use protocol::sef::Signaled;

fn up(program: &str) -> Up {
    Up { program: label(program), label: [0; _], arguments: GrantId::INVALID, len: 0 }
}

fn up_as(program: &str, name: &str) -> Up {
    Up { program: label(program), label: label(name), arguments: GrantId::INVALID, len: 0 }
}

fn down(name: &str) -> Down {
    Down { label: label(name) }
}

fn refresh(name: &str) -> Refresh {
    Refresh { label: label(name) }
}

fn restart(name: &str) -> Restart {
    Restart { label: label(name) }
}

fn update(name: &str, program: &str) -> Update {
    Update { label: label(name), program: label(program), state: 1, patience: 0 }
}

/// Bytes that are no name.
const NO_NAME: [u8; abi::boot::NAME_LEN] = [b'A'; _];

#[test]
fn up_is_answered_when_the_service_has_begun() {
    play(|stage| {
        let tag = stage.boss_asks(&up("hello"));
        assert!(stage.answer_to::<Up>(tag).is_none() && !stage.world().labels.contains_key("hello-9"));
        let hello = stage.at("hello");
        let info = stage.told(hello, &GetInit {}).expect("it is starting");
        assert_eq!((info.how, info.restarts, info.old), (Init::Fresh, 0, Endpoint::NONE));
        assert_eq!((info.state_len, info.prepared, info.table_grant.raw()), (0, NO_STATE, 77));
        stage.begins(hello);
        assert_eq!(stage.answer_to::<Up>(tag).expect("an answer").expect("it is up").endpoint, hello);
        assert_eq!(stage.boss(&Lookup { label: label("hello") }).map(|found| found.endpoint), Ok(hello));
        assert_eq!(stage.world().labels["hello"], hello);
    });
}

#[test]
fn up_of_one_that_does_not_ask_is_answered_at_once() {
    play(|stage| {
        let told = stage.boss(&up_as("mute", "quiet")).expect("it is up");
        assert_eq!((told.endpoint, stage.phase("quiet")), (stage.at("quiet"), Phase::Active));
    });
}

#[test]
fn up_has_these_errors() {
    play(|stage| {
        stage.up("hello");
        let refused = [
            (Up { program: NO_NAME, label: [0; _], arguments: GrantId::INVALID, len: 0 }, Errno::Inval),
            (Up { program: label("limited"), label: NO_NAME, arguments: GrantId::INVALID, len: 0 }, Errno::Inval),
            // No policy; a policy, but no program.
            (up("nothing"), Errno::NoEnt),
            (up_as("echo", "echo-9"), Errno::NoEnt),
            (up("hello"), Errno::Busy),
            (up_as("limited", "hello"), Errno::Busy),
            // Not under its control.
            (up("boss"), Errno::Perm),
            (up_as("user", "me"), Errno::Perm),
        ];
        for (call, errno) in refused {
            assert_eq!(stage.boss(&call).map(drop), Err(errno), "{call:?}");
        }
        // Nobody passes for a program that is not there.
        for other in ["rs", "limited", "policy-2"] {
            let expected = if other == "policy-2" { None } else { Some(Errno::Busy) };
            let tag = stage.boss_asks(&up_as("phoenix", other));
            assert_eq!(stage.answer_to::<Up>(tag).and_then(|told| told.map(drop).err()), expected);
            stage.all_begin();
        }
        let hello = stage.at("hello");
        assert_eq!(stage.told(hello, &up("limited")).map(drop), Err(Errno::Perm));
    });
}

#[test]
fn there_are_as_many_services_as_privileges() {
    play(|stage| {
        let mut brought_up = 0;
        let error = loop {
            let name = std::format!("n{brought_up}");
            let tag = stage.boss_asks(&up_as("mute", &name));
            match stage.answer_to::<Up>(tag).expect("an answer") {
                Ok(_) => brought_up += 1,
                Err(error) => break error,
            }
        };
        // The first 6 ids are the kernel's and that of users, 7 those of the boot table.
        assert_eq!((error, brought_up), (Errno::NoSpc, abi::PRIVILEGES - 6 - 7));
        // One that goes makes room for one.
        let tag = stage.boss_asks(&down("n3"));
        let process = stage.at("n3");
        stage.ends(process);
        assert!(stage.answer_to::<Down>(tag).expect("an answer").is_ok());
        stage.up_as("mute", "once-more");
    });
}

#[test]
fn whichever_call_fails_up_fails_with_its_error_and_leaves_nothing() {
    for kind in [SrvFork::KIND, SetSys::KIND, SetCalls::KIND, SchedCtl::KIND, LOAD, Allow::KIND] {
        play(|stage| {
            let before = stage.world().processes.len();
            stage.world_mut().fail(kind, 1, Errno::NoMem);
            assert_eq!(stage.boss(&up("hello")).map(drop), Err(Errno::NoMem), "{kind:?}");
            assert!(stage.known("hello").is_none() && stage.world().processes.len() == before);
            assert_eq!(stage.boss(&Lookup { label: label("hello") }).map(drop), Err(Errno::Srch));
            stage.up("hello");
        });
    }
    // And with that error, if what was made cannot be ended either.
    play(|stage| {
        stage.world_mut().fail(LOAD, 1, Errno::NoExec);
        stage.world_mut().fail(protocol::pm::SrvExit::KIND, 1, Errno::NoMem);
        stage.world_mut().fail(Clear::KIND, 1, Errno::CallDenied);
        assert_eq!(stage.boss(&up("hello")).map(drop), Err(Errno::NoExec));
        assert!(stage.is_logged("cannot be ended: ECALLDENIED"));
    });
}

#[test]
fn fewer_processors_than_the_policy_names_are_enough() {
    play(|stage| _ = stage.up("beat"));
}

#[test]
fn one_that_does_not_begin_is_gone_and_up_tells_why() {
    play(|stage| {
        for (errno, fails) in [(Errno::Io, 0), (Errno::DeadSrcDst, 1), (Errno::TimedOut, 2), (Errno::Proto, 3)] {
            let tag = stage.boss_asks(&up("hello"));
            let hello = stage.at("hello");
            match fails {
                0 => _ = stage.begins_so(hello, Beginning::FAILS),
                1 => stage.dies(hello),
                2 => stage.periods(11),
                // An error number that is none.
                _ => _ = stage.begins_so(hello, Beginning { error: 0xffff_0001, keeps: 0 }),
            }
            assert_eq!(stage.answer_to::<Up>(tag).expect("an answer").map(drop), Err(errno));
            assert!(stage.known("hello").is_none() && !stage.world().processes.contains_key(&hello));
        }
    });
}

#[test]
fn down_is_answered_when_the_service_is_gone() {
    play(|stage| {
        let hello = stage.up("hello");
        let tag = stage.boss_asks(&down("hello"));
        assert_eq!(stage.takes::<Signaled>(hello).expect("it is told").signal, TERM);
        assert!(stage.answer_to::<Down>(tag).is_none() && matches!(stage.phase("hello"), Phase::Ending { .. }));
        stage.ends(hello);
        assert!(stage.answer_to::<Down>(tag).expect("an answer").is_ok());
        assert!(stage.known("hello").is_none() && !stage.world().labels.contains_key("hello"));
    });
}

#[test]
fn one_that_will_not_end_is_ended() {
    play(|stage| {
        for is_lost in [false, true] {
            let hello = stage.up("hello");
            if is_lost {
                // The signal cannot be told: the result is the same.
                stage.world_mut().fail(TELL, 1, Errno::NoSpc);
            }
            let tag = stage.boss_asks(&down("hello"));
            assert_eq!(stage.is_logged("is lost: ENOSPC"), is_lost);
            stage.periods(PERIODS_TO_END as usize);
            assert!(stage.answer_to::<Down>(tag).is_none() && stage.world().processes.contains_key(&hello));
            // What fails is tried again.
            stage.world_mut().fail(Kill::KIND, 1, Errno::NoMem);
            stage.period();
            assert!(stage.answer_to::<Down>(tag).is_none());
            stage.period();
            assert!(stage.answer_to::<Down>(tag).expect("an answer").is_ok() && stage.known("hello").is_none());
        }
    });
}

#[test]
fn down_ends_what_is_dead_at_once() {
    play(|stage| {
        let hello = stage.up("hello");
        stage.dies(hello);
        stage.all_begin();
        stage.dies(hello);
        assert!(matches!(stage.phase("hello"), Phase::Waiting { .. }));
        assert!(stage.boss(&down("hello")).is_ok());
        assert!(stage.known("hello").is_none() && !stage.world().processes.contains_key(&hello));
        // One that was given up.
        let echo = stage.at("echo");
        stage.dies(echo);
        assert_eq!(stage.phase("echo"), Phase::GivenUp);
        assert!(stage.boss(&down("echo")).is_ok() && stage.known("echo").is_none());
    });
}

#[test]
fn down_refresh_restart_update_and_edit_have_these_errors() {
    let mut plan = Plan::village();
    plan.entry("pm").flags |= abi::policy::ServiceFlags::KEPT.bits();
    let all = plan.set(&["pm", "ds", "hello", "heart", "echo", "limited"]);
    plan.entry("boss").control = all;
    play_in(plan, |stage| {
        stage.up("hello");
        stage.up("heart");
        for (name, errno) in [("nobody", Errno::Srch), ("boss", Errno::Perm), ("vm", Errno::Perm)] {
            assert_eq!(stage.boss(&down(name)).map(drop), Err(errno));
            assert_eq!(stage.boss(&refresh(name)).map(drop), Err(errno));
            assert_eq!(stage.boss(&restart(name)).map(drop), Err(errno));
            assert_eq!(stage.boss(&update(name, "hello")).map(drop), Err(errno));
            assert_eq!(stage.boss(&Edit { label: label(name), heartbeat: 1 }).map(drop), Err(errno));
        }
        assert_eq!(stage.boss(&Down { label: NO_NAME }).map(drop), Err(Errno::Inval));
        assert_eq!(stage.boss(&Refresh { label: NO_NAME }).map(drop), Err(Errno::Inval));
        assert_eq!(stage.boss(&Restart { label: NO_NAME }).map(drop), Err(Errno::Inval));
        assert_eq!(stage.boss(&Edit { label: [0; _], heartbeat: 1 }).map(drop), Err(Errno::Inval));
        assert_eq!(stage.boss(&Lookup { label: NO_NAME }).map(drop), Err(Errno::Inval));
        // What the system cannot go on without; what would be lost; what runs; who may do nothing.
        assert_eq!(stage.boss(&down("heart")).map(drop), Err(Errno::Perm));
        assert_eq!(stage.boss(&refresh("pm")).map(drop), Err(Errno::Perm));
        assert_eq!(stage.boss(&refresh("echo")).map(drop), Err(Errno::NoEnt));
        assert_eq!(stage.boss(&restart("hello")).map(drop), Err(Errno::Busy));
        let hello = stage.at("hello");
        assert_eq!(stage.told(hello, &down("hello")).map(drop), Err(Errno::Perm));
        assert_eq!(stage.told(hello, &Shutdown {}).map(drop), Err(Errno::Perm));
        // All of them serve still.
        assert!(["heart", "pm", "echo", "hello"].iter().all(|name| stage.phase(name) == Phase::Active));
    });
}

#[test]
fn update_has_these_errors() {
    play(|stage| {
        stage.up("hello");
        let wrong = [
            (Update { program: NO_NAME, ..update("hello", "hello") }, Errno::Inval),
            (Update { state: NO_STATE, ..update("hello", "hello") }, Errno::Inval),
            (update("hello", "nothing"), Errno::NoEnt),
            // Its program was not kept.
            (update("hello", "echo"), Errno::NoEnt),
        ];
        for (call, errno) in wrong {
            assert_eq!(stage.boss(&call).map(drop), Err(errno));
            assert_eq!(stage.phase("hello"), Phase::Active);
        }
        let echo = stage.at("echo");
        stage.dies(echo);
        assert_eq!(stage.boss(&update("echo", "hello")).map(drop), Err(Errno::Busy));
    });
}

#[test]
fn while_something_is_under_way_nothing_else_begins() {
    let mut plan = Plan::village();
    plan.like("boss", "boss-2");
    plan.files.push("boss-2");
    let control = plan.set(&["ds", "echo", "hello", "limited", "boss-2"]);
    plan.entry("boss").control = control;
    play_in(plan, |stage| {
        let second = stage.up("boss-2");
        let hello = stage.up("hello");
        let busy = |stage: &mut Stage<'_>| {
            assert_eq!(stage.told(second, &down("hello")).map(drop), Err(Errno::Busy));
            assert_eq!(stage.told(second, &refresh("hello")).map(drop), Err(Errno::Busy));
            assert_eq!(stage.told(second, &restart("hello")).map(drop), Err(Errno::Busy));
            assert_eq!(stage.told(second, &update("hello", "hello-2")).map(drop), Err(Errno::Busy));
        };
        let tag = stage.boss_asks(&update("hello", "hello-2"));
        busy(stage);
        // One update at a time.
        assert_eq!(stage.told(second, &update("echo", "hello")).map(drop), Err(Errno::Busy));
        stage.ask(hello, &Ready { state: 1, error: 0, state_grant: GrantId::INVALID, state_len: 0 });
        busy(stage);
        stage.begins(hello);
        assert!(stage.answer_to::<Update>(tag).expect("an answer").is_ok());
        let tag = stage.boss_asks(&refresh("hello"));
        busy(stage);
        stage.ends(hello);
        busy(stage);
        stage.begins(hello);
        assert_eq!(stage.answer_to::<Refresh>(tag).expect("an answer").map(|done| done.endpoint), Ok(hello));
    });
}

#[test]
fn refresh_ends_a_service_and_starts_it_again_under_its_name() {
    play(|stage| {
        let hello = stage.up("hello");
        let serial = stage.world().processes[&hello].program.serial;
        let tag = stage.boss_asks(&refresh("hello"));
        assert_eq!(stage.takes::<Signaled>(hello).expect("it is told").signal, TERM);
        stage.ends(hello);
        // At once: nobody waits for a delay.
        let info = stage.told(hello, &GetInit {}).expect("it is starting");
        assert_eq!((info.how, info.restarts), (Init::Restart, 1));
        stage.begins(hello);
        assert_eq!(stage.answer_to::<Refresh>(tag).expect("an answer").map(|done| done.endpoint), Ok(hello));
        assert_ne!(stage.world().processes[&hello].program.serial, serial);
        assert_eq!(stage.service("hello").reason, Reason::Request);
    });
}

#[test]
fn refresh_tells_whoever_waits_that_it_did_not_begin_and_tries_again() {
    play(|stage| {
        let hello = stage.up("hello");
        let tag = stage.boss_asks(&refresh("hello"));
        stage.ends(hello);
        stage.begins_so(hello, Beginning::FAILS);
        assert_eq!(stage.answer_to::<Refresh>(tag).expect("an answer").map(drop), Err(Errno::Io));
        stage.all_begin();
        assert_eq!(stage.phase("hello"), Phase::Active);
        // The same if the new one cannot be made.
        let tag = stage.boss_asks(&refresh("hello"));
        stage.world_mut().fail(LOAD, 1, Errno::NoExec);
        stage.ends(hello);
        assert_eq!(stage.answer_to::<Refresh>(tag).expect("an answer").map(drop), Err(Errno::NoExec));
        stage.period();
        stage.all_begin();
        assert_eq!(stage.phase("hello"), Phase::Active);
    });
}

#[test]
fn restart_starts_what_waits_or_was_given_up() {
    play(|stage| {
        let limited = stage.up("limited");
        stage.dies(limited);
        stage.all_begin();
        stage.dies(limited);
        assert_eq!(stage.phase("limited"), Phase::Waiting { periods: 2 });
        let tag = stage.boss_asks(&restart("limited"));
        stage.all_begin();
        assert_eq!(stage.answer_to::<Restart>(tag).expect("an answer").map(|done| done.endpoint), Ok(limited));
        assert_eq!(stage.service("limited").reason, Reason::Request);
        stage.dies(limited);
        assert_eq!(stage.phase("limited"), Phase::GivenUp);
        // Nobody is left who has its name.
        let tag = stage.boss_asks(&restart("limited"));
        let again = stage.at("limited");
        let info = stage.told(again, &GetInit {}).expect("it is starting");
        assert_eq!((info.how, info.old, again == limited), (Init::Restart, Endpoint::NONE, false));
        stage.begins(again);
        assert_eq!(stage.answer_to::<Restart>(tag).expect("an answer").map(|done| done.endpoint), Ok(again));
        assert_eq!(stage.world().labels["limited"], again);
    });
}

#[test]
fn whichever_call_fails_restart_fails_with_its_error() {
    for kind in [SrvFork::KIND, SetSys::KIND, LOAD, Allow::KIND] {
        play(|stage| {
            let limited = stage.up("limited");
            (0..3).for_each(|_| {
                stage.dies(limited);
                stage.periods(2);
                stage.all_begin();
            });
            assert_eq!(stage.phase("limited"), Phase::GivenUp);
            stage.world_mut().fail(kind, 1, Errno::NoMem);
            assert_eq!(stage.boss(&restart("limited")).map(drop), Err(Errno::NoMem));
            assert_eq!(stage.phase("limited"), Phase::GivenUp);
            assert_eq!(stage.boss(&Lookup { label: label("limited") }).map(drop), Err(Errno::Srch));
        });
    }
}

#[test]
fn services_are_listed() {
    play(|stage| {
        stage.up_as("hello", "greeter");
        let service = |stage: &mut Stage<'_>, slot| stage.boss(&GetService { slot });
        let greeter = service(stage, 5).expect("a service");
        assert_eq!((greeter.label, greeter.program), (label("greeter"), label("hello")));
        assert_eq!((greeter.endpoint, greeter.state), (stage.at("greeter"), State::Active));
        assert_eq!(greeter.pid, stage.world().pids[&greeter.endpoint]);
        for (slot, errno) in [(6, Errno::Srch), (63, Errno::Srch), (64, Errno::Dom), (u64::MAX, Errno::Dom)] {
            assert_eq!(service(stage, slot).map(drop), Err(errno));
        }
        let process = stage.at("greeter");
        for backoff in [0, 2, 4] {
            stage.dies(process);
            let told = service(stage, 5).expect("a service");
            let state = if backoff == 0 { State::Starting } else { State::Waiting };
            assert_eq!((told.state, told.backoff, told.reason), (state, backoff, Reason::Crash));
            stage.periods(backoff as usize);
            stage.all_begin();
        }
        stage.boss_asks(&update("greeter", "hello-2"));
        assert_eq!(stage.service("greeter").state(), State::Updating);
    });
}

#[test]
fn edit_sets_how_often_a_service_is_pinged() {
    play(|stage| {
        stage.up("hello");
        for (milliseconds, periods) in [(1, 1), (1000, 1), (1001, 2), (u32::MAX, 4_294_968), (0, 0)] {
            assert!(stage.boss(&Edit { label: label("hello"), heartbeat: milliseconds }).is_ok());
            assert_eq!(stage.service("hello").heartbeat, periods);
        }
    });
}

#[test]
fn whom_the_root_asks_may_not_wait_for_it() {
    let mut plan = Plan::village();
    let all = plan.set(&["hello", "echo", "vm", "pm", "ds", "boss"]);
    for server in ["vm", "pm", "ds"] {
        plan.entry(server).control = all;
    }
    play_in(plan, |stage| {
        for server in ["vm", "pm", "ds"] {
            let server = stage.at(server);
            assert_eq!(stage.told(server, &up("hello")).map(drop), Err(Errno::Locked));
            assert_eq!(stage.told(server, &down("echo")).map(drop), Err(Errno::Locked));
            assert_eq!(stage.told(server, &Shutdown {}).map(drop), Err(Errno::Perm));
            assert!(stage.told(server, &Lookup { label: label("echo") }).is_ok());
        }
    });
}

#[test]
fn malformed_and_unknown_requests_are_answered() {
    play(|stage| {
        let boss = stage.at("boss");
        for kind in [Kind(0x0f00), Kind(0x0f07), Kind(0x0f3f), Kind(1)] {
            let mut message = Message { peer: boss, tag: 7, ..Message::new(Endpoint::NONE, kind) };
            assert!(stage.root.answer(&mut message));
            assert_eq!(message.kind, Kind::failed(Errno::NoSys));
        }
    });
}
