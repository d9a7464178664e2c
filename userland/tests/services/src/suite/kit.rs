//! What the tests do with services.

use abi::boot::{BootEntry, NAME_LEN};
use abi::grant::GrantId;
use abi::{Endpoint, Errno};
use protocol::assist::{Control, Count, Counted, Deed, GetArgument, Misbehave, Wish};
use protocol::cdev::{IoCtl, Open, OpenFor};
use protocol::getinfo::{GetPrivileges, GetProcess};
use protocol::pm::GetProcessStatus;
use protocol::rs::*;
use protocol::{Call, assist, cdev, rs};
use services::progress::{self, What};
use suite::{Failure, Outcome};
use sys::Ipc;

/// The label of the service that the tests do wrong with.
pub(crate) const ASSIST: &str = "assist";
/// The label of the driver.
pub(crate) const HELLO: &str = "hello";

/// The users among the boot programs: one is root, and one is not.
pub(crate) const USERS: [&str; 2] = ["root-user", "other-user"];

/// The suite is a service itself. What the users need they have when they have answered; and what others keep for so many processes as the tests
/// make they keep from now on.
pub(crate) fn begin() -> Result<(), Errno> {
    sef::start()?;
    for user in USERS {
        count(sys::lookup(user).ok_or(Errno::Srch)?)?;
    }
    const LABELS: [&str; 4] = ["a", "b", "c", "d"];
    LABELS.iter().try_for_each(|label| up(ASSIST, label).map(drop))?;
    LABELS.iter().try_for_each(|label| down(label))
}

pub(crate) fn name(text: &str) -> [u8; NAME_LEN] {
    if text.is_empty() { [0; NAME_LEN] } else { BootEntry::encode_name(text).unwrap_or([b'?'; NAME_LEN]) }
}

pub(crate) fn root() -> Result<rs::Client<Ipc>, Errno> {
    Ok(rs::Client { to: sys::whoami()?.root, transport: Ipc::default() })
}

pub(crate) fn up(program: &str, label: &str) -> Result<Endpoint, Errno> {
    let call = Up { program: name(program), label: name(label), arguments: GrantId::INVALID, len: 0 };
    root()?.up(call).map(|done| done.endpoint)
}

/// Starts it with the arguments of a text.
pub(crate) fn up_with(program: &str, label: &str, text: &[u8]) -> Result<Endpoint, Errno> {
    let mut root = root()?;
    sys::grants::scope(|scope| {
        let lent = scope.read(text, root.to)?;
        let (arguments, len) = (lent.id(), text.len() as u64);
        root.up(Up { program: name(program), label: name(label), arguments, len }).map(|done| done.endpoint)
    })
}

/// Fails if an argument of a program is not this.
pub(crate) fn check_argument(service: Endpoint, number: u64, wanted: &str) -> Outcome {
    let mut client = assist::Client { to: service, transport: Ipc::default() };
    let found = client.argument(GetArgument { number })?;
    let text = found.text.get(..found.len as usize).unwrap_or_default();
    if text == wanted.as_bytes() {
        return Ok(());
    }
    suite::fail!("argument {number} is `{}`, not `{wanted}`", text.escape_ascii())
}

/// Fails if a program has other arguments behind its name than these.
pub(crate) fn check_arguments(service: Endpoint, wanted: &[&str]) -> Outcome {
    for (number, wanted) in (1..).zip(wanted) {
        check_argument(service, number, wanted)?;
    }
    let mut client = assist::Client { to: service, transport: Ipc::default() };
    let more = client.argument(GetArgument { number: 1 + wanted.len() as u64 }).map(drop);
    suite::check_eq!(more, Err(Errno::NoEnt));
    Ok(())
}

/// Has somebody ask the root system process for something. The error that it gets.
pub(crate) fn asks(who: Endpoint, wish: Wish, label: &str, program: &str) -> Result<Option<Errno>, Errno> {
    let mut client = assist::Client { to: who, transport: Ipc::default() };
    let call = Control { wish, reserved: 0, label: name(label), program: name(program) };
    let error = client.control(call)?.error;
    Ok(u16::try_from(error).ok().and_then(Errno::from_number))
}

/// Waits until a service is known, or is not any more.
pub(crate) fn until_known(label: &str, known: bool) -> Result<(), Errno> {
    while lookup(label).is_ok() != known {
        pause()?;
    }
    Ok(())
}

pub(crate) fn down(label: &str) -> Result<(), Errno> {
    root()?.down(Down { label: name(label) }).map(drop)
}

pub(crate) fn refresh(label: &str) -> Result<Endpoint, Errno> {
    root()?.refresh(Refresh { label: name(label) }).map(|done| done.endpoint)
}

pub(crate) fn restart(label: &str) -> Result<Endpoint, Errno> {
    root()?.restart(Restart { label: name(label) }).map(|done| done.endpoint)
}

pub(crate) fn update(label: &str, program: &str, state: u32) -> Result<(), Errno> {
    root()?.update(Update { label: name(label), program: name(program), state, patience: 1000 }).map(drop)
}

pub(crate) fn edit(label: &str, heartbeat: u32) -> Result<(), Errno> {
    root()?.edit(Edit { label: name(label), heartbeat }).map(drop)
}

pub(crate) fn lookup(label: &str) -> Result<Endpoint, Errno> {
    root()?.lookup(Lookup { label: name(label) }).map(|found| found.endpoint)
}

/// What the root system process tells of a service.
pub(crate) fn info(label: &str) -> Result<ServiceInfo, Errno> {
    let label = name(label);
    for slot in 0.. {
        match root()?.service(GetService { slot }) {
            Ok(info) if info.label == label => return Ok(info),
            Ok(_) | Err(Errno::Srch) => {}
            Err(Errno::Dom) => break,
            Err(error) => return Err(error),
        }
    }
    Err(Errno::Srch)
}

/// Waits until a service serves again that was made to die. It never takes longer than the deadlines of the root system process.
pub(crate) fn until_active(label: &str) -> Result<ServiceInfo, Failure> {
    loop {
        let info = info(label)?;
        match info.state {
            State::Active => return Ok(info),
            State::GivenUp => suite::fail!("it is given up"),
            _ => pause()?,
        }
    }
}

/// Waits until a service serves that has been restarted so often. If it `waits` for its restart that is asked for.
pub(crate) fn comes_back(service: &str, restarts: u32, waits: bool) -> Outcome {
    loop {
        let info = info(service)?;
        match info.state {
            State::Active if info.restarts == restarts => return Ok(()),
            State::GivenUp => suite::fail!("{service} is given up"),
            State::Waiting if !waits => match restart(service) {
                Ok(_) | Err(Errno::Busy) => {}
                Err(error) => return Err(error.into()),
            },
            _ => pause_for(1)?,
        }
    }
}

/// Lets some time pass.
pub(crate) fn pause() -> Result<(), Errno> {
    pause_for(2)
}

/// Lets so many ticks of the timer pass.
pub(crate) fn pause_for(ticks: u64) -> Result<(), Errno> {
    sys::kernel().setalarm(protocol::kernel::SetAlarm { ticks, absolute: 0 })?;
    rt::receive(Endpoint::CLOCK).map(drop)
}

pub(crate) fn misbehave(service: Endpoint, deed: Deed, target: Endpoint, count: u64) -> Result<u32, Errno> {
    let mut client = assist::Client { to: service, transport: Ipc::default() };
    client.misbehave(Misbehave { deed, target, count }).map(|done| done.error)
}

/// Has it do what concerns nobody else.
pub(crate) fn does(service: Endpoint, deed: Deed) -> Result<u32, Errno> {
    misbehave(service, deed, Endpoint::NONE, 0)
}

pub(crate) fn count(service: Endpoint) -> Result<Counted, Errno> {
    assist::Client { to: service, transport: Ipc::default() }.count(Count {})
}

/// Opens the driver, asks it how often it was opened, and how much was read.
pub(crate) fn open_hello() -> Result<Endpoint, Errno> {
    let to = lookup(HELLO)?;
    let mut client = cdev::Client { to, transport: Ipc::default() };
    client.open(Open { minor: 0, access: OpenFor::READ.bits() }).map(|_| to)
}

pub(crate) fn ask_hello(to: Endpoint, request: u32) -> Result<u64, Errno> {
    let mut client = cdev::Client { to, transport: Ipc::default() };
    client.ioctl(IoCtl { minor: 0, request, grant: GrantId::INVALID }).map(|done| done.value)
}

/// Reads from the driver.
pub(crate) fn read_hello(to: Endpoint, position: u64, buffer: &mut [u8]) -> Result<u64, Errno> {
    let count = buffer.len() as u64;
    sys::grants::scope(|scope| {
        let lent = scope.write(buffer, to).map_err(Errno::from)?;
        let mut client = cdev::Client { to, transport: Ipc::default() };
        client.read(cdev::Read { minor: 0, reserved: 0, position, grant: lent.id(), count }).map(|done| done.count)
    })
}

/// Starts a service, does something with it, and ends it in any case.
pub(crate) fn with(program: &str, label: &str, test: impl FnOnce(Endpoint) -> Outcome) -> Outcome {
    let endpoint = up(program, label)?;
    let label = if label.is_empty() { program } else { label };
    let result = test(endpoint);
    let _ = edit(label, 0);
    if let Err(error) = down(label) {
        result?;
        suite::fail!("cannot be ended: {error}");
    }
    result
}

/// What there is of everything that could be lost.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Supplies {
    /// Pages that are free, or the memory server's own: how much that one needs depends on how much happened at once.
    pages: u64,
    /// Processes, as the memory server, the process manager and the kernel know them.
    processes: [u64; 3],
    /// Privilege structures that are used.
    privileges: u64,
    /// Services.
    services: u64,
}

/// Short, so that two of them fit a line of a report.
impl core::fmt::Debug for Supplies {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { pages, processes, privileges, services } = self;
        write!(f, "{pages} {processes:?} {privileges} {services}")
    }
}

/// After so many changes an instance of the data store has written its journal anew, on both sides, and needs no more memory for it.
const SETTLED: u32 = 2000;

/// Lets the data store come to its size.
fn settle() -> Result<(), Errno> {
    let (store, me) = (lookup("ds")?, sys::whoami()?.endpoint);
    // Who has no label yet may tell nothing.
    while progress::tell(store, me, What::Rounds, 0) == Err(Errno::Perm) {
        pause()?;
    }
    (0..SETTLED).try_for_each(|round| progress::tell(store, me, What::Rounds, round))
}

/// Counts what there is.
pub(crate) fn supplies() -> Result<Supplies, Errno> {
    settle()?;
    let pm = lookup("pm")?;
    let mut pm = protocol::pm::Client { to: pm, transport: Ipc::default() };
    let mut kernel = protocol::getinfo::Client { to: Endpoint::SYSTEM, transport: sys::KernelTransport };
    let managed = occupied(|slot| pm.process(GetProcessStatus { slot: slot as u32, reserved: 0 }).map(drop))?;
    let known = occupied(|slot| kernel.process(GetProcess { slot }).map(drop))?;
    let privileges = occupied(|id| kernel.privileges(GetPrivileges { id }).map(drop))?;
    let services = occupied(|slot| root()?.service(GetService { slot }).map(drop))?;
    // The memory last: whoever is asked about all its places may touch pages of its own for the first time.
    let to = lookup("vm")?;
    let memory = protocol::vm::Client { to, transport: Ipc::default() }.memory(protocol::vm::GetMemory {})?;
    let processes = [memory.processes, managed, known];
    Ok(Supplies { pages: memory.free + memory.overhead, processes, privileges, services })
}

/// How many places of a table are taken, which says `ESRCH` of those that are not, and `EDOM` beyond its end.
fn occupied(mut ask: impl FnMut(u64) -> Result<(), Errno>) -> Result<u64, Errno> {
    let mut count = 0;
    for place in 0.. {
        match ask(place) {
            Ok(()) => count += 1,
            Err(Errno::Srch) => {}
            Err(Errno::Dom) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

pub(crate) fn send<C: Call>(to: Endpoint, call: &C) -> Result<C::Reply, Errno> {
    protocol::call(&mut Ipc::default(), to, call)
}
