//! The compiled policy: what each service may do, whether it is started at boot or later.
//!
//! `mkimage` compiles it from `system.conf`. It goes into an image as the file [`POLICY_FILE`], which the root system process reads: that one
//! gives a service what its entry says, and nothing else. A header is followed by [`PolicyHeader::count`] entries. Services refer to each other by
//! their places in the table; a set of them is a [`ServiceSet`].

use crate::boot::{BootEntry, MAX_CPUS, NAME_LEN, PRIORITIES};
use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Name of the boot file that holds the policy. No program has it.
pub const POLICY_FILE: &str = "policy";
/// First bytes of a policy.
pub const POLICY_MAGIC: [u8; 8] = *b"SELIXPOL";
/// Version of the layout of header and entries.
pub const POLICY_FORMAT: u32 = 2;
/// Most services that a policy can describe.
pub const MAX_SERVICES: usize = 128;
/// Most interrupt lines of a service.
pub const MAX_IRQS: usize = 16;
/// Most ranges of I/O ports of a service.
pub const MAX_IO_RANGES: usize = 16;
/// Most ranges of physical memory of a service.
pub const MAX_MEMORY_RANGES: usize = 4;
/// Most PCI devices, and most PCI classes, of a service.
pub const MAX_PCI: usize = 8;
/// In [`ServicePolicy::manager`] and [`ServicePolicy::backup`]: the service itself.
pub const ITSELF: u16 = 0xfffe;
/// There, in [`ServicePolicy::backup`], [`ServicePolicy::scheduler`] and [`ServicePolicy::script`]: nobody; the kernel is the scheduler then.
pub const NOBODY: u16 = 0xffff;

/// Services, a bit for each place in the table.
pub type ServiceSet = [u64; MAX_SERVICES / 64];

/// Start of a policy. All numbers are little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct PolicyHeader {
    /// [`POLICY_MAGIC`].
    pub magic: [u8; 8],
    /// [`POLICY_FORMAT`].
    pub format: u32,
    /// [`crate::ABI_VERSION`] whose numbers of calls, traps and flags it uses.
    pub abi: u32,
    /// Number of entries, 1 to [`MAX_SERVICES`].
    pub count: u32,
    /// CRC-32 (IEEE) of the entries, as bytes.
    pub crc32: u32,
    /// Zero.
    pub reserved: [u8; 8],
}

/// A range of I/O ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct IoRange {
    /// The first port.
    pub first: u16,
    /// The last one.
    pub last: u16,
}

/// A range of physical memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct MemoryRange {
    /// The first byte, at the beginning of a page.
    pub start: u64,
    /// Bytes, whole pages.
    pub len: u64,
}

/// A PCI device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct PciDevice {
    /// Who makes it.
    pub vendor: u16,
    /// Which one.
    pub device: u16,
}

/// Devices of a PCI class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct PciClass {
    /// Base class, subclass and interface, from the high byte down; the lowest byte is zero.
    pub class: u32,
    /// Bits of `class` that matter.
    pub mask: u32,
}

/// What a service may do, and what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ServicePolicy {
    /// Name of the service and of its program, of `a-z 0-9 - _`, padded with zeros.
    pub name: [u8; NAME_LEN],
    /// Kernel calls it may make: a bit for each call number, or for a group.
    pub calls: u64,
    /// Calls of the memory server that it may make: a bit for each number.
    pub memory: u64,
    /// Services that it may send to.
    pub sends: ServiceSet,
    /// Services that it may have started, stopped, restarted and updated.
    pub control: ServiceSet,
    /// Traps it may use: bits of [`crate::TrapMask`].
    pub traps: u32,
    /// Bits of [`ServiceFlags`].
    pub flags: u32,
    /// The user that it is.
    pub uid: u32,
    /// How long it may leave a ping unanswered, in milliseconds; 0 if it is not pinged.
    pub heartbeat: u32,
    /// How often it is restarted before it is given up; 0 for no limit.
    pub restarts: u16,
    /// Longest delay before a restart, in periods of a second.
    pub backoff: u16,
    /// Who gets its signals: a place in the table, [`ITSELF`], or [`NOBODY`] for the root system process.
    pub manager: u16,
    /// Who gets them when that one is dead: a place in the table, [`ITSELF`], or [`NOBODY`].
    pub backup: u16,
    /// Who schedules it: a place in the table, or [`NOBODY`] for the kernel.
    pub scheduler: u16,
    /// Length of a turn in milliseconds, at least 1.
    pub quantum: u16,
    /// Its recovery script, which decides what becomes of it when it has died: a place in the table, or [`NOBODY`].
    pub script: u16,
    /// Scheduling queue, below [`PRIORITIES`].
    pub priority: u8,
    /// Number of the processor that it runs on, below [`MAX_CPUS`].
    pub cpu: u8,
    /// How many of `irqs` count.
    pub irq_count: u8,
    /// How many of `io` count.
    pub io_count: u8,
    /// How many of `ranges` count.
    pub range_count: u8,
    /// How many of `devices` count.
    pub device_count: u8,
    /// How many of `classes` count.
    pub class_count: u8,
    /// Zero.
    pub reserved: [u8; 3],
    /// Interrupt lines it may use.
    pub irqs: [u8; MAX_IRQS],
    /// I/O ports it may use.
    pub io: [IoRange; MAX_IO_RANGES],
    /// Physical memory it may map.
    pub ranges: [MemoryRange; MAX_MEMORY_RANGES],
    /// PCI devices it may use.
    pub devices: [PciDevice; MAX_PCI],
    /// PCI classes whose devices it may use.
    pub classes: [PciClass; MAX_PCI],
}

bitflags! {
    /// What a service is to the system, and what becomes of it when it dies.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct ServiceFlags: u32 {
        /// The root system process. There is exactly one.
        const ROOT = 1;
        /// The memory server. There is one at most.
        const PAGER = 1 << 1;
        /// No service: shares the privileges of users.
        const USER = 1 << 2;
        /// The system cannot go on without it: it cannot be brought down, and panics when it is given up.
        const CORE = 1 << 3;
        /// At boot nobody behind it starts before it is initialised.
        const SYNCHRONOUS = 1 << 4;
        /// Its program is kept in memory, so that it can be restarted while no file can be read.
        const KEPT = 1 << 5;
        /// It is not restarted.
        const NO_RESTART = 1 << 6;
        /// It gets a new endpoint when it is restarted.
        const REINCARNATE = 1 << 7;
        /// A stand-by replica is kept.
        const REPLICA = 1 << 8;
        /// May grant memory of others: [`crate::PrivilegeFlags::GRANTS_FOR_OTHERS`].
        const GRANTS_FOR_OTHERS = 1 << 9;
        /// May send to users.
        const SENDS_TO_USERS = 1 << 10;
        /// May be preempted by what is more urgent: [`crate::PrivilegeFlags::PREEMPTIBLE`].
        const PREEMPTIBLE = 1 << 11;
        /// Time that others spend on its behalf is charged to it: [`crate::PrivilegeFlags::BILLABLE`].
        const BILLABLE = 1 << 12;
    }
}

const _: () = assert!(size_of::<PolicyHeader>() == 32 && size_of::<ServicePolicy>() == 344);

/// Why a policy is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyError {
    /// Shorter than its header, its length does not fit the number of entries, or it is not aligned to 8 bytes.
    Length,
    /// Does not start with [`POLICY_MAGIC`].
    Magic,
    /// Another [`POLICY_FORMAT`].
    Format(u32),
    /// Another [`crate::ABI_VERSION`].
    Abi(u32),
    /// No entries, or more than [`MAX_SERVICES`].
    Count(u32),
    /// The checksum of the entries does not fit.
    Checksum,
    /// The entry's name is none, or stands at an entry before it.
    Name(usize),
    /// The entry has a bit or number that means nothing.
    Entry(usize),
    /// So many entries have the flag [`ServiceFlags::ROOT`]; it must be one.
    Roots(usize),
    /// So many entries have the flag [`ServiceFlags::PAGER`]; it must be one at most.
    Pagers(usize),
}

impl core::fmt::Display for PolicyError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            Self::Length => f.write_str("has the wrong length"),
            Self::Magic => f.write_str("is no policy (wrong magic number)"),
            Self::Format(v) => write!(f, "has format {v}, this system reads {POLICY_FORMAT}: build the image again"),
            Self::Abi(v) => {
                write!(f, "is for ABI version {v}, this system has {}: build the image again", crate::ABI_VERSION)
            }
            Self::Count(n) => write!(f, "describes {n} services, should be 1 to {MAX_SERVICES}"),
            Self::Checksum => f.write_str("is damaged (wrong checksum)"),
            Self::Name(i) => write!(f, "entry {i} has no name, or that of another one"),
            Self::Entry(i) => write!(f, "entry {i} has a bit or a number that means nothing"),
            Self::Roots(n) => write!(f, "names {n} root system processes, should be 1"),
            Self::Pagers(n) => write!(f, "names {n} memory servers, should be 0 or 1"),
        }
    }
}

impl core::error::Error for PolicyError {}

impl MemoryRange {
    /// Bytes of a page.
    const PAGE: u64 = 4096;

    /// Whether it is of whole pages, one at least, and ends somewhere.
    fn is_valid(&self) -> bool {
        self.start.is_multiple_of(Self::PAGE)
            && self.len.is_multiple_of(Self::PAGE)
            && self.len > 0
            && self.start.checked_add(self.len).is_some()
    }
}

impl PciClass {
    /// Whether only bits count that a class has, and no others are set.
    fn is_valid(&self) -> bool {
        self.mask & 0xff == 0 && self.class & !self.mask == 0
    }
}

impl PolicyHeader {
    /// The header of a policy with these entries.
    pub fn of(entries: &[ServicePolicy]) -> Self {
        Self {
            magic: POLICY_MAGIC,
            format: POLICY_FORMAT,
            abi: crate::ABI_VERSION,
            count: entries.len() as u32,
            crc32: crc32fast::hash(entries.as_bytes()),
            reserved: [0; 8],
        }
    }
}

impl ServicePolicy {
    /// One that may do nothing, under a name.
    pub const fn nothing(name: [u8; NAME_LEN]) -> Self {
        Self {
            name,
            calls: 0,
            memory: 0,
            sends: [0; MAX_SERVICES / 64],
            control: [0; MAX_SERVICES / 64],
            traps: 0,
            flags: 0,
            uid: 0,
            heartbeat: 0,
            restarts: 0,
            backoff: 0,
            manager: NOBODY,
            backup: NOBODY,
            scheduler: NOBODY,
            quantum: 1,
            script: NOBODY,
            priority: 0,
            cpu: 0,
            irq_count: 0,
            io_count: 0,
            range_count: 0,
            device_count: 0,
            class_count: 0,
            reserved: [0; 3],
            irqs: [0; MAX_IRQS],
            io: [IoRange { first: 0, last: 0 }; MAX_IO_RANGES],
            ranges: [MemoryRange { start: 0, len: 0 }; MAX_MEMORY_RANGES],
            devices: [PciDevice { vendor: 0, device: 0 }; MAX_PCI],
            classes: [PciClass { class: 0, mask: 0 }; MAX_PCI],
        }
    }

    /// The name as text; `None` if it is not a valid one.
    pub fn name(&self) -> Option<&str> {
        BootEntry::decode_name(&self.name)
    }

    /// Whether it has a flag.
    pub const fn has(&self, flag: ServiceFlags) -> bool {
        self.flags & flag.bits() != 0
    }

    /// Its interrupt lines.
    pub fn irqs(&self) -> &[u8] {
        &self.irqs[..usize::from(self.irq_count).min(MAX_IRQS)]
    }

    /// Its I/O ports.
    pub fn io(&self) -> &[IoRange] {
        &self.io[..usize::from(self.io_count).min(MAX_IO_RANGES)]
    }

    /// Its physical memory.
    pub fn ranges(&self) -> &[MemoryRange] {
        &self.ranges[..usize::from(self.range_count).min(MAX_MEMORY_RANGES)]
    }

    /// Its PCI devices.
    pub fn pci_devices(&self) -> &[PciDevice] {
        &self.devices[..usize::from(self.device_count).min(MAX_PCI)]
    }

    /// Its PCI classes.
    pub fn pci_classes(&self) -> &[PciClass] {
        &self.classes[..usize::from(self.class_count).min(MAX_PCI)]
    }

    /// Whether all its numbers mean something in a table of `count` entries.
    fn is_valid(&self, count: usize) -> bool {
        let within = |set: &ServiceSet| services(set).all(|place| place < count);
        let names = |place: u16, special: &[u16]| usize::from(place) < count || special.contains(&place);
        crate::TrapMask::from_bits(self.traps).is_some()
            && ServiceFlags::from_bits(self.flags).is_some()
            && within(&self.sends)
            && within(&self.control)
            && names(self.manager, &[ITSELF, NOBODY])
            && names(self.backup, &[ITSELF, NOBODY])
            && names(self.scheduler, &[NOBODY])
            && names(self.script, &[NOBODY])
            && self.quantum > 0
            && usize::from(self.priority) < PRIORITIES
            && usize::from(self.cpu) < MAX_CPUS
            && usize::from(self.irq_count) <= MAX_IRQS
            && usize::from(self.io_count) <= MAX_IO_RANGES
            && usize::from(self.range_count) <= MAX_MEMORY_RANGES
            && usize::from(self.device_count) <= MAX_PCI
            && usize::from(self.class_count) <= MAX_PCI
            && self.io().iter().all(|range| range.first <= range.last)
            && self.ranges().iter().all(MemoryRange::is_valid)
            && self.pci_classes().iter().all(PciClass::is_valid)
            && self.reserved == [0; 3]
    }
}

/// The places in a set.
pub fn services(set: &ServiceSet) -> impl Iterator<Item = usize> {
    let set = *set;
    (0..MAX_SERVICES).filter(move |place| contains(&set, *place))
}

/// Whether a place is in a set.
pub const fn contains(set: &ServiceSet, place: usize) -> bool {
    place < MAX_SERVICES && set[place / 64] >> (place % 64) & 1 != 0
}

/// Checks all of a policy and returns its entries.
///
/// # Errors
/// The first thing found wrong, see [`PolicyError`].
pub fn parse(bytes: &[u8]) -> Result<&[ServicePolicy], PolicyError> {
    let (header, rest) = PolicyHeader::read_from_prefix(bytes).map_err(|_| PolicyError::Length)?;
    if header.magic != POLICY_MAGIC {
        return Err(PolicyError::Magic);
    }
    if header.format != POLICY_FORMAT {
        return Err(PolicyError::Format(header.format));
    }
    if header.abi != crate::ABI_VERSION {
        return Err(PolicyError::Abi(header.abi));
    }
    let count = header.count as usize;
    if count == 0 || count > MAX_SERVICES {
        return Err(PolicyError::Count(header.count));
    }
    if rest.len() != count * size_of::<ServicePolicy>() {
        return Err(PolicyError::Length);
    }
    if crc32fast::hash(rest) != header.crc32 || header.reserved != [0; 8] {
        return Err(PolicyError::Checksum);
    }
    let entries = <[ServicePolicy]>::ref_from_bytes(rest).map_err(|_| PolicyError::Length)?;
    for (i, entry) in entries.iter().enumerate() {
        if entry.name().is_none() || entries[..i].iter().any(|other| other.name == entry.name) {
            return Err(PolicyError::Name(i));
        }
        if !entry.is_valid(count) {
            return Err(PolicyError::Entry(i));
        }
    }
    let number = |flag| entries.iter().filter(|entry| entry.has(flag)).count();
    match (number(ServiceFlags::ROOT), number(ServiceFlags::PAGER)) {
        (1, 0 | 1) => Ok(entries),
        (1, pagers) => Err(PolicyError::Pagers(pagers)),
        (roots, _) => Err(PolicyError::Roots(roots)),
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;
    use std::vec::Vec;

    fn entry(name: &str) -> ServicePolicy {
        ServicePolicy::nothing(BootEntry::encode_name(name).unwrap())
    }

    fn root() -> ServicePolicy {
        ServicePolicy { flags: ServiceFlags::ROOT.bits(), ..entry("rs") }
    }

    /// The bytes of a policy, at an address that suits the entries.
    fn bytes(header: PolicyHeader, entries: &[ServicePolicy]) -> Vec<u64> {
        let mut all = Vec::from(header.as_bytes());
        all.extend_from_slice(entries.as_bytes());
        all.chunks(8).map(|c| u64::from_ne_bytes(c.try_into().unwrap())).collect()
    }

    fn check(header: PolicyHeader, entries: &[ServicePolicy]) -> Result<usize, PolicyError> {
        parse(bytes(header, entries).as_bytes()).map(<[_]>::len)
    }

    /// The root system process, a service that has something of everything, and a third.
    fn good() -> [ServicePolicy; 3] {
        let mut full = entry("full");
        full.calls = u64::MAX;
        full.memory = u64::MAX;
        full.sends = [0b111, 0];
        full.control = [0b100, 0];
        full.traps = crate::TrapMask::all().bits();
        full.flags = (ServiceFlags::all() - ServiceFlags::ROOT).bits();
        full.uid = u32::MAX;
        full.heartbeat = u32::MAX;
        (full.restarts, full.backoff) = (u16::MAX, u16::MAX);
        (full.manager, full.backup, full.scheduler) = (2, ITSELF, 2);
        full.quantum = u16::MAX;
        full.script = 2;
        (full.priority, full.cpu) = (PRIORITIES as u8 - 1, MAX_CPUS as u8 - 1);
        full.irq_count = MAX_IRQS as u8;
        full.io_count = MAX_IO_RANGES as u8;
        full.range_count = MAX_MEMORY_RANGES as u8;
        (full.device_count, full.class_count) = (MAX_PCI as u8, MAX_PCI as u8);
        full.io[15] = IoRange { first: 0, last: u16::MAX };
        full.ranges = [MemoryRange { start: 0xa_0000, len: 0x1000 }; MAX_MEMORY_RANGES];
        full.classes[7] = PciClass { class: 0x0106_0000, mask: 0xffff_0000 };
        [root(), full, entry("third")]
    }

    #[test]
    fn a_good_policy_is_read_back() {
        let entries = good();
        let words = bytes(PolicyHeader::of(&entries), &entries);
        assert_eq!(parse(words.as_bytes()), Ok(&entries[..]));
        let mut most: Vec<_> = (0..MAX_SERVICES).map(|i| entry(&std::format!("s{i}"))).collect();
        most[MAX_SERVICES - 1].flags = (ServiceFlags::ROOT | ServiceFlags::PAGER).bits();
        most[0].sends = [u64::MAX; 2];
        most[0].manager = MAX_SERVICES as u16 - 1;
        assert_eq!(check(PolicyHeader::of(&most), &most), Ok(MAX_SERVICES));
        most.push(entry("one-more"));
        assert_eq!(check(PolicyHeader::of(&most), &most), Err(PolicyError::Count(129)));
    }

    #[test]
    fn lengths() {
        let entries = good();
        let words = bytes(PolicyHeader::of(&entries), &entries);
        let all = words.as_bytes();
        for len in 0..all.len() {
            assert!(parse(&all[..len]).is_err(), "{len} bytes");
        }
        for len in [0, 31, 32, 33, all.len() - 1, all.len() - size_of::<ServicePolicy>()] {
            assert_eq!(parse(&all[..len]), Err(PolicyError::Length), "{len} bytes");
        }
        let longer = [&words[..], &[0]].concat();
        assert_eq!(parse(longer.as_bytes()), Err(PolicyError::Length));
        // Bytes that follow one another, but begin beside a word.
        let mut beside = std::vec![0u64; words.len() + 1];
        beside.as_mut_bytes()[4..4 + all.len()].copy_from_slice(all);
        assert_eq!(parse(&beside.as_bytes()[4..4 + all.len()]), Err(PolicyError::Length));
    }

    #[test]
    fn every_wrong_field_of_the_header_has_its_error() {
        let entries = good();
        let changed = |change: fn(&mut PolicyHeader)| {
            let mut header = PolicyHeader::of(&entries);
            change(&mut header);
            check(header, &entries).unwrap_err()
        };
        assert_eq!(changed(|h| h.magic[7] ^= 1), PolicyError::Magic);
        assert_eq!(changed(|h| h.format = 1), PolicyError::Format(1));
        assert_eq!(changed(|h| h.abi += 1), PolicyError::Abi(crate::ABI_VERSION + 1));
        assert_eq!(changed(|h| h.count = 0), PolicyError::Count(0));
        assert_eq!(changed(|h| h.count = u32::MAX), PolicyError::Count(u32::MAX));
        assert_eq!(changed(|h| h.count -= 1), PolicyError::Length);
        assert_eq!(changed(|h| h.count += 1), PolicyError::Length);
        assert_eq!(changed(|h| h.crc32 ^= 1), PolicyError::Checksum);
        assert_eq!(changed(|h| h.reserved[7] = 1), PolicyError::Checksum);
    }

    /// What is said of the good policy with its second entry changed.
    #[track_caller]
    fn refused(wanted: PolicyError, change: fn(&mut ServicePolicy)) {
        let mut entries = good();
        change(&mut entries[1]);
        assert_eq!(check(PolicyHeader::of(&entries), &entries), Err(wanted));
    }

    #[test]
    fn every_wrong_field_of_an_entry_is_found() {
        let wrong: &[fn(&mut ServicePolicy)] = &[
            |e| e.sends[0] = 0b1000,
            |e| e.sends[1] = 1 << 63,
            |e| e.control[0] = 0b1000,
            |e| e.control[1] = 1,
            |e| e.traps |= 1,
            |e| e.traps |= 1 << 31,
            |e| e.flags |= 1 << 13,
            |e| e.manager = 3,
            |e| e.manager = ITSELF - 1,
            |e| e.backup = 3,
            |e| e.scheduler = 3,
            |e| e.scheduler = ITSELF,
            |e| e.script = 3,
            |e| e.script = ITSELF,
            |e| e.quantum = 0,
            |e| e.priority = PRIORITIES as u8,
            |e| e.cpu = MAX_CPUS as u8,
            |e| e.irq_count = MAX_IRQS as u8 + 1,
            |e| e.io_count = MAX_IO_RANGES as u8 + 1,
            |e| e.range_count = MAX_MEMORY_RANGES as u8 + 1,
            |e| e.device_count = MAX_PCI as u8 + 1,
            |e| e.class_count = MAX_PCI as u8 + 1,
            |e| e.reserved[2] = 1,
            |e| e.io[15] = IoRange { first: 2, last: 1 },
            |e| e.ranges[3].start = 0xfff,
            |e| e.ranges[3].len = 0,
            |e| e.ranges[3].len = 0x1001,
            |e| e.ranges[3] = MemoryRange { start: 0x1000, len: u64::MAX - 0xfff },
            |e| e.classes[7].mask = 0xffff_00ff,
            |e| e.classes[7].class = 0x0106_0100,
        ];
        for change in wrong {
            refused(PolicyError::Entry(1), *change);
        }
    }

    #[test]
    fn names_differ() {
        refused(PolicyError::Name(1), |e| e.name = [0; NAME_LEN]);
        refused(PolicyError::Name(1), |e| e.name[0] = b'F');
        refused(PolicyError::Name(1), |e| e.name = [b'a'; NAME_LEN]);
        refused(PolicyError::Name(1), |e| e.name[NAME_LEN - 1] = b'a');
        refused(PolicyError::Name(1), |e| e.name = BootEntry::encode_name("rs").unwrap());
        refused(PolicyError::Name(2), |e| e.name = BootEntry::encode_name("third").unwrap());
    }

    #[test]
    fn there_is_one_root_and_one_memory_server_at_most() {
        refused(PolicyError::Roots(2), |e| e.flags |= ServiceFlags::ROOT.bits());
        let none = [entry("a")];
        assert_eq!(check(PolicyHeader::of(&none), &none), Err(PolicyError::Roots(0)));
        let pager = |name| ServicePolicy { flags: ServiceFlags::PAGER.bits(), ..entry(name) };
        let two = [root(), pager("a"), pager("b")];
        assert_eq!(check(PolicyHeader::of(&two), &two), Err(PolicyError::Pagers(2)));
        assert_eq!(check(PolicyHeader::of(&two[..2]), &two[..2]), Ok(2));
    }

    #[test]
    fn sets_of_services() {
        let set = [1 << 3, 1 << 63];
        assert!(services(&set).eq([3, 127]));
        assert!(contains(&set, 127) && !contains(&set, 126) && !contains(&set, MAX_SERVICES));
    }

    #[test]
    fn counts_that_are_too_high_show_no_more_than_there_is() {
        let e = ServicePolicy { irq_count: 255, io_count: 255, range_count: 255, class_count: 255, ..entry("a") };
        assert_eq!((e.irqs().len(), e.io().len()), (MAX_IRQS, MAX_IO_RANGES));
        assert_eq!((e.ranges().len(), e.pci_classes().len()), (MAX_MEMORY_RANGES, MAX_PCI));
        assert!(e.pci_devices().is_empty());
    }

    #[test]
    fn errors_say_what_to_do() {
        assert!(PolicyError::Format(9).to_string().contains("build the image again"));
        assert!(PolicyError::Abi(9).to_string().contains("is for ABI version 9"));
        assert!(PolicyError::Entry(4).to_string().contains("entry 4"));
    }
}
