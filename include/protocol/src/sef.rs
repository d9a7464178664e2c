//! What the root system process tells a service, asynchronously: the library `sef` receives it. From anybody else these are ordinary
//! requests, which a service does not know.

use abi::Endpoint;
use abi::boot::NAME_LEN;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

crate::protocol! {
    sef = 0x0e00;

    /// It is to be replaced when it is in a state; [`NO_STATE`](crate::rs::NO_STATE) calls that off. It answers with
    /// [`rs::Ready`](crate::rs::Ready).
    1 fn prepare(Prepare { state: u32, reserved: u32 }) -> Preparing {};
    /// A signal was raised for it.
    2 fn signal(Signaled { signal: u32, reserved: u32 }) -> Taken {};
}

/// Entries of the table of services.
pub const TABLE_LEN: usize = abi::PRIVILEGES;

/// A service as all others may see it. The endpoint is [`Endpoint::NONE`] in an entry that is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ServiceEntry {
    /// What it is called, padded with zeros.
    pub label: [u8; NAME_LEN],
    /// The name of its program, padded with zeros.
    pub program: [u8; NAME_LEN],
    /// Who it is.
    pub endpoint: Endpoint,
    /// Bits of [`abi::policy::ServiceFlags`].
    pub flags: u32,
}

impl ServiceEntry {
    /// One that is not used.
    pub const FREE: Self = Self { label: [0; NAME_LEN], program: [0; NAME_LEN], endpoint: Endpoint::NONE, flags: 0 };
}

/// States in which a service can be replaced, as [`Prepare`] names them. Those from [`CUSTOM`](state::CUSTOM) on are its own.
pub mod state {
    /// It waits for a request.
    pub const WORK_FREE: u32 = 1;
    /// No request is half done.
    pub const REQUEST_FREE: u32 = 2;
    /// No exchange of several messages is half done.
    pub const PROTOCOL_FREE: u32 = 3;
    /// For tests: it never gets there.
    pub const UNREACHABLE: u32 = 5;
    /// For tests: it panics on the way there.
    pub const CRASH: u32 = 6;
    /// The first of a service's own.
    pub const CUSTOM: u32 = 7;
}
