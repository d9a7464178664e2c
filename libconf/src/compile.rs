//! Settings to entries: what services say about each other, and about themselves as a whole.

use crate::class::Resolved;
use crate::fault::{Faults, Position, shown};
use crate::names::Type;
use crate::order::{self, Node};
use crate::settings::{Helper, Named, Restart, Rights, Settings, unknown};
use crate::{DEFAULT_BACKOFF, DEFAULT_PRIORITY, DEFAULT_QUANTUM, Service};
use abi::TrapMask;
use abi::boot::{BootEntry, NAME_LEN};
use abi::policy::{ITSELF, MAX_SERVICES, NOBODY, ServiceFlags, ServicePolicy, ServiceSet, contains};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::vec::Vec;

/// The users whose numbers they have if they say nothing.
const ROOT_UID: u32 = 0;
const SERVICE_UID: u32 = 1;

/// The services among the blocks of a text.
pub(crate) fn services(text: &str, blocks: &[Resolved<'_>], faults: &mut Faults) -> Vec<Service> {
    let all: Vec<&Resolved<'_>> = blocks.iter().filter(|block| !block.is_class).collect();
    if let Some(block) = all.get(MAX_SERVICES) {
        faults.add(block.at, format!("a policy describes at most {MAX_SERVICES} services"));
        return Vec::new();
    }
    special(&all, faults);
    let compiler = Compiler { blocks, all: &all };
    let services: Vec<Service> = all
        .iter()
        .map(|block| Service {
            name: block.name.to_owned(),
            at: Position::of(text, block.at),
            description: block.settings.description.clone(),
            unordered: block.settings.unordered,
            policy: compiler.entry(block, faults),
        })
        .collect();
    users(&all, &services, faults);
    if faults.is_empty() {
        scripts(&all, &services, faults);
    }
    if faults.is_empty() {
        order::check(&nodes(&all, &compiler), faults);
    }
    services
}

fn kind(settings: &Settings) -> Type {
    settings.kind.map_or(Type::default(), |(kind, _)| kind)
}

/// One is the root system process, and one at most the memory server.
fn special(all: &[&Resolved<'_>], faults: &mut Faults) {
    for (wanted, what) in [(Type::Root, "the root system process"), (Type::Pager, "the memory server")] {
        let mut found = all.iter().filter_map(|block| block.settings.kind).filter(|(kind, _)| *kind == wanted);
        let none = found.next().is_none();
        if none && wanted == Type::Root {
            faults.add(0, "no service has `type root`: name the root system process, which starts the others");
        }
        found.for_each(|(_, at)| faults.add(at, format!("a service before this one is {what}: there is one")));
    }
}

/// All users have one structure of privileges, so that each may do what every other may.
fn users(all: &[&Resolved<'_>], services: &[Service], faults: &mut Faults) {
    let shared = |policy: &ServicePolicy| {
        let flags = policy.flags & ServiceFlags::SENDS_TO_USERS.bits();
        (policy.calls, policy.memory, policy.sends, policy.traps, flags, policy.manager, policy.backup)
    };
    let mut users = all.iter().zip(services).filter(|(block, _)| kind(&block.settings) == Type::User);
    let Some((_, first)) = users.next() else { return };
    for (block, _) in users.filter(|(_, service)| shared(&service.policy) != shared(&first.policy)) {
        let message = format!(
            "`{}` and `{}` are users, who share what they may do: both need the same `traps`, `ipc`, `system`, `vm`, \
             `sigmgr` and `backup`, such as from one class",
            shown(block.name),
            shown(&first.name)
        );
        faults.add(block.at, message);
    }
}

/// A recovery script runs once for each death, and may do what it is there for.
fn scripts(all: &[&Resolved<'_>], services: &[Service], faults: &mut Faults) {
    let root = all.iter().position(|block| kind(&block.settings) == Type::Root);
    for (place, (block, service)) in all.iter().zip(services).enumerate() {
        let scripted = block.settings.script.as_ref().zip(services.get(usize::from(service.policy.script)));
        let Some((named, script)) = scripted else { continue };
        let (whose, name, policy) = (shown(block.name), shown(&script.name), &script.policy);
        let may_control = policy.uid == ROOT_UID || contains(&policy.control, place);
        let wrong = if usize::from(service.policy.script) == place {
            format!("`{whose}` cannot decide about itself when it is dead: name another service")
        } else if Type::of(policy.flags) != Type::Service {
            format!("`{name}` cannot be started when `{whose}` has died: name a service that has no `type`")
        } else if !policy.has(ServiceFlags::NO_RESTART) {
            format!("`{name}` runs once when `{whose}` has died: write `restart never` in its block")
        } else if !root.is_some_and(|root| contains(&policy.sends, root)) {
            format!(
                "`{name}` cannot say what becomes of `{whose}`: name the root system process under `ipc` in its block"
            )
        } else if !may_control {
            format!("`{name}` may not restart `{whose}`: name that under `control` in its block")
        } else {
            continue;
        };
        faults.add(named.at, wrong);
    }
}

struct Compiler<'a, 'b> {
    blocks: &'a [Resolved<'b>],
    all: &'a [&'a Resolved<'b>],
}

impl Compiler<'_, '_> {
    fn entry(&self, block: &Resolved<'_>, faults: &mut Faults) -> ServicePolicy {
        let s = &block.settings;
        let kind = kind(s);
        check_type(block, kind, faults);
        let mut entry = ServicePolicy::nothing(BootEntry::encode_name(block.name).unwrap_or([b'?'; NAME_LEN]));
        entry.calls = rights(s.calls, kind.basic_calls());
        entry.memory = rights(s.memory, kind.basic_memory());
        entry.traps = s.traps.unwrap_or(kind.traps()).bits();
        entry.flags = kind.flags().bits() | s.flags;
        if s.sends_to_users.is_some() {
            entry.flags |= ServiceFlags::SENDS_TO_USERS.bits();
        }
        entry.sends = self.set(&s.sends, faults);
        entry.control = self.set(&s.control, faults);
        entry.uid = s.uid.unwrap_or(if kind == Type::Root { ROOT_UID } else { SERVICE_UID });
        entry.heartbeat = s.heartbeat.unwrap_or(0);
        match s.restart {
            None if kind == Type::User => entry.flags |= ServiceFlags::NO_RESTART.bits(),
            None => entry.backoff = DEFAULT_BACKOFF,
            Some(Restart::Never) => entry.flags |= ServiceFlags::NO_RESTART.bits(),
            Some(Restart::Always { backoff, limit }) => (entry.backoff, entry.restarts) = (backoff, limit),
        }
        let default_manager = if kind == Type::Root { ITSELF } else { NOBODY };
        entry.manager = self.helper(block, s.manager.as_ref(), default_manager, ITSELF, faults);
        entry.backup = self.helper(block, s.backup.as_ref(), NOBODY, ITSELF, faults);
        entry.scheduler = self.helper(block, s.scheduler.as_ref(), NOBODY, NOBODY, faults);
        entry.script =
            s.script.as_ref().and_then(|named| self.place(named, faults)).map_or(NOBODY, |place| place as u16);
        entry.quantum = s.quantum.unwrap_or(DEFAULT_QUANTUM);
        entry.priority = s.priority.unwrap_or(DEFAULT_PRIORITY);
        entry.cpu = s.cpu.unwrap_or(0);
        entry.irq_count = fill(&mut entry.irqs, &s.irqs, block, "interrupt lines", faults);
        entry.io_count = fill(&mut entry.io, &s.io, block, "ranges of ports", faults);
        entry.range_count = fill(&mut entry.ranges, &s.ranges, block, "ranges of memory", faults);
        entry.device_count = fill(&mut entry.devices, &s.devices, block, "PCI devices", faults);
        entry.class_count = fill(&mut entry.classes, &s.pci_classes, block, "PCI classes", faults);
        entry
    }

    /// The place of a service; a name that is none is a fault.
    fn place(&self, named: &Named, faults: &mut Faults) -> Option<usize> {
        let place = self.all.iter().position(|block| block.name == named.name);
        if place.is_none() {
            if self.blocks.iter().any(|block| block.name == named.name) {
                faults.add(named.at, format!("`{}` is a class: name a service", shown(&named.name)));
            } else {
                faults.add(named.at, unknown("service", &named.name, self.all.iter().map(|block| block.name)));
            }
        }
        place
    }

    fn set(&self, names: &[Named], faults: &mut Faults) -> ServiceSet {
        let mut set = ServiceSet::default();
        for place in names.iter().filter_map(|named| self.place(named, faults)) {
            set[place / 64] |= 1 << (place % 64);
        }
        set
    }

    fn helper(
        &self,
        block: &Resolved<'_>,
        helper: Option<&Helper>,
        default: u16,
        built_in: u16,
        faults: &mut Faults,
    ) -> u16 {
        let named = match helper {
            None => return default,
            Some(Helper::BuiltIn) => return built_in,
            Some(Helper::Service(named)) => named,
        };
        let Some(place) = self.place(named, faults) else { return default };
        if self.all[place].name == block.name {
            let word = if built_in == ITSELF { "write `SELF`" } else { "name another one, or `KERNEL`" };
            faults.add(named.at, format!("`{}` is this service itself: {word}", shown(block.name)));
        } else if kind(&self.all[place].settings) == Type::User {
            faults.add(named.at, format!("`{}` is no service: it has `type user`", shown(&named.name)));
        }
        place as u16
    }
}

fn rights(given: Rights, basic: u64) -> u64 {
    given.listed | if given.basic.unwrap_or(true) { basic } else { 0 }
}

/// Copies a list into an entry; classes can have made it too long.
fn fill<T: Copy>(to: &mut [T], from: &[T], block: &Resolved<'_>, what: &str, faults: &mut Faults) -> u8 {
    if from.len() > to.len() {
        let message =
            format!("`{}` has {} {what} with its classes: {} at most", shown(block.name), from.len(), to.len());
        faults.add(block.at, message);
        return 0;
    }
    to[..from.len()].copy_from_slice(from);
    from.len() as u8
}

/// What does not go with the type of a service.
fn check_type(block: &Resolved<'_>, kind: Type, faults: &mut Faults) {
    let s = &block.settings;
    let has_hardware = !(s.irqs.is_empty()
        && s.io.is_empty()
        && s.ranges.is_empty()
        && s.devices.is_empty()
        && s.pci_classes.is_empty());
    let flag = |flag: ServiceFlags| s.flags & flag.bits() != 0;
    let wrong = match kind {
        Type::User if has_hardware => "is no service, and so cannot have `irq`, `io`, `mem` or `pci`",
        Type::User if s.flags != 0 || s.heartbeat.is_some() || s.script.is_some() => {
            "is no service: `core`, `synch`, `copy`, `reincarnate`, `replica`, `grants_for_others`, `heartbeat` and `script` are for those"
        }
        Type::Root | Type::Pager if s.script.is_some() => {
            "is needed by every process that is started: no `script` could be, when it has died"
        }
        Type::Root | Type::Pager if flag(ServiceFlags::KEPT) => {
            "is loaded by the kernel, which keeps no program: leave `copy` out"
        }
        _ if flag(ServiceFlags::KEPT) && s.restart == Some(Restart::Never) => {
            "is never restarted: leave out `copy`, which keeps its program for that"
        }
        _ if s.script.is_some() && s.restart == Some(Restart::Never) => {
            "is never restarted: leave out `script`, which decides about that"
        }
        _ => return,
    };
    faults.add(block.at, format!("`{}` {wrong}", shown(block.name)));
}

/// Who can wait for whom.
fn nodes<'a>(all: &'a [&Resolved<'_>], compiler: &Compiler<'_, '_>) -> Vec<Node<'a>> {
    let users: Vec<usize> = (0..all.len()).filter(|place| kind(&all[*place].settings) == Type::User).collect();
    let mut ignored = Faults::default(); // All names are known by now.
    all.iter()
        .map(|block| {
            let s = &block.settings;
            let waits = s.traps.unwrap_or(kind(s).traps()).intersects(TrapMask::SEND.union(TrapMask::SENDREC));
            let mut targets = Vec::new();
            if waits && !s.unordered {
                targets.extend(s.sends.iter().filter_map(|to| Some((compiler.place(to, &mut ignored)?, to.at))));
                targets.extend(s.sends_to_users.iter().flat_map(|at| users.iter().map(|user| (*user, *at))));
            }
            Node { name: block.name, kind: kind(s), at: block.at, targets }
        })
        .collect()
}
