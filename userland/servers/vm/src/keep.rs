//! Memory that is made available beforehand, and stays so.

use crate::heap::{Heap, bytes_for_entry};
use crate::map::with_tables;
use crate::process::{Fix, Memory};
use crate::{Need, Vm};
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno};
use core::ops::Range;
use protocol::Transport;
use protocol::vm::Fix as FixCall;
use protocol::vmctl::Access;

/// Most ranges of a process that are fixed.
const MOST_FIXES: usize = 256;

/// The pages that some bytes are in.
///
/// # Errors
/// `EINVAL` for no bytes or more than there are addresses.
fn pages_around(address: u64, len: u64) -> Result<Range<u64>, Errno> {
    let end = address.checked_add(len).filter(|_| len > 0).ok_or(Errno::Inval)?;
    Ok(address / PAGE_SIZE..end.div_ceil(PAGE_SIZE))
}

fn fix_of(call: &FixCall) -> Result<(Fix, Need), Errno> {
    let need = match call.write {
        0 => Need::Read,
        1 => Need::Write,
        _ => return Err(Errno::Inval),
    };
    let pages = pages_around(call.address, call.len)?;
    Ok(((pages.start, pages.end, need == Need::Write), need))
}

impl Memory {
    /// How many pages of all regions are not there, or not its own.
    fn lacking(&self) -> u64 {
        self.mapped.saturating_sub(self.pages.len())
    }
}

impl<T: Transport + Copy, H: Heap> Vm<T, H> {
    pub(crate) fn do_fix(&mut self, caller: Endpoint, call: &FixCall) -> Result<(), Errno> {
        let target = self.target(caller, call.process)?;
        let (fix, need) = fix_of(call)?;
        let pages = fix.0..fix.1;
        let memory = &self.processes.get_mut(target)?.memory;
        if !memory.permits(pages.clone(), need) {
            return Err(Errno::Fault);
        }
        if memory.fixes.len() >= MOST_FIXES && !memory.fixes.contains_key(&fix) {
            return Err(Errno::NoMem);
        }
        self.supply(target, pages, need)?;
        self.machine.reserve(bytes_for_entry::<Fix, u32>())?;
        let times = self.processes.get_mut(target)?.memory.fixes.entry(fix).or_insert(0);
        *times = times.saturating_add(1);
        Ok(())
    }

    pub(crate) fn do_unfix(&mut self, caller: Endpoint, call: &FixCall) -> Result<(), Errno> {
        let target = self.target(caller, call.process)?;
        let (fix, _) = fix_of(call)?;
        let fixes = &mut self.processes.get_mut(target)?.memory.fixes;
        let times = fixes.get_mut(&fix).ok_or(Errno::Inval)?;
        *times -= 1;
        if *times == 0 {
            fixes.remove(&fix);
        }
        Ok(())
    }

    pub(crate) fn do_pin(&mut self, process: Endpoint) -> Result<(), Errno> {
        let available = self.machine.frames.available();
        let memory = &mut self.processes.get_mut(process)?.memory;
        if memory.lacking() > 0 && with_tables(memory.lacking()) > available {
            return Err(Errno::NoMem);
        }
        let Self { processes, machine, objects, .. } = self;
        let memory = &mut processes.get_mut(process)?.memory;
        let mut next = 0;
        while let Some((start, region)) = memory.regions.next(next) {
            let need = if region.access == Access::Write { Need::Write } else { Need::Read };
            memory.supply(machine, objects, start..region.end, need)?;
            next = region.end;
        }
        memory.is_pinned = true;
        Ok(())
    }
}
