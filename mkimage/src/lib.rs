//! Builds, checks, installs and runs images of Selix: ELF files and a policy in, a bootable image out.
//!
//! The binary `mkimage` is a thin layer over this library. docs/images.md describes commands and formats.

pub mod bench;
pub mod boot_table;
pub mod build;
pub mod elf;
pub mod events;
pub mod fsutil;
pub mod grub;
pub mod image;
pub mod inspect;
pub mod install;
pub mod iso;
pub mod latency;
pub mod manifest;
pub mod migrate;
pub mod progress;
pub mod symbolize;
pub mod system;
pub mod tree;
