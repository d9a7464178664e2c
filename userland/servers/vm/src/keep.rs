//! Memory that is made available beforehand, and stays so.

use crate::asks::{MOST_OF_ONE, Who};
use crate::heap::{Heap, bytes_for_entry};
use crate::map::with_tables;
use crate::process::{Fix, Memory};
use crate::{Need, Vm};
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno};
use core::ops::Range;
use protocol::vm::{Fix as FixCall, Fixed};
use protocol::vmctl::Access;
use protocol::{Answer, Caller, Transport};

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

/// What becomes of a [`FixCall`] that is right.
enum Fixing {
    /// All is there.
    Done,
    /// A file is read first.
    Waits,
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

    /// # Errors
    /// `ENOMEM` if it is one too many.
    fn check_fix(&self, fix: &Fix) -> Result<(), Errno> {
        let has_room = self.fixes.len() < MOST_FIXES || self.fixes.contains_key(fix);
        if has_room { Ok(()) } else { Err(Errno::NoMem) }
    }
}

impl<T: Transport + Copy, H: Heap> Vm<T, H> {
    pub(crate) fn do_fix(&mut self, caller: Caller, call: &FixCall) -> Answer<Fixed> {
        let fixed = self.with_cache_for(|vm| vm.fix_or_wait(caller, call));
        let fixed = match fixed {
            Ok(Fixing::Waits) => return Answer::Later,
            Ok(Fixing::Done) => Ok(Fixed {}),
            Err(error) => Err(error),
        };
        // The file server must not wait for what it may have to read itself: it is told each time as if it had not waited.
        if self.file_server() == Some(caller.endpoint) && self.make_room_from_last().is_ok() {
            self.answer_later(caller, fixed);
            return Answer::Later;
        }
        fixed.into()
    }

    fn fix_or_wait(&mut self, caller: Caller, call: &FixCall) -> Result<Fixing, Errno> {
        let target = self.target(caller.endpoint, call.process)?;
        let (fix, need) = fix_of(call)?;
        let pages = fix.0..fix.1;
        let memory = &self.processes.get_mut(target)?.memory;
        if !memory.permits(pages.clone(), need) {
            return Err(Errno::Fault);
        }
        memory.check_fix(&fix)?;
        let supplied = self.supply(target, pages.clone(), need);
        if supplied != Err(Errno::Again) {
            return supplied.and_then(|()| self.note_fix(target, fix)).map(|()| Fixing::Done);
        }
        self.objects.files.missing = None;
        if self.objects.files.asks.calls_of(caller.endpoint) >= MOST_OF_ONE {
            return Err(Errno::NoMem);
        }
        self.wait_for(Who::Fix(caller, fix), target, pages, need).map(|()| Fixing::Waits)
    }

    /// A range of a process is there, and stays so.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn note_fix(&mut self, process: Endpoint, fix: Fix) -> Result<(), Errno> {
        self.processes.get_mut(process)?.memory.check_fix(&fix)?;
        self.machine.reserve(bytes_for_entry::<Fix, u32>())?;
        let times = self.processes.get_mut(process)?.memory.fixes.entry(fix).or_insert(0);
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
        let wanted = with_tables(memory.lacking());
        if memory.lacking() > 0 && wanted > available {
            self.machine.frames.note_lack(wanted);
            return Err(Errno::NoMem);
        }
        let Self { processes, machine, objects, .. } = self;
        let memory = &mut processes.get_mut(process)?.memory;
        let mut next = 0;
        while let Some((start, region)) = memory.regions.next(next) {
            let need = if region.access == Access::Write { Need::Write } else { Need::Read };
            let end = region.end.min(start.saturating_add(region.kind.pages_with_contents()));
            let supplied = memory.supply(machine, objects, start..end, need);
            objects.files.missing = None;
            supplied?;
            next = region.end;
        }
        memory.is_pinned = true;
        Ok(())
    }
}
