//! The tracer: a line in the log for each message, with the names of the processes and of the call.
//!
//! It stands beside the trap, not around it: with a second caller, the compiler would no longer make one piece of
//! [`Kernel::trap`] and the entry, and every trap would be dearer, traced or not.

use crate::{CpuId, Frame, Kernel, Machine, Request, Slot};
use abi::{Endpoint, Errno, Kind, Message, Trap};
use core::fmt;
use protocol::ALL;

impl<M: Machine> Kernel<'_, M> {
    /// The process that runs on `cpu` has trapped, and [`Kernel::trap`] comes next: tells of the message that the trap sends,
    /// if it sends one. Returns who made the trap, for [`Kernel::trace_result`].
    pub fn trace_trap(&self, machine: &mut M, cpu: CpuId) -> Option<Slot> {
        let me = self.cpu(cpu).current()?;
        let request = self.process(me).frame.request();
        let trap = Trap::from_rax(request.rax);
        let to = match (trap, self.lookup(request.destination)) {
            (Some(Trap::Receive), _) => return Some(me),
            (Some(Trap::KernelCall), _) => Peer::Kernel,
            (Some(Trap::SendA), _) => Peer::Table(self.process(me).frame.table().1),
            (_, Some(slot)) => Peer::Process(self.process(slot).name()),
            (_, None) => Peer::Other(request.destination),
        };
        let unanswered = match trap {
            Some(Trap::ReplyReceive) => self.check_reply(me, request.destination).err(),
            _ => None,
        };
        let line = Line { from: self.process(me).name(), to, trap, request: &request, unanswered };
        machine.log(format_args!("trace: {line}"));
        Some(me)
    }

    /// The trap of `me` is done: tells why it failed, if it did.
    pub fn trace_result(&self, machine: &mut M, me: Slot) {
        let p = self.process(me);
        // Who waits has no result yet: the number of its trap stands there, which is no error.
        if let Err(errno) = Errno::from_result(p.frame.request().rax as i64) {
            machine.log(format_args!("trace: {} failed: {errno}", p.name()));
        }
    }
}

/// Whom a message is for.
enum Peer<'a> {
    Kernel,
    Process(&'a str),
    /// Those that a table of so many entries names.
    Table(u64),
    /// No living process.
    Other(Endpoint),
}

/// A message as the log shows it.
struct Line<'a> {
    from: &'a str,
    to: Peer<'a>,
    /// `None` for a trap that there is not.
    trap: Option<Trap>,
    request: &'a Request,
    /// Why the answering half of REPLY_RECEIVE is going to fail.
    unanswered: Option<Errno>,
}

impl fmt::Display for Peer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel => f.write_str("kernel"),
            Self::Process(name) => f.write_str(name),
            Self::Table(entries) => write!(f, "table of {entries}"),
            Self::Other(endpoint) => endpoint.fmt(f),
        }
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, trap, request, unanswered } = self;
        write!(f, "{from} -> {to}: ")?;
        match trap {
            None => write!(f, "trap {:#x}", request.rax)?,
            Some(trap @ (Trap::Notify | Trap::SendA)) => write!(f, "{trap:?}")?,
            Some(trap) => {
                let mut message = Message::new(request.destination, Kind(0));
                message.set_header(request.header);
                write!(f, "{trap:?} {}, tag {}", Name(message.kind), message.tag)?;
            }
        }
        unanswered.map_or(Ok(()), |errno| write!(f, ": {errno}"))
    }
}

/// What a kind stands for: a call of a protocol, a reply with its status, or only its number.
struct Name(Kind);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.0;
        match kind.status() {
            Some(Ok(())) => f.write_str("reply"),
            Some(Err(errno)) => write!(f, "reply {errno}"),
            None => {
                let calls =
                    ALL.iter().flat_map(|protocol| protocol.calls.iter().map(move |call| (protocol.base, call)));
                match calls.into_iter().find(|(base, call)| kind.0.checked_sub(*base) == Some(call.number)) {
                    Some((_, call)) => f.write_str(call.name),
                    None => write!(f, "{:#06x}", kind.0),
                }
            }
        }
    }
}
