//! Grants its memory to the measuring program: itself, and through links of its own.
#![no_std]
#![no_main]

use abi::grant::{GrantId, MAX_HOPS};
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno, Kind};
use protocol::kernel::MAX_COPIED;
use static_cell::ConstStaticCell;
use sys::grants::{FOREVER, Received, Rights};

sys::entry!(main);

/// What is granted starts with a page.
#[repr(align(4096))]
struct Memory([u8; LEN]);

/// The longest copy, from any place in a page on.
const LEN: usize = (MAX_COPIED + PAGE_SIZE) as usize;

static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory([0; LEN]));

fn main() -> u64 {
    match lend() {
        Ok(ids) => serve(&ids),
        Err(_) => 1,
    }
}

/// Makes grants for the measuring program, which it reaches by 0, 1, 2 and more links.
fn lend() -> Result<[GrantId; MAX_HOPS + 1], Errno> {
    let (me, user) = (sys::whoami()?.endpoint, sys::lookup("bench").ok_or(Errno::Srch)?);
    let memory = &mut MEMORY.take().0;
    memory.iter_mut().zip(0_u64..).for_each(|(byte, i)| *byte = i as u8);
    // Everybody may use them, so that each can be the last one, and also the beginning of the next.
    let direct = FOREVER.read_write(&mut memory[..], Endpoint::ANY)?;
    let mut ids = [direct.id(); MAX_HOPS + 1];
    core::mem::forget(direct);
    for hop in 1..ids.len() {
        let last = Received { granter: me, id: ids[hop - 1] };
        let to = if hop < MAX_HOPS { Endpoint::ANY } else { user };
        let link = FOREVER.hand_on(last, 0..LEN as u64, Rights::READ_WRITE, to)?;
        ids[hop] = link.id();
        core::mem::forget(link);
    }
    Ok(ids)
}

/// Answers each call with the grant that has so many links as its first word says.
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
