//! Pages of a process that runs elsewhere and writes them all the time.

use crate::elsewhere::{counts_on, plan};
use abi::Signal;
use family::{Child, Page, finish, programs, protect, signal, spin, unmap};
use protocol::vmctl::Access;
use suite::{Outcome, check_eq};

const ROUNDS: u64 = 40;

/// Takes the right to write from a child that writes, again and again, and gives it back.
fn take_and_give(take: impl Fn(&Child) -> Outcome, give: impl Fn(&Child) -> Outcome) -> Outcome {
    let child = Child::start(&plan(programs::count_in_target, 0)?)?;
    let page = child.home.page(Page::TARGET);
    for _ in 0..ROUNDS {
        counts_on(child.board())?;
        take(&child)?;
        let last = page.get(0);
        spin(2000);
        check_eq!(page.get(0), last);
        signal(&child, Signal::SEGV)?;
        check_eq!(page.get(0), last);
        give(&child)?;
        finish(&child)?;
    }
    counts_on(child.board())?;
    child.end()
}

pub(crate) fn a_page_taken_away_is_written_no_more() -> Outcome {
    take_and_give(
        |child| unmap(child.home.space, Page::TARGET.address(), 1),
        |child| child.home.map_page(Page::TARGET, Access::Write),
    )
}

pub(crate) fn a_page_made_read_only_is_written_no_more() -> Outcome {
    take_and_give(
        |child| protect(child.home.space, Page::TARGET.address(), Access::Read),
        |child| protect(child.home.space, Page::TARGET.address(), Access::Write),
    )
}
