//! Reading the firmware's tables; what they say, `kernel_core::acpi` knows.

use crate::memory::{Cache, Memory};
use kernel_core::acpi::{self, Madt, RootTable};

/// Finds the table that tells of processors and interrupt controllers; `None` if there is none, or it is damaged.
pub fn find_madt(memory: &mut Memory, root: RootTable) -> Option<Madt> {
    acpi::find_madt(root, |physical, len| {
        let address = memory.map_device(physical, len as u64, Cache::Normal)?;
        // SAFETY: mapped just now, for good; nobody writes firmware tables any more.
        Some(unsafe { core::slice::from_raw_parts(address as *const u8, len) })
    })
}
