//! Users: processes that do what a test says.

use abi::{Endpoint, Errno, Message};
use core::cell::RefCell;
use pm_suite::{Do, FIRST, SERVER};
use protocol::Call;
use protocol::pm::{Client, Exit, Fork, GetIds, Kill, Wait4, WaitOptions};
use suite::orders::{self, Words};
use suite::{Failure, Outcome, check, check_eq, fail};
use sys::Ipc;

/// The process manager, asked by the suite itself.
pub(crate) fn pm() -> Client<Ipc> {
    Client { to: sys::lookup(SERVER).unwrap_or(Endpoint::NONE), transport: Ipc::default() }
}

/// Most messages that are kept for later.
const MOST: usize = 128;

/// Requests that have come while another one was waited for.
struct Kept(RefCell<([Option<Message>; MOST], Option<Message>)>);

// SAFETY: a program has one thread.
unsafe impl Sync for Kept {}

static KEPT: Kept = Kept(RefCell::new(([None; MOST], None)));

/// The next request that is wanted, of those that were kept or that come.
fn receive(wanted: impl Fn(&Message) -> bool) -> Result<Message, Failure> {
    let mut kept = KEPT.0.borrow_mut();
    if let Some(place) = kept.0.iter_mut().find(|place| place.as_ref().is_some_and(&wanted)) {
        return Ok(place.take().expect("it is there"));
    }
    loop {
        let received = rt::receive(Endpoint::ANY)?;
        if received.status.is_notification() {
            fail!("a notification from {}", received.message.peer);
        }
        if wanted(&received.message) {
            return Ok(received.message);
        }
        let Some(place) = kept.0.iter_mut().find(|place| place.is_none()) else {
            fail!("too many requests");
        };
        *place = Some(received.message);
    }
}

/// A process that waits for orders.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User {
    pub(crate) endpoint: Endpoint,
    pub(crate) pid: u32,
    /// Its request for the next order.
    request: Message,
}

impl User {
    /// The one that all others come from.
    pub(crate) fn first() -> Result<Self, Failure> {
        let endpoint = sys::lookup(FIRST).ok_or(Errno::NoEnt)?;
        let known = KEPT.0.borrow().1;
        let request = match known {
            Some(request) => request,
            None => receive(|message| message.peer == endpoint)?,
        };
        KEPT.0.borrow_mut().1 = Some(request);
        Ok(Self { endpoint, pid: 1, request })
    }

    /// Tells it what to do.
    pub(crate) fn tell(&mut self, what: Do, words: &[u64]) -> Outcome {
        Ok(orders::order(&self.request, what as u64, words)?)
    }

    /// Waits until that is done.
    pub(crate) fn done(&mut self) -> Result<Result<Words, Errno>, Failure> {
        self.request = receive(|message| message.peer == self.endpoint)?;
        if self.pid == 1 {
            KEPT.0.borrow_mut().1 = Some(self.request);
        }
        Ok(orders::outcome(&self.request)?)
    }

    pub(crate) fn order(&mut self, what: Do, words: &[u64]) -> Result<Result<Words, Errno>, Failure> {
        self.tell(what, words)?;
        self.done()
    }

    /// Has it begin a call of the process manager.
    pub(crate) fn begin<C: Call>(&mut self, call: &C) -> Outcome {
        let Some(words) = orders::words_of(call) else {
            fail!("a user has no room for {}", C::NAME);
        };
        self.tell(Do::Ask, &words)
    }

    /// What it has been answered.
    pub(crate) fn answer<C: Call>(&mut self) -> Result<Result<C::Reply, Errno>, Failure> {
        Ok(self.done()?.and_then(|words| orders::reply_of::<C>(&words)))
    }

    pub(crate) fn ask<C: Call>(&mut self, call: &C) -> Result<Result<C::Reply, Errno>, Failure> {
        self.begin(call)?;
        self.answer::<C>()
    }

    /// A child of it, which waits for orders, too.
    pub(crate) fn fork(&mut self) -> Result<Self, Failure> {
        self.begin(&Fork {})?;
        let pid = self.answer::<Fork>()??.pid;
        let is_known = |endpoint| pm().pid_of(protocol::pm::PidOf { process: endpoint, reserved: 0 });
        let request = receive(|message| is_known(message.peer).is_ok_and(|found| found.pid == pid))?;
        check_eq!(orders::outcome(&request)?.map(|words| words[0] as u32), Ok(0));
        Ok(Self { endpoint: request.peer, pid, request })
    }

    /// A child of the first one.
    pub(crate) fn new() -> Result<Self, Failure> {
        Self::first()?.fork()
    }

    /// It ends.
    pub(crate) fn exit(mut self, code: u32) -> Outcome {
        self.begin(&Exit { code, reserved: 0 })
    }

    /// Waits for a child: its pid and status.
    pub(crate) fn wait(&mut self, pid: i32, options: WaitOptions) -> Result<Result<(u32, u32), Errno>, Failure> {
        let answer = self.ask(&Wait4 { pid, options: options.bits() })?;
        Ok(answer.map(|waited| (waited.pid, waited.status)))
    }

    pub(crate) fn kill(&mut self, pid: i32, signal: u32) -> Result<Result<(), Errno>, Failure> {
        Ok(self.ask(&Kill { pid, signal })?.map(drop))
    }

    pub(crate) fn catch(&mut self, signal: u32) -> Outcome {
        self.order(Do::Catch, &[signal.into()])??;
        Ok(())
    }

    pub(crate) fn count(&mut self, signal: u32) -> Result<u64, Failure> {
        Ok(self.order(Do::Count, &[signal.into()])??[0])
    }

    pub(crate) fn ids(&mut self) -> Result<protocol::pm::Ids, Failure> {
        Ok(self.ask(&GetIds {})??)
    }
}

/// The first user waits for the end of a child, which must be so.
#[track_caller]
pub(crate) fn ends(pid: u32, status: u32) -> Outcome {
    let line = core::panic::Location::caller().line();
    let told = User::first()?.wait(pid as i32, WaitOptions::empty())?;
    check!(told == Ok((pid, status)), "line {line}: {told:x?} of {pid}, should be {status:#x}");
    Ok(())
}

/// The first user has no children.
pub(crate) fn nobody_is_left() -> Outcome {
    let told = User::first()?.wait(-1, WaitOptions::NO_HANG)?;
    check_eq!(told, Err(Errno::Child));
    Ok(())
}

/// How many pages no process has.
pub(crate) fn unused_pages() -> Result<u64, Failure> {
    let memory = crate::start::memory_server().memory(protocol::vm::GetMemory {})?;
    Ok(memory.free + memory.overhead)
}
