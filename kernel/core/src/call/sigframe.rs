//! Signal handlers: a frame with the registers goes on the stack, and comes back from there.

use super::{Context, Stop};
use crate::process::Pending;
use crate::{Frame, Machine, MemoryAccess, Slot};
use abi::layout::{PAGE_SIZE, USER_END, USER_START};
use abi::{Endpoint, Errno, Signal, SignalFrame};
use protocol::kernel::*;
use zerocopy::{FromZeros, IntoBytes};

/// Bytes below the stack pointer that a function may use (System V ABI for AMD64, 3.2.2).
const RED_ZONE: u64 = 128;
/// Most bytes that UMAP looks at.
const MAX_UMAP: u64 = 512 * PAGE_SIZE;

impl<M: Machine> Context<'_, '_, M> {
    pub(super) fn send_signal(&mut self, call: &SigSend) -> Result<SigSent, Stop> {
        let slot = self.idle_for_signal(call.process)?;
        let signal = Signal::from_user(call.signal).ok_or(Errno::Inval)?;
        if !is_code(call.handler) || !is_code(call.trampoline) {
            return Err(Errno::Inval.into());
        }
        let p = self.kernel.process(slot);
        let mut before = p.frame.clone();
        // A kernel call that has its memory now, and was to go on: it starts again after the handler.
        if p.pending.contains(Pending::CALL) {
            before.rewind_trap();
        }
        let context = before.context();
        let frame = SignalFrame { magic: SignalFrame::MAGIC, mask: call.mask, context };
        const SIZE: u64 = size_of::<SignalFrame>() as u64;
        // The handler finds its stack as after a call: the return address at the top, aligned but for that.
        let at = context.rsp.checked_sub(RED_ZONE + SIZE).ok_or(Errno::Fault)? & !0xf;
        let top = at.checked_sub(size_of::<u64>() as u64).ok_or(Errno::Fault)?;
        let mut bytes = [0; size_of::<SignalFrame>() + size_of::<u64>()];
        bytes[..size_of::<u64>()].copy_from_slice(&call.trampoline.to_le_bytes());
        bytes[size_of::<u64>()..].copy_from_slice(frame.as_bytes());
        self.reach(slot, top, bytes.len() as u64, MemoryAccess::Write)?;
        self.write(slot, top, &bytes)?;
        let p = self.kernel.process_mut(slot);
        p.pending.remove(Pending::CALL);
        p.frame.handle_signal(call.handler, top, signal, at);
        Ok(SigSent { frame: at })
    }

    pub(super) fn return_from_signal(&mut self, call: &SigReturn) -> Result<SigReturned, Stop> {
        let slot = self.idle_for_signal(call.process)?;
        let mut frame = SignalFrame::new_zeroed();
        self.read(slot, call.frame, frame.as_mut_bytes())?;
        if frame.magic != SignalFrame::MAGIC || !is_code(frame.context.rip) {
            return Err(Errno::Inval.into());
        }
        let p = self.kernel.process_mut(slot);
        p.pending.remove(Pending::CALL);
        p.frame.set_context(&frame.context);
        Ok(SigReturned { mask: frame.mask })
    }

    /// A process whose registers are its own: it neither runs nor waits for a message, which would be put into them.
    fn idle_for_signal(&self, process: Endpoint) -> Result<Slot, Errno> {
        let slot = self.kernel.named(process)?;
        if self.kernel.is_stopped(slot) && !self.kernel.waits_in_trap(slot) { Ok(slot) } else { Err(Errno::Busy) }
    }

    pub(super) fn find_memory(&mut self, call: &UMap) -> Result<UMapped, Stop> {
        let len = call.len;
        if len == 0 || len > MAX_UMAP {
            return Err(Errno::Inval.into());
        }
        self.reach(self.me, call.address, len, MemoryAccess::Read)?;
        let space = self.kernel.process(self.me).space.ok_or(Errno::Fault)?;
        let name = self.kernel.spaces.name(space.id());
        let offset = call.address % PAGE_SIZE;
        let (first, pages) = (call.address - offset, (offset + len).div_ceil(PAGE_SIZE));
        let start = self.kernel.spaces.query(self.machine, name, first)?;
        let mut found = start.count;
        // A run may be told in several parts.
        while found < pages {
            let next = self.kernel.spaces.query(self.machine, name, first + found * PAGE_SIZE)?;
            if next.frame != start.frame + found * PAGE_SIZE {
                return Err(Errno::Fault.into());
            }
            found += next.count;
        }
        Ok(UMapped { physical: start.frame + offset })
    }
}

fn is_code(address: u64) -> bool {
    (USER_START..USER_END).contains(&address)
}
