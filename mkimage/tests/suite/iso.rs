//! ISO images: made by GRUB's tool, and booted.

use crate::elf::{BODY, Elf, KERNEL_PHYSICAL, multiboot_header};
use crate::place::{FAILED, Place};
use std::process::Command;

const SECTOR: usize = 2048;

/// A kernel that writes `text` to the first serial port and leaves QEMU. It runs where GRUB leaves it: in 32-bit mode.
fn writing_kernel(text: &str, code: u32) -> Vec<u8> {
    const TEXT_AFTER: u32 = 30;
    let start = KERNEL_PHYSICAL as u32 + (BODY + multiboot_header().len()) as u32;
    let mut program = vec![0xbe]; // mov esi, text
    program.extend((start + TEXT_AFTER).to_le_bytes());
    program.extend([0xac, 0x84, 0xc0, 0x74, 7]); // next: lodsb; test al, al; jz done
    program.extend([0x66, 0xba, 0xf8, 0x03, 0xee, 0xeb, 0xf4]); // mov dx, 0x3f8; out dx, al; jmp next
    program.extend([0x66, 0xba, 0xf4, 0x00, 0xb8]); // done: mov dx, 0xf4; mov eax, code
    program.extend(code.to_le_bytes());
    program.extend([0xef, 0xf4, 0xeb, 0xfd]); // out dx, eax; stop: hlt; jmp stop
    assert_eq!(program.len(), TEXT_AFTER as usize);
    program.extend(text.as_bytes());
    program.push(0);
    Elf::kernel(&program).bytes()
}

/// A place with an image of such a kernel.
fn built(text: &str, code: u32) -> Place {
    let place = Place::new();
    std::fs::write(place.path("kernel"), writing_kernel(text, code)).unwrap();
    place.succeeds(crate::place::BUILD);
    place
}

#[test]
fn the_same_image_gives_the_same_iso() {
    let place = Place::built();
    place.succeeds(&["iso", "out/x.img", "-o", "out/1.iso"]);
    place.succeeds(&["iso", "out/x.img", "-o", "out/2.iso"]);
    let read = |name: &str| std::fs::read(place.path(name)).unwrap();
    let iso = read("out/1.iso");
    // Nothing waits for the clock here: the date in the volume descriptor is what an unfixed clock would show up in.
    assert!(iso == read("out/2.iso"));
    assert_eq!(&iso[16 * SECTOR..][813..829], b"2000010100000000", "date of creation");
    assert_eq!(&iso[510..512], &[0x55, 0xaa], "boots from a disk with a BIOS");
    let image = mkimage::image::Image::open(&place.path("out/x.img")).unwrap();
    for file in &image.files {
        assert!(iso.windows(file.bytes.len()).step_by(SECTOR).any(|part| part == file.bytes), "{}", file.name);
    }
}

#[test]
fn missing_tools_are_named_by_their_packages() {
    let place = Place::built();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mkimage"));
    command.env("PATH", "").args(["iso", "-o"]).arg(place.path("x.iso")).arg(place.path("out/x.img"));
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(FAILED));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("apt-get install grub-common xorriso mtools"), "{message}");
    assert!(!place.path("x.iso").exists());
}

#[test]
fn a_refused_image_makes_no_iso() {
    let place = Place::built();
    let mut bytes = std::fs::read(place.path("out/x.img")).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(place.path("bad.img"), bytes).unwrap();
    for command in [["iso", "bad.img", "-o", "x.iso"], ["run", "bad.img", "--timeout", "9"]] {
        let message = place.fails(FAILED, &command);
        assert!(message.contains("bad.img has a damaged file `ping`"), "{message}");
    }
    assert!(!place.path("x.iso").exists());
}

#[test]
fn run_shows_the_serial_port() {
    let place = built("selix: up\n", abi::report::SUITE_PASSED);
    let text = place.succeeds(&["run", "out/x.img", "--timeout", "120"]);
    assert!(text.contains("selix: up\n"), "{text}");
    place.succeeds(&["iso", "out/x.img", "-o", "out/x.iso"]);
    let text = place.succeeds(&["run", "out/x.iso", "--uefi", "--smp", "2", "--memory", "256", "--timeout", "240"]);
    assert!(text.contains("selix: up\n"), "{text}");
}

#[test]
fn run_tells_of_a_failed_system() {
    let place = built("selix: panic at x.rs:1:\nselix:   #0 0x0000000000100200\n", abi::report::KERNEL_PANIC);
    let message = place.fails(FAILED, &["run", "out/x.img", "--timeout", "120"]);
    assert!(message.contains("kernel panic: selix: panic at x.rs:1:"), "{message}");
}

/// An ISO of a directory in which an image is installed, with this `grub.cfg` of somebody else.
fn somebodys_iso(place: &Place, config: &str) {
    place.succeeds(&["install", "out/x.img", "root"]);
    std::fs::write(place.path("root/boot/grub/grub.cfg"), format!("set timeout=0\n{config}\n")).unwrap();
    let mut command = Command::new("grub-mkrescue");
    command.args(["--install-modules=normal multiboot2 test configfile", "--fonts=", "--locales=", "--themes=", "-o"]);
    let output = command.arg(place.path("grub.iso")).arg(place.path("root")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn an_existing_grub_boots_what_is_installed() {
    let place = built("selix: up\n", abi::report::SUITE_PASSED);
    let fixed = "menuentry Selix {\n source /boot/selix/latest/boot.cfg\n}";
    for config in [mkimage::install::INCLUDE_LINE, fixed] {
        somebodys_iso(&place, config);
        let text = place.succeeds(&["run", "grub.iso", "--timeout", "120"]);
        assert!(text.contains("selix: up\n"), "{config}: {text}");
    }
}
