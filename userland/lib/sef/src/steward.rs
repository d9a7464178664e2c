//! The framework's part in the life of a service.

use crate::link::Link;
use crate::service::{Begin, Old, Prepared, Service, is_for_tests};
use abi::event::SystemEvent;
use abi::grant::GrantId;
use abi::{Endpoint, Errno, Message, Signal};
use protocol::rs::{GetInit, Init, InitDone, NO_STATE, Ready};
use protocol::sef::{Prepare, Signaled, state};
use protocol::{Call, decode};
use rt::Received;
use sys::grants::Received as Grant;

/// What the framework knows about a service.
#[derive(Debug)]
pub struct Steward<L> {
    link: L,
    me: Endpoint,
    root: Endpoint,
    /// The state that the service is to be replaced in, [`NO_STATE`] if it is not.
    awaited: u32,
}

impl<L: Link> Steward<L> {
    /// For a service that has not begun.
    pub const fn new(link: L, me: Endpoint, root: Endpoint) -> Self {
        Self { link, me, root, awaited: NO_STATE }
    }

    #[cfg(test)]
    pub(crate) fn link_mut(&mut self) -> &mut L {
        &mut self.link
    }

    /// Has the service begin as the root system process says, and tells that one how it went. Nobody else is heard meanwhile.
    ///
    /// # Errors
    /// Why it could not begin.
    pub fn begin(&mut self, service: &mut impl Service) -> Result<(), Errno> {
        let info = self.link.ask(self.root, &GetInit {})?;
        self.me = info.endpoint;
        let received = |granter, id| Grant { granter, id };
        let begin = Begin {
            how: info.how,
            restarts: info.restarts,
            endpoint: info.endpoint,
            root: self.root,
            old: (info.state_len > 0).then(|| Old { state: received(info.old, info.state_grant), len: info.state_len }),
            table: received(self.root, info.table_grant),
            prepared: info.prepared,
        };
        let begun = match info.how {
            Init::Fresh => service.begin(&begin),
            Init::Restart => service.begin_again(&begin),
            Init::LiveUpdate => service.take_over(&begin),
        };
        let (state_grant, state_len) = service.kept_state().unwrap_or((GrantId::INVALID, 0));
        let error = begun.err().map_or(0, |errno| errno as u32);
        // Whoever has failed waits here for his end.
        self.link.ask(self.root, &InitDone { error, reserved: 0, state_grant, state_len })?;
        begun
    }

    /// Serves until nothing can be received any more; returns why.
    pub fn serve(&mut self, service: &mut impl Service) -> Errno {
        let mut answer = None;
        loop {
            let received = match answer.take() {
                // The framework may be about to end this instance: the answer must be out before.
                Some(message) if self.awaited != NO_STATE => {
                    self.link.answer(&message);
                    self.look_at_update(service);
                    self.link.receive()
                }
                Some(message) => self.link.reply_receive(&message),
                None => {
                    self.look_at_update(service);
                    self.link.receive()
                }
            };
            let Received { mut message, status } = match received {
                Ok(received) => received,
                Err(error) => return error,
            };
            if status.is_notification() {
                self.notified(service, &message);
            } else if message.peer == self.root && self.is_ours(service, &message) {
                // It was not for the service.
            } else if service.answer(&mut message) && status.wants_reply() {
                answer = Some(message);
            }
        }
    }

    fn notified(&mut self, service: &mut impl Service, message: &Message) {
        match message.peer {
            peer if peer == self.root => {
                if service.is_well() {
                    // The root system process is there as long as there is a system.
                    let _ = self.link.notify(self.root);
                }
            }
            Endpoint::SYSTEM => {
                let event = SystemEvent::read(&message.body);
                service.told(&event);
            }
            _ => service.notified(message),
        }
    }

    /// Deals with a message from the root system process, if it is for the framework.
    fn is_ours(&mut self, service: &mut impl Service, message: &Message) -> bool {
        match message.kind {
            kind if kind == <Prepare as Call>::KIND => {
                if let Ok(call) = decode::<Prepare>(message) {
                    self.prepare(service, call.state);
                }
                true
            }
            kind if kind == <Signaled as Call>::KIND => {
                if let Some(signal) = decode::<Signaled>(message).ok().and_then(|call| Signal::from_user(call.signal)) {
                    service.signal(signal);
                }
                true
            }
            _ => false,
        }
    }

    /// The service is to be replaced in a state, or not any more.
    fn prepare(&mut self, service: &mut impl Service, wanted: u32) {
        if wanted == NO_STATE {
            self.await_state(service, NO_STATE);
            return;
        }
        let refused = match () {
            () if self.awaited != NO_STATE => Err(Errno::Busy),
            () if is_for_tests(wanted) => Ok(()),
            () => service.accepts(wanted),
        };
        match refused {
            Ok(()) => self.await_state(service, wanted),
            Err(errno) => self.refuse(wanted, errno),
        }
    }

    fn await_state(&mut self, service: &mut impl Service, wanted: u32) {
        let old = core::mem::replace(&mut self.awaited, wanted);
        if old != wanted {
            service.state_changed(old, wanted);
        }
    }

    fn refuse(&mut self, state: u32, errno: Errno) {
        let call = Ready { state, error: errno as u32, state_grant: GrantId::INVALID, state_len: 0 };
        // It is answered that the update is called off, which is known.
        let _ = self.link.ask(self.root, &call);
    }

    /// If the service is to be replaced and can be, it is, in here. Returns if it is not.
    fn look_at_update(&mut self, service: &mut impl Service) {
        let wanted = self.awaited;
        let prepared = match wanted {
            NO_STATE | state::UNREACHABLE => return,
            state::WORK_FREE => Prepared::Ready,
            state::CRASH => panic!("told to crash while it prepares to be replaced"),
            other => service.prepare(other),
        };
        match prepared {
            Prepared::NotYet => return,
            Prepared::Never(errno) => self.refuse(wanted, errno),
            Prepared::Ready => match service.save() {
                Err(errno) => self.refuse(wanted, errno),
                // The root system process wants something of this service at the same moment, and has to be heard first.
                Ok(saved) if self.link.ready(self.root, self.me, wanted, saved) == Err(Errno::Locked) => return,
                Ok(_) => {}
            },
        }
        self.await_state(service, NO_STATE);
    }
}
