//! Kernel calls of a memory server.

use crate::{KernelTransport, vmctl, whoami};
use abi::{Endpoint, Errno, Kind, Message};
use protocol::vmctl::{GetSpaceOf, UnmapRun};
use protocol::{Call, Transport};

/// As [`KernelTransport`], and unmaps pages of other spaces than the caller's own.
#[derive(Clone, Copy, Debug)]
pub struct SpacesTransport {
    own: u64,
}

impl SpacesTransport {
    /// Asks the kernel which space is the caller's.
    ///
    /// # Errors
    /// `ECALLDENIED`.
    pub fn new() -> Result<Self, Errno> {
        let process = whoami()?.endpoint;
        Ok(Self { own: vmctl().space_of(GetSpaceOf { process })?.space })
    }

    /// The caller's own space.
    #[must_use]
    pub fn own(self) -> u64 {
        self.own
    }
}

impl Transport for SpacesTransport {
    #[inline]
    fn sendrec(&mut self, to: Endpoint, message: &mut Message) -> Result<(), Errno> {
        if message.kind != UnmapRun::KIND {
            return KernelTransport.sendrec(to, message);
        }
        let call: UnmapRun = protocol::decode(message)?;
        if call.space == self.own {
            return Err(Errno::Perm);
        }
        // SAFETY: the space is another's. A process does not change its space while it runs, and no name comes twice.
        let reply = unsafe { rt::call_unchecked(&call) }?;
        *message = protocol::encode(Kind::OK, &reply);
        Ok(())
    }
}
