//! The memory server: who has which memory. See `docs/vm.md`.
//!
//! Which of the calls a process may make says its call mask, a bit for each number; users share one, and who has none may make none.
//! `ENOSYS` for a call that is not in it. Memory is of whole pages: a length is rounded up to them, an address must be a
//! multiple of the page size. Where a call names a process, [`abi::Endpoint::SELF`] is the caller; `ESRCH` if the server knows no
//! such process, `EPERM` if it is another than the caller and that one may not act for others. `ENOMEM` if there is no
//! memory, no place in the space, or no more for this process. A call that fails has changed nothing.

pub use crate::kernel::UpdateDirection;
pub use crate::vmctl::{Access, Cache};
use abi::Endpoint;

/// The bit of a call mask that lets a process act for others.
pub const FOR_OTHERS: u64 = 1 << 63;

/// A process may grow without end: for a limit.
pub const UNLIMITED: u64 = u64::MAX;

bitflags::bitflags! {
    /// How memory is mapped: the flags of [`Map`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct MapFlags: u32 {
        /// Seen by whoever is forked or maps the same. Without it, a copy is made of what is written.
        const SHARED = 1;
        /// At this address and nowhere else; what is there is unmapped. Without it the address is a wish.
        const FIXED = 0x10;
        /// No file. Without it, the file that `fd` is.
        const ANONYMOUS = 0x1000;
        /// Its contents do not matter, since all of it will be written: for who may act for others. It may come as zeros.
        const UNINITIALIZED = 0x4_0000;
        /// All of it at once, not when it is touched.
        const PREALLOCATED = 0x8_0000;
        /// Neighbouring frames, which stay where they are: for devices. Only with [`Self::PREALLOCATED`].
        const CONTIGUOUS = 0x10_0000;
        /// Frames below 16 MiB; only with [`Self::CONTIGUOUS`].
        const LOW_16M = 0x20_0000;
        /// Frames below 1 MiB; only with [`Self::CONTIGUOUS`].
        const LOW_1M = 0x40_0000;
        /// The first frame at a multiple of 64 KiB; only with [`Self::CONTIGUOUS`].
        const ALIGNED_64K = 0x100_0000;
    }
}

bitflags::bitflags! {
    /// What a block in the cache is: the flags of [`SetCache`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct CacheFlags: u32 {
        /// It is shown to one process, once, and forgotten: what must not be cached.
        const ONCE = 1;
    }
}

crate::protocol! {
    vm = 0xc00;

    /// Takes away all that a process has, which has been announced with [`WillExit`]: `EINVAL` if not.
    0 fn exit(Exit { process: Endpoint, reserved: u32 }) -> ExitDone {};
    /// Makes a process in a free slot: a copy of the parent, which waits for an answer. What either of them writes, the other does
    /// not see. The child waits, too. `EINVAL` if the slot is taken or the parent does not wait.
    1 fn fork(Fork { parent: Endpoint, slot: u32 }) -> ForkDone { child: Endpoint, reserved: u32 };
    /// Sets the end of the caller's data segment, which begins where [`SetBreak`] has said. When it shrinks, the pages behind the new end come back as zeros. `ENOMEM` if
    /// something else is in the way, `EINVAL` for an end before the beginning, or if there is no such segment.
    2 fn brk(Brk {
        /// The new end; 0 asks only.
        end: u64
    }) -> BrkDone {
        /// The end now.
        end: u64
    };
    /// The data segment of a process begins here, and has nothing in it yet. `EINVAL` if that is no user's address.
    3 fn set_break(SetBreak { process: Endpoint, reserved: u32, start: u64 }) -> BreakSet {};
    /// Makes a process in a free slot that has an empty space, none of the parent's limits, and may ask for nothing yet: for a program of its own. The parent waits
    /// for an answer, as for [`Fork`]; so does the child until it gets that program. Errors as of [`Fork`].
    4 fn spawn(Spawn { parent: Endpoint, slot: u32 }) -> SpawnDone { child: Endpoint, reserved: u32 };
    /// A process is about to end: its faults are answered no more.
    5 fn will_exit(WillExit { process: Endpoint, reserved: u32 }) -> WillExitDone {};
    /// Maps memory, new and filled with zeros, or that of a file. `EINVAL` for a length of 0, unknown or contradictory flags, an
    /// address that is no user's, and a file descriptor beside [`MapFlags::ANONYMOUS`]; `EPERM` for
    /// [`MapFlags::UNINITIALIZED`] by who may not act for others. Of a file, pages are read when they are touched, and a page is copied when it is
    /// written; the answer comes when the file server has said what it is. An offset in a page is that of the answer, too. `ENOTSUP` to write
    /// a file that is [`MapFlags::SHARED`], `EBADF`, `ELOCKED` for who serves files, `EAGAIN` for who is pinned, `EIO` if the file server is
    /// gone, `ENOSYS` if there is none, and whatever it answers.
    10 fn mmap(Map {
        /// Where; 0 for anywhere.
        address: u64,
        len: u64,
        /// Where in the file.
        offset: u64,
        /// Bits of [`MapFlags`].
        flags: u32,
        access: Access,
        /// -1 for none.
        fd: i32,
        process: Endpoint
    }) -> Mapped { address: u64 };
    /// Device registers or memory. `EPERM` for what the process has no privilege to. The answer keeps the offset in the page.
    15 fn map_physical(MapPhysical { physical: u64, len: u64, process: Endpoint, access: Access, cache: Cache, reserved: u32 }) -> PhysicalMapped { address: u64 };
    /// Ends it: `EINVAL` if no such mapping begins there.
    16 fn unmap_physical(UnmapPhysical { address: u64, process: Endpoint, reserved: u32 }) -> PhysicalUnmapped {};
    /// Unmaps what there is in a range; holes are passed over. `EINVAL` for a length of 0 or an address that is no user's.
    17 fn munmap(Unmap { address: u64, len: u64, process: Endpoint, reserved: u32 }) -> Unmapped {};
    /// Changes what a process may do with a range. `ENOMEM` if there is a hole, `EPERM` for what a mapping can never allow; nothing
    /// has changed then.
    18 fn protect(Protect { address: u64, len: u64, process: Endpoint, access: Access }) -> Protected {};
    /// Offers pages of the caller, a file system, to the cache as blocks of a device, and perhaps of a file. They stay where they are, and
    /// what is there already for these blocks is replaced. `EPERM` if the device is not the caller's. `EINVAL` for no pages or more than 512, or a block
    /// to be shown once that belongs to no file; `EFAULT` for an offset that is no multiple of the page size, or if a page is not its own alone.
    26 fn set_cache(SetCache {
        address: u64,
        device: u64,
        /// Where on the device.
        offset: u64,
        /// Of which file; 0 for none.
        inode: u64,
        /// Where in the file.
        inode_offset: u64,
        pages: u32,
        /// Bits of [`CacheFlags`].
        flags: u32
    }) -> CacheSet {};
    /// Maps blocks of the cache, one after the other, and says of which file they are. `ENOENT` if one is not there, or is to be shown once; nothing is mapped
    /// then. Other errors are those of [`SetCache`].
    27 fn map_cache(MapCache { device: u64, offset: u64, inode: u64, inode_offset: u64, pages: u32, flags: u32 }) -> CacheMapped { address: u64 };
    /// Drops blocks from the cache. Who has them mapped keeps them. Errors are those of [`SetCache`].
    28 fn forget_cache(ForgetCache { device: u64, offset: u64, pages: u64 }) -> CacheForgotten {};
    /// Drops all of a device. `EPERM` if it is not the caller's.
    29 fn clear_cache(ClearCache { device: u64 }) -> CacheCleared {};
    /// The answer to what the server has asked the file server, see [`crate::file`]. `EPERM` if the caller is not that, `EINVAL` if nothing was asked with
    /// this number.
    30 fn file_answer(FileAnswer {
        /// The number of the question.
        request: u32,
        /// 0, or a negative error number.
        status: i32,
        device: u64,
        inode: u64,
        /// Bytes of the file.
        size: u64,
        fd: i32,
        reserved: u32
    }) -> FileAnswered {};
    /// Maps a whole region of another process, to be seen by both. `EINVAL` if none begins there, `EFAULT` if its size is another.
    33 fn remap(Remap {
        source: Endpoint,
        /// Who gets it.
        process: Endpoint,
        source_address: u64,
        /// Where; 0 for anywhere.
        address: u64,
        len: u64,
        access: Access,
        reserved: u32
    }) -> Remapped { address: u64 };
    /// How many regions show the memory at an address, and which memory it is. `EINVAL` if there is none.
    36 fn sharers(Sharers { process: Endpoint, reserved: u32, address: u64 }) -> SharersCounted { count: u64, memory: u64 };
    /// Sets the call mask of a service, or lets a process share that of users.
    37 fn set_calls(SetCalls { process: Endpoint, is_user: u32, calls: u64 }) -> CallsSet {};
    /// Memory as a whole, in pages.
    40 fn memory(GetMemory {}) -> MemoryInfo {
        /// All that there was for programs when the server started.
        total: u64,
        free: u64,
        /// Neighbours among the free.
        largest_run: u64,
        /// Held by the page cache alone.
        cached: u64,
        /// Of the server itself, and page tables.
        overhead: u64,
        processes: u64
    };
    /// Swaps the memory of two services, after the kernel has swapped their slots. Errors are those of [`crate::kernel::Update`].
    41 fn update(Update { source: Endpoint, destination: Endpoint, flags: u32, direction: UpdateDirection }) -> UpdateDone {};
    /// Makes all that a process has present, and keeps it so. `EAGAIN` if a page of a file is not in memory.
    42 fn pin(Pin { process: Endpoint, reserved: u32 }) -> Pinned {};
    /// Maps a file of the boot table that was kept into the caller's space, to be read; it can be had once. `ENOENT` if there is none at that place.
    43 fn boot_file(TakeBootFile {
        /// Place in the boot table.
        index: u64
    }) -> BootFileTaken { address: u64, len: u64 };
    /// A process begins anew: all that it has is taken away, and it has an empty space.
    45 fn clear(Clear { process: Endpoint, reserved: u32 }) -> ClearDone {};
    /// Sets how much a process may have.
    46 fn set_limits(SetLimits {
        process: Endpoint,
        reserved: u32,
        /// Most pages that are mapped, touched or not; [`UNLIMITED`].
        pages: u64,
        /// Most pages that are there.
        resident: u64
    }) -> LimitsSet {};
    /// What a process has used.
    47 fn usage(GetUsage { process: Endpoint, reserved: u32 }) -> Usage {
        /// Pages of its regions.
        pages: u64,
        /// Those that are there now.
        resident: u64,
        most_resident: u64,
        /// Page faults for which memory was found at once.
        minor_faults: u64,
        /// Those for which a file had to be read.
        major_faults: u64,
        regions: u64
    };
    /// The first region of a process that ends behind an address. `ENOENT` if there is none.
    48 fn region(GetRegion { process: Endpoint, reserved: u32, address: u64 }) -> RegionInfo {
        start: u64,
        len: u64,
        access: Access,
        kind: RegionKind,
        resident: u64
    };
    /// Makes a range available, to be read or written, and keeps it so until [`Unfix`]. Answered when it is. `EFAULT` if it cannot be. The file server,
    /// which may have to read it, must not wait: it sends this as an asynchronous message, and gets the answer as one, with its tag.
    49 fn fix(Fix { process: Endpoint, write: u32, address: u64, len: u64 }) -> Fixed {};
    /// Ends a [`Fix`]: `EINVAL` if there was none.
    50 fn unfix(Unfix { process: Endpoint, write: u32, address: u64, len: u64 }) -> Unfixed {};
    /// Maps a part of a file for another process, which is being loaded, in the place of what is there: for the file server. The descriptor is the memory
    /// server's from the first such call on, which closes it when nobody shows the file any more. `EPERM` for others than the file server, `EINVAL` for a
    /// descriptor that is another file's, or an offset that is no multiple of the page size.
    51 fn map_file(MapFile {
        process: Endpoint,
        access: Access,
        address: u64,
        len: u64,
        offset: u64,
        device: u64,
        inode: u64,
        fd: i32,
        /// So many bytes at the end of the last page are zero; less than a page.
        clear_end: u32
    }) -> FileMapped {};
    /// The caller is the file server from now on, until it ends. `EBUSY` while there is another.
    52 fn serve_files(ServeFiles {}) -> FilesServed {};
    /// Says which file system has a device, until it ends, or with [`abi::Endpoint::NONE`] that none has. What is cached of the device is dropped if that was another.
    53 fn bind_device(BindDevice { process: Endpoint, reserved: u32, device: u64 }) -> DeviceBound {};
    /// A process that has made calls which it may not make, and which those are: of all that nobody has asked about yet one, which is told once. `ESRCH` if
    /// there is none. For the root system process.
    54 fn refusal(TakeRefusal {}) -> Refusal {
        process: Endpoint,
        reserved: u32,
        /// A bit for each number.
        calls: u64
    };
}

/// The names of the calls, by their numbers; empty where there is none.
pub const NAMES: [&str; u64::BITS as usize] = PROTOCOL.short_names();

crate::vmctl::field_enum! {
    /// What a region shows.
    RegionKind {
        /// Memory of its own.
        Anonymous = 0,
        /// Neighbouring frames.
        Contiguous = 1,
        /// Memory that other regions show too.
        Shared = 2,
        /// A device.
        Physical = 3,
        /// A file.
        File = 4,
        /// Blocks of the cache.
        Cache = 5,
    }
}
