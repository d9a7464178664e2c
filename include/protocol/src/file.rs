//! What the memory server asks the file server, so that files can be mapped. See `docs/vm.md`.
//!
//! The memory server waits for nobody: it sends one question as an asynchronous message, and the next when that one has been answered by
//! [`FileAnswer`](crate::vm::FileAnswer) with the number of the question. A reply to the message itself says nothing. A descriptor is
//! one that the file server keeps for the memory server, as it keeps those of a process.

use abi::Endpoint;

crate::protocol! {
    file = 0xd00;

    /// Opens for the memory server what a descriptor of a process is. The answer has device and file, the size in bytes, and the new
    /// descriptor; a device that is read as a whole is file 0. `EBADF` if it is none that is open to be read; `EINVAL` for what cannot be mapped.
    1 fn look_up(LookUp { request: u32, process: Endpoint, fd: i32, reserved: u32 }) -> LookedUp {};
    /// Has the file system put a part of a file into the page cache, by [`SetCache`](crate::vm::SetCache). Offset and length are multiples of the page
    /// size. `EIO` if it cannot be read.
    2 fn read_page(ReadPage {
        request: u32,
        /// A descriptor of the memory server.
        fd: i32,
        offset: u64,
        len: u64
    }) -> PageRead {};
    /// Nobody shows the file any more: closes a descriptor of the memory server.
    3 fn close(Close { request: u32, fd: i32 }) -> Closed {};
}
