//! The meaning of a manifest: names, numbers and what they refer to.

use super::{
    DEFAULT_CPU, DEFAULT_PRIORITY, Fault, KERNEL_NAME, MAX_CMDLINE, MAX_IMAGE_NAME, Manifest, Position, Program, Source,
};
use super::{is_cmdline, is_image_name, raw};
use abi::TrapMask;
use abi::boot::{BootEntry, BootFlags, KERNEL_LOG_NAME, MAX_CPUS, MAX_PROGRAMS, NAME_LEN, PRIORITIES, TABLE_MODULE};
use protocol::kernel::{GROUPS, PROTOCOL, right_by_name};
use protocol::vm;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;

/// Checks everything, so that all faults are shown at once.
pub(super) fn check(raw: raw::Manifest, text: &str, path: &Path) -> Result<Manifest, Vec<Fault>> {
    let mut checker = Checker { text, faults: Vec::new() };
    checker.image_name(&raw.name);
    let cmdline = raw.cmdline.map_or(String::new(), |c| checker.cmdline(&c));
    let kernel = checker.source(&raw.kernel.package, raw.kernel.bin.as_ref());
    let names = checker.program_names(&raw.program);
    checker.special_programs(&raw.program);
    let is_served = raw.program.get_ref().iter().any(|p| set(p.loads.as_ref()).is_some());
    let programs = raw.program.get_ref().iter().map(|p| checker.program(p, &names, is_served)).collect();
    if checker.faults.is_empty() {
        Ok(Manifest { path: path.into(), name: raw.name.into_inner(), cmdline, kernel, programs })
    } else {
        Err(checker.faults)
    }
}

struct Checker<'a> {
    text: &'a str,
    faults: Vec<Fault>,
}

impl Checker<'_> {
    fn at(&self, span: Range<usize>) -> Position {
        Position::of(self.text, span.start)
    }

    fn fault(&mut self, span: Range<usize>, message: String) {
        let at = self.at(span);
        self.faults.push(Fault { at, message });
    }

    fn image_name(&mut self, name: &Spanned<String>) {
        if !is_image_name(name.get_ref()) {
            let rule = format!("1 to {MAX_IMAGE_NAME} of a-z 0-9 - _");
            self.fault(name.span(), format!("{:?} is no name of an image: it has {rule}", name.get_ref()));
        }
    }

    /// The command line with one blank between two words.
    fn cmdline(&mut self, line: &Spanned<String>) -> String {
        let normal = line.get_ref().split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        if !is_cmdline(&normal) {
            let rule = format!("at most {MAX_CMDLINE} printable ASCII characters, without quotes and backslashes");
            self.fault(line.span(), format!("the kernel command line has {rule}"));
        }
        normal
    }

    fn source(&mut self, package: &Spanned<String>, bin: Option<&Spanned<String>>) -> Source {
        for name in std::iter::once(package).chain(bin) {
            let valid = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            if name.get_ref().is_empty() || !name.get_ref().bytes().all(valid) {
                self.fault(name.span(), format!("{:?} is no name of a package or binary of cargo", name.get_ref()));
            }
        }
        Source {
            package: package.get_ref().clone(),
            bin: bin.unwrap_or(package).get_ref().clone(),
            at: self.at(package.span()),
        }
    }

    /// The names of all programs in the order of their slots: what `sends` refers to.
    fn program_names(&mut self, programs: &Spanned<Vec<raw::Program>>) -> Vec<String> {
        let count = programs.get_ref().len();
        if count == 0 || count > MAX_PROGRAMS {
            self.fault(programs.span(), format!("an image has 1 to {MAX_PROGRAMS} programs, not {count}"));
        }
        let mut names: Vec<String> = Vec::new();
        for name in programs.get_ref().iter().map(|p| &p.name) {
            let text = name.get_ref();
            if BootEntry::encode_name(text).is_none() {
                let rule = format!("1 to {} of a-z 0-9 - _", NAME_LEN - 1);
                self.fault(name.span(), format!("{text:?} is no name of a program: it has {rule}"));
            } else if text == TABLE_MODULE || text == KERNEL_NAME {
                self.fault(
                    name.span(),
                    format!("`{text}` is the name of another boot file: call the program otherwise"),
                );
            } else if text == KERNEL_LOG_NAME {
                self.fault(
                    name.span(),
                    format!("`{text}` stands before the kernel's lines in the log: call the program otherwise"),
                );
            } else if names.contains(text) {
                self.fault(name.span(), format!("there is a program `{text}` before this one: names must differ"));
            }
            names.push(text.clone());
        }
        names
    }

    /// One program is the root system process, and one at most the memory server.
    fn special_programs(&mut self, programs: &Spanned<Vec<raw::Program>>) {
        let all = programs.get_ref();
        let roots: Vec<_> = all.iter().filter_map(|p| set(p.root.as_ref())).collect();
        if roots.is_empty() && !all.is_empty() {
            let message = "no program has `root = true`: name the root system process, which starts the others";
            self.fault(programs.span(), message.to_owned());
        }
        for root in roots.iter().skip(1) {
            self.fault(root.span(), "a program before this one is the root system process: there is one".to_owned());
        }
        for pager in all.iter().filter_map(|p| set(p.pager.as_ref())).skip(1) {
            self.fault(pager.span(), "a program before this one is the memory server: there is one at most".to_owned());
        }
        let granting_roots = all.iter().filter(|p| set(p.root.as_ref()).is_some());
        for grants in granting_roots.filter_map(|p| set(p.grants_for_others.as_ref())) {
            let message = "the root system process gives this to others, and nobody to it: leave it out";
            self.fault(grants.span(), message.to_owned());
        }
        for loads in all.iter().filter(|p| set(p.pager.as_ref()).is_none()).filter_map(|p| set(p.loads.as_ref())) {
            let message = "only the memory server loads the others: it needs `pager = true`";
            self.fault(loads.span(), message.to_owned());
        }
    }

    fn program(&mut self, raw: &raw::Program, names: &[String], is_served: bool) -> Program {
        let mut sends = 0;
        let mut calls = 0;
        let mut traps = TrapMask::empty();
        for name in self.each_once(&raw.sends) {
            match names.iter().position(|n| n == name.get_ref()) {
                Some(slot) => sends |= 1u64.checked_shl(slot as u32).unwrap_or(0), // Too many programs: refused already.
                None => self.fault(name.span(), unknown_target(name.get_ref(), names)),
            }
        }
        for name in self.each_once(&raw.calls) {
            match right_by_name(name.get_ref()) {
                Some(right) => calls |= right,
                None => {
                    let known = call_names().map(|(name, _)| name.to_owned());
                    self.fault(name.span(), unknown("kernel call", name.get_ref(), known));
                }
            }
        }
        for name in self.each_once(&raw.traps) {
            match trap_names().find(|(known, _)| known == name.get_ref()) {
                Some((_, mask)) => traps |= mask,
                None => self.fault(name.span(), unknown("trap", name.get_ref(), trap_names().map(|(n, _)| n))),
            }
        }
        let mut memory = 0;
        for name in self.each_once(&raw.memory) {
            match memory_names().find(|(known, _)| known == name.get_ref()) {
                Some((_, right)) => memory |= right,
                None => {
                    let known = memory_names().map(|(name, _)| name.to_owned());
                    self.fault(name.span(), unknown("call of the memory server", name.get_ref(), known));
                }
            }
        }
        let source = self.source(&raw.package, raw.bin.as_ref());
        Program {
            name: raw.name.get_ref().clone(),
            source,
            priority: self.priority(raw),
            cpu: self.cpu(raw),
            flags: flags(raw, is_served),
            traps,
            sends,
            calls,
            memory,
        }
    }

    fn priority(&mut self, raw: &raw::Program) -> u8 {
        self.small_number(raw.priority.as_ref(), DEFAULT_PRIORITY, PRIORITIES, "a priority is 0 (most urgent)")
    }

    fn cpu(&mut self, raw: &raw::Program) -> u8 {
        self.small_number(raw.cpu.as_ref(), DEFAULT_CPU, MAX_CPUS, "the number of a processor is 0 (the first)")
    }

    /// A number below `limit`; `range` begins the sentence that tells what it may be.
    fn small_number(&mut self, number: Option<&Spanned<i64>>, default: u8, limit: usize, range: &str) -> u8 {
        let Some(number) = number else { return default };
        match u8::try_from(*number.get_ref()).ok().filter(|&n| usize::from(n) < limit) {
            Some(number) => number,
            None => {
                self.fault(number.span(), format!("{range} to {}, not {}", limit - 1, number.get_ref()));
                default
            }
        }
    }

    /// The names of a list; those that stand there a second time are faults.
    fn each_once<'n>(&mut self, list: &'n [Spanned<String>]) -> Vec<&'n Spanned<String>> {
        let mut seen: Vec<&Spanned<String>> = Vec::new();
        for name in list {
            if seen.iter().any(|s| s.get_ref() == name.get_ref()) {
                self.fault(name.span(), format!("`{}` stands in this list twice", name.get_ref()));
            } else {
                seen.push(name);
            }
        }
        seen
    }
}

/// Every trap as a manifest names it.
pub(crate) fn trap_names() -> impl Iterator<Item = (String, TrapMask)> {
    TrapMask::all().iter_names().map(|(name, mask)| (name.to_ascii_lowercase(), mask))
}

/// Every kernel call and group of them as a manifest names it, with its bit in call masks.
pub(crate) fn call_names() -> impl Iterator<Item = (&'static str, u64)> {
    let calls = PROTOCOL.calls.iter().map(|call| call.name.split_once('.').map_or(call.name, |(_, name)| name));
    let groups = GROUPS.iter().map(|group| group.protocol.name);
    calls.chain(groups).filter_map(|name| Some((name, right_by_name(name)?)))
}

/// Every call of the memory server as a manifest names it, with its bit in masks of them, and the right to act for others.
pub(crate) fn memory_names() -> impl Iterator<Item = (&'static str, u64)> {
    let calls = vm::PROTOCOL.calls.iter().map(|call| {
        let name = call.name.split_once('.').map_or(call.name, |(_, name)| name);
        (name, 1 << call.number)
    });
    calls.chain([("for_others", vm::FOR_OTHERS)])
}

/// Every flag of a program as a manifest names it.
pub(crate) fn flag_names() -> impl Iterator<Item = (String, BootFlags)> {
    BootFlags::all().iter_names().map(|(name, flag)| (name.to_ascii_lowercase(), flag))
}

/// What a program is to the system. Where the memory server loads, it loads all but itself and the root system process.
fn flags(raw: &raw::Program, is_served: bool) -> BootFlags {
    let given = |key: &Option<Spanned<bool>>, flag| if set(key.as_ref()).is_some() { flag } else { BootFlags::empty() };
    let loader = given(&raw.root, BootFlags::ROOT) | given(&raw.pager, BootFlags::PAGER);
    let served = if is_served && loader.is_empty() { BootFlags::SERVED } else { BootFlags::empty() };
    loader | served | given(&raw.grants_for_others, BootFlags::GRANTS_FOR_OTHERS)
}

/// A key that is there and true.
fn set(key: Option<&Spanned<bool>>) -> Option<&Spanned<bool>> {
    key.filter(|key| *key.get_ref())
}

fn unknown(what: &str, name: &str, known: impl Iterator<Item = String>) -> String {
    format!("there is no {what} `{name}`: known are {}", known.collect::<Vec<_>>().join(", "))
}

fn unknown_target(name: &str, names: &[String]) -> String {
    if name == "*" {
        return "`*` is not allowed: name each program that may be sent to".to_owned();
    }
    unknown("program of this image with the name", name, names.iter().cloned())
}
