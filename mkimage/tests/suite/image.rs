//! Images that are damaged, cut or forged.

use crate::sample;
use abi::boot::{BootFlags, BootHeader};
use abi::policy::PolicyError;
use mkimage::image::{self, Image, ImageError, VerifyError};
use std::path::Path;
use zerocopy::IntoBytes;

// Offsets in the header, from docs/images.md.
const FORMAT: usize = 8;
const ABI: usize = 12;
const NAME: usize = 16;
const VERSION: usize = 48;
const TOTAL: usize = 80;
const FILES: usize = 88;
const CMDLINE_LEN: usize = 92;
const CRC: usize = 96;
const RESERVED: usize = 100;
const TABLE: usize = 128;
const ENTRY_LEN: usize = 64;
// Offsets in an entry of the table of files.
const ROLE: usize = 0;
const FILE_CRC: usize = 4;
const OFFSET: usize = 8;
const SIZE: usize = 16;
const FILE_NAME: usize = 24;
const FILE_RESERVED: usize = 40;

/// An image as bytes, to be changed. Its header's checksum is made right again before it is read, so that the fault
/// behind it is found.
struct Forged(Vec<u8>);

impl Forged {
    fn new() -> Self {
        Self(sample::image("a").to_bytes())
    }

    fn put(mut self, at: usize, bytes: &[u8]) -> Self {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    fn entry(self, index: usize, at: usize, bytes: &[u8]) -> Self {
        self.put(TABLE + index * ENTRY_LEN + at, bytes)
    }

    fn word(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.0[at..at + 8].try_into().unwrap())
    }

    fn read(mut self) -> Result<Image, ImageError> {
        let half = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let end = TABLE + half(&self.0, FILES) * ENTRY_LEN + half(&self.0, CMDLINE_LEN);
        self.0[CRC..CRC + 4].fill(0);
        if let Some(covered) = self.0.get(..end) {
            let crc = crc32fast::hash(covered);
            self.0[CRC..CRC + 4].copy_from_slice(&crc.to_le_bytes());
        }
        image::read(&self.0)
    }

    fn error(self) -> ImageError {
        self.read().unwrap_err()
    }
}

fn entry_error(index: usize, field: &'static str) -> ImageError {
    ImageError::Entry { index, field }
}

#[test]
fn a_good_image_is_read_back() {
    let image = sample::image("a");
    let bytes = image.to_bytes();
    assert_eq!(image::read(&bytes).unwrap(), image);
    assert_eq!(Forged::new().read().unwrap(), image, "the tests' own checksum");
    assert_eq!(image.to_bytes(), bytes);
    assert_eq!(image.verify().unwrap().len(), 2);
    assert_ne!(sample::image("b").version, image.version);
}

#[test]
fn truncated_at_every_byte() {
    let bytes = sample::image("a").to_bytes();
    for len in 0..bytes.len() {
        assert!(image::read(&bytes[..len]).is_err(), "{len} bytes");
    }
    let longer = [&bytes[..], b"\0"].concat();
    let (expected, found) = (bytes.len() as u64, bytes.len() as u64 + 1);
    assert_eq!(image::read(&longer), Err(ImageError::Length { expected, found }));
}

#[test]
fn every_byte_counts() {
    let mut bytes = sample::image("a").to_bytes();
    for at in 0..bytes.len() {
        bytes[at] ^= 0x40;
        assert!(image::read(&bytes).is_err(), "byte {at}");
        bytes[at] ^= 0x40;
    }
}

#[test]
fn every_wrong_header_field_has_its_error() {
    let forged = Forged::new;
    assert_eq!(forged().put(0, b"ELF").error(), ImageError::Magic);
    assert_eq!(forged().put(FORMAT, &[2]).error(), ImageError::Format(2));
    assert_eq!(forged().put(FORMAT, &[0]).error(), ImageError::Format(0));
    for name in [&b"\0"[..], b"Sample", b"sample\0x", b"../sample", &[b'a'; 32]] {
        assert_eq!(forged().put(NAME, name).error(), ImageError::Header("name"));
    }
    for version in [&b"\0"[..], b"..", b"a", b"1/2", &[b'1'; 32]] {
        let version = [version, &[0; 32]].concat();
        assert_eq!(forged().put(VERSION, &version[..32]).error(), ImageError::Header("boot-set version"));
    }
    let total = forged().word(TOTAL);
    let length = ImageError::Length { expected: total + 1, found: total };
    assert_eq!(forged().put(TOTAL, &(total + 1).to_le_bytes()).error(), length);
    for count in [0, 2, 67, u32::MAX] {
        assert_eq!(forged().put(FILES, &count.to_le_bytes()).error(), ImageError::Header("number of files"));
    }
    assert_eq!(forged().put(FILES, &[3]).error(), ImageError::Header("command line"), "an entry taken for text");
    let long = forged().put(CMDLINE_LEN, &u32::MAX.to_le_bytes());
    assert_eq!(long.error(), ImageError::Header("length of the command line"));
    assert_eq!(forged().put(CMDLINE_LEN, &[7]).error(), ImageError::Header("command line"), "a zero byte in it");
    assert_eq!(forged().put(RESERVED, &[1]).error(), ImageError::Header("reserved field"));
    assert_eq!(forged().put(RESERVED + 27, &[1]).error(), ImageError::Header("reserved field"));
    let mut damaged = Forged::new().0;
    damaged[CRC] ^= 1;
    assert_eq!(image::read(&damaged), Err(ImageError::HeaderChecksum));
}

#[test]
fn a_wrong_command_line() {
    let at = TABLE + 4 * ENTRY_LEN;
    for text in [b"hz='00", b"hz 100"] {
        let result = Forged::new().put(at, text).read();
        assert_eq!(result.is_ok(), text == b"hz 100", "{text:?}");
    }
    for text in [b" z=100", b"h  100", b"hz=10 ", b"h\xffz100", b"hz=\n00", b"hz\\100", b"\"z=100"] {
        assert_eq!(Forged::new().put(at, text).error(), ImageError::Header("command line"), "{text:?}");
    }
}

#[test]
fn every_wrong_entry_field_has_its_error() {
    let forged = Forged::new;
    for role in [0, 2, 3, 4, u32::MAX] {
        assert_eq!(forged().entry(0, ROLE, &role.to_le_bytes()).error(), entry_error(0, "role"));
    }
    assert_eq!(forged().entry(1, ROLE, &[1]).error(), entry_error(1, "role"), "two kernels");
    assert_eq!(forged().entry(2, ROLE, &[2]).error(), entry_error(2, "role"), "two boot tables");
    for (index, name) in
        [(0, &b"kernem"[..]), (1, b"boot-tablf"), (2, b"Echo"), (2, b"\0"), (2, b"../echo"), (2, b"a/b")]
    {
        assert_eq!(forged().entry(index, FILE_NAME, name).error(), entry_error(index, "name"), "{name:?}");
    }
    assert_eq!(forged().entry(3, FILE_NAME, b"echo").error(), entry_error(3, "name"), "the same name twice");
    assert_eq!(forged().entry(2, FILE_NAME, &[b'a'; 16]).error(), entry_error(2, "name"), "no zero at its end");
    assert_eq!(forged().entry(2, FILE_RESERVED, &[1]).error(), entry_error(2, "reserved field"));
    assert_eq!(forged().entry(2, FILE_RESERVED + 23, &[1]).error(), entry_error(2, "reserved field"));
    assert_eq!(forged().entry(2, FILE_CRC, &[0, 0, 0]).error(), ImageError::FileChecksum("echo".into()));
}

#[test]
fn files_neither_overlap_nor_leave_gaps() {
    let offset_of = |index: usize| Forged::new().word(TABLE + index * ENTRY_LEN + OFFSET);
    for index in 0..4 {
        for offset in [0, 128, 4095, offset_of(index) + 1, offset_of(index) + 4096, u64::MAX, 1 << 63] {
            let forged = Forged::new().entry(index, OFFSET, &offset.to_le_bytes());
            assert_eq!(forged.error(), entry_error(index, "offset"), "file {index} at {offset}");
        }
        if index > 0 {
            let forged = Forged::new().entry(index, OFFSET, &offset_of(index - 1).to_le_bytes());
            assert_eq!(forged.error(), entry_error(index, "offset"), "file {index} over the one before it");
        }
        for size in [0, u64::MAX, 1 << 63, 1 << 20] {
            let forged = Forged::new().entry(index, SIZE, &size.to_le_bytes());
            assert_eq!(forged.error(), entry_error(index, "size"), "file {index} of {size} bytes");
        }
    }
    let size = Forged::new().word(TABLE + SIZE);
    let shorter = Forged::new().entry(0, SIZE, &(size - 1).to_le_bytes());
    assert_eq!(shorter.error(), ImageError::FileChecksum("kernel".into()));
    let at = (offset_of(1) - 1) as usize;
    assert_eq!(Forged::new().put(at, &[1]).error(), ImageError::Padding("boot-table".into()));
}

#[test]
fn an_image_for_another_system_is_a_good_container_only() {
    let refuse = |change: &dyn Fn(&mut Image)| {
        let mut image = sample::image("a");
        change(&mut image);
        let read = image::read(&image.to_bytes()).unwrap();
        assert_eq!(read, image);
        read.verify().unwrap_err()
    };
    assert_eq!(refuse(&|i| i.abi = 9), VerifyError::Abi(9));
    assert!(matches!(refuse(&|i| i.files[1].bytes[40] ^= 1), VerifyError::Table(_)));
    assert!(matches!(refuse(&|i| i.files[1].bytes.truncate(95)), VerifyError::Table(_)));
    assert!(matches!(refuse(&|i| drop(i.files.pop())), VerifyError::Mismatch(_)));
    assert!(matches!(refuse(&|i| i.files.swap(2, 3)), VerifyError::Mismatch(_)));
    assert!(matches!(refuse(&|i| i.files[2].bytes.push(0)), VerifyError::Mismatch(_)));
    assert!(matches!(refuse(&|i| i.files[3].bytes[300] ^= 1), VerifyError::Mismatch(_)));
    assert_eq!(Forged::new().put(ABI, &[9]).read().unwrap().verify(), Err(VerifyError::Abi(9)));
}

/// The image with a policy, with that one changed and the boot table right about it again.
fn with_policy(change: impl FnOnce(&mut Vec<u8>), flags: BootFlags) -> Result<usize, VerifyError> {
    let mut image = sample::served_image();
    let place = image.files.iter().position(|file| file.name == "policy").unwrap();
    change(&mut image.files[place].bytes);
    let mut entries = mkimage::boot_table::read(&image.table().bytes).unwrap();
    let entry = entries.iter_mut().find(|entry| entry.name() == Some("policy")).unwrap();
    let bytes = &image.files[place].bytes;
    (entry.size, entry.crc32, entry.flags) = (bytes.len() as u64, crc32fast::hash(bytes), flags.bits());
    image.files[1].bytes = [BootHeader::of(&entries).as_bytes(), entries.as_bytes()].concat();
    let read = image::read(&image.to_bytes()).unwrap();
    assert_eq!(read, image);
    read.verify().map(|entries| entries.len())
}

#[test]
fn a_policy_is_verified_too() {
    assert_eq!(with_policy(|_| {}, BootFlags::FILE), Ok(5));
    assert_eq!(with_policy(|p| p.truncate(40), BootFlags::FILE), Err(VerifyError::Policy(PolicyError::Length)));
    assert_eq!(with_policy(|p| p[50] ^= 1, BootFlags::FILE), Err(VerifyError::Policy(PolicyError::Checksum)));
    assert!(matches!(with_policy(|_| {}, BootFlags::SERVED), Err(VerifyError::Table(_) | VerifyError::Mismatch(_))));
}

#[test]
fn errors_name_the_file_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("old.img");
    std::fs::write(&path, Forged::new().put(FORMAT, &[7]).0).unwrap();
    let text = Image::open(&path).unwrap_err().to_string();
    assert!(text.starts_with(&path.display().to_string()), "{text}");
    assert!(text.contains("UPDATING.md") && text.contains("`image format 7`"), "{text}");
    let text = Image::open(Path::new("/nonexistent.img")).unwrap_err().to_string();
    assert!(text.starts_with("cannot read /nonexistent.img: "), "{text}");
}
