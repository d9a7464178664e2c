//! Exec: what a space holds afterwards, what the program is told, and what is left when anything fails.

mod failures;
mod files;
mod frames;
mod places;
mod refusals;
mod support;
