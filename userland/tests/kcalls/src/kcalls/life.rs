//! The life of a process, from its fork to the end.

use crate::kit::{child, obedient, order_call, perform, settle};
use abi::{Endpoint, Errno, Signal, Trap};
use core::cell::Cell;
use family::{Board, Child, Home, Page, Plan, RUNS, free_frames, free_slot, named_bytes, process_info, programs, seed};
use protocol::kernel::*;
use protocol::privctl::Allow;
use protocol::vmctl::Settle;
use suite::{Failure, Outcome, check, check_eq};
use sys::{kernel, privctl, vmctl};

pub(crate) fn a_child_lives_from_fork_to_clear_and_all_comes_back() -> Outcome {
    // The first child of all leaves page tables in the suite's own space.
    child(programs::count)?.end()?;
    let before = free_frames()?;
    for _ in 0..3 {
        let child = obedient(&["times"])?;
        check!(free_frames()? < before, "a child costs nothing");
        order_call(&child, &Times {})?;
        check_eq!(child.board().get(Board::COUNT), 1);
        let endpoint = child.endpoint;
        child.end()?;
        check_eq!(process_info(endpoint).err(), Some(Errno::Srch));
        check_eq!(free_frames()?, before);
    }
    Ok(())
}

pub(crate) fn a_slot_used_again_has_the_next_generation() -> Outcome {
    let slot = free_slot()?;
    let mut last: Option<Endpoint> = None;
    for _ in 0..4 {
        let child = Child::prepare(&Plan::new(programs::count)?, slot)?;
        check_eq!(child.endpoint.slot(), slot as usize);
        if let Some(dead) = last {
            check_eq!(child.endpoint, dead.next_generation());
            check_eq!(rt::send_nb(&crate::kit::some_message(dead)), Err(Errno::DeadSrcDst));
            check_eq!(kernel().clear(Clear { process: dead }).err(), Some(Errno::Inval));
        }
        last = Some(child.endpoint);
        child.end()?;
    }
    Ok(())
}

/// In whatever order they are given: the child runs after the last.
pub(crate) fn a_child_runs_only_with_space_privileges_and_leave() -> Outcome {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let (home, slot) = (Home::make()?, free_slot()?);
        let child = Child { endpoint: kernel().fork(Fork { parent: seed()?, slot })?.child, home };
        child.exec(programs::count)?;
        let process = child.endpoint;
        for step in order {
            settle()?;
            check!(child.board().get(Board::COUNT) == 0 && child.info()?.flags != RUNS, "runs before {step}");
            match step {
                0 => vmctl().settle(Settle { process, reserved: 0, space: child.home.space }).map(drop),
                1 => privctl().allow(Allow { process }).map(drop),
                _ => {
                    let scheduler = Scheduler::Kernel;
                    let call = SchedCtl { process, scheduler, priority: KEEP, quantum: KEEP, cpu: KEEP };
                    kernel().schedctl(call).map(drop)
                }
            }?;
        }
        check_eq!(child.info()?.flags, RUNS);
        crate::kit::nap(3)?;
        check!(child.board().get(Board::COUNT) > 0, "does not run");
        child.end()?;
    }
    Ok(())
}

/// A child in a state, by its name.
type State = (&'static str, fn(u32) -> Result<Child, Failure>);

fn at(slot: u32, code: family::Code) -> Result<Child, Failure> {
    let plan = Plan::new(code)?.calls(&["diag_write", "exit"]);
    let child = Child::prepare(&plan, slot)?;
    child.allow()?;
    Ok(child)
}

fn after(slot: u32, act: impl FnOnce(&Child) -> Outcome) -> Result<Child, Failure> {
    let child = at(slot, programs::obey)?;
    settle()?;
    act(&child)?;
    Ok(child)
}

const STATES: &[State] = &[
    ("waiting for privileges", |slot| Child::prepare(&Plan::new(programs::count)?, slot)),
    ("ready", |slot| at(slot, programs::count)),
    ("receiving", |slot| after(slot, |_| Ok(()))),
    ("sending", |slot| after(slot, |child| perform(child, Trap::Send, family::me()?, Endpoint::ANY))),
    ("calling", |slot| after(slot, |child| perform(child, Trap::SendRec, family::me()?, Endpoint::ANY))),
    ("waiting for a page", |slot| {
        let child = at(slot, programs::count_in_target)?;
        family::unmap(child.home.space, Page::TARGET.address(), 1)?;
        settle()?;
        Ok(child)
    }),
    ("waiting for memory", |slot| {
        let text = DiagWrite { address: Page::TARGET.address() + (1 << 30), len: 1 };
        after(slot, |child| order_call(child, &text))
    }),
    ("stopped", |slot| {
        let child = at(slot, programs::count)?;
        kernel().runctl(RunCtl { process: child.endpoint, action: RunAction::Stop })?;
        Ok(child)
    }),
    ("traced", |slot| {
        let child = at(slot, programs::count)?;
        sys::trace().stop(protocol::trace::Stop { process: child.endpoint })?;
        Ok(child)
    }),
    ("out of quantum", |slot| {
        let child = Child::prepare(&Plan::new(programs::count)?.scheduled(1), slot)?;
        child.allow()?;
        settle()?;
        Ok(child)
    }),
    ("with a signal", |slot| {
        let child = at(slot, programs::count)?;
        kernel().kill(Kill { process: child.endpoint, signal: Signal::KILL.number() })?;
        Ok(child)
    }),
    ("exited", |slot| after(slot, |child| order_call(child, &Exit { status: 0 }))),
    ("without a space", |slot| {
        let home = Home::make()?;
        Ok(Child { endpoint: kernel().fork(Fork { parent: seed()?, slot })?.child, home })
    }),
];

pub(crate) fn a_process_can_be_ended_in_every_state() -> Outcome {
    let frames = free_frames()?;
    let slot = free_slot()?;
    let last = Cell::new(None::<Endpoint>);
    for (name, make) in STATES {
        let child = make(slot)?;
        let flags = child.info()?.flags;
        check!((flags == RUNS) == (*name == "ready"), "{name}: {flags:#x}");
        check!(last.get().is_none_or(|dead| child.endpoint == dead.next_generation()), "{name}");
        last.set(Some(child.endpoint));
        child.end()?;
        check!(free_frames()? == frames, "{name}: frames are lost");
    }
    // And all that is left of them is told to nobody.
    let next = obedient(&[])?;
    kernel().kill(Kill { process: next.endpoint, signal: Signal::KILL.number() })?;
    family::signal(&next, Signal::KILL)?;
    next.end()
}

pub(crate) fn whoever_exits_never_runs_again() -> Outcome {
    let child = obedient(&["exit"])?;
    order_call(&child, &Exit { status: 3 })?;
    family::signal(&child, Signal::ABRT)?;
    family::finish(&child)?;
    // Not even so.
    let process = child.endpoint;
    kernel().schedctl(SchedCtl { process, scheduler: Scheduler::Kernel, priority: KEEP, quantum: KEEP, cpu: KEEP })?;
    settle()?;
    check_eq!(child.board().get(Board::COUNT), 0);
    check!(child.info()?.flags != RUNS, "it runs");
    check_eq!(child.info()?.name, named_bytes("child"));
    child.end()
}
