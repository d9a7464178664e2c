//! What the boot loader tells (Multiboot2 specification 2.0, 3.6), in our own terms.

use core::fmt;
use core::ops::Range;
use kernel_core::acpi::RootTable;
use kernel_x86_64::BootInfo;
use kernel_x86_64::boot_info::{Display, LoadedModule, Surface};
use kernel_x86_64::layout::direct;
use multiboot2::{
    BootInformation, BootInformationHeader, FramebufferTag, FramebufferType, MAGIC, MemoryAreaType, MemoryMapTag,
};

/// Why the boot information is of no use.
#[derive(Debug)]
pub(crate) enum Error {
    /// The boot loader is none of this kind.
    Magic(u32),
    /// The information is malformed.
    Malformed(multiboot2::LoadError),
    /// A part that the kernel needs is missing.
    Missing(&'static str),
    /// A string is not UTF-8, or not terminated.
    BadString(&'static str),
    /// There is more of something than there is room for.
    TooMany(&'static str),
    /// A module ends before it begins.
    BadModule,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic(magic) => {
                write!(f, "loaded by no multiboot2 boot loader (magic {magic:#x}): use GRUB's multiboot2")
            }
            Self::Malformed(error) => write!(f, "the boot loader's information is malformed: {error:?}"),
            Self::Missing(what) => write!(f, "the boot loader gave no {what}"),
            Self::BadString(what) => write!(f, "the boot loader's {what} is no text"),
            Self::TooMany(what) => write!(f, "the boot loader gave more {what} than there is room for"),
            Self::BadModule => f.write_str("a module ends before it begins"),
        }
    }
}

/// Finds the boot information.
///
/// # Errors
/// That there is none.
///
/// # Safety
/// `magic` and `info` are what the boot loader left in eax and ebx, the first 4 GiB are in the direct map, and nobody writes
/// the information as long as what is returned, or anything read from it, is in use.
pub(crate) unsafe fn find(magic: u32, info: u32) -> Result<BootInformation<'static>, Error> {
    if magic != MAGIC {
        return Err(Error::Magic(magic));
    }
    // SAFETY: the magic number says that a multiboot2 loader put the information there.
    unsafe { BootInformation::load(direct(info.into()) as *const BootInformationHeader) }.map_err(Error::Malformed)
}

/// Reads the boot information.
///
/// # Errors
/// What of it is of no use.
pub(crate) fn read<'a>(info: &'a BootInformation<'_>) -> Result<BootInfo<'a>, Error> {
    let start = info.start_address() as u64 - direct(0);
    let command_line = match info.command_line_tag() {
        Some(tag) => tag.cmdline().map_err(|_| Error::BadString("command line"))?,
        None => "",
    };
    let mut boot = BootInfo {
        command_line,
        range: start..start + info.total_size() as u64,
        usable: Default::default(),
        modules: Default::default(),
        acpi: acpi(info),
        display: info.framebuffer_tag().and_then(Result::ok).and_then(display),
    };
    for range in usable(info.memory_map_tag().ok_or(Error::Missing("memory map"))?) {
        boot.usable.try_push(range).map_err(|_| Error::TooMany("memory ranges"))?;
    }
    for module in info.module_tags() {
        let name = module.cmdline().map_err(|_| Error::BadString("module name"))?;
        let range = module.start_address().into()..module.end_address().into();
        if range.end < range.start {
            return Err(Error::BadModule);
        }
        boot.modules.try_push(LoadedModule { name, range }).map_err(|_| Error::TooMany("modules"))?;
    }
    Ok(boot)
}

/// The ranges of usable memory that are not empty.
fn usable(map: &MemoryMapTag) -> impl Iterator<Item = Range<u64>> {
    map.memory_areas()
        .iter()
        .filter(|area| area.typ() == MemoryAreaType::Available)
        .map(|area| area.start_address()..area.start_address().saturating_add(area.size()))
        .filter(|range| !range.is_empty())
}

fn acpi(info: &BootInformation<'_>) -> Option<RootTable> {
    let new = info.rsdp_v2_tag().filter(|tag| tag.checksum_is_valid());
    let old = || info.rsdp_v1_tag().filter(|tag| tag.checksum_is_valid());
    new.map(|tag| RootTable::Xsdt(tag.xsdt_address() as u64))
        .or_else(|| old().map(|tag| RootTable::Rsdt(tag.rsdt_address() as u64)))
}

/// A display that the kernel can write to; palettes and odd pixel sizes are none.
fn display(tag: &FramebufferTag) -> Option<Display> {
    const BITS: u8 = 32;
    let surface = Surface { address: tag.address(), pitch: tag.pitch(), width: tag.width(), height: tag.height() };
    match tag.buffer_type().ok()? {
        FramebufferType::Text => Some(Display::Text(surface)),
        FramebufferType::RGB { red, green, blue } if tag.bpp() == BITS => {
            let fields = [red, green, blue];
            let fits = fields.iter().all(|field| field.size == 8 && field.position <= BITS - 8);
            fits.then(|| Display::Pixels(surface, fields.map(|field| field.position)))
        }
        _ => None,
    }
}
