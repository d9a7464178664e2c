//! The allocator of a program that maps its pages itself: it maps them behind the end before they are needed, and the allocator takes
//! them when it has nothing else. So a program can know beforehand that what it will allocate is there.
//!
//! The range of addresses from [`START`] on is the heap's. A program that says it has mapped a page there and has not gets a page
//! fault. On the host, the allocator is that of `std`.
#![no_std]

use abi::layout::PAGE_SIZE;
use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::{NonNull, null_mut, without_provenance_mut};
use talc::DefaultBinning;
use talc::base::Talc;
use talc::base::binning::Binning;
use talc::source::Source;

/// The first page of the heap.
pub const START: u64 = 0x10_0000_0000 / PAGE_SIZE;

/// What has been mapped, and how much of it the allocator has taken.
#[derive(Debug)]
struct Mapped {
    /// Bytes from the start.
    len: usize,
    /// The end of what the allocator has.
    taken: Option<NonNull<u8>>,
}

impl Mapped {
    fn end(&self) -> usize {
        (START * PAGE_SIZE) as usize + self.len
    }

    /// Bytes that the allocator has not taken yet: they lie behind all that it has.
    fn spare(&self) -> usize {
        self.end() - self.taken.map_or((START * PAGE_SIZE) as usize, |end| end.as_ptr() as usize)
    }
}

// SAFETY: it uses the allocator that it is given, and nothing else allocates.
unsafe impl Source for Mapped {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, _: Layout) -> Result<(), ()> {
        if talc.source.spare() == 0 {
            return Err(());
        }
        let end = without_provenance_mut(talc.source.end());
        talc.source.taken = match talc.source.taken {
            // SAFETY: the pages from there to the end are mapped, and nobody else has them.
            Some(before) => Some(unsafe { talc.extend(before, end) }),
            // SAFETY: the same.
            None => unsafe { talc.claim(without_provenance_mut((START * PAGE_SIZE) as usize), talc.source.len) },
        };
        talc.source.taken.map(drop).ok_or(())
    }
}

struct Allocator(UnsafeCell<Talc<Mapped, DefaultBinning>>);

// SAFETY: the program has one thread, and no signal handler.
unsafe impl Sync for Allocator {}

#[cfg_attr(panic = "abort", global_allocator)]
static ALLOCATOR: Allocator = Allocator(UnsafeCell::new(Talc::new(Mapped { len: 0, taken: None })));

impl Allocator {
    /// Does something with the allocator, that allocates by no other way.
    fn with<R>(&self, act: impl FnOnce(&mut Talc<Mapped, DefaultBinning>) -> R) -> R {
        // SAFETY: the program has one thread, and no `act` here comes back to this function.
        act(unsafe { &mut *self.0.get() })
    }
}

// SAFETY: talc keeps the contract.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller sees to it that the layout has a size.
        self.with(|talc| unsafe { talc.allocate(layout) }.map_or(null_mut(), NonNull::as_ptr))
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller has the block from here, with this layout.
        self.with(|talc| unsafe { talc.deallocate(pointer, layout) });
    }
}

/// Bytes that can be allocated for sure, in whatever blocks, with what the allocator takes beside them.
#[must_use]
#[inline]
pub fn spare() -> usize {
    ALLOCATOR.with(|talc| talc.source.spare())
}

/// The page behind the last that has been mapped.
#[must_use]
pub fn end() -> u64 {
    ALLOCATOR.with(|talc| talc.source.end()) as u64 / PAGE_SIZE
}

/// So many pages have been mapped there. They are looked at: what is not there is a page fault here, not later.
pub fn grow(pages: u64) {
    for page in end()..end() + pages {
        let first = without_provenance_mut::<u64>((page * PAGE_SIZE) as usize);
        // SAFETY: nobody else uses this range of addresses; where nothing is mapped, the program ends.
        unsafe { first.write_volatile(0) };
    }
    ALLOCATOR.with(|talc| talc.source.len += (pages * PAGE_SIZE) as usize);
}
