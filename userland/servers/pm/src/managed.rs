//! Signals that the kernel tells of: the process manager manages those of user processes.

use crate::deliver::Origin;
use crate::process::Flags;
use crate::signals::Set;
use crate::{Pm, Port};
use abi::event::SystemEvent;
use abi::{Endpoint, Errno, Message, Signal};
use protocol::Transport;
use protocol::kernel::{EndKSig, GetKSig};

impl<K: Transport + Copy, P: Port> Pm<'_, K, P> {
    /// Deals with a notification.
    pub fn notified(&mut self, message: &Message) {
        match message.peer {
            Endpoint::CLOCK => self.tick(),
            Endpoint::SYSTEM => self.signals_came(&SystemEvent::read(&message.body)),
            _ => {}
        }
    }

    /// Processes have signals: the one that the notification tells of, and perhaps more.
    fn signals_came(&mut self, event: &SystemEvent) {
        if let Some((process, signals)) = event.signaled {
            self.take_signals(process, signals);
        }
        loop {
            match self.kernel().getksig(GetKSig {}) {
                Ok(next) if next.process != Endpoint::NONE => self.take_signals(next.process, next.signals),
                Ok(_) => return,
                Err(error) => return self.port.log(format_args!("cannot ask for signals: {error}")),
            }
        }
    }

    /// Deals with signals of a process, which stands meanwhile.
    fn take_signals(&mut self, process: Endpoint, signals: u64) {
        if let Some(slot) = self.table.find(process) {
            if signals & Signal::SEND_DONE.bit() != 0 {
                self.retry(slot);
            }
            for signal in Set::from_process(signals).iter() {
                let me = &self.table[slot];
                if Set::TERMINAL.has(signal) && !me.is(Flags::SERVICE) {
                    self.signal_group(me.group, signal);
                } else {
                    self.raise(slot, signal, Origin::Kernel);
                }
            }
        }
        match self.kernel().endksig(EndKSig { process }) {
            // It has ended meanwhile, or somebody else manages it now.
            Ok(_) | Err(Errno::Inval | Errno::Perm) => {}
            Err(error) => self.port.log(format_args!("cannot end signals: {error}")),
        }
    }
}
