//! Copies from memory that another program has granted.

use crate::memory::call;
use crate::{Trouble, report};
use abi::grant::{GrantId, MAX_HOPS};
use abi::{Endpoint, Errno, Kind, Message};
use protocol::kernel::{MAX_COPIED, SafeCopyFrom};
use static_cell::ConstStaticCell;

/// The longest copy, which one call makes.
const LONG: usize = MAX_COPIED as usize;
const SHORT: usize = 8;

/// Where copies begin in a page, on both sides: so no more whole pages are copied than are worth to be shared.
const PLACE: usize = 8;

/// Where the copies go to: it starts with a page, as what is granted does.
#[repr(align(4096))]
struct Memory([u8; PLACE + LONG]);

static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory([0; PLACE + LONG]));

/// Measures a short copy, what each link adds to it, and the longest one.
pub(crate) fn measure(lender: Endpoint) -> Result<(), Trouble> {
    let memory = &mut MEMORY.take().0[PLACE..];
    let (direct, linked) = (grant(lender, 0)?, grant(lender, MAX_HOPS as u64)?);
    report("safecopy.8", |_| copy(lender, direct, &mut memory[..SHORT]))?;
    report("safecopy.hop", |_| {
        let short = copy(lender, direct, &mut memory[..SHORT])?;
        let through_all = copy(lender, linked, &mut memory[..SHORT])?;
        Ok(through_all.saturating_sub(short).div_ceil(MAX_HOPS as u32))
    })?;
    report("safecopy.64k", |_| copy(lender, direct, memory))
}

/// The lender's grant with so many links; behind those come two to be mapped.
pub(crate) fn grant(lender: Endpoint, hops: u64) -> Result<GrantId, Errno> {
    const WHICH: Kind = Kind(0x7750);
    let mut message = Message::new(lender, WHICH);
    message.body[0] = hops;
    rt::sendrec(&mut message)?;
    message.kind.status().ok_or(Errno::Proto)??;
    Ok(GrantId::from_raw(message.body[0]))
}

/// Copies from a grant; returns what it cost.
fn copy(granter: Endpoint, grant: GrantId, into: &mut [u8]) -> Result<u32, Trouble> {
    into.fill(0);
    let (address, len) = (into.as_mut_ptr().expose_provenance() as u64, into.len() as u64);
    let (cost, answer) = call(&SafeCopyFrom { granter, reserved: 0, grant, offset: PLACE as u64, address, len })?;
    let right = into.iter().enumerate().all(|(i, &byte)| byte == (PLACE + i) as u8);
    if answer[0] == len && right { Ok(cost) } else { Err(Trouble::WrongAnswer) }
}
