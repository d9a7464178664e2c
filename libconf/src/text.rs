//! Compiled entries as a text that says the same.

use crate::names::{self, FLAGS, Type, USERS};
use crate::{DEFAULT_BACKOFF, DEFAULT_PRIORITY, DEFAULT_QUANTUM};
use abi::policy::{ITSELF, NOBODY, ServiceFlags, ServicePolicy, ServiceSet, services};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Where lines are broken.
const WIDTH: usize = 100;

/// The text of a policy, in which each block says what is not so by itself.
pub fn write(entries: &[ServicePolicy]) -> String {
    write_with(entries, &|_| None, &|_| false)
}

/// The same, with what entries do not hold: descriptions, and who is left out of the order.
pub(crate) fn write_with<'d>(
    entries: &[ServicePolicy],
    description: &dyn Fn(usize) -> Option<&'d str>,
    unordered: &dyn Fn(usize) -> bool,
) -> String {
    let blocks: Vec<String> = entries
        .iter()
        .enumerate()
        .map(|(place, entry)| {
            let mut lines = Lines { text: String::new(), entries };
            if let Some(text) = description(place) {
                lines.add("descr", [format!("\"{text}\"")]);
            }
            lines.entry(entry);
            if unordered(place) {
                lines.add("unordered", []);
            }
            format!("service {} {{\n{}}};\n", entry.name().unwrap_or("?"), lines.text)
        })
        .collect();
    blocks.join("\n")
}

struct Lines<'e> {
    text: String,
    entries: &'e [ServicePolicy],
}

impl Lines<'_> {
    fn entry(&mut self, entry: &ServicePolicy) {
        let kind = Type::of(entry.flags);
        self.unless(kind == Type::default(), "type", kind.name().to_owned());
        let uid = if kind == Type::Root { 0 } else { 1 };
        let user = USERS.iter().find(|(_, number)| *number == entry.uid);
        self.unless(
            entry.uid == uid,
            "uid",
            user.map_or_else(|| entry.uid.to_string(), |(name, _)| (*name).to_owned()),
        );
        self.unless(entry.priority == DEFAULT_PRIORITY, "priority", entry.priority.to_string());
        self.unless(entry.quantum == DEFAULT_QUANTUM, "quantum", entry.quantum.to_string());
        self.unless(entry.cpu == 0, "cpu", entry.cpu.to_string());
        self.unless(entry.scheduler == NOBODY, "scheduler", self.name(entry.scheduler));
        let manager = if kind == Type::Root { ITSELF } else { NOBODY };
        self.unless(entry.manager == manager, "sigmgr", self.name(entry.manager));
        self.unless(entry.backup == NOBODY, "backup", self.name(entry.backup));
        self.unless(entry.heartbeat == 0, "heartbeat", entry.heartbeat.to_string());
        self.restart(entry, kind);
        self.unless(entry.script == NOBODY, "script", self.name(entry.script));
        for (name, _) in FLAGS.iter().filter(|(_, flag)| entry.has(*flag)) {
            self.add(name, []);
        }
        self.traps(entry, kind);
        let users = entry.has(ServiceFlags::SENDS_TO_USERS).then(|| "USER".to_owned());
        self.list("ipc", self.names(&entry.sends).into_iter().chain(users));
        self.rights("system", entry.calls, kind.basic_calls(), &mut names::calls());
        self.rights("vm", entry.memory, kind.basic_memory(), &mut names::memory());
        self.list("control", self.names(&entry.control));
        self.hardware(entry);
    }

    fn hardware(&mut self, entry: &ServicePolicy) {
        self.list("irq", entry.irqs().iter().map(ToString::to_string));
        self.list(
            "io",
            entry.io().iter().map(|range| match range.last - range.first {
                0 => format!("{:x}", range.first),
                more => format!("{:x}:{:x}", range.first, u32::from(more) + 1),
            }),
        );
        self.list("mem", entry.ranges().iter().map(|range| format!("{:x}:{:x}", range.start, range.len)));
        self.list("pci device", entry.pci_devices().iter().map(|pci| format!("{:04x}:{:04x}", pci.vendor, pci.device)));
        self.list(
            "pci class",
            entry.pci_classes().iter().map(|pci| {
                let parts = pci.class.to_be_bytes();
                let count = (pci.mask.leading_ones() / u8::BITS) as usize;
                let parts: Vec<String> = parts[..count.min(3)].iter().map(|part| format!("{part:02x}")).collect();
                parts.join("/")
            }),
        );
    }

    fn restart(&mut self, entry: &ServicePolicy, kind: Type) {
        let never = entry.has(ServiceFlags::NO_RESTART);
        if never && kind != Type::User {
            self.add("restart", ["never".to_owned()]);
        }
        let is_default = entry.backoff == DEFAULT_BACKOFF && entry.restarts == 0;
        if !never && (!is_default || kind == Type::User) {
            let limit = (entry.restarts > 0).then(|| format!("limit {}", entry.restarts));
            self.add("restart", [format!("backoff {}", entry.backoff)].into_iter().chain(limit));
        }
    }

    fn traps(&mut self, entry: &ServicePolicy, kind: Type) {
        if entry.traps == kind.traps().bits() {
            return;
        }
        let known: Vec<String> =
            names::traps().filter(|(_, trap)| entry.traps & trap.bits() != 0).map(|(name, _)| name).collect();
        self.add("traps", if known.is_empty() { [NONE.to_owned()].to_vec() } else { known });
    }

    fn rights(&mut self, keyword: &str, given: u64, basic: u64, known: &mut dyn Iterator<Item = (&'static str, u64)>) {
        let with_basic = given & basic == basic;
        let listed = if with_basic { given & !basic } else { given };
        let names = known.filter(|(_, right)| listed & right != 0).map(|(name, _)| name.to_owned());
        let none = (!with_basic).then(|| NONE.to_owned());
        let words: Vec<String> = none.into_iter().chain(names).collect();
        self.list(keyword, words);
    }

    fn name(&self, place: u16) -> String {
        match place {
            ITSELF => "SELF".to_owned(),
            NOBODY => "KERNEL".to_owned(),
            place => self.name_at(usize::from(place)),
        }
    }

    fn name_at(&self, place: usize) -> String {
        self.entries.get(place).and_then(ServicePolicy::name).unwrap_or("?").to_owned()
    }

    fn names(&self, set: &ServiceSet) -> Vec<String> {
        services(set).map(|place| self.name_at(place)).collect()
    }

    fn unless(&mut self, is_default: bool, keyword: &str, argument: String) {
        if !is_default {
            self.add(keyword, [argument]);
        }
    }

    fn list(&mut self, keyword: &str, words: impl IntoIterator<Item = String>) {
        let mut words = words.into_iter().peekable();
        if words.peek().is_some() {
            self.add(keyword, words);
        }
    }

    fn add(&mut self, keyword: &str, words: impl IntoIterator<Item = String>) {
        let mut line = format!("    {keyword}");
        for word in words {
            if line.len() + word.len() + 1 > WIDTH {
                self.text.push_str(&line);
                self.text.push('\n');
                line = "       ".to_owned();
            }
            line.push(' ');
            line.push_str(&word);
        }
        self.text.push_str(&line);
        self.text.push_str(";\n");
    }
}

/// Stands for an empty list, and for what is not added.
const NONE: &str = "NONE";
