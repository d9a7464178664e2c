//! A heap that knows whether the server has reserved what it allocates.
//!
//! As the real one, it has some bytes to spare at its end; what is freed may be of no use to the same request. Between
//! requests, all that is free is to spare again.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use vm::OVERHEAD;

const PAGE: usize = 4096;

#[derive(Clone, Copy)]
struct Account {
    /// The server runs: what is allocated is its own.
    open: bool,
    /// Bytes that have been mapped.
    mapped: usize,
    /// Bytes that it has.
    used: usize,
    /// Bytes at the end.
    spare: usize,
    /// It has allocated what it had not reserved.
    overdrawn: bool,
}

thread_local! {
    static ACCOUNT: Cell<Account> =
        const { Cell::new(Account { open: false, mapped: 0, used: 0, spare: 0, overdrawn: false }) };
}

fn change(act: impl FnOnce(&mut Account)) {
    // While a thread ends, there is no account any more.
    let _ = ACCOUNT.try_with(|cell| {
        let mut account = cell.get();
        act(&mut account);
        cell.set(account);
    });
}

struct Counting;

// SAFETY: all is done by the system's allocator; counting touches nothing of it, and allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        change(|account| {
            if account.open {
                let bytes = layout.size() + OVERHEAD;
                account.used += bytes;
                account.overdrawn |= account.spare < bytes;
                account.spare = account.spare.saturating_sub(bytes);
            }
        });
        // SAFETY: the caller keeps the contract of this function, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        change(|account| {
            if account.open {
                account.used = account.used.saturating_sub(layout.size() + OVERHEAD);
            }
        });
        // SAFETY: the caller keeps the contract of this function, which is the same.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The server's heap: begins at a page, and grows.
#[derive(Debug)]
pub(crate) struct CountedHeap {
    end: u64,
}

impl CountedHeap {
    pub(crate) fn new(first: u64) -> Self {
        change(|account| *account = Account { open: false, mapped: 0, used: 0, spare: 0, overdrawn: false });
        Self { end: first }
    }
}

impl vm::Heap for CountedHeap {
    fn lacks(&self, bytes: usize) -> u64 {
        bytes.saturating_sub(ACCOUNT.get().spare).div_ceil(PAGE) as u64
    }

    fn end(&self) -> u64 {
        self.end
    }

    fn grow(&mut self, pages: u64) {
        self.end += pages;
        change(|account| {
            account.mapped += pages as usize * PAGE;
            account.spare += pages as usize * PAGE;
        });
    }
}

/// Pages that the heap has.
pub(crate) fn pages() -> u64 {
    (ACCOUNT.get().mapped / PAGE) as u64
}

/// What is done here is done by the server.
pub(crate) fn served<R>(act: impl FnOnce() -> R) -> R {
    change(|account| {
        account.open = true;
        account.spare = account.mapped.saturating_sub(account.used);
    });
    let result = act();
    change(|account| account.open = false);
    assert!(!ACCOUNT.get().overdrawn, "the server has allocated more than it has reserved");
    result
}

/// What is done here is not, though the server waits for it.
pub(crate) fn unserved<R>(act: impl FnOnce() -> R) -> R {
    let was_open = ACCOUNT.get().open;
    change(|account| account.open = false);
    let result = act();
    change(|account| account.open = was_open);
    result
}
