//! Small ELF files, made by hand so that each of their bytes is known.

/// Where the first segment of a program goes.
pub(crate) const PROGRAM_ADDRESS: u64 = 0x40_0000;
/// Where the first segment of a kernel goes, in virtual and in physical memory.
pub(crate) const KERNEL_ADDRESS: u64 = 0xffff_ffff_8010_0000;
pub(crate) const KERNEL_PHYSICAL: u64 = 0x10_0000;

pub(crate) const READ: u32 = 4;
pub(crate) const WRITE: u32 = 2;
pub(crate) const EXECUTE: u32 = 1;

const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
const ET_EXEC: u16 = 2;
const EM_X86_64: u16 = 62;
const EHDR_LEN: usize = 64;
const PHDR_LEN: usize = 56;
/// All files keep room for so many program headers.
const HEADERS: usize = 4;
/// Where the contents begin.
pub(crate) const BODY: usize = EHDR_LEN + HEADERS * PHDR_LEN;

/// A program header.
#[derive(Clone, Copy, Default)]
pub(crate) struct Header {
    pub(crate) kind: u32,
    pub(crate) flags: u32,
    pub(crate) offset: u64,
    pub(crate) address: u64,
    pub(crate) physical: u64,
    pub(crate) file: u64,
    pub(crate) memory: u64,
    pub(crate) align: u64,
}

/// An ELF file in the making.
#[derive(Clone)]
pub(crate) struct Elf {
    pub(crate) entry: u64,
    pub(crate) headers: Vec<Header>,
    pub(crate) body: Vec<u8>,
}

impl Elf {
    /// A program with this ABI version in its note, and with `code` as contents.
    pub(crate) fn program(abi: u32, code: &[u8]) -> Self {
        let note = note(abi);
        let body = [&note, code].concat();
        let whole = (BODY + body.len()) as u64;
        let load = Header { kind: PT_LOAD, align: 4096, ..Header::default() };
        let text = Header { flags: READ | EXECUTE, address: PROGRAM_ADDRESS, file: whole, memory: whole, ..load };
        let bss = Header { flags: READ | WRITE, address: PROGRAM_ADDRESS + 0x1_0000, memory: 0x2000, ..load };
        let note = Header {
            kind: PT_NOTE,
            flags: READ,
            offset: BODY as u64,
            address: PROGRAM_ADDRESS + BODY as u64,
            file: note.len() as u64,
            memory: note.len() as u64,
            align: 4,
            ..Header::default()
        };
        let entry = PROGRAM_ADDRESS + (BODY + note.file as usize) as u64;
        Self { entry, headers: vec![text, bss, note], body }
    }

    /// A kernel with a multiboot2 header, and with `code` as contents.
    pub(crate) fn kernel(code: &[u8]) -> Self {
        let body = [&multiboot_header(), code].concat();
        let whole = (BODY + body.len()) as u64;
        let text = Header {
            kind: PT_LOAD,
            flags: READ | EXECUTE,
            offset: 0,
            address: KERNEL_ADDRESS,
            physical: KERNEL_PHYSICAL,
            file: whole,
            memory: whole,
            align: 4096,
        };
        let data = Header {
            flags: READ | WRITE,
            address: KERNEL_ADDRESS + 0x1000,
            physical: KERNEL_PHYSICAL + 0x1000,
            file: 0,
            memory: 0x3000,
            ..text
        };
        let entry = KERNEL_ADDRESS + (BODY + multiboot_header().len()) as u64;
        Self { entry, headers: vec![text, data], body }
    }

    /// The bytes of the file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        file.extend(ET_EXEC.to_le_bytes());
        file.extend(EM_X86_64.to_le_bytes());
        file.extend(1u32.to_le_bytes());
        for word in [self.entry, EHDR_LEN as u64, 0] {
            file.extend(word.to_le_bytes());
        }
        file.extend(0u32.to_le_bytes());
        for half in [EHDR_LEN, PHDR_LEN, self.headers.len(), 0, 0, 0] {
            file.extend((half as u16).to_le_bytes());
        }
        for h in &self.headers {
            file.extend(h.kind.to_le_bytes());
            file.extend(h.flags.to_le_bytes());
            for word in [h.offset, h.address, h.physical, h.file, h.memory, h.align] {
                file.extend(word.to_le_bytes());
            }
        }
        file.resize(BODY, 0);
        file.extend(&self.body);
        file
    }
}

/// A Selix note.
pub(crate) fn note(abi: u32) -> Vec<u8> {
    let mut note = Vec::new();
    for word in [6u32, 4, 1] {
        note.extend(word.to_le_bytes());
    }
    note.extend(b"Selix\0\0\0");
    note.extend(abi.to_le_bytes());
    note
}

/// A multiboot2 header that asks for nothing.
pub(crate) fn multiboot_header() -> Vec<u8> {
    const MAGIC: u32 = 0xe852_50d6;
    const LEN: u32 = 24;
    let words = [MAGIC, 0, LEN, 0u32.wrapping_sub(MAGIC + LEN), 0, 8];
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}
