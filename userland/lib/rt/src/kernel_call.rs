//! Kernel calls, and which of them a safe function can make.
//!
//! A kernel call that takes an address acts on the memory there as a device would. Where it only reads, that harms nobody; where it
//! writes memory of the caller, or takes it away, whoever makes it has to know that nothing in the program relies on that memory. So those
//! are made by an unsafe function, or by one that takes the memory by reference.

use crate::trap::trap_unchecked_message;
use abi::{Endpoint, Errno, Kind, Message, Trap};
use protocol::kernel::{GROUP_SPAN, GROUPS, PROTOCOL};
use protocol::{Call, Protocol, Transport};

/// Calls that write memory of the caller, or may put other memory in its place, or let others do that.
const WRITES: &[&str] = &[
    "kernel.memset",
    "kernel.vircopy",
    "kernel.physcopy",
    "kernel.sdevio",
    "kernel.vdevio",
    "kernel.safecopyfrom",
    "kernel.vsafecopy",
    "kernel.setgrant",
    "kernel.safemap",
    "vmctl.unmap",
    "trace.poke",
];

/// Calls and whole protocols that do not: those that only read memory, and those that change that of
/// others, or what was granted.
const HARMLESS: &[&str] = &[
    "kernel.fork",
    "kernel.exec",
    "kernel.clear",
    "kernel.schedule",
    "kernel.kill",
    "kernel.getksig",
    "kernel.endksig",
    "kernel.sigsend",
    "kernel.sigreturn",
    "kernel.umap",
    "kernel.devio",
    "kernel.setalarm",
    "kernel.times",
    "kernel.boot_entry",
    "kernel.abort",
    "kernel.whoami",
    "kernel.settime",
    "kernel.diag_write",
    "kernel.runctl",
    "kernel.update",
    "kernel.exit",
    "kernel.safecopyto",
    "kernel.safememset",
    "kernel.saferevmap",
    "kernel.safeunmap",
    "kernel.saferevmap_at",
    "kernel.schedctl",
    "privctl",
    "irqctl",
    "statectl",
    "getinfo",
    "vmctl.create",
    "vmctl.destroy",
    "vmctl.map",
    "vmctl.protect",
    "vmctl.query",
    "vmctl.claim",
    "vmctl.give_back",
    "vmctl.donate",
    "vmctl.release",
    "vmctl.frame_info",
    "vmctl.settle",
    "vmctl.clear_page_fault",
    "vmctl.next_event",
    "vmctl.answer_request",
    "vmctl.space_of",
    "vmctl.share",
    "vmctl.pin",
    "vmctl.unpin",
    "vmctl.boot_file",
    "vmctl.copy",
    "vmctl.supply",
    "vmctl.supply_copy",
    "vmctl.part",
    "trace.stop",
    "trace.resume",
    "trace.detach",
    "trace.step",
    "trace.until_trap",
    "trace.peek",
    "trace.get_register",
    "trace.set_register",
];

const KINDS: usize = GROUP_SPAN as usize * (GROUPS.len() + 1);

/// Whether the call with each number above the base of kernel calls is harmless. A number that is no call is: the kernel refuses it.
const TABLE: [bool; KINDS] = {
    let mut table = classify(&PROTOCOL, [true; KINDS]);
    let mut group = 0;
    while group < GROUPS.len() {
        table = classify(&GROUPS[group].protocol, table);
        group += 1;
    }
    table
};

const fn classify(protocol: &Protocol, mut table: [bool; KINDS]) -> [bool; KINDS] {
    let mut i = 0;
    while i < protocol.calls.len() {
        let call = &protocol.calls[i];
        let writes = contains(WRITES, call.name);
        let harmless = contains(HARMLESS, call.name) || contains(HARMLESS, protocol.name);
        if writes == harmless {
            panic!("{}", call.name) // Each call stands in one of the lists above.
        }
        table[(protocol.base - PROTOCOL.base + call.number) as usize] = harmless;
        i += 1;
    }
    table
}

const fn contains(list: &[&str], name: &str) -> bool {
    let mut i = 0;
    while i < list.len() {
        if equal(list[i].as_bytes(), name.as_bytes()) {
            return true;
        }
        i += 1;
    }
    false
}

const fn equal(a: &[u8], b: &[u8]) -> bool {
    let mut i = 0;
    while i < a.len() && i < b.len() && a[i] == b[i] {
        i += 1;
    }
    i == a.len() && i == b.len()
}

/// Whether the kernel call of this kind leaves memory of the caller alone.
#[inline]
pub(crate) fn is_harmless(kind: Kind) -> bool {
    let offset = usize::from(kind.0.wrapping_sub(PROTOCOL.base));
    offset >= KINDS || TABLE[offset]
}

/// Makes the kernel call that is in `message` and replaces it by the answer.
///
/// # Errors
/// `ECALLDENIED`, `EBADREQUEST`, or what the call itself fails with; the message is then as it was. `EPERM`, and the call is not made,
/// for one that may write memory of the caller: see [`call_unchecked`].
#[inline]
pub fn kernel_call(message: &mut Message) -> Result<(), Errno> {
    if !is_harmless(message.kind) {
        return Err(Errno::Perm);
    }
    // SAFETY: the call leaves memory of the caller alone.
    unsafe { message_unchecked(message) }
}

/// The same for any call, without the check.
///
/// # Safety
/// Nothing in the program relies on the memory of its own that the call writes or takes away.
///
/// # Errors
/// Those of the call.
#[inline]
pub(crate) unsafe fn message_unchecked(message: &mut Message) -> Result<(), Errno> {
    // SAFETY: as the caller says.
    *message = unsafe { trap_unchecked_message(Trap::KernelCall, message, Endpoint::NONE) }?.message;
    Ok(())
}

/// Makes any kernel call.
///
/// # Safety
/// Nothing in the program relies on the memory of its own that the call writes or takes away.
///
/// # Errors
/// Those of the call.
#[inline]
pub unsafe fn call_unchecked<C: Call>(request: &C) -> Result<C::Reply, Errno> {
    struct Unchecked;
    impl Transport for Unchecked {
        fn sendrec(&mut self, _: Endpoint, message: &mut Message) -> Result<(), Errno> {
            // SAFETY: the only request that comes here is that of `call_unchecked`, whose caller vouches for it.
            unsafe { message_unchecked(message) }
        }
    }
    protocol::call(&mut Unchecked, Endpoint::SYSTEM, request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::kernel::{DiagWrite, MemSet, SDevIo, Times, VDevIo};
    use protocol::trace::{Peek, Poke};
    use protocol::vmctl::{MapRun, UnmapRun};

    #[test]
    fn calls_that_write_memory_of_the_caller_are_told_apart() {
        for writes in [MemSet::KIND, SDevIo::KIND, VDevIo::KIND, Poke::KIND, UnmapRun::KIND] {
            assert!(!is_harmless(writes), "{writes:?}");
        }
        for harmless in [Times::KIND, DiagWrite::KIND, Peek::KIND, MapRun::KIND, Kind(0), Kind(0x601 - 2), Kind(0xffff)]
        {
            assert!(is_harmless(harmless), "{harmless:?}");
        }
    }

    #[test]
    fn such_a_call_is_not_made() {
        let call = MemSet { process: Endpoint::SELF, byte: 0, address: 8, len: 8 };
        let before = protocol::encode(MemSet::KIND, &call);
        let mut message = before;
        assert_eq!((kernel_call(&mut message), message), (Err(Errno::Perm), before));
    }

    #[test]
    fn names_are_compared_whole() {
        assert!(contains(&["a", "ab"], "ab") && !contains(&["a", "abc"], "ab") && !contains(&[], "a"));
    }
}
