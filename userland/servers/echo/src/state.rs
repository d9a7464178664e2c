//! What the echo server knows and answers, without the messages' way in and out.
#![no_std]

use abi::Endpoint;
use protocol::echo::{Count, Counted, Reverse, Reversed, Server};
use protocol::{Answer, Caller};

/// Callers that are counted at the same time.
pub const CALLERS: usize = 64;

/// Counts the calls of each caller. A caller has the place of its slot; when another one comes to the same place, the
/// count of the former is forgotten.
#[derive(Debug)]
pub struct Echo {
    callers: [(Endpoint, u64); CALLERS],
}

impl Echo {
    /// Nobody has called.
    #[must_use]
    pub const fn new() -> Self {
        Self { callers: [(Endpoint::NONE, 0); CALLERS] }
    }

    /// Counts a call and returns how many the caller made before.
    fn count_call(&mut self, caller: Endpoint) -> u64 {
        let place = &mut self.callers[caller.slot() % CALLERS];
        if place.0 != caller {
            *place = (caller, 0);
        }
        let before = place.1;
        place.1 = before.saturating_add(1);
        before
    }
}

impl Default for Echo {
    fn default() -> Self {
        Self::new()
    }
}

impl Server for Echo {
    fn reverse(&mut self, from: Caller, call: Reverse) -> Answer<Reversed> {
        self.count_call(from.endpoint);
        let mut words = call.words;
        words.reverse();
        Answer::Reply(Reversed { words })
    }

    fn count(&mut self, from: Caller, _: Count) -> Answer<Counted> {
        Answer::Reply(Counted { calls: self.count_call(from.endpoint) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::{Errno, Kind, Message};
    use protocol::echo::{Client, dispatch};

    /// Hands requests straight to the server, as if `from` had sent them.
    struct Direct<'a> {
        server: &'a mut Echo,
        from: Endpoint,
    }

    impl protocol::Transport for Direct<'_> {
        fn sendrec(&mut self, _: Endpoint, message: &mut Message) -> Result<(), Errno> {
            message.peer = self.from;
            *message = dispatch(self.server, message).expect("echo answers at once");
            Ok(())
        }
    }

    fn client(server: &mut Echo, slot: usize, generation: u32) -> Client<Direct<'_>> {
        let from = Endpoint::new(slot, generation).unwrap();
        Client { to: Endpoint::NONE, transport: Direct { server, from } }
    }

    #[test]
    fn words_come_back_reversed() {
        let mut server = Echo::new();
        let words = [1, 2, 3, 4, 5, 6, u64::MAX];
        let answer = client(&mut server, 9, 0).reverse(Reverse { words }).unwrap();
        assert_eq!(answer.words, [u64::MAX, 6, 5, 4, 3, 2, 1]);
    }

    #[test]
    fn each_caller_has_its_own_count() {
        let mut server = Echo::new();
        for n in 0..5 {
            assert_eq!(client(&mut server, 1, 0).count(Count {}).unwrap().calls, 2 * n);
            client(&mut server, 1, 0).reverse(Reverse { words: [0; 7] }).unwrap();
            assert_eq!(client(&mut server, 2, 0).count(Count {}).unwrap().calls, n);
        }
    }

    #[test]
    fn a_new_process_starts_at_zero() {
        let mut server = Echo::new();
        assert_eq!(client(&mut server, 1, 0).count(Count {}).unwrap().calls, 0);
        assert_eq!(client(&mut server, 1, 0).count(Count {}).unwrap().calls, 1);
        assert_eq!(client(&mut server, 1, 1).count(Count {}).unwrap().calls, 0, "next generation");
        assert_eq!(client(&mut server, 1 + CALLERS, 0).count(Count {}).unwrap().calls, 0, "same place");
    }

    #[test]
    fn every_slot_and_special_name_has_a_place() {
        let mut server = Echo::new();
        for raw in (0..=u32::from(u16::MAX)).chain([u32::MAX]) {
            server.count_call(Endpoint::from_raw(raw));
        }
    }

    #[test]
    fn an_unknown_call_is_an_error_and_counts_nothing() {
        let mut server = Echo::new();
        let request = Message::new(Endpoint::new(3, 0).unwrap(), Kind(0x7003));
        assert_eq!(dispatch(&mut server, &request).unwrap().kind, Kind::failed(Errno::NoSys));
        assert_eq!(client(&mut server, 3, 0).count(Count {}).unwrap().calls, 0);
    }
}
