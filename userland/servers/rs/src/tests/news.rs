//! What others are told: by the data store, and by the privileges that name other services.

use super::stage::{Stage, label, play, play_in};
use super::world::Plan;
use super::*;
use crate::service::Phase;
use abi::policy::ServiceFlags;
use protocol::ds::{Delete, Publish};
use protocol::getinfo::{Denial, Denied};
use protocol::rs::*;
use protocol::vm::Refusal;
use std::string::ToString;

#[test]
fn what_the_data_store_cannot_hear_it_is_told_again() {
    for error in [Errno::Locked, Errno::DeadSrcDst, Errno::NoSys] {
        play(|stage| {
            stage.world_mut().fail(Publish::KIND, 3, error);
            let hello = stage.up("hello");
            // When it was made, when it had begun and in the next period: each time in vain.
            assert!(!stage.world().labels.contains_key("hello"), "{error}");
            stage.periods(2);
            assert_eq!(stage.world().labels["hello"], hello);
            stage.world_mut().fail(Delete::KIND, 2, error);
            stage.boss_asks(&Down { label: label("hello") });
            stage.ends(hello);
            assert_eq!(stage.world().labels["hello"], hello);
            stage.periods(2);
            assert!(!stage.world().labels.contains_key("hello"));
        });
    }
}

#[test]
fn what_it_refuses_is_logged_and_not_told_again() {
    play(|stage| {
        stage.world_mut().fail(Publish::KIND, 1, Errno::NoMem);
        stage.boss_asks(&Up { program: label("hello"), label: [0; _], arguments: GrantId::INVALID, len: 0 });
        assert!(stage.is_logged("the data store does not take the label hello: ENOMEM") && !stage.root.has_news());
    });
}

#[test]
fn what_happens_while_it_is_dead_it_hears_when_it_is_back() {
    play(|stage| {
        let store = stage.at("ds");
        let hello = stage.up("hello");
        // It crashes twice: the second time it is not back at once.
        stage.dies(store);
        stage.begins(store);
        stage.dies(store);
        assert!(matches!(stage.phase("ds"), Phase::Waiting { .. }));
        stage.dies(hello);
        stage.begins(hello);
        let limited = stage.up("limited");
        stage.boss_asks(&Down { label: label("hello") });
        stage.ends(hello);
        assert!(stage.root.has_news() && stage.world().labels.contains_key("hello"));
        stage.periods(2);
        stage.begins(store);
        assert_eq!(stage.world().labels.get("limited"), Some(&limited));
        assert!(!stage.root.has_news() && !stage.world().labels.contains_key("hello"));
    });
}

#[test]
fn a_name_that_comes_and_goes_takes_one_place_among_what_is_to_be_forgotten() {
    play(|stage| {
        let store = stage.at("ds");
        stage.dies(store);
        stage.begins(store);
        stage.dies(store);
        for _ in 0..SERVICES {
            let mute = stage.up_as("mute", "often");
            stage.boss_asks(&Down { label: label("often") });
            stage.ends(mute);
        }
        let mute = stage.up_as("mute", "once-only");
        stage.boss_asks(&Down { label: label("once-only") });
        stage.ends(mute);
        let waiting = stage.root.work.forgotten.iter().flatten().map(Name::to_string);
        assert!(waiting.eq(["often", "once-only"]));
    });
}

#[test]
fn without_a_data_store_services_live_all_the_same() {
    play(|stage| {
        let store = stage.at("ds");
        stage.boss_asks(&Down { label: label("ds") });
        stage.ends(store);
        let hello = stage.up("hello");
        stage.dies(hello);
        stage.begins(hello);
        assert!(stage.root.has_news() && stage.phase("hello") == Phase::Active);
        // A new one begins with what everybody may read.
        stage.up("ds");
        assert_eq!(stage.world().labels["hello"], hello);
        assert_eq!(stage.world().labels.len(), 6);
    });
}

#[test]
fn the_table_shows_what_there_is() {
    play(|stage| {
        let place = 5;
        assert_eq!(stage.world().shown[&place], ServiceEntry::FREE);
        stage.up_as("hello", "greeter");
        let shown = stage.world().shown[&place];
        assert_eq!(
            (shown.label, shown.program, shown.endpoint),
            (label("greeter"), label("hello"), stage.at("greeter"))
        );
        // One that may not run was never there.
        stage.world_mut().fail(Allow::KIND, 1, Errno::Inval);
        assert!(
            stage.boss(&Up { program: label("limited"), label: [0; _], arguments: GrantId::INVALID, len: 0 }).is_err()
        );
        assert_eq!(stage.world().shown[&6], ServiceEntry::FREE);
        let greeter = stage.at("greeter");
        stage.boss_asks(&Down { label: label("greeter") });
        stage.ends(greeter);
        assert_eq!(stage.world().shown[&place], ServiceEntry::FREE);
    });
}

#[test]
fn whoever_may_send_to_a_service_may_when_it_comes_and_nobody_may_to_the_next_with_its_id() {
    play(|stage| {
        let hello = stage.up("hello");
        let limited = stage.up("limited");
        let sends = |stage: &Stage<'_>, at| stage.world().processes[&at].program.spec.sends;
        let id = stage.service("limited").id;
        assert_ne!(sends(stage, hello) & id.bit(), 0);
        // It is given up; its id goes to somebody else.
        for periods in [0, 2, 0] {
            stage.dies(limited);
            stage.periods(periods);
            stage.all_begin();
        }
        assert_eq!(stage.phase("limited"), Phase::GivenUp);
        stage.up("once");
        assert_eq!(stage.service("once").id, id);
        // Whoever gets its privileges anew does not get that right with them.
        stage.dies(hello);
        stage.begins(hello);
        let second = stage.up_as("hello", "second");
        assert_eq!((sends(stage, hello) & id.bit(), sends(stage, second) & id.bit()), (0, 0));
    });
}

#[test]
fn nobody_may_send_to_users_but_by_its_policy() {
    play(|stage| {
        // It may send to others of its kind, of which this is the first.
        let hello = stage.up("hello");
        assert_eq!(stage.world().processes[&hello].program.spec.sends & PrivilegeId::USER.bit(), 0);
    });
    let mut plan = Plan::village();
    plan.entry("hello").flags |= ServiceFlags::SENDS_TO_USERS.bits();
    play_in(plan, |stage| {
        let hello = stage.up("hello");
        assert_ne!(stage.world().processes[&hello].program.spec.sends & PrivilegeId::USER.bit(), 0);
    });
}

#[test]
fn signals_go_to_the_manager_that_the_policy_names_as_long_as_it_is_there() {
    let mut plan = Plan::village();
    let limited = plan.place("limited");
    plan.entry("hello").manager = limited;
    plan.entry("beat").backup = plan.place("phoenix");
    play_in(plan, |stage| {
        let spec = |stage: &Stage<'_>, name: &str| stage.world().processes[&stage.at(name)].program.spec;
        let root = stage.world().root;
        // Nobody yet: the root system process.
        stage.up("hello");
        stage.up("beat");
        assert_eq!((spec(stage, "hello").manager, spec(stage, "beat").backup), (root, Endpoint::NONE));
        let (limited, phoenix) = (stage.up("limited"), stage.up("phoenix"));
        assert_eq!((spec(stage, "hello").manager, spec(stage, "beat").backup), (limited, phoenix));
        // One with a new endpoint is still the same one.
        stage.dies(phoenix);
        let again = stage.at("phoenix");
        stage.begins(again);
        assert_eq!(spec(stage, "beat").backup, again);
        for periods in [0, 2, 0] {
            stage.dies(limited);
            stage.periods(periods);
            stage.all_begin();
        }
        // One that was given up keeps nobody from being started.
        assert_eq!(stage.phase("limited"), Phase::GivenUp);
        stage.up_as("hello", "second");
        assert_eq!(spec(stage, "second").manager, root);
    });
}

#[test]
fn what_was_denied_is_named_in_the_log() {
    play(|stage| {
        let (hello, user) = (stage.up("hello"), endpoint(6));
        let all = [
            (Denied::Trap, u64::from(TrapMask::SENDA.bits()), "hello may not use the trap TrapMask(SENDA)"),
            (Denied::Receiver, u64::from(stage.at("ds").raw()), "hello may not send to ds"),
            (Denied::Receiver, u64::from(user.raw()), "hello may not send to process 6"),
            (Denied::Call, 6, "hello may not make the kernel call kill"),
            (Denied::Port, 0x3f8, "hello may not use the port 0x3f8"),
            (Denied::Line, 14, "hello may not have the interrupt 14"),
            // Numbers that mean nothing.
            (Denied::Call, u64::MAX, "hello may not make the kernel call ?"),
        ];
        for (denied, detail, line) in all {
            stage.world_mut().denials.push(Denial { process: hello, denied, detail });
            stage.period();
            assert!(stage.world().log.iter().any(|logged| logged == line), "{line}: {:?}", stage.world().log);
        }
        stage.world_mut().refusals.push(Refusal { process: user, reserved: 0, calls: 0b11 });
        stage.period();
        for call in ["exit", "fork"] {
            assert!(stage.is_logged(&std::format!("process 6 may not make the call {call} of the memory server")));
        }
        // What a service did before it died is known by its name, too.
        let limited = stage.up("limited");
        stage.world_mut().denials.push(Denial { process: limited, denied: Denied::Port, detail: 1 });
        stage.dies(limited);
        assert!(stage.is_logged("limited may not use the port 0x1"));
    });
}
