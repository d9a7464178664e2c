//! Memory is used up but for so many frames: each request either gets all that it needs, or fails and has changed nothing.

use crate::bench::{Bench, FRAMES, test};
use crate::vfs::{DEVICE, PAGES_OF_FILE, Vfs, byte, set_cache};
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno};
use protocol::vm::*;
use protocol::vmctl::Access;

const P: u64 = PAGE_SIZE;
/// Before a border between page tables.
const HERE: u64 = 0x40_0000 - 10 * P;

/// A process that has taken all memory.
struct Hog {
    process: Endpoint,
    /// Its next page.
    next: u64,
}

impl Hog {
    fn new(bench: &mut Bench<'_, '_>) -> Self {
        let process = bench.child(bench.first);
        let first = bench.mmap(process, FRAMES, MapFlags::empty()).expect("nothing is there yet");
        let all = first..first + FRAMES * P;
        let touched = all.step_by(P as usize).take_while(|page| bench.write(process, *page, 1).is_ok()).count();
        assert!(touched as u64 > FRAMES / 2);
        Self { process, next: first }
    }

    fn gives_one_back(&mut self, bench: &mut Bench<'_, '_>) {
        bench.munmap(self.process, self.next, 1).expect("it has it");
        self.next += P;
    }
}

/// Whether what is tried was done.
type Tried = Result<(), Errno>;

/// Tries something with no frame, one, two, until it is done. Returns with how many.
fn needed(bench: &mut Bench<'_, '_>, keeps_all: bool, mut attempt: impl FnMut(&mut Bench<'_, '_>) -> Tried) -> u64 {
    let mut hog = Hog::new(bench);
    for available in 0.. {
        let before = (bench.vm.describe(), bench.free());
        let tried = attempt(bench);
        bench.check();
        if tried.is_ok() {
            bench.end(hog.process);
            return available;
        }
        assert_eq!(tried, Err(Errno::NoMem), "with {available} frames");
        assert!(!keeps_all || (bench.vm.describe(), bench.free()) == before, "it has changed with {available} frames");
        hog.gives_one_back(bench);
    }
    unreachable!("there are more frames than anything needs")
}

/// A process with so many pages at [`HERE`], each written.
fn owner(bench: &mut Bench<'_, '_>, pages: u64) -> Endpoint {
    let who = bench.child(bench.first);
    bench.map_at(who, HERE, pages, Access::Write).expect("there is memory");
    (0..pages).for_each(|page| bench.write(who, HERE + page * P, 1 + page as u8).expect("it may"));
    who
}

fn assert_kept(bench: &mut Bench<'_, '_>, who: Endpoint, pages: u64) {
    for page in 0..pages {
        assert_eq!(bench.read(who, HERE + page * P), Ok(1 + page as u8));
    }
}

#[test]
fn memory_at_once() {
    test(|bench| {
        let who = owner(bench, 1);
        let flags = MapFlags::PREALLOCATED;
        assert!(needed(bench, true, |bench| bench.mmap(who, 20, flags).map(drop)) >= 20);
        let flags = flags | MapFlags::CONTIGUOUS;
        assert!(needed(bench, true, |bench| bench.mmap(who, 9, flags).map(drop)) >= 9);
        let flags = MapFlags::PREALLOCATED | MapFlags::SHARED;
        assert!(needed(bench, true, |bench| bench.mmap(who, 20, flags).map(drop)) >= 20);
        bench.end(who);
        bench.assert_all_free();
    });
}

#[test]
fn memory_instead_of_other() {
    test(|bench| {
        let who = owner(bench, 20);
        let flags = (MapFlags::FIXED | MapFlags::ANONYMOUS | MapFlags::PREALLOCATED).bits();
        let process = who;
        let call = Map { address: HERE, len: 20 * P, offset: 0, flags, access: Access::Write, fd: -1, process };
        let needs = needed(bench, true, |bench| {
            assert_kept(bench, who, 20);
            bench.call(who, &call).map(drop)
        });
        assert!(needs >= 20, "what is there is not counted on");
        bench.end(who);
        bench.assert_all_free();
    });
}

#[test]
fn forks() {
    test(|bench| {
        let who = owner(bench, 20);
        let shared = bench.mmap(who, 4, MapFlags::SHARED).expect("there is memory");
        bench.write(who, shared, 1).expect("it may");
        let (address, len) = (HERE, 2 * P);
        bench.does(who, &Fix { process: who, write: 1, address, len });
        let mut child = None;
        let needs = needed(bench, true, |bench| bench.fork_into(who, 40).map(|forked| child = Some(forked)));
        assert!(needs >= 8, "tables for three places, and copies of what is fixed");
        let child = child.expect("it was made");
        assert_kept(bench, child, 20);
        bench.write(who, HERE, 99).expect("it may");
        bench.end(who);
        assert_kept(bench, child, 20);
        bench.end(child);
        bench.assert_all_free();
    });
}

#[test]
fn processes_that_have_nothing() {
    test(|bench| {
        let parent = owner(bench, 20);
        let mut child = None;
        let needs = needed(bench, true, |bench| {
            bench.call(bench.first, &Spawn { parent, slot: 40 }).map(|done| child = Some(done.child))
        });
        assert!((1..4).contains(&needs), "a root table, and perhaps room in the heap: {needs}");
        bench.end(child.expect("it was made"));
        assert_kept(bench, parent, 20);
        bench.end(parent);
        bench.assert_all_free();
    });
}

#[test]
fn memory_shared_with_a_third() {
    test(|bench| {
        let (who, other) = (owner(bench, 20), bench.child(bench.first));
        let sibling = bench.child(who);
        let call = Remap {
            source: who,
            process: other,
            source_address: HERE,
            address: 0,
            len: 20 * P,
            access: Access::Write,
            reserved: 0,
        };
        // Pages get copies one by one: those that have one keep it.
        let needs = needed(bench, false, |bench| {
            assert_kept(bench, who, 20);
            bench.call(bench.first, &call).map(drop)
        });
        assert!(needs <= 21);
        assert_kept(bench, sibling, 20);
        [who, other, sibling].into_iter().for_each(|who| bench.end(who));
        bench.assert_all_free();
    });
}

#[test]
fn what_is_touched() {
    test(|bench| {
        let who = owner(bench, 20);
        let child = bench.child(who);
        let why = |result: Result<(), vm::Segv>| result.map_err(|segv| segv.why);
        assert_eq!(needed(bench, true, |bench| why(bench.write(who, HERE, 50))), 1, "a copy");
        assert_eq!(bench.read(child, HERE), Ok(1));
        let new = bench.mmap(who, 3, MapFlags::empty()).expect("nothing is there yet");
        let needs = needed(bench, false, |bench| why(bench.write(who, new, 51)));
        assert!((1..8).contains(&needs), "a page and its tables: {needs}");
        assert_eq!(bench.read(who, new), Ok(51));
        [who, child].into_iter().for_each(|who| bench.end(who));
        bench.assert_all_free();
    });
}

#[test]
fn what_is_made_available_beforehand() {
    test(|bench| {
        let who = owner(bench, 20);
        let child = bench.child(who);
        let (address, len) = (HERE, 20 * P);
        assert!(
            needed(bench, false, |bench| bench.call(who, &Fix { process: who, write: 1, address, len }).map(drop))
                <= 21
        );
        bench.mmap(child, 30, MapFlags::empty()).expect("nothing is there yet");
        assert!(
            needed(bench, false, |bench| bench.call(bench.first, &Pin { process: child, reserved: 0 }).map(drop)) >= 30
        );
        assert_eq!(bench.resident(child), 50);
        [who, child].into_iter().for_each(|who| bench.end(who));
        bench.assert_all_free();
    });
}

#[test]
fn new_programs() {
    test(|bench| {
        let who = owner(bench, 20);
        let needs =
            needed(bench, true, |bench| bench.call(bench.first, &Clear { process: who, reserved: 0 }).map(drop));
        assert_eq!(needs, 1, "a root table");
        bench.end(who);
        bench.assert_all_free();
    });
}

#[test]
fn giving_back_needs_nothing() {
    test(|bench| {
        let who = owner(bench, 20);
        let child = bench.child(who);
        let hog = Hog::new(bench);
        for page in [9, 3, 17, 5] {
            bench.munmap(who, HERE + page * P, 1).expect("it is always possible");
            bench.check();
        }
        bench.end(child);
        bench.end(who);
        bench.end(hog.process);
        bench.assert_all_free();
    });
}

#[test]
fn what_is_kept_back_lets_memory_be_given_up() {
    /// Splits that take more of the heap than it has unused.
    const PAGES: u64 = 2 * 900;
    test(|bench| {
        let who = bench.child(bench.first);
        let first = bench.mmap(who, PAGES, MapFlags::empty()).expect("nothing is there yet");
        let hog = Hog::new(bench);
        let heap = crate::heap::pages();
        assert!(bench.vm.memory_info().free >= 32, "something is kept back");
        for page in (1..PAGES).step_by(2) {
            bench.munmap(who, first + page * P, 1).expect("there is memory for that");
        }
        assert!(crate::heap::pages() > heap, "it has been used");
        bench.check();
        bench.end(hog.process);
        bench.end(who);
        bench.assert_all_free();
    });
}

#[test]
fn tables_alone_can_use_up_memory() {
    test(|bench| {
        /// What a page table maps.
        const TABLE: u64 = 512 * P;
        let (hog, other) = (bench.child(bench.first), owner(bench, 3));
        let mut address = 0x1000_0000_0000;
        let mut places = 0;
        while bench.map_at(hog, address, 1, Access::Write).is_ok() && bench.write(hog, address, 1).is_ok() {
            address += TABLE;
            places += 1;
        }
        assert!(places > FRAMES / 4, "a page and a table in each place");
        bench.check();
        bench.write(other, HERE, 9).expect("it has its page");
        bench.end(hog);
        assert_eq!(bench.read(other, HERE), Ok(9));
        bench.mmap(other, 100, MapFlags::PREALLOCATED).expect("all is back");
        bench.end(other);
        bench.assert_all_free();
    });
}

/// A process and who answers for files, of which all pages of one are in the cache. The file system has them mapped, so that they are not
/// given up.
fn with_blocks(run: impl FnOnce(&mut Bench<'_, '_>, &mut Vfs, Endpoint)) {
    test(|bench| {
        let mut vfs = crate::vfs::start(bench);
        let who = bench.child(bench.first);
        vfs.fill(bench, 5, 0, 40);
        bench.does(vfs.fs, &set_cache(5, 0, 40, CacheFlags::empty()));
        run(bench, &mut vfs, who);
        bench.end(who);
        vfs.serve(bench);
        vfs.end(bench);
        bench.assert_all_free();
    });
}

fn part_of_file(process: Endpoint, fd: i32) -> MapFile {
    let (access, address, device, inode) = (Access::Write, HERE, DEVICE, 5);
    MapFile { process, access, address, len: 20 * P, offset: 0, device, inode, fd, clear_end: 0 }
}

#[test]
fn files_that_are_mapped() {
    with_blocks(|bench, vfs, who| {
        let call = crate::files::map(who, 5, 0, 20 * P);
        needed(bench, false, |bench| {
            bench.begins(who, 1, &call);
            vfs.serve(bench);
            bench.late(who, 1, &call).expect("it is answered").map(drop)
        });
        let fd = vfs.open(5);
        let (server, file) = (vfs.server, part_of_file(who, fd));
        needed(bench, true, |bench| bench.call(server, &file).map(drop));
        assert_eq!(vfs.open.len(), 2);
        let others: Vec<_> = (0..100).map(|inode| MapFile { inode, fd: 100 + inode as i32, ..file }).collect();
        // Many, so that the books grow.
        for (page, other) in others.into_iter().enumerate() {
            let other = MapFile { address: HERE + page as u64 * P, len: P, ..other };
            bench.does(server, &other);
            vfs.open.insert(other.fd, other.inode);
            vfs.serve(bench);
        }
    });
}

#[test]
fn pages_of_files() {
    with_blocks(|bench, vfs, who| {
        let fd = vfs.open(5);
        bench.does(vfs.server, &part_of_file(who, fd));
        let why = |result: Result<u8, vm::Segv>| result.map(drop).map_err(|segv| segv.why);
        let needs = needed(bench, false, |bench| why(bench.read(who, HERE)));
        assert!(needs <= 3, "tables, and no copy: {needs}");
        assert_eq!(needed(bench, true, |bench| why(bench.write(who, HERE, 9).map(|()| 9))), 1, "a copy");
        assert_eq!(needed(bench, true, |bench| why(bench.write(who, HERE + P, 9).map(|()| 9))), 1, "a copy at once");
        assert_eq!(bench.read(who, HERE + P + 1), Ok(byte(5, P + 1)));
        let fix = Fix { process: who, write: 1, address: HERE + 4 * P, len: 3 * P };
        assert!(needed(bench, false, |bench| bench.call(bench.first, &fix).map(drop)) <= 7);
    });
}

#[test]
fn blocks() {
    with_blocks(|bench, vfs, _| {
        let fs = vfs.fs;
        let map =
            MapCache { device: DEVICE, offset: 5 * PAGES_OF_FILE * P, inode: 5, inode_offset: 0, pages: 20, flags: 0 };
        needed(bench, true, |bench| bench.call(fs, &map).map(drop));
        // In the place of others, in new places, and once more.
        for (page, count) in [(0, 30), (50, 14), (50, 14), (7, 1)] {
            vfs.fill(bench, 5, page, count);
            needed(bench, true, |bench| bench.call(fs, &set_cache(5, page, count, CacheFlags::empty())).map(drop));
        }
        let bind = BindDevice { process: fs, reserved: 0, device: 1 };
        needed(bench, true, |bench| bench.call(bench.first, &bind).map(drop));
    });
}

#[test]
fn who_waits_for_a_page() {
    with_blocks(|bench, vfs, who| {
        let fd = vfs.open(3);
        let file = MapFile { inode: 3, len: 3 * P, ..part_of_file(who, fd) };
        bench.does(vfs.server, &file);
        let needs = needed(bench, false, |bench| match bench.fault(who, HERE, kernel_core::MemoryAccess::Read) {
            None => Ok(()),
            Some(segv) => {
                bench.system.borrow_mut().take_signal(who);
                Err(segv.why)
            }
        });
        assert!(needs <= 2, "room for a question: {needs}");
        vfs.serve(bench);
        assert_eq!(bench.read(who, HERE), Ok(byte(3, 0)));
    });
}
