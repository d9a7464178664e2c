//! What the process manager tells the file server about a process, as asynchronous messages. Each is answered by
//! [`crate::pm::FilesDone`], but [`What::Known`] and [`What::SrvFork`].

use abi::Endpoint;

crate::vmctl::field_enum! {
    /// What has happened.
    What {
        /// There is such a process, with these user and group ids: told of each at the beginning, and again when the root system process has said
        /// who it is.
        Known = 0,
        /// A child of `other` has been made.
        Fork = 1,
        /// The same, of the root system process.
        SrvFork = 2,
        /// It has ended.
        Exit = 3,
        /// It is ending, and its memory is to be saved: `words[0]` is the signal.
        DumpCore = 4,
        /// Its user ids are these: the real and the effective one.
        SetUid = 5,
        /// The same of its group ids.
        SetGid = 6,
        /// Its supplementary groups are others.
        SetGroups = 7,
        /// It leads a session.
        SetSession = 8,
        /// It wants another program: path, its length, frame, its length.
        Exec = 9,
        /// A signal has come for it: the call that it waits in ends.
        Unpause = 10,
        /// The system ends.
        Reboot = 11,
    }
}

crate::protocol! {
    pmfiles = 0x0b00;

    /// Something has happened.
    1 fn tell(Tell { what: What, process: Endpoint, other: Endpoint, pid: u32, words: [u64; 4] }) -> Told {};
}
