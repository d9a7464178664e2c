//! The few facts that the kernel needs of the firmware's tables: processors and interrupt controllers (ACPI specification
//! 6.5, 5.2.7 RSDT, 5.2.8 XSDT, 5.2.12 MADT). Tables are foreign bytes: every length is checked.

use crate::boot_info::RootTable;
use crate::memory::{Cache, Memory};
use arrayvec::ArrayVec;

/// Most processors that are noted.
pub const MAX_CPUS: usize = 64;
/// Most I/O APICs that are noted.
pub const MAX_IO_APICS: usize = 8;

const HEADER_LEN: usize = 36;
/// No table that we read is longer; a longer one is damaged.
const MAX_TABLE_LEN: usize = 1 << 16;

/// An I/O APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoApicInfo {
    /// Physical address of its registers.
    pub address: u32,
    /// Number of its first input among all interrupts of the machine.
    pub first_interrupt: u32,
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
}

/// Finds the MADT through the root table; `None` if there is none, or it is damaged.
pub fn find_madt(memory: &mut Memory, root: RootTable) -> Option<Madt> {
    let (address, signature, width) = match root {
        RootTable::Rsdt(address) => (address, *b"RSDT", 4),
        RootTable::Xsdt(address) => (address, *b"XSDT", 8),
    };
    let root = map_table(memory, address, Some(&signature))?;
    root.get(HEADER_LEN..)?.chunks_exact(width).find_map(|pointer| {
        let mut address = [0; 8];
        address[..width].copy_from_slice(pointer);
        parse_madt(map_table(memory, u64::from_le_bytes(address), Some(b"APIC"))?)
    })
}

/// A table with this signature at a physical address, if its checksum is right.
fn map_table(memory: &mut Memory, physical: u64, signature: Option<&[u8; 4]>) -> Option<&'static [u8]> {
    let header = map(memory, physical, HEADER_LEN)?;
    if signature.is_some_and(|s| header[..4] != *s) {
        return None;
    }
    let len = u32_at(header, 4)? as usize;
    let table = map(memory, physical, Some(len).filter(|len| (HEADER_LEN..=MAX_TABLE_LEN).contains(len))?)?;
    (table.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)) == 0).then_some(table)
}

fn map(memory: &mut Memory, physical: u64, len: usize) -> Option<&'static [u8]> {
    let address = memory.map_device(physical, len as u64, Cache::Normal)?;
    // SAFETY: mapped just now, for good; nobody writes firmware tables any more.
    Some(unsafe { core::slice::from_raw_parts(address as *const u8, len) })
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(offset..offset + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(offset..offset + 8)?.try_into().ok()?))
}

/// Reads a whole MADT. What there is no room for is left out.
fn parse_madt(table: &[u8]) -> Option<Madt> {
    const LOCAL_APIC: u8 = 0;
    const IO_APIC: u8 = 1;
    const LOCAL_APIC_ADDRESS: u8 = 5;
    const LOCAL_X2APIC: u8 = 9;
    const ENABLED: u32 = 1;
    let mut madt =
        Madt { local_apic: u32_at(table, HEADER_LEN)?.into(), cpus: ArrayVec::new(), io_apics: ArrayVec::new() };
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
            LOCAL_APIC_ADDRESS => madt.local_apic = u64_at(entry, 4)?,
            _ => {}
        }
    }
    Some(madt)
}
