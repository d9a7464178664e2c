//! The few facts that the kernel needs of the firmware's tables: processors and interrupt controllers (ACPI specification
//! 6.5: 5.2.6 headers, 5.2.7 RSDT, 5.2.8 XSDT, 5.2.12 MADT). Tables are foreign bytes: every length is checked.

use crate::lines::{Polarity, Trigger};
use arrayvec::ArrayVec;

/// Most processors that are noted.
pub const MAX_CPUS: usize = 64;
/// Most I/O APICs that are noted.
pub const MAX_IO_APICS: usize = 8;
/// Number of interrupts of the ISA bus, each of which may have an entry of its own.
pub const ISA_INTERRUPTS: usize = 16;
/// Bytes of the header that every table begins with.
pub const HEADER_LEN: usize = 36;
/// No table that we read is longer; a longer one is damaged.
const MAX_TABLE_LEN: usize = 1 << 16;

/// Where the firmware's tables begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootTable {
    /// Physical address of the table with 32-bit pointers.
    Rsdt(u64),
    /// Physical address of the table with 64-bit pointers.
    Xsdt(u64),
}

/// An I/O APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoApicInfo {
    /// Physical address of its registers.
    pub address: u32,
    /// Number of its first input among all interrupts of the machine.
    pub first_interrupt: u32,
}

/// How a signal says that it interrupts, where the firmware tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signal {
    /// By an edge or a level; `None` as is usual on its bus.
    pub trigger: Option<Trigger>,
    /// While high or low; `None` as is usual on its bus.
    pub polarity: Option<Polarity>,
}

/// An ISA interrupt that is not wired to the input of its own number, or signals in another way than is usual on that bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Override {
    /// Number of the interrupt on the ISA bus, below [`ISA_INTERRUPTS`].
    pub isa: u8,
    /// Number of its input among all interrupts of the machine.
    pub interrupt: u32,
    /// How it signals.
    pub signal: Signal,
}

/// What the MADT says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Madt {
    /// Physical address of the local APICs' registers.
    pub local_apic: u64,
    /// APIC ids of the processors that can be used.
    pub cpus: ArrayVec<u32, MAX_CPUS>,
    /// The I/O APICs.
    pub io_apics: ArrayVec<IoApicInfo, MAX_IO_APICS>,
    /// What is special about ISA interrupts; at most one entry for each.
    pub overrides: ArrayVec<Override, ISA_INTERRUPTS>,
}

/// Finds the MADT through the root table; `None` if there is none, or it is damaged. `map` makes physical memory readable:
/// address and number of bytes.
pub fn find_madt<'a>(root: RootTable, mut map: impl FnMut(u64, usize) -> Option<&'a [u8]>) -> Option<Madt> {
    let (address, signature, width) = match root {
        RootTable::Rsdt(address) => (address, b"RSDT", 4),
        RootTable::Xsdt(address) => (address, b"XSDT", 8),
    };
    let root = table(&mut map, address, signature)?;
    root.get(HEADER_LEN..)?.chunks_exact(width).find_map(|pointer| {
        let mut address = [0; 8];
        address[..width].copy_from_slice(pointer);
        parse_madt(table(&mut map, u64::from_le_bytes(address), b"APIC")?)
    })
}

/// The table at a physical address, if it has this signature and its checksum is right.
fn table<'a>(
    map: &mut impl FnMut(u64, usize) -> Option<&'a [u8]>,
    physical: u64,
    signature: &[u8; 4],
) -> Option<&'a [u8]> {
    let header = map(physical, HEADER_LEN)?;
    if header.get(..4)? != signature {
        return None;
    }
    let len = u32_at(header, 4)? as usize;
    let table = map(physical, Some(len).filter(|len| (HEADER_LEN..=MAX_TABLE_LEN).contains(len))?)?;
    (table.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)) == 0).then_some(table)
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(offset..offset + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(offset..offset + 8)?.try_into().ok()?))
}

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(offset..offset + 2)?.try_into().ok()?))
}

/// Reads flags of an interrupt (ACPI, table 5.26, "MPS INTI flags"). A value that means nothing is taken for "as usual".
fn signal(flags: u16) -> Signal {
    let polarity = match flags & 0b11 {
        0b01 => Some(Polarity::High),
        0b11 => Some(Polarity::Low),
        _ => None,
    };
    let trigger = match flags >> 2 & 0b11 {
        0b01 => Some(Trigger::Edge),
        0b11 => Some(Trigger::Level),
        _ => None,
    };
    Signal { trigger, polarity }
}

/// Notes an override, unless it is of another bus or the interrupt has one.
fn add_override(madt: &mut Madt, entry: &[u8]) -> Option<()> {
    const ISA: u8 = 0;
    let &[_, _, bus, isa, ..] = entry else { return None };
    let new = Override { isa, interrupt: u32_at(entry, 4)?, signal: signal(u16_at(entry, 8)?) };
    let taken = madt.overrides.iter().any(|other| other.isa == isa);
    if bus == ISA && usize::from(isa) < ISA_INTERRUPTS && !taken {
        _ = madt.overrides.try_push(new);
    }
    Some(())
}

/// Reads a whole MADT. What there is no room for is left out.
fn parse_madt(table: &[u8]) -> Option<Madt> {
    const LOCAL_APIC: u8 = 0;
    const IO_APIC: u8 = 1;
    const INTERRUPT_OVERRIDE: u8 = 2;
    const LOCAL_APIC_ADDRESS: u8 = 5;
    const LOCAL_X2APIC: u8 = 9;
    const ENABLED: u32 = 1;
    let mut madt = Madt {
        local_apic: u32_at(table, HEADER_LEN)?.into(),
        cpus: ArrayVec::new(),
        io_apics: ArrayVec::new(),
        overrides: ArrayVec::new(),
    };
    let mut rest = table.get(HEADER_LEN + 8..)?;
    while let [kind, len, ..] = *rest {
        // An entry shorter than its own header would never end.
        let entry = rest.get(..len.max(2).into())?;
        rest = &rest[entry.len()..];
        match kind {
            LOCAL_APIC if u32_at(entry, 4)? & ENABLED != 0 => _ = madt.cpus.try_push(entry[3].into()),
            LOCAL_X2APIC if u32_at(entry, 8)? & ENABLED != 0 => _ = madt.cpus.try_push(u32_at(entry, 4)?),
            IO_APIC => {
                let info = IoApicInfo { address: u32_at(entry, 4)?, first_interrupt: u32_at(entry, 8)? };
                _ = madt.io_apics.try_push(info);
            }
            INTERRUPT_OVERRIDE => add_override(&mut madt, entry)?,
            LOCAL_APIC_ADDRESS => madt.local_apic = u64_at(entry, 4)?,
            _ => {}
        }
    }
    Some(madt)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    const ROOT_AT: u64 = 0x1000;
    const MADT_AT: u64 = 0x2000;

    /// A table with a right length and checksum.
    fn sealed(signature: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let mut table = std::vec![0; HEADER_LEN];
        table[..4].copy_from_slice(signature);
        table.extend_from_slice(body);
        let len = table.len() as u32;
        table[4..8].copy_from_slice(&len.to_le_bytes());
        table[9] = 0_u8.wrapping_sub(table.iter().fold(0, |sum, b| sum.wrapping_add(*b)));
        table
    }

    fn madt() -> Vec<u8> {
        let mut body = Vec::from(0xfee0_0000_u32.to_le_bytes());
        body.extend([1, 0, 0, 0]);
        body.extend([0, 8, 0, 3, 1, 0, 0, 0]); // Processor with APIC id 3.
        body.extend([0, 8, 1, 4, 0, 0, 0, 0]); // One that is not there.
        body.extend([1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 24, 0, 0, 0]); // I/O APIC.
        body.extend([2, 10, 0, 0, 2, 0, 0, 0, 0, 0]); // ISA interrupt 0 at input 2, as usual.
        body.extend([2, 10, 0, 9, 0, 1, 0, 0, 13, 0]); // 9 at input 256, level, active high.
        body.extend([4, 6, 255, 0, 0, 1]); // Something else.
        body.extend([9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]); // Processor with x2APIC id 256.
        sealed(b"APIC", &body)
    }

    fn find(root: RootTable, root_table: &[u8], madt: &[u8]) -> Option<Madt> {
        find_madt(root, |address, len| match address {
            ROOT_AT => root_table.get(..len),
            MADT_AT => madt.get(..len),
            _ => None,
        })
    }

    #[test]
    fn the_madt_is_found_through_both_kinds_of_root() {
        let rsdt = sealed(b"RSDT", &[0x9000_u32.to_le_bytes(), (MADT_AT as u32).to_le_bytes()].concat());
        let xsdt = sealed(b"XSDT", &[0x9000_u64.to_le_bytes(), MADT_AT.to_le_bytes()].concat());
        let found = find(RootTable::Rsdt(ROOT_AT), &rsdt, &madt()).unwrap();
        assert_eq!(Some(&found), find(RootTable::Xsdt(ROOT_AT), &xsdt, &madt()).as_ref());
        assert_eq!((found.local_apic, found.cpus.as_slice()), (0xfee0_0000, &[3, 256][..]));
        assert_eq!(found.io_apics.as_slice(), [IoApicInfo { address: 0xfec0_0000, first_interrupt: 24 }]);
        let level_high = Signal { trigger: Some(Trigger::Level), polarity: Some(Polarity::High) };
        let moved = Override { isa: 0, interrupt: 2, signal: Signal::default() };
        let changed = Override { isa: 9, interrupt: 256, signal: level_high };
        assert_eq!(found.overrides.as_slice(), [moved, changed]);
    }

    /// What one override entry comes to.
    fn read_override(entry: [u8; 10]) -> Option<Override> {
        let body = [&[0; 8][..], &entry].concat();
        parse_madt(&sealed(b"APIC", &body)).unwrap().overrides.first().copied()
    }

    #[test]
    fn flags_of_overrides() {
        let (high, low) = (Some(Polarity::High), Some(Polarity::Low));
        let (edge, level) = (Some(Trigger::Edge), Some(Trigger::Level));
        // The third value of each two bits is reserved.
        let polarities = [None, high, None, low];
        let triggers = [None, edge, None, level];
        for flags in 0..16_u8 {
            let polarity = polarities[usize::from(flags & 3)];
            let trigger = triggers[usize::from(flags >> 2)];
            let read = read_override([2, 10, 0, 1, 1, 0, 0, 0, flags, 0xff]).unwrap();
            assert_eq!(read.signal, Signal { trigger, polarity }, "{flags:#b}");
        }
    }

    #[test]
    fn overrides_of_nothing_that_we_know_are_left_out() {
        assert!(read_override([2, 10, 0, 15, 1, 0, 0, 0, 0, 0]).is_some());
        assert_eq!(read_override([2, 10, 0, 16, 1, 0, 0, 0, 0, 0]), None, "no such ISA interrupt");
        assert_eq!(read_override([2, 10, 1, 15, 1, 0, 0, 0, 0, 0]), None, "another bus");
        let body = [&[0; 8][..], &[2, 10, 0, 1, 5, 0, 0, 0, 0, 0], &[2, 10, 0, 1, 6, 0, 0, 0, 0, 0]].concat();
        let twice = parse_madt(&sealed(b"APIC", &body)).unwrap().overrides;
        assert_eq!(twice.iter().map(|o| o.interrupt).collect::<Vec<_>>(), [5], "the first one counts");
        let short = [&[0; 8][..], &[2, 9, 0, 1, 5, 0, 0, 0, 0]].concat();
        assert_eq!(parse_madt(&sealed(b"APIC", &short)), None, "an entry that is too short");
    }

    #[test]
    fn damaged_tables_are_none() {
        let xsdt = sealed(b"XSDT", &MADT_AT.to_le_bytes());
        let found = |xsdt: &[u8], madt: &[u8]| find(RootTable::Xsdt(ROOT_AT), xsdt, madt);
        assert!(found(&xsdt, &madt()).is_some());
        for i in 0..madt().len() {
            let mut bad = madt();
            bad[i] ^= 0x40;
            assert_eq!(found(&xsdt, &bad), None, "byte {i} of the MADT");
            assert_eq!(found(&xsdt, &madt()[..i]), None, "{i} bytes of the MADT");
        }
        for i in 0..xsdt.len() {
            let mut bad = xsdt.clone();
            bad[i] ^= 0x40;
            assert_eq!(found(&bad, &madt()), None, "byte {i} of the XSDT");
        }
        assert_eq!(find(RootTable::Rsdt(ROOT_AT), &xsdt, &madt()), None, "the wrong kind of root");
    }

    #[test]
    fn more_processors_than_there_is_room_for_are_left_out() {
        let mut body = std::vec![0; 8];
        for id in 0..100 {
            body.extend([0, 8, 0, id, 1, 0, 0, 0]);
        }
        assert_eq!(parse_madt(&sealed(b"APIC", &body)).unwrap().cpus.len(), MAX_CPUS);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_hang(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_madt(&sealed(b"APIC", &body));
        }
    }
}
