//! A QEMU plugin that tells which of the guest's instructions were executed, at no cost to the guest: it runs the code that
//! it would run without.
//!
//! It has one of two arguments: `events=FILE` writes a line into the file for each execution of an instruction that is dear
//! on real processors, and of those that say what is measured; `longest=FILE` writes the instructions of the longest
//! times without interrupts. Where interrupts are off is known by address: Selix runs its half of the address space with interrupts
//! off, except for the waiting itself.

mod api;
mod event;
mod stretch;

use api::{Block, Id};
use event::{Event, KERNEL_START};
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use stretch::Stretches;

/// Which interface this is made for; QEMU looks at it.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)] // Its name is given.
pub static qemu_plugin_version: c_int = api::VERSION;

/// What is watched, and where it is written.
enum Watch {
    Events(BufWriter<File>),
    Longest(Stretches, File),
}

static WATCH: Mutex<Option<Watch>> = Mutex::new(None);

fn watch() -> MutexGuard<'static, Option<Watch>> {
    WATCH.lock().unwrap_or_else(PoisonError::into_inner)
}

/// QEMU installs the plugin.
///
/// # Safety
/// Called by QEMU, with the arguments as an array of `count` C strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    id: Id,
    _machine: *const c_void,
    count: c_int,
    arguments: *const *const c_char,
) -> c_int {
    // SAFETY: by contract; the index is in range.
    let argument = |i| unsafe { CStr::from_ptr(*arguments.add(i)) }.to_string_lossy();
    let arguments: Vec<_> = (0..usize::try_from(count).unwrap_or(0)).map(argument).collect();
    let words: Vec<_> = arguments.iter().map(|word| word.as_ref()).collect();
    match open(&words) {
        Ok(opened) => *watch() = Some(opened),
        Err(error) => {
            eprintln!("plugin: {error}");
            return 1;
        }
    }
    // SAFETY: the installation is under way, and the id is QEMU's.
    unsafe { api::register(id, translated, ended) };
    0
}

fn open(arguments: &[&str]) -> Result<Watch, String> {
    let [argument] = arguments else {
        return Err("it has one argument: events=FILE or longest=FILE".into());
    };
    let (what, path) = argument.split_once('=').unwrap_or((argument, ""));
    let create = || File::create(path).map_err(|error| format!("cannot create {path}: {error}"));
    match what {
        "events" => Ok(Watch::Events(BufWriter::new(create()?))),
        "longest" => Ok(Watch::Longest(Stretches::default(), create()?)),
        _ => Err(format!("there is nothing called `{what}` to watch: use events=FILE or longest=FILE")),
    }
}

/// QEMU has translated a block: says what of it is watched.
unsafe extern "C" fn translated(_: Id, block: *mut c_void) {
    // SAFETY: QEMU's own block, during its callback.
    let block = unsafe { Block::new(block) };
    let is_events = matches!(*watch(), Some(Watch::Events(_)));
    for (i, instruction) in block.instructions().enumerate() {
        let address = instruction.address();
        let event = Event::of(address, instruction.bytes());
        if is_events {
            if let Some(event) = event {
                instruction.on_execution(happened, event as usize);
            }
        } else if address < KERNEL_START {
            if i == 0 {
                block.on_execution(opened);
            }
        } else if event == Some(Event::Hlt) {
            instruction.on_execution(opened, 0);
        } else {
            instruction.on_execution(executed, address as usize);
        }
    }
}

extern "C" fn happened(_: c_uint, event: *mut c_void) {
    if let (Some(Watch::Events(file)), Some(event)) = (&mut *watch(), Event::ALL.get(event.addr())) {
        // An incomplete file is refused by its reader.
        _ = writeln!(file, "{}", event.name());
    }
}

extern "C" fn executed(_: c_uint, address: *mut c_void) {
    if let Some(Watch::Longest(stretches, _)) = &mut *watch() {
        stretches.executed(address.addr() as u64);
    }
}

extern "C" fn opened(_: c_uint, _: *mut c_void) {
    if let Some(Watch::Longest(stretches, _)) = &mut *watch() {
        stretches.opened();
    }
}

extern "C" fn ended(_: Id, _: *mut c_void) {
    _ = match watch().take() {
        Some(Watch::Events(mut file)) => writeln!(file, "{END}").and_then(|()| file.flush()),
        Some(Watch::Longest(stretches, mut file)) => writeln!(file, "{stretches}{END}"),
        None => Ok(()),
    };
}

/// The last line of a complete file.
const END: &str = "end";
