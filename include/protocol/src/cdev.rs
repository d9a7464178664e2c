//! Character devices: what their drivers are asked. A driver has minor devices, by number.
//!
//! A minor must be open before anything else is asked about it: `ERESTART` if it is not, since whoever asks has then opened it at an instance of the driver
//! that has ended. It opens it again. `ENXIO` for a minor that does not exist.

use abi::grant::GrantId;

crate::protocol! {
    cdev = 0x0400;

    /// Opens a minor device. `ENFILE` if too many are open.
    0 fn open(Open {
        minor: u32,
        /// Bits of [`OpenFor`].
        access: u32
    }) -> Opened {
        /// The minor that was opened: another one, if the device makes one for each.
        minor: u32
    };
    /// Closes it.
    1 fn close(Close { minor: u32 }) -> Closed {};
    /// Reads to granted memory. `EIO` if nothing can be read; the error of the copy.
    2 fn read(Read {
        minor: u32,
        reserved: u32,
        /// Where in the device, in bytes.
        position: u64,
        grant: GrantId,
        /// Bytes at most.
        count: u64
    }) -> ReadDone {
        /// Bytes; 0 at the end.
        count: u64
    };
    /// Writes from granted memory. Errors as of [`Read`].
    3 fn write(Write { minor: u32, reserved: u32, position: u64, grant: GrantId, count: u64 }) -> Written { count: u64 };
    /// A request of the device's own. `ENOTTY` if it has none such.
    4 fn ioctl(IoCtl { minor: u32, request: u32, grant: GrantId }) -> IoCtlDone { value: u64 };
}

bitflags::bitflags! {
    /// What a device is opened for.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct OpenFor: u32 {
        /// To be read.
        const READ = 1;
        /// To be written.
        const WRITE = 2;
    }
}
