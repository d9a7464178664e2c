//! What services wanted to do and may not is named in the log: whoever writes a policy, or finds a service that tries too much, sees it there.

use crate::{Root, SERVICES, Servers};
use abi::{Endpoint, TrapMask};
use core::fmt;
use protocol::getinfo::{Denial, Denied, TakeDenial};
use protocol::vm::TakeRefusal;
use protocol::{Transport, kernel, vm};

/// Most that are named at once; the others are the next time.
const MOST: usize = 2 * SERVICES;

impl<T: Transport + Copy, S: Servers> Root<T, S> {
    /// Names all that was denied since this was called last.
    pub(crate) fn tell_denials(&mut self) {
        for _ in 0..MOST {
            let Ok(Denial { process, denied, detail }) = self.getinfo().denial(TakeDenial {}) else {
                break;
            };
            let who = self.called(process);
            match denied {
                Denied::Trap => {
                    let trap = TrapMask::from_bits(detail as u32).unwrap_or(TrapMask::empty());
                    self.servers.log(format_args!("{who} may not use the trap {trap:?}"));
                }
                Denied::Receiver => {
                    let receiver = self.called(Endpoint::from_raw(detail as u32));
                    self.servers.log(format_args!("{who} may not send to {receiver}"));
                }
                Denied::Call => {
                    let call = kernel::right_name(detail as u32).unwrap_or("?");
                    self.servers.log(format_args!("{who} may not make the kernel call {call}"));
                }
                Denied::Port => self.servers.log(format_args!("{who} may not use the port {detail:#x}")),
                Denied::Line => self.servers.log(format_args!("{who} may not have the interrupt {detail}")),
            }
        }
        for _ in 0..SERVICES {
            let Ok(vm::Refusal { process, calls, .. }) =
                self.memory_server().and_then(|mut server| server.refusal(TakeRefusal {}))
            else {
                break;
            };
            let who = self.called(process);
            for (_, call) in vm::NAMES.iter().enumerate().filter(|(number, _)| calls >> number & 1 != 0) {
                self.servers.log(format_args!("{who} may not make the call {call} of the memory server"));
            }
        }
    }

    /// What the log calls a process.
    fn called(&self, process: Endpoint) -> Called {
        let place = self.services.named(process).or_else(|| self.services.with_other(process));
        Called(process, place.map(|place| self.label(place)))
    }
}

/// A service by its label, or another process by its endpoint.
struct Called(Endpoint, Option<crate::Name>);

impl fmt::Display for Called {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(_, Some(label)) => label.fmt(f),
            Self(process, None) => write!(f, "process {process}"),
        }
    }
}
