//! Guests that fit a boot sector: each prints a text on the first serial port and then ends in its own way. They stand
//! in for a system that misbehaves, so that the runner is seen to notice it.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

const SECTOR_BYTES: usize = 512;
/// Where the firmware loads the sector.
const ORIGIN: usize = 0x7c00;
const BOOT_SIGNATURE: [u8; 2] = [0x55, 0xaa];
/// Where the program for the flood begins again: at `mov si, text`.
const PRINT: usize = 6;

/// What a guest does when it has printed its text.
#[derive(Clone, Copy)]
#[allow(dead_code, reason = "each test target uses some of them")]
pub(crate) enum Ending {
    /// Leaves with this exit code.
    Exit(u32),
    /// Raises an exception without a table of handlers.
    TripleFault,
    /// Resets the machine through the keyboard controller.
    KeyboardReset,
    /// Resets the machine through the chipset.
    ChipsetReset,
    /// Switches the machine off through ACPI.
    PowerOff,
    /// Stops the processor with interrupts off.
    Hang,
    /// Prints its text again and again.
    Flood,
}

/// A disk image with a guest. It goes away with this.
pub(crate) struct Guest {
    folder: TempDir,
}

impl Guest {
    /// A guest that prints `text`.
    pub(crate) fn new(text: &str, ending: Ending) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let guest = Self { folder };
        fs::write(guest.disk(), sector(text, ending)).unwrap();
        guest
    }

    /// Its disk image.
    pub(crate) fn disk(&self) -> PathBuf {
        self.folder.path().join("guest, a disk.img")
    }
}

/// Assembles the sector.
fn sector(text: &str, ending: Ending) -> Vec<u8> {
    let ending = ending.code();
    let text_offset = u16::try_from(ORIGIN + program([0, 0]).len() + ending.len()).unwrap();
    let mut sector = program(text_offset.to_le_bytes());
    sector.extend(ending);
    sector.extend(text.bytes());
    sector.push(0);
    assert!(sector.len() <= SECTOR_BYTES - BOOT_SIGNATURE.len(), "the text is too long: {text}");
    sector.resize(SECTOR_BYTES - BOOT_SIGNATURE.len(), 0);
    sector.extend(BOOT_SIGNATURE);
    sector
}

/// Prints the zero-terminated text at `text` and falls through to what follows.
fn program(text: [u8; 2]) -> Vec<u8> {
    [
        &[0xfa][..],               // cli
        &[0x31, 0xc0],             // xor ax, ax
        &[0x8e, 0xd8],             // mov ds, ax
        &[0xfc],                   // cld
        &[0xbe, text[0], text[1]], // mov si, text
        &[0xac],                   // next: lodsb
        &[0x84, 0xc0],             // test al, al
        &[0x74, 0x11],             // jz done
        &[0x88, 0xc4],             // mov ah, al
        &[0xba, 0xfd, 0x03],       // mov dx, 0x3fd     (line status)
        &[0xec],                   // wait: in al, dx
        &[0xa8, 0x20],             // test al, 0x20     (ready for a byte)
        &[0x74, 0xfb],             // jz wait
        &[0xb2, 0xf8],             // mov dl, 0xf8      (data: port 0x3f8)
        &[0x88, 0xe0],             // mov al, ah
        &[0xee],                   // out dx, al
        &[0xeb, 0xea],             // jmp next
    ] // done:
    .concat()
}

impl Ending {
    fn code(self) -> Vec<u8> {
        let code: &[&[u8]] = match self {
            Self::Exit(code) => &[
                &[0x66, 0xb8], // mov eax, code
                &code.to_le_bytes(),
                &[0x66, 0xe7, 0xf4], // out 0xf4, eax
            ],
            Self::TripleFault => &[
                &[0x66, 0x31, 0xc0],       // xor eax, eax
                &[0x66, 0x50],             // push eax          (a table descriptor of length zero,
                &[0x66, 0x50],             // push eax           whichever stack the firmware left)
                &[0x89, 0xe5],             // mov bp, sp
                &[0x0f, 0x01, 0x5e, 0x00], // lidt [bp]
                &[0xcc],                   // int3
            ],
            Self::KeyboardReset => &[
                &[0xb0, 0xfe], // mov al, 0xfe      (pulse the reset line)
                &[0xe6, 0x64], // out 0x64, al
            ],
            Self::ChipsetReset => &[
                &[0xba, 0xf9, 0x0c], // mov dx, 0xcf9
                &[0xb0, 0x06],       // mov al, 6         (reset the processor)
                &[0xee],             // out dx, al
            ],
            Self::PowerOff => &[
                &[0xba, 0x04, 0x06], // mov dx, 0x604     (ACPI PM1a control)
                &[0xb8, 0x00, 0x20], // mov ax, 0x2000    (sleep enable, type 0: soft off)
                &[0xef],             // out dx, ax
            ],
            Self::Hang => &[],
            Self::Flood => return jump_back(),
        };
        // What did not end by then stops for good.
        [code.concat(), vec![0xf4, 0xeb, 0xfd]].concat() // stop: hlt; jmp stop
    }
}

/// A short jump from after the program to the start of the printing.
fn jump_back() -> Vec<u8> {
    const JUMP_BYTES: usize = 2;
    let distance = program([0, 0]).len() + JUMP_BYTES - PRINT;
    vec![0xeb, u8::try_from(distance).unwrap().wrapping_neg()]
}
