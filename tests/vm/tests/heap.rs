//! A heap that knows whether the server has reserved what it allocates.
//!
//! A request may allocate as much as it has reserved, and no more, however much there is; what it frees is of no use to itself.

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
    /// Bytes that this request has freed.
    freed: usize,
    /// Bytes that this request may still allocate.
    reserved: usize,
    /// What was reserved last, if the heap grows to that.
    wanted: usize,
    /// It has allocated what it had not reserved.
    overdrawn: bool,
}

impl Account {
    const NEW: Self = Self { open: false, mapped: 0, used: 0, freed: 0, reserved: 0, wanted: 0, overdrawn: false };
}

thread_local! {
    static ACCOUNT: Cell<Account> =
        const { Cell::new(Account::NEW) };
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
                account.overdrawn |= account.reserved < bytes;
                account.reserved = account.reserved.saturating_sub(bytes);
            }
        });
        // SAFETY: the caller keeps the contract of this function, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        change(|account| {
            if account.open {
                account.freed += layout.size() + OVERHEAD;
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
        change(|account| *account = Account::NEW);
        Self { end: first }
    }
}

impl vm::Heap for CountedHeap {
    fn lacks(&self, bytes: usize) -> u64 {
        let Account { mapped, used, .. } = ACCOUNT.get();
        let lacking = bytes.saturating_sub(mapped.saturating_sub(used));
        change(|account| {
            account.wanted = bytes;
            if lacking == 0 {
                account.reserved = account.reserved.max(bytes);
            }
        });
        lacking.div_ceil(PAGE) as u64
    }

    fn end(&self) -> u64 {
        self.end
    }

    fn grow(&mut self, pages: u64) {
        self.end += pages;
        change(|account| {
            account.mapped += pages as usize * PAGE;
            if account.mapped - account.used >= account.wanted {
                account.reserved = account.reserved.max(account.wanted);
            }
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
        account.reserved = 0;
    });
    let result = act();
    change(|account| {
        account.open = false;
        account.used = account.used.saturating_sub(std::mem::take(&mut account.freed));
    });
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
