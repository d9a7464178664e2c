//! What the core asks of the machine on behalf of drivers: interrupt lines and I/O ports.

use crate::lines::Trigger;
use crate::ranges::Resources;
use core::ops::RangeInclusive;

/// How many bytes an access to a port moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// 8 bits.
    Byte,
    /// 16 bits.
    Word,
    /// 32 bits.
    Long,
}

impl Width {
    /// Every width.
    pub const ALL: [Self; 3] = [Self::Byte, Self::Word, Self::Long];

    /// The same in bytes.
    pub const fn bytes(self) -> u16 {
        match self {
            Self::Byte => 1,
            Self::Word => 2,
            Self::Long => 4,
        }
    }

    /// The ports that an access at `port` touches. `None` for one that is not aligned to its width: the bus splits it, or
    /// lets it run past the last port, and no device asks for it.
    pub const fn ports(self, port: u16) -> Option<RangeInclusive<u16>> {
        if port.is_multiple_of(self.bytes()) { Some(port..=port + (self.bytes() - 1)) } else { None }
    }
}

/// Lines and ports of the machine. The core asks for what a program's privileges allow, and for nothing else.
pub trait Devices {
    /// How an interrupt line signals; `None` if the machine has no such line.
    fn trigger(&self, line: u8) -> Option<Trigger>;

    /// Keeps a line from interrupting. An edge that comes meanwhile is not lost: it interrupts after
    /// [`unmask_line`](Self::unmask_line).
    fn mask_line(&mut self, line: u8);

    /// Lets a line interrupt again. At the start all lines are masked.
    fn unmask_line(&mut self, line: u8);

    /// Whether a port belongs to the kernel itself, so that no program may touch it whatever its privileges say.
    fn is_kernel_port(&self, port: u16) -> bool;

    /// Whether a program with these resources may make an access to a port: they allow all of it, and none of it is the
    /// kernel's own.
    fn may_access(&self, resources: &Resources, port: u16, width: Width) -> bool {
        let is_free = |mut touched: RangeInclusive<u16>| !touched.any(|port| self.is_kernel_port(port));
        resources.allows_port(port, width) && width.ports(port).is_some_and(is_free)
    }

    /// Reads at a port; upper bits beyond the width are 0.
    fn port_in(&mut self, port: u16, width: Width) -> u32;

    /// Writes the lowest bits of `value` to a port.
    fn port_out(&mut self, port: u16, width: Width, value: u32);
}

/// The ports of a PC that no program gets, for through them it could stop the kernel or write over what it says:
/// - the two interrupt controllers of old, which the kernel has silenced, and their registers for level or edge;
/// - the register that routes those past the APICs (Intel MultiProcessor specification 1.4, 3.6.2.1);
/// - the register that folds the address space at 1 MiB (line A20);
/// - the serial port that the kernel logs to.
///
/// The machine adds its exit device, if it has one. The interval timer is no longer the kernel's once programs run. Two
/// ports of drivers can reset the machine, and one folds the address space too: a policy that gives away 0xcf9, among
/// the ports of the PCI configuration, or 0x64, the keyboard controller's, trusts that driver as much.
const KERNEL_PORTS: [RangeInclusive<u16>; 6] =
    [0x20..=0x21, 0x22..=0x23, 0x92..=0x92, 0xa0..=0xa1, 0x3f8..=0x3ff, 0x4d0..=0x4d1];

/// Whether a port of a PC is one that no program gets.
pub fn is_kernel_port(port: u16) -> bool {
    KERNEL_PORTS.iter().any(|range| range.contains(&port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::TestDevices;

    #[test]
    fn a_port_of_the_kernels_is_nobodys_whatever_is_allowed() {
        let machine = TestDevices::default();
        let mut all = Resources::NONE;
        all.add_ports(0, u16::MAX).unwrap();
        for port in (0..=u16::MAX).filter(|port| is_kernel_port(*port)) {
            assert!(!machine.may_access(&all, port, Width::Byte), "{port:#x}");
        }
        assert!(machine.may_access(&all, 0x90, Width::Word) && machine.may_access(&all, 0x93, Width::Byte));
        assert!(!machine.may_access(&all, 0x92, Width::Word), "its first port");
        assert!(!machine.may_access(&all, 0x90, Width::Long), "one in the middle");
        assert!(!machine.may_access(&Resources::NONE, 0x93, Width::Byte));
    }

    #[test]
    fn an_access_touches_as_many_ports_as_it_has_bytes() {
        assert_eq!(Width::Byte.ports(0x61), Some(0x61..=0x61));
        assert_eq!(Width::Word.ports(0x1f0), Some(0x1f0..=0x1f1));
        assert_eq!(Width::Long.ports(0xcf8), Some(0xcf8..=0xcfb));
        assert_eq!(Width::Byte.ports(u16::MAX), Some(u16::MAX..=u16::MAX));
        assert_eq!(Width::Long.ports(0xfffc), Some(0xfffc..=u16::MAX));
    }

    #[test]
    fn no_access_is_unaligned_or_runs_past_the_last_port() {
        for port in [0x1f1, u16::MAX] {
            assert_eq!(Width::Word.ports(port), None);
        }
        for port in [0xcf9, 0xcfa, 0xcfb, 0xfffd, 0xfffe, u16::MAX] {
            assert_eq!(Width::Long.ports(port), None);
        }
    }

    #[test]
    fn the_kernels_ports_end_where_they_should() {
        let kept = (0..=u16::MAX).filter(|port| is_kernel_port(*port));
        let expected =
            [0x20, 0x21, 0x22, 0x23, 0x92, 0xa0, 0xa1].into_iter().chain(0x3f8..=0x3ff).chain([0x4d0, 0x4d1]);
        assert!(kept.eq(expected));
    }
}
