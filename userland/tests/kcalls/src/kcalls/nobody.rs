//! Calls about somebody who is not there.

use crate::kit::{MemoryOfOthers, obedient};
use abi::{Endpoint, Errno, PrivilegeSpec};
use family::{Child, Plan, free_slot, me, named_bytes, programs, seed};
use protocol::getinfo::GetCpuTime;
use protocol::kernel::*;
use protocol::{privctl, trace, vmctl};
use suite::{Outcome, check, check_eq};

fn spec() -> Result<PrivilegeSpec, Errno> {
    Ok(PrivilegeSpec {
        sends: 0,
        calls: 0,
        flags: 0,
        init_flags: 0,
        traps: 0,
        manager: me()?,
        backup: Endpoint::NONE,
        reserved: 0,
    })
}

/// Makes each kernel call that names a process, with this one; hands out its name and its error.
fn each_call(process: Endpoint, mut seen: impl FnMut(&str, Option<Errno>) -> Outcome) -> Outcome {
    let (spec, slot) = (spec()?, free_slot()?);
    macro_rules! all {
        ($($group:ident.$call:ident($argument:expr);)+) => {
            $(seen(stringify!($group.$call), sys::$group().$call($argument).err())?;)+
        };
    }
    let (priority, quantum, cpu, scheduler) = (KEEP, KEEP, KEEP, Scheduler::Kernel);
    let (entry, stack) = (programs::count as *const () as u64, abi::layout::USER_START);
    let (action, direction) = (RunAction::Stop, UpdateDirection::Forward);
    all! {
        kernel.fork(Fork { parent: process, slot });
        kernel.exec(Exec { name: named_bytes("x"), stack, entry, process, reserved: 0 });
        kernel.clear(Clear { process });
        kernel.schedule(Schedule { process, priority, quantum, cpu });
        kernel.kill(Kill { process, signal: 1 });
        kernel.endksig(EndKSig { process });
        kernel.sigsend(SigSend { handler: entry, trampoline: entry, mask: 0, process, signal: 1 });
        kernel.sigreturn(SigReturn { process, reserved: 0, frame: stack });
        kernel.runctl(RunCtl { process, action });
        kernel.update(Update { source: process, destination: seed()?, direction });
        kernel.update(Update { source: seed()?, destination: process, direction });
        kernel.schedctl(SchedCtl { process, scheduler, priority, quantum, cpu });
        trace.stop(trace::Stop { process });
        trace.resume(trace::Resume { process });
        trace.detach(trace::Detach { process });
        trace.step(trace::Step { process });
        trace.until_trap(trace::UntilTrap { process });
        trace.peek(trace::Peek { process, len: 1, address: entry });
        trace.get_register(trace::GetRegister { process, index: 0 });
        trace.set_register(trace::SetRegister { process, index: 0, value: 0 });
        vmctl.settle(vmctl::Settle { process, reserved: 0, space: 0 });
        vmctl.clear_page_fault(vmctl::ClearPageFault { process });
        vmctl.answer_request(vmctl::AnswerRequest { process, available: 1 });
        vmctl.space_of(vmctl::GetSpaceOf { process });
    }
    let poke = trace::Poke { process, len: 1, address: entry, bytes: [0; 40] };
    seen("trace.poke", MemoryOfOthers.poke(poke).err())?;
    // These take SELF for the caller, and one of them NONE for all users.
    if process == Endpoint::SELF {
        return Ok(());
    }
    seen("kernel.memset", MemoryOfOthers.memset(MemSet { process, byte: 0, address: entry, len: 1 }).err())?;
    all! {
        privctl.allow(privctl::Allow { process });
        privctl.disallow(privctl::Disallow { process });
        privctl.set_sys(privctl::SetSys { spec, process, id: privctl::DYNAMIC_ID });
        privctl.set_user(privctl::SetUser { process });
        privctl.add_io(privctl::AddIo { process, first: 0, last: 0 });
        privctl.add_memory(privctl::AddMemory { process, reserved: 0, start: 0, len: 1 });
        privctl.add_irq(privctl::AddIrq { process, line: 0 });
        privctl.query_memory(privctl::QueryMemory { process, reserved: 0, start: 0, len: 1 });
        privctl.yield_to(privctl::YieldTo { process });
        privctl.clear_ipc_refs(privctl::ClearRefs { process });
        getinfo.cpu_time(GetCpuTime { process });
    }
    if process == Endpoint::NONE {
        return Ok(());
    }
    all! { privctl.update_sys(privctl::UpdateSys { spec, process, reset_ranges: 0 }); }
    Ok(())
}

pub(crate) fn calls_about_nobody_change_nothing() -> Outcome {
    let slot = free_slot()?;
    let dead = Child::prepare(&Plan::new(programs::count)?, slot)?;
    let stale = dead.endpoint;
    dead.end()?;
    let living = Child::prepare(&Plan::new(programs::count)?, slot)?;
    let before = living.info()?;
    let nobodies = [stale, living.endpoint.next_generation(), Endpoint::from_raw(slot + 1), Endpoint::from_raw(1023)];
    let names = [Endpoint::ANY, Endpoint::NONE, Endpoint::SELF, Endpoint::ANY_USR];
    let kernels = [Endpoint::HARDWARE, Endpoint::SYSTEM, Endpoint::CLOCK, Endpoint::ASYNCM];
    let garbage = [u32::MAX, 1 << 31, 1024, living.endpoint.raw() | 1 << 31].map(Endpoint::from_raw);
    for nobody in nobodies.into_iter().chain(names).chain(kernels).chain(garbage) {
        each_call(nobody, |name, error| {
            check!(error == Some(Errno::Inval), "{name} {nobody}: {error:?}");
            Ok(())
        })?;
    }
    let after = living.info()?;
    check_eq!((after.flags, after.name, after.privilege_id), (before.flags, before.name, before.privilege_id));
    living.end()?;
    obedient(&[])?.end()
}
