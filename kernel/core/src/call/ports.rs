//! I/O ports for drivers.

use super::{Context, Stop};
use crate::devices::Width;
use crate::{Machine, MemoryAccess};
use abi::Errno;
use protocol::kernel::*;
use zerocopy::{FromZeros, IntoBytes};

/// Most bytes of a string of accesses.
const STRING_BYTES: usize = MAX_PORT_STRING as usize * size_of::<u32>();

fn decode(access: PortAccess) -> (Width, bool) {
    match access {
        PortAccess::Read8 => (Width::Byte, false),
        PortAccess::Read16 => (Width::Word, false),
        PortAccess::Read32 => (Width::Long, false),
        PortAccess::Write8 => (Width::Byte, true),
        PortAccess::Write16 => (Width::Word, true),
        PortAccess::Write32 => (Width::Long, true),
    }
}

impl<M: Machine> Context<'_, '_, M> {
    /// The number of a port that the caller may access with this width.
    fn port(&mut self, port: u32, width: Width) -> Result<u16, Errno> {
        let resources = &self.kernel.privileges(self.me).resources;
        let number = u16::try_from(port).ok().filter(|number| self.machine.may_access(resources, *number, width));
        if number.is_none() {
            self.kernel.note_port(self.me, port);
        }
        number.ok_or(Errno::Perm)
    }

    pub(super) fn port_access(&mut self, call: DevIo) -> Result<DevIoDone, Errno> {
        let (width, writes) = decode(call.access);
        let port = self.port(call.port, width)?;
        if writes {
            self.machine.port_out(port, width, call.value);
            return Ok(DevIoDone { value: call.value });
        }
        Ok(DevIoDone { value: self.machine.port_in(port, width) })
    }

    pub(super) fn port_string(&mut self, call: SDevIo) -> Result<SDevIoDone, Stop> {
        let (width, writes) = decode(call.access);
        let port = self.port(call.port, width)?;
        if call.count == 0 || call.count > MAX_PORT_STRING {
            return Err(Errno::Inval.into());
        }
        let size = usize::from(width.bytes());
        let mut buffer = [0; STRING_BYTES];
        let bytes = &mut buffer[..call.count as usize * size];
        if writes {
            self.read(self.me, call.address, bytes)?;
            for word in bytes.chunks(size) {
                let mut value = 0u32;
                value.as_mut_bytes()[..size].copy_from_slice(word);
                self.machine.port_out(port, width, value);
            }
            return Ok(SDevIoDone {});
        }
        self.reach(self.me, call.address, bytes.len() as u64, MemoryAccess::Write)?;
        for word in bytes.chunks_mut(size) {
            word.copy_from_slice(&self.machine.port_in(port, width).as_bytes()[..size]);
        }
        self.write(self.me, call.address, bytes)?;
        Ok(SDevIoDone {})
    }

    pub(super) fn port_list(&mut self, call: VDevIo) -> Result<VDevIoDone, Stop> {
        let (width, writes) = decode(call.access);
        if call.count == 0 {
            return Err(Errno::Inval.into());
        }
        if call.count > MAX_PORT_LIST {
            return Err(Errno::TooBig.into());
        }
        let mut list = [PortValue::new_zeroed(); MAX_PORT_LIST as usize];
        let list = &mut list[..call.count as usize];
        self.read(self.me, call.address, list.as_mut_bytes())?;
        for entry in &*list {
            self.port(entry.port, width)?;
        }
        if !writes {
            self.reach(self.me, call.address, size_of_val(list) as u64, MemoryAccess::Write)?;
        }
        for PortValue { port, value } in list.iter_mut() {
            let number = self.port(*port, width)?;
            if writes {
                self.machine.port_out(number, width, *value);
            } else {
                *value = self.machine.port_in(number, width);
            }
        }
        if !writes {
            self.write(self.me, call.address, list.as_bytes())?;
        }
        Ok(VDevIoDone {})
    }
}
