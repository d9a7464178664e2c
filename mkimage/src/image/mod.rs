//! Images: a kernel, a boot table and programs in one file. docs/images.md describes the format.
//!
//! [`read`] accepts the current format and judges the container alone; [`Image::verify`] judges whether this system can
//! boot what is in it. Older formats are read by [`crate::migrate`].

pub mod v1;

use crate::boot_table;
use crate::manifest::KERNEL_NAME;
use crate::system::{self, System};
use abi::boot::{BootEntry, BootFlags, TABLE_MODULE, TableError};
use abi::policy::{POLICY_FILE, PolicyError, ServicePolicy};
use std::path::{Path, PathBuf};

/// First bytes of an image of any format; the format's version follows, as a little-endian 32-bit number.
pub const MAGIC: [u8; 8] = *b"SELIXIMG";
/// The format that is written.
pub const FORMAT: u32 = 1;
/// Bytes of [`MAGIC`] and version: the part that all formats share.
const PREFIX_LEN: usize = MAGIC.len() + size_of::<u32>();

/// What an image holds, whatever its format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// [`abi::ABI_VERSION`] that its programs were built for.
    pub abi: u32,
    /// Its name, from the manifest.
    pub name: String,
    /// Version of the boot set: that of the system, and a checksum of everything that is booted.
    pub version: String,
    /// Kernel command line.
    pub cmdline: String,
    /// The kernel, the boot table, and what that names, in its order: programs, and the policy.
    pub files: Vec<File>,
}

/// A file in an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// What it is for.
    pub role: Role,
    /// The name that it is installed under, and that its module has.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What a file in an image is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Role {
    /// The kernel's ELF file.
    Kernel = 1,
    /// The boot table.
    BootTable = 2,
    /// What the boot table names: a program's ELF file, or the policy.
    Program = 3,
}

impl Role {
    /// The role with this number.
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::Kernel,
            2 => Self::BootTable,
            3 => Self::Program,
            _ => return None,
        })
    }

    /// For tables.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::BootTable => "boot-table",
            Self::Program => "program",
        }
    }
}

/// Why bytes are refused as an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// No image at all.
    #[error("is no image of Selix (it does not start with SELIXIMG)")]
    Magic,
    /// A format that is not [`FORMAT`].
    #[error("has image format {0}, this mkimage reads format {FORMAT}: {advice}", advice = how_to_migrate(*.0))]
    Format(u32),
    /// Shorter or longer than it says.
    #[error("is {found} bytes long, should be {expected}: copy or build it again")]
    Length {
        /// Bytes that it says it has.
        expected: u64,
        /// Bytes that there are.
        found: u64,
    },
    /// The checksum of the header does not fit.
    #[error("has a damaged header (wrong checksum): copy or build it again")]
    HeaderChecksum,
    /// A field of the header has a value that means nothing.
    #[error("has a bad {0} in its header")]
    Header(&'static str),
    /// A field of an entry of the table of files has a value that means nothing.
    #[error("has a bad {field} in entry {index} of its table of files")]
    Entry {
        /// The entry, from 0.
        index: usize,
        /// The field.
        field: &'static str,
    },
    /// The checksum of a file does not fit.
    #[error("has a damaged file `{0}` (wrong checksum): copy or build it again")]
    FileChecksum(String),
    /// Bytes between two files are not zero.
    #[error("has bytes that belong to no file before `{0}`")]
    Padding(String),
}

/// Why this system does not boot an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Programs built for another ABI.
    #[error("was built for ABI version {0}, this is {version}: see UPDATING.md, build it again", version = abi::ABI_VERSION)]
    Abi(u32),
    /// The boot table is refused.
    #[error("has a bad boot table: it {0}")]
    Table(#[from] TableError),
    /// The policy is refused.
    #[error("has a bad policy: it {0}")]
    Policy(#[from] PolicyError),
    /// Boot table and files do not agree.
    #[error("has a boot table that does not fit its files: {0}")]
    Mismatch(String),
}

/// An image file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It could not be read.
    #[error(transparent)]
    File(#[from] crate::fsutil::FileError),
    /// It is no image.
    #[error("{} {error}", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: ImageError,
    },
    /// It is an image for another system.
    #[error("{} {error}", path.display())]
    Verify {
        /// The file.
        path: PathBuf,
        /// Why.
        error: VerifyError,
    },
}

impl Image {
    /// Puts an image together. All bytes are those that are booted.
    pub fn pack(system: &System, kernel: Vec<u8>, programs: Vec<Vec<u8>>) -> Self {
        let manifest = &system.manifest;
        let (table, named) = boot_table::compile(system, programs);
        let mut files = vec![
            File { role: Role::Kernel, name: KERNEL_NAME.into(), bytes: kernel },
            File { role: Role::BootTable, name: TABLE_MODULE.into(), bytes: table },
        ];
        files.extend(named.into_iter().map(|(name, bytes)| File { role: Role::Program, name, bytes }));
        let version = version_of(&manifest.cmdline, &files);
        Self { abi: abi::ABI_VERSION, name: manifest.name.clone(), version, cmdline: manifest.cmdline.clone(), files }
    }

    /// Reads an image file that is to be booted.
    ///
    /// # Errors
    /// That it cannot be read, is no image of the current format, or is not for this system.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let bytes = crate::fsutil::read(path)?;
        let image = read(&bytes).map_err(|error| OpenError::Image { path: path.into(), error })?;
        image.verify().map_err(|error| OpenError::Verify { path: path.into(), error })?;
        Ok(image)
    }

    /// The image in the current format.
    pub fn to_bytes(&self) -> Vec<u8> {
        v1::write(self)
    }

    /// Checks that this system boots it: the ABI version, the boot table, that table and files agree, and the policy. Returns
    /// the entries of the table.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify(&self) -> Result<Vec<BootEntry>, VerifyError> {
        if self.abi != abi::ABI_VERSION {
            return Err(VerifyError::Abi(self.abi));
        }
        let entries = boot_table::read(&self.table().bytes)?;
        let programs: Vec<&File> = self.with_entries().collect();
        if entries.len() != programs.len() {
            let text = format!("it names {} files, there are {}", entries.len(), programs.len());
            return Err(VerifyError::Mismatch(text));
        }
        for (entry, file) in entries.iter().zip(programs) {
            if entry.name() != Some(&file.name) {
                let text = format!("where it names `{}`, there is `{}`", entry.name().unwrap_or("?"), file.name);
                return Err(VerifyError::Mismatch(text));
            }
            if (entry.size, entry.crc32) != (file.bytes.len() as u64, crc32fast::hash(&file.bytes)) {
                return Err(VerifyError::Mismatch(format!("`{}` has another size or checksum", file.name)));
            }
            if file.name == POLICY_FILE && !entry.has(BootFlags::FILE) {
                return Err(VerifyError::Mismatch(format!(
                    "`{POLICY_FILE}` is the name of the policy, not of a program"
                )));
            }
        }
        self.policy()?;
        Ok(entries)
    }

    /// The kernel.
    pub fn kernel(&self) -> &File {
        self.with_role(Role::Kernel)
    }

    /// The boot table.
    pub fn table(&self) -> &File {
        self.with_role(Role::BootTable)
    }

    /// What has an entry in the boot table.
    fn with_entries(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|f| f.role == Role::Program)
    }

    /// The entries of the policy, if there is one.
    ///
    /// # Errors
    /// That it is no good one.
    pub fn policy(&self) -> Result<Option<Vec<ServicePolicy>>, PolicyError> {
        let file = self.with_entries().find(|file| file.name == POLICY_FILE);
        file.map(|file| system::read_policy(&file.bytes)).transpose()
    }

    /// What the boot loader loads beside the kernel, in order.
    pub fn modules(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|f| f.role != Role::Kernel)
    }

    fn with_role(&self, role: Role) -> &File {
        self.files.iter().find(|f| f.role == role).expect("every image has a kernel and a boot table")
    }
}

/// Reads an image of the current format.
///
/// # Errors
/// The first thing that is wrong with it as a container.
pub fn read(bytes: &[u8]) -> Result<Image, ImageError> {
    match format_of(bytes)? {
        FORMAT => v1::read(bytes),
        other => Err(ImageError::Format(other)),
    }
}

/// The format that the image says it has.
///
/// # Errors
/// That it is no image.
pub fn format_of(bytes: &[u8]) -> Result<u32, ImageError> {
    let prefix = bytes.get(..PREFIX_LEN).ok_or(ImageError::Magic)?;
    let (magic, format) = prefix.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(ImageError::Magic);
    }
    Ok(u32::from_le_bytes(format.try_into().expect("four bytes")))
}

fn how_to_migrate(format: u32) -> String {
    let entry = format!("see the entry of UPDATING.md that names `image format {format}`");
    if format < FORMAT { format!("use `mkimage migrate`, and {entry}") } else { entry }
}

/// The system's version, and a checksum over everything that is booted: different sets get different versions, and the
/// same set always gets the same.
fn version_of(cmdline: &str, files: &[File]) -> String {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(cmdline.as_bytes());
    for file in files {
        hasher.update(file.name.as_bytes());
        hasher.update(&(file.bytes.len() as u64).to_le_bytes());
        hasher.update(&file.bytes);
    }
    format!("{}-{:08x}", env!("CARGO_PKG_VERSION"), hasher.finalize())
}

/// Most characters in the version of a boot set.
pub const MAX_VERSION: usize = 31;

/// Whether `text` can be the version of a boot set, which is also the name of a directory: 1 to [`MAX_VERSION`] of
/// `a-z 0-9 . - _`, starting with a digit.
pub fn is_version(text: &str) -> bool {
    let valid = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
    let starts_well = text.bytes().next().is_some_and(|b| b.is_ascii_digit());
    text.len() <= MAX_VERSION && text.bytes().all(valid) && starts_well
}
