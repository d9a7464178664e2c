//! The root system process, which starts, watches, restarts and updates services. See `docs/services.md`.
//!
//! Services begin with [`InitInfo`] and [`InitDone`]. The calls about a service are for services whose policy names it under `control`, for
//! services with `uid root`, and for users that the process manager knows as root: `EPERM` for all others, and about the root system
//! process itself; `ELOCKED` for the process manager, the memory server and the data store, which it asks while it does what it is asked for.
//! They fail with `ESRCH` for an unknown label, and with `EBUSY` for a
//! service that is being started, stopped or updated. A label or a program's name is text padded with zeros; `EINVAL` if it is none.

use abi::Endpoint;
use abi::boot::NAME_LEN;
use abi::grant::GrantId;

crate::protocol! {
    rs = 0x0f00;

    /// Starts a service: a program that its policy and the boot set have. Answered when it is initialised, or has failed to be: with
    /// its error, `EDEADSRCDST` if it died, or `ETIMEDOUT`. `EPERM` for a program that is no service, `ENOENT` if there is no such program or policy, `EBUSY` for
    /// a label that is taken or the name of another program, and when all services are ending; `ENOMEM` or `ENOSPC` if there is no room, `E2BIG` for more
    /// than [`MAX_ARGUMENTS`], and what a copy by the grant fails with.
    1 fn up(Up {
        /// Its program, and the policy for it.
        program: [u8; NAME_LEN],
        /// What it is called; all zeros for the name of its program.
        label: [u8; NAME_LEN],
        /// A text of `len` bytes, to be read, with the arguments of the program behind its name; `len` is 0 if there are none. If there is a zero
        /// byte in it, such bytes end the arguments, and else spaces do. A restarted service gets them again.
        arguments: GrantId,
        len: u64
    }) -> UpDone { endpoint: Endpoint };
    /// Ends a service, first in peace, then by force. Answered when it is gone. `EPERM` for what the system cannot go on without.
    2 fn down(Down { label: [u8; NAME_LEN] }) -> DownDone {};
    /// Ends it and starts it again. Answered when it is initialised; or when it is dead, if its recovery script decides what follows. `ENOENT` if its
    /// program was not kept, `EPERM` for the process manager.
    3 fn refresh(Refresh { label: [u8; NAME_LEN] }) -> Refreshed { endpoint: Endpoint };
    /// Starts a service at once that waits for its restart or for its recovery script, or was given up: `EBUSY` if it runs, and when all services are
    /// ending.
    4 fn restart(Restart { label: [u8; NAME_LEN] }) -> Restarted { endpoint: Endpoint };
    /// Ends all services, in the reverse order of their start. Whatever is dead stays dead. Whoever waits for
    /// something else of a service gets `EDEADSRCDST`.
    5 fn shutdown(Shutdown {}) -> ShutdownDone {};
    /// Replaces a service by another version of it, which takes over its state and its name. Answered when the new one serves, or the old
    /// one goes on: with the error of whichever would not, `ETIMEDOUT`, `EDEADSRCDST` if one of them died, `EINVAL` for [`NO_STATE`],
    /// `EBUSY` while another update is under way.
    6 fn update(Update {
        label: [u8; NAME_LEN],
        /// The new program, with the policy of the old.
        program: [u8; NAME_LEN],
        /// In which state the old one is to be replaced: see [`crate::sef`].
        state: u32,
        /// How long it may take to get there, in milliseconds; 0 for two seconds.
        patience: u32
    }) -> UpdateDone {};
    /// The endpoint of a service. For everybody.
    8 fn lookup(Lookup { label: [u8; NAME_LEN] }) -> Found { endpoint: Endpoint };
    /// The service in a slot. `EDOM` beyond the last one, `ESRCH` if the slot is free. For everybody.
    9 fn service(GetService { slot: u64 }) -> ServiceInfo {
        label: [u8; NAME_LEN],
        program: [u8; NAME_LEN],
        endpoint: Endpoint,
        pid: u32,
        state: State,
        restarts: u32,
        /// Why it was restarted last.
        reason: Reason,
        /// Periods until it is restarted; 0 if it does not wait for that.
        backoff: u32
    };
    /// Sets how long a service may leave a ping unanswered.
    10 fn edit(Edit {
        label: [u8; NAME_LEN],
        /// Milliseconds; 0 to ping it no more.
        heartbeat: u32
    }) -> Edited {};
    /// How the caller is to begin: what a service asks first. `EPERM` for who is not starting.
    20 fn init_info(GetInit {}) -> InitInfo {
        how: Init,
        /// How often it was restarted.
        restarts: u32,
        /// Its own endpoint.
        endpoint: Endpoint,
        /// Under which the instance is that it replaces; [`Endpoint::NONE`] if it is the first.
        old: Endpoint,
        /// The state of that one, to be read; `state_len` is 0 if there is none.
        state_grant: GrantId,
        state_len: u64,
        /// The table of all services ([`crate::sef::TABLE_LEN`] entries of [`crate::sef::ServiceEntry`]), to be read.
        table_grant: GrantId,
        /// The state that the old instance was replaced in.
        prepared: u32,
        reserved: u32
    };
    /// It has begun, or cannot. Answered only if it has: whoever cannot begin is ended. `EPERM` for who is not starting.
    21 fn init_done(InitDone {
        /// 0, or the error number.
        error: u32,
        reserved: u32,
        /// Memory that an instance after a crash may read, if `state_len` is not 0.
        state_grant: GrantId,
        state_len: u64
    }) -> Begun {};
    /// It can be replaced, or will not be able to. Answered only if it is not replaced: with `EINTR` when the update was called off,
    /// `EAGAIN` when the new version could not begin, `EINVAL` if nobody has asked.
    22 fn ready(Ready {
        state: u32,
        /// 0, or the error number.
        error: u32,
        /// Its state, for the new version, if `state_len` is not 0.
        state_grant: GrantId,
        state_len: u64
    }) -> GoOn {};
}

/// Most bytes of the arguments for [`Up`].
pub const MAX_ARGUMENTS: u64 = 256;

/// For [`Update`]: no state to be replaced in.
pub const NO_STATE: u32 = 0;

crate::vmctl::field_enum! {
    /// How a service begins.
    Init {
        /// For the first time.
        Fresh = 0,
        /// As a new version of one that has prepared for it.
        LiveUpdate = 1,
        /// After a crash.
        Restart = 2,
    }
}

crate::vmctl::field_enum! {
    /// What a service is doing.
    State {
        /// It is being made, or has not begun yet.
        Starting = 0,
        /// It serves.
        Active = 1,
        /// It is being replaced by another version.
        Updating = 2,
        /// It was asked to end.
        Ending = 3,
        /// It is dead and waits for its restart.
        Waiting = 4,
        /// It is dead and will not be restarted.
        GivenUp = 5,
        /// It is dead, and its recovery script decides what becomes of it.
        Recovering = 6,
    }
}

crate::vmctl::field_enum! {
    /// Why a service was restarted.
    Reason {
        /// It was not.
        None = 0,
        /// Somebody asked for it.
        Request = 1,
        /// It died.
        Crash = 2,
        /// It did not answer its pings.
        NoHeartbeat = 3,
    }
}
