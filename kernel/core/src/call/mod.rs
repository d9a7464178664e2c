//! The kernel calls: which there are stands in [`protocol::kernel`]; here is what they come to.

mod copies;
mod getinfo;
mod irqctl;
mod lending;
mod ports;
mod privctl;
mod process;
mod server;
mod sigframe;
mod statectl;
mod trace;
mod vmctl;

use crate::frames::FrameNumber;
use crate::process::Pending;
use crate::spaces::Home;
use crate::spaces::lending::Written;
use crate::{CpuId, Fault, Frame, Kernel, Machine, MemoryAccess, MemoryEvent, Slot};
use abi::layout::{PAGE_SIZE, user_range};
use abi::{BODY_WORDS, Endpoint, Errno, Kind, Status};
use protocol::kernel::{GROUP_SPAN, MAX_COPIED, PROTOCOL};
use protocol::{Answer, Caller, Place};

/// Everything that a call acts on.
pub(crate) struct Context<'a, 't, M: Machine> {
    kernel: &'a mut Kernel<'t, M>,
    machine: &'a mut M,
    me: Slot,
}

/// Why a call does not succeed now.
enum Stop {
    /// It fails.
    Failed(Errno),
    /// It waits for the memory server, and starts again then. It has changed nothing yet.
    Suspended,
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Self {
        Self::Failed(errno)
    }
}

/// The answer that a call gets.
fn answer<R>(result: Result<R, Stop>) -> Answer<R> {
    match result {
        Ok(reply) => Answer::Reply(reply),
        Err(Stop::Failed(errno)) => Answer::Fail(errno),
        Err(Stop::Suspended) => Answer::Later,
    }
}

/// The arguments stand in the caller's frame, and the answer goes there.
struct InFrame;

impl<'a, 't, M: Machine> Place<Context<'a, 't, M>> for InFrame {
    #[inline(always)]
    fn payload<'b>(&'b mut self, context: &'b mut Context<'a, 't, M>) -> &'b mut [u64; BODY_WORDS] {
        context.kernel.process_mut(context.me).frame.body_mut()
    }
}

/// Bits of the kind in the register that it shares with the tag.
const KIND_BITS: u32 = u16::BITS;

impl<M: Machine> Kernel<'_, M> {
    /// Carries out a kernel call of `me`, the running process.
    pub(crate) fn kernel_call(&mut self, machine: &mut M, me: Slot) {
        let header = self.process(me).frame.header();
        let allowed = match protocol::kernel::right(Kind(header as u16)) {
            None => Err(Errno::BadRequest),
            Some(right) if self.process(me).calls & right == 0 => {
                self.note_call(me, right);
                Err(Errno::CallDenied)
            }
            Some(_) => Ok(()),
        };
        match allowed {
            Ok(()) => self.perform_call(machine, me, header),
            Err(errno) => self.process_mut(me).frame.set_result(errno.to_result()),
        }
    }

    /// The same at once, if there is nothing in the way: whose call was done. Else the ordinary way finds out what it is.
    #[inline(always)]
    pub fn fast_call(&mut self, machine: &mut M, cpu: CpuId) -> Option<Slot> {
        let me = self.cpus[cpu.index()].current()?;
        let p = &self.procs[me.index()];
        let header = p.frame.header();
        let allowed = protocol::kernel::right(Kind(header as u16)).is_some_and(|right| p.calls & right != 0);
        // It may have been stopped on its way here.
        if !allowed || p.plain_traps.is_empty() || !p.rts.is_empty() {
            return None;
        }
        self.here = cpu;
        self.perform_call(machine, me, header);
        Some(me)
    }

    #[inline(always)]
    fn perform_call(&mut self, machine: &mut M, me: Slot, header: u64) {
        let (kind, tag) = (Kind(header as u16), (header >> KIND_BITS) as u16);
        let from = Caller { endpoint: self.process(me).endpoint, tag };
        let answer = Context { kernel: self, machine, me }.dispatch(kind, from);
        let frame = &mut self.process_mut(me).frame;
        match answer {
            Some(Kind::OK) => {
                let header = u64::from(Kind::OK.0) | u64::from(tag) << KIND_BITS;
                frame.set_head(Endpoint::SYSTEM, header, Status::default());
            }
            Some(failure) => frame.set_result(failure.result()),
            None => {}
        }
    }

    /// Carries on a kernel call that was suspended, of the process that is about to run.
    pub(crate) fn resume_call(&mut self, machine: &mut M, me: Slot) {
        let p = self.process_mut(me);
        p.pending.remove(Pending::CALL);
        self.kernel_call(machine, me);
    }

    /// The process that an endpoint in a call names.
    pub(crate) fn named(&self, endpoint: Endpoint) -> Result<Slot, Errno> {
        self.lookup(endpoint).ok_or(Errno::Inval)
    }

    /// Copies from a process's memory.
    pub(crate) fn read_memory(&self, machine: &M, slot: Slot, address: u64, into: &mut [u8]) -> Result<(), Fault> {
        machine.read(self.root_of(slot).ok_or(Fault { address })?, address, into)
    }

    /// Copies to it. Pages that are withheld from it only because another program sees them, too, become its own.
    pub(crate) fn write_memory(
        &mut self,
        machine: &mut M,
        slot: Slot,
        address: u64,
        bytes: &[u8],
    ) -> Result<(), Fault> {
        let root = self.root_of(slot).ok_or(Fault { address })?;
        match machine.write(root, address, bytes) {
            Err(_) if self.want_writes(machine, slot, address, bytes.len() as u64) == Written::Allowed => {
                machine.write(root, address, bytes)
            }
            written => written,
        }
    }

    /// Whether pages of a range were only withheld because two programs share them, and no longer are; or never will be.
    fn want_writes(&mut self, machine: &mut M, slot: Slot, address: u64, len: u64) -> Written {
        let Some(home) = self.process(slot).space else {
            return Written::Unknown;
        };
        // No more than one step of a call touches.
        let end = address.saturating_add(len.min(MAX_COPIED));
        let mut result = Written::Unknown;
        let mut page = address;
        while page < end {
            match self.spaces.end_withholding(machine, home, page) {
                Written::Unknown => {}
                Written::Allowed => result = Written::Allowed,
                // If more can be written than before, the call is to find out how far it comes.
                Written::Denied if result == Written::Allowed => return result,
                Written::Denied => return Written::Denied,
            }
            page = (page / PAGE_SIZE + 1).saturating_mul(PAGE_SIZE);
        }
        result
    }

    /// The root page table of a process.
    pub(crate) fn root_of(&self, slot: Slot) -> Option<FrameNumber> {
        self.process(slot).space.map(Home::root)
    }
}

impl<M: Machine> Context<'_, '_, M> {
    /// Carries a call out. Each group gets the context for itself, which then need not be in memory if the group is content
    /// with less.
    #[inline(always)]
    fn dispatch(self, kind: Kind, from: Caller) -> Option<Kind> {
        const fn group_of(protocol: &protocol::Protocol) -> usize {
            ((protocol.base - PROTOCOL.base) / GROUP_SPAN) as usize
        }
        const KERNEL: usize = group_of(&PROTOCOL);
        const PRIVCTL: usize = group_of(&protocol::privctl::PROTOCOL);
        const IRQCTL: usize = group_of(&protocol::irqctl::PROTOCOL);
        const STATECTL: usize = group_of(&protocol::statectl::PROTOCOL);
        const GETINFO: usize = group_of(&protocol::getinfo::PROTOCOL);
        const VMCTL: usize = group_of(&protocol::vmctl::PROTOCOL);
        const TRACE: usize = group_of(&protocol::trace::PROTOCOL);
        match usize::from(kind.0.wrapping_sub(PROTOCOL.base)) / usize::from(GROUP_SPAN) {
            PRIVCTL => protocol::privctl::dispatch_in(&mut { self }, &mut InFrame, from, kind),
            IRQCTL => protocol::irqctl::dispatch_in(&mut { self }, &mut InFrame, from, kind),
            STATECTL => protocol::statectl::dispatch_in(&mut { self }, &mut InFrame, from, kind),
            GETINFO => protocol::getinfo::dispatch_in(&mut { self }, &mut InFrame, from, kind),
            VMCTL => protocol::vmctl::dispatch_in(&mut { self }, &mut InFrame, from, kind),
            TRACE => protocol::trace::dispatch_in(&mut { self }, &mut InFrame, from, kind),
            KERNEL => protocol::kernel::dispatch_in(&mut { self }, &mut InFrame, from, kind),
            _ => Some(Kind::failed(Errno::BadRequest)),
        }
    }

    /// The caller's endpoint.
    fn my_endpoint(&self) -> Endpoint {
        self.kernel.process(self.me).endpoint
    }

    /// The process that an endpoint names, which may be [`Endpoint::SELF`].
    fn named_or_self(&self, endpoint: Endpoint) -> Result<Slot, Errno> {
        if endpoint == Endpoint::SELF { Ok(self.me) } else { self.kernel.named(endpoint) }
    }

    /// Copies from a process's memory; what is not there, the memory server is asked for.
    fn read(&mut self, slot: Slot, address: u64, into: &mut [u8]) -> Result<(), Stop> {
        let len = into.len() as u64;
        let result = self.kernel.read_memory(self.machine, slot, address, into);
        result.map_err(|_| self.need(slot, address, len, MemoryAccess::Read))
    }

    /// The same to it.
    fn write(&mut self, slot: Slot, address: u64, bytes: &[u8]) -> Result<(), Stop> {
        let len = bytes.len() as u64;
        let result = self.kernel.write_memory(self.machine, slot, address, bytes);
        result.map_err(|_| self.need(slot, address, len, MemoryAccess::Write))
    }

    /// Makes sure that a process's memory can be accessed as a later part of the call will do it.
    fn reach(&mut self, slot: Slot, address: u64, len: u64, access: MemoryAccess) -> Result<(), Stop> {
        let root = self.kernel.root_of(slot);
        let reached = root.is_some_and(|root| self.machine.reach(root, address, len, access).is_ok());
        if reached { Ok(()) } else { Err(self.need(slot, address, len, access)) }
    }

    /// Asks the memory server for memory of a process. Where no program has any, there is nothing to ask for.
    fn need(&mut self, slot: Slot, address: u64, len: u64, access: MemoryAccess) -> Stop {
        // Pages that are only withheld are there, whatever lies behind them.
        if access == MemoryAccess::Write {
            match self.kernel.want_writes(self.machine, slot, address, len) {
                Written::Allowed => return self.start_again(),
                Written::Denied => return Stop::Failed(Errno::Fault),
                Written::Unknown => {}
            }
        }
        if user_range(address, len).is_none() {
            return Stop::Failed(Errno::Fault);
        }
        let process = self.kernel.process(slot).endpoint;
        let event = MemoryEvent { process, address, len, access };
        match self.kernel.request_memory(self.machine, self.me, event) {
            Ok(()) => Stop::Suspended,
            Err(errno) => Stop::Failed(errno),
        }
    }

    /// The caller makes the call again as soon as it goes on: what is done for that and the call itself are two entries.
    fn start_again(&mut self) -> Stop {
        let p = self.kernel.process_mut(self.me);
        p.frame.rewind_trap();
        // Its tracer has let it pass before, and hears of it when it is done.
        if p.pending.contains(Pending::TRAP_MADE) {
            p.pending.remove(Pending::TRAP_MADE);
            p.pending |= Pending::TRAP_HELD;
        }
        Stop::Suspended
    }
}
