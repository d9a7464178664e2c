//! Kernel calls.

use crate::peers::{Peer, WORDS, me, program};
use abi::{Endpoint, Errno, Kind, Message, Trap};
use protocol::Call;
use protocol::kernel::{Abort, DiagWrite, GROUPS, GetBootEntry, MAX_DIAG, PROTOCOL, Times};
use suite::{Outcome, check, check_eq};

pub(crate) fn every_unknown_number() -> Outcome {
    let all = || GROUPS.iter().map(|group| &group.protocol).chain([&PROTOCOL]);
    let known = |kind: u16| all().any(|p| p.calls.iter().any(|call| p.base + call.number == kind));
    for kind in (0..=u16::MAX).filter(|&kind| !known(kind)) {
        let before = Message { body: peer::body(WORDS), tag: kind, ..Message::new(Endpoint::SYSTEM, Kind(kind)) };
        let mut message = before;
        check_eq!(rt::kernel_call(&mut message), Err(Errno::BadRequest));
        check_eq!(message, before);
    }
    Ok(())
}

pub(crate) fn a_call_outside_the_mask() -> Outcome {
    let bound = Peer::named("bound")?;
    for kind in [Times::KIND, Abort::KIND] {
        let perform = peer::Perform {
            rsi: kind.0.into(),
            ..peer::Perform::new(Trap::KernelCall, Endpoint::SYSTEM, Endpoint::NONE, [2, 0, 0])
        };
        bound.perform_raw(&perform)?;
        check_eq!(bound.result()?, Err(Errno::CallDenied));
        check_eq!(bound.outcome()?.digest, peer::digest(&peer::body([2, 0, 0])));
    }
    Ok(())
}

pub(crate) fn arguments_that_are_none() -> Outcome {
    for how in [3, 4, 0x100, u32::MAX] {
        let mut message = Message { body: [u64::from(how); 7], ..Message::new(Endpoint::SYSTEM, Abort::KIND) };
        let result = rt::kernel_call(&mut message);
        check_eq!(result, Err(Errno::Inval));
    }
    let text = [b'x'; MAX_DIAG + 1];
    for len in [0, MAX_DIAG as u64 + 1, 1 << 32, u64::MAX] {
        let call = DiagWrite { address: text.as_ptr() as u64, len };
        check_eq!(sys::kernel().diag_write(call).map(drop), Err(Errno::Inval));
    }
    for index in [sys::boot_programs().count() as u64, 64, 1 << 32, u64::MAX] {
        check_eq!(sys::kernel().boot_entry(GetBootEntry { index }).map(drop), Err(Errno::Dom));
    }
    Ok(())
}

pub(crate) fn text_that_cannot_be_read() -> Outcome {
    let kernel = [0xffff_8000_0000_0000, 0xffff_8000_0010_0000, 0xffff_ffff_8000_0000, 0xffff_ffff_8010_0000];
    let gaps = [0, 8, 0xffff, 0x7fff_ffff_f000, 0x7fff_ffff_ffff, 0x8000_0000_0000, 0xffff_7fff_ffff_ffff];
    let ends = [abi::layout::STACK_TOP - 8, u64::MAX - 7, u64::MAX];
    for address in kernel.into_iter().chain(gaps).chain(ends) {
        let result = sys::kernel().diag_write(DiagWrite { address, len: 16 }).map(drop);
        check!(result == Err(Errno::Fault), "{address:#x}: {result:?}");
    }
    Ok(())
}

pub(crate) fn the_boot_table_is_told() -> Outcome {
    let own = sys::whoami()?;
    check_eq!(sys::name_of(&own.name), peer::SUITE);
    check_eq!(program(peer::SUITE)?, own.endpoint);
    check_eq!(me()?, Endpoint::from_raw(0));
    for (index, entry) in sys::boot_programs().enumerate() {
        check_eq!(entry.endpoint, Endpoint::from_raw(index as u32));
        check_eq!(sys::lookup(sys::name_of(&entry.name)), Some(entry.endpoint));
    }
    check_eq!(sys::lookup("nobody"), None);
    Ok(())
}

pub(crate) fn time_goes_on() -> Outcome {
    let start = sys::kernel().times(Times {})?;
    check!(start.hz > 0);
    let mut last = start.ticks;
    while last < start.ticks + 3 {
        let now = sys::ticks()?;
        check!(now >= last, "time went back from {last} to {now}");
        last = now;
    }
    Ok(())
}
