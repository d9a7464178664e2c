//! Manifests of format 1, in which each program's authority stands beside it.

use crate::manifest::raw::{Kernel, parse_format};
use crate::manifest::{Fault, Position};
use abi::TrapMask;
use abi::boot::{BootEntry, MAX_CPUS, MAX_PROGRAMS, PRIORITIES};
use abi::policy::{ITSELF, ServiceFlags, ServicePolicy};
use libconf::names::{self, Type};
use serde::Deserialize;
use std::ops::Range;
use toml::Spanned;

type Names = Vec<Spanned<String>>;

/// The format, as it was.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    #[serde(rename = "format")]
    _format: i64,
    pub(super) name: Spanned<String>,
    #[serde(rename = "cmdline")]
    _cmdline: Option<Spanned<String>>,
    #[serde(rename = "kernel")]
    _kernel: Kernel,
    pub(super) program: Spanned<Vec<Program>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Program {
    pub(super) name: Spanned<String>,
    #[serde(rename = "package")]
    _package: Spanned<String>,
    #[serde(rename = "bin")]
    _bin: Option<Spanned<String>>,
    priority: Option<Spanned<i64>>,
    cpu: Option<Spanned<i64>>,
    root: Option<Spanned<bool>>,
    pager: Option<Spanned<bool>>,
    loads: Option<Spanned<bool>>,
    traps: Option<Spanned<Names>>,
    sends: Option<Spanned<Names>>,
    calls: Option<Spanned<Names>>,
    memory: Option<Spanned<Names>>,
}

pub(super) fn parse(text: &str) -> Result<Manifest, Fault> {
    parse_format(text, 1)
}

impl Program {
    /// Whether it loads the others.
    pub(super) fn loads(&self) -> bool {
        self.loads.as_ref().is_some_and(|loads| *loads.get_ref())
    }

    /// Where the values of the keys stand that are no keys of a manifest any more.
    pub(super) fn moved(&self) -> impl Iterator<Item = Range<usize>> {
        let numbers = [&self.priority, &self.cpu].into_iter().flatten().map(Spanned::span);
        let flags = [&self.root, &self.pager].into_iter().flatten().map(Spanned::span);
        let lists = [&self.traps, &self.sends, &self.calls, &self.memory].into_iter().flatten().map(Spanned::span);
        numbers.chain(flags).chain(lists)
    }
}

/// The entries of a policy that say what a manifest said, and nothing more.
///
/// # Errors
/// Names and numbers that mean nothing.
pub(super) fn policy(manifest: &Manifest, text: &str) -> Result<Vec<ServicePolicy>, Vec<Fault>> {
    let programs = manifest.program.get_ref();
    let mut reader = Reader { text, programs, faults: Vec::new() };
    if programs.len() > MAX_PROGRAMS {
        reader.fault(manifest.program.span(), format!("an image has 1 to {MAX_PROGRAMS} programs"));
        return Err(reader.faults);
    }
    let entries = programs.iter().map(|program| reader.entry(program)).collect();
    if reader.faults.is_empty() { Ok(entries) } else { Err(reader.faults) }
}

struct Reader<'a> {
    text: &'a str,
    programs: &'a [Program],
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn fault(&mut self, span: Range<usize>, message: String) {
        self.faults.push(Fault { at: Position::of(self.text, span.start), message });
    }

    fn entry(&mut self, program: &Program) -> ServicePolicy {
        let is_set = |key: &Option<Spanned<bool>>| key.as_ref().is_some_and(|key| *key.get_ref());
        let kind = match () {
            () if is_set(&program.root) => Type::Root,
            () if is_set(&program.pager) => Type::Pager,
            () => Type::Service,
        };
        let name = BootEntry::encode_name(program.name.get_ref()).unwrap_or_else(|| {
            self.fault(program.name.span(), format!("{:?} is no name of a program", program.name.get_ref()));
            Default::default()
        });
        let mut entry = ServicePolicy::nothing(name);
        // Nothing was restarted.
        entry.flags = (kind.flags() | ServiceFlags::NO_RESTART).bits();
        entry.uid = if kind == Type::Root { 0 } else { 1 };
        entry.manager = if kind == Type::Root { ITSELF } else { entry.manager };
        entry.quantum = libconf::DEFAULT_QUANTUM;
        entry.priority = self.number(program.priority.as_ref(), libconf::DEFAULT_PRIORITY, PRIORITIES);
        entry.cpu = self.number(program.cpu.as_ref(), 0, MAX_CPUS);
        let known: Vec<_> = names::traps().map(|(name, trap)| (name, u64::from(trap.bits()))).collect();
        entry.traps = self.bits(program.traps.as_ref(), "trap", &known) as u32 & TrapMask::all().bits();
        let known: Vec<_> = names::calls().map(|(name, right)| (name.to_owned(), right)).collect();
        entry.calls = self.bits(program.calls.as_ref(), "kernel call", &known);
        let known: Vec<_> = names::memory().map(|(name, right)| (name.to_owned(), right)).collect();
        entry.memory = self.bits(program.memory.as_ref(), "call of the memory server", &known);
        let places = self.programs.iter().enumerate();
        let known: Vec<_> = places.map(|(place, other)| (other.name.get_ref().clone(), 1 << place)).collect();
        entry.sends[0] = self.bits(program.sends.as_ref(), "program", &known);
        entry
    }

    fn number(&mut self, number: Option<&Spanned<i64>>, default: u8, limit: usize) -> u8 {
        let Some(number) = number else { return default };
        u8::try_from(*number.get_ref()).ok().filter(|n| usize::from(*n) < limit).unwrap_or_else(|| {
            self.fault(number.span(), format!("this is 0 to {}, not {}", limit - 1, number.get_ref()));
            default
        })
    }

    fn bits(&mut self, names: Option<&Spanned<Names>>, what: &str, known: &[(String, u64)]) -> u64 {
        let mut bits = 0;
        for name in names.iter().flat_map(|names| names.get_ref()) {
            match known.iter().find(|(known, _)| known == name.get_ref()) {
                Some((_, bit)) => bits |= bit,
                None => self.fault(name.span(), format!("there is no {what} `{}`", name.get_ref())),
            }
        }
        bits
    }
}
