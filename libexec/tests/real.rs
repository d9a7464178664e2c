//! Programs as compilers and linkers really make them.

use abi::layout::PIE_BASE;
use libexec::{ElfError, HeaderFault, Placement, Relocator, plan};
use libexec_testing::mutation::{mutate, mutation};
use libexec_testing::property::{Outcome, check, relocations};
use libexec_testing::{ElfFile, loading};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::process::Command;

const MUTATED_FILES: u32 = 5_000;

/// A program with zeros behind its variables, and with four pointers, each to be relocated if the program can move.
const FREESTANDING: &str = r#"
#![no_std]
#![no_main]
use core::sync::atomic::{AtomicUsize, Ordering};
#[used]
#[unsafe(link_section = ".note.selix")]
static NOTE: [u32; 6] = [6, 4, 1, u32::from_le_bytes(*b"Seli"), u32::from_le_bytes(*b"x\0\0\0"), ABI_VERSION];
static WORDS: [&str; 4] = ["north", "east", "south", "west"];
static COUNT: AtomicUsize = AtomicUsize::new(7);
static ZEROS: [AtomicUsize; 64] = [const { AtomicUsize::new(0) }; 64];
#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    loop {
        let i = COUNT.fetch_add(1, Ordering::Relaxed) ^ ZEROS[0].load(Ordering::Relaxed);
        ZEROS[i % 64].store(core::hint::black_box(&WORDS)[i % 4].as_ptr() as usize, Ordering::Relaxed);
    }
}
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
"#;

/// The names there, in the order of their pointers.
const NAMES: [&str; 4] = ["north", "east", "south", "west"];

/// Compiles a freestanding program.
fn compile(name: &str, options: &[&str]) -> ElfFile {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (source, program) = (folder.join(format!("{name}.rs")), folder.join(name));
    let version = abi::ABI_VERSION;
    fs::write(&source, format!("{FREESTANDING}const ABI_VERSION: u32 = {version};\n")).unwrap();
    let common =
        ["--edition=2024", "-Cpanic=abort", "-Copt-level=1", "-Clink-arg=-nostartfiles", "-Clink-arg=-nostdlib"];
    rustc(&[&common[..], options].concat(), &source, &program);
    ElfFile(fs::read(program).unwrap())
}

fn rustc(options: &[&str], source: &Path, program: &Path) {
    let rustc = std::env::var_os("RUSTC").unwrap_or("rustc".into());
    let output = Command::new(rustc).args(options).arg("-o").arg(program).arg(source).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

const FIXED: [&str; 3] = ["-Crelocation-model=static", "-Clink-arg=-static", "-Clink-arg=-no-pie"];
const MOVABLE: [&str; 2] = ["-Crelocation-model=pie", "-Ctarget-feature=+crt-static"];

/// The words that the relocations of a program store, less the base.
fn relocated(file: &ElfFile) -> Vec<(u64, u64)> {
    let plan = plan(&file.0).unwrap();
    let placed = plan.at(PIE_BASE).unwrap();
    let all = relocations(&file.0, &placed).into_iter();
    let mut all: Vec<_> = all.map(|r| (r.address - PIE_BASE, r.value - PIE_BASE)).collect();
    all.sort_unstable();
    all
}

/// The name in [`FREESTANDING`] that the address points to.
fn text_at(file: &ElfFile, address: u64) -> &'static str {
    let plan = plan(&file.0).unwrap();
    let segment = plan.segments().iter().find(|s| s.address <= address && address < s.end()).unwrap();
    let bytes = &file.0[(segment.file_offset + address - segment.address) as usize..];
    NAMES.into_iter().find(|name| bytes.starts_with(name.as_bytes())).unwrap()
}

#[test]
fn a_static_program_is_accepted() {
    let file = compile("fixed", &FIXED);
    assert_eq!(check(&file.0), Outcome::Agreed);
    let plan = plan(&file.0).unwrap();
    assert_eq!((plan.placement(), plan.abi_version()), (Placement::Fixed, Some(abi::ABI_VERSION)));
}

#[test]
fn full_and_packed_relocations_come_to_the_same() {
    let full = compile("full", &MOVABLE);
    let packed = compile("packed", &[&MOVABLE[..], &["-Clink-arg=-Wl,-z,pack-relative-relocs"]].concat());
    for file in [&full, &packed] {
        assert_eq!(check(&file.0), Outcome::Agreed);
        assert_eq!(plan(&file.0).unwrap().placement(), Placement::Relocatable);
    }
    assert_ne!(full, packed);
    for file in [&full, &packed] {
        let names = relocated(file).into_iter().map(|(_, value)| text_at(file, value));
        assert_eq!(names.collect::<String>(), "northeastsouthwest");
    }
}

/// A program of the host, with its C library in it. That relocates itself, and with kinds of relocations that only it knows.
#[test]
fn a_static_pie_of_another_system_relocates_itself() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (source, program) = (folder.join("foreign.rs"), folder.join("foreign"));
    fs::write(&source, "fn main() { println!(\"{:?}\", std::env::args()); }").unwrap();
    rustc(&["--edition=2024", "-Ctarget-feature=+crt-static"], &source, &program);
    let file = fs::read(program).unwrap();
    assert_eq!(check(&file), Outcome::Agreed);
    let plan = plan(&file).unwrap();
    assert_eq!((plan.placement(), plan.relocator()), (Placement::Relocatable, Relocator::Program));
    assert_eq!(relocations(&file, &plan.at(PIE_BASE).unwrap()), []);
    assert!(loading::check(&file));
}

#[test]
fn real_programs_are_loaded_as_planned() {
    let packed = [&MOVABLE[..], &["-Clink-arg=-Wl,-z,pack-relative-relocs"]].concat();
    for (name, options) in [("fixed-load", &FIXED[..]), ("full-load", &MOVABLE), ("packed-load", &packed)] {
        assert!(loading::check(&compile(name, options).0), "{name}");
    }
}

#[test]
fn a_program_for_the_dynamic_linker_is_refused() {
    let file = fs::read(std::env::current_exe().unwrap()).unwrap();
    let Outcome::Refused(ElfError::Header(_, fault)) = check(&file) else { panic!("not refused for a header") };
    assert_eq!(fault, HeaderFault::Interpreter);
}

#[test]
fn mutated_real_programs_never_surprise() {
    let packed = [&MOVABLE[..], &["-Clink-arg=-Wl,-z,pack-relative-relocs"]].concat();
    let seeds = [compile("fixed-seed", &FIXED), compile("full-seed", &MOVABLE), compile("packed-seed", &packed)];
    let strategy = (0..seeds.len(), 0..seeds.len(), prop::collection::vec(mutation(), 1..4));
    let config = Config { cases: MUTATED_FILES, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let agreed = Cell::new(0);
    let tried = runner.run(&strategy, |(file, donor, changes)| {
        let outcome = check(&mutate(&seeds[file], &seeds[donor], &changes).0);
        agreed.set(agreed.get() + u32::from(outcome == Outcome::Agreed));
        Ok(())
    });
    tried.unwrap();
    assert!((MUTATED_FILES / 10..MUTATED_FILES).contains(&agreed.get()), "{} accepted", agreed.get());
}
