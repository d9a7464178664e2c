//! Traps by the fast paths, as the entry of a processor tries them first.

use crate::world::World;
use abi::{Kind, Message, Status, Trap};
use kernel_core::{Action, Frame, Partner, Slot};
use protocol::Call;
use protocol::kernel::Times;

impl World<'_> {
    /// The trap of the process that runs, whose registers are in its frame, if there is nothing in its way.
    pub(crate) fn fast_trap(&mut self, slot: Slot) -> Option<Action> {
        let Self { kernel, machine, .. } = self;
        let (p, cpu) = (kernel.process(slot), machine.cpu);
        let request = p.frame.request();
        let mut message = Message::new(p.endpoint, Kind(0));
        message.set_header(request.header);
        message.body = p.frame.body;
        let to = request.destination;
        let done = match Trap::from_rax(request.rax)? {
            Trap::Notify => kernel.fast_notify(machine, cpu, to),
            Trap::Receive => kernel.fast_receive(machine, cpu, request.source).is_some(),
            Trap::KernelCall if message.kind == Times::KIND => kernel.fast_times(machine, cpu, request.header),
            Trap::KernelCall => return kernel.fast_call(machine, cpu).map(|_| kernel.action()),
            Trap::SendRec => hand_over(kernel.fast_sendrec(machine, cpu, to), &message, Trap::SendRec),
            Trap::ReplyReceive => {
                let partner = kernel.fast_reply_receive(machine, cpu, to, request.source);
                hand_over(partner, &message, Trap::ReplyReceive)
            }
            _ => false,
        };
        done.then_some(Action::Resume)
    }
}

/// Moves a message into the registers of whom the processor was switched to.
fn hand_over(partner: Option<Partner<'_, crate::machine::Computer>>, message: &Message, trap: Trap) -> bool {
    let to = partner.map(|partner| partner.process.frame.deliver(message, Status::sent_with(trap)));
    to.is_some()
}
