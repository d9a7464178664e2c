//! Traps, one after another.

use crate::draw::Draw;
use crate::fields::fields;
use crate::histogram::{CALLS, calls};
use crate::sequels::SEQUEL;
use crate::values::{address, any, chance, endpoint, number};
use crate::{Histogram, Known, Random, Row, reachable};
use abi::{BODY_WORDS, Errno, Kind, TRAP_BASE, Trap};
use arrayvec::ArrayVec;
use protocol::CallInfo;
use protocol::kernel::right;
use zerocopy::IntoBytes;

/// The registers of a trap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    /// The trap.
    pub rax: u64,
    /// To whom.
    pub rdi: u64,
    /// Kind and tag.
    pub rsi: u64,
    /// From whom.
    pub rdx: u64,
    /// The payload.
    pub body: [u64; BODY_WORDS],
}

/// Makes traps, and learns from their results.
#[derive(Debug)]
pub struct Generator {
    random: Random,
    /// What it can name.
    pub known: Known,
    /// Of a hundred traps, so many are kernel calls.
    calls: u64,
    /// Calls that are never made, by their names.
    omitted: &'static [&'static str],
    /// The last call, if another one is to come that is about the same.
    sequel: Option<&'static str>,
    /// A call that is made again and again, about the same process, and how many times more: so tables get full.
    series: Option<(Kind, &'static CallInfo, u64)>,
}

impl Generator {
    /// The sequence that belongs to `seed`: of a hundred traps so many are kernel `calls`, and those with certain names never
    /// come.
    pub fn new(seed: u64, known: Known, calls: u64, omitted: &'static [&'static str]) -> Self {
        Self { random: Random::new(seed), known, calls, omitted, sequel: None, series: None }
    }

    /// Its source of numbers, for what else is to be decided.
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// The next trap. Calls of which some result has come up seldom are made more often.
    pub fn draw(&mut self, seen: &Histogram) -> Registers {
        let goes_on = self.sequel.is_some() || self.series.is_some();
        if goes_on || chance(&mut self.random, self.calls) { self.kernel_call(seen) } else { self.message() }
    }

    fn kernel_call(&mut self, seen: &Histogram) -> Registers {
        const UNKNOWN: u64 = 1;
        let sequel = if self.series.is_none() { self.take_sequel(seen) } else { None };
        let same_page = sequel.is_some();
        let (kind, call) = match sequel.or_else(|| self.next_of_series()) {
            Some((kind, call)) => {
                let body = self.request(call, true, same_page);
                return self.registers(Trap::KernelCall.rax(), kind, body);
            }
            None if chance(&mut self.random, UNKNOWN) => {
                let kind = number(&mut self.random, u16::MAX.into(), &[0, Kind::NOTIFY.0.into(), Kind::OK.0.into()]);
                // One that there is would be about the first process, whether that is spared or not.
                let kind = Some(Kind(kind as u16)).filter(|kind| right(*kind).is_none()).unwrap_or(Kind(0));
                return self.registers(Trap::KernelCall.rax(), kind, [0; BODY_WORDS]);
            }
            None => self.wanted_call(seen),
        };
        if self.random.below(SERIES) == 0 && !ENDS.contains(&call.name) {
            self.series = Some((kind, call, self.random.below(LONGEST)));
            self.known.recent.endpoint = Some(endpoint(&mut self.random, &self.known));
        }
        let body = self.request(call, false, false);
        self.registers(Trap::KernelCall.rax(), kind, body)
    }

    fn next_of_series(&mut self) -> Option<(Kind, &'static CallInfo)> {
        let (kind, call, left) = self.series.take()?;
        if left > 0 {
            self.series = Some((kind, call, left - 1));
        }
        Some((kind, call))
    }

    /// A call that often follows the last one: any, or the one that is wanted most.
    fn take_sequel(&mut self, seen: &Histogram) -> Option<(Kind, &'static CallInfo)> {
        let first = self.sequel.take()?;
        let next = || sequels(first).filter(|(_, call)| !self.omitted.contains(&call.name));
        if chance(&mut self.random, WANTED) {
            return next().min_by_key(|(_, call)| wanted(seen, call));
        }
        let which = self.random.below(next().count().max(1) as u64);
        next().nth(which as usize)
    }

    /// Any call, or one that is wanted more.
    fn wanted_call(&mut self, seen: &Histogram) -> (Kind, &'static CallInfo) {
        let first = self.any_call();
        if !chance(&mut self.random, WANTED) {
            return first;
        }
        let others = core::array::from_fn::<_, CANDIDATES, _>(|_| self.any_call());
        others.into_iter().min_by_key(|(_, call)| wanted(seen, call).min(wanted_next(seen, call))).unwrap_or(first)
    }

    fn any_call(&mut self) -> (Kind, &'static CallInfo) {
        loop {
            let place = self.random.below(CALLS as u64) as usize;
            let call = calls().nth(place).filter(|(_, call)| !self.omitted.contains(&call.name));
            let seldom = call.is_some_and(|(_, call)| ENDS.contains(&call.name)) && self.random.below(SELDOM) != 0;
            if let Some(call) = call.filter(|_| !seldom) {
                return call;
            }
        }
    }

    /// A request: what is drawn for each of its fields.
    fn request(&mut self, call: &'static CallInfo, follows: bool, same_page: bool) -> [u64; BODY_WORDS] {
        let mapped = self.known.mapped.pick(&mut self.random);
        let often = if ["vmctl.unmap", "vmctl.copy", "vmctl.share", "vmctl.supply_copy"].contains(&call.name) {
            UNMAPPED
        } else {
            MAPPED
        };
        let mapped = mapped.filter(|_| chance(&mut self.random, often) && !follows);
        let mut draw = Draw { random: &mut self.random, known: &self.known, call, follows, same_page, mapped };
        let mut bytes = ArrayVec::<u8, { abi::BODY_LEN }>::new();
        for field in fields(call.request) {
            let room = call.request_len - bytes.len();
            // The fields are those of a request, which fits.
            let _ = draw.field(field, &mut bytes, room);
        }
        let mut body = [0; BODY_WORDS];
        body.as_mut_bytes()[..bytes.len()].copy_from_slice(&bytes);
        body
    }

    fn message(&mut self) -> Registers {
        let random = &mut self.random;
        let number = u64::from(TRAP_BASE) + random.below(20);
        let rax = match random.below(40) {
            0 => random.word(),
            1 => number,
            2 => number ^ 1 << random.below(64),
            _ => any(random, &MESSAGES).rax(),
        };
        let body = core::array::from_fn(|_| random.word());
        let kind = Kind(random.word() as u16);
        let mut registers = self.registers(rax, kind, body);
        if rax == Trap::SendA.rax() {
            registers.rdi = address(&mut self.random, &self.known);
            registers.rdx = crate::values::number(&mut self.random, 8, &[0, 64, 65]);
        }
        registers
    }

    fn registers(&mut self, rax: u64, kind: Kind, body: [u64; BODY_WORDS]) -> Registers {
        let (random, known) = (&mut self.random, &self.known);
        // Only the lower halves of the names count.
        let rubbish = random.word() << 32;
        Registers {
            rax,
            rdi: u64::from(endpoint(random, known).raw()) | rubbish,
            rsi: u64::from(kind.0) | random.word() << 16,
            rdx: u64::from(endpoint(random, known).raw()) | rubbish,
            body,
        }
    }

    /// Takes notice of a result: what was asked, and what the registers say now.
    pub fn learn(&mut self, asked: &Registers, result: i64, body: &[u64; BODY_WORDS]) {
        let Row::Call(Some(call)) = Row::of(asked.rax, asked.rsi) else {
            return;
        };
        if result != 0 {
            self.forget(call, result, &asked.body);
            return;
        }
        if self.series.is_none() {
            self.remember(call, &asked.body);
            match call.name {
                "vmctl.map" => self.known.remember_page(),
                "vmctl.unmap" => self.known.forget_page(),
                _ => {}
            }
        }
        if ["vmctl.create", "vmctl.donate", "vmctl.copy", "vmctl.supply_copy"].contains(&call.name)
            && let Some(frame) = self.known.recent.frame.take()
        {
            self.known.frames.remove(frame); // It is a page table now.
        }
        self.known.learn(Kind(asked.rsi as u16), body);
        if chance(&mut self.random, SEQUELS) {
            self.sequel = sequels(call.name).next().map(|_| call.name);
        }
    }

    /// What a call was about that succeeded.
    fn remember(&mut self, call: &CallInfo, body: &[u64; BODY_WORDS]) {
        let recent = &mut self.known.recent;
        let mut rest = body.as_bytes();
        for field in fields(call.request) {
            let len = match field.kind {
                "u64" | "GrantId" => 8,
                "u16" => 2,
                "PrivilegeSpec" => size_of::<abi::PrivilegeSpec>(),
                kind if kind.starts_with('[') => abi::boot::NAME_LEN,
                _ => 4,
            };
            let Some((value, behind)) = rest.split_at_checked(len) else { return };
            rest = behind;
            let mut word = [0; 8];
            word[..len.min(8)].copy_from_slice(&value[..len.min(8)]);
            let word = u64::from_le_bytes(word);
            match field.name {
                "process" | "source" => recent.endpoint = Some(abi::Endpoint::from_raw(word as u32)),
                "space" if word != 0 => recent.space = Some(word),
                "from" if call.name == "vmctl.share" => recent.space = Some(word),
                "to" if call.name == "vmctl.share" => recent.to = Some(word),
                "frame" | "root" | "first" if len == 8 => recent.frame = Some(word),
                "address" => recent.page = Some(word),
                _ => {}
            }
        }
    }

    /// Forgets what turned out to be nobody's name.
    fn forget(&mut self, call: &CallInfo, result: i64, body: &[u64; BODY_WORDS]) {
        const OFTEN: u64 = 10;
        if result == Errno::Srch.to_result() && fields(call.request).next().is_some_and(|f| f.name == "space") {
            self.known.spaces.remove(body[0]);
        }
        if call.name == "getinfo.cpu_time" && chance(&mut self.random, OFTEN) {
            self.known.endpoints.remove(body[0] & u64::from(u32::MAX));
        }
    }
}

/// What seldom succeeds unless it follows such a call.
fn sequels(first: &str) -> impl Iterator<Item = (Kind, &'static CallInfo)> {
    let next = SEQUEL.iter().filter(move |(before, _)| *before == first).map(|(_, next)| *next);
    next.filter_map(|name| calls().find(|(_, call)| call.name == name))
}

/// How often that result of a call came up that did least.
fn wanted(seen: &Histogram, call: &'static CallInfo) -> u32 {
    seen.least(Row::Call(Some(call)), reachable(call.name))
}

/// The same of what may follow it.
fn wanted_next(seen: &Histogram, call: &CallInfo) -> u32 {
    sequels(call.name).map(|(_, next)| wanted(seen, next)).min().unwrap_or(u32::MAX)
}

/// The traps that carry messages.
const MESSAGES: [Trap; 7] =
    [Trap::Send, Trap::Receive, Trap::SendRec, Trap::Notify, Trap::SendNb, Trap::ReplyReceive, Trap::SendA];

/// Calls after which the system or the caller is no more come as one among so many.
const SELDOM: u64 = 5;
const ENDS: [&str; 2] = ["kernel.abort", "kernel.exit"];

/// One call of so many is made up to so often.
const SERIES: u64 = 300;
const LONGEST: u64 = 240;

/// Of a hundred calls about pages so many are about one that is mapped; and of those that take pages away.
const MAPPED: u64 = 20;
const UNMAPPED: u64 = 60;

/// Of a hundred calls so many are made because they are wanted: each is the one that is wanted most of so many.
const WANTED: u64 = 75;
const CANDIDATES: usize = 8;

/// Of a hundred calls that have a sequel, so many are followed by it.
const SEQUELS: u64 = 60;
