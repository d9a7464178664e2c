//! The names that stand for bits and numbers of the policy.

use abi::TrapMask;
use abi::boot::{KERNEL_LOG_NAME, TABLE_MODULE};
use abi::policy::{POLICY_FILE, ServiceFlags};
use alloc::string::String;
use protocol::kernel::{GROUPS, PROTOCOL, right_by_name};
use protocol::vm;

/// Kernel calls that every service may make unless its block says `system NONE`: to end, to say something, to know itself and the time,
/// to grant its own memory and use what was granted to it, and to look after its own state. Each of them concerns nobody but the caller and
/// those who have granted it something.
pub const BASIC_CALLS: [&str; 11] = [
    "exit",
    "diag_write",
    "whoami",
    "times",
    "setalarm",
    "setgrant",
    "safecopyfrom",
    "safecopyto",
    "vsafecopy",
    "safememset",
    "statectl",
];
/// Calls of the memory server that every service may make unless its block says `vm NONE`: for memory of its own.
pub const BASIC_MEMORY: [&str; 3] = ["brk", "mmap", "munmap"];

/// Names that no service can have: other boot files, and what stands before the kernel's lines in the log.
pub const RESERVED: [&str; 4] = [KERNEL_NAME, TABLE_MODULE, POLICY_FILE, KERNEL_LOG_NAME];
/// Name of the kernel's file.
pub const KERNEL_NAME: &str = "kernel";

/// Users that have names.
pub const USERS: [(&str, u32); 2] = [("root", 0), ("service", 1)];

/// Every trap by its name.
pub fn traps() -> impl Iterator<Item = (String, TrapMask)> {
    TrapMask::all().iter_names().map(|(name, mask)| (name.to_ascii_lowercase(), mask))
}

/// Every kernel call and group of them by its name, with its bit in masks of them.
pub fn calls() -> impl Iterator<Item = (&'static str, u64)> + Clone {
    let calls = PROTOCOL.calls.iter().map(|call| call.short_name());
    let groups = GROUPS.iter().map(|group| group.protocol.name);
    calls.chain(groups).filter_map(|name| Some((name, right_by_name(name)?)))
}

/// Every call of the memory server by its name, with its bit in masks of them, and the right to make them for others.
pub fn memory() -> impl Iterator<Item = (&'static str, u64)> + Clone {
    let calls = vm::PROTOCOL.calls.iter().map(|call| (call.short_name(), 1 << call.number));
    calls.chain([("for_others", vm::FOR_OTHERS)])
}

/// Keywords without arguments, and the flag that each of them sets.
pub const FLAGS: [(&str, ServiceFlags); 6] = [
    ("core", ServiceFlags::CORE),
    ("synch", ServiceFlags::SYNCHRONOUS),
    ("copy", ServiceFlags::KEPT),
    ("reincarnate", ServiceFlags::REINCARNATE),
    ("replica", ServiceFlags::REPLICA),
    ("grants_for_others", ServiceFlags::GRANTS_FOR_OTHERS),
];

/// What a block describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Type {
    /// The root system process.
    Root,
    /// The memory server.
    Pager,
    /// Any other service.
    #[default]
    Service,
    /// A program that is no service.
    User,
}

impl Type {
    /// All of them, by their names.
    pub const ALL: [(&str, Self); 4] =
        [("root", Self::Root), ("pager", Self::Pager), ("service", Self::Service), ("user", Self::User)];

    /// The type of a compiled entry.
    pub const fn of(flags: u32) -> Self {
        match () {
            () if flags & ServiceFlags::ROOT.bits() != 0 => Self::Root,
            () if flags & ServiceFlags::PAGER.bits() != 0 => Self::Pager,
            () if flags & ServiceFlags::USER.bits() != 0 => Self::User,
            () => Self::Service,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    /// What it is to the system. Whoever waits for memory waits for the memory server: nothing takes its turn from it.
    pub const fn flags(self) -> ServiceFlags {
        match self {
            Self::Root => ServiceFlags::ROOT.union(ServiceFlags::PREEMPTIBLE),
            Self::Pager => ServiceFlags::PAGER,
            Self::Service => ServiceFlags::PREEMPTIBLE,
            Self::User => ServiceFlags::USER.union(ServiceFlags::PREEMPTIBLE).union(ServiceFlags::BILLABLE),
        }
    }

    /// The traps of one whose block has no `traps`: what the common part of all services uses to start, to serve, and to be pinged; the
    /// root system process tells others something without waiting for them. Users call, and nothing else.
    pub const fn traps(self) -> TrapMask {
        const SERVICE: TrapMask = TrapMask::RECEIVE
            .union(TrapMask::SENDREC)
            .union(TrapMask::NOTIFY)
            .union(TrapMask::SENDNB)
            .union(TrapMask::REPLY_RECEIVE);
        match self {
            Self::User => TrapMask::SENDREC,
            Self::Pager | Self::Service => SERVICE,
            Self::Root => SERVICE.union(TrapMask::SENDA),
        }
    }

    /// The kernel calls that are added to those of its block. Users ask servers.
    pub fn basic_calls(self) -> u64 {
        match self {
            Self::User => 0,
            Self::Root | Self::Pager | Self::Service => BASIC_CALLS.iter().filter_map(|name| right_by_name(name)).sum(),
        }
    }

    /// The calls of the memory server that are added. That one has itself.
    pub fn basic_memory(self) -> u64 {
        match self {
            Self::Pager => 0,
            Self::Root | Self::Service | Self::User => {
                memory().filter(|(name, _)| BASIC_MEMORY.contains(name)).map(|(_, right)| right).sum()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_calls_exist() {
        assert_eq!(Type::Service.basic_calls().count_ones() as usize, BASIC_CALLS.len());
        assert_eq!(Type::Service.basic_memory().count_ones() as usize, BASIC_MEMORY.len());
        assert_eq!((Type::User.basic_calls(), Type::Pager.basic_memory()), (0, 0));
    }

    #[test]
    fn a_compiled_entry_has_the_type_that_it_was_made_of() {
        for (name, kind) in Type::ALL {
            assert_eq!(Type::of(kind.flags().bits()), kind);
            assert_eq!(kind.name(), name);
        }
    }

    #[test]
    fn names_are_told_apart() {
        let all = calls().fold(0, |all, (_, right)| all | right);
        assert_eq!(calls().count(), all.count_ones() as usize);
        assert!(memory().any(|(name, right)| (name, right) == ("for_others", 1 << 63)));
    }
}
