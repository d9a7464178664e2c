//! Files that came with the boot.

use crate::kernel_call::kernel_call;
use crate::trap::sendrec;
use abi::boot::BootFlags;
use abi::layout::{PAGE_SIZE, USER_END, USER_START};
use abi::{Endpoint, Errno, Message};
use protocol::getinfo::GetBootPolicy;
use protocol::vm::TakeBootFile;
use protocol::{Call, Transport};

/// Takes over the file at a place of the boot table from the memory server: it is the caller's to read from now on.
///
/// # Errors
/// Those of [`TakeBootFile`], `ESRCH` if there is no memory server, and those of the way to it.
pub fn boot_file(place: u64) -> Result<&'static [u8], Errno> {
    let mut message = protocol::encode(TakeBootFile::KIND, &TakeBootFile { index: place });
    message.peer = memory_server()?;
    sendrec(&mut message)?;
    message.kind.status().ok_or(Errno::Proto)??;
    let taken: <TakeBootFile as Call>::Reply = protocol::decode(&message).map_err(|_| Errno::Proto)?;
    let end = taken.address.checked_add(taken.len).ok_or(Errno::Proto)?;
    if taken.address < USER_START || end > USER_END || !taken.address.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::Proto);
    }
    // SAFETY: the memory server, on which all memory of the program depends, has put the file into a region of its own that can only be
    // read, and stays there as long as nobody unmaps it: the address is known here alone.
    Ok(unsafe { core::slice::from_raw_parts(taken.address as *const u8, taken.len as usize) })
}

/// The memory server, which the boot table names.
fn memory_server() -> Result<Endpoint, Errno> {
    for index in 0.. {
        let policy = match protocol::call(&mut Kernel, Endpoint::SYSTEM, &GetBootPolicy { index }) {
            Err(Errno::Dom) => break,
            policy => policy?,
        };
        if policy.flags & BootFlags::PAGER.bits() != 0 {
            return Ok(policy.endpoint);
        }
    }
    Err(Errno::Srch)
}

/// Carries harmless kernel calls.
struct Kernel;

impl Transport for Kernel {
    fn sendrec(&mut self, _: Endpoint, message: &mut Message) -> Result<(), Errno> {
        kernel_call(message)
    }
}
