//! Grants its memory to the measuring program: itself, and through links of its own.
#![no_std]
#![no_main]

use abi::grant::{GrantId, MAX_HOPS};
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno, Kind};
use protocol::kernel::MAX_COPIED;
use static_cell::ConstStaticCell;
use sys::grants::{FOREVER, Pages, Received, Rights};

sys::entry!(main);

/// What is granted starts with a page.
#[repr(align(4096))]
struct Memory([u8; LEN]);

/// The longest copy, from any place in a page on.
const LEN: usize = (MAX_COPIED + PAGE_SIZE) as usize;

/// What is granted to be mapped: each page has its number in its first word.
static PAGES: Pages<PAGE_COUNT> = Pages::new();
/// 1 MiB.
const PAGE_COUNT: usize = 256;
/// What is granted to be mapped in many places.
static SHOWN: Pages<1> = Pages::new();
/// Words of a page.
const WORDS: usize = PAGE_SIZE as usize / size_of::<u64>();

static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory([0; LEN]));

fn main() -> u64 {
    match lend() {
        Ok(ids) => serve(&ids),
        Err(_) => 1,
    }
}

/// How many grants the measuring program gets.
const GRANTS: usize = MAX_HOPS + 3;

/// Makes grants for the measuring program, which it reaches by 0, 1, 2 and more links, and two to be mapped.
fn lend() -> Result<[GrantId; GRANTS], Errno> {
    let (me, user) = (sys::whoami()?.endpoint, sys::lookup("bench").ok_or(Errno::Srch)?);
    let memory = &mut MEMORY.take().0;
    memory.iter_mut().zip(0_u64..).for_each(|(byte, i)| *byte = i as u8);
    // Everybody may use them, so that each can be the last one, and also the beginning of the next.
    let direct = FOREVER.read_write(&mut memory[..], Endpoint::ANY)?;
    let mut ids = [direct.id(); GRANTS];
    core::mem::forget(direct);
    for hop in 1..=MAX_HOPS {
        let last = Received { granter: me, id: ids[hop - 1] };
        let to = if hop < MAX_HOPS { Endpoint::ANY } else { user };
        let link = FOREVER.hand_on(last, 0..LEN as u64, Rights::READ_WRITE, to)?;
        ids[hop] = link.id();
        core::mem::forget(link);
    }
    (0..PAGE_COUNT).for_each(|page| PAGES.store(page * WORDS, page as u64 + 1));
    let shared = FOREVER.share(&PAGES, Rights::READ_WRITE, user)?;
    ids[MAX_HOPS + 1] = shared.id();
    core::mem::forget(shared);
    let shown = FOREVER.share(&SHOWN, Rights::READ_WRITE, user)?;
    ids[MAX_HOPS + 2] = shown.id();
    core::mem::forget(shown);
    Ok(ids)
}

/// Answers each call with the grant whose number its first word says.
fn serve(ids: &[GrantId]) -> u64 {
    let mut received = rt::receive(Endpoint::ANY);
    while let Ok(request) = received {
        let mut reply = request.message;
        let id = usize::try_from(reply.body[0]).ok().and_then(|hops| ids.get(hops));
        (reply.kind, reply.body[0]) = match id {
            Some(id) => (Kind::OK, id.raw()),
            None => (Kind::failed(Errno::Dom), 0),
        };
        received = rt::reply_receive(&reply, Endpoint::ANY);
    }
    1
}
