//! The memory server.
#![no_std]
#![no_main]

use abi::boot::BootFlags;
use abi::event::SystemEvent;
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno, Message};
use protocol::getinfo::GetBootPolicy;
use sys::{SpacesTransport, Traps};
use vm::{Authority, Vm};

sys::entry!(main);

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

type Server = Vm<SpacesTransport, ProgramHeap>;

fn main() -> u64 {
    match serve() {
        Ok(stopped) => sys::log!("cannot receive any more: {}", stopped.error),
        Err(error) => sys::log!("cannot begin: {error}"),
    }
    1
}

fn serve() -> Result<sys::Stopped, Errno> {
    let me = sys::whoami()?.endpoint;
    let transport = SpacesTransport::new()?;
    let mut server = Vm::start(transport, ProgramHeap, transport.own())?;
    let root = adopt_programs(&mut server, me)?;
    let memory = server.memory_info();
    sys::log!("{} of {} frames are free for programs", memory.free, memory.total);
    rt::notify(root)?;
    Ok(sys::serve_over(&mut Traps, &mut server, answer, notified))
}

/// Makes the programs of the boot table known. The root, which says later what the others may ask for, may ask for everything.
/// Returns who it is.
fn adopt_programs(server: &mut Server, me: Endpoint) -> Result<Endpoint, Errno> {
    let mut root = None;
    for index in 0.. {
        let program = match sys::getinfo().boot_policy(GetBootPolicy { index }) {
            Ok(program) => program,
            Err(Errno::Dom) => break,
            Err(error) => return Err(error),
        };
        if program.endpoint == me {
            continue;
        }
        let is_root = program.flags & BootFlags::ROOT.bits() != 0;
        let authority = if is_root { Authority::Service(u64::MAX) } else { Authority::Nothing };
        server.adopt(program.endpoint, authority)?;
        root = root.or(is_root.then_some(program.endpoint));
    }
    root.ok_or(Errno::Srch)
}

fn answer(server: &mut Server, message: &mut Message) -> bool {
    let answered = server.answer(message);
    report(server);
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
    report(server);
    check(server);
}

fn report(server: &mut Server) {
    if let Some(refusal) = server.take_refusal() {
        sys::log!("{refusal}");
    }
}

#[cfg(feature = "sanity-check")]
fn check(server: &mut Server) {
    match server.checked() {
        Ok(Ok(())) => {}
        Ok(Err(wrong)) => panic!("inconsistent: {wrong}"),
        Err(error) => sys::log!("not checked: {error}"),
    }
}

#[cfg(not(feature = "sanity-check"))]
fn check(_: &mut Server) {}
