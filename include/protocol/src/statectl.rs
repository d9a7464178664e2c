//! The kernel calls by which a service changes what others have to do with it.

crate::protocol! {
    statectl = 0x6c0;

    /// Everybody who waits for the caller gets `EDEADSRCDST`: a driver does this when it starts anew under its old endpoint. Signals
    /// that were taken under it and not ended are offered to it again.
    1 fn clear_ipc_refs(ClearRefs {}) -> RefsCleared {};
    /// Tells where the caller keeps the table of its state, for tools of live update.
    2 fn set_state_table(SetStateTable { address: u64, count: u64 }) -> StateTableSet {};
    /// Lets the caller receive nothing that one of these elements matches, from now on. `EINVAL` for a bad element, `E2BIG` for
    /// none or more than 128, `ENOMEM` if the kernel has no room for them, `EFAULT` if they cannot be read.
    3 fn add_blacklist(AddBlacklist {
        /// Address of an array of elements.
        address: u64,
        count: u64
    }) -> BlacklistAdded {};
    /// Lets it receive again what one of these matches. Errors as of [`AddBlacklist`].
    4 fn add_whitelist(AddWhitelist {
        /// Address of an array of elements.
        address: u64,
        count: u64
    }) -> WhitelistAdded {};
    /// Removes all filters of the caller.
    5 fn clear_filters(ClearFilters {}) -> FiltersCleared {};
}
