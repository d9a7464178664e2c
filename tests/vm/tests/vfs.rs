//! A stand-in for the file server and a file system: files whose bytes can be computed, and a device that has one of them after the other.

use crate::bench::Bench;
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno, Message};
use protocol::Call;
use protocol::file::{Close, LookUp, ReadPage};
use protocol::vm::*;
use protocol::vmctl::Access;
use std::collections::BTreeMap;

const P: u64 = PAGE_SIZE;

/// The device with the files.
pub(crate) const DEVICE: u64 = 9;

/// Pages of the device that belong to one file.
pub(crate) const PAGES_OF_FILE: u64 = 64;

/// Where the file system reads blocks.
const BUFFER: u64 = 0x5000_0000;

/// The byte of a file at an offset; never zero.
pub(crate) fn byte(inode: u64, offset: u64) -> u8 {
    (inode * 37 + offset / P * 11 + offset % 251) as u8 | 1
}

/// Some of a file's bytes.
pub(crate) fn bytes(inode: u64, offset: u64, len: u64) -> Vec<u8> {
    (offset..offset + len).map(|at| byte(inode, at)).collect()
}

/// What the memory server asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    LookUp { process: Endpoint, fd: i32 },
    Read { fd: i32, offset: u64 },
    Close { fd: i32 },
}

/// The same with its number.
pub(crate) type Asked = (u32, Question);

pub(crate) struct Vfs {
    pub(crate) server: Endpoint,
    pub(crate) fs: Endpoint,
    /// Bytes of the files: a descriptor of a process is the number of one.
    pub(crate) sizes: BTreeMap<u64, u64>,
    /// Which file a descriptor of the memory server is.
    pub(crate) open: BTreeMap<i32, u64>,
    next: i32,
    /// How it adds blocks to the cache.
    pub(crate) flags: CacheFlags,
    /// All that was asked.
    pub(crate) asked: Vec<Question>,
}

/// Starts one.
pub(crate) fn start(bench: &mut Bench<'_, '_>) -> Vfs {
    let (server, fs) = (bench.child(bench.first), bench.child(bench.first));
    bench.does(server, &ServeFiles {});
    bench.does(bench.first, &BindDevice { process: fs, reserved: 0, device: DEVICE });
    let sizes = BTreeMap::from([(3, 3 * P), (4, P + 100), (5, 40 * P), (6, 0)]);
    Vfs { server, fs, sizes, open: BTreeMap::new(), next: 0, flags: CacheFlags::empty(), asked: Vec::new() }
}

impl Vfs {
    /// What is asked now.
    pub(crate) fn question(&mut self, bench: &mut Bench<'_, '_>) -> Option<Asked> {
        let message = bench.vm.take_question()?;
        let asked = decode(&message);
        self.asked.push(asked.1);
        Some(asked)
    }

    /// Answers a question as it should be.
    pub(crate) fn answer(&mut self, bench: &mut Bench<'_, '_>, (request, question): Asked) {
        match self.result_of(bench, question) {
            Ok((inode, fd)) => {
                let size = self.sizes.get(&inode).copied().unwrap_or(0);
                let answer = FileAnswer { request, status: 0, device: DEVICE, inode, size, fd, reserved: 0 };
                bench.does(self.server, &answer);
            }
            Err(error) => self.fail(bench, request, error),
        }
    }

    fn result_of(&mut self, bench: &mut Bench<'_, '_>, question: Question) -> Result<(u64, i32), Errno> {
        match question {
            Question::LookUp { fd, .. } => {
                let inode = u64::try_from(fd).ok().filter(|inode| self.sizes.contains_key(inode)).ok_or(Errno::BadF)?;
                Ok((inode, self.open(inode)))
            }
            Question::Read { fd, offset } => {
                let inode = *self.open.get(&fd).expect("it is open");
                if offset >= self.sizes[&inode] {
                    return Err(Errno::Io);
                }
                self.cache(bench, inode, offset / P, 1);
                Ok((inode, fd))
            }
            Question::Close { fd } => {
                let inode = self.open.remove(&fd).expect("it is open");
                Ok((inode, fd))
            }
        }
    }

    /// A new descriptor of the memory server.
    pub(crate) fn open(&mut self, inode: u64) -> i32 {
        self.next += 1;
        self.open.insert(self.next, inode);
        self.next
    }

    pub(crate) fn fail(&mut self, bench: &mut Bench<'_, '_>, request: u32, error: Errno) {
        let status = error.to_result() as i32;
        let answer = FileAnswer { request, status, device: 0, inode: 0, size: 0, fd: -1, reserved: 0 };
        bench.does(self.server, &answer);
    }

    /// Answers until nothing is asked.
    pub(crate) fn serve(&mut self, bench: &mut Bench<'_, '_>) {
        while let Some(asked) = self.question(bench) {
            self.answer(bench, asked);
        }
    }

    /// Puts pages of a file into the cache. The file system does not keep them.
    pub(crate) fn cache(&self, bench: &mut Bench<'_, '_>, inode: u64, page: u64, count: u64) {
        self.fill(bench, inode, page, count);
        bench.does(self.fs, &set_cache(inode, page, count, self.flags));
        bench.munmap(self.fs, BUFFER, count).expect("it has it");
    }

    /// Puts pages of a file into the buffer of the file system.
    pub(crate) fn fill(&self, bench: &mut Bench<'_, '_>, inode: u64, page: u64, count: u64) {
        bench.map_at(self.fs, BUFFER, count, Access::Write).expect("there is room");
        for on in 0..count {
            bench.poke(self.fs, BUFFER + on * P, &bytes(inode, (page + on) * P, P));
        }
    }

    /// Both end.
    pub(crate) fn end(self, bench: &mut Bench<'_, '_>) {
        bench.end(self.fs);
        bench.end(self.server);
    }
}

/// Offers what is in the buffer.
pub(crate) fn set_cache(inode: u64, page: u64, count: u64, flags: CacheFlags) -> SetCache {
    let (offset, inode_offset) = ((inode * PAGES_OF_FILE + page) * P, page * P);
    let (pages, flags) = (count as u32, flags.bits());
    SetCache { address: BUFFER, device: DEVICE, offset, inode, inode_offset, pages, flags }
}

fn decode(message: &Message) -> Asked {
    let read = "it is what it says";
    if message.kind == LookUp::KIND {
        let LookUp { request, process, fd, .. } = protocol::decode(message).expect(read);
        return (request, Question::LookUp { process, fd });
    }
    if message.kind == ReadPage::KIND {
        let ReadPage { request, fd, offset, len } = protocol::decode(message).expect(read);
        assert_eq!(len, P);
        return (request, Question::Read { fd, offset });
    }
    assert_eq!(message.kind, Close::KIND);
    let Close { request, fd } = protocol::decode(message).expect(read);
    (request, Question::Close { fd })
}
