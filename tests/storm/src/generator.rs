//! Traps, one after another.

use crate::fields::{Field, fields};
use crate::histogram::{CALLS, calls};
use crate::values::{address, any, chance, code, endpoint, frame, number, page, space, spec};
use crate::{Known, Random, Row};
use abi::{BODY_WORDS, Errno, Kind, TRAP_BASE, Trap};
use arrayvec::ArrayVec;
use protocol::CallInfo;
use protocol::kernel::{MAX_DIAG, MAX_PORT_LIST, MAX_PORT_STRING};
use protocol::privctl::DYNAMIC_ID;
use protocol::vmctl::MAX_RUN;
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
    /// A call that is to come next, about what the last one was about.
    sequel: Option<&'static str>,
    /// A call that is made again and again, about the same process, and how many times more: so tables get full.
    series: Option<(Kind, &'static CallInfo, u64)>,
}

/// What is drawn for one call.
struct Draw<'g> {
    random: &'g mut Random,
    known: &'g Known,
    call: &'static CallInfo,
    /// Most of it is about the same process and space as the last call, and about the same page and frame.
    follows: bool,
    same_page: bool,
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

    /// The next trap.
    pub fn draw(&mut self) -> Registers {
        let goes_on = self.sequel.is_some() || self.series.is_some();
        if goes_on || chance(&mut self.random, self.calls) { self.kernel_call() } else { self.message() }
    }

    fn kernel_call(&mut self) -> Registers {
        const UNKNOWN: u64 = 1;
        let sequel = if self.series.is_none() { self.take_sequel() } else { None };
        let same_page = sequel.is_some();
        let (kind, call) = match sequel.or_else(|| self.next_of_series()) {
            Some((kind, call)) => {
                let body = self.request(call, true, same_page);
                return self.registers(Trap::KernelCall.rax(), kind, body);
            }
            None if chance(&mut self.random, UNKNOWN) => {
                let kind = number(&mut self.random, u16::MAX.into(), &[0, Kind::NOTIFY.0.into(), Kind::OK.0.into()]);
                return self.registers(Trap::KernelCall.rax(), Kind(kind as u16), [0; BODY_WORDS]);
            }
            None => self.any_call(),
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

    fn take_sequel(&mut self) -> Option<(Kind, &'static CallInfo)> {
        let name = self.sequel.take()?;
        calls().find(|(_, call)| call.name == name && !self.omitted.contains(&name))
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
        let mut draw = Draw { random: &mut self.random, known: &self.known, call, follows, same_page };
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
        }
        if let ("vmctl.create" | "vmctl.donate", Some(frame)) = (call.name, self.known.recent.frame.take()) {
            self.known.frames.remove(frame); // It is a page table now.
        }
        self.known.learn(Kind(asked.rsi as u16), body);
        if chance(&mut self.random, SEQUELS) {
            let sequels = || SEQUEL.iter().filter(|(first, _)| *first == call.name);
            let which = self.random.below(sequels().count().max(1) as u64);
            self.sequel = sequels().nth(which as usize).map(|(_, next)| *next);
        }
    }

    /// What a call was about that succeeded.
    fn remember(&mut self, call: &CallInfo, body: &[u64; BODY_WORDS]) {
        let recent = &mut self.known.recent;
        let mut rest = body.as_bytes();
        for field in fields(call.request) {
            let len = match field.kind {
                "u64" => 8,
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

/// The traps that carry messages.
const MESSAGES: [Trap; 7] =
    [Trap::Send, Trap::Receive, Trap::SendRec, Trap::Notify, Trap::SendNb, Trap::ReplyReceive, Trap::SendA];

/// Calls after which the system or the caller is no more come as one among so many.
const SELDOM: u64 = 10;
const ENDS: [&str; 2] = ["kernel.abort", "kernel.exit"];

/// One call of so many is made up to so often.
const SERIES: u64 = 300;
const LONGEST: u64 = 240;

/// Of a hundred calls that have a sequel, so many are followed by it.
const SEQUELS: u64 = 60;

/// Calls that seldom succeed unless another one came before.
const SEQUEL: &[(&str, &str)] = &[
    ("trace.stop", "trace.resume"),
    ("trace.stop", "trace.detach"),
    ("trace.stop", "trace.step"),
    ("trace.stop", "trace.until_trap"),
    ("trace.stop", "trace.set_register"),
    ("trace.stop", "kernel.sigsend"),
    ("kernel.runctl", "kernel.sigsend"),
    ("kernel.runctl", "kernel.runctl"),
    ("privctl.disallow", "kernel.sigsend"),
    ("privctl.disallow", "privctl.allow"),
    ("privctl.disallow", "privctl.yield_to"),
    ("vmctl.next_event", "vmctl.clear_page_fault"),
    ("vmctl.next_event", "vmctl.answer_request"),
    ("vmctl.map", "vmctl.map"),
    ("vmctl.map", "vmctl.unmap"),
    ("vmctl.claim", "vmctl.map"),
    ("vmctl.claim", "vmctl.donate"),
    ("vmctl.claim", "vmctl.give_back"),
    ("kernel.schedule", "kernel.schedule"),
    ("kernel.fork", "vmctl.settle"),
    ("vmctl.settle", "privctl.set_sys"),
    ("privctl.disallow", "privctl.set_sys"),
    ("privctl.set_sys", "privctl.add_memory"),
    ("privctl.add_memory", "privctl.query_memory"),
    ("privctl.add_io", "kernel.update"),
    ("trace.stop", "trace.get_register"),
    ("kernel.schedctl", "kernel.schedule"),
    ("kernel.sigsend", "kernel.sigreturn"),
    ("kernel.kill", "kernel.getksig"),
    ("kernel.getksig", "kernel.endksig"),
    ("vmctl.claim", "vmctl.create"),
    ("vmctl.create", "vmctl.donate"),
    ("vmctl.donate", "vmctl.map"),
    ("vmctl.map", "vmctl.query"),
    ("vmctl.unmap", "vmctl.release"),
    ("irqctl.set_policy", "irqctl.disable"),
    ("irqctl.disable", "irqctl.enable"),
    ("irqctl.enable", "irqctl.remove_policy"),
];

impl Draw<'_> {
    fn field(&mut self, field: Field, bytes: &mut ArrayVec<u8, { abi::BODY_LEN }>, room: usize) -> Option<()> {
        match field.kind {
            "Endpoint" => {
                let recent = self.known.recent.endpoint.filter(|_| self.is_same() && field.name != "destination");
                let name = recent.unwrap_or_else(|| endpoint(self.random, self.known));
                put(bytes, &name.raw().to_le_bytes())
            }
            "PrivilegeSpec" => put(bytes, spec(self.random, self.known).as_bytes()),
            "u16" => put(bytes, &(self.port() as u16).to_le_bytes()),
            "u32" => put(bytes, &(self.half(field.name) as u32).to_le_bytes()),
            "i32" => put(bytes, &(self.signed(field.name) as i32).to_le_bytes()),
            "u64" => put(bytes, &self.word(field.name).to_le_bytes()),
            kind if kind.starts_with('[') => self.array(bytes, room),
            _ => put(bytes, &(self.choice(field.kind) as u32).to_le_bytes()),
        }
    }

    /// Whether it is about what the last call was about.
    fn is_same(&mut self) -> bool {
        self.follows && chance(self.random, 80)
    }

    /// Text, or any bytes, where an array is the first or the last field.
    fn array(&mut self, bytes: &mut ArrayVec<u8, { abi::BODY_LEN }>, room: usize) -> Option<()> {
        let len = if bytes.is_empty() { abi::boot::NAME_LEN.min(room) } else { room };
        let named = chance(self.random, 85);
        for place in 0..len {
            let byte = match (named, place) {
                (true, 0..4) => b'a' + self.random.below(26) as u8,
                (true, _) => 0,
                (false, _) => self.random.word() as u8,
            };
            bytes.try_push(byte).ok()?;
        }
        Some(())
    }

    /// A value of an enumeration.
    fn choice(&mut self, kind: &str) -> u64 {
        match kind {
            "PortAccess" => return number(self.random, 7, &[0, 1, 2, 4, 5, 6]),
            // Most of the others are of no use together with the rest.
            "Scheduler" if chance(self.random, 50) => return 1,
            "Backing" | "Cache" if chance(self.random, 75) => return 0,
            _ => {}
        }
        match self.random.below(32) {
            0 => self.random.word(),
            1 => 3,
            2..=5 => 2,
            6..=13 => 1,
            _ => 0,
        }
    }

    fn port(&mut self) -> u64 {
        match self.random.below(8) {
            0 => any(self.random, &[0, 0x20, 0x3f8, 0xffff]),
            1 => self.random.below(1 << 16),
            _ => PORTS + self.random.below(16),
        }
    }

    fn signed(&mut self, name: &str) -> i64 {
        let below = match name {
            "priority" => 16,
            "quantum" => 200,
            _ => 2, // Processors.
        };
        match self.random.below(12) {
            0 => any(self.random, &[-2, i32::MIN.into(), i32::MAX.into(), 16, 0]),
            1..=2 => any(self.random, &[4, 31, 31, 31, 32, 1000]),
            3..=5 => -1,
            _ => self.random.below(below) as i64,
        }
    }

    fn half(&mut self, name: &str) -> u64 {
        let (random, known) = (&mut *self.random, self.known);
        match (name, self.call.name) {
            ("reserved", _) => 0,
            ("slot", _) => match random.below(8) {
                0 => any(random, &[0, 1, 1023, 1024, u32::MAX.into()]),
                _ => u64::from(known.first_slot) + random.below(32),
            },
            ("signal", _) => number(random, 32, &[0, 9, 31, 32, 63, 64, u32::MAX.into()]),
            ("byte", _) => number(random, 256, &[255, 256, u32::MAX.into()]),
            ("count", "kernel.vdevio") => {
                number(random, 8, &[0, 1, MAX_PORT_LIST.into(), u64::from(MAX_PORT_LIST) + 1])
            }
            ("count", _) => match random.below(16) {
                0..=1 => any(random, &[0, MAX_RUN.into(), u64::from(MAX_RUN) + 1, u32::MAX.into()]),
                2 => random.below(MAX_RUN.into()),
                _ => 1 + random.below(8),
            },
            ("port", _) => match random.below(16) {
                0 => random.word(),
                _ => self.port(),
            },
            ("line", _) if chance(random, 40) => LINE,
            ("line", _) => number(random, 20, &[15, 16, 31, 32, 255, 256]),
            ("bit", _) => number(random, 32, &[31, 32]),
            ("hook", _) if chance(random, 50) => known.hooks.pick(random).unwrap_or(0),
            ("hook", _) => number(random, 66, &[0, 1, 64, 65]),
            ("len", _) => number(random, 50, &[0, 1, 40, 41, 48, 49]),
            ("id", _) => match random.below(8) {
                0..=4 => u64::from(DYNAMIC_ID),
                5 => any(random, &[0, 5, 63, 64]),
                _ => random.below(70),
            },
            ("index", _) => number(random, 18, &[17, 18]),
            ("nanoseconds", _) => number(random, 1_000_000_000, &[0, 999_999_999, 1_000_000_000]),
            ("reenable" | "available" | "reset_ranges", _) => random.below(2),
            _ => random.word(),
        }
    }

    /// What the last call named with such a field.
    fn recent(&self, name: &str, of_pages: bool) -> Option<u64> {
        let recent = &self.known.recent;
        match name {
            "space" => recent.space,
            "frame" | "root" | "first" if of_pages && self.same_page => recent.frame,
            "address" if of_pages && self.same_page => recent.page,
            _ => None,
        }
    }

    fn word(&mut self, name: &str) -> u64 {
        let of_pages = self.call.name.starts_with("vmctl.");
        if self.is_same()
            && let Some(word) = self.recent(name, of_pages)
        {
            return word;
        }
        let (random, known) = (&mut *self.random, self.known);
        match (name, self.call.name) {
            ("address", _) if of_pages => page(random, known),
            ("address", "kernel.vdevio") if chance(random, 60) => known.samples.ports,
            ("address", "statectl.add_blacklist" | "statectl.add_whitelist") if chance(random, 70) => {
                known.samples.filters
            }
            ("address", _) => address(random, known),
            ("frame", "kernel.sigreturn") => match known.signal_frames.pick(random) {
                Some(frame) if chance(random, 70) => frame,
                _ => address(random, known),
            },
            ("frame" | "root", _) => frame(random, known),
            ("first", _) => frame(random, known),
            ("space", _) => space(random, known),
            ("stack" | "entry" | "handler" | "trampoline", _) => code(random, known),
            ("count", "kernel.sdevio") => number(random, 16, &[0, 1, MAX_PORT_STRING, MAX_PORT_STRING + 1]),
            ("count", _) if of_pages => number(random, 10, &[0, 1, MAX_RUN.into(), u64::from(MAX_RUN) + 1]),
            ("count", _) => number(random, 6, &[0, 1, 2, 128, 129]),
            ("len", "kernel.diag_write") => number(random, 32, &[0, 1, MAX_DIAG as u64, MAX_DIAG as u64 + 1]),
            ("len", _) => number(random, 256, &[0, 1, 4096, 4097, 8192, 1 << 21, u64::MAX]),
            ("start", _) => match random.below(8) {
                0 => random.word(),
                1 => u64::MAX,
                2 => frame(random, known),
                _ => known.device.start + random.below(1 << 14),
            },
            ("index", _) => number(random, 16, &[0, 63, 64]),
            ("slot", _) => number(random, 128, &[0, 1023, 1024]),
            ("id", _) => number(random, 64, &[5, 63, 64]),
            ("cpu", _) => number(random, 2, &[0, 1, 2, 31, 32]),
            ("absolute", _) => random.below(2),
            ("ticks", _) => number(random, 64, &[0, 1]),
            ("value", _) if chance(random, 70) => code(random, known),
            _ => random.word(),
        }
    }
}

/// The first of the ports, and the line, that drivers ask for most.
const PORTS: u64 = 0x1f0;
const LINE: u64 = 14;

fn put(bytes: &mut ArrayVec<u8, { abi::BODY_LEN }>, value: &[u8]) -> Option<()> {
    bytes.try_extend_from_slice(value).ok()
}
