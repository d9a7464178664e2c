//! The memory server's kernel calls: spaces, what is mapped in them, and what frames are used for.
//!
//! The server decides which frame goes where; the kernel keeps the page tables and refuses what would break isolation. A
//! space is named by a number that never comes again. Addresses are those of pages and frames: multiples of the page
//! size. A call about a run takes 1 to [`MAX_RUN`] pages or frames. It goes through them in order and stops at the first
//! that it must refuse, or when it has worked long enough: then `done` is less than the count, and the caller goes on
//! behind it. Only a refusal of the first one is an error, and it has changed nothing.
//!
//! All of them fail with `EINVAL` for a count out of range or an address that is no multiple of the page size, `ESRCH` for a
//! space that is none, `EFAULT` for pages outside what programs may map, `EDOM` for a frame that does not exist, and
//! `EPERM` for a frame that is used for something else.

/// Most pages or frames in a run.
pub const MAX_RUN: u32 = 512;

/// Most frames that one call clears: it takes the processor as long as the rest of a run.
pub const MAX_CLEARED: u32 = 16;

crate::protocol! {
    vmctl = 0x740;

    /// Makes a space in which nothing is mapped. `ENOSPC` if there are as many as there can be.
    1 fn create(CreateSpace {
        /// An idle frame, which becomes its root page table.
        root: u64
    }) -> SpaceCreated { space: u64 };
    /// Unmaps what a space holds and, with the last step, ends it: its page tables become idle, its name is stale. `EBUSY`
    /// while a process lives in it.
    2 fn destroy(DestroySpace { space: u64 }) -> SpaceDestroyed {
        /// 1 if steps remain: the caller repeats the call. 0 when the space is gone.
        more: u64
    };
    /// Maps frames. One that is idle is cleared and becomes a program's first. `EEXIST` if something is mapped at a page,
    /// `ENOSPC` for a frame that is mapped too often, `EINVAL` for memory that is not to be cached, `EPERM` for devices
    /// to which neither the caller has a right nor any process that lives in the space. When page tables are missing it stops and says how many.
    3 fn map(MapRun {
        space: u64,
        /// The first page.
        address: u64,
        /// Its frame; the others follow.
        frame: u64,
        count: u32,
        access: Access,
        cache: Cache,
        backing: Backing
    }) -> RunMapped {
        /// Pages that are mapped now.
        done: u32,
        /// How many frames must be donated before the next page can be mapped.
        lacks: u32
    };
    /// Unmaps pages; holes are passed over. `EBUSY` for pages that are shared through a grant: see [`Part`]. No processor remembers a page when the call returns. A frame keeps what it holds.
    4 fn unmap(UnmapRun { space: u64, address: u64, count: u32, reserved: u32 }) -> RunUnmapped {
        /// How many pages were mapped.
        unmapped: u64
    };
    /// Changes what a program may do with pages; holes are passed over. `EBUSY` as for [`UnmapRun`].
    5 fn protect(ProtectRun { space: u64, address: u64, count: u32, access: Access }) -> RunProtected {
        /// How many pages were mapped.
        protected: u64
    };
    /// What is mapped at an address, and how far the same goes on.
    6 fn query(QueryRun { space: u64, address: u64 }) -> RunFound {
        /// The first page's frame; the others follow. 0 where nothing is mapped.
        frame: u64,
        /// Pages that are alike. There may be more of them behind.
        count: u64,
        found: Found,
        access: Access,
        cache: Cache,
        reserved: u32
    };
    /// Takes a run of frames out of the kernel's pool: they are idle and the caller's. `ENOMEM` if none is free.
    7 fn claim(Claim {
        /// Most frames that are wanted.
        count: u64
    }) -> Claimed { first: u64, count: u64 };
    /// Gives idle frames to the kernel's pool.
    8 fn give_back(GiveBack { first: u64, count: u64 }) -> GivenBack { done: u64 };
    /// Clears idle frames and keeps them as page tables of a space. At most [`MAX_CLEARED`] in a call.
    9 fn donate(Donate { space: u64, first: u64, count: u64 }) -> Donated { done: u64 };
    /// Makes programs' frames that are mapped nowhere idle. `EBUSY` for one that is mapped or pinned.
    10 fn release(Release { first: u64, count: u64 }) -> Released { done: u64 };
    /// What a frame is used for.
    11 fn frame_info(GetFrameInfo { frame: u64 }) -> FrameUse {
        kind: FrameKind,
        /// In how many places it is mapped.
        mappings: u32,
        /// How often it is pinned.
        pins: u32,
        reserved: u32
    };
    /// Lets a process live in a space, or in none with 0: then it does not run. `EBUSY` for a process that could run, or for the
    /// caller.
    12 fn settle(Settle { process: abi::Endpoint, reserved: u32, space: u64 }) -> Settled {};
    /// The page fault of a process has been dealt with: it goes on. `EINVAL` if it has none.
    13 fn clear_page_fault(ClearPageFault { process: abi::Endpoint }) -> PageFaultCleared {};
    /// The next page fault or memory request that no notification has told. `ENOENT` if there is none.
    14 fn next_event(NextEvent {}) -> EventTold {
        /// As the words 4 to 6 of a notification, see [`abi::event`].
        words: [u64; 3]
    };
    /// The memory that a call of a process needs is there, or cannot be had: then that call fails with `EFAULT`. `EINVAL` if it
    /// does not wait.
    15 fn answer_request(AnswerRequest {
        process: abi::Endpoint,
        /// Not 0: it is there.
        available: u32
    }) -> RequestAnswered {};
    /// The space that a process lives in, 0 for none.
    16 fn space_of(GetSpaceOf { process: abi::Endpoint }) -> SpaceOf { space: u64 };
    /// Gives every page of a run a frame of its own again that grants have made two spaces see, and all other pages that were
    /// shared together with it. Each space keeps what it sees.
    17 fn part(Part { space: u64, address: u64, count: u32, reserved: u32 }) -> Parted {
        /// 1 if steps remain: the caller repeats the call.
        more: u64
    };
    /// Maps what a run of one space shows at the same addresses of another; holes are passed over. `EEXIST` if something is there,
    /// `ENOSPC` for a frame that is mapped too often, `EBUSY` for pages that are shared through a grant, `EINVAL` if both spaces are
    /// the same. When page tables are missing it stops and says how many.
    18 fn share(Share {
        from: u64,
        to: u64,
        /// The first page.
        address: u64,
        count: u32,
        sharing: Sharing
    }) -> RunShared {
        /// How many pages of the run are dealt with.
        done: u32,
        /// How many frames must be donated to the second space before it can go on.
        lacks: u32
    };
    /// Pins programs' frames: they are not made idle before they are unpinned, wherever else they are mapped. `ENOSPC` for one that is pinned as often as
    /// can be counted.
    19 fn pin(Pin { first: u64, count: u64 }) -> Pinned { done: u64 };
    /// Takes one pin away from each. `ENOSPC` for a frame that has none.
    20 fn unpin(Unpin { first: u64, count: u64 }) -> Unpinned { done: u64 };
    /// The file of a boot program: whole frames that are programs' memory, mapped nowhere. `EDOM` beyond the end of the boot table, `ENOENT` for a
    /// program that the kernel has loaded itself.
    21 fn boot_file(GetBootFile {
        /// Place in the boot table.
        index: u64
    }) -> BootFile {
        /// The physical address of its first byte.
        first: u64,
        /// Bytes.
        len: u64
    };
    /// Gives a page a frame of its own with what it shows now: an idle frame, which becomes a program's, takes the place of the
    /// one that is there. `EINVAL` if no memory is there, `EBUSY` for a page that is shared through a grant.
    22 fn copy(CopyPage { space: u64, address: u64, frame: u64, access: Access, reserved: u32 }) -> PageCopied {
        /// The frame that was there.
        before: u64
    };
    /// Maps a frame of memory at a page where a process lives that waits for it in a page fault, and lets that process go on: as [`MapRun`] and then
    /// [`ClearPageFault`] would. `EINVAL` for a process that has no page fault or lives nowhere, `EEXIST` if something is mapped at the page, `ENOSPC` for a frame that
    /// is mapped too often. When page tables are missing it only says how many.
    23 fn supply(SupplyPage { process: abi::Endpoint, access: Access, address: u64, frame: u64 }) -> PageSupplied {
        /// How many frames must be donated before the page can be mapped; 0 when it is.
        lacks: u64
    };
    /// Gives a page where a process lives that waits for it in a page fault a frame of its own, and lets that process go on: as [`CopyPage`] and then
    /// [`ClearPageFault`] would. `EINVAL` for a process that has no page fault or lives nowhere, and if no memory is there, `EBUSY` for a page that is shared
    /// through a grant.
    24 fn supply_copy(SupplyCopy { process: abi::Endpoint, access: Access, address: u64, frame: u64 }) -> CopySupplied {
        /// The frame that was there.
        before: u64
    };
}

/// An enum that is a field of a message.
macro_rules! field_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $number:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, zerocopy::TryFromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout,
            zerocopy::Immutable,
        )]
        #[repr(u32)]
        pub enum $name { $($(#[$value_doc])* $value = $number),+ }
    };
}
pub(crate) use field_enum;

field_enum! {
    /// What a program may do with a page, besides reading it. Never both.
    Access {
        /// Nothing.
        Read = 0,
        /// Write it.
        Write = 1,
        /// Execute it.
        Execute = 2,
    }
}

field_enum! {
    /// How a page is cached.
    Cache {
        /// As RAM is.
        Normal = 0,
        /// Writes are collected: framebuffers.
        Combining = 1,
        /// Not at all: registers.
        Off = 2,
    }
}

field_enum! {
    /// What is to be mapped.
    Backing {
        /// Frames of RAM.
        Memory = 0,
        /// A device's registers or memory: no RAM, and nothing that the kernel uses itself.
        Device = 1,
    }
}

field_enum! {
    /// What becomes of pages that two spaces show.
    Sharing {
        /// Both may only read them, or execute them: whoever writes gets a copy from the memory server.
        CopyOnWrite = 0,
        /// They keep their access in both.
        Same = 1,
    }
}

field_enum! {
    /// What is mapped somewhere.
    Found {
        /// Nothing.
        Nothing = 0,
        /// Frames of RAM.
        Memory = 1,
        /// A device.
        Device = 2,
    }
}

field_enum! {
    /// What a frame is used for.
    FrameKind {
        /// No memory of the system: a hole, a device, or the firmware's.
        Reserved = 0,
        /// In the kernel's pool.
        Free = 1,
        /// The memory server's, mapped nowhere; it holds anything.
        Idle = 2,
        /// The kernel's.
        Kernel = 3,
        /// A page table.
        PageTable = 4,
        /// A program's memory.
        User = 5,
        /// A program's memory in whose place it sees another's.
        Aside = 6,
    }
}
