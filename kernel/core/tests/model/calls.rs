//! Kernel calls.

use super::*;
use abi::Signal;
use abi::layout::{USER_END, USER_START};
use protocol::kernel::{Exec, NEVER, RunAction, Scheduler, SetAlarm};
use protocol::privctl::DYNAMIC_ID;
use std::iter::once;

/// The kind of an answer that says success, and the tag of all calls of the tests.
const OK: u64 = 0x8000 | 0x7a9 << 16;
/// Most bytes for the log.
const LONGEST_TEXT: u64 = 144;
/// The greatest number of a signal that a process may raise.
const LAST_SIGNAL: u32 = 31;

/// Why a call is not answered with success now.
pub(super) enum Stop {
    Failed(Errno),
    /// Its process waits, and makes the call again then.
    Waits,
    /// It is not answered.
    Silent,
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Self {
        Self::Failed(errno)
    }
}

impl Model {
    pub(super) fn kernel_call(&mut self, me: usize, call: &Call) {
        let result = match call.bit() {
            None => Err(Errno::BadRequest.into()),
            Some(bit) if self.authority(me).calls >> bit & 1 == 0 => Err(Errno::CallDenied.into()),
            Some(_) => self.perform(me, call),
        };
        let regs = &mut self.program_mut(me).regs;
        match result {
            Ok(words) => {
                (regs.rax, regs.rdi, regs.rsi, regs.rdx) = (0, Endpoint::SYSTEM.raw().into(), OK, 0);
                regs.body = [0; 7];
                regs.body[..words.len()].copy_from_slice(&words);
            }
            Err(Stop::Failed(errno)) => regs.rax = errno.to_result() as u64,
            Err(Stop::Waits | Stop::Silent) => {}
        }
    }

    fn named(&self, endpoint: Endpoint) -> Result<usize, Errno> {
        self.live(endpoint).ok_or(Errno::Inval)
    }

    fn perform(&mut self, me: usize, call: &Call) -> Result<Vec<u64>, Stop> {
        match call {
            Call::Fork(c) => return Ok(vec![self.fork(c.parent, c.slot)?.raw().into()]),
            Call::Exec(c) => self.exec(c)?,
            Call::Clear(c) => {
                let slot = self.named(c.process)?;
                if slot == me || c.process == self.root {
                    return Err(Errno::Perm.into());
                }
                self.end(slot);
            }
            Call::Schedule(c) => {
                let slot = self.named(c.process)?;
                if self.slots[slot].scheduler != self.slots[me].endpoint {
                    return Err(Errno::Perm.into());
                }
                self.schedule(slot, None, [c.priority, c.quantum, c.cpu])?;
            }
            Call::SchedCtl(c) => {
                let own = self.slots[me].endpoint;
                let scheduler = if c.scheduler == Scheduler::Caller { own } else { Endpoint::NONE };
                self.schedule(self.named(c.process)?, Some(scheduler), [c.priority, c.quantum, c.cpu])?;
            }
            Call::Kill(c) => {
                let slot = self.named(c.process)?;
                let signal = Signal::from_user(c.signal).filter(|_| c.signal <= LAST_SIGNAL).ok_or(Errno::Inval)?;
                if c.process == self.root && slot != me {
                    return Err(Errno::Perm.into());
                }
                self.raise(slot, signal);
            }
            Call::GetKSig(_) => {
                let (process, signals) = self.take_signals(me);
                return Ok(vec![process.raw().into(), signals]);
            }
            Call::EndKSig(c) => self.end_signals(me, self.named(c.process)?)?,
            Call::SetAlarm(c) => return Ok(self.set_alarm(me, c)?),
            Call::Times(_) => return Ok(vec![self.machine.ticks, TestMachine::HZ]),
            Call::WhoAmI(_) => return Ok(self.identity(me)),
            Call::DiagWrite(c) => {
                if !(1..=LONGEST_TEXT).contains(&c.len) {
                    return Err(Errno::Inval.into());
                }
                let Some(text) = self.load(me, c.address, c.len) else {
                    return Err(self.need(me, call, c.address, c.len));
                };
                self.machine.texts.push((self.program(me).name(), text));
            }
            Call::RunCtl(c) => self.run_control(self.named(c.process)?, c.action)?,
            Call::Update(c) => self.update(c)?,
            Call::Exit(c) => {
                let name = self.program(me).name();
                self.machine.lines.push(format!("{name} exited, status {}", c.status));
                self.hold(me, Rts::EXITED);
                self.raise(me, Signal::ABRT);
                return Err(Stop::Silent);
            }
            Call::Abort(c) => {
                self.action = Action::Abort { how: c.how, status: c.status };
                return Err(Stop::Silent);
            }
            Call::Unknown(_) => return Err(Errno::BadRequest.into()),
            call => return self.perform_grouped(me, call),
        }
        Ok(Vec::new())
    }

    fn perform_grouped(&mut self, me: usize, call: &Call) -> Result<Vec<u64>, Stop> {
        match call {
            Call::Allow(c) => self.allow(self.subject(me, c.process)?)?,
            Call::Disallow(c) => self.disallow(self.subject(me, c.process)?)?,
            Call::SetSys(c) => {
                let slot = self.subject(me, c.process)?;
                let id = (c.id != DYNAMIC_ID).then_some(c.id);
                return Ok(vec![self.set_sys(slot, id, &c.spec)? as u64]);
            }
            Call::SetUser(c) => self.set_user(self.subject(me, c.process)?)?,
            Call::UpdateSys(c) => self.update_sys(me, c.process, &c.spec)?,
            Call::YieldTo(c) => {
                self.allow(self.subject(me, c.process)?)?;
                self.hold(me, Rts::NO_PRIV);
            }
            Call::ClearRefsOf(c) => self.clear_refs(self.subject(me, c.process)?),
            Call::GetPrivileges(c) => return Ok(self.privileges(c.id)?),
            Call::Settle(c) => {
                let slot = self.named(c.process)?;
                let space = if c.space == 0 { None } else { Some(space_of(c.space).ok_or(Errno::Srch)?) };
                self.settle_in(slot, space)?;
            }
            Call::ClearPageFault(c) => self.clear_page_fault(self.named(c.process)?)?,
            Call::NextEvent(_) => return Ok(self.take_event().ok_or(Errno::NoEnt)?.to_vec()),
            Call::AnswerRequest(c) => self.answer_request(self.named(c.process)?, c.available != 0)?,
            Call::ClearRefs(_) => self.clear_refs(me),
            Call::AddBlacklist(c) => return self.add_filter(me, call, false, (c.address, c.count)),
            Call::AddWhitelist(c) => return self.add_filter(me, call, true, (c.address, c.count)),
            Call::ClearFilters(_) => self.authority_mut(me).filters.clear(),
            call => unreachable!("{call:?} is in no group"),
        }
        Ok(Vec::new())
    }

    fn fork(&mut self, parent: Endpoint, slot: u32) -> Result<Endpoint, Errno> {
        let parent = self.named(parent)?;
        let slot = slot as usize;
        let p = self.program(parent);
        let free = self.slots.get(slot).is_some_and(|process| process.program.is(Rts::FREE));
        if !free || !p.is(Rts::RECEIVING) || p.is(Rts::SENDING) {
            return Err(Errno::Inval);
        }
        let waits = if self.is_service(parent) { Rts::NO_PRIV } else { Rts::empty() };
        let program = Program {
            rts: p.rts & (Rts::RECEIVING | Rts::REPLY) | Rts::NO_SPACE | Rts::NO_QUANTUM | waits,
            regs: p.regs,
            receive_from: p.receive_from,
            failed_answer: p.failed_answer,
            priority: p.priority,
            quantum: p.quantum,
            name: forked(p.name),
            ..Program::none()
        };
        let endpoint = self.slots[slot].endpoint.next_generation();
        let Process { cpu, scheduler, .. } = self.slots[parent];
        self.slots[slot] = Process { cpu, scheduler, program, ..Process::free(endpoint) };
        Ok(endpoint)
    }

    fn exec(&mut self, call: &Exec) -> Result<(), Errno> {
        let slot = self.named(call.process)?;
        let program = USER_START..USER_END;
        if !program.contains(&call.entry) || !program.contains(&call.stack) && call.stack != USER_END {
            return Err(Errno::Inval);
        }
        if BootEntry::decode_name(&call.name).is_none() {
            return Err(Errno::Inval);
        }
        if self.program(slot).rts.is_empty() || self.runs(slot) {
            return Err(Errno::Busy);
        }
        self.withdraw_message(slot);
        let p = self.program_mut(slot);
        p.regs = Regs { rip: call.entry, rsp: call.stack, ..Regs::default() };
        p.name = call.name;
        p.failed_answer = None;
        p.suspended = None;
        p.used = (0, 0);
        self.release(slot, Rts::RECEIVING | Rts::REPLY);
        self.send_is_over(slot);
        Ok(())
    }

    fn run_control(&mut self, slot: usize, action: RunAction) -> Result<(), Errno> {
        let p = self.program_mut(slot);
        match action {
            RunAction::StopAfterSend if p.is(Rts::SENDING) && !p.kernel_sends => {
                p.wants_send_done = true;
                return Err(Errno::Busy);
            }
            RunAction::Stop | RunAction::StopAfterSend => self.hold(slot, Rts::STOPPED),
            RunAction::Resume if !p.is(Rts::STOPPED) => return Err(Errno::Inval),
            RunAction::Resume => self.release(slot, Rts::STOPPED),
        }
        Ok(())
    }

    fn set_alarm(&mut self, me: usize, call: &SetAlarm) -> Result<Vec<u64>, Errno> {
        if !self.is_service(me) {
            return Err(Errno::Perm);
        }
        let now = self.machine.ticks;
        let (id, absolute) = (self.slots[me].id, call.absolute != 0);
        let left = self.alarms[id].map_or(NEVER, |at| at.saturating_sub(now));
        self.alarms[id] = match call.ticks {
            0 if !absolute => None,
            ticks if absolute => Some(ticks),
            ticks => Some(now + ticks),
        };
        self.ring();
        Ok(vec![left, now])
    }

    /// Name and endpoint as words.
    fn identity(&self, i: usize) -> Vec<u64> {
        let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        let name = self.program(i).name;
        let both = u64::from(self.root.raw()) << 32 | u64::from(self.slots[i].endpoint.raw());
        name.chunks(8).map(word).chain(once(both)).collect()
    }

    /// A privilege structure as words.
    fn privileges(&self, id: u64) -> Result<Vec<u64>, Errno> {
        let index = usize::try_from(id).map_err(|_| Errno::Dom)?;
        let Privileges { owner, authority, .. } = self.ids.get(index).ok_or(Errno::Dom)?;
        if owner.is_none() && index != USER {
            return Err(Errno::Srch);
        }
        let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let owner = owner.unwrap_or(Endpoint::NONE).raw();
        Ok(vec![
            authority.sends,
            authority.calls,
            pair(authority.traps, authority.flags.bits()),
            pair(owner, authority.manager.raw()),
            authority.backup.raw().into(),
        ])
    }
}

/// The space with this name. The spaces of the tests are made first of all, and so have the names of their numbers.
fn space_of(name: u64) -> Option<usize> {
    (0..SLOTS).find(|space| space_name(*space) == name)
}

/// The name of the space with this number.
pub(crate) fn space_name(space: usize) -> u64 {
    1 << 32 | space as u64
}

/// The name of a child: with a suffix, if there is room for it and it is not there.
fn forked(name: [u8; NAME_LEN]) -> [u8; NAME_LEN] {
    let text: Vec<u8> = name.iter().copied().take_while(|byte| *byte != 0).collect();
    if text.ends_with(b"*F") || text.len() + 2 >= NAME_LEN {
        return name;
    }
    let mut forked = [0; NAME_LEN];
    forked[..text.len()].copy_from_slice(&text);
    forked[text.len()..text.len() + 2].copy_from_slice(b"*F");
    forked
}
