//! The kernel calls for interrupts. A hook connects a line with a bit in the notifications from [`abi::Endpoint::HARDWARE`].

crate::protocol! {
    irqctl = 0x680;

    /// Makes a hook for a line, or changes the one that the caller has with this bit. `EPERM` for a line that the caller does not
    /// have, `EINVAL` for a bit above 31, `ENOSPC` if there are no hooks left. The line is unmasked.
    1 fn set_policy(SetPolicy {
        line: u32,
        /// Bit that says that the interrupt came.
        bit: u32,
        /// Not 0: the line stays unmasked when an interrupt comes. Else it is masked until [`Enable`].
        reenable: u32
    }) -> PolicySet {
        /// The number of the hook, 1 and up.
        hook: u32
    };
    /// Removes a hook: `EINVAL` if there is none, `EPERM` if it is somebody else's.
    2 fn remove_policy(RemovePolicy { hook: u32 }) -> PolicyRemoved {};
    /// Lets interrupts come again. Errors as of [`RemovePolicy`].
    3 fn enable(Enable { hook: u32 }) -> Enabled {};
    /// Masks the line. Errors as of [`RemovePolicy`].
    4 fn disable(Disable { hook: u32 }) -> Disabled {};
}
