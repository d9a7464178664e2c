//! Boot sets that are no good stop the boot with a message that names the culprit.

use crate::support::bios;
use crate::{DEBUG_EXIT, changed, run};
use abi::boot::{BootEntry, BootFlags, BootHeader};
use abi::note::AbiNote;
use abi::report::{KERNEL_PANIC, SYSTEM_FAILED};
use mkimage::image::{File, Image, Role};
use qemu::{End, Goal};
use zerocopy::{FromBytes, IntoBytes};

/// Boots the shipped image with `change`; it must not come up. Gives what the kernel says about that.
pub(crate) fn refusal(name: &str, change: impl FnOnce(&mut Image)) -> String {
    let disk = changed(|image| {
        image.cmdline = DEBUG_EXIT.into();
        change(image);
    });
    let run = run(&format!("wrong-{name}"), &bios(&disk.iso), &Goal::Line("selix: up".into()));
    let (serial, end) = (&run.evidence.serial, &run.evidence.end);
    assert_eq!(*end, End::Exited(KERNEL_PANIC), "{name}: {}\n{serial}", run.verdict);
    let told = serial.lines().find_map(|line| line.strip_prefix("selix: cannot boot: "));
    told.unwrap_or_else(|| panic!("{name}: nothing is told; {}\n{serial}", run.verdict)).to_owned()
}

/// The same with a change that the kernel does not notice, but the memory server does: gives what that says.
pub(crate) fn refusal_of_server(name: &str, change: impl FnOnce(&mut Image)) -> String {
    let disk = changed(|image| {
        image.cmdline = DEBUG_EXIT.into();
        change(image);
    });
    let run = run(&format!("wrong-{name}"), &bios(&disk.iso), &Goal::Line("ping: ".into()));
    let (serial, end) = (&run.evidence.serial, &run.evidence.end);
    assert_eq!(*end, End::Exited(SYSTEM_FAILED), "{name}: {}\n{serial}", run.verdict);
    assert!(serial.contains("rs: cannot wait for program 1 of the boot table"), "{name}:\n{serial}");
    let told = serial.lines().find_map(|line| line.strip_prefix("vm: cannot begin: "));
    told.unwrap_or_else(|| panic!("{name}: nothing is told; {}\n{serial}", run.verdict)).to_owned()
}

/// The same, and what it says has `message` in it.
fn stops(name: &str, message: &str, change: impl FnOnce(&mut Image)) {
    let told = refusal(name, change);
    assert!(told.contains(message), "`{message}` is not in `{told}`");
}

fn file<'a>(image: &'a mut Image, name: &str) -> &'a mut File {
    image.files.iter_mut().find(|file| file.name == name).expect("the image has the file")
}

/// Changes the entries of the boot table, and makes its checksum right again.
fn change_entries(image: &mut Image, change: impl FnOnce(&mut [BootEntry])) {
    let table = &mut image.files.iter_mut().find(|f| f.role == Role::BootTable).expect("there is a table").bytes;
    let (header, entries) = table.split_at_mut(size_of::<BootHeader>());
    let mut all: Vec<BootEntry> = entries
        .chunks_exact(size_of::<BootEntry>())
        .map(|bytes| BootEntry::read_from_bytes(bytes).expect("an entry"))
        .collect();
    change(&mut all);
    entries.copy_from_slice(all.as_bytes());
    header.copy_from_slice(BootHeader::of(&all).as_bytes());
}

/// Replaces a program, and lets the boot table say that this is right.
pub(crate) fn replace(image: &mut Image, name: &str, elf: Vec<u8>) {
    change_entries(image, |all| {
        let entry = all.iter_mut().find(|e| e.name() == Some(name)).expect("the table names it");
        entry.size = elf.len() as u64;
        entry.crc32 = crc32fast::hash(&elf);
    });
    file(image, name).bytes = elf;
}

#[test]
fn a_missing_module() {
    stops("missing", "the module ping is missing", |image| image.files.retain(|file| file.name != "ping"));
}

#[test]
fn a_surplus_module() {
    stops("surplus", "does not name the module extra", |image| {
        let extra = File { name: "extra".into(), ..file(image, "ping").clone() };
        image.files.push(extra);
    });
}

#[test]
fn a_module_that_is_there_twice() {
    stops("twice", "two modules are named ping", |image| {
        let twice = file(image, "ping").clone();
        image.files.push(twice);
    });
}

#[test]
fn no_boot_table() {
    stops("no-table", "no module is named boot-table", |image| image.files.retain(|f| f.role != Role::BootTable));
}

#[test]
fn a_damaged_boot_table() {
    stops("bad-table", "the module boot-table is damaged", |image| {
        *file(image, "boot-table").bytes.last_mut().expect("it has bytes") ^= 1;
    });
}

#[test]
fn a_boot_table_of_another_format() {
    stops("other-format", "has format 9", |image| file(image, "boot-table").bytes[8] = 9);
}

#[test]
fn a_boot_table_with_another_number_of_root_system_processes() {
    let all = |flags: BootFlags| move |image: &mut Image| change_entries(image, |all| set_flags(all, flags));
    stops("no-root", "names 0 root system processes, should be 1", all(BootFlags::empty()));
    stops("roots", "names 10 root system processes, should be 1", all(BootFlags::ROOT));
}

#[test]
fn a_boot_table_with_two_memory_servers() {
    stops("pagers", "names 9 memory servers, should be 0 or 1", |image| {
        change_entries(image, |all| set_flags(&mut all[1..], BootFlags::PAGER));
    });
}

fn set_flags(entries: &mut [BootEntry], flags: BootFlags) {
    for entry in entries {
        entry.flags = flags.bits();
    }
}

/// Has a program execute an instruction that is none, as the first.
fn spoil(image: &mut Image, name: &str) {
    const UD2: [u8; 2] = [0x0f, 0x0b];
    let mut elf = file(image, name).bytes.clone();
    let parsed = goblin::elf::Elf::parse(&elf).expect("a program is an ELF file");
    let holds_entry = |p: &&goblin::elf::ProgramHeader| p.vm_range().contains(&(parsed.entry as usize));
    let segment = parsed.program_headers.iter().find(holds_entry).expect("the entry is loaded");
    let at = (parsed.entry - segment.p_vaddr + segment.p_offset) as usize;
    elf[at..at + UD2.len()].copy_from_slice(&UD2);
    replace(image, name, elf);
}

/// Boots the shipped image with a change that ends the system so, saying this.
fn ends(name: &str, how: u32, message: &str, change: impl FnOnce(&mut Image)) {
    let disk = changed(|image| {
        image.cmdline = DEBUG_EXIT.into();
        change(image);
    });
    let run = run(&format!("wrong-{name}"), &bios(&disk.iso), &Goal::Line("ping: ".into()));
    let (serial, end) = (&run.evidence.serial, &run.evidence.end);
    assert_eq!(*end, End::Exited(how), "{}\n{serial}", run.verdict);
    assert!(serial.contains(message), "`{message}` is not in\n{serial}");
}

#[test]
fn a_root_system_process_that_crashes_ends_the_system() {
    let message = "selix: rs cannot go on, and nobody is there to deal with it";
    ends("crashing-root", KERNEL_PANIC, message, |image| spoil(image, "rs"));
}

#[test]
fn a_core_service_that_crashes_ends_the_system_with_its_name() {
    for name in ["pm", "ds"] {
        let message = format!("rs: the system cannot go on without {name}: EDEADSRCDST");
        ends(&format!("crashing-{name}"), SYSTEM_FAILED, &message, |image| spoil(image, name));
    }
}

#[test]
fn a_boot_table_that_gives_other_rights_than_the_policy() {
    type Change = fn(&mut BootEntry);
    let message =
        "rs: cannot find the rights in the policy that the boot table gives to program 5 of the boot table: EPERM";
    let changes: [(&str, Change); 4] = [
        ("calls", |e| e.calls ^= 1),
        ("memory", |e| e.memory ^= 4),
        ("traps", |e| e.traps ^= 2),
        ("sends", |e| e.sends ^= 1),
    ];
    for (name, change) in changes {
        ends(&format!("policy-{name}"), SYSTEM_FAILED, message, |image| {
            change_entries(image, |all| change(&mut all[5]))
        });
    }
}

#[test]
fn a_damaged_module() {
    stops("damaged", "the module ping is not the file", |image| {
        let bytes = &mut file(image, "ping").bytes;
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
    });
}

#[test]
fn a_truncated_module() {
    stops("truncated", "the module ping has 1000 bytes", |image| file(image, "ping").bytes.truncate(1000));
}

#[test]
fn a_program_that_is_no_elf_file() {
    let script = || b"#!/bin/sh\n".to_vec();
    stops("no-elf", "the boot program vm cannot be loaded", |image| replace(image, "vm", script()));
    let told = refusal_of_server("no-elf-later", |image| replace(image, "ping", script()));
    assert!(told.starts_with("the boot program ping: "), "{told}");
}

#[test]
fn a_program_that_ends_early() {
    let cut = |image: &mut Image, name: &str| {
        let mut elf = file(image, name).bytes.clone();
        elf.truncate(elf.len() - 1);
        replace(image, name, elf);
    };
    stops("cut-elf", "the boot program vm cannot be loaded", |image| cut(image, "vm"));
    let told = refusal_of_server("cut-elf-later", |image| cut(image, "ping"));
    assert!(told.starts_with("the boot program ping: "), "{told}");
}

#[test]
fn a_program_for_another_abi() {
    let change = |image: &mut Image, name: &str| {
        let mut elf = file(image, name).bytes.clone();
        let is_note = |window: &[u8]| window == AbiNote::CURRENT.as_bytes();
        let at = elf.windows(size_of::<AbiNote>()).position(is_note).expect("a program has the note");
        elf[at + size_of::<AbiNote>() - size_of::<u32>()] = 77;
        replace(image, name, elf);
    };
    stops("other-abi", "is built for ABI 77", |image| change(image, "vm"));
    let told = refusal_of_server("other-abi-later", |image| change(image, "ping"));
    assert!(told.contains("is built for ABI 77"), "{told}");
}

#[test]
fn the_order_of_modules_does_not_matter() {
    let disk = changed(|image| image.files[1..].reverse());
    let run = run("wrong-order", &bios(&disk.iso), &Goal::Line("ping: echo answers: 1000 calls".into()));
    assert!(run.verdict.passed(), "{}\n{}", run.verdict, run.evidence.serial);
}

#[test]
fn strange_command_lines_are_survived() {
    let long = "word ".repeat(200);
    for (i, line) in ["", "quiet = x =y", "crash=maybe debug-exit=zz", &long].into_iter().enumerate() {
        let disk = changed(|image| image.cmdline = line.to_owned());
        let run = run(&format!("command-line-{i}"), &bios(&disk.iso), &Goal::Line("selix: up".into()));
        assert!(run.verdict.passed(), "{line}: {}\n{}", run.verdict, run.evidence.serial);
    }
}
