//! What the kernel must do, written to be obviously right: vectors, searches, and a copy of everything to go back to when
//! a call is refused. It shares no code with the kernel but the numbers of the ABI.

mod calls;

pub(crate) use calls::KERNEL_CALLS;

use crate::support::{Regs, TestMachine};
use abi::boot::BootEntry;
use abi::{Endpoint, Errno, TRAP_BASE};
use std::collections::BTreeSet;

/// Traps, as their numbers are in the ABI.
const SEND: u64 = 1;
const RECEIVE: u64 = 2;
const SENDREC: u64 = 3;
const NOTIFY: u64 = 4;
const SENDNB: u64 = 5;
const REPLY_RECEIVE: u64 = 7;
const KERNEL_CALL: u64 = 8;
/// The kind of a notification.
const NOTIFICATION: u64 = 0x1000;
/// Ticks that one may run.
pub(crate) const QUANTUM: u16 = 5;

/// Whom somebody receives from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    Any,
    Process(usize),
    /// In the kernel's own range: nothing comes from there yet.
    Task,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Ready,
    Sending { to: usize, then_receives: bool },
    Receiving { from: From, in_sendrec: bool },
    Dead,
}

/// A process; its place among the others is its slot, its privilege id and its endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) entry: BootEntry,
    pub(crate) regs: Regs,
    pub(crate) state: State,
    /// The number of its root table.
    root: usize,
    notified_by: BTreeSet<usize>,
    failed_answer: Option<Errno>,
    ticks_left: u16,
}

impl Process {
    fn name(&self) -> String {
        self.entry.name().expect("tests give good names").to_owned()
    }
}

/// Everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) processes: Vec<Process>,
    pub(crate) running: Option<usize>,
    pub(crate) machine: TestMachine,
    /// How and with which status the run of the system was to end, and nothing if it was not.
    pub(crate) aborted: Option<(u32, u32)>,
    /// The ready ones that do not run. Among those of one priority the first is the next.
    ready: Vec<usize>,
    /// Everybody who sends, the one who has waited longest first.
    sending: Vec<usize>,
}

impl Model {
    /// Nobody is there but the root system process, which does nothing of its own.
    pub(crate) fn new(root: &BootEntry) -> Self {
        let mut model = Self::default();
        model.add(root);
        model.processes[0].state = State::Receiving { from: From::Any, in_sendrec: false };
        model.ready.clear();
        model
    }

    pub(crate) fn add(&mut self, entry: &BootEntry) {
        let me = self.processes.len();
        self.processes.push(Process {
            entry: *entry,
            regs: Regs::default(),
            state: State::Ready,
            root: me,
            notified_by: BTreeSet::new(),
            failed_answer: None,
            ticks_left: QUANTUM,
        });
        self.ready.push(me);
    }

    /// The running process traps.
    pub(crate) fn trap(&mut self, call: Regs) {
        let me = self.running.expect("somebody runs");
        self.aborted = None;
        self.processes[me].regs = call;
        let before = self.clone();
        if let Err(errno) = self.perform(me, call) {
            *self = before;
            self.processes[me].regs.rax = errno.to_result() as u64;
        }
    }

    fn perform(&mut self, me: usize, call: Regs) -> Result<(), Errno> {
        let destination = Endpoint::from_raw(call.rdi as u32);
        let source = Endpoint::from_raw(call.rdx as u32);
        match call.rax.wrapping_sub(TRAP_BASE.into()) {
            trap @ (SEND | SENDREC | SENDNB | NOTIFY) => {
                let to = self.destination(me, trap, destination)?;
                match trap {
                    NOTIFY => self.notify(me, to),
                    _ => self.send(me, to, trap)?,
                }
                self.processes[me].regs.rax = 0;
                Ok(())
            }
            RECEIVE => {
                let from = self.source(me, RECEIVE, source)?;
                self.receive(me, from)
            }
            REPLY_RECEIVE => {
                let from = self.source(me, REPLY_RECEIVE, source)?;
                self.processes[me].failed_answer = self.answer(me, destination).err();
                self.receive(me, from)
            }
            KERNEL_CALL => self.kernel_call(me, call),
            _ => Err(Errno::BadCall),
        }
    }

    fn live(&self, endpoint: Endpoint) -> Option<usize> {
        let lives = |i: &usize| self.processes[*i].state != State::Dead;
        (0..self.processes.len()).filter(lives).find(|&i| endpoint_of(i) == endpoint)
    }

    fn may_trap(&self, me: usize, trap: u64) -> Result<(), Errno> {
        if self.processes[me].entry.traps >> trap & 1 != 0 { Ok(()) } else { Err(Errno::TrapDenied) }
    }

    fn destination(&self, me: usize, trap: u64, endpoint: Endpoint) -> Result<usize, Errno> {
        if endpoint == Endpoint::ANY {
            return Err(Errno::Inval);
        }
        if is_task(endpoint) {
            return Err(Errno::TrapDenied);
        }
        let to = self.live(endpoint).ok_or(Errno::DeadSrcDst)?;
        let answers = trap == SENDNB
            && self.processes[to].state == (State::Receiving { from: From::Process(me), in_sendrec: true });
        if !answers && (to == me || self.processes[me].entry.sends >> to & 1 == 0) {
            return Err(Errno::CallDenied);
        }
        self.may_trap(me, trap)?;
        Ok(to)
    }

    fn source(&self, me: usize, trap: u64, endpoint: Endpoint) -> Result<From, Errno> {
        let from = match endpoint {
            Endpoint::ANY => From::Any,
            task if is_task(task) => From::Task,
            other => From::Process(self.live(other).ok_or(Errno::DeadSrcDst)?),
        };
        self.may_trap(me, trap)?;
        Ok(from)
    }

    fn accepts(&self, receiver: usize, sender: usize) -> bool {
        match self.processes[receiver].state {
            State::Receiving { from, .. } => from == From::Any || from == From::Process(sender),
            _ => false,
        }
    }

    /// Gives a message to somebody who waits for it, or who runs and has just asked for it.
    fn give(&mut self, to: usize, from: usize, trap: u64, header: u64, body: [u64; 7]) {
        let receiver = &mut self.processes[to];
        let failed = receiver.failed_answer.take().map_or(0, |errno| errno as u64);
        receiver.regs = Regs {
            rax: 0,
            rdi: endpoint_of(from).raw().into(),
            rsi: header & 0xffff_ffff,
            rdx: trap | failed << 32,
            body,
            ..Regs::default()
        };
        if receiver.state != State::Ready {
            receiver.state = State::Ready;
            self.ready.push(to);
        }
    }

    fn give_message(&mut self, to: usize, from: usize, trap: u64) {
        let Regs { rsi, body, .. } = self.processes[from].regs;
        self.give(to, from, trap, rsi, body);
    }

    fn give_notification(&mut self, to: usize, from: usize) {
        let time = self.machine.ticks;
        self.give(to, from, NOTIFY, NOTIFICATION, [time, 0, 0, 0, 0, 0, 0]);
    }

    fn send(&mut self, me: usize, to: usize, trap: u64) -> Result<(), Errno> {
        let then_receives = trap == SENDREC;
        if self.accepts(to, me) {
            self.give_message(to, me, trap);
            if then_receives {
                self.processes[me].state = State::Receiving { from: From::Process(to), in_sendrec: true };
            }
            return Ok(());
        }
        if trap == SENDNB {
            return Err(Errno::NotReady);
        }
        self.wait(me, State::Sending { to, then_receives })?;
        self.sending.push(me);
        Ok(())
    }

    fn notify(&mut self, me: usize, to: usize) {
        let in_sendrec = matches!(self.processes[to].state, State::Receiving { in_sendrec: true, .. });
        if self.accepts(to, me) && !in_sendrec {
            self.give_notification(to, me);
        } else {
            self.processes[to].notified_by.insert(me);
        }
    }

    fn receive(&mut self, me: usize, from: From) -> Result<(), Errno> {
        let wanted = |who: usize| from == From::Any || from == From::Process(who);
        if let Some(notifier) = self.processes[me].notified_by.iter().copied().find(|&n| wanted(n)) {
            self.processes[me].notified_by.remove(&notifier);
            self.give_notification(me, notifier);
            return Ok(());
        }
        let sends_to_me =
            |&i: &usize| matches!(self.processes[i].state, State::Sending { to, .. } if to == me) && wanted(i);
        if let Some(sender) = self.sending.iter().copied().find(sends_to_me) {
            self.take_from(me, sender);
            return Ok(());
        }
        self.wait(me, State::Receiving { from, in_sendrec: false })
    }

    fn take_from(&mut self, me: usize, sender: usize) {
        self.sending.retain(|&s| s != sender);
        let waits_for_answer = matches!(self.processes[sender].state, State::Sending { then_receives: true, .. });
        if waits_for_answer {
            self.processes[sender].state = State::Receiving { from: From::Process(me), in_sendrec: true };
        } else {
            self.processes[sender].state = State::Ready;
            self.processes[sender].regs.rax = 0;
            self.ready.push(sender);
        }
        self.give_message(me, sender, if waits_for_answer { SENDREC } else { SEND });
    }

    fn answer(&mut self, me: usize, destination: Endpoint) -> Result<(), Errno> {
        let to = self.live(destination).ok_or(Errno::DeadSrcDst)?;
        if self.processes[to].state != (State::Receiving { from: From::Process(me), in_sendrec: true }) {
            return Err(Errno::NotReady);
        }
        self.give_message(to, me, REPLY_RECEIVE);
        Ok(())
    }

    /// Whom a blocked one waits for, if it is somebody.
    pub(crate) fn waits_for(&self, i: usize) -> Option<usize> {
        match self.processes[i].state {
            State::Sending { to, .. } | State::Receiving { from: From::Process(to), .. } => Some(to),
            _ => None,
        }
    }

    /// Blocks `me`, unless it would then wait for itself, over however many others.
    fn wait(&mut self, me: usize, state: State) -> Result<(), Errno> {
        self.processes[me].state = state;
        let mut at = self.waits_for(me);
        for _ in 0..self.processes.len() {
            if at == Some(me) {
                return Err(Errno::Locked);
            }
            at = at.and_then(|i| self.waits_for(i));
        }
        Ok(())
    }

    /// The running process did something bad.
    pub(crate) fn stop(&mut self) {
        if let Some(me) = self.running {
            self.machine.lines.push(format!("{} stopped: test", self.processes[me].name()));
            self.end(me);
        }
    }

    fn end(&mut self, me: usize) {
        self.processes[me].state = State::Dead;
        self.running = None;
        for i in 0..self.processes.len() {
            self.processes[i].notified_by.remove(&me);
            if self.waits_for(i) == Some(me) {
                self.processes[i].state = State::Ready;
                self.processes[i].failed_answer = None;
                self.processes[i].regs.rax = Errno::DeadSrcDst.to_result() as u64;
                self.sending.retain(|&s| s != i);
                self.ready.push(i);
            }
        }
    }

    pub(crate) fn tick(&mut self) {
        self.machine.ticks += 1;
        if let Some(me) = self.running {
            self.processes[me].ticks_left -= 1;
        }
    }

    /// Chooses who runs next.
    pub(crate) fn schedule(&mut self) {
        let priority = |i: usize| self.processes[i].entry.priority;
        let best = self.ready.iter().copied().min_by_key(|&i| priority(i));
        if let Some(me) = self.running.filter(|&me| self.processes[me].state == State::Ready) {
            if self.processes[me].ticks_left == 0 {
                self.processes[me].ticks_left = QUANTUM;
                self.ready.push(me);
            } else if best.is_some_and(|best| priority(best) < priority(me)) {
                self.ready.insert(0, me);
            } else {
                return;
            }
        }
        // The first of equals.
        let next = self.ready.iter().copied().min_by_key(|&i| self.processes[i].entry.priority);
        self.ready.retain(|&i| Some(i) != next);
        self.running = next;
    }
}

pub(crate) fn endpoint_of(process: usize) -> Endpoint {
    Endpoint::from_raw(process as u32)
}

fn is_task(endpoint: Endpoint) -> bool {
    [Endpoint::HARDWARE, Endpoint::SYSTEM, Endpoint::CLOCK, Endpoint::ASYNCM].contains(&endpoint)
}
