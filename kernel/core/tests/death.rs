//! What the end of a process does to the others.

use crate::support::*;
use abi::{Endpoint, Errno, Trap};
use kernel_core::{Action, CpuId, MemoryAccess, Rts};
use protocol::kernel::Exit;

const ANY: Endpoint = Endpoint::ANY;
const DEAD: Outcome = Outcome::Failed(Errno::DeadSrcDst);

/// The ways in which a running process ends.
const ENDS: [fn(&mut World<'_>, Endpoint); 2] = [
    |world, who| world.kill(who),
    |world, who| assert_eq!(world.trap(who, kernel_call(&Exit { status: 3 })), Outcome::Ended),
];

fn test(run: impl Fn(&mut World<'_>, fn(&mut World<'_>, Endpoint))) {
    for end in ENDS {
        let mut table = table();
        run(&mut World::new(&mut table, &four()), end);
    }
}

#[test]
fn it_frees_the_slot_and_gives_back_the_space() {
    test(|world, end| {
        end(world, B);
        assert_eq!(world.rts(B), Rts::FREE);
        assert!(world.process(B).space.is_none());
        assert_eq!(world.deserted(), [B.slot()]);
        assert_eq!(world.kernel.lookup(B), None);
        assert_eq!(world.machine.lines.len(), 1);
        assert!(world.machine.lines[0].starts_with("b "), "{:?}", world.machine.lines);
        for other in [A, C, D] {
            world.run(other);
        }
    });
}

#[test]
fn the_log_says_why() {
    test(|world, _| {
        world.run(B);
        let why = format_args!("page fault at {:#x}", 16);
        let action = world.kernel.memory_fault(&mut world.machine, CpuId::BOOT, 16, MemoryAccess::Read, why);
        assert_eq!(action, Action::Resume);
        world.schedule();
        world.trap(C, kernel_call(&Exit { status: 3 }));
        assert_eq!(world.machine.lines, ["b stopped: page fault at 0x10", "c exited, status 3"]);
    });
}

#[test]
fn whoever_waits_for_it_is_told() {
    for call in [send(B, 1), sendrec(B, 1), receive(B), reply_receive(D, 1, B)] {
        test(|world, end| {
            assert_eq!(world.trap(A, call), Outcome::Blocked);
            end(world, B);
            assert_eq!(world.outcome(A), DEAD);
            let told = Regs { rax: Errno::DeadSrcDst.to_result() as u64, ..call };
            assert_eq!(world.regs(A), told, "it keeps its message");
            world.trap(C, send(A, 2));
            world.trap(A, receive(ANY));
            assert_eq!(world.regs(A), delivered(C, Trap::Send, 2), "it can go on");
        });
    }
}

#[test]
fn whoever_waits_for_its_answer_is_told() {
    test(|world, end| {
        world.trap(A, sendrec(B, 1));
        world.trap(C, sendrec(B, 2));
        world.trap(B, receive(A));
        end(world, B);
        assert_eq!((world.outcome(A), world.outcome(C)), (DEAD, DEAD));
    });
}

#[test]
fn many_who_queue_are_all_told() {
    test(|world, end| {
        for sender in [D, A, C] {
            world.trap(sender, send(B, 1));
        }
        end(world, B);
        for sender in [A, C, D] {
            assert_eq!(world.outcome(sender), DEAD);
        }
    });
}

#[test]
fn those_who_wait_for_anybody_or_somebody_else_go_on_waiting() {
    for call in [receive(ANY), receive(C), receive(Endpoint::CLOCK), send(C, 1), sendrec(C, 1)] {
        test(|world, end| {
            world.trap(A, call);
            let before = (world.rts(A), world.regs(A));
            end(world, B);
            assert_eq!((world.rts(A), world.regs(A)), before);
        });
    }
}

#[test]
fn its_notifications_die_with_it() {
    test(|world, end| {
        world.trap(B, notify(A));
        world.trap(C, notify(A));
        end(world, B);
        world.run(A);
        let now = world.machine.ticks;
        world.trap(A, receive(ANY));
        assert_eq!(world.regs(A), notified(C, now));
        assert_eq!(world.trap(A, receive(ANY)), Outcome::Blocked);
    });
}

#[test]
fn a_reply_to_it_fails_and_the_server_goes_on() {
    let mut table = table();
    let mut world = World::new(&mut table, &four());
    world.trap(A, receive(B));
    world.trap(B, send(A, 1));
    world.kill(B);
    world.trap(C, send(A, 2));
    assert_eq!(world.trap(A, reply_receive(B, 3, ANY)), Outcome::Done);
    assert_eq!(world.regs(A), with_failed_reply(delivered(C, Trap::Send, 2), Errno::DeadSrcDst));
}

#[test]
fn the_last_one_leaves_an_idle_machine() {
    test(|world, end| {
        for who in [A, B, C, D] {
            end(world, who);
        }
        assert_eq!(world.running(), None);
        assert_eq!(world.deserted(), [0, 1, 2, 3]);
        let before = world.snapshot();
        world.stop();
        assert_eq!(world.snapshot(), before, "there is nobody to stop");
    });
}
