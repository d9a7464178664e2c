//! Stands for the file server and a file system, until there are some: files whose words can be computed.
#![no_std]
#![no_main]

use abi::asynchronous::{AsyncEntry, AsyncFlags};
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno, Message};
use protocol::file::{Close, LookUp, ReadPage};
use protocol::kernel::MemSet;
use protocol::vm::{Access, Client, FileAnswer, Fix, Map, MapFile, MapFlags, ServeFiles, SetCache, Unfix, Unmap};
use protocol::{Answer, Call, Caller, decode};
use rt::AsyncSlot;
use sys::Ipc;
use vm_suite::{
    Behave, Behaved, DEVICE, FilesServer, FillIn, Filled, FixBegun, FixFor, How, Load, Loaded, Release, Released,
    SERVER, SIZES, Tell, Told, answer_files, word_of,
};

sys::entry!(main);

/// Pages of the device that belong to one file.
const PAGES_OF_FILE: u64 = 256;

/// Most descriptors of the memory server.
const DESCRIPTORS: usize = 64;

/// The tag of what is asked without waiting.
const FIX_TAG: u16 = 4711;

static TO_SERVER: [AsyncSlot; 1] = [AsyncSlot::new()];

struct Files {
    server: Endpoint,
    how: How,
    /// Which file each descriptor is; 0 for none.
    open: [u64; DESCRIPTORS],
    held: Option<Message>,
    fix: Option<Fix>,
    told: Told,
}

fn main() -> u64 {
    let Some(server) = sys::lookup(SERVER) else {
        return 1;
    };
    let told = Told { look_ups: 0, reads: 0, closes: 0, open: 0, held: 0, fixed: 0, refusals: 0 };
    let mut files = Files { server, how: How::Well, open: [0; DESCRIPTORS], held: None, fix: None, told };
    if let Err(error) = files.vm().serve_files(ServeFiles {}) {
        sys::log!("cannot serve files: {error}");
        return 2;
    }
    let stopped = sys::serve(&mut files, Files::message);
    sys::log!("cannot receive any more: {}", stopped.error);
    3
}

impl Files {
    fn vm(&self) -> Client<Ipc> {
        Client { to: self.server, transport: Ipc::default() }
    }

    /// A message: of the suite, or of the memory server, which waits for no reply.
    fn message(&mut self, message: &mut Message) -> bool {
        if message.peer != self.server {
            return answer_files(self, message);
        }
        match message.kind.status() {
            Some(status) if message.tag == FIX_TAG => self.is_fixed(status),
            Some(_) => {}
            None if self.how == How::Late => {
                self.held = Some(*message);
                self.told.held = 1;
            }
            None => self.question(message),
        }
        false
    }

    fn question(&mut self, message: &Message) {
        let request = message.body[0] as u32;
        let result = match message.kind {
            LookUp::KIND => self.look_up(message),
            ReadPage::KIND => self.read(message),
            Close::KIND => self.close(message),
            _ => Err(Errno::NoSys),
        };
        if self.how == How::Guessing {
            self.guess(request);
        }
        let (status, (inode, fd)) = match result {
            Ok(found) => (0, found),
            Err(error) => (error.to_result() as i32, (0, -1)),
        };
        let size = size_of_file(inode).unwrap_or(0);
        let answer = FileAnswer { request, status, device: DEVICE, inode, size, fd, reserved: 0 };
        if let Err(error) = self.vm().file_answer(answer) {
            sys::log!("an answer is refused: {error}");
        }
    }

    /// Wrong numbers: what the memory server says to them is kept.
    fn guess(&mut self, request: u32) {
        let wrong = [request.wrapping_sub(1), request.wrapping_add(1), u32::MAX];
        self.told.refusals = wrong.into_iter().fold(0, |told, request| {
            let answer = FileAnswer { request, status: 0, device: DEVICE, inode: 3, size: 0, fd: 1, reserved: 0 };
            told << 16 | self.vm().file_answer(answer).map_or_else(|error| error as u64, |_| 0)
        });
    }

    fn look_up(&mut self, message: &Message) -> Result<(u64, i32), Errno> {
        self.told.look_ups += 1;
        let LookUp { fd, .. } = decode(message)?;
        let inode = u64::try_from(fd).map_err(|_| Errno::BadF)?;
        size_of_file(inode).ok_or(Errno::BadF)?;
        Ok((inode, self.descriptor(inode)?))
    }

    /// A new descriptor.
    fn descriptor(&mut self, inode: u64) -> Result<i32, Errno> {
        let free = self.open.iter().position(|open| *open == 0).ok_or(Errno::NoSpc)?;
        self.open[free] = inode;
        self.told.open += 1;
        Ok(free as i32)
    }

    fn opened(&mut self, fd: i32) -> Result<&mut u64, Errno> {
        let open = usize::try_from(fd).ok().and_then(|fd| self.open.get_mut(fd));
        open.filter(|inode| **inode != 0).ok_or(Errno::BadF)
    }

    fn read(&mut self, message: &Message) -> Result<(u64, i32), Errno> {
        self.told.reads += 1;
        let ReadPage { fd, offset, len, .. } = decode(message)?;
        let inode = *self.opened(fd)?;
        match self.how {
            How::Failing => return Err(Errno::Io),
            How::Lying => return Ok((inode, fd)),
            How::Well | How::Late | How::Guessing => {}
        }
        for offset in (offset..offset + len).step_by(PAGE_SIZE as usize) {
            self.cache(inode, offset / PAGE_SIZE)?;
        }
        Ok((inode, fd))
    }

    /// Puts a page of a file into the cache, and keeps it nowhere else.
    fn cache(&mut self, inode: u64, page: u64) -> Result<(), Errno> {
        let flags = MapFlags::ANONYMOUS.bits();
        let (access, process) = (Access::Write, Endpoint::SELF);
        let call = Map { address: 0, len: PAGE_SIZE, offset: 0, flags, access, fd: -1, process };
        let address = self.vm().mmap(call)?.address;
        // What lies behind the end of a file is whatever was there.
        for word in 0..PAGE_SIZE / 8 {
            // SAFETY: the page was mapped for this.
            unsafe { (address as *mut u64).add(word as usize).write_volatile(word_of(inode, page, word)) };
        }
        let (offset, inode_offset) = ((inode * PAGES_OF_FILE + page) * PAGE_SIZE, page * PAGE_SIZE);
        let call = SetCache { address, device: DEVICE, offset, inode, inode_offset, pages: 1, flags: 0 };
        self.vm().set_cache(call)?;
        self.vm().munmap(Unmap { address, len: PAGE_SIZE, process, reserved: 0 })?;
        Ok(())
    }

    fn close(&mut self, message: &Message) -> Result<(u64, i32), Errno> {
        self.told.closes += 1;
        let Close { fd, .. } = decode(message)?;
        let inode = core::mem::take(self.opened(fd)?);
        self.told.open -= 1;
        Ok((inode, fd))
    }

    fn is_fixed(&mut self, status: Result<(), Errno>) {
        self.told.fixed = match (status, self.fix.take()) {
            (Ok(()), Some(Fix { process, write, address, len })) => {
                let ended = self.vm().unfix(Unfix { process, write, address, len });
                ended.map_or_else(|error| -(error as i64), |_| 1)
            }
            (Ok(()), None) => -(Errno::Proto as i64),
            (Err(error), _) => -(error as i64),
        };
    }
}

fn size_of_file(inode: u64) -> Option<u64> {
    SIZES.iter().find(|(known, _)| *known == inode).map(|(_, size)| *size)
}

impl FilesServer for Files {
    fn behave(&mut self, _: Caller, call: Behave) -> Answer<Behaved> {
        self.how = call.how;
        Answer::Reply(Behaved {})
    }

    fn release(&mut self, _: Caller, _: Release) -> Answer<Released> {
        self.how = How::Well;
        self.told.held = 0;
        if let Some(message) = self.held.take() {
            self.question(&message);
        }
        Answer::Reply(Released {})
    }

    fn tell(&mut self, _: Caller, _: Tell) -> Answer<Told> {
        Answer::Reply(self.told)
    }

    fn fix_for(&mut self, _: Caller, FixFor { process, address, len, .. }: FixFor) -> Answer<FixBegun> {
        let fix = Fix { process, write: 1, address, len };
        self.fix = Some(fix);
        self.told.fixed = 0;
        let message = Message { peer: self.server, tag: FIX_TAG, ..protocol::encode(Fix::KIND, &fix) };
        let flags = AsyncFlags::NO_REPLY.bits();
        let entry = AsyncEntry { flags, destination: self.server, result: 0, message };
        TO_SERVER[0].take();
        let sent = TO_SERVER[0].put(&entry).and_then(|()| rt::senda(&TO_SERVER));
        sent.map(|()| FixBegun {}).into()
    }

    fn fill(&mut self, _: Caller, FillIn { process, address, len, .. }: FillIn) -> Answer<Filled> {
        // SAFETY: the memory is another process's.
        let set = unsafe { rt::call_unchecked(&MemSet { process, byte: 1, address, len }) };
        set.map(|_| Filled {}).into()
    }

    fn load(&mut self, _: Caller, call: Load) -> Answer<Loaded> {
        let Load { process, clear_end, inode, address, len, offset } = call;
        let map = self.descriptor(inode).and_then(|fd| {
            let access = Access::Write;
            let call = MapFile { process, access, address, len, offset, device: DEVICE, inode, fd, clear_end };
            self.vm().map_file(call)
        });
        map.map(|_| Loaded {}).into()
    }
}
