//! Says what is in an image: a table for people, a value for `--json`.

mod service;

pub use service::ServiceReport;

use crate::elf::{self, Unreadable};
use crate::image::{self, File, Image, Role, VerifyError};
use abi::boot::{BootEntry, BootFlags};
use abi::policy::{POLICY_FILE, PolicyError};
use libconf::names;
use serde::Serialize;
use std::fmt;

/// What is in an image.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Name of the image.
    pub name: String,
    /// Version of the boot set.
    pub boot_set: String,
    /// Version of the image format.
    pub format: u32,
    /// Version of the ABI.
    pub abi: u32,
    /// Kernel command line.
    pub cmdline: String,
    /// The files, in order.
    pub files: Vec<FileReport>,
    /// What every service may do, also those that are started later; nothing where there is no policy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceReport>,
    /// The same as a text like that of system.conf.
    #[serde(skip)]
    policy: String,
}

/// A file of an image.
#[derive(Debug, Serialize)]
pub struct FileReport {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub role: &'static str,
    /// Its bytes.
    pub size: usize,
    /// CRC-32 (IEEE) of them, in hexadecimal.
    pub crc32: String,
    /// What of it is loaded; nothing of a boot table.
    pub segments: Vec<SegmentReport>,
    /// What a program may do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
}

/// A loaded part of an ELF file.
#[derive(Debug, Serialize)]
pub struct SegmentReport {
    /// `rwx`, with `-` for what is not allowed.
    pub access: String,
    /// Virtual address, in hexadecimal.
    pub address: String,
    /// Bytes in the file.
    pub file: u64,
    /// Bytes in memory.
    pub memory: u64,
}

/// What a program may do from the boot on, by the names that the policy uses.
#[derive(Debug, Serialize)]
pub struct Policy {
    /// Scheduling queue.
    pub priority: u8,
    /// Number of the processor that it runs on.
    pub cpu: u8,
    /// What it is to the system: `root`, `pager`, `served`, `file`, `kept`.
    pub flags: Vec<String>,
    /// Traps.
    pub traps: Vec<String>,
    /// Programs it may send to.
    pub sends: Vec<String>,
    /// Kernel calls, and groups of them.
    pub calls: Vec<String>,
    /// Calls of the memory server.
    pub memory: Vec<String>,
}

/// Why an image cannot be described.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// It is not for this system.
    #[error("the image {0}")]
    Verify(#[from] VerifyError),
    /// Its policy is refused.
    #[error("the policy {0}")]
    Policy(#[from] PolicyError),
    /// A file in it is no ELF file.
    #[error("`{0}` {1}")]
    Unreadable(String, Unreadable),
}

/// Describes an image.
///
/// # Errors
/// That this system would not boot it, or that one of its programs is no ELF file.
pub fn report(image: &Image) -> Result<Report, InspectError> {
    let entries = image.verify()?;
    let files = image.files.iter().map(|file| describe(file, &entries)).collect::<Result<_, _>>()?;
    let policy = image.policy()?.unwrap_or_default();
    Ok(Report {
        name: image.name.clone(),
        boot_set: image.version.clone(),
        format: image::FORMAT,
        abi: image.abi,
        cmdline: image.cmdline.clone(),
        files,
        services: service::reports(&policy),
        policy: libconf::write(&policy),
    })
}

fn describe(file: &File, entries: &[BootEntry]) -> Result<FileReport, InspectError> {
    let segments = match file.role {
        Role::BootTable => Vec::new(),
        Role::Program if file.name == POLICY_FILE => Vec::new(),
        Role::Kernel | Role::Program => {
            elf::segments(&file.bytes).map_err(|error| InspectError::Unreadable(file.name.clone(), error))?
        }
    };
    let entry = entries.iter().find(|e| file.role == Role::Program && e.name() == Some(&file.name));
    let role = if entry.is_some_and(is_policy) { POLICY_FILE } else { file.role.label() };
    Ok(FileReport {
        name: file.name.clone(),
        role,
        size: file.bytes.len(),
        crc32: format!("{:#010x}", crc32fast::hash(&file.bytes)),
        segments: segments.iter().map(segment).collect(),
        policy: entry.filter(|entry| !is_policy(entry)).map(|entry| policy(entry, entries)),
    })
}

fn is_policy(entry: &BootEntry) -> bool {
    entry.name() == Some(POLICY_FILE)
}

fn segment(s: &elf::Segment) -> SegmentReport {
    SegmentReport { access: s.access.to_string(), address: format!("{:#x}", s.address), file: s.file, memory: s.memory }
}

fn policy(entry: &BootEntry, entries: &[BootEntry]) -> Policy {
    let in_mask = |mask: u64, bit: usize| mask.checked_shr(bit as u32).is_some_and(|rest| rest & 1 != 0);
    let targets = entries.iter().enumerate().filter(|&(slot, _)| in_mask(entry.sends, slot));
    let calls = names::calls().filter(|(_, right)| entry.calls & right != 0);
    let memory = names::memory().filter(|(_, right)| entry.memory & right != 0);
    Policy {
        priority: entry.priority,
        cpu: entry.cpu,
        flags: flags(entry),
        traps: names::traps().filter(|(_, trap)| entry.traps & trap.bits() != 0).map(|(name, _)| name).collect(),
        sends: targets.filter_map(|(_, e)| e.name()).map(str::to_owned).collect(),
        calls: calls.map(|(name, _)| name.to_owned()).collect(),
        memory: memory.map(|(name, _)| name.to_owned()).collect(),
    }
}

fn flags(entry: &BootEntry) -> Vec<String> {
    let set = BootFlags::from_bits_truncate(entry.flags);
    set.iter_names().map(|(name, _)| name.to_ascii_lowercase()).collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cmdline = if self.cmdline.is_empty() { "(none)" } else { &self.cmdline };
        writeln!(f, "image         {}", self.name)?;
        writeln!(f, "boot set      {}", self.boot_set)?;
        writeln!(f, "image format  {}", self.format)?;
        writeln!(f, "ABI version   {}", self.abi)?;
        writeln!(f, "command line  {cmdline}")?;
        self.files.iter().try_for_each(|file| write!(f, "\n{file}"))?;
        if self.policy.is_empty() {
            Ok(())
        } else {
            write!(f, "\npolicy, {} services\n\n{}", self.services.len(), self.policy)
        }
    }
}

impl fmt::Display for FileReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<16} {:<10} {:>10} bytes  crc32 {}", self.name, self.role, self.size, self.crc32)?;
        for s in &self.segments {
            writeln!(
                f,
                "    {}  {:>18}  {:>8} bytes in the file  {:>8} in memory",
                s.access, s.address, s.file, s.memory
            )?;
        }
        let Some(policy) = &self.policy else { return Ok(()) };
        let list = |names: &[String]| if names.is_empty() { "(nothing)".to_owned() } else { names.join(", ") };
        if policy.flags.iter().any(|flag| flag == "file") {
            return writeln!(f, "    not started at boot");
        }
        let flags: String = policy.flags.iter().map(|flag| format!(", {flag}")).collect();
        writeln!(f, "    priority {}, processor {}{flags}", policy.priority, policy.cpu)?;
        writeln!(f, "    traps    {}", list(&policy.traps))?;
        writeln!(f, "    sends to {}", list(&policy.sends))?;
        writeln!(f, "    calls    {}", list(&policy.calls))?;
        writeln!(f, "    memory   {}", list(&policy.memory))
    }
}
