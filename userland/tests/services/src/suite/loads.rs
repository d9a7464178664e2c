//! Services are killed and replaced, at any moment and many times, while two clients use each of them.

use crate::kit::*;
use abi::{Endpoint, Errno};
use protocol::rs::State;
use sef::state;
use services::progress::{self, What};
use suite::{Outcome, check, check_eq};

/// Whether all is done as often as it should be.
const LONG: bool = option_env!("SELIX_SOAK").is_some();
/// How often a service is killed.
const KILLS: u32 = if LONG { 1000 } else { 20 };
/// How often it is replaced, or is to be.
const UPDATES: u32 = if LONG { 1000 } else { 40 };
/// One of so many updates goes wrong.
const WRONG: u32 = 10;
/// One of so many restarts is not asked for, but waited for.
const WAITED: u32 = 10;

/// A client that uses a service all the time.
#[derive(Clone, Copy)]
struct Client {
    label: &'static str,
    endpoint: Endpoint,
}

impl Client {
    /// A client ends when an answer is wrong, and is forgotten then: `ESRCH`.
    fn told(self, what: What) -> Result<u32, Errno> {
        loop {
            lookup(self.label)?;
            match progress::of(lookup("ds")?, self.endpoint, what) {
                // Nothing yet; or the store is what has died.
                Err(Errno::Srch | Errno::DeadSrcDst) => pause()?,
                told => return told,
            }
        }
    }

    /// Waits until the client has been answered again: once is not enough, since that may have been before.
    fn goes_on(self) -> Result<(), Errno> {
        let before = self.told(What::Rounds)?;
        while self.told(What::Rounds)? < before.saturating_add(2) {
            pause_for(1)?;
        }
        Ok(())
    }
}

/// Does something to a service that two clients use; `client` is their program.
fn used(client: &str, test: impl FnOnce([Client; 2]) -> Outcome) -> Outcome {
    let [one, two] = ["client-1", "client-2"];
    with(client, one, |first| {
        with(client, two, |second| {
            let clients = [Client { label: one, endpoint: first }, Client { label: two, endpoint: second }];
            clients.iter().try_for_each(|client| client.goes_on())?;
            test(clients)
        })
    })
}

/// Numbers that look like random ones, the same in each run.
struct Dice(u32);

impl Dice {
    /// One of `0..sides`.
    fn roll(&mut self, sides: u32) -> u32 {
        // Xorshift, of Marsaglia, with his shifts for 32 bits.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 % sides
    }
}

/// Kills a service so often while it is used: it always comes back under its name, and nobody waits for ever.
fn is_killed(service: &str, client: &str, times: u32) -> Outcome {
    const LETHAL: [u32; 3] = [9, 11, 6];
    let mut dice = Dice(0x5e11_0001);
    used(client, |clients| {
        let (process, restarts) = (lookup(service)?, info(service)?.restarts);
        for round in 1..=times {
            pause_for(1 + u64::from(dice.roll(3)))?;
            let signal = LETHAL[dice.roll(3) as usize];
            sys::kernel().kill(protocol::kernel::Kill { process, signal })?;
            comes_back(service, restarts + round, round % WAITED == 0)?;
            check_eq!(lookup(service)?, process);
            clients.iter().try_for_each(|client| client.goes_on())?;
        }
        let lost = clients[0].told(What::Losses)? + clients[1].told(What::Losses)?;
        check!(lost > 0 || times < KILLS, "no client was ever in the middle of anything");
        Ok(())
    })
}

fn is_killed_often(service: &str, client: &str) -> Outcome {
    // Whatever is needed for the first time is there then.
    is_killed(service, client, 1)?;
    let before = supplies()?;
    is_killed(service, client, KILLS)?;
    check_eq!(supplies()?, before);
    Ok(())
}

pub(crate) fn a_service_is_killed_while_it_is_used() -> Outcome {
    with(ASSIST, "", |_| is_killed_often(ASSIST, "client-assist"))
}

pub(crate) fn a_driver_is_killed_while_it_is_used() -> Outcome {
    is_killed_often(HELLO, "client-hello")
}

pub(crate) fn the_data_store_is_killed_while_it_is_used() -> Outcome {
    is_killed_often("ds", "client-ds")
}

/// Updates that come to nothing: the new program, the state that the old version is to be in, and the error.
const FAILURES: [(&str, u32, Errno); 6] = [
    ("assist-fail", state::WORK_FREE, Errno::Io),
    ("assist-crash", state::WORK_FREE, Errno::DeadSrcDst),
    ("", 99, Errno::Inval),
    ("", state::UNREACHABLE, Errno::TimedOut),
    ("nothing", state::WORK_FREE, Errno::NoEnt),
    ("assist-hang", state::WORK_FREE, Errno::TimedOut),
];

/// Replaces a service by a program so often while it is used. No client notices, also if that goes wrong.
fn is_replaced(service: &str, program: &str, client: &str, times: u32) -> Outcome {
    let mut dice = Dice(0x5e11_0002);
    used(client, |clients| {
        let (process, restarts) = (lookup(service)?, info(service)?.restarts);
        let mut failures = FAILURES.iter().cycle();
        for round in 1..=times {
            pause_for(1 + u64::from(dice.roll(2)))?;
            if round % WRONG == 0 {
                let &(other, state, error) = failures.next().ok_or(Errno::Inval)?;
                let program = if other.is_empty() { program } else { other };
                check_eq!(update(service, program, state), Err(error));
            } else {
                update(service, program, state::WORK_FREE)?;
            }
            let info = info(service)?;
            check_eq!((info.state, info.endpoint, info.restarts), (State::Active, process, restarts));
            clients.iter().try_for_each(|client| client.goes_on())?;
        }
        check_eq!((clients[0].told(What::Losses)?, clients[1].told(What::Losses)?), (0, 0));
        Ok(())
    })
}

fn is_replaced_often(service: &str, program: &str, client: &str) -> Outcome {
    is_replaced(service, program, client, 1)?;
    let before = supplies()?;
    is_replaced(service, program, client, UPDATES)?;
    check_eq!(supplies()?, before);
    Ok(())
}

pub(crate) fn a_service_is_replaced_while_it_is_used() -> Outcome {
    with(ASSIST, "", |_| is_replaced_often(ASSIST, ASSIST, "client-assist"))
}

pub(crate) fn a_driver_is_replaced_while_it_is_used() -> Outcome {
    is_replaced_often(HELLO, "hello-2", "client-hello")
}

pub(crate) fn the_data_store_is_replaced_while_it_is_used() -> Outcome {
    is_replaced_often("ds", "ds", "client-ds")
}
