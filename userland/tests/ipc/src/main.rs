//! A peer of the suite: does what it is ordered to do.
#![no_std]
#![no_main]

use abi::Errno;
use peer::{GetOutcome, Idle, Leave, Left, NotifiedFirst, NotifyFirst, Outcome, Perform, Performed, Server, WasIdle};
use protocol::{Answer, Caller};

sys::entry!(main);

/// A peer: what came of its last trap.
struct Peer {
    outcome: Outcome,
}

fn main() -> u64 {
    match obey() {
        Ok(never) => match never {},
        Err(error) => {
            sys::log!("cannot get orders: {error}");
            1
        }
    }
}

/// Waits for orders of the suite only, so that what others send stays where the tests want it. Answers with SENDNB, which
/// is the least right that does it.
fn obey() -> Result<core::convert::Infallible, Errno> {
    let suite = sys::lookup(peer::SUITE).ok_or(Errno::NoEnt)?;
    let mut peer = Peer { outcome: Outcome { rax: 0, rdi: 0, rsi: 0, rdx: 0, r8: 0, digest: 0 } };
    loop {
        let order = rt::receive(suite)?;
        if let Some(answer) = peer::dispatch(&mut peer, &order.message)
            && order.status.wants_reply()
        {
            rt::send_nb(&answer)?;
        }
    }
}

impl Server for Peer {
    fn perform(&mut self, _: Caller, call: Perform) -> Answer<Performed> {
        let Perform { rax, rdi, rsi, rdx, words } = call;
        let after = rt::trap(rt::Registers { rax, rdi, rsi, rdx, body: peer::body(words) });
        self.outcome = Outcome {
            rax: after.rax,
            rdi: after.rdi,
            rsi: after.rsi,
            rdx: after.rdx,
            r8: after.body[0],
            digest: peer::digest(&after.body),
        };
        Answer::Later
    }

    fn outcome(&mut self, _: Caller, _: GetOutcome) -> Answer<Outcome> {
        Answer::Reply(self.outcome)
    }

    fn notify_first(&mut self, from: Caller, _: NotifyFirst) -> Answer<NotifiedFirst> {
        rt::notify(from.endpoint).map(|()| NotifiedFirst {}).into()
    }

    fn leave(&mut self, _: Caller, _: Leave) -> Answer<Left> {
        sys::exit(0)
    }

    fn idle(&mut self, _: Caller, _: Idle) -> Answer<WasIdle> {
        Answer::Later
    }
}
