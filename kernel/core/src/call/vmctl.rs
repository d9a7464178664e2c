//! Address spaces and memory events, for the memory server.

use super::Context;
use crate::spaces::{Home, Mapped};
use crate::{Kernel, Machine, Rts, Slot, Spaces};
use abi::{Endpoint, Errno};
use core::ops::Range;
use protocol::vmctl::*;
use protocol::{Answer, Caller};

impl<M: Machine> Server for Context<'_, '_, M> {
    fn create(&mut self, _: Caller, call: CreateSpace) -> Answer<SpaceCreated> {
        self.kernel.spaces.create(self.machine, call.root).map(|space| SpaceCreated { space }).into()
    }

    fn destroy(&mut self, _: Caller, call: DestroySpace) -> Answer<SpaceDestroyed> {
        let more = self.kernel.spaces.destroy(self.machine, call.space);
        more.map(|more| SpaceDestroyed { more: more.into() }).into()
    }

    fn map(&mut self, _: Caller, call: MapRun) -> Answer<RunMapped> {
        let mapped = match call.backing {
            Backing::Memory => self.kernel.spaces.map(self.machine, &call, |_| true),
            Backing::Device => self.map_device(&call),
        };
        mapped.map(|mapped| RunMapped { done: mapped.done, lacks: mapped.lacks }).into()
    }

    fn unmap(&mut self, _: Caller, call: UnmapRun) -> Answer<RunUnmapped> {
        let unmapped = self.kernel.spaces.unmap(self.machine, call.space, call.address, call.count);
        unmapped.map(|unmapped| RunUnmapped { unmapped }).into()
    }

    fn protect(&mut self, _: Caller, call: ProtectRun) -> Answer<RunProtected> {
        let ProtectRun { space, address, count, access } = call;
        let protected = self.kernel.spaces.protect(self.machine, space, address, count, access);
        protected.map(|protected| RunProtected { protected }).into()
    }

    fn query(&mut self, _: Caller, call: QueryRun) -> Answer<RunFound> {
        self.kernel.spaces.query(self.machine, call.space, call.address).into()
    }

    fn claim(&mut self, _: Caller, call: Claim) -> Answer<Claimed> {
        self.kernel.spaces.claim(call.count).map(|(first, count)| Claimed { first, count }).into()
    }

    fn give_back(&mut self, _: Caller, call: GiveBack) -> Answer<GivenBack> {
        self.kernel.spaces.give_back(call.first, call.count).map(|done| GivenBack { done }).into()
    }

    fn donate(&mut self, _: Caller, call: Donate) -> Answer<Donated> {
        let done = self.kernel.spaces.donate(self.machine, call.space, call.first, call.count);
        done.map(|done| Donated { done }).into()
    }

    fn release(&mut self, _: Caller, call: Release) -> Answer<Released> {
        self.kernel.spaces.release(call.first, call.count).map(|done| Released { done }).into()
    }

    fn frame_info(&mut self, _: Caller, call: GetFrameInfo) -> Answer<FrameUse> {
        self.kernel.spaces.frame_info(call.frame).into()
    }

    fn settle(&mut self, _: Caller, call: Settle) -> Answer<Settled> {
        let slot = self.kernel.named(call.process);
        slot.and_then(|slot| self.kernel.settle(self.machine, slot, call.space)).map(|()| Settled {}).into()
    }

    fn clear_page_fault(&mut self, _: Caller, call: ClearPageFault) -> Answer<PageFaultCleared> {
        let slot = self.kernel.named(call.process);
        slot.and_then(|slot| self.kernel.end_page_fault(slot)).map(|()| PageFaultCleared {}).into()
    }

    fn next_event(&mut self, _: Caller, _: NextEvent) -> Answer<EventTold> {
        let event = self.kernel.take_memory_event().ok_or(Errno::NoEnt);
        event.map(|event| EventTold { words: event.words() }).into()
    }

    fn answer_request(&mut self, _: Caller, call: AnswerRequest) -> Answer<RequestAnswered> {
        let slot = self.kernel.named(call.process);
        slot.and_then(|slot| self.kernel.end_memory_request(slot, call.available != 0))
            .map(|()| RequestAnswered {})
            .into()
    }

    fn part(&mut self, _: Caller, call: Part) -> Answer<Parted> {
        let more = self.kernel.spaces.part_run(self.machine, call.space, call.address, call.count);
        more.map(|more| Parted { more: more.into() }).into()
    }

    fn share(&mut self, _: Caller, call: Share) -> Answer<RunShared> {
        let shared = self.kernel.spaces.share(self.machine, &call);
        shared.map(|shared| RunShared { done: shared.done, lacks: shared.lacks }).into()
    }

    fn pin(&mut self, _: Caller, call: Pin) -> Answer<Pinned> {
        self.kernel.spaces.pin_run(call.first, call.count).map(|done| Pinned { done }).into()
    }

    fn unpin(&mut self, _: Caller, call: Unpin) -> Answer<Unpinned> {
        self.kernel.spaces.unpin_run(call.first, call.count).map(|done| Unpinned { done }).into()
    }

    fn copy(&mut self, _: Caller, call: CopyPage) -> Answer<PageCopied> {
        self.kernel.spaces.copy_page(self.machine, &call).map(|before| PageCopied { before }).into()
    }

    fn supply(&mut self, _: Caller, call: SupplyPage) -> Answer<PageSupplied> {
        let SupplyPage { process, access, address, frame } = call;
        let lacks = self.end_fault_with(process, |spaces, machine, home| {
            let lacks = spaces.map_page(machine, home, address, frame, access)?;
            Ok((lacks, lacks == 0))
        });
        lacks.map(|lacks| PageSupplied { lacks: lacks.into() }).into()
    }

    fn supply_copy(&mut self, _: Caller, call: SupplyCopy) -> Answer<CopySupplied> {
        let SupplyCopy { process, access, address, frame } = call;
        let before = self.end_fault_with(process, |spaces, machine, home| {
            Ok((spaces.copy_page_to(machine, home, address, frame, access)?, true))
        });
        before.map(|before| CopySupplied { before }).into()
    }

    fn boot_file(&mut self, _: Caller, call: GetBootFile) -> Answer<BootFile> {
        self.kernel.boot_file(call.index).into()
    }

    fn space_of(&mut self, _: Caller, call: GetSpaceOf) -> Answer<SpaceOf> {
        let space_of = |slot| self.kernel.process(slot).space.map_or(0, |home| self.kernel.spaces.name(home.id()));
        self.kernel.named(call.process).map(|slot| SpaceOf { space: space_of(slot) }).into()
    }
}

impl<'t, M: Machine> Context<'_, 't, M> {
    /// Does something in the space of a process that has a page fault, which is dealt with if that says so.
    #[inline(always)]
    fn end_fault_with<R>(
        &mut self,
        process: Endpoint,
        act: impl FnOnce(&mut Spaces<'t>, &mut M, Home) -> Result<(R, bool), Errno>,
    ) -> Result<R, Errno> {
        let slot = self.kernel.named(process)?;
        let p = self.kernel.process(slot);
        if !p.rts().contains(Rts::PAGE_FAULT) {
            return Err(Errno::Inval);
        }
        let home = p.space.ok_or(Errno::Inval)?;
        let (done, is_dealt_with) = act(&mut self.kernel.spaces, self.machine, home)?;
        if is_dealt_with {
            self.kernel.end_page_fault(slot)?;
        }
        Ok(done)
    }

    /// Maps a device, to which the caller has a right or a process that lives in the space.
    #[cold]
    fn map_device(&mut self, call: &MapRun) -> Result<Mapped, Errno> {
        let Kernel { spaces, privileges, procs, alive, .. } = &mut *self.kernel;
        let home = spaces.find(call.space)?;
        let may_use = |range: Range<u64>| {
            let lives_there = |slot: &Slot| procs[slot.index()].space.map(Home::id) == Some(home) || *slot == self.me;
            alive.iter().filter(lives_there).any(|slot| {
                let resources = &privileges[procs[slot.index()].privilege_id.index()].resources;
                resources.allows_memory(range.start, range.end - range.start)
            })
        };
        spaces.map(self.machine, call, may_use)
    }
}

impl<M: Machine> Kernel<'_, M> {
    fn boot_file(&self, index: u64) -> Result<BootFile, Errno> {
        let place = usize::try_from(index).ok().filter(|place| *place < self.boot.len()).ok_or(Errno::Dom)?;
        let first = self.boot_files[place].ok_or(Errno::NoEnt)?;
        Ok(BootFile { first: first.address(), len: self.boot[place].size })
    }

    /// Lets a process that does not run live in a space.
    fn settle(&mut self, machine: &mut M, slot: Slot, space: u64) -> Result<(), Errno> {
        let space = if space == 0 { None } else { Some(self.spaces.find(space)?) };
        if !self.is_stopped(slot) {
            return Err(Errno::Busy);
        }
        let home = space.and_then(|space| self.spaces.bind(space));
        if let Some(before) = core::mem::replace(&mut self.process_mut(slot).space, home) {
            self.spaces.unbind(machine, before.id());
        }
        if home.is_some() {
            self.unblock(slot, Rts::NO_SPACE);
        } else {
            self.block(machine, slot, Rts::NO_SPACE);
        }
        Ok(())
    }
}
