//! The lines and ports of the test machine.

use super::TestMachine;
use kernel_core::devices::{self, Devices, Width};
use kernel_core::lines::Trigger;
use std::collections::{BTreeMap, BTreeSet};
use std::vec::Vec;

/// Something that was done to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    Mask(u8),
    Unmask(u8),
    In(u16, Width),
    Out(u16, Width, u32),
}

/// Lines below 16 have edges, those below 32 levels; there are no others. Keeps what was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TestDevices {
    /// In that order.
    pub(crate) done: Vec<Done>,
    /// Lines that are not masked.
    pub(crate) open: BTreeSet<u8>,
    /// What each port reads, 0 for the others.
    pub(crate) ports: BTreeMap<u16, u32>,
}

pub(crate) const LEVEL_LINES: core::ops::Range<u8> = 16..32;

impl TestDevices {
    /// What was done since this was asked last.
    pub(crate) fn take_done(&mut self) -> Vec<Done> {
        core::mem::take(&mut self.done)
    }
}

impl Devices for TestDevices {
    fn trigger(&self, line: u8) -> Option<Trigger> {
        match line {
            _ if line < LEVEL_LINES.start => Some(Trigger::Edge),
            _ => LEVEL_LINES.contains(&line).then_some(Trigger::Level),
        }
    }

    fn mask_line(&mut self, line: u8) {
        self.open.remove(&line);
        self.done.push(Done::Mask(line));
    }

    fn unmask_line(&mut self, line: u8) {
        self.open.insert(line);
        self.done.push(Done::Unmask(line));
    }

    fn is_kernel_port(&self, port: u16) -> bool {
        devices::is_kernel_port(port)
    }

    fn port_in(&mut self, port: u16, width: Width) -> u32 {
        self.done.push(Done::In(port, width));
        let mask = u32::MAX >> (u32::BITS - 8 * u32::from(width.bytes()));
        self.ports.get(&port).copied().unwrap_or(0) & mask
    }

    fn port_out(&mut self, port: u16, width: Width, value: u32) {
        self.done.push(Done::Out(port, width, value));
    }
}

impl Devices for TestMachine {
    fn trigger(&self, line: u8) -> Option<Trigger> {
        self.devices.trigger(line)
    }

    fn mask_line(&mut self, line: u8) {
        self.devices.mask_line(line);
    }

    fn unmask_line(&mut self, line: u8) {
        self.devices.unmask_line(line);
    }

    fn is_kernel_port(&self, port: u16) -> bool {
        self.devices.is_kernel_port(port)
    }

    fn port_in(&mut self, port: u16, width: Width) -> u32 {
        self.devices.port_in(port, width)
    }

    fn port_out(&mut self, port: u16, width: Width, value: u32) {
        self.devices.port_out(port, width, value);
    }
}
