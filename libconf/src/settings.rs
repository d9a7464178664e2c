//! What the statements of one block set.

use crate::block::{Block, Statement, Word};
use crate::fault::{Faults, shown};
use crate::names::{self, FLAGS, Type, USERS};
use crate::number;
use abi::TrapMask;
use abi::boot::{MAX_CPUS, PRIORITIES};
use abi::policy::{
    IoRange, MAX_IO_RANGES, MAX_IRQS, MAX_MEMORY_RANGES, MAX_PCI, MemoryRange, PciClass, PciDevice, ServiceFlags,
};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

/// Most characters of a description.
pub const MAX_DESCRIPTION: usize = 80;
/// Most interrupt lines of a machine.
const LINES: u64 = 128;
/// Longest heartbeat, delay between restarts and turn.
const MAX_HEARTBEAT: u64 = 3_600_000;
const MAX_BACKOFF: u64 = 3_600;
const MAX_QUANTUM: u64 = 60_000;

/// A name of another block, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) at: usize,
}

/// Somebody who does something for the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Helper {
    /// `SELF` or `KERNEL`.
    BuiltIn,
    Service(Named),
}

/// Calls that are listed, and whether the basic ones are added; `None` where nothing is said about that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rights {
    pub(crate) listed: u64,
    pub(crate) basic: Option<bool>,
}

/// What becomes of a service that dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restart {
    Never,
    Always { backoff: u16, limit: u16 },
}

/// The longest delay before a restart where nothing else is said, in periods of a second.
pub const DEFAULT_BACKOFF: u16 = 30;

/// All that a block can say. What it does not say is `None` or empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Settings {
    pub(crate) classes: Vec<Named>,
    pub(crate) kind: Option<(Type, usize)>,
    pub(crate) uid: Option<u32>,
    pub(crate) priority: Option<u8>,
    pub(crate) quantum: Option<u16>,
    pub(crate) cpu: Option<u8>,
    pub(crate) scheduler: Option<Helper>,
    pub(crate) manager: Option<Helper>,
    pub(crate) backup: Option<Helper>,
    pub(crate) heartbeat: Option<u32>,
    pub(crate) restart: Option<Restart>,
    pub(crate) script: Option<Named>,
    pub(crate) traps: Option<TrapMask>,
    pub(crate) calls: Rights,
    pub(crate) memory: Rights,
    pub(crate) flags: u32,
    pub(crate) sends: Vec<Named>,
    pub(crate) sends_to_users: Option<usize>,
    pub(crate) control: Vec<Named>,
    pub(crate) irqs: Vec<u8>,
    pub(crate) io: Vec<IoRange>,
    pub(crate) ranges: Vec<MemoryRange>,
    pub(crate) devices: Vec<PciDevice>,
    pub(crate) pci_classes: Vec<PciClass>,
    pub(crate) description: Option<String>,
    pub(crate) unordered: bool,
}

impl Settings {
    /// Adds what a class says: lists are united; of single values those that are here already count.
    pub(crate) fn include(&mut self, class: &Self) {
        fn prefer<T: Clone>(own: &mut Option<T>, class: &Option<T>) {
            if own.is_none() {
                own.clone_from(class);
            }
        }
        fn unite<T: Clone + PartialEq>(own: &mut Vec<T>, class: &[T], same: impl Fn(&T, &T) -> bool) {
            for new in class {
                if !own.iter().any(|old| same(old, new)) {
                    own.push(new.clone());
                }
            }
        }
        let same_name = |a: &Named, b: &Named| a.name == b.name;
        prefer(&mut self.kind, &class.kind);
        prefer(&mut self.uid, &class.uid);
        prefer(&mut self.priority, &class.priority);
        prefer(&mut self.quantum, &class.quantum);
        prefer(&mut self.cpu, &class.cpu);
        prefer(&mut self.scheduler, &class.scheduler);
        prefer(&mut self.manager, &class.manager);
        prefer(&mut self.backup, &class.backup);
        prefer(&mut self.heartbeat, &class.heartbeat);
        prefer(&mut self.restart, &class.restart);
        prefer(&mut self.script, &class.script);
        prefer(&mut self.traps, &class.traps);
        prefer(&mut self.calls.basic, &class.calls.basic);
        prefer(&mut self.memory.basic, &class.memory.basic);
        prefer(&mut self.sends_to_users, &class.sends_to_users);
        prefer(&mut self.description, &class.description);
        self.calls.listed |= class.calls.listed;
        self.memory.listed |= class.memory.listed;
        self.flags |= class.flags;
        self.unordered |= class.unordered;
        unite(&mut self.sends, &class.sends, same_name);
        unite(&mut self.control, &class.control, same_name);
        unite(&mut self.irqs, &class.irqs, PartialEq::eq);
        unite(&mut self.io, &class.io, PartialEq::eq);
        unite(&mut self.ranges, &class.ranges, PartialEq::eq);
        unite(&mut self.devices, &class.devices, PartialEq::eq);
        unite(&mut self.pci_classes, &class.pci_classes, PartialEq::eq);
    }
}

/// What a block says; what cannot be understood of it is a fault.
pub(crate) fn of_block(block: &Block<'_>, faults: &mut Faults) -> Settings {
    let mut reader = Reader { faults, settings: Settings::default() };
    let mut seen: Vec<(&str, Option<&str>)> = Vec::new();
    for statement in &block.statements {
        let keyword = statement.keyword.text;
        // There are two kinds of these.
        let kind = statement.arguments.first().filter(|_| keyword == "pci").map(|kind| kind.text);
        let key = (keyword, kind);
        if seen.contains(&key) {
            let message = format!("`{}` stands in this block twice: make one of the two", shown(keyword));
            reader.faults.add(statement.keyword.at, message);
        } else {
            seen.push(key);
            reader.statement(statement);
        }
    }
    reader.settings
}

/// Every keyword of a statement.
const KEYWORDS: [&str; 29] = [
    "class",
    "type",
    "uid",
    "priority",
    "quantum",
    "cpu",
    "scheduler",
    "irq",
    "io",
    "mem",
    "pci",
    "system",
    "vm",
    "ipc",
    "traps",
    "control",
    "sigmgr",
    "backup",
    "heartbeat",
    "restart",
    "script",
    "core",
    "synch",
    "copy",
    "reincarnate",
    "replica",
    "grants_for_others",
    "unordered",
    "descr",
];

struct Reader<'f> {
    faults: &'f mut Faults,
    settings: Settings,
}

impl Reader<'_> {
    fn statement(&mut self, s: &Statement<'_>) {
        match s.keyword.text {
            _ if s.keyword.quoted => self.faults.add(s.keyword.at, "a keyword stands without quotes"),
            "class" => self.settings.classes = self.names(s),
            "type" => {
                if let Some(word) = self.one(s) {
                    self.settings.kind = self.find(word, "type", Type::ALL).map(|kind| (kind, word.at));
                }
            }
            "uid" => self.settings.uid = self.one(s).and_then(|word| self.uid(word)),
            "priority" => {
                let what = "a priority is 0 (most urgent)";
                self.settings.priority = self.number(s, 0..=PRIORITIES as u64 - 1, what).map(|n| n as u8);
            }
            "quantum" => {
                let what = "the length of a turn, in milliseconds, is 1";
                self.settings.quantum = self.number(s, 1..=MAX_QUANTUM, what).map(|n| n as u16);
            }
            "cpu" => {
                let what = "the number of a processor is 0 (the first)";
                self.settings.cpu = self.number(s, 0..=MAX_CPUS as u64 - 1, what).map(|n| n as u8);
            }
            "heartbeat" => {
                let what = "how long a ping may be unanswered, in milliseconds, is 1";
                self.settings.heartbeat = self.number(s, 1..=MAX_HEARTBEAT, what).map(|n| n as u32);
            }
            "scheduler" => self.settings.scheduler = self.helper(s, "KERNEL"),
            "sigmgr" => self.settings.manager = self.helper(s, "SELF"),
            "backup" => self.settings.backup = self.helper(s, "SELF"),
            "restart" => self.settings.restart = self.restart(s),
            "script" => self.settings.script = self.one(s).map(named),
            "irq" => self.settings.irqs = self.list(s, MAX_IRQS, "interrupt lines", irq),
            "io" => self.settings.io = self.list(s, MAX_IO_RANGES, "ranges of ports", number::io),
            "mem" => self.settings.ranges = self.list(s, MAX_MEMORY_RANGES, "ranges of memory", number::memory),
            "pci" => self.pci(s),
            "system" => self.settings.calls = self.rights(s, "kernel call", names::calls),
            "vm" => self.settings.memory = self.rights(s, "call of the memory server", names::memory),
            "traps" => self.settings.traps = self.traps(s),
            "ipc" => self.ipc(s),
            "control" => self.settings.control = self.names(s),
            "descr" => self.settings.description = self.description(s),
            "unordered" => self.settings.unordered = self.nothing(s),
            keyword => match FLAGS.iter().find(|(name, _)| *name == keyword) {
                Some((_, flag)) => {
                    self.nothing(s);
                    self.settings.flags |= flag.bits();
                }
                None => {
                    let known = KEYWORDS.iter().copied();
                    self.faults.add(s.keyword.at, unknown("keyword", keyword, known));
                }
            },
        }
    }

    /// The only argument of a statement.
    fn one<'s, 't>(&mut self, s: &'s Statement<'t>) -> Option<&'s Word<'t>> {
        let (at, count) = (s.keyword.at, s.arguments.len());
        match &s.arguments[..] {
            [word] if !word.quoted || s.keyword.text == "descr" => return Some(word),
            [word] => self.faults.add(word.at, "this stands without quotes"),
            [] => self.faults.add(at, format!("`{}` takes an argument", shown(s.keyword.text))),
            [_, second, ..] => {
                let message = format!("`{}` takes one argument, not {count}: is a `;` missing?", shown(s.keyword.text));
                self.faults.add(second.at, message);
            }
        }
        None
    }

    /// Checks that a keyword has no arguments; always true.
    fn nothing(&mut self, s: &Statement<'_>) -> bool {
        if let Some(word) = s.arguments.first() {
            self.faults.add(word.at, format!("`{}` takes no argument: is a `;` missing?", shown(s.keyword.text)));
        }
        true
    }

    /// The different words of a list of at least one.
    fn words<'s, 't>(&mut self, s: &Statement<'t>, list: &'s [Word<'t>]) -> Vec<&'s Word<'t>> {
        if list.is_empty() {
            let message = format!("`{}` takes at least one argument: leave it out for none", shown(s.keyword.text));
            self.faults.add(s.keyword.at, message);
        }
        let mut words: Vec<&Word<'t>> = Vec::new();
        for word in list {
            if word.quoted {
                self.faults.add(word.at, "this stands without quotes");
            } else if words.iter().any(|other| other.text == word.text) {
                self.faults.add(word.at, format!("`{}` stands in this list twice", shown(word.text)));
            } else {
                words.push(word);
            }
        }
        words
    }

    fn names(&mut self, s: &Statement<'_>) -> Vec<Named> {
        self.words(s, &s.arguments).into_iter().map(named).collect()
    }

    fn number(&mut self, s: &Statement<'_>, range: RangeInclusive<u64>, what: &str) -> Option<u64> {
        let word = self.one(s)?;
        self.in_range(word, range, what)
    }

    /// A decimal number; `what` begins the sentence that tells what it may be.
    fn in_range(&mut self, word: &Word<'_>, range: RangeInclusive<u64>, what: &str) -> Option<u64> {
        let number = number::decimal(word.text).filter(|n| range.contains(n));
        if number.is_none() {
            self.faults.add(word.at, format!("{what} to {}, not `{}`", range.end(), shown(word.text)));
        }
        number
    }

    fn uid(&mut self, word: &Word<'_>) -> Option<u32> {
        let by_name = USERS.iter().find(|(name, _)| *name == word.text).map(|(_, uid)| *uid);
        let uid = by_name.or_else(|| u32::try_from(number::decimal(word.text)?).ok());
        if uid.is_none() {
            let known: Vec<&str> = USERS.iter().map(|(name, _)| *name).collect();
            let message = format!("`{}` is no user: write a number, or {}", shown(word.text), known.join(", "));
            self.faults.add(word.at, message);
        }
        uid
    }

    fn find<T: Copy>(
        &mut self,
        word: &Word<'_>,
        what: &str,
        known: impl IntoIterator<Item = (&'static str, T), IntoIter: Clone>,
    ) -> Option<T> {
        let known = known.into_iter();
        let found = known.clone().find(|(name, _)| *name == word.text).map(|(_, value)| value);
        if found.is_none() {
            self.faults.add(word.at, unknown(what, word.text, known.map(|(name, _)| name)));
        }
        found
    }

    fn helper(&mut self, s: &Statement<'_>, built_in: &str) -> Option<Helper> {
        let word = self.one(s)?;
        Some(if word.text == built_in { Helper::BuiltIn } else { Helper::Service(named(word)) })
    }

    fn restart(&mut self, s: &Statement<'_>) -> Option<Restart> {
        const FORM: &str = "write `restart never`, or `restart backoff SECONDS limit TIMES`, or one part of that";
        let (mut backoff, mut limit) = (None, None);
        match &s.arguments[..] {
            [Word { text: "never", .. }] => return Some(Restart::Never),
            [] => self.faults.add(s.keyword.at, FORM),
            arguments => {
                for pair in arguments.chunks(2) {
                    match pair {
                        [Word { text: "backoff", .. }, seconds] if backoff.is_none() => {
                            backoff = self.in_range(seconds, 1..=MAX_BACKOFF, "the longest delay, in seconds, is 1");
                        }
                        [Word { text: "limit", .. }, times] if limit.is_none() => {
                            let what = "how often a service is restarted is 1";
                            limit = self.in_range(times, 1..=u64::from(u16::MAX), what);
                        }
                        [first, ..] => {
                            self.faults.add(first.at, FORM);
                            break;
                        }
                        [] => {}
                    }
                }
            }
        }
        let backoff = backoff.map_or(DEFAULT_BACKOFF, |n| n as u16);
        Some(Restart::Always { backoff, limit: limit.map_or(0, |n| n as u16) })
    }

    /// A list of at most `most` of `what`, each read by `read`, which says what is wrong with a word.
    fn list<T: PartialEq>(
        &mut self,
        s: &Statement<'_>,
        most: usize,
        what: &str,
        read: fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        self.list_of(s, &s.arguments, most, what, read)
    }

    fn list_of<'t, T: PartialEq>(
        &mut self,
        s: &Statement<'t>,
        arguments: &[Word<'t>],
        most: usize,
        what: &str,
        read: fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        let mut list = Vec::new();
        for word in self.words(s, arguments) {
            match read(word.text) {
                Ok(item) if list.contains(&item) => {
                    self.faults.add(word.at, format!("`{}` stands in this list already", shown(word.text)));
                }
                Ok(_) if list.len() == most => {
                    self.faults.add(word.at, format!("a service has at most {most} {what}"));
                    break;
                }
                Ok(item) => list.push(item),
                Err(message) => self.faults.add(word.at, message),
            }
        }
        list
    }

    fn pci(&mut self, s: &Statement<'_>) {
        let Some((kind, rest)) = s.arguments.split_first() else {
            return self.faults.add(s.keyword.at, "write `pci device VENDOR:DEVICE` or `pci class CLASS`");
        };
        match kind.text {
            "device" => {
                self.settings.devices = self.list_of(s, rest, MAX_PCI, "PCI devices", number::pci_device);
            }
            "class" => {
                self.settings.pci_classes = self.list_of(s, rest, MAX_PCI, "PCI classes", number::pci_class);
            }
            other => {
                let message = format!(
                    "`{}` is nothing of PCI: write `pci device VENDOR:DEVICE` or `pci class CLASS`",
                    shown(other)
                );
                self.faults.add(kind.at, message);
            }
        }
    }

    fn rights<I: Iterator<Item = (&'static str, u64)> + Clone>(
        &mut self,
        s: &Statement<'_>,
        what: &str,
        known: fn() -> I,
    ) -> Rights {
        let mut rights = Rights::default();
        for word in self.words(s, &s.arguments) {
            let basic = match word.text {
                "NONE" => false,
                "BASIC" => true,
                "ALL" => {
                    self.faults.add(word.at, format!("`ALL` is not allowed: name each {what}"));
                    continue;
                }
                _ => {
                    rights.listed |= self.find(word, what, known()).unwrap_or(0);
                    continue;
                }
            };
            if rights.basic.replace(basic).is_some() {
                self.faults.add(word.at, "`NONE` leaves out what `BASIC` adds: write one of the two");
            }
        }
        rights
    }

    fn traps(&mut self, s: &Statement<'_>) -> Option<TrapMask> {
        let mut traps = TrapMask::empty();
        for word in self.words(s, &s.arguments) {
            if word.text == "NONE" {
                if s.arguments.len() > 1 {
                    self.faults.add(word.at, "`NONE` stands alone");
                }
                continue;
            }
            match names::traps().find(|(name, _)| name == word.text) {
                Some((_, trap)) => traps |= trap,
                None => {
                    let known: Vec<String> = names::traps().map(|(name, _)| name).collect();
                    self.faults.add(word.at, unknown("trap", word.text, known.iter().map(String::as_str)));
                }
            }
        }
        Some(traps)
    }

    fn ipc(&mut self, s: &Statement<'_>) {
        for word in self.words(s, &s.arguments) {
            match word.text {
                "USER" => self.settings.sends_to_users = Some(word.at),
                "ALL" | "ALL_SYS" | "*" => {
                    let message = format!("`{}` is not allowed: name each service that may be sent to", word.text);
                    self.faults.add(word.at, message);
                }
                "SYSTEM" => self.faults.add(word.at, "kernel calls are allowed by `system`, not by `ipc SYSTEM`"),
                _ => self.settings.sends.push(named(word)),
            }
        }
    }

    fn description(&mut self, s: &Statement<'_>) -> Option<String> {
        let word = self.one(s)?;
        if !word.quoted {
            self.faults.add(word.at, "a description stands in quotes");
        } else if word.text.chars().count() > MAX_DESCRIPTION || word.text.chars().any(char::is_control) {
            let message = format!("a description has at most {MAX_DESCRIPTION} characters, all of them printable");
            self.faults.add(word.at, message);
        }
        Some(word.text.to_owned())
    }
}

fn named(word: &Word<'_>) -> Named {
    Named { name: word.text.to_owned(), at: word.at }
}

fn irq(text: &str) -> Result<u8, String> {
    let line = number::decimal(text).filter(|line| *line < LINES);
    line.map(|line| line as u8).ok_or_else(|| format!("an interrupt line is 0 to {}, not `{}`", LINES - 1, shown(text)))
}

/// That a name is not known, and which are.
pub(crate) fn unknown<'n>(what: &str, name: &str, known: impl Iterator<Item = &'n str>) -> String {
    format!("there is no {what} `{}`: known are {}", shown(name), known.map(shown).collect::<Vec<_>>().join(", "))
}

const _: () = assert!(ServiceFlags::all().bits().count_ones() == 13, "a new flag: does it need a keyword?");
