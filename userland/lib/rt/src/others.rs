//! Kernel calls about memory of other processes, which leave that of the caller alone but for what it lends them.

use crate::kernel_call::{call_unchecked, kernel_call, message_unchecked};
use abi::{Endpoint, Errno, Message};
use core::ops::Range;
use protocol::kernel::{MemSet, PhysCopy, VirCopy, WhoAmI};
use protocol::vmctl::{GetSpaceOf, UnmapRun};
use protocol::{Call, Transport};

/// Carries the kernel calls of a memory server: those about others too that would be unsafe about itself.
#[derive(Clone, Copy, Debug)]
pub struct Others {
    me: Endpoint,
    space: u64,
}

impl Others {
    /// Asks the kernel who the caller itself is, and where it lives.
    ///
    /// # Errors
    /// That it may not ask.
    pub fn find() -> Result<Self, Errno> {
        let me = protocol::call(&mut Plain, Endpoint::SYSTEM, &WhoAmI {})?.endpoint;
        let space = protocol::call(&mut Plain, Endpoint::SYSTEM, &GetSpaceOf { process: me })?.space;
        Ok(Self { me, space })
    }

    /// Where the caller lives.
    #[must_use]
    pub const fn own_space(&self) -> u64 {
        self.space
    }

    fn is_another(&self, process: Endpoint) -> bool {
        // Physical memory might be the caller's.
        ![self.me, Endpoint::SELF, Endpoint::NONE].contains(&process)
    }
}

impl Transport for Others {
    #[inline]
    fn sendrec(&mut self, _: Endpoint, message: &mut Message) -> Result<(), Errno> {
        let is_about_another = match message.kind {
            UnmapRun::KIND => protocol::decode::<UnmapRun>(message).is_ok_and(|call| call.space != self.space),
            PhysCopy::KIND => protocol::decode::<PhysCopy>(message).is_ok_and(|call| self.is_another(call.destination)),
            _ => return kernel_call(message),
        };
        if !is_about_another {
            return Err(Errno::Perm);
        }
        // SAFETY: the call writes memory of another process, or takes pages from another space.
        unsafe { message_unchecked(message) }
    }
}

/// Carries harmless calls.
struct Plain;

impl Transport for Plain {
    fn sendrec(&mut self, _: Endpoint, message: &mut Message) -> Result<(), Errno> {
        kernel_call(message)
    }
}

/// Refuses the caller itself, by whatever name.
fn check_another(process: Endpoint) -> Result<(), Errno> {
    let me = protocol::call(&mut Plain, Endpoint::SYSTEM, &WhoAmI {})?.endpoint;
    let caller = Others { me, space: 0 };
    if caller.is_another(process) { Ok(()) } else { Err(Errno::Perm) }
}

/// Writes memory of another process.
///
/// # Errors
/// Those of [`VirCopy`], and `EPERM` for memory of the caller.
pub fn write_to(process: Endpoint, address: u64, bytes: &[u8]) -> Result<(), Errno> {
    check_another(process)?;
    let mut done = 0;
    while done < bytes.len() as u64 {
        let (from, to, len) = (bytes.as_ptr() as u64 + done, address + done, bytes.len() as u64 - done);
        let call = VirCopy { source: Endpoint::SELF, destination: process, from, to, len, flags: 0 };
        // SAFETY: memory of another process is written.
        done += unsafe { call_unchecked(&call) }?.done;
    }
    Ok(())
}

/// Fills memory of the caller with what another process has at an address.
///
/// # Errors
/// Those of [`VirCopy`].
pub fn read_from(process: Endpoint, address: u64, into: &mut [u8]) -> Result<(), Errno> {
    let mut done = 0;
    while done < into.len() as u64 {
        let (from, to, len) = (address + done, into.as_mut_ptr() as u64 + done, into.len() as u64 - done);
        let call = VirCopy { source: process, destination: Endpoint::SELF, from, to, len, flags: 0 };
        // SAFETY: what is written is borrowed for that, and takes any bytes.
        done += unsafe { call_unchecked(&call) }?.done;
    }
    Ok(())
}

/// Fills memory of another process with a byte.
///
/// # Errors
/// Those of [`MemSet`], and `EPERM` for memory of the caller.
pub fn fill_in(process: Endpoint, range: Range<u64>, byte: u8) -> Result<(), Errno> {
    check_another(process)?;
    let Range { mut start, end } = range;
    while start < end {
        let call = MemSet { process, byte: byte.into(), address: start, len: end - start };
        // SAFETY: memory of another process is written.
        start += unsafe { call_unchecked(&call) }?.done;
    }
    Ok(())
}

/// Fills memory of the caller with what is at a physical address.
///
/// # Errors
/// Those of [`PhysCopy`].
pub fn read_physical(address: u64, into: &mut [u8]) -> Result<(), Errno> {
    let mut done = 0;
    while done < into.len() as u64 {
        let (from, to, len) = (address + done, into.as_mut_ptr() as u64 + done, into.len() as u64 - done);
        let call = PhysCopy { source: Endpoint::NONE, destination: Endpoint::SELF, from, to, len, flags: 0 };
        // SAFETY: what is written is borrowed for that, and takes any bytes.
        done += unsafe { call_unchecked(&call) }?.done;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_about_oneself_are_not_made() {
        let me = Endpoint::from_raw(5);
        let mut others = Others { me, space: 7 };
        let unmap = UnmapRun { space: 7, address: 0x1_0000, count: 1, reserved: 0 };
        let mut message = protocol::encode(UnmapRun::KIND, &unmap);
        assert_eq!(others.sendrec(Endpoint::SYSTEM, &mut message), Err(Errno::Perm));
        for destination in [me, Endpoint::SELF, Endpoint::NONE] {
            let copy = PhysCopy { source: Endpoint::NONE, destination, from: 0, to: 0, len: 1, flags: 0 };
            let mut message = protocol::encode(PhysCopy::KIND, &copy);
            assert_eq!(others.sendrec(Endpoint::SYSTEM, &mut message), Err(Errno::Perm));
            assert!(!others.is_another(destination));
        }
        // Nor are the others that could write.
        let mut message = protocol::encode(
            VirCopy::KIND,
            &VirCopy { source: Endpoint::SELF, destination: Endpoint::from_raw(6), from: 0, to: 0, len: 1, flags: 0 },
        );
        assert_eq!(others.sendrec(Endpoint::SYSTEM, &mut message), Err(Errno::Perm));
    }
}
