//! REPLY_RECEIVE: it answers whoever waits for an answer, and receives in any case.

use crate::support::*;
use abi::{Endpoint, Errno, Trap};
use kernel_core::Rts;

const ANY: Endpoint = Endpoint::ANY;

/// A world in which B is the server and has taken a request of A.
fn served(run: impl FnOnce(&mut World<'_>)) {
    let mut table = table();
    let mut world = World::new(&mut table, &four());
    world.trap(A, sendrec(B, 1));
    world.trap(B, receive(ANY));
    run(&mut world);
}

#[test]
fn it_answers_and_waits_for_the_next_request() {
    served(|world| {
        assert_eq!(world.trap(B, reply_receive(A, 2, ANY)), Outcome::Blocked);
        assert_eq!(world.regs(A), delivered(B, Trap::ReplyReceive, 2));
        assert_eq!(world.outcome(A), Outcome::Done);
        assert_eq!(world.rts(B), Rts::RECEIVING, "it takes notifications, and nobody may answer it");
        world.trap(C, sendrec(B, 3));
        assert_eq!(world.regs(B), delivered(C, Trap::SendRec, 3));
    });
}

#[test]
fn it_answers_and_takes_a_request_that_waits() {
    served(|world| {
        world.trap(C, sendrec(B, 3));
        assert_eq!(world.trap(B, reply_receive(A, 2, ANY)), Outcome::Done);
        assert_eq!(world.regs(A), delivered(B, Trap::ReplyReceive, 2));
        assert_eq!(world.regs(B), delivered(C, Trap::SendRec, 3));
    });
}

#[test]
fn it_answers_and_takes_a_notification_first() {
    served(|world| {
        world.trap(C, sendrec(B, 3));
        world.trap(D, notify(B));
        world.run(B);
        let now = world.machine.ticks;
        assert_eq!(world.trap(B, reply_receive(A, 2, ANY)), Outcome::Done);
        assert_eq!(world.outcome(A), Outcome::Done);
        assert_eq!(world.regs(B), notified(D, now));
    });
}

#[test]
fn no_send_mask_is_asked() {
    let mut programs = four();
    programs[1].sends = 0;
    let mut table = table();
    let mut world = World::new(&mut table, &programs);
    world.trap(A, sendrec(B, 1));
    world.trap(B, receive(ANY));
    world.trap(B, reply_receive(A, 2, ANY));
    assert_eq!(world.regs(A), delivered(B, Trap::ReplyReceive, 2));
}

#[test]
fn each_request_is_answered_once() {
    served(|world| {
        world.trap(B, reply_receive(A, 2, ANY));
        world.trap(C, sendrec(B, 3));
        world.trap(D, sendrec(B, 4));
        assert_eq!(world.trap(B, reply_receive(A, 5, ANY)), Outcome::Done);
        assert_eq!(world.regs(A), delivered(B, Trap::ReplyReceive, 2), "the second answer does not reach it");
        assert_eq!(world.regs(B), with_failed_reply(delivered(D, Trap::SendRec, 4), Errno::NotReady));
    });
}

/// Lets B answer `to` while it waits for nothing of the kind, and checks that only B hears of it: at once, and when it
/// has to wait for a message first.
fn fails(setup: fn(&mut World<'_>), to: Endpoint, errno: Errno) {
    let mut tables = (table(), table());
    let mut world = World::new(&mut tables.0, &four());
    setup(&mut world);
    world.trap(D, send(B, 8));
    world.run(B);
    let before = world.regs(A);
    assert_eq!(world.trap(B, reply_receive(to, 9, D)), Outcome::Done);
    assert_eq!(world.regs(B), with_failed_reply(delivered(D, Trap::Send, 8), errno));
    assert_eq!(world.regs(A), before);

    let mut world = World::new(&mut tables.1, &four());
    setup(&mut world);
    assert_eq!(world.trap(B, reply_receive(to, 9, D)), Outcome::Blocked);
    assert_eq!(world.regs(A), before);
    world.run(D);
    let now = world.machine.ticks;
    world.trap(D, notify(B));
    assert_eq!(world.regs(B), with_failed_reply(notified(D, now), errno));
    world.trap(D, send(B, 10));
    world.trap(B, receive(D));
    assert_eq!(world.regs(B), delivered(D, Trap::Send, 10), "it is told once");
}

#[test]
fn an_answer_nobody_waits_for_is_reported() {
    fails(|_| {}, A, Errno::NotReady);
    fails(|_| {}, B, Errno::NotReady);
    fails(|world| assert_eq!(world.trap(A, receive(ANY)), Outcome::Blocked), A, Errno::NotReady);
    fails(|world| assert_eq!(world.trap(A, receive(B)), Outcome::Blocked), A, Errno::NotReady);
    fails(|world| assert_eq!(world.trap(A, send(B, 1)), Outcome::Blocked), A, Errno::NotReady);
    fails(|world| assert_eq!(world.trap(A, sendrec(B, 1)), Outcome::Blocked, "not taken yet"), A, Errno::NotReady);
    fails(|world| assert_eq!(world.trap(A, sendrec(C, 1)), Outcome::Blocked), A, Errno::NotReady);
    let elsewhere = |world: &mut World<'_>| {
        world.trap(A, sendrec(C, 1));
        assert_eq!(world.trap(C, receive(A)), Outcome::Done, "it waits for the answer of somebody else");
    };
    fails(elsewhere, A, Errno::NotReady);
    let answered = |world: &mut World<'_>| {
        world.trap(A, sendrec(B, 1));
        world.trap(B, receive(A));
        world.trap(B, sendnb(A, 2));
    };
    fails(answered, A, Errno::NotReady);
}

#[test]
fn an_answer_to_nobody_is_reported() {
    for to in [ANY, Endpoint::NONE, Endpoint::SELF, Endpoint::CLOCK, FREE, Endpoint::from_raw(1 << 31)] {
        fails(|_| {}, to, Errno::DeadSrcDst);
    }
    let other_life = |world: &mut World<'_>| {
        world.trap(A, sendrec(B, 1));
        world.trap(B, receive(A));
    };
    fails(other_life, Endpoint::new(A.slot(), 1).unwrap(), Errno::DeadSrcDst);
    fails(|world| world.kill(A), A, Errno::DeadSrcDst);
}

#[test]
fn the_report_of_a_failed_answer_ends_with_the_trap() {
    served(|world| {
        assert_eq!(world.trap(B, reply_receive(D, 2, C)), Outcome::Blocked);
        world.kill(C);
        assert_eq!(world.outcome(B), Outcome::Failed(Errno::DeadSrcDst));
        world.trap(D, send(B, 3));
        world.trap(B, receive(ANY));
        assert_eq!(world.regs(B), delivered(D, Trap::Send, 3));
        denied_after_failed_reply(world);
    });
}

/// A REPLY_RECEIVE that is refused as a whole leaves no report either.
fn denied_after_failed_reply(world: &mut World<'_>) {
    assert_eq!(world.trap(B, reply_receive(D, 4, C)), Outcome::Failed(Errno::DeadSrcDst));
    world.trap(D, send(B, 5));
    world.trap(B, receive(ANY));
    assert_eq!(world.regs(B), delivered(D, Trap::Send, 5));
}

#[test]
fn any_message_of_the_server_is_an_answer() {
    for answer in [send(A, 2), sendnb(A, 2), sendrec(A, 2)] {
        served(|world| {
            world.trap(B, answer);
            assert_eq!(world.outcome(A), Outcome::Done);
            assert_eq!(world.regs(A).body, answer.body);
        });
    }
}
