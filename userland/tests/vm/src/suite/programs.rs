//! Programs made in memory: ELF files of a few segments, whose code is a small player.

use abi::Trap;
use abi::layout::{PAGE_SIZE, PROGRAM_BASE};
use abi::note::AbiNote;
use core::cell::UnsafeCell;
use protocol::Call;
use suite::orders::Next;
use vm_suite::Do;
use zerocopy::IntoBytes;

/// Bytes of a file header and of a program header (System V gABI, chapters 4 and 5).
const HEADER: usize = 64;
const ENTRY: usize = 56;

const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
const PT_TLS: u32 = 7;
const EXECUTE: u32 = 1;
const WRITE: u32 = 2;
const READ: u32 = 4;

// A player that can read and write words, and needs nothing but itself. With its first request it tells the first word of its stack, where
// that is, where its code begins, and the first word of the first data segment.
core::arch::global_asm!(
    ".globl small_player, small_player_end",
    "small_player:",
    "xor r8d, r8d",
    "mov r9, [rsp]",
    "mov r10, rsp",
    "lea r12, [rip + small_player]",
    "mov r13, [r12 + {data} - {page}]",
    "xor r14d, r14d",
    "xor r15d, r15d",
    "2:",
    "mov eax, {sendrec}",
    "xor edi, edi", // The suite is the first program.
    "mov esi, {next}",
    "syscall",
    "cmp r8, {read}",
    "jne 3f",
    "mov r9, [r9]",
    "3:",
    "cmp r8, {write}",
    "jne 4f",
    "mov [r9], r10",
    "4:",
    "xor r8d, r8d",
    "jmp 2b",
    "small_player_end:",
    data = const DATA,
    page = const PAGE_SIZE,
    sendrec = const Trap::SendRec.rax(),
    next = const Next::KIND.0,
    read = const Do::Read as u64,
    write = const Do::Write as u64,
);

unsafe extern "C" {
    static small_player: u8;
    static small_player_end: u8;
}

/// The code of the small player.
fn code() -> &'static [u8] {
    let (start, end) = (&raw const small_player, &raw const small_player_end);
    // SAFETY: both lie in the text of this program, in this order, and nobody writes it.
    unsafe { core::slice::from_raw_parts(start, end.addr() - start.addr()) }
}

/// Room for a file.
struct Buffer(UnsafeCell<[u8; MOST]>);

// SAFETY: a program has one thread.
unsafe impl Sync for Buffer {}

static BUFFER: Buffer = Buffer(UnsafeCell::new([0; MOST]));

/// What a test wants of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Segments of data behind that of the code.
    pub(crate) data: u32,
    /// Bytes of zeros behind the last one.
    pub(crate) bss: u64,
    /// It can be moved.
    pub(crate) relocatable: bool,
    /// The first data segment is thread-local storage, too.
    pub(crate) tls: bool,
}

/// Room for the largest file.
pub(crate) const MOST: usize = 20 * PAGE_SIZE as usize;

/// A file in memory. There is one at a time.
pub(crate) struct File {
    bytes: &'static mut [u8; MOST],
    len: usize,
    headers: u16,
}

/// Where the first data segment is, and how far each lies from the next.
pub(crate) const DATA: u64 = 0x1_0000;
pub(crate) const STEP: u64 = 0x2_0000;
/// What the first word of each data segment holds: this, and its number.
pub(crate) const MARK: u64 = 0x5e11_0000;

impl File {
    /// Makes a file. The one before must not be used any more.
    pub(crate) fn new(plan: &Plan) -> Self {
        // SAFETY: a program has one thread, and no test keeps a file while it makes another.
        let bytes = unsafe { &mut *BUFFER.0.get() };
        bytes.fill(0);
        let code = code();
        let base = if plan.relocatable { 0 } else { PROGRAM_BASE };
        let mut file = Self { bytes, len: PAGE_SIZE as usize, headers: 0 };
        let note = AbiNote::CURRENT;
        let at = PAGE_SIZE as usize + code.len().next_multiple_of(16);
        file.bytes[PAGE_SIZE as usize..][..code.len()].copy_from_slice(code);
        file.bytes[at..][..size_of::<AbiNote>()].copy_from_slice(note.as_bytes());
        let text = (at + size_of::<AbiNote>()) as u64;
        file.header(PT_LOAD, READ | EXECUTE, (0, base, text, text));
        file.header(PT_NOTE, READ, (at as u64, base + at as u64, size_of::<AbiNote>() as u64, 4));
        for i in 0..u64::from(plan.data) {
            let offset = (2 + i) * PAGE_SIZE;
            let address = base + DATA + i * STEP;
            file.bytes[offset as usize..][..8].copy_from_slice(&(MARK + i).to_le_bytes());
            let bss = if i + 1 == plan.data.into() { plan.bss } else { 0 };
            file.header(PT_LOAD, READ | WRITE, (offset, address, 16, 16 + bss));
            if i == 0 && plan.tls {
                file.header(PT_TLS, READ, (offset, address, 16, 16));
            }
        }
        file.len = (2 + plan.data as usize).max(2) * PAGE_SIZE as usize;
        file.file_header(plan.relocatable, base + PAGE_SIZE);
        file
    }

    fn header(&mut self, kind: u32, flags: u32, (offset, address, file, memory): (u64, u64, u64, u64)) {
        let at = HEADER + ENTRY * usize::from(self.headers);
        let align = match kind {
            PT_LOAD => PAGE_SIZE,
            PT_NOTE => 4,
            _ => 8,
        };
        let memory = if kind == PT_NOTE { file } else { memory };
        let words = [u64::from(kind) | u64::from(flags) << 32, offset, address, address, file, memory, align];
        self.bytes[at..][..ENTRY].copy_from_slice(words.as_bytes());
        self.headers += 1;
    }

    fn file_header(&mut self, relocatable: bool, entry: u64) {
        let kind: u16 = if relocatable { 3 } else { 2 };
        let ident = *b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0";
        self.bytes[..16].copy_from_slice(&ident);
        let machine = 62_u64 << 16;
        let words = [u64::from(kind) | machine | 1 << 32, entry, HEADER as u64, 0];
        self.bytes[16..48].copy_from_slice(words.as_bytes());
        let sizes = [0_u16, 0, HEADER as u16, ENTRY as u16, self.headers, 0, 0, 0];
        self.bytes[48..64].copy_from_slice(sizes.as_bytes());
    }

    /// All bytes of it.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// The bytes, to be spoilt.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }
}
