//! What is drawn for each field of a request.

use crate::fields::Field;
use crate::known::Mapped;
use crate::values::{address, any, chance, code, endpoint, frame, number, page, space, spec};
use crate::{Known, Random};
use abi::Endpoint;
use abi::grant::MAX_GRANTS;
use abi::layout::PAGE_SIZE;
use arrayvec::ArrayVec;
use protocol::CallInfo;
use protocol::kernel::{MAX_COPIES, MAX_DIAG, MAX_PORT_LIST, MAX_PORT_STRING};
use protocol::privctl::DYNAMIC_ID;
use protocol::vmctl::MAX_RUN;
use zerocopy::IntoBytes;

/// What is drawn for one call.
pub(crate) struct Draw<'g> {
    pub(crate) random: &'g mut Random,
    pub(crate) known: &'g Known,
    pub(crate) call: &'static CallInfo,
    /// Most of it is about the same process and space as the last call, and about the same page and frame.
    pub(crate) follows: bool,
    pub(crate) same_page: bool,
    /// It is about this page.
    pub(crate) mapped: Option<Mapped>,
}

impl Draw<'_> {
    /// Draws a field, and puts it behind those before it; `None` if there is no room.
    pub(crate) fn field(
        &mut self,
        field: Field,
        bytes: &mut ArrayVec<u8, { abi::BODY_LEN }>,
        room: usize,
    ) -> Option<()> {
        match field.kind {
            "Endpoint" if self.call.name == "kernel.kill" && chance(self.random, ROOT_KILLED) => {
                put(bytes, &self.known.root.raw().to_le_bytes())
            }
            "Endpoint" if self.call.name == "vmctl.answer_request" && chance(self.random, 50) => {
                let requestor = self.known.requestors.pick(self.random).unwrap_or(Endpoint::NONE);
                put(bytes, &requestor.raw().to_le_bytes())
            }
            "Endpoint" if self.call.name.starts_with("vmctl.supply") && chance(self.random, 50) => {
                let faulting = self.known.faulting.pick(self.random).unwrap_or(Endpoint::NONE);
                put(bytes, &faulting.raw().to_le_bytes())
            }
            "Endpoint" if field.name == "granter" && chance(self.random, 80) => {
                let granter = self.known.granters.pick(self.random).unwrap_or(self.known.me);
                put(bytes, &granter.raw().to_le_bytes())
            }
            "Endpoint" if self.call.name == "kernel.physcopy" && chance(self.random, 40) => {
                put(bytes, &Endpoint::NONE.raw().to_le_bytes())
            }
            "Endpoint" => {
                let recent = self.known.recent.endpoint.filter(|_| self.is_same() && field.name != "destination");
                let name = recent.unwrap_or_else(|| endpoint(self.random, self.known));
                put(bytes, &name.raw().to_le_bytes())
            }
            "GrantId" if self.call.name == "kernel.safemap" && chance(self.random, 50) => {
                put(bytes, &self.random.below(2).to_le_bytes())
            }
            "GrantId" => put(bytes, &number(self.random, 8, &[8, 1 << 20, 1 << 63, u64::MAX]).to_le_bytes()),
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
            "RunAction" => return number(self.random, 3, &[3]),
            // Most of what would end the system is refused.
            "AbortHow" if self.random.below(2) == 0 => return self.random.word(),
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
        if name == "cpu" && self.random.below(4) == 0 {
            return any(self.random, &[4, 31]); // That it can be, and is not.
        }
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
            ("len", copy) if copy.contains("copy") || copy == "kernel.safememset" => match random.below(16) {
                0..=5 => 0,
                6 => any(random, &[4096, 8192, 1 << 21, u64::MAX]),
                _ => random.below(256),
            },
            ("len", _) => number(random, 50, &[0, 1, 40, 41, 48, 49]),
            ("id", _) => match random.below(8) {
                0..=4 => u64::from(DYNAMIC_ID),
                5 => any(random, &[0, 5, 63, 64]),
                6 => random.below(70),
                _ => STATIC_IDS + random.below(8),
            },
            ("index", _) => number(random, 18, &[17, 18]),
            ("nanoseconds", _) => number(random, 1_000_000_000, &[0, 999_999_999, 1_000_000_000]),
            ("reenable" | "available" | "reset_ranges", _) => random.below(2),
            _ => random.word(),
        }
    }

    /// What a page was mapped with, for a call about pages or their frames.
    fn mapped(&mut self, name: &str) -> Option<u64> {
        let mapped = self.mapped?;
        match name {
            "space" | "from" => Some(mapped.space),
            "address" => Some(mapped.page),
            "first" => Some(mapped.frame),
            _ => None,
        }
    }

    /// What the last call named with such a field.
    fn recent(&self, name: &str, of_pages: bool) -> Option<u64> {
        let recent = &self.known.recent;
        match name {
            "space" => recent.space,
            "from" if of_pages => recent.space,
            "to" if of_pages => recent.to,
            // What a page shows already cannot take its place.
            "frame" if self.call.name.ends_with("copy") => None,
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
        if of_pages && let Some(word) = self.mapped(name) {
            return word;
        }
        let (random, known) = (&mut *self.random, self.known);
        match (name, self.call.name) {
            ("address", "vmctl.supply_copy") if chance(random, 60) => address(random, known) / PAGE_SIZE * PAGE_SIZE,
            ("address", _) if of_pages => page(random, known),
            ("from" | "to", _) if of_pages => space(random, known),
            ("address", "kernel.vdevio") if chance(random, 60) => known.samples.ports,
            ("address", "statectl.add_blacklist" | "statectl.add_whitelist") if chance(random, 70) => {
                known.samples.filters
            }
            ("address", "kernel.setgrant") if chance(random, 70) => known.samples.grants,
            ("address", "kernel.vsafecopy") if chance(random, 60) => known.samples.copies,
            ("address", "kernel.safemap" | "kernel.safeunmap" | "kernel.saferevmap_at") if chance(random, 90) => {
                address(random, known) / PAGE_SIZE * PAGE_SIZE
            }
            ("offset" | "len", "kernel.safemap") if chance(random, 90) => random.below(3) * PAGE_SIZE,
            ("from" | "to", "kernel.physcopy") if chance(random, 50) => frame(random, known),
            ("address" | "from" | "to", _) => address(random, known),
            ("offset", _) => number(random, 64, &[0, 1, 4096, u64::MAX]),
            ("first", "kernel.vsafecopy") => number(random, 8, &[8, MAX_COPIES]),
            ("skip", _) if chance(random, 90) => 0,
            ("flags", _) => number(random, 2, &[2, 4]),
            ("count", "kernel.setgrant") => number(random, 16, &[0, 8, MAX_GRANTS, MAX_GRANTS + 1]),
            ("count", "kernel.vsafecopy") => number(random, 9, &[0, MAX_COPIES, MAX_COPIES + 1]),
            ("frame", "kernel.sigreturn") => match known.signal_frames.pick(random) {
                Some(frame) if chance(random, 70) => frame,
                _ => address(random, known),
            },
            ("first", "vmctl.release") if chance(random, 50) => known.unmapped.pick(random).unwrap_or(0),
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

/// Of a hundred signals so many are for the root.
const ROOT_KILLED: u64 = 4;
/// The first privilege id that belongs to a program of the boot set.
const STATIC_IDS: u64 = 5;

/// The first of the ports, and the line, that drivers ask for most.
const PORTS: u64 = 0x1f0;
const LINE: u64 = 14;

fn put(bytes: &mut ArrayVec<u8, { abi::BODY_LEN }>, value: &[u8]) -> Option<()> {
    bytes.try_extend_from_slice(value).ok()
}
