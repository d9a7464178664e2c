//! Which of its rights a process uses, and what it wants beyond them. Neither changes what a process may do.
//!
//! What was denied is kept for each privilege structure until the root system process asks, which names it in the log. Uses are told of with the
//! option `trace=use`: a line for each right when it is used for the first time, so that a policy can be held against what its services do.

use crate::{CpuId, Frame, Kernel, Machine, Slot};
use abi::{Endpoint, Errno, Kind, Message, PRIVILEGES, PrivilegeId, Trap, TrapMask};
use core::fmt;
use protocol::getinfo::{Denial, Denied};
use protocol::irqctl::SetPolicy;
use protocol::kernel::{DevIo, SDevIo};
use protocol::{Call, decode};

/// The rights of a privilege structure that were used, a bit each as in the structure itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Used {
    traps: TrapMask,
    pub(crate) sends: u64,
    calls: u64,
    /// Calls of the memory server.
    memory: u64,
    /// Ranges of ports, by their places in the list.
    ports: u64,
    /// Interrupt lines, by theirs.
    lines: u64,
}

impl Used {
    pub(crate) const NOTHING: Self =
        Self { traps: TrapMask::empty(), sends: 0, calls: 0, memory: 0, ports: 0, lines: 0 };
}

/// What was denied to whoever has each privilege structure, until somebody asks.
#[derive(Debug)]
pub struct Refusals([Refused; PRIVILEGES]);

/// Of hardware the last that was denied, of all else each.
#[derive(Clone, Copy, Debug)]
struct Refused {
    /// Who wanted it last.
    who: Endpoint,
    traps: TrapMask,
    /// By privilege ids.
    receivers: u64,
    /// By bits of call masks.
    calls: u64,
    port: Option<u32>,
    line: Option<u32>,
}

impl Refused {
    const NOTHING: Self =
        Self { who: Endpoint::NONE, traps: TrapMask::empty(), receivers: 0, calls: 0, port: None, line: None };

    /// One of the things that were denied, which is forgotten.
    fn take(&mut self) -> Option<(Denied, u64)> {
        if let Some(trap) = self.traps.iter().next() {
            self.traps.remove(trap);
            Some((Denied::Trap, trap.bits().into()))
        } else if self.receivers != 0 {
            Some((Denied::Receiver, take_lowest(&mut self.receivers)))
        } else if self.calls != 0 {
            Some((Denied::Call, take_lowest(&mut self.calls)))
        } else if let Some(port) = self.port.take() {
            Some((Denied::Port, port.into()))
        } else {
            self.line.take().map(|line| (Denied::Line, line.into()))
        }
    }
}

/// The number of the lowest bit, which is cleared.
fn take_lowest(mask: &mut u64) -> u64 {
    let number = mask.trailing_zeros();
    *mask &= *mask - 1;
    number.into()
}

impl Refusals {
    /// Nothing yet.
    pub const NONE: Self = Self([Refused::NOTHING; PRIVILEGES]);

    /// Forgets what was denied to the owner of a structure that is free now, and that others were kept from it.
    pub(crate) fn forget(&mut self, id: PrivilegeId) {
        self.0[id.index()] = Refused::NOTHING;
        self.0.iter_mut().for_each(|refused| refused.receivers &= !id.bit());
    }
}

impl<M: Machine> Kernel<'_, M> {
    #[cold]
    fn refused(&mut self, me: Slot) -> &mut Refused {
        let p = self.process(me);
        let (who, id) = (p.endpoint, p.privilege_id());
        let refused = &mut self.refusals.0[id.index()];
        refused.who = who;
        refused
    }

    /// Notes that a kernel call was denied.
    pub(crate) fn note_call(&mut self, me: Slot, right: u64) {
        self.refused(me).calls |= right;
    }

    /// Notes that an access to a port was denied.
    pub(crate) fn note_port(&mut self, me: Slot, port: u32) {
        self.refused(me).port = Some(port);
    }

    /// Notes that an interrupt line was denied.
    pub(crate) fn note_line(&mut self, me: Slot, line: u8) {
        self.refused(me).line = Some(line.into());
    }

    /// Notes why a message was denied, if that was for want of a right.
    pub(crate) fn note_message(&mut self, me: Slot, trap: Trap, to: Endpoint, errno: Errno) {
        match errno {
            Errno::TrapDenied => self.refused(me).traps |= trap.mask(),
            Errno::CallDenied => {
                let receiver = self.lookup(to).map_or(0, |to| self.process(to).privilege_id().bit());
                self.refused(me).receivers |= receiver;
            }
            _ => {}
        }
    }

    /// A denial that nobody knows of yet; it is known then.
    pub(crate) fn take_denial(&mut self) -> Option<Denial> {
        let (process, denied, detail) = self.refusals.0.iter_mut().find_map(|refused| {
            let (denied, detail) = refused.take()?;
            Some((refused.who, denied, detail))
        })?;
        let owner = |id| PrivilegeId::new(id).and_then(|id| self.owner_of(id)).unwrap_or(Endpoint::NONE);
        let detail = match denied {
            Denied::Receiver => owner(detail as u32).raw().into(),
            _ => detail,
        };
        Some(Denial { process, denied, detail })
    }

    /// The process that runs on `cpu` has trapped, and [`Kernel::trap`] comes next: tells which of its rights it uses for the first time. What lists in its memory
    /// name, of messages or of ports, is not looked at.
    pub fn trace_use(&mut self, machine: &mut M, cpu: CpuId) {
        let Some(me) = self.cpu(cpu).current() else {
            return;
        };
        let request = self.process(me).frame.request();
        let Some(trap) = Trap::from_rax(request.rax) else {
            return;
        };
        let mut message = Message::new(request.destination, Kind(0));
        message.set_header(request.header);
        message.body = self.process(me).frame.body();
        if trap == Trap::KernelCall {
            return self.trace_call(machine, me, &message);
        }
        if self.privileges(me).traps.contains(trap.mask()) && !self.privileges(me).used.traps.contains(trap.mask()) {
            self.privileges_mut(me).used.traps |= trap.mask();
            let name = trap.mask().iter_names().next().map_or("?", |(name, _)| name);
            self.tell_use(machine, me, format_args!("traps {name}"));
        }
        let sends = matches!(trap, Trap::Send | Trap::SendRec | Trap::SendNb | Trap::Notify);
        match self.lookup(request.destination) {
            // An answer needs no right.
            Some(to) if sends && !(trap == Trap::SendNb && self.waits_for_answer(to, me)) => {
                self.trace_send(machine, me, to, &message);
            }
            _ => {}
        }
    }

    fn trace_send(&mut self, machine: &mut M, me: Slot, to: Slot, message: &Message) {
        let id = self.process(to).privilege_id();
        let own = self.privileges(me);
        if own.sends & id.bit() & !own.used.sends != 0 {
            self.privileges_mut(me).used.sends |= id.bit();
            match id {
                PrivilegeId::USER => self.tell_use(machine, me, format_args!("ipc USER")),
                _ => self.tell_use(machine, me, format_args!("ipc {}", self.process(to).name())),
            }
        }
        let number = message.kind.0.wrapping_sub(protocol::vm::PROTOCOL.base);
        let name = protocol::vm::NAMES.get(usize::from(number)).filter(|name| !name.is_empty());
        if let Some(name) = name.filter(|_| self.process(to).endpoint == self.pager)
            && self.privileges(me).used.memory >> number & 1 == 0
        {
            self.privileges_mut(me).used.memory |= 1 << number;
            self.tell_use(machine, me, format_args!("vm {name}"));
        }
    }

    fn trace_call(&mut self, machine: &mut M, me: Slot, message: &Message) {
        let right = protocol::kernel::right(message.kind).unwrap_or(0);
        let own = self.privileges(me);
        if own.calls & right & !own.used.calls != 0 {
            self.privileges_mut(me).used.calls |= right;
            let name = protocol::kernel::right_name(right.trailing_zeros()).unwrap_or("?");
            self.tell_use(machine, me, format_args!("system {name}"));
        }
        let port = match message.kind {
            DevIo::KIND => decode::<DevIo>(message).ok().map(|call| call.port),
            SDevIo::KIND => decode::<SDevIo>(message).ok().map(|call| call.port),
            _ => None,
        };
        let own = self.privileges(me);
        let place = port.and_then(|port| own.resources.place_of_port(u16::try_from(port).ok()?));
        if let Some((port, place)) = port.zip(place).filter(|(_, place)| own.used.ports >> place & 1 == 0) {
            self.privileges_mut(me).used.ports |= 1 << place;
            self.tell_use(machine, me, format_args!("io {port:x}"));
        }
        let call = if message.kind == SetPolicy::KIND { decode::<SetPolicy>(message).ok() } else { None };
        let own = self.privileges(me);
        let line = call.and_then(|call| u8::try_from(call.line).ok());
        let place = line.and_then(|line| own.resources.place_of_line(line));
        if let Some((line, place)) = line.zip(place).filter(|(_, place)| own.used.lines >> place & 1 == 0) {
            self.privileges_mut(me).used.lines |= 1 << place;
            self.tell_use(machine, me, format_args!("irq {line}"));
        }
    }

    fn tell_use(&self, machine: &mut M, me: Slot, what: fmt::Arguments<'_>) {
        machine.log(format_args!("use: {} {what}", self.process(me).name()));
    }
}
