//! Kernel calls.

use abi::{Endpoint, Errno, Message};
use protocol::kernel::{Abort, AbortHow, BootProgram, Client, GetBootEntry, Identity, Times, WhoAmI};
use protocol::{Transport, getinfo, irqctl, privctl, statectl, trace, vmctl};

pub use rt::exit;

/// Carries the requests of a [`Client`] of the kernel, but not those by which memory of the caller would be written: they fail with
/// `EPERM`. See [`rt::call_unchecked`], and for ports the functions that take memory by reference.
#[derive(Clone, Copy, Debug)]
pub struct KernelTransport;

impl Transport for KernelTransport {
    #[inline]
    fn sendrec(&mut self, _: Endpoint, message: &mut Message) -> Result<(), Errno> {
        rt::kernel_call(message)
    }
}

/// All kernel calls that belong to no group, one method each.
#[must_use]
pub const fn kernel() -> Client<KernelTransport> {
    Client { to: Endpoint::SYSTEM, transport: KernelTransport }
}

macro_rules! groups {
    ($($(#[$doc:meta])* $group:ident)+) => {$(
        $(#[$doc])*
        #[must_use]
        pub const fn $group() -> $group::Client<KernelTransport> {
            $group::Client { to: Endpoint::SYSTEM, transport: KernelTransport }
        }
    )+};
}

groups! {
    /// The kernel calls that give and take privileges.
    privctl
    /// The kernel calls for interrupts.
    irqctl
    /// The kernel calls by which a service changes what others have to do with it.
    statectl
    /// The kernel calls that tell about the system.
    getinfo
    /// The memory server's kernel calls.
    vmctl
    /// The kernel calls of a tracer.
    trace
}

/// Timer ticks since boot.
///
/// # Errors
/// `ECALLDENIED`.
pub fn ticks() -> Result<u64, Errno> {
    kernel().times(Times {}).map(|uptime| uptime.ticks)
}

/// The caller's name and endpoint.
///
/// # Errors
/// `ECALLDENIED`.
pub fn whoami() -> Result<Identity, Errno> {
    kernel().whoami(WhoAmI {})
}

/// Ends the run of the whole system.
pub fn abort(how: AbortHow, status: u32) -> ! {
    let error = kernel().abort(Abort { how, status }).err();
    crate::log!("may not end the run: {}", error.unwrap_or(Errno::Proto));
    exit(1)
}

/// The programs that the system was booted with, in the order of the boot table.
pub fn boot_programs() -> impl Iterator<Item = BootProgram> {
    (0..).map_while(|index| kernel().boot_entry(GetBootEntry { index }).ok())
}

/// The text of a name that the kernel gave out: what comes before the padding.
#[must_use]
pub fn name_of(name: &[u8; abi::boot::NAME_LEN]) -> &str {
    let len = name.iter().position(|&b| b == 0).unwrap_or(name.len());
    core::str::from_utf8(&name[..len]).unwrap_or("?")
}

/// The endpoint of the boot program with this name. It may have ended: then the endpoint is stale, and whoever uses it
/// is told so.
#[must_use]
pub fn lookup(name: &str) -> Option<Endpoint> {
    boot_programs().find(|program| name_of(&program.name) == name).map(|program| program.endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::boot::BootEntry;

    #[test]
    fn names_lose_their_padding() {
        for name in ["a", "echo", "fifteen-letters"] {
            assert_eq!(name_of(&BootEntry::encode_name(name).unwrap()), name);
        }
        assert_eq!(name_of(&[0; 16]), "");
        assert_eq!(name_of(&[b'x'; 16]), "xxxxxxxxxxxxxxxx");
        assert_eq!(name_of(&[0xff; 16]), "?");
    }
}
