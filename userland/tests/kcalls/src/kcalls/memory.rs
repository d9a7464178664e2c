//! The suite as the memory server: page faults, calls that need memory, and calls about memory.

use crate::kit::{MemoryOfOthers, child, nap, obedient, order_call, result, settle};
use abi::Errno;
use family::{Board, Child, Page, Plan, RUNS, fault, free_slot, me, programs, protect, unmap};
use protocol::kernel::{DiagWrite, MemSet, UMap};
use protocol::vmctl::*;
use suite::{Outcome, check, check_eq};
use sys::{kernel, vmctl};

const READS: u8 = 0;
const WRITES: u8 = 1;

/// Takes a page from a child.
fn take(child: &Child, page: Page) -> Outcome {
    unmap(child.home.space, page.address(), 1)
}

/// The first fault is one of reading, the second one of writing.
pub(crate) fn a_page_fault_is_told_mapped_and_gone_on_from() -> Outcome {
    let child = Child::prepare(&Plan::new(programs::count_in_target)?, free_slot()?)?;
    let process = child.endpoint;
    take(&child, Page::TARGET)?;
    child.allow()?;
    for access in [READS, WRITES] {
        let wait = fault(&child)?;
        check_eq!((wait.process, wait.len, wait.access), (process, 0, access));
        check_eq!(wait.address, Page::TARGET.address());
        check!(child.info()?.flags != RUNS, "it runs");
        check_eq!(vmctl().next_event(NextEvent {}).err(), Some(Errno::NoEnt));
        match access {
            READS => child.home.map_page(Page::TARGET, Access::Read)?,
            _ => protect(child.home.space, Page::TARGET.address(), Access::Write)?,
        }
        vmctl().clear_page_fault(ClearPageFault { process })?;
        check_eq!(vmctl().clear_page_fault(ClearPageFault { process }).err(), Some(Errno::Inval));
    }
    nap(2)?;
    let seen = child.home.page(Page::TARGET).get(0);
    check!(seen > 0, "it does not go on");
    child.end()
}

pub(crate) fn a_call_that_needs_memory_waits_for_it() -> Outcome {
    let child = obedient(&["memset"])?;
    let process = child.endpoint;
    // Two pages that are not there, one after the other.
    take(&child, Page(1))?;
    take(&child, Page(2))?;
    let [address, len] = [Page(1).address() + 8, 4096];
    order_call(&child, &MemSet { process: abi::Endpoint::SELF, byte: 0x5a, address, len })?;
    for page in [Page(1), Page(2)] {
        let wait = fault(&child)?;
        check_eq!((wait.process, wait.address, wait.len, wait.access), (process, address, len, WRITES));
        check_eq!((child.board().get(Board::COUNT), child.home.page(page).get(1)), (0, 0));
        child.home.map_page(page, Access::Write)?;
        vmctl().answer_request(AnswerRequest { process, available: 1 })?;
        check_eq!(vmctl().answer_request(AnswerRequest { process, available: 1 }).err(), Some(Errno::Inval));
        settle()?;
    }
    check_eq!((child.board().get(Board::COUNT), result(&child)), (1, Ok(0)));
    check_eq!(crate::kit::received(&child).body[0], len);
    let filled = 0x5a5a_5a5a_5a5a_5a5a;
    let words = [child.home.page(Page(1)).get(0), child.home.page(Page(1)).get(1)];
    check_eq!(words, [0, filled]);
    check_eq!([child.home.page(Page(2)).get(0), child.home.page(Page(2)).get(1)], [filled, 0]);
    child.end()
}

pub(crate) fn a_call_fails_if_there_is_no_memory_for_it() -> Outcome {
    let child = obedient(&["diag_write"])?;
    let process = child.endpoint;
    let registers = crate::kit::call_registers(&DiagWrite { address: 1 << 40, len: 3 });
    crate::kit::order(&child, registers)?;
    check_eq!(fault(&child)?.address, 1 << 40);
    check_eq!(vmctl().clear_page_fault(ClearPageFault { process }).err(), Some(Errno::Inval));
    vmctl().answer_request(AnswerRequest { process, available: 0 })?;
    settle()?;
    check_eq!((child.board().get(Board::COUNT), result(&child)), (1, Err(Errno::Fault)));
    // Nothing else has changed.
    check_eq!(child.board().registers().body, registers.body);
    child.end()
}

pub(crate) fn memory_of_a_child_is_filled() -> Outcome {
    let child = obedient(&[])?;
    let process = child.endpoint;
    let page = child.home.page(Page::TARGET);
    let address = Page::TARGET.address();
    let fill = |address, len, byte| MemoryOfOthers.memset(MemSet { process, byte, address, len });
    check_eq!(fill(address + 8, 16, 0xa5)?.done, 16);
    check_eq!([0, 1, 2, 3].map(|i| page.get(i)), [0, 0xa5a5_a5a5_a5a5_a5a5, 0xa5a5_a5a5_a5a5_a5a5, 0]);
    check_eq!(fill(address, 0, 0xa5)?.done, 0);
    let refused = |address, len, byte| fill(address, len, byte).err();
    check_eq!(refused(address, 1, 0x100), Some(Errno::Inval));
    for absent in [0, 1 << 40, u64::MAX, 0xffff_8000_0000_0000, programs::count as *const () as u64] {
        check_eq!(refused(absent, 8, 1), Some(Errno::Fault));
    }
    // Not even the part that is there.
    take(&child, Page(2))?;
    check_eq!(refused(address + 4000, 4096, 1), Some(Errno::Fault));
    check_eq!(page.get(511), 0);
    child.end()
}

pub(crate) fn the_place_of_memory_is_told() -> Outcome {
    let child = obedient(&[])?;
    let page = child.home.page(Page::BOARD);
    let address = core::ptr::from_ref(page) as u64;
    let place = |address, len| kernel().umap(UMap { address, len }).map(|found| found.physical);
    let frame = child.home.frame_of(Page::BOARD);
    check_eq!(place(address, 1)?, frame);
    check_eq!(place(address + 77, 4096)?, frame + 77);
    check_eq!(place(address, 4 * 4096)?, frame);
    for len in [0, (512 << 12) + 1, u64::MAX] {
        check_eq!(place(address, len), Err(Errno::Inval));
    }
    for absent in [0, 1 << 40, u64::MAX, 0xffff_8000_0000_0000] {
        check_eq!(place(absent, 8), Err(Errno::Fault));
    }
    child.end()
}

pub(crate) fn nobody_moves_while_he_runs() -> Outcome {
    let child = child(programs::count)?;
    let (process, space) = (child.endpoint, child.home.space);
    let settle = |process, space| vmctl().settle(Settle { process, reserved: 0, space }).err();
    check_eq!(settle(process, space), Some(Errno::Busy));
    check_eq!(settle(me()?, space), Some(Errno::Busy));
    check_eq!(vmctl().destroy(DestroySpace { space }).err(), Some(Errno::Busy));
    sys::trace().stop(protocol::trace::Stop { process })?;
    for bad in [1, space + 1, space ^ 1 << 32, u64::MAX] {
        check_eq!(settle(process, bad), Some(Errno::Srch));
    }
    check_eq!((settle(process, 0), vmctl().space_of(GetSpaceOf { process })?.space), (None, 0));
    sys::trace().resume(protocol::trace::Resume { process })?;
    let count = child.board().get(Board::COUNT);
    nap(2)?;
    check_eq!(child.board().get(Board::COUNT), count);
    check_eq!((settle(process, space), vmctl().space_of(GetSpaceOf { process })?.space), (None, space));
    nap(2)?;
    check!(child.board().get(Board::COUNT) > count, "it does not go on");
    child.end()
}
