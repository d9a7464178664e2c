//! Scopes: how long memory may be lent.

use super::book;
use super::guard::{Foreign, Grant, HandedOn, IndirectGrant, MagicGrant, Read, ReadGrant, ReadWrite};
use super::guard::{ReadWriteGrant, Shared, SharedGrant, Write, WriteGrant};
use super::pages::Pages;
use super::received::Received;
use super::table;
use abi::grant::{GrantEntry, GrantFlags, GrantId};
use abi::{Endpoint, Errno};
use core::marker::PhantomData;
use core::ops::Range;
use core::sync::atomic::{AtomicU32, Ordering};
use rt::Lent;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Where memory is lent: see [`scope()`]. All its methods that make grants fail with `ENOSPC` if there is no room for more of
/// them (see [`add_room`](super::add_room)), with `ECALLDENIED` or `EPERM` for a program that may make none.
#[derive(Debug)]
pub struct Scope<'scope, 'env: 'scope> {
    number: u64,
    /// How many grants it has.
    live: AtomicU32,
    /// Neither lifetime may be shortened or lengthened, as for `std::thread::Scope`.
    scope: PhantomData<fn(&'scope ()) -> &'scope ()>,
    env: PhantomData<fn(&'env ()) -> &'env ()>,
}

/// The scope that never ends, for memory that is never given back otherwise than by revoking. A guard of it that is forgotten
/// leaves its memory to the grantee for good.
pub static FOREVER: Scope<'static, 'static> = Scope::new(book::FOREVER);

/// Calls `lend` with a scope in which it can lend memory that lives longer. When it has returned, all grants of the scope are
/// taken back.
pub fn scope<'env, R>(lend: impl for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R) -> R {
    /// Ends the scope when it is dropped, also in a panic.
    struct End<'a, 'scope, 'env>(&'a Scope<'scope, 'env>);
    impl Drop for End<'_, '_, '_> {
        fn drop(&mut self) {
            if self.0.live.load(Ordering::Relaxed) > 0 {
                table::revoke_all(self.0.number);
            }
        }
    }
    let scope = Scope::new(table::new_scope());
    let _end = End(&scope);
    lend(&scope)
}

impl<'scope, 'env> Scope<'scope, 'env> {
    const fn new(number: u64) -> Self {
        Self { number, live: AtomicU32::new(0), scope: PhantomData, env: PhantomData }
    }

    /// Lets somebody read memory.
    ///
    /// # Errors
    /// See [`Scope`].
    pub fn read<T>(&'scope self, memory: &'scope T, to: impl Into<Grantee>) -> Result<ReadGrant<'scope, T>, Errno>
    where
        T: IntoBytes + Immutable + ?Sized,
    {
        let bytes = memory.as_bytes();
        let start = bytes.as_ptr().expose_provenance() as u64;
        let id = self.direct(start, bytes.len() as u64, Rights::READ, to.into())?;
        Ok(self.guard(id, Read(memory)))
    }

    /// Lets somebody write memory, which comes back with [`Grant::revoke`].
    ///
    /// # Errors
    /// See [`Scope`].
    pub fn write<T>(
        &'scope self,
        memory: &'scope mut T,
        to: impl Into<Grantee>,
    ) -> Result<WriteGrant<'scope, T>, Refused<&'scope mut T>>
    where
        T: FromBytes + IntoBytes + ?Sized,
    {
        let (id, lent) = self.lend(memory, Rights::WRITE, to.into())?;
        Ok(self.guard(id, Write(lent)))
    }

    /// Lets somebody read and write memory, which comes back with [`Grant::revoke`].
    ///
    /// # Errors
    /// See [`Scope`].
    pub fn read_write<T>(
        &'scope self,
        memory: &'scope mut T,
        to: impl Into<Grantee>,
    ) -> Result<ReadWriteGrant<'scope, T>, Refused<&'scope mut T>>
    where
        T: FromBytes + IntoBytes + ?Sized,
    {
        let (id, lent) = self.lend(memory, Rights::READ_WRITE, to.into())?;
        Ok(self.guard(id, ReadWrite(lent)))
    }

    /// Lets somebody see pages, which the program goes on using.
    ///
    /// # Errors
    /// See [`Scope`].
    pub fn share<const N: usize>(
        &'scope self,
        pages: &'scope Pages<N>,
        rights: Rights,
        to: impl Into<Grantee>,
    ) -> Result<SharedGrant<'scope, N>, Errno> {
        let id = self.direct(pages.address(), Pages::<N>::len(), rights.mapping(), to.into())?;
        Ok(self.guard(id, Shared(pages)))
    }

    /// Hands on a part of a grant that the program has got, counted in bytes from its beginning, with no more rights than it
    /// has got itself. It ends with that grant.
    ///
    /// # Errors
    /// See [`Scope`]; `EINVAL` for a range that ends before it starts, or is to be mapped and is not one of whole pages.
    pub fn hand_on(
        &'scope self,
        received: Received,
        part: Range<u64>,
        rights: Rights,
        to: impl Into<Grantee>,
    ) -> Result<IndirectGrant<'scope>, Errno> {
        let len = part.end.checked_sub(part.start).ok_or(Errno::Inval)?;
        let entry = GrantEntry {
            start: part.start,
            len,
            parent: received.id,
            other: received.granter,
            ..to.into().entry(GrantFlags::INDIRECT, rights)
        };
        Ok(self.guard(table::grant(self.number, entry)?, HandedOn(())))
    }

    /// Lets somebody use memory of somebody else: for programs that are privileged to grant memory of others. What is done
    /// to that memory is their responsibility.
    ///
    /// # Errors
    /// See [`Scope`].
    pub fn magic(
        &'scope self,
        memory: ForeignMemory,
        rights: Rights,
        to: impl Into<Grantee>,
    ) -> Result<MagicGrant<'scope>, Errno> {
        let ForeignMemory { owner, address, len } = memory;
        let entry = GrantEntry { start: address, len, other: owner, ..to.into().entry(GrantFlags::MAGIC, rights) };
        Ok(self.guard(table::grant(self.number, entry)?, Foreign(())))
    }

    fn lend<'m, T>(
        &self,
        memory: &'m mut T,
        rights: Rights,
        to: Grantee,
    ) -> Result<(GrantId, Lent<'m, T>), Refused<&'m mut T>>
    where
        T: FromBytes + IntoBytes + ?Sized,
    {
        let lent = Lent::new(memory);
        match self.direct(lent.address(), lent.len(), rights, to) {
            Ok(id) => Ok((id, lent)),
            Err(errno) => Err(Refused { errno, memory: lent.back() }),
        }
    }

    fn direct(&self, start: u64, len: u64, rights: Rights, to: Grantee) -> Result<GrantId, Errno> {
        table::grant(self.number, GrantEntry { start, len, ..to.entry(GrantFlags::DIRECT, rights) })
    }

    fn guard<H: super::Holding>(&'scope self, id: GrantId, holding: H) -> Grant<'scope, H> {
        self.live.fetch_add(1, Ordering::Relaxed);
        Grant::new(id, &self.live, holding)
    }
}

/// Memory of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForeignMemory {
    /// Whose it is.
    pub owner: Endpoint,
    /// Its first byte.
    pub address: u64,
    /// Bytes.
    pub len: u64,
}

/// What may be done with granted memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights(GrantFlags);

impl Rights {
    /// The grantee may read.
    pub const READ: Self = Self(GrantFlags::READ);
    /// The grantee may write.
    pub const WRITE: Self = Self(GrantFlags::WRITE);
    /// The grantee may read and write.
    pub const READ_WRITE: Self = Self(GrantFlags::READ.union(GrantFlags::WRITE));

    /// The grantee may also map the memory, in whole pages, to use it in these ways.
    #[must_use]
    pub const fn mapping(self) -> Self {
        Self(self.0.union(GrantFlags::MAP))
    }

    pub(super) const fn flags(self) -> GrantFlags {
        self.0
    }
}

/// To whom something is granted; [`Endpoint::ANY`] is everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grantee {
    endpoint: Endpoint,
    how: GrantFlags,
}

impl Grantee {
    /// Copies with the grant fail with `EFAULT` where memory is not there, instead of waiting for the memory server;
    /// [`Grant::revoke`] tells whether one did. A grant that is handed on has this from the one it was made of.
    #[must_use]
    pub const fn trying(self) -> Self {
        Self { how: self.how.union(GrantFlags::TRY), ..self }
    }

    fn entry(self, kind: GrantFlags, rights: Rights) -> GrantEntry {
        let flags = GrantFlags::USED | GrantFlags::VALID | kind | rights.0 | self.how;
        GrantEntry { flags: flags.bits(), grantee: self.endpoint, ..GrantEntry::FREE }
    }
}

impl From<Endpoint> for Grantee {
    fn from(endpoint: Endpoint) -> Self {
        Self { endpoint, how: GrantFlags::empty() }
    }
}

/// A grant that could not be made, and the memory that was to be lent.
#[derive(Debug)]
pub struct Refused<M> {
    /// Why.
    pub errno: Errno,
    /// The memory.
    pub memory: M,
}

impl<M> From<Refused<M>> for Errno {
    fn from(refused: Refused<M>) -> Self {
        refused.errno
    }
}
