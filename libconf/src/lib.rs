//! The text of `system.conf` to checked entries of the policy, or to all that is wrong with it.
//!
//! `mkimage` compiles the policy of an image with it, so a text that is refused never reaches one. docs/policy.md describes the grammar and
//! every keyword.
#![no_std]

extern crate alloc;

mod block;
mod class;
mod compile;
mod fault;
pub mod names;
mod number;
mod order;
mod settings;
mod text;

pub use block::{Block, CONFLICT_MARKS, MAX_ARGUMENTS, MAX_BLOCKS, Statement, Word};
pub use class::MAX_LEVELS;
pub use fault::{Fault, MAX_FAULTS, Position};
pub use settings::{DEFAULT_BACKOFF, MAX_DESCRIPTION};
pub use text::write;

use abi::policy::ServicePolicy;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use fault::Faults;

/// Most bytes of a text.
pub const MAX_TEXT: usize = 256 * 1024;
/// Priority of a service that names none.
pub const DEFAULT_PRIORITY: u8 = 7;
/// Length of a turn, in milliseconds, of a service that names none: that of the kernel.
pub const DEFAULT_QUANTUM: u16 = 50;

/// A policy without faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The services, in the order of the text. They refer to each other by their places.
    pub services: Vec<Service>,
}

/// A service of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Where its block is.
    pub at: Position,
    /// What it is, for people.
    pub description: Option<String>,
    /// Whether it is left out when services are looked for that may wait for each other.
    pub unordered: bool,
    /// The compiled entry.
    pub policy: ServicePolicy,
}

impl Config {
    /// Reads and checks a text.
    ///
    /// # Errors
    /// All that is wrong with it, in the order of the text; at least one fault, and [`MAX_FAULTS`] and one more at most.
    pub fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        if text.len() > MAX_TEXT {
            faults.add(MAX_TEXT, format!("a policy has at most {MAX_TEXT} bytes"));
            return Err(faults.into_list(text));
        }
        let blocks = block::blocks(text, &mut faults);
        let is_whole = faults.is_empty();
        class::names(&blocks, &mut faults);
        let own = blocks.iter().map(|block| settings::of_block(block, &mut faults)).collect();
        if !is_whole {
            // Where a block is lost, nobody knows who should be there.
            return Err(faults.into_list(text));
        }
        let resolved = class::resolve(&blocks, own, &mut faults);
        let services = compile::services(text, &resolved, &mut faults);
        if faults.is_empty() { Ok(Self { services }) } else { Err(faults.into_list(text)) }
    }

    /// The compiled entries, in order.
    pub fn policies(&self) -> Vec<ServicePolicy> {
        self.services.iter().map(|service| service.policy).collect()
    }

    /// The service with a name, and its place.
    pub fn find(&self, name: &str) -> Option<(usize, &Service)> {
        self.services.iter().enumerate().find(|(_, service)| service.name == name)
    }

    /// A text that says the same, without classes.
    pub fn to_text(&self) -> String {
        let description = |place: usize| self.services.get(place)?.description.as_deref();
        let unordered = |place: usize| self.services.get(place).is_some_and(|service| service.unordered);
        text::write_with(&self.policies(), &description, &unordered)
    }
}

/// The blocks of a text, whatever they mean.
///
/// # Errors
/// What is no block, and blocks with the same name.
pub fn blocks(text: &str) -> Result<Vec<Block<'_>>, Vec<Fault>> {
    let mut faults = Faults::default();
    let blocks = block::blocks(text, &mut faults);
    class::names(&blocks, &mut faults);
    if faults.is_empty() { Ok(blocks) } else { Err(faults.into_list(text)) }
}
