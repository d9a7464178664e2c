//! Measures how services come back and are replaced, as their client sees it.
#![no_std]
#![no_main]

use abi::boot::{BootEntry, NAME_LEN};
use abi::grant::GrantId;
use abi::{Endpoint, Errno};
use bench::{Trouble, report_some, timed};
use protocol::assist::Count;
use protocol::cdev::{Open, OpenFor};
use protocol::kernel::{Kill, SetAlarm};
use protocol::rs::{State, Up, Update};
use protocol::{assist, cdev, rs};
use sys::Ipc;

sys::entry!(main);

/// How often each is measured, and before that done without a measure.
const SAMPLES: usize = 25;
const WARM_UP: usize = 5;
/// Signal that nobody can ignore.
const SIGKILL: u32 = 9;

fn main() -> u64 {
    bench::finish(measure())
}

fn measure() -> Result<(), Trouble> {
    let begin = sef::start()?;
    let mut root = rs::Client { to: begin.root, transport: Ipc::default() };
    let hello = sef::lookup("hello")?;
    let mut driver = cdev::Client { to: hello, transport: Ipc::default() };
    let mut open = || driver.open(Open { minor: 0, access: OpenFor::READ.bits() });
    open()?;
    report_some("recover.hello", WARM_UP, &mut [0; SAMPLES], |_| {
        rest()?;
        let before = timed::now();
        sys::kernel().kill(Kill { process: hello, signal: SIGKILL })?;
        loop {
            match open() {
                Ok(_) => break,
                Err(Errno::DeadSrcDst | Errno::Restart) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(timed::now().wrapping_sub(before) as u32)
    })?;

    let name = |text| BootEntry::encode_name(text).ok_or(Errno::Inval);
    let [service, updater] = [name("assist")?, name("bench-updater")?];
    let service_at = root.up(plain(service))?.endpoint;
    let mut client = assist::Client { to: service_at, transport: Ipc::default() };
    let mut calls = 0;
    // No call is lost or answered twice.
    let mut count = || {
        calls += 1;
        if client.count(Count {})?.calls == calls { Ok(()) } else { Err(Trouble::WrongAnswer) }
    };
    count()?;
    report_some("update.hello", WARM_UP, &mut [0; SAMPLES], |_| {
        rest()?;
        let update = Update { label: service, program: service, state: sef::state::WORK_FREE, patience: 0 };
        let before = timed::now();
        root.update(update)?;
        count()?;
        Ok(timed::now().wrapping_sub(before) as u32)
    })?;

    let updater = root.up(plain(updater))?.endpoint;
    report_some("update.wait", WARM_UP, &mut [0; SAMPLES], |_| {
        rest()?;
        let before = timed::now();
        rt::notify(updater)?;
        count()?;
        let waited = timed::now().wrapping_sub(before) as u32;
        // Whoever was waited for is through.
        let mut slot = 0;
        let is_active = loop {
            match root.service(rs::GetService { slot }) {
                Ok(info) if info.label == service => break info.state == State::Active,
                Ok(_) | Err(Errno::Srch) => slot += 1,
                Err(error) => return Err(error.into()),
            }
        };
        if is_active { Ok(waited) } else { Err(Trouble::WrongAnswer) }
    })
}

/// Starts a program under its name, without arguments.
const fn plain(program: [u8; NAME_LEN]) -> Up {
    Up { program, label: program, arguments: GrantId::INVALID, len: 0 }
}

/// Lets time pass until the root system process finds that all services are well, so that nobody has to wait for a restart.
fn rest() -> Result<(), Errno> {
    const SECONDS: u64 = 3;
    let ticks = SECONDS * sys::getinfo().machine(protocol::getinfo::GetMachine {})?.hz;
    sys::kernel().setalarm(SetAlarm { ticks, absolute: 0 })?;
    rt::receive(Endpoint::CLOCK).map(drop)
}
