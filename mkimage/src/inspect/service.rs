//! The entries of a policy, for programs.

use abi::policy::{ITSELF, NOBODY, ServiceFlags, ServicePolicy, ServiceSet, services};
use libconf::names::{self, Type};
use serde::Serialize;

/// What a service may do, and what becomes of it, by the names that system.conf uses.
#[derive(Debug, Serialize)]
pub struct ServiceReport {
    /// Its name.
    pub name: String,
    /// `root`, `pager`, `service` or `user`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The user that it is.
    pub uid: u32,
    /// Scheduling queue.
    pub priority: u8,
    /// Length of a turn, in milliseconds.
    pub quantum: u16,
    /// Number of the processor that it runs on.
    pub cpu: u8,
    /// Who schedules it; nothing for the kernel.
    pub scheduler: Option<String>,
    /// Who gets its signals; nothing for the root system process.
    pub sigmgr: Option<String>,
    /// Who gets them after that one.
    pub backup: Option<String>,
    /// How long a ping may be unanswered, in milliseconds; 0 if it is not pinged.
    pub heartbeat: u32,
    /// How often it is restarted; 0 for no limit.
    pub restarts: u16,
    /// Longest delay before a restart, in seconds.
    pub backoff: u16,
    /// Its recovery script; nothing if it has none.
    pub script: Option<String>,
    /// Flags beside its type, by their names in the ABI.
    pub flags: Vec<String>,
    /// Traps.
    pub traps: Vec<String>,
    /// Services it may send to.
    pub ipc: Vec<String>,
    /// Kernel calls, and groups of them.
    pub system: Vec<&'static str>,
    /// Calls of the memory server.
    pub vm: Vec<&'static str>,
    /// Services that it may have started, stopped, restarted and updated.
    pub control: Vec<String>,
    /// Interrupt lines.
    pub irq: Vec<u8>,
    /// Ports, in hexadecimal: first and last.
    pub io: Vec<[String; 2]>,
    /// Physical memory, in hexadecimal: start and length.
    pub mem: Vec<[String; 2]>,
    /// PCI devices, in hexadecimal: vendor and device.
    pub pci_devices: Vec<[String; 2]>,
    /// PCI classes, in hexadecimal: class and mask.
    pub pci_classes: Vec<[String; 2]>,
}

/// All entries.
pub(super) fn reports(entries: &[ServicePolicy]) -> Vec<ServiceReport> {
    entries.iter().map(|entry| report(entry, entries)).collect()
}

fn report(entry: &ServicePolicy, all: &[ServicePolicy]) -> ServiceReport {
    let name = |place: usize| all.get(place).and_then(ServicePolicy::name).unwrap_or("?").to_owned();
    let names = |set: &ServiceSet| services(set).map(name).collect();
    let helper = |place: u16| match place {
        NOBODY => None,
        ITSELF => Some("SELF".to_owned()),
        place => Some(name(usize::from(place))),
    };
    let kind = Type::of(entry.flags);
    let flags = ServiceFlags::from_bits_truncate(entry.flags) - kind.flags();
    ServiceReport {
        name: entry.name().unwrap_or("?").to_owned(),
        kind: kind.name(),
        uid: entry.uid,
        priority: entry.priority,
        quantum: entry.quantum,
        cpu: entry.cpu,
        scheduler: helper(entry.scheduler),
        sigmgr: helper(entry.manager),
        backup: helper(entry.backup),
        heartbeat: entry.heartbeat,
        restarts: entry.restarts,
        backoff: entry.backoff,
        script: helper(entry.script),
        flags: flags.iter_names().map(|(name, _)| name.to_ascii_lowercase()).collect(),
        traps: names::traps().filter(|(_, trap)| entry.traps & trap.bits() != 0).map(|(name, _)| name).collect(),
        ipc: names(&entry.sends),
        system: names::calls().filter(|(_, right)| entry.calls & right != 0).map(|(name, _)| name).collect(),
        vm: names::memory().filter(|(_, right)| entry.memory & right != 0).map(|(name, _)| name).collect(),
        control: names(&entry.control),
        irq: entry.irqs().to_vec(),
        io: entry.io().iter().map(|range| [hex(range.first), hex(range.last)]).collect(),
        mem: entry.ranges().iter().map(|range| [hex(range.start), hex(range.len)]).collect(),
        pci_devices: entry.pci_devices().iter().map(|pci| [hex(pci.vendor), hex(pci.device)]).collect(),
        pci_classes: entry.pci_classes().iter().map(|pci| [hex(pci.class), hex(pci.mask)]).collect(),
    }
}

fn hex(number: impl Into<u64>) -> String {
    format!("{:#x}", number.into())
}
