//! Image format 1, as docs/images.md describes it.

use super::{File, Image, ImageError, MAGIC, Role, is_version};
use crate::manifest::{KERNEL_NAME, is_cmdline, is_image_name};
use abi::boot::{BootEntry, NAME_LEN, TABLE_MODULE};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, little_endian as le};

const FORMAT: u32 = 1;
/// Files start at multiples of this many bytes.
const ALIGNMENT: usize = 4096;
/// Most files: a kernel, a boot table, and the programs.
const MAX_FILES: usize = 66;
/// Bytes of the fields for image name and boot-set version, padded with zeros.
const TEXT_LEN: usize = 32;

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    format: le::U32,
    abi: le::U32,
    name: [u8; TEXT_LEN],
    version: [u8; TEXT_LEN],
    total: le::U64,
    files: le::U32,
    cmdline: le::U32,
    /// Of header, table and command line, with this field zero.
    crc32: le::U32,
    reserved: [u8; 28],
}

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Entry {
    role: le::U32,
    crc32: le::U32,
    offset: le::U64,
    size: le::U64,
    name: [u8; NAME_LEN],
    reserved: [u8; 24],
}

const HEADER_LEN: usize = size_of::<Header>();
const ENTRY_LEN: usize = size_of::<Entry>();
const _: () = assert!(HEADER_LEN == 128 && ENTRY_LEN == 64);

/// The bytes of an image.
pub fn write(image: &Image) -> Vec<u8> {
    let mut entries = Vec::new();
    let mut end = HEADER_LEN + image.files.len() * ENTRY_LEN + image.cmdline.len();
    for file in &image.files {
        let offset = end.next_multiple_of(ALIGNMENT);
        end = offset + file.bytes.len();
        entries.push(Entry {
            role: (file.role as u32).into(),
            crc32: crc32fast::hash(&file.bytes).into(),
            offset: (offset as u64).into(),
            size: (file.bytes.len() as u64).into(),
            name: padded(&file.name),
            reserved: [0; 24],
        });
    }
    let mut header = Header {
        magic: MAGIC,
        format: FORMAT.into(),
        abi: image.abi.into(),
        name: padded(&image.name),
        version: padded(&image.version),
        total: (end as u64).into(),
        files: (entries.len() as u32).into(),
        cmdline: (image.cmdline.len() as u32).into(),
        crc32: 0.into(),
        reserved: [0; 28],
    };
    header.crc32 = checksum(&header, entries.as_bytes(), image.cmdline.as_bytes()).into();
    let mut bytes = [header.as_bytes(), entries.as_bytes(), image.cmdline.as_bytes()].concat();
    for (entry, file) in entries.iter().zip(&image.files) {
        bytes.resize(entry.offset.get() as usize, 0);
        bytes.extend_from_slice(&file.bytes);
    }
    bytes
}

/// Reads an image of format 1. Each byte of it counts: none can change without an error.
///
/// # Errors
/// The first thing that is wrong.
pub fn read(bytes: &[u8]) -> Result<Image, ImageError> {
    let length = |expected: usize| ImageError::Length { expected: expected as u64, found: bytes.len() as u64 };
    let (header, rest) = Header::read_from_prefix(bytes).map_err(|_| length(HEADER_LEN))?;
    if header.magic != MAGIC {
        return Err(ImageError::Magic);
    }
    if header.format != FORMAT {
        return Err(ImageError::Format(header.format.get()));
    }
    if header.total != bytes.len() as u64 {
        return Err(ImageError::Length { expected: header.total.get(), found: bytes.len() as u64 });
    }
    let count = header.files.get() as usize;
    if !(3..=MAX_FILES).contains(&count) {
        return Err(ImageError::Header("number of files"));
    }
    let (table, rest) =
        rest.split_at_checked(count * ENTRY_LEN).ok_or_else(|| length(HEADER_LEN + count * ENTRY_LEN))?;
    let cmdline = rest.get(..header.cmdline.get() as usize).ok_or(ImageError::Header("length of the command line"))?;
    if checksum(&header, table, cmdline) != header.crc32.get() {
        return Err(ImageError::HeaderChecksum);
    }
    if header.reserved != [0; 28] {
        return Err(ImageError::Header("reserved field"));
    }
    let cmdline = std::str::from_utf8(cmdline).ok().filter(|line| is_cmdline(line));
    let start = HEADER_LEN + table.len() + header.cmdline.get() as usize;
    Ok(Image {
        abi: header.abi.get(),
        name: text(&header.name).filter(|n| is_image_name(n)).ok_or(ImageError::Header("name"))?.into(),
        version: text(&header.version).filter(|v| is_version(v)).ok_or(ImageError::Header("boot-set version"))?.into(),
        cmdline: cmdline.ok_or(ImageError::Header("command line"))?.into(),
        files: files(bytes, table, start)?,
    })
}

/// The files, the first of which comes after byte `start`.
fn files(bytes: &[u8], table: &[u8], start: usize) -> Result<Vec<File>, ImageError> {
    let mut files: Vec<File> = Vec::new();
    let mut end = start;
    for (index, entry) in table.chunks_exact(ENTRY_LEN).enumerate() {
        let entry = Entry::read_from_bytes(entry).expect("a chunk is as long as an entry");
        let bad = |field| ImageError::Entry { index, field };
        let (role, name) = identity(&entry, index, &files)?;
        if entry.reserved != [0; 24] {
            return Err(bad("reserved field"));
        }
        // Only one place is right for each file, so none can overlap another.
        let offset = end.next_multiple_of(ALIGNMENT);
        if entry.offset != offset as u64 {
            return Err(bad("offset"));
        }
        let rest = bytes.get(offset..).ok_or_else(|| bad("offset"))?;
        let size = usize::try_from(entry.size.get()).map_err(|_| bad("size"))?;
        let content = rest.get(..size).filter(|c| !c.is_empty()).ok_or_else(|| bad("size"))?;
        if bytes[end..offset].iter().any(|&b| b != 0) {
            return Err(ImageError::Padding(name));
        }
        if crc32fast::hash(content) != entry.crc32.get() {
            return Err(ImageError::FileChecksum(name));
        }
        end = offset + size;
        files.push(File { role, name, bytes: content.to_vec() });
    }
    if end != bytes.len() {
        return Err(ImageError::Length { expected: end as u64, found: bytes.len() as u64 });
    }
    Ok(files)
}

/// Role and name of the entry at `index`: first the kernel, then the boot table, then programs with different names.
fn identity(entry: &Entry, index: usize, before: &[File]) -> Result<(Role, String), ImageError> {
    let bad = |field| ImageError::Entry { index, field };
    let role = Role::from_number(entry.role.get()).ok_or_else(|| bad("role"))?;
    let name = text(&entry.name).ok_or_else(|| bad("name"))?;
    let (expected, name_fits) = match index {
        0 => (Role::Kernel, name == KERNEL_NAME),
        1 => (Role::BootTable, name == TABLE_MODULE),
        _ => (Role::Program, BootEntry::encode_name(name).is_some() && before.iter().all(|f| f.name != name)),
    };
    if role != expected {
        return Err(bad("role"));
    }
    if !name_fits {
        return Err(bad("name"));
    }
    Ok((role, name.into()))
}

fn checksum(header: &Header, table: &[u8], cmdline: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(Header { crc32: 0.into(), ..*header }.as_bytes());
    hasher.update(table);
    hasher.update(cmdline);
    hasher.finalize()
}

/// `text` as a field padded with zeros, the last of which must be there.
fn padded<const N: usize>(text: &str) -> [u8; N] {
    assert!(text.len() < N, "{text:?} is longer than its field");
    let mut field = [0; N];
    field[..text.len()].copy_from_slice(text.as_bytes());
    field
}

/// The text of a field padded with zeros; `None` if it is not one.
fn text(field: &[u8]) -> Option<&str> {
    let len = field.iter().position(|&b| b == 0)?;
    let (text, padding) = field.split_at(len);
    padding.iter().all(|&b| b == 0).then(|| std::str::from_utf8(text).ok())?
}
