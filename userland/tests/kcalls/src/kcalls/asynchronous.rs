//! Asynchronous messages between programs: the table lies in the memory of the sender.

use crate::kit::{KIND, WORDS, obedient, order, received, registers, result};
use abi::asynchronous::{AsyncEntry, AsyncFlags};
use abi::{Endpoint, Errno, Kind, Message, Trap};
use family::{Board, Child, Page};
use rt::Registers;
use suite::{Outcome, check_eq};

/// Words of an entry.
const LEN: usize = size_of::<AsyncEntry>() / 8;

/// Writes an entry into the table of a child.
fn put(child: &Child, index: usize, flags: AsyncFlags, destination: Endpoint) {
    let at = Board::FREE + index * LEN;
    let flags = flags | AsyncFlags::VALID;
    let message = Message { tag: index as u16, body: WORDS, ..Message::new(Endpoint::NONE, KIND) };
    let head = u64::from(message.peer.raw()) | message.header() << 32;
    let words = [u64::from(flags.bits()) | u64::from(destination.raw()) << 32, 1, head];
    for (i, word) in words.into_iter().chain(message.body).enumerate() {
        child.board().set(at + i, word);
    }
}

/// The flags and the result of an entry.
fn state(child: &Child, index: usize) -> (AsyncFlags, i64) {
    let at = Board::FREE + index * LEN;
    let flags = AsyncFlags::from_bits_retain(child.board().get(at) as u32);
    (flags, child.board().get(at + 1) as i64)
}

/// Has a child register the first entries of its table.
fn send(child: &Child, count: u64) -> Outcome {
    let rdi = Page::BOARD.address() + 8 * Board::FREE as u64;
    order(child, Registers { rax: Trap::SendA.rax(), rdi, rsi: 0, rdx: count, body: WORDS })?;
    Ok(())
}

const OPEN: AsyncFlags = AsyncFlags::VALID;
const DONE: AsyncFlags = AsyncFlags::VALID.union(AsyncFlags::DONE);

pub(crate) fn a_message_waits_in_the_table_of_its_sender() -> Outcome {
    let (sender, receiver) = (obedient(&[])?, obedient(&[])?);
    put(&sender, 0, OPEN, family::me()?);
    put(&sender, 1, OPEN, family::me()?);
    // Made before the receiver was, so it may not send to it.
    put(&sender, 2, OPEN, receiver.endpoint);
    send(&sender, 3)?;
    check_eq!(result(&sender), Ok(0));
    check_eq!([0, 1].map(|i| state(&sender, i)), [(OPEN, 1), (OPEN, 1)]);
    check_eq!(state(&sender, 2), (DONE, Errno::CallDenied.to_result()));
    for index in 0..2 {
        let got = rt::receive(sender.endpoint)?;
        let expected = Message { tag: index, body: WORDS, ..Message::new(sender.endpoint, KIND) };
        check_eq!((got.message, got.status), (expected, abi::Status::sent_with(Trap::SendA)));
        check_eq!(state(&sender, index.into()), (DONE, 0));
    }
    // To one who waits, with a notification that it is done.
    let (to, from) = (&sender, &receiver);
    order(to, registers(Trap::Receive, &Message::new(Endpoint::NONE, Kind(0)), Endpoint::ANY))?;
    put(from, 0, OPEN | AsyncFlags::NOTIFY, to.endpoint);
    send(from, 1)?;
    check_eq!((received(to).peer, received(to).body), (from.endpoint, WORDS));
    check_eq!(state(from, 0), (DONE | AsyncFlags::NOTIFY, 0));
    order(from, registers(Trap::Receive, &Message::new(Endpoint::NONE, Kind(0)), Endpoint::ANY))?;
    check_eq!(received(from).peer, Endpoint::ASYNCM);
    sender.end()?;
    receiver.end()
}

pub(crate) fn a_message_to_the_dead_has_their_error() -> Outcome {
    let (receiver, sender) = (obedient(&[])?, obedient(&[])?);
    put(&sender, 0, OPEN | AsyncFlags::NOTIFY_ERROR, receiver.endpoint);
    send(&sender, 1)?;
    check_eq!(state(&sender, 0).0, OPEN | AsyncFlags::NOTIFY_ERROR);
    receiver.end()?;
    check_eq!(state(&sender, 0), (DONE | AsyncFlags::NOTIFY_ERROR, Errno::DeadSrcDst.to_result()));
    order(&sender, registers(Trap::Receive, &Message::new(Endpoint::NONE, Kind(0)), Endpoint::ASYNCM))?;
    check_eq!((result(&sender), received(&sender).peer), (Ok(0), Endpoint::ASYNCM));
    for (count, expected) in [(64, Ok(0)), (65, Err(Errno::Dom)), (u64::MAX, Err(Errno::Dom)), (0, Ok(0))] {
        send(&sender, count)?;
        check_eq!(result(&sender), expected);
    }
    sender.end()
}

pub(crate) fn a_table_dies_with_its_owner() -> Outcome {
    let sender = obedient(&[])?;
    put(&sender, 0, OPEN, family::me()?);
    send(&sender, 1)?;
    sender.end()?;
    // Nothing comes.
    crate::kit::nap(2)
}
