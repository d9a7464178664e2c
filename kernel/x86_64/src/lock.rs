//! A spin lock. Interrupts are off in the kernel, so it is held for the length of a kernel call at most.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, Ordering};

/// Data that one CPU uses at a time.
#[repr(C)]
pub struct Lock<T> {
    /// Comes first: assembly code gives a lock back by clearing the byte at its address.
    held: AtomicBool,
    data: UnsafeCell<T>,
}

// SAFETY: `held` lets one CPU at a time reach the data.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    /// Unlocked data.
    pub const fn new(data: T) -> Self {
        Self { held: AtomicBool::new(false), data: UnsafeCell::new(data) }
    }

    /// Takes the lock, if it is free.
    #[inline(always)]
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        if self.held.swap(true, Ordering::Acquire) { None } else { Some(Guard { lock: self }) }
    }

    /// Waits for the lock and takes it, doing something all the time meanwhile.
    pub fn lock_while(&self, mut waiting: impl FnMut()) -> Guard<'_, T> {
        loop {
            if let Some(guard) = self.try_lock() {
                return guard;
            }
            while self.held.load(Ordering::Relaxed) {
                waiting();
                core::hint::spin_loop();
            }
        }
    }

    /// Waits for the lock and takes it.
    pub fn lock(&self) -> Guard<'_, T> {
        self.lock_while(|| {})
    }

    /// The guard of a lock that assembly code has taken.
    ///
    /// # Safety
    /// It has, on this processor, and there is no other guard.
    #[inline(always)]
    pub unsafe fn taken(&self) -> Guard<'_, T> {
        Guard { lock: self }
    }

    /// Takes the lock whoever holds it.
    ///
    /// # Safety
    /// For a panic only: whoever holds it never runs again, or waits for ever.
    pub unsafe fn seize(&self) -> Guard<'_, T> {
        self.held.store(true, Ordering::Relaxed);
        Guard { lock: self }
    }
}

/// The held lock: gives it back when dropped. One that is forgotten leaves that to assembly code.
pub struct Guard<'a, T> {
    lock: &'a Lock<T>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard exists once while the lock is held.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard exists once while the lock is held.
        unsafe { &mut *self.lock.data.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        self.lock.held.store(false, Ordering::Release);
    }
}
