//! Grants: lending memory to others, and using what others lend.
//!
//! Memory is lent within a scope, by a guard that takes it back when it is dropped:
//!
//! ```no_run
//! # fn ask(_: abi::Endpoint, _: abi::grant::GrantId) -> Result<(), abi::Errno> { Ok(()) }
//! # fn read_block(disk: abi::Endpoint) -> Result<(), abi::Errno> {
//! let mut block = [0; 512];
//! let full = sys::grants::scope(|scope| -> Result<bool, abi::Errno> {
//!     let grant = scope.write(&mut block, disk)?;
//!     ask(disk, grant.id())?;
//!     Ok(grant.revoke().memory.iter().all(|&byte| byte != 0))
//! })?;
//! # Ok(())
//! # }
//! ```
//!
//! When a grant has been taken back, nobody uses it any more, on any processor. A scope takes back what is left when it ends,
//! guards that were forgotten among it: so nobody writes memory that is not lent any more. What outlives all scopes is lent by
//! [`FOREVER`].
//!
//! The compiler sees to it that memory is not used while somebody else may write it,
//!
//! ```compile_fail,E0503
//! # let disk = abi::Endpoint::NONE;
//! let mut block = [0; 512];
//! sys::grants::scope(|scope| {
//!     let grant = scope.write(&mut block, disk);
//!     block[0] = 1;
//! });
//! ```
//!
//! and that neither a guard nor what is only borrowed in the scope itself is used too long.
//!
//! ```compile_fail,E0521
//! # let disk = abi::Endpoint::NONE;
//! let mut block = [0; 512];
//! let mut kept = None;
//! sys::grants::scope(|scope| kept = scope.write(&mut block, disk).ok());
//! ```
//! ```compile_fail,E0597
//! # let disk = abi::Endpoint::NONE;
//! sys::grants::scope(|scope| {
//!     let mut block = [0; 512];
//!     core::mem::forget(scope.write(&mut block, disk));
//! });
//! ```
//!
//! [`Pages`] can be seen by several programs at once: they are granted with [`Scope::share`], and mapped with [`Received::map`].
//!
//! Whoever was given a grant uses it by [`Received`], or several at once by [`Copies`], and hands it on with
//! [`Scope::hand_on`].

mod book;
mod copies;
mod entry;
mod guard;
mod pages;
mod patience;
mod received;
mod scope;
mod table;

pub use abi::grant::GrantId;
pub use copies::{Copies, CopiesError};
pub use guard::{
    Foreign, Grant, HandedOn, Holding, IndirectGrant, MagicGrant, Read, ReadGrant, ReadWrite, ReadWriteGrant, Revoked,
    Shared, SharedGrant, Write, WriteGrant,
};
pub use pages::{Mapped, Pages, Place};
pub use received::{CopyError, Received};
pub use scope::{FOREVER, ForeignMemory, Grantee, Refused, Rights, Scope, scope};
pub use table::{Room, add_room, register_again};
