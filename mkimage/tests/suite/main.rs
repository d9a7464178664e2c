//! Tests of mkimage's library and of its command line.

mod check;
mod cli;
mod elf;
mod image;
mod inspect;
mod install;
mod iso;
mod manifest;
mod merge;
mod migrate;
mod place;
mod sample;
mod system;
