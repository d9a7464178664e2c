//! Turns the addresses in a log into function, file and line.
//!
//! Known are the frames of a kernel panic, `selix:   #2 0xffffffff80201234`, and the instruction pointer of a stopped
//! program or of the kernel, `selix: ping stopped: page fault, rip 0x401234`. Other lines come back as they are.

use addr2line::Loader;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// First address of the kernel's half of the address space.
const KERNEL_START: u64 = 0xffff_8000_0000_0000;
/// What the system's own lines start with.
const LOG_PREFIX: &str = "selix: ";
/// Where the build pretends that the workspace stands.
const WORKSPACE: &str = "/selix/";
const KERNEL: &str = crate::manifest::KERNEL_NAME;

/// Looks addresses up in the unstripped ELF files of one image.
pub struct Symbolizer {
    dir: PathBuf,
    /// By name of the program; `None` if there is no such file.
    files: HashMap<String, Option<Loader>>,
}

impl Symbolizer {
    /// `dir` has the unstripped files under the names of the programs: see [`crate::build::debug_dir`].
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.into(), files: HashMap::new() }
    }

    /// The line, with what its address stands for appended.
    pub fn line(&mut self, line: &str) -> String {
        match find(line).and_then(|found| self.place(&found)) {
            Some(place) => format!("{line} {place}"),
            None => line.to_owned(),
        }
    }

    /// `function at file:line`, and the functions that it is inlined into.
    fn place(&mut self, found: &Address<'_>) -> Option<String> {
        let loader = self.file(found.program)?;
        let mut frames = loader.find_frames(found.probe).ok()?;
        let mut places = Vec::new();
        while let Ok(Some(frame)) = frames.next() {
            let name = frame.function.as_ref().and_then(|f| f.demangle().ok());
            let location = frame.location.as_ref().and_then(|l| Some((l.file?, l.line?)));
            let Some(name) = name else { continue };
            places.push(match location {
                Some((file, line)) => format!("{name} at {}:{line}", file.strip_prefix(WORKSPACE).unwrap_or(file)),
                None => name.into_owned(),
            });
        }
        if places.is_empty() {
            // No debug information there, as in assembly: the name of the symbol is still something.
            let symbol = loader.find_symbol(found.probe)?;
            places.push(addr2line::demangle_auto(symbol.into(), None).into_owned());
        }
        Some(places.join(", inlined into "))
    }

    /// The functions that an address of a program belongs to: that of the instruction first, then those that it is inlined
    /// into. None if that is not known.
    pub fn functions(&mut self, program: &str, address: u64) -> Vec<String> {
        let mut names = Vec::new();
        let Some(Ok(mut frames)) = self.file(program).map(|loader| loader.find_frames(address)) else {
            return names;
        };
        while let Ok(Some(frame)) = frames.next() {
            names.extend(frame.function.as_ref().and_then(|f| f.demangle().ok()).map(|name| name.into_owned()));
        }
        names
    }

    fn file(&mut self, program: &str) -> Option<&Loader> {
        let load = || {
            // A name is the name of one file, whatever the log says.
            let is_name = program == KERNEL || abi::boot::BootEntry::encode_name(program).is_some();
            is_name.then(|| Loader::new(self.dir.join(program)).ok())?
        };
        self.files.entry(program.to_owned()).or_insert_with(load).as_ref()
    }
}

/// An address in a log line.
#[derive(Debug, PartialEq, Eq)]
struct Address<'a> {
    /// The program whose address it is.
    program: &'a str,
    /// What to look up: of a return address, a byte of the call before it, which may be the last of its function.
    probe: u64,
}

fn find(line: &str) -> Option<Address<'_>> {
    let (_, text) = line.split_once(LOG_PREFIX)?;
    if let Some(frame) = text.trim_start().strip_prefix('#') {
        let (number, address) = frame.split_once(' ')?;
        let address = hexadecimal(address)?;
        number.parse::<u32>().ok()?;
        return Some(Address { program: KERNEL, probe: address.checked_sub(1)? });
    }
    let probe = hexadecimal(text.split_once("rip ")?.1)?;
    if probe >= KERNEL_START {
        return Some(Address { program: KERNEL, probe });
    }
    let (program, _) = text.split_once(" stopped: ")?;
    Some(Address { program, probe })
}

/// The number that a text starts with, as in `0x12ab`.
fn hexadecimal(text: &str) -> Option<u64> {
    let digits = text.trim_start().strip_prefix("0x")?;
    let end = digits.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(digits.len());
    u64::from_str_radix(&digits[..end], 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found() {
        let kernel = |probe| Some(Address { program: KERNEL, probe });
        assert_eq!(find("selix:   #0 0xffffffff80201234"), kernel(0xffff_ffff_8020_1233));
        assert_eq!(find("selix:   #1 0xffffffff80201234"), kernel(0xffff_ffff_8020_1233));
        assert_eq!(find("selix:   #12 0xffff800000000001\r"), kernel(KERNEL_START));
        assert_eq!(find("\x1b[mselix: #3 0xffffffff80000001 more"), kernel(0xffff_ffff_8000_0000));
        assert_eq!(find("selix: rip 0xffffffff80201234 cs 0x8"), kernel(0xffff_ffff_8020_1234));
        assert_eq!(find("selix:   #5 0x200190"), kernel(0x20_018f), "the code that switches to the upper half");
        let program = Some(Address { program: "ping", probe: 0x40_1234 });
        assert_eq!(find("selix: ping stopped: page fault at 0x0, rip 0x401234, rsp 0x7"), program);
        assert_eq!(find("selix: ping stopped: page fault rip 0x0000000000401234"), program);
    }

    #[test]
    fn other_lines_have_none() {
        for line in [
            "",
            "selix: ",
            "selix: up",
            "selix: #",
            "selix: # 0xffffffff80201234",
            "selix: #1",
            "selix: #1 0x",
            "selix: #-1 0xffffffff80201234",
            "selix: #0 0xfffffffffffffffff",
            "selix: #1 ffffffff80201234",
            "selix: ping: rip 0x401234",
            "selix: ping stopped: rip",
            "ping stopped: rip 0x401234",
            "echo: #1 0xffffffff80201234",
        ] {
            assert_eq!(find(line), None, "{line:?}");
        }
    }
}
