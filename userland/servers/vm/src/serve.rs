//! The calls: who may make them, and what answers them.

use crate::Vm;
use crate::cached::FEWEST_GIVEN_UP;
use crate::heap::Heap;
use crate::process::{Authority, Limits};
use abi::{BODY_WORDS, Endpoint, Errno, Kind, Message};
use protocol::vm::*;
use protocol::{Answer, Caller, Transport};

/// What says that there is no memory.
const NO_MEMORY: Kind = Kind::failed(Errno::NoMem);

/// What users may do: the numbers of the calls. All are about themselves.
pub const USER_CALLS: u64 = {
    const ALLOWED: [u16; 9] = [
        2,  // brk
        3,  // set_break
        10, // mmap
        17, // munmap
        18, // protect
        36, // sharers
        40, // memory
        47, // usage
        48, // region
    ];
    let mut mask = 0;
    let mut i = 0;
    while i < ALLOWED.len() {
        mask |= 1 << ALLOWED[i];
        i += 1;
    }
    mask
};

impl<T: Transport + Copy, H: Heap> Vm<T, H> {
    /// Answers a request in its place. Whether there is an answer: if not, there will be one later.
    pub fn answer(&mut self, message: &mut Message) -> bool {
        if !self.may_call(message.peer, message.kind) {
            self.refuse(message);
            message.kind = Kind::failed(Errno::NoSys);
            message.body = [0; BODY_WORDS];
            return true;
        }
        let answered = if self.objects.files.cache.is_empty() {
            protocol::vm::answer(self, message)
        } else {
            self.answer_with_cache(message)
        };
        self.go_on();
        answered
    }

    /// The same, where the cache may have frames that are missing.
    #[inline(never)]
    fn answer_with_cache(&mut self, message: &mut Message) -> bool {
        let asked = *message;
        self.machine.frames.take_lack();
        let mut answered = protocol::vm::answer(self, message);
        let mut least = FEWEST_GIVEN_UP;
        // A call that fails has changed nothing: it can be made again when the cache has given up some frames.
        while answered && message.kind == NO_MEMORY && self.give_up_blocks(&mut least) {
            *message = asked;
            answered = protocol::vm::answer(self, message);
        }
        answered
    }

    /// Notes a call that is not allowed.
    #[cold]
    fn refuse(&mut self, message: &Message) {
        let number = u32::from(message.kind.0.wrapping_sub(PROTOCOL.base));
        if let Ok(process) = self.processes.get_mut(message.peer) {
            process.refused |= 1u64.checked_shl(number).unwrap_or(0);
        }
    }

    fn may_call(&self, caller: Endpoint, kind: Kind) -> bool {
        let number = u32::from(kind.0.wrapping_sub(PROTOCOL.base));
        let authority = self.processes.get(caller).map_or(Authority::Nothing, |process| process.authority);
        let calls = match authority {
            Authority::Nothing => 0,
            Authority::User => USER_CALLS,
            Authority::Service(calls) => calls & !FOR_OTHERS,
        };
        calls.checked_shr(number).unwrap_or(0) & 1 != 0
    }

    pub(crate) fn acts_for_others(&self, caller: Endpoint) -> bool {
        let may = |authority| matches!(authority, Authority::Service(calls) if calls & FOR_OTHERS != 0);
        self.processes.get(caller).is_some_and(|process| may(process.authority))
    }

    /// The process that a call is about.
    ///
    /// # Errors
    /// `EPERM` if that is not the caller's business, `ESRCH` if there is none.
    pub(crate) fn target(&self, caller: Endpoint, named: Endpoint) -> Result<Endpoint, Errno> {
        let target = if named == Endpoint::SELF { caller } else { named };
        if target != caller && !self.acts_for_others(caller) {
            return Err(Errno::Perm);
        }
        self.known(target)
    }

    /// A process that the caller need not be, for calls whose mask is the right to it.
    pub(crate) fn known(&self, process: Endpoint) -> Result<Endpoint, Errno> {
        self.processes.get(process).map(|process| process.endpoint).ok_or(Errno::Srch)
    }

    /// Says what a process is.
    ///
    /// # Errors
    /// `ESRCH` if there is none.
    pub fn set_authority(&mut self, process: Endpoint, authority: Authority) -> Result<(), Errno> {
        self.processes.get_mut(process)?.authority = authority;
        Ok(())
    }
}

impl<T: Transport + Copy, H: Heap> Server for Vm<T, H> {
    fn refusal(&mut self, _: Caller, _: TakeRefusal) -> Answer<Refusal> {
        let refused = self.processes.iter_mut().find(|process| process.refused != 0).ok_or(Errno::Srch);
        let taken = refused.map(|process| Refusal {
            process: process.endpoint,
            reserved: 0,
            calls: core::mem::take(&mut process.refused),
        });
        taken.into()
    }

    fn exit(&mut self, _: Caller, call: Exit) -> Answer<ExitDone> {
        self.do_exit(call.process).map(|()| ExitDone {}).into()
    }

    fn fork(&mut self, _: Caller, call: Fork) -> Answer<ForkDone> {
        self.do_fork(&call).map(|child| ForkDone { child, reserved: 0 }).into()
    }

    fn spawn(&mut self, _: Caller, call: Spawn) -> Answer<SpawnDone> {
        self.do_spawn(&call).map(|child| SpawnDone { child, reserved: 0 }).into()
    }

    fn brk(&mut self, from: Caller, call: Brk) -> Answer<BrkDone> {
        self.do_brk(from.endpoint, &call).map(|end| BrkDone { end }).into()
    }

    fn set_break(&mut self, from: Caller, call: SetBreak) -> Answer<BreakSet> {
        self.do_set_break(from.endpoint, &call).map(|()| BreakSet {}).into()
    }

    fn will_exit(&mut self, _: Caller, call: WillExit) -> Answer<WillExitDone> {
        self.do_will_exit(call.process).map(|()| WillExitDone {}).into()
    }

    fn mmap(&mut self, from: Caller, call: Map) -> Answer<Mapped> {
        if call.flags & MapFlags::ANONYMOUS.bits() != 0 {
            return self.do_mmap(from.endpoint, &call).map(|address| Mapped { address }).into();
        }
        match self.do_mmap_file(from, &call) {
            Ok(()) => Answer::Later,
            Err(error) => Answer::Fail(error),
        }
    }

    fn map_physical(&mut self, from: Caller, call: MapPhysical) -> Answer<PhysicalMapped> {
        self.do_map_physical(from.endpoint, &call).map(|address| PhysicalMapped { address }).into()
    }

    fn unmap_physical(&mut self, from: Caller, call: UnmapPhysical) -> Answer<PhysicalUnmapped> {
        let done = self.do_unmap_physical(from.endpoint, call.process, call.address);
        done.map(|()| PhysicalUnmapped {}).into()
    }

    fn munmap(&mut self, from: Caller, call: Unmap) -> Answer<Unmapped> {
        self.do_munmap(from.endpoint, &call).map(|()| Unmapped {}).into()
    }

    fn protect(&mut self, from: Caller, call: Protect) -> Answer<Protected> {
        self.do_protect(from.endpoint, &call).map(|()| Protected {}).into()
    }

    fn set_cache(&mut self, from: Caller, call: SetCache) -> Answer<CacheSet> {
        self.do_set_cache(from.endpoint, &call).map(|()| CacheSet {}).into()
    }

    fn map_cache(&mut self, from: Caller, call: MapCache) -> Answer<CacheMapped> {
        self.do_map_cache(from.endpoint, &call).map(|address| CacheMapped { address }).into()
    }

    fn forget_cache(&mut self, from: Caller, call: ForgetCache) -> Answer<CacheForgotten> {
        self.do_forget_cache(from.endpoint, &call).map(|()| CacheForgotten {}).into()
    }

    fn clear_cache(&mut self, from: Caller, call: ClearCache) -> Answer<CacheCleared> {
        self.do_clear_cache(from.endpoint, call.device).map(|()| CacheCleared {}).into()
    }

    fn file_answer(&mut self, from: Caller, call: FileAnswer) -> Answer<FileAnswered> {
        self.do_file_answer(from.endpoint, &call).map(|()| FileAnswered {}).into()
    }

    fn remap(&mut self, from: Caller, call: Remap) -> Answer<Remapped> {
        self.do_remap(from.endpoint, &call).map(|address| Remapped { address }).into()
    }

    fn sharers(&mut self, from: Caller, call: Sharers) -> Answer<SharersCounted> {
        self.do_sharers(from.endpoint, &call).map(|(count, memory)| SharersCounted { count, memory }).into()
    }

    fn set_calls(&mut self, _: Caller, call: SetCalls) -> Answer<CallsSet> {
        let authority = match call.is_user {
            0 => Authority::Service(call.calls),
            1 => Authority::User,
            _ => return Answer::Fail(Errno::Inval),
        };
        self.set_authority(call.process, authority).map(|()| CallsSet {}).into()
    }

    fn memory(&mut self, _: Caller, _: GetMemory) -> Answer<MemoryInfo> {
        Answer::Reply(self.memory_info())
    }

    fn update(&mut self, _: Caller, call: Update) -> Answer<UpdateDone> {
        self.do_update(&call).map(|()| UpdateDone {}).into()
    }

    fn pin(&mut self, _: Caller, call: Pin) -> Answer<Pinned> {
        self.do_pin(call.process).map(|()| Pinned {}).into()
    }

    fn boot_file(&mut self, from: Caller, call: TakeBootFile) -> Answer<BootFileTaken> {
        let taken = self.do_boot_file(from.endpoint, call.index);
        taken.map(|(address, len)| BootFileTaken { address, len }).into()
    }

    fn clear(&mut self, _: Caller, call: Clear) -> Answer<ClearDone> {
        self.do_clear(call.process).map(|()| ClearDone {}).into()
    }

    fn set_limits(&mut self, _: Caller, call: SetLimits) -> Answer<LimitsSet> {
        let limits = Limits { mapped: call.pages, resident: call.resident };
        self.processes.get_mut(call.process).map(|process| process.memory.limits = limits).map(|()| LimitsSet {}).into()
    }

    fn usage(&mut self, from: Caller, call: GetUsage) -> Answer<Usage> {
        self.target(from.endpoint, call.process).and_then(|target| self.usage_of(target)).into()
    }

    fn region(&mut self, from: Caller, call: GetRegion) -> Answer<RegionInfo> {
        self.target(from.endpoint, call.process).and_then(|target| self.region_of(target, &call)).into()
    }

    fn fix(&mut self, from: Caller, call: Fix) -> Answer<Fixed> {
        self.do_fix(from, &call)
    }

    fn unfix(&mut self, from: Caller, call: Unfix) -> Answer<Unfixed> {
        let Unfix { process, write, address, len } = call;
        self.do_unfix(from.endpoint, &Fix { process, write, address, len }).map(|()| Unfixed {}).into()
    }

    fn map_file(&mut self, from: Caller, call: MapFile) -> Answer<FileMapped> {
        self.do_map_file(from.endpoint, &call).map(|()| FileMapped {}).into()
    }

    fn serve_files(&mut self, from: Caller, _: ServeFiles) -> Answer<FilesServed> {
        self.do_serve_files(from.endpoint).map(|()| FilesServed {}).into()
    }

    fn bind_device(&mut self, _: Caller, call: BindDevice) -> Answer<DeviceBound> {
        self.do_bind_device(&call).map(|()| DeviceBound {}).into()
    }
}
