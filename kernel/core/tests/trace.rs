//! The tracer: it changes nothing, and tells of each message once.

use crate::support::*;
use abi::{Endpoint, Errno, Kind, Trap};
use kernel_core::{CpuId, Slot};
use protocol::Call;
use protocol::echo::Reverse;
use protocol::kernel::{Exit, Times};

/// Lets `who` trap, and gives the lines about it.
fn traced(world: &mut World<'_>, who: Endpoint, call: Regs) -> Vec<String> {
    world.run(who);
    world.kernel.process_mut(Slot::of(who)).frame = call;
    let before = world.machine.lines.len();
    let me = world.kernel.trace_trap(&mut world.machine, CpuId::BOOT).expect("somebody runs");
    world.step(call);
    world.kernel.trace_result(&mut world.machine, me);
    world.machine.lines[before..].to_vec()
}

fn with_kind(mut call: Regs, kind: Kind, tag: u16) -> Regs {
    call.rsi = u64::from(kind.0) | u64::from(tag) << 16;
    call
}

fn test(run: impl FnOnce(&mut World<'_>)) {
    let mut table = table();
    run(&mut World::new(&mut table, &four()));
}

#[test]
fn a_call_and_its_reply_have_names() {
    test(|world| {
        assert!(traced(world, B, receive(Endpoint::ANY)).is_empty(), "no message yet");
        let call = with_kind(sendrec(B, 1), Reverse::KIND, 77);
        assert_eq!(traced(world, A, call), ["trace: a -> b: SendRec echo.reverse, tag 77"]);
        let answer = with_kind(reply_receive(A, 1, Endpoint::ANY), Kind::OK, 77);
        assert_eq!(traced(world, B, answer), ["trace: b -> a: ReplyReceive reply, tag 77"]);
    });
}

#[test]
fn what_failed_tells_why() {
    test(|world| {
        let to_nobody = with_kind(send(Endpoint::new(9, 3).unwrap(), 1), Kind(0x7042), 0);
        assert_eq!(
            traced(world, A, to_nobody),
            ["trace: a -> 9.3: Send 0x7042, tag 0", "trace: a failed: EDEADSRCDST"]
        );
        let busy = with_kind(sendnb(B, 1), Kind::failed(Errno::Inval), 1);
        assert_eq!(traced(world, A, busy), ["trace: a -> b: SendNb reply EINVAL, tag 1", "trace: a failed: ENOTREADY"]);
        let unasked = with_kind(reply_receive(C, 1, Endpoint::ANY), Kind::OK, 0);
        assert_eq!(traced(world, A, unasked), ["trace: a -> c: ReplyReceive reply, tag 0: ENOTREADY"]);
        let unknown = Regs { rax: 0x123, rdi: B.raw().into(), ..Regs::default() };
        assert_eq!(traced(world, B, unknown), ["trace: b -> b: trap 0x123", "trace: b failed: EBADCALL"]);
        assert_eq!(traced(world, B, notify(Endpoint::ANY)), ["trace: b -> ANY: Notify", "trace: b failed: EINVAL"]);
    });
}

#[test]
fn a_message_is_told_when_it_is_sent_and_not_again_when_it_is_taken() {
    test(|world| {
        let call = with_kind(send(B, 1), Reverse::KIND, 0);
        assert_eq!(traced(world, A, call), ["trace: a -> b: Send echo.reverse, tag 0"]);
        assert_eq!(traced(world, C, notify(B)), ["trace: c -> b: Notify"]);
        assert!(traced(world, B, receive(Endpoint::ANY)).is_empty());
        assert!(traced(world, B, receive(Endpoint::ANY)).is_empty());
    });
}

#[test]
fn kernel_calls_have_names() {
    test(|world| {
        let times = with_kind(kernel_call(&Times {}), Times::KIND, 5);
        assert_eq!(traced(world, A, times), ["trace: a -> kernel: KernelCall kernel.times, tag 5"]);
        let unknown = with_kind(kernel_call(&Times {}), Kind(0x63f), 0);
        let lines = traced(world, A, unknown);
        assert_eq!(lines, ["trace: a -> kernel: KernelCall 0x063f, tag 0", "trace: a failed: EBADREQUEST"]);
        let exit = with_kind(kernel_call(&Exit { status: 3 }), Exit::KIND, 0);
        assert_eq!(traced(world, A, exit), ["trace: a -> kernel: KernelCall kernel.exit, tag 0", "a exited, status 3"]);
    });
}

#[test]
fn it_changes_nothing_but_the_log() {
    let calls = [
        (B, receive(Endpoint::ANY)),
        (A, sendrec(B, 5)),
        (C, notify(B)),
        (B, reply_receive(A, 6, Endpoint::ANY)),
        (D, send(C, 7)),
        (A, Regs { rax: Trap::Notify.rax() | 1 << 40, ..Regs::default() }),
        (C, kernel_call(&Times {})),
        (A, kernel_call(&Exit { status: 0 })),
    ];
    let (mut told, mut quiet) = (table(), table());
    let (mut told, mut quiet) = (World::new(&mut told, &four()), World::new(&mut quiet, &four()));
    for (who, call) in calls {
        traced(&mut told, who, call);
        quiet.trap(who, call);
        told.machine.lines.retain(|line| !line.starts_with("trace: "));
        assert_eq!(told.snapshot(), quiet.snapshot(), "{call:x?}");
    }
    assert_eq!(told.aftermath(), quiet.aftermath());
}
