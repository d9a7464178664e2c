//! Alarms, and the time.

use crate::support::*;
use abi::{Endpoint, Errno};
use protocol::getinfo::{GetCpuTime, GetMachine};
use protocol::kernel::{NEVER, SetAlarm, SetTime};

const CLOCK: Endpoint = Endpoint::CLOCK;

fn test(run: impl FnOnce(&mut World<'_>)) {
    let mut table = table();
    run(&mut World::new(&mut table, &four()));
}

fn set(world: &mut World<'_>, who: Endpoint, ticks: u64) -> u64 {
    world.call(who, &SetAlarm { ticks, absolute: 0 }).unwrap().left
}

#[test]
fn an_alarm_goes_off_once_when_its_time_has_come() {
    test(|world| {
        assert_eq!(set(world, A, 10), NEVER);
        let due = world.machine.ticks + 10;
        world.trap(A, receive(CLOCK));
        world.tick(9);
        assert_eq!(world.outcome(A), Outcome::Blocked);
        world.tick(1);
        assert_eq!(world.regs(A), notified(CLOCK, due));
        world.trap(A, receive(CLOCK));
        world.tick(100);
        assert_eq!(world.outcome(A), Outcome::Blocked);
    });
}

#[test]
fn a_new_alarm_replaces_the_old_one_and_zero_cancels_it() {
    test(|world| {
        set(world, A, 10);
        world.tick(4);
        assert_eq!(set(world, A, 20), 6);
        assert_eq!(set(world, A, 0), 20);
        assert_eq!(set(world, A, 0), NEVER);
        world.tick(100);
        assert_eq!(world.trap(A, receive(CLOCK)), Outcome::Blocked);
    });
}

#[test]
fn an_absolute_time_in_the_past_goes_off_at_once() {
    test(|world| {
        world.tick(50);
        for ticks in [0, 1, 50] {
            world.call(A, &SetAlarm { ticks, absolute: 1 }).unwrap();
            assert_eq!(world.trap(A, receive(CLOCK)), Outcome::Done, "{ticks}");
        }
        let ticks = world.machine.ticks + 3;
        world.call(A, &SetAlarm { ticks, absolute: 1 }).unwrap();
        world.trap(A, receive(CLOCK));
        world.tick(3);
        assert_eq!(world.outcome(A), Outcome::Done);
    });
}

#[test]
fn times_beyond_the_end_do_not_wrap() {
    test(|world| {
        world.tick(5);
        for (ticks, absolute) in [(u64::MAX, 0), (u64::MAX - 1, 1), (u64::MAX, 1)] {
            world.call(A, &SetAlarm { ticks, absolute }).unwrap();
            assert_eq!(world.trap(B, kernel_call(&GetMachine {})), Outcome::Done);
            world.tick(20);
        }
        assert_eq!(world.trap(A, receive(CLOCK)), Outcome::Blocked);
    });
}

#[test]
fn two_services_have_alarms_of_their_own() {
    test(|world| {
        set(world, A, 200);
        assert_eq!(set(world, B, 300), NEVER);
        set(world, A, 0);
        world.trap(A, receive(CLOCK));
        world.trap(B, receive(CLOCK));
        world.tick(300);
        assert_eq!((world.outcome(A), world.outcome(B)), (Outcome::Blocked, Outcome::Done));
    });
}

#[test]
fn users_have_no_alarms() {
    test(|world| {
        world.trap(D, receive(Endpoint::ANY));
        let user = world.user(D, FREE);
        world.update_users(world.spec());
        assert_eq!(world.call(user, &SetAlarm { ticks: 5, absolute: 0 }), Err(Errno::Perm));
    });
}

#[test]
fn the_time_of_day_is_kept_as_that_of_the_boot() {
    test(|world| {
        world.machine.ticks = 10 * TestMachine::HZ;
        world.call(A, &SetTime { seconds: 1_000_000, nanoseconds: 999_999_999, reserved: 0 }).unwrap();
        let told = world.call(B, &GetMachine {}).unwrap();
        assert_eq!((told.boot_time, told.hz, told.cpus), (999_990, TestMachine::HZ, 1));
        world.call(A, &SetTime { seconds: 3, nanoseconds: 0, reserved: 0 }).unwrap();
        assert_eq!(world.call(B, &GetMachine {}).unwrap().boot_time, 0, "before the boot there was nothing");
    });
    for nanoseconds in [1_000_000_000, u32::MAX] {
        denied(&four(), |_| {}, A, kernel_call(&SetTime { seconds: 1, nanoseconds, reserved: 0 }), Errno::Inval);
    }
}

#[test]
fn ticks_are_counted_for_whom_they_find_running() {
    test(|world| {
        world.run(A);
        let before = world.call(A, &GetCpuTime { process: A }).unwrap();
        world.tick(2);
        let time = world.call(A, &GetCpuTime { process: Endpoint::SELF }).unwrap();
        assert_eq!((time.user, time.system), (before.user + 2, 0));
    });
}

#[test]
fn cycles_of_all_processes_and_of_idleness_are_all_cycles() {
    test(|world| {
        let start = world.machine.cycles;
        for (who, cycles) in [(A, 1000), (B, 300), (C, 70), (D, 5)] {
            world.run(who);
            world.machine.cycles += cycles;
            world.step(receive(Endpoint::ANY));
        }
        world.machine.cycles += 10_000;
        world.kernel.interrupt(&mut world.machine, DOORBELL);
        world.schedule();
        world.as_root(&protocol::privctl::ClearRefs { process: A }).unwrap();
        let of = |world: &mut World<'_>, process| world.as_root(&GetCpuTime { process }).unwrap().cycles;
        assert_eq!([A, B, C, D].map(|who| of(world, who)), [1000, 300, 70, 5]);
        let idle = world.as_root(&protocol::getinfo::GetIdleTime { cpu: 0 }).unwrap();
        assert_eq!((idle.idle, idle.total - start), (10_000, 11_375));
    });
}
