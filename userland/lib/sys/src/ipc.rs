//! Typed calls to servers.

use abi::{Endpoint, Errno, Message};
use protocol::Transport;

/// Carries the requests of a typed client with SENDREC, and checks that what comes back is the answer.
///
/// ```no_run
/// # let server = abi::Endpoint::NONE;
/// let mut echo = protocol::echo::Client { to: server, transport: sys::Ipc::default() };
/// let answer = echo.count(protocol::echo::Count {});
/// ```
#[derive(Debug, Default)]
pub struct Ipc {
    tag: u16,
}

impl Transport for Ipc {
    fn sendrec(&mut self, to: Endpoint, message: &mut Message) -> Result<(), Errno> {
        self.exchange(to, message, |message| rt::sendrec(message).map(drop))
    }
}

impl Ipc {
    /// One that has carried nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { tag: 0 }
    }

    fn exchange(
        &mut self,
        to: Endpoint,
        message: &mut Message,
        sendrec: impl FnOnce(&mut Message) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        self.tag = self.tag.wrapping_add(1);
        message.peer = to;
        message.tag = self.tag;
        sendrec(message)?;
        let is_answer = message.tag == self.tag && message.kind.status().is_some();
        if is_answer { Ok(()) } else { Err(Errno::Proto) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::Kind;

    const SERVER: Endpoint = Endpoint::from_raw(3);

    fn exchange(ipc: &mut Ipc, answer: impl FnOnce(&mut Message) -> Result<(), Errno>) -> Result<Message, Errno> {
        let mut message = Message::new(Endpoint::NONE, Kind(0x7001));
        ipc.exchange(SERVER, &mut message, answer).map(|()| message)
    }

    #[test]
    fn each_request_has_its_own_tag_and_goes_to_the_server() {
        let mut ipc = Ipc { tag: u16::MAX - 1 };
        let mut last = None;
        for _ in 0..3 {
            let answer = exchange(&mut ipc, |m| {
                assert_eq!(m.peer, SERVER);
                m.kind = Kind::OK;
                Ok(())
            });
            let tag = Some(answer.unwrap().tag);
            assert_ne!(tag, last);
            last = tag;
        }
    }

    #[test]
    fn what_is_no_answer_is_a_broken_protocol() {
        let mut ipc = Ipc::default();
        let wrong_tag = |m: &mut Message| {
            (m.kind, m.tag) = (Kind::OK, m.tag + 1);
            Ok(())
        };
        assert_eq!(exchange(&mut ipc, wrong_tag), Err(Errno::Proto));
        assert_eq!(exchange(&mut ipc, |_| Ok(())), Err(Errno::Proto), "a request comes back");
        let failed = |m: &mut Message| {
            m.kind = Kind::failed(Errno::NoSys);
            Ok(())
        };
        assert!(exchange(&mut ipc, failed).is_ok(), "the client reads the error");
        assert_eq!(exchange(&mut ipc, |_| Err(Errno::DeadSrcDst)), Err(Errno::DeadSrcDst));
    }
}
