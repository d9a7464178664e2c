//! The kernel calls: made with [`abi::Trap::KernelCall`], allowed by the call mask, whose bits are their numbers.
//!
//! Besides the errors named here each can fail with `ECALLDENIED` (not in the caller's mask), `EBADREQUEST` (no such call)
//! and `EINVAL` (the arguments are no values of their types). A call that fails has changed nothing.

crate::protocol! {
    kernel = 0x600;

    /// How long the system has been up. The cheapest call.
    25 fn times(Times {}) -> Uptime {
        /// Timer ticks since boot.
        ticks: u64,
        /// Ticks in a second.
        hz: u64
    };
    /// One program of the boot table: its name and its endpoint. `EDOM` beyond the end.
    26 fn boot_entry(GetBootEntry {
        /// Place in the table.
        index: u64
    }) -> BootProgram {
        /// Name, padded with zeros.
        name: [u8; abi::boot::NAME_LEN],
        /// Its endpoint; stale if it has ended.
        endpoint: abi::Endpoint,
        reserved: u32
    };
    /// Ends the run of the whole system: stops it, or leaves QEMU with an exit code. Does not return.
    27 fn abort(Abort { how: AbortHow, status: u32 }) -> Aborted {};
    /// The caller's own endpoint and name.
    29 fn whoami(WhoAmI {}) -> Identity {
        /// Name, padded with zeros.
        name: [u8; abi::boot::NAME_LEN],
        endpoint: abi::Endpoint,
        reserved: u32
    };
    /// Writes text to the kernel log under the caller's name. `EINVAL` for a length of 0 or more than
    /// [`MAX_DIAG`] bytes, `EFAULT` if the text cannot be read; nothing is written then.
    44 fn diag_write(DiagWrite {
        /// Address of the text.
        address: u64,
        /// Its length in bytes.
        len: u64
    }) -> DiagWritten {};
    /// Ends the caller. Whoever waits for it gets `EDEADSRCDST`. Does not return.
    53 fn exit(Exit {
        /// For the log: 0 says that all is well.
        status: u64
    }) -> Exited {};
}

/// Most bytes of text in one [`DiagWrite`].
pub const MAX_DIAG: usize = 1024;

/// What [`Abort`] does.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    zerocopy::TryFromBytes,
    zerocopy::IntoBytes,
    zerocopy::KnownLayout,
    zerocopy::Immutable,
)]
#[repr(u32)]
pub enum AbortHow {
    /// Stops all processors.
    Halt = 0,
    /// Resets the machine.
    Reset = 1,
    /// Leaves QEMU with an exit code, where it offers that (`isa-debug-exit`); else like [`AbortHow::Halt`].
    Leave = 2,
}
