//! The kernel calls.

use crate::spaces::Home;
use crate::{Action, Frame, Kernel, Machine, Request, Slot};
use abi::{Endpoint, Errno, Kind, Message, Status};
use protocol::kernel::{
    Abort, Aborted, BootProgram, DiagWrite, DiagWritten, Exit, Exited, GetBootEntry, Identity, MAX_DIAG, PROTOCOL,
    Server, Times, Uptime, WhoAmI, dispatch,
};
use protocol::{Answer, CallInfo};

/// Everything that a call acts on.
struct Context<'a, 't, M: Machine> {
    kernel: &'a mut Kernel<'t, M>,
    machine: &'a mut M,
    me: Slot,
    action: Action,
}

impl<M: Machine> Kernel<'_, M> {
    /// Carries out a kernel call of `me`, the running process.
    pub(crate) fn kernel_call(&mut self, machine: &mut M, me: Slot, request: &Request) -> Action {
        let mut message = Message::new(Endpoint::SYSTEM, Kind(0));
        message.set_header(request.header);
        let frame = &mut self.process_mut(me).frame;
        message.body = frame.body();
        if let Err(errno) = self.check_call(me, message.kind) {
            self.process_mut(me).frame.set_result(errno.to_result());
            return Action::Resume;
        }
        let mut context = Context { kernel: self, machine, me, action: Action::Resume };
        let reply = dispatch(&mut context, &message);
        let action = context.action;
        if let Some(reply) = reply {
            let frame = &mut self.process_mut(me).frame;
            match reply.kind.status() {
                Some(Err(errno)) => frame.set_result(errno.to_result()),
                _ => frame.deliver(&reply, Status::default()),
            }
        }
        action
    }

    fn check_call(&self, me: Slot, kind: Kind) -> Result<(), Errno> {
        let number = kind.0.wrapping_sub(PROTOCOL.base);
        let known = |call: &CallInfo| call.number == number;
        if !PROTOCOL.calls.iter().any(known) {
            return Err(Errno::BadRequest);
        }
        // Known numbers are below 64.
        if self.privileges(me).calls >> (number & 63) & 1 == 0 { Err(Errno::CallDenied) } else { Ok(()) }
    }
}

impl<M: Machine> Server for Context<'_, '_, M> {
    fn times(&mut self, _: &Message, _: Times) -> Answer<Uptime> {
        Answer::Reply(Uptime { ticks: self.machine.ticks(), hz: self.machine.hz() })
    }

    fn boot_entry(&mut self, _: &Message, call: GetBootEntry) -> Answer<BootProgram> {
        let entry = usize::try_from(call.index).ok().and_then(|index| self.kernel.boot.get(index));
        let Some(&endpoint) = entry else {
            return Answer::Fail(Errno::Dom);
        };
        let name = self.kernel.process(Slot::of(endpoint)).name_field();
        Answer::Reply(BootProgram { name, endpoint, reserved: 0 })
    }

    fn abort(&mut self, _: &Message, call: Abort) -> Answer<Aborted> {
        self.action = Action::Abort { how: call.how, status: call.status };
        Answer::Later
    }

    fn whoami(&mut self, _: &Message, _: WhoAmI) -> Answer<Identity> {
        let p = self.kernel.process(self.me);
        Answer::Reply(Identity { name: p.name_field(), endpoint: p.endpoint, reserved: 0 })
    }

    fn diag_write(&mut self, _: &Message, call: DiagWrite) -> Answer<DiagWritten> {
        let mut text = [0; MAX_DIAG];
        let Some(text) = usize::try_from(call.len).ok().filter(|&len| len > 0).and_then(|len| text.get_mut(..len))
        else {
            return Answer::Fail(Errno::Inval);
        };
        let p = self.kernel.process(self.me);
        let Some(root) = p.space.map(Home::root) else {
            return Answer::Fail(Errno::Fault);
        };
        if self.machine.read(root, call.address, text).is_err() {
            return Answer::Fail(Errno::Fault);
        }
        self.machine.log_program(p.name(), text);
        Answer::Reply(DiagWritten {})
    }

    fn exit(&mut self, _: &Message, call: Exit) -> Answer<Exited> {
        self.machine.log(format_args!("{} exited, status {}", self.kernel.process(self.me).name(), call.status));
        self.kernel.end(self.machine, self.me);
        Answer::Later
    }
}

const _: () = {
    let mut i = 0;
    while i < PROTOCOL.calls.len() {
        assert!(PROTOCOL.calls[i].number < 64, "call masks have 64 bits");
        i += 1;
    }
};
