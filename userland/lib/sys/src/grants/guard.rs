//! Guards: a grant lasts as long as one of them.

use super::pages::Pages;
use super::table;
use abi::grant::GrantId;
use core::mem::ManuallyDrop;
use core::sync::atomic::{AtomicU32, Ordering};
use rt::Lent;

/// A grant. Dropped, it is taken back.
#[derive(Debug)]
pub struct Grant<'scope, H> {
    ticket: Ticket<'scope>,
    holding: H,
}

/// Memory that the grantee may read.
pub type ReadGrant<'scope, T> = Grant<'scope, Read<'scope, T>>;
/// Memory that the grantee may write.
pub type WriteGrant<'scope, T> = Grant<'scope, Write<'scope, T>>;
/// Memory that the grantee may read and write.
pub type ReadWriteGrant<'scope, T> = Grant<'scope, ReadWrite<'scope, T>>;
/// Pages that the grantee may map.
pub type SharedGrant<'scope, const N: usize> = Grant<'scope, Shared<'scope, N>>;
/// A part of what was received from somebody else.
pub type IndirectGrant<'scope> = Grant<'scope, HandedOn>;
/// Memory of somebody else.
pub type MagicGrant<'scope> = Grant<'scope, Foreign>;

/// What comes back when a grant has been taken back.
#[derive(Debug)]
pub struct Revoked<M> {
    /// The memory.
    pub memory: M,
    /// A copy with a grant that is [`trying`](super::Grantee::trying) failed, because memory was not there.
    pub faulted: bool,
}

impl<'scope, H: Holding> Grant<'scope, H> {
    pub(super) const fn new(id: GrantId, live: &'scope AtomicU32, holding: H) -> Self {
        Self { ticket: Ticket { id, live }, holding }
    }

    /// By what the grantee names it.
    #[must_use]
    pub const fn id(&self) -> GrantId {
        self.ticket.id
    }

    /// Takes the grant back, which ends those too that were made of it.
    pub fn revoke(self) -> Revoked<H::Memory> {
        let faulted = ManuallyDrop::new(self.ticket).end();
        Revoked { memory: self.holding.back(), faulted }
    }
}

/// Takes a grant back when it is dropped.
#[derive(Debug)]
struct Ticket<'scope> {
    id: GrantId,
    /// How many grants the scope has.
    live: &'scope AtomicU32,
}

impl Ticket<'_> {
    fn end(&self) -> bool {
        self.live.fetch_sub(1, Ordering::Relaxed);
        table::revoke(self.id)
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

/// What a grant keeps while it lasts, and gives back.
pub trait Holding: private::Sealed {
    /// As it was lent.
    type Memory;
    /// Gives it back, when nobody else uses it any more.
    #[doc(hidden)]
    fn back(self) -> Self::Memory;
}

mod private {
    pub trait Sealed {}
}

macro_rules! holdings {
    ($($(#[$doc:meta])* $name:ident<$m:lifetime, $T:ident>($field:ty) -> $Memory:ty: |$it:ident| $back:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name<$m, $T: ?Sized>(pub(super) $field);

        impl<$T: ?Sized> private::Sealed for $name<'_, $T> {}

        impl<$m, $T: ?Sized> Holding for $name<$m, $T> {
            type Memory = $Memory;
            fn back(self) -> Self::Memory {
                let $it = self.0;
                $back
            }
        }
    )+};
}

holdings! {
    /// Memory that others may read.
    Read<'m, T>(&'m T) -> &'m T: |memory| memory;
    /// Memory that others may write.
    Write<'m, T>(Lent<'m, T>) -> &'m mut T: |lent| lent.back();
    /// Memory that others may read and write.
    ReadWrite<'m, T>(Lent<'m, T>) -> &'m mut T: |lent| lent.back();
}

/// Pages that others may see.
#[derive(Debug)]
pub struct Shared<'m, const N: usize>(pub(super) &'m Pages<N>);

impl<const N: usize> private::Sealed for Shared<'_, N> {}

impl<'m, const N: usize> Holding for Shared<'m, N> {
    type Memory = &'m Pages<N>;
    fn back(self) -> Self::Memory {
        self.0
    }
}

macro_rules! no_memory {
    ($($(#[$doc:meta])* $name:ident)+) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name(pub(super) ());

        impl private::Sealed for $name {}

        impl Holding for $name {
            type Memory = ();
            fn back(self) {}
        }
    )+};
}

no_memory! {
    /// A grant of somebody else.
    HandedOn
    /// Memory of somebody else.
    Foreign
}
