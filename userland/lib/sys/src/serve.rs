//! The loop of a server.

use abi::{Endpoint, Errno, Message};
use rt::Received;

/// Where a server gets its messages from.
pub trait Port {
    /// Waits for a message from anybody.
    ///
    /// # Errors
    /// That there can be no more messages.
    fn receive(&mut self) -> Result<Received, Errno>;

    /// Answers, then waits for a message from anybody. A failed answer is told by the status.
    ///
    /// # Errors
    /// That there can be no more messages.
    fn reply_receive(&mut self, reply: &Message) -> Result<Received, Errno>;
}

/// The kernel's own: RECEIVE and REPLY_RECEIVE.
#[derive(Clone, Copy, Debug)]
pub struct Traps;

impl Port for Traps {
    fn receive(&mut self) -> Result<Received, Errno> {
        rt::receive(Endpoint::ANY)
    }

    fn reply_receive(&mut self, reply: &Message) -> Result<Received, Errno> {
        rt::reply_receive(reply, Endpoint::ANY)
    }
}

/// Why a server's loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// What RECEIVE failed with.
    pub error: Errno,
    /// How many answers could not be given: their callers had died or did not wait for them.
    pub failed_replies: u64,
}

/// Serves requests with `answer` for ever: it puts the answer in the place of the request, and says whether there is one.
/// Notifications are ignored; see [`serve_over`] for a server that wants them.
pub fn serve<S>(server: &mut S, answer: impl FnMut(&mut S, &mut Message) -> bool) -> Stopped {
    serve_over(&mut Traps, server, answer, |_, _| {})
}

/// Serves what comes through `port`: requests with `answer`, notifications with `notified`. A request whose sender does
/// not wait for an answer gets none. Returns when nothing can be received any more.
pub fn serve_over<S>(
    port: &mut impl Port,
    server: &mut S,
    mut answer: impl FnMut(&mut S, &mut Message) -> bool,
    mut notified: impl FnMut(&mut S, &Message),
) -> Stopped {
    let mut failed_replies = 0;
    let mut received = port.receive();
    loop {
        let Received { mut message, status } = match received {
            Ok(received) => received,
            Err(error) => return Stopped { error, failed_replies },
        };
        failed_replies += u64::from(status.has_failed_reply());
        received = if status.is_notification() {
            notified(server, &message);
            port.receive()
        } else if answer(server, &mut message) && status.wants_reply() {
            port.reply_receive(&message)
        } else {
            port.receive()
        };
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use abi::{Kind, Status, Trap};
    use std::vec::Vec;

    /// Plays messages and remembers the answers.
    struct Script {
        incoming: Vec<Received>,
        answers: Vec<Answered>,
    }

    impl Script {
        fn next(&mut self) -> Result<Received, Errno> {
            if self.incoming.is_empty() { Err(Errno::TrapDenied) } else { Ok(self.incoming.remove(0)) }
        }
    }

    impl Port for Script {
        fn receive(&mut self) -> Result<Received, Errno> {
            self.answers.push(None);
            self.next()
        }

        fn reply_receive(&mut self, reply: &Message) -> Result<Received, Errno> {
            self.answers.push(Some((reply.peer.raw(), reply.tag)));
            self.next()
        }
    }

    fn message(sender: u32, tag: u16, status: Status) -> Received {
        let mut message = Message::new(Endpoint::from_raw(sender), Kind(1));
        message.tag = tag;
        Received { message, status }
    }

    /// Receiver and tag of an answer; `None` where the server just received.
    type Answered = Option<(u32, u16)>;

    /// What a server that answers all but tag 99 answers, who notified it, and how it ended.
    fn played(incoming: Vec<Received>) -> (Vec<Answered>, Vec<u32>, Stopped) {
        let mut script = Script { incoming, answers: Vec::new() };
        let mut notifiers = Vec::new();
        let stopped = serve_over(
            &mut script,
            &mut notifiers,
            |_, request| request.tag != 99,
            |notifiers, message| notifiers.push(message.peer.raw()),
        );
        (script.answers, notifiers, stopped)
    }

    #[test]
    fn answers_exactly_those_who_wait() {
        let (answers, notifiers, stopped) = played(std::vec![
            message(4, 10, Status::sent_with(Trap::SendRec)),
            message(5, 11, Status::sent_with(Trap::Send)),
            message(6, 0, Status::sent_with(Trap::Notify)),
            message(7, 12, Status::sent_with(Trap::SendNb)),
            message(8, 99, Status::sent_with(Trap::SendRec)),
            message(9, 13, Status::sent_with(Trap::SendRec)),
        ]);
        assert_eq!(answers, [None, Some((4, 10)), None, None, None, None, Some((9, 13))]);
        assert_eq!(notifiers, [6]);
        assert_eq!(stopped, Stopped { error: Errno::TrapDenied, failed_replies: 0 });
    }

    #[test]
    fn a_failed_answer_is_counted_and_no_more() {
        let failed = Status::sent_with(Trap::SendRec).with_failed_reply(Errno::DeadSrcDst);
        let (answers, _, stopped) = played(std::vec![
            message(4, 1, Status::sent_with(Trap::SendRec)),
            message(5, 2, failed),
            message(6, 3, Status::sent_with(Trap::Notify).with_failed_reply(Errno::NotReady)),
        ]);
        assert_eq!(answers, [None, Some((4, 1)), Some((5, 2)), None]);
        assert_eq!(stopped.failed_replies, 2);
    }
}
