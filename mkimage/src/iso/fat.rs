//! The serial number of the FAT file system that UEFI boots from: mtools takes it from the clock.

/// Bytes in a sector of an ISO 9660 image. ECMA-119, section 6.1.2.
const SECTOR: usize = 2048;
/// Sector of the boot record. El Torito 1.0, section 2.0.
const BOOT_RECORD: usize = 17;
const BOOT_RECORD_ID: &[u8] = b"\0CD001\x01EL TORITO SPECIFICATION\0";
/// Where the boot record has the sector of the boot catalog.
const CATALOG_POINTER: usize = 0x47;
/// Bytes of an entry of the boot catalog.
const CATALOG_ENTRY: usize = 32;
/// First byte of a section header; the second one says that no other section follows.
const SECTION_HEADERS: [u8; 2] = [0x90, 0x91];
/// Platform of a section for UEFI. UEFI specification 2.10, section 13.3.2.1.
const PLATFORM_EFI: u8 = 0xef;
/// Where a section's entry has the sector of its image.
const IMAGE_POINTER: usize = 8;
/// In the first sector of a FAT12 or FAT16 file system: the mark that a serial number follows.
const SERIAL_MARK: usize = 0x26;
const SERIAL_FOLLOWS: u8 = 0x29;
const SERIAL: usize = 0x27;
/// The serial number of ours.
const OUR_SERIAL: [u8; 4] = *b"SELX";

/// Gives the file system for UEFI in an ISO its fixed serial number; `None` if there is no such file system.
pub(super) fn fix_serial(iso: &mut [u8]) -> Option<()> {
    let record = iso.get(BOOT_RECORD * SECTOR..)?;
    if !record.starts_with(BOOT_RECORD_ID) {
        return None;
    }
    let catalog = sector(iso, word(record, CATALOG_POINTER)?)?;
    let entries: Vec<&[u8]> = catalog.chunks_exact(CATALOG_ENTRY).take(SECTOR / CATALOG_ENTRY).collect();
    let is_efi_section = |e: &&[u8]| SECTION_HEADERS.contains(&e[0]) && e[1] == PLATFORM_EFI;
    let image = entries.windows(2).find(|pair| is_efi_section(&pair[0])).map(|pair| pair[1])?;
    let start = (word(image, IMAGE_POINTER)? as usize).checked_mul(SECTOR)?;
    let fat = iso.get_mut(start..)?;
    if *fat.get(SERIAL_MARK)? != SERIAL_FOLLOWS {
        return None;
    }
    fat.get_mut(SERIAL..SERIAL + OUR_SERIAL.len())?.copy_from_slice(&OUR_SERIAL);
    Some(())
}

fn sector(iso: &[u8], number: u32) -> Option<&[u8]> {
    iso.get((number as usize).checked_mul(SECTOR)?..)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CATALOG: usize = 19;
    const FAT: usize = 20;

    fn iso() -> Vec<u8> {
        let mut iso = vec![0; 21 * SECTOR];
        let mut put = |at: usize, bytes: &[u8]| iso[at..at + bytes.len()].copy_from_slice(bytes);
        put(BOOT_RECORD * SECTOR, BOOT_RECORD_ID);
        put(BOOT_RECORD * SECTOR + CATALOG_POINTER, &(CATALOG as u32).to_le_bytes());
        put(CATALOG * SECTOR, &[1]);
        put(CATALOG * SECTOR + CATALOG_ENTRY, &[0x88]);
        put(CATALOG * SECTOR + 2 * CATALOG_ENTRY, &[0x91, PLATFORM_EFI, 1]);
        put(CATALOG * SECTOR + 3 * CATALOG_ENTRY, &[0x88]);
        put(CATALOG * SECTOR + 3 * CATALOG_ENTRY + IMAGE_POINTER, &(FAT as u32).to_le_bytes());
        put(FAT * SECTOR + SERIAL_MARK, &[SERIAL_FOLLOWS, 1, 2, 3, 4]);
        iso
    }

    #[test]
    fn only_the_serial_number_changes() {
        let before = iso();
        let mut after = iso();
        assert_eq!(fix_serial(&mut after), Some(()));
        let at = FAT * SECTOR + SERIAL;
        assert_eq!(after[at..at + 4], OUR_SERIAL);
        after[at..at + 4].copy_from_slice(&before[at..at + 4]);
        assert!(before == after);
    }

    #[test]
    fn anything_else_is_left_alone() {
        for len in [0, BOOT_RECORD * SECTOR + 10, CATALOG * SECTOR, FAT * SECTOR + SERIAL + 3] {
            assert_eq!(fix_serial(&mut iso()[..len]), None, "{len} bytes");
        }
        let spoiled = [
            BOOT_RECORD * SECTOR,
            BOOT_RECORD * SECTOR + CATALOG_POINTER + 3,
            CATALOG * SECTOR + 2 * CATALOG_ENTRY,
            CATALOG * SECTOR + 2 * CATALOG_ENTRY + 1,
            CATALOG * SECTOR + 3 * CATALOG_ENTRY + IMAGE_POINTER + 3,
            FAT * SECTOR + SERIAL_MARK,
        ];
        for at in spoiled {
            let mut iso = iso();
            iso[at] ^= 0xff;
            assert_eq!(fix_serial(&mut iso), None, "byte {at}");
        }
    }
}
