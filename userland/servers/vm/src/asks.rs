//! What the file server is asked, one thing after the other, and who waits for it.
//!
//! The server waits for nobody: a question is sent and its answer comes when it comes. Whatever is put here has room already.

use crate::Need;
use crate::files::Missing;
use crate::heap::OVERHEAD;
use crate::process::Fix;
use abi::{Endpoint, Message};
use alloc::collections::VecDeque;
use core::ops::Range;
use protocol::Caller;
use protocol::vm::Map;

/// Most calls of one process that wait for the file server.
pub(crate) const MOST_OF_ONE: usize = 64;

/// What is to be asked, or done as soon as the file server has time for it.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    /// Which file a descriptor is, for somebody who wants to map it.
    LookUp(LookUp),
    /// Pages, for somebody who waits for them.
    Pages(Waiter),
    /// To close a file.
    Close(i32),
}

/// A file is to be mapped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LookUp {
    /// Who wants that.
    pub(crate) caller: Caller,
    /// For whom.
    pub(crate) target: Endpoint,
    /// How.
    pub(crate) call: Map,
}

/// Somebody waits for pages.
#[derive(Clone, Debug)]
pub(crate) struct Waiter {
    /// Who.
    pub(crate) who: Who,
    /// Whose pages.
    pub(crate) process: Endpoint,
    /// Which are not known to be there.
    pub(crate) pages: Range<u64>,
    /// What for.
    pub(crate) need: Need,
    /// What the file server was asked last.
    pub(crate) asked: Option<Missing>,
}

/// Who waits for pages.
#[derive(Clone, Debug)]
pub(crate) enum Who {
    /// Their process, which has touched this address.
    Fault(u64),
    /// A kernel call of this process.
    Request(Endpoint),
    /// Somebody who wants to have them fixed.
    Fix(Caller, Fix),
}

impl Ask {
    /// Who has made a call that is answered later.
    fn caller(&self) -> Option<Endpoint> {
        match self {
            Self::LookUp(LookUp { caller, .. }) | Self::Pages(Waiter { who: Who::Fix(caller, _), .. }) => {
                Some(caller.endpoint)
            }
            _ => None,
        }
    }

    /// Whether nobody waits any more when a process is gone.
    fn is_of(&self, process: Endpoint) -> bool {
        match self {
            Self::LookUp(ask) => ask.caller.endpoint == process,
            Self::Pages(Waiter { who: Who::Fault(_), process: faulted, .. }) => *faulted == process,
            Self::Pages(Waiter { who: Who::Request(by), .. }) => *by == process,
            Self::Pages(Waiter { who: Who::Fix(caller, _), .. }) => caller.endpoint == process,
            Self::Close(_) => false,
        }
    }

    /// Whether it is for somebody else and concerns a process.
    fn is_about(&self, process: Endpoint) -> bool {
        match self {
            Self::LookUp(ask) => ask.target == process,
            Self::Pages(waiter) => waiter.process == process,
            Self::Close(_) => false,
        }
    }
}

/// What the file server has been asked.
#[derive(Clone, Debug)]
pub(crate) struct Active {
    /// The number of the question.
    pub(crate) request: u32,
    /// What it was; `None` if nobody waits for it any more.
    pub(crate) ask: Option<Ask>,
}

/// All questions.
#[derive(Debug, Default)]
pub(crate) struct Asks {
    /// Who is asked.
    pub(crate) server: Option<Endpoint>,
    queue: VecDeque<Ask>,
    /// Asked, and not answered.
    pub(crate) active: Option<Active>,
    last: u32,
    /// What is to be sent to the file server.
    pub(crate) message: Option<Message>,
    /// Answers to calls that were not answered at once.
    late: VecDeque<Message>,
}

/// The most bytes that a queue allocates to have room for so many.
fn bytes_to_hold<T>(queue: &VecDeque<T>, entries: usize) -> usize {
    /// A queue has room for so many at least.
    const FEWEST: usize = 4;
    if queue.capacity() >= entries {
        return 0;
    }
    entries.max(2 * queue.capacity()).max(FEWEST) * size_of::<T>() + OVERHEAD
}

fn hold<T>(queue: &mut VecDeque<T>, entries: usize) {
    queue.reserve(entries.saturating_sub(queue.len()));
}

impl Asks {
    /// How much room there must be so that one more can be asked, with so many files that will be closed some time.
    fn room(&self, files: usize) -> usize {
        // What is asked now may have to wait once more, or leave a file to be closed.
        const MORE: usize = 3;
        self.queue.len() + files + MORE
    }

    /// The most bytes that one more allocates.
    pub(crate) fn bytes_for_one(&self, files: usize) -> usize {
        let room = self.room(files);
        bytes_to_hold(&self.queue, room) + bytes_to_hold(&self.late, room + self.late.len())
    }

    /// Allocates that.
    pub(crate) fn make_room(&mut self, files: usize) {
        let room = self.room(files);
        hold(&mut self.queue, room);
        let late = room + self.late.len();
        hold(&mut self.late, late);
    }

    /// Something more is to be asked.
    pub(crate) fn push(&mut self, ask: Ask) {
        debug_assert!(self.queue.len() < self.queue.capacity());
        self.queue.push_back(ask);
    }

    /// The next one, unless the file server has to answer first.
    pub(crate) fn next(&mut self) -> Option<Ask> {
        if self.active.is_some() { None } else { self.queue.pop_front() }
    }

    /// Asks the file server: the message is made with the number of the question.
    pub(crate) fn send(&mut self, ask: Ask, message: impl FnOnce(u32) -> Message) {
        self.last = self.last.wrapping_add(1);
        self.message = Some(message(self.last));
        self.active = Some(Active { request: self.last, ask: Some(ask) });
    }

    /// The file server has answered a question.
    pub(crate) fn answered(&mut self, request: u32) -> Option<Active> {
        self.active.take_if(|active| active.request == request)
    }

    /// How many calls of a process wait.
    pub(crate) fn calls_of(&self, process: Endpoint) -> usize {
        self.all().filter(|ask| ask.caller() == Some(process)).count()
    }

    /// Whether a process waits, or somebody for it.
    pub(crate) fn concern(&self, process: Endpoint) -> bool {
        self.all().any(|ask| ask.is_of(process) || ask.is_about(process))
    }

    fn all(&self) -> impl Iterator<Item = &Ask> {
        self.queue.iter().chain(self.active.iter().filter_map(|active| active.ask.as_ref()))
    }

    /// A process is gone: what it waits for is not needed. A file that is being looked up for it will be closed.
    pub(crate) fn forget(&mut self, process: Endpoint) {
        self.queue.retain(|ask| !ask.is_of(process));
        if let Some(active) = &mut self.active {
            active.ask.take_if(|ask| ask.is_of(process) && !matches!(ask, Ask::LookUp(_)));
        }
    }

    /// Takes out what somebody asks about a process.
    pub(crate) fn take_about(&mut self, process: Endpoint) -> Option<Ask> {
        if let Some(at) = self.queue.iter().position(|ask| ask.is_about(process)) {
            return self.queue.remove(at);
        }
        let is_it = |ask: &mut Ask| ask.is_about(process) && !matches!(ask, Ask::LookUp(_));
        self.active.as_mut()?.ask.take_if(is_it)
    }

    /// Nothing is asked any more: takes out one after the other.
    pub(crate) fn take_any(&mut self) -> Option<Ask> {
        self.message = None;
        let active = self.active.take().and_then(|active| active.ask);
        active.or_else(|| self.queue.pop_front())
    }

    /// Whether nothing is to be asked.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty() || self.active.is_some()
    }

    /// Whether there is something to be sent.
    #[inline]
    pub(crate) fn has_messages(&self) -> bool {
        self.message.is_some() || !self.late.is_empty()
    }

    /// Answers a call that was not answered at once.
    pub(crate) fn answer_late(&mut self, message: Message) {
        debug_assert!(self.late.len() < self.late.capacity());
        self.late.push_back(message);
    }

    /// The next of these answers.
    pub(crate) fn take_late(&mut self) -> Option<Message> {
        self.late.pop_front()
    }

    /// One that could not be given yet.
    pub(crate) fn put_back(&mut self, message: Message) {
        self.late.push_front(message);
    }
}
