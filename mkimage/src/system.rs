//! A manifest and the policy that it names, which fit each other: all that an image is made of but the files.

use crate::fsutil::{self, FileError};
use crate::manifest::{Fault, Manifest, ManifestError, Program};
use abi::boot::{BootEntry, BootFlags, MAX_PROGRAMS};
use abi::policy::{PolicyError, PolicyHeader, ServiceFlags, ServicePolicy, contains};
use libconf::names::Type;
use libconf::{Config, Service};
use std::path::{Path, PathBuf};
use zerocopy::IntoBytes;

/// Manifest and policy of an image, without faults.
#[derive(Clone, Debug)]
pub struct System {
    /// The manifest.
    pub manifest: Manifest,
    /// The policy; each program of the manifest has an entry.
    pub config: Config,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum SystemError {
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file is no text.
    #[error("{}: is not UTF-8: save it again in that encoding", .0.display())]
    Encoding(PathBuf),
    /// Manifest or policy are refused.
    #[error(transparent)]
    Refused(#[from] ManifestError),
}

impl System {
    /// Reads a manifest, and the policy that it names.
    ///
    /// # Errors
    /// That one of them cannot be read, or is refused.
    pub fn read(manifest: &Path) -> Result<Self, SystemError> {
        let manifest = Manifest::parse(&read_text(manifest)?, manifest)?;
        let policy = read_text(&manifest.policy_path())?;
        Ok(Self::new(manifest, &policy)?)
    }

    /// A manifest, and the text of the policy that it names.
    ///
    /// # Errors
    /// Everything that is wrong with the policy, or else all in which the two do not fit.
    pub fn new(manifest: Manifest, policy: &str) -> Result<Self, ManifestError> {
        let config = Config::parse(policy).map_err(|faults| ManifestError { path: manifest.policy_path(), faults })?;
        let mut faults = Vec::new();
        for program in &manifest.programs {
            match config.find(&program.name) {
                None => faults.push(Fault {
                    at: program.at,
                    message: format!(
                        "`{0}` has no block in {1}: write there what it may do, as `service {0} {{ ... }};`",
                        program.name,
                        manifest.policy_path().display()
                    ),
                }),
                Some((_, service)) => check_program(&manifest, &config, program, service, &mut faults),
            }
        }
        check_root(&manifest, &config, &mut faults);
        let entries = manifest.programs.len() + usize::from(manifest.services);
        if entries > MAX_PROGRAMS {
            let message =
                format!("the boot table has {MAX_PROGRAMS} entries, one of them for the policy, not {entries}");
            faults.push(Fault { at: manifest.programs_at, message });
        }
        faults.sort_by_key(|fault| fault.at);
        if faults.is_empty() {
            Ok(Self { manifest, config })
        } else {
            Err(ManifestError { path: manifest.path, faults })
        }
    }

    /// Whether a memory server loads the programs.
    pub fn is_served(&self) -> bool {
        self.manifest.programs.iter().any(|program| program.loads)
    }

    /// The compiled policy.
    pub fn policy(&self) -> Vec<u8> {
        let entries = self.config.policies();
        [PolicyHeader::of(&entries).as_bytes(), entries.as_bytes()].concat()
    }

    /// The entry of a program in the boot table, as far as its file does not matter.
    pub(crate) fn entry(&self, program: &Program) -> BootEntry {
        let (_, service) = self.config.find(&program.name).expect("each program has a block");
        let policy = &service.policy;
        let mut entry = nothing(&program.name);
        if !program.boots {
            return BootEntry { flags: BootFlags::FILE.bits(), ..entry };
        }
        let boots = self.manifest.programs.iter().filter(|other| other.boots);
        for (place, target) in boots.enumerate() {
            let target = self.config.find(&target.name).map(|(target, _)| target);
            if target.is_some_and(|target| contains(&policy.sends, target)) {
                entry.sends |= 1 << place;
            }
        }
        BootEntry {
            traps: policy.traps,
            calls: policy.calls,
            priority: policy.priority,
            cpu: policy.cpu,
            flags: flags(policy, self.is_served(), self.manifest.services).bits(),
            memory: policy.memory,
            ..entry
        }
    }
}

/// An entry of the boot table with a name, and nothing else.
pub(crate) fn nothing(name: &str) -> BootEntry {
    BootEntry {
        name: BootEntry::encode_name(name).expect("only valid names get here"),
        size: 0,
        crc32: 0,
        traps: 0,
        sends: 0,
        calls: 0,
        priority: 0,
        cpu: 0,
        flags: 0,
        reserved: [0; 4],
        memory: 0,
    }
}

/// What a program is to the system. Where the memory server loads, it loads all but itself and the root system process; where there are
/// services, it keeps the programs that are to be restarted.
fn flags(policy: &ServicePolicy, is_served: bool, has_services: bool) -> BootFlags {
    match Type::of(policy.flags) {
        Type::Root => BootFlags::ROOT,
        Type::Pager => BootFlags::PAGER,
        _ if !is_served => BootFlags::empty(),
        _ if has_services && policy.has(ServiceFlags::KEPT) => BootFlags::SERVED | BootFlags::KEPT,
        _ => BootFlags::SERVED,
    }
}

fn read_text(path: &Path) -> Result<String, SystemError> {
    String::from_utf8(fsutil::read(path)?).map_err(|_| SystemError::Encoding(path.into()))
}

fn check_program(manifest: &Manifest, config: &Config, program: &Program, service: &Service, faults: &mut Vec<Fault>) {
    let mut fault = |message: String| faults.push(Fault { at: program.at, message });
    let (name, policy) = (&program.name, &service.policy);
    let kind = Type::of(policy.flags);
    if program.loads && kind != Type::Pager {
        fault(format!("only the memory server loads the others: `{name}` needs `type pager` in the policy"));
    }
    let script = config.services.get(usize::from(policy.script));
    let is_kept = |name: &str| manifest.programs.iter().any(|program| !program.boots && program.name == name);
    if let Some(script) = script.filter(|script| !is_kept(&script.name)) {
        let message = "has to be a program of this image with `boot = false`, to be started when that one has died";
        fault(format!("`{}`, the recovery script of `{name}`, {message}", script.name));
    }
    if !program.boots {
        if matches!(kind, Type::Root | Type::Pager) {
            fault(format!("`{name}` has `type {}`, and so has to be started at boot", kind.name()));
        }
        return;
    }
    let boots = |name: &str| manifest.programs.iter().any(|program| program.boots && program.name == name);
    for (place, what) in [(policy.manager, "gets its signals"), (policy.backup, "gets its signals after another")] {
        let Some(other) = config.services.get(usize::from(place)) else { continue };
        if !boots(&other.name) {
            fault(format!("`{name}` is started at boot, but `{}`, which {what}, is not", other.name));
        }
    }
}

/// The root system process starts the others: it has to be there.
fn check_root(manifest: &Manifest, config: &Config, faults: &mut Vec<Fault>) {
    let root = config.services.iter().find(|service| service.policy.has(ServiceFlags::ROOT));
    let Some(root) = root else { return };
    if !manifest.programs.iter().any(|program| program.name == root.name) {
        let message =
            format!("the root system process `{}`, which starts the others, is no program of this image", root.name);
        faults.push(Fault { at: manifest.programs_at, message });
    }
}

/// The entries of a compiled policy, wherever its bytes lie.
///
/// # Errors
/// Those of [`abi::policy::parse`].
pub fn read_policy(bytes: &[u8]) -> Result<Vec<ServicePolicy>, PolicyError> {
    abi::policy::parse(&crate::boot_table::aligned(bytes).as_bytes()[..bytes.len()]).map(<[_]>::to_vec)
}
