//! Boots by a policy.

use super::stage::{Beginning, Stage, label, play, play_in};
use super::world::{LOAD, Plan, READY, Shared, name_of};
use super::*;
use crate::service::{PERIODS_TO_BEGIN, Phase};
use abi::policy::{ITSELF, IoRange, MemoryRange, ServiceFlags};
use protocol::kernel::{GetBootEntry, SetAlarm};
use protocol::pm::PidOf;
use protocol::privctl::{AddIo, AddIrq, AddMemory, SetUser};
use protocol::rs::*;
use protocol::vm::TakeBootFile;
use std::string::ToString;

fn at(place: usize) -> Endpoint {
    endpoint(place)
}

fn all_begin(stage: &mut Stage<'_>, places: &[usize]) {
    places.iter().for_each(|place| _ = stage.begins(at(*place)));
}

const VM: usize = 0;
const PM: usize = 2;
const DS: usize = 3;
const BOSS: usize = 4;
const ECHO: usize = 5;
const USER: usize = 6;

#[test]
fn services_begin_in_order_and_whoever_is_synchronous_is_waited_for() {
    let shared = Shared::new(Plan::village());
    let mut stage = Stage::new(&shared);
    stage.boot().expect("a boot");
    let allowed = |stage: &Stage<'_>| stage.world().allowed.clone();
    assert_eq!(allowed(&stage), [VM, PM].map(at));
    stage.begins(at(PM));
    assert_eq!(allowed(&stage), [VM, PM, DS].map(at));
    stage.begins(at(DS));
    // These two are not synchronous: both run at once, and begin as they like.
    assert_eq!(allowed(&stage), [VM, PM, DS, BOSS, ECHO].map(at));
    stage.begins(at(ECHO));
    assert!(!stage.root.work.is_up && stage.phase("echo") == Phase::Active);
    stage.begins(at(BOSS));
    assert!(stage.root.work.is_up && stage.is_logged("5 services are up"));
    assert_eq!(allowed(&stage)[5..], [at(USER)]);
    assert_eq!(stage.service("echo").pid, stage.world().pids[&at(ECHO)]);
    // All of them are in the data store.
    assert_eq!(stage.world().labels.len(), 5);
}

#[test]
fn one_that_does_not_ask_has_begun_when_it_runs() {
    let mut plan = Plan::village();
    for quiet in ["ds", "boss", "echo"] {
        plan.entry(quiet).sends = [0; _];
    }
    let shared = Shared::new(plan);
    let mut stage = Stage::new(&shared);
    stage.boot().expect("a boot");
    stage.begins(at(PM));
    assert!(stage.root.work.is_up);
    assert_eq!(stage.world().allowed, [VM, PM, DS, BOSS, ECHO, USER].map(at));
}

#[test]
fn one_that_cannot_begin_ends_the_system_with_its_name_and_why() {
    let ends = |act: &dyn Fn(&mut Stage<'_>)| {
        let shared = Shared::new(Plan::village());
        let mut stage = Stage::new(&shared);
        stage.boot().expect("a boot");
        stage.begins(at(PM));
        act(&mut stage);
        stage.fatal.expect("the end")
    };
    let lost = |name, errno| Fatal::Lost(name_of(name), errno);
    assert_eq!(ends(&|stage| _ = stage.begins_so(at(DS), Beginning::FAILS)), lost("ds", Errno::Io));
    assert_eq!(ends(&|stage| stage.dies(at(DS))), lost("ds", Errno::DeadSrcDst));
    let silent = ends(&|stage| stage.periods(PERIODS_TO_BEGIN as usize + 1));
    assert_eq!(silent, lost("ds", Errno::TimedOut));
    assert_eq!(silent.to_string(), "the system cannot go on without ds: ETIMEDOUT");
    let denied = ends(&|stage| {
        stage.world_mut().fail(Allow::KIND, 1, Errno::Inval);
        stage.begins(at(DS));
    });
    assert_eq!(denied, lost("boss", Errno::Inval));
    // It was not its turn yet.
    assert_eq!(ends(&|stage| stage.dies(at(ECHO))), lost("echo", Errno::DeadSrcDst));
}

#[test]
fn in_time_is_in_time() {
    let shared = Shared::new(Plan::village());
    let mut stage = Stage::new(&shared);
    stage.boot().expect("a boot");
    for service in [PM, DS] {
        stage.periods(PERIODS_TO_BEGIN as usize);
        stage.begins(at(service));
    }
    stage.all_begin();
    assert!(stage.root.work.is_up);
}

#[test]
fn a_table_that_gives_other_rights_than_the_policy_ends_the_boot() {
    let boots = |forged| {
        let shared = Shared::new(Plan { forged: Some(forged), ..Plan::village() });
        Stage::new(&shared).boot()
    };
    let wrong: [fn(&mut [BootPolicy]); 5] = [
        |table| table[ECHO].calls ^= 1 << 40,
        |table| table[ECHO].memory ^= 1,
        |table| table[ECHO].traps ^= TrapMask::SEND.bits(),
        |table| table[ECHO].sends |= 1 << DS,
        |table| table[ECHO].sends = 0,
    ];
    for forge in wrong {
        let failure = BootFailure { step: Step::Compare, place: ECHO as u64, error: Errno::Perm };
        assert_eq!(boots(forge), Err(failure));
        assert!(failure.to_string().contains("the rights in the policy that the boot table gives to program 5"));
    }
    // Where and how urgently it runs is no right.
    assert_eq!(boots(|table| table[ECHO].priority ^= 1), Ok(()));
}

#[test]
fn a_program_without_a_policy_ends_the_boot() {
    let shared = Shared::new(Plan::village());
    shared.0.borrow_mut().table[ECHO].0 = name_of("stranger");
    let failure = BootFailure { step: Step::Compare, place: ECHO as u64, error: Errno::NoEnt };
    assert_eq!(Stage::new(&shared).boot(), Err(failure));
}

#[test]
fn a_policy_that_is_none_ends_the_boot_and_tells_why() {
    let mut plan = Plan::village();
    plan.entry("echo").quantum = 0;
    let shared = Shared::new(plan);
    let failure = BootFailure { step: Step::Read, place: 7, error: Errno::Inval };
    assert_eq!(Stage::new(&shared).boot(), Err(failure));
    assert!(shared.0.borrow().log.iter().any(|line| line.starts_with("the policy entry 5")));
}

#[test]
fn every_call_that_fails_ends_the_boot() {
    let mut plan = Plan::village();
    let echo = plan.entry("echo");
    (echo.io_count, echo.range_count, echo.irq_count) = (1, 1, 1);
    (echo.io[0], echo.irqs[0]) = (IoRange { first: 8, last: 9 }, 3);
    echo.ranges[0] = MemoryRange { start: 0x1000, len: 0x1000 };
    for kind in [
        WhoAmI::KIND,
        GetBootPolicy::KIND,
        SetSys::KIND,
        UpdateSys::KIND,
        Allow::KIND,
        READY,
        SetCalls::KIND,
        GetBootEntry::KIND,
        TakeBootFile::KIND,
        AddIo::KIND,
        AddMemory::KIND,
        AddIrq::KIND,
        SetUser::KIND,
    ] {
        // The first call of this kind, the second and so on, as many as there are.
        for after in 0.. {
            let shared = Shared::new(plan.clone());
            let mut world = shared.0.borrow_mut();
            world.fail(kind, 1, Errno::CallDenied);
            world.faults[0].after = after;
            drop(world);
            let mut stage = Stage::new(&shared);
            let booted = stage.boot();
            if shared.0.borrow().failed.is_empty() {
                assert!(after > 0 && booted.is_ok(), "{kind:?} is never asked for");
                break;
            }
            let ended = booted.err().map(|failure| failure.error).or(match stage.fatal {
                Some(Fatal::Lost(_, error)) => Some(error),
                _ => None,
            });
            assert_eq!(ended, Some(Errno::CallDenied), "{kind:?} after {after}");
        }
    }
}

#[test]
fn without_a_clock_services_are_not_watched() {
    let shared = Shared::new(Plan::village());
    shared.0.borrow_mut().fail(SetAlarm::KIND, 1, Errno::CallDenied);
    let mut stage = Stage::new(&shared);
    stage.boot().expect("a boot");
    assert!(stage.is_logged("services are not watched: ECALLDENIED") && !stage.world().is_armed);
}

#[test]
fn without_a_pid_it_boots_all_the_same() {
    let shared = Shared::new(Plan::village());
    shared.0.borrow_mut().fail(PidOf::KIND, 1, Errno::Srch);
    assert_eq!(Stage::booted(&shared).service("vm").pid, 0);
}

#[test]
fn all_users_run_whatever_has_become_of_one_or_of_a_service() {
    let mut plan = Plan::village();
    plan.boot.push(("user-2", BootFlags::SERVED));
    plan.like("user", "user-2");
    for has_ended in [USER, ECHO] {
        let shared = Shared::new(plan.clone());
        shared.0.borrow_mut().users_of_table.insert(at(7));
        let mut stage = Stage::new(&shared);
        stage.boot().expect("a boot");
        all_begin(&mut stage, &[PM, DS, ECHO]);
        if has_ended == USER {
            // The first user is no more.
            let mut world = stage.world_mut();
            world.processes.remove(&at(USER));
            world.memory.remove(&at(USER));
            world.pids.remove(&at(USER));
        } else {
            // A service has been given up: its endpoint is nobody's.
            stage.dies(at(ECHO));
            assert_eq!(stage.phase("echo"), Phase::GivenUp);
        }
        stage.begins(at(BOSS));
        assert!(stage.root.work.is_up);
        assert!(stage.world().processes[&at(7)].program.runs(), "{:?}", stage.world().log);
        assert_eq!(stage.is_logged("start program 6"), has_ended == USER);
    }
}

#[test]
fn a_service_that_is_lost_after_it_began_does_not_keep_the_others_waiting() {
    // The last one that was waited for begins before and after: the system is up in both cases.
    for is_first in [true, false] {
        let shared = Shared::new(Plan::village());
        let mut stage = Stage::new(&shared);
        stage.boot().expect("a boot");
        all_begin(&mut stage, &[PM, DS, ECHO]);
        if is_first {
            stage.dies(at(ECHO));
        }
        stage.begins(at(BOSS));
        if !is_first {
            stage.dies(at(ECHO));
        }
        assert!(stage.root.work.is_up && stage.phase("echo") == Phase::GivenUp);
        assert_eq!(stage.world().labels.get("echo"), None);
    }
}

#[test]
fn one_that_crashes_after_it_began_is_restarted_during_the_boot() {
    let shared = Shared::new(Plan::village());
    let mut stage = Stage::new(&shared);
    stage.boot().expect("a boot");
    all_begin(&mut stage, &[PM, DS]);
    stage.dies(at(DS));
    // And its next instance does not begin: it has begun once, and is tried again.
    stage.dies(at(DS));
    assert_eq!(stage.phase("ds"), Phase::Waiting { periods: 2 });
    stage.periods(2);
    stage.all_begin();
    assert!(stage.root.work.is_up && stage.service("ds").restarts == 2);
}

#[test]
fn what_is_brought_up_early_is_no_boot_service() {
    for error in [0, Errno::Io as u32] {
        let shared = Shared::new(Plan::village());
        let mut stage = Stage::new(&shared);
        stage.boot().expect("a boot");
        all_begin(&mut stage, &[PM, DS, BOSS]);
        let tag = stage.boss_asks(&Up { program: label("hello"), label: [0; _], arguments: GrantId::INVALID, len: 0 });
        let hello = stage.at("hello");
        stage.begins(at(ECHO));
        // The system does not wait for it, and goes on if it fails.
        assert!(stage.root.work.is_up && stage.fatal.is_none());
        stage.begins_so(hello, Beginning { error, keeps: 0 });
        let told = stage.answer_to::<Up>(tag).expect("an answer").map(|done| done.endpoint);
        assert_eq!(told, if error == 0 { Ok(hello) } else { Err(Errno::Io) });
    }
    // The same if it fails before the system is up.
    let shared = Shared::new(Plan::village());
    let mut stage = Stage::new(&shared);
    stage.boot().expect("a boot");
    all_begin(&mut stage, &[PM, DS, BOSS]);
    let tag = stage.boss_asks(&Up { program: label("hello"), label: [0; _], arguments: GrantId::INVALID, len: 0 });
    let hello = stage.at("hello");
    stage.begins_so(hello, Beginning::FAILS);
    assert_eq!(stage.answer_to::<Up>(tag).expect("an answer").map(drop), Err(Errno::Io));
    stage.begins(at(ECHO));
    assert!(stage.root.work.is_up && stage.fatal.is_none());
}

#[test]
fn a_core_service_that_is_lost_ends_the_system() {
    for core in [VM, PM] {
        play(|stage| {
            stage.dies(at(core));
            let name = name_of(if core == VM { "vm" } else { "pm" });
            assert_eq!(stage.fatal, Some(Fatal::Lost(name, Errno::DeadSrcDst)));
        });
    }
    // Nobody else makes processes: it does not help that its program was kept.
    let mut plan = Plan::village();
    plan.boot[PM].1 |= BootFlags::KEPT;
    plan.entry("pm").flags = (ServiceFlags::CORE | ServiceFlags::KEPT | ServiceFlags::SYNCHRONOUS).bits();
    play_in(plan, |stage| {
        stage.dies(at(PM));
        assert_eq!(stage.fatal, Some(Fatal::Lost(name_of("pm"), Errno::DeadSrcDst)));
    });
}

#[test]
fn what_the_policy_says_of_managers_is_what_the_kernel_gets() {
    let mut plan = Plan::village();
    let (boss, ds) = (plan.place("boss"), plan.place("ds"));
    (plan.entry("echo").manager, plan.entry("echo").backup) = (boss, ds);
    plan.entry("boss").manager = ITSELF;
    play_in(plan, |stage| {
        let world = stage.world();
        let spec = |place: usize| world.processes[&at(place)].program.spec;
        assert_eq!((spec(ECHO).manager, spec(ECHO).backup), (at(BOSS), at(DS)));
        assert_eq!(spec(BOSS).manager, Endpoint::SELF);
        assert_eq!((spec(DS).manager, spec(DS).backup), (world.root, Endpoint::NONE));
        assert_eq!(world.users.expect("users").manager, at(PM));
    });
}

#[test]
fn a_program_that_cannot_be_loaded_is_not_brought_up() {
    play(|stage| {
        stage.world_mut().fail(LOAD, 1, Errno::NoExec);
        let told = stage.boss(&Up { program: label("hello"), label: [0; _], arguments: GrantId::INVALID, len: 0 });
        assert_eq!(told.map(drop), Err(Errno::NoExec));
        assert!(stage.known("hello").is_none());
        stage.up("hello");
    });
}
