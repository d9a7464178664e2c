//! How messages and notifications get from one to the other, and in which order.

use crate::support::*;
use abi::boot::BootEntry;
use abi::{Endpoint, Trap};
use kernel_core::Rts;

const ANY: Endpoint = Endpoint::ANY;

fn test(run: impl FnOnce(&mut World<'_>)) {
    let mut table = table();
    run(&mut World::new(&mut table, &four()));
}

#[test]
fn a_message_reaches_one_who_waits() {
    for from in [ANY, A] {
        test(|world| {
            assert_eq!(world.trap(B, receive(from)), Outcome::Blocked);
            assert_eq!(world.trap(A, send(B, 5)), Outcome::Done);
            assert_eq!(world.regs(B), delivered(A, Trap::Send, 5));
            assert_eq!(world.regs(A), with_result(send(B, 5), Ok(())), "the sender keeps its registers");
        });
    }
}

#[test]
fn a_message_waits_for_one_who_receives() {
    for from in [ANY, A] {
        test(|world| {
            assert_eq!(world.trap(A, send(B, 5)), Outcome::Blocked);
            assert_eq!(world.trap(B, receive(from)), Outcome::Done);
            assert_eq!(world.regs(B), delivered(A, Trap::Send, 5));
            assert_eq!(world.outcome(A), Outcome::Done);
            assert_eq!(world.regs(A), with_result(send(B, 5), Ok(())));
        });
    }
}

#[test]
fn sendnb_delivers_like_send() {
    for from in [ANY, A] {
        test(|world| {
            world.trap(B, receive(from));
            assert_eq!(world.trap(A, sendnb(B, 5)), Outcome::Done);
            assert_eq!(world.regs(B), delivered(A, Trap::SendNb, 5));
        });
    }
}

#[test]
fn sendrec_sends_and_then_receives_from_the_same_only() {
    test(|world| {
        world.trap(B, receive(ANY));
        assert_eq!(world.trap(A, sendrec(B, 5)), Outcome::Blocked);
        assert_eq!(world.regs(B), delivered(A, Trap::SendRec, 5));
        assert_eq!(world.rts(A), Rts::RECEIVING | Rts::REPLY);
        assert_eq!(world.trap(C, send(A, 6)), Outcome::Blocked, "not from others");
        assert_eq!(world.trap(B, send(A, 7)), Outcome::Done);
        assert_eq!(world.regs(A), delivered(B, Trap::Send, 7));
        assert_eq!(world.outcome(C), Outcome::Blocked);
    });
}

#[test]
fn a_queued_sendrec_receives_only_after_its_message_is_taken() {
    test(|world| {
        assert_eq!(world.trap(A, sendrec(B, 5)), Outcome::Blocked);
        assert_eq!(world.rts(A), Rts::SENDING | Rts::RECEIVING | Rts::REPLY);
        assert_eq!(world.trap(B, receive(ANY)), Outcome::Done);
        assert_eq!(world.regs(B), delivered(A, Trap::SendRec, 5));
        assert_eq!(world.rts(A), Rts::RECEIVING | Rts::REPLY);
        assert_eq!(world.trap(B, sendnb(A, 7)), Outcome::Done);
        assert_eq!(world.regs(A), delivered(B, Trap::SendNb, 7));
    });
}

#[test]
fn senders_are_taken_first_come_first() {
    test(|world| {
        for (n, sender) in [(1, C), (2, D), (3, B)] {
            assert_eq!(world.trap(sender, send(A, n)), Outcome::Blocked);
        }
        for (n, sender) in [(1, C), (2, D), (3, B)] {
            world.trap(A, receive(ANY));
            assert_eq!(world.regs(A), delivered(sender, Trap::Send, n));
        }
        assert_eq!(world.trap(A, receive(ANY)), Outcome::Blocked);
    });
}

#[test]
fn a_specific_receive_skips_the_others_and_keeps_their_order() {
    for (wanted, rest) in [(B, [C, D]), (C, [B, D]), (D, [B, C])] {
        test(|world| {
            for sender in [B, C, D] {
                world.trap(sender, send(A, sender.raw() as u16));
            }
            for from in [wanted, rest[0], rest[1]] {
                let source = if from == wanted { wanted } else { ANY };
                world.trap(A, receive(source));
                assert_eq!(world.regs(A), delivered(from, Trap::Send, from.raw() as u16));
            }
        });
    }
}

#[test]
fn one_who_waits_for_somebody_is_not_woken_by_others() {
    test(|world| {
        world.trap(A, receive(B));
        assert_eq!(world.trap(C, send(A, 1)), Outcome::Blocked);
        assert_eq!(world.trap(D, notify(A)), Outcome::Done);
        assert_eq!(world.outcome(A), Outcome::Blocked);
        world.trap(B, send(A, 2));
        assert_eq!(world.regs(A), delivered(B, Trap::Send, 2));
    });
}

#[test]
fn a_notification_wakes_one_who_waits() {
    for from in [ANY, B] {
        test(|world| {
            world.trap(A, receive(from));
            world.run(B);
            let now = world.machine.ticks;
            assert_eq!(world.trap(B, notify(A)), Outcome::Done);
            assert_eq!(world.regs(A), notified(B, now));
            assert_eq!(world.regs(B), with_result(notify(A), Ok(())));
        });
    }
}

#[test]
fn notifications_come_before_senders_and_lowest_id_first() {
    test(|world| {
        world.trap(B, send(A, 1));
        world.trap(D, notify(A));
        world.trap(C, notify(A));
        for notifier in [C, D] {
            world.run(A);
            let now = world.machine.ticks;
            world.trap(A, receive(ANY));
            assert_eq!(world.regs(A), notified(notifier, now), "the time is that of the delivery");
        }
        world.trap(A, receive(ANY));
        assert_eq!(world.regs(A), delivered(B, Trap::Send, 1));
    });
}

#[test]
fn a_specific_receive_finds_a_notification_behind_others() {
    test(|world| {
        for notifier in [B, C, D] {
            world.trap(notifier, notify(A));
        }
        world.trap(D, send(A, 1));
        for (from, notifier) in [(C, C), (D, D), (ANY, B)] {
            world.run(A);
            let now = world.machine.ticks;
            world.trap(A, receive(from));
            assert_eq!(world.regs(A), notified(notifier, now));
        }
    });
}

#[test]
fn notifications_of_one_source_become_one() {
    test(|world| {
        for _ in 0..3 {
            assert_eq!(world.trap(B, notify(A)), Outcome::Done);
        }
        assert_eq!(world.trap(A, receive(B)), Outcome::Done);
        assert_eq!(world.trap(A, receive(B)), Outcome::Blocked);
    });
}

#[test]
fn notifications_are_held_back_during_sendrec() {
    test(|world| {
        world.trap(A, sendrec(B, 1));
        assert_eq!(world.trap(B, notify(A)), Outcome::Done, "while the request is queued");
        world.trap(B, receive(ANY));
        world.trap(B, notify(A));
        world.trap(C, notify(A));
        assert_eq!(world.rts(A), Rts::RECEIVING | Rts::REPLY, "and while the answer is awaited");
        world.trap(B, send(A, 2));
        assert_eq!(world.regs(A), delivered(B, Trap::Send, 2));
        for notifier in [B, C] {
            world.run(A);
            let now = world.machine.ticks;
            world.trap(A, receive(ANY));
            assert_eq!(world.regs(A), notified(notifier, now));
        }
    });
}

#[test]
fn one_who_sends_is_notified_later() {
    test(|world| {
        world.trap(A, send(B, 1));
        world.trap(C, notify(A));
        assert_eq!(world.rts(A), Rts::SENDING);
        world.trap(B, receive(ANY));
        assert_eq!(world.regs(A), with_result(send(B, 1), Ok(())));
        assert_eq!(world.trap(A, receive(C)), Outcome::Done);
    });
}

#[test]
fn a_message_that_looks_like_a_notification_has_the_status_of_a_message() {
    test(|world| {
        world.trap(A, receive(ANY));
        let forged = Regs { rsi: abi::Kind::NOTIFY.0.into(), ..send(A, 1) };
        world.trap(B, forged);
        let got = world.regs(A);
        assert_eq!((got.rsi, got.rdi), (abi::Kind::NOTIFY.0.into(), B.raw().into()));
        assert!(!abi::Status(got.rdx).is_notification());
    });
}

#[test]
fn the_true_source_is_told() {
    test(|world| {
        // The sender puts somebody else's name wherever there is room for one.
        world.trap(A, receive(ANY));
        world.trap(C, Regs { rdx: B.raw().into(), ..send(A, 1) });
        assert_eq!(world.regs(A).rdi, C.raw().into());
    });
}

/// The place of the last program that there is room for, besides the root.
const LAST: u32 = abi::boot::MAX_PROGRAMS as u32 - 2;

#[test]
fn all_boot_programs_can_notify_and_be_sent_to() {
    let programs: Vec<BootEntry> = (0..LAST + 1).map(|i| program(&format!("p{i}"))).collect();
    let mut table = table();
    let mut world = World::new(&mut table, &programs);
    let last = Endpoint::from_raw(LAST);
    assert_eq!(world.trap(last, notify(A)), Outcome::Done);
    assert_eq!(world.trap(A, receive(last)), Outcome::Done);
    world.trap(last, receive(A));
    assert_eq!(world.trap(A, send(last, 1)), Outcome::Done);
    assert_eq!(world.regs(last), delivered(A, Trap::Send, 1));
    assert_eq!(world.add(&program("late")), None, "there is no room for one more");
    assert_eq!(world.kernel.lookup(Endpoint::from_raw(LAST + 2)), None, "the root has the place between");
}
