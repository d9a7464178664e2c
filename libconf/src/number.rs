//! Numbers, and what is made of them.

use crate::fault::shown;
use abi::policy::{IoRange, MemoryRange, PciClass, PciDevice};
use alloc::format;
use alloc::string::String;

/// Bytes of a page.
const PAGE: u64 = 4096;
/// The end of what a processor can have as physical memory.
const PHYSICAL_END: u64 = 1 << 52;

/// A decimal number without sign.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()))
}

/// A hexadecimal number, with or without `0x`.
fn hexadecimal(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u64::from_str_radix(digits, 16).ok().filter(|_| digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// `BASE[:LENGTH]`: I/O ports.
pub(crate) fn io(text: &str) -> Result<IoRange, String> {
    let (base, len) = text.split_once(':').unwrap_or((text, "1"));
    let range = || {
        let first = u16::try_from(hexadecimal(base)?).ok()?;
        let more = hexadecimal(len)?.checked_sub(1)?;
        Some(IoRange { first, last: first.checked_add(u16::try_from(more).ok()?)? })
    };
    range().ok_or_else(|| {
        format!(
            "`{}` is no range of ports: write BASE or BASE:LENGTH in hexadecimal, such as 1f0:8, below 10000",
            shown(text)
        )
    })
}

/// `START:LENGTH`: physical memory.
pub(crate) fn memory(text: &str) -> Result<MemoryRange, String> {
    let range = || {
        let (start, len) = text.split_once(':')?;
        let range = MemoryRange { start: hexadecimal(start)?, len: hexadecimal(len)? };
        let ends = range.start.checked_add(range.len).is_some_and(|end| end <= PHYSICAL_END);
        (ends && range.len > 0 && range.start.is_multiple_of(PAGE) && range.len.is_multiple_of(PAGE)).then_some(range)
    };
    range().ok_or_else(|| {
        format!(
            "`{}` is no range of memory: write START:LENGTH in hexadecimal, whole pages, such as a0000:20000",
            shown(text)
        )
    })
}

/// `VENDOR:DEVICE`: a PCI device.
pub(crate) fn pci_device(text: &str) -> Result<PciDevice, String> {
    let device = || {
        let (vendor, device) = text.split_once(':')?;
        let number = |text| u16::try_from(hexadecimal(text)?).ok();
        Some(PciDevice { vendor: number(vendor)?, device: number(device)? })
    };
    device().ok_or_else(|| {
        format!("`{}` is no PCI device: write VENDOR:DEVICE in hexadecimal, such as 8086:100e", shown(text))
    })
}

/// `CLASS[/SUBCLASS[/INTERFACE]]`: PCI devices of a class.
pub(crate) fn pci_class(text: &str) -> Result<PciClass, String> {
    let class = || {
        let mut result = PciClass::default();
        let mut shift = u32::BITS;
        for part in text.split('/') {
            shift = shift.checked_sub(u8::BITS).filter(|shift| *shift > 0)?;
            result.class |= u32::from(u8::try_from(hexadecimal(part)?).ok()?) << shift;
            result.mask |= 0xff << shift;
        }
        Some(result)
    };
    class().ok_or_else(|| {
        format!(
            "`{}` is no PCI class: write CLASS, CLASS/SUBCLASS or CLASS/SUBCLASS/INTERFACE in hexadecimal, such as 01/06",
            shown(text)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_ports() {
        assert_eq!(io("1f0:8"), Ok(IoRange { first: 0x1f0, last: 0x1f7 }));
        assert_eq!(io("0x64"), Ok(IoRange { first: 0x64, last: 0x64 }));
        assert_eq!(io("0:10000"), Ok(IoRange { first: 0, last: 0xffff }));
        for wrong in ["", ":", "1f0:", ":8", "1f0:0", "10000", "ffff:2", "0:10001", "1f0:8:8", "xyz", "-1", "+1", "0x"]
        {
            assert!(io(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ranges_of_memory() {
        assert_eq!(memory("a0000:20000"), Ok(MemoryRange { start: 0xa0000, len: 0x2_0000 }));
        for wrong in [
            "",
            "a0000",
            "a0000:",
            "a0000:0",
            "a0001:1000",
            "a0000:1",
            "ffffffffffffe000:2000",
            "1000:fffffffffffff000",
        ] {
            assert!(memory(wrong).is_err(), "{wrong}");
        }
        assert!(memory("ffffffffff000:1000").is_ok());
        assert!(memory("ffffffffff000:2000").is_err());
    }

    #[test]
    fn devices_and_classes() {
        assert_eq!(pci_device("8086:100e"), Ok(PciDevice { vendor: 0x8086, device: 0x100e }));
        for wrong in ["", "8086", "8086:", "18086:1", "8086:1:2", "8086/100e"] {
            assert!(pci_device(wrong).is_err(), "{wrong}");
        }
        assert_eq!(pci_class("01"), Ok(PciClass { class: 0x0100_0000, mask: 0xff00_0000 }));
        assert_eq!(pci_class("01/06/2"), Ok(PciClass { class: 0x0106_0200, mask: 0xffff_ff00 }));
        for wrong in ["", "100", "01/", "01/06/01/00", "1:2"] {
            assert!(pci_class(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn decimal_numbers_have_no_sign() {
        assert_eq!(decimal("007"), Some(7));
        for wrong in ["", "+7", "-7", "0x7", "7ms", "18446744073709551616"] {
            assert_eq!(decimal(wrong), None, "{wrong}");
        }
    }
}
