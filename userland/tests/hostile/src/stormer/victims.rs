//! Processes that the memory server makes for the storm to end, so that there is always somebody to name.

use abi::event::ACCESS_SHIFT;
use abi::{Endpoint, Errno, PrivilegeFlags, PrivilegeSpec, TrapMask};
use protocol::kernel::{Clear, Fork, SchedCtl, Scheduler};
use protocol::privctl::{Allow, DYNAMIC_ID, SetSys, SetUser};
use protocol::vmctl::{AnswerRequest, ClearPageFault, GetSpaceOf, NextEvent, Settle};
use storm::{Known, Random};

/// The program that victims are forked from: this one under another name, so that they have the same memory.
pub(crate) const SEED: &str = "seed";
/// Slots of victims.
const SLOTS: core::ops::Range<u32> = 64..76;
/// Less urgent than those that the run depends on: what the storm lets victims execute may never end.
const PRIORITY: i32 = 8;
/// Their time, in milliseconds.
const QUANTUM: i32 = 10;
/// The processor stays as it is.
const KEEP: i32 = -1;

/// Makes victims in all free slots, after one of them has ended: it may be of no more use.
pub(crate) fn renew(known: &mut Known, seed: Endpoint, random: &mut Random) {
    let unlucky = SLOTS.start + random.below(SLOTS.len() as u64) as u32;
    if let Some(process) = of_slot(known, unlucky) {
        let _ = sys::kernel().clear(Clear { process });
    }
    for slot in SLOTS {
        // A slot is in use, or nothing is left to make a process of: then there is one victim less.
        if let Ok(victim) = make(seed, slot, known.root) {
            if let Some(old) = of_slot(known, slot) {
                known.endpoints.remove(old.raw().into());
            }
            known.endpoints.push(victim.raw().into());
        }
    }
}

fn of_slot(known: &Known, slot: u32) -> Option<Endpoint> {
    let mut all = known.endpoints.all().iter().map(|raw| Endpoint::from_raw(*raw as u32));
    all.find(|known| known.slot() == slot as usize)
}

/// What the seed and its children do: wait for messages, which mean nothing to them.
pub(crate) fn wait() -> ! {
    loop {
        let _ = rt::receive(Endpoint::ANY);
    }
}

fn make(seed: Endpoint, slot: u32, root: Endpoint) -> Result<Endpoint, Errno> {
    let process = sys::kernel().fork(Fork { parent: seed, slot })?.child;
    let space = sys::vmctl().space_of(GetSpaceOf { process: seed })?.space;
    sys::vmctl().settle(Settle { process, reserved: 0, space })?;
    if slot.is_multiple_of(3) {
        sys::privctl().set_user(SetUser { process })?;
    } else {
        sys::privctl().set_sys(SetSys { spec: service(root), process, id: DYNAMIC_ID })?;
    }
    let scheduler = Scheduler::Kernel;
    sys::kernel().schedctl(SchedCtl { process, scheduler, priority: PRIORITY, quantum: QUANTUM, cpu: KEEP })?;
    sys::privctl().allow(Allow { process })?;
    Ok(process)
}

/// It can answer, and nothing else: the storm gives it more.
fn service(root: Endpoint) -> PrivilegeSpec {
    PrivilegeSpec {
        sends: 0,
        calls: 0,
        flags: PrivilegeFlags::PREEMPTIBLE.bits(),
        init_flags: 0,
        traps: (TrapMask::RECEIVE | TrapMask::REPLY_RECEIVE).bits(),
        manager: root,
        backup: Endpoint::NONE,
        reserved: 0,
    }
}

/// Deals with all that no notification has told a memory server.
pub(crate) fn serve(known: &Known) -> Result<(), Errno> {
    loop {
        match sys::vmctl().next_event(NextEvent {}) {
            Ok(event) => deal_with(known, event.words)?,
            Err(Errno::NoEnt) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Deals with an event: nobody that the run depends on may wait for ever. With others the storm does what it likes.
pub(crate) fn deal_with(known: &Known, [names, _, access_and_len]: [u64; 3]) -> Result<(), Errno> {
    let process = Endpoint::from_raw(names as u32);
    if !known.spared.contains(&process) {
        return Ok(());
    }
    if access_and_len & ((1 << ACCESS_SHIFT) - 1) == 0 {
        sys::vmctl().clear_page_fault(ClearPageFault { process }).map(drop)
    } else {
        sys::vmctl().answer_request(AnswerRequest { process, available: 0 }).map(drop)
    }
}
