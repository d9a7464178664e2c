//! The boot table: which programs an image boots, and with what authority.
//!
//! `mkimage` compiles it from the image manifest; GRUB hands it to the kernel as the module named [`TABLE_MODULE`]; the
//! kernel starts exactly the programs that it names, in its order, and refuses an image in which a module is missing,
//! surplus, doubled, or other than the table says. A header is followed by [`BootHeader::count`] entries.

use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Name of the module that holds the boot table.
pub const TABLE_MODULE: &str = "boot-table";
/// Name before the kernel's own lines in the log. No program has it: its lines would pass for the kernel's.
pub const KERNEL_LOG_NAME: &str = "selix";
/// First bytes of a boot table.
pub const TABLE_MAGIC: [u8; 8] = *b"SELIXBT\0";
/// Version of the layout of header and entries.
pub const TABLE_FORMAT: u32 = 3;
/// Most programs in a boot table: each has a privilege id that goes with its place, see [`crate::PrivilegeId`].
pub const MAX_PROGRAMS: usize = 58;
/// Bytes of a program's name, padded with zeros; so a name has 1 to 15 characters.
pub const NAME_LEN: usize = 16;
/// Most processors that programs can run on.
pub const MAX_CPUS: usize = 8;
/// Number of scheduling queues; 0 is the most urgent.
pub const PRIORITIES: usize = 16;

/// Start of a boot table. All numbers are little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct BootHeader {
    /// [`TABLE_MAGIC`].
    pub magic: [u8; 8],
    /// [`TABLE_FORMAT`].
    pub format: u32,
    /// [`crate::ABI_VERSION`] that the programs were checked for.
    pub abi: u32,
    /// Number of entries, 1 to [`MAX_PROGRAMS`].
    pub count: u32,
    /// CRC-32 (IEEE) of the entries, as bytes.
    pub crc32: u32,
    /// Zero.
    pub reserved: [u8; 8],
}

/// One boot program. It gets the slot and the endpoint of its place in the table; what it may do, the root system process
/// grants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct BootEntry {
    /// Name, of `a-z 0-9 - _`, padded with zeros. The module of that name is its ELF file.
    pub name: [u8; NAME_LEN],
    /// Bytes of the ELF file.
    pub size: u64,
    /// CRC-32 (IEEE) of the ELF file: tells a damaged or foreign file, not a malicious one.
    pub crc32: u32,
    /// Traps it may use: bits of [`crate::TrapMask`].
    pub traps: u32,
    /// Programs it may send to: a bit for each place in the table.
    pub sends: u64,
    /// Kernel calls it may make: a bit for each call number.
    pub calls: u64,
    /// Scheduling queue, below [`PRIORITIES`].
    pub priority: u8,
    /// Number of the processor that it runs on, below [`MAX_CPUS`]; on a machine that has fewer, it runs on the first, 0.
    pub cpu: u8,
    /// What it is to the system: bits of [`BootFlags`].
    pub flags: u16,
    /// Zero.
    pub reserved: [u8; 4],
    /// Calls of the memory server that it may make: a bit for each number.
    pub memory: u64,
}

bitflags! {
    /// What a boot program is to the system.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct BootFlags: u16 {
        /// The root system process: the only one that the kernel lets run. It gives the others the authority that stands in
        /// their entries, and lets them run. A table has exactly one.
        const ROOT = 1;
        /// The memory server. A table has at most one.
        const PAGER = 1 << 1;
        /// The memory server loads it: the kernel makes a process without memory and keeps its file for the server. Neither the
        /// root system process nor the memory server itself, and only in a table that has one.
        const SERVED = 1 << 2;
        /// It may grant memory of others, and have copies fail instead of waiting for the memory server: see
        /// [`crate::PrivilegeFlags::GRANTS_FOR_OTHERS`].
        const GRANTS_FOR_OTHERS = 1 << 3;
    }
}

const _: () = assert!(size_of::<BootHeader>() == 32 && size_of::<BootEntry>() == 64);

/// Why a boot table is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableError {
    /// Shorter than its header, or its length does not fit the number of entries.
    Length {
        /// Bytes that header and count ask for.
        expected: usize,
        /// Bytes there are.
        found: usize,
    },
    /// Does not start with [`TABLE_MAGIC`].
    Magic,
    /// Another [`TABLE_FORMAT`].
    Format(u32),
    /// Another [`crate::ABI_VERSION`].
    Abi(u32),
    /// No entries, or more than [`MAX_PROGRAMS`].
    Count(u32),
    /// The checksum of the entries does not fit.
    Checksum,
    /// The entry's name is empty, not terminated, has other characters than `a-z 0-9 - _`, or is [`TABLE_MODULE`] or
    /// [`KERNEL_LOG_NAME`].
    Name(usize),
    /// Two entries have the same name.
    Duplicate(usize, usize),
    /// The entry has a bit or number that means nothing: an unknown trap or flag, a target beyond the table, a priority or
    /// processor out of range, or reserved bytes that are not zero.
    Entry(usize),
    /// So many entries have the flag [`BootFlags::ROOT`]; it must be one.
    Roots(usize),
    /// So many entries have the flag [`BootFlags::PAGER`]; it must be one at most.
    Pagers(usize),
    /// The entry has the flag [`BootFlags::SERVED`] and cannot.
    Served(usize),
}

impl core::fmt::Display for TableError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            Self::Length { expected, found } => write!(f, "is {found} bytes long, should be {expected}"),
            Self::Magic => f.write_str("is no boot table (wrong magic number)"),
            Self::Format(v) => {
                write!(f, "has format {v}, this kernel reads {TABLE_FORMAT}: see UPDATING.md, build the image again")
            }
            Self::Abi(v) => write!(
                f,
                "has ABI version {v}, this kernel has {}: see UPDATING.md, build the programs again",
                crate::ABI_VERSION
            ),
            Self::Count(n) => write!(f, "names {n} programs, should be 1 to {MAX_PROGRAMS}"),
            Self::Checksum => f.write_str("is damaged (wrong checksum)"),
            Self::Name(i) => write!(f, "entry {i} has no valid name"),
            Self::Duplicate(i, j) => write!(f, "entries {i} and {j} have the same name"),
            Self::Entry(i) => {
                write!(
                    f,
                    "entry {i} has an unknown trap, target or flag, a bad priority or processor, or reserved bytes set"
                )
            }
            Self::Roots(n) => write!(f, "names {n} root system processes, should be 1"),
            Self::Pagers(n) => write!(f, "names {n} memory servers, should be 0 or 1"),
            Self::Served(i) => {
                write!(f, "lets the memory server load entry {i}, which it cannot")
            }
        }
    }
}

impl core::error::Error for TableError {}

impl BootHeader {
    /// The header of a table with these entries.
    pub fn of(entries: &[BootEntry]) -> Self {
        Self {
            magic: TABLE_MAGIC,
            format: TABLE_FORMAT,
            abi: crate::ABI_VERSION,
            count: entries.len() as u32,
            crc32: crc32fast::hash(entries.as_bytes()),
            reserved: [0; 8],
        }
    }
}

impl BootEntry {
    /// The name as text; `None` if it is not a valid one.
    pub fn name(&self) -> Option<&str> {
        Self::decode_name(&self.name)
    }

    /// A name field as text; `None` if it is not a valid name.
    pub fn decode_name(name: &[u8; NAME_LEN]) -> Option<&str> {
        let len = name.iter().position(|&b| b == 0)?;
        let (text, padding) = name.split_at(len);
        let valid = |&b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        (len > 0 && text.iter().all(valid) && padding.iter().all(|&b| b == 0))
            .then(|| core::str::from_utf8(text).ok())?
    }

    /// Whether it has a flag.
    pub fn has(&self, flag: BootFlags) -> bool {
        self.flags & flag.bits() != 0
    }

    /// `text` as the name field of an entry; `None` if it is not a valid name.
    pub fn encode_name(text: &str) -> Option<[u8; NAME_LEN]> {
        let mut name = [0; NAME_LEN];
        name.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        let entry = Self {
            name,
            size: 0,
            crc32: 0,
            traps: 0,
            sends: 0,
            calls: 0,
            priority: 0,
            cpu: 0,
            flags: 0,
            memory: 0,
            reserved: [0; 4],
        };
        entry.name().map(|_| name)
    }
}

/// Checks all of a boot table and returns its entries.
///
/// # Errors
/// The first thing found wrong, see [`TableError`].
pub fn parse(bytes: &[u8]) -> Result<&[BootEntry], TableError> {
    let length = |expected| TableError::Length { expected, found: bytes.len() };
    let (header, rest) = BootHeader::read_from_prefix(bytes).map_err(|_| length(size_of::<BootHeader>()))?;
    if header.magic != TABLE_MAGIC {
        return Err(TableError::Magic);
    }
    if header.format != TABLE_FORMAT {
        return Err(TableError::Format(header.format));
    }
    if header.abi != crate::ABI_VERSION {
        return Err(TableError::Abi(header.abi));
    }
    if header.count == 0 || header.count as usize > MAX_PROGRAMS {
        return Err(TableError::Count(header.count));
    }
    let expected = header.count as usize * size_of::<BootEntry>();
    if rest.len() != expected {
        return Err(length(size_of::<BootHeader>() + expected));
    }
    if crc32fast::hash(rest) != header.crc32 || header.reserved != [0; 8] {
        return Err(TableError::Checksum);
    }
    // Modules lie on page boundaries, so only a caller's own mistake can misalign the entries.
    let entries = <[BootEntry]>::ref_from_bytes(rest).map_err(|_| TableError::Magic)?;
    let targets = (1 << entries.len()) - 1;
    for (i, e) in entries.iter().enumerate() {
        if e.name().is_none_or(|name| [TABLE_MODULE, KERNEL_LOG_NAME].contains(&name)) {
            return Err(TableError::Name(i));
        }
        if let Some(j) = entries[..i].iter().position(|other| other.name == e.name) {
            return Err(TableError::Duplicate(j, i));
        }
        let known = crate::TrapMask::from_bits(e.traps).is_some()
            && BootFlags::from_bits(e.flags).is_some()
            && e.sends & !targets == 0;
        let in_range = usize::from(e.priority) < PRIORITIES && usize::from(e.cpu) < MAX_CPUS;
        if !known || !in_range || e.reserved != [0; 4] {
            return Err(TableError::Entry(i));
        }
    }
    let count = |flag| entries.iter().filter(|e| e.has(flag)).count();
    match (count(BootFlags::ROOT), count(BootFlags::PAGER)) {
        (1, 0 | 1) => {}
        (1, pagers) => return Err(TableError::Pagers(pagers)),
        (roots, _) => return Err(TableError::Roots(roots)),
    }
    let has_server = count(BootFlags::PAGER) > 0;
    let cannot =
        |e: &BootEntry| e.has(BootFlags::SERVED) && (!has_server || e.has(BootFlags::ROOT) || e.has(BootFlags::PAGER));
    entries.iter().position(cannot).map_or(Ok(entries), |i| Err(TableError::Served(i)))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    fn entry(name: &str) -> BootEntry {
        BootEntry {
            name: BootEntry::encode_name(name).unwrap(),
            size: 4096,
            crc32: 7,
            traps: crate::TrapMask::SENDREC.bits(),
            sends: 1,
            calls: u64::MAX,
            priority: 7,
            cpu: 0,
            flags: BootFlags::ROOT.bits(),
            memory: 0,
            reserved: [0; 4],
        }
    }

    fn plain(name: &str) -> BootEntry {
        BootEntry { flags: 0, ..entry(name) }
    }

    /// The bytes of a table, at an address that suits the entries.
    fn bytes(header: BootHeader, entries: &[BootEntry]) -> Vec<u64> {
        let mut all = Vec::from(header.as_bytes());
        all.extend_from_slice(entries.as_bytes());
        all.chunks(8).map(|c| u64::from_ne_bytes(c.try_into().unwrap())).collect()
    }

    fn check(header: BootHeader, entries: &[BootEntry]) -> Result<usize, TableError> {
        parse(bytes(header, entries).as_bytes()).map(<[_]>::len)
    }

    #[test]
    fn a_good_table_is_read_back() {
        let entries = [entry("echo"), plain("ping-2")];
        assert_eq!(check(BootHeader::of(&entries), &entries), Ok(2));
        let mut full: Vec<_> = (0..MAX_PROGRAMS).map(|i| plain(&std::format!("p{i}"))).collect();
        full[MAX_PROGRAMS / 2].flags = (BootFlags::ROOT | BootFlags::PAGER).bits();
        assert_eq!(check(BootHeader::of(&full), &full), Ok(MAX_PROGRAMS));
    }

    #[test]
    fn every_wrong_header_field_has_its_error() {
        let e = [entry("echo")];
        let good = BootHeader::of(&e);
        assert_eq!(check(BootHeader { magic: *b"SELIXBT1", ..good }, &e), Err(TableError::Magic));
        assert_eq!(check(BootHeader { format: 1, ..good }, &e), Err(TableError::Format(1)));
        assert_eq!(check(BootHeader { abi: 9, ..good }, &e), Err(TableError::Abi(9)));
        assert_eq!(check(BootHeader { count: 0, ..good }, &e), Err(TableError::Count(0)));
        assert_eq!(check(BootHeader { count: u32::MAX, ..good }, &e), Err(TableError::Count(u32::MAX)));
        assert_eq!(check(BootHeader { count: 2, ..good }, &e), Err(TableError::Length { expected: 160, found: 96 }));
        assert_eq!(check(BootHeader { crc32: !good.crc32, ..good }, &e), Err(TableError::Checksum));
        assert_eq!(check(BootHeader { reserved: [1; 8], ..good }, &e), Err(TableError::Checksum));
    }

    #[test]
    fn truncated_at_every_byte() {
        let e = [entry("echo"), plain("ping")];
        let all = bytes(BootHeader::of(&e), &e);
        for n in 0..all.as_bytes().len() {
            assert!(parse(&all.as_bytes()[..n]).is_err(), "{n} bytes");
        }
    }

    #[test]
    fn every_wrong_entry_field_has_its_error() {
        let good = entry("echo");
        let refused = |e: BootEntry| check(BootHeader::of(&[e]), &[e]).unwrap_err();
        for name in [
            *b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            *b"sixteen-letters!",
            *b"Echo\0\0\0\0\0\0\0\0\0\0\0\0",
            *b"a\0b\0\0\0\0\0\0\0\0\0\0\0\0\0",
        ] {
            assert_eq!(refused(BootEntry { name, ..good }), TableError::Name(0));
        }
        for taken in [TABLE_MODULE, KERNEL_LOG_NAME] {
            let name = BootEntry::encode_name(taken).unwrap();
            assert_eq!(refused(BootEntry { name, ..good }), TableError::Name(0));
        }
        assert_eq!(refused(BootEntry { traps: 1, ..good }), TableError::Entry(0));
        assert_eq!(refused(BootEntry { sends: 2, ..good }), TableError::Entry(0));
        assert_eq!(refused(BootEntry { priority: 16, ..good }), TableError::Entry(0));
        assert_eq!(refused(BootEntry { cpu: 8, ..good }), TableError::Entry(0));
        assert_eq!(refused(BootEntry { flags: good.flags | 1 << 4, ..good }), TableError::Entry(0));
        assert_eq!(refused(BootEntry { reserved: [1; 4], ..good }), TableError::Entry(0));
        let twice = [good, plain("ping"), good];
        assert_eq!(check(BootHeader::of(&twice), &twice), Err(TableError::Duplicate(0, 2)));
    }

    #[test]
    fn there_is_one_root_and_at_most_one_pager() {
        let table = |flags: [BootFlags; 3]| {
            let entries: Vec<_> = ["a", "b", "c"]
                .iter()
                .zip(flags)
                .map(|(name, flags)| BootEntry { flags: flags.bits(), ..entry(name) })
                .collect();
            check(BootHeader::of(&entries), &entries)
        };
        let (none, root, pager) = (BootFlags::empty(), BootFlags::ROOT, BootFlags::PAGER);
        let served = BootFlags::SERVED;
        assert_eq!(table([root, served, pager]), Ok(3));
        assert_eq!(table([root, served, none]), Err(TableError::Served(1)));
        assert_eq!(table([root | served, none, pager]), Err(TableError::Served(0)));
        assert_eq!(table([root, none, pager | served]), Err(TableError::Served(2)));
        assert_eq!(table([none, none, root]), Ok(3));
        assert_eq!(table([pager, root, none]), Ok(3));
        assert_eq!(table([none, none, pager]), Err(TableError::Roots(0)));
        assert_eq!(table([root, none, root]), Err(TableError::Roots(2)));
        assert_eq!(table([pager, root, pager]), Err(TableError::Pagers(2)));
    }

    #[test]
    fn names() {
        assert!(BootEntry::encode_name("").is_none());
        assert!(BootEntry::encode_name("fifteen-letters").is_some());
        assert!(BootEntry::encode_name("sixteen-letters-").is_none());
        assert!(BootEntry::encode_name("Echo").is_none());
        assert!(BootEntry::encode_name("e cho").is_none());
    }
}
