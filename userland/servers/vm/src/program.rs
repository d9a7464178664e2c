//! The program around the server: how it begins, what it receives. Three programs are made of it: one of them has the books compared
//! with the kernel's tables after each request, and one makes wrong requests on purpose.

use abi::asynchronous::{AsyncEntry, AsyncFlags};
use abi::boot::BootFlags;
use abi::event::SystemEvent;
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno, Message};
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use protocol::getinfo::{BootPolicy, GetBootPolicy};
use protocol::kernel::GetBootEntry;
use protocol::vm::MemoryInfo;
use protocol::vmctl::GetBootFile;
use rt::random::Random;
use rt::{AsyncSlot, Others};
use sys::Traps;
use vm::{Authority, BootProgram, Chance, LoadError, OwnMemory, Vm};

const MIB: u64 = 1 << 20;

/// The heap of the program.
struct ProgramHeap;

impl vm::Heap for ProgramHeap {
    #[inline]
    fn lacks(&self, bytes: usize) -> u64 {
        bytes.saturating_sub(heap::spare()).div_ceil(PAGE_SIZE as usize) as u64
    }

    fn end(&self) -> u64 {
        heap::end()
    }

    fn grow(&mut self, pages: u64) {
        heap::grow(pages);
    }
}

type Server = Vm<crate::Calls, ProgramHeap>;

/// Why the server cannot begin.
enum Failure {
    /// A kernel call failed.
    Kernel(Errno),
    /// A program of the boot table cannot be loaded.
    Load([u8; abi::boot::NAME_LEN], LoadError),
}

impl From<Errno> for Failure {
    fn from(error: Errno) -> Self {
        Self::Kernel(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel(error) => error.fmt(f),
            Self::Load(name, error) => write!(f, "the boot program {}: {error}", sys::name_of(name)),
        }
    }
}

pub(crate) fn main() -> u64 {
    match serve() {
        Ok(stopped) => sys::log!("cannot receive any more: {}", stopped.error),
        Err(failure) => sys::log!("cannot begin: {failure}"),
    }
    1
}

fn serve() -> Result<sys::Stopped, Failure> {
    let me = sys::whoami()?.endpoint;
    let calls = Others::find()?;
    let mut server = Vm::start(crate::Calls::from(calls), ProgramHeap, calls.own_space())?;
    let mut random = Random::new();
    let root = take_over_programs(&mut server, &mut random, me)?;
    let memory = server.memory_info();
    let mib = |pages: u64| pages * PAGE_SIZE / MIB;
    sys::log!("{} of {} MiB are free for programs", mib(memory.free), mib(memory.total));
    if random.is_weak() {
        sys::log!("this processor has no generator: the random bytes of programs can be guessed");
    }
    rt::notify(root)?;
    Ok(sys::serve_over(&mut Traps, &mut server, answer, notified))
}

/// Makes the programs of the boot table known, and loads those that the kernel has not. The root, which says later what the
/// others may ask for, may ask for everything. Returns who it is.
fn take_over_programs(server: &mut Server, random: &mut Random, me: Endpoint) -> Result<Endpoint, Failure> {
    let mut root = None;
    for index in 0.. {
        let policy = match sys::getinfo().boot_policy(GetBootPolicy { index }) {
            Ok(policy) => policy,
            Err(Errno::Dom) => break,
            Err(error) => return Err(error.into()),
        };
        if policy.endpoint == me {
            continue;
        }
        if has(&policy, BootFlags::FILE) {
            keep(server, index)?;
            continue;
        }
        let is_root = has(&policy, BootFlags::ROOT);
        let authority = if is_root { Authority::Service(u64::MAX) } else { Authority::Nothing };
        server.adopt(policy.endpoint, authority)?;
        root = root.or(is_root.then_some(policy.endpoint));
        if has(&policy, BootFlags::SERVED) {
            load(server, random, index, &policy)?;
        }
    }
    root.ok_or(Failure::Kernel(Errno::Srch))
}

fn has(policy: &BootPolicy, flag: BootFlags) -> bool {
    policy.flags & flag.bits() != 0
}

/// Loads a program. Its file is kept for the root system process or given back.
fn load(server: &mut Server, random: &mut Random, index: u64, policy: &BootPolicy) -> Result<(), Failure> {
    let name = sys::kernel().boot_entry(GetBootEntry { index })?.name;
    let file = sys::vmctl().boot_file(GetBootFile { index })?;
    let program = BootProgram { process: policy.endpoint, name, file: file.first, len: file.len };
    let chance = Chance { base: random.word(), bytes: random.bytes() };
    server.load(&program, &mut Memory, chance).map_err(|error| Failure::Load(name, error))?;
    if has(policy, BootFlags::KEPT) {
        server.keep_file(index, file.first, file.len)?;
    } else {
        server.free_file(file.first, file.len);
    }
    check(server);
    Ok(())
}

/// Keeps a file that is no boot program for the root system process.
fn keep(server: &mut Server, index: u64) -> Result<(), Failure> {
    let file = sys::vmctl().boot_file(GetBootFile { index })?;
    server.keep_file(index, file.first, file.len)?;
    Ok(())
}

/// The memory of this program.
#[derive(Clone, Copy)]
struct Memory;

impl OwnMemory for Memory {
    fn read_physical(&mut self, address: u64, into: &mut [u8]) -> Result<(), Errno> {
        rt::read_physical(address, into)
    }

    fn write_to(&mut self, process: Endpoint, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        rt::write_to(process, address, bytes)
    }
}

fn answer(server: &mut Server, message: &mut Message) -> bool {
    let answered = server.answer(message);
    if server.has_news() {
        tell(server);
    }
    check(server);
    answered
}

fn notified(server: &mut Server, message: &Message) {
    if message.peer != Endpoint::SYSTEM {
        return;
    }
    if let Some(wait) = SystemEvent::read(&message.body).memory
        && let Some(segv) = server.event(&wait)
    {
        sys::log!("{segv}");
    }
    if server.has_news() {
        tell(server);
    }
    check(server);
}

/// Sends what there is to be sent, and says what there is to be said.
#[cold]
fn tell(server: &mut Server) {
    deliver(server);
    report(server);
}

/// Messages to the file server, which need not wait for them: what it is asked, and answers to what it has asked in the same way.
static TO_FILE_SERVER: [AsyncSlot; 16] = [const { AsyncSlot::new() }; 16];

/// Sends what the server has to tell besides the answer to the request that it serves. Nobody is waited for.
fn deliver(server: &mut Server) {
    let mut is_put = false;
    if let Some(question) = server.take_question()
        && let Some(files) = server.file_server()
    {
        let put = put(&Message { peer: files, ..question });
        is_put |= put;
        if !put {
            sys::log!("the file server takes no messages");
        }
    }
    while let Some(answer) = server.take_late_answer() {
        if server.file_server() != Some(answer.peer) {
            // Who does not wait for it any more gets none.
            let _ = rt::send_nb(&answer);
        } else if put(&answer) {
            is_put = true;
        } else {
            // When it has taken some of the others.
            server.put_back(answer);
            break;
        }
    }
    if is_put && let Err(error) = rt::senda(&TO_FILE_SERVER) {
        sys::log!("cannot ask the file server: {error}");
    }
}

/// Puts a message where there is room for one; whether there is.
fn put(message: &Message) -> bool {
    let flags = AsyncFlags::NO_REPLY.bits();
    let entry = AsyncEntry { flags, destination: message.peer, result: 0, message: *message };
    TO_FILE_SERVER.iter().any(|slot| {
        slot.take();
        slot.put(&entry).is_ok()
    })
}

/// Says who has got a signal after it had waited, and what the kernel has refused although it was right by the books.
fn report(server: &mut Server) {
    if let Some(segv) = server.take_segv() {
        sys::log!("{segv}");
    }
    if let Some(refusal) = server.take_refusal() {
        sys::log!("{refusal}");
    }
}

/// Compares the books with the kernel's tables, if this is the program that does: what a few processes have each time, or more seldom
/// if they have much, and everything each so many times.
fn check(server: &mut Server) {
    const ALL_EVERY: u64 = 128;
    const PROCESSES: u64 = 3;
    /// What there is in a small system, and how much more is one request more.
    const FEW_PAGES: u64 = 512;
    const PAGES: u64 = 16;
    static REQUESTS: AtomicU64 = AtomicU64::new(0);
    if !crate::CHECKS {
        return;
    }
    let MemoryInfo { total, free, .. } = server.memory_info();
    let every = 1 + (total - free).saturating_sub(FEW_PAGES) / PAGES;
    let requests = REQUESTS.fetch_add(1, Ordering::Relaxed);
    let checked = if requests.is_multiple_of(ALL_EVERY * every) {
        server.checked()
    } else if requests.is_multiple_of(every) {
        Ok(server.check_processes(requests / every, PROCESSES))
    } else {
        return;
    };
    match checked {
        Ok(Ok(())) => {}
        Ok(Err(wrong)) => panic!("inconsistent: {wrong}"),
        Err(error) => sys::log!("not checked: {error}"),
    }
}
