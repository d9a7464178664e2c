//! The rules for programs and kernels, and stripping.

use crate::elf::{BODY, EXECUTE, Elf, KERNEL_PHYSICAL, READ, WRITE, multiboot_header, note};
use crate::sample;
use mkimage::elf::{kernel, program, strip};

#[track_caller]
fn program_refused(elf: &Elf, part: &str) {
    let message = program::check(&elf.bytes()).expect_err("accepted").to_string();
    assert!(message.contains(part), "{message}");
}

#[track_caller]
fn kernel_refused(bytes: &[u8], part: &str) {
    let message = kernel::check(bytes).expect_err("accepted").to_string();
    assert!(message.contains(part), "{message}");
}

fn program() -> Elf {
    Elf::program(abi::ABI_VERSION, b"code")
}

#[test]
fn good_files_pass() {
    program::check(&program().bytes()).unwrap();
    kernel::check(&sample::kernel()).unwrap();
}

#[test]
fn the_loaders_rules_hold() {
    let with = |change: &dyn Fn(&mut Elf)| {
        let mut elf = program();
        change(&mut elf);
        elf
    };
    program_refused(&with(&|e| e.headers[1].flags = READ | WRITE | EXECUTE), "both writable and executable");
    program_refused(&with(&|e| e.entry = 1), "entry point 0x1");
    program_refused(&with(&|e| e.headers[0].file += 1), "program header 0");
    program_refused(&with(&|e| e.headers[1].address = e.headers[0].address), "program headers 0 and 1");
    program_refused(&with(&|e| e.headers[1].kind = 3), "asks for a dynamic linker");
}

#[test]
fn the_note_must_fit() {
    program_refused(
        &Elf::program(abi::ABI_VERSION + 1, b"code"),
        &format!("was built for ABI version {}, this is {}", abi::ABI_VERSION + 1, abi::ABI_VERSION),
    );
    program_refused(&Elf::program(0, b"code"), "ABI version 0");
    let mut without = program();
    without.headers.pop();
    program_refused(&without, "no note with its ABI version");
    let mut foreign = program();
    foreign.body[12] = b'X';
    program_refused(&foreign, "no note with its ABI version");
    let mut twice = program();
    twice.body.splice(..0, note(abi::ABI_VERSION));
    twice.headers[2].file *= 2;
    twice.headers[2].memory *= 2;
    for load in &mut twice.headers[..1] {
        load.file += note(0).len() as u64;
        load.memory += note(0).len() as u64;
    }
    program_refused(&twice, "program headers 2 and 2");
}

#[test]
fn other_files_are_refused() {
    for (bytes, part) in [(&b""[..], "after 0 bytes"), (b"#!/bin/sh\n", "script"), (&[0; 100], "not an ELF file")] {
        let message = program::check(bytes).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
        kernel_refused(bytes, "no ELF file");
    }
    let kernel = sample::kernel();
    let message = program::check(&kernel).unwrap_err().to_string();
    assert!(message.contains("not all a program's"), "{message}");
    kernel_refused(&program().bytes(), "no multiboot2 header");
}

#[test]
fn truncated_files_are_refused() {
    let (kernel, program) = (sample::kernel(), program().bytes());
    for len in 0..BODY {
        assert!(kernel::check(&kernel[..len]).is_err(), "{len} bytes");
        assert!(strip(&kernel[..len]).is_err(), "{len} bytes");
    }
    for len in 0..program.len() {
        assert!(program::check(&program[..len]).is_err(), "{len} bytes");
    }
}

#[test]
fn a_kernel_needs_a_multiboot2_header() {
    let with = |at: usize, byte: u8| {
        let mut bytes = sample::kernel();
        bytes[BODY + at] = byte;
        bytes
    };
    kernel_refused(&with(0, 0), "no multiboot2 header");
    kernel_refused(&with(4, 4), "bad architecture");
    kernel_refused(&with(12, 0), "bad checksum");
    kernel_refused(&with(8, 25), "bad checksum");
    kernel_refused(&with(16, 1), "bad list of tags");
    kernel_refused(&with(20, 16), "bad list of tags");
}

#[test]
fn the_multiboot2_header_lies_where_grub_looks() {
    let kernel_with_header_at = |at: usize| {
        let mut elf = Elf::kernel(b"");
        elf.body = [vec![0; at - BODY], multiboot_header()].concat();
        for load in &mut elf.headers[..1] {
            load.file = (BODY + elf.body.len()) as u64;
            load.memory = load.file;
        }
        elf.headers[1].physical = KERNEL_PHYSICAL + 0x10_0000;
        elf.bytes()
    };
    kernel::check(&kernel_with_header_at(BODY + 800)).unwrap();
    kernel::check(&kernel_with_header_at(32 * 1024 - multiboot_header().len())).unwrap();
    kernel_refused(&kernel_with_header_at(32 * 1024 - multiboot_header().len() + 8), "bad length");
    kernel_refused(&kernel_with_header_at(32 * 1024), "no multiboot2 header");
    kernel_refused(&kernel_with_header_at(BODY + 4), "no multiboot2 header");
}

#[test]
fn the_lengths_in_a_multiboot2_header_are_not_trusted() {
    for len in [0u32, 8, 15, 16, 23, 1 << 20, u32::MAX] {
        let mut bytes = sample::kernel();
        let checksum = 0u32.wrapping_sub(0xe852_50d6u32.wrapping_add(len));
        bytes[BODY + 8..BODY + 12].copy_from_slice(&len.to_le_bytes());
        bytes[BODY + 12..BODY + 16].copy_from_slice(&checksum.to_le_bytes());
        kernel_refused(&bytes, "bad l");
    }
    for size in [0u32, 7, 9, u32::MAX] {
        let mut bytes = sample::kernel();
        bytes[BODY + 20..BODY + 24].copy_from_slice(&size.to_le_bytes());
        kernel_refused(&bytes, "bad list of tags");
    }
}

#[test]
fn the_segments_of_a_kernel_can_be_placed() {
    let with = |change: &dyn Fn(&mut Elf)| {
        let mut elf = Elf::kernel(b"code");
        change(&mut elf);
        elf.bytes()
    };
    kernel_refused(&with(&|e| e.headers[0].flags |= WRITE), "both writable and executable");
    kernel_refused(&with(&|e| e.headers[1].physical = 0x9_0000), "physical address 0x90000");
    kernel_refused(&with(&|e| e.headers[1].physical = 0xffff_f000), "1 MiB to 4 GiB");
    kernel_refused(&with(&|e| e.headers[1].physical = u64::MAX - 4095), "1 MiB to 4 GiB");
    kernel_refused(&with(&|e| e.headers[1].memory = u64::MAX), "1 MiB to 4 GiB");
    kernel_refused(&with(&|e| e.headers[1].physical = KERNEL_PHYSICAL), "overlap in physical memory");
    kernel_refused(&with(&|e| e.entry = e.headers[1].address), "outside its executable segments");
    kernel_refused(&with(&|e| e.headers.clear()), "no segment to load");
    kernel::check(&with(&|e| e.entry = KERNEL_PHYSICAL + 300)).unwrap();
}

#[test]
fn stripping_keeps_what_is_loaded() {
    let bytes = program().bytes();
    assert_eq!(strip(&bytes).unwrap(), bytes, "nothing to strip");
    let null_section = [0; 64];
    let mut with_sections = [&bytes[..], &null_section, b"symbols"].concat();
    with_sections[40..48].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
    with_sections[58..64].copy_from_slice(&[64, 0, 1, 0, 0, 0]);
    assert_eq!(strip(&with_sections).unwrap(), bytes);

    let mut beyond = program();
    beyond.headers[0].file += 1;
    assert!(strip(&beyond.bytes()).is_err());
    beyond.headers[0].offset = u64::MAX;
    assert!(strip(&beyond.bytes()).is_err());
}
