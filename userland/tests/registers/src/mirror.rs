//! Has all registers full of its own pattern whenever somebody else runs, and says what it finds wrong in them.
#![no_std]
#![no_main]

use abi::{Endpoint, Errno, Kind, Message, Status, Trap};
use probe::Register;
use protocol::{Answer, Call, Caller, encode};
use registers::mirror::{Reflect, Reflected, Server, Spend, Spending, dispatch};
use registers::report::Spent;
use registers::{filled, message_in, spend_time, with_message};

sys::entry!(main);

/// What the mirror knows: how often registers were wrong.
struct Mirror {
    trouble: u64,
}

fn main() -> u64 {
    let Ok(me) = sys::whoami() else { return 1 };
    let mut mirror = Mirror { trouble: 0 };
    let mut reply: Option<Message> = None;
    // Different in each mirror.
    for seed in u64::from(me.endpoint.raw()) << 32.. {
        let nobody = Message::new(Endpoint::NONE, Kind(0));
        let trap = if reply.is_some() { Trap::ReplyReceive } else { Trap::Receive };
        let before = with_message(filled(seed), trap, &reply.unwrap_or(nobody), Endpoint::ANY);
        let after = probe::trap(&before);
        mirror.note(probe::after_trap(&before, &after));
        if let Err(error) = Errno::from_result(after.get(Register::Rax) as i64) {
            sys::log!("cannot receive: {error}");
            return 1;
        }
        let wants_reply = Status(after.get(Register::Rdx)).wants_reply();
        reply = dispatch(&mut mirror, &message_in(&after)).filter(|_| wants_reply);
    }
    0
}

impl Mirror {
    fn note(&mut self, checked: Result<(), &'static str>) {
        if let Err(what) = checked {
            sys::log!("wrong after a trap: {what}");
            self.trouble += 1;
        }
    }
}

impl Server for Mirror {
    fn spend(&mut self, from: Caller, call: Spend) -> Answer<Spending> {
        let spent = spend_time(call.seed).unwrap_or_else(|what| {
            sys::log!("changed by time: {what}");
            Spent { start: 0, end: 0, trouble: 1 }
        });
        if let Err(error) = rt::send(&Message { peer: from.endpoint, ..encode(Spent::KIND, &spent) }) {
            sys::log!("cannot report: {error}");
        }
        Answer::Later
    }

    fn reflect(&mut self, _: Caller, call: Reflect) -> Answer<Reflected> {
        Answer::Reply(Reflected { words: call.words, trouble: self.trouble })
    }
}
