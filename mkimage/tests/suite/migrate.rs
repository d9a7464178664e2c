//! Images of every format that there has been can be read.

use crate::elf::Elf;
use crate::sample;
use abi::boot::TableError;
use mkimage::image::{FORMAT, Image, ImageError, Role, VerifyError};
use mkimage::migrate;

const FORMAT_1: &[u8] = include_bytes!("../fixtures/format-1.img");

#[test]
fn format_1() {
    let image = migrate::read(FORMAT_1).unwrap();
    assert_eq!((image.abi, &*image.name, &*image.version, &*image.cmdline), (1, "sample", "0.1.0-50e8d4f5", "hz=100"));
    let files: Vec<_> = image.files.iter().map(|f| (f.role, &*f.name, &*f.bytes)).collect();
    let program = |code: &str| Elf::program(1, code.as_bytes()).bytes();
    let (kernel, echo, ping) = (sample::kernel(), program("echo"), program("ping"));
    assert_eq!(files.len(), 4);
    assert_eq!(files[0], (Role::Kernel, "kernel", &*kernel));
    assert_eq!((files[1].0, files[1].1, crc32fast::hash(files[1].2)), (Role::BootTable, "boot-table", 0x5d37_a2ea));
    assert_eq!(files[2], (Role::Program, "echo", &*echo));
    assert_eq!(files[3], (Role::Program, "ping", &*ping));
}

#[test]
fn a_migrated_image_is_in_the_current_format() {
    let migrated = migrate::read(FORMAT_1).unwrap().to_bytes();
    assert_eq!(mkimage::image::format_of(&migrated), Ok(FORMAT));
    assert_eq!(migrate::read(&migrated).unwrap(), migrate::read(FORMAT_1).unwrap());
    // Of the current format, so nothing is to be changed.
    assert_eq!(migrated, FORMAT_1);
}

#[test]
fn what_a_migrated_image_boots_is_not_changed() {
    // Its programs are built for another ABI, and no root system process is among them: only a new build helps.
    let image = migrate::read(FORMAT_1).unwrap();
    let refusal = image.verify().unwrap_err();
    assert_eq!(refusal, VerifyError::Abi(1));
    assert!(refusal.to_string().contains("see UPDATING.md, build it again"));
    let renumbered = Image { abi: abi::ABI_VERSION, ..image };
    assert_eq!(renumbered.verify(), Err(VerifyError::Table(TableError::Format(1))));
}

#[test]
fn unknown_formats_are_refused_by_the_name_of_their_entry() {
    for format in [0, FORMAT + 1, u32::MAX] {
        let mut bytes = FORMAT_1.to_vec();
        bytes[8..12].copy_from_slice(&format.to_le_bytes());
        let error = migrate::read(&bytes).unwrap_err();
        assert_eq!(error, ImageError::Format(format));
        assert!(error.to_string().contains(&format!("UPDATING.md that names `image format {format}`")));
    }
    assert_eq!(migrate::read(b"SELIXIM"), Err(ImageError::Magic));
    assert_eq!(migrate::read(b""), Err(ImageError::Magic));
}
