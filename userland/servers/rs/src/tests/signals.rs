//! What becomes of processes that have signals.

use super::fake::{Deed, Fake, Shared, fake, served};
use super::*;
use std::vec::Vec;

#[test]
fn the_memory_of_whoever_has_ended_goes_back() {
    let (vm, late) = (endpoint(0), endpoint(2));
    let dies = |process, denies| {
        let kernel = Shared(RefCell::new(Fake { denies, ..served() }));
        let mut root = Root::new(&kernel, &kernel);
        root.boot().expect("a boot");
        kernel.0.borrow_mut().deeds.clear();
        let signaled = Some((process, Signal::KILL.bit()));
        assert_eq!(root.signaled(&SystemEvent { signals: 0, signaled, memory: None }), Ok(()));
        kernel.0.into_inner().deeds
    };
    assert_eq!(dies(late, None), [Deed::Cleared(late), Deed::WillExit(late), Deed::Exited(late)]);
    // The memory server cannot be asked about itself, and need not know everybody.
    assert_eq!(dies(vm, None), [Deed::Cleared(vm)]);
    assert_eq!(dies(late, Some((WillExit::KIND, Errno::Srch))), [Deed::Cleared(late)]);
}

/// What is done about a notification, with more processes waiting for their turn.
fn told(signaled: Option<(Endpoint, u64)>, more: &[(Endpoint, u64)], denies: Option<(Kind, Errno)>) -> Handled {
    let kernel = Shared(RefCell::new(Fake { signaled: more.to_vec(), denies, ..Fake::default() }));
    let result = Root::new(&kernel, &kernel).signaled(&SystemEvent { signals: 0, signaled, memory: None });
    (result, kernel.0.into_inner().deeds)
}

type Handled = (Result<(), Errno>, Vec<Deed>);

#[test]
fn signals_that_end_a_process_clear_it() {
    let (p, q) = (endpoint(4), endpoint(5));
    for signal in [Signal::ILL, Signal::TRAP, Signal::ABRT, Signal::BUS, Signal::FPE, Signal::KILL, Signal::SEGV] {
        assert_eq!(told(Some((p, signal.bit() | 1 << 10)), &[], None), (Ok(()), std::vec![Deed::Cleared(p)]));
    }
    for signal in (1..=Signal::LAST_USER).filter(|n| ![4, 5, 6, 7, 8, 9, 11].contains(n)) {
        assert_eq!(told(Some((p, 1 << signal)), &[], None), (Ok(()), std::vec![Deed::Continued(p)]), "{signal}");
    }
    assert_eq!(told(Some((q, Signal::SEND_DONE.bit())), &[], None).1, [Deed::Continued(q)]);
}

#[test]
fn all_who_have_signals_get_their_turn() {
    let (kill, hup) = (Signal::KILL.bit(), 1 << 1);
    let more = [(endpoint(7), hup), (endpoint(6), kill)];
    let all = [Deed::Cleared(endpoint(8)), Deed::Continued(endpoint(7)), Deed::Cleared(endpoint(6))];
    assert_eq!(told(Some((endpoint(8), kill)), &more, None), (Ok(()), all.to_vec()));
    assert_eq!(told(None, &more, None).1, all[1..]);
    assert_eq!(told(None, &[], None), (Ok(()), std::vec![]));
}

#[test]
fn a_process_that_is_gone_is_no_error_and_a_denied_call_is() {
    let (p, kill) = (endpoint(4), Signal::KILL.bit());
    let more = [(endpoint(5), 1 << 1)];
    let gone = told(Some((p, kill)), &more, Some((Clear::KIND, Errno::Inval)));
    assert_eq!(gone, (Ok(()), std::vec![Deed::Continued(endpoint(5))]));
    for kind in [Clear::KIND, GetKSig::KIND] {
        assert_eq!(told(Some((p, kill)), &more, Some((kind, Errno::CallDenied))).0, Err(Errno::CallDenied));
    }
}

#[test]
fn a_process_that_has_got_another_manager_is_no_error() {
    let more = [(endpoint(6), Signal::KILL.bit())];
    let (result, deeds) = told(Some((endpoint(5), 1 << 1)), &more, Some((EndKSig::KIND, Errno::Perm)));
    assert_eq!((result, &deeds[..]), (Ok(()), &[Deed::Cleared(endpoint(6))][..]));
}

#[test]
fn who_is_no_service_learns_nothing_and_may_do_nothing() {
    use protocol::rs::{Down, GetInit, InitDone, Shutdown, Up};
    let label = abi::boot::BootEntry::encode_name("hello").expect("a name");
    let kernel = Shared(RefCell::new(fake()));
    let mut root = Root::new(&kernel, &kernel);
    let mut asked = |message: Message| {
        let mut request = Message { peer: endpoint(3), tag: 77, ..message };
        assert!(root.answer(&mut request));
        assert_eq!((request.peer, request.tag), (endpoint(3), 77));
        request.kind
    };
    let refused = |errno| Kind::failed(errno);
    assert_eq!(asked(protocol::encode(GetInit::KIND, &GetInit {})), refused(Errno::Perm));
    let done = InitDone { error: 0, reserved: 0, state_grant: GrantId::INVALID, state_len: 0 };
    assert_eq!(asked(protocol::encode(InitDone::KIND, &done)), refused(Errno::Perm));
    assert_eq!(
        asked(protocol::encode(Up::KIND, &Up { program: label, label, arguments: GrantId::INVALID, len: 0 })),
        refused(Errno::NoEnt)
    );
    assert_eq!(asked(protocol::encode(Down::KIND, &Down { label })), refused(Errno::Srch));
    assert_eq!(asked(protocol::encode(Shutdown::KIND, &Shutdown {})), refused(Errno::Perm));
    assert_eq!(asked(Message::new(Endpoint::NONE, Kind(0x7001))), refused(Errno::NoSys));
}
